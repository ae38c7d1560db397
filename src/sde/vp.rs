//! Variance preserving, linear β: β(t) = β_min + t (β_max − β_min), f = −β/2, g² = β.

use serde::{Deserialize, Serialize};

use super::{Kernel, Sde, Span, check_span};
use crate::error::{Fault, Settings, positive};

/// The variance-preserving process, the continuous limit of DDPM (Ho et al. 2020; Song et al. 2021, VP SDE).
///
/// With B(t) = ∫₀ᵗ β = β_min t + ½ (β_max − β_min) t²: α = e^{−B/2}, σ² = 1 − e^{−B}, κ² = e^B − 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vp {
    /// β at t = 0.
    pub beta_min: f64,
    /// β at t = 1.
    pub beta_max: f64,
    /// Where sampling ends.
    pub t_min: f64,
    /// Where training starts.
    pub t_train: f64,
    /// Where sampling starts.
    pub t_max: f64,
}

impl Default for Vp {
    fn default() -> Self {
        Vp { beta_min: 0.1, beta_max: 20.0, t_min: 1e-3, t_train: 1e-5, t_max: 1.0 }
    }
}

impl Vp {
    /// B(t) = ∫₀ᵗ β.
    pub(super) fn integral(&self, t: f64) -> f64 {
        t * (self.beta_min + 0.5 * t * (self.beta_max - self.beta_min))
    }

    /// The t at which ∫₀ᵗ β = `b`, in the form of the quadratic formula that does not cancel.
    pub(super) fn time_of_integral(&self, b: f64) -> f64 {
        2.0 * b / (self.beta_min + (self.beta_min.powi(2) + 2.0 * (self.beta_max - self.beta_min) * b).sqrt())
    }

    pub(super) fn beta(&self, t: f64) -> f64 {
        self.beta_min + t * (self.beta_max - self.beta_min)
    }
}

impl Sde for Vp {
    fn kernel(&self, t: f64) -> Kernel {
        let b = self.integral(t);
        Kernel { alpha: (-0.5 * b).exp(), sigma: (-(-b).exp_m1()).sqrt() }
    }

    fn drift(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        self.beta(t)
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        self.time_of_integral((ratio * ratio).ln_1p())
    }

    fn span(&self) -> Span {
        Span { t_min: self.t_min, t_train: self.t_train, t_max: self.t_max, prior_std: 1.0 }
    }
}

impl Settings for Vp {
    fn check(&self) -> Result<(), Fault> {
        positive("beta_min", self.beta_min)?;
        positive("beta_max", self.beta_max)?;
        if self.beta_max < self.beta_min {
            let problem = format!("{} is below beta_min = {}", self.beta_max, self.beta_min);
            return Err(Fault::new("beta_max", problem, "write a number of at least beta_min"));
        }
        check_span(self.span(), f64::MAX)
    }
}
