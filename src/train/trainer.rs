//! The training loop, one step at a time; the caller owns the `for`.

use std::collections::HashMap;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::checkpoint::{FIXED, PARAMETERS};
use super::gradient::GradientSum;
use super::update::norm;
use super::{AdamW, Averaging, Buffers, Checkpoint, LogUncertainty, Mean, Moments, Objective, Schedule, Update};
use crate::data::{Dataset, Examples};
use crate::error::{Error, Result};
use crate::model::{Condition, Leaves, Network, Parameters};
use crate::rng::{Purpose, Stream};
use crate::tensor;
use crate::threads::Workers;

/// How to train.
#[derive(Clone, Debug)]
pub struct TrainerSettings {
    /// Steps in all.
    pub steps: usize,
    /// Examples in each step.
    pub batch: usize,
    /// The optimizer.
    pub optimizer: AdamW,
    /// How the learning rate changes.
    pub schedule: Arc<dyn Schedule>,
    /// Steps over which the learning rate rises from zero.
    pub warmup: usize,
    /// The norm to which gradients are clipped.
    pub clip: Option<f64>,
    /// The moving averages; the first is validated, and sampled unless another is asked for.
    pub averages: Vec<Arc<dyn Averaging>>,
    /// The seed of the data stream.
    pub seed: u64,
}

/// What is trained.
#[derive(Debug)]
pub struct Learner {
    /// The backbone.
    pub network: Box<dyn Network>,
    /// The uncertainty of each noise level, where it is learned too.
    pub uncertainty: Option<LogUncertainty>,
    /// The parameters of both.
    pub parameters: Parameters,
    /// What of its examples the network is told.
    pub told: Told,
}

/// What a network is told of examples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Their classes.
    pub classes: bool,
    /// How they were augmented.
    pub augmentations: bool,
}

impl Told {
    /// The condition of some examples.
    pub fn of(self, examples: &Examples, device: Device) -> Condition {
        let move_to = |x: &Tensor| x.to_device(device);
        Condition {
            label: examples.class.as_ref().filter(|_| self.classes).map(move_to),
            vector: examples.augmentation.as_ref().filter(|_| self.augmentations).map(move_to),
            ..Condition::default()
        }
    }
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

/// A network in training. Its whole state is (step, parameters, averages, moments): data, times and perturbations are
/// functions of the step, so a run resumes bit for bit.
#[derive(Debug)]
pub struct Trainer {
    settings: TrainerSettings,
    objective: Objective,
    data: Arc<dyn Dataset>,
    learner: Learner,
    averages: Vec<Tensor>,
    moments: Moments,
    gradient: GradientSum,
    workers: Arc<Workers>,
    step: usize,
}

/// The first of the examples of validation, which no training reaches: their times and perturbations are their own.
const VALIDATION: u64 = 1 << 62;

/// Examples whose gradient one thread computes at a time on the CPU: an eighth of the batch, within half of the network's
/// grain and the whole of it. A small batch is halved while that leaves work enough. It does not depend on the number of
/// threads, so that the sum over parts does not either.
pub fn part_of(batch: i64, grain: i64) -> i64 {
    let grain = grain.max(1);
    (batch / 8).clamp((grain + 1) / 2, grain).min((batch / 2).max(grain / 4).max(1))
}

/// One thread's share of a step.
struct Part {
    network: Box<dyn Network>,
    uncertainty: Option<LogUncertainty>,
    leaves: Leaves,
    x0: Tensor,
    condition: Condition,
    first: u64,
}

/// Examples on the device of the network, with what it is told of them.
struct Batch {
    x0: Tensor,
    condition: Condition,
}

impl Trainer {
    /// A run at step 0.
    pub fn new(
        settings: TrainerSettings,
        objective: Objective,
        data: Arc<dyn Dataset>,
        learner: Learner,
        workers: Arc<Workers>,
    ) -> Self {
        let flat = learner.parameters.flat();
        let moments = Moments { first: flat.zeros_like(), second: flat.zeros_like() };
        let averages = settings.averages.iter().map(|_| flat.copy()).collect();
        let gradient = GradientSum::new(&learner.parameters);
        Trainer { settings, objective, data, learner, averages, moments, gradient, workers, step: 0 }
    }

    /// Steps made so far.
    pub fn step(&self) -> usize {
        self.step
    }

    /// θ̄ `[P]`, the first moving average.
    pub fn average(&self) -> &Tensor {
        &self.averages[0]
    }

    /// The parameters by name, `[…]`.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.learner.parameters.named(&self.learner.parameters.flat())
    }

