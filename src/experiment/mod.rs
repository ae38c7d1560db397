//! An experiment: one YAML file, its typed form, and what is said about a file that cannot be.

mod around;
mod build;
mod check;
mod choice;
mod choices;
mod class_spec;
mod differences;
mod document;
mod examples;
pub mod exchange;
mod forecast;
mod grid_search;
mod hash;
mod likelihood_spec;
mod lint;
mod lint_solver;
mod locate;
mod memory;
mod merge;
mod model_spec;
mod observer;
mod order_report;
mod orders;
mod overrides;
mod plan;
mod read;
mod run_dir;
mod schema;
mod solver_card;
mod spec;
pub mod stage;
mod sweep;
mod syntax;
mod text;
mod train_spec;
mod training;
mod tree;
mod truth;

pub use around::{PredictorCorrector, Restart};
pub use choices::{
    BoundSpec, CorrectorSpec, DataSpec, DivergenceSpec, EmaSpec, GridMethodSpec, GridSpec, MetricSpec, NetworkSpec,
    NoiseLevelSpec, OptimizerSpec, ScheduleSpec, SdeSpec, SolverSpec, TimeSpec, WeightingSpec,
};
pub use class_spec::Classes;
pub use document::Document;
pub use exchange::Import;
pub use forecast::{Forecast, Memory, Sampling, Training, forecast, mebibytes};
pub use grid_search::{GridFound, GridSearch, default_error};
pub use likelihood_spec::{ChainSpec, ContinuousSpec, LikelihoodSpec};
pub use lint::lint;
pub use lint_solver::{lint_compare, lint_sample};
pub use model_spec::{EmpiricalModel, ModelSpec};
pub use observer::Observer;
pub use order_report::{OrderRow, order_remarks, order_rows, order_tables, write_orders};
pub use orders::{Matrix, OrderCell, choice, every, measure_orders, missed};
pub use plan::{Choice, Compute, Effort, Plan};
pub use run_dir::{RunDir, now};
pub use schema::schema;
pub use solver_card::SolverCard;
pub use spec::{CompareSpec, Entry, FLOOR, LearnedModel, Noise, SampleSpec, Spec, Which};
pub use sweep::{Cell, Sweep};
pub use train_spec::{Averages, EarlyStop, TrainSpec, Validate};
pub use training::Loaded;

#[cfg(test)]
mod tests;
