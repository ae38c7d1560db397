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
    /// Step `k` (from 1) on `theta` `[P]` in place, with learning rate `scale` × lr.
    pub fn step(&self, theta: &mut Tensor, gradient: &Tensor, moments: &mut Moments, k: usize, scale: f64) {
        let rate = self.lr * scale;
        // lerp(m, g, 1 − β) = β m + (1 − β) g.
        let _ = moments.first.lerp_(gradient, 1.0 - self.beta1);
        let _ = moments.second.lerp_(&gradient.square(), 1.0 - self.beta2);
        let correction = |beta: f64| 1.0 - beta.powi(k.min(i32::MAX as usize) as i32);
        let root = (&moments.second / correction(self.beta2)).sqrt_() + self.eps;
        if self.weight_decay > 0.0 {
            *theta *= 1.0 - rate * self.weight_decay;
        }
        let update = &moments.first / root * (rate / correction(self.beta1));
        *theta -= update;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the update written out for one number in f64.
    #[test]
    fn steps_follow_the_algorithm() {
        let adamw = AdamW { lr: 0.1, weight_decay: 0.01, ..AdamW::default() };
        let mut theta = Tensor::from_slice(&[1.0f64, -2.0]);
        let mut moments = Moments { first: theta.zeros_like(), second: theta.zeros_like() };
        let (mut p, mut m, mut v) = ([1.0f64, -2.0], [0.0f64; 2], [0.0f64; 2]);
        for k in 1..=20 {
            let g = p.map(|p| 2.0 * p + (k as f64).sin());
            adamw.step(&mut theta, &Tensor::from_slice(&g), &mut moments, k, 0.5);
            for i in 0..2 {
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
                let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(k as i32)), v[i] / (1.0 - 0.999f64.powi(k as i32)));
                p[i] -= 0.05 * (mh / (vh.sqrt() + 1e-8) + 0.01 * p[i]);
                assert!((theta.double_value(&[i as i64]) - p[i]).abs() < 1e-12);
            }
        }
    }
}
