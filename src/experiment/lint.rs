//! What an experiment may say but probably does not mean.

use super::choices::{DataSpec, EmaSpec, MetricSpec};
use super::model_spec::ModelSpec;
use super::plan::Plan;
use super::spec::CompareSpec;
use crate::train::HalfLife;
use tch::Kind;

/// Round-off of float32 relative to a state of order one, with room for the arithmetic of a step.
const SINGLE: f64 = 1e-6;

/// Warnings, each a sentence with a remedy.
pub fn lint(plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let compared = plan.spec.compare.iter().flat_map(|compare| &compare.entries).map(|entry| &entry.solver);
    for solver in std::iter::once(&plan.spec.sample.solver).chain(compared) {
        if let Some(tolerance) = solver.chosen().tolerance()
            && plan.compute.kind == Kind::Float
            && tolerance.rtol.min(tolerance.atol) < SINGLE
        {
            let name = solver.name();
            warnings.push(format!(
                "{name}: a tolerance below {SINGLE:e} is below the round-off of float32; add --precision float64"
            ));
        }
    }
    warnings.extend(plan.spec.compare.iter().flat_map(|compare| lint_metrics(plan, compare)));
    if let (ModelSpec::Learned(_), Some(train)) = (&plan.spec.model, &plan.spec.train) {
        let long = |average: &EmaSpec| match average {
            EmaSpec::HalfLife(HalfLife(half_life)) => (*half_life > 0.5 * train.steps as f64).then_some(*half_life),
            EmaSpec::Power(_) => None,
        };
        for half_life in train.ema.0.iter().filter_map(long) {
            let steps = train.steps;
            warnings
                .push(format!("an EMA half-life of {half_life} steps averages over most of {steps} steps; shorten it"));
        }
        if train.warmup > train.steps {
            warnings.push(format!(
                "warm-up takes {} of {} steps; the learning rate never arrives",
                train.warmup, train.steps
            ));
        }
    }
    if let (DataSpec::Table(table), Some(compare)) = (&plan.spec.data, &plan.spec.compare) {
        let count = compare.count.unwrap_or(plan.spec.sample.count);
        let rows = plan.reference(0, count).size()[0];
        if table.validation == 0.0 {
            warnings.push(
                "no rows are held out: distances are from the training rows, and a model that repeats them has none"
                    .into(),
            );
        } else if rows < count as i64 && compare.repeats > 1 {
            warnings.push(format!(
                "each repeat compares {count} samples with the same {rows} rows; the standard error over repeats \
                 leaves out the error that comes with these rows"
            ));
        }
    }
    let steps = plan.spec.sample.steps();
    let order = plan.spec.sample.solver.chosen().method(steps).solver.order().claimed();
    if (steps as f64) < 2.0 * order && plan.spec.sample.solver.chosen().tolerance().is_none() {
        warnings.push(format!(
            "{steps} steps are too few for a method of order {order} to show it; take more steps or a lower order"
        ));
    }
    warnings
}

/// Metrics that look at fewer points than are drawn, or at fewer solvers than are compared.
fn lint_metrics(plan: &Plan, compare: &CompareSpec) -> Vec<String> {
    let count = compare.count.unwrap_or(plan.spec.sample.count);
    let mut warnings = Vec::new();
    for metric in &compare.metrics {
        match metric {
            MetricSpec::OptimalTransport(settings) if settings.points < count => warnings.push(format!(
                "optimal_transport: it compares {} of {count} points; lower compare.count to let it see all",
                settings.points
            )),
            MetricSpec::TrajectoryError(_) => {
                let noisy: Vec<String> = compare
                    .entries
                    .iter()
                    .filter(|entry| {
                        let sampler = plan.sampler(&plan.choice(entry), plan.spec.sample.steps(), 0);
                        plan.draws_noise(&sampler.expect("the experiment was checked"))
                    })
                    .map(|entry| entry.label())
                    .collect();
                if !noisy.is_empty() {
                    let noisy = noisy.join(", ");
                    warnings.push(format!("trajectory_error: it is left out for solvers that draw noise: {noisy}"));
                }
            }
            _ => {}
        }
    }
    warnings
}
