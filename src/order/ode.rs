//! The order of deterministic solvers on the probability-flow ODE.

use tch::Tensor;

use super::claim::judge;
use super::flow::{Problem, ROWS};
use super::measure::{Effort, Finding, Kind, Subject};
use super::run::{Silence, integrate};
use super::target::{DOUBLE, Product};
use super::{Point, Verdict, fit};
use crate::tensor;

/// Errors are of states of order one: below this they are round-off, gathered over the steps.
const FLOOR: f64 = 5e-14;

/// Numbers of steps for a claimed order: high orders are soon small and late asymptotic, low ones need their range.
fn steps(order: f64, effort: Effort) -> &'static [usize] {
    match (order.ceil() as usize, effort) {
        (0..=2, Effort::Full) => &[40, 57, 80, 113, 160, 226, 320, 453, 640, 905],
        (0..=2, Effort::Quick) => &[40, 57, 80, 113, 160, 226, 320],
        (3, Effort::Full) => &[57, 80, 113, 160, 226, 320, 453, 640],
        (3, Effort::Quick) => &[113, 160, 226, 320, 453, 640],
        (4, Effort::Quick) => &[80, 95, 113, 135, 160, 190, 226],
        (4, Effort::Full) => &[57, 67, 80, 95, 113, 135, 160, 190, 226, 270, 320, 380, 453, 538, 640],
        // Some meet round-off at 200 steps, others are not asymptotic before 500.
        (_, _) => &[80, 95, 113, 135, 160, 190, 226, 270, 320, 380, 453, 538, 640, 760, 905],
    }
}

/// The four problems at each number of steps.
pub(super) fn findings(subject: &Subject, claim: f64, effort: Effort) -> Vec<Finding> {
    let problems = &subject.process.problems;
    let product = Product {
        factors: problems.iter().map(|problem| problem.mixture.clone()).collect(),
        sde: subject.process.sde().clone(),
    };
    let join = |side: fn(&Problem) -> &Vec<Vec<f64>>| {
        let rows = (0..ROWS).flat_map(|row| problems.iter().flat_map(move |problem| side(problem)[row].clone()));
        tensor::from_f64(rows.collect(), &[ROWS as i64, -1], DOUBLE)
    };
    let (start, exact) = (join(|problem| &problem.start), join(|problem| &problem.end));
    let mut points: Vec<Vec<Point>> = vec![Vec::new(); problems.len()];
    for &steps in steps(claim, effort) {
        let (times, method) = (subject.times(&**subject.process.sde(), steps), subject.recipe.method(steps));
        // A grid that is too coarse for the solver may blow up; what is finer tells.
        let Ok(out) = integrate(&product, &method, &times, &mut Silence, &start) else { continue };
        let gap: Tensor = (out - &exact).square();
        let mut first = 0;
        for (problem, points) in problems.iter().zip(&mut points) {
            let dim = problem.mixture.dim() as i64;
            let error = gap.narrow(1, first, dim).mean(DOUBLE.0).double_value(&[]).sqrt();
            points.push(Point { steps, error, standard_error: 0.0 });
            first += dim;
        }
    }
    let finding = |(problem, points): (&Problem, Vec<Point>)| {
        let fit = match points.is_empty() {
            true => Err("no run stayed finite: this solver draws noise, or needs more steps".to_owned()),
            false => fit(&points, FLOOR, None),
        };
        let kind = Kind::Ode;
        let mut finding = Finding { kind, problem: problem.name, claim, points, fit, verdict: Verdict::Met };
        finding.verdict = judge(subject, &finding);
        finding
    };
    problems.iter().zip(points).map(finding).collect()
}
