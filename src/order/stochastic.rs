//! The weak and strong orders of stochastic solvers.

use std::sync::Arc;

use tch::{Kind as Number, Tensor};

use super::affine::{AffineMap, Gaussian};
use super::claim::judge;
use super::measure::{Effort, Finding, Kind, Subject};
use super::path::RememberedPath;
use super::run::integrate;
use super::target::{Mixture, Product, line};
use super::{Point, Verdict, fit};
use crate::error::Result;
use crate::sde::{Kernel, Sde, Span};

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
pub(super) fn weak_on_gaussian(subject: &Subject, claim: f64, effort: Effort) -> Finding {
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
    let fit = fit(&points, FLOOR, None);
    let mut finding = Finding { kind: Kind::Weak, problem: "gaussian", claim, points, fit, verdict: Verdict::Met };
    finding.verdict = judge(subject, &finding);
    finding
}

/// How many paths, their numbers of steps, and that of the solution to compare with. All of these divide it, so that
/// grids are nested and the path is drawn once.
fn on_paths(effort: Effort) -> (usize, &'static [usize], usize) {
    match effort {
        Effort::Full => (8000, &[16, 20, 32, 40, 64, 80, 128, 160], 1280),
        Effort::Quick => (400, &[16, 20, 32, 40, 64, 80], 640),
    }
}

/// The noise levels between which paths are followed: from where little is decided to where all is. The steps in between
/// are those that matter, and the solution to compare with would be dear over the whole span.
const RATIOS: (f64, f64) = (10.0, 0.05);

/// The errors of paths, and of expectations over them, for those orders that are claimed.
///
/// # Errors
/// When the finest run does not stay finite.
pub(super) fn on_mixture(
    subject: &Subject,
    (weak, strong): (Option<f64>, Option<f64>),
    effort: Effort,
) -> Result<Vec<Finding>> {
    let whole = subject.process.sde();
    let sde: Arc<dyn Sde> = Arc::new(Part::between(whole.clone(), RATIOS));
    let product = Product { factors: vec![line()], sde: sde.clone() };
    let (count, steps, finest) = on_paths(effort);
    let start = line().draw(3, sde.kernel(sde.span().t_max), count);
    let mut path = RememberedPath::new(9);
    let mut end = |steps: usize| {
        let (times, method) = (subject.times(&*sde, steps), subject.recipe.method(steps));
        path.rewind();
        integrate(&product, &method, &times, &mut path, &start)
    };
    let reference = end(finest)?;
    let limit = limit(&reference, sde.kernel(sde.span().t_min));
    let (mut of_paths, mut of_means) = (Vec::new(), Vec::new());
    for &steps in steps {
        let Ok(out) = end(steps) else { continue };
        let (error, standard_error) = path_error(&out, &reference);
        of_paths.push(Point { steps, error, standard_error });
        let (error, standard_error) = mean_error(&out, &reference);
        of_means.push(Point { steps, error, standard_error });
    }
    let finding = |kind: Kind, claim: f64, points: Vec<Point>, reference: Option<usize>| {
        let fit = fit(&points, FLOOR, reference);
        let mut finding = Finding { kind, problem: "mixture_1d", claim, points, fit, verdict: Verdict::Met };
        finding.verdict = match &limit {
            Some(problem) if kind == Kind::Weak => Verdict::Missed(problem.clone()),
            _ => judge(subject, &finding),
        };
        finding
    };
    // Few paths show no order of expectations; those on the Gaussian are exact with any effort.
    let weak = weak.filter(|_| effort == Effort::Full).map(|claim| finding(Kind::Weak, claim, of_means, Some(finest)));
    // Errors of paths at N and at R are nearly independent: the smaller vanishes beside the square of the larger.
    let strong = strong.map(|claim| finding(Kind::Strong, claim, of_paths, None));
    Ok(weak.into_iter().chain(strong).collect())
}

/// The root mean square of the distances between two sets of points `[M, 1]`, with its standard error.
fn path_error(out: &Tensor, reference: &Tensor) -> (f64, f64) {
    let (mean, error) = mean_of(&(out - reference).square());
    (mean.sqrt(), 0.5 * error / mean.sqrt())
}

/// The length of the mean of φ(x) − φ(y), φ = (x, x²), over pairs `[M, 1]`, with its standard error: that of the mean
/// along its own direction.
fn mean_error(out: &Tensor, reference: &Tensor) -> (f64, f64) {
    let gaps = [out - reference, out.square() - reference.square()];
    let means = gaps.each_ref().map(|gap| mean_of(gap).0);
    let length = means[0].hypot(means[1]);
    let along = &gaps[0] * (means[0] / length) + &gaps[1] * (means[1] / length);
    (length, mean_of(&along).1)
}

/// The mean of independent numbers with its standard error.
fn mean_of(x: &Tensor) -> (f64, f64) {
    let mean = x.mean(Number::Double).double_value(&[]);
    let variance = (x - mean).square().mean(Number::Double).double_value(&[]);
    (mean, (variance / x.numel() as f64).sqrt())
}

/// So many standard errors are no chance.
const NO_CHANCE: f64 = 5.0;

/// What the finest solution converges to, if it is not the law of the data at that noise level.
fn limit(reference: &Tensor, Kernel { alpha, sigma }: Kernel) -> Option<String> {
    let (mean, variance) = line().moments(0);
    let mean = alpha * mean;
    let second = alpha * alpha * variance + sigma * sigma + mean * mean;
    let moments = [("x", mean, reference.shallow_clone()), ("x²", second, reference.square())];
    moments.into_iter().find_map(|(name, exact, values)| {
        let (found, error) = mean_of(&values);
        let far = (found - exact).abs() / error;
        (far > NO_CHANCE).then(|| format!("E {name} tends to {found:.4}, {far:.0} standard errors from {exact:.4}"))
    })
}

/// A process between two noise levels.
#[derive(Debug)]
struct Part {
    whole: Arc<dyn Sde>,
    span: Span,
}

impl Part {
    fn between(whole: Arc<dyn Sde>, (high, low): (f64, f64)) -> Self {
        let (t_max, t_min) = (whole.time_of_ratio(high), whole.time_of_ratio(low));
        // What is at t_max is no prior, but its scale is.
        let prior_std = whole.kernel(t_max).sigma;
        Part { span: Span { t_min, t_train: t_min, t_max, prior_std }, whole }
    }
}

impl Sde for Part {
    fn kernel(&self, t: f64) -> Kernel {
        self.whole.kernel(t)
    }

    fn drift(&self, t: f64) -> f64 {
        self.whole.drift(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        self.whole.diffusion_sq(t)
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        self.whole.time_of_ratio(ratio)
    }

    fn span(&self) -> Span {
        self.span
    }

    fn lambda_rate(&self, t: f64) -> f64 {
        self.whole.lambda_rate(t)
    }
}
