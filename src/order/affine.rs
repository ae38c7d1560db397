//! The exact law of the output of linear solvers on Gaussian data.

use std::sync::Arc;

use ndarray::{Array1, Array2};
use tch::Tensor;

use super::run::{Draws, integrate};
use super::target::DOUBLE;
use crate::error::Result;
use crate::score::Denoiser;
use crate::score::exact::{Exact, Law};
use crate::sde::Sde;
use crate::solve::{Method, Replay};
use crate::tensor::to_rows;

/// The mean `[D]` and covariance `[D, D]` of a Gaussian state.
#[derive(Clone, Debug)]
pub struct Gaussian {
    /// μ.
    pub mean: Array1<f64>,
    /// Σ.
    pub cov: Array2<f64>,
}

impl Gaussian {
    /// A Gaussian on the line.
    pub fn scalar(mean: f64, variance: f64) -> Self {
        Gaussian { mean: Array1::from_elem(1, mean), cov: Array2::from_elem((1, 1), variance) }
    }

    /// The marginal of data with this law at time t: N(α μ, α² Σ + σ² I).
    pub fn at(&self, sde: &dyn Sde, t: f64) -> Self {
        let k = sde.kernel(t);
        let noise = Array2::<f64>::eye(self.mean.len()) * (k.sigma * k.sigma);
        Gaussian { mean: &self.mean * k.alpha, cov: &self.cov * (k.alpha * k.alpha) + noise }
    }

    /// Its exact denoiser, through the full-covariance code.
    pub fn denoiser(&self, sde: &Arc<dyn Sde>) -> Exact {
        let covariance: Vec<Vec<f64>> = self.cov.outer_iter().map(|row| row.to_vec()).collect();
        let law = Law::gaussian(&self.mean.to_vec(), &covariance).expect("a positive semi-definite covariance");
        Exact::new(&law, sde.clone(), DOUBLE)
    }

    /// The largest difference to another law, mean and covariance each relative to their own scale.
    pub fn distance(&self, other: &Gaussian) -> f64 {
        let worst = |a: &[f64], b: &[f64]| {
            let scale = b.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
            a.iter().zip(b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs() / scale))
        };
        let [a, b] = [self, other].map(|g| (g.mean.to_vec(), g.cov.iter().copied().collect::<Vec<_>>()));
        worst(&a.0, &b.0).max(worst(&a.1, &b.1))
    }
}

/// The affine map x_T, ξ₁ … ξ_M ↦ x that a linear sampler is.
///
/// For Gaussian data the denoiser is affine, so that one batched run of the production integrator on unit vectors gives
/// x = offset + A x_T + Σ_m B_m ξ_m exactly, and with it the law of the output without Monte Carlo.
#[derive(Clone, Debug)]
pub struct AffineMap {
    /// The image of zero.
    pub offset: Array1<f64>,
    /// A, then B₁ … B_M, each `[D, D]`.
    pub gains: Vec<Array2<f64>>,
}

impl AffineMap {
    /// The map of a method on `times`, from its runs.
    ///
    /// # Errors
    /// A run that does not stay finite.
    pub fn of(denoiser: &dyn Denoiser, method: &Method, times: &[f64], dim: usize) -> Result<Self> {
        let mut draws = Draws::default();
        let _ = integrate(denoiser, method, times, &mut draws, &Tensor::zeros([1, dim as i64], DOUBLE))?;
        let (d, inputs) = (dim as i64, 1 + draws.0 as i64);
        // Row 0 is the image of zero, row 1 + m D + j that of the j-th unit vector in input m.
        let batch = 1 + inputs * d;
        let mut units = vec![0.0; (inputs * batch * d) as usize];
        for m in 0..inputs {
            for j in 0..d {
                units[(m * batch * d + (1 + m * d + j) * d + j) as usize] = 1.0;
            }
        }
        let units = Tensor::from_slice(&units).reshape([inputs, batch, d]);
        let mut noise = Replay::new(units.narrow(0, 1, inputs - 1));
        let out = to_rows(&integrate(denoiser, method, times, &mut noise, &units.get(0))?);
        let offset = out.row(0).to_owned();
        let gain = |m: usize| Array2::from_shape_fn((dim, dim), |(i, j)| out[[1 + m * dim + j, i]] - offset[i]);
        Ok(AffineMap { gains: (0..inputs as usize).map(gain).collect(), offset })
    }

    /// The law of the output when x_T has the law `start`.
    pub fn push(&self, start: &Gaussian) -> Gaussian {
        let carry = &self.gains[0];
        let mean = &self.offset + &carry.dot(&start.mean);
        let zero = Array2::<f64>::zeros(start.cov.dim());
        let noise = self.gains[1..].iter().fold(zero, |sum, b| sum + b.dot(&b.t()));
        Gaussian { mean, cov: carry.dot(&start.cov).dot(&carry.t()) + noise }
    }
}
