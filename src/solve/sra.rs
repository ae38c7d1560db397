//! A stochastic Runge–Kutta method of strong order 1.5.

use serde::{Deserialize, Serialize};

use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::Settings;
use crate::score::Eval;
use crate::tensor::weighted_sum;

/// SRA1 (Rößler 2010, Table 6.3) on the reverse SDE in the coordinates of stochastic localisation, where it has no drift
/// but the denoiser and its noise is additive and constant.
///
/// With c = κ⁻² and y = α x/σ²: dy = D dc + dB(c). From c over Δ:
/// y₂ = y + ¾ Δ D₁ + (3/2) J/Δ at c + ¾ Δ,  y_s = y + Δ (⅓ D₁ + ⅔ D₂) + ΔB,  J = ∫ (B − B(c)) dc.
///
/// Its error of order 1.5 comes from the curvature of D alone; where the law of x₀ given x is not skewed, that of order 2 hides
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sra {}

impl Solver for Sra {
    fn about(&self) -> About {
        About { paper: "Rößler 2010, SRA1", when: "paths of the reverse SDE to high accuracy, not only their law" }
    }

    fn order(&self) -> Order {
        Order::sde(2.0, 1.5)
    }

    fn clock(&self) -> Clock {
        Clock::REVERSE
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (k, ks) = (now.kernel, cx.kernel(s));
        let (c, end) = (k.ratio().powi(-2), ks.ratio().powi(-2));
        let step = end - c;
        let (increment, integral) = cx.brownian_integral(Clock::REVERSE, &now.x, now.t, s);
        let time = cx.sde().time_of_ratio((c + 0.75 * step).powf(-0.5));
        let km = cx.kernel(time);
        let back = |sigma: f64, alpha: f64| sigma * sigma / alpha;
        let (y, to_middle, to_end) = (1.0 / back(k.sigma, k.alpha), back(km.sigma, km.alpha), back(ks.sigma, ks.alpha));
        let middle = weighted_sum(&[
            (to_middle * y, &now.x),
            (to_middle * 0.75 * step, &now.x0),
            (to_middle * 1.5 / step, &integral),
        ]);
        let middle = cx.eval(middle, time);
        weighted_sum(&[
            (to_end * y, &now.x),
            (to_end * step / 3.0, &now.x0),
            (to_end * step * 2.0 / 3.0, &middle.x0),
            (to_end, &increment),
        ])
        .into()
    }
}

impl Settings for Sra {}
