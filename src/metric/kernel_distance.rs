//! The kernel distance between features.

use serde::{Deserialize, Serialize};

use super::pairwise::{Argument, Kernel, discrepancy};
use super::{Estimate, Metric, Need, Question};
use crate::error::Settings;

/// The squared maximum mean discrepancy of features with the cubic kernel k(x, y) = (x·y/F + 1)³, F the number of features;
/// of those of Inception-v3 it is the KID (Bińkowski, Sutherland, Arbel & Gretton, 2018).
///
/// The kernel sees the first three moments, in the units that the features come in. The estimate is the U-statistic of all
/// pairs of the whole samples, not a mean over subsets, which wastes most pairs; it is unbiased in samples of any size, and
/// may be negative. The standard error is the root of the unbiased estimate of its variance at both orders, as in
/// [`Mmd`](super::Mmd), whose engine it shares.
///
/// Time O((N + M)² F), memory O((N + M) F).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KernelDistance {}

impl Settings for KernelDistance {}

impl Metric for KernelDistance {
    fn name(&self) -> &'static str {
        "kernel_distance"
    }

    fn label(&self) -> &'static str {
        "Kernel distance (features)"
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Features)
    }

    fn least(&self) -> usize {
        4
    }

    fn estimate(&self, question: &Question) -> Estimate {
        discrepancy(&Cubic { scale: 1.0 / question.x.ncols() as f64 }, question.x, question.data)
    }
}

/// k = (scale x·y + 1)³.
struct Cubic {
    scale: f64,
}

impl Kernel for Cubic {
    const OF: Argument = Argument::Product;

    fn evaluate(&self, products: &mut [f64]) {
        for value in products {
            let base = self.scale * *value + 1.0;
            *value = base * base * base;
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::Array2;

    use super::super::tests::{Calibration, gaussian};
    use super::*;

    fn estimate(x: &Array2<f64>, y: &Array2<f64>) -> Estimate {
        KernelDistance {}.distance(x.view(), y.view())
    }

    #[test]
    fn agrees_with_every_pair_one_by_one() {
        for dim in [1, 3, 70] {
            let (x, y) = (gaussian(1, 130, &vec![0.5; dim], 1.0), gaussian(2, 257, &vec![0.8; dim], 1.2));
            let kernel =
                |x: &Array2<f64>, y: &Array2<f64>| x.dot(&y.t()).mapv(|product| (product / dim as f64 + 1.0).powi(3));
            let off_diagonal = |k: Array2<f64>| {
                let n = k.nrows() as f64;
                (k.sum() - k.diag().sum()) / (n * (n - 1.0))
            };
            let within = off_diagonal(kernel(&x, &x)) + off_diagonal(kernel(&y, &y));
            let direct = within - 2.0 * kernel(&x, &y).mean().expect("there are pairs");
            assert_relative_eq!(estimate(&x, &y).value, direct, max_relative = 1e-9, epsilon = 1e-12);
        }
    }

    /// On the line k = (xy + 1)³ = Σ_p C(3, p) xᵖ yᵖ, so that MMD² = Σ_p C(3, p) (E Xᵖ − E Yᵖ)².
    fn truth(shift: f64, scale: f64) -> f64 {
        let square = shift * shift + scale * scale - 1.0;
        let cube = shift.powi(3) + 3.0 * shift * scale * scale;
        3.0 * shift * shift + 3.0 * square * square + cube * cube
    }

    #[test]
    fn is_unbiased_and_calibrated_when_the_laws_differ() {
        let apart = |seed| estimate(&gaussian(2 * seed, 200, &[0.0], 1.0), &gaussian(2 * seed + 1, 300, &[0.5], 1.2));
        let calibration = Calibration::of(400, apart);
        calibration.assert_unbiased(truth(0.5, 1.2));
        calibration.assert_calibrated(0.85..1.15);
    }

    #[test]
    fn is_unbiased_and_calibrated_when_the_laws_agree() {
        let same =
            |seed| estimate(&gaussian(2 * seed, 100, &[0.3; 8], 1.0), &gaussian(2 * seed + 1, 80, &[0.3; 8], 1.0));
        let calibration = Calibration::of(400, same);
        calibration.assert_unbiased(0.0);
        // Too large rather than too small: see `discrepancy`.
        calibration.assert_calibrated(0.95..1.45);
    }
}
