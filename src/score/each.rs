//! Samples that each have a time of their own: evaluations, and the algebra on them.

use tch::Tensor;

use super::{Denoiser, velocity_gains};
use crate::sde::Sde;
use crate::tensor::each;

/// One evaluation of a denoiser whose samples may have times of their own, as error control gives them.
#[derive(Debug)]
pub struct Evals {
    /// The time of each sample `[B]`, or one time `[1]` for all.
    pub t: Vec<f64>,
    /// The states `[B, …]`.
    pub x: Tensor,
    /// x̂₀ = D(x_i, t_i) `[B, …]`.
    pub x0: Tensor,
}

impl Evals {
    /// a(t) x + b(t) x̂₀, with a and b for each sample.
    pub fn combine(&self, gains: impl Fn(f64) -> (f64, f64)) -> Tensor {
        let (a, b): (Vec<f64>, Vec<f64>) = self.t.iter().map(|&t| gains(t)).unzip();
        let mut out = &self.x * each(&a, &self.x);
        out += &self.x0 * each(&b, &self.x);
        out
    }

    /// ε̂ = (x − α x̂₀)/σ.
    pub fn noise(&self, sde: &dyn Sde) -> Tensor {
        self.combine(|t| {
            let k = sde.kernel(t);
            (1.0 / k.sigma, -k.alpha / k.sigma)
        })
    }

    /// The velocity of the probability-flow ODE, f x − ½ g² ∇ log p_t(x).
    pub fn velocity(&self, sde: &dyn Sde) -> Tensor {
        self.combine(|t| velocity_gains(sde, t))
    }

    /// The drift of the reverse SDE, f x − g² ∇ log p_t(x) = (f + g²/σ²) x − (g²/σ²) α x̂₀.
    pub fn reverse_drift(&self, sde: &dyn Sde) -> Tensor {
        self.combine(|t| {
            let rate = -2.0 * sde.lambda_rate(t);
            (sde.drift(t) + rate, -rate * sde.kernel(t).alpha)
        })
    }
}

/// What any denoiser can do: one call for the samples that share a time.
pub(super) fn grouped(denoiser: &(impl Denoiser + ?Sized), x: &Tensor, t: &[f64]) -> Tensor {
    let x0 = x.zeros_like();
    let mut done = vec![false; t.len()];
    for (first, &time) in t.iter().enumerate() {
        if done[first] {
            continue;
        }
        let rows: Vec<usize> = (first..t.len()).filter(|&i| t[i] == time).collect();
        if rows.len() == t.len() {
            return denoiser.denoise(x, time);
        }
        let index: Vec<i64> = rows.iter().map(|&i| i as i64).collect();
        let index = Tensor::from_slice(&index).to_device(x.device());
        let part = denoiser.denoise(&x.index_select(0, &index), time);
        let _ = x0.shallow_clone().index_copy_(0, &index, &part);
        rows.into_iter().for_each(|i| done[i] = true);
    }
    x0
}
