//! A model is its denoiser D(x, t) = E[x₀ | x_t = x]; noise, score and velocity are algebra on one evaluation.

mod each;
pub mod empirical;
pub mod exact;
mod reversed;

pub use each::Evals;
pub use reversed::Reversed;

use std::cell::Cell;
use std::fmt::Debug;

use tch::Tensor;

use crate::sde::{Kernel, Sde};
use crate::tensor::combine;

/// E[x₀ | x_t = x]: a trained model with its condition bound, a closed form, or guidance around either.
pub trait Denoiser: Debug {
    /// The process whose marginals it denoises.
    fn sde(&self) -> &dyn Sde;

    /// x `[B, …]` at time t ↦ E[x₀ | x_t = x] `[B, …]`, of the same kind and on the same device.
    fn denoise(&self, x: &Tensor, t: f64) -> Tensor;

    /// Each sample at its own time: x `[n, …]` ↦ E[x₀ | x_{t_i} = x_i] `[n, …]`.
    ///
    /// Row i is the sample `samples[i]` of the batch that the denoiser is made for, since error control asks for fewer
    /// and fewer samples as they come to their ends; a denoiser to which something is bound by sample has to look there.
    /// By default samples that share a time are evaluated together, which is right where nothing is.
    fn denoise_each(&self, x: &Tensor, _samples: &[usize], t: &[f64]) -> Tensor {
        each::grouped(self, x, t)
    }

    /// How many of the last coordinates of a flattened state are another quantity than the rest, so that error control
    /// measures them apart, and the larger of the two errors counts.
    fn apart(&self) -> i64 {
        0
    }
}

/// A denoiser that can be spread over threads.
pub trait Model: Denoiser + Send {
    /// A handle on the same weights for the samples `first..first + count` of a batch; what is bound to single samples
    /// (labels, images to condition on) is cut accordingly.
    fn part(&self, first: i64, count: i64) -> Box<dyn Model>;
}

/// The samples `[B, …]` that a model is asked about in parts of `size`: the place of the first sample of each, the handle
/// for them, and the samples.
pub fn parts(model: &dyn Model, x: &Tensor, size: i64) -> impl Iterator<Item = (i64, Box<dyn Model>, Tensor)> {
    let batch = x.size()[0];
    (0..batch).step_by(size as usize).map(move |first| {
        let count = size.min(batch - first);
        (first, model.part(first, count), x.narrow(0, first, count))
    })
}

/// One evaluation of a denoiser, and all that follows from it.
#[derive(Debug)]
pub struct Eval {
    /// Time.
    pub t: f64,
    /// (α, σ) at that time.
    pub kernel: Kernel,
    /// The state `[B, …]`.
    pub x: Tensor,
    /// x̂₀ = D(x, t) `[B, …]`.
    pub x0: Tensor,
}

impl Eval {
    /// Evaluates `denoiser` at (x, t).
    pub fn new(denoiser: &dyn Denoiser, x: Tensor, t: f64) -> Self {
        let x0 = denoiser.denoise(&x, t);
        Eval { t, kernel: denoiser.sde().kernel(t), x, x0 }
    }

    /// ε̂ = (x − α x̂₀)/σ.
    pub fn noise(&self) -> Tensor {
        let Kernel { alpha, sigma } = self.kernel;
        combine(1.0 / sigma, &self.x, -alpha / sigma, &self.x0)
    }

    /// ∇ log p_t(x) = (α x̂₀ − x)/σ² (Tweedie).
    pub fn score(&self) -> Tensor {
        let Kernel { alpha, sigma } = self.kernel;
        combine(-1.0 / (sigma * sigma), &self.x, alpha / (sigma * sigma), &self.x0)
    }

    /// The velocity of the probability-flow ODE, dx/dt = f x − ½ g² ∇ log p_t(x) = (f − λ′) x + λ′ α x̂₀.
    pub fn velocity(&self, sde: &dyn Sde) -> Tensor {
        let (a, b) = velocity_gains(sde, self.t);
        combine(a, &self.x, b, &self.x0)
    }
}

/// a and b in dx/dt = a x + b x̂₀, the probability-flow ODE.
pub fn velocity_gains(sde: &dyn Sde, t: f64) -> (f64, f64) {
    let rate = sde.lambda_rate(t);
    (sde.drift(t) - rate, rate * sde.kernel(t).alpha)
}

/// A denoiser that counts its evaluations: the number of function evaluations is measured, never derived.
#[derive(Debug)]
pub struct Counted<'a> {
    inner: &'a dyn Denoiser,
    count: Cell<usize>,
}

impl<'a> Counted<'a> {
    /// Counts the evaluations of `inner` from zero.
    pub fn new(inner: &'a dyn Denoiser) -> Self {
        Counted { inner, count: Cell::new(0) }
    }

    /// Evaluations so far, summed over the samples: one for each row of each batch.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    fn add(&self, x: &Tensor) {
        self.count.set(self.count.get() + x.size()[0] as usize);
    }
}

impl Denoiser for Counted<'_> {
    fn sde(&self) -> &dyn Sde {
        self.inner.sde()
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        self.add(x);
        self.inner.denoise(x, t)
    }

    fn denoise_each(&self, x: &Tensor, samples: &[usize], t: &[f64]) -> Tensor {
        self.add(x);
        self.inner.denoise_each(x, samples, t)
    }

    fn apart(&self) -> i64 {
        self.inner.apart()
    }
}
