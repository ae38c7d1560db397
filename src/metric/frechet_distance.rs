//! The Fréchet distance between Gaussians with the moments of features.

use ndarray::{Array1, s};
use serde::{Deserialize, Serialize};

use super::gaussian_transport::{Side, Transport};
use super::{Estimate, Metric, Moments, Need, Question};
use crate::error::{Fault, Settings, between};

/// The Fréchet distance |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^{½}) (Dowson & Landau, 1982) between the Gaussians with the means
/// and covariances of features; of those of Inception-v3 it is the FID (Heusel et al., 2017).
///
/// The trace of the root is Σ √λ over the eigenvalues of Σ₂^{½} Σ₁ Σ₂^{½}, so that everything is symmetric and singular
/// covariances (fewer points than features) are no special case. It is the square of
/// [`GaussianWasserstein`](super::GaussianWasserstein).
///
/// Fitted moments make it biased upwards by about c/N, where c grows with the number of features and depends on the law:
/// distances of samples of different sizes cannot be compared. With `parts` = K ≥ 2 it is FD∞ (Chong & Forsyth, 2020):
/// both samples are dealt out into m parts for m = 1 … K, and the mean of the distances between corresponding parts, a
/// straight line in m/N, is continued to m = 0 by least squares. FD∞ is unbiased up to O(1/N²), may be negative, and needs
/// parts of several times as many points as there are features; with fewer the line is none. (Chong & Forsyth take
/// nested subsets of the samples alone and leave the bias that the data's own moments have.)
///
/// The standard error is the infinitesimal jackknife's, of what each point contributes at first order to all distances in
/// the sum. It covers both samples; when the laws agree it is too large, by up to 1.7 times.
///
/// Time O(K ((N + M) F² + K F³)), memory O((N + M) F + F²).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FrechetDistance {
    /// The most parts K that samples are divided into to see how the distance depends on their size; 1 for the plain
    /// distance.
    #[schemars(range(min = 1, max = 100))]
    pub parts: usize,
}

impl Default for FrechetDistance {
    fn default() -> Self {
        FrechetDistance { parts: 1 }
    }
}

impl FrechetDistance {
    /// FD∞, from samples in up to four parts.
    pub const EXTRAPOLATED: FrechetDistance = FrechetDistance { parts: 4 };

    /// The distance between two pairs of moments, exact or fitted.
    pub fn between(a: &Moments, b: &Moments) -> f64 {
        Transport::cost_between(a, b)
    }

    /// The weight of the mean distance of m parts, m = 1 … K, in the ordinate at m = 0 of a least-squares line:
    /// 1/K − m̄ (m − m̄)/Σ (m − m̄)².
    fn weights(&self) -> Vec<f64> {
        let count = self.parts as f64;
        let mean = (count + 1.0) / 2.0;
        let spread: f64 = (1..=self.parts).map(|m| (m as f64 - mean).powi(2)).sum();
        let weight = |m: usize| match self.parts {
            1 => 1.0,
            _ => 1.0 / count - mean * (m as f64 - mean) / spread,
        };
        (1..=self.parts).map(weight).collect()
    }
}

impl Settings for FrechetDistance {
    fn check(&self) -> Result<(), Fault> {
        between("parts", self.parts, (1, 100))
    }
}

impl Metric for FrechetDistance {
    fn name(&self) -> &'static str {
        "frechet_distance"
    }

    fn label(&self) -> &'static str {
        if self.parts == 1 { "FD (features)" } else { "FD∞ (features)" }
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Features)
    }

    /// Two points in each part.
    fn least(&self) -> usize {
        2 * self.parts
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data, truth, .. } = *question;
        let (mut value, mut of_x, mut of_data) = (0.0, Array1::zeros(x.nrows()), Array1::zeros(data.nrows()));
        for (weight, m) in self.weights().into_iter().zip(1isize..) {
            // Of four numbers of parts the third does not count.
            if weight.abs() < 1e-12 {
                continue;
            }
            for part in 0..m {
                let deal = s![part..;m, ..];
                let own = x.slice(deal);
                let transport = match &truth.moments {
                    Some(exact) => Transport::new(&Moments::of_points(own), exact),
                    None => {
                        let other = data.slice(deal);
                        let transport = Transport::new(&Moments::of_points(own), &Moments::of_points(other));
                        contribute(&mut of_data, (part, m), weight, transport.influence(Side::To, other));
                        transport
                    }
                };
                value += weight / m as f64 * transport.cost;
                contribute(&mut of_x, (part, m), weight, transport.influence(Side::From, own));
            }
        }
        let variance = of_x.var(1.0) / x.nrows() as f64 + of_data.var(1.0) / data.nrows() as f64;
        Estimate { value, standard_error: variance.sqrt() }
    }
}

