//! What an experiment chooses as its solver.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::{Method, Solver, Tolerance};
use crate::sde::Sde;

/// A solver with what surrounds it, as it is chosen by name. Every [`Solver`] is one.
pub trait Recipe: Debug {
    /// The solver and what surrounds it, for a run of `steps` steps.
    fn method(&self, steps: usize) -> Method;

    /// The tolerance with which it chooses its own steps; none on a grid.
    fn tolerance(&self) -> Option<Tolerance> {
        None
    }

    /// The times of its steps on a process, from those of the grid.
    fn times(&self, _sde: &dyn Sde, grid: Vec<f64>) -> Vec<f64> {
        grid
    }

    /// Where it comes from and what it is for.
    fn about(&self) -> About;
}

/// What one should know of a solver before choosing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Author, year, algorithm.
    pub paper: &'static str,
    /// When to use it.
    pub when: &'static str,
}

/// Where the literature's code and theory part, which of them to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Theory.
    #[default]
    Correct,
    /// The code behind published figures, to reproduce them.
    Published,
}

impl<S: Solver + Clone + 'static> Recipe for S {
    fn method(&self, steps: usize) -> Method {
        Method { churn: self.churn(steps), ..self.clone().into() }
    }

    fn tolerance(&self) -> Option<Tolerance> {
        Solver::tolerance(self)
    }

    fn times(&self, sde: &dyn Sde, grid: Vec<f64>) -> Vec<f64> {
        Solver::times(self, sde, grid)
    }

    fn about(&self) -> About {
        Solver::about(self)
    }
}
