//! One integration, and what noise it is given.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::score::Denoiser;
use crate::solve::{Integrator, Method, Noise};

/// One run of the production integrator on a fixed grid.
pub(super) fn integrate(
    denoiser: &dyn Denoiser,
    method: &Method,
    times: &[f64],
    noise: &mut dyn Noise,
    x: &Tensor,
) -> Result<Tensor> {
    Integrator::new(denoiser, method, times, noise, x.shallow_clone()).run(|_| Ok(()))
}

/// No noise at all: what a deterministic solver may be given.
#[derive(Debug)]
pub(super) struct Silence;

impl Noise for Silence {
    fn increment(&mut self, like: &Tensor, _a: f64, _b: f64) -> Tensor {
        self.normal(like)
    }

    /// A number that spoils all that follows.
    fn normal(&mut self, like: &Tensor) -> Tensor {
        like.full_like(f64::NAN)
    }
}

/// Counts the draws of a run and gives zeros.
#[derive(Debug, Default)]
pub(super) struct Draws(pub usize);

impl Noise for Draws {
    fn increment(&mut self, like: &Tensor, _a: f64, _b: f64) -> Tensor {
        self.normal(like)
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        self.0 += 1;
        like.zeros_like()
    }
}

/// The mean of independent numbers with its standard error.
pub(super) fn mean_of(x: &Tensor) -> (f64, f64) {
    let mean = x.mean(Kind::Double).double_value(&[]);
    let variance = (x - mean).square().mean(Kind::Double).double_value(&[]);
    (mean, (variance / x.numel() as f64).sqrt())
}
