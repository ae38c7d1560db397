//! The energy distance.

use serde::{Deserialize, Serialize};

use super::pairwise::{Kernel, discrepancy};
use super::{Estimate, Metric, Question};
use crate::error::Settings;

/// The energy distance, as an unbiased U-statistic (Székely & Rizzo, 2013).
///
/// E(P, Q) = 2 E|X − Y| − E|X − X'| − E|Y − Y'|, the squared MMD of the kernel −|x − y|; in one dimension
/// 2 ∫ (F − G)². No settings, and the units of the data. Being unbiased, the estimate may be negative when the laws
/// are close. Its standard error holds when they differ, and is at most somewhat too large when they agree (where the
/// estimate is not normal, but a weighted sum of centred χ²₁).
///
/// Time O((N + M)² D), memory O((N + M) D).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnergyDistance {}

impl Settings for EnergyDistance {}

impl Metric for EnergyDistance {
    fn name(&self) -> &'static str {
        "energy_distance"
    }

    fn label(&self) -> &'static str {
        "Energy distance"
    }

    fn least(&self) -> usize {
        4
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data: y, .. } = *question;
        discrepancy(&NegativeDistance, x, y)
    }
}

/// k(x, y) = −|x − y|.
struct NegativeDistance;

impl Kernel for NegativeDistance {
    fn evaluate(&self, squared_distances: &mut [f64]) {
        squared_distances.iter_mut().for_each(|v| *v = -v.sqrt());
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array2, ArrayView2};

    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        EnergyDistance {}.distance(x.view(), y.view())
    }

    /// Σᵢⱼ |xᵢ − yⱼ|, pair by pair.
    fn sum_of_distances(x: ArrayView2<f64>, y: ArrayView2<f64>) -> f64 {
        x.rows()
            .into_iter()
            .flat_map(|x| y.rows().into_iter().map(move |y| (&x - &y).mapv(|d| d * d).sum().sqrt()))
            .sum()
    }

    fn brute_force(x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        let (n, m) = (x.nrows() as f64, y.nrows() as f64);
        2.0 * sum_of_distances(x.view(), y.view()) / (n * m)
            - sum_of_distances(x.view(), x.view()) / (n * (n - 1.0))
            - sum_of_distances(y.view(), y.view()) / (m * (m - 1.0))
    }

    #[test]
    fn agrees_with_every_pair_one_by_one() {
        for d in [1, 2, 3, 8, 9, 64] {
            let (x, y) = (gaussian(1, 130, &vec![5.0; d], 1.0), gaussian(2, 257, &vec![5.5; d], 2.0));
            assert_relative_eq!(estimate(&x, &y).value, brute_force(&x, &y), max_relative = 1e-11);
        }
    }

    #[test]
    fn survives_duplicates_and_clusters_far_apart_in_high_dimension() {
        let mut x = gaussian(1, 40, &[0.0; 50], 1e-3);
        let mut y = gaussian(2, 40, &[0.0; 50], 1e-3);
        for mut row in x.rows_mut().into_iter().step_by(2).chain(y.rows_mut().into_iter().step_by(2)) {
            row += 1e5;
        }
        y.row_mut(3).assign(&x.row(5));
        // Both clusters hold half of each sample: the value is the difference of huge equal terms but for 1/N.
        assert_relative_eq!(estimate(&x, &y).value, brute_force(&x, &y), max_relative = 1e-9);
    }

    #[test]
    fn is_twice_the_area_between_the_squared_distribution_functions() {
        let (x, y) = (gaussian(1, 61, &[0.0], 1.0), gaussian(2, 83, &[0.5], 1.3));
        let (n, m) = (x.len() as f64, y.len() as f64);
        let mut points: Vec<_> = x.iter().map(|&x| (x, 1.0 / n)).chain(y.iter().map(|&y| (y, -1.0 / m))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut difference = 0.0;
        let mut area = 0.0;
        for pair in points.windows(2) {
            difference += pair[0].1;
            area += difference * difference * (pair[1].0 - pair[0].0);
        }
        // The integral is the V-statistic, which counts the zero distance of each point from itself.
        let self_x = sum_of_distances(x.view(), x.view()) / (n * n * (n - 1.0));
        let self_y = sum_of_distances(y.view(), y.view()) / (m * m * (m - 1.0));
        assert_relative_eq!(estimate(&x, &y).value, 2.0 * area - self_x - self_y, max_relative = 1e-11);
    }

    #[test]
    fn approaches_its_closed_form_between_gaussians() {
        // E|Z| = √(2/π) s for Z ~ N(0, s²): for N(0, 1) and N(0, 4), 2 √5 − √2 − √8 of it.
        let truth = (2.0 / std::f64::consts::PI).sqrt() * (2.0 * 5f64.sqrt() - 2f64.sqrt() - 8f64.sqrt());
        let estimate = estimate(&gaussian(1, 4_000, &[0.0], 1.0), &gaussian(2, 3_000, &[0.0], 2.0));
        assert!((estimate.value - truth).abs() < 3.0 * estimate.standard_error, "{estimate:?} is not {truth}");
        assert!(estimate.standard_error < 0.1 * truth);
    }

    #[test]
    fn is_unbiased_and_calibrated_when_the_laws_agree() {
        let null =
            |seed| estimate(&gaussian(2 * seed, 50, &[0.0; 2], 1.0), &gaussian(2 * seed + 1, 80, &[0.0; 2], 1.0));
        let calibration = Calibration::of(500, null);
        calibration.assert_unbiased(0.0);
        // Too large rather than too small: see `discrepancy`.
        calibration.assert_calibrated(0.95..1.4);
    }

    #[test]
    fn is_calibrated_when_the_laws_differ() {
        let apart =
            |seed| estimate(&gaussian(2 * seed, 60, &[0.0; 3], 1.0), &gaussian(2 * seed + 1, 90, &[0.6; 3], 1.5));
        Calibration::of(300, apart).assert_calibrated(0.85..1.15);
    }
}
