//! Denoising score matching.
//!
//! An objective is a law of t × a weighting × the prediction row; the trainer knows no solver.

mod adamw;
mod average;
mod checkpoint;
mod gradient;
mod levels;
mod objective;
mod posthoc;
mod schedule;
mod time;
mod trainer;
mod uncertainty;
mod update;
mod weighting;

pub use adamw::{AdamW, AdamWStep, Moments};
pub use average::{Averaging, HalfLife, Power, Profile, reconstruct};
pub use checkpoint::{Best, Checkpoint, FIXED, Manifest, PARAMETERS, Window};
pub use gradient::GradientSum;
pub use levels::{Level, Mean, losses_by_level};
pub use objective::Objective;
pub use posthoc::Snapshots;
pub use schedule::{Constant, Cosine, InverseSqrt, Schedule};
pub use time::{Importance, ImportanceTable, LogNormal, Quantiles, TimeLaw, UniformLogSnr, UniformTime};
pub use trainer::{Learner, Progress, Told, Trainer, TrainerSettings, part_of};
pub use uncertainty::{LogUncertainty, Uncertainty};
pub use update::{Buffers, Update, norm};
pub use weighting::{EdmWeighting, Likelihood, MinSnr, P2, Simple, Unweighted, Weighting};
