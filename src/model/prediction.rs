//! What a network predicts, as one row (c_skip, c_out, c_in, c_noise) of numbers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Waves;
use super::noise_level::{Input, NoiseLevel, QuarterLog};
use crate::sde::{Kernel, Sde};

/// The quantity that F approximates; all are the same denoiser D = c_skip x + c_out F written differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// x₀.
    Data,
    /// ε (Ho et al. 2020).
    Noise,
    /// v = α ε − σ x₀ (Salimans & Ho 2022).
    Velocity,
    /// u = dα/dt x₀ + dσ/dt ε, the velocity of the path x_t; ε − x₀ for the rectified flow (Lipman et al. 2023).
    Flow,
    /// The preconditioned residual of EDM (Karras et al. 2022, Table 1), in x/α and κ.
    #[default]
    Edm,
    /// σ ∇ log p = −ε, the score times the noise level (Song et al. 2021).
    Score,
    /// v = (σ_data² ε − κ x₀)/(σ_data √(κ² + σ_data²)), EDM's residual with the other sign (Lu & Song 2025, TrigFlow). With
    /// σ_data = 1 it is the v of α² + σ² = 1, on every process.
    TrigFlow,
}

/// All that stands around a network F: what it predicts, and how it is shown the state and told the noise level.
#[derive(Clone, Debug)]
pub struct Preconditioning {
    /// What F predicts.
    pub prediction: Prediction,
    /// The root mean square of the data's coordinates.
    pub sigma_data: f64,
    /// How F is shown the state.
    pub input: Input,
    /// How F is told the noise level.
    pub noise_level: Arc<dyn NoiseLevel>,
    /// What F is shown beside the state.
    pub features: Waves,
}

/// D(x, t) = c_skip x + c_out F(c_in x, c_noise) at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// c_skip.
    pub skip: f64,
    /// c_out.
    pub out: f64,
    /// c_in, the factor with which F sees the state.
    pub input: f64,
    /// c_noise, what F is told of the noise level.
    pub noise: f64,
}

impl Preconditioning {
    /// For data whose coordinates have the root mean square `sigma_data`: F sees unit variance and is told ¼ ln κ.
    pub fn new(prediction: Prediction, sigma_data: f64) -> Self {
        let (input, noise_level) = (Input::UnitVariance, Arc::new(QuarterLog {}));
        Preconditioning { prediction, sigma_data, input, noise_level, features: Waves::default() }
    }

    /// The row at time t.
    pub fn row(&self, sde: &dyn Sde, t: f64) -> Row {
        let k @ Kernel { alpha, sigma } = sde.kernel(t);
        let (skip, out) = self.prediction.mix(sde, t, self.sigma_data);
        let input = match self.input {
            Input::UnitVariance => 1.0 / (alpha * self.sigma_data).hypot(sigma),
            Input::Exploding => 1.0 / alpha,
        };
        Row { skip, out, input, noise: self.noise_level.of(k.ratio()) }
    }
}

impl Prediction {
    /// (c_skip, c_out) at time t.
    fn mix(self, sde: &dyn Sde, t: f64, sigma_data: f64) -> (f64, f64) {
        let k @ Kernel { alpha, sigma } = sde.kernel(t);
        match self {
            Prediction::Data => (0.0, 1.0),
            Prediction::Noise => (1.0 / alpha, -sigma / alpha),
            Prediction::Velocity => {
                let norm = alpha * alpha + sigma * sigma;
                (alpha / norm, -sigma / norm)
            }
            Prediction::Flow => {
                // α′ = f α and σ′ = (f − λ′) σ solve x = α x₀ + σ ε, u = α′ x₀ + σ′ ε for x₀.
                let (f, rate) = (sde.drift(t), sde.lambda_rate(t));
                ((rate - f) / (alpha * rate), 1.0 / (alpha * rate))
            }
            Prediction::Edm => {
                let (kappa, norm) = (k.ratio(), k.ratio().hypot(sigma_data));
                ((sigma_data / norm).powi(2) / alpha, kappa * sigma_data / norm)
            }
            Prediction::Score => (1.0 / alpha, sigma / alpha),
            Prediction::TrigFlow => {
                let (skip, out) = Prediction::Edm.mix(sde, t, sigma_data);
                (skip, -out)
            }
        }
    }
}

