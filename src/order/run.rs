//! One integration.

use tch::Tensor;

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
