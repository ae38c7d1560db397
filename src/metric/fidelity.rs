//! Precision, recall, density and coverage: how well samples look, and how much of the data they show.

use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array1, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::neighbors::{Candidates, nearest};
use super::pairwise::Cloud;
use super::{Best, Estimate, Metric, Need, Question};
use crate::error::{Fault, Settings, between};

/// One of the four measures of [`Fidelities`], which are worked out together.
///
/// Time O((N + M)² F), memory O((N + M) (F + k)).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fidelity {
    /// Which one.
    pub measure: Measure,
    /// Whose balls it looks at.
    pub balls: Balls,
}

/// How far the balls around points reach: to the `neighbors`-th nearest point of the same sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Balls {
    /// The number k of neighbours.
    #[schemars(range(min = 1, max = 1000))]
    pub neighbors: usize,
}

/// A measure of fidelity or of diversity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// The share of samples within the data's support.
    #[default]
    Precision,
    /// The share of data within the samples' support.
    Recall,
    /// In how many balls of data a sample lies, against k.
    Density,
    /// The share of the data's balls with a sample in them.
    Coverage,
}

impl Default for Balls {
    fn default() -> Self {
        Balls { neighbors: 5 }
    }
}

impl Settings for Balls {
    fn check(&self) -> Result<(), Fault> {
        between("neighbors", self.neighbors, (1, 1000))
    }
}

impl Metric for Fidelity {
    fn name(&self) -> &'static str {
        match self.measure {
            Measure::Precision => "precision",
            Measure::Recall => "recall",
            Measure::Density => "density",
            Measure::Coverage => "coverage",
        }
    }

    fn label(&self) -> &'static str {
        match self.measure {
            Measure::Precision => "Precision",
            Measure::Recall => "Recall",
            Measure::Density => "Density",
            Measure::Coverage => "Coverage",
        }
    }

    fn best(&self) -> Best {
        Best::Most
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Features)
    }

    fn least(&self) -> usize {
        self.balls.neighbors + 1
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let k = self.balls.neighbors;
        let find = || Fidelities::of(question.x, question.data, k);
        let all = question.shared.map_or_else(find, |shared| shared.fidelities(k, find));
        match self.measure {
            Measure::Precision => all.precision,
            Measure::Recall => all.recall,
            Measure::Density => all.density,
            Measure::Coverage => all.coverage,
        }
    }
}

/// Precision, recall, density and coverage of samples, from one pass over all pairs.
///
/// A point's ball reaches as far as its k-th nearest neighbour in its own sample, itself left out. With N samples x_j and
/// M points y_i of data:
///
/// * precision: the share of x_j in any ball of data; recall: the share of y_i in any ball of samples
///   (Kynkäänniemi, Karras, Laine, Lehtinen & Aila, 2019, who take k = 3);
/// * density: (1/kN) Σ_j (balls of data that x_j lies in), and coverage: the share of balls of data with a sample in them
///   (Naeem, Oh, Uh, Choi & Yoo, 2020, who take k = 5).
///
/// If both laws agree, whatever they are, density is 1 on average, and coverage is
/// [1 − Π_{l<k} (M − 1 − l)/(N + M − 1 − l)](Fidelities::coverage_of_the_same), about 1 − 2^−k for N = M; precision and
/// recall depend on the law, and all four on k, N and M: compare like with like.
///
/// The standard errors are those of the jackknife that leaves out one point or its ball, at the radii of the others as
/// they are. In simulations of equal laws they were 0.8 to 1.8 times the real ones: too large for shares near 1 in few
/// dimensions, a little too small for density in many, where few points are neighbours of most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fidelities {
    /// The share of samples within the data's support.
    pub precision: Estimate,
    /// The share of data within the samples' support.
    pub recall: Estimate,
    /// In how many balls of data a sample lies, against k.
    pub density: Estimate,
    /// The share of the data's balls with a sample in them.
    pub coverage: Estimate,
}

impl Fidelities {
    /// Those of samples `x` `[N, F]` against data `y` `[M, F]`.
    ///
    /// # Panics
    /// If N or M is at most `k`, or a number is not finite.
    pub fn of(x: ArrayView2<f64>, y: ArrayView2<f64>, k: usize) -> Self {
        let centre = (x.sum_axis(Axis(0)) + y.sum_axis(Axis(0))) / (x.nrows() + y.nrows()) as f64;
        let (x, y) = (Cloud::new(x, &centre), Cloud::new(y, &centre));
        let radii = |cloud: &Cloud| -> Vec<f64> {
            nearest(cloud, cloud, k, Candidates::Own).iter().map(|list| list[k - 1].0).collect()
        };
        let (data, samples) = hits(&x, &y, &radii(&x), &radii(&y));
        let (n, m) = (x.len() as f64, y.len() as f64);
        // Of x_j the balls of data it lies in, and of a ball its samples, in units of a ball's own k points.
        let per_sample: Array1<f64> = data.points.counts().map(|count| count / k as f64).collect();
        let per_ball: Array1<f64> = data.balls.counts().map(|count| count * m / (n * k as f64)).collect();
        Fidelities {
            precision: share(&data.points, &data.balls),
            recall: share(&samples.points, &samples.balls),
            density: Estimate {
                value: per_sample.sum() / n,
                standard_error: (per_sample.var(1.0) / n + per_ball.var(1.0) / m).sqrt(),
            },
            coverage: share(&data.balls, &data.points),
        }
    }

