//! What a network predicts, as one row (c_skip, c_out, c_in, c_noise) of numbers.

use serde::{Deserialize, Serialize};

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
}

/// D(x, t) = c_skip x + c_out F(c_in x, c_noise) at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// c_skip.
    pub skip: f64,
    /// c_out.
    pub out: f64,
    /// c_in = (α² σ_data² + σ²)^{−1/2}, so that F sees unit variance.
    pub input: f64,
    /// c_noise = ¼ ln κ, one scale for the noise level of every process.
    pub noise: f64,
}

impl Prediction {
    /// The row at time t for data whose coordinates have the root mean square `sigma_data`.
    pub fn row(self, sde: &dyn Sde, t: f64, sigma_data: f64) -> Row {
        let k @ Kernel { alpha, sigma } = sde.kernel(t);
        let (skip, out) = match self {
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
        };
        Row { skip, out, input: 1.0 / (alpha * sigma_data).hypot(sigma), noise: 0.25 * k.ratio().ln() }
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
                let edm_out = kappa * sd / (kappa * kappa + sd * sd).sqrt();
                let edm_skip = sd * sd / (kappa * kappa + sd * sd);
                let expected = [
                    (Prediction::Data, (1.0, 0.0), 1e-12),
                    (Prediction::Noise, (0.0, 1.0), 1e-9),
                    (Prediction::Velocity, (-sigma, alpha), 1e-9),
                    (Prediction::Flow, (d_alpha, d_sigma), 1e-6),
                    (Prediction::Edm, ((1.0 - edm_skip) / edm_out, -edm_skip * kappa / edm_out), 1e-9),
                ];
                for (prediction, (a, b), tolerance) in expected {
                    let row = prediction.row(&*sde, t, sd);
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
}
