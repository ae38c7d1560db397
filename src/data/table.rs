//! Tables of numbers as data sets: CSV, TSV, NPY and NPZ files.
//!
//! What a model sees are *prepared* rows: the chosen columns, with latitude and longitude turned into a unit vector in
//! space where the settings say so, and every other column at zero mean and unit variance over the training rows.
//! Prepared units are the units of training, of `--init` and `--trajectory`, and of metrics, so that no column
//! outweighs another; [`Dataset::restore`] turns samples back into the columns and units of the file.
//!
//! The rows are split once, by a hash of their values, and neither the order of the rows in the file nor the seed of
//! the experiment has a say in it. Training passes through the training rows again and again, each time in another
//! order (see [`place`]): every row comes once an epoch, and example i is a function of i, so that a run resumes
//! bit for bit.

mod column;
mod grid;
mod prepare;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tch::Tensor;

use self::grid::{Form, Grid};
use self::prepare::Preparation;
use super::epoch::place;
use super::split::{hash_order, held_out, share};
use super::{Dataset, Library, Part, Scale};
use crate::error::{Fault, Settings};
use crate::file::sha256;
use crate::rng::Stream;
use crate::tensor::to_rows;

pub use self::column::{Cell, Column};

/// Rows of a table of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// The file: .csv or .tsv, plain or .gz, .npy or .npz. A relative path is sought in the data folder: that of
    /// --data, else of the variable ORNSTEIN_DATA, else `data`.
    pub file: String,
    /// The columns to learn, by name, or by position from 0; absent, all but those of `where`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    /// The rows to learn: those with these values in these columns; absent, all.
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, Cell>,
    /// Whether the first line of a CSV or TSV file holds the names of the columns. Lines that start with `#` are none.
    pub header: bool,
    /// Which array of an .npz file with several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// A column of latitudes and one of longitudes, in degrees, to be learnt as a unit vector in space; samples have
    /// the two angles again, of the nearest point on the sphere, with longitudes from −180 to 180.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sphere: Option<[Column; 2]>,
    /// Whether columns are brought to zero mean and unit variance over the training rows, which is undone in samples
    /// but not in metrics. Unit vectors stay as they are.
    pub standardise: bool,
    /// The share of the rows that is held out, to compare samples with; with 0, training rows are compared with.
    pub validation: f64,
    /// Chooses which rows are held out; the seed of the experiment does not.
    pub split_seed: u64,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            file: String::new(),
            columns: None,
            filter: BTreeMap::new(),
            header: true,
            array: None,
            sphere: None,
            standardise: true,
            validation: 0.1,
            split_seed: 0,
        }
    }
}

impl Settings for Table {
    fn check(&self) -> Result<(), Fault> {
        if self.file.is_empty() {
            return Err(Fault::new("file", "no file is named", "write one, such as `file: points.csv`"));
        }
        let Some(form) = Form::of(&self.file) else {
            let problem = format!("{} has an ending that says nothing of its form", self.file);
            return Err(Fault::new("file", problem, "give a .csv or .tsv file, plain or .gz, or a .npy or .npz file"));
        };
        if let Some(columns) = &self.columns {
            if columns.is_empty() {
                let remedy = "name at least one, or leave `columns` out for all";
                return Err(Fault::new("columns", "the list is empty", remedy));
            }
            for (i, column) in columns.iter().enumerate() {
                if columns[..i].contains(column) {
                    let key = format!("columns[{i}]");
                    return Err(Fault::new(key, format!("{column} stands here twice"), "keep one of them"));
                }
            }
        }
        if self.array.is_some() && form != Form::Npz {
            let problem = format!("{} holds one array", self.file);
            return Err(Fault::new("array", problem, "remove `array`: it chooses among the arrays of an .npz file"));
        }
        if let Some([latitude, longitude]) = &self.sphere
            && latitude == longitude
        {
            let remedy = "name the latitudes first, then the longitudes, as in `[latitude, longitude]`";
            return Err(Fault::new("sphere", format!("{latitude} stands here twice"), remedy));
        }
        share(self.validation, "rows")
    }
}

impl Table {
    /// Reads the file and prepares its rows.
    ///
    /// # Errors
    /// A file that is missing, damaged or of another form, a column that is not there, a value that is no finite
    /// number, no rows left, a column without spread that is to be standardised.
    pub fn build(&self, library: &Library) -> Result<Rows, Fault> {
        let bytes = library.read("file", &self.file)?;
        let digest = sha256(&bytes);
        self.parse(&library.path(&self.file).display().to_string(), bytes, digest)
    }

