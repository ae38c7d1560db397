//! The Wasserstein distance in full dimension, by exact optimal transport.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::pairwise::Cloud;
use super::{Estimate, Metric, Question};
use crate::error::{Fault, Settings};

/// The most points for which the matrix of costs and the time for it are bearable.
const MOST: usize = 2_000;

/// The Wasserstein distance of order two between the empirical measures, by exact optimal transport.
///
/// W₂² = min over permutations π of mean |x_i − y_π(i)|², solved as an assignment problem (Jonker & Volgenant, 1987).
/// It compares n = min(N, M, `points`) points of each sample: where there are more, it takes n of them evenly spaced
/// in order, and says nothing of the rest.
///
/// The value is the distance between the samples, not between the laws: its square is biased upwards, by O(n^{−2/D}) in
/// D > 4 dimensions (Fournier & Guillin, 2015), which the noise floor shows and no larger n within reach removes. The
/// standard error is from the central limit theorem (del Barrio & Loubes, 2019) and the delta method,
/// SE = √(Var φ(X)/n + Var ψ(Y)/n) / (2 W₂) with the dual potentials φ(x) + ψ(y) ≤ |x − y|²: the spread about the mean,
/// bias excluded, and unreliable when both are samples of one law, where the value is all bias.
///
/// Time O(n³ + n² D), on one core but for the costs; memory 8 n² bytes, 32 MB for 2,000 points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimalTransport {
    /// The most points of each sample, up to 2,000.
    pub points: usize,
}

impl Default for OptimalTransport {
    fn default() -> Self {
        OptimalTransport { points: MOST }
    }
}

impl Settings for OptimalTransport {
    fn check(&self) -> Result<(), Fault> {
        if (2..=MOST).contains(&self.points) {
            return Ok(());
        }
        let problem = format!("{} is not between 2 and {MOST}", self.points);
        Err(Fault::new(
            "points",
            problem,
            format!("write at most {MOST}: time grows with the cube, memory with the square"),
        ))
    }
}

impl Metric for OptimalTransport {
    fn name(&self) -> &'static str {
        "optimal_transport"
    }

    fn label(&self) -> &'static str {
        "W₂"
    }

    fn least(&self) -> usize {
        2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data: y, .. } = *question;
        let n = x.nrows().min(y.nrows()).min(self.points);
        let (x, y) = (Standard::new(evenly(x, n)), Standard::new(evenly(y, n)));
        let shift = &x.mean - &y.mean;
        let Assignment { columns, rows, prices } = Assignment::new(&squared_distances(&x.points, &y.points));
        let partners = y.points.select(Axis(0), &columns) * y.scale;
        let square = (&x.points * x.scale - &partners + &shift).mapv(|gap| gap * gap).sum() / n as f64;
        // |x − y|² differs from x.scale y.scale times what was minimised by functions of x and of y alone, which are
        // added to their potentials.
        let product = x.scale * y.scale;
        let phi = rows * product + x.squares() * (x.scale * x.scale - product) + x.points.dot(&shift) * (2.0 * x.scale);
        let psi =
            prices * product + y.squares() * (y.scale * y.scale - product) - y.points.dot(&shift) * (2.0 * y.scale);
        Estimate::root(square, (phi.var(1.0) + psi.var(1.0)) / n as f64)
    }
}

/// `n` of the points, evenly spaced in order.
fn evenly(points: ArrayView2<f64>, n: usize) -> Array2<f64> {
    points.select(Axis(0), &(0..n).map(|i| i * points.nrows() / n).collect::<Vec<_>>())
}

/// Points about their mean, in units of their own spread. Moving or scaling either sample does not change which
/// assignment is best, since |x − y|² depends on the pair through x·y alone; but clouds that lie on one another are
/// solved much faster.
struct Standard {
    mean: Array1<f64>,
    /// The root mean square of the centred coordinates.
    scale: f64,
    /// `[n, D]`
    points: Array2<f64>,
}

impl Standard {
    fn new(mut points: Array2<f64>) -> Self {
        let mean = points.mean_axis(Axis(0)).expect("there are points");
        points -= &mean;
        let spread = (points.mapv(|x| x * x).sum() / points.len() as f64).sqrt();
        let scale = if spread > 0.0 { spread } else { 1.0 };
        points /= scale;
        Standard { mean, scale, points }
    }

    /// |x_i|² `[n]`.
    fn squares(&self) -> Array1<f64> {
        self.points.map_axis(Axis(1), |x| x.dot(&x))
    }
}

/// |x_i − y_j|² `[n, n]`.
fn squared_distances(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
    let n = x.nrows();
    let origin = Array1::zeros(x.ncols());
    let (x, y) = (Cloud::new(x.view(), &origin), Cloud::new(y.view(), &origin));
    let mut costs = vec![0.0; n * n];
    costs.par_chunks_mut(n).enumerate().for_each(|(i, row)| x.squared_distances(i..i + 1, &y, 0..n, row));
    Array2::from_shape_vec((n, n), costs).expect("one cost for each pair")
}

