//! What a run will take, before it runs: seconds and memory.
//!
//! Time is measured: the fastest of a few real training steps at the initial parameters and of a few pairs of sampling
//! steps, on as many threads as the run will use, multiplied by how many there will be. Where a full batch would take
//! too long, a smaller one is measured and scaled by its examples. Writing checkpoints, distances and figures are not
//! counted.
//!
//! Memory is measured while this happens (LibTorch's own pages are most of a small run), and completed by counting
//! bytes: what a full batch, all samples and a checkpoint add.
//!
//! The figures are those of this machine at this moment. On an idle machine, time is right within a factor of 3 and
//! memory within a factor of 2 (tests/forecast.rs).

use std::time::{Duration, Instant};

use serde::Serialize;
use tch::Device;

use super::likelihood_spec::LikelihoodSpec;
use super::memory::{allocated, forget_peak, give_back, installed, resident};
use super::model_spec::ModelSpec;
use super::plan::{Effort, Plan};
use super::stage::rehearse;
use super::train_spec::TrainSpec;
use crate::error::Result;
use crate::solve::{Schedule, prior};
use crate::train::part_of;

/// What a run will take.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// Memory; none where it cannot be told.
    pub memory: Option<Memory>,
    /// Training; none where there is none, or where it could not be measured.
    pub training: Option<Training>,
    /// Sampling; none where it could not be measured.
    pub sampling: Option<Sampling>,
    /// The section `likelihood`; none where there is none, or where it could not be measured.
    pub likelihood: Option<Sampling>,
    /// Seconds that the comparison samples for, without solvers that choose their own steps and without distances.
    pub comparison_seconds: Option<f64>,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
}

/// The memory of the process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// What the program and LibTorch take before any work, in bytes.
    pub baseline_bytes: u64,
    /// The most that the run will take, with that, in bytes.
    pub peak_bytes: u64,
}

/// Training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Training {
    /// Of one step.
    pub seconds_per_step: f64,
    /// Of all steps, with validation.
    pub seconds: f64,
}

/// The sampling run of `sample`, or the flow of `likelihood` with its divergence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sampling {
    /// Of one evaluation for one sample, while all threads are at work.
    pub seconds_per_evaluation: f64,
    /// Of all samples; none where a tolerance decides how many evaluations there are.
    pub seconds: Option<f64>,
}

/// How long a training step that is measured may take, and all of them together.
const STEP: Duration = Duration::from_millis(150);
const STEPS: Duration = Duration::from_millis(600);

/// The same for two steps of sampling.
const SAMPLING: Duration = Duration::from_millis(250);

/// What drawing figures takes, in bytes: most of it is pixels, so it hardly depends on the experiment.
const REPORT: f64 = 30.0 * (1 << 20) as f64;

/// How often one thing is measured at most.
const REPEATS: usize = 5;

/// The examples with which measuring starts.
const FEW: usize = 8;

