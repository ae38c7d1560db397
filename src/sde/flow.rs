//! Rectified flow: α = 1 − t, σ = t.

use serde::{Deserialize, Serialize};

use super::{Kernel, Sde, Span, check_span};
use crate::error::{Fault, Settings};

/// The straight path between data and noise (Liu et al. 2023, rectified flow; Lipman et al. 2023, flow matching).
///
/// f = −1/(1 − t), g² = 2t/(1 − t), κ = t/(1 − t). At t = 1 there is no signal left and f is infinite, so the span
/// ends just before it, where x is still noise to one part in a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Flow {
    /// Where sampling ends.
    pub t_min: f64,
    /// Where training starts.
    pub t_train: f64,
    /// Where sampling starts; below 1.
    pub t_max: f64,
}

impl Default for Flow {
    fn default() -> Self {
        Flow { t_min: 1e-3, t_train: 1e-5, t_max: 0.999 }
    }
}

impl Sde for Flow {
    fn kernel(&self, t: f64) -> Kernel {
        Kernel { alpha: 1.0 - t, sigma: t }
    }

    fn drift(&self, t: f64) -> f64 {
        -1.0 / (1.0 - t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        2.0 * t / (1.0 - t)
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        ratio / (1.0 + ratio)
    }

    fn span(&self) -> Span {
        Span { t_min: self.t_min, t_train: self.t_train, t_max: self.t_max, prior_std: 1.0 }
    }
}

impl Settings for Flow {
    fn check(&self) -> Result<(), Fault> {
        check_span(self.span(), 1.0 - 1e-9)
    }
}
