//! The reverse-diffusion predictor.

use serde::{Deserialize, Serialize};

use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::Settings;
use crate::score::Eval;
use crate::tensor::weighted_sum;

/// The reverse-diffusion predictor (Song et al. 2021, Algorithm 2 and Appendix E): the discretised forward transition
/// x_t = a x_s + b z, reversed.
///
/// With the exact transition of any process, a = α_t/α_s and b² = α_t² (κ_t² − κ_s²):
/// x_s = (2 − a) x + b² score + b ξ. For VP, a = √(1 − β_i) and b² = β_i; for VE, a = 1 and b² = σ_t² − σ_s².
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReverseDiffusion {}

impl Solver for ReverseDiffusion {
    fn about(&self) -> About {
        About {
            paper: "Song et al. 2021, Algorithms 2 and 3",
            when: "the predictor of score_sde's predictor–corrector samplers",
        }
    }

    fn order(&self) -> Order {
        Order::sde(1.0, 1.0)
    }

    fn clock(&self) -> Clock {
        Clock::FORWARD
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (k, ks) = (now.kernel, cx.kernel(s));
        let a = k.alpha / ks.alpha;
        let b_sq = k.alpha * k.alpha * (k.ratio() - ks.ratio()) * (k.ratio() + ks.ratio());
        let gain = b_sq / (k.sigma * k.sigma);
        let noise = cx.brownian(Clock::FORWARD, &now.x, now.t, s);
        weighted_sum(&[(2.0 - a - gain, &now.x), (gain * k.alpha, &now.x0), (k.alpha, &noise)]).into()
    }
}

impl Settings for ReverseDiffusion {}
