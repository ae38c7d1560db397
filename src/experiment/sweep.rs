//! Sweeps: an experiment many times, with other settings.
//!
//! ```yaml
//! sweep: {sde: [vp, ve], seed: [0, 1, 2], train.optimizer.adamw.lr: [1.0e-3, 3.0e-4]}   # a grid: every combination
//! ```
//! ```yaml
//! sweep:                                                                               # or the cells written out
//!   - {}
//!   - {sde: ve, sample.grid: log_snr}
//!   - {sde: {ve: {sigma_max: 20}}, label: small ve}
//! ```
//!
//! The keys are paths as in `--set`, and each setting does what `--set` would do, in the order in which they are
//! written. Inside braces YAML wants quotes around a path with brackets: `{'compare.entries[0].solver': [heun, ddim]}`.

use std::collections::{HashMap, HashSet};

use super::document::{By, Change};
use super::hash::digest;
use super::locate::{Step, path};
use super::overrides::{Override, setting};
use super::read::{Invalid, twice};
use super::schema::Shapes;
use super::spec::Spec;
use super::tree::{Tree, short};
use crate::error::Fault;
use serde::de::Error as _;

/// All cells of a sweep, each an experiment that was checked.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The cells, in the order of the file; in a grid the last key varies fastest.
    pub cells: Vec<Cell>,
    /// The experiment with the sweep, without a base.
    yaml: String,
}

/// One experiment of a sweep.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it is called in figures and tables, such as `sde=ve, seed=1`.
    pub label: String,
    /// The folder of its run below that of the sweep, such as `sde=ve,seed=1`.
    pub folder: String,
    /// The experiment.
    pub spec: Spec,
    /// What makes it different from the others.
    pub(super) settings: Vec<Change>,
}

/// Something in a sweep that cannot be, and where.
#[derive(Debug)]
pub(super) struct Flaw {
    pub way: Vec<Step>,
    pub fault: Fault,
}

/// A cell that was not applied to its experiment yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub label: String,
    pub folder: String,
    pub changes: Vec<Change>,
}

/// More cells than anyone waits for.
const MOST: usize = 10_000;

/// The keys that no cell can set, each with the reason.
const FIXED: [(&str, &str); 3] = [
    ("name", "the name is that of the whole sweep; remove it, or call a cell something with `label`"),
    ("base", "the base is the same for all cells; remove it"),
    ("sweep", "there are no sweeps inside a sweep; write the keys into one grid"),
];

impl Flaw {
    /// A flaw at a place below `sweep`.
    pub fn new(way: impl IntoIterator<Item = Step>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        let way = [Step::Key("sweep".to_owned())].into_iter().chain(way).collect();
        Flaw { way, fault: Fault::new("", problem, remedy) }
    }

    fn invalid(way: impl IntoIterator<Item = Step>, invalid: Invalid) -> Self {
        Flaw::new(way.into_iter().chain(invalid.key.map(Step::Key)), invalid.fault.problem, invalid.fault.remedy)
    }
}

impl Sweep {
    /// Puts cells together.
    ///
    /// # Errors
    /// Two cells that are the same experiment.
    pub(super) fn new(cells: Vec<Cell>, tree: &Tree) -> Result<Self, Flaw> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, cell) in cells.iter().enumerate() {
            let Some(&earlier) = seen.get(&cell.spec.to_yaml()) else {
                seen.insert(cell.spec.to_yaml(), index);
                continue;
            };
            let (first, second) = (&cells[earlier], cell);
            let problem = match first.label == second.label {
                true => format!("two cells are {:?}", first.label),
                false => format!("the cells {:?} and {:?} are the same experiment", first.label, second.label),
            };
            return Err(Flaw::new(difference(first, second), problem, "remove one of them"));
        }
        let yaml = serde_yaml::to_string(tree).expect("plain maps, lists, numbers and texts can always be written");
        Ok(Sweep { cells, yaml })
    }

    /// The name of the experiment.
    pub fn name(&self) -> &str {
        &self.cells[0].spec.name
    }

    /// The experiment with its sweep, as one file without a base.
    pub fn to_yaml(&self) -> &str {
        &self.yaml
    }

    /// The hash of all cells, which names the folder of the sweep.
    pub fn hash(&self) -> String {
        let cells = self.cells.iter().map(|cell| format!("{}\n{}", cell.label, cell.spec.to_yaml()));
        digest(&cells.collect::<String>())
    }
}

