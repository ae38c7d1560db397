//! What several test binaries need: processes, solvers, one integration.

// Each test binary compiles this file and uses its own part of it.
#![allow(dead_code)]

use std::sync::Arc;

pub use ornstein::order::{AffineMap, Gaussian};
use ornstein::score::{Denoiser, Model};
use ornstein::sde::{Cosine, Edm, Flow, Sde, SubVp, Ve, Vp};
use ornstein::solve::{
    Ancestral, Bosh3, Ddim, Dopri5, DpmAdaptive, Dpmpp2m, EdmHeun, Euler, EulerMaruyama, GottaGoFast, Grid, Heun,
    Integrator, LogSnr, Method, Noise, NoiseSource, ReverseDiffusion, Rk4, Run, Sampler, Schedule, Variance,
};
use ornstein::threads::Workers;
use tch::{Device, Kind, Tensor};

/// Exact work is done in float64.
pub const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
pub const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A process with its default settings.
#[derive(Clone, Debug)]
pub struct Process {
    pub name: &'static str,
    pub sde: Arc<dyn Sde>,
}

/// LibTorch's own threads collapse where tests share the cores; the setting is per thread, and so per test.
fn one_thread() {
    tch::set_num_threads(1);
}

/// Every process at its defaults.
pub fn processes() -> Vec<Process> {
    one_thread();
    let process = |name, sde| Process { name, sde };
    vec![
        process("vp", Arc::new(Vp::default())),
        process("sub_vp", Arc::new(SubVp::default())),
        process("ve", Arc::new(Ve::default())),
        process("edm", Arc::new(Edm::default())),
        process("cosine", Arc::new(Cosine::default())),
        process("flow", Arc::new(Flow::default())),
    ]
}

/// A maker of a solver under its name: `Method` owns its solver, so each use makes a new one.
pub type Maker = (&'static str, fn() -> Method);

/// Every deterministic solver that runs on a fixed grid.
pub const DETERMINISTIC: [Maker; 9] = [
    ("ddim", || Ddim::default().into()),
    ("euler", || Euler {}.into()),
    ("heun", || Heun {}.into()),
    ("rk4", || Rk4 {}.into()),
    ("bosh3", || Bosh3::default().into()),
    ("dopri5", || Dopri5::default().into()),
    ("edm_heun", || EdmHeun::default().into()),
    ("dpmpp_2m", || Dpmpp2m::default().into()),
    ("dpm_adaptive", || DpmAdaptive::default().into()),
];

/// Every stochastic solver.
pub const STOCHASTIC: [Maker; 6] = [
    ("euler_maruyama", || EulerMaruyama::default().into()),
    ("reverse_diffusion", || ReverseDiffusion {}.into()),
    ("ancestral posterior", || Ancestral::default().into()),
    ("ancestral forward", || Ancestral { variance: Variance::Forward, ..Default::default() }.into()),
    ("ddim eta=1", || Ddim { eta: 1.0 }.into()),
    ("gotta_go_fast", || GottaGoFast::default().into()),
];

/// N steps, equal in log-SNR, over the span of a process.
pub fn log_snr(sde: &dyn Sde, steps: usize) -> Vec<f64> {
    LogSnr {}.times(sde, steps)
}

/// One run of the production integrator.
pub fn integrate(denoiser: &dyn Denoiser, method: &Method, times: &[f64], noise: &mut dyn Noise, x: &Tensor) -> Tensor {
    one_thread();
    let run = Integrator::new(denoiser, method, times, noise, x.shallow_clone()).run(|_| Ok(()));
    run.expect("an exact denoiser on a finite grid gives finite states")
}

/// A fixed grid, fresh noise, one seed.
pub fn sampler(method: Method, times: Vec<f64>) -> Sampler {
    Sampler { method, schedule: Schedule::Times(times), noise: NoiseSource::Fresh, seed: 7, chunk: 1024 }
}

/// A sampling run that must succeed.
pub fn run(sampler: &Sampler, model: &dyn Model, init: &Tensor, threads: usize) -> Run {
    run_from(0, sampler, model, init, threads)
}

/// The same of the samples from `first` on of a larger batch.
pub fn run_from(first: usize, sampler: &Sampler, model: &dyn Model, init: &Tensor, threads: usize) -> Run {
    let (workers, tick) = (Workers::new(threads).unwrap(), |_| Ok(()));
    let run = sampler.run_from(first, model, init, &workers, &tick);
    run.expect("an exact denoiser on a fixed grid gives finite states")
}

/// A run without noise; a solver that asks for some gets a panic rather than silence.
pub fn integrate_ode(denoiser: &dyn Denoiser, method: &Method, times: &[f64], x: &Tensor) -> Tensor {
    #[derive(Debug)]
    struct Silent;
    impl Noise for Silent {
        fn increment(&mut self, _like: &Tensor, _a: f64, _b: f64) -> Tensor {
            panic!("a deterministic solver asked for noise")
        }
        fn normal(&mut self, _like: &Tensor) -> Tensor {
            panic!("a deterministic solver asked for noise")
        }
    }
    integrate(denoiser, method, times, &mut Silent, x)
}

/// Host numbers `[B][D]` as a tensor.
pub fn rows<const D: usize>(values: &[[f64; D]]) -> Tensor {
    Tensor::from_slice(values.as_flattened()).reshape([values.len() as i64, D as i64])
}

/// max |a − b| / (1 + |b|).
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let b = b.to_kind(Kind::Double);
    ((a.to_kind(Kind::Double) - &b).abs() / (b.abs() + 1.0)).max().double_value(&[])
}

/// The law after `times` of a sampler that starts from the exact marginal of `data` at the first time.
pub fn output_law(data: &Gaussian, sde: &Arc<dyn Sde>, method: &Method, times: &[f64]) -> Gaussian {
    let map = AffineMap::of(&data.denoiser(sde), method, times, data.mean.len()).expect("linear maps stay finite");
    map.push(&data.at(&**sde, times[0]))
}
