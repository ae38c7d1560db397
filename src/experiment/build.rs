//! From choices to the things chosen: each an exhaustive match, so that a new choice makes the compiler list the work.

use std::sync::Arc;

use super::choices::{
    CorrectorSpec, DataSpec, GridSpec, MetricSpec, NetworkSpec, OptimizerSpec, SdeSpec, SolverSpec, TimeSpec,
};
use crate::data::{Dataset, Library, Toy};
use crate::error::Fault;
use crate::metric::Metric;
use crate::model::{Builder, Network};
use crate::sde::Sde;
use crate::solve::{Corrector, Grid, Method, Tolerance};
use crate::train::{AdamW, TimeLaw};

impl SdeSpec {
    /// The process.
    pub fn build(&self) -> Arc<dyn Sde> {
        match *self {
            SdeSpec::Vp(sde) => Arc::new(sde),
            SdeSpec::SubVp(sde) => Arc::new(sde),
            SdeSpec::Ve(sde) => Arc::new(sde),
            SdeSpec::Edm(sde) => Arc::new(sde),
            SdeSpec::Cosine(sde) => Arc::new(sde),
            SdeSpec::Flow(sde) => Arc::new(sde),
        }
    }
}

impl DataSpec {
    /// The data set.
    ///
    /// # Errors
    /// A covariance with a negative eigenvalue, a file that is missing or cannot be used.
    pub fn build(&self, library: &Library) -> Result<Arc<dyn Dataset>, Fault> {
        Ok(match self {
            DataSpec::TwoMoons(toy) => Arc::new(Toy(*toy)),
            DataSpec::Checkerboard(toy) => Arc::new(Toy(*toy)),
            DataSpec::SwissRoll(toy) => Arc::new(Toy(*toy)),
            DataSpec::EightGaussians(settings) => Arc::new(settings.build()?),
            DataSpec::Gaussian(settings) => Arc::new(settings.build()?),
            DataSpec::GaussianMixture(settings) => Arc::new(settings.build()?),
            DataSpec::Table(settings) => Arc::new(settings.build(library)?),
        })
    }

    /// Whether the data have a law in closed form, which takes no files to say.
    pub fn has_law(&self) -> bool {
        match self {
            DataSpec::EightGaussians(_) | DataSpec::Gaussian(_) | DataSpec::GaussianMixture(_) => true,
            DataSpec::TwoMoons(_) | DataSpec::Checkerboard(_) | DataSpec::SwissRoll(_) | DataSpec::Table(_) => false,
        }
    }
}

impl NetworkSpec {
    /// The network for samples of the given shape.
    ///
    /// # Errors
    /// When it is not made for such a shape.
    pub fn build(&self, shape: &[i64], seed: u64, parameters: &mut Builder) -> Result<Box<dyn Network>, Fault> {
        match (self, shape) {
            (NetworkSpec::Mlp(mlp), &[dim]) => Ok(Box::new(mlp.build(dim, seed, parameters))),
            (NetworkSpec::Mlp(_), shape) => Err(Fault::new(
                "mlp",
                format!("an MLP takes points, and the data have the shape {shape:?}"),
                "choose a network for images",
            )),
        }
    }
}

impl TimeSpec {
    /// The law of t.
    pub fn build(&self) -> Box<dyn TimeLaw> {
        match *self {
            TimeSpec::Uniform(law) => Box::new(law),
            TimeSpec::LogNormal(law) => Box::new(law),
        }
    }
}

impl OptimizerSpec {
    /// The optimizer.
    pub fn build(&self) -> AdamW {
        match *self {
            OptimizerSpec::AdamW(adamw) => adamw,
        }
    }
}

impl SolverSpec {
    /// The solver and what surrounds it, for a run of `steps` steps.
    pub fn build(&self, steps: usize) -> Method {
        match self {
            SolverSpec::EulerMaruyama(solver) => (*solver).into(),
            SolverSpec::ReverseDiffusion(solver) => (*solver).into(),
            SolverSpec::Ancestral(solver) => (*solver).into(),
            SolverSpec::Ddim(solver) => (*solver).into(),
            SolverSpec::Euler(solver) => (*solver).into(),
            SolverSpec::Heun(solver) => (*solver).into(),
            SolverSpec::Rk4(solver) => (*solver).into(),
            SolverSpec::Bosh3(solver) => (*solver).into(),
            SolverSpec::Dopri5(solver) => (*solver).into(),
            SolverSpec::Dpmpp2m(solver) => (*solver).into(),
            SolverSpec::EdmHeun(solver) => Method { churn: solver.churn(steps), ..(*solver).into() },
            SolverSpec::PredictorCorrector(both) => {
                Method { corrector: Some(both.corrector.build()), ..both.predictor.build(steps) }
            }
        }
    }

    /// The tolerance with which the solver chooses its own steps; none on a grid.
    pub fn tolerance(&self) -> Option<Tolerance> {
        match self {
            SolverSpec::Bosh3(solver) => solver.tolerance(),
            SolverSpec::Dopri5(solver) => solver.tolerance(),
            SolverSpec::PredictorCorrector(both) => both.predictor.tolerance(),
            _ => None,
        }
    }
}

impl CorrectorSpec {
    /// The corrector.
    pub fn build(&self) -> Box<dyn Corrector> {
        match *self {
            CorrectorSpec::Langevin(corrector) => Box::new(corrector),
            CorrectorSpec::AnnealedLangevin(corrector) => Box::new(corrector),
        }
    }
}

impl GridSpec {
    /// The times of `steps` steps.
    ///
    /// # Errors
    /// An explicit time outside the span of the process.
    pub fn times(&self, sde: &dyn Sde, steps: usize) -> Result<Vec<f64>, Fault> {
        match self {
            GridSpec::Uniform(grid) => Ok(grid.times(sde, steps)),
            GridSpec::LogSnr(grid) => Ok(grid.times(sde, steps)),
            GridSpec::Karras(grid) => Ok(grid.times(sde, steps)),
            GridSpec::Quadratic(grid) => Ok(grid.times(sde, steps)),
            GridSpec::Explicit(times) => times.times(sde).map_err(|fault| fault.under("explicit")),
        }
    }
}

impl MetricSpec {
    /// The metric.
    pub fn build(&self) -> Box<dyn Metric> {
        match self.clone() {
            MetricSpec::SlicedWasserstein(metric) => Box::new(metric),
            MetricSpec::Mmd(metric) => Box::new(metric),
            MetricSpec::EnergyDistance(metric) => Box::new(metric),
        }
    }
}
