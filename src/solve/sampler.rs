//! Sampling runs: chunks of a batch, side by side, each with the whole integration to itself.

use std::fmt::Debug;
use std::ops::Range;
use std::time::Instant;

use ndarray::{ArrayD, Axis, Slice};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::{
    AdaptiveIntegrator, BrownianPath, Clock, Embedded, Fresh, Integrator, Method, Motion, Noise, Replay, Tolerance,
};
use crate::error::Result;
use crate::rng::{Purpose, Stream};
use crate::score::{Counted, Denoiser, Model, parts};
use crate::sde::Sde;
use crate::tensor;
use crate::threads::{Workers, cpu_seconds};

/// Where the steps of a run end.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// At given times.
    Times(Vec<f64>),
    /// Where error control says for each sample, from one time to another; with a last step to σ = 0 or without.
    Adaptive {
        /// The tolerance of each step.
        tolerance: Tolerance,
        /// The first and the last time.
        between: (f64, f64),
        /// The time of a last step to σ = 0.
        finish: Option<f64>,
    },
}

impl Schedule {
    /// The number of steps where it is known beforehand.
    pub fn steps(&self) -> Option<usize> {
        match self {
            Schedule::Times(times) => Some(times.len() - 1),
            Schedule::Adaptive { .. } => None,
        }
    }

    /// How often a run counts each sample: at each step, and under error control when it has come to its end.
    pub fn ticks(&self) -> usize {
        self.steps().unwrap_or(1)
    }

    /// The same way, from the first time to the last, under error control.
    pub fn controlled(&self, sde: &dyn Sde, tolerance: Tolerance) -> Schedule {
        let between = self.between(sde);
        let finish = match self {
            Schedule::Times(times) => times.last().copied().filter(|&last| last != between.1),
            Schedule::Adaptive { finish, .. } => *finish,
        };
        Schedule::Adaptive { tolerance, between, finish }
    }

    /// The way back on the process with its clock turned round ([`Backward`](crate::sde::Backward)), up to where there is
    /// noise.
    fn reversed(&self) -> Schedule {
        match self {
            Schedule::Times(times) => Schedule::Times(times.iter().rev().map(|t| -t).collect()),
            &Schedule::Adaptive { tolerance, between: (t_max, t_min), .. } => {
                Schedule::Adaptive { tolerance, between: (-t_min, -t_max), finish: None }
            }
        }
    }

    /// The first time, and the last at which there is noise.
    fn between(&self, sde: &dyn Sde) -> (f64, f64) {
        match self {
            Schedule::Times(times) => {
                let last = times.iter().rev().find(|&&t| sde.kernel(t).sigma > 0.0);
                (times[0], last.copied().unwrap_or(times[0]))
            }
            Schedule::Adaptive { between, .. } => *between,
        }
    }
}

/// Where a run's noise comes from.
#[derive(Debug)]
pub enum NoiseSource {
    /// Independent increments.
    Fresh,
    /// One Brownian path for each sample, shared by all grids and by all solvers on the same clock.
    Brownian,
    /// Given standard normals `[draws, B, …]`.
    Replay(ArrayD<f64>),
}

/// Everything that determines a sampling run but the model and the initial state.
#[derive(Debug)]
pub struct Sampler {
    /// The solver and what surrounds it.
    pub method: Method,
    /// Its steps.
    pub schedule: Schedule,
    /// Its noise.
    pub noise: NoiseSource,
    /// The seed of x_T and of the noise.
    pub seed: u64,
    /// Samples that are integrated together; smaller ones run side by side.
    pub chunk: usize,
}

/// The outcome of a sampling run.
#[derive(Debug)]
pub struct Run {
    /// The samples `[B, …]`.
    pub x: Tensor,
    /// Evaluations of the denoiser per sample, measured; under error control, the mean over the samples.
    pub nfe: f64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Time of the processor, that of all threads together, which other programs do not lengthen. What another device
    /// does is not in it.
    pub cpu_seconds: f64,
}

