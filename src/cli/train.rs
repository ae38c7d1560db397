//! `ornstein train`

use serde_json::json;

use super::session::{Given, Session};
use super::sweep::{Cells, Jobs};
use super::{Shared, print_json};
use crate::error::{Error, Result};
use crate::experiment::{Observer, stage};

/// Train the model of an experiment.
#[derive(Debug, clap::Args)]
pub struct Train {
    #[command(flatten)]
    shared: Shared,

    #[command(flatten)]
    jobs: Jobs,
}

impl Train {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let given = Given::read(&self.shared)?;
        if let Some(cells) = Cells::of(&given, &self.shared)? {
            return cells.run(&["train"], &self.jobs, &self.shared);
        }
        self.jobs.none()?;
        let session = Session::of(&given, &self.shared)?;
        if let Some(word) = session.plan.spec.model.word() {
            let problem = format!("the experiment has `model: {word}`, which needs no training");
            return Err(Error::argument("train", problem, "give `model` a network, or run sample or compare"));
        }
        let (run, resume) = session.training_run()?;
        let _lock = run.lock()?;
        session.terminal.say(&format!("{}", run.path().display()));
        let training = stage::train(&session.plan, &run, resume, &session.terminal)?;
        if self.shared.json {
            print_json(&json!({ "run": run.path(), "train": training }))?;
        }
        Ok(())
    }
}
