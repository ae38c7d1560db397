//! EDM: σ = t, so that time is the noise level, f = 0, g² = 2t.

use serde::{Deserialize, Serialize};

use super::{Kernel, Sde, Span};
use crate::error::{Fault, Settings, positive};

/// The process of EDM (Karras et al. 2022, “Elucidating the design space”): α = 1, σ = t.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Edm {
    /// The noise level at which sampling ends.
    pub sigma_min: f64,
    /// The noise level at which sampling starts, and the standard deviation of the prior.
    pub sigma_max: f64,
}

impl Default for Edm {
    fn default() -> Self {
        Edm { sigma_min: 0.002, sigma_max: 80.0 }
    }
}

impl Sde for Edm {
    fn kernel(&self, t: f64) -> Kernel {
        Kernel { alpha: 1.0, sigma: t }
    }

    fn drift(&self, _t: f64) -> f64 {
        0.0
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        2.0 * t
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        ratio
    }

    fn span(&self) -> Span {
        Span { t_min: self.sigma_min, t_train: self.sigma_min, t_max: self.sigma_max, prior_std: self.sigma_max }
    }
}

impl Settings for Edm {
    fn check(&self) -> Result<(), Fault> {
        positive("sigma_min", self.sigma_min)?;
        positive("sigma_max", self.sigma_max)?;
        if self.sigma_max <= self.sigma_min {
            let problem = format!("{} is not above sigma_min = {}", self.sigma_max, self.sigma_min);
            return Err(Fault::new("sigma_max", problem, "write a number greater than sigma_min"));
        }
        Ok(())
    }
}
