//! The weak order of stochastic solvers.

use std::sync::Arc;

use tch::Tensor;

use super::affine::{AffineMap, Gaussian};
use super::claim::judge;
use super::expectation::{Expectation, expectations, gauss_hermite};
use super::measure::{Effort, Finding, Kind, Subject};
use super::part::Part;
use super::run::{Draws, mean_of};
use super::target::{DOUBLE, Mixture, Product, line};
use super::{Point, Verdict, fit};
use crate::rng::{Purpose, Stream};
use crate::score::Eval;
use crate::sde::{Kernel, Sde};
use crate::solve::{Context, Noise, Solver, Step};
use crate::tensor;

/// Mean and variance of the Gaussian.
const GAUSSIAN: (f64, f64) = (0.7, 0.25);

/// Exact laws are exact to round-off, gathered over steps and products.
const FLOOR: f64 = 1e-12;

/// Numbers of steps over the whole span, where the law of the output is exact.
fn steps_of_law(order: f64, effort: Effort) -> &'static [usize] {
    match (order <= 1.0, effort) {
        (true, Effort::Full) => &[60, 85, 120, 170, 240, 340, 480, 680],
        (true, Effort::Quick) => &[60, 85, 120, 170, 240, 340],
        (false, Effort::Full) => &[40, 57, 80, 113, 160, 226, 320, 453],
        (false, Effort::Quick) => &[57, 80, 113, 160, 226],
    }
}

/// The error of mean and variance on a Gaussian.
pub(super) fn on_gaussian(subject: &Subject, claim: f64, effort: Effort) -> Finding {
    let (sde, (mean, variance)) = (subject.process.sde(), GAUSSIAN);
    let data = Gaussian::scalar(mean, variance);
    let product = Product { factors: vec![Mixture::new(&[(1.0, &[mean], &[variance])])], sde: sde.clone() };
    let error = |&steps: &usize| -> Option<Point> {
        let (times, method) = (subject.times(&**sde, steps), subject.recipe.method(steps));
        let law = AffineMap::of(&product, &method, &times, 1).ok()?.push(&data.at(&**sde, times[0]));
        let exact = data.at(&**sde, *times.last()?);
        let error = (law.mean[0] - exact.mean[0]).hypot(law.cov[[0, 0]] - exact.cov[[0, 0]]);
        Some(Point { steps, error, standard_error: 0.0 })
    };
    let points: Vec<Point> = steps_of_law(claim, effort).iter().filter_map(error).collect();
    finding(subject, "gaussian", claim, points)
}

fn finding(subject: &Subject, problem: &'static str, claim: f64, points: Vec<Point>) -> Finding {
    let fit = fit(&points, FLOOR, None);
    let mut finding = Finding { kind: Kind::Weak, problem, claim, points, fit, verdict: Verdict::Met };
    finding.verdict = judge(subject, &finding);
    finding
}

/// How many paths, and their numbers of steps.
fn on_paths(effort: Effort) -> (usize, &'static [usize]) {
    match effort {
        Effort::Full => (2000, &[16, 23, 32, 45, 64, 90, 128, 181]),
        Effort::Quick => (300, &[16, 23, 32, 45, 64]),
    }
}

/// The noise levels between which paths are followed: from where little is decided to where all is.
const RATIOS: (f64, f64) = (10.0, 0.05);

/// The error of E φ(z), φ = z and z², at the end, on a mixture.
///
/// With u_n(z) = E[φ(z_N) | z_n = z] of the process that the solver follows, and E_n the expectation over the noise of step
/// n alone, E φ(Z_N) = E u_0(z_0) + Σ E[E_n u_{n+1}(Z_{n+1}) − u_n(Z_n)], whatever u is. Each term is the error of one step,
/// which E_n knows by quadrature; what is left to the paths is their mean, and they scatter no more than the error itself.
pub(super) fn on_mixture(subject: &Subject, claim: f64, effort: Effort) -> Finding {
    let sde: Arc<dyn Sde> = Arc::new(Part::between(subject.process.sde().clone(), RATIOS));
    let product = Product { factors: vec![line()], sde };
    let (count, steps) = on_paths(effort);
    let points = steps.iter().filter_map(|&steps| error(subject, &product, steps, count)).collect();
    finding(subject, "mixture_1d", claim, points)
}

