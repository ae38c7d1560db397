//! How many modes of the data samples hit.

use ndarray::Axis;
use ndarray::parallel::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF};

use super::truth::Place;
use super::{Best, Estimate, Metric, Need, Question};
use crate::error::{Fault, Settings, at_least_one};

/// The fraction of the modes of the data that samples hit, for mixtures (after Srivastava et al., 2017, VEEGAN).
///
/// A sample hits the mode that it most probably comes from, argmax_k w_k N(x; μ_k, Σ_k), if it lies within the
/// ellipsoid about μ_k that holds the share `within` of that mode: (x − μ)ᵀ Σ⁻¹ (x − μ) ≤ the quantile of χ²_D. A mode
/// counts as covered from `hits` samples on.
///
/// The standard error takes the covered modes as independent, each covered with the probability q_k that a binomial
/// reaches `hits`, and its success probability as (n_k + ½)/(N + 1): SE = √(Σ q_k (1 − q_k))/K. It is close to zero for
/// modes with many hits, and too large, on the safe side, for a mode that can never be hit.
///
/// Time O(N K D²), memory O(N K).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModeCoverage {
    /// The share of a mode's own points that are near enough to count, between 0 and 1.
    pub within: f64,
    /// How many samples cover a mode.
    pub hits: usize,
}

impl Default for ModeCoverage {
    fn default() -> Self {
        ModeCoverage { within: 0.999, hits: 1 }
    }
}

impl Settings for ModeCoverage {
    fn check(&self) -> Result<(), Fault> {
        if !(self.within > 0.0 && self.within < 1.0) {
            let problem = format!("{} is not between 0 and 1", self.within);
            return Err(Fault::new("within", problem, "write a share such as 0.999"));
        }
        at_least_one("hits", self.hits)
    }
}

impl Metric for ModeCoverage {
    fn name(&self) -> &'static str {
        "mode_coverage"
    }

    fn label(&self) -> &'static str {
        "Modes covered"
    }

    fn best(&self) -> Best {
        Best::Most
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Modes)
    }

    fn least(&self) -> usize {
        1
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let modes = question.truth.modes.as_ref().expect("a question that holds the modes");
        let dim = question.x.ncols() as f64;
        let radius = ChiSquared::new(dim).expect("a positive dimension").inverse_cdf(self.within);
        let hit = |x| {
            let place = Place::new(modes, x);
            let mode = place.mode();
            (place.squared_distances[mode] <= radius).then_some(mode)
        };
        let hit: Vec<Option<usize>> = question.x.axis_iter(Axis(0)).into_par_iter().map(hit).collect();
        let mut counts = vec![0usize; modes.len()];
        hit.into_iter().flatten().for_each(|mode| counts[mode] += 1);
        let (n, k) = (question.x.nrows(), modes.len() as f64);
        let variance = |&count: &usize| {
            let share = (count as f64 + 0.5) / (n as f64 + 1.0);
            let missed = Binomial::new(share, n as u64).expect("a probability").cdf(self.hits as u64 - 1);
            missed * (1.0 - missed)
        };
        Estimate {
            value: counts.iter().filter(|&&count| count >= self.hits).count() as f64 / k,
            standard_error: counts.iter().map(variance).sum::<f64>().sqrt() / k,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::tests::Calibration;
    use super::super::truth::tests::{mixture, round};
    use super::super::{Mode, Truth};
    use super::*;

    fn four() -> Vec<Mode> {
        [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]].map(|mean| round(0.25, mean, 0.3)).into()
    }

    fn estimate(metric: ModeCoverage, x: &Array2<f64>, modes: Vec<Mode>) -> Estimate {
        let truth = Truth::mixture(modes);
        metric.measure(&Question { truth: &truth, ..Question::new(x.view(), x.view()) })
    }

    #[test]
    fn counts_the_modes_that_are_hit() {
        let all = mixture(1, 2_000, &four());
        let covered = estimate(ModeCoverage::default(), &all, four());
        assert!(covered.value == 1.0 && covered.standard_error < 1e-9, "{covered:?}");
        let mut half = four();
        (half[0].weight, half[1].weight) = (0.5, 0.5);
        let half = mixture(1, 2_000, &half[..2]);
        assert_eq!(estimate(ModeCoverage::default(), &half, four()).value, 0.5);
        // Points between the modes hit none, however many.
        assert_eq!(estimate(ModeCoverage::default(), &Array2::from_elem((99, 2), 2.0), four()).value, 0.0);
    }

    #[test]
    fn the_radius_holds_the_share_of_a_mode() {
        // With `hits` one more than 90% of the points, and 90% within the radius, a mode is covered half of the time.
        let (modes, n) = (vec![round(0.5, [0.0; 2], 1.0), round(0.5, [50.0; 2], 1.0)], 1_000);
        let alone = vec![round(1.0, [0.0; 2], 1.0)];
        let covered = |hits| {
            let metric = ModeCoverage { within: 0.9, hits };
            (0..100).map(|seed| estimate(metric, &mixture(seed, n, &alone), modes.clone()).value).sum::<f64>() / 50.0
        };
        // Four standard deviations of √(1000 · 0.9 · 0.1) either way.
        assert_eq!((covered(862), covered(938)), (1.0, 0.0));
    }

    #[test]
    fn knows_how_certain_a_rare_mode_is() {
        // Of 200 points two are expected in the rare mode: it is hit with probability 1 − e⁻².
        let mut modes = four();
        [0.33, 0.33, 0.33, 0.01].into_iter().zip(&mut modes).for_each(|(weight, mode)| mode.weight = weight);
        let repeat = |seed| estimate(ModeCoverage::default(), &mixture(seed, 200, &modes), four());
        let calibration = Calibration::of(500, repeat);
        calibration.assert_unbiased(1.0 - 0.25 * (-2.0f64).exp());
        calibration.assert_calibrated(0.7..1.3);
    }

    #[test]
    fn refuses_shares_that_are_none() {
        assert!(ModeCoverage::default().check().is_ok());
        assert_eq!(ModeCoverage { within: 1.0, hits: 1 }.check().unwrap_err().key, "within");
        assert_eq!(ModeCoverage { within: 0.5, hits: 0 }.check().unwrap_err().key, "hits");
    }
}
