//! Align Your Steps: the bound on the divergence of the reverse SDE.

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Tick, equal, times};
use crate::error::{Fault, Result, Settings, between};
use crate::rng::{Purpose, Stream};
use crate::score::{Model, parts};
use crate::tensor::{normals, to_rows};
use crate::threads::Workers;

/// The bound of Align Your Steps (Sabour, Fidler & Kreis 2024, eq. 13), minimised: by Girsanov, the Kullback–Leibler divergence
/// between the reverse SDE and its first-order exponential solver, which holds D over a step, is at most
///
/// Σ_i KLUB(κ_i, κ_{i+1}),  KLUB(a, b) = ∫_b^a κ⁻³ E |D(x_κ, κ) − D(x_a, a)|² dκ,
///
/// with x_κ data in noise of level κ and x_a the same data with more noise of the same Brownian motion.
///
/// One Brownian path for each data point, evaluated once at M levels, gives the expectation for all M²/2 pairs with common
/// noise; the integral is the trapezoidal rule in ln κ. Since the bound is a sum over steps, the best grid through the M
/// levels is a shortest path, found exactly: the paper searches one node after the other, with new noise for each candidate,
/// and needs importance sampling and thousands of evaluations.
///
/// The bound is not the error, least of all that of a solver of the ODE, and its minimum is often a worse grid than those
/// on the way to it; the paper advises to stop early. `rounds` makes its search, from equal steps in ln κ, on the same
/// estimates. On eight Gaussians in the plane one round is as good as equal steps or better, for solvers of the ODE and of
/// the SDE; for well separated, narrow modes in many dimensions no number is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Klub {
    /// M, the levels among which nodes are chosen.
    #[schemars(range(min = 2, max = 2000))]
    pub levels: usize,
    /// The data points.
    #[schemars(range(min = 1))]
    pub samples: usize,
    /// How often each node is moved, one after the other (Algorithm 1 of the paper); null goes to the minimum.
    #[schemars(range(min = 1))]
    pub rounds: Option<usize>,
}

impl Default for Klub {
    fn default() -> Self {
        Klub { levels: 200, samples: 1024, rounds: Some(1) }
    }
}

impl Settings for Klub {
    fn check(&self) -> Result<(), Fault> {
        between("levels", self.levels, (2, 2000))?;
        between("samples", self.samples, (1, 1_000_000))?;
        between("rounds", self.rounds.unwrap_or(1), (1, 1_000_000))
    }
}

/// Data points that are evaluated together.
const CHUNK: i64 = 64;

impl Klub {
    /// The levels of the best grid, from data `[B, …]`.
    ///
    /// # Errors
    /// Whatever `tick` returns.
    pub fn find(
        &self,
        model: &dyn Model,
        data: &Tensor,
        seed: u64,
        steps: usize,
        workers: &Workers,
        tick: &Tick,
    ) -> Result<Vec<f64>> {
        let levels = equal(model.sde(), self.levels.max(steps));
        let gram = gram(model, &levels, data, seed, workers, tick)?;
        let bounds = bounds(&levels, &gram);
        let path = match self.rounds {
            None => shortest(&bounds, steps),
            Some(rounds) => nudged(&bounds, steps, rounds),
        };
        Ok(path.into_iter().map(|node| levels[node]).collect())
    }
}

