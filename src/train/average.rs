//! Moving averages of the parameters, θ̄ ← θ̄ + (1 − β_k) (θ − θ̄) after step k.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Fault, Settings, positive};

/// A moving average by its decay.
pub trait Averaging: Debug + Send + Sync {
    /// β_k, the weight of the past at step `k`, counted from 1.
    fn decay(&self, k: usize) -> f64;
}

/// An exponential moving average by its half-life in steps, which starts short (Karras et al. 2022, EMA warm-up).
///
/// β_k = 2^{−1/h} with h = min(half-life, 0.05 k).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HalfLife(
    /// Steps after which a parameter's weight has halved.
    pub f64,
);

impl Default for HalfLife {
    fn default() -> Self {
        HalfLife(500.0)
    }
}

impl Averaging for HalfLife {
    fn decay(&self, k: usize) -> f64 {
        (-1.0 / self.0.min(0.05 * k as f64)).exp2()
    }
}

impl Settings for HalfLife {
    fn check(&self) -> Result<(), Fault> {
        positive("", self.0)
    }
}

/// A power-function average, whose profile grows with the training: the weight of step s at step k is ∝ s^γ
/// (Karras et al. 2024, EDM2, Sec. 3).
///
/// β_k = (1 − 1/k)^{γ+1}. The relative width of the profile determines γ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Power {
    /// The standard deviation of the profile relative to the length of the training (EDM2's σ_rel), such as 0.05.
    pub std: f64,
}

impl Default for Power {
    fn default() -> Self {
        Power { std: 0.1 }
    }
}

/// The relative width of a uniform profile, γ = 0.
const WIDEST: f64 = 0.288_675_134_594_812_9;

