//! What a step may use beside the current evaluation.

use std::fmt::Debug;

use tch::Tensor;

use super::Noise;
use crate::score::{Denoiser, Eval};
use crate::sde::{Kernel, Sde};

/// The clock on which a solver's Brownian motion runs, so that its noise is an increment W(c(s)) − W(c(t)).
///
/// Solvers that share a clock share their noise on a [`BrownianPath`](super::BrownianPath), whatever their grids.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    /// t itself: the noise of the reverse SDE is g dw̄.
    Time,
    /// κ^p. For p = 2 it is the noise of the forward transition, σ² = α² Δκ²; for p = −2q that of the exact reverse
    /// transition of stochasticity q given x̂₀, σ_s² (1 − e^{−2qh}) = σ_s² κ_s^{2q} Δκ^{−2q}.
    Ratio(f64),
}

impl Clock {
    /// κ².
    pub const FORWARD: Clock = Clock::Ratio(2.0);
    /// κ⁻².
    pub const REVERSE: Clock = Clock::Ratio(-2.0);

    /// The clock's reading at time t.
    pub fn at(self, sde: &dyn Sde, t: f64) -> f64 {
        match self {
            Clock::Time => t,
            Clock::Ratio(power) => sde.kernel(t).ratio().powf(power),
        }
    }
}

/// What a step may use beside the current evaluation: the model, its noise and the past.
#[derive(Debug)]
pub struct Context<'a> {
    pub(super) denoiser: &'a dyn Denoiser,
    pub(super) noise: &'a mut dyn Noise,
    pub(super) past: &'a [Eval],
    pub(super) made: usize,
    pub(super) left: usize,
}

impl<'a> Context<'a> {
    /// What a step may use that follows `made` others and precedes `left`; `past` has the newest evaluation first.
    pub fn new(
        denoiser: &'a dyn Denoiser,
        noise: &'a mut dyn Noise,
        past: &'a [Eval],
        made: usize,
        left: usize,
    ) -> Self {
        Context { denoiser, noise, past, made, left }
    }

    /// The process.
    pub fn sde(&self) -> &dyn Sde {
        self.denoiser.sde()
    }

    /// (α, σ) at time t.
    pub fn kernel(&self, t: f64) -> Kernel {
        self.sde().kernel(t)
    }

    /// Earlier evaluations on this trajectory, newest first; at most [`Solver::memory`](super::Solver::memory) of them.
    pub fn past(&self) -> &[Eval] {
        self.past
    }

    /// How many steps of this integration were made before this one.
    pub fn steps_made(&self) -> usize {
        self.made
    }

    /// How many steps will follow this one.
    pub fn steps_left(&self) -> usize {
        self.left
    }

    /// Evaluates the model: one function evaluation.
    pub fn eval(&self, x: Tensor, t: f64) -> Eval {
        Eval::new(self.denoiser, x, t)
    }

    /// The increment of the solver's Brownian motion from time t to s, shaped like `like`.
    pub fn brownian(&mut self, clock: Clock, like: &Tensor, t: f64, s: f64) -> Tensor {
        let (a, b) = (clock.at(self.denoiser.sde(), t), clock.at(self.denoiser.sde(), s));
        self.noise.increment(like, a, b)
    }

    /// The same increment with variance one.
    pub fn standard(&mut self, clock: Clock, like: &Tensor, t: f64, s: f64) -> Tensor {
        let (a, b) = (clock.at(self.denoiser.sde(), t), clock.at(self.denoiser.sde(), s));
        self.noise.increment(like, a, b) / (b - a).abs().sqrt()
    }

    /// The increment W(b) − W(a) from time t to s, and the integral ∫ (W(c) − W(a)) dc over the clock between.
    pub fn brownian_integral(&mut self, clock: Clock, like: &Tensor, t: f64, s: f64) -> (Tensor, Tensor) {
        let (a, b) = (clock.at(self.denoiser.sde(), t), clock.at(self.denoiser.sde(), s));
        self.noise.integral(like, a, b)
    }

    /// Standard normals outside the Brownian motion, shaped like `like`.
    pub fn normal(&mut self, like: &Tensor) -> Tensor {
        self.noise.normal(like)
    }
}
