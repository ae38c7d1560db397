//! The sliced Wasserstein distance.

use std::f64::consts::PI;

use ndarray::linalg::general_mat_mul;
use ndarray::parallel::prelude::*;
use ndarray::{Array1, Array2, ArrayView2, Axis, arr2};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Estimate, Metric, Question};
use crate::error::{Fault, Settings, between};

/// Directions whose projections are in memory at a time.
const BLOCK: usize = 32;

/// Points that one task projects.
const CHUNK: usize = 512;

/// The sliced Wasserstein distance of order two (Bonneel, Rabin, Peyré & Pfister, 2015).
///
/// SW₂² = mean over directions θ of W₂²(θ·X, θ·Y), where in one dimension W₂² = ∫₀¹ (F⁻¹(t) − G⁻¹(t))² dt is computed
/// exactly, by sorting, for samples of any sizes. The directions are ±1 in one dimension (SW₂ = W₂), equally spaced
/// angles in two, and seeded uniform draws from the sphere in more.
///
/// The value is the distance between the empirical measures. Its square exceeds that of the laws on average, so that
/// even two samples of one law are a positive distance apart: by O(1/N + 1/M) if the projected laws are regular, by
/// up to O(1/√N + 1/√M) if their supports have gaps.
///
/// The standard error comes from the central limit theorem of SW₂² (Manole, Balakrishnan & Wasserman, 2022;
/// Rodríguez-Vítores, del Barrio & Loubes, 2025) and the delta method,
/// SE = √(Var φ̄(X)/N + Var ψ̄(Y)/M + Var_θ W₂²/L) / (2 SW₂), with the Kantorovich potentials averaged over directions,
/// φ'(u) = 2(u − T(u)), and the last term for random directions only (NaN for a single one). It measures the spread
/// about the mean, not the bias above, and it is unreliable when both are samples of one law or nearly so: the limit
/// theorem degenerates there, and the value is all bias.
///
/// Time O(L (N + M) (D + log(N + M))), memory O(N + M + L D): directions are taken 32 at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlicedWasserstein {
    /// The number L of directions.
    #[schemars(range(min = 1))]
    pub projections: usize,
    /// The seed of the directions, in three dimensions or more.
    pub seed: u64,
}

impl Default for SlicedWasserstein {
    fn default() -> Self {
        SlicedWasserstein { projections: 128, seed: 0 }
    }
}

impl Settings for SlicedWasserstein {
    fn check(&self) -> Result<(), Fault> {
        between("projections", self.projections, (1, 1 << 16))
    }
}

impl Metric for SlicedWasserstein {
    fn name(&self) -> &'static str {
        "sliced_wasserstein"
    }

    fn label(&self) -> &'static str {
        "Sliced W₂"
    }

    fn least(&self) -> usize {
        2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data: y, .. } = *question;
        let directions = self.directions(x.ncols());
        let mut costs = Array1::zeros(directions.nrows());
        let mut phi = Array1::zeros(x.nrows());
        let mut psi = Array1::zeros(y.nrows());
        for (directions, mut costs) in
            directions.axis_chunks_iter(Axis(0), BLOCK).zip(costs.axis_chunks_iter_mut(Axis(0), BLOCK))
        {
            let (mut u, mut v) = (project(directions, x), project(directions, y));
            par_azip!((mut u in u.rows_mut(), mut v in v.rows_mut(), cost in &mut costs) {
                let contiguous = "projections are contiguous";
                *cost = transport(u.as_slice_mut().expect(contiguous), v.as_slice_mut().expect(contiguous));
            });
            phi += &u.sum_axis(Axis(0));
            psi += &v.sum_axis(Axis(0));
        }
        let count = costs.len() as f64;
        let mut variance = (phi / count).var(1.0) / x.nrows() as f64 + (psi / count).var(1.0) / y.nrows() as f64;
        if x.ncols() > 2 {
            variance += costs.var(1.0) / count;
        }
        Estimate::root(costs.sum() / count, variance)
    }
}

impl SlicedWasserstein {
    /// Unit vectors `[L, D]` over which to average.
    pub(super) fn directions(&self, dimension: usize) -> Array2<f64> {
        match dimension {
            1 => arr2(&[[1.0]]),
            // W₂² has period π in the angle, where the rectangle rule converges as fast as smoothness allows.
            2 => Array2::from_shape_fn((self.projections, 2), |(l, axis)| {
                let (sin, cos) = (PI * l as f64 / self.projections as f64).sin_cos();
                [cos, sin][axis]
            }),
            _ => {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
                let shape = (self.projections, dimension);
                let mut directions: Array2<f64> =
                    Array2::from_shape_simple_fn(shape, || StandardNormal.sample(&mut rng));
                for mut direction in directions.rows_mut() {
                    let norm = direction.dot(&direction).sqrt();
                    direction /= norm;
                }
                directions
            }
        }
    }
}