/// x_T ~ N(0, prior_std² I) `[count, shape…]`: sample i is a function of (seed, i).
pub fn prior(sde: &dyn Sde, seed: u64, count: usize, shape: &[i64], options: (Kind, Device)) -> Tensor {
    prior_of(sde, seed, 0..count, shape, options)
}

/// Those of some samples `[|samples|, shape…]`.
pub fn prior_of(sde: &dyn Sde, seed: u64, samples: Range<usize>, shape: &[i64], options: (Kind, Device)) -> Tensor {
    let full: Vec<i64> = [samples.len() as i64].iter().chain(shape).copied().collect();
    let like = Tensor::empty(&full, options);
    tensor::normals(Stream::new(seed, Purpose::Prior), samples.start as u64, 0, &like) * sde.span().prior_std
}

/// A batch on its way.
#[derive(Debug)]
pub struct State {
    /// The number of the step that led here, from 1; under error control, of the round of tries.
    pub step: usize,
    /// The time of each sample; one for all on a grid.
    pub t: Vec<f64>,
    /// The states `[B, …]`.
    pub x: Tensor,
}

impl State {
    /// The time of a sample.
    pub fn time(&self, sample: usize) -> f64 {
        if self.t.len() == 1 { self.t[0] } else { self.t[sample] }
    }
}

/// One chunk's share of a run: the samples from `first` on.
struct Chunk {
    model: Box<dyn Model>,
    first: usize,
    x: Tensor,
}

impl Sampler {
    /// The same solver and seed on the way back, from the last time to the first, for a model with its clock turned round
    /// ([`Reversed`](crate::score::Reversed)). There is no way back from σ = 0, nor for noise.
    pub fn reversed(self) -> Self {
        Sampler { schedule: self.schedule.reversed(), ..self }
    }

    /// Integrates `init` `[B, …]` from the first time to the last.
    ///
    /// On the CPU, chunks run on `workers`; elsewhere they run one after the other. `tick` is called after each step with
    /// the number of samples that made it (under error control, that have come to their ends), and may stop the run.
    ///
    /// # Errors
    /// A state that is not finite, a tolerance that cannot be met, noise that runs out, whatever `tick` returns.
    pub fn run(
        &self,
        model: &dyn Model,
        init: &Tensor,
        workers: &Workers,
        tick: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Run> {
        self.run_from(0, model, init, workers, tick)
    }

    /// The same for the samples from `of` on of a larger batch, which are what they are in the whole: their noise is a function
    /// of their number. `model` is that of these samples.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn run_from(
        &self,
        of: usize,
        model: &dyn Model,
        init: &Tensor,
        workers: &Workers,
        tick: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Run> {
        let start = Instant::now();
        let batch = init.size()[0];
        let chunks = parts(model, init, self.chunk as i64).map(|(first, model, x)| Chunk {
            model,
            first: of + first as usize,
            x,
        });
        let integrate = |Chunk { model, first, x }: Chunk| {
            let (counted, count, start) = (Counted::new(&*model), x.size()[0] as usize, cpu_seconds());
            let x = match &self.schedule {
                Schedule::Times(times) => {
                    let noise = &mut *self.noise(model.sde(), first, count);
                    Integrator::new(&counted, &self.method, times, noise, x).run(|_| tick(count))?
                }
                Schedule::Adaptive { .. } => {
                    let motion = self.motion(model.sde(), first, count);
                    self.adaptive(&counted, motion, x).run(|_, advance| tick(advance.finished))?
                }
            };
            Ok((x, counted.count(), cpu_seconds() - start))
        };
        let results: Vec<(Tensor, usize, f64)> = if init.device() == Device::Cpu {
            let chunks: Vec<Chunk> = chunks.collect();
            workers.install(|| chunks.into_par_iter().map(integrate).collect::<Result<_>>())?
        } else {
            chunks.map(integrate).collect::<Result<_>>()?
        };
        let evaluations: usize = results.iter().map(|(_, count, _)| count).sum();
        let parts: Vec<&Tensor> = results.iter().map(|(x, _, _)| x).collect();
        let x = Tensor::cat(&parts, 0);
        let cpu_seconds = results.iter().map(|(_, _, seconds)| seconds).sum();
        Ok(Run { x, nfe: evaluations as f64 / batch as f64, seconds: start.elapsed().as_secs_f64(), cpu_seconds })
    }

    /// Integrates the whole of `init` together and keeps every state, the initial one included; under error control,
    /// one after each round in which a step was accepted.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn trajectory(&self, model: &dyn Model, init: &Tensor) -> Result<Vec<State>> {
        let (model, x, count) = (model.part(0, init.size()[0]), init.shallow_clone(), init.size()[0] as usize);
        let mut states = Vec::new();
        match &self.schedule {
            Schedule::Times(times) => {
                states.push(State { step: 0, t: vec![times[0]], x: init.shallow_clone() });
                let noise = &mut *self.noise(model.sde(), 0, count);
                for point in Integrator::new(&*model, &self.method, times, noise, x) {
                    let point = point?;
                    states.push(State { step: point.step, t: vec![point.t], x: point.x });
                }
            }
            Schedule::Adaptive { between, .. } => {
                states.push(State { step: 0, t: vec![between.0; count], x: init.shallow_clone() });
                let mut round = 0;
                let motion = self.motion(model.sde(), 0, count);
                let _ = self.adaptive(&*model, motion, x).run(|way, advance| {
                    round += 1;
                    if advance.accepted > 0 {
                        let (t, x) = way.state();
                        states.push(State { step: round, t, x });
                    }
                    Ok(())
                })?;
            }
        }
        Ok(states)
    }