/// E ⟨D_i, D_j⟩ `[M + 1, M + 1]` along the Brownian paths of the noise.
fn gram(
    model: &dyn Model,
    levels: &[f64],
    data: &Tensor,
    seed: u64,
    workers: &Workers,
    tick: &Tick,
) -> Result<Array2<f64>> {
    let times = times(model.sde(), levels);
    let stream = Stream::new(seed, Purpose::Perturbation);
    let count = data.size()[0];
    let parts: Vec<_> = parts(model, data, CHUNK).collect();
    let of_chunk = |(first, model, data): (i64, Box<dyn Model>, Tensor)| {
        let (mut noise, mut below, mut rows) = (data.zeros_like(), 0.0, Vec::new());
        for (draw, &t) in times.iter().enumerate().rev() {
            let kernel = model.sde().kernel(t);
            let ratio = kernel.ratio();
            let fresh = normals(stream, first as u64, draw as u32, &data);
            noise += fresh * ((ratio - below) * (ratio + below)).sqrt();
            below = ratio;
            let x0 = tch::no_grad(|| model.denoise(&((&data + &noise) * kernel.alpha), t));
            rows.push(x0.flatten(0, -1).to_kind(Kind::Double));
            tick(data.size()[0] as f64 / (count as usize * times.len()) as f64)?;
        }
        rows.reverse();
        let rows = Tensor::stack(&rows, 0);
        Ok(to_rows(&rows.matmul(&rows.tr())))
    };
    // Summed in the order of the chunks, so that the number of threads does not matter.
    let grams: Vec<Array2<f64>> = workers.install(|| parts.into_par_iter().map(of_chunk).collect::<Result<_>>())?;
    let sum = grams.into_iter().reduce(|sum, gram| sum + gram).expect("some data");
    Ok(sum / count as f64)
}

/// KLUB of each step from one level to a lower one.
fn bounds(levels: &[f64], gram: &Array2<f64>) -> Array2<f64> {
    let n = levels.len();
    let mut bounds = Array2::from_elem((n, n), f64::INFINITY);
    for i in 0..n {
        let density = |j: usize| {
            let change = (gram[[i, i]] + gram[[j, j]] - 2.0 * gram[[i, j]]).max(0.0);
            // κ⁻³ dκ = κ⁻² d ln κ.
            change * (-2.0 * levels[j]).exp()
        };
        let mut sum = 0.0;
        for j in i + 1..n {
            sum += 0.5 * (density(j - 1) + density(j)) * (levels[j - 1] - levels[j]);
            bounds[[i, j]] = sum;
        }
    }
    bounds
}

/// The path of so many steps from the first node to the last with the least sum of costs.
fn shortest(costs: &Array2<f64>, steps: usize) -> Vec<usize> {
    let n = costs.nrows();
    let mut best = vec![costs.row(0).to_vec()];
    let mut from: Vec<Vec<usize>> = vec![vec![0; n]];
    for k in 1..steps {
        let (mut value, mut way) = (vec![f64::INFINITY; n], vec![0; n]);
        for j in k + 1..n {
            for i in k..j {
                let sum = best[k - 1][i] + costs[[i, j]];
                if sum < value[j] {
                    (value[j], way[j]) = (sum, i);
                }
            }
        }
        best.push(value);
        from.push(way);
    }
    let mut path = vec![n - 1];
    for way in from.iter().rev() {
        path.push(way[path[path.len() - 1]]);
    }
    path.reverse();
    path
}

/// Candidates for the place of a node, of which the middle one is where it is.
const CANDIDATES: usize = 11;

