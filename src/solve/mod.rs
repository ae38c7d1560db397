//! Solvers of the reverse process behind one integrator.
//!
//! A solver makes one step and is pure in its arguments; the integrator keeps the history of evaluations, and owns
//! everything that all methods share: churn, correction, the last step to σ = 0, finiteness. One family of solvers is
//! one file; to add another, write its file and name it in the experiment's list of choices.
//!
//! There are two integrators: [`Integrator`] takes all samples through given times, [`AdaptiveIntegrator`] takes each
//! sample to its end in steps of its own, by a solver's [`Embedded`] estimate of its error.

mod adaptive;
mod ancestral;
mod brownian;
mod context;
mod ddim;
mod dpm_adaptive;
mod dpmpp_2m;
mod edm_heun;
mod embedded;
mod euler_maruyama;
mod gotta_go_fast;
mod grid;
mod integrator;
mod langevin;
mod motion;
mod noise;
mod recipe;
mod reverse_diffusion;
mod runge_kutta;
mod sampler;

pub use adaptive::{AdaptiveIntegrator, Advance};
pub use ancestral::{Ancestral, Variance};
pub use brownian::BrownianPath;
pub use context::{Clock, Context};
pub use ddim::Ddim;
pub use dpm_adaptive::DpmAdaptive;
pub use dpmpp_2m::Dpmpp2m;
pub use edm_heun::{Churn, EdmHeun};
pub use embedded::{Attempt, Embedded, Medium, Rejected, Scale, Tolerance, Variable};
pub use euler_maruyama::EulerMaruyama;
pub use gotta_go_fast::{GottaGoFast, Variant as GottaGoFastVariant};
pub use grid::{Explicit, Grid, Karras, LogSnr, Quadratic, UniformGrid};
pub use integrator::{Integrator, Method, Point};
pub use langevin::{AnnealedLangevin, Langevin, Variant as LangevinVariant};
pub use motion::Motion;
pub use noise::{Fresh, Noise, Replay};
pub use recipe::{About, Recipe};
pub use reverse_diffusion::ReverseDiffusion;
pub use runge_kutta::{Bosh3, Dopri5, Euler, Heun, Rk4, Tableau};
pub use sampler::{NoiseSource, Run, Sampler, Schedule, State, prior};

use std::fmt::Debug;

use tch::Tensor;

use crate::score::Eval;

/// What a solver claims: its error falls as (step size)^order. `tests/orders.rs` holds it to account.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Order {
    /// Towards the solution of the probability-flow ODE; none for stochastic solvers.
    pub ode: Option<f64>,
    /// Of expectations under the reverse SDE; none for deterministic solvers.
    pub weak: Option<f64>,
    /// Of paths of the reverse SDE, on one Brownian motion; none for deterministic solvers.
    pub strong: Option<f64>,
}

impl Order {
    /// A deterministic solver of the given order.
    pub const fn ode(order: f64) -> Self {
        Order { ode: Some(order), weak: None, strong: None }
    }

    /// A stochastic solver of the given orders.
    pub const fn sde(weak: f64, strong: f64) -> Self {
        Order { ode: None, weak: Some(weak), strong: Some(strong) }
    }

    /// The one that it claims.
    pub fn claimed(&self) -> f64 {
        self.ode.or(self.weak).unwrap_or(1.0)
    }
}

/// The outcome of one step.
#[derive(Debug)]
pub struct Step {
    /// The state at the end of the step.
    pub x: Tensor,
    /// The evaluation at the end of the step, where the method made it anyway.
    pub next: Option<Eval>,
}

impl From<Tensor> for Step {
    fn from(x: Tensor) -> Self {
        Step { x, next: None }
    }
}

/// One step x_t ↦ x_s, s < t, of the reverse process; pure in its arguments. σ_s > 0 always: the integrator makes the
/// step to σ = 0 itself.
pub trait Solver: Debug + Send + Sync {
    /// Where it comes from and what it is for.
    fn about(&self) -> About;

    /// The claimed orders.
    fn order(&self) -> Order;

    /// How many past evaluations a step uses.
    fn memory(&self) -> usize {
        0
    }

    /// The clock of its noise.
    fn clock(&self) -> Clock {
        Clock::Time
    }

    /// Noise to add before each of `steps` steps, if any.
    fn churn(&self, _steps: usize) -> Option<Churn> {
        None
    }

    /// The tolerance with which it chooses its own steps; none on a grid.
    fn tolerance(&self) -> Option<Tolerance> {
        None
    }

    /// The same step with an estimate of its error, where it has one: what error control needs.
    fn embedded(&self) -> Option<&dyn Embedded> {
        None
    }

    /// x_s from the evaluation at x_t.
    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step;
}

/// Moves x at fixed t, for example towards p_t. It restarts multistep history.
pub trait Corrector: Debug + Send + Sync {
    /// x `[B, …]` at time t, corrected.
    fn correct(&self, cx: &mut Context, x: &Tensor, t: f64) -> Tensor;
}
