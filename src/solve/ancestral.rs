//! Ancestral sampling of the discrete chain.

use serde::{Deserialize, Serialize};

use super::{About, Clock, Context, Order, Solver, Step, Variant};
use crate::error::Settings;
use crate::score::Eval;
use crate::sde::Kernel;
use crate::tensor::weighted_sum;

/// Which variance the reverse transition gets (Ho et al. 2020, section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// That of q(x_s | x_t, x₀), σ_s² (1 − κ_s²/κ_t²): right for data at one point; equal to DDIM with η = 1.
    #[default]
    Posterior,
    /// That of the forward transition q(x_t | x_s), α_t² (κ_t² − κ_s²) = β_i: right for data N(0, I).
    Forward,
}

/// Ancestral sampling (Ho et al. 2020, Algorithm 2; Song et al. 2021, Appendix F, for VE).
///
/// With the forward transition x_t = a x_s + b z, a = α_t/α_s and b² = α_t² (κ_t² − κ_s²): mean (x + b² score)/a, which for
/// VP is (x + β score)/√(1 − β).
///
/// `variant: published` takes the transition to first order in the step, as score_sde discretises the SDE and Pierret &
/// Galerne (2025) DDPM: b² = g² Δt and a² = 1 + 2 f Δt, for VP β_i = β(t) Δt. It takes steps so short that a² > 0. On VE
/// it is Euler–Maruyama, whose error on a Gaussian cancels on steps that are equal in t.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ancestral {
    /// The variance of the reverse transition.
    pub variance: Variance,
    /// The forward transition: exact, or to first order.
    pub variant: Variant,
}

impl Solver for Ancestral {
    fn about(&self) -> About {
        About {
            paper: "Ho et al. 2020, Algorithm 2; Song et al. 2021, Appendix F",
            when: "DDPM's own sampler, on many steps",
        }
    }

    fn order(&self) -> Order {
        Order::sde(1.0, 1.0)
    }

    fn clock(&self) -> Clock {
        match self.variance {
            Variance::Posterior => Clock::REVERSE,
            Variance::Forward => Clock::FORWARD,
        }
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (Kernel { alpha, sigma }, ks) = (now.kernel, cx.kernel(s));
        let (a, b_sq) = match self.variant {
            Variant::Correct => {
                let (ratio, end) = (now.kernel.ratio(), ks.ratio());
                (alpha / ks.alpha, alpha * alpha * (ratio - end) * (ratio + end))
            }
            Variant::Published => {
                let (sde, dt) = (cx.sde(), now.t - s);
                ((1.0 + 2.0 * sde.drift(now.t) * dt).sqrt(), sde.diffusion_sq(now.t) * dt)
            }
        };
        let noise = cx.standard(self.clock(), &now.x, now.t, s);
        let spread = match self.variance {
            Variance::Posterior => b_sq.sqrt() * ks.sigma / sigma,
            Variance::Forward => b_sq.sqrt(),
        };
        // (x + b² score)/a, score = (α x̂₀ − x)/σ².
        let gain = b_sq / (sigma * sigma);
        weighted_sum(&[((1.0 - gain) / a, &now.x), (gain * alpha / a, &now.x0), (spread, &noise)]).into()
    }
}

impl Settings for Ancestral {}
