//! Sampling runs: independence of splits and threads, measured cost, noise sources, history, failures.

mod common;

use std::sync::{Arc, Mutex};

use common::{DETERMINISTIC, DOUBLE, FLOAT, Process, STOCHASTIC, distance, log_snr, processes, run, run_from, sampler};
use ndarray::ArrayD;
use ornstein::error::Error;
use ornstein::rng::{Purpose, Stream};
use ornstein::score::exact::{Exact, Law};
use ornstein::score::{Denoiser, Eval, Model};
use ornstein::sde::{Edm, Sde, Vp};
use ornstein::solve::{
    About, AnnealedLangevin, Context, Corrector, Ddim, Dopri5, Dpmpp2m, EdmHeun, EulerMaruyama, Grid, Karras, Langevin,
    LangevinVariant, LogSnr, Method, NoiseSource, Order, Quadratic, Rectified, ReverseDiffusion, Sampler, Schedule,
    Solver, Step, Tolerance, UniformGrid, prior, prior_of,
};
use ornstein::tensor::{normals, to_array};
use ornstein::threads::Workers;
use tch::{Kind, Tensor};

/// Every solver on a grid, with and without correctors and churn.
fn methods() -> Vec<(String, Box<dyn Fn() -> Method>)> {
    let plain =
        DETERMINISTIC.iter().chain(&STOCHASTIC).map(|&(name, make)| (name.to_owned(), Box::new(make) as Box<_>));
    let mut methods: Vec<(String, Box<dyn Fn() -> Method>)> = plain.collect();
    methods.push((
        "reverse_diffusion + langevin".into(),
        Box::new(|| corrected(ReverseDiffusion {}.into(), Langevin { steps: 2, ..Langevin::default() })),
    ));
    methods.push((
        "dpmpp_2m + annealed_langevin".into(),
        Box::new(|| corrected(Dpmpp2m::default().into(), AnnealedLangevin::default())),
    ));
    methods.push(("edm_heun + churn".into(), Box::new(|| churned(12))));
    methods
}

fn corrected(method: Method, corrector: impl Corrector + 'static) -> Method {
    Method { corrector: Some(Box::new(corrector)), ..method }
}

fn churned(steps: usize) -> Method {
    let solver = EdmHeun { s_churn: 5.0, ..EdmHeun::default() };
    Method { churn: solver.churn(steps), ..solver.into() }
}

/// Sample i is a function of (seed, i): it does not depend on the chunk size, the number of threads or the number of
/// samples, bit for bit, under all six kinds of process.
#[test]
fn samples_do_not_depend_on_the_split() {
    let law = Law::mixture(&[0.3, 0.7], &[vec![-1.0], vec![0.8]], &[vec![vec![0.1]], vec![vec![0.3]]]).unwrap();
    let spectrum = Law::spectrum(&[0.5, -0.3, 0.0], &[0.04, 0.5, 2.0]);
    for Process { name, sde } in processes() {
        for (label, make) in methods() {
            let mut sampler = sampler(make(), log_snr(&*sde, 12));
            let exact = Exact::new(&spectrum, sde.clone(), DOUBLE);
            let init = prior(&*sde, 7, 1000, &[3], DOUBLE);
            let whole = run(&sampler, &exact, &init, 1).x;
            sampler.chunk = 37;
            assert_eq!(run(&sampler, &exact, &init, 2).x, whole, "{label} on {name}: chunks of 37 on two threads");
            let first = prior(&*sde, 7, 100, &[3], DOUBLE);
            assert_eq!(run(&sampler, &exact, &first, 1).x, whole.narrow(0, 0, 100), "{label} on {name}: the first 100");
            let last = prior_of(&*sde, 7, 950..1000, &[3], DOUBLE);
            let last = run_from(950, &sampler, &exact, &last, 1).x;
            assert_eq!(last, whole.narrow(0, 950, 50), "{label} on {name}: the last 50");
            if name == "vp" {
                // Matrix products may sum in another order for another batch, so round-off is allowed for.
                let exact = Exact::new(&law, sde.clone(), DOUBLE);
                let init = prior(&*sde, 7, 500, &[1], DOUBLE);
                let parts = run(&sampler, &exact, &init, 2).x;
                sampler.chunk = 1024;
                assert!(distance(&parts, &run(&sampler, &exact, &init, 1).x) < 1e-12, "{label} on a mixture");
            }
        }
    }
}

