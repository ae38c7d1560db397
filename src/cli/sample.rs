//! `ornstein sample`: also the door for other programs.

use std::path::PathBuf;

use serde_json::json;

use super::session::Session;
use super::{Shared, print_json, run};
use crate::error::Result;
use crate::experiment::stage::{self, Door, SAMPLES};
use crate::experiment::{Observer, lint_sample};
use crate::file;

/// Draw samples from a trained or an exact model.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
To compare a solver number by number with another implementation, give both the same initial state, noise and times:
  ornstein sample EXPERIMENT --precision float64 --init x.npy --noise z.npy --output y.npy \\
      --set 'sample.grid={explicit: [1.0, 0.5, 0.25, 0.0]}' --set sample.steps=null")]
pub struct Sample {
    #[command(flatten)]
    shared: Shared,

    /// A .npy file with the state at the first time of the grid, [B, …]
    #[arg(long, value_name = "X.npy")]
    init: Option<PathBuf>,

    /// A .npy file with standard normals [draws, B, …], used in the order drawn
    #[arg(long, value_name = "Z.npy")]
    noise: Option<PathBuf>,

    /// Where the samples go (default: samples.npy in the run folder)
    #[arg(long, value_name = "Y.npy")]
    output: Option<PathBuf>,

    /// A folder for the state at every time of the grid
    #[arg(long, value_name = "DIR")]
    trajectory: Option<PathBuf>,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Sample {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let session = Session::new(&self.shared)?;
        let (model, owner) = session.model_of_samples(self.checkpoint.as_deref())?;
        let door =
            Door { init: self.init.as_deref(), noise: self.noise.as_deref(), trajectory: self.trajectory.as_deref() };
        let ready = door.open(&session.plan)?;
        // Where no file is named, the samples are those of the run.
        let (run, output) = match &self.output {
            Some(path) => (None, path.clone()),
            None => {
                let run = run::folder(&session, owner)?;
                let output = run.file(SAMPLES);
                (Some(run), output)
            }
        };
        file::writable(&output)?;
        session.warn(&lint_sample(&session.plan));
        let sampled = match &run {
            Some(run) => stage::sample_run(&session.plan, &*model, ready, run, &session.terminal)?,
            None => stage::sample(&session.plan, &*model, ready, &output, &session.terminal)?,
        };
        let (count, nfe) = (sampled.count, sampled.nfe);
        session
            .terminal
            .say(&format!("    sample {count} samples with {nfe} evaluations each in {}", output.display()));
        if self.shared.json {
            print_json(&json!({ "output": output, "sample": sampled }))?;
        }
        Ok(())
    }
}
