//! The training loop, one step at a time; the caller owns the `for`.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::{AdamW, Checkpoint, Ema, Moments, Objective};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{Condition, Leaves, Network, Parameters};
use crate::rng::{Purpose, Stream};
use crate::threads::Workers;

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainerSettings {
    /// Steps in all.
    pub steps: usize,
    /// Examples in each step.
    pub batch: usize,
    /// The optimizer.
    pub optimizer: AdamW,
    /// Steps over which the learning rate rises from zero.
    pub warmup: usize,
    /// The norm to which gradients are clipped.
    pub clip: Option<f64>,
    /// The moving average from which samples are drawn.
    pub ema: Ema,
    /// The seed of the data stream.
    pub seed: u64,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The step, from 1.
    pub step: usize,
    /// The weighted denoising loss of its batch.
    pub loss: f64,
    /// The norm of the gradient before clipping.
    pub gradient: f64,
    /// The learning rate.
    pub lr: f64,
}

/// A network in training. Its whole state is (step, parameters, average, moments): data, times and perturbations are
/// functions of the step, so a run resumes bit for bit.
#[derive(Debug)]
pub struct Trainer {
    settings: TrainerSettings,
    objective: Objective,
    data: Arc<dyn Dataset>,
    network: Box<dyn Network>,
    parameters: Parameters,
    average: Tensor,
    moments: Moments,
    workers: Arc<Workers>,
    step: usize,
}

/// Examples whose gradient one thread computes at a time on the CPU. It does not depend on the number of threads, so
/// that the sum does not either.
const PART: usize = 128;

/// One thread's share of a step.
struct Part {
    network: Box<dyn Network>,
    leaves: Leaves,
    x0: Tensor,
    first: u64,
}

impl Trainer {
    /// A run at step 0.
    pub fn new(
        settings: TrainerSettings,
        objective: Objective,
        data: Arc<dyn Dataset>,
        (network, parameters): (Box<dyn Network>, Parameters),
        workers: Arc<Workers>,
    ) -> Self {
        let flat = parameters.flat();
        let moments = Moments { first: flat.zeros_like(), second: flat.zeros_like() };
        Trainer { settings, objective, data, network, average: flat.copy(), moments, parameters, workers, step: 0 }
    }

    /// Steps made so far.
    pub fn step(&self) -> usize {
        self.step
    }

    /// θ̄ `[P]`, the moving average.
    pub fn average(&self) -> &Tensor {
        &self.average
    }

    /// The state as a checkpoint of `experiment`.
    pub fn checkpoint(&self, experiment: &str) -> Checkpoint {
        let mut tensors = HashMap::new();
        for (buffer, flat) in self.buffers() {
            for (name, value) in self.parameters.named(&flat) {
                tensors.insert(format!("{buffer}/{name}"), value);
            }
        }
        Checkpoint::new(self.step, experiment, self.objective.sigma_data, tensors)
    }

    /// Continues from a checkpoint.
    ///
    /// # Errors
    /// When it is of another network.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        for (buffer, flat) in self.buffers() {
            for (name, mut value) in self.parameters.named(&flat) {
                checkpoint.copy(&format!("{buffer}/{name}"), &mut value)?;
            }
        }
        self.step = checkpoint.manifest.step;
        Ok(())
    }

    fn buffers(&self) -> [(&'static str, Tensor); 4] {
        [
            ("parameters", self.parameters.flat()),
            ("ema", self.average.shallow_clone()),
            ("adamw/first", self.moments.first.shallow_clone()),
            ("adamw/second", self.moments.second.shallow_clone()),
        ]
    }

    /// The loss of a batch and its gradient: parts of the batch side by side, each on one thread, summed in order.
    fn gradient(&self, x0: &Tensor, first: u64) -> (f64, Tensor) {
        let batch = x0.size()[0];
        // A GPU has its own parallelism.
        let size = if x0.device() == Device::Cpu { PART as i64 } else { batch };
        let part = |start: i64| Part {
            network: self.network.share(),
            leaves: self.parameters.leaves(),
            x0: x0.narrow(0, start, size.min(batch - start)),
            first: first + start as u64,
        };
        let objective = &self.objective;
        let work = |part: Part| {
            let loss = objective.loss(&*part.network, &part.x0, part.first, &Condition::default());
            let share = part.x0.size()[0] as f64 / batch as f64;
            (loss.double_value(&[]) * share, part.leaves.gradient(&loss) * share)
        };
        let starts = (0..batch).step_by(size as usize);
        let results: Vec<(f64, Tensor)> = if batch > size {
            let parts: Vec<Part> = starts.map(part).collect();
            self.workers.install(|| parts.into_par_iter().map(work).collect())
        } else {
            starts.map(part).map(work).collect()
        };
        let sum = results.into_iter().reduce(|(loss, mut gradient), (more, other)| {
            gradient += other;
            (loss + more, gradient)
        });
        sum.expect("a batch has at least one example")
    }

    fn advance(&mut self) -> Result<Progress> {
        let TrainerSettings { batch, optimizer, warmup, clip, ema, seed, .. } = self.settings;
        let first = (self.step * batch) as u64;
        let mut theta = self.parameters.flat();
        let options: (Kind, Device) = (Kind::Float, theta.device());
        let x0 = self.data.draw(Stream::new(seed, Purpose::Data), first, batch).to_kind(options.0).to_device(options.1);
        let (loss, gradient) = self.gradient(&x0, first);
        self.step += 1;
        let scale = (self.step as f64 / warmup.max(1) as f64).min(1.0);
        let norm = gradient.norm();
        let step = self.step;
        tch::no_grad(|| {
            let clipped = clip.map(|most| &gradient * (norm.reciprocal() * most).clamp_max(1.0));
            optimizer.step(&mut theta, clipped.as_ref().unwrap_or(&gradient), &mut self.moments, step, scale);
            ema.update(&mut self.average, &theta, step);
        });
        let gradient = norm.double_value(&[]);
        if !(loss.is_finite() && gradient.is_finite()) {
            let what = if loss.is_finite() { "the gradient" } else { "the loss" };
            let remedy = "lower train.optimizer.adamw.lr, lengthen train.warmup, or clip harder".to_owned();
            return Err(Error::Diverged { what: what.into(), step, remedy });
        }
        Ok(Progress { step, loss, gradient, lr: optimizer.lr * scale })
    }
}

impl Iterator for Trainer {
    type Item = Result<Progress>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.step < self.settings.steps).then(|| self.advance())
    }
}
