//! What several test binaries need: processes, solvers, one integration, and the exact law of an affine sampler.

// Each test binary compiles this file and uses its own part of it.
#![allow(dead_code)]

use std::sync::Arc;

use ndarray::{Array1, Array2};
use ornstein::score::exact::{Exact, Law};
use ornstein::score::{Denoiser, Model};
use ornstein::sde::{Cosine, Edm, Flow, Sde, SubVp, Ve, Vp};
use ornstein::solve::{
    Ancestral, Bosh3, Ddim, Dopri5, DpmAdaptive, Dpmpp2m, EdmHeun, Euler, EulerMaruyama, GottaGoFast, Grid, Heun,
    Integrator, LogSnr, Method, Noise, NoiseSource, Replay, ReverseDiffusion, Rk4, Run, Sampler, Schedule, Variance,
};
use ornstein::tensor::to_rows;
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
    ("dpmpp_2m", || Dpmpp2m {}.into()),
    ("dpm_adaptive", || DpmAdaptive::default().into()),
];

/// Every stochastic solver.
pub const STOCHASTIC: [Maker; 6] = [
    ("euler_maruyama", || EulerMaruyama {}.into()),
    ("reverse_diffusion", || ReverseDiffusion {}.into()),
    ("ancestral posterior", || Ancestral { variance: Variance::Posterior }.into()),
    ("ancestral forward", || Ancestral { variance: Variance::Forward }.into()),
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
    let workers = Workers::new(threads).unwrap();
    sampler.run(model, init, &workers, &|_| Ok(())).expect("an exact denoiser on a fixed grid gives finite states")
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

/// The mean `[D]` and covariance `[D, D]` of a Gaussian state.
#[derive(Clone, Debug)]
pub struct Gaussian {
    pub mean: Array1<f64>,
    pub cov: Array2<f64>,
}

impl Gaussian {
    pub fn scalar(mean: f64, variance: f64) -> Self {
        Gaussian { mean: Array1::from_elem(1, mean), cov: Array2::from_elem((1, 1), variance) }
    }

    /// The marginal of data with this law at time t: N(α μ, α² Σ + σ² I).
    pub fn at(&self, sde: &dyn Sde, t: f64) -> Self {
        let k = sde.kernel(t);
        let noise = Array2::<f64>::eye(self.mean.len()) * (k.sigma * k.sigma);
        Gaussian { mean: &self.mean * k.alpha, cov: &self.cov * (k.alpha * k.alpha) + noise }
    }

    /// Its exact denoiser, through the full-covariance code.
    pub fn denoiser(&self, sde: &Arc<dyn Sde>) -> Exact {
        let covariance: Vec<Vec<f64>> = self.cov.outer_iter().map(|row| row.to_vec()).collect();
        let law = Law::gaussian(&self.mean.to_vec(), &covariance).expect("a positive semi-definite covariance");
        Exact::new(&law, sde.clone(), DOUBLE)
    }

    /// The largest difference to another law, mean and covariance each relative to their own scale.
    pub fn distance(&self, other: &Gaussian) -> f64 {
        let worst = |a: &[f64], b: &[f64]| {
            let scale = b.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
            a.iter().zip(b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs() / scale))
        };
        let [a, b] = [self, other].map(|g| (g.mean.to_vec(), g.cov.iter().copied().collect::<Vec<_>>()));
        worst(&a.0, &b.0).max(worst(&a.1, &b.1))
    }
}

/// Counts the draws of a run and gives zeros.
#[derive(Debug, Default)]
struct Draws(usize);

impl Noise for Draws {
    fn increment(&mut self, like: &Tensor, _a: f64, _b: f64) -> Tensor {
        self.normal(like)
    }
    fn normal(&mut self, like: &Tensor) -> Tensor {
        self.0 += 1;
        like.zeros_like()
    }
}

/// The affine map x_T, ξ₁ … ξ_M ↦ x that a linear sampler is.
///
/// For Gaussian data the denoiser is affine, so that one batched run of the production integrator on unit vectors gives
/// x = offset + A x_T + Σ_m B_m ξ_m exactly, and with it the law of the output without Monte Carlo.
pub struct AffineMap {
    pub offset: Array1<f64>,
    /// A, then B₁ … B_M, each `[D, D]`.
    pub gains: Vec<Array2<f64>>,
}

impl AffineMap {
    pub fn of(denoiser: &dyn Denoiser, method: &Method, times: &[f64], dim: usize) -> Self {
        let mut draws = Draws::default();
        let _ = integrate(denoiser, method, times, &mut draws, &Tensor::zeros([1, dim as i64], DOUBLE));
        let (d, inputs) = (dim as i64, 1 + draws.0 as i64);
        // Row 0 is the image of zero, row 1 + m D + j that of the j-th unit vector in input m.
        let batch = 1 + inputs * d;
        let mut units = vec![0.0; (inputs * batch * d) as usize];
        for m in 0..inputs {
            for j in 0..d {
                units[(m * batch * d + (1 + m * d + j) * d + j) as usize] = 1.0;
            }
        }
        let units = Tensor::from_slice(&units).reshape([inputs, batch, d]);
        let mut noise = Replay::new(units.narrow(0, 1, inputs - 1));
        let out = to_rows(&integrate(denoiser, method, times, &mut noise, &units.get(0)));
        let offset = out.row(0).to_owned();
        let gain = |m: usize| Array2::from_shape_fn((dim, dim), |(i, j)| out[[1 + m * dim + j, i]] - offset[i]);
        AffineMap { gains: (0..inputs as usize).map(gain).collect(), offset }
    }

    /// The law of the output when x_T has the law `start`.
    pub fn push(&self, start: &Gaussian) -> Gaussian {
        let carry = &self.gains[0];
        let mean = &self.offset + &carry.dot(&start.mean);
        let zero = Array2::<f64>::zeros(start.cov.dim());
        let noise = self.gains[1..].iter().fold(zero, |sum, b| sum + b.dot(&b.t()));
        Gaussian { mean, cov: carry.dot(&start.cov).dot(&carry.t()) + noise }
    }
}

/// The law after `times` of a sampler that starts from the exact marginal of `data` at the first time.
pub fn output_law(data: &Gaussian, sde: &Arc<dyn Sde>, method: &Method, times: &[f64]) -> Gaussian {
    let map = AffineMap::of(&data.denoiser(sde), method, times, data.mean.len());
    map.push(&data.at(&**sde, times[0]))
}
