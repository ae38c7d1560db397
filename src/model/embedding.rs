//! Features of the noise level.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::rng::{Purpose, Stream};
use crate::tensor;

/// How the scalar c_noise becomes a vector: [sin(ω c), cos(ω c)] with fixed frequencies ω.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Embedding {
    /// Geometrically spaced ω from ½ to 32 (after Vaswani et al. 2017, for c_noise = ¼ ln κ in about [−2, 2]).
    #[default]
    Sinusoidal,
    /// ω ~ N(0, (2π)²) (Tancik et al. 2020, Gaussian Fourier features, with the scale for c_noise = ¼ ln κ).
    Fourier,
}

impl Embedding {
    /// ω `[features/2]`, the same for the same seed.
    pub fn frequencies(self, features: usize, seed: u64) -> Tensor {
        let half = features / 2;
        let values = match self {
            Embedding::Sinusoidal => {
                let last = half.saturating_sub(1).max(1) as f64;
                (0..half).map(|i| 0.5 * 64f64.powf(i as f64 / last)).collect()
            }
            Embedding::Fourier => {
                let mut z = vec![0.0; half];
                Stream::new(seed, Purpose::Features).normals(0, 0, half, &mut z);
                z.iter().map(|z| std::f64::consts::TAU * z).collect()
            }
        };
        tensor::from_f64(values, &[half as i64], (Kind::Float, Device::Cpu))
    }
}

/// [sin(ω c), cos(ω c)] `[B, 2 |ω|]` of c `[B]`.
pub(super) fn features(c: &Tensor, frequencies: &Tensor) -> Tensor {
    let phase = c.unsqueeze(1) * frequencies;
    Tensor::cat(&[phase.sin(), phase.cos()], 1)
}
