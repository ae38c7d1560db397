//! Training into a run directory.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::{Plan, RunDir};
use crate::file::write_whole;
use crate::train::{Checkpoint, Progress, Trainer, Window};

/// The outcome of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Training {
    /// Steps in all.
    pub steps: usize,
    /// The mean loss since the last line of the log; none where nothing was left to do.
    pub loss: Option<f64>,
    /// Wall-clock seconds of this call.
    pub seconds: f64,
}

const HEADER: &str = "step,loss,gradient,lr,seconds\n";

/// Trains, or goes on from the newest checkpoint when `resume` is set.
///
/// # Errors
/// A checkpoint of another experiment, a loss that is not finite, a disk that is full, an interrupt.
pub fn train(plan: &Plan, run: &RunDir, resume: bool, observer: &dyn Observer) -> Result<Training> {
    let settings = plan.spec.train.clone().expect("a learned model has training settings");
    let mut trainer = plan.trainer()?;
    let mut log = Log { run, every: settings.log_every, window: Window::default(), before: 0.0, start: Instant::now() };
    let manifest = if resume { run.newest_checkpoint() } else { None };
    match manifest {
        Some(manifest) => {
            let checkpoint = Checkpoint::load(&manifest, &plan.training_hash())?;
            trainer.restore(&checkpoint)?;
            log.resume(&checkpoint)?;
            run.describe(plan)?;
            observer.say(&format!("resuming at step {} of {}", trainer.step(), settings.steps));
        }
        None => write_whole(&run.file("metrics.csv"), HEADER.as_bytes())?,
    }
    observer.begin("training", (settings.steps.saturating_sub(trainer.step())) as u64);
    let outcome = steps(plan, run, &mut trainer, &mut log, observer);
    observer.end();
    let loss = outcome?;
    Ok(Training { steps: trainer.step(), loss, seconds: log.start.elapsed().as_secs_f64() })
}

fn steps(
    plan: &Plan,
    run: &RunDir,
    trainer: &mut Trainer,
    log: &mut Log,
    observer: &dyn Observer,
) -> Result<Option<f64>> {
    let settings = plan.spec.train.as_ref().expect("a learned model has training settings");
    let hash = plan.training_hash();
    let mut last = None;
    while let Some(progress) = trainer.next() {
        let progress = progress?;
        if let Some(loss) = log.record(progress)? {
            observer.note(&format!("loss {loss:.4}"));
            last = Some(loss);
        }
        observer.advance(1);
        let stopped = observer.stopped();
        if stopped || progress.step.is_multiple_of(settings.checkpoint_every) || progress.step == settings.steps {
            let mut checkpoint = trainer.checkpoint(&hash);
            checkpoint.manifest.window = log.window;
            let manifest = checkpoint.save(&run.checkpoints())?;
            observer.detail(&format!("checkpoint {}", manifest.display()));
        }
        if stopped {
            let remedy = format!(
                "the checkpoint of step {} is in {}; continue with --resume --out {}",
                progress.step,
                run.checkpoints().display(),
                run.path().display()
            );
            return Err(Error::Interrupted { remedy });
        }
    }
    Ok(last)
}

/// `metrics.csv`: a line every so many steps with means since the line before, written as it happens.
struct Log<'a> {
    run: &'a RunDir,
    every: usize,
    window: Window,
    /// Seconds of the run before this process.
    before: f64,
    start: Instant,
}

impl Log<'_> {
    fn record(&mut self, progress: Progress) -> Result<Option<f64>> {
        self.window.steps += 1;
        self.window.loss += progress.loss;
        self.window.gradient += progress.gradient;
        if !progress.step.is_multiple_of(self.every) {
            return Ok(None);
        }
        let window = std::mem::take(&mut self.window);
        let n = window.steps as f64;
        let (loss, gradient) = (window.loss / n, window.gradient / n);
        let seconds = self.before + self.start.elapsed().as_secs_f64();
        let mut line = String::new();
        let _ = writeln!(line, "{},{loss},{gradient},{},{seconds:.3}", progress.step, progress.lr);
        let path = self.run.file("metrics.csv");
        let append = || fs::OpenOptions::new().append(true).open(&path)?.write_all(line.as_bytes());
        append().map_err(Error::write(&path))?;
        Ok(Some(loss))
    }

    /// Drops the lines after the checkpoint, which this process will write again.
    fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let path = self.run.file("metrics.csv");
        let text =
            fs::read_to_string(&path).map_err(|e| Error::file(&path, e.to_string(), "train again without --resume"))?;
        let kept = kept_lines(&text, checkpoint.manifest.step);
        if let Some(seconds) = kept.lines().last().and_then(|line| line.rsplit(',').next()) {
            self.before = seconds.parse().unwrap_or(0.0);
        }
        self.window = checkpoint.manifest.window;
        write_whole(&path, kept.as_bytes())
    }
}

/// The header and the whole lines up to `step`.
fn kept_lines(text: &str, step: usize) -> String {
    let up_to = |line: &&str| {
        let number = line.split(',').next().and_then(|number| number.parse::<usize>().ok());
        line.ends_with('\n') && number.is_some_and(|number| number <= step)
    };
    let lines = text.split_inclusive('\n').skip(1).filter(up_to);
    std::iter::once(HEADER).chain(lines).collect()
}

/// The columns of a run's `metrics.csv`: (step, loss).
pub(super) fn losses(path: &Path) -> Vec<(f64, f64)> {
    let text = fs::read_to_string(path).unwrap_or_default();
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
    fn lines_after_the_checkpoint_and_half_lines_are_dropped() {
        let text = "step,loss,gradient,lr,seconds\n50,1,1,1,1\n100,0.5,1,1,2\n150,0.4,1,1,3\n200,0.3,1";
        assert_eq!(kept_lines(text, 100), "step,loss,gradient,lr,seconds\n50,1,1,1,1\n100,0.5,1,1,2\n");
        assert_eq!(kept_lines(text, 200).lines().count(), 4);
        assert_eq!(kept_lines("", 200), HEADER);
    }
}
