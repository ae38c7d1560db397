//! Ancestral sampling of the discrete chain.

use serde::{Deserialize, Serialize};

use super::{About, Clock, Context, Ddim, Order, Solver, Step};
use crate::error::Settings;
use crate::score::Eval;
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
/// With a = α_t/α_s and b² = α_t² (κ_t² − κ_s²): mean (x + b² score)/a, which for VP is (x + β score)/√(1 − β).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ancestral {
    /// The variance of the reverse transition.
    pub variance: Variance,
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
        if self.variance == Variance::Posterior {
            return Ddim { eta: 1.0 }.step(cx, now, s);
        }
        let (k, ks) = (now.kernel, cx.kernel(s));
        let ratio = ks.ratio() / k.ratio();
        let gain = (1.0 - ratio) * (1.0 + ratio);
        // (x + b² score)/a = (α_s/α_t) [(1 − gain) x + gain α_t x̂₀].
        let noise = cx.brownian(Clock::FORWARD, &now.x, now.t, s);
        let shrink = ks.alpha / k.alpha * (1.0 - gain);
        weighted_sum(&[(shrink, &now.x), (ks.alpha * gain, &now.x0), (k.alpha, &noise)]).into()
    }
}

impl Settings for Ancestral {}
