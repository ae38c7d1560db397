//! `ornstein likelihood`

use std::path::PathBuf;

use serde_json::json;

use super::session::{Given, Session};
use super::{Shared, print_json, run};
use crate::error::Result;
use crate::experiment::stage::{self, Observed};
use crate::experiment::{LikelihoodSpec, Observer, Plan, RunDir};
use crate::score::Model;

/// Compute the likelihood of data under a model, by its probability flow.
///
/// Writes likelihood.csv (a line a sample), likelihood.json and figures into the run. Settings are those of the section
/// `likelihood` of the experiment, or its defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Bits per dimension are −log₂ p(x)/D: of images, of the probability of their bytes, as in papers; of continuous data,
of their density in their own units. Lower is better.

Examples:
  ornstein likelihood experiments/exact/mixture.yaml
  ornstein likelihood runs/small/20260101-120000-0123456789ab --set likelihood.count=64
  ornstein likelihood EXPERIMENT --set likelihood.lift=truncated_normal --set likelihood.draws=8
  ornstein likelihood EXPERIMENT --input others.npy       (other data under the same model)")]
pub struct Likelihood {
    #[command(flatten)]
    shared: Shared,

    /// A .npy file with data in their own units, [N, …], instead of held-out data
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Likelihood {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let given = Given::read(&self.shared)?;
        let session = Session::of(&given, &self.shared)?;
        let Session { plan, terminal, .. } = &session;
        let spec = plan.spec.likelihood.clone().unwrap_or_default();
        plan.lift(&spec).map_err(|fault| given.document.data_fault(&self.shared.overrides(), fault))?;
        let observed = Observed::of(plan, &spec, self.input.as_deref())?;
        let (model, owner) = session.model_on(self.checkpoint.as_deref(), observed.condition(plan))?;
        let folder = run::folder(&session, owner)?;
        let _lock = folder.lock()?;
        terminal.say(&format!("{}", folder.path().display()));
        let likelihood = into(plan, &spec, (&*model, &observed), &folder, terminal)?;
        stage::likelihood_figures(plan, &*model, &folder)?;
        if self.shared.json {
            print_json(&json!({ "run": folder.path(), "likelihood": likelihood }))?;
        }
        Ok(())
    }
}

/// Computes a likelihood into a run, and prints its terms.
pub fn into(
    plan: &Plan,
    spec: &LikelihoodSpec,
    what: (&dyn Model, &Observed),
    run: &RunDir,
    observer: &dyn Observer,
) -> Result<stage::Likelihood> {
    let likelihood = stage::likelihood(plan, spec, what, run, observer)?;
    observer.say(&format!("\n{}\n{}", likelihood.about, likelihood.table().to_text()));
    Ok(likelihood)
}
