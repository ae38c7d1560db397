//! The sliced Wasserstein distance along the direction where it is largest.

use std::f64::consts::FRAC_PI_4;

use ndarray::{Array1, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sliced_wasserstein::{SlicedWasserstein, quantile_steps, sorted, transport};
use super::{Estimate, Metric, Question};
use crate::error::{Fault, Settings, between};

/// The max-sliced Wasserstein distance of order two (Deshpande et al., 2019): W₂(θ·X, θ·Y) along the direction θ where
/// it is largest.
///
/// θ is searched on one half of both samples and W₂² measured on the other, and again with the halves exchanged; the
/// value is the root of the mean. So the search does not flatter itself: a maximum over directions of noise is no
/// distance. What is left are the bias of W₂² between samples, upwards, as of [`SlicedWasserstein`], and that of a
/// direction that is not quite the best, downwards. In one dimension there is nothing to search, and nothing is halved.
///
/// The search ascends W₂²(θ) along great circles, with the gradient 2 Σ π_ij θ·(x_i − y_j) (x_i − y_j) of the optimal
/// coupling π and steps that double or halve, from the difference of means and from the best of `projections`
/// directions (those of [`SlicedWasserstein`]): local maxima that no start leads to are missed.
///
/// The standard error is that of W₂² along a given direction, from the Kantorovich potentials on the half that
/// measures: near the maximum the direction's own error is of second order. As there, it says nothing about bias.
///
/// Time O(S (N + M) (D + log(N + M))) for S = projections + 100 starts evaluations at most, memory O(starts (N + M)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaxSlicedWasserstein {
    /// How many directions are tried before the search.
    pub projections: usize,
    /// From how many of them, the best, the search ascends.
    pub starts: usize,
    /// The seed of the directions, in three dimensions or more.
    pub seed: u64,
}

impl Default for MaxSlicedWasserstein {
    fn default() -> Self {
        MaxSlicedWasserstein { projections: 128, starts: 4, seed: 0 }
    }
}

impl Settings for MaxSlicedWasserstein {
    fn check(&self) -> Result<(), Fault> {
        between("projections", self.projections, (1, 1 << 16))?;
        between("starts", self.starts, (1, 1 << 16))
    }
}

impl Metric for MaxSlicedWasserstein {
    fn name(&self) -> &'static str {
        "max_sliced_wasserstein"
    }

    fn label(&self) -> &'static str {
        "Max-sliced W₂"
    }

    fn least(&self) -> usize {
        4
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data: y, .. } = *question;
        if x.ncols() == 1 {
            let (square, variance) = along(&Array1::ones(1), x, y);
            return Estimate::root(square, variance);
        }
        let halves = [0, 1].map(|first| (x.slice(s![first..;2, ..]), y.slice(s![first..;2, ..])));
        let measured = [(0, 1), (1, 0)].map(|(search, measure)| {
            let direction = self.search(halves[search].0, halves[search].1);
            along(&direction, halves[measure].0, halves[measure].1)
        });
        let [(first, of_first), (second, of_second)] = measured;
        Estimate::root(0.5 * (first + second), 0.25 * (of_first + of_second))
    }
}

/// Steps of an ascent at most, and the angle below which it has arrived: W₂² is flat there to eight digits.
const STEPS: usize = 50;
const ARRIVED: f64 = 1e-4;