/// The error of so many steps, from `count` paths; none if they do not stay finite.
fn error(subject: &Subject, product: &Product, steps: usize, count: usize) -> Option<Point> {
    let (sde, mixture) = (&*product.sde, &product.factors[0]);
    let (times, solver) = (subject.times(sde, steps), subject.recipe.method(steps).solver);
    let ratios: Vec<f64> = times.iter().map(|&t| sde.kernel(t).ratio()).collect();
    let q: Vec<f64> = (0..steps).map(|n| stochasticity(product, &*solver, &ratios, n)).collect();
    let u = expectations(mixture, &ratios, &q);
    let (mean, variance) = mixture.moments(0);
    let end = ratios[ratios.len() - 1];
    let (found, exact) = (u[0].mean(mixture, ratios[0]), [mean, variance + mean * mean + end * end]);
    let (sums, controls) = of_steps(product, &*solver, &times, &u, count);
    let column = |values: Vec<f64>| tensor::from_f64(values, &[count as i64], DOUBLE);
    let gaps = [0, 1].map(|k| column(sums.iter().map(|sum| sum[k] + found[k] - exact[k]).collect()));
    let controls = (0..CONTROLS).map(|j| column(controls.iter().map(|control| control[j]).collect())).collect::<Vec<_>>();
    let gaps = gaps.map(|gap| without(gap, &controls));
    // The length of the mean, and its standard error: that along its own direction.
    let means = gaps.each_ref().map(|gap| mean_of(gap).0);
    let error = means[0].hypot(means[1]);
    let along = &gaps[0] * (means[0] / error) + &gaps[1] * (means[1] / error);
    error.is_finite().then(|| Point { steps, error, standard_error: mean_of(&along).1 })
}

/// So short in λ is the step that shows how much noise a solver draws.
const SHORT: f64 = 1e-5;

/// The stochasticity q of the process that a solver follows in the middle of step n: its noise has the variance 2qh σ².
fn stochasticity(product: &Product, solver: &dyn Solver, ratios: &[f64], n: usize) -> f64 {
    let (sde, middle) = (&*product.sde, (ratios[n] * ratios[n + 1]).sqrt());
    let [t, s] = [middle, middle * (-SHORT).exp()].map(|ratio| sde.time_of_ratio(ratio));
    let now = |rows: usize| Eval::new(product, Tensor::zeros([rows as i64, 1], DOUBLE), t);
    let (made, left) = (n, ratios.len() - 2 - n);
    let mut draws = Draws::default();
    solver.step(&mut Context::new(product, &mut draws, &[], made, left), &now(1), s);
    let units: Vec<Vec<f64>> =
        (0..=draws.0).map(|row| (0..draws.0).map(|draw| f64::from(u8::from(row == draw))).collect()).collect();
    let mut noise = Branches { nodes: &units, own: None, draw: 0 };
    let out = solver.step(&mut Context::new(product, &mut noise, &[], made, left), &now(units.len()), s).x;
    let out = Vec::<f64>::try_from(out.view(-1)).expect("float64 on the CPU");
    let variance: f64 = out[..draws.0].iter().map(|x| (x - out[draws.0]).powi(2)).sum();
    variance / (2.0 * SHORT * sde.kernel(t).sigma.powi(2))
}

/// How many sums of mean zero come with the errors of a path.
const CONTROLS: usize = 4;

/// Σ_n [E_n u_{n+1} − u_n] of each of `count` paths, and sums that are zero on average.
///
/// A multistep method sees the noise of one step as a slope in the next ones, an error that is zero on average but, at
/// h^{3/2} a step, larger than what it is to show. To first and second order in the innovation ζ = z_{n+1} − E_n z_{n+1} it is
/// a multiple of D′ u′ ζ and (D′ u″ + ½ D″ u′) (ζ² − E_n ζ²): these are the controls.
fn of_steps(
    product: &Product,
    solver: &dyn Solver,
    times: &[f64],
    u: &[Expectation],
    count: usize,
) -> (Vec<[f64; 2]>, Vec<[f64; CONTROLS]>) {
    let (sde, steps) = (&*product.sde, times.len() - 1);
    let z = |x: &Tensor, t: f64| {
        Vec::<f64>::try_from((x / sde.kernel(t).alpha).view(-1)).expect("float64 on the CPU")
    };
    let start = product.factors[0].draw(steps as u64, sde.kernel(times[0]), count);
    let (mut now, mut past) = (Eval::new(product, start, times[0]), Vec::<Eval>::new());
    let (mut sums, mut controls, mut drawn) = (vec![[0.0; 2]; count], vec![[0.0; CONTROLS]; count], 0);
    for n in 0..steps {
        let (s, left) = (times[n + 1], steps - 1 - n);
        let step = |noise: &mut dyn Noise, now: &Eval, past: &[Eval]| {
            solver.step(&mut Context::new(product, noise, past, n, left), now, s)
        };
        let mut draws = Draws::default();
        let first = Tensor::from_slice(&[0i64]);
        step(&mut draws, &rows(&now, &first), &past.iter().map(|eval| rows(eval, &first)).collect::<Vec<_>>());
        let (nodes, weights) = rule(draws.0);
        // Of each path as many copies as there are nodes, and one that goes on with noise of its own.
        let copies = nodes.len() as i64 + 1;
        let each = Tensor::arange(count as i64, (tch::Kind::Int64, DOUBLE.1)).repeat_interleave_self_int(copies, 0, None);
        let mut noise = Branches { nodes: &nodes, own: Some((Stream::new(steps as u64, Purpose::Brownian), drawn)), draw: 0 };
        let wide: Vec<Eval> = past.iter().map(|eval| rows(eval, &each)).collect();
        let Step { x, next } = step(&mut noise, &rows(&now, &each), &wide);
        drawn += draws.0 as u32;
        let (here, there) = (z(&now.x, now.t), z(&x, s));
        let mean = |f: &dyn Fn(f64) -> f64, ends: &[f64]| weights.iter().zip(ends).map(|(w, &z)| w * f(z)).sum::<f64>();
        let kernel = sde.kernel(s);
        let length = 1.0 - (kernel.ratio() / sde.kernel(now.t).ratio()).powi(2);
        for (((sum, control), z), ends) in
            sums.iter_mut().zip(&mut controls).zip(here).zip(there.chunks(copies as usize))
        {
            let before = u[n].at(z);
            let centre = mean(&|z| z, ends);
            let spread = mean(&|z| (z - centre).powi(2), ends);
            let zeta = ends[nodes.len()] - centre;
            let width = 0.5 * kernel.ratio().min(0.5);
            let around = [centre - width, centre, centre + width];
            let [d1, d2] = derivatives(around.map(|z| {
                let mut x0 = [0.0];
                product.factors[0].denoise(Kernel { alpha: 1.0, sigma: kernel.ratio() }, &[z], &mut x0);
                x0[0]
            }), width);
            let ahead = around.map(|z| u[n + 1].at(z));
            for k in 0..2 {
                sum[k] += mean(&|z| u[n + 1].at(z)[k], ends) - before[k];
                let [u1, u2] = derivatives(ahead.map(|u| u[k]), width);
                control[k] += length * d1 * u1 * zeta;
                control[2 + k] += length * (d1 * u2 + 0.5 * d2 * u1) * (zeta * zeta - spread);
            }
        }
        let own = Tensor::arange(count as i64, (tch::Kind::Int64, DOUBLE.1)) * copies + (copies - 1);
        let next = match next {
            Some(eval) => rows(&eval, &own),
            None => Eval::new(product, x.index_select(0, &own), s),
        };
        past.insert(0, std::mem::replace(&mut now, next));
        past.truncate(solver.memory());
    }
    (sums, controls)
}

