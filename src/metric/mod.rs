//! How far generated points are from data: each measure with its standard error.
//!
//! | metric | estimates | a perfect sampler has | time | memory |
//! |---|---|---|---|---|
//! | [`SlicedWasserstein`] | SW₂ (biased upwards) | 0 | O(L (N + M) (D + log(N + M))) | O(N + M + L D) |
//! | [`MaxSlicedWasserstein`] | max-SW₂, searched and measured on different halves | 0 | O(S (N + M) (D + log(N + M))) | O(S (N + M)) |
//! | [`OptimalTransport`] | W₂ of up to 2,000 points (biased upwards) | 0 | O(n³ + n² D) | O(n²): 32 MB for 2,000 points |
//! | [`GaussianWasserstein`] | W₂ of the Gaussians with the same moments | 0 | O((N + M) D² + D³) | O(N + M + D²) |
//! | [`Mmd`] | MMD² (unbiased) | 0 | O((N + M)² D) | O((N + M) D) |
//! | [`EnergyDistance`] | energy distance (unbiased) | 0 | O((N + M)² D) | O((N + M) D) |
//! | [`Classifier`] | accuracy − ½ of a held-out kNN classifier | 0 | O((N + M)² D) | O((N + M) (D + k)) |
//! | [`Kl`] | KL(samples ‖ data) from nearest neighbours | 0 | O(N² D), O(N (N + M) D) without a density | O((N + M) (D + k)) |
//! | [`LogDensity`] | E log p(samples) − E log p(data) | 0, either sign | two evaluations of log p a point | O(N + M) |
//! | [`ModeCoverage`] | the fraction of the modes of the data that are hit | 1 | O(N K D²) | O(N K) |
//! | [`ModeWeights`] | total variation (or √χ²) of the weights of the modes | 0 | O(N K D²) | O(N K) |
//! | [`TrajectoryError`] | RMS distance from the probability flow of the same start | 0 | O(N D), and the reference run | O(N D) |
//! | [`LawWasserstein`] | W₂ of the exact laws of output and data, both Gaussian | 0 | a run of M + 3 samples for M draws | O(M) |
//!
//! Of features of images, `[N, F]` (see [`feature`](crate::feature)):
//!
//! | metric | estimates | a perfect sampler has | time | memory |
//! |---|---|---|---|---|
//! | [`FrechetDistance`] | FD (biased upwards), or FD∞ | 0 | O((N + M) F² + F³) | O((N + M) F + F²) |
//! | [`KernelDistance`] | KD (unbiased) | 0 | O((N + M)² F) | O((N + M) F) |
//! | [`Fidelity`] | precision, recall, density or coverage | that of held-out data | O((N + M)² F) | O((N + M) (F + k)) |
//! | [`ClassAccuracy`] | how often a sample is of the class asked for | the classifier's own | O(N K) | O(N) |
//! | [`ClassBalance`] | total variation of the frequencies of classes (biased upwards) | 0 | O((N + M) K) | O(N + M + K) |
//! | [`InceptionScore`] | how clear and how varied samples are | that of the data | O(N K) | O(N K) |
//! | [`Memorisation`] | how many samples are nearer to training data than 1 in 20 held-out data are | 0.05 | O((N + M) T F) | O((N + M + T) F) |
//!
//! N samples and M data points in D dimensions; L directions, S starts of a search, K modes or classes, k neighbours, T training examples. All work in
//! `f64`, use every core unless they say otherwise, and give the same bits whatever the number of threads.

mod classifier;
mod energy;
mod fidelity;
mod frechet_distance;
mod gaussian_transport;
mod gaussian_wasserstein;
mod kernel_distance;
mod kl;
mod labels;
mod law_wasserstein;
mod log_density;
mod matrix;
mod max_sliced_wasserstein;
mod memorisation;
mod mmd;
mod mode_coverage;
mod mode_weights;
mod neighbors;
mod optimal_transport;
mod pairwise;
mod question;
mod sliced_wasserstein;
mod trajectory_error;
mod truth;

use std::fmt::Debug;

use ndarray::{Array1, ArrayView2};
use statrs::distribution::{ContinuousCDF, Normal};

pub use classifier::Classifier;
pub use energy::EnergyDistance;
pub use fidelity::{Balls, Fidelities, Fidelity, Measure};
pub use frechet_distance::FrechetDistance;
pub use gaussian_wasserstein::GaussianWasserstein;
pub use kernel_distance::KernelDistance;
pub use kl::{Kl, Reference};
pub use labels::{ClassAccuracy, ClassBalance, ClassShares, InceptionScore, Share, class_accuracy, predicted};
pub use law_wasserstein::{Diagonal, LawWasserstein, Start, Target};
pub use log_density::LogDensity;
pub use max_sliced_wasserstein::MaxSlicedWasserstein;
pub use memorisation::{Memorisation, Nearness, Neighbor, TrainingSet};
pub use mmd::Mmd;
pub use mode_coverage::ModeCoverage;
pub use mode_weights::{Divergence, ModeWeights};
pub use optimal_transport::OptimalTransport;
pub use question::{Classified, Need, Question, Shared, Trained};
pub use sliced_wasserstein::SlicedWasserstein;
pub use trajectory_error::TrajectoryError;
pub use truth::{Density, Mode, Moments, Truth};