    /// Prepares the rows of a file that has been read.
    fn parse(&self, path: &str, bytes: Vec<u8>, digest: String) -> Result<Rows, Fault> {
        let grid = Grid::read(self, path, bytes)?;
        let filter = self.conditions(&grid)?;
        let columns = self.positions(&grid, &filter)?;
        let sphere = self.angles(&grid, &columns)?;
        let rows = self.rows(&grid, &filter, &columns, sphere)?;
        let [held_out, training] = self.split(&rows)?;
        let labels: Vec<String> = columns.iter().map(|&column| grid.label(column)).collect();
        let preparation = Preparation::fit(&training, &labels, sphere, self.standardise)?;
        let about = format!(
            "{} of {} rows of {}, {} of them held out; {}",
            rows.len(),
            grid.len(),
            self.file,
            held_out.len(),
            labels.join(", "),
        );
        let prepared = |rows: &[&Vec<f64>]| rows.iter().flat_map(|row| preparation.apply(row)).collect();
        Ok(Rows { training: prepared(&training), held_out: prepared(&held_out), preparation, labels, about, digest })
    }

    /// The columns of `where`, each with its value.
    fn conditions<'a>(&'a self, grid: &Grid) -> Result<Vec<(usize, &'a Cell)>, Fault> {
        let condition =
            |(key, cell): (&String, &'a Cell)| Ok((grid.position_of_key(key).map_err(|f| f.under("where"))?, cell));
        self.filter.iter().map(condition).collect()
    }

    /// The positions of the columns to learn.
    fn positions(&self, grid: &Grid, filter: &[(usize, &Cell)]) -> Result<Vec<usize>, Fault> {
        let Some(columns) = &self.columns else {
            let all: Vec<usize> = (0..grid.width()).filter(|i| filter.iter().all(|(column, _)| column != i)).collect();
            return match all.is_empty() {
                true => Err(Fault::new("where", "it leaves no column to learn", "name some in `columns`")),
                false => Ok(all),
            };
        };
        let mut positions = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            let key = format!("columns[{i}]");
            let position = grid.position(column).map_err(|fault| fault.under(&key))?;
            if let Some(earlier) = positions.iter().position(|&earlier| earlier == position) {
                let problem = format!("{column} is {} once more", columns[earlier]);
                return Err(Fault::new(key, problem, "keep one of them"));
            }
            positions.push(position);
        }
        Ok(positions)
    }

    /// Where latitude and longitude stand among the chosen columns.
    fn angles(&self, grid: &Grid, columns: &[usize]) -> Result<Option<[usize; 2]>, Fault> {
        let Some(pair) = &self.sphere else { return Ok(None) };
        let mut found = [0, 0];
        for (i, column) in pair.iter().enumerate() {
            let key = format!("sphere[{i}]");
            let position = grid.position(column).map_err(|fault| fault.under(&key))?;
            found[i] = columns
                .iter()
                .position(|&chosen| chosen == position)
                .ok_or_else(|| Fault::new(key, format!("{column} is not among `columns`"), "name it there too"))?;
        }
        Ok(Some(found))
    }

    /// The chosen columns of the rows that pass the filter.
    fn rows(
        &self,
        grid: &Grid,
        filter: &[(usize, &Cell)],
        columns: &[usize],
        sphere: Option<[usize; 2]>,
    ) -> Result<Vec<Vec<f64>>, Fault> {
        let passes = |&row: &usize| filter.iter().all(|&(column, cell)| grid.holds(row, column, cell));
        let read = |row: usize| {
            let values: Vec<f64> = columns.iter().map(|&column| grid.number(row, column)).collect::<Result<_, _>>()?;
            let limits = [-90.0..=90.0, -180.0..=360.0];
            for (at, limits) in sphere.into_iter().flatten().zip(limits) {
                if !limits.contains(&values[at]) {
                    let problem =
                        format!("{}: {} is no such angle in degrees", grid.place(row, columns[at]), values[at]);
                    let remedy = "`sphere` takes latitudes from −90 to 90 first, then longitudes from −180 to 360";
                    return Err(Fault::new("file", problem, remedy));
                }
            }
            Ok(values)
        };
        let rows: Vec<Vec<f64>> = (0..grid.len()).filter(passes).map(read).collect::<Result<_, _>>()?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        let Some(&(column, cell)) = filter.iter().find(|(column, cell)| !grid.somewhere(*column, cell)) else {
            return Err(match filter.is_empty() {
                true => Fault::new("file", format!("{} has no rows", grid.path()), "give a file with data in it"),
                false => Fault::new("where", "no row meets all of these conditions", "leave some of them out"),
            });
        };
        let key = self.filter.iter().find(|(_, other)| std::ptr::eq(*other, cell)).map(|(key, _)| key.as_str());
        let problem = format!("no row of {} has {cell} there", grid.path());
        Err(Fault::new(key.unwrap_or_default(), problem, grid.instead(column, cell)).under("where"))
    }

    /// The rows that are held out, and those to train with: in the order of their hashes, so that the order in the
    /// file has no say.
    fn split<'a>(&self, rows: &'a [Vec<f64>]) -> Result<[Vec<&'a Vec<f64>>; 2], Fault> {
        let count = held_out(self.validation, rows.len(), "rows")?;
        let bytes = |row: &Vec<f64>| row.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
        let order = hash_order(self.split_seed, rows.iter().map(bytes).collect());
        let mut rows = order.into_iter().map(|at| &rows[at]);
        Ok([rows.by_ref().take(count).collect(), rows.collect()])
    }
}

