//! Log-densities by the probability flow against closed forms, for every process and every way to take the divergence;
//! bounds against what they bound.

mod common;

use std::sync::Arc;

use common::{DOUBLE, Process, log_snr, processes};
use ornstein::data::Scale;
use ornstein::likelihood::{
    Augmented, Bound, Chain, Continuous, Divergence, ExactTrace, HutchPp, Hutchinson, Lift, LogDensity, Probes,
    bound_terms, encode, log_density,
};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::Denoiser;
use ornstein::score::exact::{Exact, Law};
use ornstein::sde::{Edm, Sde};
use ornstein::solve::{Dopri5, Method, NoiseSource, Recipe, Rk4, Sampler, Schedule, Tolerance, Variance};
use ornstein::statistics::mean;
use ornstein::tensor::{normals, to_array};
use ornstein::threads::Workers;
use tch::{Kind, Tensor};

/// Laws in 2 and in 16 dimensions: Gaussians, with correlations where there are two, and mixtures.
fn laws() -> Vec<(&'static str, Law)> {
    let spectrum: Vec<f64> = (0..16).map(|i| 2f64.powi(-i / 3)).collect();
    let mean: Vec<f64> = (0..16).map(|i| 0.5 - 0.1 * f64::from(i)).collect();
    let full = |a: f64| vec![vec![0.5, a], vec![a, 0.3]];
    let diagonal =
        |v: f64| (0..16).map(|i| (0..16).map(|j| if i == j { v } else { 0.0 }).collect()).collect::<Vec<_>>();
    let shifted: Vec<f64> = mean.iter().map(|m| -m).collect();
    vec![
        ("gaussian 2", Law::gaussian(&[0.5, -1.0], &full(0.2)).unwrap()),
        ("mixture 2", Law::mixture(&[0.3, 0.7], &[vec![-1.0, 0.5], vec![0.8, 0.0]], &[full(0.1), full(-0.3)]).unwrap()),
        ("gaussian 16", Law::spectrum(&mean, &spectrum)),
        ("mixture 16", Law::mixture(&[0.4, 0.6], &[mean, shifted], &[diagonal(0.3), diagonal(0.6)]).unwrap()),
    ]
}

/// Data of a law at t₀: exact draws of x_{t₀}.
fn at_start(law: &Law, sde: &dyn Sde, count: usize) -> Tensor {
    let k = sde.kernel(sde.span().t_min);
    let x0 = law.draw(Stream::new(1, Purpose::Data), 0, count);
    let noise = normals(Stream::new(1, Purpose::Perturbation), 0, 0, &x0);
    x0 * k.alpha + noise * k.sigma
}

fn controlled(sde: &dyn Sde, tolerance: f64, chunk: usize) -> Sampler {
    let span = sde.span();
    Sampler {
        method: Method::from(Dopri5::default()),
        schedule: Schedule::Adaptive {
            tolerance: Tolerance { rtol: tolerance, atol: tolerance },
            between: (span.t_max, span.t_min),
            finish: None,
        },
        noise: NoiseSource::Fresh,
        seed: 5,
        chunk,
    }
}

fn on_a_grid(sde: &dyn Sde, method: Method, steps: usize) -> Sampler {
    let schedule = Schedule::Times(log_snr(sde, steps));
    Sampler { method, schedule, noise: NoiseSource::Fresh, seed: 5, chunk: 64 }
}

fn solve(
    exact: &Exact,
    sde: &Arc<dyn Sde>,
    x: &Tensor,
    divergence: impl Divergence + 'static,
    sampler: Sampler,
) -> LogDensity {
    let workers = Workers::new(2).unwrap();
    let divergence: Arc<dyn Divergence> = Arc::new(divergence);
    log_density((exact, sde), (x, 0), &divergence, sampler, &workers, &|_| Ok(())).expect("a smooth flow")
}

/// ln p_{t₀} by the change of variables from the exact p_T, of which the prior of a model is an approximation.
fn from_exact_end(found: &LogDensity, exact: &Exact, sde: &dyn Sde) -> Tensor {
    found.total() - &found.prior + exact.log_density(&found.latent, sde.span().t_max)
}

