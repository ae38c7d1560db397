//! Variational bounds on −ln p(x₀): what the noise that hides x₀ costs, from t_max to t_min.

use std::fmt::Debug;
use std::ops::Range;

use rayon::prelude::*;
use tch::{Device, Tensor};

use super::lift::log_decoder;
use super::{per_sample_numbers, sum};
use crate::data::Scale;
use crate::error::Result;
use crate::rng::Stream;
use crate::score::{Model, parts};
use crate::sde::{Kernel, Sde};
use crate::tensor::{each, factors, normals};
use crate::threads::Workers;

/// A bound −ln p(x₀) ≤ L_T + L + L_0 (Sohl-Dickstein et al. 2015).
///
/// L_T = KL(q(x_T | x₀) ‖ N(0, s_T² I)), and L_0 = −ln p(x₀ | x_{t₀}), a normal about D of the variance κ₀², discretised where
/// data are discrete. L is a sum of terms w ‖x₀ − D(x_t, t)‖² + c, one draw of x_t for each; what they are, a bound says.
pub trait Bound: Debug + Sync {
    /// T and t₀, σ > 0.
    fn between(&self) -> (f64, f64);

    /// How many terms L has; each is an evaluation.
    fn terms(&self) -> usize;

    /// Term `i` of L for some samples.
    fn term(&self, sde: &dyn Sde, i: usize, samples: Range<u64>) -> Term;
}

/// A term w ‖x₀ − D(x_t, t)‖² + c.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// t, of each sample or of all.
    pub times: Vec<f64>,
    /// w, of each sample or of all.
    pub weights: Vec<f64>,
    /// c for each dimension.
    pub constant: f64,
}

/// The parts of a bound on −ln p(x₀), each `[N]` in nats in the units of the data.
#[derive(Debug)]
pub struct BoundTerms {
    /// L_T, which depends on the process alone.
    pub prior: Tensor,
    /// L.
    pub diffusion: Tensor,
    /// L_0.
    pub reconstruction: Tensor,
}

impl BoundTerms {
    /// L_T + L + L_0 `[N]`.
    pub fn total(&self) -> Tensor {
        &self.prior + &self.diffusion + &self.reconstruction
    }
}

/// A bound for data x₀ `[N, …]`, float64. Draw i of sample n is that of term i, and the next that of L_0; `chunk` samples go
/// together, and `tick` is called with their number after each evaluation.
///
/// # Errors
/// Those of `tick`.
pub fn bound_terms(
    bound: &dyn Bound,
    model: &dyn Model,
    (x0, scale): (&Tensor, &Scale),
    (stream, chunk): (Stream, i64),
    workers: &Workers,
    tick: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<BoundTerms> {
    let of_part = |(first, model, x0): (i64, Box<dyn Model>, Tensor)| {
        tch::no_grad(|| of_part(bound, &*model, (&x0, scale), (stream, first as u64), tick))
    };
    let all: Vec<BoundTerms> = match x0.device() {
        Device::Cpu => {
            let parts: Vec<_> = parts(model, x0, chunk).collect();
            workers.install(|| parts.into_par_iter().map(of_part).collect::<Result<_>>())?
        }
        _ => parts(model, x0, chunk).map(of_part).collect::<Result<_>>()?,
    };
    let join = |of: fn(&BoundTerms) -> &Tensor| Tensor::cat(&all.iter().map(of).collect::<Vec<_>>(), 0);
    Ok(BoundTerms {
        prior: join(|terms| &terms.prior),
        diffusion: join(|terms| &terms.diffusion),
        reconstruction: join(|terms| &terms.reconstruction),
    })
}

fn of_part(
    bound: &dyn Bound,
    model: &dyn Model,
    (x0, scale): (&Tensor, &Scale),
    (stream, first): (Stream, u64),
    tick: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<BoundTerms> {
    let sde = model.sde();
    let (dim, count) = (per_sample_numbers(x0), x0.size()[0] as usize);
    let (t_max, t_min) = bound.between();
    let (start, std) = (sde.kernel(t_max), sde.span().prior_std);
    let variance = (start.sigma / std).powi(2);
    let prior = (sum(&x0.square()) * (start.alpha / std).powi(2) + dim * (variance - 1.0 - variance.ln())) * 0.5;
    let samples: Vec<usize> = (0..count).collect();
    let denoised = |i: usize, t: &[f64]| {
        let kernels: Vec<Kernel> = t.iter().map(|&t| sde.kernel(t)).collect();
        let factor = factors(&kernels, x0);
        let x = x0 * factor(|k| k.alpha) + normals(stream, first, i as u32, x0) * factor(|k| k.sigma);
        let x0 = match t {
            [t] => model.denoise(&x, *t),
            _ => model.denoise_each(&x, &samples, t),
        };
        tick(count).map(|()| x0)
    };
    let mut diffusion = prior.zeros_like();
    for i in 0..bound.terms() {
        let Term { times, weights, constant } = bound.term(sde, i, first..first + count as u64);
        let off = sum(&(x0 - denoised(i, &times)?).square());
        diffusion += &off * each(&weights, &off) + dim * constant;
    }
    let end = sde.kernel(t_min);
    let mut reconstruction = -log_decoder(x0, &denoised(bound.terms(), &[t_min])?, end.ratio(), scale.bins);
    if scale.bins.is_none() {
        reconstruction += scale.log_volume;
    }
    Ok(BoundTerms { prior, diffusion, reconstruction })
}
