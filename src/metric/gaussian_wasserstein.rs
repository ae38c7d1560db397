//! The Wasserstein distance between Gaussians with the moments of samples and of data.

use serde::{Deserialize, Serialize};

use super::gaussian_transport::{Side, Transport};
use super::{Estimate, Metric, Moments, Question};
use crate::error::Settings;

/// The Wasserstein distance of order two between the Gaussian with the mean and covariance of the samples and the one
/// with those of the data: the root of the Fréchet distance (Dowson & Landau, 1982), on raw coordinates.
///
/// W₂² = |m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₂^{½} C₁ C₂^{½})^{½}), where the trace is the squared Bures distance. It sees
/// the first two moments alone; between two laws with these moments it is the least that W₂ can be (Gelbrich, 1990).
/// Where the law of the data is known in closed form its exact moments serve, Gaussian or not; otherwise those of the
/// reference data.
///
/// Fitted moments make the square biased upwards by O(1/N + 1/M). The standard error is the delta method's
/// (Rippl, Munk & Sturm, 2016): with the optimal map x ↦ m₂ + A (x − m₁), a sample x moves W₂² by
/// 2 (m₁ − m₂)·(x − m₁) + (x − m₁)ᵀ (I − A) (x − m₁), and likewise a reference point if there are any in it. It holds
/// for laws of any form whose moments differ, and is unreliable when these agree or nearly so, where the value is all
/// bias.
///
/// Time O((N + M) D² + D³), memory O((N + M) D + D²).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianWasserstein {}

impl Settings for GaussianWasserstein {}

impl Metric for GaussianWasserstein {
    fn name(&self) -> &'static str {
        "gaussian_wasserstein"
    }

    fn label(&self) -> &'static str {
        "Gaussian W₂"
    }

    fn least(&self) -> usize {
        2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data, truth, .. } = *question;
        let of_samples = Moments::of_points(x);
        match &truth.moments {
            Some(of_data) => {
                let transport = Transport::new(&of_samples, of_data);
                Estimate::root(transport.cost, transport.variance(Side::From, x))
            }
            None => {
                let transport = Transport::new(&of_samples, &Moments::of_points(data));
                let variance = transport.variance(Side::From, x) + transport.variance(Side::To, data);
                Estimate::root(transport.cost, variance)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array2, Axis, arr1, arr2};

    use super::super::Truth;
    use super::super::tests::{Calibration, gaussian};
    use super::super::truth::tests::moments;
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        GaussianWasserstein {}.distance(x.view(), y.view())
    }

    fn against(x: &Array2<f64>, moments: Moments) -> Estimate {
        let truth = Truth { moments: Some(moments), ..Truth::default() };
        GaussianWasserstein {}.measure(&Question { truth: &truth, ..Question::new(x.view(), x.view()) })
    }

    #[test]
    fn survives_flat_directions() {
        let x = gaussian(1, 100, &[0.0], 1.0);
        let line = ndarray::concatenate![Axis(1), x, &x * 2.0];
        let estimate = estimate(&line, &(&line + 1.0));
        assert_relative_eq!(estimate.value, 2f64.sqrt(), max_relative = 1e-6);
        assert!(estimate.standard_error.is_finite());
    }

    #[test]
    fn a_shift_and_a_scale_of_a_sample_are_what_they_are() {
        let x = gaussian(1, 101, &[0.0; 3], 1.0);
        assert_relative_eq!(estimate(&x, &(&x + 3.0)).value, 3.0 * 3f64.sqrt(), max_relative = 1e-10);
        let spread = Moments::of_points(x.view());
        let truth = (spread.covariance.diag().sum() + spread.mean.dot(&spread.mean)).sqrt();
        assert_relative_eq!(estimate(&x, &(&x * 2.0)).value, truth, max_relative = 1e-10);
    }

    #[test]
    fn is_calibrated_when_the_laws_differ() {
        let two = |seed| {
            estimate(&gaussian(2 * seed, 150, &[0.0; 3], 1.0), &gaussian(2 * seed + 1, 250, &[1.0, 0.0, 0.0], 2.0))
        };
        // √(1 + 3), and a bias: the means alone add 3/150 + 12/250 to the square.
        let calibration = Calibration::of(300, two);
        calibration.assert_calibrated(0.9..1.1);
        assert!((2.0..2.06).contains(&calibration.mean), "{}", calibration.mean);
        let known = |seed| against(&gaussian(seed, 200, &[0.0; 2], 1.0), moments([1.0, 0.5], [[2.0, 0.5], [0.5, 1.0]]));
        Calibration::of(300, known).assert_calibrated(0.9..1.1);
    }

    #[test]
    fn holds_for_laws_that_are_no_gaussians() {
        // Exponential minus one against N(0, 4): the variance of the variance is 8 rather than 2.
        let skewed = |seed| {
            let uniform = |z: f64| 0.5 * statrs::function::erf::erfc(z / std::f64::consts::SQRT_2);
            let x = gaussian(seed, 400, &[0.0], 1.0).mapv(|z| -uniform(z).ln() - 1.0);
            against(&x, Moments { mean: arr1(&[0.0]), covariance: arr2(&[[4.0]]) })
        };
        let calibration = Calibration::of(400, skewed);
        calibration.assert_calibrated(0.85..1.15);
        assert!((calibration.mean - 1.0).abs() < 0.02);
    }

    #[test]
    fn exact_moments_lower_the_floor() {
        // E W₂² ≈ tr(C)/N for the mean alone, and as much again from the covariance: half of that with two samples.
        let known = |seed| against(&gaussian(seed, 500, &[0.0; 2], 1.0), moments([0.0; 2], [[1.0, 0.0], [0.0, 1.0]]));
        let fitted =
            |seed| estimate(&gaussian(2 * seed, 500, &[0.0; 2], 1.0), &gaussian(2 * seed + 1, 500, &[0.0; 2], 1.0));
        let (known, fitted) = (Calibration::of(200, known), Calibration::of(200, fitted));
        let ratio = fitted.mean / known.mean;
        assert!((ratio - 2f64.sqrt()).abs() < 0.15, "{ratio}");
    }
}
