//! The cells of a file: text with rows in lines, or an array of numbers.

use std::borrow::Cow;

use csv::ByteRecord;
use ndarray::{Array2, Ix1, Ix2};
use ndarray_npy::ViewElement;

use super::{Cell, Column, Table};
use crate::data::array::{self, Unfit};
use crate::data::packed;
use crate::error::{Fault, suggestion};
use crate::npy;

/// What the ending of a file's name says of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Text, with fields parted by this byte.
    Text(u8),
    Npy,
    Npz,
}

impl Form {
    pub(super) fn of(file: &str) -> Option<Self> {
        let name = file.to_lowercase();
        match name.strip_suffix(".gz").unwrap_or(&name).rsplit_once('.')?.1 {
            "csv" => Some(Form::Text(b',')),
            "tsv" | "tab" => Some(Form::Text(b'\t')),
            "npy" => Some(Form::Npy),
            "npz" => Some(Form::Npz),
            _ => None,
        }
    }
}

/// A file as cells. Faults are of the settings of the table.
#[derive(Debug)]
pub(super) struct Grid {
    path: String,
    /// The names of the columns; none where the file has none.
    names: Vec<String>,
    width: usize,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Each row with the line, from 1, on which it starts.
    Text(Vec<(u64, ByteRecord)>),
    Numbers(Array2<f64>),
}

/// A fault of the file itself.
fn broken(problem: String, remedy: &str) -> Fault {
    Fault::new("file", problem, remedy)
}

impl Grid {
    /// Reads the bytes of a file.
    pub(super) fn read(table: &Table, path: &str, bytes: Vec<u8>) -> Result<Self, Fault> {
        let bytes = packed::plain(&table.file, path, bytes).map_err(|fault| fault.under("file"))?;
        match Form::of(&table.file).expect("the settings were checked") {
            Form::Text(delimiter) => Self::text(path, &bytes, delimiter, table.header),
            Form::Npy => Self::array(path, &bytes),
            Form::Npz => Self::array(path, &packed::array(path, &bytes, ("array", table.array.as_deref()))?),
        }
    }

    fn text(path: &str, bytes: &[u8], delimiter: u8, header: bool) -> Result<Self, Fault> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .from_reader(bytes);
        let mut rows = Vec::new();
        for record in reader.byte_records() {
            let record = record.map_err(|error| broken(format!("{path}: {error}"), "write it anew as plain CSV"))?;
            let line = record.position().map_or(0, |position| line(bytes, position));
            rows.push((line, record));
        }
        let Some((top, first)) = rows.first() else {
            return Err(broken(format!("{path} has no rows"), "give a file with data in it"));
        };
        let (top, width) = (*top, first.len());
        if let Some((line, row)) = rows.iter().find(|(_, row)| row.len() != width) {
            let fields = |count: usize| if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
            let problem = format!("{path}:{line}: {} where line {top} has {width}", fields(row.len()));
            let remedy = "give every row as many; quote a text that holds a delimiter, and close every quote";
            return Err(broken(problem, remedy));
        }
        let mut names = Vec::new();
        if header {
            let (line, first) = rows.remove(0);
            names = first.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            if names.iter().all(|name| name.parse::<f64>().is_ok()) {
                let problem = format!("{path}:{line}: the first line holds numbers, not names");
                return Err(Fault::new("header", problem, "write `header: false`, and columns by position"));
            }
        }
        Ok(Grid { path: path.to_owned(), names, width, body: Body::Text(rows) })
    }

    fn array(path: &str, bytes: &[u8]) -> Result<Self, Fault> {
        let numbers = numbers(path, bytes)?;
        if numbers.is_empty() {
            let problem = format!("{path}: the array has the shape {:?}", numbers.shape());
            return Err(broken(problem, "give an array with data in it"));
        }
        Ok(Grid { path: path.to_owned(), names: Vec::new(), width: numbers.ncols(), body: Body::Numbers(numbers) })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Text(rows) => rows.len(),
            Body::Numbers(array) => array.nrows(),
        }
    }

    /// How many columns there are.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// What a column is called in figures.
    pub(super) fn label(&self, column: usize) -> String {
        self.names.get(column).cloned().unwrap_or_else(|| format!("column {column}"))
    }

    /// Where a cell stands, for messages.
    pub(super) fn place(&self, row: usize, column: usize) -> String {
        let Grid { path, .. } = self;
        let column = match self.names.get(column) {
            Some(name) => format!("column `{name}`"),
            None => format!("column {column}"),
        };
        match &self.body {
            Body::Text(rows) => format!("{path}:{}: {column}", rows[row].0),
            Body::Numbers(_) => format!("{path}: row {row}, {column} (from 0)"),
        }
    }

    /// The position of a column.
    pub(super) fn position(&self, column: &Column) -> Result<usize, Fault> {
        let Grid { path, width, names, .. } = self;
        match column {
            Column::Position(position) if position < width => Ok(*position),
            Column::Position(_) => {
                Err(Fault::new("", format!("{path} has no {column}"), format!("write 0 to {}", width - 1)))
            }
            Column::Name(name) => match names.iter().filter(|other| *other == name).count() {
                1 => Ok(names.iter().position(|other| other == name).expect("it was counted")),
                0 if names.is_empty() => {
                    let problem = format!("{column}, but the columns of {path} have no names");
                    Err(Fault::new("", problem, format!("write positions, 0 to {}", width - 1)))
                }
                0 => Err(Fault::new("", format!("{path} has no {column}"), suggestion(name, "the columns", names))),
                count => {
                    let problem = format!("{count} columns of {path} are called `{name}`");
                    Err(Fault::new("", problem, "write the position of one, from 0"))
                }
            },
        }
    }

    /// The position of a column that is a key of a map, where a position is text too.
    pub(super) fn position_of_key(&self, key: &str) -> Result<usize, Fault> {
        let column = match key.parse() {
            Ok(position) if !self.names.iter().any(|name| name == key) => Column::Position(position),
            _ => Column::Name(key.to_owned()),
        };
        self.position(&column).map_err(|fault| fault.under(key))
    }

    /// The number in a cell.
    pub(super) fn number(&self, row: usize, column: usize) -> Result<f64, Fault> {
        let (number, found) = match &self.body {
            Body::Numbers(array) => (Some(array[[row, column]]), Cow::default()),
            Body::Text(rows) => {
                let text = String::from_utf8_lossy(&rows[row].1[column]);
                (text.parse().ok(), text)
            }
        };
        match number {
            Some(number) if number.is_finite() => Ok(number),
            Some(number) => Err(broken(
                format!("{}: {number} is not a finite number", self.place(row, column)),
                "fill the gap, remove the row, or leave the column out of `columns`",
            )),
            None if found.is_empty() => Err(broken(
                format!("{}: there is nothing where a number belongs", self.place(row, column)),
                "fill the gap, remove the row, or leave the column out of `columns`",
            )),
            None => Err(broken(
                format!("{}: {:?} is not a number", self.place(row, column), shortened(&found)),
                "correct it, or leave the column out of `columns`",
            )),
        }
    }

    /// Whether a cell holds a value.
    pub(super) fn holds(&self, row: usize, column: usize, cell: &Cell) -> bool {
        match (&self.body, cell) {
            (Body::Numbers(array), Cell::Number(number)) => array[[row, column]] == *number,
            (Body::Numbers(_), Cell::Text(_)) => false,
            (Body::Text(rows), cell) => cell.is(&String::from_utf8_lossy(&rows[row].1[column])),
        }
    }

    /// Whether any cell of a column holds a value.
    pub(super) fn somewhere(&self, column: usize, cell: &Cell) -> bool {
        (0..self.len()).any(|row| self.holds(row, column, cell))
    }

    /// What to write instead of a value that a column does not hold.
    pub(super) fn instead(&self, column: usize, cell: &Cell) -> String {
        let mut values: Vec<String> = match &self.body {
            Body::Text(rows) => rows.iter().map(|(_, row)| shortened(&String::from_utf8_lossy(&row[column]))).collect(),
            Body::Numbers(array) => array.column(column).iter().map(f64::to_string).collect(),
        };
        values.sort();
        values.dedup();
        suggestion(&cell.text(), "its values", &values)
    }
}

