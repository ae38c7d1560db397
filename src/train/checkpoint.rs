//! Checkpoints: safetensors beside a JSON manifest that is written last, so that what has a manifest is whole.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::file::{sha256, sweep, write_whole};
use crate::model::Parameters;
use crate::{named_tensors, tensor};

/// What a checkpoint says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// The version of LibTorch that it was written with.
    pub libtorch: String,
    /// The device that it was trained on.
    pub device: String,
    /// Training steps made.
    pub step: usize,
    /// The hash of everything in the experiment that determines the training.
    pub experiment: String,
    /// The root mean square of the data's coordinates that the prediction row was given.
    pub sigma_data: f64,
    /// Wall-clock seconds of training up to here, over all processes.
    pub seconds: f64,
    /// What has been measured since the last line of the log.
    pub window: Window,
    /// The least validation loss so far.
    pub best: Option<Best>,
    /// The length of each log of the run, in bytes, at this step.
    pub logs: BTreeMap<String, u64>,
    /// The file with the tensors, in the same folder.
    pub tensors: String,
    /// The length of that file.
    pub bytes: u64,
    /// The SHA-256 of that file.
    pub sha256: String,
    /// The SHA-256 of this manifest as compact JSON with an empty seal, so that no changed digit goes unnoticed.
    pub seal: String,
}

/// Sums over the steps since the last line of the log, so that a resumed run writes the same lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Steps in it.
    pub steps: usize,
    /// The sum of their losses.
    pub loss: f64,
    /// The sum of their gradient norms.
    pub gradient: f64,
}

/// The least validation loss of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The step at which it was measured.
    pub step: usize,
    /// The loss.
    pub loss: f64,
}

/// The version of the format that this program writes and reads.
const FORMAT: u32 = 2;

/// The buffer of the parameters. At step 0 averages are the parameters and moments are zero, so that a checkpoint may hold
/// it alone.
pub const PARAMETERS: &str = "parameters";

/// The numbers of a network that are not trained.
pub const FIXED: &str = "fixed";

/// What to do about a checkpoint that cannot be used.
const AGAIN: &str = "choose another checkpoint, or train again without --resume";

/// Why a checkpoint cannot be used.
enum Refusal {
    /// It is not whole, and an older one may serve.
    Damaged(Error),
    /// It is of another experiment or format, as all beside it are.
    Foreign(Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Damaged(error) | Refusal::Foreign(error) => error,
        }
    }
}

/// Named float32 tensors at one step.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says about itself.
    pub manifest: Manifest,
    /// The tensors by name.
    pub tensors: HashMap<String, Tensor>,
}

