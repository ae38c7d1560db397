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
            return cells.run("train", &self.jobs, &self.shared);
        }
        self.jobs.none()?;
        let session = Session::of(&given, &self.shared)?;
        if !session.is_learned() {
            let remedy = "give `model` a network, or run sample or compare";
            return Err(Error::argument("train", "the experiment has `model: exact`, which needs no training", remedy));
        }
        let (run, resume) = session.training_run()?;
        session.terminal.say(&format!("{}", run.path().display()));
        let training = stage::train(&session.plan, &run, resume, &session.terminal)?;
        if self.shared.json {
            print_json(&json!({ "run": run.path(), "train": training }))?;
        }
        Ok(())
    }
}
