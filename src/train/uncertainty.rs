//! Learned uncertainty of each noise level.

use std::f64::consts::{SQRT_2, TAU};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{Fault, Settings, between};
use crate::model::Builder;
use crate::rng::{Purpose, Stream};
use crate::tensor;

/// Learned uncertainty (Karras et al. 2024, EDM2, Eq. 14, after Kendall et al. 2018): the loss of an example is
/// w e^{−u} ‖D − x₀‖² + u, so that u(κ) → ln E[w ‖D − x₀‖²] and all noise levels come to weigh the same.
///
/// u(c) = Σ_i a_i √2 cos(ω_i c + φ_i) of c = ¼ ln κ with fixed ω_i ~ N(0, (2π)²) and φ_i ~ U(0, 2π); the a_i are learned
/// with the network's parameters and start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Uncertainty {
    /// The number of Fourier features.
    #[schemars(range(min = 1))]
    pub features: usize,
}

impl Default for Uncertainty {
    fn default() -> Self {
        Uncertainty { features: 128 }
    }
}

impl Settings for Uncertainty {
    fn check(&self) -> Result<(), Fault> {
        between("features", self.features, (1, 1 << 16))
    }
}

/// Where the features of u lie in the stream of fixed features, far behind those of any network.
const PLACE: u64 = 1 << 40;

impl Uncertainty {
    /// u at its start, with its weights among `parameters`.
    pub fn build(&self, seed: u64, parameters: &mut Builder) -> LogUncertainty {
        let stream = Stream::new(seed, Purpose::Features);
        let mut frequencies = vec![0.0; self.features];
        stream.normals(PLACE, 0, self.features, &mut frequencies);
        let frequencies = frequencies.iter().map(|z| TAU * z).collect();
        let phases = (0..self.features as u64).map(|i| TAU * stream.uniform(PLACE + 1 + i, 0)).collect();
        let shape = [self.features as i64];
        let fixed =
            |values| tensor::from_f64(values, &shape, (Kind::Float, Device::Cpu)).to_device(parameters.device());
        let (frequencies, phases) = (fixed(frequencies), fixed(phases));
        LogUncertainty { frequencies, phases, weights: parameters.zeros("uncertainty.weight", &shape) }
    }
}

/// u as a function of the noise level.
#[derive(Debug)]
pub struct LogUncertainty {
    /// ω `[F]`
    frequencies: Tensor,
    /// φ `[F]`
    phases: Tensor,
    /// a `[F]`
    weights: Tensor,
}

impl LogUncertainty {
    /// u `[B]` of c_noise `[B]`.
    pub fn of(&self, noise: &Tensor) -> Tensor {
        let phase = noise.unsqueeze(1) * &self.frequencies + &self.phases;
        (phase.cos() * SQRT_2).matmul(&self.weights)
    }

    /// A further handle on the same weights, for another thread.
    pub fn share(&self) -> Self {
        LogUncertainty {
            frequencies: self.frequencies.shallow_clone(),
            phases: self.phases.shallow_clone(),
            weights: self.weights.shallow_clone(),
        }
    }
}