/// float32 samples are the float64 samples to float32 round-off: noise is drawn in float64 for both.
#[test]
fn float32_samples_agree_with_float64() {
    // Sixteen dimensions, because Langevin's step is unbounded where the score of a sample is nearly zero, and down to
    // κ = 0.02, because (α D − x)/σ² cancels: of a score of order one, float32 leaves nothing at sub-VP's σ = 1e-4.
    let law = Law::spectrum(&[0.5; 16], &[0.25; 16]);
    for Process { name, sde } in processes() {
        for (label, make) in methods() {
            let times = (0..=50).map(|i| sde.time_of_ratio(20.0 * 0.001f64.powf(f64::from(i) / 50.0)));
            let sampler = sampler(make(), times.collect());
            let [single, double] = [FLOAT, DOUBLE].map(|options| {
                let exact = Exact::new(&law, sde.clone(), options);
                run(&sampler, &exact, &prior(&*sde, 7, 64, &[16], options), 1).x
            });
            assert_eq!(single.kind(), Kind::Float);
            assert!(distance(&single, &double) < 1e-3, "{label} on {name}: {}", distance(&single, &double));
        }
    }
}

/// The measured number of evaluations is what each method costs; a last step to σ = 0 costs one evaluation.
#[test]
fn evaluations_are_counted() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    let exact = Exact::new(&Law::spectrum(&[0.0], &[0.25]), sde.clone(), DOUBLE);
    let n = 10;
    let times = log_snr(&*sde, n);
    let to_the_end: Vec<f64> = times.iter().copied().chain([sde.time_of_data()]).collect();
    let init = prior(&*sde, 7, 5, &[1], DOUBLE);
    let cost = |label: &str| match label {
        "heun" | "edm_heun" | "edm_heun + churn" | "gotta_go_fast" => 2 * n,
        "bosh3" | "dpm_adaptive" => 3 * n,
        "rk4" => 4 * n,
        "dopri5" => 6 * n,
        "reverse_diffusion + langevin" => n * (1 + 2),
        "dpmpp_2m + annealed_langevin" => n * (1 + 1),
        _ => n,
    };
    for (label, make) in methods() {
        let nfe = |times: &Vec<f64>| run(&sampler(make(), times.clone()), &exact, &init, 1).nfe;
        assert_eq!(nfe(&times), cost(&label) as f64, "{label}");
        // The last step evaluates once; correctors run before it too.
        let corrections = if label.contains("langevin") { cost(&label) / n - 1 } else { 0 };
        assert_eq!(nfe(&to_the_end), (cost(&label) + 1 + corrections) as f64, "{label} to σ = 0");
    }
}

/// Every solver runs on every process and every grid, to mean and spread near those of the data.
///
/// 200 steps, 200 samples in sixteen dimensions of N(0.5, 0.25): standard errors of 0.9 % (of the mean, in units of the
/// spread: 1.8 %). The band of 20 % covers the bias of the Langevin corrector in so few dimensions (13 %) and Euler's
/// method on VE's quadratic grid (16 %). Steps equal in EDM's t = σ are a bad grid, which ends with a step from 0.4 to
/// 0.002, as long as the data are wide: there we ask for the right size alone.
#[test]
fn every_solver_runs_on_every_process_and_grid() {
    let (mean, std) = (0.5, 0.5);
    let grids: [(&str, &dyn Grid); 5] = [
        ("log_snr", &LogSnr {}),
        ("karras", &Karras::default()),
        ("uniform", &UniformGrid {}),
        ("quadratic", &Quadratic {}),
        ("rectified", &Rectified {}),
    ];
    for Process { name, sde } in processes() {
        let exact = Exact::new(&Law::spectrum(&[mean; 16], &[std * std; 16]), sde.clone(), DOUBLE);
        let init = prior(&*sde, 7, 200, &[16], DOUBLE);
        for (grid_name, grid) in grids {
            for (label, make) in methods() {
                let x = run(&sampler(make(), grid.times(&*sde, 200)), &exact, &init, 2).x;
                let measured = (x.mean(Kind::Double).double_value(&[]), x.std(true).double_value(&[]));
                let (low, high) = if (name, grid_name) == ("edm", "uniform") { (0.6, 1.8) } else { (0.8, 1.2) };
                let ratio = measured.1 / std;
                assert!((measured.0 - mean).abs() < 0.1 * std, "{label} on {name}, {grid_name}: mean {}", measured.0);
                assert!(low < ratio && ratio < high, "{label} on {name}, {grid_name}: spread {ratio} times too large");
            }
        }
    }
}

/// A denoiser that breaks down below some time.
#[derive(Debug)]
struct Broken {
    inner: Box<dyn Model>,
    below: f64,
}

impl Denoiser for Broken {
    fn sde(&self) -> &dyn Sde {
        self.inner.sde()
    }
    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        let x0 = self.inner.denoise(x, t);
        if t < self.below { x0 * f64::NAN } else { x0 }
    }
}

impl Model for Broken {
    fn part(&self, first: i64, count: i64) -> Box<dyn Model> {
        Box::new(Broken { inner: self.inner.part(first, count), below: self.below })
    }
}

