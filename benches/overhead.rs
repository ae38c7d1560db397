//! What sampling costs beside the network: time of a run ÷ (evaluations × one bare forward), at most 1.10.
//!
//! The MLP 2 → 256 × 4 → 2 at batch 4096, on one thread and on all cores. Run and forwards alternate, and the median of
//! their ratios is printed, since machines are shared and an absolute time means little. Noise is included.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::Criterion;
use ornstein::model::{Builder, Condition, Mlp, Network, Prediction, Trained};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::{Denoiser, Model};
use ornstein::sde::{Sde, Vp};
use ornstein::solve::{
    Ddim, Dpmpp2m, EulerMaruyama, Grid, Heun, Langevin, LogSnr, Method, NoiseSource, ReverseDiffusion, Rk4, Sampler,
    Schedule, prior,
};
use ornstein::tensor;
use ornstein::threads::Workers;
use tch::{Device, Kind, Tensor};

const BATCH: usize = 4096;
const STEPS: usize = 20;
const ROUNDS: usize = 9;

fn model() -> Trained {
    let mut builder = Builder::new(0, Device::Cpu);
    let network = Box::new(Mlp::default().build(2, 0, &mut builder));
    let parameters = builder.finish();
    // The output layer starts at zero, which would make every state trivial.
    let values = tensor::normals(Stream::new(0, Purpose::Init), 0, 1, &parameters.flat().unsqueeze(0)) * 0.05;
    tch::no_grad(|| parameters.flat().copy_(&values.squeeze_dim(0)));
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    Trained { network, prediction: Prediction::Edm, sde, sigma_data: 0.7, condition: Condition::default() }
}

fn sampler(method: Method, chunk: usize) -> Sampler {
    let schedule = Schedule::Times(LogSnr {}.times(&Vp::default(), STEPS));
    Sampler { method, schedule, noise: NoiseSource::Fresh, seed: 0, chunk }
}

fn methods() -> Vec<(&'static str, Method)> {
    let corrected = Method { corrector: Some(Box::new(Langevin::default())), ..ReverseDiffusion {}.into() };
    vec![
        ("euler_maruyama", EulerMaruyama {}.into()),
        ("ddim", Ddim::default().into()),
        ("ancestral (ddim η = 1)", Ddim { eta: 1.0 }.into()),
        ("heun", Heun {}.into()),
        ("rk4", Rk4 {}.into()),
        ("dpmpp_2m", Dpmpp2m {}.into()),
        ("predictor_corrector", corrected),
    ]
}

/// Seconds of the bare network on the whole batch, `count` times.
fn forwards(network: &dyn Network, x: &Tensor, count: usize) -> f64 {
    let noise = Tensor::from_slice(&[0.1f32]);
    let condition = Condition::default();
    let start = Instant::now();
    tch::no_grad(|| {
        for _ in 0..count {
            let _ = black_box(network.forward(x, &noise, &condition, false));
        }
    });
    start.elapsed().as_secs_f64()
}

/// The same on a worker, where sampling runs; or, with several threads, on LibTorch's own.
fn bare(model: &Trained, x: &Tensor, count: usize, workers: &Workers) -> f64 {
    let (network, x) = (model.network.share(), x.shallow_clone());
    if workers.count() == 1 {
        return workers.install(move || forwards(&*network, &x, count));
    }
    forwards(&*network, &x, count)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the ratio for every solver: the whole batch in one piece on one thread, and chunks on all cores against
/// LibTorch's own threads.
fn ratios(model: &Trained, init: &Tensor) {
    for (threads, chunk) in [(1, BATCH), (num_cores(), 1024)] {
        let workers = Workers::new(threads).expect("threads can be started");
        tch::set_num_threads(threads as i32);
        println!("\n{threads} thread(s), chunks of {chunk}: time of a run ÷ (evaluations × bare forward)");
        bare(model, init, STEPS, &workers);
        for (name, method) in methods() {
            let sampler = sampler(method, chunk);
            let run = || sampler.run(model, init, &workers, &|_| Ok(())).expect("the run is finite");
            run();
            let ratio = |_| {
                let run = run();
                run.seconds / bare(model, init, run.nfe as usize, &workers)
            };
            println!("  {name:<24} {:.3}", median((0..ROUNDS).map(ratio).collect()));
        }
    }
    tch::set_num_threads(1);
}

fn num_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn main() {
    tensor::keep_memory();
    let model = model();
    let init = prior(model.sde(), 0, BATCH, &[2], (Kind::Float, Device::Cpu));
    ratios(&model, &init);

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let workers = Workers::new(1).expect("threads can be started");
    criterion.bench_function("forward, batch 4096", |b| b.iter(|| forwards(&*model.network, &init, 1)));
    let part = model.part(0, BATCH as i64);
    criterion
        .bench_function("denoise, batch 4096", |b| b.iter(|| tch::no_grad(|| black_box(part.denoise(&init, 0.5)))));
    let stream = Stream::new(0, Purpose::Brownian);
    criterion.bench_function("normals, 4096 × 2", |b| b.iter(|| black_box(tensor::normals(stream, 0, 0, &init))));
    for (name, method) in methods() {
        let sampler = sampler(method, BATCH);
        criterion.bench_function(&format!("{name}, {STEPS} steps"), |b| {
            b.iter(|| sampler.run(&model, &init, &workers, &|_| Ok(())).expect("the run is finite"))
        });
    }
    criterion.final_summary();
}
