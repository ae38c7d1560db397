//! Cosine: variance preserving with α = cos φ(t)/cos φ(0), φ(t) = (t + s)/(1 + s) · π/2.

use serde::{Deserialize, Serialize};

use super::{Kernel, Sde, Span, check_span};
use crate::error::{Fault, Settings};

/// The cosine schedule (Nichol & Dhariwal 2021) as a continuous variance-preserving process.
///
/// α² = cos² φ/cos² φ₀ and σ² = 1 − α² = sin(φ + φ₀) sin(φ − φ₀)/cos² φ₀. Noise grows without bound at t = 1, so the
/// span ends at 0.9946 (Lu et al. 2022, DPM-Solver).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// The offset that keeps the noise from vanishing too fast at small t.
    pub s: f64,
    /// Where sampling ends.
    pub t_min: f64,
    /// Where training starts.
    pub t_train: f64,
    /// Where sampling starts; below 1.
    pub t_max: f64,
}

impl Default for Cosine {
    fn default() -> Self {
        Cosine { s: 0.008, t_min: 1e-3, t_train: 1e-5, t_max: 0.9946 }
    }
}

impl Cosine {
    /// dφ/dt.
    fn rate(&self) -> f64 {
        std::f64::consts::FRAC_PI_2 / (1.0 + self.s)
    }
}

impl Sde for Cosine {
    fn kernel(&self, t: f64) -> Kernel {
        let (turn, start) = (self.rate() * t, self.rate() * self.s);
        // sin(φ + φ₀) sin(φ − φ₀): the difference 1 − α² would cancel near t = 0.
        let sigma_sq = (turn + 2.0 * start).sin() * turn.sin() / start.cos().powi(2);
        Kernel { alpha: (turn + start).cos() / start.cos(), sigma: sigma_sq.sqrt() }
    }

    fn drift(&self, t: f64) -> f64 {
        -self.rate() * (self.rate() * (t + self.s)).tan()
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        // α² + σ² = 1 makes g² = −2f.
        -2.0 * self.drift(t)
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        if ratio == 0.0 {
            // Without an offset the formula below is 0/0 here.
            return 0.0;
        }
        // tan φ = √(κ² + sin² φ₀)/cos φ₀; the difference of tangents is taken before the arctangent.
        let (sin, cos) = (self.rate() * self.s).sin_cos();
        let root = ratio.hypot(sin);
        let difference = ratio * ratio / (root + sin) / cos;
        (difference / (1.0 + root * sin / (cos * cos))).atan() / self.rate()
    }

    fn span(&self) -> Span {
        Span { t_min: self.t_min, t_train: self.t_train, t_max: self.t_max, prior_std: 1.0 }
    }
}

impl Settings for Cosine {
    fn check(&self) -> Result<(), Fault> {
        if !(self.s >= 0.0 && self.s < 1.0) {
            return Err(Fault::new("s", format!("{} is not between 0 and 1", self.s), "the published value is 0.008"));
        }
        check_span(self.span(), 1.0 - 1e-6)
    }
}
