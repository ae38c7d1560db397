//! Time grids that fit a solver, a budget and a model: six ways to find them.
//!
//! A grid is handled as its levels ln κ, κ = σ/α, from the first to the last, so that each method applies to every
//! process; the ends are those of the span and stay. What a method needs to know differs:
//!
//! | method | asks | minimises |
//! |---|---|---|
//! | [`Analytic`] | nothing: no model, no data | a bound on the error of a multistep method from its weights |
//! | [`Spectral`] | mean and eigenvalues of the data | the exact error of the *actual* solver on the Gaussian that has them |
//! | [`Cost`] | the model, along trajectories | nothing: equal cost per step, from a measured density |
//! | [`Klub`] | the model, at noisy data | a bound on the Kullback–Leibler divergence of the reverse SDE |
//! | [`Dp`] | the model and the solver, along trajectories | the error of the solver against a fine solution, over paths through fixed nodes |
//! | [`Direct`] | an error of grids | that error |
//!
//! A bound is not the error, and a grid that is good for one solver may be bad for another: judge a grid on seeds that
//! it has not seen, with the solver that will use it.

mod analytic;
mod cost;
mod direct;
mod dp;
mod klub;
mod search;
mod spectral;
mod teacher;

pub use analytic::Analytic;
pub use cost::Cost;
pub use direct::Direct;
pub use dp::{Along, Distance, Dp, Judged};
pub use klub::Klub;
pub use search::{Found, Search};
pub use spectral::{Criterion, Spectral, Spectrum, tangent};

use crate::error::Result;
use crate::sde::Sde;

/// The levels ln κ of times.
pub fn levels(sde: &dyn Sde, times: &[f64]) -> Vec<f64> {
    times.iter().map(|&t| sde.kernel(t).ratio().ln()).collect()
}

/// The times of levels; the first and the last are the ends of the span exactly.
pub fn times(sde: &dyn Sde, levels: &[f64]) -> Vec<f64> {
    let span = sde.span();
    let mut times: Vec<f64> = levels.iter().map(|level| sde.time_of_ratio(level.exp())).collect();
    let last = times.len() - 1;
    (times[0], times[last]) = (span.t_max, span.t_min);
    times
}

/// Levels at equal distances over the span of a process.
pub fn equal(sde: &dyn Sde, steps: usize) -> Vec<f64> {
    let span = sde.span();
    let ends = levels(sde, &[span.t_max, span.t_min]);
    (0..=steps).map(|i| ends[0] + (ends[1] - ends[0]) * i as f64 / steps as f64).collect()
}

/// Called now and then by long work, with the part of it that is done since; an error stops it.
pub type Tick<'a> = dyn Fn(f64) -> Result<()> + Sync + 'a;
