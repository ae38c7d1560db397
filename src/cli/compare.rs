//! `ornstein compare`

use std::path::PathBuf;

use serde_json::json;

use super::session::{Given, Session};
use super::sweep::{Cells, Jobs};
use super::{Shared, print_json, run};
use crate::error::{Error, Result};
use crate::experiment::stage::{self, Comparison, Findings, Only, Sources, Standings, Store};
use crate::experiment::{CompareSpec, Observer, Plan, RunDir, lint_compare};
use crate::score::Model;

/// Compare solvers: distance from the data against evaluations and seconds.
///
/// Each cell (a solver at a budget in a repeat) is kept as it is measured, under a hash of everything that determines it.
/// After an interrupt, or a change of the experiment, the same command measures only what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ornstein compare experiments/exact/mixture.yaml
  ornstein compare experiments/exact/mixture.yaml --only 'solver=dpmpp_2m|ddim,nfe<=20'
  ornstein compare runs/two-moons-vp/20260101-120000-0123456789ab --set compare.repeats=20")]
pub struct Compare {
    #[command(flatten)]
    shared: Shared,

    #[command(flatten)]
    jobs: Jobs,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    #[command(flatten)]
    part: Part,
}

/// What of a comparison is measured.
#[derive(Debug, Default, clap::Args)]
pub struct Part {
    /// Compare these alone: conditions on solver, label and nfe, such as 'solver=unipc|ddim,nfe<=20'
    #[arg(long, value_name = "CONDITIONS")]
    only: Option<String>,

    /// Measure every cell anew, whatever was kept
    #[arg(long)]
    fresh: bool,
}

impl Compare {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        // Before long work.
        self.part.only()?;
        let given = Given::read(&self.shared)?;
        if let Some(cells) = Cells::of(&given, &self.shared)? {
            if let Some(path) = &self.checkpoint {
                let remedy = "leave it away, or give the folder of one cell";
                let argument = format!("--checkpoint {}", path.display());
                return Err(Error::argument(argument, "the cells of a sweep have their own", remedy));
            }
            let only = self.part.only.as_ref().map(|only| format!("--only={only}"));
            let fresh = self.part.fresh.then_some("--fresh");
            let words: Vec<&str> = ["compare"].into_iter().chain(only.as_deref()).chain(fresh).collect();
            return cells.run(&words, &self.jobs, &self.shared);
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
        session.terminal.say(&format!("{}", folder.path().display()));
        session.warn(&lint_compare(&session.plan, spec));
        let comparison = into(&session.plan, spec, &*model, (&folder, &self.part), &session.terminal)?;
        if self.shared.json {
            print_json(&json!({ "run": folder.path(), "compare": comparison.summaries() }))?;
        }
        Ok(())
    }
}

impl Part {
    fn only(&self) -> Result<Only> {
        self.only.as_ref().map_or(Ok(Only::default()), |only| only.parse())
    }
}

/// Compares, writes `compare.csv`, `pairs.csv` and, where the exact denoiser is known, `sources.csv`, and prints a table for
/// each metric.
pub fn into(
    plan: &Plan,
    spec: &CompareSpec,
    model: &dyn Model,
    (run, part): (&RunDir, &Part),
    observer: &dyn Observer,
) -> Result<Comparison> {
    let only = part.only()?;
    let store = Store::new(run.cells());
    let store = if part.fresh { store.fresh() } else { store };
    let comparison = stage::compare(plan, spec, model, (&store, &only), observer)?;
    if comparison.entries().is_empty() {
        let argument = part.only.as_ref().map_or("compare".into(), |only| format!("--only {only:?}"));
        let remedy = "choose some of what the experiment compares, at budgets that it has";
        return Err(Error::argument(argument, "no solver at any budget is left to compare", remedy));
    }
    let sources = stage::sources(plan, spec, model, (&store, &only), observer)?;
    comparison.write(&run.file("compare.csv"))?;
    if !sources.is_empty() {
        Sources::write(&sources, &run.file("sources.csv"))?;
    }
    let findings = Findings::of(&comparison);
    Standings::write(&findings.standings, &run.file("pairs.csv"))?;
    for table in findings.tables() {
        observer.say(&format!("\n{}", table.to_text()));
    }
    Ok(comparison)
}
