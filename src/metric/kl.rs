//! The Kullback–Leibler divergence of samples from data.

use std::f64::consts::PI;

use ndarray::{Array1, Axis};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::{digamma, ln_gamma};

use super::neighbors::{Candidates, nearest};
use super::pairwise::Cloud;
use super::{Estimate, Metric, Need, Question};
use crate::error::{Settings, at_least_one};

/// What stands for the law of the data in a [`Kl`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// Its density, for data that have one in closed form.
    #[default]
    Density,
    /// The reference sample.
    Sample,
}

/// The divergence KL(q ‖ p) = E_q ln(q/p) of the law q of the samples from the law p of the data, in nats, from the
/// distance ρ_i of each sample to its k-th nearest neighbour among the other samples.
///
/// * Against the density: −Ĥ − mean ln p(x_i) with the entropy of Kozachenko & Leonenko (1987; Kraskov, Stögbauer &
///   Grassberger, 2004, eq. 20), Ĥ = ψ(N) − ψ(k) + ln V_D + (D/N) Σ ln ρ_i, V_D the volume of the unit ball.
/// * Against the sample: (D/N) Σ ln(ν_i/ρ_i) + ln(M/(N − 1)) with ν_i the distance to the k-th nearest reference point
///   (Wang, Kulkarni & Verdú, 2009, eq. 5).
///
/// KL(q ‖ p) punishes samples where there are no data, and hardly modes that are missing: a mode of weight w that is
/// left out costs −ln(1 − w). KL(p ‖ q) would need the density of the samples. A sample outside the support of a known
/// density makes the estimate infinite, and so do k + 1 samples that coincide.
///
/// Both are consistent, with a bias of about (k/N)^{2/D} that shows where the density bends within a neighbourhood,
/// and which the two neighbour distances of the second share and mostly cancel; estimates may be negative.
///
/// The standard error takes the N terms of the mean as independent and adds what that leaves out. Against the density:
/// each term carries the noise ψ'(k) of its neighbour distance, and that neighbourhoods overlap adds 0.3 to 0.9 times as
/// much again (measured for up to 20 neighbours in up to 5 dimensions); once is what is added. Against the sample: the
/// jackknife over reference points, where leaving one out moves each sample near it on to its (k + 1)-th neighbour.
/// So the error is somewhat too large when the laws agree, by up to a quarter, and right when their difference rules.
///
/// Time O(N² D), and O(N (N + M) D) against the sample; memory O((N + M) (D + k)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kl {
    /// What stands for the data: `density`, their density in closed form, or `sample`, the reference data.
    pub against: Reference,
    /// The number k of neighbours: more have less variance and more bias.
    pub neighbors: usize,
}

impl Default for Kl {
    fn default() -> Self {
        Kl { against: Reference::Density, neighbors: 5 }
    }
}

impl Settings for Kl {
    fn check(&self) -> Result<(), crate::error::Fault> {
        at_least_one("neighbors", self.neighbors)
    }
}

impl Metric for Kl {
    fn name(&self) -> &'static str {
        "kl"
    }

    fn label(&self) -> &'static str {
        "KL(samples ‖ data)"
    }

    fn needs(&self) -> Option<Need> {
        (self.against == Reference::Density).then_some(Need::Density)
    }

    /// Two more than k: the neighbours of a point when one of them is left out.
    fn least(&self) -> usize {
        self.neighbors + 2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Question { x, data, truth, .. } = *question;
        let (k, n, m, dim) = (self.neighbors as f64, x.nrows() as f64, data.nrows() as f64, x.ncols() as f64);
        let centre = x.mean_axis(Axis(0)).expect("there are samples");
        let cloud = Cloud::new(x, &centre);
        let own = Distances::new(&cloud, &cloud, self.neighbors, Candidates::Own).log;
        let (terms, shift, further) = match self.against {
            Reference::Density => {
                let density = truth.density.as_ref().expect("a question that holds the density");
                let volume = 0.5 * dim * PI.ln() - ln_gamma(0.5 * dim + 1.0);
                (-density(x) - own * dim, digamma(k) - digamma(n) - volume, trigamma(self.neighbors) / n)
            }
            Reference::Sample => {
                let others = Distances::new(&cloud, &Cloud::new(data, &centre), self.neighbors, Candidates::Others);
                let left_out = others.pushes(data.nrows()) * (dim / n);
                ((others.log - own) * dim, (m / (n - 1.0)).ln(), (m - 1.0) * left_out.var(0.0))
            }
        };
        let value = terms.sum() / n + shift;
        let variance = terms.var(1.0) / n + further;
        Estimate { value, standard_error: if value.is_finite() { variance.sqrt() } else { f64::NAN } }
    }
}