impl Checkpoint {
    /// A checkpoint of `step` of an experiment.
    pub fn new(
        step: usize,
        experiment: &str,
        sigma_data: f64,
        device: Device,
        tensors: HashMap<String, Tensor>,
    ) -> Self {
        let manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            libtorch: tensor::LIBTORCH.into(),
            device: format!("{device:?}").to_lowercase(),
            step,
            experiment: experiment.into(),
            sigma_data,
            seconds: 0.0,
            window: Window::default(),
            best: None,
            logs: BTreeMap::new(),
            tensors: format!("step-{step:08}.safetensors"),
            bytes: 0,
            sha256: String::new(),
            seal: String::new(),
        };
        Checkpoint { manifest, tensors }
    }

    /// Writes the tensors, then the manifest, each by an atomic rename; then removes all but the last `keep`, and those of
    /// later steps: a run that went back to an earlier checkpoint makes them anew.
    ///
    /// # Errors
    /// When the disk is full or the folder cannot be written; earlier checkpoints stay as they are.
    pub fn save(&self, folder: &Path, keep: usize) -> Result<PathBuf> {
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let data = named_tensors::to_bytes(&self.tensors, None);
        let manifest = Manifest { bytes: data.len() as u64, sha256: sha256(&data), ..self.manifest.clone() }.sealed();
        write_whole(&folder.join(&manifest.tensors), &data)?;
        let path = folder.join(format!("step-{:08}.json", manifest.step));
        let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
        write_whole(&path, &text)?;
        prune(folder, manifest.step, keep);
        Ok(path)
    }

    /// Removes what a process that was killed has left in `folder`: files half-written, tensors without a manifest, and all
    /// checkpoints but the last `keep` up to step `last`.
    pub fn tidy(folder: &Path, last: usize, keep: usize) {
        prune(folder, last, keep);
        sweep(folder);
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_tensors = Self::step_of(&path).is_some() && path.extension().is_some_and(|e| e == "safetensors");
            if is_tensors && !path.with_extension("json").exists() {
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// The manifests of all checkpoints in `folder`, oldest first.
    pub fn all(folder: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let is_manifest =
            |path: &PathBuf| Self::step_of(path).is_some() && path.extension().is_some_and(|e| e == "json");
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_manifest).collect();
        found.sort();
        found
    }

    /// The step of the checkpoint with the given manifest or tensors, by the name of the file.
    pub fn step_of(manifest: &Path) -> Option<usize> {
        manifest.file_stem()?.to_str()?.strip_prefix("step-")?.parse().ok()
    }

    /// The newest checkpoint in `folder` that is whole, if there is one, and what is wrong with those that are newer.
    ///
    /// # Errors
    /// When the checkpoints are of another format or of another experiment than `experiment`, or when none is whole.
    pub fn last_whole(folder: &Path, experiment: &str) -> Result<Option<(Self, Vec<Error>)>> {
        let mut damaged = Vec::new();
        for manifest in Self::all(folder).iter().rev() {
            match Self::read(manifest, experiment) {
                Ok(checkpoint) => return Ok(Some((checkpoint, damaged))),
                Err(Refusal::Damaged(error)) => damaged.push(error),
                Err(Refusal::Foreign(error)) => return Err(error),
            }
        }
        damaged.pop().map_or(Ok(None), Err)
    }

    /// Reads the checkpoint with the given manifest.
    ///
    /// # Errors
    /// When a file is missing, truncated, of another format or of another experiment than `experiment`.
    pub fn load(manifest: &Path, experiment: &str) -> Result<Self> {
        Ok(Self::read(manifest, experiment)?)
    }

    fn read(manifest: &Path, experiment: &str) -> Result<Self, Refusal> {
        let read = Manifest::read(manifest)?;
        if read.experiment != experiment {
            // The settings, and the files of the data where there are some.
            let settings = |hash: &str| hash.split('-').next().unwrap_or_default().to_owned();
            let (problem, remedy) = if settings(&read.experiment) == settings(experiment) {
                ("the data file has changed since this checkpoint was trained", "restore the file, or train anew")
            } else {
                (
                    "this checkpoint is of another experiment (its seed, data, process, model or training differ)",
                    "give the experiment that it was trained with",
                )
            };
            return Err(Refusal::Foreign(Error::file(manifest, problem, remedy)));
        }
        let path = manifest.with_file_name(&read.tensors);
        if Path::new(&read.tensors).file_name() != Some(read.tensors.as_ref()) {
            let problem = format!("the tensors {:?} are not in a file beside it", read.tensors);
            return Err(Refusal::Damaged(Error::file(manifest, problem, AGAIN)));
        }
        let damaged = |problem: String| Refusal::Damaged(Error::file(&path, problem, AGAIN));
        // The length first, so that a file of another kind is not read.
        let length = fs::metadata(&path).map_err(|e| damaged(e.to_string()))?.len();
        if length != read.bytes {
            return Err(damaged(format!("the file is truncated: {length} bytes of {}", read.bytes)));
        }
        let data = fs::read(&path).map_err(|e| damaged(e.to_string()))?;
        if sha256(&data) != read.sha256 {
            return Err(damaged("the file is damaged: its SHA-256 is not that of its manifest".into()));
        }
        let foreign = |what: String| damaged(format!("this is no checkpoint: {what}"));
        let tensors = named_tensors::from_bytes(&data).map_err(foreign)?;
        if let Some((name, value)) = tensors.iter().find(|(_, value)| value.kind() != Kind::Float) {
            return Err(foreign(format!("{name} is {:?}", value.kind())));
        }
        let tensors = tensors.into_iter().collect();
        Ok(Checkpoint { manifest: read, tensors })
    }

    /// Copies all tensors of `buffer` into `flat` `[P]`.
    ///
    /// # Errors
    /// When the checkpoint is of another network.
    pub fn copy_all(&self, buffer: &str, parameters: &Parameters, flat: &Tensor) -> Result<()> {
        parameters.named(flat).iter_mut().try_for_each(|(name, value)| self.copy(&format!("{buffer}/{name}"), value))
    }

    /// Copies the numbers that are not trained, where it has them: those of earlier versions of the program have none, and
    /// their networks have the numbers of their seeds.
    ///
    /// # Errors
    /// When the checkpoint is of another network.
    pub fn copy_fixed(&self, parameters: &Parameters) -> Result<()> {
        let has_some = self.tensors.keys().any(|name| name.split('/').next() == Some(FIXED));
        let fixed = if has_some { parameters.fixed() } else { Vec::new() };
        fixed.into_iter().try_for_each(|(name, mut value)| self.copy(&format!("{FIXED}/{name}"), &mut value))
    }

    /// Copies the tensor `name` into `target`, of the same shape.
    ///
    /// # Errors
    /// When it is missing or has another shape: the checkpoint is of another network.
    pub fn copy(&self, name: &str, target: &mut Tensor) -> Result<()> {
        let foreign = |problem: String| {
            Error::file(
                &self.manifest.tensors,
                problem,
                "the checkpoint is of another network: give its own experiment",
            )
        };
        let value = self.tensors.get(name).ok_or_else(|| foreign(format!("there is no tensor `{name}`")))?;
        if value.size() != target.size() {
            return Err(foreign(format!("`{name}` has shape {:?}, not {:?}", value.size(), target.size())));
        }
        let (kind, device): (Kind, Device) = (target.kind(), target.device());
        tch::no_grad(|| target.copy_(&value.to_device(device).to_kind(kind)));
        Ok(())
    }
}

