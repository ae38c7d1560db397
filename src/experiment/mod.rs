//! An experiment: one YAML file, its typed form, and what is said about a file that cannot be.

mod build;
mod check;
mod choice;
mod choices;
mod lint;
mod locate;
mod observer;
mod overrides;
mod plan;
mod read;
mod run_dir;
mod spec;
pub mod stage;
mod syntax;
mod tree;
mod truth;

pub use choices::{
    CorrectorSpec, DataSpec, GridSpec, MetricSpec, NetworkSpec, OptimizerSpec, PredictorCorrector, SdeSpec, SolverSpec,
    TimeSpec,
};
pub use lint::lint;
pub use observer::Observer;
pub use plan::{Choice, Compute, Plan};
pub use run_dir::{LIBTORCH, RunDir};
pub use spec::{CompareSpec, Entry, FLOOR, LearnedModel, ModelSpec, Noise, SampleSpec, Spec, TrainSpec};

#[cfg(test)]
mod tests;
