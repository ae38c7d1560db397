//! Run directories: `runs/<name>/<when>-<hash>/`, self-describing and resumable.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::macros::format_description;

use super::plan::Plan;
use super::spec::{Spec, Which};
use crate::error::{Error, Result};
use crate::file::{Lock, write_whole};
use crate::tensor;
use crate::train::{Checkpoint, Manifest};

/// The folder that holds all of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDir {
    path: PathBuf,
}

/// What produced a run.
#[derive(Debug, Serialize)]
struct Provenance<'a> {
    ornstein: &'a str,
    /// The hash of the program's sources, as the build script takes it.
    sources: &'a str,
    libtorch: &'a str,
    device: String,
    precision: String,
    threads: usize,
    experiment_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_sha256: Option<&'a str>,
    command: Vec<String>,
    started: String,
}

/// The time, as it stands in the names of folders: 20240131-235959, in UTC.
pub fn now() -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    time::OffsetDateTime::now_utc().format(format).expect("a date has all these parts")
}

impl RunDir {
    /// A new folder for a run of `plan`, with the resolved experiment and its provenance in it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create(plan: &Plan, out: Option<&Path>) -> Result<Self> {
        let now = time::OffsetDateTime::now_utc();
        let path = match out {
            Some(path) => path.to_owned(),
            None => Path::new("runs").join(&plan.spec.name).join(format!("{}-{}", self::now(), plan.hash())),
        };
        let unwritable = |source| Error::Unwritable { path: path.clone(), source };
        fs::create_dir_all(&path).map_err(unwritable)?;
        let run = RunDir { path: path.clone() };
        let provenance = Provenance {
            ornstein: env!("CARGO_PKG_VERSION"),
            sources: env!("ORNSTEIN_SOURCES"),
            libtorch: tensor::LIBTORCH,
            device: format!("{:?}", plan.compute.device).to_lowercase(),
            precision: format!("{:?}", plan.compute.kind).to_lowercase(),
            threads: plan.compute.workers.count(),
            experiment_hash: plan.hash(),
            data_sha256: plan.data().digest(),
            command: std::env::args().collect(),
            started: now.format(&time::format_description::well_known::Rfc3339).expect("a date has all these parts"),
        };
        let text = serde_json::to_vec_pretty(&provenance).expect("provenance is plain data");
        let write = |name: &str, data: &[u8]| {
            write_whole(&run.file(name), data).map_err(|error| match error {
                Error::Write { path, source } => Error::Unwritable { path, source },
                other => other,
            })
        };
        write("run.json", &text)?;
        // Last, for it is what makes the folder a run.
        write("experiment.yaml", plan.spec.to_yaml().as_bytes())?;
        Ok(run)
    }

    /// An existing run.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn open(path: &Path) -> Result<Self> {
        let run = RunDir { path: path.to_owned() };
        if run.file("experiment.yaml").is_file() {
            return Ok(run);
        }
        Err(Error::file(
            path,
            "there is no run in this folder (no experiment.yaml)",
            "give a folder such as runs/NAME/WHEN-HASH",
        ))
    }

    /// Whether this is a run of `plan`'s experiment: the same data, process, model and training.
    ///
    /// # Errors
    /// When its experiment.yaml cannot be read.
    pub fn is_of(&self, plan: &Plan) -> Result<bool> {
        Ok(self.spec()?.training_hash() == plan.spec.training_hash())
    }

    /// Its experiment.
    ///
    /// # Errors
    /// When its experiment.yaml cannot be read.
    pub fn spec(&self) -> Result<Spec> {
        let path = self.file("experiment.yaml");
        let text = fs::read_to_string(&path)
            .map_err(|e| Error::file(&path, e.to_string(), "give a folder such as runs/NAME/WHEN-HASH"))?;
        Spec::parse(&text, &path.display().to_string(), &[])
    }

    /// Writes the resolved experiment anew, for a run that goes on with other settings.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn describe(&self, plan: &Plan) -> Result<()> {
        write_whole(&self.file("experiment.yaml"), plan.spec.to_yaml().as_bytes())
    }

    /// The newest run of `plan`'s experiment: the same name and the same training, with a checkpoint if there is training.
    pub fn newest(plan: &Plan) -> Option<Self> {
        let entries = fs::read_dir(Path::new("runs").join(&plan.spec.name)).ok()?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let hash = plan.training_hash();
        let of_plan = |run: &&RunDir| run.newest_checkpoint().is_some_and(|path| Manifest::is_of(&path, &hash));
        let runs: Vec<RunDir> = paths.into_iter().rev().map(|path| RunDir { path }).collect();
        if plan.spec.train.is_none() {
            return runs.into_iter().find(|run| run.is_of(plan).is_ok_and(|same| same));
        }
        // One whose data have changed is better than none: its checkpoint says so.
        let of_settings = |run: &&RunDir| run.newest_checkpoint().is_some() && run.is_of(plan).is_ok_and(|same| same);
        runs.iter().find(of_plan).or_else(|| runs.iter().find(of_settings)).cloned()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder in which comparisons keep what they measured: one for all runs in ./runs, and its own for a run elsewhere.
    pub fn cells(&self) -> PathBuf {
        if self.path.starts_with("runs") { Path::new("runs").join(".cells") } else { self.file(".cells") }
    }

    /// The folder of its checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.file("checkpoints")
    }

    /// The manifest of its newest checkpoint.
    pub fn newest_checkpoint(&self) -> Option<PathBuf> {
        Checkpoint::all(&self.checkpoints()).pop()
    }

    /// The manifest of the checkpoint to sample from.
    pub fn chosen_checkpoint(&self, which: Which) -> Option<PathBuf> {
        match which {
            Which::Last => self.newest_checkpoint(),
            Which::Best => Checkpoint::all(&self.checkpoints().join("best")).pop(),
        }
    }

    /// Makes this process the only one that works in the run, for as long as the result lives.
    ///
    /// # Errors
    /// When another process is at it.
    pub fn lock(&self) -> Result<Lock> {
        Lock::take(&self.path)
    }

    /// Makes the sub-folder `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.file(name);
        fs::create_dir_all(&path).map_err(Error::write(&path))?;
        Ok(path)
    }
}
