//! Error control: tolerances are reached, costs grow as the order says, rejected steps are counted.

mod common;

use std::sync::Arc;

use common::{DOUBLE, Process, distance, processes, run, sampler};
use ornstein::score::Denoiser;
use ornstein::score::exact::{Exact, Law};
use ornstein::sde::{Sde, Vp};
use ornstein::solve::{Bosh3, Dopri5, Method, Run, Sampler, Schedule, Tolerance, prior};
use tch::Tensor;

/// A method for a tolerance.
type Maker = fn(f64) -> Method;

/// Error control reaches the tolerance it is given, at a cost that grows as it should, and counts rejected steps.
#[test]
fn error_control_reaches_its_tolerance() {
    // Name, order, evaluations a try, and the method at a tolerance.
    let makers: [(&str, f64, f64, Maker); 2] = [
        ("bosh3", 3.0, 3.0, |tol| Bosh3 { rtol: Some(tol), atol: Some(tol) }.into()),
        ("dopri5", 5.0, 6.0, |tol| Dopri5 { rtol: Some(tol), atol: Some(tol) }.into()),
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
        for (solver, order, stages, make) in makers {
            let mut results = Vec::new();
            for tol in [1e-4, 1e-6, 1e-8] {
                let between = (span.t_max, span.t_min);
                let schedule =
                    |finish| Schedule::Adaptive { tolerance: Tolerance { rtol: tol, atol: tol }, between, finish };
                let sampler = Sampler { schedule: schedule(None), ..sampler(make(tol), vec![1.0, 0.0]) };
                let Run { x, nfe, .. } = run(&sampler, &exact, &at(span.t_max), 1);
                let error = distance(&x, &at(span.t_min));
                // Local errors add up over the steps and flow on; a hundredfold covers that here.
                assert!(error < 100.0 * tol, "{solver} on {name} at {tol:e}: {error:e}");
                let accepted = sampler.trajectory(&exact, &at(span.t_max)).unwrap().len() - 1;
                // One evaluation at the start, then `stages` for each try: the last stage is the next step's first.
                let tries = (nfe - 1.0) / stages;
                assert!(
                    tries.fract() == 0.0 && tries >= accepted as f64,
                    "{solver} on {name}: {nfe} for {accepted} steps"
                );
                // To σ = 0, the last point's evaluation is there already: no cost, and the result is D.
                let sampler = Sampler { schedule: schedule(Some(sde.time_of_data())), ..sampler };
                let finished = run(&sampler, &exact, &at(span.t_max), 1);
                assert_eq!((finished.x, finished.nfe), (exact.denoise(&x, span.t_min), nfe), "{solver} on {name}");
                results.push((error, nfe, tries - accepted as f64));
            }
            // Over four decades of tolerance the error falls by three at least; over the last two the cost grows as
            // tol^(−1/order), 40 % up or down.
            assert!(results[2].0 < 1e-3 * results[0].0, "{solver} on {name}: {results:?}");
            let growth = results[2].1 / results[1].1;
            let expected = 1e2f64.powf(1.0 / order);
            assert!(growth > 0.6 * expected && growth < 1.4 * expected, "{solver} on {name}: {growth} for {expected}");
        }
    }
}

/// A rejected step costs its evaluations: a tolerance that the first try cannot meet shows it.
#[test]
fn rejected_steps_are_counted() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let exact = Exact::new(&Law::spectrum(&[0.4], &[1e-4]), sde.clone(), DOUBLE);
    let tolerance = Tolerance { rtol: 1e-9, atol: 1e-9 };
    let schedule = Schedule::Adaptive { tolerance, between: (1.0, 1e-3), finish: None };
    let method = Dopri5 { rtol: Some(1e-9), atol: Some(1e-9) }.into();
    let sampler = Sampler { schedule, ..sampler(method, vec![1.0, 0.0]) };
    let init = prior(&*sde, 7, 3, &[1], DOUBLE);
    let accepted = sampler.trajectory(&exact, &init).unwrap().len() - 1;
    let tries = (run(&sampler, &exact, &init, 1).nfe - 1.0) / 6.0;
    assert!(tries > accepted as f64, "{tries} tries for {accepted} steps");
}