/// Measures and counts what a run of the plan will take; `effort` is what its solver was seen to make, if it is known.
///
/// # Errors
/// When the network is not made for the data.
pub fn forecast(plan: &Plan, effort: Option<Effort>) -> Result<Forecast> {
    let mut forecast = Forecast::default();
    let bytes = Bytes::of(plan);
    let on_host = plan.compute.device == Device::Cpu;
    let start = resident().filter(|_| on_host);
    if !on_host {
        let notes = "memory is not measured on a GPU, which counts its own; the parameters, their moments and averages \
                     take";
        forecast.notes.push(format!("{notes} {}", mebibytes(bytes.state)));
    }
    if let (Some(start), Some(installed)) = (start, installed()) {
        let least = start.now as f64 + bytes.least();
        if least > installed as f64 {
            let (least, installed) = (mebibytes(least), mebibytes(installed as f64));
            forecast
                .notes
                .push(format!("this needs at least {least}, and the machine has {installed}; nothing was tried"));
            forecast.memory =
                Some(Memory { baseline_bytes: start.now, peak_bytes: (start.now as f64 + bytes.least()) as u64 });
            return Ok(forecast);
        }
    }
    forget_peak();
    let peak = || resident().map_or(0.0, |resident| resident.peak as f64);
    let (mut training, mut sampling) = (0.0, 0.0);
    if let Some(train) = &plan.spec.train {
        match measure_training(plan, train) {
            Ok(probe) => {
                forecast.training =
                    Some(Training { seconds_per_step: probe.seconds, seconds: probe.seconds * train.steps as f64 });
                training = peak() + bytes.unseen(&probe);
            }
            Err(note) => forecast.notes.push(format!("training: {note}")),
        }
    }
    match measure_sampling(plan) {
        Ok(probe) => {
            forecast.take_sampling(plan, probe.seconds, effort);
            let full = plan.spec.sample.count.min(plan.chunk() * plan.compute.workers.count());
            sampling = peak() + probe.bytes_per_example * (full - probe.measured) as f64;
        }
        Err(note) => forecast.notes.push(format!("sampling: {note}")),
    }
    if let Some(likelihood) = &plan.spec.likelihood {
        match measure_likelihood(plan, likelihood) {
            Ok(likelihood) => forecast.likelihood = Some(likelihood),
            Err(note) => forecast.notes.push(format!("likelihood: {note}")),
        }
    }
    forecast.memory = start.map(|start| {
        let most = training.max(sampling).max(start.now as f64) + bytes.samples + REPORT;
        Memory { baseline_bytes: start.now, peak_bytes: most as u64 }
    });
    Ok(forecast)
}

impl Forecast {
    /// What follows from the time of one evaluation for one sample.
    fn take_sampling(&mut self, plan: &Plan, each: f64, effort: Option<Effort>) {
        let sample = &plan.spec.sample;
        let evaluations = effort.map(|effort| effort.over(sample.steps()));
        self.sampling = Some(Sampling {
            seconds_per_evaluation: each,
            seconds: evaluations.map(|evaluations| each * evaluations * sample.count as f64),
        });
        self.comparison_seconds =
            plan.spec.compare.as_ref().map(|compare| each * compare.evaluations(sample.count) as f64);
        if let (Some(training), Some(train)) = (&mut self.training, &plan.spec.train)
            && let Some(validate) = train.validate
        {
            // Each validation, and the noise levels at the end, evaluate the network without a gradient.
            let times = (train.steps / validate.every) as f64 + LEVELS;
            training.seconds += each * times * validate.count as f64;
        }
    }
}

/// The noise levels at which a trained model is looked at.
const LEVELS: f64 = 32.0;

/// What was measured, on how many examples or samples.
struct Probe {
    measured: usize,
    seconds: f64,
    /// How much memory one example more takes.
    bytes_per_example: f64,
}

/// Seconds of a training step.
fn measure_training(plan: &Plan, train: &TrainSpec) -> Result<Probe> {
    let mut trainer = plan.trainer()?;
    let mut step = |batch: usize| -> Result<f64> {
        let start = Instant::now();
        trainer.rehearse(batch)?;
        Ok(start.elapsed().as_secs_f64())
    };
    let workers = plan.compute.workers.count();
    let parallel = |batch: usize| match plan.compute.device {
        Device::Cpu => load(batch, part(batch, plan.grain()), workers),
        _ => batch as f64,
    };
    let few = train.batch.min(FEW);
    // The first step wakes up libraries and threads.
    step(few)?;
    let batch = affordable(train.batch, few, fastest(STEP, || step(few))?, STEP);
    step(batch)?;
    let seconds = fastest(STEPS, || step(batch))?;
    let scale = parallel(train.batch) / parallel(batch);
    let before = allocated();
    let loss = trainer.loss(few);
    let held = before.zip(allocated()).map_or(0, |(before, after)| after.wrapping_sub(before).max(0));
    drop(loss);
    let bytes_per_example = f64::from(held) / few as f64;
    Ok(Probe { measured: batch, seconds: seconds * scale, bytes_per_example })
}