/// The way from `sweep` to the setting in which the second cell differs from the first.
fn difference(first: &Cell, second: &Cell) -> Vec<Step> {
    let place = |change: &Change| match &change.by {
        By::Sweep(way) => way[1..].to_vec(),
        By::Flag(_) => Vec::new(),
    };
    let here: HashSet<String> = first.settings.iter().map(|change| path(&place(change))).collect();
    let new = second.settings.iter().map(place).find(|way| !here.contains(&path(way)));
    let mut way = new.unwrap_or_default();
    // Of a cell that is written out, the whole.
    if let [Step::Index(_), ..] = way.as_slice() {
        way.truncate(1);
    }
    way
}

/// The cells of a sweep as it is written.
pub(super) fn cells(sweep: &Tree) -> Result<Vec<Draft>, Flaw> {
    let example = "write a grid, such as {seed: [0, 1, 2]}, or a list of cells, or remove `sweep`";
    let cells = match sweep {
        Tree::Map(entries) if !entries.is_empty() => grid(entries)?,
        Tree::List(items) if !items.is_empty() => list(items)?,
        Tree::Null | Tree::Map(_) | Tree::List(_) => return Err(Flaw::new([], "the sweep is empty", example)),
        other => {
            let expected = format!("a grid or a list of cells; {example}");
            return Err(Flaw::invalid([], Invalid::invalid_type(other.found(), &expected.as_str())));
        }
    };
    let names = short_names(cells.iter().flat_map(|(_, changes)| changes).map(|change| &change.what.steps));
    let (shapes, values) = (Shapes::new(), distinct(&cells));
    // The folder of the figures of all cells together stands beside those of the cells.
    let mut taken: HashSet<String> = ["figures".to_owned()].into();
    let draft = |(label, changes): (Option<String>, Vec<Change>)| {
        let setting =
            |change: &Change| format!("{}={}", names[&path(&change.what.steps)], word(&change.what, &values, &shapes));
        let settings: Vec<String> = changes.iter().map(setting).collect();
        let plain = if settings.is_empty() { "as it is".to_owned() } else { settings.join(", ") };
        let label = label.unwrap_or(plain);
        let mut folder = folder(&label);
        // Some file systems do not tell upper from lower case.
        if !taken.insert(folder.to_lowercase()) {
            folder += &format!("-{}", &digest(&format!("{label} {settings:?}"))[..6]);
            taken.insert(folder.to_lowercase());
        }
        Draft { label, folder, changes }
    };
    Ok(cells.into_iter().map(draft).collect())
}

/// The values that a sweep gives to each path, each once.
type Values = HashMap<String, Vec<Tree>>;

fn distinct(cells: &Cells) -> Values {
    let mut values = Values::new();
    for change in cells.iter().flat_map(|(_, changes)| changes) {
        let known = values.entry(path(&change.what.steps)).or_default();
        if !known.contains(&change.what.value) {
            known.push(change.what.value.clone());
        }
    }
    values
}

/// A value as labels show it: of a choice the name alone, if no cell chooses the same with other settings.
fn word(setting: &Override, values: &Values, shapes: &Shapes) -> String {
    let shape = shapes.whole().at(&setting.steps);
    let chosen = |value: &Tree| match value {
        Tree::Text(name) => Some(name.clone()),
        Tree::Map(entries) => shape.choice(entries).map(str::to_owned),
        _ => None,
    };
    if let Some(name) = chosen(&setting.value)
        && values[&path(&setting.steps)].iter().filter(|other| chosen(other).as_ref() == Some(&name)).count() == 1
    {
        return name;
    }
    setting.value.to_string()
}

type Cells = Vec<(Option<String>, Vec<Change>)>;

