//! An experiment file: what it says itself, what it takes from its base, and what it sweeps over.
//!
//! # `base: other.yaml`
//!
//! The file is laid over its base, whose path is relative to the file that names it. Maps merge key by key; everything
//! else replaces: numbers, words, lists as a whole, an empty value (which is `null`), and a choice of another thing, so
//! that `sde: {ve: …}` over `sde: {vp: …}` is `ve` alone, while `sde: {vp: {t_min: …}}` over it merges. A base may have
//! a base of its own, and need not be an experiment by itself. What speaks of a file and not of the experiment is not
//! taken over: `name` (which names the folder of the results), `description` and `sweep`.
//!
//! # `sweep:`
//!
//! The experiment many times: see [`Sweep`].

use std::fs;
use std::path::{Path, PathBuf};

use super::locate::{Step, line, path, steps};
use super::merge::Layered;
use super::overrides::Override;
use super::read::{Invalid, twice};
use super::schema::Shapes;
use super::spec::Spec;
use super::sweep::{Cell, Flaw, Sweep, cells};
use super::syntax;
use super::text;
use super::tree::{Tree, plain};
use crate::error::{Error, Fault, Result};

/// An experiment file with all its bases.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file itself, its base, the base of that, and so on.
    sources: Vec<Source>,
    /// What they say together, without `base` and `sweep`.
    layered: Layered,
    /// What the file itself says of a sweep.
    sweep: Option<Tree>,
}

/// One file as it was written.
#[derive(Clone, Debug)]
struct Source {
    file: String,
    text: String,
    tree: Tree,
}

/// A setting to put into the tree, and who asked for it.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub what: Override,
    pub by: By,
}

/// Who asked for a change.
#[derive(Clone, Debug)]
pub(super) enum By {
    /// A `--set` with this text.
    Flag(String),
    /// A value of the sweep, at this place.
    Sweep(Vec<Step>),
}

/// The keys that speak of a file and not of the experiment.
const OWN: [&str; 3] = ["name", "description", "sweep"];

