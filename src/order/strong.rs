//! The strong order of stochastic solvers.

use std::sync::Arc;

use tch::Tensor;

use super::claim::judge;
use super::measure::{Effort, Finding, Kind, Subject};
use super::part::Part;
use super::path::RememberedPath;
use super::run::{integrate, mean_of};
use super::target::{Product, skewed};
use super::{Point, Verdict, fit};
use crate::sde::Sde;

/// Paths are compared in float64; their errors are far above this.
const FLOOR: f64 = 1e-12;

/// How many paths, their numbers of steps, and that of the solution to compare with. All of these divide it, so that
/// grids are nested and the path is drawn once.
fn on_paths(effort: Effort) -> (usize, &'static [usize], usize) {
    match effort {
        Effort::Full => (2000, &[32, 40, 64, 80, 128, 160, 256], 1280),
        Effort::Quick => (400, &[32, 40, 64, 80, 128, 160], 640),
    }
}

/// The noise levels between which paths are followed. x₀ is undecided all the way, its law given x skewed, and steps are
/// short beside its variance: with additive noise errors of order 1.5 come from D_yy (ΔB)², and D_yy is the third moment of
/// that law, while those of order 2 come from D_y², its variance squared.
const RATIOS: (f64, f64) = (2.0, 0.5);

/// The errors of paths; none if the finest run does not stay finite.
pub(super) fn on_mixture(subject: &Subject, claim: f64, effort: Effort) -> Finding {
    let sde: Arc<dyn Sde> = Arc::new(Part::between(subject.process.sde().clone(), RATIOS));
    let product = Product { factors: vec![skewed()], sde: sde.clone() };
    let (count, steps, finest) = on_paths(effort);
    let start = skewed().draw(3, sde.kernel(sde.span().t_max), count);
    let mut path = RememberedPath::new(9);
    let mut end = |steps: usize| {
        let (times, method) = (subject.times(&*sde, steps), subject.recipe.method(steps));
        path.rewind();
        integrate(&product, &method, &times, &mut path, &start)
    };
    let reference = end(finest);
    let mut error = |&steps: &usize| {
        let (error, standard_error) = path_error(&end(steps).ok()?, reference.as_ref().ok()?);
        Some(Point { steps, error, standard_error })
    };
    let points: Vec<Point> = steps.iter().filter_map(&mut error).collect();
    // Errors of paths at N and at R are nearly independent: the smaller vanishes beside the square of the larger.
    let fit = fit(&points, FLOOR, None);
    let mut finding = Finding { kind: Kind::Strong, problem: "skewed_1d", claim, points, fit, verdict: Verdict::Met };
    finding.verdict = judge(subject, &finding);
    finding
}

/// The root mean square of the distances between two sets of points `[M, 1]`, with its standard error.
fn path_error(out: &Tensor, reference: &Tensor) -> (f64, f64) {
    let (mean, error) = mean_of(&(out - reference).square());
    (mean.sqrt(), 0.5 * error / mean.sqrt())
}
