//! The exponential moving average of the parameters.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Fault, Settings, positive};

/// An exponential moving average with a half-life, which starts short (Karras et al. 2022, EMA warm-up).
///
/// θ̄ ← θ̄ + (1 − 2^{−1/h}) (θ − θ̄),  h = min(half_life, 0.05 k) at step k.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// Steps after which a parameter's weight has halved.
    pub half_life: f64,
}

impl Default for Ema {
    fn default() -> Self {
        Ema { half_life: 500.0 }
    }
}

impl Ema {
    /// Updates `average` `[P]` with the parameters after step `k`, counted from 1.
    pub fn update(&self, average: &mut Tensor, parameters: &Tensor, k: usize) {
        let half_life = self.half_life.min(0.05 * k as f64);
        let _ = average.lerp_(parameters, 1.0 - (-1.0 / half_life).exp2());
    }
}

impl Settings for Ema {
    fn check(&self) -> Result<(), Fault> {
        positive("half_life", self.half_life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_loses_half_its_weight_in_a_half_life() {
        let ema = Ema { half_life: 30.0 };
        let mut average = Tensor::from_slice(&[1.0f64]);
        let zero = Tensor::from_slice(&[0.0f64]);
        (0..30).for_each(|k| ema.update(&mut average, &zero, 10_000 + k));
        assert!((average.double_value(&[0]) - 0.5).abs() < 1e-12);
    }
}
