//! Whether samples are copies of training examples.

use ndarray::{ArrayView2, Axis};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use serde::Serialize;

use super::neighbors::{Candidates, nearest};
use super::pairwise::Cloud;
use crate::statistics::{Interval, LEVEL, wilson};

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
pub struct Memorisation {
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

impl Memorisation {
    /// Of `samples` `[N, F]` and `held_out` `[M, F]` data against `training` `[T, F]`, at the quantile `p`.
    ///
    /// Time O((N + M) T F), memory O((N + M + T) F).
    ///
    /// # Panics
    /// If one of the three is empty, `p` is not in (0, 1), or a number is not finite.
    pub fn of(samples: ArrayView2<f64>, held_out: ArrayView2<f64>, training: ArrayView2<f64>, p: f64) -> Self {
        assert!(0.0 < p && p < 1.0, "{p} is no quantile");
        let centre = training.mean_axis(Axis(0)).expect("there are training examples");
        let cloud = Cloud::new(training, &centre);
        let neighbors = |points: ArrayView2<f64>| -> Vec<Neighbor> {
            let found = nearest(&Cloud::new(points, &centre), &cloud, 1, Candidates::Others);
            found.iter().map(|list| Neighbor { index: list[0].1, distance: list[0].0.sqrt() }).collect()
        };
        let (samples, held_out) = (neighbors(samples), neighbors(held_out));
        let distances = |neighbors: &[Neighbor]| -> Vec<f64> { neighbors.iter().map(|n| n.distance).collect() };
        let (near, far) = (distances(&samples), distances(&held_out));
        let (threshold, hits) = count(&mut near.clone(), &mut far.clone(), p);
        Memorisation {
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

    use super::super::tests::gaussian;
    use super::*;

    #[test]
    fn finds_the_nearest_and_counts() {
        let training = arr2(&[[0.0, 0.0], [10.0, 0.0]]);
        let held_out = arr2(&[[1.0, 0.0], [10.0, 2.0], [3.0, 0.0], [7.0, 4.0]]);
        let samples = arr2(&[[0.0, 0.5], [9.0, 0.0], [0.0, -5.0]]);
        let found = Memorisation::of(samples.view(), held_out.view(), training.view(), 0.5);
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
        let found = Memorisation::of(samples.view(), held_out.view(), training.view(), 0.05);
        assert!((found.share - (0.25 + 0.75 * 0.05)).abs() < 0.05, "{}", found.share);
        assert!(found.interval.low > 0.2);
        assert!(found.nearest_first()[..100].iter().all(|&i| i < 100));
        assert!((0..100).all(|i| found.samples[i].index == i));
    }

    /// Without copies, the interval holds p as often as it says.
    #[test]
    fn covers_what_is_no_copying() {
        let (repeats, p) = (100, 0.1);
        let covered = (0..repeats).filter(|&seed| {
            let draw = |which: u64, n: usize| -> Array2<f64> { gaussian(3 * seed + which, n, &[0.0; 3], 1.0) };
            let found = Memorisation::of(draw(0, 200).view(), draw(1, 300).view(), draw(2, 200).view(), p);
            found.interval.low <= p && p <= found.interval.high
        });
        let covered = covered.count() as f64 / repeats as f64;
        println!("covered {covered}");
        assert!(covered >= 0.89, "{covered}");
    }
}