/// The projections `[L, N]` of `points` `[N, D]` on `directions` `[L, D]`.
fn project(directions: ArrayView2<f64>, points: ArrayView2<f64>) -> Array2<f64> {
    let mut projections = Array2::zeros((directions.nrows(), points.nrows()));
    projections
        .axis_chunks_iter_mut(Axis(1), CHUNK)
        .into_par_iter()
        .zip(points.axis_chunks_iter(Axis(0), CHUNK))
        .for_each(|(mut projections, points)| general_mat_mul(1.0, &directions, &points.t(), 0.0, &mut projections));
    projections
}

/// Optimal transport of `u` `[N]` to `v` `[M]` on the line (Peyré & Cuturi, 2019, section 2.6): returns W₂², and
/// replaces each point by its Kantorovich potential, up to one constant for each side.
///
/// Along the way φ(u) + ψ(v) = (u − v)², so that φ(u') − φ(u) = (u' − u)(u' + u − 2v) if the same v serves both. Where
/// both sides end at once the potentials are not unique, and v is replaced by the middle of its two values.
pub(super) fn transport(u: &mut [f64], v: &mut [f64]) -> f64 {
    let (n, m) = (u.len(), v.len());
    let (sorted_u, sorted_v) = (sorted(u), sorted(v));
    let (mut phi, mut psi, mut cost) = (0.0, 0.0, 0.0);
    let (mut last_from, mut last_to) = (sorted_u[0].0, sorted_v[0].0);
    for (i, j, mass) in quantile_steps(n, m) {
        let ((from, at), (to, onto)) = (sorted_u[i], sorted_v[j]);
        phi += (from - last_from) * ((from - last_to) + (last_from - to));
        psi += (to - last_to) * ((to - last_from) + (last_to - from));
        (u[at], v[onto]) = (phi, psi);
        cost += mass as f64 * (from - to) * (from - to);
        (last_from, last_to) = (from, to);
    }
    cost / (n * m) as f64
}

/// The quantile functions of N and M points, merged: from left to right, which point of each side moves to which, and
/// how much of it. A step ends where a point of either side is used up.
///
/// Mass is counted in units of 1/(NM), without rounding: a point of the first side holds M of them, one of the second N.
pub(super) fn quantile_steps(n: usize, m: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let (mut i, mut j, mut moved) = (0, 0, 0);
    std::iter::from_fn(move || {
        let (u_ends, v_ends) = ((i + 1) * m, (j + 1) * n);
        let end = u_ends.min(v_ends);
        let step = (moved < n * m).then_some((i, j, end - moved));
        moved = end;
        i += usize::from(u_ends == end);
        j += usize::from(v_ends == end);
        step
    })
}