impl MaxSlicedWasserstein {
    /// The best direction that was found `[D]`.
    fn search(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Array1<f64> {
        let gap = Gap { x: x.reborrow(), y: y.reborrow() };
        let directions = SlicedWasserstein { projections: self.projections, seed: self.seed }.directions(x.ncols());
        let squares: Vec<f64> =
            directions.axis_iter(Axis(0)).into_par_iter().map(|row| gap.at(&row.to_owned()).0).collect();
        let mut order: Vec<usize> = (0..squares.len()).collect();
        order.sort_by(|&a, &b| squares[b].total_cmp(&squares[a]));
        let mut starts: Vec<Array1<f64>> =
            order[..self.starts.min(order.len())].iter().map(|&l| directions.row(l).to_owned()).collect();
        let means = x.mean_axis(Axis(0)).expect("samples") - y.mean_axis(Axis(0)).expect("data");
        starts.extend(unit(means));
        let ends: Vec<(f64, Array1<f64>)> = starts.into_par_iter().map(|start| gap.ascend(start)).collect();
        let best = ends.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.expect("there are starts").1
    }
}

/// The vector of length one; none for zero.
fn unit(vector: Array1<f64>) -> Option<Array1<f64>> {
    let norm = vector.dot(&vector).sqrt();
    (norm > 0.0).then(|| vector / norm)
}

/// W₂²(θ·X, θ·Y) as a function of θ.
struct Gap<'a> {
    x: ArrayView2<'a, f64>,
    y: ArrayView2<'a, f64>,
}

impl Gap<'_> {
    /// The value and the gradient `[D]`.
    fn at(&self, direction: &Array1<f64>) -> (f64, Array1<f64>) {
        let (u, v) = (sorted(&self.x.dot(direction).to_vec()), sorted(&self.y.dot(direction).to_vec()));
        let (mut pull_x, mut pull_y) = (Array1::zeros(u.len()), Array1::zeros(v.len()));
        let (unit, mut square) = (1.0 / (u.len() * v.len()) as f64, 0.0);
        for (i, j, mass) in quantile_steps(u.len(), v.len()) {
            let ((from, at), (to, onto)) = (u[i], v[j]);
            let pull = mass as f64 * unit * (from - to);
            square += pull * (from - to);
            pull_x[at] += pull;
            pull_y[onto] += pull;
        }
        (square, 2.0 * (self.x.t().dot(&pull_x) - self.y.t().dot(&pull_y)))
    }

    /// A local maximum above `start`, and where it is.
    fn ascend(&self, start: Array1<f64>) -> (f64, Array1<f64>) {
        let (mut direction, mut angle) = (start, 0.1);
        let (mut square, mut gradient) = self.at(&direction);
        for _ in 0..STEPS {
            let radial = gradient.dot(&direction);
            let Some(tangent) = unit(gradient - &direction * radial) else { break };
            let turned = |angle: f64| {
                let next = &direction * angle.cos() + &tangent * angle.sin();
                let (square, gradient) = self.at(&next);
                (square, gradient, next)
            };
            let mut next = turned(angle);
            while next.0 <= square && angle > ARRIVED {
                angle *= 0.5;
                next = turned(angle);
            }
            if next.0 <= square {
                break;
            }
            (square, gradient, direction) = next;
            angle = (2.0 * angle).min(FRAC_PI_4);
        }
        (square, direction)
    }
}

