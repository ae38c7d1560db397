//! What an experiment may say but probably does not mean.

use super::choices::DataSpec;
use super::plan::Plan;
use super::spec::ModelSpec;
use tch::Kind;

/// Round-off of float32 relative to a state of order one, with room for the arithmetic of a step.
const SINGLE: f64 = 1e-6;

/// Warnings, each a sentence with a remedy.
pub fn lint(plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let compared = plan.spec.compare.iter().flat_map(|compare| &compare.entries).map(|entry| &entry.solver);
    for solver in std::iter::once(&plan.spec.sample.solver).chain(compared) {
        if let Some(tolerance) = solver.tolerance()
            && plan.compute.kind == Kind::Float
            && tolerance.rtol.min(tolerance.atol) < SINGLE
        {
            let name = solver.name();
            warnings.push(format!(
                "{name}: a tolerance below {SINGLE:e} is below the round-off of float32; add --precision float64"
            ));
        }
    }
    if let (ModelSpec::Learned(_), Some(train)) = (&plan.spec.model, &plan.spec.train) {
        if train.ema.half_life > 0.5 * train.steps as f64 {
            let (half_life, steps) = (train.ema.half_life, train.steps);
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
    let order = plan.spec.sample.solver.build(steps).solver.order().of_error();
    if (steps as f64) < 2.0 * order && plan.spec.sample.solver.tolerance().is_none() {
        warnings.push(format!(
            "{steps} steps are too few for a method of order {order} to show it; take more steps or a lower order"
        ));
    }
    warnings
}
