//! What sampling costs beside the network: time of a run ÷ (evaluations × one bare forward), at most 1.10.
//!
//! The MLP 2 → 256 × 4 → 2 at batch 4096, and the U-Net of 1.6 M parameters on 32 images of 32 × 32, on one thread and on
//! all cores. Run and forwards alternate, and the median of their ratios is printed, since machines are shared and an
//! absolute time means little. Noise is included.
//!
//! And what chunks on workers do for them: throughput and peak memory of a run in chunks and of one that leaves threading
//! to LibTorch, each in a process of its own, alone and beside a process that keeps one core busy, in turns.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use criterion::Criterion;
use ornstein::model::{Builder, Condition, Interface, Mlp, Network, Preconditioning, Prediction, Trained, Unet};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::Model;
use ornstein::sde::{Sde, Vp};
use ornstein::solve::{
    Ddim, Dpmpp2m, EulerMaruyama, Grid, Heun, Langevin, LogSnr, Method, NoiseSource, ReverseDiffusion, Rk4, Sampler,
    Schedule, prior,
};
use ornstein::tensor;
use ornstein::threads::Workers;
use tch::{Device, Kind, Tensor};

/// What is sampled.
#[derive(Clone, Copy, PartialEq)]
enum Subject {
    Mlp,
    Unet,
}

impl Subject {
    fn of(name: &str) -> Self {
        if name == "unet" { Subject::Unet } else { Subject::Mlp }
    }

    fn name(self) -> &'static str {
        match self {
            Subject::Mlp => "mlp",
            Subject::Unet => "unet",
        }
    }

    fn shape(self) -> &'static [i64] {
        match self {
            Subject::Mlp => &[2],
            Subject::Unet => &[1, 32, 32],
        }
    }

    fn batch(self) -> usize {
        match self {
            Subject::Mlp => 4096,
            Subject::Unet => 32,
        }
    }

    /// The samples of a chunk on all cores.
    fn chunk(self) -> usize {
        match self {
            Subject::Mlp => 1024,
            Subject::Unet => 16,
        }
    }

    fn steps(self) -> usize {
        match self {
            Subject::Mlp => 20,
            Subject::Unet => 5,
        }
    }

    fn rounds(self) -> usize {
        match self {
            Subject::Mlp => 9,
            Subject::Unet => 5,
        }
    }

    fn model(self) -> Trained {
        let mut builder = Builder::new(0, Device::Cpu);
        let network: Box<dyn Network> = match self {
            Subject::Mlp => Box::new(Mlp::default().build(2, 0, &mut builder)),
            Subject::Unet => {
                let interface = Interface::of_shape(self.shape());
                Box::new(Unet::default().build(&interface, 0, &mut builder).expect("images"))
            }
        };
        let parameters = builder.finish();
        // The output layer starts at zero, which would make every state trivial.
        let values = tensor::normals(Stream::new(0, Purpose::Init), 0, 1, &parameters.flat().unsqueeze(0)) * 0.05;
        tch::no_grad(|| parameters.flat().copy_(&values.squeeze_dim(0)));
        let sde: Arc<dyn Sde> = Arc::new(Vp::default());
        let preconditioning = Preconditioning::new(Prediction::Edm, 0.7);
        Trained { network, preconditioning, sde, condition: Condition::default() }
    }

    fn init(self) -> Tensor {
        prior(&Vp::default(), 0, self.batch(), self.shape(), (Kind::Float, Device::Cpu))
    }

    fn sampler(self, method: Method, chunk: usize) -> Sampler {
        let schedule = Schedule::Times(LogSnr {}.times(&Vp::default(), self.steps()));
        Sampler { method, schedule, noise: NoiseSource::Fresh, seed: 0, chunk }
    }
}

