//! Measured cells on the disk, by everything that determines them.

use std::fs;
use std::path::PathBuf;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::super::sample::{read_npy, write_npy};
use super::cell::csv_of;
use crate::error::{Error, Result};
use crate::experiment::plan::Plan;
use crate::file::{sha256, write_whole};
use crate::rng::{Purpose, Stream};
use crate::score::Model;
use crate::solve::{Grid, LogSnr};
use crate::tensor;

/// A folder with a file for each sampling run that was measured: what it cost, and the value of each metric; and for those
/// of the first repeat the first samples.
///
/// The name of a file is the SHA-256 of everything that determines its numbers: the sources of this program, the data, the
/// process, the model, the solver with its times, the seeds, the number of samples, the device and the precision. So
/// nothing ever has to be declared out of date; what has changed is simply not there.
#[derive(Clone, Debug)]
pub struct Store {
    /// None keeps nothing.
    folder: Option<PathBuf>,
    /// Whether what is there may be used.
    fresh: bool,
}

/// What is known of one sampling run, a line a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The metric with its settings, as JSON.
    pub metric: String,
    pub nfe: f64,
    pub seconds: f64,
    /// None where it is not defined; NaN where the run diverged.
    pub value: Option<f64>,
    pub standard_error: f64,
}

impl Store {
    /// The cells in a folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Store { folder: Some(folder), fresh: false }
    }

    /// A store that keeps nothing.
    pub fn nowhere() -> Self {
        Store { folder: None, fresh: true }
    }

    /// The same folder, of which nothing is read: everything will be measured anew.
    pub fn fresh(self) -> Self {
        Store { fresh: true, ..self }
    }

    /// What is known of a run; nothing of a file that cannot be understood, which will be written anew.
    pub(super) fn find(&self, key: &str) -> Vec<Known> {
        if self.fresh { Vec::new() } else { self.read(key) }
    }

    /// Keeps what was measured, beside what other metrics have said of the same run. The first line of the file says of
    /// what run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&self, key: &str, known: &[Known]) -> Result<()> {
        let Some(path) = self.ready(key, "csv")? else { return Ok(()) };
        let other = |old: &Known| known.iter().all(|known| known.metric != old.metric);
        let others = self.read(key).into_iter().filter(other);
        let mut text = format!("# {key}\n").into_bytes();
        text.extend(csv_of(&known.iter().cloned().chain(others).collect::<Vec<_>>()));
        write_whole(&path, &text)
    }

    /// Keeps the first samples `[N, D]` of a run, to be looked at, beside what was measured.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn keep_points(&self, key: &str, points: &Tensor) -> Result<()> {
        let Some(path) = self.ready(key, "npy")? else { return Ok(()) };
        write_npy(&path, &points.to_kind(Kind::Float))
    }

    /// The samples of a run that were kept, if any were.
    pub(super) fn points(&self, key: &str) -> Option<Array2<f64>> {
        read_npy(&self.path(key, "npy")?).ok()?.into_dimensionality().ok()
    }

    fn read(&self, key: &str) -> Vec<Known> {
        let Some(Ok(text)) = self.path(key, "csv").map(fs::read) else { return Vec::new() };
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(&text[..]);
        reader.deserialize().collect::<Result<_, _>>().unwrap_or_default()
    }

    /// A file to write, in a folder that is there.
    fn ready(&self, key: &str, extension: &str) -> Result<Option<PathBuf>> {
        let (Some(folder), Some(path)) = (&self.folder, self.path(key, extension)) else { return Ok(None) };
        fs::create_dir_all(folder).map_err(|source| Error::Unwritable { path: folder.clone(), source })?;
        Ok(Some(path))
    }

    fn path(&self, key: &str, extension: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}.{extension}", short(key.as_bytes()))))
    }
}

/// Half a SHA-256 is enough for a name.
fn short(data: &[u8]) -> String {
    sha256(data)[..32].to_owned()
}

/// What all runs of a comparison have in common, as JSON: one line.
pub(super) fn subject(plan: &Plan, model: &dyn Model, count: usize) -> serde_json::Value {
    let spec = &plan.spec;
    serde_json::json!({
        "program": env!("ORNSTEIN_SOURCES"),
        "libtorch": tensor::LIBTORCH,
        "device": format!("{:?}", plan.compute.device).to_lowercase(),
        "precision": format!("{:?}", plan.compute.kind).to_lowercase(),
        "data": spec.data,
        "files": plan.data().digest(),
        "sde": spec.sde,
        "model": fingerprint(plan, model),
        "count": count,
        // Of the reference data.
        "seed": spec.seed,
    })
}

/// How many points a model is asked about, and how many numbers at most.
const LEVELS: usize = 8;
const POINTS: usize = 256;
const NUMBERS: usize = 1 << 18;

/// What a model answers, hashed: at points of the data with noise of eight levels over its whole span. Whatever changes the
/// model (other weights, another moving average, another condition) changes the last digits of some answer.
fn fingerprint(plan: &Plan, model: &dyn Model) -> String {
    let (sde, (kind, device)) = (&*plan.sde, plan.options());
    let shape = plan.data().shape();
    let dim = shape.iter().product::<i64>().max(1) as usize;
    let count = (NUMBERS / LEVELS / dim).clamp(1, POINTS);
    let x0 = plan.data().draw(Stream::new(plan.spec.seed, Purpose::Levels), 0, count).to_kind(kind).to_device(device);
    let noise = tensor::normals(Stream::new(plan.spec.seed, Purpose::Levels), 0, 1, &x0);
    let model = model.part(0, count as i64);
    let mut answers = Vec::new();
    for t in LogSnr::default().times(sde, LEVELS - 1) {
        let kernel = sde.kernel(t);
        let x = &x0 * kernel.alpha + &noise * kernel.sigma;
        let answer: Tensor = tch::no_grad(|| model.denoise(&x, t)).to_kind(Kind::Double).to_device(Device::Cpu);
        tensor::to_array(&answer).iter().for_each(|value| answers.extend(value.to_le_bytes()));
    }
    short(&answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(value: Option<f64>) -> Known {
        Known { metric: "{\"mmd\":{}}".into(), nfe: 5.0, seconds: 0.25, value, standard_error: f64::NAN }
    }

    #[test]
    fn what_is_kept_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path().join("cells"));
        assert!(store.find("a").is_empty());
        store.keep("a", &[known(Some(0.1 + 0.2)), known(Some(f64::NAN)), known(None)]).expect("writable");
        let found = store.find("a");
        assert_eq!((found[0].value, found[2].value), (Some(0.1 + 0.2), None));
        assert!(found[1].value.is_some_and(f64::is_nan) && found[0].standard_error.is_nan());
        assert!(store.find("b").is_empty() && store.clone().fresh().find("a").is_empty());
        let other = Known { metric: "{\"kl\":{}}".into(), ..known(Some(7.0)) };
        store.keep("a", std::slice::from_ref(&other)).expect("writable");
        assert_eq!(store.find("a").len(), 4);
        assert_eq!((&store.find("a")[0].metric, store.find("a")[0].value), (&other.metric, Some(7.0)));
        fs::write(store.path("a", "csv").expect("a folder"), b"# a\nmetric,nfe\n1,2,3\n").expect("writable");
        assert!(store.find("a").is_empty());
    }
}
