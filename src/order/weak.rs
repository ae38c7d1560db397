//! The weak order of stochastic solvers.

use std::sync::Arc;

use tch::Tensor;

use super::affine::{AffineMap, Gaussian};
use super::claim::judge;
use super::expectation::{Expectation, expectations};
use super::measure::{Effort, Finding, Kind, Subject};
use super::part::Part;
use super::run::mean_of;
use super::target::{DOUBLE, Mixture, Product, line};
use super::transition::{Branched, Chain};
use super::{Point, Verdict, fit};
use crate::rng::{Purpose, Stream};
use crate::score::Eval;
use crate::sde::{Kernel, Sde};
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

/// Numbers of steps on the mixture, and how many paths to take of a solver with a past: with few paths chance would hide
/// its order, and with none it is measured on the Gaussian alone.
fn on_paths(order: f64, effort: Effort) -> (&'static [usize], usize) {
    match (order <= 1.0, effort) {
        (_, Effort::Full) => (&[64, 96, 128, 192, 256, 384], 4000),
        // Euler–Maruyama on the variance-exploding process settles late.
        (true, Effort::Quick) => (&[64, 90, 128, 181, 256], 0),
        (false, Effort::Quick) => (&[40, 48, 57, 68, 80], 0),
    }
}

/// The noise levels between which the process is followed: from where little is decided to where all is.
const RATIOS: (f64, f64) = (10.0, 0.05);

/// The error of E φ(z), φ = z and z², at the end, on a mixture; z = x/α. None if it would take paths and there are none.
pub(super) fn on_mixture(subject: &Subject, claim: f64, effort: Effort) -> Option<Finding> {
    let sde: Arc<dyn Sde> = Arc::new(Part::between(subject.process.sde().clone(), RATIOS));
    let product = Product { factors: vec![line()], sde };
    let (steps, count) = on_paths(claim, effort);
    let with = |steps: usize| (subject.times(&*product.sde, steps), subject.recipe.method(steps).solver);
    let (times, solver) = with(steps[0]);
    let forgets = Chain { product: &product, solver: &*solver, times: &times }.forgets();
    if !forgets && count == 0 {
        return None;
    }
    let error = |&steps: &usize| {
        let (times, solver) = with(steps);
        let chain = Chain { product: &product, solver: &*solver, times: &times };
        let (error, standard_error) = if forgets { exact(&chain) } else { of_paths(&chain, count) };
        error.is_finite().then_some(Point { steps, error, standard_error })
    };
    Some(finding(subject, "mixture_1d", claim, steps.iter().filter_map(error).collect()))
}

/// The expectations that a process has which keeps the marginals.
fn kept(chain: &Chain) -> [f64; 2] {
    let ((mean, variance), end) = (chain.product.factors[0].moments(0), chain.ratio(chain.times.len() - 1));
    [mean, variance + mean * mean + end * end]
}

/// The error of a solver without a past, and none of chance: v_n(z) = E[φ(Z_N) | Z_n = z] = E_n v_{n+1}(Z_{n+1}), where E_n is
/// the expectation over the noise of step n, by quadrature, from φ back to the start.
fn exact(chain: &Chain) -> (f64, f64) {
    let (mixture, steps) = (&chain.product.factors[0], chain.times.len() - 1);
    let mut v = Expectation::new(mixture, chain.ratio(steps), |z| [z, z * z]);
    for n in (0..steps).rev() {
        let nodes = Expectation::nodes(mixture, chain.ratio(n));
        let Branched { weights, ends, .. } = chain.branch(n, &[], &chain.eval(&nodes, n), None);
        let mut ends = ends.iter();
        v = Expectation::new(mixture, chain.ratio(n), |_| {
            let values = ends.next().expect("an end for each node").iter().map(|&z| v.at(z));
            values.zip(&weights).fold([0.0; 2], |sum, (value, w)| [0, 1].map(|k| sum[k] + w * value[k]))
        });
    }
    let (found, kept) = (v.mean(mixture, chain.ratio(0)), kept(chain));
    ((found[0] - kept[0]).hypot(found[1] - kept[1]), 0.0)
}

