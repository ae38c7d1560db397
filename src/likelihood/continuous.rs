//! The variational bound in continuous time (Kingma et al. 2021, eq. 17; Song, Durkan, Murray & Ermon 2021, theorem 3).

use std::ops::Range;

use super::bound::{Bound, Term};
use crate::rng::Stream;
use crate::sde::Sde;

/// L = ∫ κ⁻² E‖x₀ − D(x_t, t)‖² dλ, λ = −ln κ from T to t₀: what a chain of infinitely many steps costs, and for the exact
/// denoiser −ln p(x₀) is all that the bound has.
///
/// The integral is estimated without bias by draws of λ, one in each of as many equal parts: at low noise the integrand is
/// the number of dimensions that data fill, at high noise it is nothing, so that λ suits it.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuous {
    /// T and t₀.
    pub between: (f64, f64),
    /// How many draws.
    pub draws: usize,
    /// Where they come from.
    pub stream: Stream,
}

impl Bound for Continuous {
    fn between(&self) -> (f64, f64) {
        self.between
    }

    fn terms(&self) -> usize {
        self.draws
    }

    fn term(&self, sde: &dyn Sde, i: usize, samples: Range<u64>) -> Term {
        let (low, high) = (sde.kernel(self.between.0).lambda(), sde.kernel(self.between.1).lambda());
        let part = (high - low) / self.draws as f64;
        let ratio = |n: u64| (-(low + part * (i as f64 + self.stream.uniform(n, i as u32)))).exp();
        let ratios: Vec<f64> = samples.map(ratio).collect();
        Term {
            times: ratios.iter().map(|&ratio| sde.time_of_ratio(ratio)).collect(),
            weights: ratios.iter().map(|ratio| part / (ratio * ratio)).collect(),
            constant: 0.0,
        }
    }
}