fn numbers(x: &Tensor) -> Vec<f64> {
    to_array(x).into_iter().collect()
}

fn largest(x: &Tensor) -> f64 {
    x.abs().max().double_value(&[])
}

/// The exact divergence at tolerance 1e-9: within 1e-6 for each dimension of the closed form, for all processes and laws.
/// The largest deviations are printed.
#[test]
fn densities_are_the_closed_forms() {
    println!("{:>8} {:>12} {:>12} {:>8} {:>12}", "process", "law", "max error/D", "nfe", "max ln p_T/N");
    for Process { name, sde } in processes() {
        for (title, law) in laws() {
            let exact = Exact::new(&law, sde.clone(), DOUBLE);
            let x = at_start(&law, &*sde, 24);
            let found = solve(&exact, &sde, &x, ExactTrace {}, controlled(&*sde, 1e-9, 24));
            let wanted = exact.log_density(&x, sde.span().t_min);
            let dim = x.size()[1] as f64;
            let error = largest(&(from_exact_end(&found, &exact, &*sde) - wanted)) / dim;
            let end = exact.log_density(&found.latent, sde.span().t_max) - &found.prior;
            println!("{name:>8} {title:>12} {error:>12.1e} {:>8.0} {:>12.1e}", found.run.nfe, largest(&end));
            assert!(error < 1e-6, "{name}, {title}: {error:e}");
        }
    }
}

/// Estimates with random probes are right on average: the mean of their errors within 3 standard errors.
#[test]
fn estimates_have_no_bias() {
    for Process { name, sde } in processes() {
        for (title, law) in laws() {
            let exact = Exact::new(&law, sde.clone(), DOUBLE);
            let x = at_start(&law, &*sde, 256);
            let wanted = exact.log_density(&x, sde.span().t_min);
            let ways: [(&str, Arc<dyn Divergence>); 3] = [
                ("rademacher", Arc::new(Hutchinson::default())),
                ("gaussian", Arc::new(Hutchinson { probes: 2, law: Probes::Gaussian })),
                ("hutch++", Arc::new(HutchPp { products: 6, law: Probes::Rademacher })),
            ];
            for (way, divergence) in ways {
                let workers = Workers::new(2).unwrap();
                let sampler = controlled(&*sde, 1e-5, 128);
                let found = log_density((&exact, &sde), (&x, 0), &divergence, sampler, &workers, &|_| Ok(())).unwrap();
                assert_eq!(found.divergence.size(), [256, divergence.estimates() as i64]);
                let errors = numbers(&(from_exact_end(&found, &exact, &*sde) - &wanted));
                let (value, error) = mean(&errors);
                // What the solver leaves, at this tolerance, stands beside what chance does.
                assert!(
                    value.abs() < 3.0 * error + 2e-4 * x.size()[1] as f64,
                    "{name}, {title}, {way}: {value} ± {error}"
                );
            }
        }
    }
}

/// Steps on a grid converge to the same number with the order of the method.
#[test]
fn a_grid_converges_with_the_order_of_its_method() {
    let (_, law) = laws().swap_remove(1);
    for Process { name, sde } in processes() {
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        let x = at_start(&law, &*sde, 16);
        let wanted = exact.log_density(&x, sde.span().t_min);
        let error = |steps: usize| {
            let found = solve(&exact, &sde, &x, ExactTrace {}, on_a_grid(&*sde, Rk4 {}.into(), steps));
            assert_eq!(found.run.nfe, 4.0 * steps as f64);
            largest(&(from_exact_end(&found, &exact, &*sde) - &wanted))
        };
        let (coarse, fine) = (error(100), error(200));
        let order = (coarse / fine).log2();
        println!("{name}: {coarse:.1e} with 100 steps, {fine:.1e} with 200: order {order:.2}");
        assert!((3.4..5.2).contains(&order), "{name}: {order}");
    }
}

