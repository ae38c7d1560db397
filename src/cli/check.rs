//! `ornstein check`

use serde_json::json;

use super::session::Session;
use super::{Shared, print, print_json};
use crate::error::Result;
use crate::experiment::{Choice, lint};

/// Resolve and check an experiment; nothing runs and nothing is written.
#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    shared: Shared,
}

impl Check {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let session = Session::new(&self.shared)?;
        let plan = &session.plan;
        let parameters = match session.is_learned() {
            true => plan.network()?.1.count(),
            false => 0,
        };
        let sample = &plan.spec.sample;
        let choice = Choice { solver: &sample.solver, grid: &sample.grid, denoise: sample.denoise };
        let evaluations = sample.solver.tolerance().is_none().then(|| plan.evaluations(&choice, sample.steps()));
        let compared: usize = plan.spec.compare.as_ref().map_or(0, |compare| {
            let count = compare.count.unwrap_or(sample.count);
            let fixed = compare.entries.iter().filter(|entry| entry.solver.tolerance().is_none()).count();
            compare.nfe.iter().sum::<usize>() * fixed * compare.repeats * count
        });
        let trained = plan.spec.train.as_ref().map_or(0, |train| train.steps * train.batch);
        let warnings = lint(plan);
        if self.shared.json {
            print_json(&json!({
                "experiment": plan.spec,
                "hash": plan.hash(),
                "data": plan.data().about(),
                "data_sha256": plan.data().digest(),
                "parameters": parameters,
                "sigma_data": plan.sigma_data(),
                "evaluations_per_sample": evaluations,
                "training_examples": trained,
                "compared_evaluations": compared,
                "warnings": warnings,
            }))?;
            return Ok(());
        }
        let evaluations = match evaluations {
            Some(evaluations) => evaluations.to_string(),
            None => "as many as the tolerance asks for".to_owned(),
        };
        let mut text = plan.spec.to_yaml();
        for (what, value) in [
            ("data", plan.data().about().unwrap_or("a law, drawn afresh").to_owned()),
            ("hash", plan.hash()),
            ("parameters", parameters.to_string()),
            ("σ_data", format!("{:.4}", plan.sigma_data())),
            ("examples in training", trained.to_string()),
            ("evaluations a sample", evaluations),
            ("evaluations to compare", format!("up to {compared}")),
        ] {
            text += &format!("\n# {what:<23} {value}");
        }
        for warning in warnings {
            text += &format!("\n# warning: {warning}");
        }
        print(&(text + "\n"))
    }
}