/// The error of a solver with a past, and its standard error.
///
/// With u_n(z) = E[φ(z_N) | z_n = z] of the process that the solver follows, E φ(Z_N) = E u_0(z_0) + Σ E[E_n u_{n+1}(Z_{n+1}) −
/// u_n(Z_n)], whatever u is. Each term is the error of one step, of which E_n is known by quadrature; what is left to
/// `count` paths is their mean, and it scatters no more than the error itself, but for the [`controls`].
fn of_paths(chain: &Chain, count: usize) -> (f64, f64) {
    let (mixture, steps) = (&chain.product.factors[0], chain.times.len() - 1);
    let ratios: Vec<f64> = (0..=steps).map(|n| chain.ratio(n)).collect();
    let q: Vec<f64> = (0..steps).map(|n| chain.stochasticity(n)).collect();
    let u = expectations(mixture, &ratios, &q);
    let mut now = Eval::new(
        chain.product,
        mixture.draw(steps as u64, chain.product.sde.kernel(chain.times[0]), count),
        chain.times[0],
    );
    let (stream, mut drawn, mut past) = (Stream::new(steps as u64, Purpose::Brownian), 0, Vec::<Eval>::new());
    let (found, kept) = (u[0].mean(mixture, ratios[0]), kept(chain));
    let mut sums = vec![[0, 1].map(|k| found[k] - kept[k]); count];
    let mut innovations = vec![0.0; count];
    let mut zeros = vec![vec![0.0; ALL_CONTROLS]; count];
    for n in 0..steps {
        let Branched { weights, ends, draws, next } = chain.branch(n, &past, &now, Some((stream, drawn)));
        drawn += draws as u32;
        let alpha = now.kernel.alpha;
        let here = Vec::<f64>::try_from(now.x.view(-1)).expect("float64 on the CPU");
        let of_paths = sums.iter_mut().zip(&mut zeros).zip(&mut innovations).zip(here).zip(&ends);
        for ((((sum, zero), innovation), x), ends) in of_paths {
            let before = u[n].at(x / alpha);
            for (weight, &z) in weights.iter().zip(ends) {
                let value = u[n + 1].at(z);
                (0..2).for_each(|k| sum[k] += weight * (value[k] - before[k]));
            }
            let (zeta, more) = controls(mixture, &u[n + 1], ratios[n + 1], &weights, ends, *innovation);
            *innovation = zeta;
            let length = 1.0 - (ratios[n + 1] / ratios[n]).powi(2);
            let (first, more) = match near_end(n, steps) {
                _ if n + 1 == steps => continue,
                Some(place) => (CONTROLS + place * OF_END, &more[..OF_END]),
                None => (0, &more[..]),
            };
            zero[first..].iter_mut().zip(more).for_each(|(zero, more)| *zero += length * more);
        }
        past.insert(0, std::mem::replace(&mut now, next.expect("paths go on")));
        past.truncate(chain.solver.memory());
    }
    let column = |values: Vec<f64>| tensor::from_f64(values, &[count as i64], DOUBLE);
    let zeros: Vec<Tensor> = (0..ALL_CONTROLS).map(|j| column(zeros.iter().map(|zero| zero[j]).collect())).collect();
    let gaps = [0, 1].map(|k| without(column(sums.iter().map(|sum| sum[k]).collect()), &zeros));
    // The length of the mean, and its standard error: that along its own direction.
    let means = gaps.each_ref().map(|gap| mean_of(gap).0);
    let error = means[0].hypot(means[1]);
    let along = &gaps[0] * (means[0] / error) + &gaps[1] * (means[1] / error);
    // As many degrees of freedom went to the controls as there are.
    (error, mean_of(&along).1 * (count as f64 / (count - ALL_CONTROLS) as f64).sqrt())
}

/// How many numbers of mean zero come with each step of a path, and how many of them, the first ones, for a step near an
/// end by itself: noise there meets steps of other weights, and that of the last step meets none.
const CONTROLS: usize = 18;
const OF_END: usize = 4;
const ALL_CONTROLS: usize = CONTROLS + 5 * OF_END;

