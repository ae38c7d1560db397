//! The distance of samples from the solution that their solver approximates.

use ndarray::Axis;
use serde::{Deserialize, Serialize};

use super::{Estimate, Metric, Need, Question};
use crate::error::{Fault, Settings, positive};

/// The root mean square distance √(mean |x_i − x_i*|²) of each sample from where the probability-flow ODE of the same
/// model arrives that starts from the same x_T.
///
/// It is the discretisation error alone: the model's own errors are in both, and no other points are needed. The
/// solution x* is a Dormand–Prince run with float64 states under error control, over the same times; if the solver ends
/// with a step to σ = 0, so does x*, since that last step is no part of the discretisation. Solvers that draw noise
/// solve another equation and have no such error. Neither the evaluations nor the seconds of x* count as the solver's.
///
/// SE = √(Var |x − x*|²/N) / (2 RMS), by the delta method. Values below some ten times the tolerance, or below the
/// round-off of the precision in which the samples were computed, say no more than that they are so small.
///
/// Time O(N D), once x* is there; memory O(N D).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrajectoryError {
    /// The tolerance of x*, relative and absolute, in each step.
    pub tolerance: f64,
}

impl Default for TrajectoryError {
    fn default() -> Self {
        TrajectoryError { tolerance: 1e-7 }
    }
}

impl Settings for TrajectoryError {
    fn check(&self) -> Result<(), Fault> {
        positive("tolerance", self.tolerance)
    }
}

impl Metric for TrajectoryError {
    fn name(&self) -> &'static str {
        "trajectory_error"
    }

    fn label(&self) -> &'static str {
        "RMS trajectory error"
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Flow { tolerance: self.tolerance })
    }

    fn least(&self) -> usize {
        2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let flow = question.flow.expect("a question that holds the probability flow");
        let squares = (&question.x - &flow).map_axis(Axis(1), |gap| gap.dot(&gap));
        let Estimate { value, standard_error } = Estimate::mean(&squares);
        Estimate::root(value, standard_error * standard_error)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::super::tests::{Calibration, gaussian};
    use super::*;

    #[test]
    fn is_the_root_mean_square_distance_of_pairs() {
        let (x, flow) = (arr2(&[[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]]), arr2(&[[0.0, 0.0], [0.0, 0.0], [1.0, 2.0]]));
        let question = Question { flow: Some(flow.view()), ..Question::new(x.view(), x.view()) };
        let estimate = TrajectoryError::default().measure(&question);
        approx::assert_relative_eq!(estimate.value, (26.0f64 / 3.0).sqrt(), max_relative = 1e-14);
        let same = Question { flow: Some(x.view()), ..question };
        assert_eq!(TrajectoryError::default().measure(&same), Estimate { value: 0.0, standard_error: 0.0 });
    }

    #[test]
    fn is_calibrated() {
        let repeat = |seed| {
            let (x, gap) = (gaussian(2 * seed, 100, &[0.0; 3], 1.0), gaussian(2 * seed + 1, 100, &[0.1; 3], 0.2));
            let flow = &x + &gap;
            let question = Question { flow: Some(flow.view()), ..Question::new(x.view(), x.view()) };
            TrajectoryError::default().measure(&question)
        };
        let calibration = Calibration::of(400, repeat);
        calibration.assert_calibrated(0.9..1.1);
        // E |gap|² = 3 (0.01 + 0.04); the root of the mean is below by Var/(8 RMS³), a thousandth.
        assert!((calibration.mean / 0.15f64.sqrt() - 1.0).abs() < 0.01);
    }
}
