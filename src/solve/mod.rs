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
mod deis;
mod down_up;
mod dpm_adaptive;
mod dpm_multistep;
mod dpm_single_step;
mod edm_heun;
mod embedded;
mod er_sde;
mod euler_maruyama;
mod exp_adams;
mod exponential;
mod exponential_integrator;
mod gotta_go_fast;
mod grid;
mod integrator;
mod langevin;
mod motion;
mod multistep;
mod noise;
mod recipe;
mod renoise;
mod restart;
mod reverse_diffusion;
mod runge_kutta;
mod sa_solver;
mod sampler;
mod single_step;
mod sra;
mod unipc;

pub use adaptive::{AdaptiveIntegrator, Advance};
pub use ancestral::{Ancestral, Variance};
pub use brownian::{BrownianPath, Displacement};
pub use context::{Clock, Context};
pub use ddim::Ddim;
pub use deis::{Deis, GradientEstimation, Ipndm, Lms, Weights};
pub use down_up::{Dpmpp2sAncestral, DpmppSde, EulerAncestral, Kdpm2Ancestral};
pub use dpm_adaptive::DpmAdaptive;
pub use dpm_multistep::{DpmSolver2m, DpmSolver2mSde, DpmSolver3m, Dpmpp2m, Dpmpp2mSde, Dpmpp3m, Dpmpp3mSde};
pub use dpm_single_step::{DpmFast, DpmSolver2s, DpmSolver3s, Dpmpp2s, Dpmpp3s, End, Kdpm2, Res2s, Seeds2, Seeds3};
pub use edm_heun::{Churn, EdmHeun};
pub use embedded::{Attempt, Embedded, Medium, Rejected, Scale, Tolerance, Variable};
pub use er_sde::{ErSde, NoiseScale};
pub use euler_maruyama::EulerMaruyama;
pub use exp_adams::ExpAdams;
pub use exponential::{Basis, Predict, data_weights};
pub use exponential_integrator::ExponentialIntegrator;
pub use gotta_go_fast::GottaGoFast;
pub use grid::{Explicit, Grid, Karras, LogSnr, Quadratic, Rectified, Tabulated, UniformGrid};
pub use integrator::{Integrator, Method, Point};
pub use langevin::{AnnealedLangevin, Langevin, Variant as LangevinVariant};
pub use motion::Motion;
pub use multistep::Start;
pub use noise::{Fresh, Noise, Replay};
pub use recipe::{About, Recipe, Variant};
pub use renoise::Renoise;
pub use restart::RestartInterval;
pub use reverse_diffusion::ReverseDiffusion;
pub use runge_kutta::{Bosh3, Dopri5, Euler, Heun, Rk4, Tableau};
pub use sa_solver::{Mode, SaSolver};
pub use sampler::{NoiseSource, Run, Sampler, Schedule, State, prior, prior_of};
pub use single_step::SolverType;
pub use sra::Sra;
pub use unipc::{B, UniPc};

use std::fmt::Debug;

use tch::Tensor;

use crate::score::Eval;
use crate::sde::Sde;

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

    /// The times of its steps, from those of the grid: for what has a grid of its own.
    fn times(&self, _sde: &dyn Sde, grid: Vec<f64>) -> Vec<f64> {
        grid
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
