//! Fourier features of the state, by which a network sees what is finer than its convolutions resolve.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Fault, Settings, positive};

/// Periods p, in bins of discrete data, of features e^{−ω²κ²/2} sin ω(y − y₀) and e^{−ω²κ²/2} cos ω(y − y₀), ω = 2π/(p w), that a
/// network is shown beside the state: y = x/α, w is the width of a bin, and y₀ the first value. None by default.
///
/// A network at little noise then sees where between two values a state lies, on which a likelihood of discrete data turns
/// (Kingma et al. 2021, VDM, appendix C: sin 2ⁿπ y, n = 7, 8, which for 256 values in [−1, 1] are the periods 2 and 1). What
/// damps them is what noise leaves of a wave (Barron et al. 2021, mip-NeRF, eq. 14): values on a lattice with a smooth law
/// have the density p(y)(1 + 2 Σ_k e^{−ω_k²κ²/2} cos ω_k(y − y₀) …), p = 1/k, so that the denoiser is linear in the features as
/// soon as they are small, and where there is more noise they do not disturb.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FourierFeatures(pub Vec<f64>);

impl Settings for FourierFeatures {
    fn check(&self) -> Result<(), Fault> {
        self.0.iter().enumerate().try_for_each(|(i, &period)| positive(&format!("[{i}]"), period))
    }
}

impl FourierFeatures {
    /// How many channels they are for a state of `channels`.
    pub fn channels(&self, channels: usize) -> usize {
        2 * self.0.len() * channels
    }

    /// Those of data with the first value `origin` and bins of `width`.
    pub fn over(&self, origin: f64, width: f64) -> Waves {
        Waves { origin, frequencies: self.0.iter().map(|period| TAU / (period * width)).collect() }
    }
}

/// [`FourierFeatures`] in the units of the state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waves {
    /// y₀, where all phases are zero.
    origin: f64,
    /// 2π/(p w).
    frequencies: Vec<f64>,
}

impl Waves {
    /// What a network is shown: `input` `[B, C, …]`, and after its channels the features, each sine before its cosine, of y
    /// `[B, C, …]` with noise of the level κ, a number for each sample or for all.
    pub fn beside(&self, input: Tensor, state: impl FnOnce() -> (Tensor, Tensor)) -> Tensor {
        if self.frequencies.is_empty() {
            return input;
        }
        let (y, kappa) = state();
        let y = y - self.origin;
        let mut shown = vec![input];
        for &frequency in &self.frequencies {
            let (phase, left) = (&y * frequency, ((&kappa * frequency).square() * -0.5).exp());
            shown.extend([phase.sin() * &left, phase.cos() * &left].map(|wave| wave.to_kind(Kind::Float)));
        }
        Tensor::cat(&shown, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Bytes in [−1, 1]: all have the same phase of period 1, even and odd ones opposite phases of period 2, and half-way
    /// between them it is the other way round.
    #[test]
    fn bytes_lie_on_a_lattice() {
        let width = 2.0 / 255.0;
        let waves = FourierFeatures(vec![1.0, 2.0]).over(-1.0, width);
        let bytes: Vec<f32> = (0..256).map(|byte| byte as f32 * 2.0 / 255.0 - 1.0).collect();
        let y = Tensor::from_slice(&bytes).view([256, 1, 1, 1]);
        let shown = |y: &Tensor| waves.beside(y * 0.5, || (y.shallow_clone(), Tensor::from(0.0f32)));
        let (on, between) = (shown(&y), shown(&(&y + 0.5 * width)));
        assert_eq!((on.size(), on.kind()), (vec![256, 5, 1, 1], Kind::Float));
        for byte in 0..256 {
            let at = |of: &Tensor| [1, 2, 3, 4].map(|channel| of.double_value(&[byte, channel, 0, 0]));
            let sign = if byte % 2 == 0 { 1.0 } else { -1.0 };
            for (found, wanted) in [(at(&on), [0.0, 1.0, 0.0, sign]), (at(&between), [0.0, -1.0, sign, 0.0])] {
                // float32 knows y to 6e-8, and the phase to 5e-5.
                assert!(
                    found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 2e-4),
                    "{byte}: {found:?}"
                );
            }
            assert_eq!(on.double_value(&[byte, 0, 0, 0]), 0.5 * f64::from(bytes[byte as usize]));
        }
        let nothing = FourierFeatures::default().over(-1.0, width).beside(y, || panic!("nothing is asked"));
        assert_eq!((nothing.size(), nothing.device()), (vec![256, 1, 1, 1], Device::Cpu));
    }

    /// The denoiser of values that are equally likely on a lattice is y − 2 ω κ² e^{−ω²κ²/2} sin ω y where that is small, with the
    /// noise level of each sample.
    #[test]
    fn the_denoiser_of_a_lattice_is_linear_in_them() {
        let (width, kappas) = (0.1, [0.05, 0.06, 0.08]);
        let features = FourierFeatures(vec![1.0]);
        assert_eq!(features.channels(3), 6);
        let y = Tensor::from_slice(&[0.02, 0.23, -0.04]).view([3, 1]);
        let kappa = Tensor::from_slice(&kappas).view([3, 1]);
        let sine = features.over(0.0, width).beside(y.to_kind(Kind::Float), || (y.shallow_clone(), kappa)).select(1, 1);
        for (i, kappa) in kappas.into_iter().enumerate() {
            let y = y.double_value(&[i as i64, 0]);
            let weights =
                (-100..=100).map(|n| width * f64::from(n)).map(|v| (v, (-0.5 * ((y - v) / kappa).powi(2)).exp()));
            let (sum, total) = weights.fold((0.0, 0.0), |(sum, total), (v, w)| (sum + v * w, total + w));
            let omega = TAU / width;
            let linear = y - 2.0 * omega * kappa * kappa * sine.double_value(&[i as i64]);
            let size = 2.0 * omega * kappa * kappa * (-0.5 * (omega * kappa).powi(2)).exp();
            // The next term is as large as the square of the damping.
            assert!((linear - sum / total).abs() < 3.0 * size * (-0.5 * (omega * kappa).powi(2)).exp(), "κ = {kappa}");
            assert!((y - sum / total).abs() > 0.1 * size, "κ = {kappa}: there is something to see");
        }
    }

    #[test]
    fn periods_are_positive() {
        assert_eq!(FourierFeatures(vec![1.0, 0.5]).check(), Ok(()));
        assert_eq!(FourierFeatures(vec![1.0, 0.0]).check().unwrap_err().key, "[1]");
    }
}
