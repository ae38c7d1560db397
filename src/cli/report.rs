//! `ornstein report`

use serde_json::json;

use super::session::Session;
use super::{Shared, print_json};
use crate::error::{Error, Result};
use crate::experiment::{Observer, stage};

/// Draw the figures of a run again and write its report.html.
#[derive(Debug, clap::Args)]
pub struct Report {
    #[command(flatten)]
    shared: Shared,
}

impl Report {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let session = Session::new(&self.shared)?;
        let (model, owner) = session.model(None)?;
        let run = owner.ok_or_else(|| {
            Error::argument(
                "report",
                "an experiment without training has no run of its own",
                "give the folder of a run: runs/NAME/WHEN-HASH",
            )
        })?;
        let _lock = run.lock()?;
        let page = stage::report(&session.plan, &*model, &run, &session.terminal)?;
        session.terminal.say(&format!("    report {}", page.display()));
        if self.shared.json {
            print_json(&json!({ "run": run.path(), "report": page }))?;
        }
        Ok(())
    }
}