/// W₂²(θ·X, θ·Y) and its variance from the Kantorovich potentials.
fn along(direction: &Array1<f64>, x: ArrayView2<f64>, y: ArrayView2<f64>) -> (f64, f64) {
    let (mut u, mut v) = (x.dot(direction).to_vec(), y.dot(direction).to_vec());
    let square = transport(&mut u, &mut v);
    let spread = |potential: Vec<f64>| Array1::from(potential).var(1.0);
    (square, spread(u) / x.nrows() as f64 + spread(v) / y.nrows() as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        MaxSlicedWasserstein::default().distance(x.view(), y.view())
    }

    #[test]
    fn is_the_sliced_distance_on_the_line() {
        let (x, y) = (gaussian(1, 101, &[0.0], 1.0), gaussian(2, 60, &[0.3], 2.0));
        let sliced = SlicedWasserstein::default().distance(x.view(), y.view());
        approx::assert_relative_eq!(estimate(&x, &y).value, sliced.value, max_relative = 1e-12);
        approx::assert_relative_eq!(estimate(&x, &y).standard_error, sliced.standard_error, max_relative = 1e-9);
    }

    #[test]
    fn the_gradient_is_that_of_the_distance() {
        let (x, y) = (gaussian(1, 40, &[0.0; 3], 1.0), gaussian(2, 55, &[0.5; 3], 1.5));
        let gap = Gap { x: x.view(), y: y.view() };
        let direction = ndarray::arr1(&[0.6, 0.0, -0.8]);
        let (_, gradient) = gap.at(&direction);
        for d in 0..3 {
            let moved = |by: f64| {
                let mut direction = direction.clone();
                direction[d] += by;
                gap.at(&direction).0
            };
            approx::assert_relative_eq!((moved(1e-6) - moved(-1e-6)) / 2e-6, gradient[d], max_relative = 1e-6);
        }
    }

    #[test]
    fn finds_the_only_direction_that_differs() {
        // One of twenty coordinates has three times the deviation: random directions see little of it.
        let mut x = gaussian(1, 2_000, &[0.0; 20], 1.0);
        x.column_mut(7).mapv_inplace(|x| 3.0 * x);
        let y = gaussian(2, 3_000, &[0.0; 20], 1.0);
        let estimate = estimate(&x, &y);
        // W₂(N(0, 9), N(0, 1)) = 2.
        assert!((estimate.value - 2.0).abs() < 3.0 * estimate.standard_error, "{estimate:?}");
        let sliced = SlicedWasserstein::default().distance(x.view(), y.view());
        assert!(sliced.value < 0.5 * estimate.value);
    }

    #[test]
    fn is_the_largest_closed_form_in_the_plane() {
        // Along the angle a: a shift of 0.5 cos a and deviations √(cos² a + 4 sin² a) against 1.
        let mut x = gaussian(1, 8_000, &[0.0; 2], 1.0);
        x.column_mut(1).mapv_inplace(|x| 2.0 * x);
        x.column_mut(0).mapv_inplace(|x| x + 0.5);
        let y = gaussian(2, 6_000, &[0.0; 2], 1.0);
        let square =
            |a: f64| (0.5 * a.cos()).powi(2) + ((a.cos().powi(2) + 4.0 * a.sin().powi(2)).sqrt() - 1.0).powi(2);
        let truth = (0..10_000).map(|i| square(i as f64 * 1e-4 * std::f64::consts::PI)).fold(0.0, f64::max).sqrt();
        let estimate = estimate(&x, &y);
        assert!((estimate.value - truth).abs() < 3.0 * estimate.standard_error, "{estimate:?} is not {truth}");
        assert!(estimate.standard_error < 0.03 * truth);
    }

    #[test]
    fn the_search_does_not_flatter_itself() {
        // Two samples of one law in ten dimensions: along a given direction W₂ has some size, and so it should be along
        // one that was searched elsewhere, while the maximum on the same points is far above.
        let (mut held_out, mut given, mut own) = (0.0, 0.0, 0.0);
        for seed in 0..20 {
            let (x, y) = (gaussian(2 * seed, 200, &[0.0; 10], 1.0), gaussian(2 * seed + 1, 200, &[0.0; 10], 1.0));
            held_out += estimate(&x, &y).value.powi(2) / 20.0;
            let (x, y) = (x.slice(s![..;2, ..]), y.slice(s![..;2, ..]));
            let found = MaxSlicedWasserstein::default().search(x, y);
            own += along(&found, x, y).0 / 20.0;
            given += along(&unit(Array1::ones(10)).unwrap(), x, y).0 / 20.0;
        }
        assert!((held_out / given - 1.0).abs() < 0.35 && own > 3.0 * given, "{held_out} {given} {own}");
    }

    #[test]
    fn is_calibrated_when_the_laws_differ() {
        let plane =
            |seed| estimate(&gaussian(2 * seed, 200, &[0.0; 2], 1.0), &gaussian(2 * seed + 1, 300, &[2.0, 0.0], 1.5));
        Calibration::of(150, plane).assert_calibrated(0.8..1.2);
    }

    #[test]
    fn refuses_to_search_nowhere() {
        assert!(MaxSlicedWasserstein::default().check().is_ok());
        let none = MaxSlicedWasserstein { projections: 0, ..Default::default() };
        assert_eq!(none.check().unwrap_err().key, "projections");
        assert_eq!(MaxSlicedWasserstein { starts: 0, ..Default::default() }.check().unwrap_err().key, "starts");
    }
}
