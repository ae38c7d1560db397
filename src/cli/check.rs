//! `ornstein check`

use serde_json::{Value, json};

use super::session::{Given, Session, compute};
use super::sweep::Cells;
use super::{Shared, print, print_json};
use crate::error::Result;
use crate::experiment::{Cell, Choice, ModelSpec, Plan, lint};
use crate::report::Table;

/// Resolve and check an experiment; nothing runs and nothing is written.
#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    shared: Shared,
}

/// What is known of an experiment before it runs.
struct Prospect {
    parameters: usize,
    /// Evaluations of the model for each sample; none where a tolerance decides.
    evaluations: Option<usize>,
    /// Evaluations that the comparison makes, over all samples.
    compared: usize,
    /// Examples that training sees.
    trained: usize,
    warnings: Vec<String>,
}

impl Prospect {
    fn of(plan: &Plan) -> Result<Self> {
        let parameters = match plan.spec.model {
            ModelSpec::Learned(_) => plan.network()?.1.count(),
            ModelSpec::Exact | ModelSpec::Empirical(_) => 0,
        };
        let sample = &plan.spec.sample;
        let choice = Choice { solver: &sample.solver, grid: &sample.grid, denoise: sample.denoise };
        let evaluations = sample.solver.tolerance().is_none().then(|| plan.evaluations(&choice, sample.steps()));
        let compared = plan.spec.compare.as_ref().map_or(0, |compare| {
            let count = compare.count.unwrap_or(sample.count);
            let fixed = compare.entries.iter().filter(|entry| entry.solver.tolerance().is_none()).count();
            compare.nfe.iter().sum::<usize>() * fixed * compare.repeats * count
        });
        let trained = plan.spec.train.as_ref().map_or(0, |train| train.steps * train.batch);
        Ok(Prospect { parameters, evaluations, compared, trained, warnings: lint(plan) })
    }

    fn json(&self, plan: &Plan) -> Value {
        json!({
            "experiment": plan.spec,
            "hash": plan.hash(),
            "data": plan.data().about(),
            "data_sha256": plan.data().digest(),
            "parameters": self.parameters,
            "sigma_data": plan.sigma_data(),
            "evaluations_per_sample": self.evaluations,
            "training_examples": self.trained,
            "compared_evaluations": self.compared,
            "warnings": self.warnings,
        })
    }
}

impl Check {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let given = Given::read(&self.shared)?;
        match Cells::of(&given, &self.shared)? {
            Some(cells) => self.sweep(&cells),
            None => self.one(&Session::of(&given, &self.shared)?.plan),
        }
    }

    fn one(&self, plan: &Plan) -> Result<()> {
        let prospect = Prospect::of(plan)?;
        if self.shared.json {
            return print_json(&prospect.json(plan));
        }
        let evaluations = match prospect.evaluations {
            Some(evaluations) => evaluations.to_string(),
            None => "as many as the tolerance asks for".to_owned(),
        };
        let mut text = plan.spec.to_yaml();
        for (what, value) in [
            ("data", plan.data().about().unwrap_or("a law, drawn afresh").to_owned()),
            ("hash", plan.hash()),
            ("parameters", prospect.parameters.to_string()),
            ("σ_data", format!("{:.4}", plan.sigma_data())),
            ("examples in training", prospect.trained.to_string()),
            ("evaluations a sample", evaluations),
            ("evaluations to compare", format!("up to {}", prospect.compared)),
        ] {
            text += &format!("\n# {what:<23} {value}");
        }
        for warning in prospect.warnings {
            text += &format!("\n# warning: {warning}");
        }
        print(&(text + "\n"))
    }

    /// The sweep with its cells, one a line.
    fn sweep(&self, cells: &Cells) -> Result<()> {
        let compute = compute(&self.shared, self.shared.threads)?;
        let plans: Vec<Plan> = cells.cells().iter().map(|cell| cells.plan(cell, &compute)).collect::<Result<_>>()?;
        let prospects: Vec<Prospect> = plans.iter().map(Prospect::of).collect::<Result<_>>()?;
        let all = || cells.cells().iter().zip(&plans).zip(&prospects);
        if self.shared.json {
            let cell = |((cell, plan), prospect): ((&Cell, &Plan), &Prospect)| {
                let mut value = prospect.json(plan);
                value["label"] = json!(cell.label);
                value["run"] = json!(cells.folder().join(&cell.folder));
                value
            };
            return print_json(&json!({ "sweep": cells.folder(), "cells": all().map(cell).collect::<Vec<_>>() }));
        }
        let row = |((cell, _), prospect): ((&Cell, &Plan), &Prospect)| {
            let numbers = [prospect.parameters, prospect.trained, prospect.compared].map(|number| number.to_string());
            [cell.label.clone()].into_iter().chain(numbers).collect()
        };
        let columns = ["cell", "parameters", "examples in training", "evaluations to compare"];
        let caption = format!("{} cells in {}", plans.len(), cells.folder().display());
        let columns = columns.map(str::to_owned).to_vec();
        let table = Table { caption, columns, rows: all().map(row).collect() };
        let mut text = cells.sweep().to_yaml().to_owned() + "\n";
        table.to_text().lines().for_each(|line| text += &format!("# {line}\n"));
        for ((cell, _), prospect) in all() {
            prospect.warnings.iter().for_each(|warning| text += &format!("# warning: {}: {warning}\n", cell.label));
        }
        print(&text)
    }
}
