//! Denoising score matching.
//!
//! An objective is a law of t × a weighting × the prediction row; the trainer knows no solver.

mod adamw;
mod checkpoint;
mod ema;
mod objective;
mod trainer;

pub use adamw::{AdamW, Moments};
pub use checkpoint::{Checkpoint, Manifest, Window};
pub use ema::Ema;
pub use objective::{LogNormal, Objective, TimeLaw, UniformTime, Weighting};
pub use trainer::{Progress, Trainer, TrainerSettings};
