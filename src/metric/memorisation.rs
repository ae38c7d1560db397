//! Whether samples are copies of training examples.

use std::fmt;

use ndarray::{Array1, ArrayView2, Axis};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use super::neighbors::{Candidates, nearest};
use super::pairwise::Cloud;
use super::{Best, Estimate, Metric, Need, Question};
use crate::error::{Fault, Settings, at_least_one};
use crate::statistics::{Interval, LEVEL, wilson};

/// The share of samples that are nearer to a training example than one held-out example in twenty is ([`Nearness`], p =
/// [`Memorisation::QUANTILE`]). A sampler of the law of the data has p; more is copying, and less says that samples are far
/// from all data.
///
/// Of a part of the training examples, `points`, it is still p for a good sampler, but sees copies of that part alone.
/// The standard error is that of the interval.
///
/// Time O((N + M) T F) for T training examples, memory O((N + M + T) F).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Memorisation {
    /// At most so many training examples are looked through.
    #[schemars(range(min = 1))]
    pub points: usize,
}

impl Memorisation {
    /// The share p of held-out examples that are called near.
    pub const QUANTILE: f64 = 0.05;
}

impl Default for Memorisation {
    /// All of MNIST and of CIFAR-10.
    fn default() -> Self {
        Memorisation { points: 60_000 }
    }
}

impl Settings for Memorisation {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("points", self.points)
    }
}

impl Metric for Memorisation {
    fn name(&self) -> &'static str {
        "memorisation"
    }

    fn label(&self) -> &'static str {
        "Memorisation"
    }

    fn best(&self) -> Best {
        Best::Near(Self::QUANTILE)
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Training { points: self.points })
    }

    fn least(&self) -> usize {
        1
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let trained = question.trained.expect("a question that holds the training examples");
        let samples = trained.on.nearest(question.x);
        let Nearness { share, interval, .. } = Nearness::new(samples, trained.held_out.to_vec(), Self::QUANTILE);
        Estimate::within(share, interval)
    }
}

/// Training examples `[T, F]`, laid out to be searched.
pub struct TrainingSet {
    cloud: Cloud,
    centre: Array1<f64>,
}

impl TrainingSet {
    /// # Panics
    /// If there are none.
    pub fn new(examples: ArrayView2<f64>) -> Self {
        let centre = examples.mean_axis(Axis(0)).expect("there are training examples");
        TrainingSet { cloud: Cloud::new(examples, &centre), centre }
    }

    /// The nearest example to each of `points` `[N, F]`. Time O(N T F).
    ///
    /// # Panics
    /// If a number is not finite.
    pub fn nearest(&self, points: ArrayView2<f64>) -> Vec<Neighbor> {
        let found = nearest(&Cloud::new(points, &self.centre), &self.cloud, 1, Candidates::Others);
        found.iter().map(|list| Neighbor { index: list[0].1, distance: list[0].0.sqrt() }).collect()
    }
}

impl fmt::Debug for TrainingSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("TrainingSet").field("examples", &self.cloud.len()).finish_non_exhaustive()
    }
}

/// The nearest training example of a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Neighbor {
    /// Its place among the training examples.
    pub index: usize,
    /// Its Euclidean distance.
    pub distance: f64,
}

/// How near samples are to training examples, against how near held-out data are.
///
/// A sampler of the law of the data would make samples as far from the training examples as held-out data are; one that
/// copies makes them nearer. `share` counts the samples that are nearer than the p-quantile of the held-out distances: p
/// is what a good sampler has, more is copying. (As the tests of Meehan, Chaudhuri & Dasgupta, 2020, it compares
/// distances to training data of both; it needs no cells of space.) Less than p says that samples are far from all data.
///
/// Distances may be of features or of pixels; the two see different copies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearness {
    /// The nearest training example of each sample `[N]`.
    pub samples: Vec<Neighbor>,
    /// That of each held-out example `[M]`.
    pub held_out: Vec<Neighbor>,
    /// The p-quantile of the held-out distances.
    pub threshold: f64,
    /// The share of samples that are nearer.
    pub share: f64,
    /// Where the share of all samples lies, against the quantile of all data: what is wider on either side, the bootstrap's
    /// percentiles over samples and held-out data or Wilson's interval at the threshold as it is.
    pub interval: Interval,
}

/// How often the bootstrap resamples.
const RESAMPLES: usize = 999;

impl Nearness {
    /// Of the nearest training examples of samples and of held-out data, at the quantile `p`.
    ///
    /// # Panics
    /// If one of the two is empty, or `p` is not in (0, 1).
    pub fn new(samples: Vec<Neighbor>, held_out: Vec<Neighbor>, p: f64) -> Self {
        assert!(0.0 < p && p < 1.0, "{p} is no quantile");
        let distances = |neighbors: &[Neighbor]| -> Vec<f64> { neighbors.iter().map(|n| n.distance).collect() };
        let (near, far) = (distances(&samples), distances(&held_out));
        let (threshold, hits) = count(&mut near.clone(), &mut far.clone(), p);
        Nearness {
            threshold,
            share: hits as f64 / near.len() as f64,
            interval: interval(&near, &far, p, wilson(hits, near.len())),
            samples,
            held_out,
        }
    }

