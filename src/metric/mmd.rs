//! The maximum mean discrepancy with a Gaussian kernel.

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::pairwise::{Cloud, Kernel, discrepancy};
use super::{Estimate, Metric, Question};
use crate::error::{Fault, Settings, positive};

/// How many points of the reference the median heuristic looks at.
const MEDIAN_POINTS: usize = 1_000;

/// The squared maximum mean discrepancy with a Gaussian kernel, as an unbiased U-statistic
/// (Gretton, Borgwardt, Rasch, Schölkopf & Smola, 2012, lemma 6).
///
/// MMD² = E k(X, X') + E k(Y, Y') − 2 E k(X, Y) with k(x, y) = exp(−|x − y|²/(2h²)). The value is MMD² itself, not its
/// root: being unbiased, it may be negative when the laws are close. Its standard error holds when they differ, and
/// is at most somewhat too large when they agree (where the estimate is not normal, but a weighted sum of centred χ²₁);
/// it takes the bandwidth as given.
///
/// Time O((N + M)² D), memory O((N + M) D).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mmd {
    /// The bandwidth h of the kernel; without one, [`Mmd::bandwidth_for`] the reference.
    pub bandwidth: Option<f64>,
}

impl Mmd {
    /// The bandwidth against the reference `y` `[M, D]`: as set, or else the median of |y − y'| over distinct points
    /// (Gretton et al., 2012).
    ///
    /// It looks at no more than 1,000 points of `y`, evenly spaced in order, and never at the samples: all that is
    /// compared with one reference is measured with one kernel.
    pub fn bandwidth_for(&self, y: ArrayView2<f64>) -> f64 {
        self.bandwidth.unwrap_or_else(|| median_distance(y))
    }
}

impl Settings for Mmd {
    fn check(&self) -> Result<(), Fault> {
        self.bandwidth.map_or(Ok(()), |bandwidth| positive("bandwidth", bandwidth))
    }
}

impl Metric for Mmd {
    fn name(&self) -> &'static str {
        "mmd"
    }

    fn label(&self) -> &'static str {
        "MMD²"
    }

    fn least(&self) -> usize {
        4
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data: y, .. } = *question;
        let bandwidth = self.bandwidth_for(y);
        discrepancy(&Gaussian { rate: -0.5 / (bandwidth * bandwidth) }, x, y)
    }
}

/// The median of the positive distances in an evenly spaced subsample of `y`; 1 if there are none, when any will do.
fn median_distance(y: ArrayView2<f64>) -> f64 {
    let n = y.nrows().min(MEDIAN_POINTS);
    let chosen: Vec<_> = (0..n).map(|i| i * y.nrows() / n).collect();
    let sample = y.select(Axis(0), &chosen);
    let cloud = Cloud::new(sample.view(), &(sample.sum_axis(Axis(0)) / n as f64));
    let mut squares = vec![0.0; n * n];
    cloud.squared_distances(0..n, &cloud, 0..n, &mut squares);
    // Each pair is there twice, which does not move the median.
    squares.retain(|&square| square > 0.0);
    if squares.is_empty() {
        return 1.0;
    }
    let middle = squares.len() / 2;
    squares.select_nth_unstable_by(middle, f64::total_cmp).1.sqrt()
}

/// k = exp(rate · |x − y|²), rate = −1/(2h²).
struct Gaussian {
    rate: f64,
}

impl Kernel for Gaussian {
    fn evaluate(&self, squared_distances: &mut [f64]) {
        squared_distances.iter_mut().for_each(|v| *v = exp(self.rate * *v));
    }
}