fn one_dimension(sde: &Arc<dyn Sde>) -> Exact {
    Exact::new(&Law::spectrum(&[0.5], &[0.25]), sde.clone(), DOUBLE)
}

/// A state that is not finite stops the run at once and says at which step and time; under error control too.
#[test]
fn a_state_that_is_not_finite_stops_the_run() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let broken = Broken { inner: one_dimension(&sde).part(0, 1), below: 0.45 };
    let init = prior(&*sde, 7, 5, &[1], DOUBLE);
    let workers = Workers::new(1).unwrap();
    let times = vec![1.0, 0.8, 0.6, 0.4, 0.2, 0.1];
    let ticks = Mutex::new(0);
    let tick = |count| {
        *ticks.lock().unwrap() += count;
        Ok(())
    };
    let sampler_on_grid = sampler(Ddim::default().into(), times);
    match sampler_on_grid.run(&broken, &init, &workers, &tick).unwrap_err() {
        // The first evaluation below 0.45 is that at 0.4; the step from there, the fourth, ends at 0.2.
        error @ Error::NonFinite { step: 4, t: 0.2, .. } => {
            assert!(error.to_string().starts_with("the state is not finite at step 4 (t = 2.000000e-1); "), "{error}");
            assert_eq!(error.exit_code(), 1);
        }
        other => panic!("{other}"),
    }
    assert_eq!(*ticks.lock().unwrap(), 3 * 5, "three good steps of five samples");
    let tolerance = Tolerance::default();
    let schedule = Schedule::Adaptive { tolerance, between: (1.0, 1e-3), finish: None };
    let adaptive = Sampler { schedule, ..sampler(Dopri5 { rtol: Some(1e-5), atol: None }.into(), vec![1.0, 0.0]) };
    let error = adaptive.run(&broken, &init, &workers, &|_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Tolerance { .. }), "{error}");
    assert!(error.to_string().contains("the error estimate is not finite"), "{error}");
}

/// Standard normals of the solver's stream for `draws` draws, as a user would hand them over `[draws, B, D]`.
fn given_normals(seed: u64, draws: u32, like: &Tensor) -> ArrayD<f64> {
    let stream = Stream::new(seed, Purpose::Brownian);
    let all: Vec<Tensor> = (0..draws).map(|draw| normals(stream, 0, draw, like)).collect();
    to_array(&Tensor::stack(&all, 0))
}

/// Replaying the normals that a fresh run draws gives its samples bit for bit, also in chunks.
#[test]
fn replayed_noise_gives_the_same_samples() {
    for Process { name, sde } in processes() {
        let exact = one_dimension(&sde);
        let init = prior(&*sde, 7, 20, &[1], DOUBLE);
        for (label, make) in STOCHASTIC {
            let fresh = sampler(make(), log_snr(&*sde, 10));
            let noise = NoiseSource::Replay(given_normals(7, 10, &init));
            let replay = Sampler { noise, chunk: 7, ..sampler(make(), log_snr(&*sde, 10)) };
            assert_eq!(run(&replay, &exact, &init, 2).x, run(&fresh, &exact, &init, 1).x, "{label} on {name}");
        }
    }
}

/// Given noise that runs out is an error that says how many draws there were.
#[test]
fn noise_that_runs_out_is_an_error() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let init = prior(&*sde, 7, 4, &[1], DOUBLE);
    let noise = NoiseSource::Replay(given_normals(7, 3, &init));
    let replay = Sampler { noise, ..sampler(EulerMaruyama::default().into(), log_snr(&*sde, 5)) };
    let error = replay.run(&one_dimension(&sde), &init, &Workers::new(1).unwrap(), &|_| Ok(())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--noise: it has 3 draws and the solver needs more; give one array of normals for each draw of the solver"
    );
    assert_eq!(error.exit_code(), 2);
}

/// On a shared Brownian path, too, a sample does not depend on its chunk; a grid and its refinement end closer to each
/// other than two independent runs do.
#[test]
fn a_shared_path_does_not_depend_on_the_split() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    let (exact, init) = (one_dimension(&sde), prior(&*sde, 7, 50, &[1], DOUBLE));
    for (label, make) in STOCHASTIC {
        let with = |steps, noise, chunk| {
            let sampler = Sampler { noise, chunk, ..sampler(make(), log_snr(&*sde, steps)) };
            run(&sampler, &exact, &init, 2).x
        };
        let whole = with(60, NoiseSource::Brownian, 1024);
        assert_eq!(with(60, NoiseSource::Brownian, 7), whole, "{label}");
        let sampler = Sampler { noise: NoiseSource::Brownian, ..sampler(make(), log_snr(&*sde, 60)) };
        let last = run_from(40, &sampler, &exact, &init.narrow(0, 40, 10), 1).x;
        assert_eq!(last, whole.narrow(0, 40, 10), "{label}: the last ten");
        let gap = |other: Tensor| (other - &whole).square().mean(Kind::Double).double_value(&[]).sqrt();
        let (refined, independent) =
            (gap(with(120, NoiseSource::Brownian, 50)), gap(with(120, NoiseSource::Fresh, 50)));
        assert!(refined < 0.2 * independent, "{label}: {refined} against {independent}");
    }
}