    /// A run under error control.
    ///
    /// # Panics
    /// When the schedule has given times, or the solver does not estimate its error.
    pub fn adaptive<'a>(&'a self, denoiser: &'a dyn Denoiser, motion: Motion, x: Tensor) -> AdaptiveIntegrator<'a> {
        let Schedule::Adaptive { tolerance, between, finish } = self.schedule else { panic!("the times are given") };
        let pair: &dyn Embedded = self.method.solver.embedded().expect("a solver that estimates its error");
        let Method { corrector, churn, .. } = &self.method;
        assert!(corrector.is_none() && churn.is_none(), "correctors and churn act at one time for all samples");
        AdaptiveIntegrator::new(denoiser, (pair, tolerance), (between, finish), motion, x)
    }

    /// The noise of the samples `first..first + count` of a batch.
    fn noise(&self, sde: &dyn Sde, first: usize, count: usize) -> Box<dyn Noise + Send> {
        match &self.noise {
            NoiseSource::Fresh => Box::new(Fresh::new(self.seed, first as u64)),
            NoiseSource::Brownian => Box::new(self.path(sde, self.method.solver.clock(), first)),
            NoiseSource::Replay(normals) => {
                let mine = of_samples(normals, first, count);
                Box::new(Replay::new(tensor::from_array(&mine, (Kind::Double, Device::Cpu))))
            }
        }
    }

    fn motion(&self, sde: &dyn Sde, first: usize, count: usize) -> Motion {
        match &self.noise {
            NoiseSource::Fresh => Motion::fresh(self.seed, first as u64, count),
            NoiseSource::Brownian => Motion::along(self.path(sde, Clock::Time, first), count),
            NoiseSource::Replay(normals) => Motion::replay(of_samples(normals, first, count)),
        }
    }

    fn path(&self, sde: &dyn Sde, clock: Clock, first: usize) -> BrownianPath {
        let (t_max, t_min) = self.schedule.between(sde);
        BrownianPath::new(self.seed, first as u64, (clock.at(sde, t_max), clock.at(sde, t_min)))
    }
}

/// The normals of some samples.
fn of_samples(normals: &ArrayD<f64>, first: usize, count: usize) -> ArrayD<f64> {
    normals.slice_axis(Axis(1), Slice::from(first..first + count)).to_owned()
}
