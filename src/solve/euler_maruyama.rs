//! Euler–Maruyama on the reverse SDE.

use serde::{Deserialize, Serialize};

use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::Settings;
use crate::score::Eval;

/// Euler–Maruyama on the reverse SDE dx = [f x − g² ∇ log p_t] dt + g dw̄ (Song et al. 2021; Maruyama 1955).
///
/// x_s = x + [f x − g² score] (s − t) + g ΔW. The noise is additive, so its strong order is 1, not ½. Steps are the
/// grid's own differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EulerMaruyama {}

impl Solver for EulerMaruyama {
    fn about(&self) -> About {
        About {
            paper: "Maruyama 1955; Song et al. 2021",
            when: "the baseline for the reverse SDE: one evaluation a step, many steps",
        }
    }

    fn order(&self) -> Order {
        Order::sde(1.0, 1.0)
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (f, g_sq) = (cx.sde().drift(now.t), cx.sde().diffusion_sq(now.t));
        let sigma_sq = now.kernel.sigma * now.kernel.sigma;
        let dt = s - now.t;
        let noise = cx.brownian(Clock::Time, &now.x, now.t, s);
        // f x − g² (α x̂₀ − x)/σ², gathered by x and x̂₀.
        let mut x = &now.x * (1.0 + dt * (f + g_sq / sigma_sq));
        x -= &now.x0 * (dt * g_sq * now.kernel.alpha / sigma_sq);
        x += noise * g_sq.sqrt();
        x.into()
    }
}

impl Settings for EulerMaruyama {}