/// The line on which a record starts: its position is that of the blank lines and remarks before it.
fn line(bytes: &[u8], position: &csv::Position) -> u64 {
    let lines = bytes[position.byte() as usize..].split(|&byte| byte == b'\n');
    let skipped = lines.take_while(|line| matches!(*line, [] | [b'\r'] | [b'#', ..])).count();
    position.line() + skipped as u64
}

/// The beginning of a text that may be long.
fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An .npy array of real numbers as `[rows, columns]`.
fn numbers(path: &str, bytes: &[u8]) -> Result<Array2<f64>, Fault> {
    if let Some(problem) = npy::implausible(bytes, u64::from(u32::MAX)) {
        return Err(broken(format!("{path}: {problem}"), "save it with numpy.save"));
    }
    // Viewed, not read: a damaged header that claims a huge array is found out before anything is allocated.
    type View<'a> = (fn(&'a [u8]) -> Result<Array2<f64>, Unfit>, &'static str);
    let views: [View; 10] = [
        (|bytes| view(bytes, |v: &f64| *v), "float64"),
        (|bytes| view(bytes, |v: &f32| f64::from(*v)), "float32"),
        (|bytes| view(bytes, |v: &i64| *v as f64), "int64"),
        (|bytes| view(bytes, |v: &i32| f64::from(*v)), "int32"),
        (|bytes| view(bytes, |v: &i16| f64::from(*v)), "int16"),
        (|bytes| view(bytes, |v: &i8| f64::from(*v)), "int8"),
        (|bytes| view(bytes, |v: &u64| *v as f64), "uint64"),
        (|bytes| view(bytes, |v: &u32| f64::from(*v)), "uint32"),
        (|bytes| view(bytes, |v: &u16| f64::from(*v)), "uint16"),
        (|bytes| view(bytes, |v: &u8| f64::from(*v)), "uint8"),
    ];
    let mut kind = String::new();
    for (view, _) in views {
        match view(bytes) {
            Ok(array) => return Ok(array),
            Err(Unfit::Kind(found)) => kind = found,
            Err(Unfit::Shape(shape)) => {
                let problem = format!("{path}: the array has the shape {shape:?}");
                return Err(broken(problem, "save one of the shape [rows, columns]"));
            }
            Err(Unfit::Bytes(problem, remedy)) => return Err(broken(format!("{path}: {problem}"), remedy)),
        }
    }
    let kinds = views.map(|(_, kind)| kind).join(", ");
    Err(broken(format!("{path}: the array is of the type {kind}"), &format!("save one of {kinds}")))
}

fn view<T: ViewElement>(bytes: &[u8], number: fn(&T) -> f64) -> Result<Array2<f64>, Unfit> {
    let array = array::view::<T>(bytes)?.map(number);
    match array.ndim() {
        1 => {
            let column = array.into_dimensionality::<Ix1>().expect("one dimension");
            Ok(column.insert_axis(ndarray::Axis(1)))
        }
        2 => Ok(array.into_dimensionality::<Ix2>().expect("two dimensions")),
        _ => Err(Unfit::Shape(array.shape().to_vec())),
    }
}