    /// What coverage is on average if the laws of `n` samples and `m` points of data agree: 1 − Π_{l<k} (M − 1 − l)/(N + M − 1 − l).
    /// Among all others, seen from a point of data, the k nearest are then any of the N + M − 1.
    pub fn coverage_of_the_same(n: usize, m: usize, k: usize) -> f64 {
        1.0 - (1..=k).map(|l| (m as f64 - l as f64) / ((n + m) as f64 - l as f64)).product::<f64>()
    }
}

/// How often each member of one side met the other, and the sum of the indices that it met: of a single meeting, whose.
/// Whole numbers, so that the order of threads does not matter.
struct Tally {
    count: Vec<AtomicU64>,
    index: Vec<AtomicU64>,
}

impl Tally {
    fn new(len: usize) -> Self {
        let zeros = || (0..len).map(|_| AtomicU64::new(0)).collect();
        Tally { count: zeros(), index: zeros() }
    }

    fn meet(&self, own: usize, other: usize) {
        self.count[own].fetch_add(1, Ordering::Relaxed);
        self.index[own].fetch_add(other as u64, Ordering::Relaxed);
    }

    fn counts(&self) -> impl Iterator<Item = f64> + '_ {
        self.count.iter().map(|count| count.load(Ordering::Relaxed) as f64)
    }

    /// Of the members that met one other alone, which.
    fn only(&self) -> impl Iterator<Item = usize> + '_ {
        let once = |(count, index): (&AtomicU64, &AtomicU64)| {
            (count.load(Ordering::Relaxed) == 1).then(|| index.load(Ordering::Relaxed) as usize)
        };
        self.count.iter().zip(&self.index).filter_map(once)
    }
}

/// Which points of one sample lie in which balls around the points of the other.
struct Hits {
    points: Tally,
    balls: Tally,
}

/// The share of `own` that meet any of `others`. Left out, one of `others` takes those with it that met it alone.
fn share(own: &Tally, others: &Tally) -> Estimate {
    let (n, m) = (own.count.len() as f64, others.count.len() as f64);
    let value = own.counts().filter(|&count| count > 0.0).count() as f64 / n;
    let mut lost = Array1::<f64>::zeros(others.count.len());
    for other in own.only() {
        lost[other] += 1.0 / n;
    }
    let variance = value * (1.0 - value) / (n - 1.0) + (m - 1.0).powi(2) / m * lost.var(1.0);
    Estimate { value, standard_error: variance.sqrt() }
}

