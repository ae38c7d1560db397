//! Sampling runs: chunks of a batch, side by side, each with the whole integration to itself.

use std::fmt::Debug;
use std::time::Instant;

use ndarray::{ArrayD, Axis, Slice};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::{
    BrownianPath, ErrorControl, FixedGrid, Fresh, Integrator, Method, Noise, Point, Replay, Stepping, Tolerance,
};
use crate::error::Result;
use crate::rng::{Purpose, Stream};
use crate::score::{Counted, Model};
use crate::sde::Sde;
use crate::tensor;
use crate::threads::Workers;

/// Where the steps of a run end.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// At given times, strictly decreasing.
    Times(Vec<f64>),
    /// Where error control says, from one time to another; with a last step to σ = 0 or without.
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
    /// A fresh stepping for one integration.
    pub fn stepping(&self) -> Box<dyn Stepping> {
        match self {
            Schedule::Times(times) => Box::new(FixedGrid::new(times.clone())),
            Schedule::Adaptive { tolerance, between, finish } => {
                Box::new(ErrorControl::new(*tolerance, *between, *finish))
            }
        }
    }

    /// The number of steps where it is known beforehand.
    pub fn steps(&self) -> Option<usize> {
        self.stepping().steps()
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
    /// Evaluations of the denoiser per sample, measured; a mean where error control differs between chunks.
    pub nfe: f64,
    /// Wall-clock time.
    pub seconds: f64,
}

/// x_T ~ N(0, prior_std² I) `[count, shape…]`: sample i is a function of (seed, i).
pub fn prior(sde: &dyn Sde, seed: u64, count: usize, shape: &[i64], options: (Kind, Device)) -> Tensor {
    let full: Vec<i64> = [count as i64].iter().chain(shape).copied().collect();
    let like = Tensor::empty(&full, options);
    tensor::normals(Stream::new(seed, Purpose::Prior), 0, 0, &like) * sde.span().prior_std
}

/// One chunk's share of a run.
struct Chunk {
    model: Box<dyn Model>,
    x: Tensor,
    noise: Box<dyn Noise + Send>,
}

impl Sampler {
    /// Integrates `init` `[B, …]` from the first time to the last.
    ///
    /// On the CPU, chunks run on `workers`; elsewhere they run one after the other. `tick` is called after each step
    /// with the number of samples that made it, and may stop the run.
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
        let start = Instant::now();
        let batch = init.size()[0];
        let chunks = (0..batch).step_by(self.chunk).map(|first| {
            let count = (batch - first).min(self.chunk as i64);
            let noise = self.noise(model.sde(), first as usize, count as usize);
            Chunk { model: model.part(first, count), x: init.narrow(0, first, count), noise }
        });
        let integrate = |chunk: Chunk| self.integrate(chunk, |point| tick(point.x.size()[0] as usize));
        let results: Vec<(Tensor, usize)> = if init.device() == Device::Cpu {
            let chunks: Vec<Chunk> = chunks.collect();
            workers.install(|| chunks.into_par_iter().map(integrate).collect::<Result<_>>())?
        } else {
            chunks.map(integrate).collect::<Result<_>>()?
        };
        let evaluations: f64 = results.iter().map(|(x, count)| x.size()[0] as f64 * *count as f64).sum();
        let parts: Vec<&Tensor> = results.iter().map(|(x, _)| x).collect();
        let x = Tensor::cat(&parts, 0);
        Ok(Run { x, nfe: evaluations / batch as f64, seconds: start.elapsed().as_secs_f64() })
    }

    /// Integrates the whole of `init` together and keeps every point, the initial one included.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn trajectory(&self, model: &dyn Model, init: &Tensor) -> Result<Vec<Point>> {
        let start = self.schedule.stepping().start().0;
        let mut points = vec![Point { step: 0, t: start, x: init.shallow_clone() }];
        let noise = self.noise(model.sde(), 0, init.size()[0] as usize);
        let _ =
            self.integrate(Chunk { model: model.part(0, init.size()[0]), x: init.shallow_clone(), noise }, |point| {
                points.push(Point { x: point.x.shallow_clone(), ..*point });
                Ok(())
            })?;
        Ok(points)
    }

    fn integrate(&self, chunk: Chunk, watch: impl FnMut(&Point) -> Result<()>) -> Result<(Tensor, usize)> {
        let Chunk { model, x, mut noise } = chunk;
        let counted = Counted::new(&*model);
        let x = Integrator::new(&counted, &self.method, self.schedule.stepping(), &mut *noise, x).run(watch)?;
        Ok((x, counted.count()))
    }

    fn noise(&self, sde: &dyn Sde, first: usize, count: usize) -> Box<dyn Noise + Send> {
        match &self.noise {
            NoiseSource::Fresh => Box::new(Fresh::new(self.seed, first as u64)),
            NoiseSource::Brownian => {
                let clock = self.method.solver.clock();
                let (t_max, t_min) = self.schedule.between(sde);
                Box::new(BrownianPath::new(self.seed, first as u64, (clock.at(sde, t_max), clock.at(sde, t_min))))
            }
            NoiseSource::Replay(normals) => {
                let mine = normals.slice_axis(Axis(1), Slice::from(first..first + count)).to_owned();
                Box::new(Replay::new(tensor::from_array(&mine, (Kind::Double, Device::Cpu))))
            }
        }
    }
}