/// What is estimated of a sample does not depend on the batch that it is in, nor on threads.
#[test]
fn a_sample_is_the_same_in_any_batch() {
    let Process { sde, .. } = processes().swap_remove(0);
    let (_, law) = laws().swap_remove(3);
    let exact = Exact::new(&law, sde.clone(), DOUBLE);
    let x = at_start(&law, &*sde, 20);
    let divergence: Arc<dyn Divergence> = Arc::new(Hutchinson::default());
    let run = |x: &Tensor, first: u64, threads: usize, chunk: usize| {
        let workers = Workers::new(threads).unwrap();
        let sampler = controlled(&*sde, 1e-6, chunk);
        log_density((&exact, &sde), (x, first), &divergence, sampler, &workers, &|_| Ok(())).unwrap().total()
    };
    let whole = run(&x, 0, 1, 20);
    assert!(largest(&(run(&x, 0, 3, 7) - &whole)) < 1e-10);
    assert!(largest(&(run(&x.narrow(0, 5, 4), 5, 1, 64) - whole.narrow(0, 5, 4))) < 1e-10);
}

/// There and back: data to latents to data by the same solver, which is the flow and its inverse.
#[test]
fn the_way_back_is_the_inverse() {
    let (_, law) = laws().swap_remove(1);
    for Process { name, sde } in processes() {
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        let x = at_start(&law, &*sde, 32);
        let workers = Workers::new(1).unwrap();
        let latent = encode((&exact, &sde), &x, controlled(&*sde, 1e-8, 32), &workers, &|_| Ok(())).unwrap().x;
        let back = controlled(&*sde, 1e-8, 32).run(&exact, &latent, &workers, &|_| Ok(())).unwrap().x;
        assert!(largest(&(back - &x)) < 1e-6, "{name}");
    }
}

/// Data on a lattice that is finer than the first thousandth of the way: loose tolerances are loose, and no more.
#[test]
fn the_first_step_sees_what_is_fine() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    let narrow = vec![vec![1e-6, 0.0], vec![0.0, 1e-6]];
    let means: Vec<Vec<f64>> = (0..9).map(|i| vec![0.01 * f64::from(i % 3), 0.01 * f64::from(i / 3)]).collect();
    let law = Law::mixture(&[1.0 / 9.0; 9], &means, &vec![narrow; 9]).unwrap();
    let exact = Exact::new(&law, sde.clone(), DOUBLE);
    let x = at_start(&law, &*sde, 64);
    let wanted = exact.log_density(&x, sde.span().t_min);
    for tolerance in [1e-2, 1e-3, 1e-4] {
        let found = solve(&exact, &sde, &x, ExactTrace {}, controlled(&*sde, tolerance, 64));
        let error = largest(&(from_exact_end(&found, &exact, &*sde) - &wanted)) / 2.0;
        println!("tolerance {tolerance:e}: {error:.1e} nats a dimension, {:.0} evaluations", found.run.nfe);
        assert!(error < 30.0 * tolerance, "{tolerance:e}: {error:e}");
    }
}

/// ln p of samples as they are drawn, from the prior down, is that of going up from them.
#[test]
fn densities_are_the_same_on_both_ways() {
    let (_, law) = laws().swap_remove(3);
    for Process { name, sde } in processes() {
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        let up = solve(&exact, &sde, &at_start(&law, &*sde, 16), ExactTrace {}, controlled(&*sde, 1e-8, 16));
        let part = Box::new(Exact::new(&law, sde.clone(), DOUBLE));
        let down = Augmented::new(part, &[16], Arc::new(ExactTrace {}), (0, 0, 16), 16);
        let states = down.states(&up.latent);
        let run = controlled(&*sde, 1e-8, 16).run(&down, &states, &Workers::new(1).unwrap(), &|_| Ok(())).unwrap();
        let (_, change) = down.split(&run.x);
        let gap = largest(&(&up.prior + change.squeeze_dim(1) - up.total()));
        assert!(gap < 1e-5, "{name}: {gap:e}");
    }
}

