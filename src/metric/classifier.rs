//! A classifier that tries to tell samples from data.

use ndarray::{Array1, ArrayView2, Axis, concatenate, s};
use serde::{Deserialize, Serialize};

use super::neighbors::{Candidates, nearest};
use super::pairwise::Cloud;
use super::{Estimate, Metric, Question};
use crate::error::{Fault, Settings, at_least_one};

/// The classifier two-sample test (Lopez-Paz & Oquab, 2017): how much more often than by chance a k-nearest-neighbour
/// classifier tells a sample from a data point, accuracy − ½.
///
/// The even points of both samples train it, the odd ones test it. A test point is called a sample if among its k
/// nearest training points the share of samples exceeds that among all of them; ties count half. The accuracy is the
/// mean of that on samples and that on data, so that sizes may differ. If the laws agree its mean is exactly ½,
/// whatever the classifier; if they have no point in common it tends to 1. The value is at most the total variation
/// distance of the laws, halved, on average.
///
/// The standard error is that of the mean of independent test points for the classifier at hand,
/// √(Var_x/N' + Var_y/M')/2 over N' and M' test points: exact if the laws agree, and without the small share of
/// training if they differ. In units of the value, √(1/(2 (N + M))) when sizes are equal.
///
/// Deterministic, and no setting depends on the data; coordinates are taken as they are. Time O((N + M)² D), memory
/// O((N + M) (D + k)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Classifier {
    /// The number k of neighbours; the root of the number of training points if absent, as in the paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbors: Option<usize>,
}

impl Settings for Classifier {
    fn check(&self) -> Result<(), Fault> {
        self.neighbors.map_or(Ok(()), |neighbors| at_least_one("neighbors", neighbors))
    }
}

impl Metric for Classifier {
    fn name(&self) -> &'static str {
        "classifier"
    }

    fn label(&self) -> &'static str {
        "Classifier accuracy − ½"
    }

    /// Two test points of each kind, and as many training points as neighbours.
    fn least(&self) -> usize {
        self.neighbors.map_or(4, |neighbors| neighbors.max(4))
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data: y, .. } = *question;
        let (train_x, train_y) = (x.slice(s![..;2, ..]), y.slice(s![..;2, ..]));
        let train = concatenate![Axis(0), train_x, train_y];
        let centre = train.mean_axis(Axis(0)).expect("there are points");
        let cloud = Cloud::new(train.view(), &centre);
        let count = train.nrows();
        let k = self.neighbors.unwrap_or_else(|| (count as f64).sqrt().round() as usize);
        // Whether each point is called a sample: 1, 0, or ½ for a tie.
        let called = |points: ArrayView2<f64>| -> Array1<f64> {
            let neighbors = nearest(&Cloud::new(points, &centre), &cloud, k, Candidates::Others);
            let call = |list: &Vec<(f64, usize)>| {
                let samples = list.iter().filter(|&&(_, j)| j < train_x.nrows()).count();
                match (samples * count).cmp(&(train_x.nrows() * k)) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                }
            };
            neighbors.iter().map(call).collect()
        };
        let on_x = Estimate::mean(&called(x.slice(s![1..;2, ..])));
        let on_y = Estimate::mean(&called(y.slice(s![1..;2, ..])));
        Estimate {
            value: 0.5 * (on_x.value - on_y.value),
            standard_error: 0.5 * on_x.standard_error.hypot(on_y.standard_error),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use statrs::function::erf::erf;

    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        Classifier::default().distance(x.view(), y.view())
    }

    #[test]
    fn is_unbiased_and_calibrated_when_the_laws_agree() {
        for (n, m) in [(80, 80), (50, 130)] {
            let null =
                |seed| estimate(&gaussian(2 * seed, n, &[0.0; 2], 1.0), &gaussian(2 * seed + 1, m, &[0.0; 2], 1.0));
            let calibration = Calibration::of(500, null);
            calibration.assert_unbiased(0.0);
            calibration.assert_calibrated(0.9..1.1);
        }
    }

    #[test]
    fn approaches_half_the_total_variation() {
        // Half of TV(N(0, 1), N(1, 1)) = erf(1/√8): what the best classifier gains.
        let truth = 0.5 * erf(1.0 / 8f64.sqrt());
        let apart = |seed| estimate(&gaussian(2 * seed, 600, &[0.0], 1.0), &gaussian(2 * seed + 1, 600, &[1.0], 1.0));
        let calibration = Calibration::of(100, apart);
        calibration.assert_calibrated(0.8..1.15);
        // A good classifier, but not better than the best.
        assert!((0.88 * truth..truth).contains(&calibration.mean), "{} of {truth}", calibration.mean);
    }

    #[test]
    fn tells_all_points_of_laws_that_do_not_meet() {
        let (x, y) = (gaussian(1, 60, &[0.0; 4], 1.0), gaussian(2, 90, &[100.0; 4], 1.0));
        assert_eq!(estimate(&x, &y), Estimate { value: 0.5, standard_error: 0.0 });
    }

    #[test]
    fn sees_what_moments_do_not() {
        // A circle of radius √2 has the mean and the covariance of the standard Gaussian in the plane.
        let mut circle = gaussian(1, 1_000, &[0.0; 2], 1.0);
        for mut point in circle.rows_mut() {
            let norm = point.dot(&point).sqrt();
            point *= 2f64.sqrt() / norm;
        }
        let estimate = estimate(&circle, &gaussian(2, 1_000, &[0.0; 2], 1.0));
        assert!(estimate.value > 0.2 && estimate.standard_error < 0.02, "{estimate:?}");
    }

    #[test]
    fn refuses_to_ask_no_neighbour() {
        assert!(Classifier::default().check().is_ok());
        assert_eq!(Classifier { neighbors: Some(0) }.check().unwrap_err().key, "neighbors");
    }
}
