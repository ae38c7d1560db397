//! DPM-Solver++, second order, multistep.

use serde::{Deserialize, Serialize};

use super::{About, Context, Ddim, Order, Solver, Step};
use crate::error::Settings;
use crate::score::Eval;

/// DPM-Solver++(2M) (Lu et al. 2022b, Algorithm 2), in λ = ln(α/σ).
///
/// x_s = (σ_s/σ_t) x − α_s (e^{−h} − 1) [(1 + 1/2r) x̂₀ − (1/2r) x̂₀ᵖʳᵉᵛ],  h = λ_s − λ_t,  r = h_prev/h.
/// The first step is DDIM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dpmpp2m {}

impl Solver for Dpmpp2m {
    fn about(&self) -> About {
        About {
            paper: "Lu et al. 2022b, Algorithm 2",
            when: "a good first choice at 8 to 50 evaluations, guided or not",
        }
    }

    fn order(&self) -> Order {
        Order::ode(2.0)
    }

    fn memory(&self) -> usize {
        1
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let Some(prev) = cx.past().first() else { return Ddim::default().step(cx, now, s) };
        let (k, ks) = (now.kernel, cx.kernel(s));
        let h = ks.lambda() - k.lambda();
        let r = (k.lambda() - prev.kernel.lambda()) / h;
        let scale = -ks.alpha * (-h).exp_m1();
        let mut x = &now.x * (ks.sigma / k.sigma);
        x += &now.x0 * (scale * (1.0 + 0.5 / r));
        x -= &prev.x0 * (scale * 0.5 / r);
        x.into()
    }
}

impl Settings for Dpmpp2m {}