use crate::statistics::{Interval, LEVEL};

/// A measure of how far samples are from data.
pub trait Metric: Debug + Send + Sync {
    /// The name in files and on the command line, in snake case.
    fn name(&self) -> &'static str;

    /// The name in figures.
    fn label(&self) -> &'static str;

    /// Which values are good.
    fn best(&self) -> Best {
        Best::Least
    }

    /// What it must be told beside the samples and the reference data.
    fn needs(&self) -> Option<Need> {
        None
    }

    /// The fewest samples, and the fewest reference points, for which there is an estimate and its error.
    fn least(&self) -> usize;

    /// The answer to a question that [has](Question::has) what the metric [needs](Metric::needs).
    ///
    /// A coordinate that is not finite makes an estimate that is not a number.
    ///
    /// # Panics
    /// If the question lacks what the metric needs, if the samples and the reference data differ in dimension or have
    /// none, or if there are fewer than [`Metric::least`] of either.
    fn measure(&self, question: &Question) -> Estimate {
        question.check(self);
        if question.is_finite() { self.estimate(question) } else { Estimate::UNDEFINED }
    }

    /// What [`Metric::measure`] answers where there are points enough, in one space, and all are finite.
    fn estimate(&self, question: &Question) -> Estimate;

    /// The distance of `x` `[N, D]`, the samples, from `y` `[M, D]`, the reference data, for metrics that need no more;
    /// N and M may differ.
    ///
    /// # Panics
    /// As [`Metric::measure`].
    fn distance(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Estimate {
        self.measure(&Question::new(x.reborrow(), y.reborrow()))
    }
}

/// Which values of a metric are good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Best {
    /// Small ones: a distance, or an unbiased estimate of one.
    Least,
    /// Those near zero, of either sign.
    Zero,
    /// Those near a number, from either side.
    Near(f64),
    /// Large ones.
    Most,
}

impl Best {
    /// A number that is smaller the better the value is.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            Best::Least => value,
            Best::Zero => value.abs(),
            Best::Near(target) => (value - target).abs(),
            Best::Most => -value,
        }
    }
}

/// An estimated distance and how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// An estimate of its standard deviation over independent draws of all samples that enter.
    pub standard_error: f64,
}

impl Estimate {
    /// Of points that are not finite.
    const UNDEFINED: Estimate = Estimate { value: f64::NAN, standard_error: f64::NAN };

    /// The mean of independent `terms`, with its standard error.
    fn mean(terms: &Array1<f64>) -> Self {
        let n = terms.len() as f64;
        Estimate { value: terms.sum() / n, standard_error: (terms.var(1.0) / n).sqrt() }
    }

    /// An estimate from counts, whose error is that of its 95 % interval: it is not zero where nothing, or all, was counted.
    fn within(value: f64, interval: Interval) -> Self {
        let z = Normal::standard().inverse_cdf((1.0 + LEVEL) / 2.0);
        Estimate { value, standard_error: (interval.high - interval.low) / (2.0 * z) }
    }

    /// The root of an estimate with the given variance, by the delta method; no error rather than 0/0 at zero.
    fn root(square: f64, variance: f64) -> Self {
        let value = square.sqrt();
        Estimate { value, standard_error: if value == 0.0 { 0.0 } else { variance.sqrt() / (2.0 * value) } }
    }
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

    /// All that need no more than two samples. The first two alone are not symmetric: a setting from `y`, a divergence.
    fn metrics() -> [Box<dyn Metric>; 12] {
        [
            Box::new(Mmd::default()),
            Box::new(Kl { against: Reference::Sample, ..Kl::default() }),
            Box::new(Mmd { bandwidth: Some(3.0) }),
            Box::new(EnergyDistance::default()),
            Box::new(FrechetDistance::default()),
            Box::new(FrechetDistance::EXTRAPOLATED),
            Box::new(KernelDistance {}),
            Box::new(SlicedWasserstein::default()),
            Box::new(MaxSlicedWasserstein::default()),
            Box::new(GaussianWasserstein::default()),
            Box::new(OptimalTransport { points: 100 }),
            Box::new(Classifier::default()),
        ]
    }

    #[test]
    fn is_symmetric() {
        for d in [1, 2, 5, 40] {
            let (x, y) = (gaussian(1, 150, &vec![0.0; d], 1.0), gaussian(2, 301, &vec![0.7; d], 1.5));
            for metric in &metrics()[2..] {
                let (there, back) = (metric.distance(x.view(), y.view()), metric.distance(y.view(), x.view()));
                approx::assert_relative_eq!(there.value, back.value, max_relative = 1e-11);
                // Dual potentials between samples are not unique, nor is their spread.
                let tolerance = if metric.name() == "optimal_transport" { 0.1 } else { 1e-9 };
                approx::assert_relative_eq!(there.standard_error, back.standard_error, max_relative = tolerance);
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
