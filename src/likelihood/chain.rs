//! The variational bound of the discrete chain (Ho et al. 2020, eq. 5), for every process and grid.

use std::ops::Range;

use super::bound::{Bound, Term};
use crate::sde::Sde;
use crate::solve::Variance;

/// The chain x_{t_0} → x_{t_1} → … → x_{t_N} of a grid from noise to data, and what its reverse transitions are like.
///
/// L = Σ KL(q(x_s | x_t, x₀) ‖ p(x_s | x_t)) over its steps t → s. With the posterior's variance a step costs
/// ½ (κ_s⁻² − κ_t⁻²) ‖x₀ − D(x_t, t)‖² (Kingma et al. 2021). As N grows it decreases to the bound in continuous time
/// ([`Continuous`](super::Continuous)).
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// t_0 > … > t_N, σ > 0.
    pub times: Vec<f64>,
    /// The variance of the reverse transitions.
    pub variance: Variance,
}

impl Bound for Chain {
    fn between(&self) -> (f64, f64) {
        (self.times[0], self.times[self.times.len() - 1])
    }

    fn terms(&self) -> usize {
        self.times.len() - 1
    }

    /// The means of the normals q(x_s | x_t, x₀) and p(x_s | x_t) are c (x₀ − D) apart, c = α_s (1 − κ_s²/κ_t²), and the variance
    /// of q is σ_s² (1 − κ_s²/κ_t²).
    fn term(&self, sde: &dyn Sde, i: usize, _samples: Range<u64>) -> Term {
        let (k, ks) = (sde.kernel(self.times[i]), sde.kernel(self.times[i + 1]));
        let shrink = 1.0 - (ks.ratio() / k.ratio()).powi(2);
        let of_q = ks.sigma.powi(2) * shrink;
        let of_p = match self.variance {
            Variance::Posterior => of_q,
            Variance::Forward => k.alpha.powi(2) * (k.ratio().powi(2) - ks.ratio().powi(2)),
        };
        let ratio = of_q / of_p;
        Term {
            times: vec![self.times[i]],
            weights: vec![(ks.alpha * shrink).powi(2) / (2.0 * of_p)],
            constant: 0.5 * (ratio - 1.0 - ratio.ln()),
        }
    }
}
