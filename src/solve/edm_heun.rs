//! EDM's Heun sampler and its churn.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::single_step::check_stage;
use super::{About, Context, Order, Solver, Step};
use crate::error::{Fault, Settings};
use crate::score::Eval;
use crate::tensor::{combine, weighted_sum};

/// Heun's method in z = x/α and κ = σ/α (Karras et al. 2022, Algorithms 1 and 2).
///
/// dz/dκ = d(z, κ) = (z − D)/κ;  z′ = z + (κ_s − κ) d,  z_s = z + (κ_s − κ) ½ [d + d(z′, κ_s)].
/// Two evaluations a step; with a last step to σ = 0, 2N − 1 in all. [`Churn`] makes it stochastic. The general method
/// of order two (their Algorithm 3) evaluates at κ + a (κ_s − κ) and weights with 1 − 1/2a and 1/2a: a = 1 is Heun's,
/// ½ the midpoint method, ⅔ Ralston's. On a Gaussian, whose flow is z ∝ √(Λ + κ²), the leading error of the midpoint method
/// is zero and order 3 shows; on other laws its order 2 may show at many steps only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EdmHeun {
    /// a, where the second evaluation lies in the step.
    pub alpha: f64,
    /// The total amount of churn; 0 for the deterministic sampler.
    pub s_churn: f64,
    /// The lowest κ that is churned.
    pub s_min: f64,
    /// The highest κ that is churned.
    pub s_max: f64,
    /// The standard deviation of the new noise; any value but 1 leaves a bias that does not vanish.
    pub s_noise: f64,
}

impl Default for EdmHeun {
    fn default() -> Self {
        EdmHeun { alpha: 1.0, s_churn: 0.0, s_min: 0.0, s_max: f64::INFINITY, s_noise: 1.0 }
    }
}

impl Solver for EdmHeun {
    fn about(&self) -> About {
        About {
            paper: "Karras et al. 2022, Algorithms 1 and 2",
            when: "20 to 200 evaluations; with churn, to let noise correct the errors of a network",
        }
    }

    fn order(&self) -> Order {
        // Churn adds and removes noise independently of the error of the ODE step.
        Order::ode(2.0)
    }

    fn churn(&self, steps: usize) -> Option<Churn> {
        (self.s_churn > 0.0).then_some(Churn {
            gamma: (self.s_churn / steps as f64).min(std::f64::consts::SQRT_2 - 1.0),
            ratios: (self.s_min, self.s_max),
            noise: self.s_noise,
        })
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (k, ks) = (now.kernel, cx.kernel(s));
        let step = ks.ratio() - k.ratio();
        let time = if self.alpha == 1.0 { s } else { cx.sde().time_of_ratio(k.ratio() + self.alpha * step) };
        let km = cx.kernel(time);
        // The Euler step in (z, κ) is DDIM: z′ = (κ′/κ) z + (1 − κ′/κ) D.
        let ratio = km.ratio() / k.ratio();
        let stage = cx.eval(combine(ratio / k.alpha * km.alpha, &now.x, (1.0 - ratio) * km.alpha, &now.x0), time);
        let weight = 0.5 / self.alpha;
        let (first, second) = ((1.0 - weight) * step / k.ratio(), weight * step / km.ratio());
        let mut terms = vec![(ks.alpha * (1.0 + first) / k.alpha, &now.x), (-ks.alpha * first, &now.x0)];
        terms.retain(|(weight, _)| *weight != 0.0);
        terms.extend([(ks.alpha * second / km.alpha, &stage.x), (-ks.alpha * second, &stage.x0)]);
        weighted_sum(&terms).into()
    }
}

impl Settings for EdmHeun {
    fn check(&self) -> Result<(), Fault> {
        check_stage("alpha", self.alpha)?;
        for (key, value) in [("s_churn", self.s_churn), ("s_min", self.s_min), ("s_noise", self.s_noise)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Fault::new(
                    key,
                    format!("{value} is negative or not finite"),
                    "write a number of at least 0",
                ));
            }
        }
        if self.s_max.is_nan() || self.s_max <= self.s_min {
            let problem = format!("{} is not above s_min = {}", self.s_max, self.s_min);
            return Err(Fault::new("s_max", problem, "write a number greater than s_min, or .inf"));
        }
        Ok(())
    }
}

/// A temporary increase of noise before a step (Karras et al. 2022, Algorithm 2, lines 4–6).
///
/// κ̂ = (1 + γ) κ,  ẑ = z + √(κ̂² − κ²) S_noise ξ, for κ between S_min and S_max.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// γ, the relative increase of κ.
    pub gamma: f64,
    /// S_min and S_max.
    pub ratios: (f64, f64),
    /// S_noise.
    pub noise: f64,
}

impl Churn {
    /// The noisier state and its time; none outside [S_min, S_max].
    pub(super) fn apply(&self, cx: &mut Context, x: &Tensor, t: f64) -> Option<(Tensor, f64)> {
        let k = cx.kernel(t);
        let kappa = k.ratio();
        if kappa < self.ratios.0 || kappa > self.ratios.1 {
            return None;
        }
        let time = cx.sde().time_of_ratio((1.0 + self.gamma) * kappa);
        let raised = cx.kernel(time);
        let spread = raised.alpha * (raised.ratio().powi(2) - kappa * kappa).max(0.0).sqrt();
        let noise = cx.normal(x);
        Some((combine(raised.alpha / k.alpha, x, spread * self.noise, &noise), time))
    }
}
