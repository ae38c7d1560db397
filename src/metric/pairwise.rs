//! Two-sample U-statistics of a kernel over all pairs of points: one engine for [`Mmd`](super::Mmd),
//! [`EnergyDistance`](super::EnergyDistance) and [`KernelDistance`](super::KernelDistance).
//!
//! The kernel matrices are evaluated in tiles and never stored. Every tile is summed in a fixed order, so that the
//! result does not depend on the number of threads.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::Estimate;

/// Points on each side of a tile: 128² values are 128 KiB, which stays in the second-level cache.
const TILE: usize = 128;

/// Up to this dimension differences of coordinates, which lose nothing, are as fast as a matrix product.
const DIRECT: usize = 8;

/// |x|² + |y|² − 2 x·y loses its digits when it is this small beside |x|² + |y|²; it is then computed directly.
const CANCELLED: f64 = 1e-6;

/// What a kernel depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Argument {
    /// |x − y|².
    SquaredDistance,
    /// x·y.
    Product,
}

/// A kernel k(x, y) that depends on the points through one number alone.
pub(super) trait Kernel: Sync {
    /// Which number that is.
    const OF: Argument = Argument::SquaredDistance;

    /// Replaces such numbers by values of the kernel.
    fn evaluate(&self, arguments: &mut [f64]);
}

/// Points, laid out for their distances: coordinates `[D, N]` and squared norms `[N]` about a common centre.
pub(super) struct Cloud {
    coordinates: Array2<f64>,
    squared_norms: Array1<f64>,
}

impl Cloud {
    /// The points `[N, D]` seen from `centre` `[D]`: the nearer it is to the points, the less |x|² + |y|² − 2 x·y cancels.
    pub(super) fn new(points: ArrayView2<f64>, centre: &Array1<f64>) -> Self {
        let mut coordinates = Array2::zeros((points.ncols(), points.nrows()));
        coordinates.assign(&points.t());
        coordinates -= &centre.view().insert_axis(Axis(1));
        let squared_norms = coordinates.map_axis(Axis(0), |x| x.dot(&x));
        Cloud { coordinates, squared_norms }
    }

    /// How many points there are.
    pub(super) fn len(&self) -> usize {
        self.squared_norms.len()
    }

    /// Writes x_i·y_j, as seen from the centre, for `rows` i of `self` and `columns` j of `other`, row by row.
    fn products(&self, rows: Range<usize>, other: &Cloud, columns: Range<usize>, out: &mut [f64]) {
        let mut out = ArrayViewMut2::from_shape((rows.len(), columns.len()), out).expect("one value for each pair");
        let (x, y) = (self.coordinates.slice(s![.., rows]), other.coordinates.slice(s![.., columns]));
        general_mat_mul(1.0, &x.t(), &y, 0.0, &mut out);
    }

    /// Writes |x_i − y_j|² for `rows` i of `self` and `columns` j of `other`, row by row.
    pub(super) fn squared_distances(&self, rows: Range<usize>, other: &Cloud, columns: Range<usize>, out: &mut [f64]) {
        let x = self.coordinates.slice(s![.., rows.clone()]);
        let y = other.coordinates.slice(s![.., columns.clone()]);
        if x.nrows() <= DIRECT {
            out.fill(0.0);
            for (x, out) in x.columns().into_iter().zip(out.chunks_exact_mut(columns.len())) {
                for (&x, y) in x.iter().zip(y.rows()) {
                    let y = y.to_slice().expect("coordinates are contiguous");
                    out.iter_mut().zip(y).for_each(|(out, &y)| *out += (x - y) * (x - y));
                }
            }
            return;
        }
        let mut out = ArrayViewMut2::from_shape((rows.len(), columns.len()), out).expect("one value for each pair");
        general_mat_mul(-2.0, &x.t(), &y, 0.0, &mut out);
        let (x_norms, y_norms) = (self.squared_norms.slice(s![rows]), other.squared_norms.slice(s![columns]));
        for ((x, x_norm), row) in x.columns().into_iter().zip(x_norms).zip(out.rows_mut()) {
            for (out, (y_norm, y)) in row.into_iter().zip(y_norms.iter().zip(y.columns())) {
                let norms = x_norm + y_norm;
                *out += norms;
                if *out < CANCELLED * norms {
                    *out = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                }
            }
        }
    }
}

/// Which entries of a matrix k(x_i, y_j) to sum: all, or those of i < j where both samples are one.
#[derive(Clone, Copy, PartialEq)]
enum Pairs {
    All,
    Once,
}

/// The sums of a matrix k(x_i, y_j) over its rows and columns, and that of its squares.
struct Sums {
    rows: Array1<f64>,
    columns: Array1<f64>,
    squares: f64,
}

