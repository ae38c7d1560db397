//! `ornstein compare`

use std::path::PathBuf;

use serde_json::json;

use super::session::{Given, Session};
use super::sweep::{Cells, Jobs};
use super::{Shared, print_json, run};
use crate::error::{Error, Result};
use crate::experiment::stage::{self, Comparison};
use crate::experiment::{CompareSpec, Observer, Plan, RunDir, lint_compare};
use crate::score::Model;

/// Compare solvers: distance from the data against evaluations and seconds.
#[derive(Debug, clap::Args)]
pub struct Compare {
    #[command(flatten)]
    shared: Shared,

    #[command(flatten)]
    jobs: Jobs,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Compare {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let given = Given::read(&self.shared)?;
        if let Some(cells) = Cells::of(&given, &self.shared)? {
            if let Some(path) = &self.checkpoint {
                let remedy = "leave it away, or give the folder of one cell";
                let argument = format!("--checkpoint {}", path.display());
                return Err(Error::argument(argument, "the cells of a sweep have their own", remedy));
            }
            return cells.run("compare", &self.jobs, &self.shared);
        }
        self.jobs.none()?;
        let session = Session::of(&given, &self.shared)?;
        let spec = session.plan.spec.compare.as_ref().ok_or_else(|| {
            let remedy =
                "add one, for example `compare: {entries: [{solver: heun}, {solver: dpmpp_2m}], nfe: [10, 20, 50]}`";
            Error::argument("compare", "the experiment has no `compare` section", remedy)
        })?;
        let (model, owner) = session.model(self.checkpoint.as_deref())?;
        let folder = run::folder(&session, owner)?;
        let _lock = folder.lock()?;
        session.warn(&lint_compare(&session.plan, spec));
        let comparison = into(&session.plan, spec, &*model, &folder, &session.terminal)?;
        if self.shared.json {
            print_json(&json!({ "run": folder.path(), "compare": comparison.summaries() }))?;
        }
        Ok(())
    }
}

/// Compares, writes `compare.csv` and prints a table for each metric.
pub fn into(
    plan: &Plan,
    spec: &CompareSpec,
    model: &dyn Model,
    run: &RunDir,
    observer: &dyn Observer,
) -> Result<Comparison> {
    let comparison = stage::compare(plan, spec, model, observer)?;
    comparison.write(&run.file("compare.csv"))?;
    for table in stage::tables(&comparison) {
        observer.say(&format!("\n{}", table.to_text()));
    }
    Ok(comparison)
}
