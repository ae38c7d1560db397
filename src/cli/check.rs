//! `ornstein check`

use serde_json::json;

use super::session::Session;
use super::{Shared, print_json};
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
                "parameters": parameters,
                "sigma_data": plan.sigma_data(),
                "evaluations_per_sample": evaluations,
                "training_examples": trained,
                "compared_evaluations": compared,
                "warnings": warnings,
            }));
            return Ok(());
        }
        print!("{}", plan.spec.to_yaml());
        println!();
        println!("# hash                    {}", plan.hash());
        println!("# parameters              {parameters}");
        println!("# σ_data                  {:.4}", plan.sigma_data());
        println!("# examples in training    {trained}");
        match evaluations {
            Some(evaluations) => println!("# evaluations a sample    {evaluations}"),
            None => println!("# evaluations a sample    as many as the tolerance asks for"),
        }
        println!("# evaluations to compare  up to {compared}");
        for warning in warnings {
            println!("# warning: {warning}");
        }
        Ok(())
    }
}
