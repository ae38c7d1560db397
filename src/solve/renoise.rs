//! Full re-noising.

use serde::{Deserialize, Serialize};

use super::{About, Context, Order, Solver, Step};
use crate::error::Settings;
use crate::score::Eval;
use crate::tensor::combine;

/// x_s = α_s x̂₀ + σ_s ξ: forget all noise, draw new. What consistency models and “stochastic sampling” options do.
///
/// It discretises no SDE: on N(0, λ) the variance is too small for every number of steps, since x̂₀ has the variance of
/// a mean and not of the data. It has no order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Renoise {}

impl Solver for Renoise {
    fn about(&self) -> About {
        About {
            paper: "Song et al. 2023, Algorithm 1",
            when: "with consistency models only: a denoiser's samples lose variance",
        }
    }

    fn order(&self) -> Order {
        Order::default()
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let ks = cx.kernel(s);
        combine(ks.alpha, &now.x0, ks.sigma, &cx.normal(&now.x)).into()
    }
}

impl Settings for Renoise {}
