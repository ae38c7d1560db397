//! The Wasserstein distance between Gaussians with the moments of samples and of data.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::{Estimate, Metric, Moments, Question};
use crate::error::Settings;
use crate::tensor;

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
                let there = Transport::new(&of_samples, of_data);
                Estimate::root(there.cost, there.variance(x))
            }
            None => {
                let of_data = Moments::of_points(data);
                let (there, back) = (Transport::new(&of_samples, &of_data), Transport::new(&of_data, &of_samples));
                Estimate::root(0.5 * (there.cost + back.cost), there.variance(x) + back.variance(data))
            }
        }
    }
}

/// The optimal transport between two Gaussians.
struct Transport {
    /// W₂².
    cost: f64,
    /// m₁ `[D]`.
    mean: Array1<f64>,
    /// m₁ − m₂ `[D]`.
    shift: Array1<f64>,
    /// I − A `[D, D]`, with A = C₂^{½} (C₂^{½} C₁ C₂^{½})^{−½} C₂^{½} the linear part of the map.
    shrink: Array2<f64>,
}

impl Transport {
    fn new(from: &Moments, to: &Moments) -> Self {
        let root = Spectrum::new(&to.covariance).map(f64::sqrt);
        let middle = Spectrum::new(&root.dot(&from.covariance).dot(&root));
        let shift = &from.mean - &to.mean;
        let trace = from.covariance.diag().sum() + to.covariance.diag().sum();
        // Round-off may leave a little less than nothing.
        let bures = (trace - 2.0 * middle.values.mapv(f64::sqrt).sum()).max(0.0);
        // Directions in which neither spreads are not moved: the pseudo-inverse.
        let least = middle.values.iter().fold(0.0, |largest: f64, &value| largest.max(value)) * 1e-14;
        let inverse_root = middle.map(|value| if value > least { 1.0 / value.sqrt() } else { 0.0 });
        let map = root.dot(&inverse_root).dot(&root);
        Transport {
            cost: shift.dot(&shift) + bures,
            mean: from.mean.clone(),
            shift,
            shrink: Array2::eye(root.nrows()) - map,
        }
    }

    /// The variance of W₂² from that of the moments of `points` `[N, D]`, which are those of the first Gaussian.
    fn variance(&self, points: ArrayView2<f64>) -> f64 {
        let influence = points.map_axis(Axis(1), |point: ArrayView1<f64>| {
            let centred = &point - &self.mean;
            2.0 * self.shift.dot(&centred) + centred.dot(&self.shrink.dot(&centred))
        });
        influence.var(1.0) / points.nrows() as f64
    }
}

/// The eigenvalues, at least zero, and the eigenvectors of a positive semi-definite matrix.
struct Spectrum {
    /// `[D]`
    values: Array1<f64>,
    /// `[D, D]`, in columns.
    vectors: Array2<f64>,
}

impl Spectrum {
    fn new(matrix: &Array2<f64>) -> Self {
        let dim = matrix.nrows();
        // Exactly symmetric, since only one triangle is read.
        let symmetric = (matrix + &matrix.t()) * 0.5;
        let size = [dim as i64, dim as i64];
        let tensor = tensor::from_f64(symmetric.iter().copied().collect(), &size, (Kind::Double, Device::Cpu));
        let (values, vectors) = tensor.linalg_eigh("L");
        let values = tensor::to_rows(&values.unsqueeze(0)).row(0).mapv(|value| value.max(0.0));
        Spectrum { values, vectors: tensor::to_rows(&vectors) }
    }

    /// The matrix with the same eigenvectors and mapped eigenvalues.
    fn map(&self, f: impl FnMut(f64) -> f64) -> Array2<f64> {
        (&self.vectors * &self.values.mapv(f)).dot(&self.vectors.t())
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{arr1, arr2};

    use super::super::Truth;
    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        GaussianWasserstein {}.distance(x.view(), y.view())
    }

    fn against(x: &Array2<f64>, moments: Moments) -> Estimate {
        let truth = Truth { moments: Some(moments), ..Truth::default() };
        GaussianWasserstein {}.measure(&Question { truth: &truth, ..Question::new(x.view(), x.view()) })
    }

    fn moments(mean: [f64; 2], covariance: [[f64; 2]; 2]) -> Moments {
        Moments { mean: arr1(&mean), covariance: arr2(&covariance) }
    }

    #[test]
    fn is_its_closed_form_in_the_plane() {
        // tr √(C₂^{½} C₁ C₂^{½}) = √(tr C₁C₂ + 2 √(det C₁ det C₂)) for 2 × 2 matrices.
        let (a, b) = (moments([1.0, 2.0], [[2.0, 0.8], [0.8, 1.0]]), moments([0.5, -1.0], [[0.5, -0.3], [-0.3, 3.0]]));
        let det = |c: &Array2<f64>| c[[0, 0]] * c[[1, 1]] - c[[0, 1]] * c[[1, 0]];
        let (product, det) = (a.covariance.dot(&b.covariance).diag().sum(), det(&a.covariance) * det(&b.covariance));
        let truth = 0.25 + 9.0 + 3.0 + 3.5 - 2.0 * (product + 2.0 * det.sqrt()).sqrt();
        let transport = Transport::new(&a, &b);
        assert_relative_eq!(transport.cost, truth, max_relative = 1e-13);
        assert_relative_eq!(Transport::new(&b, &a).cost, truth, max_relative = 1e-13);
        // The map carries one covariance to the other.
        let map = Array2::eye(2) - &transport.shrink;
        assert!((map.dot(&a.covariance).dot(&map.t()) - &b.covariance).iter().all(|gap| gap.abs() < 1e-12));
    }

    #[test]
    fn adds_up_over_common_axes_in_any_dimension() {
        for dim in [1, 3, 30] {
            let mean = |shift: f64| Array1::from_shape_fn(dim, |d| shift * d as f64);
            let deviations = |rate: f64| Array1::from_shape_fn(dim, |d| (-rate * d as f64).exp());
            let law = |shift, rate| Moments {
                mean: mean(shift),
                covariance: Array2::from_diag(&deviations(rate).mapv(|s: f64| s * s)),
            };
            let gap = (deviations(0.1) - deviations(0.3)).mapv(|gap| gap * gap).sum();
            let truth = (mean(0.2) - mean(0.25)).mapv(|gap| gap * gap).sum() + gap;
            assert_relative_eq!(
                Transport::new(&law(0.2, 0.1), &law(0.25, 0.3)).cost,
                truth,
                max_relative = 1e-10,
                epsilon = 1e-13
            );
        }
    }

    #[test]
    fn survives_flat_directions() {
        let flat = moments([0.0, 0.0], [[1.0, 0.0], [0.0, 0.0]]);
        let wide = moments([0.0, 0.0], [[4.0, 0.0], [0.0, 9.0]]);
        assert_relative_eq!(Transport::new(&flat, &wide).cost, 10.0, max_relative = 1e-7);
        assert_relative_eq!(Transport::new(&wide, &flat).cost, 10.0, max_relative = 1e-7);
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
