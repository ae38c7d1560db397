//! What an experiment may say but probably does not mean.

use super::choices::EmaSpec;
use super::model_spec::ModelSpec;
use super::plan::Plan;
use crate::train::HalfLife;
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
    let steps = plan.spec.sample.steps();
    let order = plan.spec.sample.solver.build(steps).solver.order().of_error();
    if (steps as f64) < 2.0 * order && plan.spec.sample.solver.tolerance().is_none() {
        warnings.push(format!(
            "{steps} steps are too few for a method of order {order} to show it; take more steps or a lower order"
        ));
    }
    warnings
}