/// Seconds of an evaluation for one sample, all threads being at work.
fn measure_sampling(plan: &Plan) -> Result<Probe> {
    let sample = &plan.spec.sample;
    let model = plan.initial(plan.sigma_data());
    let choice = plan.sample_choice();
    let mut sampler = plan.sampler(&choice, sample.steps(), plan.spec.seed).expect("the experiment was checked");
    match &mut sampler.schedule {
        Schedule::Times(times) => times.truncate(3),
        // Error control begins with steps of about this length.
        Schedule::Adaptive { between: (start, end), .. } => *end = *start + 0.01 * (*end - *start),
    }
    let (shape, workers) = (plan.data().shape(), plan.compute.workers.count());
    let run = |count: usize| -> Result<(f64, f64)> {
        let init = prior(&*plan.sde, plan.spec.seed, count, &shape, plan.options());
        let start = Instant::now();
        let run = sampler.run(&*model, &init, &plan.compute.workers, &|_| Ok(()))?;
        // Reading a sum waits for a GPU.
        let _ = run.x.sum(run.x.kind()).double_value(&[]);
        Ok((start.elapsed().as_secs_f64(), run.nfe))
    };
    let full = sample.count.min(plan.chunk() * workers);
    let few = full.min(FEW);
    run(few)?;
    let (first, of_few) = watched(|| run(few));
    first?;
    let cost = fastest(SAMPLING, || Ok(run(few)?.0))?;
    // More than a few in any case, to see how memory grows.
    let count = affordable(full, few, cost, SAMPLING).max(full.min(2 * few));
    let (first, of_count) = watched(|| run(count));
    let nfe = first?.1;
    let seconds = fastest(SAMPLING, || Ok(run(count)?.0))?;
    let bytes_per_example = (of_count - of_few).max(0.0) / (count - few).max(1) as f64;
    let scale = load(sample.count, plan.chunk(), workers) / load(count, plan.chunk(), workers);
    Ok(Probe { measured: count, seconds: seconds / nfe.max(1.0) * scale / sample.count as f64, bytes_per_example })
}

/// Seconds of an evaluation of the flow with its divergence for one sample, all threads being at work, and of all of them.
fn measure_likelihood(plan: &Plan, spec: &LikelihoodSpec) -> Result<Sampling> {
    let (model, mut count) = (plan.initial(plan.sigma_data()), spec.count.min(FEW));
    let rehearse = |count: usize| rehearse(plan, spec, &*model, count);
    let (mut nfe, mut seconds) = rehearse(count).and_then(|_| rehearse(count))?;
    // Few samples cost little less than many, as long as calling operators is most of it.
    while affordable(spec.count, count, seconds, SAMPLING) >= 2 * count {
        count = affordable(spec.count, count, seconds, SAMPLING);
        (nfe, seconds) = rehearse(count)?;
    }
    let seconds = fastest(SAMPLING, || Ok(rehearse(count)?.1))?.min(seconds);
    let sampler = |count: usize| spec.sampler(plan, count, None);
    let of_all = |count: usize| load(count, sampler(count).chunk, plan.compute.workers.count());
    let each = seconds / nfe.max(1.0) * of_all(spec.count) / of_all(count) / spec.count as f64;
    let all = |steps: usize| each * nfe * steps as f64 / steps.min(2) as f64 * (spec.count * spec.draws) as f64;
    Ok(Sampling { seconds_per_evaluation: each, seconds: sampler(count).schedule.steps().map(all) })
}

/// The least of some measurements, of which the last starts within a time: other programs only ever add.
fn fastest(time: Duration, mut seconds: impl FnMut() -> Result<f64>) -> Result<f64> {
    let (start, mut least) = (Instant::now(), f64::INFINITY);
    for repeat in 0..REPEATS {
        if repeat > 0 && start.elapsed() > time {
            break;
        }
        least = least.min(seconds()?);
    }
    Ok(least)
}

/// Does something, and sees how many bytes it takes at most.
fn watched<T>(work: impl FnOnce() -> T) -> (T, f64) {
    give_back();
    forget_peak();
    let before = resident();
    let done = work();
    (done, before.zip(resident()).map_or(0.0, |(before, after)| after.peak.saturating_sub(before.now) as f64))
}

/// The part of `total` that the busiest of `workers` gets, where each takes up to `part` at a time.
fn load(total: usize, part: usize, workers: usize) -> f64 {
    total as f64 / total.div_ceil(part).min(workers).max(1) as f64
}