/// A cheapest assignment of rows to columns with the dual potentials that prove it: u_i + v_j ≤ c_ij, with equality
/// where row i is assigned to column j.
struct Assignment {
    /// The column of each row `[n]`.
    columns: Vec<usize>,
    /// u `[n]`.
    rows: Array1<f64>,
    /// v `[n]`.
    prices: Array1<f64>,
}

/// No row, or no column.
const NONE: usize = usize::MAX;

impl Assignment {
    /// The algorithm of Jonker & Volgenant (1987) for dense costs `[n, n]`: column reduction, augmenting row reduction,
    /// then a shortest augmenting path for each row that is left.
    fn new(costs: &Array2<f64>) -> Self {
        let mut search = Search::new(costs);
        let mut free = search.reduce_columns();
        // Twice is what the authors recommend.
        for _ in 0..2 {
            free = search.reduce_rows(free);
        }
        for row in free {
            search.augment(row);
        }
        let Search { column_of, prices, .. } = search;
        let rows = column_of.iter().enumerate().map(|(i, &j)| costs[[i, j]] - prices[j]).collect();
        Assignment { columns: column_of, rows, prices: prices.into() }
    }
}

/// An assignment in the making.
struct Search<'a> {
    costs: &'a Array2<f64>,
    /// The column of each row, or none `[n]`.
    column_of: Vec<usize>,
    /// The row of each column, or none `[n]`.
    row_of: Vec<usize>,
    /// v `[n]`.
    prices: Vec<f64>,
}

impl<'a> Search<'a> {
    fn new(costs: &'a Array2<f64>) -> Self {
        let n = costs.nrows();
        Search { costs, column_of: vec![NONE; n], row_of: vec![NONE; n], prices: vec![0.0; n] }
    }

