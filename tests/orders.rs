//! The orders that solvers claim, fitted with confidence intervals on problems with exact solutions.
//!
//! Order p means error ∝ N^{−p}: p is fitted by least squares of log error on log N, its 95 % interval from Student's t.
//! `cargo test --test orders -- --nocapture` prints the tables.
//!
//! * Deterministic solvers, against the exact map of the probability-flow ODE: for Gaussian data
//!   (x − αμ)/√(α²λ + σ²) is constant along it; for any density on the line quantiles are, x_t = F_t⁻¹(F_s(x_s)).
//! * Stochastic solvers, weak: mean and variance of the exact output law, without Monte Carlo (`common::AffineMap`).
//! * Stochastic solvers, strong: the same solver on a much finer grid on the same Brownian path.

mod common;

use std::fmt::Write;
use std::sync::Arc;

use common::{
    DETERMINISTIC, DOUBLE, Gaussian, Maker, Process, STOCHASTIC, integrate, integrate_ode, log_snr, output_law,
    processes, rows,
};
use ornstein::score::exact::{Exact, Law};
use ornstein::sde::{Edm, Kernel, Sde};
use ornstein::solve::{BrownianPath, Grid, Karras, LogSnr, prior};
use statrs::distribution::{ContinuousCDF, StudentsT};
use tch::{Kind, Tensor};

/// A fitted order with its 95 % confidence interval.
#[derive(Clone, Copy, Debug)]
struct Fit {
    order: f64,
    half_width: f64,
}

/// States are of order one: below this, errors are round-off and say nothing about the order.
const ROUND_OFF: f64 = 2e-14;

/// Least squares of −log error on log N, without what is round-off.
fn fit(errors: &[(usize, f64)]) -> Fit {
    let points: Vec<(f64, f64)> =
        errors.iter().filter(|(_, e)| *e > ROUND_OFF).map(|&(n, e)| ((n as f64).ln(), -e.ln())).collect();
    let count = points.len() as f64;
    assert!(points.len() >= 4, "too few errors above round-off: {errors:?}");
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / count;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let spread = mean(&|p| (p.0 - x).powi(2));
    let order = mean(&|p| (p.0 - x) * (p.1 - y)) / spread;
    let residual = mean(&|p| (p.1 - y - order * (p.0 - x)).powi(2));
    let t = StudentsT::new(0.0, 1.0, count - 2.0).expect("two degrees of freedom or more").inverse_cdf(0.975);
    Fit { order, half_width: t * (residual / spread / (count - 2.0)).sqrt() }
}

/// Fits every solver on every process, prints the table, and holds each fit to the claim.
///
/// Where `may_exceed` names a solver and a process, its order may be larger than claimed.
fn hold_to_account(
    title: &str,
    makers: &[Maker],
    may_exceed: Option<(&str, &str)>,
    claim: impl Fn(&Maker) -> f64,
    errors: impl Fn(&Maker, &Process) -> Vec<(usize, f64)>,
) {
    let mut table = format!("\n{title}\n{:<20} {:>5}", "solver", "claim");
    for Process { name, .. } in processes() {
        let _ = write!(table, " {name:^19}");
    }
    let mut failures = Vec::new();
    for maker in makers {
        let claim = claim(maker);
        let _ = write!(table, "\n{:<20} {claim:>5.0}", maker.0);
        for process in processes() {
            let errors = errors(maker, &process);
            let Fit { order, half_width } = fit(&errors);
            let (low, high) = (order - half_width, order + half_width);
            let _ = write!(table, " {order:.2} [{low:5.2}, {high:5.2}]");
            let exceeds = may_exceed == Some((maker.0, process.name)) && low > claim;
            if !(exceeds || (order - claim).abs() <= 0.15 && claim - low <= 0.3 && high - claim <= 0.3) {
                failures.push(format!(
                    "{} on {}: {order:.3} [{low:.3}, {high:.3}], claimed {claim}: {errors:?}",
                    maker.0, process.name
                ));
            }
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "{title}:\n{}", failures.join("\n"));
}

/// Step counts for a claimed order: high orders are small before they are asymptotic, low ones need their range.
fn steps(order: f64) -> &'static [usize] {
    match order as usize {
        1 | 2 => &[40, 80, 160, 320, 640],
        3 => &[80, 120, 160, 240, 320, 480],
        4 => &[60, 80, 120, 160, 240, 320],
        _ => &[160, 200, 256, 320, 400],
    }
}