/// The place of a step among the first two and the three before the last.
fn near_end(n: usize, steps: usize) -> Option<usize> {
    if n < 2 { Some(n) } else { (n + 4 >= steps).then(|| n + 6 - steps) }
}

/// Numbers that are zero on average and correlated with the errors of later steps.
///
/// A multistep method takes the noise of one step for a slope in the next ones: an error that is zero on average but, at
/// h^{3/2} a step, hides what is to be measured. In the innovations ζ = z_{n+1} − E_n z_{n+1} of this step and of the one
/// `before` it is to first and second order a sum of multiples of these. Returned with ζ.
fn controls(
    mixture: &Mixture,
    u: &Expectation,
    ratio: f64,
    weights: &[f64],
    ends: &[f64],
    before: f64,
) -> (f64, [f64; CONTROLS]) {
    let mean = |f: &dyn Fn(f64) -> f64| weights.iter().zip(ends).map(|(weight, &z)| weight * f(z)).sum::<f64>();
    let centre = mean(&|z| z);
    let zeta = ends[weights.len()] - centre;
    let square = zeta * zeta - mean(&|z| (z - centre).powi(2));
    let width = 0.5 * ratio.min(0.5);
    let around = [centre - width, centre, centre + width];
    let denoised = around.map(|z| {
        let mut x0 = [0.0];
        mixture.denoise(Kernel { alpha: 1.0, sigma: ratio }, &[z], &mut x0);
        x0[0]
    });
    let ([d1, d2], ahead) = (derivatives(denoised, width), around.map(|z| u.at(z)));
    let [first, second] = [0, 1].map(|k| derivatives(ahead.map(|u| u[k]), width));
    let each = |f: &dyn Fn([f64; 2]) -> f64| [f(first), f(second)];
    let all = [
        each(&|[u1, _]| u1 * zeta),
        each(&|[u1, _]| d1 * u1 * zeta),
        each(&|[u1, _]| d1 * d1 * u1 * zeta),
        each(&|[_, u2]| u2 * square),
        each(&|[_, u2]| d1 * u2 * square),
        each(&|[u1, _]| d2 * u1 * square),
        each(&|[_, u2]| u2 * zeta * before),
        each(&|[_, u2]| d1 * u2 * zeta * before),
        each(&|[u1, _]| d2 * u1 * zeta * before),
    ];
    (zeta, all.concat().try_into().expect("two of each"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::Vp;
    use crate::solve::{Ddim, Grid, LogSnr, Seeds2, Solver};

    /// Two ways to the same error, for processes of much and of little noise.
    #[test]
    fn paths_scatter_about_what_is_exact() {
        let sde: Arc<dyn Sde> = Arc::new(Part::between(Arc::new(Vp::default()), RATIOS));
        let times = LogSnr {}.times(&*sde, 24);
        let product = Product { factors: vec![line()], sde };
        let solvers: [&dyn Solver; 3] = [&Ddim { eta: 1.0 }, &Ddim { eta: 0.4 }, &Seeds2::default()];
        for solver in solvers {
            let chain = Chain { product: &product, solver, times: &times };
            assert!(chain.forgets());
            let ((exact, _), (found, standard_error)) = (exact(&chain), of_paths(&chain, 400));
            assert!((found - exact).abs() < 4.0 * standard_error, "{found} ± {standard_error}, {exact}: {solver:?}");
            assert!(standard_error < 0.1 * exact, "{standard_error} of {exact}: {solver:?}");
        }
    }

    #[test]
    fn a_short_step_tells_the_stochasticity() {
        let sde: Arc<dyn Sde> = Arc::new(Part::between(Arc::new(Vp::default()), RATIOS));
        let times = LogSnr {}.times(&*sde, 8);
        let product = Product { factors: vec![line()], sde };
        for eta in [1.0, 0.5, 0.0] {
            let (ddim, seeds) = (Ddim { eta }, Seeds2 { eta, ..Seeds2::default() });
            for (solver, q) in [(&ddim as &dyn Solver, eta * eta), (&seeds, eta)] {
                let found = Chain { product: &product, solver, times: &times }.stochasticity(3);
                assert!((found - q).abs() < 1e-3, "{found}: {solver:?}");
            }
        }
    }
}
