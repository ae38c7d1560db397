//! What error control needs of a solver: a step that estimates its own error, and rules for what follows from it.

use std::fmt::Debug;

use tch::Tensor;

use super::{Clock, Context};
use crate::score::{Eval, Evals};
use crate::sde::Sde;

/// Tolerances of the local error, relative to the state and absolute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative to the state.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
}

impl Default for Tolerance {
    /// 1e-5 for both, as score_sde's black-box ODE sampler (Song et al. 2021).
    fn default() -> Self {
        Tolerance { rtol: 1e-5, atol: 1e-5 }
    }
}

/// What the error of a step is measured by, in each coordinate, given the lower-order results of the step and of the one
/// before it (of a method that has no such thing, its results).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// atol + rtol max(|x|, |x_prev|) (Hairer, Nørsett & Wanner 1993).
    Sum,
    /// max(atol, rtol max(|x|, |x_prev|)) (Jolicoeur-Martineau et al. 2021).
    Larger,
}

/// The variable in which steps are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// t.
    Time,
    /// λ = ln(α/σ).
    LogSnr,
}

impl Variable {
    /// The length of a step from time t down to s.
    pub fn length(self, sde: &dyn Sde, t: f64, s: f64) -> f64 {
        match self {
            Variable::Time => t - s,
            Variable::LogSnr => sde.kernel(s).lambda() - sde.kernel(t).lambda(),
        }
    }

    /// The time at which a step of length h from t ends.
    pub fn advance(self, sde: &dyn Sde, t: f64, h: f64) -> f64 {
        match self {
            Variable::Time => t - h,
            Variable::LogSnr => sde.time_of_ratio((-sde.kernel(t).lambda() - h).exp()),
        }
    }
}

/// What becomes of the noise of a step that does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It stays known, and shorter steps follow the path that it began.
    Kept,
    /// It is forgotten, and new noise is drawn: steps that are rejected for large noise make it smaller than it should be.
    Redrawn,
}

/// The outcome of one try.
#[derive(Debug)]
pub struct Attempt {
    /// The states at the ends of the steps.
    pub x: Tensor,
    /// An estimate of the local error, shaped like `x`.
    pub error: Tensor,
    /// The result of lower order, by which the error is measured; `x` where there is none.
    pub low: Tensor,
    /// x̂₀ at the ends of the steps, where the method evaluates there anyway.
    pub next: Option<Tensor>,
}

/// A step with an estimate of its error, for samples that may each have a time and a step of their own.
pub trait Embedded: Debug + Send + Sync {
    /// What its error is measured by.
    fn scale(&self) -> Scale {
        Scale::Sum
    }

    /// The variable in which its steps are measured.
    fn variable(&self) -> Variable {
        Variable::Time
    }

    /// What becomes of the noise of a step that does not stand.
    fn rejected(&self) -> Rejected {
        Rejected::Kept
    }

    /// The length of the first step, of the whole way.
    fn first(&self, whole: f64) -> f64;

    /// By what the next step is longer after an error `error`, relative to the tolerance. `again` says that the try
    /// before failed.
    fn growth(&self, error: f64, again: bool) -> f64;

    /// Whether a step with such an error stands.
    fn stands(&self, error: f64) -> bool {
        error <= 1.0
    }

    /// The step from `now` to the times `s`, one for each of `now.t`.
    fn attempt(&self, cx: &mut dyn Medium, now: &Evals, s: &[f64]) -> Attempt;
}

/// What such a step may use: the model and noise, for times of one's own or for one time on a grid.
pub trait Medium {
    /// The process.
    fn sde(&self) -> &dyn Sde;

    /// Evaluates the model: one function evaluation for each sample.
    fn eval(&mut self, x: Tensor, t: Vec<f64>) -> Evals;

    /// The increments from times t to s of a Brownian motion in t, shaped like `like`.
    fn brownian(&mut self, like: &Tensor, t: &[f64], s: &[f64]) -> Tensor;
}

/// All samples at one time.
impl Medium for Context<'_> {
    fn sde(&self) -> &dyn Sde {
        Context::sde(self)
    }

    fn eval(&mut self, x: Tensor, t: Vec<f64>) -> Evals {
        let [t] = t[..] else { panic!("on a grid, samples share one time") };
        Context::eval(self, x, t).into()
    }

    fn brownian(&mut self, like: &Tensor, t: &[f64], s: &[f64]) -> Tensor {
        let ([t], [s]) = (t, s) else { panic!("on a grid, samples share one time") };
        Context::brownian(self, Clock::Time, like, *t, *s)
    }
}

impl From<Eval> for Evals {
    fn from(eval: Eval) -> Self {
        Evals { t: vec![eval.t], x: eval.x, x0: eval.x0 }
    }
}

impl From<&Eval> for Evals {
    fn from(eval: &Eval) -> Self {
        Evals { t: vec![eval.t], x: eval.x.shallow_clone(), x0: eval.x0.shallow_clone() }
    }
}
