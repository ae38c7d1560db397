//! The log-density of samples under the law of the data.

use serde::{Deserialize, Serialize};

use super::{Best, Estimate, Metric, Need, Question};
use crate::error::Settings;

/// How much more probable samples are than data: mean ln p(x) − mean ln p(y) in nats, p the density of the data.
///
/// Zero for a perfect sampler, and only then meaningful with others beside it: below zero samples lie where data are
/// rare, above zero they crowd where data are frequent (as samplers do that denoise too much). Without bias; a sample
/// outside the support makes it −∞. SE = √(Var ln p(X)/N + Var ln p(Y)/M).
///
/// Time: one evaluation of ln p for each point of both; memory O(N + M).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogDensity {}

impl Settings for LogDensity {}

impl Metric for LogDensity {
    fn name(&self) -> &'static str {
        "log_density"
    }

    fn label(&self) -> &'static str {
        "Excess log-density"
    }

    fn best(&self) -> Best {
        Best::Zero
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Density)
    }

    fn least(&self) -> usize {
        2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let density = question.truth.density.as_ref().expect("a question that holds the density");
        let (x, y) = (Estimate::mean(&density(question.x)), Estimate::mean(&density(question.data)));
        Estimate { value: x.value - y.value, standard_error: x.standard_error.hypot(y.standard_error) }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::Truth;
    use super::super::tests::{Calibration, gaussian};
    use super::*;

    /// Against N(0, 1) on the line, up to a constant that cancels.
    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        let truth = Truth { density: Some(Box::new(|x| x.column(0).mapv(|x| -0.5 * x * x))), ..Truth::default() };
        LogDensity {}.measure(&Question { truth: &truth, ..Question::new(x.view(), y.view()) })
    }

    #[test]
    fn is_unbiased_and_calibrated() {
        for (mean, scale) in [(0.0, 1.0), (0.5, 1.0), (0.0, 0.6)] {
            let repeat =
                |seed| estimate(&gaussian(2 * seed, 60, &[mean], scale), &gaussian(2 * seed + 1, 90, &[0.0], 1.0));
            let calibration = Calibration::of(500, repeat);
            // E ln p changes by ½ (1 − scale² − mean²).
            calibration.assert_unbiased(0.5 * (1.0 - scale * scale - mean * mean));
            calibration.assert_calibrated(0.9..1.1);
        }
    }

    #[test]
    fn is_minus_infinity_where_there_are_no_data() {
        let density = |x: ndarray::ArrayView2<f64>| x.column(0).mapv(|x| if x > 0.0 { 0.0 } else { f64::NEG_INFINITY });
        let truth = Truth { density: Some(Box::new(density)), ..Truth::default() };
        let (x, y) = (gaussian(1, 20, &[0.0], 1.0), Array2::ones((20, 1)));
        let estimate = LogDensity {}.measure(&Question { truth: &truth, ..Question::new(x.view(), y.view()) });
        assert!(estimate.value == f64::NEG_INFINITY && estimate.standard_error.is_nan());
    }
}