/// The bound of the chain is above −ln p, and closes in on it as steps are added: for the exact denoiser nothing is left in
/// the limit, with either variance, and nothing in continuous time.
#[test]
fn bounds_close_in_on_the_likelihood() {
    for Process { name, sde } in processes() {
        let (_, law) = laws().swap_remove(1);
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        let x0 = law.draw(Stream::new(2, Purpose::Data), 0, 512);
        let wanted = -law.log_density(&x0).unwrap();
        let workers = Workers::new(2).unwrap();
        let gap_of = |bound: &dyn Bound| {
            let draws = (Stream::new(3, Purpose::Lift), 128);
            let terms = bound_terms(bound, &exact, (&x0, &Scale::UNIT), draws, &workers, &|_| Ok(())).unwrap();
            mean(&numbers(&(terms.total() - &wanted)))
        };
        let gap = |steps: usize, variance: Variance| gap_of(&Chain { times: log_snr(&*sde, steps), variance });
        for variance in [Variance::Posterior, Variance::Forward] {
            let gaps = [10, 100, 1000].map(|steps| gap(steps, variance));
            println!(
                "{name}, {variance:?}: gaps {:.3} {:.3} {:.3} ± {:.3}",
                gaps[0].0, gaps[1].0, gaps[2].0, gaps[2].1
            );
            assert!(gaps[0].0 > gaps[1].0 && gaps[1].0 > gaps[2].0 - 3.0 * gaps[2].1, "{name}: {gaps:?}");
            // What is left falls as 1/N, down to the prior's distance from p_T.
            let most = 0.15 * gaps[1].0 + 0.05 + 3.0 * gaps[2].1;
            assert!(gaps[2].0 > -3.0 * gaps[2].1 && gaps[2].0 < most, "{name}: {gaps:?}");
        }
        // Random times have no gap but the prior's, whatever their number.
        for draws in [1, 10, 100] {
            let between = (sde.span().t_max, sde.span().t_min);
            let (gap, error) = gap_of(&Continuous { between, draws, stream: Stream::new(4, Purpose::Time) });
            println!("{name}, continuous, {draws} draws: gap {gap:.3} ± {error:.3}");
            assert!(gap > -3.0 * error && gap < 0.05 + 3.0 * error, "{name}, {draws} draws: {gap} ± {error}");
        }
    }
}

/// The decoder at t₀ bounds the density of the data themselves, not of data with noise: nearly so where there is little noise,
/// and from below where there is much.
#[test]
fn the_decoder_bounds_the_density_of_the_data() {
    for Process { name, sde } in processes() {
        let (_, law) = laws().swap_remove(0);
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        let x0 = law.draw(Stream::new(2, Purpose::Data), 0, 2000);
        let gap = |t: f64| {
            let stream = Stream::new(9, Purpose::Lift);
            let lifted = Lift::Decoder.of(&x0, &Scale::UNIT, sde.kernel(t), (stream, 0, 0), |x| exact.denoise(x, t));
            let bound = exact.log_density(&lifted.x, t) + lifted.log_weight();
            mean(&numbers(&(law.log_density(&x0).unwrap() - bound)))
        };
        let ((least, error), (value, spread)) = (gap(sde.span().t_min), gap(sde.time_of_ratio(0.5)));
        println!(
            "{name}: the bound is {least:.1e} ± {error:.1e} nats below ln p at t_min, {value:.3} ± {spread:.3} at κ = ½"
        );
        assert!(least > -3.0 * error && least < 1e-3 + 3.0 * error, "{name}: {least} ± {error}");
        assert!(value > 10.0 * spread && value < 0.3, "{name}: {value} ± {spread}");
    }
}

/// Euler's is the only solver here that takes one evaluation a step, whatever the divergence takes.
#[test]
fn evaluations_are_those_of_the_solver() {
    let Process { sde, .. } = processes().swap_remove(3);
    let (_, law) = laws().swap_remove(0);
    let exact = Exact::new(&law, sde.clone(), DOUBLE);
    let x = at_start(&law, &*sde, 3);
    for recipe in [&ornstein::solve::Euler {} as &dyn Recipe, &ornstein::solve::Heun {}] {
        let found = solve(&exact, &sde, &x, ExactTrace {}, on_a_grid(&*sde, recipe.method(10), 10));
        assert!(found.total().isfinite().all().double_value(&[]) == 1.0 && found.total().kind() == Kind::Double);
        assert!([10.0, 20.0].contains(&found.run.nfe));
    }
}
