//! What a run writes down while it trains: files that only grow, and that a resumed run continues where its checkpoint
//! left them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::experiment::RunDir;
use crate::train::{Best, Checkpoint, Manifest, Mean, Progress, Window};

/// The log of training, and its columns.
pub(super) const METRICS: &str = "metrics.csv";
const METRICS_HEADER: &str = "step,loss,gradient,lr,seconds\n";

/// The log of validation, and its columns.
pub(super) const VALIDATION: &str = "validation.csv";
const VALIDATION_HEADER: &str = "step,loss,standard_error\n";

/// A file that only grows.
struct Growing {
    path: PathBuf,
    file: File,
}

impl Growing {
    /// A new file that starts with `header`, or the file up to `length` bytes of it.
    fn open(path: PathBuf, header: &str, length: Option<u64>) -> Result<Self> {
        let open = || {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            let there = file.metadata()?.len();
            match length {
                // A log that was taken away is begun anew; it is no reason to lose the training.
                Some(length) if there >= length => file.set_len(length)?,
                _ => file.set_len(0)?,
            }
            file.seek(SeekFrom::End(0))?;
            if file.stream_position()? == 0 {
                file.write_all(header.as_bytes())?;
            }
            Ok(file)
        };
        let file = open().map_err(Error::write(&path))?;
        Ok(Growing { path, file })
    }

    fn append(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(data).map_err(Error::write(&self.path))
    }

    /// Its length, once all of it is on the disk.
    fn settle(&mut self) -> Result<u64> {
        let mut settle = || {
            self.file.sync_all()?;
            self.file.stream_position()
        };
        settle().map_err(Error::write(&self.path))
    }
}

/// The logs of a run, and what is between their lines.
pub(super) struct Log {
    metrics: Growing,
    validation: Growing,
    every: usize,
    window: Window,
    best: Option<Best>,
    /// Seconds of the run before this process.
    before: f64,
    start: Instant,
}

impl Log {
    /// The logs of a run at step 0, or at its checkpoint; with a line every `every` steps.
    pub(super) fn open(run: &RunDir, every: usize, from: Option<&Manifest>) -> Result<Self> {
        let file = |name: &str, header: &str| {
            // A log that the checkpoint does not know is of a later beginning.
            let length = from.map(|manifest| manifest.logs.get(name).copied().unwrap_or(0));
            Growing::open(run.file(name), header, length)
        };
        Ok(Log {
            metrics: file(METRICS, METRICS_HEADER)?,
            validation: file(VALIDATION, VALIDATION_HEADER)?,
            every,
            window: from.map_or(Window::default(), |manifest| manifest.window),
            best: from.and_then(|manifest| manifest.best),
            before: from.map_or(0.0, |manifest| manifest.seconds),
            start: Instant::now(),
        })
    }

    /// Notes a step; the mean loss since the line before, where this makes one.
    pub(super) fn record(&mut self, progress: Progress) -> Result<Option<f64>> {
        self.window.steps += 1;
        self.window.loss += progress.loss;
        self.window.gradient += progress.gradient;
        if !progress.step.is_multiple_of(self.every) {
            return Ok(None);
        }
        let window = std::mem::take(&mut self.window);
        let n = window.steps as f64;
        let (loss, gradient) = (window.loss / n, window.gradient / n);
        let mut line = String::new();
        let _ = writeln!(line, "{},{loss},{gradient},{},{:.3}", progress.step, progress.lr, self.seconds());
        self.metrics.append(line.as_bytes())?;
        Ok(Some(loss))
    }

    /// Notes a validation loss; whether it is the least so far.
    pub(super) fn validated(&mut self, step: usize, loss: Mean) -> Result<bool> {
        self.validation.append(format!("{step},{},{}\n", loss.value, loss.standard_error).as_bytes())?;
        let better = self.best.is_none_or(|best| loss.value < best.loss);
        if better {
            self.best = Some(Best { step, loss: loss.value });
        }
        Ok(better)
    }

    /// The least validation loss so far.
    pub(super) fn best(&self) -> Option<Best> {
        self.best
    }

    /// Writes into a checkpoint where the logs are; all that they say is on the disk then.
    pub(super) fn sign(&mut self, checkpoint: &mut Checkpoint) -> Result<()> {
        let lengths = [(METRICS, self.metrics.settle()?), (VALIDATION, self.validation.settle()?)];
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
    text.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_the_checkpoint_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        let text = || std::fs::read_to_string(folder.path().join("a.csv")).expect("a text");
        let mut log = Growing::open(path.clone(), "h\n", None).expect("writable");
        log.append(b"1\n").expect("writable");
        let length = log.settle().expect("writable");
        assert_eq!(length, 4);
        log.append(b"2\n3").expect("writable");
        drop(log);
        let mut log = Growing::open(path.clone(), "h\n", Some(length)).expect("writable");
        log.append(b"2\n").expect("writable");
        assert_eq!(text(), "h\n1\n2\n");
        // A log that is too short for its checkpoint cannot be its log.
        drop(Growing::open(path.clone(), "h\n", Some(100)).expect("writable"));
        assert_eq!(text(), "h\n");
        std::fs::remove_file(&path).expect("removed");
        drop(Growing::open(path, "h\n", Some(length)).expect("writable"));
        assert_eq!(text(), "h\n");
    }
}