/// The first two derivatives from three values.
fn derivatives([before, now, after]: [f64; 3], width: f64) -> [f64; 2] {
    [(after - before) / (2.0 * width), (after - 2.0 * now + before) / (width * width)]
}

/// Numbers less the multiples of the controls that they are correlated with. The controls are zero on average.
fn without(mut numbers: Tensor, controls: &[Tensor]) -> Tensor {
    let beside = |x: &Tensor, control: &Tensor| {
        let deviation = control - control.mean(DOUBLE.0);
        let share = (x * &deviation).sum(DOUBLE.0) / deviation.square().sum(DOUBLE.0).clamp_min(f64::MIN_POSITIVE);
        x - share * control
    };
    let mut left: Vec<Tensor> = controls.iter().map(Tensor::shallow_clone).collect();
    while let Some(control) = left.pop() {
        numbers = beside(&numbers, &control);
        left = left.iter().map(|other| beside(other, &control)).collect();
    }
    numbers
}

/// Some rows of an evaluation.
fn rows(eval: &Eval, which: &Tensor) -> Eval {
    let Eval { t, kernel, x, x0 } = eval;
    Eval { t: *t, kernel: *kernel, x: x.index_select(0, which), x0: x0.index_select(0, which) }
}

/// Nodes `[K][draws]` and weights for expectations over so many normals.
fn rule(draws: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let line = gauss_hermite(match draws {
        0 | 1 => 8,
        2 => 6,
        _ => 5,
    });
    let (mut nodes, mut weights) = (vec![Vec::new()], vec![1.0]);
    for _ in 0..draws {
        let along = |node: &Vec<f64>| line.iter().map(|(x, _)| [node.as_slice(), &[*x]].concat()).collect::<Vec<_>>();
        nodes = nodes.iter().flat_map(along).collect();
        weights = weights.iter().flat_map(|weight| line.iter().map(move |(_, w)| weight * w)).collect();
    }
    (nodes, weights)
}

/// The noise of one step for groups of rows: each group has the same nodes, and a row with random numbers if it has a
/// stream of its own.
#[derive(Debug)]
struct Branches<'a> {
    nodes: &'a [Vec<f64>],
    /// A stream, and the draws that earlier steps took of it.
    own: Option<(Stream, u32)>,
    draw: usize,
}

impl Noise for Branches<'_> {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        self.normal(like) * (b - a).abs().sqrt()
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        let copies = self.nodes.len() + usize::from(self.own.is_some());
        let groups = like.numel() / copies;
        let mut own = vec![0.0; groups];
        if let Some((stream, drawn)) = self.own {
            stream.normals(0, drawn + self.draw as u32, 1, &mut own);
        }
        let group = |own: &f64| {
            let nodes = self.nodes.iter().map(|node| node[self.draw]);
            nodes.chain(self.own.map(|_| *own)).collect::<Vec<f64>>()
        };
        let values = own.iter().flat_map(group).collect();
        self.draw += 1;
        tensor::from_f64(values, &like.size(), DOUBLE)
    }
}
