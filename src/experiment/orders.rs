//! The orders of solvers on processes and grids: a matrix of them.

use rayon::prelude::*;
use serde::de::DeserializeOwned;

use super::choices::{GridSpec, SdeSpec, SolverSpec};
use super::observer::Observer;
use super::read::read;
use super::syntax;
use super::tree::Tree;
use crate::error::{Error, Fault, Result, Settings};
use crate::order::{Effort, Finding, Kind, Outcome, Process, Subject, Verdict, measure};
use crate::solve::Grid;
use crate::threads::Workers;

/// Which orders to measure: of every solver on every process and grid.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The solvers.
    pub solvers: Vec<SolverSpec>,
    /// The processes.
    pub sdes: Vec<SdeSpec>,
    /// The grids.
    pub grids: Vec<GridSpec>,
    /// The kinds of order.
    pub kinds: Vec<Kind>,
    /// How much to spend.
    pub effort: Effort,
}

/// What came of one solver on one process and grid.
#[derive(Clone, Debug)]
pub struct OrderCell {
    /// The solver with the settings that are not its defaults.
    pub solver: String,
    /// The name of the process.
    pub sde: &'static str,
    /// The name of the grid.
    pub grid: &'static str,
    /// Its orders.
    pub outcome: Outcome,
}

/// Reads a solver, a process or a grid as an experiment writes it.
///
/// # Errors
/// An unknown name or setting, or a value that cannot be.
pub fn choice<T: DeserializeOwned + Settings>(flag: &str, text: &str) -> Result<T> {
    let wrong = |fault: Fault| {
        let place = if fault.key.is_empty() { String::new() } else { format!(" ({})", fault.key) };
        Error::argument(format!("{flag} {text}"), fault.problem + &place, fault.remedy)
    };
    let tree: Tree = syntax::parse(text).map_err(|broken| wrong(broken.fault))?;
    let chosen: T = read(&tree).map_err(|invalid| wrong(invalid.fault))?;
    chosen.check().map_err(wrong)?;
    Ok(chosen)
}

/// Every choice of a list at its defaults.
pub fn every<T: DeserializeOwned + Settings>(names: &[&str]) -> Vec<T> {
    names.iter().map(|name| choice("", name).expect("a name chooses")).collect()
}

impl SolverSpec {
    /// Its name, with the settings that differ from the defaults.
    pub fn label(&self) -> String {
        let settings = |spec: &SolverSpec| match serde_json::to_value(spec).expect("settings are plain data") {
            serde_json::Value::Object(mut map) => map.remove(self.name()).unwrap_or_default(),
            other => other,
        };
        let default: SolverSpec = choice("", self.name()).expect("a name chooses");
        let (own, default) = (settings(self), settings(&default));
        let Some(map) = own.as_object() else { return self.name().to_owned() };
        let changed = map.iter().filter(|(key, value)| default.get(key) != Some(value));
        let changed: Vec<String> =
            changed.map(|(key, value)| format!("{key}: {}", value.to_string().replace('"', ""))).collect();
        match changed.is_empty() {
            true => self.name().to_owned(),
            false => format!("{} ({})", self.name(), changed.join(", ")),
        }
    }
}

/// Measures a matrix, cell by cell, side by side on `workers`.
///
/// # Errors
/// A grid of one number of steps, an interrupt.
pub fn measure_orders(matrix: &Matrix, workers: &Workers, observer: &dyn Observer) -> Result<Vec<OrderCell>> {
    let mut grids = Vec::new();
    for grid in &matrix.grids {
        let Some(rule) = grid.rule() else {
            let problem = "an order needs grids of many numbers of steps";
            let remedy = "write uniform, log_snr, karras, quadratic or rectified";
            return Err(Error::argument(format!("--grid {}", grid.name()), problem, remedy));
        };
        grids.push((grid.name(), rule));
    }
    let total = matrix.solvers.len() * matrix.sdes.len() * grids.len();
    observer.begin("orders", total as u64);
    let cells = workers.install(|| {
        let processes: Vec<Process> = matrix.sdes.par_iter().map(|sde| Process::new(sde.name(), sde.build())).collect();
        let mut cells = Vec::with_capacity(total);
        for &grid in &grids {
            let of_grid =
                matrix.solvers.iter().flat_map(|solver| processes.iter().map(move |process| (solver, process, grid)));
            cells.extend(of_grid);
        }
        let one = |(solver, process, grid): (&SolverSpec, &Process, (&'static str, &dyn Grid))| {
            observer.go_on("run the command again")?;
            let subject = Subject { solver: solver.name(), recipe: solver.chosen(), process, grid };
            observer.note(&solver.label());
            let outcome = measure(&subject, &matrix.kinds, matrix.effort);
            observer.advance(1);
            Ok(OrderCell { solver: solver.label(), sde: process.name(), grid: grid.0, outcome })
        };
        // One by one: a stochastic solver takes ten times as long as another.
        cells.into_par_iter().with_max_len(1).map(one).collect::<Result<_>>()
    });
    observer.end();
    cells
}

impl OrderCell {
    /// Its orders; none if it was skipped.
    pub fn findings(&self) -> &[Finding] {
        match &self.outcome {
            Outcome::Measured(findings) => findings,
            Outcome::Skipped(_) => &[],
        }
    }
}

/// A claim that was not met, in a sentence.
pub fn missed(cells: &[OrderCell]) -> Vec<String> {
    let of = |cell: &OrderCell| -> Vec<String> {
        let missed = cell.findings().iter().filter_map(|finding| match &finding.verdict {
            Verdict::Missed(why) => Some((finding, why)),
            _ => None,
        });
        let sentence = |(finding, why): (&Finding, &String)| {
            let (kind, problem) = (finding.kind.name(), finding.problem);
            format!("{} on {} ({}, {kind}, {problem}): {why}", cell.solver, cell.sde, cell.grid)
        };
        missed.map(sentence).collect()
    };
    cells.iter().flat_map(of).collect()
}