/// dopri5 on EDM: on a Gaussian its leading error nearly cancels, to a term some 350 times smaller than the next one, so
/// that it looks like order 6 to 7 until it changes sign, near round-off. (Other grids in σ and parts of the span do the
/// same.) Its order shows on the mixture, below σ = 0.3.
const SUPERCONVERGENT: (&str, &str) = ("dopri5", "edm");

fn ode_order(maker: &Maker) -> f64 {
    maker.1().solver.order().ode.expect("a deterministic solver claims an ODE order")
}

/// Deterministic solvers on a Gaussian with three spreads, off centre.
#[test]
fn ode_orders_on_a_gaussian() {
    let (means, spectrum) = ([0.7, -0.4, 0.2], [0.04, 0.25, 1.5]);
    let law = Law::spectrum(&means, &spectrum);
    // The point 1.3 standard deviations from the mean stays there.
    let point = |sde: &dyn Sde, t: f64| {
        let Kernel { alpha, sigma } = sde.kernel(t);
        let at = |(m, v): (f64, f64)| alpha * m + 1.3 * (alpha * alpha * v + sigma * sigma).sqrt();
        Tensor::from_slice(&[0, 1, 2].map(|i| at((means[i], spectrum[i])))).unsqueeze(0)
    };
    let errors = |maker: &Maker, process: &Process| {
        let sde = &process.sde;
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        let error = |&n: &usize| {
            let times = log_snr(&**sde, n);
            let out = integrate_ode(&exact, &maker.1(), &times, &point(&**sde, times[0]));
            (n, (out - point(&**sde, times[n])).norm().double_value(&[]))
        };
        let superconvergent = (maker.0, process.name) == SUPERCONVERGENT;
        let steps = if superconvergent { &[24, 32, 40, 48, 60, 80] } else { steps(ode_order(maker)) };
        steps.iter().map(error).collect()
    };
    hold_to_account("ODE order, Gaussian", &DETERMINISTIC, Some(SUPERCONVERGENT), ode_order, errors);
}

/// A mixture of two Gaussians on the line.
const WEIGHTS: [f64; 2] = [0.4, 0.6];
const MEANS: [f64; 2] = [-0.6, 0.5];
const VARIANCES: [f64; 2] = [0.1, 0.3];

fn mixture(sde: &Arc<dyn Sde>) -> Exact {
    let law = Law::mixture(&WEIGHTS, &MEANS.map(|m| vec![m]), &VARIANCES.map(|v| vec![vec![v]]));
    Exact::new(&law.expect("variances are positive"), sde.clone(), DOUBLE)
}

/// The quantiles `p` of the mixture at one time, by bisection of its distribution function.
fn quantiles(kernel: Kernel, p: &Tensor) -> Tensor {
    let Kernel { alpha, sigma } = kernel;
    let component = |x: &Tensor, i: usize| {
        let spread = (alpha * alpha * VARIANCES[i] + sigma * sigma).sqrt();
        ((x - alpha * MEANS[i]) / spread).special_ndtr() * WEIGHTS[i]
    };
    let reach = p.ones_like() * (10.0 * (alpha + sigma));
    let (mut low, mut high) = (-&reach, reach);
    for _ in 0..80 {
        let middle = (&low + &high) * 0.5;
        let below = (component(&middle, 0) + component(&middle, 1)).less_tensor(p);
        (low, high) = (middle.where_self(&below, &low), high.where_self(&below, &middle));
    }
    low
}

