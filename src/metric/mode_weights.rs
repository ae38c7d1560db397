//! How samples share themselves among the modes of the data.

use ndarray::parallel::prelude::*;
use ndarray::{Array1, Array2, Axis};
use serde::{Deserialize, Serialize};

use super::truth::Place;
use super::{Estimate, Metric, Need, Question};
use crate::error::Settings;

/// The divergence between two sets of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// ½ Σ |v − w|.
    #[default]
    TotalVariation,
    /// √χ² = √(Σ (v − w)²/w), which weighs a rare mode by its own size.
    ChiSquare,
}

/// How far the weights v of the modes among samples are from the true w, for mixtures.
///
/// v_k = mean p(k | x_i), with the posterior of the true mixture p(k | x) ∝ w_k N(x; μ_k, Σ_k): for data its mean is
/// w_k exactly, whether modes overlap or not. If they are well apart, v_k is the share of samples nearest to mode k.
/// Every sample counts, near a mode or not: [`ModeCoverage`](super::ModeCoverage) is strict about that.
///
/// The total variation ½ Σ |v_k − w_k| is the share of samples that would have to change modes. Both divergences are
/// biased upwards by O(1/√N) when v is close to w. The standard error is the delta method's, along the gradient of
/// the divergence in v; there it is somewhat too large.
///
/// Time O(N K D²), memory O(N K).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModeWeights {
    /// The divergence of weights: `total_variation`, or `chi_square` for the root of χ².
    pub divergence: Divergence,
}

impl Settings for ModeWeights {}

impl Metric for ModeWeights {
    fn name(&self) -> &'static str {
        "mode_weights"
    }

    fn label(&self) -> &'static str {
        match self.divergence {
            Divergence::TotalVariation => "Mode weights, total variation",
            Divergence::ChiSquare => "Mode weights, √χ²",
        }
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Modes)
    }

    fn least(&self) -> usize {
        2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let modes = question.truth.modes.as_ref().expect("a question that holds the modes");
        let mut posterior = Array2::zeros((question.x.nrows(), modes.len()));
        par_azip!((mut posterior in posterior.rows_mut(), x in question.x.rows()) {
            posterior.assign(&Array1::from(Place::new(modes, x).posterior));
        });
        let gap = posterior.mean_axis(Axis(0)).expect("there are samples")
            - modes.iter().map(|mode| mode.weight).collect::<Array1<f64>>();
        let (value, gradient) = match self.divergence {
            Divergence::TotalVariation => {
                (0.5 * gap.mapv(f64::abs).sum(), gap.mapv(|gap| if gap > 0.0 { 0.5 } else { -0.5 }))
            }
            Divergence::ChiSquare => {
                let relative: Array1<f64> = gap.iter().zip(modes).map(|(gap, mode)| gap / mode.weight).collect();
                let root = relative.dot(&gap).sqrt();
                (root, if root > 0.0 { relative / root } else { relative })
            }
        };
        Estimate { value, standard_error: Estimate::mean(&posterior.dot(&gradient)).standard_error }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Calibration;
    use super::super::truth::tests::{mixture, round};
    use super::super::{Mode, Truth};
    use super::*;

    const DIVERGENCES: [Divergence; 2] = [Divergence::TotalVariation, Divergence::ChiSquare];

    fn three(weights: [f64; 3], apart: f64) -> Vec<Mode> {
        let mean = |k: usize| [k as f64 * apart, 0.0];
        weights.into_iter().enumerate().map(|(k, weight)| round(weight, mean(k), 1.0)).collect()
    }

    fn estimate(divergence: Divergence, x: &Array2<f64>, modes: Vec<Mode>) -> Estimate {
        let truth = Truth::mixture(modes);
        ModeWeights { divergence }.measure(&Question { truth: &truth, ..Question::new(x.view(), x.view()) })
    }

    #[test]
    fn approaches_the_divergence_of_the_weights() {
        let (v, w) = ([0.2, 0.2, 0.6], [0.5, 0.3, 0.2]);
        let x = mixture(1, 20_000, &three(v, 20.0));
        let chi_square: f64 = v.iter().zip(&w).map(|(v, w)| (v - w) * (v - w) / w).sum();
        for (divergence, truth) in DIVERGENCES.into_iter().zip([0.4, chi_square.sqrt()]) {
            let estimate = estimate(divergence, &x, three(w, 20.0));
            assert!((estimate.value - truth).abs() < 3.0 * estimate.standard_error, "{estimate:?} is not {truth}");
            assert!(estimate.standard_error < 0.02);
        }
    }

    #[test]
    fn overlapping_modes_make_no_bias() {
        // At a distance of one deviation a third of the points are nearest to another mode than their own.
        let modes = || three([0.5, 0.3, 0.2], 1.0);
        let estimate = estimate(Divergence::TotalVariation, &mixture(1, 200_000, &modes()), modes());
        assert!(estimate.value < 3e-3, "{estimate:?}");
    }

    #[test]
    fn is_calibrated() {
        for divergence in DIVERGENCES {
            let apart = |seed| {
                estimate(divergence, &mixture(seed, 200, &three([0.2, 0.2, 0.6], 5.0)), three([0.5, 0.3, 0.2], 5.0))
            };
            Calibration::of(300, apart).assert_calibrated(0.9..1.1);
            let modes = || three([0.5, 0.3, 0.2], 5.0);
            let null = |seed| estimate(divergence, &mixture(seed, 200, &modes()), modes());
            // Too large rather than too small: the divergence is folded at zero, which its gradient does not know.
            Calibration::of(300, null).assert_calibrated(1.0..2.2);
        }
    }
}
