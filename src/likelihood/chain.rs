//! The variational bound of the discrete chain (Ho et al. 2020, eq. 5), for every process and grid.

use rayon::prelude::*;
use tch::{Device, Tensor};

use super::lift::log_decoder;
use super::{per_sample_numbers, sum};
use crate::data::Scale;
use crate::error::Result;
use crate::rng::Stream;
use crate::score::{Model, parts};
use crate::sde::Kernel;
use crate::solve::Variance;
use crate::tensor::normals;
use crate::threads::Workers;

/// The chain x_{t_0} → x_{t_1} → … → x_{t_N} of a grid from noise to data, and what its reverse transitions are like.
///
/// −ln p(x₀) ≤ L_T + Σ L_i + L_0 with L_T = KL(q(x_T | x₀) ‖ N(0, s_T² I)), L_i = KL(q(x_s | x_t, x₀) ‖ p(x_s | x_t)) of the
/// step t → s, and L_0 = −ln p(x₀ | x_{t_N}), a normal about D of the variance κ², discretised where data are discrete.
/// With the posterior's variance L_i = ½ (κ_s⁻² − κ_t⁻²) ‖x₀ − D(x_t, t)‖² (Kingma et al. 2021). As N grows it decreases to
/// the bound in continuous time, which for the exact denoiser is −ln p(x₀) itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// t_0 > … > t_N, σ > 0.
    pub times: Vec<f64>,
    /// The variance of the reverse transitions.
    pub variance: Variance,
}

/// The parts of the bound on −ln p(x₀), each `[N]` in nats in the units of the data.
#[derive(Debug)]
pub struct ChainTerms {
    /// L_T, which depends on the process alone.
    pub prior: Tensor,
    /// Σ L_i, each with one draw of x_t.
    pub diffusion: Tensor,
    /// L_0.
    pub reconstruction: Tensor,
}

impl ChainTerms {
    /// L_T + Σ L_i + L_0 `[N]`.
    pub fn total(&self) -> Tensor {
        &self.prior + &self.diffusion + &self.reconstruction
    }
}

impl Chain {
    /// The evaluations for each sample: one a step, and one for L_0.
    pub fn evaluations(&self) -> usize {
        self.times.len()
    }

    /// The terms for data x₀ `[N, …]`, float64. Draw i of sample n is that of step i; `chunk` samples go together, and `tick` is
    /// called with their number after each evaluation.
    ///
    /// # Errors
    /// Those of `tick`.
    pub fn terms(
        &self,
        model: &dyn Model,
        (x0, scale): (&Tensor, &Scale),
        stream: Stream,
        chunk: i64,
        workers: &Workers,
        tick: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<ChainTerms> {
        let of_part = |(first, model, x0): (i64, Box<dyn Model>, Tensor)| {
            tch::no_grad(|| self.of_part(&*model, (&x0, scale), (stream, first as u64), tick))
        };
        let all: Vec<ChainTerms> = match x0.device() {
            Device::Cpu => {
                let parts: Vec<_> = parts(model, x0, chunk).collect();
                workers.install(|| parts.into_par_iter().map(of_part).collect::<Result<_>>())?
            }
            _ => parts(model, x0, chunk).map(of_part).collect::<Result<_>>()?,
        };
        let join = |of: fn(&ChainTerms) -> &Tensor| Tensor::cat(&all.iter().map(of).collect::<Vec<_>>(), 0);
        Ok(ChainTerms {
            prior: join(|terms| &terms.prior),
            diffusion: join(|terms| &terms.diffusion),
            reconstruction: join(|terms| &terms.reconstruction),
        })
    }

    fn of_part(
        &self,
        model: &dyn Model,
        (x0, scale): (&Tensor, &Scale),
        (stream, first): (Stream, u64),
        tick: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<ChainTerms> {
        let sde = model.sde();
        let (dim, count) = (per_sample_numbers(x0), x0.size()[0] as usize);
        let start = sde.kernel(self.times[0]);
        let std = sde.span().prior_std;
        let variance = (start.sigma / std).powi(2);
        let prior = (sum(&x0.square()) * (start.alpha / std).powi(2) + dim * (variance - 1.0 - variance.ln())) * 0.5;
        let mut diffusion = prior.zeros_like();
        let denoised = |i: usize, k: Kernel| {
            let x = x0 * k.alpha + normals(stream, first, i as u32, x0) * k.sigma;
            let x0 = model.denoise(&x, self.times[i]);
            tick(count).map(|()| x0)
        };
        for (i, pair) in self.times.windows(2).enumerate() {
            let (k, ks) = (sde.kernel(pair[0]), sde.kernel(pair[1]));
            let off = sum(&(x0 - denoised(i, k)?).square());
            let (of_square, of_dim) = self.weights(k, ks);
            diffusion += off * of_square + dim * of_dim;
        }
        let last = self.times.len() - 1;
        let kernel = sde.kernel(self.times[last]);
        let mut reconstruction = -log_decoder(x0, &denoised(last, kernel)?, kernel.ratio(), scale.bins);
        if scale.bins.is_none() {
            reconstruction += scale.log_volume;
        }
        Ok(ChainTerms { prior, diffusion, reconstruction })
    }

    /// The weights of ‖x₀ − D‖² and of D in the divergence between the normals q(x_s | x_t, x₀) and p(x_s | x_t).
    ///
    /// Their means are c (x₀ − D) apart, c = α_s (1 − κ_s²/κ_t²), and the variance of q is σ_s² (1 − κ_s²/κ_t²).
    fn weights(&self, k: Kernel, ks: Kernel) -> (f64, f64) {
        let shrink = 1.0 - (ks.ratio() / k.ratio()).powi(2);
        let of_q = ks.sigma.powi(2) * shrink;
        let of_p = match self.variance {
            Variance::Posterior => of_q,
            Variance::Forward => k.alpha.powi(2) * (k.ratio().powi(2) - ks.ratio().powi(2)),
        };
        let ratio = of_q / of_p;
        ((ks.alpha * shrink).powi(2) / (2.0 * of_p), 0.5 * (ratio - 1.0 - ratio.ln()))
    }
}
