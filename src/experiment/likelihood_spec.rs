//! The typed form of `likelihood:`.

use serde::{Deserialize, Serialize};

use super::check::check_grid;
use super::choices::{BoundSpec, DivergenceSpec, GridSpec, SolverSpec};
use crate::error::{Fault, Settings, between, positive};
use crate::likelihood::Lift;
use crate::sde::Sde;
use crate::solve::{Dopri5, Variable, Variance};

/// How to compute the likelihood of data under the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LikelihoodSpec {
    /// How many samples of the data: of those that are held out, where some are.
    #[schemars(range(min = 2))]
    pub count: usize,
    /// How data become states at t_min, where the flow ends. Absent, `uniform` for discrete data such as images, else
    /// `density`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lift: Option<Lift>,
    /// How many draws of the lift for each sample: more than one tighten the bound by importance weighting, each at the
    /// cost of a further solution.
    #[schemars(range(min = 1))]
    pub draws: usize,
    /// How the divergence of the flow is taken. Absent, exactly in up to 32 dimensions, else by Hutchinson's estimate with
    /// one probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<DivergenceSpec>,
    /// The solver of the probability-flow ODE.
    pub solver: SolverSpec,
    /// The times at which it stops; those of a solver with a tolerance are its own.
    pub grid: GridSpec,
    /// How many steps it takes on the grid.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Tolerances, absolute and relative, at which the likelihood is computed again with the same probes, to see what it
    /// depends on; empty for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerances: Vec<f64>,
    /// The variational bound that is computed beside; absent, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<BoundSpec>,
}

/// A discrete chain from noise to data, as DDPM's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSpec {
    /// How many steps it has; each is an evaluation of the model.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Its times; DDPM's are uniform on `vp`.
    pub grid: GridSpec,
    /// The variance of its reverse transitions.
    pub variance: Variance,
}

impl Default for LikelihoodSpec {
    fn default() -> Self {
        LikelihoodSpec {
            count: 256,
            lift: None,
            draws: 1,
            divergence: None,
            solver: SolverSpec::Dopri5(Dopri5 { rtol: Some(1e-5), atol: Some(1e-5) }),
            grid: GridSpec::LogSnr(Default::default()),
            steps: 100,
            tolerances: Vec::new(),
            bound: None,
        }
    }
}

impl Default for ChainSpec {
    fn default() -> Self {
        ChainSpec { steps: 1000, grid: GridSpec::LogSnr(Default::default()), variance: Variance::Posterior }
    }
}

impl Settings for ChainSpec {
    fn check(&self) -> Result<(), Fault> {
        between("steps", self.steps, (1, MOST))?;
        self.grid.check().map_err(|fault| fault.under("grid"))
    }
}

/// Random times between t_max and t_min.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContinuousSpec {
    /// How many for each sample; each is an evaluation of the model.
    #[schemars(range(min = 1))]
    pub draws: usize,
}

impl Default for ContinuousSpec {
    fn default() -> Self {
        ContinuousSpec { draws: 100 }
    }
}

impl Settings for ContinuousSpec {
    fn check(&self) -> Result<(), Fault> {
        between("draws", self.draws, (1, MOST))
    }
}

/// The most steps, draws and samples.
const MOST: usize = 1_000_000;

impl LikelihoodSpec {
    /// What only the process tells: that the times of the grids are such, and end where data are lifted to.
    pub(super) fn check_times(&self, sde: &dyn Sde) -> Result<(), Fault> {
        let check = |grid: &GridSpec, steps| {
            let times = check_grid(grid, sde, steps)?;
            let (last, t_min) = (times[times.len() - 1], sde.span().t_min);
            if (last - t_min).abs() <= 1e-9 * sde.span().t_max {
                return Ok(());
            }
            let problem = format!("it ends at {last}, and data are lifted to t_min = {t_min}");
            Err(Fault::new("", problem, format!("write {t_min} as its last time")))
        };
        if self.solver.chosen().tolerance().is_none() {
            check(&self.grid, self.steps).map_err(|fault| fault.under("grid"))?;
        }
        let Some(BoundSpec::Chain(chain)) = &self.bound else { return Ok(()) };
        check(&chain.grid, chain.steps).map_err(|fault| fault.under("bound.chain.grid"))
    }

    /// A flow can be followed in both directions: no noise, and steps that time measures.
    fn check_solver(&self) -> Result<(), Fault> {
        let (name, method) = (self.solver.name(), self.solver.chosen().method(self.steps));
        let embedded = method.solver.embedded();
        let in_time = embedded.is_some_and(|pair| pair.variable() == Variable::Time);
        if method.solver.order().ode.is_none() || method.corrector.is_some() || method.churn.is_some() {
            let problem = format!("{name} draws noise, and a likelihood is of the probability-flow ODE");
            return Err(Fault::new("solver", problem, "choose dopri5, rk4 or heun"));
        }
        if self.solver.chosen().tolerance().is_some() && !in_time {
            let problem = format!("{name} measures its steps in λ, and cannot go from data to noise");
            return Err(Fault::new("solver", problem, "choose dopri5 or bosh3"));
        }
        if !self.tolerances.is_empty() && !in_time {
            let problem = format!("{name} does not estimate its error");
            return Err(Fault::new("tolerances", problem, "choose dopri5 or bosh3 as the solver, or leave them away"));
        }
        self.tolerances.iter().enumerate().try_for_each(|(i, &value)| positive(&format!("tolerances[{i}]"), value))
    }
}

impl Settings for LikelihoodSpec {
    fn check(&self) -> Result<(), Fault> {
        between("count", self.count, (2, MOST))?;
        between("draws", self.draws, (1, MOST))?;
        between("steps", self.steps, (1, MOST))?;
        if let Some(divergence) = &self.divergence {
            divergence.check().map_err(|fault| fault.under("divergence"))?;
        }
        self.solver.check().map_err(|fault| fault.under("solver"))?;
        self.grid.check().map_err(|fault| fault.under("grid"))?;
        self.check_solver()?;
        self.bound.as_ref().map_or(Ok(()), |bound| bound.check()).map_err(|fault| fault.under("bound"))
    }
}
