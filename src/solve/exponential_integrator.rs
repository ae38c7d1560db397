//! The exponential integrator that holds the score.

use serde::{Deserialize, Serialize};

use super::exponential::{check_eta, integrate};
use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::{Fault, Settings};
use crate::score::Eval;
use crate::sde::Kernel;
use crate::tensor::weighted_sum;

/// The exponential integrator of the theory of convergence (Lee, Lu & Tan 2023; Chen et al. 2023; Pierret & Galerne
/// 2025, EI): the linear part of the reverse process of stochasticity q is solved exactly, while the score keeps its value
/// from the beginning of the step.
///
/// x_s = (α_s/α_t) x + (1 + q) α_s ∫ α κ dκ · score + √q α_s √(κ_t² − κ_s²) ξ, the integral from κ_s to κ_t. For VP it is
/// 1/α_t − 1/α_s, so that with q = 1 and ΔB = ln(α_s/α_t): x_s = e^ΔB x + 2 (e^ΔB − 1) score + √(e^{2ΔB} − 1) ξ.
///
/// DDIM and DDPM's posterior hold x̂₀ instead, which is bounded where the score is not: they are better at low noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExponentialIntegrator {
    /// The stochasticity q: 1 is the reverse SDE, 0 the ODE.
    pub eta: f64,
}

impl Default for ExponentialIntegrator {
    fn default() -> Self {
        ExponentialIntegrator { eta: 1.0 }
    }
}

impl Solver for ExponentialIntegrator {
    fn about(&self) -> About {
        About {
            paper: "Lee, Lu & Tan 2023; Chen et al. 2023",
            when: "to see what theorems on convergence speak of; for samples take one that holds the data, as ddim does",
        }
    }

    fn order(&self) -> Order {
        if self.eta == 0.0 { Order::ode(1.0) } else { Order::sde(1.0, 1.0) }
    }

    fn clock(&self) -> Clock {
        Clock::FORWARD
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (Kernel { alpha, sigma }, ks) = (now.kernel, cx.kernel(s));
        // ∫ α κ dκ = ∫ α κ² dλ, λ = −ln κ.
        let (lambda, h) = (now.kernel.lambda(), ks.lambda() - now.kernel.lambda());
        let area = h * integrate(|u| {
            let ratio = (-(lambda + u * h)).exp();
            cx.kernel(cx.sde().time_of_ratio(ratio)).alpha * ratio * ratio
        });
        // score = (α x̂₀ − x)/σ².
        let gain = (1.0 + self.eta) * ks.alpha * area / (sigma * sigma);
        let noise = (self.eta > 0.0).then(|| cx.brownian(Clock::FORWARD, &now.x, now.t, s));
        let mut terms = vec![(ks.alpha / alpha - gain, &now.x), (gain * alpha, &now.x0)];
        terms.extend(noise.iter().map(|noise| (self.eta.sqrt() * ks.alpha, noise)));
        weighted_sum(&terms).into()
    }
}

impl Settings for ExponentialIntegrator {
    fn check(&self) -> Result<(), Fault> {
        check_eta(self.eta)
    }
}