impl Sums {
    /// A band of rows at a time, the tiles of the band in parallel: each owns its columns and returns its row sums.
    fn new<K: Kernel>(kernel: &K, x: &Cloud, y: &Cloud, pairs: Pairs) -> Self {
        let mut rows = Array1::zeros(x.len());
        let mut columns = vec![0.0; y.len()];
        let mut squares = 0.0;
        for start in (0..x.len()).step_by(TILE) {
            let band = start..x.len().min(start + TILE);
            let first = if pairs == Pairs::Once { start } else { 0 };
            let tile = |buffer: &mut Vec<f64>, (number, columns): (usize, &mut [f64])| {
                let (start, width) = (first + number * TILE, columns.len());
                let values = &mut buffer[..band.len() * width];
                match K::OF {
                    Argument::SquaredDistance => x.squared_distances(band.clone(), y, start..start + width, values),
                    Argument::Product => x.products(band.clone(), y, start..start + width, values),
                }
                kernel.evaluate(values);
                let mut row_sums = Array1::zeros(band.len());
                let mut squares = 0.0;
                for (i, row) in values.chunks_exact_mut(width).enumerate() {
                    if pairs == Pairs::Once && number == 0 {
                        // The tile on the diagonal.
                        row[..=i].fill(0.0);
                    }
                    columns.iter_mut().zip(&*row).for_each(|(sum, value)| *sum += value);
                    let row = ArrayView1::from(&*row);
                    row_sums[i] = row.sum();
                    squares += row.dot(&row);
                }
                (row_sums, squares)
            };
            let tiles: Vec<_> =
                columns[first..].par_chunks_mut(TILE).enumerate().map_init(|| vec![0.0; TILE * TILE], tile).collect();
            for (row_sums, tile_squares) in tiles {
                rows.slice_mut(s![band.clone()]).scaled_add(1.0, &row_sums);
                squares += tile_squares;
            }
        }
        Sums { rows, columns: columns.into(), squares }
    }
}

/// A kernel matrix as a two-way layout k(x_i, y_j) = mean + row effect + column effect + interaction.
struct Layout {
    mean: f64,
    rows: Array1<f64>,
    columns: Array1<f64>,
    interaction: f64,
}

impl Layout {
    /// Between two samples: sums over rows and columns, and the variance of the interaction,
    /// σ̂² = \[Σᵢⱼ k² − NM k̄² − Σᵢ (Rᵢ − R̄)²/M − Σⱼ (Cⱼ − C̄)²/N\] / ((N − 1)(M − 1)).
    fn between(kernel: &impl Kernel, x: &Cloud, y: &Cloud) -> Self {
        let (n, m) = (x.len() as f64, y.len() as f64);
        let Sums { rows, columns, squares } = Sums::new(kernel, x, y, Pairs::All);
        let mean = rows.sum() / (n * m);
        let main = (n - 1.0) * rows.var(1.0) / m + (m - 1.0) * columns.var(1.0) / n;
        let interaction = (squares - n * m * mean * mean - main) / ((n - 1.0) * (m - 1.0));
        Layout { mean, rows, columns, interaction: non_negative(interaction) }
    }

    /// Within one sample, where k is symmetric and its diagonal left out (Griffing, 1956, method 4),
    /// σ̂² = \[Σ_{i<j} k² − ½N(N − 1) k̄² − Σᵢ (Rᵢ − R̄)²/(N − 2)\] / (½N(N − 3)).
    fn within(kernel: &impl Kernel, x: &Cloud) -> Self {
        let n = x.len() as f64;
        let Sums { rows, columns, squares } = Sums::new(kernel, x, x, Pairs::Once);
        let rows = rows + columns;
        let mean = rows.sum() / (n * (n - 1.0));
        let main = (n - 1.0) * rows.var(1.0) / (n - 2.0);
        let interaction = (squares - n * (n - 1.0) / 2.0 * mean * mean - main) / (n * (n - 3.0) / 2.0);
        Layout { mean, columns: rows.clone(), rows, interaction: non_negative(interaction) }
    }
}

/// An unbiased estimate of γ² = E k(X, X') + E k(Y, Y') − 2 E k(X, Y), and of its variance at each order.
struct Moments {
    value: f64,
    first_order: f64,
    second_order: f64,
}