/// Deterministic solvers on a nonlinear problem: quantiles of a mixture.
#[test]
fn ode_orders_on_a_mixture() {
    let p = rows(&[[0.1], [0.25], [0.45], [0.7], [0.9]]);
    let errors = |maker: &Maker, process: &Process| {
        let sde = &process.sde;
        let exact = mixture(sde);
        let superconvergent = (maker.0, process.name) == SUPERCONVERGENT;
        let error = |&n: &usize| {
            let times = match superconvergent {
                true => log_snr(&Edm { sigma_max: 0.3, ..Edm::default() }, n),
                false => log_snr(&**sde, n),
            };
            let out = integrate_ode(&exact, &maker.1(), &times, &quantiles(sde.kernel(times[0]), &p));
            (n, (out - quantiles(sde.kernel(times[n]), &p)).norm().double_value(&[]))
        };
        let steps = if superconvergent { &[40, 56, 80, 112, 160] } else { steps(ode_order(maker)) };
        steps.iter().map(error).collect()
    };
    hold_to_account("ODE order, mixture", &DETERMINISTIC, None, ode_order, errors);
}

/// Stochastic solvers: mean and variance of the output law on a Gaussian.
#[test]
fn weak_orders_on_a_gaussian() {
    let data = Gaussian::scalar(0.7, 0.25);
    let claim = |maker: &Maker| maker.1().solver.order().weak.expect("a stochastic solver claims a weak order");
    let errors = |maker: &Maker, Process { name, sde }: &Process| {
        // Euler–Maruyama with equal steps in t and f = 0 on v(t) = λ + σ²: the leading error of the variance is
        // ½ h v² ∫ d(g²/v²), which vanishes up to the ends, and on VE, where equal steps in log-SNR are equal in t, the
        // ends are negligible: it looks like order 2 (1.96 for N = 40 … 640). Unequal steps show the order 1 that it has.
        let telescopes = (maker.0, *name) == ("euler_maruyama", "ve");
        let (grid, steps): (&dyn Grid, &[usize]) = match telescopes {
            true => (&Karras { rho: 3.0 }, &[320, 640, 960, 1280, 1920]),
            false => (&LogSnr {}, &[60, 120, 240, 480, 720]),
        };
        let error = |&n: &usize| {
            let times = grid.times(&**sde, n);
            let law = output_law(&data, sde, &maker.1(), &times);
            let exact = data.at(&**sde, times[n]);
            let (mean, variance) = (law.mean[0] - exact.mean[0], law.cov[[0, 0]] - exact.cov[[0, 0]]);
            (n, mean.hypot(variance))
        };
        steps.iter().map(error).collect()
    };
    hold_to_account("weak order, Gaussian", &STOCHASTIC, None, claim, errors);
}

/// Stochastic solvers: root-mean-square distance of 200 paths to a much finer grid on the same Brownian path, on the
/// mixture, where no two steps commute.
#[test]
fn strong_orders_on_a_mixture() {
    let claim = |maker: &Maker| maker.1().solver.order().strong.expect("a stochastic solver claims a strong order");
    let errors = |maker: &Maker, Process { sde, .. }: &Process| {
        let (exact, method) = (mixture(sde), maker.1());
        // From pure noise to data, log-spaced; a reference over the whole span would cost more and show no more.
        let times = |n: usize| -> Vec<f64> {
            (0..=n).map(|i| sde.time_of_ratio(10.0 * 0.005f64.powf(i as f64 / n as f64))).collect()
        };
        let start = prior(&**sde, 3, 200, &[1], DOUBLE) * (sde.kernel(times(1)[0]).sigma / sde.span().prior_std);
        let end = |n: usize| {
            let times = times(n);
            let clock = method.solver.clock();
            let span = (clock.at(&**sde, times[0]), clock.at(&**sde, times[n]));
            integrate(&exact, &method, &times, &mut BrownianPath::new(9, 0, span), &start)
        };
        let reference = end(1120);
        let error = |&n: &usize| {
            let square = (end(n) - &reference).square().mean(Kind::Double).double_value(&[]);
            (n, square.sqrt())
        };
        [20, 28, 40, 56, 80, 112].iter().map(error).collect()
    };
    // Ancestral sampling with the posterior variance is DDIM with η = 1, bit for bit.
    hold_to_account("strong order, mixture", &STOCHASTIC[..4], None, claim, errors);
}
