//! Error control of the probability-flow ODE: tolerances are reached by each sample, whatever its neighbours; costs grow
//! as the order says; rejected steps are counted.

mod common;

use std::sync::Arc;

use common::{DOUBLE, Process, distance, processes, run, sampler};
use ornstein::score::Denoiser;
use ornstein::score::exact::{Exact, Law};
use ornstein::sde::{Sde, Vp};
use ornstein::solve::{
    Bosh3, Dopri5, DpmAdaptive, GottaGoFast, Method, NoiseSource, Run, Sampler, Schedule, State, Tolerance, Variant,
    prior,
};
use tch::{Kind, Tensor};

/// A method for a tolerance.
type Maker = fn(f64) -> Method;

fn dpm(order: usize, tol: f64) -> Method {
    DpmAdaptive { order, rtol: tol, atol: tol, ..DpmAdaptive::default() }.into()
}

fn ggf(variant: Variant, tol: f64) -> Method {
    GottaGoFast { rtol: tol, atol: tol, variant, ..GottaGoFast::default() }.into()
}

/// A run over the span of a process at a tolerance.
fn controlled(sde: &dyn Sde, method: Method, tol: f64, finish: Option<f64>) -> Sampler {
    let (tolerance, span) = (Tolerance { rtol: tol, atol: tol }, sde.span());
    let schedule = Schedule::Adaptive { tolerance, between: (span.t_max, span.t_min), finish };
    Sampler { schedule, ..sampler(method, vec![1.0, 0.0]) }
}

/// How many steps a sample took.
fn accepted(states: &[State], sample: usize) -> usize {
    states.windows(2).filter(|pair| pair[0].time(sample) != pair[1].time(sample)).count()
}

/// A method to hold to its tolerances.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    order: f64,
    /// Evaluations of a try.
    stages: usize,
    /// Whether the last of them is the first of the next step.
    shared: bool,
    make: Maker,
    tolerances: [f64; 3],
}

/// Error control reaches the tolerance it is given, at a cost that grows as it should, and counts rejected steps.
#[test]
fn error_control_reaches_its_tolerance() {
    let rk =
        |name, order, stages, make| Case { name, order, stages, shared: true, make, tolerances: [1e-4, 1e-6, 1e-8] };
    let dpm =
        |name, stages, make, tolerances| Case { name, order: stages as f64, stages, shared: false, make, tolerances };
    let cases = [
        rk("bosh3", 3.0, 3, |tol| Bosh3 { rtol: Some(tol), atol: Some(tol) }.into()),
        rk("dopri5", 5.0, 6, |tol| Dopri5 { rtol: Some(tol), atol: Some(tol) }.into()),
        dpm("dpm_adaptive 2", 2, |tol| crate::dpm(2, tol), [1e-3, 1e-4, 1e-5]),
        dpm("dpm_adaptive 3", 3, |tol| crate::dpm(3, tol), [1e-3, 1e-5, 1e-7]),
    ];
    for Process { name, sde } in processes() {
        let (m, v, span) = (0.4, 0.25, sde.span());
        let exact = Exact::new(&Law::spectrum(&[m], &[v]), sde.clone(), DOUBLE);
        let point = |t: f64, z: f64| {
            let k = sde.kernel(t);
            k.alpha * m + z * (k.alpha * k.alpha * v + k.sigma * k.sigma).sqrt()
        };
        let zs = [-2.0, 0.3, 1.1];
        let at = |t: f64| Tensor::from_slice(&zs.map(|z| point(t, z))).unsqueeze(1);
        for Case { name: solver, order, stages, shared, make, tolerances } in cases {
            let label = format!("{solver} on {name}");
            let mut results = Vec::new();
            for tol in tolerances {
                let sampler = controlled(&*sde, make(tol), tol, None);
                let Run { x, nfe, .. } = run(&sampler, &exact, &at(span.t_max), 1);
                let error = distance(&x, &at(span.t_min));
                // Local errors add up over the steps and flow on; a hundredfold covers that here.
                assert!(error < 100.0 * tol, "{label} at {tol:e}: {error:e}");
                let states = sampler.trajectory(&exact, &at(span.t_max)).unwrap();
                let accepted: usize = (0..zs.len()).map(|sample| accepted(&states, sample)).sum();
                let all = (nfe * zs.len() as f64).round() as usize;
                // A shared last evaluation: one at the start, then `stages` a try. Otherwise the first of a try is spared
                // where the try before was rejected.
                let (spent, each) =
                    if shared { (zs.len() + stages * accepted, stages) } else { (stages * accepted, stages - 1) };
                assert!(
                    all >= spent && (all - spent).is_multiple_of(each),
                    "{label} at {tol:e}: {all} for {accepted} steps"
                );
                // To σ = 0 from the last point: the result is D, at no cost where it was evaluated there anyway.
                let finished =
                    run(&controlled(&*sde, make(tol), tol, Some(sde.time_of_data())), &exact, &at(span.t_max), 1);
                let cost = if shared { 0.0 } else { 1.0 };
                assert!((finished.nfe - nfe - cost).abs() < 1e-9, "{label}: {} after {nfe}", finished.nfe);
                assert_eq!(finished.x, exact.denoise(&x, span.t_min), "{label}");
                results.push((error, nfe));
            }
            // The error falls with the tolerance; over the last decades the cost grows as tol^(−1/order), 40 % up or down.
            let [(first, _), (_, cheap), (last, dear)] = results[..] else { panic!("three tolerances") };
            assert!(last < 10.0 * tolerances[2] / tolerances[0] * first, "{label}: {results:?}");
            let expected = (tolerances[1] / tolerances[2]).powf(1.0 / order);
            let growth = dear / cheap;
            assert!(growth > 0.6 * expected && growth < 1.4 * expected, "{label}: {growth} for {expected}");
        }
    }
}

