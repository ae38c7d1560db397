//! Errors that are sentences: what is wrong, where, and what to do about it.

use std::path::{Path, PathBuf};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every way in which Ornstein can fail, each with its place and its remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An experiment says something that cannot be: an unknown key, a wrong type, a value out of range.
    #[error("{place}: {problem}; {remedy}")]
    Experiment {
        /// Where it stands, as `file:line: path.to.key` or `--set path.to.key`.
        place: String,
        /// What is wrong, with the offending value.
        problem: String,
        /// What to write instead.
        remedy: String,
    },
    /// A command-line argument, or a pair of them, that cannot be.
    #[error("{argument}: {problem}; {remedy}")]
    Argument {
        /// The flag as the user typed it.
        argument: String,
        /// What is wrong with it.
        problem: String,
        /// What to pass instead.
        remedy: String,
    },
    /// A file that we were told to read is missing, truncated or of another kind.
    #[error("{}: {problem}; {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// How to mend it.
        remedy: String,
    },
    /// A place that we were told to write to cannot be used at all.
    #[error("cannot write {}: {source}; choose another place for it, or {}", path.display(), admit(source))]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Writing failed half-way through a run: a full disk, a vanished folder.
    #[error("writing {} failed: {source}; {} and continue with --resume", path.display(), mend(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A number that is not finite.
    #[error("{what} is not finite at step {step} (t = {t:.6e}); {remedy}")]
    NonFinite {
        /// What became infinite or NaN.
        what: String,
        /// The step, counted from 1.
        step: usize,
        /// The time at which it happened.
        t: f64,
        /// What usually helps.
        remedy: String,
    },
    /// Training has gone to infinity.
    #[error("{what} is not finite at training step {step} (worst at t = {t:.4}, σ/α = {ratio:.4}); {remedy}")]
    Diverged {
        /// What became infinite or NaN.
        what: String,
        /// The training step, counted from 1.
        step: usize,
        /// The time of the example with the greatest loss.
        t: f64,
        /// Its noise level κ = σ/α.
        ratio: f64,
        /// What usually helps.
        remedy: String,
    },
    /// Error control cannot meet its tolerance.
    #[error("error control stopped at t = {t:.6e}: {problem}; {remedy}")]
    Tolerance {
        /// Where.
        t: f64,
        /// What happened.
        problem: String,
        /// What usually helps.
        remedy: String,
    },
    /// Some of many runs failed.
    #[error("{problem}; {remedy}")]
    Cells {
        /// How many, which, and why.
        problem: String,
        /// How to go on.
        remedy: String,
    },
    /// The user asked us to stop.
    #[error("interrupted; {remedy}")]
    Interrupted {
        /// How to go on from here.
        remedy: String,
    },
    /// An allocation that the machine refuses.
    #[error("out of memory ({what}); {remedy}")]
    Memory {
        /// How much was asked for.
        what: String,
        /// What takes less.
        remedy: String,
    },
    /// LibTorch failed: an unsupported operation.
    #[error("LibTorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// What makes a write possible that has failed half-way.
fn mend(source: &std::io::Error) -> &'static str {
    if lacks_space(source) { "free some space" } else { "put that right" }
}

/// What makes a place writable.
fn admit(source: &std::io::Error) -> &'static str {
    if lacks_space(source) { "free some space" } else { "change its permissions" }
}

fn lacks_space(source: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(source.kind(), StorageFull | QuotaExceeded)
}

impl Error {
    /// The exit code of the program: 2 for wrong input, 130 for an interrupt, 1 for a failure while running.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Experiment { .. } | Error::Argument { .. } | Error::File { .. } | Error::Unwritable { .. } => 2,
            Error::Interrupted { .. } => 130,
            Error::Write { .. }
            | Error::Cells { .. }
            | Error::NonFinite { .. }
            | Error::Diverged { .. }
            | Error::Tolerance { .. }
            | Error::Memory { .. }
            | Error::Torch(_) => 1,
        }
    }

    /// A wrong command-line argument.
    pub fn argument(argument: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Argument { argument: argument.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// A file that cannot be read as what it should be.
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::File { path: path.as_ref().to_owned(), problem: problem.into(), remedy: remedy.into() }
    }

    /// A write that failed: turns an I/O error into one that names the file.
    pub fn write(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Error::Write { path: path.as_ref().to_owned(), source }
    }
}

/// A setting that cannot be, named relative to the thing that holds it; whoever knows the file adds the place.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The path of the setting, as `covariances[1]`; empty for the thing itself.
    pub key: String,
    /// What is wrong, with the offending value.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl Fault {
    /// A fault at `key`.
    pub fn new(key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Fault { key: key.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// The same fault as seen from the holder of `parent`.
    pub fn under(mut self, parent: &str) -> Self {
        self.key = match self.key.as_str() {
            "" => parent.to_owned(),
            key if key.starts_with('[') => format!("{parent}{key}"),
            key => format!("{parent}.{key}"),
        };
        self
    }
}

/// The likeness, from 0 to 1, from which on a name passes for a slip of another.
const LIKENESS: f64 = 0.75;

/// The name that was most likely meant, if any is near.
pub fn nearest<'a>(given: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    allowed
        .iter()
        .map(|&name| (strsim::jaro_winkler(&given, &name.to_lowercase()), name))
        .filter(|&(likeness, _)| likeness >= LIKENESS)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| name)
}

/// The most names that a message lists.
const LISTED: usize = 30;

/// What was likely meant by a name, and what is there.
pub fn suggestion(given: &str, what: &str, names: &[String]) -> String {
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let more = if all.len() > LISTED { format!(" and {} more", all.len() - LISTED) } else { String::new() };
    let list = format!("{what} are {}{more}", all[..all.len().min(LISTED)].join(", "));
    match nearest(given, &all) {
        Some(name) => format!("did you mean `{name}`? {list}"),
        None => list,
    }
}

/// Settings that a user may write: plain data that can say whether its values make sense together.
pub trait Settings {
    /// The first value that cannot be, if any.
    ///
    /// # Errors
    /// The setting, what is wrong with it and what to write instead.
    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Refuses a value that is not a finite number greater than zero.
pub fn positive(key: &str, value: f64) -> Result<(), Fault> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Fault::new(key, format!("{value} is not a positive number"), "write a number greater than 0"))
}

/// The most that any count may be: more than a machine can do, and little enough that two of them can be multiplied.
pub const MOST: usize = 1_000_000_000;

/// Refuses a count of zero, and one that means no number of anything.
pub fn at_least_one(key: &str, value: usize) -> Result<(), Fault> {
    between(key, value, (1, MOST))
}

/// Refuses a count outside `least..=most`.
pub fn between(key: &str, value: usize, (least, most): (usize, usize)) -> Result<(), Fault> {
    if value < least {
        let remedy = format!("write a whole number of at least {least}");
        return Err(Fault::new(key, format!("{value} is too small"), remedy));
    }
    if value > most {
        return Err(Fault::new(key, format!("{value} is too large"), format!("write at most {most}")));
    }
    Ok(())
}
