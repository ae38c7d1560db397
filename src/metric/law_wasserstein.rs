//! The Wasserstein distance between the laws of what a solver makes and of what it should, without samples.

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::{Estimate, Metric, Need, Question};
use crate::error::Settings;

/// The Wasserstein distance of order two between the exact law of a solver's output and that of the data, both Gaussian
/// (Pierret & Galerne 2025).
///
/// On Gaussian data with the exact score, a solver with given steps is a linear map of its normals, so that its output is a
/// Gaussian whose covariance has the axes of the data's: W₂² = |m₁ − m₂|² + Σ_i (√λ₁ᵢ − √λ₂ᵢ)². There are no samples in
/// it and no standard error, and repeats are all alike: one suffices. Solvers under error control and correctors with a
/// step size from norms are not linear and have no such distance.
///
/// Time that of a run of M + 3 samples in float64 for M draws of noise in D dimensions; memory O(M) a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LawWasserstein {
    /// Where the solver starts.
    pub start: Start,
    /// What it is compared with.
    pub target: Target,
}

/// The law of x_T.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The prior, as samplers have it.
    #[default]
    Prior,
    /// The marginal of the data at t_max, which leaves the error of the prior out.
    Marginal,
}

/// The law that the output should have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// That of the data.
    #[default]
    Data,
    /// The marginal at the last time, which leaves the error of stopping there out.
    Marginal,
}

/// A Gaussian with independent coordinates: its mean and its standard deviations, `[D]` each.
#[derive(Clone, Debug)]
pub struct Diagonal {
    /// The mean.
    pub mean: Array1<f64>,
    /// The standard deviations.
    pub deviation: Array1<f64>,
}

impl Settings for LawWasserstein {}

impl Metric for LawWasserstein {
    fn name(&self) -> &'static str {
        "law_wasserstein"
    }

    fn label(&self) -> &'static str {
        "W₂ of the laws"
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Laws { start: self.start, target: self.target })
    }

    fn least(&self) -> usize {
        1
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let [made, wanted] = question.laws.expect("a question that holds the laws");
        let square = |x: Array1<f64>| x.dot(&x);
        let cost = square(&made.mean - &wanted.mean) + square(&made.deviation - &wanted.deviation);
        Estimate { value: cost.sqrt(), standard_error: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{arr1, arr2};

    use super::*;

    #[test]
    fn is_the_closed_form() {
        let made = Diagonal { mean: arr1(&[1.0, 0.0]), deviation: arr1(&[2.0, 0.5]) };
        let wanted = Diagonal { mean: arr1(&[0.0, 2.0]), deviation: arr1(&[1.0, 0.5]) };
        let points = arr2(&[[0.0, 0.0]]);
        let question = Question { laws: Some([&made, &wanted]), ..Question::new(points.view(), points.view()) };
        let metric = LawWasserstein::default();
        assert!(question.has(metric.needs().unwrap()));
        assert_relative_eq!(metric.measure(&question).value, 6.0f64.sqrt());
    }
}