/// Samples in the balls of data, and data in the balls of samples.
fn hits(x: &Cloud, y: &Cloud, x_radii: &[f64], y_radii: &[f64]) -> (Hits, Hits) {
    const ROWS: usize = 64;
    const COLUMNS: usize = 512;
    const FEW: usize = 16;
    let data = Hits { points: Tally::new(x.len()), balls: Tally::new(y.len()) };
    let samples = Hits { points: Tally::new(y.len()), balls: Tally::new(x.len()) };
    let starts: Vec<usize> = (0..x.len()).step_by(ROWS).collect();
    starts.into_par_iter().for_each_init(
        || vec![0.0; ROWS * COLUMNS],
        |buffer, first| {
            let rows = first..x.len().min(first + ROWS);
            for start in (0..y.len()).step_by(COLUMNS) {
                let columns = start..y.len().min(start + COLUMNS);
                let squares = &mut buffer[..rows.len() * columns.len()];
                x.squared_distances(rows.clone(), y, columns.clone(), squares);
                for (j, squares) in rows.clone().zip(squares.chunks_exact(columns.len())) {
                    let reach = x_radii[j];
                    let radii = &y_radii[columns.clone()];
                    for (block, (squares, radii)) in squares.chunks(FEW).zip(radii.chunks(FEW)).enumerate() {
                        // Hardly any pair is near; without a branch for each, looking for one is a vector instruction.
                        if !squares.iter().zip(radii).fold(false, |any, (&s, &r)| any | (s <= r) | (s <= reach)) {
                            continue;
                        }
                        for (i, (&square, &radius)) in (start + block * FEW..).zip(squares.iter().zip(radii)) {
                            if square <= radius {
                                data.points.meet(j, i);
                                data.balls.meet(i, j);
                            }
                            if square <= reach {
                                samples.points.meet(i, j);
                                samples.balls.meet(j, i);
                            }
                        }
                    }
                }
            }
        },
    );
    (data, samples)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array2, arr2};

    use super::super::Shared;
    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn of(x: &Array2<f64>, y: &Array2<f64>, k: usize) -> Fidelities {
        Fidelities::of(x.view(), y.view(), k)
    }

    #[test]
    fn follows_the_definitions_on_a_line() {
        // Balls of data with k = 1: 0 ± 1, 1 ± 1, 3 ± 2, 10 ± 7. Of samples: 0.5 ± 1, 1.5 ± 1, 20 ± 18.5.
        let (x, y) = (arr2(&[[0.5], [1.5], [20.0]]), arr2(&[[0.0], [1.0], [3.0], [10.0]]));
        let found = of(&x, &y, 1);
        // 0.5 lies in the first two, 1.5 in the second and the third, 20 in none.
        assert_relative_eq!(found.precision.value, 2.0 / 3.0);
        assert_relative_eq!(found.density.value, 4.0 / 3.0);
        // All of the data but the ball around 10 have samples; all points of data lie in a ball of samples.
        assert_relative_eq!(found.coverage.value, 0.75);
        assert_relative_eq!(found.recall.value, 1.0);
        for (measure, estimate) in [
            (Measure::Precision, found.precision),
            (Measure::Recall, found.recall),
            (Measure::Density, found.density),
            (Measure::Coverage, found.coverage),
        ] {
            let metric = Fidelity { measure, balls: Balls { neighbors: 1 } };
            assert_eq!(metric.distance(x.view(), y.view()), estimate);
        }
        // What is shared is worked out for each number of neighbours, and once.
        let shared = Shared::default();
        let question = Question { shared: Some(&shared), ..Question::new(x.view(), y.view()) };
        let coverage =
            |neighbors| Fidelity { measure: Measure::Coverage, balls: Balls { neighbors } }.measure(&question);
        assert_eq!((coverage(1), coverage(2)), (found.coverage, of(&x, &y, 2).coverage));
        let again = shared.fidelities(1, || panic!("it is known"));
        assert_eq!(again, found);
    }

    #[test]
    fn tells_few_good_samples_from_many_bad_ones() {
        // One of two far clusters alone: all samples good, half of the data missing.
        let near = gaussian(1, 400, &[0.0; 3], 1.0);
        let both = ndarray::concatenate![Axis(0), gaussian(2, 200, &[0.0; 3], 1.0), gaussian(3, 200, &[50.0; 3], 1.0)];
        let found = of(&near, &both, 5);
        assert!(found.precision.value > 0.9 && found.recall.value < 0.55 && found.coverage.value < 0.55, "{found:?}");
        let found = of(&both, &near, 5);
        assert!(found.precision.value < 0.55 && found.recall.value > 0.9 && found.density.value < 0.6, "{found:?}");
    }

    /// Density and coverage of equal laws do not depend on the law; errors are those of repeats.
    #[test]
    fn is_what_it_must_be_if_the_laws_agree() {
        let (n, m, k) = (120, 160, 5);
        assert_relative_eq!(Fidelities::coverage_of_the_same(10_000, 10_000, 5), 1.0 - 0.5f64.powi(5), epsilon = 1e-4);
        for dim in [2, 64] {
            let all: Vec<Fidelities> = (0..200u64)
                .map(|seed| {
                    let zero = vec![0.0; dim];
                    of(&gaussian(2 * seed, n, &zero, 1.0), &gaussian(2 * seed + 1, m, &zero, 1.0), k)
                })
                .collect();
            let calibration =
                |of: fn(&Fidelities) -> Estimate| Calibration::of(all.len(), |seed| of(&all[seed as usize]));
            let [precision, recall, density, coverage] = [
                |f: &Fidelities| f.precision,
                |f: &Fidelities| f.recall,
                |f: &Fidelities| f.density,
                |f: &Fidelities| f.coverage,
            ]
            .map(calibration);
            density.assert_unbiased(1.0);
            coverage.assert_unbiased(Fidelities::coverage_of_the_same(n, m, k));
            for calibration in [precision, recall, density, coverage] {
                println!(
                    "{dim}: {:.4} ± {:.4}, reported / real {:.3}",
                    calibration.mean,
                    calibration.deviation,
                    calibration.reported / calibration.deviation
                );
                calibration.assert_calibrated(0.75..2.0);
            }
        }
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        let (x, y) = (gaussian(1, 300, &[0.0; 12], 1.0), gaussian(2, 700, &[0.2; 12], 1.1));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| of(&x, &y, 3))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn refuses_to_ask_no_neighbour() {
        assert!(Balls::default().check().is_ok());
        assert_eq!(Balls { neighbors: 0 }.check().unwrap_err().key, "neighbors");
    }

    /// How long it takes: `cargo test --release --lib fidelity -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn times() {
        let (x, y) = (gaussian(1, 10_000, &[0.0; 128], 1.0), gaussian(2, 10_000, &[0.0; 128], 1.0));
        let start = std::time::Instant::now();
        let found = of(&x, &y, 5);
        println!("10,000 × 10,000 × 128: {:.2} s ({found:?})", start.elapsed().as_secs_f64());
        let start = std::time::Instant::now();
        let found = super::super::KernelDistance {}.distance(x.view(), y.view());
        println!("kernel distance: {:.2} s ({found:?})", start.elapsed().as_secs_f64());
    }
}
