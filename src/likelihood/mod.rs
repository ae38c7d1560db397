//! Log-likelihoods by the probability-flow ODE, and bounds on them.
//!
//! The flow that turns noise into samples is a bijection, so a model has a density: with x_t on the curve through x at
//! time t₀ (`t_min`), and v the velocity of the flow,
//!
//! ln p_{t₀}(x) = ln N(x_T; 0, s_T² I) + ∫_{t₀}^{T} ∇·v(x_t, t) dt    (Chen et al. 2018; Song et al. 2021, eq. 39).
//!
//! | file | what it holds |
//! |---|---|
//! | `divergence.rs` | ∇·v: exact, Hutchinson's estimate, Hutch++ |
//! | `augmented.rs` | the ODE of (x, ln p) as a model, which the solvers and the error control of sampling integrate |
//! | `lift.rs` | what stands between data and x_{t₀}: dequantisation, the decoder at t₀, and the terms that make numbers proper |
//! | `bound.rs` | variational bounds L_T + L + L_0 |
//! | `chain.rs` | L of the discrete chain of DDPM |
//! | `continuous.rs` | L in continuous time |
//!
//! All is in nats, in the coordinates of the model, and float64; what stands between these and the units of the data is
//! the volume factor of [`Scale`](crate::data::Scale).

mod augmented;
mod bound;
mod chain;
mod continuous;
mod divergence;
mod lift;

pub use augmented::Augmented;
pub use bound::{Bound, BoundTerms, Term, bound_terms};
pub use chain::Chain;
pub use continuous::Continuous;
pub use divergence::{Divergence, ExactTrace, HutchPp, Hutchinson, Jacobian, Probes};
pub use lift::{Lift, Lifted};

use std::sync::Arc;

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::score::{Model, Reversed};
use crate::sde::Sde;
use crate::solve::{Run, Sampler};
use crate::threads::Workers;

/// The log-density of a model at states of t₀.
#[derive(Debug)]
pub struct LogDensity {
    /// ln N(x_T; 0, s_T² I) `[N]`.
    pub prior: Tensor,
    /// ∫ ∇·v dt `[N, K]`, by each of K estimates of the divergence.
    pub divergence: Tensor,
    /// The latents x_T `[N, …]`.
    pub latent: Tensor,
    /// The evaluations and the time that it took.
    pub run: Run,
}

impl LogDensity {
    /// ln p_{t₀}(x) `[N]`.
    pub fn total(&self) -> Tensor {
        &self.prior + self.divergence.mean_dim([1i64].as_slice(), false, Kind::Double)
    }
}

/// ln p_{t₀} of x `[N, …]` at the last time of `sampler`, whose solver and schedule are those of samples and are run through
/// backwards. Probes are functions of its seed and of the number of the sample, counted from `first`.
///
/// # Errors
/// A state that is not finite, a tolerance that cannot be met, whatever `tick` returns.
pub fn log_density(
    (model, sde): (&dyn Model, &Arc<dyn Sde>),
    (x, first): (&Tensor, u64),
    divergence: &Arc<dyn Divergence>,
    sampler: Sampler,
    workers: &Workers,
    tick: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<LogDensity> {
    let (count, shape) = (x.size()[0], x.size()[1..].to_vec());
    let reversed = Box::new(Reversed::new(model.part(0, count), sde.clone()));
    let room = sampler.chunk as i64;
    let augmented = Augmented::new(reversed, &shape, divergence.clone(), (sampler.seed, first, count), room);
    let run = sampler.reversed().run(&augmented, &augmented.states(x), workers, tick)?;
    let (latent, change) = augmented.split(&run.x);
    Ok(LogDensity { prior: log_prior(&**sde, &latent), divergence: -change, latent, run })
}

/// The latents x_T of x `[N, …]`, by the same flow without its divergence.
///
/// # Errors
/// As [`log_density`].
pub fn encode(
    (model, sde): (&dyn Model, &Arc<dyn Sde>),
    x: &Tensor,
    sampler: Sampler,
    workers: &Workers,
    tick: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Run> {
    let reversed = Reversed::new(model.part(0, x.size()[0]), sde.clone());
    sampler.reversed().run(&reversed, x, workers, tick)
}

/// ln N(x; 0, s² I) `[N]` of x `[N, …]` with the standard deviation s of the prior.
fn log_prior(sde: &dyn Sde, x: &Tensor) -> Tensor {
    let std = sde.span().prior_std;
    log_normal(&(x / std)) - per_sample_numbers(x) * std.ln()
}

/// ln N(z; 0, I) `[N]` of z `[N, …]`.
fn log_normal(z: &Tensor) -> Tensor {
    sum(&z.square()) * -0.5 - per_sample_numbers(z) * 0.5 * std::f64::consts::TAU.ln()
}

/// The sum over each sample, float64 `[N]`.
fn sum(x: &Tensor) -> Tensor {
    x.flatten(1, -1).sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
}

/// D.
fn per_sample_numbers(x: &Tensor) -> f64 {
    x.size()[1..].iter().product::<i64>() as f64
}
