//! What a comparison measures: the lines of `compare.csv`, and repeats put together.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::experiment::spec::FLOOR;
use crate::file::write_whole;
use crate::statistics::{Interval, mean, student};

/// One measured distance: a line of `compare.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The label of the solver, or `data` for fresh data against the reference: the noise floor.
    pub entry: String,
    /// The budget of evaluations; none for solvers that choose their own steps.
    pub budget: Option<usize>,
    /// Steps; none for solvers that choose their own.
    pub steps: Option<usize>,
    /// The repeat, from 0. All solvers of a repeat share x_T, noise and reference data.
    pub repeat: usize,
    /// Evaluations of the denoiser per sample, measured.
    pub nfe: f64,
    /// Seconds of the sampling run: of a processor, all threads together; on a GPU, of the clock.
    pub seconds: f64,
    /// The name of the metric.
    pub metric: String,
    /// Its value; NaN where the run diverged.
    pub value: f64,
    /// The metric's own standard error.
    pub standard_error: f64,
}

/// All cells of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// By entry, budget, repeat and metric, as the experiment lists them.
    pub cells: Vec<Cell>,
}

/// Repeats of one (solver, budget, metric) put together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The label of the solver.
    pub entry: String,
    /// The budget.
    pub budget: Option<usize>,
    /// Steps.
    pub steps: Option<usize>,
    /// The name of the metric.
    pub metric: String,
    /// Evaluations, measured; the mean over repeats.
    pub nfe: f64,
    /// Seconds; the median over repeats, which a busy machine disturbs least.
    pub seconds: f64,
    /// The mean distance.
    pub value: f64,
    /// Its standard error: over repeats, or the metric's own where there is one repeat.
    pub standard_error: f64,
    /// Its 95 % interval: Student's over repeats, or two of the metric's own standard errors to either side where there is one.
    pub interval: Interval,
}

impl Comparison {
    /// Reads `compare.csv`.
    ///
    /// # Errors
    /// When it is missing or not what this program writes.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Comparison { cells: read_csv(path)? })
    }

    /// Writes `compare.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, &csv_of(&self.cells))
    }

    /// The labels of the solvers, in the order of the experiment.
    pub fn entries(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.entry.as_str()).filter(|&entry| entry != FLOOR))
    }

    /// The names of the metrics, in the order of the experiment.
    pub fn metrics(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.metric.as_str()))
    }

    /// The budgets, ascending.
    pub fn budgets(&self) -> Vec<usize> {
        let mut budgets: Vec<usize> = self.cells.iter().filter_map(|cell| cell.budget).collect();
        budgets.sort_unstable();
        budgets.dedup();
        budgets
    }

    /// The repeats put together, in the order of the experiment.
    pub fn summaries(&self) -> Vec<Summary> {
        let mut groups: Vec<Vec<&Cell>> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for cell in &self.cells {
            let place = *places.entry((&cell.entry, cell.budget, &cell.metric)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(cell);
        }
        groups.iter().map(|cells| Summary::of(cells)).collect()
    }
}

impl Summary {
    fn of(cells: &[&Cell]) -> Self {
        let of = |field: fn(&Cell) -> f64| -> Vec<f64> { cells.iter().map(|cell| field(cell)).collect() };
        let (values, first) = (of(|cell| cell.value), cells[0]);
        let (value, spread) = mean(&values);
        let mut seconds = of(|cell| cell.seconds);
        seconds.sort_by(f64::total_cmp);
        let around = Interval { low: value - 2.0 * first.standard_error, high: value + 2.0 * first.standard_error };
        let several = cells.len() > 1;
        Summary {
            entry: first.entry.clone(),
            budget: first.budget,
            steps: first.steps,
            metric: first.metric.clone(),
            nfe: mean(&of(|cell| cell.nfe)).0,
            seconds: seconds[seconds.len() / 2],
            value,
            standard_error: if several { spread } else { first.standard_error },
            interval: if several { student(&values) } else { around },
        }
    }
}

/// The records of a file that `ornstein compare` writes.
pub(super) fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let problem = |e: csv::Error| Error::file(path, e.to_string(), "run `ornstein compare` again");
    let mut reader = csv::Reader::from_path(path).map_err(problem)?;
    reader.deserialize().collect::<Result<_, _>>().map_err(problem)
}

/// Flat records as CSV with a header.
pub(super) fn csv_of<T: Serialize>(records: &[T]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.serialize(record).expect("a flat record");
    }
    writer.into_inner().expect("writing to memory does not fail")
}

/// Each name once, in the order of first sight.
pub(in crate::experiment::stage) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut known = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}
