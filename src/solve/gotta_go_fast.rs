//! The adaptive solver of the reverse SDE by Jolicoeur-Martineau et al.

use serde::{Deserialize, Serialize};

use super::{About, Attempt, Context, Embedded, Medium, Order, Rejected, Scale, Solver, Step, Tolerance, Variant};
use crate::error::{Fault, Settings, positive};
use crate::score::{Eval, Evals};
use crate::tensor::each;

/// Stochastic improved Euler under error control (Jolicoeur-Martineau et al. 2021, Algorithm 1; Roberts 2012).
///
/// With μ = f x − g² ∇ log p_t(x), h = t − s and ΔW = W(s) − W(t):
/// K₁ = −h μ(x, t) + g_t ΔW,  K₂ = −h μ(x + K₁, s) + g_s ΔW,  x_s = x + ½ (K₁ + K₂),  error = ½ (K₂ − K₁).
///
/// Each sample measures its error by max(atol, rtol max(|x + K₁|, |x′_prev|)), x′_prev being the x + K₁ of the step
/// before; its step stands if the root mean square e is at most 1, and the next is θ e^{−r} times as long. Two
/// evaluations a try, and one where the try before was rejected, since K₁ needs no new one.
///
/// As published, ΔW is drawn anew after a rejection. That keeps small noise and throws away large noise: in few
/// dimensions, where a single sample's e varies much, the variance comes out wrong, and the more so the smaller the
/// tolerance. Here a shorter step takes its part of the noise that was drawn, by a Brownian bridge
/// ([`Motion`](super::Motion)), so that W is Brownian whatever is rejected, and steps grow at most fivefold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GottaGoFast {
    /// The relative tolerance.
    pub rtol: f64,
    /// The absolute tolerance.
    pub atol: f64,
    /// θ, the share of the step that the error would allow.
    pub theta: f64,
    /// r, the power of the error by which steps change.
    pub r: f64,
    /// The first step, of the span.
    pub h0: f64,
    /// What becomes of the noise of rejected steps; as published, it is drawn anew, and steps grow without bound.
    pub variant: Variant,
}

/// The most by which a step may grow.
const MOST_GROWTH: f64 = 5.0;

impl Default for GottaGoFast {
    fn default() -> Self {
        GottaGoFast { rtol: 1e-2, atol: 1e-2, theta: 0.9, r: 0.9, h0: 0.01, variant: Variant::Correct }
    }
}

impl Solver for GottaGoFast {
    fn about(&self) -> About {
        About {
            paper: "Jolicoeur-Martineau et al. 2021, Algorithm 1",
            when: "error control on the reverse SDE, where the number of steps is not to be chosen by hand",
        }
    }

    fn order(&self) -> Order {
        // The noise is additive.
        Order::sde(2.0, 1.0)
    }

    fn tolerance(&self) -> Option<Tolerance> {
        Some(Tolerance { rtol: self.rtol, atol: self.atol })
    }

    fn embedded(&self) -> Option<&dyn Embedded> {
        Some(self)
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        self.attempt(cx, &now.into(), &[s]).x.into()
    }
}

impl Embedded for GottaGoFast {
    fn scale(&self) -> Scale {
        Scale::Larger
    }

    fn rejected(&self) -> Rejected {
        match self.variant {
            Variant::Correct => Rejected::Kept,
            Variant::Published => Rejected::Redrawn,
        }
    }

    fn first(&self, whole: f64) -> f64 {
        self.h0 * whole
    }

    fn growth(&self, error: f64, _again: bool) -> f64 {
        let growth = self.theta * error.powf(-self.r);
        match self.variant {
            Variant::Correct => growth.min(MOST_GROWTH),
            Variant::Published => growth,
        }
    }

    fn attempt(&self, cx: &mut dyn Medium, now: &Evals, s: &[f64]) -> Attempt {
        let dt: Vec<f64> = s.iter().zip(&now.t).map(|(s, t)| s - t).collect();
        let dt = each(&dt, &now.x);
        let noise = cx.brownian(&now.x, &now.t, s);
        let slope = |cx: &dyn Medium, at: &Evals| {
            let g: Vec<f64> = at.t.iter().map(|&t| cx.sde().diffusion_sq(t).sqrt()).collect();
            at.reverse_drift(cx.sde()) * &dt + &noise * each(&g, &at.x)
        };
        let k1 = slope(cx, now);
        let low = &now.x + &k1;
        let end = cx.eval(low.shallow_clone(), s.to_vec());
        let k2 = slope(cx, &end);
        Attempt { x: &now.x + (&k1 + &k2) * 0.5, error: (k2 - k1) * 0.5, low, next: None }
    }
}

impl Settings for GottaGoFast {
    fn check(&self) -> Result<(), Fault> {
        for (key, value) in [("rtol", self.rtol), ("atol", self.atol), ("r", self.r)] {
            positive(key, value)?;
        }
        for (key, value) in [("theta", self.theta), ("h0", self.h0)] {
            if !(value > 0.0 && value <= 1.0) {
                let problem = format!("{value} is not between 0 and 1");
                return Err(Fault::new(key, problem, "write a number greater than 0 and at most 1"));
            }
        }
        Ok(())
    }
}
