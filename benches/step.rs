//! What one step costs beside the network: the time of a run with a denoiser that costs nothing ÷ its steps, on a state
//! `[4096, 2]` in float32 on one core, for one solver of each family.

use std::hint::black_box;

use criterion::Criterion;
use ornstein::experiment::SolverSpec;
use ornstein::score::Denoiser;
use ornstein::sde::{Sde, Vp};
use ornstein::solve::{Fresh, Grid, Integrator, LogSnr, prior};
use tch::{Device, Kind, Tensor};

const STEPS: usize = 50;

/// Answers with the same x̂₀, whatever it is asked.
#[derive(Debug)]
struct Free {
    sde: Vp,
    x0: Tensor,
}

impl Denoiser for Free {
    fn sde(&self) -> &dyn Sde {
        &self.sde
    }

    fn denoise(&self, _x: &Tensor, _t: f64) -> Tensor {
        self.x0.shallow_clone()
    }
}

/// One solver of each family, with its settings as in an experiment.
const SOLVERS: [&str; 16] = [
    r#""ddim""#,
    r#""dpmpp_2m""#,
    r#""dpmpp_3m""#,
    r#""dpm_solver_3m""#,
    r#"{"exp_adams": {"order": 4}}"#,
    r#""deis""#,
    r#""ipndm""#,
    r#""unipc""#,
    r#""dpmpp_2s""#,
    r#""dpm_solver_3s""#,
    r#""edm_heun""#,
    r#""rk4""#,
    r#""euler_maruyama""#,
    r#""dpmpp_2m_sde""#,
    r#""sa_solver""#,
    r#""sra""#,
];

fn main() {
    ornstein::tensor::keep_memory();
    tch::set_num_threads(1);
    let sde = Vp::default();
    let times = LogSnr {}.times(&sde, STEPS);
    let start = prior(&sde, 0, 4096, &[2], (Kind::Float, Device::Cpu));
    let free = Free { sde, x0: prior(&sde, 1, 4096, &[2], (Kind::Float, Device::Cpu)) };
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    for text in SOLVERS {
        let solver: SolverSpec = serde_json::from_str(text).expect("a solver");
        let method = solver.chosen().method(STEPS);
        criterion.bench_function(&format!("{STEPS} steps of {}", text.replace('"', "")), |b| {
            b.iter(|| {
                let mut noise = Fresh::new(0, 0);
                let run = Integrator::new(&free, &method, &times, &mut noise, start.shallow_clone());
                black_box(run.run(|_| Ok(())).expect("the run is finite"))
            })
        });
    }
    criterion.final_summary();
}