impl Power {
    /// γ, the positive root of std² = (γ + 1)/((γ + 2)² (γ + 3)).
    pub fn exponent(&self) -> f64 {
        let variance = |gamma: f64| (gamma + 1.0) / ((gamma + 2.0).powi(2) * (gamma + 3.0));
        // The width falls with γ, and below 1/γ.
        let (mut low, mut high) = (0.0, 1.0 / self.std);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if variance(middle) > self.std * self.std { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

impl Averaging for Power {
    fn decay(&self, k: usize) -> f64 {
        (1.0 - 1.0 / k as f64).powf(self.exponent() + 1.0)
    }
}

impl Settings for Power {
    fn check(&self) -> Result<(), Fault> {
        if self.std >= 1e-4 && self.std < WIDEST {
            return Ok(());
        }
        let problem =
            format!("{} is not in [0.0001, {WIDEST:.4}), the widths that a power function can have", self.std);
        Err(Fault::new("std", problem, "usual values are 0.05 and 0.1"))
    }
}

/// A saved power-function average: when it was saved, and its γ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// The step at which it was saved.
    pub step: f64,
    /// γ.
    pub exponent: f64,
}

impl Profile {
    /// ∫ p_i p_j of two profiles p(s) = (γ + 1) s^γ/t^{γ+1} on [0, t] (EDM2, Eq. 126).
    fn product(self, other: Profile) -> f64 {
        let (early, late) = if self.step < other.step { (self, other) } else { (other, self) };
        let (a, b) = (early.exponent, late.exponent);
        (a + 1.0) * (b + 1.0) * (early.step / late.step).powf(b) / ((a + b + 1.0) * late.step)
    }
}

/// The coefficients with which saved averages sum to the average of another profile: the least-squares approximation of
/// its profile by theirs, made to sum to one (EDM2, Algorithm 3).
pub fn reconstruct(saved: &[Profile], wanted: Profile) -> Vec<f64> {
    let n = saved.len() as i64;
    let gram: Vec<f64> = saved.iter().flat_map(|a| saved.iter().map(|b| a.product(*b))).collect();
    let target: Vec<f64> = saved.iter().map(|a| a.product(wanted)).collect();
    // Neighbouring profiles are almost alike: the singular value decomposition drops what round-off would amplify.
    let (solution, ..) =
        Tensor::from_slice(&gram).view([n, n]).linalg_lstsq(&Tensor::from_slice(&target).view([n, 1]), 1e-13, "gelsd");
    let solution = solution.view(-1);
    let sum = solution.sum(solution.kind());
    crate::tensor::to_array(&(solution / sum)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_loses_half_its_weight_in_a_half_life() {
        let ema = HalfLife(30.0);
        let weight: f64 = (0..30).map(|k| ema.decay(10_000 + k)).product();
        assert!((weight - 0.5).abs() < 1e-12);
    }

    /// The weights of the steps, from the update itself.
    fn weights(average: &dyn Averaging, steps: usize) -> Vec<f64> {
        let mut weights = vec![0.0; steps];
        for k in 1..=steps {
            let decay = average.decay(k);
            weights[..k].iter_mut().for_each(|weight| *weight *= decay);
            weights[k - 1] += 1.0 - decay;
        }
        weights
    }

    #[test]
    fn power_profiles_have_their_width() {
        for std in [0.02, 0.05, 0.1, 0.2] {
            let steps = 4000;
            let weights = weights(&Power { std }, steps);
            let moment =
                |p: i32| weights.iter().enumerate().map(|(s, w)| w * (s as f64 / steps as f64).powi(p)).sum::<f64>();
            assert!((moment(0) - 1.0).abs() < 1e-12);
            let width = (moment(2) - moment(1).powi(2)).sqrt();
            assert!((width / std - 1.0).abs() < 2e-3, "{std}: {width}");
        }
        // EDM2's Table: σ_rel = 0.05 and 0.10 are γ = 16.97 and 6.94.
        assert!((Power { std: 0.05 }.exponent() - 16.97).abs() < 0.01);
        assert!((Power { std: 0.10 }.exponent() - 6.94).abs() < 0.01);
    }

    #[test]
    fn products_of_profiles_are_their_integrals() {
        for (a, b) in [((40.0, 3.0), (100.0, 16.97)), ((100.0, 16.97), (40.0, 3.0)), ((70.0, 6.94), (70.0, 6.94))] {
            let [a, b] = [a, b].map(|(step, exponent)| Profile { step, exponent });
            let value = |p: Profile, s: f64| {
                if s > p.step { 0.0 } else { (p.exponent + 1.0) * (s / p.step).powf(p.exponent) / p.step }
            };
            let n = 400_000;
            let width = 100.0 / f64::from(n);
            let sum: f64 =
                (0..n).map(|i| (f64::from(i) + 0.5) * width).map(|s| value(a, s) * value(b, s) * width).sum();
            assert!((a.product(b) / sum - 1.0).abs() < 1e-4, "{} {sum}", a.product(b));
        }
    }

    /// From two averages saved every hundred steps, the profile of a third between them.
    #[test]
    fn saved_profiles_sum_to_another() {
        let steps = 4000;
        let kept = [Power { std: 0.05 }, Power { std: 0.1 }];
        let (mut saved, mut profiles) = (Vec::new(), Vec::new());
        for average in kept {
            for step in (100..=steps).step_by(100) {
                saved.push(Profile { step: step as f64, exponent: average.exponent() });
                let mut weights = weights(&average, step);
                weights.resize(steps, 0.0);
                profiles.push(weights);
            }
        }
        for std in [0.06, 0.075, 0.12, 0.15] {
            let wanted = Power { std };
            let x = reconstruct(&saved, Profile { step: steps as f64, exponent: wanted.exponent() });
            let target = weights(&wanted, steps);
            let off = |s: usize| x.iter().zip(&profiles).map(|(x, p)| x * p[s]).sum::<f64>() - target[s];
            let error = (0..steps).map(|s| off(s).powi(2)).sum::<f64>().sqrt();
            let norm = target.iter().map(|w| w * w).sum::<f64>().sqrt();
            println!("σ_rel = {std}: relative error {:.2e}", error / norm);
            assert!(error / norm < 2e-2, "σ_rel = {std}: {:.2e}", error / norm);
        }
    }
}
