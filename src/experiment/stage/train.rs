//! Training into a run directory.

use serde::Serialize;

use super::levels::{LEVELS, write_levels};
use super::log::{Log, Pace};
use crate::error::{Error, Result};
use crate::experiment::memory;
use crate::experiment::observer::Observer;
use crate::experiment::{Plan, RunDir, TrainSpec};
use crate::file::sweep;
use crate::train::{Checkpoint, Trainer};

/// Folders among the checkpoints: that with the least validation loss, and the moving averages at regular steps.
const BEST: &str = "best";
const SNAPSHOTS: &str = "snapshots";

/// The outcome of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Training {
    /// Steps in all.
    pub steps: usize,
    /// The mean loss since the last line of the log; none where nothing was left to do.
    pub loss: Option<f64>,
    /// The least validation loss; none without validation.
    pub validation: Option<f64>,
    /// Wall-clock seconds of this call.
    pub seconds: f64,
}

/// Trains, or goes on from the newest whole checkpoint when `resume` is set.
///
/// # Errors
/// A checkpoint of another experiment, a loss that is not finite, a disk that is full, an interrupt.
pub fn train(plan: &Plan, run: &RunDir, resume: bool, observer: &dyn Observer) -> Result<Training> {
    let settings = plan.spec.train.as_ref().expect("a learned model has training settings");
    let mut trainer = plan.trainer()?;
    let from = if resume { Checkpoint::last_whole(&run.checkpoints(), &plan.training_hash())? } else { None };
    if let Some((checkpoint, damaged)) = &from {
        trainer.restore(checkpoint)?;
        run.describe(plan)?;
        for error in damaged {
            observer.say(&format!("passed over: {error}"));
        }
        observer.say(&format!("resuming at step {} of {}", trainer.step(), settings.steps));
    }
    if resume {
        sweep(run.path());
        for (folder, last, keep) in
            [("", trainer.step(), settings.keep), (BEST, usize::MAX, 1), (SNAPSHOTS, usize::MAX, usize::MAX)]
        {
            Checkpoint::tidy(&run.checkpoints().join(folder), last, keep);
        }
    }
    if trainer.step() < settings.steps {
        // Where an earlier end of the run is left behind, its levels are those of another model.
        let _ = std::fs::remove_file(run.file(LEVELS));
    }
    let log = Log::open(run, settings, from.as_ref().map(|(checkpoint, _)| &checkpoint.manifest))?;
    observer.begin("training", (settings.steps.saturating_sub(trainer.step())) as u64);
    let mut training = Run { plan, run, settings, hash: plan.training_hash(), log, observer };
    let outcome = training.steps(&mut trainer);
    observer.end();
    let loss = outcome?;
    let Run { log, .. } = &training;
    if settings.validate.is_some() && (loss.is_some() || !run.file(LEVELS).is_file()) {
        write_levels(plan, run, observer)?;
    }
    let validation = log.best().map(|best| best.loss);
    Ok(Training { steps: trainer.step(), loss, validation, seconds: log.since_start() })
}

/// A training run at work.
struct Run<'a> {
    plan: &'a Plan,
    run: &'a RunDir,
    settings: &'a TrainSpec,
    hash: String,
    log: Log,
    observer: &'a dyn Observer,
}

impl Run<'_> {
    /// Steps to the end; the last mean loss in the log, if a step was made.
    fn steps(&mut self, trainer: &mut Trainer) -> Result<Option<f64>> {
        let examples = self.settings.validate.map(|validate| self.plan.validation(validate.count));
        let mut last = None;
        while !self.is_stale(trainer.step()) {
            let Some(progress) = trainer.next() else { break };
            let progress = progress?;
            let step = progress.step;
            if let Some(pace) = self.log.record(progress)? {
                self.observer.note(&self.note(pace));
                last = Some(pace.loss);
            }
            if let (Some(validate), Some(examples)) = (self.settings.validate, &examples)
                && step.is_multiple_of(validate.every)
            {
                let loss = trainer.validate(examples);
                if self.log.validated(loss, &trainer.checkpoint(&self.hash))? {
                    self.save(trainer, BEST, 1)?;
                }
            }
            let ends = step == self.settings.steps || self.is_stale(step);
            if self.settings.snapshot_every.is_some_and(|every| step.is_multiple_of(every) || ends) {
                trainer.snapshot(&self.hash).save(&self.run.checkpoints().join(SNAPSHOTS), usize::MAX)?;
            }
            self.observer.advance(1);
            let stopped = self.observer.stopped();
            if stopped || ends || step.is_multiple_of(self.settings.checkpoint_every) {
                self.save(trainer, "", self.settings.keep)?;
            }
            if stopped && !ends {
                return Err(self.interrupted(step));
            }
        }
        if trainer.step() < self.settings.steps {
            let best = self.log.best().map_or(0, |best| best.step);
            self.observer.say(&format!(
                "stopped early at step {}: the validation loss has not fallen since step {best}",
                trainer.step()
            ));
        }
        Ok(last)
    }

    /// What stands beside the bar.
    fn note(&self, Pace { loss, rate }: Pace) -> String {
        let what = if self.plan.data().shape().len() == 3 { "images" } else { "points" };
        let memory = memory::resident().map_or(String::new(), |held| format!("  {} MiB", held.now >> 20));
        format!("loss {loss:.4}  {rate:.0} {what}/s{memory}")
    }

    /// Whether to stop before the last step: a function of the checkpoint, so that a run that was stopped stays so.
    fn is_stale(&self, step: usize) -> bool {
        let (Some(stop), Some(validate)) = (self.settings.early_stop, self.settings.validate) else { return false };
        self.log.best().is_some_and(|best| step >= best.step + stop.patience * validate.every)
    }

    fn save(&mut self, trainer: &Trainer, folder: &str, keep: usize) -> Result<()> {
        let mut checkpoint = trainer.checkpoint(&self.hash);
        self.log.sign(&mut checkpoint)?;
        let manifest = checkpoint.save(&self.run.checkpoints().join(folder), keep)?;
        self.observer.detail(&format!("checkpoint {}", manifest.display()));
        Ok(())
    }

    fn interrupted(&self, step: usize) -> Error {
        let (checkpoints, run) = (self.run.checkpoints(), self.run.path());
        let remedy = format!(
            "the checkpoint of step {step} is in {}; continue with --resume --out {}",
            checkpoints.display(),
            run.display()
        );
        Error::Interrupted { remedy }
    }
}