    /// The samples in order of their distance, nearest to a training example first: those to look at.
    pub fn nearest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.sort_by(|&a, &b| self.samples[a].distance.total_cmp(&self.samples[b].distance));
        order
    }
}

/// The p-quantile of `held_out` distances, the ⌈pM⌉-th of M, and how many of `samples` lie below it.
fn count(samples: &mut [f64], held_out: &mut [f64], p: f64) -> (f64, usize) {
    let place = ((p * held_out.len() as f64).ceil() as usize).clamp(1, held_out.len()) - 1;
    let threshold = *held_out.select_nth_unstable_by(place, f64::total_cmp).1;
    (threshold, samples.iter().filter(|&&distance| distance < threshold).count())
}

fn interval(samples: &[f64], held_out: &[f64], p: f64, least: Interval) -> Interval {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut draw =
        |from: &[f64]| -> Vec<f64> { (0..from.len()).map(|_| from[rng.random_range(0..from.len())]).collect() };
    let mut shares: Vec<f64> = (0..RESAMPLES)
        .map(|_| count(&mut draw(samples), &mut draw(held_out), p).1 as f64 / samples.len() as f64)
        .collect();
    shares.sort_by(f64::total_cmp);
    let end = |q: f64| shares[((q * (RESAMPLES + 1) as f64) as usize).clamp(1, RESAMPLES) - 1];
    let tail = (1.0 - LEVEL) / 2.0;
    Interval { low: end(tail).min(least.low), high: end(1.0 - tail).max(least.high) }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr2, concatenate};

    use super::super::Trained;
    use super::super::tests::gaussian;
    use super::*;

    fn of(samples: &Array2<f64>, held_out: &Array2<f64>, training: &Array2<f64>, p: f64) -> Nearness {
        let training = TrainingSet::new(training.view());
        Nearness::new(training.nearest(samples.view()), training.nearest(held_out.view()), p)
    }

    #[test]
    fn finds_the_nearest_and_counts() {
        let training = arr2(&[[0.0, 0.0], [10.0, 0.0]]);
        let held_out = arr2(&[[1.0, 0.0], [10.0, 2.0], [3.0, 0.0], [7.0, 4.0]]);
        let samples = arr2(&[[0.0, 0.5], [9.0, 0.0], [0.0, -5.0]]);
        let found = of(&samples, &held_out, &training, 0.5);
        assert_eq!(found.samples.iter().map(|n| n.index).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(found.held_out[3], Neighbor { index: 1, distance: 5.0 });
        // Held-out distances 1, 2, 3, 5; the second is the median, and two samples are nearer.
        assert_eq!(found.threshold, 2.0);
        assert_eq!(found.share, 2.0 / 3.0);
        assert!(found.interval.low < found.share && found.share < found.interval.high);
        assert_eq!(found.nearest_first(), [0, 1, 2]);
    }

    #[test]
    fn sees_copies() {
        let mean = [0.0; 10];
        let training = gaussian(1, 500, &mean, 1.0);
        let held_out = gaussian(2, 500, &mean, 1.0);
        let noise = gaussian(3, 100, &mean, 0.01);
        let copies = &training.slice(ndarray::s![..100, ..]) + &noise;
        let samples = concatenate![Axis(0), copies, gaussian(4, 300, &mean, 1.0)];
        let found = of(&samples, &held_out, &training, 0.05);
        assert!((found.share - (0.25 + 0.75 * 0.05)).abs() < 0.05, "{}", found.share);
        assert!(found.interval.low > 0.2);
        assert!(found.nearest_first()[..100].iter().all(|&i| i < 100));
        assert!((0..100).all(|i| found.samples[i].index == i));
        // The metric says the same of the same.
        let on = TrainingSet::new(training.view());
        let trained = Trained { on: &on, held_out: &found.held_out };
        let question = Question { trained: Some(trained), ..Question::new(samples.view(), held_out.view()) };
        let metric = Memorisation::default();
        let estimate = metric.measure(&question);
        assert_eq!(estimate.value, found.share);
        assert!((0.01..0.04).contains(&estimate.standard_error), "{estimate:?}");
        // As many again would be twice as far from what a good sampler has.
        let loss = |share| metric.best().loss(share);
        assert!(loss(0.05) < loss(0.0) && loss(0.0) < loss(found.share), "{}", found.share);
        assert_eq!(Memorisation { points: 0 }.check().unwrap_err().key, "points");
    }

    /// Without copies, the interval holds p as often as it says.
    #[test]
    fn covers_what_is_no_copying() {
        let (repeats, p) = (100, 0.1);
        let covered = (0..repeats).filter(|&seed| {
            let draw = |which: u64, n: usize| -> Array2<f64> { gaussian(3 * seed + which, n, &[0.0; 3], 1.0) };
            let found = of(&draw(0, 200), &draw(1, 300), &draw(2, 200), p);
            found.interval.low <= p && p <= found.interval.high
        });
        let covered = covered.count() as f64 / repeats as f64;
        println!("covered {covered}");
        assert!(covered >= 0.89, "{covered}");
    }
}