/// Every combination of the values; the last key varies fastest.
fn grid(entries: &[(String, Tree)]) -> Result<Cells, Flaw> {
    if let Some(invalid) = twice(entries) {
        return Err(Flaw::invalid([], invalid));
    }
    let mut cells: Cells = vec![(None, Vec::new())];
    for (key, values) in entries {
        let here = [Step::Key(key.clone())];
        let steps = settable(key).map_err(|fault| Flaw { fault, ..Flaw::new(here.clone(), "", "") })?;
        let Tree::List(values) = values else {
            let expected =
                format!("a list of values; put them in brackets, as in `{key}: [{}]`", short(&values.to_string()));
            return Err(Flaw::invalid(here, Invalid::invalid_type(values.found(), &expected.as_str())));
        };
        if values.is_empty() {
            return Err(Flaw::new(here, "there are no values", "write at least one, or remove the key"));
        }
        if cells.len() * values.len() > MOST {
            let problem = format!("the grid has more than {MOST} cells");
            return Err(Flaw::new([], problem, "take fewer values, or write the cells out as a list"));
        }
        let change = |index: usize| Change {
            what: Override { steps: steps.clone(), value: values[index].clone() },
            by: By::Sweep(way([Step::Key(key.clone()), Step::Index(index)])),
        };
        let extend = |(_, changes): (_, Vec<Change>)| {
            (0..values.len()).map(move |index| (None, changes.iter().cloned().chain([change(index)]).collect()))
        };
        cells = cells.into_iter().flat_map(extend).collect();
    }
    Ok(cells)
}

/// The cells written out.
fn list(items: &[Tree]) -> Result<Cells, Flaw> {
    if items.len() > MOST {
        return Err(Flaw::new([], format!("the sweep has more than {MOST} cells"), "write fewer"));
    }
    let mut cells = Cells::new();
    for (index, item) in items.iter().enumerate() {
        let here = Step::Index(index);
        let Tree::Map(entries) = item else {
            let expected = "a cell; write paths with their values, as in {sde: ve, seed: 1}";
            return Err(Flaw::invalid([here], Invalid::invalid_type(item.found(), &expected)));
        };
        if let Some(invalid) = twice(entries) {
            return Err(Flaw::invalid([here], invalid));
        }
        let (mut label, mut changes) = (None, Vec::new());
        for (key, value) in entries {
            let here = [here.clone(), Step::Key(key.clone())];
            match (key.as_str(), value) {
                ("label", Tree::Text(text)) => {
                    if cells.iter().any(|(earlier, _)| earlier.as_ref() == Some(text)) {
                        let problem = format!("another cell is already called {text:?}");
                        return Err(Flaw::new(here, problem, "give each cell a `label` of its own"));
                    }
                    label = Some(text.clone());
                }
                ("label", other) => {
                    let expected = "a text; write one, in quotes if it looks like a number";
                    return Err(Flaw::invalid(here, Invalid::invalid_type(other.found(), &expected)));
                }
                _ => {
                    let steps = settable(key).map_err(|fault| Flaw { fault, ..Flaw::new(here.clone(), "", "") })?;
                    let what = Override { steps, value: value.clone() };
                    changes.push(Change { what, by: By::Sweep(way(here)) });
                }
            }
        }
        cells.push((label, changes));
    }
    Ok(cells)
}

fn way(below: [Step; 2]) -> Vec<Step> {
    [Step::Key("sweep".to_owned())].into_iter().chain(below).collect()
}

/// The steps to a setting that may differ from cell to cell.
fn settable(key: &str) -> Result<Vec<Step>, Fault> {
    let steps = setting(key)?;
    let fixed = FIXED.iter().find(|(name, _)| steps[0] == Step::Key((*name).to_owned()));
    fixed.map_or(Ok(steps), |(_, reason)| {
        let (problem, remedy) = reason.split_once("; ").expect("a problem and its remedy");
        Err(Fault::new("", problem, remedy))
    })
}

/// For each path the shortest end of it that no other path has: `lr` for `train.optimizer.adamw.lr`.
pub(super) fn short_names<'a>(ways: impl Iterator<Item = &'a Vec<Step>>) -> HashMap<String, String> {
    let mut ways: Vec<&Vec<Step>> = ways.collect();
    ways.sort_by_key(|steps| path(steps));
    ways.dedup();
    let name = |steps: &&Vec<Step>| {
        let unique = |start: &usize| {
            let end = &steps[*start..];
            matches!(end[0], Step::Key(_)) && ways.iter().filter(|other| other.ends_with(end)).count() == 1
        };
        let start = (0..steps.len()).rev().find(unique).unwrap_or(0);
        (path(steps), path(&steps[start..]))
    };
    ways.iter().map(name).collect()
}

/// The longest name of a folder, in characters, that is not cut.
const LONGEST: usize = 100;