impl Manifest {
    /// Reads a manifest alone.
    fn read(path: &Path) -> Result<Self, Refusal> {
        /// All formats have this much in common.
        #[derive(Deserialize)]
        struct Common {
            format: u32,
            version: String,
        }

        let damaged = |problem: String| Refusal::Damaged(Error::file(path, problem, AGAIN));
        let text = fs::read(path).map_err(|e| damaged(e.to_string()))?;
        let not_one =
            |e: serde_json::Error| damaged(format!("this is not a checkpoint manifest ({})", line(&e.to_string())));
        let Common { format, version } = serde_json::from_slice(&text).map_err(not_one)?;
        if format != FORMAT {
            let problem = format!("checkpoint format {format} where this program reads format {FORMAT}");
            return Err(Refusal::Foreign(Error::file(path, problem, format!("use ornstein {version} for it"))));
        }
        let manifest: Manifest = serde_json::from_slice(&text).map_err(not_one)?;
        if manifest.seal != manifest.clone().sealed().seal {
            return Err(damaged("the manifest is damaged: its seal is not that of its contents".into()));
        }
        Ok(manifest)
    }

    /// The same with the seal of its contents.
    fn sealed(mut self) -> Self {
        self.seal.clear();
        self.seal = sha256(&serde_json::to_vec(&self).expect("a manifest is plain data"));
        self
    }

    /// Whether the manifest at `path` is of `experiment`.
    pub fn is_of(path: &Path, experiment: &str) -> bool {
        Self::read(path).is_ok_and(|manifest| manifest.experiment == experiment)
    }
}

/// A text in one line, whatever names from a damaged file stand in it.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Removes all checkpoints in a folder but the last `keep` up to step `last`.
fn prune(folder: &Path, last: usize, keep: usize) {
    let is_later = |manifest: &PathBuf| Checkpoint::step_of(manifest).is_some_and(|step| step > last);
    let (later, mut old): (Vec<_>, Vec<_>) = Checkpoint::all(folder).into_iter().partition(is_later);
    old.truncate(old.len().saturating_sub(keep));
    for manifest in old.into_iter().chain(later) {
        // The manifest first: without it the tensors are no checkpoint. A failure leaves a file too many, no more.
        let _ = fs::remove_file(&manifest);
        let _ = fs::remove_file(manifest.with_extension("safetensors"));
    }
}

#[cfg(test)]
mod tests;
