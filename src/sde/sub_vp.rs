//! Sub-VP: the drift of VP with less noise, f = −β/2, g² = β (1 − e^{−2B}).

use serde::{Deserialize, Serialize};

use super::{Kernel, Sde, Span, Vp};
use crate::error::{Fault, Settings};

/// The sub-variance-preserving process (Song et al. 2021, sub-VP SDE).
///
/// With B(t) = ∫₀ᵗ β as for [`Vp`]: α = e^{−B/2}, σ = 1 − e^{−B}, κ = 2 sinh(B/2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubVp {
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

impl Default for SubVp {
    fn default() -> Self {
        let Vp { beta_min, beta_max, t_min, t_train, t_max } = Vp::default();
        SubVp { beta_min, beta_max, t_min, t_train, t_max }
    }
}

impl SubVp {
    fn vp(&self) -> Vp {
        let SubVp { beta_min, beta_max, t_min, t_train, t_max } = *self;
        Vp { beta_min, beta_max, t_min, t_train, t_max }
    }
}

impl Sde for SubVp {
    fn kernel(&self, t: f64) -> Kernel {
        let b = self.vp().integral(t);
        Kernel { alpha: (-0.5 * b).exp(), sigma: -(-b).exp_m1() }
    }

    fn drift(&self, t: f64) -> f64 {
        self.vp().drift(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        let vp = self.vp();
        -vp.beta(t) * (-2.0 * vp.integral(t)).exp_m1()
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        self.vp().time_of_integral(2.0 * (0.5 * ratio).asinh())
    }

    fn span(&self) -> Span {
        self.vp().span()
    }
}

impl Settings for SubVp {
    fn check(&self) -> Result<(), Fault> {
        self.vp().check()
    }
}
