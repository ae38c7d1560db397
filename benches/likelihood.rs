//! What a log-likelihood costs beside the network: time of a solution with Hutchinson's estimate ÷ (evaluations × one bare
//! forward), at most 3.2.
//!
//! The U-Net of 1.6 M parameters on 16 images of 32 × 32, and the MLP 2 → 256 × 4 → 2 at batch 2048, on one thread. Solution
//! and forwards alternate, and the median of their ratios is printed, since machines are shared and an absolute time means
//! little.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ornstein::likelihood::{Divergence, Hutchinson, log_density};
use ornstein::model::{Builder, Condition, Interface, Mlp, Network, Preconditioning, Prediction, Trained, Unet};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::Model;
use ornstein::sde::{Sde, Vp};
use ornstein::solve::{Grid, Heun, LogSnr, NoiseSource, Sampler, Schedule};
use ornstein::tensor;
use ornstein::threads::Workers;
use tch::{Device, Kind, Tensor};

const STEPS: usize = 3;
const ROUNDS: usize = 9;

fn trained(network: impl FnOnce(&mut Builder) -> Box<dyn Network>) -> Trained {
    let mut builder = Builder::new(0, Device::Cpu);
    let network = network(&mut builder);
    let parameters = builder.finish();
    // The output layer starts at zero, which would make every state trivial.
    let values = tensor::normals(Stream::new(0, Purpose::Init), 0, 1, &parameters.flat().unsqueeze(0)) * 0.05;
    tch::no_grad(|| parameters.flat().copy_(&values.squeeze_dim(0)));
    let (sde, preconditioning) = (Arc::new(Vp::default()), Preconditioning::new(Prediction::Edm, 0.7));
    Trained { network, preconditioning, sde, condition: Condition::default() }
}

/// The median over rounds of the cost of an evaluation with its divergence, in forwards.
fn ratio(model: &Trained, x: &Tensor) -> f64 {
    let sde: Arc<dyn Sde> = model.sde.clone();
    let divergence: Arc<dyn Divergence> = Arc::new(Hutchinson::default());
    let workers = Workers::new(1).expect("a thread");
    let batch = x.size()[0];
    let once = || {
        let schedule = Schedule::Times(LogSnr {}.times(&*sde, STEPS));
        let noise = NoiseSource::Fresh;
        let sampler = Sampler { method: Heun {}.into(), schedule, noise, seed: 0, chunk: batch as usize };
        let start = Instant::now();
        let found = log_density((model, &sde), (x, 0), &divergence, sampler, &workers, &|_| Ok(())).expect("a flow");
        (start.elapsed().as_secs_f64() / found.run.nfe, found.run.nfe as usize)
    };
    let forward = |count: usize| {
        let part = model.part(0, batch);
        let start = Instant::now();
        tch::no_grad(|| (0..count).for_each(|_| drop(black_box(part.denoise(x, 0.5)))));
        start.elapsed().as_secs_f64() / count as f64
    };
    once();
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (each, count) = once();
            each / forward(count)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

fn main() {
    // Asked for by `cargo test --benches`, which only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tch::set_num_threads(1);
    tensor::keep_memory();
    let states = |shape: &[i64]| {
        tensor::normals(Stream::new(1, Purpose::Data), 0, 0, &Tensor::empty(shape, (Kind::Double, Device::Cpu)))
    };
    let images = Interface::of_shape(&[1, 32, 32]);
    let unet = trained(|builder| Box::new(Unet::default().build(&images, 0, builder).expect("images")));
    println!("unet  {:.2} forwards an evaluation (at most 3.2)", ratio(&unet, &states(&[16, 1, 32, 32])));
    let mlp = trained(|builder| Box::new(Mlp::default().build(2, 0, builder)));
    println!("mlp   {:.2} forwards an evaluation (at most 3.2)", ratio(&mlp, &states(&[2048, 2])));
}
