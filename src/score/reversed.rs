//! A model whose probability flow runs from data to noise.

use std::sync::Arc;

use tch::Tensor;

use super::{Denoiser, Model};
use crate::sde::{Backward, Sde};

/// The same denoiser on [`Backward`], the process with its clock turned round: solvers of the probability-flow ODE take
/// data to their latents with it, as they take latents to data without.
#[derive(Debug)]
pub struct Reversed {
    inner: Box<dyn Model>,
    sde: Backward,
}

impl Reversed {
    /// `inner`, whose process is `sde`.
    pub fn new(inner: Box<dyn Model>, sde: Arc<dyn Sde>) -> Self {
        Reversed { inner, sde: Backward(sde) }
    }
}

impl Denoiser for Reversed {
    fn sde(&self) -> &dyn Sde {
        &self.sde
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        self.inner.denoise(x, -t)
    }

    fn denoise_each(&self, x: &Tensor, samples: &[usize], t: &[f64]) -> Tensor {
        self.inner.denoise_each(x, samples, &t.iter().map(|t| -t).collect::<Vec<_>>())
    }
}

impl Model for Reversed {
    fn part(&self, first: i64, count: i64) -> Box<dyn Model> {
        Box::new(Reversed { inner: self.inner.part(first, count), sde: self.sde.clone() })
    }
}
