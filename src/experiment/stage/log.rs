//! What a run writes down while it trains: files that only grow, and that a resumed run continues where its checkpoint
//! left them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use crate::error::{Error, Result};
use crate::experiment::{RunDir, TrainSpec};
use crate::report::tensorboard::{self, Histogram, Value};
use crate::tensor;
use crate::train::{Best, Checkpoint, Manifest, Mean, Progress, Window};

/// The log of training, and its columns.
pub(super) const METRICS: &str = "metrics.csv";
const METRICS_HEADER: &str = "step,loss,gradient,lr,seconds\n";

/// The log of validation, and its columns.
pub(super) const VALIDATION: &str = "validation.csv";
const VALIDATION_HEADER: &str = "step,loss,standard_error\n";

/// What TensorBoard shows. It takes every file with `tfevents` in its name for its own.
pub(super) const EVENTS: &str = "events.out.tfevents.ornstein";

/// Seconds since 1970.
pub(super) fn wall_time() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The buffers of a checkpoint whose distributions are shown: the parameters, and the running mean of their gradient.
const SHOWN: [&str; 2] = ["parameters/", "adamw/first/"];

/// A file that only grows.
struct Growing {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Growing {
    /// A new file that starts with `header`, or the file up to `length` bytes of it.
    fn open(path: PathBuf, header: &[u8], length: Option<u64>) -> Result<Self> {
        let open = || {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            let there = file.metadata()?.len();
            match length {
                // A log that was taken away is begun anew; it is no reason to lose the training.
                Some(length) if there >= length => file.set_len(length)?,
                _ => file.set_len(0)?,
            }
            let end = file.seek(SeekFrom::End(0))?;
            Ok((file, end))
        };
        let (file, length) = open().map_err(Error::write(&path))?;
        let mut growing = Growing { path, file, length };
        if length == 0 {
            growing.append(header)?;
        }
        Ok(growing)
    }

    fn append(&mut self, data: &[u8]) -> Result<()> {
        if let Err(source) = self.file.write_all(data) {
            // A full disk takes a part of what it is given: nobody shall read half a number.
            let _ = self.file.set_len(self.length);
            return Err(Error::write(&self.path)(source));
        }
        self.length += data.len() as u64;
        Ok(())
    }

    /// Its length, once all of it is on the disk.
    fn settle(&mut self) -> Result<u64> {
        self.file.sync_all().map_err(Error::write(&self.path))?;
        Ok(self.length)
    }
}

/// How training goes, over the steps between two lines of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The mean loss.
    pub(super) loss: f64,
    /// Examples a second.
    pub(super) rate: f64,
}

/// The logs of a run, and what is between their lines.
pub(super) struct Log {
    metrics: Growing,
    validation: Growing,
    events: Growing,
    every: usize,
    batch: usize,
    window: Window,
    /// When the last line was written by this process, and the steps made since.
    pace: (Instant, usize),
    best: Option<Best>,
    /// Seconds of the run before this process.
    before: f64,
    start: Instant,
}

impl Log {
    /// The logs of a run at step 0, or at its checkpoint.
    pub(super) fn open(run: &RunDir, settings: &TrainSpec, from: Option<&Manifest>) -> Result<Self> {
        let file = |name: &str, header: &[u8]| {
            // A log that the checkpoint does not know is of a later beginning.
            let length = from.map(|manifest| manifest.logs.get(name).copied().unwrap_or(0));
            Growing::open(run.file(name), header, length)
        };
        Ok(Log {
            metrics: file(METRICS, METRICS_HEADER.as_bytes())?,
            validation: file(VALIDATION, VALIDATION_HEADER.as_bytes())?,
            events: file(EVENTS, &tensorboard::header(wall_time()))?,
            every: settings.log_every,
            batch: settings.batch,
            window: from.map_or(Window::default(), |manifest| manifest.window),
            best: from.and_then(|manifest| manifest.best),
            pace: (Instant::now(), 0),
            before: from.map_or(0.0, |manifest| manifest.seconds),
            start: Instant::now(),
        })
    }

