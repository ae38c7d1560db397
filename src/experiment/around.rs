//! Solvers around other solvers.

use serde::{Deserialize, Serialize};

use super::choices::{CorrectorSpec, SolverSpec};
use crate::error::{Fault, Settings};
use crate::sde::Sde;
use crate::solve::{About, Method, Recipe, RestartInterval};

/// A predictor, and a corrector before each of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PredictorCorrector {
    /// The solver that takes the steps; not a predictor with a corrector of its own.
    pub predictor: Box<SolverSpec>,
    /// What precedes each step.
    pub corrector: CorrectorSpec,
}

impl Default for PredictorCorrector {
    fn default() -> Self {
        PredictorCorrector {
            predictor: Box::new(SolverSpec::ReverseDiffusion(Default::default())),
            corrector: CorrectorSpec::Langevin(Default::default()),
        }
    }
}

impl Settings for PredictorCorrector {
    fn check(&self) -> Result<(), Fault> {
        plain("predictor", "predictor_corrector", &self.predictor, "reverse_diffusion")?;
        if self.predictor.chosen().tolerance().is_some() {
            let name = self.predictor.name();
            let also = match *self.predictor {
                SolverSpec::Bosh3(_) | SolverSpec::Dopri5(_) => ", or leave out its tolerances",
                _ => "",
            };
            return Err(Fault::new(
                "predictor",
                format!("{name} takes each sample through times of its own, and a corrector acts at one time for all"),
                format!("choose a predictor on a grid, such as `predictor: reverse_diffusion`{also}"),
            ));
        }
        self.corrector.check().map_err(|fault| fault.under("corrector"))
    }
}

impl Recipe for PredictorCorrector {
    fn method(&self, steps: usize) -> Method {
        Method { corrector: Some(self.corrector.build()), ..self.predictor.chosen().method(steps) }
    }

    fn times(&self, sde: &dyn Sde, grid: Vec<f64>) -> Vec<f64> {
        self.predictor.chosen().times(sde, grid)
    }

    fn about(&self) -> About {
        About {
            paper: "Song et al. 2021, Algorithms 2 and 3",
            when: "to mend the error of a coarse predictor with further evaluations at each noise level",
        }
    }
}

/// Restart (Xu et al. 2023): where the noise level has fallen to `to`, noise is added up to `from`, and the solver comes
/// down again in `steps` steps; `repeats` times. Errors made at high noise contract, as they do along an SDE.
///
/// The jump is the forward process, x ← (α′/α) x + α′ √(from² − κ²) ξ, at no evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Restart {
    /// The solver, usually one of the ODE.
    pub solver: Box<SolverSpec>,
    /// Where to restart.
    pub intervals: Vec<RestartInterval>,
}

impl Default for Restart {
    fn default() -> Self {
        Restart {
            solver: Box::new(SolverSpec::EdmHeun(Default::default())),
            intervals: vec![RestartInterval::default()],
        }
    }
}

impl Settings for Restart {
    fn check(&self) -> Result<(), Fault> {
        plain("solver", "restart", &self.solver, "edm_heun")?;
        if self.solver.chosen().tolerance().is_some() {
            let problem = "a solver under error control has no grid to restart on";
            return Err(Fault::new("solver", problem, "leave out its tolerances, or choose edm_heun"));
        }
        if self.intervals.is_empty() || self.intervals.len() > MOST_INTERVALS {
            let problem = format!("{} intervals", self.intervals.len());
            return Err(Fault::new("intervals", problem, "list one to 100, such as [{from: 0.4, to: 0.1}]"));
        }
        let each = |(i, interval): (usize, &RestartInterval)| {
            interval.check().map_err(|fault| fault.under(&format!("[{i}]")).under("intervals"))
        };
        self.intervals.iter().enumerate().try_for_each(each)
    }
}

impl Recipe for Restart {
    fn method(&self, steps: usize) -> Method {
        self.solver.chosen().method(steps)
    }

    fn times(&self, sde: &dyn Sde, grid: Vec<f64>) -> Vec<f64> {
        let grid = self.solver.chosen().times(sde, grid);
        self.intervals.iter().fold(grid, |times, interval| interval.insert(sde, times))
    }

    fn about(&self) -> About {
        About {
            paper: "Xu et al. 2023, Algorithm 1",
            when: "40 evaluations and more with a network, whose errors at high noise the restarts contract",
        }
    }
}

/// The most intervals of a restart.
const MOST_INTERVALS: usize = 100;

/// Refuses a wrapper within a wrapper, and a solver that is wrong by itself.
fn plain(key: &str, outer: &str, inner: &SolverSpec, example: &str) -> Result<(), Fault> {
    if let SolverSpec::PredictorCorrector(_) | SolverSpec::Restart(_) = inner {
        let problem = format!("a {} inside a {outer}", inner.name());
        return Err(Fault::new(key, problem, format!("choose a plain solver, such as `{key}: {example}`")));
    }
    inner.check().map_err(|fault| fault.under(key))
}