fn methods() -> Vec<(&'static str, Method)> {
    let corrected = Method { corrector: Some(Box::new(Langevin::default())), ..ReverseDiffusion {}.into() };
    vec![
        ("euler_maruyama", EulerMaruyama::default().into()),
        ("ddim", Ddim::default().into()),
        ("ancestral (ddim η = 1)", Ddim { eta: 1.0 }.into()),
        ("heun", Heun {}.into()),
        ("rk4", Rk4 {}.into()),
        ("dpmpp_2m", Dpmpp2m::default().into()),
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
            let _ = black_box(network.forward(x, &noise, &condition, None));
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
fn ratios(subject: Subject) {
    let (model, init) = (subject.model(), subject.init());
    for (threads, chunk) in [(1, subject.batch()), (num_cores(), subject.chunk())] {
        let workers = Workers::new(threads).expect("threads can be started");
        tch::set_num_threads(threads as i32);
        println!(
            "\n{}, {threads} thread(s), chunks of {chunk}: time of a run ÷ (evaluations × bare forward)",
            subject.name()
        );
        bare(&model, &init, subject.steps(), &workers);
        for (name, method) in methods() {
            let sampler = subject.sampler(method, chunk);
            let run = || sampler.run(&model, &init, &workers, &|_| Ok(())).expect("the run is finite");
            run();
            let ratio = |_| {
                let run = run();
                run.seconds / bare(&model, &init, run.nfe as usize, &workers)
            };
            println!("  {name:<24} {:.3}", median((0..subject.rounds()).map(ratio).collect()));
        }
    }
    tch::set_num_threads(1);
}

/// Who runs a batch on all cores.
#[derive(Clone, Copy)]
enum Threading {
    /// Our workers, in chunks.
    Chunks,
    /// LibTorch's own threads, the whole batch at once.
    LibTorch,
}

impl Threading {
    fn name(self) -> &'static str {
        match self {
            Threading::Chunks => "chunks",
            Threading::LibTorch => "libtorch",
        }
    }

    /// Makes a run for each line of standard input, and answers with its seconds and the peak of memory in KiB.
    fn serve(self, subject: Subject) {
        let (model, init) = (subject.model(), subject.init());
        let (workers, chunk) = match self {
            Threading::Chunks => (Workers::new(0), subject.chunk()),
            Threading::LibTorch => (Workers::new(1), subject.batch()),
        };
        let workers = workers.expect("threads can be started");
        if let Threading::LibTorch = self {
            workers.install(|| tch::set_num_threads(num_cores() as i32));
        }
        let sampler = subject.sampler(Dpmpp2m::default().into(), chunk);
        for line in std::io::stdin().lock().lines() {
            line.expect("standard input");
            let run = sampler.run(&model, &init, &workers, &|_| Ok(())).expect("the run is finite");
            println!("{} {}", run.seconds, peak());
        }
    }
}

/// The peak of resident memory in KiB, or 0 where the system does not tell it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Keeps one core busy until it is killed: core 0 where a process can be bound to it.
fn spin() -> ! {
    #[cfg(target_os = "linux")]
    // SAFETY: a set of cores is plain memory, which CPU_SET and the call stay within.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut cores);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cores);
    }
    loop {
        std::hint::spin_loop();
    }
}

/// This program again, told what to do; it ends with its owner.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Process { child, input, output }
    }

    /// Seconds of a run, and the peak of memory in KiB.
    fn run(&mut self) -> (f64, u64) {
        writeln!(self.input).expect("the process reads");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the process answers");
        let (seconds, peak) = answer.trim().split_once(' ').expect("two numbers");
        (seconds.parse().expect("seconds"), peak.parse().expect("KiB"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints throughput, alone and beside a busy process, and peak memory of both ways to use all cores.
fn threading(subject: Subject) {
    let ways = [Threading::Chunks, Threading::LibTorch];
    let mut processes = ways.map(|way| Process::start(&["--serve-sampling", subject.name(), way.name()]));
    let (mut alone, mut beside) = (ways.map(|_| Vec::new()), ways.map(|_| Vec::new()));
    let mut memory = [0; 2];
    for _ in 0..subject.rounds() {
        for (i, process) in processes.iter_mut().enumerate() {
            process.run();
            alone[i].push(process.run().0);
            let spinner = Process::start(&["--spin"]);
            process.run();
            let (seconds, peak) = process.run();
            beside[i].push(seconds);
            memory[i] = peak;
            drop(spinner);
        }
    }
    let (name, steps, batch) = (subject.name(), subject.steps(), subject.batch());
    println!("\n{name}: dpmpp_2m, {steps} steps, {batch} samples on {} cores, in samples per second", num_cores());
    println!("  {:<10} {:>10} {:>20} {:>6} {:>10}", "threads", "alone", "beside a busy core", "kept", "peak MiB");
    for (i, way) in ways.into_iter().enumerate() {
        let kept = alone[i].iter().zip(&beside[i]).map(|(alone, beside)| alone / beside).collect();
        let [alone, beside] = [&alone, &beside].map(|seconds| batch as f64 / median(seconds[i].clone()));
        let (kept, memory) = (median(kept), memory[i] as f64 / 1024.0);
        println!("  {:<10} {alone:>10.1} {beside:>20.1} {kept:>6.2} {memory:>10.0}", way.name());
    }
}

fn num_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn main() {
    tensor::keep_memory();
    match std::env::args().collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--serve-sampling", subject, "chunks"] => return Threading::Chunks.serve(Subject::of(subject)),
        [_, "--serve-sampling", subject, "libtorch"] => return Threading::LibTorch.serve(Subject::of(subject)),
        [_, "--spin"] => spin(),
        _ => {}
    }
    for subject in [Subject::Mlp, Subject::Unet] {
        threading(subject);
        ratios(subject);
    }

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let workers = Workers::new(1).expect("threads can be started");
    let (subject, model, init) = (Subject::Mlp, Subject::Mlp.model(), Subject::Mlp.init());
    criterion.bench_function("forward, batch 4096", |b| b.iter(|| forwards(&*model.network, &init, 1)));
    let part = model.part(0, subject.batch() as i64);
    criterion
        .bench_function("denoise, batch 4096", |b| b.iter(|| tch::no_grad(|| black_box(part.denoise(&init, 0.5)))));
    let stream = Stream::new(0, Purpose::Brownian);
    criterion.bench_function("normals, 4096 × 2", |b| b.iter(|| black_box(tensor::normals(stream, 0, 0, &init))));
    for (name, method) in methods() {
        let sampler = subject.sampler(method, subject.batch());
        criterion.bench_function(&format!("{name}, {} steps", subject.steps()), |b| {
            b.iter(|| sampler.run(&model, &init, &workers, &|_| Ok(())).expect("the run is finite"))
        });
    }
    criterion.final_summary();
}
