//! The optimal transport between two Gaussians: one formula for [`GaussianWasserstein`](super::GaussianWasserstein) and
//! [`FrechetDistance`](super::FrechetDistance).

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::Moments;
use super::matrix::{Spectrum, product};

/// Points whose influence one thread computes at a time.
const ROWS: usize = 512;

/// Which of the two Gaussians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    From,
    To,
}

/// The optimal transport from N(m₁, C₁) to N(m₂, C₂).
///
/// Its linear part is A = C₂^{½} M^{−½} C₂^{½} with M = C₂^{½} C₁ C₂^{½}, and that of the way back
/// B = C₂^{−½} M^{½} C₂^{−½}: two spectra do for both. Where a covariance is singular the inverses are pseudo-inverses,
/// which is right for points in its range, where all points are that it is the covariance of.
pub(super) struct Transport {
    /// W₂².
    pub(super) cost: f64,
    /// m₁ and m₂ `[F]`.
    means: [Array1<f64>; 2],
    /// I − A and I − B `[F, F]`.
    shrink: [Array2<f64>; 2],
}

impl Transport {
    pub(super) fn new(from: &Moments, to: &Moments) -> Self {
        let to_spectrum = Spectrum::new(&to.covariance);
        let root = to_spectrum.root();
        let middle = Spectrum::new(&sandwich(&root, &from.covariance));
        let there = sandwich(&root, &middle.inverse_root());
        let back = sandwich(&to_spectrum.inverse_root(), &middle.root());
        Transport {
            cost: cost(from, to, &middle.values),
            means: [from.mean.clone(), to.mean.clone()],
            shrink: [there, back].map(|map| Array2::eye(root.nrows()) - map),
        }
    }

    /// W₂² alone, for half the work.
    pub(super) fn cost_between(from: &Moments, to: &Moments) -> f64 {
        let root = Spectrum::new(&to.covariance).root();
        cost(from, to, &Spectrum::values_of(&sandwich(&root, &from.covariance)))
    }

    /// What each of `points` `[N, F]`, whose moments are those of one side, contributes to W₂² at first order, `[N]`, less
    /// the mean of it: with centred points z, 2 (m₁ − m₂)·z + zᵀ (I − A) z from the first side, and likewise with
    /// m₂ − m₁ and B from the other.
    pub(super) fn influence(&self, side: Side, points: ArrayView2<f64>) -> Array1<f64> {
        let (own, other) = match side {
            Side::From => (0, 1),
            Side::To => (1, 0),
        };
        let shift = (&self.means[own] - &self.means[other]) * 2.0;
        let of = |points: ArrayView2<f64>| -> Vec<f64> {
            let centred = &points - &self.means[own];
            let quadratic = (centred.dot(&self.shrink[own]) * &centred).sum_axis(Axis(1));
            (quadratic + centred.dot(&shift)).to_vec()
        };
        let parts: Vec<Vec<f64>> = points.axis_chunks_iter(Axis(0), ROWS).into_par_iter().map(of).collect();
        let influence: Array1<f64> = parts.into_iter().flatten().collect();
        let mean = influence.sum() / influence.len() as f64;
        influence - mean
    }

    /// The variance of W₂² from that of the moments of `points` `[N, F]`, which are those of one side.
    pub(super) fn variance(&self, side: Side, points: ArrayView2<f64>) -> f64 {
        self.influence(side, points).var(1.0) / points.nrows() as f64
    }
}

/// |m₁ − m₂|² + tr(C₁ + C₂ − 2 M^{½}) from the eigenvalues of M.
fn cost(from: &Moments, to: &Moments, middle: &Array1<f64>) -> f64 {
    let shift = &from.mean - &to.mean;
    let trace = from.covariance.diag().sum() + to.covariance.diag().sum();
    // Round-off may leave a little less than nothing.
    shift.dot(&shift) + (trace - 2.0 * middle.mapv(f64::sqrt).sum()).max(0.0)
}

