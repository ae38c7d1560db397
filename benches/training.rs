//! What a training step costs, and what its parts do.
//!
//! The MLP 2 → 256 × 4 → 2 on two moons with EDM's process, loss and law of noise levels, clipping, AdamW and one moving
//! average, on all cores; and the update alone of P parameters with clipping and one moving average.
//!
//! Beside it the U-Net of 1.6 M parameters for images of 32 × 32 (channels 32-64-64, two blocks a level, attention at
//! 16 × 16): a training step, and its forward pass as sampling makes it.
//!
//! `--serve BATCH`, `--serve-unet BATCH`, `--serve-unet-forward BATCH` and `--serve-update P` instead answer each number of steps on standard input with a line
//! `seconds peak`, the peak of resident memory being in KiB: `scripts/compare-pytorch` drives them so in turns with
//! PyTorch.

use std::hint::black_box;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use ornstein::data::{Dataset, Toy, TwoMoons};
use ornstein::model::{
    Builder, Condition, Interface, Mlp, Network, Parameters, Preconditioning, Prediction, Trained, Unet,
};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::{Model, parts};
use ornstein::sde::Edm;
use ornstein::tensor;
use ornstein::threads::Workers;
use ornstein::train::{
    AdamW, Buffers, Constant, EdmWeighting, HalfLife, Learner, LogNormal, Moments, Objective, Told, Trainer,
    TrainerSettings, Update, norm,
};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// Images that are drawn once.
#[derive(Debug)]
struct Fixed(Tensor);

// SAFETY: the one tensor is only read.
unsafe impl Sync for Fixed {}

impl Dataset for Fixed {
    fn shape(&self) -> Vec<i64> {
        self.0.size()[1..].to_vec()
    }

    fn draw(&self, _stream: Stream, _first: u64, count: usize) -> Tensor {
        self.0.narrow(0, 0, count as i64)
    }
}

/// Images `[count, 1, 32, 32]`.
fn images(count: i64) -> Tensor {
    let like = Tensor::empty([count, 1, 32, 32], (Kind::Float, Device::Cpu));
    tensor::normals(Stream::new(0, Purpose::Data), 0, 0, &like) * 0.5
}

/// The U-Net with its first parameters.
fn unet() -> (Box<dyn Network>, Parameters) {
    let mut builder = Builder::new(0, Device::Cpu);
    let network = Unet::default().build(&Interface::of_shape(&[1, 32, 32]), 0, &mut builder).expect("images");
    (Box::new(network), builder.finish())
}

/// The MLP with its first parameters.
fn mlp() -> (Box<dyn Network>, Parameters) {
    let mut builder = Builder::new(0, Device::Cpu);
    let network = Mlp::default().build(2, 0, &mut builder);
    (Box::new(network), builder.finish())
}

/// A run without an end at a batch of this size.
fn trainer(batch: usize, (network, parameters): (Box<dyn Network>, Parameters), data: Arc<dyn Dataset>) -> Trainer {
    let learner = Learner { network, uncertainty: None, parameters, told: Told::default() };
    let objective = Objective {
        sde: Arc::new(Edm::default()),
        time: Arc::new(LogNormal::default()),
        strata: 1,
        weighting: Arc::new(EdmWeighting {}),
        preconditioning: Preconditioning::new(Prediction::Edm, 0.7),
        seed: 0,
    };
    let settings = TrainerSettings {
        steps: usize::MAX,
        batch,
        optimizer: AdamW::default(),
        schedule: Arc::new(Constant {}),
        warmup: 0,
        clip: Some(1.0),
        averages: vec![Arc::new(HalfLife::default())],
        seed: 0,
    };
    let workers = Workers::new(0).expect("threads can be started").into();
    Trainer::new(settings, objective, data, learner, workers)
}

