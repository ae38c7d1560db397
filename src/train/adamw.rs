//! AdamW over one flat parameter buffer.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Fault, Settings, positive};

/// AdamW (Loshchilov & Hutter 2019, Algorithm 2).
///
/// m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  θ ← θ − lr [m̂/(√v̂ + ε) + weight_decay θ],
/// with m̂ = m/(1 − β₁ᵏ) and v̂ = v/(1 − β₂ᵏ) at step k.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// The learning rate after warm-up.
    pub lr: f64,
    /// The decay of the first moment.
    pub beta1: f64,
    /// The decay of the second moment.
    pub beta2: f64,
    /// What keeps the division finite.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

impl Settings for AdamW {
    fn check(&self) -> Result<(), Fault> {
        positive("lr", self.lr)?;
        positive("eps", self.eps)?;
        for (key, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Fault::new(key, format!("{value} is not in [0, 1)"), "usual values are 0.9 and 0.999"));
            }
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            let problem = format!("{} is negative or not finite", self.weight_decay);
            return Err(Fault::new("weight_decay", problem, "write 0 for none"));
        }
        Ok(())
    }
}

/// The moments m and v `[P]`.
#[derive(Debug)]
pub struct Moments {
    /// m.
    pub first: Tensor,
    /// v.
    pub second: Tensor,
}

impl AdamW {
    /// The numbers of step `k` (from 1) with learning rate `scale` × lr.
    pub fn at(&self, k: usize, scale: f64) -> AdamWStep {
        let correction = |beta: f64| 1.0 - beta.powi(k.min(i32::MAX as usize) as i32);
        AdamWStep {
            first: 1.0 - self.beta1,
            second: 1.0 - self.beta2,
            debias: 1.0 / correction(self.beta2),
            eps: self.eps,
            rate: self.lr * scale / correction(self.beta1),
            shrink: self.lr * scale * self.weight_decay,
        }
    }
}

/// One step of [`AdamW`] as the numbers in
/// m ← m + `first` (g − m),  v ← v + `second` (g² − v),  θ ← θ − `rate` m/(√(`debias` v) + `eps`) − `shrink` θ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// 1 − β₁.
    pub first: f64,
    /// 1 − β₂.
    pub second: f64,
    /// 1/(1 − β₂ᵏ).
    pub debias: f64,
    /// ε.
    pub eps: f64,
    /// lr/(1 − β₁ᵏ).
    pub rate: f64,
    /// lr × weight decay.
    pub shrink: f64,
}
