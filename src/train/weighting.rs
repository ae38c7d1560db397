//! Weightings: how much each noise level counts in the loss.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Settings, positive};
use crate::sde::Sde;

/// The weight of each noise level. A weight w of ‖D − x₀‖² is a weight w κ² of ‖ε̂ − ε‖², as D − x₀ = −κ (ε̂ − ε).
pub trait Weighting: Debug + Send + Sync {
    /// w(t), the weight of ‖D − x₀‖².
    fn of_denoiser(&self, sde: &dyn Sde, t: f64, sigma_data: f64) -> f64;
}

/// κ^−2: unit weight of ‖ε̂ − ε‖², that is σ² on the score (Ho et al. 2020, L_simple).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Simple {}

/// g² on the score, which makes the loss a bound on −log p (Song, Durkan, Murray & Ermon 2021).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Likelihood {}

/// (κ² + σ_data²)/(κ σ_data)², unit weight of EDM's target (Karras et al. 2022, Table 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EdmWeighting {}

/// min(κ^−2, γ), κ^−2 being the signal-to-noise ratio (Hang et al. 2023, min-SNR-γ).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MinSnr {
    /// γ, the signal-to-noise ratio above which all levels weigh the same.
    pub gamma: f64,
}

/// κ^−2/(k + κ^−2)^γ: less weight on low noise, where details are (Choi et al. 2022, P2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct P2 {
    /// k, which keeps the weight of high noise finite.
    pub k: f64,
    /// γ, how much low noise is weighed down; 0 gives `simple`.
    pub gamma: f64,
}

/// 1: every noise level counts by its error in x₀.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Unweighted {}

impl Default for MinSnr {
    fn default() -> Self {
        MinSnr { gamma: 5.0 }
    }
}

impl Default for P2 {
    fn default() -> Self {
        P2 { k: 1.0, gamma: 1.0 }
    }
}

impl Weighting for Simple {
    fn of_denoiser(&self, sde: &dyn Sde, t: f64, _sigma_data: f64) -> f64 {
        snr(sde, t)
    }
}

impl Weighting for Likelihood {
    fn of_denoiser(&self, sde: &dyn Sde, t: f64, _sigma_data: f64) -> f64 {
        let k = sde.kernel(t);
        sde.diffusion_sq(t) * (k.alpha / (k.sigma * k.sigma)).powi(2)
    }
}

impl Weighting for EdmWeighting {
    fn of_denoiser(&self, sde: &dyn Sde, t: f64, sigma_data: f64) -> f64 {
        sigma_data.powi(-2) + snr(sde, t)
    }
}

impl Weighting for MinSnr {
    fn of_denoiser(&self, sde: &dyn Sde, t: f64, _sigma_data: f64) -> f64 {
        snr(sde, t).min(self.gamma)
    }
}

impl Weighting for P2 {
    fn of_denoiser(&self, sde: &dyn Sde, t: f64, _sigma_data: f64) -> f64 {
        let snr = snr(sde, t);
        snr / (self.k + snr).powf(self.gamma)
    }
}

impl Weighting for Unweighted {
    fn of_denoiser(&self, _sde: &dyn Sde, _t: f64, _sigma_data: f64) -> f64 {
        1.0
    }
}

/// α²/σ², the signal-to-noise ratio.
fn snr(sde: &dyn Sde, t: f64) -> f64 {
    sde.kernel(t).ratio().powi(-2)
}

impl Settings for Simple {}

impl Settings for Likelihood {}

impl Settings for EdmWeighting {}

impl Settings for Unweighted {}

impl Settings for MinSnr {
    fn check(&self) -> Result<(), Fault> {
        positive("gamma", self.gamma)
    }
}

impl Settings for P2 {
    fn check(&self) -> Result<(), Fault> {
        positive("k", self.k)?;
        if self.gamma.is_finite() && self.gamma >= 0.0 {
            return Ok(());
        }
        Err(Fault::new("gamma", format!("{} is not a number of at least 0", self.gamma), "the published value is 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::{Edm, Vp};

    /// Each weighting as the literature writes it, on ‖ε̂ − ε‖² or on the score, at some noise levels.
    #[test]
    fn weights_are_those_of_the_literature() {
        let processes: [&dyn Sde; 2] = [&Vp::default(), &Edm::default()];
        for sde in processes {
            let span = sde.span();
            for fraction in [0.01, 0.1, 0.5, 1.0] {
                let t = span.t_min + fraction * (span.t_max - span.t_min);
                let k = sde.kernel(t);
                let (snr, on_noise, on_score) = (
                    (k.alpha / k.sigma).powi(2),
                    k.ratio().powi(2),
                    // D − x₀ = σ²/α (s − s*).
                    (k.sigma * k.sigma / k.alpha).powi(2),
                );
                let cases: [(&dyn Weighting, f64, f64); 6] = [
                    (&Simple {}, on_noise, 1.0),
                    (&Likelihood {}, on_score, sde.diffusion_sq(t)),
                    (&EdmWeighting {}, 1.0, (on_noise + 0.49) / (on_noise * 0.49)),
                    (&MinSnr { gamma: 5.0 }, on_noise, snr.min(5.0) / snr),
                    (&P2 { k: 2.0, gamma: 0.5 }, on_noise, (2.0 + snr).powf(-0.5)),
                    (&Unweighted {}, 1.0, 1.0),
                ];
                for (weighting, unit, expected) in cases {
                    let weight = weighting.of_denoiser(sde, t, 0.7) * unit;
                    assert!((weight / expected - 1.0).abs() < 1e-9, "{weighting:?} at {t}: {weight} {expected}");
                }
            }
        }
    }
}