/// ψ'(k) = π²/6 − Σ_{i < k} 1/i²: the variance of ln V for the volume V up to the k-th point of a Poisson process.
fn trigamma(k: usize) -> f64 {
    PI * PI / 6.0 - (1..k).map(|i| 1.0 / (i * i) as f64).sum::<f64>()
}

/// The distances of points to their k-th neighbours, and what it would be without one of these.
struct Distances {
    /// The logarithm of the distance to the k-th `[N]`.
    log: Array1<f64>,
    /// How much the logarithm grows if one of the first k is left out: ln of the (k + 1)-th to the k-th `[N]`.
    growth: Array1<f64>,
    /// The first k `[N][k]`.
    neighbors: Vec<Vec<usize>>,
}

impl Distances {
    fn new(x: &Cloud, y: &Cloud, k: usize, candidates: Candidates) -> Self {
        let lists = nearest(x, y, k + 1, candidates);
        let log = |i: usize| lists.iter().map(|list| 0.5 * list[i].0.ln()).collect::<Array1<f64>>();
        let growth = log(k) - log(k - 1);
        let neighbors = lists.iter().map(|list| list[..k].iter().map(|&(_, j)| j).collect()).collect();
        Distances { log: log(k - 1), growth, neighbors }
    }

    /// For each of `count` candidates, by how much Σ log grows without it.
    fn pushes(&self, count: usize) -> Array1<f64> {
        let mut pushes = Array1::zeros(count);
        for (neighbors, growth) in self.neighbors.iter().zip(&self.growth) {
            for &j in neighbors {
                pushes[j] += growth;
            }
        }
        pushes
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use ndarray::{Array2, ArrayView2};

    use super::super::tests::{Calibration, gaussian};
    use super::super::{Density, Truth};
    use super::*;

    const SAMPLE: Kl = Kl { against: Reference::Sample, neighbors: 5 };

    /// ln N(x; 0, scale² I).
    fn normal(scale: f64) -> Density {
        Box::new(move |x: ArrayView2<f64>| {
            let constant = x.ncols() as f64 * (0.5 * TAU.ln() + scale.ln());
            x.map_axis(Axis(1), |x| -0.5 * x.dot(&x) / (scale * scale) - constant)
        })
    }

    fn against_density(kl: Kl, x: &Array2<f64>, scale: f64) -> Estimate {
        let truth = Truth { density: Some(normal(scale)), ..Truth::default() };
        kl.measure(&Question { truth: &truth, ..Question::new(x.view(), x.view()) })
    }

    /// KL(N(mean, scale² I) ‖ N(0, I)) = ½ (D scale² + |mean|² − D) − D ln scale.
    fn closed_form(mean: &[f64], scale: f64) -> f64 {
        let (dim, square) = (mean.len() as f64, mean.iter().map(|m| m * m).sum::<f64>());
        0.5 * (dim * scale * scale + square - dim) - dim * scale.ln()
    }

    #[test]
    fn is_the_sum_of_the_paper() {
        // N = 4, M = 3, k = 1 on the line: by hand.
        let (x, y) = (ndarray::arr2(&[[0.0], [1.0], [3.0], [7.0]]), ndarray::arr2(&[[0.5], [5.0], [5.5]]));
        let kl = Kl { against: Reference::Sample, neighbors: 1 }.distance(x.view(), y.view());
        let (nu, rho) = ([0.5f64, 0.5, 2.0, 1.5], [1.0f64, 1.0, 2.0, 4.0]);
        let mean = nu.iter().zip(&rho).map(|(nu, rho)| (nu / rho).ln()).sum::<f64>() / 4.0;
        approx::assert_relative_eq!(kl.value, mean, max_relative = 1e-12);
    }

    #[test]
    fn leaves_out_each_reference_point_without_searching_again() {
        let (x, y) = (gaussian(1, 30, &[0.0; 2], 1.0), gaussian(2, 25, &[0.5; 2], 1.2));
        let value = |y: &Array2<f64>| SAMPLE.distance(x.view(), y.view()).value - (y.nrows() as f64 / 29.0).ln();
        let cloud = |points: &Array2<f64>| Cloud::new(points.view(), &Array1::zeros(2));
        let pushes = Distances::new(&cloud(&x), &cloud(&y), 5, Candidates::Others).pushes(25) * (2.0 / 30.0);
        for (i, push) in pushes.iter().enumerate() {
            let rest = y.select(Axis(0), &(0..25).filter(|&j| j != i).collect::<Vec<_>>());
            approx::assert_relative_eq!(value(&rest) - value(&y), *push, epsilon = 1e-12);
        }
    }

    #[test]
    fn approaches_its_closed_form_between_gaussians() {
        for dim in [1, 2, 3] {
            let (mean, scale) = (vec![0.4; dim], 0.7);
            let (x, y) = (gaussian(1, 4_000, &mean, scale), gaussian(2, 4_000, &vec![0.0; dim], 1.0));
            let truth = closed_form(&mean, scale);
            for kl in [against_density(Kl::default(), &x, 1.0), SAMPLE.distance(x.view(), y.view())] {
                let bias = 5.0 * (5.0 / 4_000.0f64).powf(2.0 / dim as f64);
                assert!((kl.value - truth).abs() < 3.0 * kl.standard_error + bias, "{dim}: {kl:?} is not {truth}");
                assert!(kl.standard_error < 0.04, "{kl:?}");
            }
        }
    }

    #[test]
    fn is_calibrated_and_nearly_unbiased() {
        for (mean, scale) in [([0.0; 2], 1.0), ([0.8, 0.0], 0.8)] {
            let x = |seed| gaussian(2 * seed, 400, &mean, scale);
            let y = |seed| gaussian(2 * seed + 1, 300, &[0.0; 2], 1.0);
            let density = Calibration::of(300, |seed| against_density(Kl::default(), &x(seed), 1.0));
            let sample = Calibration::of(300, |seed| SAMPLE.distance(x(seed).view(), y(seed).view()));
            for calibration in [density, sample] {
                assert!((calibration.mean - closed_form(&mean, scale)).abs() < 0.05);
                calibration.assert_calibrated(0.95..1.3);
            }
        }
    }

    #[test]
    fn the_bias_shrinks_with_the_sample() {
        let bias = |n| {
            Calibration::of(20, |seed| against_density(Kl::default(), &gaussian(seed, n, &[0.0; 2], 1.0), 1.0)).mean
        };
        let (few, many) = (bias(200), bias(3_200));
        assert!(many.abs() < 0.015 && few > 2.0 * many, "{few} {many}");
    }

    #[test]
    fn is_infinite_where_there_are_no_data_and_for_repeated_samples() {
        let mut x = gaussian(1, 50, &[0.0; 2], 1.0);
        let truth = Truth {
            density: Some(Box::new(|x| x.column(0).mapv(|x| if x > 9.0 { f64::NEG_INFINITY } else { 0.0 }))),
            ..Truth::default()
        };
        x[[3, 0]] = 10.0;
        let kl = Kl::default().measure(&Question { truth: &truth, ..Question::new(x.view(), x.view()) });
        assert!(kl.value == f64::INFINITY && kl.standard_error.is_nan());
        x.fill(1.0);
        let kl = SAMPLE.distance(x.view(), gaussian(2, 50, &[0.0; 2], 1.0).view());
        assert!(kl.value == f64::INFINITY && kl.standard_error.is_nan(), "{kl:?}");
    }
}