/// DDIM that notes how many evaluations it finds in its history, and that they are newest first.
#[derive(Debug)]
struct Recorder(Arc<Mutex<Vec<usize>>>);

impl Solver for Recorder {
    fn about(&self) -> About {
        About { paper: "", when: "" }
    }

    fn order(&self) -> Order {
        Order::ode(1.0)
    }
    fn memory(&self) -> usize {
        2
    }
    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let times: Vec<f64> = [now.t].into_iter().chain(cx.past().iter().map(|past| past.t)).collect();
        assert!(times.is_sorted(), "newest first: {times:?}");
        self.0.lock().unwrap().push(cx.past().len());
        Ddim::default().step(cx, now, s)
    }
}

/// History grows to the solver's memory, and whatever moves the state off the trajectory clears it.
#[test]
fn moving_the_state_clears_the_history() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    let (exact, init) = (one_dimension(&sde), prior(&*sde, 7, 3, &[1], DOUBLE));
    let times = vec![80.0, 20.0, 5.0, 1.0, 0.3, 0.1, 0.01];
    let lengths = |dress: &dyn Fn(Method) -> Method| {
        let record = Arc::new(Mutex::new(Vec::new()));
        let sampler = sampler(dress(Recorder(record.clone()).into()), times.clone());
        let _ = run(&sampler, &exact, &init, 1);
        record.lock().unwrap().clone()
    };
    assert_eq!(lengths(&|method| method), [0, 1, 2, 2, 2, 2]);
    assert_eq!(lengths(&|method| corrected(method, AnnealedLangevin::default())), [0; 6]);
    // Churn between κ = 2 and 30 alone: at 20 and at 5.
    let churn = EdmHeun { alpha: 1.0, s_churn: 1.0, s_min: 2.0, s_max: 30.0, s_noise: 1.0 }.churn(6);
    assert_eq!(lengths(&|method| Method { churn, ..method }), [0, 0, 0, 1, 2, 2]);
}

/// A multistep method under a corrector is its first step each time: 2M becomes DDIM.
#[test]
fn a_multistep_method_under_a_corrector_restarts() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let (exact, init) = (one_dimension(&sde), prior(&*sde, 7, 30, &[1], DOUBLE));
    let [two, one] = [Method::from(Dpmpp2m::default()), Ddim::default().into()].map(|method| {
        run(&sampler(corrected(method, AnnealedLangevin::default()), log_snr(&*sde, 10)), &exact, &init, 1).x
    });
    assert!(distance(&two, &one) < 1e-13);
}

/// At fixed r, Langevin steps of size ϵ leave a variance 1/(1 − ϵ/2v) times v: with one step size for all samples, as
/// published, ϵ = 2 r² v and the variance is 1/(1 − r²) times too large, 2.6 % for r = 0.16, in any dimension.
///
/// Each sample's own bounded step is ϵ = 2 r² σ² wherever ‖score‖² < D/σ², which is nearly everywhere for data with
/// spread: the bias is r² σ²/v.
#[test]
fn langevin_has_its_known_bias() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    let (snr, v): (f64, f64) = (0.16, 5.0);
    let cases = [
        (LangevinVariant::Published, 1.0 / (1.0 - snr * snr)),
        (LangevinVariant::Independent, 1.0 / (1.0 - snr * snr / v)),
    ];
    for (variant, expected) in cases {
        for (dim, samples) in [(2, 40_000), (256, 400)] {
            let exact = Exact::new(&Law::spectrum(&vec![0.0; dim], &vec![v - 1.0; dim]), sde.clone(), DOUBLE);
            // A step to the next float leaves what the corrector made; it starts in its own stationary law.
            let method = corrected(Ddim::default().into(), Langevin { snr, steps: 40, variant });
            let init = prior(&*sde, 7, samples, &[dim as i64], DOUBLE) * ((v * expected).sqrt() / 80.0);
            let mut sampler = sampler(method, vec![1.0, 1.0f64.next_down()]);
            sampler.chunk = samples;
            let x = run(&sampler, &exact, &init, 2).x;
            let energy = x.square().mean_dim([1i64].as_slice(), false, Kind::Double) / v;
            let ratio = energy.mean(Kind::Double).double_value(&[]);
            let error = energy.std(true).double_value(&[]) / (samples as f64).sqrt();
            assert!(
                (ratio - expected).abs() < 4.0 * error,
                "{variant:?}, {dim}-D: {ratio} ± {error}, expected {expected}"
            );
        }
    }
}