    fn cost(&self, i: usize) -> &'a [f64] {
        self.costs.row(i).to_slice().expect("costs are contiguous")
    }

    /// Prices each column at its least cost, and gives it to that row if the row has none. Returns the free rows.
    fn reduce_columns(&mut self) -> Vec<usize> {
        let n = self.prices.len();
        let mut cheapest = self.cost(0).to_vec();
        let mut owner = vec![0; n];
        for i in 1..n {
            for (j, &cost) in self.cost(i).iter().enumerate() {
                if cost < cheapest[j] {
                    (cheapest[j], owner[j]) = (cost, i);
                }
            }
        }
        self.prices = cheapest;
        for (j, &i) in owner.iter().enumerate() {
            if self.column_of[i] == NONE {
                (self.column_of[i], self.row_of[j]) = (j, i);
            }
        }
        (0..n).filter(|&i| self.column_of[i] == NONE).collect()
    }

    /// Each free row takes its cheapest column, whose price falls to what the second cheapest allows; the row that had
    /// it is free instead. Returns the rows that are still free.
    fn reduce_rows(&mut self, mut waiting: Vec<usize>) -> Vec<usize> {
        waiting.reverse();
        let mut free = Vec::new();
        // Prices may creep down by ever less; what is left then goes to the augmenting paths.
        let mut bids = 4 * self.prices.len();
        while let Some(i) = waiting.pop() {
            let ((least, first), (next, second)) = self.two_cheapest(i);
            let lowered = self.prices[first] - (next - least);
            let falls = lowered < self.prices[first];
            let column = if falls || self.row_of[first] == NONE || second == NONE { first } else { second };
            if falls {
                self.prices[first] = lowered;
            }
            let displaced = std::mem::replace(&mut self.row_of[column], i);
            self.column_of[i] = column;
            if displaced != NONE {
                self.column_of[displaced] = NONE;
                bids = bids.saturating_sub(1);
                if falls && bids > 0 { waiting.push(displaced) } else { free.push(displaced) }
            }
        }
        free
    }

    /// The least and the second least c_ij − v_j of a row, each with its column.
    fn two_cheapest(&self, i: usize) -> ((f64, usize), (f64, usize)) {
        let (mut first, mut second) = ((f64::INFINITY, NONE), (f64::INFINITY, NONE));
        for (j, (cost, price)) in self.cost(i).iter().zip(&self.prices).enumerate() {
            let reduced = cost - price;
            if reduced < first.0 {
                (first, second) = ((reduced, j), first);
            } else if reduced < second.0 {
                second = (reduced, j);
            }
        }
        (first, second)
    }

    /// Gives a free row a column along a shortest path (Dijkstra) of reassignments, and updates the prices.
    fn augment(&mut self, start: usize) {
        let n = self.prices.len();
        let mut distances: Vec<f64> =
            self.cost(start).iter().zip(&self.prices).map(|(cost, price)| cost - price).collect();
        let mut reached_from = vec![start; n];
        let mut remaining: Vec<usize> = (0..n).collect();
        let mut done = Vec::new();
        let (end, length) = loop {
            let nearest = |&a: &usize, &b: &usize| distances[remaining[a]].total_cmp(&distances[remaining[b]]);
            let place = (0..remaining.len()).min_by(nearest).expect("some column is free");
            let column = remaining.swap_remove(place);
            let length = distances[column];
            let row = self.row_of[column];
            if row == NONE {
                break (column, length);
            }
            done.push(column);
            let costs = self.cost(row);
            let offset = length - (costs[column] - self.prices[column]);
            for &j in &remaining {
                let through = offset + costs[j] - self.prices[j];
                if through < distances[j] {
                    (distances[j], reached_from[j]) = (through, row);
                }
            }
        };
        for j in done {
            self.prices[j] += distances[j] - length;
        }
        let mut column = end;
        loop {
            let row = reached_from[column];
            self.row_of[column] = row;
            column = std::mem::replace(&mut self.column_of[row], column);
            if row == start {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SlicedWasserstein;
    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        OptimalTransport::default().distance(x.view(), y.view())
    }

    /// The least cost over all permutations.
    fn brute_force(costs: &Array2<f64>, row: usize, used: &mut Vec<bool>) -> f64 {
        if row == costs.nrows() {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for j in 0..costs.nrows() {
            if !used[j] {
                used[j] = true;
                least = least.min(costs[[row, j]] + brute_force(costs, row + 1, used));
                used[j] = false;
            }
        }
        least
    }

    /// A permutation, and potentials that prove it to be the cheapest.
    #[track_caller]
    fn assert_optimal(costs: &Array2<f64>) -> f64 {
        let n = costs.nrows();
        let Assignment { columns, rows, prices } = Assignment::new(costs);
        let mut sorted = columns.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..n), "{columns:?} is no permutation");
        let scale = costs.iter().fold(1e-300, |most: f64, cost| most.max(cost.abs()));
        for ((i, j), cost) in costs.indexed_iter() {
            assert!(rows[i] + prices[j] <= cost + 1e-12 * scale, "({i}, {j}) is cheaper than its potentials");
        }
        columns.iter().enumerate().map(|(i, &j)| costs[[i, j]]).sum()
    }

    #[test]
    fn is_the_cheapest_of_all_permutations() {
        for n in 1..8 {
            for seed in 0..30 {
                let costs = gaussian(seed, n, &vec![0.0; n], 1.0);
                let (found, least) = (assert_optimal(&costs), brute_force(&costs, 0, &mut vec![false; n]));
                approx::assert_relative_eq!(found, least, max_relative = 1e-12, epsilon = 1e-12);
                // Few different costs make ties.
                let ties = costs.mapv(|cost| cost.round());
                assert_eq!(assert_optimal(&ties), brute_force(&ties, 0, &mut vec![false; n]));
            }
        }
    }

    #[test]
    fn proves_itself_on_large_problems() {
        for d in [1, 2, 10] {
            let (x, y) = (gaussian(1, 400, &vec![0.0; d], 1.0), gaussian(2, 400, &vec![0.3; d], 1.0));
            assert_optimal(&squared_distances(&x, &y));
            // Points on a lattice: all costs are ties.
            assert_optimal(&squared_distances(&x.mapv(f64::round), &y.mapv(f64::round)));
        }
        assert_optimal(&Array2::zeros((300, 300)));
    }

    #[test]
    fn is_the_sorted_distance_on_the_line() {
        let (x, y) = (gaussian(1, 500, &[0.0], 1.0), gaussian(2, 500, &[0.3], 2.0));
        let sliced = SlicedWasserstein::default().distance(x.view(), y.view());
        let full = estimate(&x, &y);
        approx::assert_relative_eq!(full.value, sliced.value, max_relative = 1e-12);
        // Potentials are not unique, but their spread is nearly so.
        approx::assert_relative_eq!(full.standard_error, sliced.standard_error, max_relative = 0.02);
    }

    #[test]
    fn is_the_length_of_a_shift() {
        let x = gaussian(1, 300, &[0.0; 3], 1.0);
        let estimate = estimate(&x, &(&x + 2.0));
        approx::assert_relative_eq!(estimate.value, 12f64.sqrt(), max_relative = 1e-10);
    }

    #[test]
    fn is_calibrated_when_the_laws_differ() {
        let apart =
            |seed| estimate(&gaussian(2 * seed, 150, &[0.0; 2], 1.0), &gaussian(2 * seed + 1, 150, &[2.0, 0.0], 1.5));
        let calibration = Calibration::of(200, apart);
        calibration.assert_calibrated(0.85..1.15);
        // √(4 + 2 · 0.25) and a bias.
        assert!((2.12..2.25).contains(&calibration.mean), "{}", calibration.mean);
    }

    #[test]
    fn takes_no_more_points_than_it_may() {
        let (x, y) = (gaussian(1, 90, &[0.0; 2], 1.0), gaussian(2, 60, &[0.0; 2], 1.0));
        let few = OptimalTransport { points: 30 }.distance(x.view(), y.view());
        let chosen =
            |points: &Array2<f64>, by: usize| points.select(Axis(0), &(0..30).map(|i| by * i).collect::<Vec<_>>());
        assert_eq!(few, estimate(&chosen(&x, 3), &chosen(&y, 2)));
        assert_eq!(OptimalTransport { points: 2_001 }.check().unwrap_err().key, "points");
        assert!(OptimalTransport { points: 1 }.check().is_err() && OptimalTransport::default().check().is_ok());
    }
}