/// Adds what the points of a part contribute: the mean of m distances, each with an mth of the points, moves by as much
/// per point as one distance with all of them.
fn contribute(sum: &mut Array1<f64>, (part, m): (isize, isize), weight: f64, influence: Array1<f64>) {
    sum.slice_mut(s![part..;m]).scaled_add(weight, &influence);
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array2, arr1};

    use super::super::tests::{Calibration, gaussian};
    use super::super::{GaussianWasserstein, Truth};
    use super::*;

    const PLAIN: FrechetDistance = FrechetDistance { parts: 1 };

    /// Features that another program makes too: sines, with the columns scaled and coupled.
    fn features(n: usize, dim: usize, phase: f64) -> Array2<f64> {
        Array2::from_shape_fn((n, dim), |(i, j)| {
            let (i, j) = (i as f64, j as f64);
            (phase + 1.7 * i + 0.9 * j + 0.13 * i * j).sin() * (1.0 + 0.2 * j) + (0.61 * i + phase).cos()
        })
    }

    /// Against the usual formula with a general matrix root, by numpy 2.4 and scipy 1.17:
    ///
    /// ```python
    /// import numpy as np; from scipy.linalg import sqrtm
    /// def features(n, d, phase):
    ///     i, j = np.arange(n)[:, None], np.arange(d)[None, :]
    ///     return np.sin(phase + 1.7*i + 0.9*j + 0.13*i*j) * (1 + 0.2*j) + np.cos(0.61*i + phase)
    /// for n, m, d in [(50, 60, 8), (500, 400, 64), (20, 30, 48)]:
    ///     x, y = features(n, d, 0.0), features(m, d, 0.4) * 1.1
    ///     a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    ///     gap = x.mean(0) - y.mean(0)
    ///     print(gap @ gap + np.trace(a + b - 2 * sqrtm(a @ b).real))
    /// ```
    const SCIPY: [((usize, usize, usize), f64); 3] = [
        ((50, 60, 8), 0.24340122502732225),
        ((500, 400, 64), 25.720831164199538),
        // Singular; a sum of singular values, which is exact, gives 312.80494706445575.
        ((20, 30, 48), 312.8049243276499),
    ];

    #[test]
    fn agrees_with_the_formula_of_scipy() {
        for ((n, m, dim), expected) in SCIPY {
            let (x, y) = (features(n, dim, 0.0), features(m, dim, 0.4) * 1.1);
            let found = PLAIN.distance(x.view(), y.view()).value;
            assert_relative_eq!(found, expected, max_relative = 1e-6);
            let between = FrechetDistance::between(&Moments::of_points(x.view()), &Moments::of_points(y.view()));
            assert_relative_eq!(between, found, max_relative = 1e-12);
        }
    }

    #[test]
    fn is_the_square_of_the_wasserstein_distance() {
        let (x, y) = (gaussian(1, 100, &[0.0; 5], 1.0), gaussian(2, 150, &[1.0; 5], 2.0));
        let (square, root) = (PLAIN.distance(x.view(), y.view()), GaussianWasserstein {}.distance(x.view(), y.view()));
        assert_relative_eq!(square.value, root.value.powi(2), max_relative = 1e-12);
        assert_relative_eq!(square.standard_error, 2.0 * root.value * root.standard_error, max_relative = 1e-12);
    }

    #[test]
    fn an_extrapolation_is_a_line() {
        assert_eq!(PLAIN.weights(), [1.0]);
        assert_eq!(FrechetDistance { parts: 2 }.weights(), [2.0, -1.0]);
        for parts in 2..9 {
            let weights = FrechetDistance { parts }.weights();
            let moment = |power: i32| weights.iter().zip(1..).map(|(w, m)| w * f64::from(m).powi(power)).sum::<f64>();
            assert_relative_eq!(moment(0), 1.0, max_relative = 1e-12);
            assert!(moment(1).abs() < 1e-12);
        }
    }

    /// The distance of N from M points of one law N(0, I) in F dimensions is all bias, (F + F (F + 1)/4) (1/N + 1/M) at
    /// first order: the means differ by F (1/N + 1/M) and the covariances, each with variances (1 + δᵢⱼ)/N, by a quarter
    /// of their squared difference. FD∞ removes it.
    #[test]
    fn the_bias_falls_like_one_over_n_and_is_removed() {
        let dim = 16;
        let c = dim as f64 + (dim * (dim + 1)) as f64 / 4.0;
        let of = |metric: FrechetDistance, n: usize, repeats: usize| {
            Calibration::of(repeats, |seed| {
                let (x, y) = (gaussian(2 * seed, n, &[0.0; 16], 1.0), gaussian(2 * seed + 1, 2 * n, &[0.0; 16], 1.0));
                metric.distance(x.view(), y.view())
            })
        };
        for n in [200, 800] {
            let plain = of(PLAIN, n, 40);
            let ratio = plain.mean / (c * 1.5 / n as f64);
            println!(
                "N = {n}: bias / first order = {ratio:.3}, reported / real error = {:.2}",
                plain.reported / plain.deviation
            );
            assert!((ratio - 1.0).abs() < if n == 200 { 0.15 } else { 0.05 }, "{ratio}");
        }
        let extrapolated = of(FrechetDistance::EXTRAPOLATED, 800, 60);
        let left = extrapolated.mean / (c * 1.5 / 800.0);
        let ratio = extrapolated.reported / extrapolated.deviation;
        println!("FD∞: {left:.4} of the bias is left, reported / real error = {ratio:.2}");
        assert!(left.abs() < 0.03, "{left}");
        extrapolated.assert_calibrated(0.9..1.8);
    }

    #[test]
    fn is_unbiased_and_calibrated_when_the_laws_differ() {
        let mut mean = [0.0; 8];
        mean[0] = 1.0;
        // 1 from the means, and 8 (1.5 − 1)² from the covariances.
        let truth = 1.0 + 8.0 * 0.25;
        let apart = |metric: FrechetDistance| {
            Calibration::of(200, |seed| {
                let (x, y) = (gaussian(2 * seed, 200, &[0.0; 8], 1.0), gaussian(2 * seed + 1, 300, &mean, 1.5));
                metric.distance(x.view(), y.view())
            })
        };
        let (plain, extrapolated) = (apart(PLAIN), apart(FrechetDistance::EXTRAPOLATED));
        println!("plain {:.3}, extrapolated {:.3}, truth {truth}", plain.mean, extrapolated.mean);
        assert!(plain.mean > truth + 0.1);
        plain.assert_calibrated(0.9..1.1);
        extrapolated.assert_unbiased(truth);
        extrapolated.assert_calibrated(0.85..1.2);
    }

    /// Of 24 points in 64 dimensions no covariance is regular; the error still says how far estimates spread.
    #[test]
    fn is_calibrated_with_fewer_points_than_features() {
        let few = |seed| {
            let (x, y) = (gaussian(2 * seed, 24, &[0.0; 64], 1.0), gaussian(2 * seed + 1, 40, &[0.5; 64], 1.3));
            PLAIN.distance(x.view(), y.view())
        };
        let few = Calibration::of(100, few);
        println!("reported / real error = {:.2}", few.reported / few.deviation);
        few.assert_calibrated(0.7..2.0);
    }

    #[test]
    fn exact_moments_serve_where_they_are_known() {
        let exact = Moments { mean: arr1(&[1.0; 4]), covariance: Array2::eye(4) };
        let truth = Truth { moments: Some(exact), ..Truth::default() };
        let known = Calibration::of(200, |seed| {
            let x = gaussian(seed, 200, &[0.0; 4], 1.0);
            FrechetDistance::EXTRAPOLATED.measure(&Question { truth: &truth, ..Question::new(x.view(), x.view()) })
        });
        known.assert_unbiased(4.0);
        known.assert_calibrated(0.9..1.15);
    }

    #[test]
    fn refuses_no_parts() {
        assert!(FrechetDistance::EXTRAPOLATED.check().is_ok());
        assert_eq!(FrechetDistance { parts: 0 }.check().unwrap_err().key, "parts");
    }

    /// How long it takes: `cargo test --release --lib frechet -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn times() {
        // As in the program: LibTorch's own threads are slower than one where cores are shared.
        tch::set_num_threads(1);
        for (n, dim) in [(10_000, 128), (10_000, 2048)] {
            let (x, y) = (gaussian(1, n, &vec![0.0; dim], 1.0), gaussian(2, n, &vec![0.1; dim], 1.1));
            let start = std::time::Instant::now();
            let moments = (Moments::of_points(x.view()), Moments::of_points(y.view()));
            let fitted = start.elapsed().as_secs_f64();
            let value = FrechetDistance::between(&moments.0, &moments.1);
            let between = start.elapsed().as_secs_f64() - fitted;
            let start = std::time::Instant::now();
            let estimate = PLAIN.distance(x.view(), y.view());
            let all = start.elapsed().as_secs_f64();
            println!(
                "{n} × {dim}: moments {fitted:.2} s, distance {between:.2} s ({value:.4}), with its error {all:.2} s ({estimate:?})"
            );
        }
        let (x, y) = (gaussian(1, 10_000, &[0.0; 128], 1.0), gaussian(2, 10_000, &[0.1; 128], 1.1));
        let start = std::time::Instant::now();
        let estimate = FrechetDistance::EXTRAPOLATED.distance(x.view(), y.view());
        println!("FD∞ of 10,000 × 128: {:.2} s ({estimate:?})", start.elapsed().as_secs_f64());
    }
}
