//! What is known of each file of a set: objects with texts, one a line (JSON Lines).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::data::Cell;
use crate::error::{Fault, suggestion};

/// One object of the file.
struct Line {
    /// The line, from 1.
    number: usize,
    file: String,
    fields: Map<String, Value>,
}

/// The objects of a file.
pub(super) struct Captions {
    path: String,
    lines: Vec<Line>,
}

impl Captions {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// A line that is no JSON object with a text `file`, a file that is named twice; as faults of whatever names the file.
    pub fn read(path: &str, bytes: &[u8]) -> Result<Self, Fault> {
        let mut lines = Vec::new();
        let mut seen = BTreeMap::new();
        for (number, text) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            if text.trim_ascii().is_empty() {
                continue;
            }
            let broken = |problem: String| {
                let remedy = "write one object a line, such as {\"file\": \"a.png\", \"caption\": \"a boat\"}";
                Fault::new("", format!("{path}:{number}: {problem}"), remedy)
            };
            let fields: Map<String, Value> =
                serde_json::from_slice(text).map_err(|error| broken(format!("this is no JSON object ({error})")))?;
            let Some(Value::String(file)) = fields.get("file") else {
                return Err(broken("there is no text `file`".into()));
            };
            if let Some(before) = seen.insert(file.clone(), number) {
                let problem = format!("{path}:{number}: {file} stands in line {before} already");
                return Err(Fault::new("", problem, "keep one of them"));
            }
            lines.push(Line { number, file: file.clone(), fields });
        }
        if lines.is_empty() {
            return Err(Fault::new("", format!("{path} has no lines"), "give one with an object a line"));
        }
        Ok(Captions { path: path.to_owned(), lines })
    }

    /// Every file that is named, with its line.
    pub fn files(&self) -> impl Iterator<Item = (&str, String)> {
        self.lines.iter().map(|line| (line.file.as_str(), format!("{}:{}", self.path, line.number)))
    }

    /// Leaves the files with these values in these fields.
    ///
    /// # Errors
    /// A field that is not there, a value that no file has.
    pub fn retain(&mut self, filter: &BTreeMap<String, Cell>) -> Result<(), Fault> {
        for (field, cell) in filter {
            let mut kept = Vec::new();
            for (at, line) in self.lines.iter().enumerate() {
                if cell.is(&self.text(line, field).map_err(|fault| fault.under(field))?) {
                    kept.push(at);
                }
            }
            if kept.is_empty() {
                let values: BTreeSet<String> =
                    self.lines.iter().filter_map(|line| self.text(line, field).ok()).collect();
                let values: Vec<String> = values.into_iter().collect();
                let problem = format!("no file of {} that is left has {cell} there", self.path);
                return Err(Fault::new(field, problem, suggestion(&cell.text(), "its values", &values)));
            }
            let mut kept = kept.into_iter().peekable();
            let mut at = 0;
            self.lines.retain(|_| {
                at += 1;
                kept.next_if_eq(&(at - 1)).is_some()
            });
        }
        Ok(())
    }

    /// The text in a field of each file.
    ///
    /// # Errors
    /// A file without it.
    pub fn texts(&self, field: &str) -> Result<Vec<String>, Fault> {
        self.lines.iter().map(|line| self.text(line, field)).collect()
    }

    fn text(&self, line: &Line, field: &str) -> Result<String, Fault> {
        match line.fields.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(_) => {
                let problem = format!("{}:{}: the field `{field}` is not a text", self.path, line.number);
                Err(Fault::new("", problem, "name a field that is one in every line"))
            }
            None => {
                let names: Vec<String> = line.fields.keys().cloned().collect();
                let problem = format!("{}:{}: there is no field `{field}`", self.path, line.number);
                Err(Fault::new("", problem, suggestion(field, "its fields", &names)))
            }
        }
    }
}
