//! DDIM, from the deterministic sampler to ancestral noise.

use serde::{Deserialize, Serialize};

use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::{Fault, Settings};
use crate::score::Eval;
use crate::tensor::weighted_sum;

/// DDIM(η) (Song, Meng & Ermon 2021, eq. 12 and 16).
///
/// x_s = α_s x̂₀ + σ_s √(1 − η² w) ε̂ + σ_s η √w ξ, w = 1 − e^{−2h}, h = λ_s − λ_t.
///
/// η = 0 is the exponential Euler step of the probability-flow ODE (also DPM-Solver-1), η = 1 the exact reverse
/// transition given x̂₀ (DDPM's posterior). This η scales the noise of each step; it is not the stochasticity q of the
/// reverse SDE, of which only q = 0 and q = 1 agree with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ddim {
    /// The amount of noise, 0 (none) to 1 (ancestral).
    pub eta: f64,
}

impl Solver for Ddim {
    fn about(&self) -> About {
        About {
            paper: "Song, Meng & Ermon 2021",
            when: "the baseline for the probability-flow ODE: robust at very few steps",
        }
    }

    fn order(&self) -> Order {
        if self.eta == 0.0 { Order::ode(1.0) } else { Order::sde(1.0, 1.0) }
    }

    fn clock(&self) -> Clock {
        Clock::REVERSE
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (k, ks) = (now.kernel, cx.kernel(s));
        // w = 1 − e^{−2h} = 1 − (κ_s/κ_t)².
        let ratio = ks.ratio() / k.ratio();
        let w = (1.0 - ratio) * (1.0 + ratio);
        // x_s = a x + b x̂₀ + noise, where ε̂ = (x − α x̂₀)/σ.
        let a = ks.sigma / k.sigma * (1.0 - self.eta * self.eta * w).sqrt();
        let noise = (self.eta > 0.0).then(|| cx.brownian(Clock::REVERSE, &now.x, now.t, s));
        let mut terms = vec![(a, &now.x), (ks.alpha - a * k.alpha, &now.x0)];
        terms.extend(noise.iter().map(|noise| (self.eta * ks.sigma * ks.ratio(), noise)));
        weighted_sum(&terms).into()
    }
}

impl Settings for Ddim {
    fn check(&self) -> Result<(), Fault> {
        if (0.0..=1.0).contains(&self.eta) {
            return Ok(());
        }
        Err(Fault::new(
            "eta",
            format!("{} is not between 0 and 1", self.eta),
            "write 0 for the ODE, 1 for ancestral noise",
        ))
    }
}