/// A column of fewer distinct values than one for so many rows is taken for discrete.
const FEWEST_DISTINCT: usize = 20;

/// The rows of a table, prepared.
#[derive(Debug)]
pub struct Rows {
    /// `[N, D]`, row-major.
    training: Vec<f64>,
    /// `[M, D]`, row-major.
    held_out: Vec<f64>,
    preparation: Preparation,
    labels: Vec<String>,
    about: String,
    digest: String,
}

impl Rows {
    /// Rows by their positions, as a tensor.
    fn gather(&self, from: &[f64], positions: impl Iterator<Item = u64>) -> Tensor {
        let dim = self.preparation.dim();
        let values: Vec<f64> = positions.flat_map(|at| &from[at as usize * dim..][..dim]).copied().collect();
        Tensor::from_slice(&values).view([-1, dim as i64])
    }

    fn count(&self, rows: &[f64]) -> u64 {
        (rows.len() / self.preparation.dim()) as u64
    }
}

impl Dataset for Rows {
    fn shape(&self) -> Vec<i64> {
        vec![self.preparation.dim() as i64]
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        let n = self.count(&self.training);
        let positions = (first..first + count as u64).map(|i| place(stream, i / n, i % n, n));
        self.gather(&self.training, positions)
    }

    /// Rows without repetition: the first ones of an order that `first` chooses.
    fn sample(&self, part: Part, stream: Stream, first: u64, count: usize) -> Tensor {
        let rows = match part {
            Part::HeldOut if !self.held_out.is_empty() => &self.held_out,
            _ => &self.training,
        };
        let n = self.count(rows);
        self.gather(rows, (0..n.min(count as u64)).map(|position| place(stream, first, position, n)))
    }

    fn rows(&self, part: Part) -> Option<usize> {
        Some(self.count(if part == Part::HeldOut { &self.held_out } else { &self.training }) as usize)
    }

    fn restore(&self, x: &Tensor) -> Tensor {
        self.preparation.undo(x)
    }

    fn scale(&self) -> Result<Scale, Fault> {
        let log_volume = self.preparation.log_volume()?;
        let (n, dim) = (self.count(&self.training) as usize, self.preparation.dim());
        for (column, label) in self.labels.iter().enumerate() {
            let values: BTreeSet<u64> =
                self.training.iter().skip(column).step_by(dim).map(|value| value.to_bits()).collect();
            if values.len() * FEWEST_DISTINCT < n {
                let count = values.len();
                let problem = format!("`{label}` has {count} values in {n} rows: it is discrete, and has no density");
                return Err(Fault::new("columns", problem, "leave it out of `columns`"));
            }
        }
        Ok(Scale { log_volume, bins: None })
    }

    fn admit(&self, v: &Tensor) -> Result<Tensor, Fault> {
        let rows = to_rows(v);
        if let Some((row, _)) =
            rows.outer_iter().enumerate().find(|(_, row)| row.iter().any(|value| !value.is_finite()))
        {
            let problem = format!("row {row} has a value that is not finite");
            return Err(Fault::new("", problem, "give rows as samples.npy of a run has them"));
        }
        let prepared: Vec<f64> = rows.outer_iter().flat_map(|row| self.preparation.apply(&row.to_vec())).collect();
        Ok(Tensor::from_slice(&prepared).view([-1, self.preparation.dim() as i64]))
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn about(&self) -> Option<&str> {
        Some(&self.about)
    }

    fn digest(&self) -> Option<&str> {
        Some(&self.digest)
    }
}

#[cfg(test)]
mod tests;