    /// The state as a checkpoint of `experiment`.
    pub fn checkpoint(&self, experiment: &str) -> Checkpoint {
        self.saved(experiment, self.buffers())
    }

    /// The moving averages alone, from which those of other lengths can be made.
    pub fn snapshot(&self, experiment: &str) -> Checkpoint {
        self.saved(experiment, self.averaged().collect())
    }

    fn saved(&self, experiment: &str, buffers: Vec<(String, Tensor)>) -> Checkpoint {
        let mut tensors = HashMap::new();
        for (buffer, flat) in buffers {
            for (name, value) in self.learner.parameters.named(&flat) {
                tensors.insert(format!("{buffer}/{name}"), value);
            }
        }
        let fixed = self.learner.parameters.fixed();
        tensors.extend(fixed.into_iter().map(|(name, value)| (format!("{FIXED}/{name}"), value)));
        let flat = self.learner.parameters.flat();
        Checkpoint::new(self.step, experiment, self.objective.preconditioning.sigma_data, flat.device(), tensors)
    }

    /// Continues from a checkpoint.
    ///
    /// # Errors
    /// When it is of another network.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let parameters = &self.learner.parameters;
        checkpoint.copy_fixed(parameters)?;
        self.step = checkpoint.manifest.step;
        if self.step > 0 {
            return self.buffers().iter().try_for_each(|(buffer, flat)| checkpoint.copy_all(buffer, parameters, flat));
        }
        checkpoint.copy_all(PARAMETERS, parameters, &parameters.flat())?;
        tch::no_grad(|| {
            self.averages.iter_mut().for_each(|average| average.copy_(&parameters.flat()));
            let _ = (self.moments.first.zero_(), self.moments.second.zero_());
        });
        Ok(())
    }

    fn averaged(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.averages.iter().enumerate().map(|(i, average)| (format!("ema.{i}"), average.shallow_clone()))
    }

    fn buffers(&self) -> Vec<(String, Tensor)> {
        let mut buffers = vec![
            (PARAMETERS.to_owned(), self.learner.parameters.flat()),
            ("adamw/first".to_owned(), self.moments.first.shallow_clone()),
            ("adamw/second".to_owned(), self.moments.second.shallow_clone()),
        ];
        buffers.extend(self.averaged());
        buffers
    }

    /// The weighted loss of the first moving average on two or more examples.
    ///
    /// Times (one in each of N equal parts of their law) and perturbations are the same in every call, so that one call
    /// can be compared with another. It does not depend on the number of threads.
    pub fn validate(&mut self, examples: &Examples) -> Mean {
        let batch = self.batch(examples);
        let objective = Objective { strata: batch.x0.size()[0] as usize, ..self.objective.clone() };
        let mut flat = self.learner.parameters.flat();
        let kept = flat.copy();
        tch::no_grad(|| flat.copy_(&self.averages[0]));
        let work = |part: Part| {
            let losses = objective.losses(&*part.network, &part.x0, part.first, &part.condition);
            tensor::to_array(&losses).into_iter().collect::<Vec<f64>>()
        };
        let mut losses = Vec::new();
        self.workers.in_order(self.parts(&batch, VALIDATION), work, |part| losses.extend(part));
        tch::no_grad(|| flat.copy_(&kept));
        Mean::of(&losses)
    }

    fn batch(&self, examples: &Examples) -> Batch {
        let device = self.learner.parameters.flat().device();
        let x0 = examples.x.to_kind(Kind::Float).to_device(device);
        Batch { x0, condition: self.learner.told.of(examples, device) }
    }

    /// A batch in parts for one thread each.
    fn parts(&self, Batch { x0, condition }: &Batch, first: u64) -> impl Iterator<Item = Part> + Send + use<> {
        let batch = x0.size()[0];
        // A GPU has its own parallelism.
        let size = if x0.device() == Device::Cpu { part_of(batch, self.learner.network.grain()) } else { batch };
        let part = |start: i64| Part {
            network: self.learner.network.share(),
            uncertainty: self.learner.uncertainty.as_ref().map(LogUncertainty::share),
            leaves: self.learner.parameters.leaves(),
            x0: x0.narrow(0, start, size.min(batch - start)),
            condition: condition.narrow(start, size.min(batch - start)),
            first: first + start as u64,
        };
        (0..batch).step_by(size as usize).map(part).collect::<Vec<_>>().into_iter()
    }

    /// The loss of a batch, whose gradient is left in `self.gradient`: parts of the batch side by side, each on one
    /// thread, summed in order.
    fn differentiate(&mut self, examples: &Batch, first: u64) -> f64 {
        let x0 = &examples.x0;
        let batch = x0.size()[0];
        let parts = self.parts(examples, first);
        let objective = &self.objective;
        let work = |part: Part| {
            let uncertainty = part.uncertainty.as_ref();
            let loss = objective.loss(&*part.network, uncertainty, &part.x0, part.first, &part.condition);
            let loss = loss * (part.x0.size()[0] as f64 / batch as f64);
            (loss.double_value(&[]), part.leaves.gradient(&loss))
        };
        let (mut loss, sum) = (0.0, &mut self.gradient);
        sum.clear();
        let add = |(more, gradient)| {
            loss += more;
            sum.add(gradient);
        };
        match x0.device() {
            Device::Cpu => self.workers.in_order(parts, work, add),
            _ => parts.map(work).for_each(add),
        }
        loss
    }

    /// A step on `batch` examples, to see what it takes. A run that made one is none to go on with.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite.
    pub fn rehearse(&mut self, batch: usize) -> Result<Progress> {
        self.settings.batch = batch;
        self.advance()
    }

    /// The loss of `batch` examples with all that its gradient needs, to see how much that is.
    pub fn loss(&self, batch: usize) -> Tensor {
        let Batch { x0, condition } = self.drawn(0, batch);
        let Learner { network, uncertainty, .. } = &self.learner;
        self.objective.loss(&**network, uncertainty.as_ref(), &x0, 0, &condition)
    }

    /// Examples of training from `first` on.
    fn drawn(&self, first: u64, count: usize) -> Batch {
        self.batch(&self.data.examples(Stream::new(self.settings.seed, Purpose::Data), first, count))
    }

    fn advance(&mut self) -> Result<Progress> {
        let TrainerSettings { batch, optimizer, clip, .. } = self.settings;
        let first = (self.step * batch) as u64;
        let mut theta = self.learner.parameters.flat();
        let examples = self.drawn(first, batch);
        let loss = self.differentiate(&examples, first);
        let norm = norm(&mut self.gradient.flat, &self.workers);
        let step = self.step + 1;
        if !(loss.is_finite() && norm.is_finite()) {
            // Nothing is updated: the parameters are still those that made it.
            return Err(self.diverged(loss, &examples, first));
        }
        self.step = step;
        let scale = (step as f64 / self.settings.warmup.max(1) as f64).min(1.0) * self.settings.schedule.scale(step);
        let update = Update {
            scale: clip.map_or(1.0, |most| (most / norm).min(1.0)),
            adamw: optimizer.at(step, scale),
            weights: self.settings.averages.iter().map(|average| 1.0 - average.decay(step)).collect(),
        };
        let Trainer { averages, moments, gradient, workers, .. } = self;
        let gradient = &mut gradient.flat;
        update.apply(Buffers { theta: &mut theta, gradient, moments, averages }, workers);
        Ok(Progress { step, loss, gradient: norm, lr: optimizer.lr * scale })
    }

    /// What happened in the step that could not be made, with the noise level of the example with the greatest loss.
    fn diverged(&self, loss: f64, Batch { x0, condition }: &Batch, first: u64) -> Error {
        let losses = self.objective.losses(&*self.learner.network, x0, first, condition);
        let rank = |loss: &f64| if loss.is_finite() { *loss } else { f64::INFINITY };
        let losses = tensor::to_array(&losses);
        let worst = losses.iter().enumerate().max_by(|a, b| rank(a.1).total_cmp(&rank(b.1)));
        let t = self.objective.time_of(first + worst.expect("a batch has at least one example").0 as u64);
        let scale = x0.to_kind(Kind::Double).square().mean(Kind::Double).sqrt().double_value(&[]);
        let remedy = if (1e-3..1e3).contains(&scale) {
            "lower train.optimizer.adamw.lr, lengthen train.warmup or clip harder, and train anew; with the same settings \
             it would end here again"
                .to_owned()
        } else {
            format!(
                "the data's root mean square is {scale:.1e}: scale them to about 1 (`standardise: true` for a table)"
            )
        };
        Error::Diverged {
            what: if loss.is_finite() { "the gradient" } else { "the loss" }.into(),
            step: self.step + 1,
            t,
            ratio: self.objective.sde.kernel(t).ratio(),
            remedy,
        }
    }
}

impl Iterator for Trainer {
    type Item = Result<Progress>;

    fn next(&mut self) -> Option<Self::Item> {
        let workers = self.workers.clone();
        (self.step < self.settings.steps).then(|| match self.learner.parameters.flat().device() {
            // On a worker from end to end: none is woken twice in a step.
            Device::Cpu => workers.install(|| self.advance()),
            _ => self.advance(),
        })
    }
}