/// An update of `count` parameters and one moving average, with the norm that clipping asks for.
fn updates(count: i64) -> impl FnMut() {
    let workers = Workers::new(0).expect("threads can be started");
    let mut theta = Tensor::randn([count], (Kind::Float, Device::Cpu));
    let mut gradient = &theta * 1e-3;
    let mut moments = Moments { first: theta.zeros_like(), second: theta.zeros_like() };
    let mut averages = [theta.copy()];
    move || {
        let scale = (1.0 / norm(&mut gradient, &workers)).min(1.0);
        let update = Update { scale, adamw: AdamW::default().at(10, 1.0), weights: vec![1e-3] };
        let (gradient, averages) = (&mut gradient, &mut averages[..]);
        update.apply(Buffers { theta: &mut theta, gradient, moments: &mut moments, averages }, &workers);
    }
}

/// The peak of resident memory in KiB, or 0 where the system does not tell it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Makes as many steps as each line of standard input asks for.
fn serve(mut step: impl FnMut()) {
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line.expect("standard input").trim().parse().expect("a number of steps");
        let start = Instant::now();
        (0..steps).for_each(|_| step());
        println!("{} {}", start.elapsed().as_secs_f64(), peak());
    }
}

/// The denoiser of the U-Net on `batch` images, as sampling evaluates it: in parts on the workers.
fn forward(batch: i64) -> impl FnMut() {
    let workers = Workers::new(0).expect("threads can be started");
    let (network, _) = unet();
    let chunk = 2 * network.grain();
    let sde = Arc::new(Edm::default());
    let preconditioning = Preconditioning::new(Prediction::Edm, 0.5);
    let model = Trained { network, preconditioning, sde, condition: Condition::default() };
    let x = images(batch);
    move || {
        let parts: Vec<_> = parts(&model, &x, chunk).collect();
        let work = |(_, model, x): (i64, Box<dyn Model>, Tensor)| tch::no_grad(|| model.denoise(&x, 1.0));
        black_box(workers.install(|| parts.into_par_iter().map(work).collect::<Vec<_>>()));
    }
}

/// Steps of a run without an end.
fn steps(mut trainer: Trainer) -> impl FnMut() {
    move || {
        black_box(trainer.next().expect("a run without an end").expect("a finite loss"));
    }
}

/// Training steps of the MLP.
fn points(batch: usize) -> impl FnMut() {
    steps(trainer(batch, mlp(), Arc::new(Toy(TwoMoons::default()))))
}

/// Training steps of the U-Net.
fn pictures(batch: usize) -> impl FnMut() {
    steps(trainer(batch, unet(), Arc::new(Fixed(images(batch as i64)))))
}

fn main() {
    tensor::keep_memory();
    tch::set_num_threads(1);
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--serve", batch, ..] => return serve(points(batch.parse().expect("the size of a batch"))),
        [_, "--serve-unet", batch, ..] => return serve(pictures(batch.parse().expect("the size of a batch"))),
        [_, "--serve-unet-forward", batch, ..] => return serve(forward(batch.parse().expect("the size of a batch"))),
        [_, "--serve-update", count, ..] => return serve(updates(count.parse().expect("a number of parameters"))),
        _ => {}
    }

    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut group = criterion.benchmark_group("training step");
    for batch in [512, 4096] {
        let mut step = points(batch);
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |b| b.iter(&mut step));
    }
    group.finish();
    let mut group = criterion.benchmark_group("U-Net");
    let (mut step, mut pass) = (pictures(64), forward(64));
    group.sample_size(10).throughput(Throughput::Elements(64));
    group.bench_function("training step", |b| b.iter(&mut step));
    group.bench_function("forward", |b| b.iter(&mut pass));
    group.finish();
    let mut group = criterion.benchmark_group("update");
    for count in [270_000, 10_000_000] {
        let mut update = updates(count);
        // The gradient is read twice; θ, m, v and the average are read and written.
        group.throughput(Throughput::Bytes(10 * 4 * count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| b.iter(&mut update));
    }
    group.finish();
    criterion.final_summary();
}
