//! `ornstein check`

use serde_json::{Value, json};

use super::session::{Given, Session, compute};
use super::sweep::Cells;
use super::{Shared, print, print_json};
use crate::error::Result;
use crate::experiment::{Cell, Effort, Forecast, Plan, forecast, lint, mebibytes};
use crate::report::Table;

/// Resolve and check an experiment, and measure what it will take; nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Seconds and memory are measured on a few training and sampling steps, in about a second, and multiplied. They are those
of this machine at this moment: right within a factor of 3 (memory: 2) where nothing else runs. Writing checkpoints,
distances and figures are not counted. On a GPU memory is not measured. For a sweep nothing is measured.")]
pub struct Check {
    #[command(flatten)]
    shared: Shared,

    /// Check only; do not measure seconds and memory
    #[arg(long)]
    quick: bool,
}

/// What is known of an experiment before it runs.
struct Prospect {
    parameters: usize,
    /// What the solver does for each sample; none where a tolerance decides.
    effort: Option<Effort>,
    /// The steps that it will make.
    steps: usize,
    /// Evaluations that the comparison makes, over all samples.
    compared: usize,
    /// Examples that training sees.
    trained: usize,
    warnings: Vec<String>,
}

/// The evaluations that are counted one by one; beyond, as many are taken for each step as before.
const COUNTED: usize = 20_000;

impl Prospect {
    fn of(plan: &Plan) -> Self {
        let parameters = plan.parameters();
        let sample = &plan.spec.sample;
        let steps = sample.steps();
        let choice = plan.sample_choice();
        let effort = sample.solver.chosen().tolerance().is_none().then(|| plan.evaluations(&choice, steps, COUNTED));
        let compared = plan.spec.compare.as_ref().map_or(0, |compare| compare.evaluations(sample.count));
        let trained = plan.spec.train.as_ref().map_or(0, |train| train.steps * train.batch);
        Prospect { parameters, effort, steps, compared, trained, warnings: lint(plan) }
    }

    /// Evaluations of the model for each sample, if all were counted.
    fn evaluations(&self) -> Option<usize> {
        self.effort.filter(|effort| effort.evaluations <= COUNTED).map(|effort| effort.evaluations)
    }

    fn json(&self, plan: &Plan) -> Value {
        json!({
            "experiment": plan.spec,
            "hash": plan.hash(),
            "data": plan.data().about(),
            "data_sha256": plan.data().digest(),
            "parameters": self.parameters,
            "sigma_data": plan.sigma_data(),
            "evaluations_per_sample": self.evaluations(),
            "training_examples": self.trained,
            "compared_evaluations": self.compared,
            "warnings": self.warnings,
        })
    }
}

/// A line of what is known.
fn line(what: &str, value: &str) -> String {
    format!("\n# {what:<23} {value}")
}

/// What a run will take, for people.
fn told(forecast: &Forecast) -> String {
    let mut text = String::new();
    if let Some(memory) = forecast.memory {
        let (all, own) = (mebibytes(memory.peak_bytes as f64), mebibytes(memory.baseline_bytes as f64));
        text += &line("memory", &format!("about {all}, of which {own} are the program and LibTorch"));
    }
    if let Some(training) = forecast.training {
        let (all, step) = (duration(training.seconds), duration(training.seconds_per_step));
        text += &line("training", &format!("about {all}, {step} a step"));
    }
    for (what, found) in [("sampling", forecast.sampling), ("likelihood", forecast.likelihood)] {
        let Some(found) = found else { continue };
        let each = format!("{} an evaluation of one sample", duration(found.seconds_per_evaluation));
        let all = found.seconds.map(|seconds| format!("about {}, ", duration(seconds)));
        text += &line(what, &(all.unwrap_or_default() + &each));
    }
    if let Some(seconds) = forecast.comparison_seconds {
        text += &line("comparison", &format!("about {} of sampling", duration(seconds)));
    }
    forecast.notes.iter().for_each(|note| text += &line("not measured", note));
    text
}

/// Seconds for people, with two digits.
fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s if s < 120.0 => (s, "s"),
        s if s < 7200.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
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
        let prospect = Prospect::of(plan);
        let forecast = if self.quick { None } else { Some(forecast(plan, prospect.effort)?) };
        if self.shared.json {
            let mut value = prospect.json(plan);
            value["forecast"] = json!(forecast);
            return print_json(&value);
        }
        let evaluations = match (prospect.evaluations(), prospect.effort) {
            (Some(evaluations), _) => evaluations.to_string(),
            (None, Some(effort)) => format!("about {:.0}", effort.over(prospect.steps)),
            (None, None) => "as many as the tolerance asks for".to_owned(),
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
            text += &line(what, &value);
        }
        forecast.iter().for_each(|forecast| text += &told(forecast));
        for warning in prospect.warnings {
            text += &format!("\n# warning: {warning}");
        }
        print(&(text + "\n"))
    }

    /// The sweep with its cells, one a line.
    fn sweep(&self, cells: &Cells) -> Result<()> {
        let compute = compute(&self.shared, self.shared.threads)?;
        let plans: Vec<Plan> = cells.cells().iter().map(|cell| cells.plan(cell, &compute)).collect::<Result<_>>()?;
        let prospects: Vec<Prospect> = plans.iter().map(Prospect::of).collect();
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
