//! How a network is told the noise level κ = σ/α, and how it is shown the state.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::error::Settings;

/// c_noise, the number that a network is told, as a function of κ.
///
/// A function of κ alone, so that a network means the same on every process.
pub trait NoiseLevel: Debug + Send + Sync {
    /// c_noise at κ = `ratio`.
    fn of(&self, ratio: f64) -> f64;
}

/// c_noise = ¼ ln κ (Karras et al. 2022, Table 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuarterLog {}

impl Settings for QuarterLog {}

impl NoiseLevel for QuarterLog {
    fn of(&self, ratio: f64) -> f64 {
        0.25 * ratio.ln()
    }
}

/// c_noise = ln κ, as the Fourier features of NCSN++ take it (Song et al. 2021).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {}

impl Settings for Log {}

impl NoiseLevel for Log {
    fn of(&self, ratio: f64) -> f64 {
        ratio.ln()
    }
}

/// How a network is shown the state x = α x₀ + σ ε: the factor c_in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// With unit variance: c_in = (α² σ_data² + σ²)^{−1/2}. With σ_data = 1 it is the state of DDPM, α² + σ² = 1.
    #[default]
    UnitVariance,
    /// As data with noise of level κ on top: c_in = 1/α, so that F sees x₀ + κ ε (NCSN++, Song et al. 2021).
    Exploding,
}
