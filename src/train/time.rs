//! Laws of the training time.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::Weighting;
use crate::error::{Fault, Settings, positive};
use crate::sde::Sde;

/// The law from which training times are drawn, by its quantile function.
pub trait TimeLaw: Debug + Send + Sync {
    /// The time at quantile `u` ∈ (0, 1].
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64;

    /// What the loss at time t is multiplied with. It is one but for laws that estimate the objective of another law.
    fn correction(&self, _sde: &dyn Sde, _t: f64) -> f64 {
        1.0
    }
}

/// How the quantiles of the examples of one batch are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantiles {
    /// Each by itself: u ~ U(0, 1).
    #[default]
    Independent,
    /// One in each of B equal parts: u_i = (i + v_i)/B with v_i ~ U(0, 1), so that every batch has all noise levels. The
    /// mean of the loss is the same and its variance smaller (compare Kingma et al. 2021, App. I.1).
    Stratified,
}

impl Quantiles {
    /// The number of equal parts of (0, 1] from which the examples of a batch are drawn in turn.
    pub fn strata(self, batch: usize) -> usize {
        match self {
            Quantiles::Independent => 1,
            Quantiles::Stratified => batch,
        }
    }
}

/// t uniform on [t_train, t_max] (Song et al. 2021).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UniformTime {}

impl TimeLaw for UniformTime {
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64 {
        let span = sde.span();
        span.t_train + u * (span.t_max - span.t_train)
    }
}

impl Settings for UniformTime {}

/// λ, half of the logarithm of the signal-to-noise ratio, uniform on the span of training (Kingma et al. 2021).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UniformLogSnr {}

impl TimeLaw for UniformLogSnr {
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64 {
        let (least, greatest) = log_ratios(sde);
        time_of_log_ratio(sde, least + u * (greatest - least))
    }
}

impl Settings for UniformLogSnr {}

/// ln κ ~ N(mean, std²), cut to the span (Karras et al. 2022).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogNormal {
    /// The mean of ln κ (EDM's P_mean).
    pub mean: f64,
    /// The standard deviation of ln κ (EDM's P_std).
    pub std: f64,
}

impl Default for LogNormal {
    fn default() -> Self {
        LogNormal { mean: -1.2, std: 1.2 }
    }
}

impl TimeLaw for LogNormal {
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64 {
        // u = 1 would be infinite; the clamp to the span makes its exact value irrelevant.
        let z = normal_quantile(u.clamp(1e-300, 1.0 - 1e-16));
        time_of_log_ratio(sde, self.mean + self.std * z)
    }
}

impl Settings for LogNormal {
    fn check(&self) -> Result<(), Fault> {
        if !self.mean.is_finite() {
            return Err(Fault::new("mean", format!("{} is not finite", self.mean), "EDM's value is -1.2"));
        }
        positive("std", self.std)
    }
}

/// The standard normal quantile function.
fn normal_quantile(u: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, Normal};
    Normal::standard().inverse_cdf(u)
}

/// Importance sampling of the weighting: the objective is that of uniform t, drawn where its weight is.
///
/// With w_ε the weight of ‖ε̂ − ε‖², q(t) ∝ w_ε(t) on [t_train, t_max], and a loss drawn at t is multiplied with
/// 1/((t_max − t_train) q(t)). Under the likelihood weighting w_ε = g²/σ² = −2 dλ/dt, so that λ is uniform
/// (Song, Durkan, Murray & Ermon 2021, Sec. 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Importance {}

impl Settings for Importance {}

impl Importance {
    /// The law for a weighting under a process.
    pub fn build(&self, sde: &dyn Sde, weighting: &dyn Weighting, sigma_data: f64) -> ImportanceTable {
        let (least, greatest) = log_ratios(sde);
        let width = (greatest - least) / CELLS as f64;
        // The mass of a cell of ln κ: ∫ w_ε dt = ∫ w_ε/|λ′| d ln κ, by the trapezoidal rule.
        let density = |i: usize| {
            let t = time_of_log_ratio(sde, least + i as f64 * width);
            let weight = weighting.of_denoiser(sde, t, sigma_data) * sde.kernel(t).ratio().powi(2);
            -weight / sde.lambda_rate(t)
        };
        let mut below = vec![0.0];
        let mut left = density(0);
        for i in 1..=CELLS {
            let right = density(i);
            below.push(below[i - 1] + 0.5 * (left + right) * width);
            left = right;
        }
        let total = below[CELLS];
        below.iter_mut().for_each(|mass| *mass /= total);
        ImportanceTable { least, width, below }
    }
}