    /// Notes a step; what is shown of the steps since the line before, where this makes one.
    pub(super) fn record(&mut self, progress: Progress) -> Result<Option<Pace>> {
        self.window.steps += 1;
        self.window.loss += progress.loss;
        self.window.gradient += progress.gradient;
        self.pace.1 += 1;
        if !progress.step.is_multiple_of(self.every) {
            return Ok(None);
        }
        let window = std::mem::take(&mut self.window);
        let n = window.steps as f64;
        let (loss, gradient) = (window.loss / n, window.gradient / n);
        let mut line = String::new();
        let _ = writeln!(line, "{},{loss},{gradient},{},{:.3}", progress.step, progress.lr, self.seconds());
        self.metrics.append(line.as_bytes())?;
        let (since, steps) = std::mem::replace(&mut self.pace, (Instant::now(), 0));
        let rate = (steps * self.batch) as f64 / since.elapsed().as_secs_f64();
        self.show(
            progress.step,
            &[
                ("train/loss", Value::Scalar(loss)),
                ("train/gradient_norm", Value::Scalar(gradient)),
                ("train/lr", Value::Scalar(progress.lr)),
                ("train/examples_per_second", Value::Scalar(rate)),
            ],
        )?;
        Ok(Some(Pace { loss, rate }))
    }

    /// Notes a validation loss and the distributions of the tensors of `state` that are learned; whether the loss is the
    /// least so far.
    pub(super) fn validated(&mut self, loss: Mean, state: &Checkpoint) -> Result<bool> {
        let step = state.manifest.step;
        self.validation.append(format!("{step},{},{}\n", loss.value, loss.standard_error).as_bytes())?;
        let mut histograms: Vec<(&str, Histogram)> = Vec::new();
        for (name, value) in &state.tensors {
            if SHOWN.iter().any(|buffer| name.starts_with(buffer)) {
                let values: Vec<f64> = tensor::to_array(value).into_iter().collect();
                histograms.push((name, Histogram::of(&values)));
            }
        }
        histograms.sort_by_key(|&(name, _)| name);
        let mut values = vec![
            ("validation/loss", Value::Scalar(loss.value)),
            ("validation/standard_error", Value::Scalar(loss.standard_error)),
        ];
        values.extend(histograms.iter().map(|(name, histogram)| (*name, Value::Histogram(histogram))));
        self.show(step, &values)?;
        // A checkpoint cannot say that its best loss is not a number, and it is not the best.
        let better = loss.value.is_finite() && self.best.is_none_or(|best| loss.value < best.loss);
        if better {
            self.best = Some(Best { step, loss: loss.value });
        }
        Ok(better)
    }

    fn show(&mut self, step: usize, values: &[(&str, Value)]) -> Result<()> {
        self.events.append(&tensorboard::event(wall_time(), step, values))
    }

    /// The least validation loss so far.
    pub(super) fn best(&self) -> Option<Best> {
        self.best
    }

    /// Writes into a checkpoint where the logs are; all that they say is on the disk then.
    pub(super) fn sign(&mut self, checkpoint: &mut Checkpoint) -> Result<()> {
        let lengths = [
            (METRICS, self.metrics.settle()?),
            (VALIDATION, self.validation.settle()?),
            (EVENTS, self.events.settle()?),
        ];
        let manifest = &mut checkpoint.manifest;
        manifest.logs = BTreeMap::from(lengths.map(|(name, length)| (name.to_owned(), length)));
        manifest.window = self.window;
        manifest.best = self.best;
        manifest.seconds = self.seconds();
        Ok(())
    }

    /// Wall-clock seconds of training, over all processes.
    fn seconds(&self) -> f64 {
        self.before + self.since_start()
    }

    /// Wall-clock seconds of this process.
    pub(super) fn since_start(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

/// The first two columns of a log: (step, loss).
pub(super) fn losses(path: &Path) -> Vec<(f64, f64)> {
    let mut text = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    let row = |line: &str| {
        let mut cells = line.split(',').map(|cell| cell.parse::<f64>());
        Some((cells.next()?.ok()?, cells.next()?.ok()?))
    };
    // A process that was killed, or a power cut, may have left half a line.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_the_checkpoint_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        let text = || std::fs::read_to_string(folder.path().join("a.csv")).expect("a text");
        let mut log = Growing::open(path.clone(), b"h\n", None).expect("writable");
        log.append(b"1\n").expect("writable");
        let length = log.settle().expect("writable");
        assert_eq!(length, 4);
        log.append(b"2\n3").expect("writable");
        drop(log);
        let mut log = Growing::open(path.clone(), b"h\n", Some(length)).expect("writable");
        log.append(b"2\n").expect("writable");
        assert_eq!(text(), "h\n1\n2\n");
        // A log that is too short for its checkpoint cannot be its log.
        drop(Growing::open(path.clone(), b"h\n", Some(100)).expect("writable"));
        assert_eq!(text(), "h\n");
        std::fs::remove_file(&path).expect("removed");
        drop(Growing::open(path, b"h\n", Some(length)).expect("writable"));
        assert_eq!(text(), "h\n");
    }
}
