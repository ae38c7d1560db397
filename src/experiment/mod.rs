//! An experiment: one YAML file, its typed form, and what is said about a file that cannot be.

mod build;
mod check;
mod choice;
mod choices;
mod differences;
mod document;
mod hash;
mod lint;
mod locate;
mod merge;
mod observer;
mod overrides;
mod plan;
mod read;
mod run_dir;
mod schema;
mod spec;
pub mod stage;
mod sweep;
mod syntax;
mod tree;

pub use choices::{
    CorrectorSpec, DataSpec, GridSpec, MetricSpec, NetworkSpec, OptimizerSpec, PredictorCorrector, SdeSpec, SolverSpec,
    TimeSpec,
};
pub use document::Document;
pub use lint::lint;
pub use observer::Observer;
pub use plan::{Choice, Compute, Plan};
pub use run_dir::{LIBTORCH, RunDir, now};
pub use schema::schema;
pub use spec::{CompareSpec, Entry, FLOOR, LearnedModel, ModelSpec, Noise, SampleSpec, Spec, TrainSpec};
pub use sweep::{Cell, Sweep};

#[cfg(test)]
mod tests;