impl Row {
    /// The target of F as (a, b) in a x₀ + b ε: F = (x₀ − c_skip x_t)/c_out with x_t = α x₀ + σ ε.
    pub fn target(&self, kernel: Kernel) -> (f64, f64) {
        ((1.0 - self.skip * kernel.alpha) / self.out, -self.skip * kernel.sigma / self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Log, TimeStep};
    use crate::sde::tests::processes;

    /// Every row, inverted, gives its textbook target under every process and at every time.
    #[test]
    fn rows_invert_to_textbook_targets() {
        for sde in processes() {
            let span = sde.span();
            for i in 0..=20 {
                let t = span.t_train + (span.t_max - span.t_train) * (i as f64 / 20.0).powi(3);
                let k @ Kernel { alpha, sigma } = sde.kernel(t);
                let (d_alpha, d_sigma) = {
                    let h = 1e-4 * t;
                    let (a, b) = (sde.kernel(t - h), sde.kernel(t + h));
                    ((b.alpha - a.alpha) / (2.0 * h), (b.sigma - a.sigma) / (2.0 * h))
                };
                let sd = 0.7;
                let kappa = sigma / alpha;
                let norm = kappa.hypot(sd);
                let edm_out = kappa * sd / (kappa * kappa + sd * sd).sqrt();
                let edm_skip = sd * sd / (kappa * kappa + sd * sd);
                let expected = [
                    (Prediction::Data, (1.0, 0.0), 1e-12),
                    (Prediction::Noise, (0.0, 1.0), 1e-9),
                    (Prediction::Velocity, (-sigma, alpha), 1e-9),
                    (Prediction::Flow, (d_alpha, d_sigma), 1e-6),
                    (Prediction::Edm, ((1.0 - edm_skip) / edm_out, -edm_skip * kappa / edm_out), 1e-9),
                    (Prediction::Score, (0.0, -1.0), 1e-9),
                    (Prediction::TrigFlow, (-kappa / (sd * norm), sd / norm), 1e-9),
                ];
                for (prediction, (a, b), tolerance) in expected {
                    let row = Preconditioning::new(prediction, sd).row(&*sde, t);
                    let (ra, rb) = row.target(k);
                    // Errors relative to what matters to D: the target times c_out, beside x₀ and ε of order one.
                    let scale = a.abs().max(b.abs()).max(1e-3);
                    assert!((ra - a).abs() < tolerance * scale, "{prediction:?} {sde:?} t={t}: {ra} is not {a}");
                    assert!((rb - b).abs() < tolerance * scale, "{prediction:?} {sde:?} t={t}: {rb} is not {b}");
                    // And D of the exact target is x₀ itself.
                    let (x0, eps) = (0.3, -1.2);
                    let d = row.skip * (alpha * x0 + sigma * eps) + row.out * (ra * x0 + rb * eps);
                    assert!((d - x0).abs() < 1e-9, "{prediction:?} {sde:?} t={t}: D = {d}");
                    let variance = row.input.powi(2) * (alpha * alpha * sd * sd + sigma * sigma);
                    assert!((variance - 1.0).abs() < 1e-12);
                }
            }
        }
    }

    /// Networks of DDPM on every process: with σ_data = 1 they see the state of the chain and are asked for its v, at the
    /// step of equal κ; those of NCSN++ see x₀ + κ ε and are told ln κ.
    #[test]
    fn published_networks_are_asked_as_they_were_trained() {
        let chain = TimeStep::default().build();
        let ratios = chain.ratios();
        let ddpm = Preconditioning { noise_level: Arc::new(chain), ..Preconditioning::new(Prediction::TrigFlow, 1.0) };
        let (input, noise_level) = (Input::Exploding, Arc::new(Log {}));
        let ncsnpp = Preconditioning { input, noise_level, ..Preconditioning::new(Prediction::Score, 0.5) };
        for sde in processes() {
            for i in [0, 1, 17, 500, 998] {
                let t = sde.time_of_ratio(ratios[i]);
                let k = sde.kernel(t);
                let row = ddpm.row(&*sde, t);
                let bar = 1.0 / (1.0 + ratios[i] * ratios[i]);
                assert!((row.noise - i as f64).abs() < 1e-4, "{sde:?}: step {} is not {i}", row.noise);
                // c_in x = √ᾱ x₀ + √(1 − ᾱ) ε, and v = √ᾱ ε − √(1 − ᾱ) x₀.
                assert!((row.input * k.alpha - bar.sqrt()).abs() < 1e-8, "{sde:?} {i}");
                assert!((row.input * k.sigma - (1.0 - bar).sqrt()).abs() < 1e-8, "{sde:?} {i}");
                let (a, b) = row.target(k);
                assert!((a + (1.0 - bar).sqrt()).abs() < 1e-6, "{sde:?} {i}: {a}");
                assert!((b - bar.sqrt()).abs() < 1e-6, "{sde:?} {i}: {b}");
                let row = ncsnpp.row(&*sde, t);
                assert!((row.input * k.alpha - 1.0).abs() < 1e-12);
                assert!((row.noise - ratios[i].ln()).abs() < 1e-8 * ratios[i].ln().abs().max(1.0), "{sde:?} {i}");
            }
        }
    }
}