/// A sample neither changes nor costs more or less with its neighbours: alone, among others, in chunks, on threads.
#[test]
fn samples_do_not_depend_on_their_neighbours() {
    let makers: [(&str, Maker); 6] = [
        ("bosh3", |tol| Bosh3 { rtol: Some(tol), atol: Some(tol) }.into()),
        ("dopri5", |tol| Dopri5 { rtol: Some(tol), atol: Some(tol) }.into()),
        ("dpm_adaptive 2", |tol| dpm(2, tol)),
        ("dpm_adaptive 3", |tol| dpm(3, tol)),
        ("gotta_go_fast", |tol| ggf(Variant::Correct, tol)),
        ("gotta_go_fast, published", |tol| ggf(Variant::Published, tol)),
    ];
    let (count, dim) = (12, 3);
    let law = Law::spectrum(&[0.5, -0.3, 0.0], &[0.04, 0.5, 2.0]);
    for Process { name, sde } in processes() {
        if !["vp", "edm"].contains(&name) {
            continue;
        }
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        let init = prior(&*sde, 7, count, &[dim], DOUBLE);
        for (solver, make) in makers {
            for noise in [NoiseSource::Fresh, NoiseSource::Brownian] {
                // Reading a path takes its time.
                if matches!(noise, NoiseSource::Brownian) && (name, solver) != ("vp", "gotta_go_fast") {
                    continue;
                }
                let label = format!("{solver} on {name}, {noise:?}");
                let mut sampler = Sampler { noise, ..controlled(&*sde, make(1e-2), 1e-2, Some(sde.time_of_data())) };
                let whole = run(&sampler, &exact, &init, 1);
                for chunk in [1, 5] {
                    sampler.chunk = chunk;
                    let parts = run(&sampler, &exact, &init, 2);
                    assert_eq!(
                        (parts.x, parts.nfe),
                        (whole.x.shallow_clone(), whole.nfe),
                        "{label}: chunks of {chunk}"
                    );
                }
                // The same three first, with others after them.
                let others = Tensor::cat(&[init.narrow(0, 0, 3), init.narrow(0, 5, 7) * 0.1], 0);
                sampler.chunk = 1024;
                assert_eq!(run(&sampler, &exact, &others, 1).x.narrow(0, 0, 3), whole.x.narrow(0, 0, 3), "{label}");
            }
        }
    }
}

/// A rejected step costs its evaluations: a tolerance that the first try cannot meet shows it.
#[test]
fn rejected_steps_are_counted() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let exact = Exact::new(&Law::spectrum(&[0.4], &[1e-4]), sde.clone(), DOUBLE);
    let sampler = controlled(&*sde, Dopri5 { rtol: Some(1e-9), atol: Some(1e-9) }.into(), 1e-9, None);
    let init = prior(&*sde, 7, 3, &[1], DOUBLE);
    let states = sampler.trajectory(&exact, &init).unwrap();
    let accepted: usize = (0..3).map(|sample| accepted(&states, sample)).sum();
    let tries = 3.0 * (run(&sampler, &exact, &init, 1).nfe - 1.0) / 6.0;
    assert!(tries > accepted as f64, "{tries} tries for {accepted} steps");
}

/// One hard sample among easy ones costs what it costs alone, and the others nothing.
#[test]
fn easy_samples_do_not_wait() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    // Between two narrow modes the velocity turns sharply; far out on one side it does not.
    let law = Law::mixture(&[0.5, 0.5], &[vec![-1.0], vec![1.0]], &[vec![vec![1e-4]], vec![vec![1e-4]]]).unwrap();
    let exact = Exact::new(&law, sde.clone(), DOUBLE);
    let sampler = controlled(&*sde, Dopri5 { rtol: Some(1e-6), atol: Some(1e-6) }.into(), 1e-6, None);
    let nfe = |values: &[f64]| run(&sampler, &exact, &Tensor::from_slice(values).unsqueeze(1), 1).nfe;
    let (hard, easy) = (nfe(&[1e-3]), nfe(&[2.0]));
    assert!(hard > 1.1 * easy, "{hard} and {easy}");
    let together = nfe(&[2.0, 2.0, 1e-3, 2.0]);
    assert!((together - (hard + 3.0 * easy) / 4.0).abs() < 1e-9, "{together} of {hard} and {easy}");
}

/// Under error control the trajectory has a time for each sample, which falls from the first to the last.
#[test]
fn trajectories_have_times_of_their_own() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let exact = Exact::new(&Law::spectrum(&[0.5, 0.0], &[0.25, 1.0]), sde.clone(), DOUBLE);
    let init = prior(&*sde, 7, 5, &[2], DOUBLE);
    for (finish, end) in [(None, 1e-3), (Some(sde.time_of_data()), sde.time_of_data())] {
        let sampler = controlled(&*sde, ggf(Variant::Correct, 1e-2), 1e-2, finish);
        let states = sampler.trajectory(&exact, &init).unwrap();
        assert_eq!(states[0].x, init);
        assert_eq!(states.last().unwrap().x, run(&sampler, &exact, &init, 1).x);
        for sample in 0..5 {
            let times: Vec<f64> = states.iter().map(|state| state.time(sample)).collect();
            assert!(times.is_sorted_by(|a, b| a >= b) && times[0] == 1.0, "{times:?}");
            assert_eq!(*times.last().unwrap(), end);
        }
        let apart = states.iter().any(|state| state.time(0) != state.time(1));
        assert!(apart && states.iter().all(|state| state.x.isfinite().all().double_value(&[]) == 1.0));
        assert_eq!(states[0].x.kind(), Kind::Double);
    }
}
