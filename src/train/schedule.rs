//! Schedules of the learning rate.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Settings, at_least_one};

/// What the learning rate is multiplied with at each step, after the warm-up that every schedule shares.
pub trait Schedule: Debug + Send + Sync {
    /// The factor at step `k`, counted from 1.
    fn scale(&self, k: usize) -> f64;
}

/// The same learning rate throughout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {}

/// Half a cosine from 1 to `end` (Loshchilov & Hutter 2017, without restarts).
///
/// end + (1 − end) (1 + cos(π k/steps))/2, and `end` after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// The factor at the end.
    pub end: f64,
    /// The steps that it takes; as many as `train.steps` if absent. To train on with the same schedule, keep this and
    /// raise `train.steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub steps: Option<usize>,
}

/// 1/√max(k/reference, 1): constant at first, then falling for ever (Karras et al. 2024, EDM2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InverseSqrt {
    /// The step from which it falls.
    #[schemars(range(min = 1))]
    pub reference: usize,
}

impl Default for InverseSqrt {
    fn default() -> Self {
        InverseSqrt { reference: 1000 }
    }
}

impl Schedule for Constant {
    fn scale(&self, _k: usize) -> f64 {
        1.0
    }
}

impl Schedule for Cosine {
    fn scale(&self, k: usize) -> f64 {
        let steps = self.steps.expect("a plan knows the steps");
        let done = (k as f64 / steps as f64).min(1.0);
        self.end + (1.0 - self.end) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

impl Schedule for InverseSqrt {
    fn scale(&self, k: usize) -> f64 {
        (k as f64 / self.reference as f64).max(1.0).sqrt().recip()
    }
}

impl Settings for Constant {}

impl Settings for Cosine {
    fn check(&self) -> Result<(), Fault> {
        if !(0.0..=1.0).contains(&self.end) {
            return Err(Fault::new("end", format!("{} is not in [0, 1]", self.end), "0 ends at rest"));
        }
        self.steps.map_or(Ok(()), |steps| at_least_one("steps", steps))
    }
}

impl Settings for InverseSqrt {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("reference", self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_have_their_values() {
        let cosine = Cosine { end: 0.1, steps: Some(100) };
        for (k, expected) in [(50, 0.55), (100, 0.1), (1000, 0.1), (25, 0.1 + 0.45 * (1.0 + 0.5f64.sqrt()))] {
            assert!((cosine.scale(k) - expected).abs() < 1e-12);
        }
        let falling = InverseSqrt { reference: 100 };
        assert_eq!((falling.scale(1), falling.scale(100), falling.scale(400)), (1.0, 1.0, 0.5));
        assert_eq!(Constant {}.scale(7), 1.0);
    }
}