/// A label as the name of a folder: letters, digits and `.,=_+-` alone, which no file system and no shell minds.
fn folder(label: &str) -> String {
    const GAP: char = ' ';
    let keep = |c: char| if c.is_ascii_alphanumeric() || ".,=_+-".contains(c) { c } else { GAP };
    let plain: String = label.chars().map(keep).collect();
    let mut name = String::new();
    for word in plain.split(GAP).filter(|word| !word.is_empty()) {
        // A gap beside `,` or `=` says nothing; anywhere else it becomes a dash.
        if !(name.is_empty() || name.ends_with([',', '=']) || word.starts_with([',', '='])) {
            name.push('-');
        }
        name += word;
    }
    let name = name.trim_matches(['.', ',', '-']);
    match name.len() {
        0 => format!("cell-{}", &digest(label)[..6]),
        1..=LONGEST => name.to_owned(),
        _ => format!("{}-{}", name[..LONGEST - 20].trim_end_matches(['.', ',', '-']), &digest(label)[..6]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafts(text: &str) -> Vec<(String, String)> {
        let cells = cells(&serde_yaml::from_str(text).unwrap()).unwrap_or_else(|flaw| panic!("{flaw:?}"));
        cells.into_iter().map(|cell| (cell.label, cell.folder)).collect()
    }

    #[test]
    fn labels_are_readable_and_folders_are_safe() {
        let grid = drafts("{train.optimizer.adamw.lr: [1.0e-3, 1e-5], sde: [ve, {ve: {sigma_max: 20}}]}");
        let folders: Vec<&str> = grid.iter().map(|(_, folder)| folder.as_str()).collect();
        assert_eq!(
            folders,
            ["lr=0.001,sde=ve", "lr=0.001,sde=ve-sigma_max-20", "lr=1e-5,sde=ve", "lr=1e-5,sde=ve-sigma_max-20"]
        );
        assert_eq!(grid[1].0, "lr=0.001, sde={ve: {sigma_max: 20}}");
        // A choice is its name where that says it all.
        assert_eq!(drafts("{sde: [vp, {ve: {sigma_max: 20}}]}")[1].1, "sde=ve");
        assert_eq!(drafts("{'compare.entries[0].solver': [heun, {ddim: {eta: 1}}]}")[1].1, "solver=ddim");
        assert_eq!(drafts("{compare.nfe: [[1, 2]]}")[0].1, "nfe=1,2");
        // Where the last word of two paths is the same, more of them is needed.
        assert_eq!(drafts("{train.steps: [1], sample.steps: [2]}")[0].1, "train.steps=1,sample.steps=2");
        assert_eq!(drafts("{'compare.entries[0].solver': [heun]}")[0].1, "solver=heun");
        assert_eq!(drafts("{'compare.nfe[0]': [3]}")[0].1, "nfe-0=3");
        // A sign is no gap.
        assert_eq!(drafts("{train.time.log_normal.mean: [-1.2, 1.2]}")[0].1, "mean=-1.2");
        let written = drafts("[{}, {sde: ve, label: 'My/cell: ü'}, {seed: 1, label: figures}, {seed: 2, label: Ö}]");
        let folders: Vec<&str> = written.iter().map(|(_, folder)| folder.as_str()).collect();
        assert_eq!(folders[..2], ["as-it-is", "My-cell"]);
        assert!(folders[2].starts_with("figures-") && folders[3].starts_with("cell-"), "{folders:?}");
    }

    #[test]
    fn folders_are_short_and_unique() {
        let long = format!("{{data: [{0}, {0}b], seed: [1]}}", "a".repeat(300));
        let found = drafts(&long);
        assert!(found.iter().all(|(_, folder)| folder.len() <= LONGEST) && found[0].1 != found[1].1, "{found:?}");
        let case = drafts("[{sde: vp, label: a b}, {sde: ve, label: A-B}, {sde: edm, label: a/b}]");
        let folders: HashSet<String> = case.iter().map(|(_, folder)| folder.to_lowercase()).collect();
        assert_eq!(folders.len(), 3, "{case:?}");
    }

    #[test]
    fn the_last_key_varies_fastest() {
        let labels: Vec<String> = drafts("{sde: [vp, ve], seed: [0, 1]}").into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["sde=vp, seed=0", "sde=vp, seed=1", "sde=ve, seed=0", "sde=ve, seed=1"]);
    }
}