impl Document {
    /// Reads a file and its bases.
    ///
    /// # Errors
    /// A file that cannot be read, one that is no YAML, and a base that is based on itself.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable =
            |e: std::io::Error| Error::file(path, e.to_string(), "give a YAML file, or the folder of a run");
        let (bytes, file) = (text::read(path).map_err(unreadable)?, path.display().to_string());
        Self::parse(&text::decode(bytes, &file)?, &file)
    }

    /// Reads the text of a file, and its bases from the disk.
    ///
    /// # Errors
    /// Those of [`Document::open`].
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let sources = chain(text, file)?;
        let shapes = Shapes::new();
        let mut layers = sources.iter().enumerate().rev().map(|(number, source)| {
            let mut tree = source.tree.clone();
            tree.take("base");
            let sweep = tree.take("sweep");
            if number > 0 {
                OWN.iter().for_each(|key| drop(tree.take(key)));
            }
            (number, tree, sweep)
        });
        let (number, tree, mut sweep) = layers.next().expect("there is at least the file itself");
        let mut layered = Layered::new(tree, number);
        for (number, tree, own) in layers {
            layered = layered.under(tree, number, shapes.whole());
            sweep = own;
        }
        if sources.len() > 1 && layered.tree.get("name").is_none() {
            let remedy = "add it, such as `name: two-moons-vp`: that of a base is not taken over, for it names the \
                          folder of the results";
            return Err(error(file.to_owned(), Fault::new("", "missing key `name`", remedy)));
        }
        Ok(Document { sources, layered, sweep })
    }

    /// The one experiment of the file, with `path=value` overrides in their order.
    ///
    /// The file must make sense by itself, so that a fault is either of the file or of an override.
    ///
    /// # Errors
    /// The first thing that cannot be, with its file and line or its override; a sweep.
    pub fn spec(&self, overrides: &[String]) -> Result<Spec> {
        let asked = self.asked(overrides)?;
        if let Some((_, at)) = asked.sweep {
            let problem = "this is a sweep, many experiments, where one belongs";
            let remedy = "give the folder of one of its runs, or take the sweep out with --set sweep=null";
            return Err(self.in_sweep(Flaw::new([], problem, remedy), at.as_deref()));
        }
        Spec::understand(&self.layered.tree).map_err(|invalid| self.in_file(invalid))?;
        self.resolve(&asked.changes, None)
    }

    /// The sweep of the file, if there is one, with `path=value` overrides in their order: all cells, checked.
    ///
    /// # Errors
    /// The first thing that cannot be, with its file and line or its override.
    pub fn sweep(&self, overrides: &[String]) -> Result<Option<Sweep>> {
        let Asked { changes, sweep: Some((sweep, at)) } = self.asked(overrides)? else { return Ok(None) };
        let at = at.as_deref();
        let drafts = cells(&sweep).map_err(|flaw| self.in_sweep(flaw, at))?;
        for change in &changes {
            let mut settings = drafts.iter().flat_map(|draft| &draft.changes);
            if let Some(setting) = settings.find(|setting| change.what.steps.starts_with(&setting.what.steps)) {
                let swept = path(&setting.what.steps);
                let problem = format!("the sweep sets `{swept}` itself");
                let remedy = "leave one of them away, or change the sweep, as with --set 'sweep.seed=[0, 1]'";
                let By::Flag(text) = &change.by else { continue };
                return Err(error(flag(text), Fault::new("", problem, remedy)));
            }
        }
        let mut tree = self.layered.tree.clone();
        for change in &changes {
            change.what.apply(&mut tree).map_err(|fault| self.blame(fault.into(), Some(change), at))?;
        }
        if let Tree::Map(entries) = &mut tree {
            entries.push(("sweep".to_owned(), sweep));
        }
        let mut found = Vec::new();
        for draft in drafts {
            let all: Vec<Change> = changes.iter().chain(&draft.changes).cloned().collect();
            let spec = self.resolve(&all, at)?;
            found.push(Cell { label: draft.label, folder: draft.folder, spec, settings: draft.changes });
        }
        Sweep::new(found, &tree).map(Some).map_err(|flaw| self.in_sweep(flaw, at))
    }

    /// A fault that shows when the data are read, at its place in the file or in the override that set it: the last of
    /// those that set what is at fault, or else of those that set the data.
    pub fn data_fault(&self, overrides: &[String], fault: Fault) -> Error {
        let setting = |part: &str| {
            overrides.iter().rev().find_map(|text| {
                let what = Override::parse(text).ok()?;
                let sets = matches!(what.steps.first(), Some(Step::Key(key)) if key == part);
                sets.then(|| Change { what, by: By::Flag(text.clone()) })
            })
        };
        let part = fault.key.split('.').next().unwrap_or_default();
        let change = setting(part).or_else(|| setting("data"));
        self.blame(fault.into(), change.as_ref(), None)
    }

    /// What the overrides ask for: changes, and the sweep with the override that last changed it.
    fn asked(&self, overrides: &[String]) -> Result<Asked> {
        let mut asked = Asked { changes: Vec::new(), sweep: self.sweep.clone().map(|sweep| (sweep, None)) };
        for text in overrides {
            let refuse = |fault| error(flag(text), fault);
            let what = Override::parse(text).map_err(refuse)?;
            match what.steps.as_slice() {
                [Step::Key(key)] if key == "sweep" => {
                    asked.sweep = (what.value != Tree::Null).then(|| (what.value, Some(text.clone())));
                }
                // The keys of a sweep are paths themselves.
                [Step::Key(key), rest @ ..] if key == "sweep" => {
                    let mut sweep = asked.sweep.take().map_or(Tree::Map(Vec::new()), |(sweep, _)| sweep);
                    let own = Override { steps: vec![Step::Key(path(rest))], value: what.value };
                    let problem = |_| Fault::new("", "the sweep is no grid", "set `sweep` as a whole");
                    own.apply(&mut sweep).map_err(problem).map_err(refuse)?;
                    asked.sweep = Some((sweep, Some(text.clone())));
                }
                [Step::Key(key), ..] if key == "base" => {
                    let remedy = "write `base` into a file of its own, and run that";
                    return Err(refuse(Fault::new("", "the base is read before settings change", remedy)));
                }
                _ => asked.changes.push(Change { what, by: By::Flag(text.clone()) }),
            }
        }
        Ok(asked)
    }

    /// The experiment after some changes. A fault is laid at the door of the change with which it appears.
    fn resolve(&self, changes: &[Change], sweep: Option<&str>) -> Result<Spec> {
        let mut tree = self.layered.tree.clone();
        for change in changes {
            change.what.apply(&mut tree).map_err(|fault| self.blame(fault.into(), Some(change), sweep))?;
        }
        let invalid = match Spec::understand(&tree) {
            Ok(spec) => return Ok(spec),
            Err(invalid) => invalid,
        };
        let mut tree = self.layered.tree.clone();
        let mut outcome = Spec::understand(&tree);
        let mut culprit = None;
        for change in changes {
            change.what.apply(&mut tree).expect("it could be applied a moment ago");
            let next = Spec::understand(&tree);
            if next != outcome {
                culprit = Some(change);
            }
            outcome = next;
        }
        Err(self.blame(invalid, culprit, sweep))
    }

    fn blame(&self, invalid: Invalid, culprit: Option<&Change>, sweep: Option<&str>) -> Error {
        let Some(change) = culprit else { return self.in_file(invalid) };
        let mut place = match &change.by {
            By::Flag(text) => flag(text),
            By::Sweep(way) => self.sweep_place(way, sweep),
        };
        if !invalid.fault.key.is_empty() && change.what.steps != way(&invalid) {
            place += &format!(": {}", invalid.fault.key);
        }
        error(place, invalid.fault)
    }

    /// A fault of the file or of one of its bases.
    fn in_file(&self, invalid: Invalid) -> Error {
        self.sources[self.layered.owner(&way(&invalid))].error(invalid)
    }

    fn in_sweep(&self, flaw: Flaw, by: Option<&str>) -> Error {
        error(self.sweep_place(&flaw.way, by), flaw.fault)
    }

    /// A place in the sweep, which the file wrote, or an override.
    fn sweep_place(&self, way: &[Step], by: Option<&str>) -> String {
        let source = &self.sources[0];
        let line = line(&source.text, &source.tree, way).map_or(String::new(), |line| format!(":{line}"));
        match by {
            Some(text) => format!("{}: {}", flag(text), path(way)),
            None => format!("{}{line}: {}", source.file, path(way)),
        }
    }
}