/// The path of equal steps, of which each inner node in turn has moved to the best of some places between its neighbours,
/// so many times or until none moves.
fn nudged(costs: &Array2<f64>, steps: usize, rounds: usize) -> Vec<usize> {
    let last = costs.nrows() - 1;
    let mut path: Vec<usize> = (0..=steps).map(|i| i * last / steps).collect();
    for _ in 0..rounds {
        let before = path.clone();
        for i in 1..steps {
            let (low, here, high) = (path[i - 1], path[i], path[i + 1]);
            let cost = |&node: &usize| costs[[low, node]] + costs[[node, high]];
            // As many places on either side, at equal distances.
            let half = CANDIDATES / 2;
            let side = |end: usize| (1..=half).map(move |k| (here * (half + 1 - k) + end * k + half / 2) / (half + 1));
            let places = side(low).chain(side(high)).filter(|&place| low < place && place < high);
            path[i] = std::iter::once(here).chain(places).min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("one");
        }
        if path == before {
            break;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use tch::Device;

    use super::super::Search;
    use super::*;
    use crate::score::exact::{Exact, Law};
    use crate::sde::{Edm, Sde, Vp};

    /// Of N(0, v): E |D_κ − D_a|² = v² (1/(v + κ²) − 1/(v + a²)), and the integral of it in closed form.
    fn exact(a: f64, b: f64, v: f64) -> f64 {
        // ∫ κ⁻³/(v + κ²) dκ = −1/(2 v κ²) + ln((v + κ²)/κ²)/(2 v²).
        let inner = |k: f64| -1.0 / (2.0 * v * k * k) + ((v + k * k) / (k * k)).ln() / (2.0 * v * v);
        v * v * (inner(a) - inner(b) - 0.5 * (1.0 / (b * b) - 1.0 / (a * a)) / (v + a * a))
    }

    #[test]
    fn of_a_gaussian_the_bound_and_its_best_grid_are_the_closed_forms() {
        let workers = Workers::new(2).unwrap();
        for sde in [Arc::new(Edm::default()) as Arc<dyn Sde>, Arc::new(Vp::default())] {
            let v = 0.25;
            let model = Exact::new(&Law::spectrum(&[0.0; 8], &[v; 8]), sde.clone(), (Kind::Double, Device::Cpu));
            let like = Tensor::zeros([512, 8], (Kind::Double, Device::Cpu));
            let data = normals(Stream::new(5, Purpose::Data), 0, 0, &like) * 0.5;
            let levels = equal(&*sde, 200);
            let gram = gram(&model, &levels, &data, 1, &workers, &|_| Ok(())).unwrap();
            let bounds = bounds(&levels, &gram);
            for (i, j) in [(0, 90), (60, 130), (100, 180), (150, 200)] {
                let expected = 8.0 * exact(levels[i].exp(), levels[j].exp(), v);
                assert_relative_eq!(bounds[[i, j]], expected, max_relative = 0.05);
            }
            let klub = Klub { levels: 200, samples: 512, rounds: None };
            let find = |klub: Klub| klub.find(&model, &data, 1, 6, &workers, &|_| Ok(())).unwrap();
            let found = find(klub);
            let mut sum =
                |levels: &[f64]| Ok(levels.windows(2).map(|pair| exact(pair[0].exp(), pair[1].exp(), v)).sum::<f64>());
            let search = Search { evaluations: 2000, difference: 1e-6 };
            let best = search.descend(&equal(&*sde, 6), &mut sum).unwrap();
            assert!(sum(&found).unwrap() < 1.01 * best.error, "{found:?} {best:?}");
            found.iter().zip(&best.levels).for_each(|(x, y)| assert_abs_diff_eq!(x, y, epsilon = 0.15));
            // Node after node, the search of the paper goes the same way and stops where none of its candidates is better.
            let after = |rounds: usize| find(Klub { rounds: Some(rounds), ..klub });
            let sums = [1, 4, 16, 64].map(|rounds| sum(&after(rounds)).unwrap() / best.error);
            assert!(sums.windows(2).all(|pair| pair[1] <= pair[0]), "{sums:?}");
            assert!(sums[0] < 0.9 * sum(&equal(&*sde, 6)).unwrap() / best.error && sums[3] < 1.15, "{sums:?}");
        }
    }

    #[test]
    fn a_shortest_path_is_the_best_of_all() {
        let n = 8;
        let costs = Array2::from_shape_fn((n, n), |(i, j)| {
            (1.0 + (7 * i + 3 * j) as f64).sin().abs() + (j as f64 - i as f64).powi(2)
        });
        let path = shortest(&costs, 3);
        let sum = |path: &[usize]| path.windows(2).map(|pair| costs[[pair[0], pair[1]]]).sum::<f64>();
        let all = (1..n - 1).flat_map(|i| (i + 1..n - 1).map(move |j| sum(&[0, i, j, n - 1])));
        assert_relative_eq!(sum(&path), all.fold(f64::INFINITY, f64::min), max_relative = 1e-14);
        assert_eq!((path[0], path[3]), (0, n - 1));
        assert_eq!(shortest(&costs, 1), [0, n - 1]);
    }
}