/// R C R.
fn sandwich(outer: &Array2<f64>, inner: &Array2<f64>) -> Array2<f64> {
    product(product(outer.view(), inner.view()).view(), outer.view())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::arr2;

    use super::super::tests::gaussian;
    use super::super::truth::tests::moments;
    use super::*;

    #[test]
    fn is_its_closed_form_in_the_plane() {
        // tr √(C₂^{½} C₁ C₂^{½}) = √(tr C₁C₂ + 2 √(det C₁ det C₂)) for 2 × 2 matrices.
        let (a, b) = (moments([1.0, 2.0], [[2.0, 0.8], [0.8, 1.0]]), moments([0.5, -1.0], [[0.5, -0.3], [-0.3, 3.0]]));
        let det = |c: &Array2<f64>| c[[0, 0]] * c[[1, 1]] - c[[0, 1]] * c[[1, 0]];
        let (product, det) = (a.covariance.dot(&b.covariance).diag().sum(), det(&a.covariance) * det(&b.covariance));
        let truth = 0.25 + 9.0 + 3.0 + 3.5 - 2.0 * (product + 2.0 * det.sqrt()).sqrt();
        let transport = Transport::new(&a, &b);
        assert_relative_eq!(transport.cost, truth, max_relative = 1e-13);
        assert_relative_eq!(Transport::new(&b, &a).cost, truth, max_relative = 1e-13);
        assert_relative_eq!(Transport::cost_between(&a, &b), truth, max_relative = 1e-13);
        // Each map carries one covariance to the other.
        let [there, back] = transport.shrink.map(|shrink| Array2::eye(2) - shrink);
        let carries = |map: &Array2<f64>, from: &Moments, to: &Moments| {
            (map.dot(&from.covariance).dot(&map.t()) - &to.covariance).iter().all(|gap| gap.abs() < 1e-12)
        };
        assert!(carries(&there, &a, &b) && carries(&back, &b, &a));
    }

    #[test]
    fn adds_up_over_common_axes_in_any_dimension() {
        for dim in [1, 3, 30] {
            let mean = |shift: f64| Array1::from_shape_fn(dim, |d| shift * d as f64);
            let deviations = |rate: f64| Array1::from_shape_fn(dim, |d| (-rate * d as f64).exp());
            let law = |shift, rate| Moments {
                mean: mean(shift),
                covariance: Array2::from_diag(&deviations(rate).mapv(|s: f64| s * s)),
            };
            let gap = (deviations(0.1) - deviations(0.3)).mapv(|gap| gap * gap).sum();
            let truth = (mean(0.2) - mean(0.25)).mapv(|gap| gap * gap).sum() + gap;
            let found = Transport::new(&law(0.2, 0.1), &law(0.25, 0.3)).cost;
            assert_relative_eq!(found, truth, max_relative = 1e-10, epsilon = 1e-13);
        }
    }

    #[test]
    fn survives_flat_directions() {
        let flat = moments([0.0, 0.0], [[1.0, 0.0], [0.0, 0.0]]);
        let wide = moments([0.0, 0.0], [[4.0, 0.0], [0.0, 9.0]]);
        assert_relative_eq!(Transport::new(&flat, &wide).cost, 10.0, max_relative = 1e-12);
        assert_relative_eq!(Transport::new(&wide, &flat).cost, 10.0, max_relative = 1e-12);
    }

    /// The influence is the derivative of W₂² by the weight of a point, from either side, also where points are fewer than
    /// dimensions.
    #[test]
    fn the_influence_is_a_derivative() {
        for (n, m) in [(40, 30), (6, 30), (40, 5)] {
            let (x, y) = (gaussian(1, n, &[0.0; 8], 1.0), gaussian(2, m, &[0.3; 8], 1.5));
            // With denominators N rather than N − 1, so that weights are all there is.
            let weighted = |points: &Array2<f64>, at: usize, more: f64| {
                let n = points.nrows() as f64;
                let mut weights = Array1::from_elem(points.nrows(), (1.0 - more) / n);
                weights[at] += more;
                let mean = weights.dot(points);
                let centred = points - &mean;
                let scaled = &centred * &weights.insert_axis(Axis(1));
                Moments { mean, covariance: centred.t().dot(&scaled) }
            };
            let step = 1e-5;
            let (of_x, of_y) = (weighted(&x, 0, 0.0), weighted(&y, 0, 0.0));
            let transport = Transport::new(&of_x, &of_y);
            let from = transport.influence(Side::From, x.view());
            let to = transport.influence(Side::To, y.view());
            for i in 0..4 {
                let between = |a: &Moments, b: &Moments| Transport::cost_between(a, b);
                let by_x = |h| between(&weighted(&x, i, h), &of_y);
                let by_y = |h| between(&of_x, &weighted(&y, i, h));
                let slope = |f: &dyn Fn(f64) -> f64| (f(step) - f(-step)) / (2.0 * step);
                assert_relative_eq!(from[i], slope(&by_x), max_relative = 1e-4, epsilon = 1e-4);
                assert_relative_eq!(to[i], slope(&by_y), max_relative = 1e-4, epsilon = 1e-4);
            }
        }
    }

    #[test]
    fn a_law_is_no_distance_from_itself() {
        let law = moments([1.0, -1.0], [[2.0, 0.8], [0.8, 1.0]]);
        let transport = Transport::new(&law, &law);
        assert!(transport.cost.abs() < 1e-14);
        assert!(
            transport.influence(Side::From, arr2(&[[1.0, 2.0], [3.0, -1.0]]).view()).iter().all(|v| v.abs() < 1e-12)
        );
    }
}
