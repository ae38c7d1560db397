//! All orders that a solver claims, on one process and one grid.

use std::sync::Arc;

use serde::Serialize;

use super::flow::{Problem, problems};
use super::{Fit, Point, Verdict, ode, strong, weak};
use crate::sde::Sde;
use crate::solve::{Grid, Order, Recipe};

/// A kind of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Towards the solution of the probability-flow ODE.
    Ode,
    /// Of expectations under the reverse SDE.
    Weak,
    /// Of paths of the reverse SDE.
    Strong,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Ode, Kind::Weak, Kind::Strong];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ode => "ode",
            Kind::Weak => "weak",
            Kind::Strong => "strong",
        }
    }

    /// What a solver claims of this kind.
    pub fn claim(self, order: &Order) -> Option<f64> {
        match self {
            Kind::Ode => order.ode,
            Kind::Weak => order.weak,
            Kind::Strong => order.strong,
        }
    }
}

/// A process with the exact solutions of the problems on it, which all solvers share.
#[derive(Clone, Debug)]
pub struct Process {
    name: &'static str,
    sde: Arc<dyn Sde>,
    pub(super) problems: Vec<Problem>,
}

impl Process {
    /// Solves the problems over the span of a process.
    pub fn new(name: &'static str, sde: Arc<dyn Sde>) -> Self {
        let span = sde.span();
        let problems = problems(&*sde, (span.t_max, span.t_min));
        Process { name, sde, problems }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The process itself.
    pub fn sde(&self) -> &Arc<dyn Sde> {
        &self.sde
    }
}

/// A solver on a process and a grid.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The name of the solver.
    pub solver: &'a str,
    /// The solver.
    pub recipe: &'a dyn Recipe,
    /// The process.
    pub process: &'a Process,
    /// The name of the grid, and the grid.
    pub grid: (&'a str, &'a dyn Grid),
}

impl Subject<'_> {
    /// The times of `steps` steps over the span of `sde`.
    pub(super) fn times(&self, sde: &dyn Sde, steps: usize) -> Vec<f64> {
        self.recipe.times(sde, self.grid.1.times(sde, steps))
    }
}

/// How much to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// What gives narrow intervals on every problem.
    Full,
    /// What finds a wrong order in a fraction of the time: fewer steps and fewer paths.
    Quick,
}

/// A fitted order of one kind on one problem.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The kind of order.
    pub kind: Kind,
    /// The problem: `gaussian`, `mixture_1d`, `mixture_2d`, `mixture_16d` or `skewed_1d`.
    pub problem: &'static str,
    /// What is claimed.
    pub claim: f64,
    /// The errors.
    pub points: Vec<Point>,
    /// The fit, or why there is none.
    pub fit: Result<Fit, String>,
    /// How it stands to the claim.
    pub verdict: Verdict,
}

/// What came of a solver on a process.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Its orders, of the kinds that it claims and that were asked for.
    Measured(Vec<Finding>),
    /// There is nothing to measure, and why.
    Skipped(&'static str),
}

/// Measures the orders that a solver claims, of the kinds asked for.
///
/// States are float64 on the CPU; LibTorch's own threads should be one (see [`Workers`](crate::threads::Workers)).
pub fn measure(subject: &Subject, kinds: &[Kind], effort: Effort) -> Outcome {
    if let Some(why) = nothing_to_measure(subject) {
        return Outcome::Skipped(why);
    }
    let order = subject.recipe.method(100).solver.order();
    let claim = |kind: Kind| kind.claim(&order).filter(|_| kinds.contains(&kind));
    let mut findings = claim(Kind::Ode).map_or(Vec::new(), |claim| ode::findings(subject, claim, effort));
    if let Some(claim) = claim(Kind::Weak) {
        findings.push(weak::on_gaussian(subject, claim, effort));
        findings.extend(weak::on_mixture(subject, claim, effort));
    }
    findings.extend(claim(Kind::Strong).map(|claim| strong::on_mixture(subject, claim, effort)));
    match findings.is_empty() {
        true => Outcome::Skipped("it claims no order of this kind"),
        false => Outcome::Measured(findings),
    }
}

/// Why a solver has no orders to measure, if it has none.
fn nothing_to_measure(subject: &Subject) -> Option<&'static str> {
    let method = subject.recipe.method(100);
    let times = subject.times(&**subject.process.sde(), 100);
    if method.solver.order() == Order::default() {
        Some("it claims no order")
    } else if subject.recipe.tolerance().is_some() {
        Some("it chooses its own steps; tests/adaptive.rs compares its error with its tolerance")
    } else if method.corrector.is_some() {
        Some("its claims are those of the predictor; the corrector draws noise of its own, and its error has no order")
    } else if method.churn.is_some() {
        Some("its claims are those without churn, which draws noise of its own")
    } else if times.windows(2).any(|pair| pair[1] >= pair[0]) {
        Some("its claims are those of the solver inside; jumps back to more noise draw noise of their own")
    } else {
        None
    }
}