/// As many as can be measured in a time, when `few` took so long; at most all.
fn affordable(all: usize, few: usize, seconds: f64, time: Duration) -> usize {
    let fit = few as f64 * time.as_secs_f64() / seconds.max(1e-9);
    all.min(few.max(fit as usize))
}

/// Bytes, counted.
struct Bytes {
    /// Of one buffer of all parameters in float32.
    buffer: f64,
    /// Of parameters, moments and averages.
    state: f64,
    /// Of what a checkpoint copies: all buffers as bytes, and once more in one piece.
    checkpoint: f64,
    /// Of all samples: normals in float64, the state, and two copies on the way into the file.
    samples: f64,
    /// Of the data that an empirical model keeps.
    points: f64,
    batch: usize,
    grain: i64,
    workers: usize,
}

impl Bytes {
    fn of(plan: &Plan) -> Self {
        let (mut state, mut checkpoint) = (0.0, 0.0);
        let buffer = 4.0 * plan.parameters() as f64;
        if let Some(train) = &plan.spec.train {
            state = buffer * (3 + train.ema.0.len()) as f64;
            checkpoint = 2.0 * state;
        }
        let size = plan.data().shape().iter().product::<i64>() as f64;
        let points = match plan.spec.model {
            ModelSpec::Empirical(model) => 24.0 * size * model.points as f64,
            _ => 0.0,
        };
        Bytes {
            buffer,
            state,
            checkpoint,
            samples: 32.0 * size * plan.spec.sample.count as f64,
            points,
            batch: plan.spec.train.as_ref().map_or(0, |train| train.batch),
            grain: plan.grain(),
            workers: plan.compute.workers.count(),
        }
    }

    /// What a step takes beside activations: the gradient, and those of the parts of the batch that are at work or wait
    /// for their turn.
    fn step(&self, batch: usize) -> f64 {
        self.buffer * (batch.div_ceil(part(batch, self.grain)).min(self.workers + 1) + 1) as f64
    }

    /// The examples whose gradients are computed at the same time.
    fn at_once(&self, batch: usize) -> usize {
        batch.min(part(batch, self.grain) * self.workers)
    }

    /// Less than this the run cannot take.
    fn least(&self) -> f64 {
        self.state + self.step(self.batch).max(self.checkpoint) + self.samples + self.points
    }

    /// What a run takes beyond the training steps that were measured.
    fn unseen(&self, probe: &Probe) -> f64 {
        let more = self.at_once(self.batch).saturating_sub(self.at_once(probe.measured));
        let activations = probe.bytes_per_example * more as f64;
        let gradients = self.step(self.batch) - self.step(probe.measured);
        // A checkpoint finds the memory that steps have left free.
        activations + gradients + (self.checkpoint - self.step(self.batch) - activations).max(0.0)
    }
}

/// The examples of a batch whose gradient one thread computes at a time.
fn part(batch: usize, grain: i64) -> usize {
    part_of(batch as i64, grain) as usize
}

/// Bytes for people.
pub fn mebibytes(bytes: f64) -> String {
    match bytes / f64::from(1 << 20) {
        small if small < 9_999.5 => format!("{small:.0} MiB"),
        large => format!("{:.1} GiB", large / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_worker_decides() {
        assert_eq!(load(512, 128, 2), 256.0);
        assert_eq!(load(100, 128, 2), 100.0);
        assert_eq!(load(512, 128, 100), 128.0);
        assert_eq!(load(10_000, 1024, 4), 2500.0);
    }

    #[test]
    fn no_more_is_measured_than_there_is_time_for() {
        assert_eq!(affordable(512, 8, 1e-3, STEP), 512);
        assert_eq!(affordable(512, 8, 0.125, STEP), 9);
        assert_eq!(affordable(512, 8, 5.0, STEP), 8);
    }

    #[test]
    fn bytes_are_for_people() {
        assert_eq!(mebibytes(1.5 * f64::from(1 << 20)), "2 MiB");
        assert_eq!(mebibytes(1e13), "9313.2 GiB");
    }
}
