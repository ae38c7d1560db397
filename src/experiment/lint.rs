//! What an experiment may say but probably does not mean.

use super::choices::{EmaSpec, MetricSpec};
use super::lint_solver::{lint_compare, lint_sample, once};
use super::model_spec::ModelSpec;
use super::plan::Plan;
use super::spec::CompareSpec;
use crate::data::Part;
use crate::train::HalfLife;

/// Warnings, each a sentence with a remedy.
pub fn lint(plan: &Plan) -> Vec<String> {
    let mut warnings = lint_sample(plan);
    warnings.extend(plan.spec.compare.iter().flat_map(|compare| lint_compare(plan, compare)));
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
    if let Some(compare) = &plan.spec.compare
        && compare.repeats == 2
        && compare.entries.len() > 1
    {
        warnings.push(
            "compare.repeats: the interval of a difference after 2 repeats is ± 12.7 standard errors, so that hardly any \
             solver can be told from another; take 3, with ± 4.3, or more"
                .into(),
        );
    }
    if let (Some(held_out), Some(compare)) = (plan.data().rows(Part::HeldOut), &plan.spec.compare) {
        let count = compare.count.unwrap_or(plan.spec.sample.count);
        let what = if plan.data().shape().len() > 1 { "images" } else { "rows" };
        if held_out == 0 {
            warnings.push(format!(
                "no {what} are held out: distances are from the training {what}, and a model that repeats them has none"
            ));
        } else if held_out < count && compare.repeats > 1 {
            warnings.push(format!(
                "each repeat compares {count} samples with the same {held_out} {what}; the standard error over repeats \
                 leaves out the error that comes with these {what}"
            ));
        }
    }
    once(warnings)
}

/// Metrics that look at fewer points than are drawn, or at fewer solvers than are compared.
fn lint_metrics(plan: &Plan, compare: &CompareSpec) -> Vec<String> {
    let count = compare.count.unwrap_or(plan.spec.sample.count);
    let seen = match &plan.spec.model {
        ModelSpec::Empirical(model) => Some(model.points),
        _ => plan.data().rows(Part::Training),
    };
    let mut warnings = Vec::new();
    for metric in &compare.metrics {
        match metric {
            MetricSpec::OptimalTransport(settings) if settings.points < count => warnings.push(format!(
                "optimal_transport: it compares {} of {count} points; lower compare.count to let it see all",
                settings.points
            )),
            MetricSpec::Memorisation(settings) if seen.is_some_and(|seen| settings.points < seen) => {
                warnings.push(format!(
                    "memorisation: it looks through {} of {} training images, and sees copies of those alone; raise its points",
                    settings.points,
                    seen.unwrap_or_default()
                ));
            }
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
