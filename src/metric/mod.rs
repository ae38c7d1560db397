//! Distances between two samples, each with its standard error: how far generated points are from reference data.
//!
//! | metric | estimates | time | memory |
//! |---|---|---|---|
//! | [`SlicedWasserstein`] | SW₂ (biased upwards) | O(L (N + M) (D + log(N + M))) | O(N + M + L D) |
//! | [`Mmd`] | MMD² (unbiased) | O((N + M)² D) | O((N + M) D) |
//! | [`EnergyDistance`] | energy distance (unbiased) | O((N + M)² D) | O((N + M) D) |
//!
//! All work in `f64`, use every core, and give the same bits whatever the number of threads.

mod energy;
mod mmd;
mod pairwise;
mod sliced_wasserstein;

use std::fmt::Debug;

use ndarray::ArrayView2;

pub use energy::EnergyDistance;
pub use mmd::Mmd;
pub use sliced_wasserstein::SlicedWasserstein;

/// A distance between the laws of two independent samples, estimated from the samples alone.
pub trait Metric: Debug + Send + Sync {
    /// The name in files and on the command line, in snake case.
    fn name(&self) -> &'static str;

    /// The name in figures.
    fn label(&self) -> &'static str;

    /// The distance of `x` `[N, D]`, the samples, from `y` `[M, D]`, the reference data; N and M may differ.
    ///
    /// Symmetric in its arguments up to rounding, except where an implementation takes a setting from `y`. A
    /// coordinate that is not finite makes an estimate that is not.
    ///
    /// # Panics
    /// If the points of `x` and `y` differ in dimension or have none, or if either sample is too small for a standard
    /// error (fewer than two points; four for the U-statistics).
    fn distance(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Estimate;
}

/// An estimated distance and how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// An estimate of its standard deviation over independent draws of both samples.
    pub standard_error: f64,
}

/// Panics unless `x` and `y` are samples of `least` or more points in one space.
#[track_caller]
fn check_shapes(metric: &impl Metric, x: ArrayView2<f64>, y: ArrayView2<f64>, least: usize) {
    let ((n, d), (m, e)) = (x.dim(), y.dim());
    assert!(
        d == e && d > 0 && n >= least && m >= least,
        "{} compares [N, D] with [M, D] for N, M ≥ {least} and D ≥ 1, but got [{n}, {d}] and [{m}, {e}]",
        metric.name(),
    );
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use ndarray::{Array2, Axis};
    use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
    use rand_distr::{Distribution, StandardNormal};
    use rayon::ThreadPoolBuilder;

    use super::*;

    /// `n` points of N(mean, scale² I).
    pub(super) fn gaussian(seed: u64, n: usize, mean: &[f64], scale: f64) -> Array2<f64> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Array2::from_shape_fn((n, mean.len()), |(_, d)| {
            let z: f64 = StandardNormal.sample(&mut rng);
            mean[d] + scale * z
        })
    }

    /// Over independent repeats: the mean, the standard deviation, and the mean of the reported standard errors.
    pub(super) struct Calibration {
        pub(super) repeats: usize,
        pub(super) mean: f64,
        pub(super) deviation: f64,
        pub(super) reported: f64,
    }

    impl Calibration {
        pub(super) fn of(repeats: usize, estimate: impl FnMut(u64) -> Estimate) -> Self {
            let estimates: Vec<_> = (0..repeats as u64).map(estimate).collect();
            let average = |f: &dyn Fn(&Estimate) -> f64| estimates.iter().map(f).sum::<f64>() / repeats as f64;
            let mean = average(&|e| e.value);
            Calibration {
                repeats,
                mean,
                deviation: average(&|e| (e.value - mean).powi(2)).sqrt(),
                reported: average(&|e| e.standard_error),
            }
        }

        /// The mean is `truth` within three of its own standard errors.
        pub(super) fn assert_unbiased(&self, truth: f64) {
            let error = self.deviation / (self.repeats as f64).sqrt();
            assert!((self.mean - truth).abs() < 3.0 * error, "{} ± {error} is not {truth}", self.mean);
        }

        /// The reported standard error is the real one up to a factor in `range`.
        pub(super) fn assert_calibrated(&self, range: Range<f64>) {
            let ratio = self.reported / self.deviation;
            assert!(range.contains(&ratio), "reported / real standard error = {ratio}, not in {range:?}");
        }
    }

    /// The first alone takes a setting from `y`.
    fn metrics() -> [Box<dyn Metric>; 4] {
        [
            Box::new(Mmd::default()),
            Box::new(Mmd { bandwidth: Some(3.0) }),
            Box::new(EnergyDistance::default()),
            Box::new(SlicedWasserstein::default()),
        ]
    }

    #[test]
    fn is_symmetric() {
        for d in [1, 2, 5, 40] {
            let (x, y) = (gaussian(1, 150, &vec![0.0; d], 1.0), gaussian(2, 301, &vec![0.7; d], 1.5));
            for metric in &metrics()[1..] {
                let (there, back) = (metric.distance(x.view(), y.view()), metric.distance(y.view(), x.view()));
                approx::assert_relative_eq!(there.value, back.value, max_relative = 1e-11);
                approx::assert_relative_eq!(there.standard_error, back.standard_error, max_relative = 1e-9);
            }
        }
    }

    #[test]
    fn is_the_same_on_any_number_of_threads() {
        for d in [2, 40] {
            let (x, y) = (gaussian(1, 700, &vec![0.0; d], 1.0), gaussian(2, 500, &vec![0.1; d], 1.0));
            for metric in metrics() {
                let on = |threads| {
                    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| metric.distance(x.view(), y.view()))
                };
                assert_eq!(on(1), on(3), "{metric:?}");
            }
        }
    }

    #[test]
    fn does_not_depend_on_the_memory_layout() {
        let (x, y) = (gaussian(1, 200, &[0.0, 1.0, 2.0], 1.0), gaussian(2, 300, &[0.0; 3], 1.0));
        let mut columns = Array2::zeros((3, 200));
        columns.assign(&x.t());
        for metric in metrics() {
            let (rows, columns) = (metric.distance(x.view(), y.view()), metric.distance(columns.t(), y.view()));
            approx::assert_relative_eq!(rows.value, columns.value, max_relative = 1e-12);
        }
    }

    #[test]
    fn does_not_hide_points_that_are_not_finite() {
        for bad in [f64::NAN, f64::INFINITY] {
            for d in [1, 2, 3, 40] {
                let (mut x, y) = (gaussian(1, 50, &vec![0.0; d], 1.0), gaussian(2, 50, &vec![0.0; d], 1.0));
                x[[7, d - 1]] = bad;
                for metric in metrics() {
                    for estimate in [metric.distance(x.view(), y.view()), metric.distance(y.view(), x.view())] {
                        assert!(!estimate.value.is_finite() && estimate.standard_error.is_nan(), "{metric:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn names_both_shapes_when_they_do_not_fit() {
        let (x, y) = (gaussian(1, 20, &[0.0; 2], 1.0), gaussian(2, 30, &[0.0; 3], 1.0));
        for metric in metrics() {
            let refuse = |x: ArrayView2<f64>, y: ArrayView2<f64>| {
                let panic = catch_unwind(AssertUnwindSafe(|| metric.distance(x, y))).unwrap_err();
                panic.downcast_ref::<String>().unwrap().clone()
            };
            assert!(refuse(x.view(), y.view()).contains("[20, 2] and [30, 3]"));
            let (one, _) = y.view().split_at(Axis(0), 1);
            assert!(refuse(y.view(), one).contains("[30, 3] and [1, 3]"));
        }
    }
}