/// eˢ for s ≤ 0, to a few units in the last place and without a branch or a call, so that loops over it vectorise.
///
/// eˢ = 2ⁿ eʳ with n = round(s / ln 2) and |r| ≤ ½ ln 2 (Cody & Waite, 1980), eʳ by its Taylor polynomial of degree 12,
/// whose remainder is below 2⁻⁵². Below the smallest normal number it stays there.
#[inline(always)]
fn exp(s: f64) -> f64 {
    // Adding 1.5 · 2⁵² rounds to a whole number and leaves it in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts: the first ends in zeros, so that its product with n is exact.
    const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const TAYLOR: [f64; 13] = {
        let mut coefficients = [1.0; 13];
        let mut k = 1;
        while k < coefficients.len() {
            coefficients[k] = coefficients[k - 1] / k as f64;
            k += 1;
        }
        coefficients
    };
    // A comparison rather than `f64::max`, which would turn NaN into a number.
    let s = if s < -708.0 { -708.0 } else { s };
    let shifted = s * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (s - n * LN_2_HIGH) - n * LN_2_LOW;
    let power = TAYLOR.iter().rev().fold(0.0, |sum, coefficient| sum * r + coefficient);
    power * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52))
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array2, arr2};

    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(bandwidth: f64, x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        Mmd { bandwidth: Some(bandwidth) }.distance(x.view(), y.view())
    }

    /// The kernel matrix `[N, M]`, pair by pair.
    fn kernel(h: f64, x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
        Array2::from_shape_fn((x.nrows(), y.nrows()), |(i, j)| {
            (-(&x.row(i) - &y.row(j)).mapv(|d| d * d).sum() / (2.0 * h * h)).exp()
        })
    }

    /// The mean of a kernel matrix without its diagonal.
    fn mean_off_diagonal(k: &Array2<f64>) -> f64 {
        let n = k.nrows() as f64;
        (k.sum() - k.diag().sum()) / (n * (n - 1.0))
    }

    #[test]
    fn agrees_with_every_pair_one_by_one() {
        for d in [1, 2, 3, 8, 9, 64] {
            let h = (d as f64).sqrt();
            let (x, y) = (gaussian(1, 130, &vec![5.0; d], 1.0), gaussian(2, 257, &vec![5.3; d], 1.2));
            let within = mean_off_diagonal(&kernel(h, &x, &x)) + mean_off_diagonal(&kernel(h, &y, &y));
            let direct = within - 2.0 * kernel(h, &x, &y).mean().unwrap();
            assert_relative_eq!(estimate(h, &x, &y).value, direct, epsilon = 1e-13);
        }
    }

    #[test]
    fn approaches_its_closed_form_between_gaussians() {
        // E k(X, Y) = h/√(h² + 2) exp(−(μ − ν)²/(2(h² + 2))) for N(μ, 1) and N(ν, 1).
        let (h, shift) = (0.8f64, 0.5f64);
        let v = h * h + 2.0;
        let truth = 2.0 * h / v.sqrt() * (1.0 - (-shift * shift / (2.0 * v)).exp());
        let estimate = estimate(h, &gaussian(1, 4_000, &[1.0], 1.0), &gaussian(2, 3_000, &[1.0 + shift], 1.0));
        assert!((estimate.value - truth).abs() < 3.0 * estimate.standard_error, "{estimate:?} is not {truth}");
        assert!(estimate.standard_error < 0.15 * truth);
    }

    #[test]
    fn is_unbiased_and_calibrated_when_the_laws_agree() {
        let sample = |seed, n| gaussian(seed, n, &[0.0; 2], 1.0);
        let calibration = Calibration::of(500, |seed| estimate(1.0, &sample(2 * seed, 50), &sample(2 * seed + 1, 80)));
        calibration.assert_unbiased(0.0);
        // Too large rather than too small: see `discrepancy`.
        calibration.assert_calibrated(0.95..1.4);
    }

    #[test]
    fn is_unbiased_and_calibrated_when_the_laws_differ() {
        // The closed form above, in three dimensions.
        let v: f64 = 1.0 + 2.0;
        let truth = 2.0 * v.powf(-1.5) * (1.0 - (-3.0 * 0.36 / (2.0 * v)).exp());
        let (x, y) = ([0.0; 3], [0.6; 3]);
        let apart = |seed| estimate(1.0, &gaussian(2 * seed, 60, &x, 1.0), &gaussian(2 * seed + 1, 90, &y, 1.0));
        let calibration = Calibration::of(300, apart);
        calibration.assert_unbiased(truth);
        calibration.assert_calibrated(0.85..1.15);
    }

    #[test]
    fn takes_the_median_distance_of_the_reference_alone() {
        let y = arr2(&[[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [30.0, 40.0]]);
        // Distances 5, 5, 45, 50, 50; the two coincident points do not count.
        assert_relative_eq!(Mmd::default().bandwidth_for(y.view()), 45.0, max_relative = 1e-15);
        assert_eq!(Mmd { bandwidth: Some(2.0) }.bandwidth_for(y.view()), 2.0);
        assert_eq!(Mmd::default().bandwidth_for(Array2::ones((5, 2)).view()), 1.0);

        let (x, y) = (gaussian(1, 50, &[1.0; 2], 1.0), gaussian(2, 3_000, &[0.0; 2], 1.0));
        let median = Mmd::default().bandwidth_for(y.view());
        // |y − y'|²/2 is χ²₂, with median 2 ln 2.
        assert_relative_eq!(median, (4.0 * 2f64.ln()).sqrt(), max_relative = 0.05);
        assert_eq!(Mmd::default().distance(x.view(), y.view()), estimate(median, &x, &y));
    }

    #[test]
    fn computes_the_exponential_function() {
        for s in (0..700_000).map(|i| -1e-3 * i as f64) {
            assert_relative_eq!(exp(s), s.exp(), epsilon = 0.0, max_relative = 1e-15);
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e300) < 1e-300 && exp(f64::NEG_INFINITY) < 1e-300);
        assert!(exp(f64::NAN).is_nan());
    }

    #[test]
    fn refuses_a_bandwidth_that_is_not_positive() {
        assert!(Mmd::default().check().is_ok());
        assert_eq!(Mmd { bandwidth: Some(0.0) }.check().unwrap_err().key, "bandwidth");
    }
}