/// Cells of ln κ in the table of an [`Importance`] law.
const CELLS: usize = 1024;

/// A law of t whose density in ln κ is constant within each cell of a table.
///
/// The correction is by that very density, so the estimate of the objective is unbiased however coarse the table.
#[derive(Debug)]
pub struct ImportanceTable {
    least: f64,
    width: f64,
    /// The probability of all cells below each node; from 0 to 1.
    below: Vec<f64>,
}

impl TimeLaw for ImportanceTable {
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64 {
        let cell = self.below.partition_point(|&mass| mass < u).clamp(1, CELLS) - 1;
        let (low, high) = (self.below[cell], self.below[cell + 1]);
        let within = if high > low { (u - low) / (high - low) } else { 0.5 };
        time_of_log_ratio(sde, self.least + (cell as f64 + within) * self.width)
    }

    fn correction(&self, sde: &dyn Sde, t: f64) -> f64 {
        let place = (sde.kernel(t).ratio().ln() - self.least) / self.width;
        let cell = (place.max(0.0) as usize).min(CELLS - 1);
        let density = (self.below[cell + 1] - self.below[cell]) / self.width * -sde.lambda_rate(t);
        let span = sde.span();
        1.0 / ((span.t_max - span.t_train) * density)
    }
}

/// ln κ at both ends of the span of training.
pub(super) fn log_ratios(sde: &dyn Sde) -> (f64, f64) {
    let span = sde.span();
    (sde.kernel(span.t_train).ratio().ln(), sde.kernel(span.t_max).ratio().ln())
}

/// The time at which ln κ has a value, cut to the span of training.
pub(super) fn time_of_log_ratio(sde: &dyn Sde, log_ratio: f64) -> f64 {
    let span = sde.span();
    sde.time_of_ratio(log_ratio.exp()).clamp(span.t_train, span.t_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::tests::processes;
    use crate::train::{Likelihood, P2, Simple};

    /// ∫ w(t) κ² h(t) dt/(t_max − t_train) for a test function h, by the law and by the midpoint rule in ln κ.
    fn both_ways(sde: &dyn Sde, weighting: &dyn Weighting, h: fn(f64) -> f64) -> (f64, f64) {
        let law = Importance {}.build(sde, weighting, 0.5);
        let loss = |t: f64| {
            let kappa = sde.kernel(t).ratio();
            weighting.of_denoiser(sde, t, 0.5) * kappa * kappa * h(kappa.ln())
        };
        let n = 20_000;
        let drawn: f64 = (0..n)
            .map(|i| {
                let t = law.quantile(sde, (i as f64 + 0.5) / n as f64);
                law.correction(sde, t) * loss(t)
            })
            .sum::<f64>()
            / n as f64;
        let (least, greatest) = log_ratios(sde);
        let (span, m) = (sde.span(), 200_000);
        let width = (greatest - least) / m as f64;
        let direct: f64 = (0..m)
            .map(|i| {
                let t = time_of_log_ratio(sde, least + (i as f64 + 0.5) * width);
                loss(t) * width / -sde.lambda_rate(t)
            })
            .sum();
        (drawn, direct / (span.t_max - span.t_train))
    }

    #[test]
    fn importance_sampling_estimates_the_objective_of_uniform_times() {
        for sde in processes() {
            let weightings: [&dyn Weighting; 3] = [&Likelihood {}, &Simple {}, &P2::default()];
            for weighting in weightings {
                for h in [|_| 1.0, |x: f64| x.tanh() + 2.0] {
                    let (drawn, direct) = both_ways(&*sde, weighting, h);
                    assert!((drawn / direct - 1.0).abs() < 2e-3, "{sde:?} {weighting:?}: {drawn} {direct}");
                }
            }
        }
    }

    /// Under the likelihood weighting the closed form is λ uniform, and every example then weighs the same.
    #[test]
    fn the_likelihood_weighting_makes_log_snr_uniform() {
        for sde in processes() {
            let law = Importance {}.build(&*sde, &Likelihood {}, 0.5);
            for u in [0.01, 0.2, 0.5, 0.77, 1.0] {
                let (table, closed) = (law.quantile(&*sde, u), UniformLogSnr {}.quantile(&*sde, u));
                assert!((table / closed - 1.0).abs() < 1e-6, "{sde:?} at {u}: {table} {closed}");
            }
        }
    }
}
