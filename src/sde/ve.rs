//! Variance exploding, geometric σ: σ(t) = σ_min (σ_max/σ_min)ᵗ, f = 0.

use serde::{Deserialize, Serialize};

use super::{Kernel, Sde, Span, check_span};
use crate::error::{Fault, Settings, positive};

/// The variance-exploding process, the continuous limit of NCSN (Song & Ermon 2019; Song et al. 2021, VE SDE).
///
/// α = 1, g² = 2 σ² ln(σ_max/σ_min). As published, x₀ already carries noise σ_min at t = 0; we keep the kernel
/// N(x₀, σ(t)²) itself, so that σ = 0 lies at t = −∞.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ve {
    /// σ at t = 0.
    pub sigma_min: f64,
    /// σ at t = 1, and the standard deviation of the prior.
    pub sigma_max: f64,
    /// Where sampling ends.
    pub t_min: f64,
    /// Where training starts.
    pub t_train: f64,
    /// Where sampling starts.
    pub t_max: f64,
}

impl Default for Ve {
    fn default() -> Self {
        Ve { sigma_min: 0.01, sigma_max: 50.0, t_min: 1e-5, t_train: 1e-5, t_max: 1.0 }
    }
}

impl Ve {
    /// ln(σ_max/σ_min), the growth rate of σ.
    fn rate(&self) -> f64 {
        (self.sigma_max / self.sigma_min).ln()
    }
}

impl Sde for Ve {
    fn kernel(&self, t: f64) -> Kernel {
        Kernel { alpha: 1.0, sigma: self.sigma_min * (self.rate() * t).exp() }
    }

    fn drift(&self, _t: f64) -> f64 {
        0.0
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        2.0 * self.kernel(t).sigma.powi(2) * self.rate()
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        (ratio / self.sigma_min).ln() / self.rate()
    }

    fn span(&self) -> Span {
        let prior_std = self.kernel(self.t_max).sigma;
        Span { t_min: self.t_min, t_train: self.t_train, t_max: self.t_max, prior_std }
    }
}

impl Settings for Ve {
    fn check(&self) -> Result<(), Fault> {
        positive("sigma_min", self.sigma_min)?;
        positive("sigma_max", self.sigma_max)?;
        if self.sigma_max <= self.sigma_min {
            let problem = format!("{} is not above sigma_min = {}", self.sigma_max, self.sigma_min);
            return Err(Fault::new("sigma_max", problem, "write a number greater than sigma_min"));
        }
        check_span(self.span(), f64::MAX)
    }
}