impl Moments {
    /// From row sums and sums of squares: every estimate is without bias in samples of any size, for the first order
    /// thanks to ζ̂_x = var(Rˣˣᵢ/(N − 2) − Rˣʸᵢ/M) − σ̂²_xx/(N − 2) − σ̂²_xy/M, which may be negative, and ζ̂_y likewise.
    fn new<K: Kernel>(kernel: &K, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Self {
        let (n, m) = (x.nrows() as f64, y.nrows() as f64);
        let centre = match K::OF {
            Argument::SquaredDistance => (x.sum_axis(Axis(0)) + y.sum_axis(Axis(0))) / (n + m),
            // A product has an origin.
            Argument::Product => Array1::zeros(x.ncols()),
        };
        let (x, y) = (Cloud::new(x, &centre), Cloud::new(y, &centre));
        let (xx, yy, xy) = (Layout::within(kernel, &x), Layout::within(kernel, &y), Layout::between(kernel, &x, &y));
        let zeta_x = (xx.rows / (n - 2.0) - xy.rows / m).var(1.0) - xx.interaction / (n - 2.0) - xy.interaction / m;
        let zeta_y =
            (yy.columns / (m - 2.0) - xy.columns / n).var(1.0) - yy.interaction / (m - 2.0) - xy.interaction / n;
        Moments {
            value: xx.mean + yy.mean - 2.0 * xy.mean,
            first_order: 4.0 * zeta_x / n + 4.0 * zeta_y / m,
            second_order: 2.0 * xx.interaction / (n * (n - 1.0))
                + 2.0 * yy.interaction / (m * (m - 1.0))
                + 4.0 * xy.interaction / (n * m),
        }
    }
}

/// The unbiased estimate of γ² = E k(X, X') + E k(Y, Y') − 2 E k(X, Y) and its standard error
/// (Gretton, Borgwardt, Rasch, Schölkopf & Smola, 2012, lemma 6; Hoeffding, 1948).
///
/// The variance is that of the whole Hoeffding decomposition,
/// Var γ̂² = 4 ζ_x/N + 4 ζ_y/M + 2 σ²_xx/(N(N − 1)) + 2 σ²_yy/(M(M − 1)) + 4 σ²_xy/(NM). Its first order,
/// ζ_x = Var\[E k(X, X') − E k(X, Y) | X\], rules when the laws differ and vanishes when they agree, where the second
/// remains, the variances σ² of the doubly centred kernels. Holding the first order at zero or more keeps the
/// standard error real, and makes it somewhat too large (by a quarter, typically) when the laws agree.
pub(super) fn discrepancy(kernel: &impl Kernel, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Estimate {
    let Moments { value, first_order, second_order } = Moments::new(kernel, x, y);
    Estimate { value, standard_error: (non_negative(first_order) + second_order).sqrt() }
}

/// max(0, v), but NaN for NaN, which `f64::max` would hide.
fn non_negative(v: f64) -> f64 {
    v.clamp(0.0, f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::super::tests::gaussian;
    use super::*;

    /// k(x, y) = 1/(1 + |x − y|²).
    struct Cauchy;

    impl Kernel for Cauchy {
        fn evaluate(&self, squared_distances: &mut [f64]) {
            squared_distances.iter_mut().for_each(|v| *v = 1.0 / (1.0 + *v));
        }
    }

    #[test]
    fn estimates_its_variance_without_bias_in_the_smallest_samples() {
        // Seven points against five: every term counts, and any wrong factor shows.
        for shift in [0.0, 2.0] {
            let (mut sum, mut squares, mut reported, repeats) = (0.0, 0.0, 0.0, 20_000);
            for seed in 0..repeats {
                let (x, y) = (gaussian(2 * seed, 7, &[0.0], 1.0), gaussian(2 * seed + 1, 5, &[shift], 1.0));
                let Moments { value, first_order, second_order } = Moments::new(&Cauchy, x.view(), y.view());
                sum += value;
                squares += value * value;
                reported += first_order + second_order;
            }
            let repeats = repeats as f64;
            let ratio = reported / (squares - sum * sum / repeats);
            assert!((ratio - 1.0).abs() < 0.05, "estimated / real variance = {ratio} for a shift of {shift}");
        }
    }

    #[test]
    fn visits_every_pair_once_whatever_the_tiles() {
        /// k(x, y) = 1.
        struct One;
        impl Kernel for One {
            fn evaluate(&self, squared_distances: &mut [f64]) {
                squared_distances.fill(1.0);
            }
        }
        for (n, m) in [(4, 5), (TILE, TILE), (TILE + 1, 3 * TILE - 1)] {
            let cloud = |n| Cloud::new(Array2::zeros((n, 1)).view(), &Array1::zeros(1));
            let all = Sums::new(&One, &cloud(n), &cloud(m), Pairs::All);
            assert!(all.rows.iter().all(|&sum| sum == m as f64) && all.columns.iter().all(|&sum| sum == n as f64));
            assert_eq!(all.squares, (n * m) as f64);
            let once = Sums::new(&One, &cloud(m), &cloud(m), Pairs::Once);
            assert!((once.rows + once.columns).iter().all(|&sum| sum == (m - 1) as f64));
            assert_eq!(once.squares, (m * (m - 1) / 2) as f64);
        }
    }
}
