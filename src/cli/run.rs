//! `ornstein run`

use serde_json::json;

use super::session::{Given, Session};
use super::sweep::{Cells, Jobs};
use super::{Shared, compare, likelihood, print_json};
use crate::error::{Error, Result};
use crate::experiment::stage::{self, Door, Observed, Training};
use crate::experiment::{Observer, RunDir, lint_compare, lint_sample};

/// Train (or resume), sample, compare, compute likelihoods where the experiment says so, and report.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ornstein run experiments/quickstart.yaml --set train.steps=500 --out runs/short
  ornstein run experiments/quickstart.yaml --set 'sweep={seed: [0, 1, 2]}' --jobs 2")]
pub struct Run {
    #[command(flatten)]
    shared: Shared,

    #[command(flatten)]
    jobs: Jobs,
}

impl Run {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let given = Given::read(&self.shared)?;
        if let Some(cells) = Cells::of(&given, &self.shared)? {
            return cells.run(&["run"], &self.jobs, &self.shared);
        }
        self.jobs.none()?;
        let session = Session::of(&given, &self.shared)?;
        let Session { plan, terminal, .. } = &session;
        stage::check_features(plan)?;
        let (run, resume) = session.training_run()?;
        let _lock = run.lock()?;
        terminal.say(&format!("{}", run.path().display()));
        let compared = plan.spec.compare.iter().flat_map(|compare| lint_compare(plan, compare));
        session.warn(&lint_sample(plan).into_iter().chain(compared).collect::<Vec<_>>());
        let training = match session.is_learned() {
            true => Some(stage::train(plan, &run, resume, terminal)?),
            false => {
                run.describe(plan)?;
                None
            }
        };
        self.rest(&session, &run, training).map_err(|error| match error {
            Error::Interrupted { .. } => {
                let run = run.path().display();
                let remedy = format!("what was finished before is in {run}; continue with --resume --out {run}");
                Error::Interrupted { remedy }
            }
            other => other,
        })
    }

    /// What comes after training.
    fn rest(&self, session: &Session, run: &RunDir, training: Option<Training>) -> Result<()> {
        let Session { plan, terminal, .. } = session;
        let model = session.model_of_run(run, plan.in_turn())?;
        let of_class = session.model_of_class(run)?;
        let (of_samples, ready) = (of_class.as_deref().unwrap_or(&*model), Door::default().open(plan)?);
        let sampled = stage::sample_run(plan, of_samples, ready, run, terminal)?;
        let comparison = match &plan.spec.compare {
            Some(spec) => Some(compare::into(plan, spec, &*model, (run, &compare::Part::default()), terminal)?),
            None => None,
        };
        let likelihood = match &plan.spec.likelihood {
            Some(spec) => {
                let observed = Observed::of(plan, spec, None)?;
                let model = session.model_of_run(run, observed.condition(plan))?;
                Some(likelihood::into(plan, spec, (&*model, &observed), run, terminal)?)
            }
            None => None,
        };
        let page = stage::report(plan, (&*model, of_samples), run, terminal)?;
        terminal.say(&format!("    report {}", page.display()));
        if self.shared.json {
            let summaries = comparison.map(|comparison| comparison.summaries());
            print_json(&json!({
                "run": run.path(), "train": training, "sample": sampled, "compare": summaries,
                "likelihood": likelihood, "report": page
            }))?;
        }
        Ok(())
    }
}

/// The folder that outputs of a model go to: its run's, the one that --resume means, or a new one.
pub fn folder(session: &Session, run: Option<RunDir>) -> Result<RunDir> {
    run.map_or_else(|| Ok(session.training_run()?.0), Ok)
}
