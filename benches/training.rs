//! What a training step costs, and what its parts do.
//!
//! The MLP 2 → 256 × 4 → 2 on two moons with EDM's process, loss and law of noise levels, clipping, AdamW and one moving
//! average, on all cores; and the update alone of P parameters with clipping and one moving average.
//!
//! `--serve BATCH` and `--serve-update P` instead answer each number of steps on standard input with a line
//! `seconds peak`, the peak of resident memory being in KiB: `scripts/compare-pytorch` drives them so in turns with
//! PyTorch.

use std::hint::black_box;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use ornstein::data::{Toy, TwoMoons};
use ornstein::model::{Builder, Mlp, Prediction};
use ornstein::sde::Edm;
use ornstein::tensor;
use ornstein::threads::Workers;
use ornstein::train::{
    AdamW, Buffers, Constant, EdmWeighting, HalfLife, Learner, LogNormal, Moments, Objective, Trainer, TrainerSettings,
    Update, norm,
};
use tch::{Device, Kind, Tensor};

/// A run without an end at a batch of this size.
fn trainer(batch: usize) -> Trainer {
    let mut builder = Builder::new(0, Device::Cpu);
    let network = Box::new(Mlp::default().build(2, 0, &mut builder));
    let learner = Learner { network, uncertainty: None, parameters: builder.finish() };
    let objective = Objective {
        sde: Arc::new(Edm::default()),
        time: Arc::new(LogNormal::default()),
        strata: 1,
        weighting: Arc::new(EdmWeighting {}),
        prediction: Prediction::Edm,
        sigma_data: 0.7,
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
    Trainer::new(settings, objective, Arc::new(Toy(TwoMoons::default())), learner, workers)
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

/// Steps of a run without an end.
fn steps(batch: usize) -> impl FnMut() {
    let mut trainer = trainer(batch);
    move || {
        black_box(trainer.next().expect("a run without an end").expect("a finite loss"));
    }
}

fn main() {
    tensor::keep_memory();
    tch::set_num_threads(1);
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--serve", batch, ..] => return serve(steps(batch.parse().expect("the size of a batch"))),
        [_, "--serve-update", count, ..] => return serve(updates(count.parse().expect("a number of parameters"))),
        _ => {}
    }

    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut group = criterion.benchmark_group("training step");
    for batch in [512, 4096] {
        let mut step = steps(batch);
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |b| b.iter(&mut step));
    }
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