/// What a file and the overrides ask for together.
struct Asked {
    changes: Vec<Change>,
    /// The sweep, and the override that changed it if one did.
    sweep: Option<(Tree, Option<String>)>,
}

impl Source {
    fn parse(text: &str, file: &str) -> Result<Self> {
        let tree = syntax::parse(text).map_err(|broken| {
            let place = match broken.position {
                Some((line, column)) => format!("{file}:{line}:{column}"),
                None => file.to_owned(),
            };
            error(place, broken.fault)
        })?;
        let source = Source { file: file.to_owned(), text: text.to_owned(), tree };
        match &source.tree {
            Tree::Map(entries) => match twice(entries) {
                Some(invalid) => Err(source.error(invalid)),
                None => Ok(source),
            },
            _ => Ok(source),
        }
    }

    fn error(&self, invalid: Invalid) -> Error {
        let mut place = self.file.clone();
        if let Some(line) = line(&self.text, &self.tree, &way(&invalid)) {
            place += &format!(":{line}");
        }
        if !invalid.fault.key.is_empty() {
            place += &format!(": {}", invalid.fault.key);
        }
        error(place, invalid.fault)
    }

    /// The path of the base as it is written, if there is one.
    fn base(&self) -> Result<Option<&str>> {
        match self.tree.get("base") {
            None => Ok(None),
            Some(Tree::Text(base)) => Ok(Some(base)),
            Some(other) => {
                use serde::de::Error as _;
                let expected = "the path of an experiment file; write one relative to this file, or remove the key";
                let mut invalid = Invalid::invalid_type(other.found(), &expected);
                invalid.fault = invalid.fault.under("base");
                Err(self.error(invalid))
            }
        }
    }
}

/// The file itself, its base, the base of that, and so on.
fn chain(text: &str, file: &str) -> Result<Vec<Source>> {
    // Two ways to write one path shall not hide a cycle.
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut seen: Vec<PathBuf> = vec![real(Path::new(file))];
    let mut sources = vec![Source::parse(text, file)?];
    loop {
        let last = sources.last().expect("it starts with one");
        let Some(base) = last.base()? else { return Ok(sources) };
        let path = Path::new(&last.file).parent().unwrap_or(Path::new("")).join(base);
        let refuse = |problem: String, remedy: &str| last.error(Fault::new("base", problem, remedy).into());
        let bytes = text::read(&path).map_err(|e| {
            let problem = format!("the base {} cannot be read ({e})", plain(&path.display().to_string()));
            refuse(problem, "give the path of a YAML file, relative to the file that names it")
        })?;
        let next = real(&path);
        if let Some(start) = seen.iter().position(|earlier| *earlier == next) {
            let files = sources[start..].iter().map(|source| source.file.as_str());
            let round: Vec<&str> = files.chain([sources[start].file.as_str()]).collect();
            let problem = format!("{} is based on itself: {}", sources[start].file, round.join(" → "));
            return Err(refuse(problem, "remove one of these `base` keys"));
        }
        let file = path.display().to_string();
        let source = Source::parse(&text::decode(bytes, &file)?, &file)?;
        if !matches!(source.tree, Tree::Map(_)) {
            use serde::de::Error as _;
            let expected = "a map of settings; write `key: value`, or remove `base` where this file is named";
            return Err(source.error(Invalid::invalid_type(source.tree.found(), &expected)));
        }
        seen.push(next);
        sources.push(source);
    }
}

/// How a message names an override.
fn flag(text: &str) -> String {
    format!("--set {}", plain(text))
}

fn error(place: String, fault: Fault) -> Error {
    Error::Experiment { place, problem: fault.problem, remedy: fault.remedy }
}

/// The way to what is invalid, down to the key at fault.
fn way(invalid: &Invalid) -> Vec<Step> {
    let mut way = steps(&invalid.fault.key).unwrap_or_default();
    way.extend(invalid.key.clone().map(Step::Key));
    way
}

impl Spec {
    /// Reads the one experiment in the text of a file, with `path=value` overrides in their order: [`Document::parse`]
    /// and [`Document::spec`].
    ///
    /// # Errors
    /// [`Error::Experiment`] with the first thing that cannot be, and its line or its override.
    pub fn parse(text: &str, file: &str, overrides: &[String]) -> Result<Self> {
        Document::parse(text, file)?.spec(overrides)
    }
}