/// The values in ascending order, each with its place.
pub(super) fn sorted(values: &[f64]) -> Vec<(f64, usize)> {
    let mut sorted: Vec<_> = values.iter().copied().zip(0..).collect();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    sorted
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array, arr1, concatenate};

    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        SlicedWasserstein::default().distance(x.view(), y.view())
    }

    #[test]
    fn is_the_shift_between_shifted_samples_on_the_line() {
        let x = gaussian(1, 101, &[0.0], 1.0);
        let estimate = estimate(&x, &(&x + 3.0));
        assert_relative_eq!(estimate.value, 3.0, max_relative = 1e-13);
        // φ = −6x and ψ = 6x.
        assert_relative_eq!(
            estimate.standard_error,
            (2.0 * 36.0 * x.var(1.0) / 101.0).sqrt() / 6.0,
            max_relative = 1e-12
        );
    }

    #[test]
    fn agrees_with_repetition_to_equal_sizes() {
        let (x, y) = (gaussian(1, 6, &[0.0], 1.0), gaussian(2, 8, &[1.0], 2.0));
        let repeat = |points: &Array2<f64>, times| concatenate(Axis(0), &vec![points.view(); times]).unwrap();
        let repeated = estimate(&repeat(&x, 4), &repeat(&y, 3)).value;
        assert_relative_eq!(estimate(&x, &y).value, repeated, max_relative = 1e-13);
    }

    #[test]
    fn returns_potentials_that_certify_the_optimum() {
        for (n, m) in [(7, 7), (6, 8), (5, 13), (2, 3)] {
            let (x, y) = (gaussian(1, n, &[0.0], 1.0).into_flat(), gaussian(2, m, &[0.5], 2.0).into_flat());
            let (mut phi, mut psi) = (x.clone(), y.clone());
            let cost = transport(phi.as_slice_mut().unwrap(), psi.as_slice_mut().unwrap());
            // Kantorovich duality: feasible up to the constant, and the dual value is the cost.
            let slack = |phi: &Array1<f64>| {
                let costs = Array::from_shape_fn((n, m), |(i, j)| (x[i] - y[j]).powi(2) - phi[i] - psi[j]);
                costs.fold(f64::INFINITY, |a, &b| a.min(b))
            };
            phi += slack(&phi);
            assert!(slack(&phi).abs() < 1e-12);
            assert_relative_eq!(phi.mean().unwrap() + psi.mean().unwrap(), cost, max_relative = 1e-12);
        }
    }

    #[test]
    fn sees_half_of_a_squared_translation_in_the_plane() {
        let x = gaussian(1, 90, &[0.0; 2], 1.0);
        let y = &x + &arr1(&[3.0, -1.0]);
        assert_relative_eq!(estimate(&x, &y).value, 5f64.sqrt(), max_relative = 1e-13);
        assert_eq!(estimate(&x, &x), Estimate { value: 0.0, standard_error: 0.0 });
    }

    #[test]
    fn approaches_its_closed_form_between_gaussians() {
        // SW₂² = |Δμ|²/D + (σ − τ)² between N(μ, σ² I) and N(ν, τ² I).
        for d in [1, 2, 6] {
            let (x, y) = (gaussian(1, 8_000, &vec![0.0; d], 1.0), gaussian(2, 6_000, &vec![0.5; d], 1.6));
            let (estimate, truth) = (estimate(&x, &y), (0.25f64 + 0.36).sqrt());
            assert!((estimate.value - truth).abs() < 3.0 * estimate.standard_error, "{d}: {estimate:?} is not {truth}");
            assert!(estimate.standard_error < 0.05 * truth);
        }
    }

    #[test]
    fn sees_every_direction_of_an_anisotropic_gaussian() {
        // Along the angle a the standard deviation is √(cos² a + 9 sin² a) against 1.
        let mut x = gaussian(1, 20_000, &[0.0; 2], 1.0);
        x.column_mut(1).mapv_inplace(|x| 3.0 * x);
        let gap = |a: f64| (a.cos().powi(2) + 9.0 * a.sin().powi(2)).sqrt() - 1.0;
        let truth = ((0..1_000).map(|l| gap(PI * l as f64 / 1_000.0).powi(2)).sum::<f64>() / 1_000.0).sqrt();
        let estimate = estimate(&x, &gaussian(2, 20_000, &[0.0; 2], 1.0));
        assert!((estimate.value - truth).abs() < 3.0 * estimate.standard_error, "{estimate:?} is not {truth}");
        assert!(estimate.standard_error < 0.02 * truth);
    }

    #[test]
    fn draws_unit_vectors_from_its_seed() {
        let draw = |seed| SlicedWasserstein { projections: 2_000, seed }.directions(3);
        let directions = draw(1);
        assert!(directions.rows().into_iter().all(|row| (row.dot(&row) - 1.0).abs() < 1e-14));
        // E θθᵀ = I/3.
        let second_moment = directions.t().dot(&directions) / 2_000.0;
        assert!((second_moment - Array2::<f64>::eye(3) / 3.0).iter().all(|gap| gap.abs() < 0.03));
        assert_eq!(directions, draw(1));
        assert_ne!(directions, draw(2));
    }

    #[test]
    fn is_calibrated_when_the_laws_differ() {
        let plane =
            |seed| estimate(&gaussian(2 * seed, 150, &[0.0; 2], 1.0), &gaussian(2 * seed + 1, 250, &[2.0, 0.0], 1.5));
        Calibration::of(200, plane).assert_calibrated(0.85..1.15);
    }

    #[test]
    fn counts_the_error_of_random_directions() {
        // Few directions and many points: the directions dominate.
        let mean = [2.0, 0.0, 0.0, 0.0, 0.0];
        let few = |seed| {
            let (x, y) = (gaussian(2 * seed, 300, &[0.0; 5], 1.0), gaussian(2 * seed + 1, 200, &mean, 1.0));
            SlicedWasserstein { projections: 24, seed }.distance(x.view(), y.view())
        };
        Calibration::of(300, few).assert_calibrated(0.85..1.15);
        let one = SlicedWasserstein { projections: 1, seed: 0 };
        let x = gaussian(1, 20, &mean, 1.0);
        assert!(one.distance(x.view(), (&x + 1.0).view()).standard_error.is_nan());
    }

    #[test]
    fn refuses_to_project_on_nothing() {
        assert!(SlicedWasserstein::default().check().is_ok());
        assert_eq!(SlicedWasserstein { projections: 0, seed: 0 }.check().unwrap_err().key, "projections");
    }
}
