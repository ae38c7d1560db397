//! What an experiment may say of its solvers but probably does not mean.

use super::choices::{GridSpec, SolverSpec};
use super::orders;
use super::plan::{Choice, Plan};
use super::spec::CompareSpec;
use crate::solve::Order;
use tch::Kind;

/// Round-off of float32 relative to a state of order one, with room for the arithmetic of a step.
const SINGLE: f64 = 1e-6;

/// Warnings on the solver of `sample`, each a sentence with a remedy.
pub fn lint_sample(plan: &Plan) -> Vec<String> {
    let sample = &plan.spec.sample;
    let choice = plan.sample_choice();
    let mut warnings = solver(plan, &choice);
    if choice.solver.chosen().tolerance().is_none() {
        warnings.extend(grid(plan, &choice));
        let steps = sample.steps();
        let order = choice.solver.chosen().method(steps).solver.order().claimed();
        if (steps as f64) < 2.0 * order {
            warnings.push(format!(
                "{steps} steps are too few for a method of order {order} to show it; take more steps or a lower order"
            ));
        }
    }
    warnings
}

/// Warnings on the solvers of a comparison, at each budget.
pub fn lint_compare(plan: &Plan, compare: &CompareSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    for entry in &compare.entries {
        let choice = plan.choice(entry);
        warnings.extend(solver(plan, &choice));
        let label = entry.label();
        let budgets = compare.budgets(entry).iter();
        warnings.extend(budgets.filter_map(|&budget| at_budget(plan, &choice, &label, budget)));
    }
    once(warnings)
}

/// The same sentence is said once.
pub(super) fn once(warnings: Vec<String>) -> Vec<String> {
    warnings.into_iter().fold(Vec::new(), |mut all, warning| {
        if !all.contains(&warning) {
            all.push(warning);
        }
        all
    })
}

/// What is odd about a solver whatever its steps.
fn solver(plan: &Plan, choice: &Choice) -> Vec<String> {
    let (name, recipe) = (choice.solver.name(), choice.solver.chosen());
    let mut warnings = Vec::new();
    if let Some(tolerance) = recipe.tolerance()
        && plan.compute.kind == Kind::Float
        && tolerance.rtol.min(tolerance.atol) < SINGLE
    {
        warnings.push(format!(
            "{name}: a tolerance below {SINGLE:e} is below the round-off of float32; add --precision float64"
        ));
    }
    let solver = recipe.method(MANY).solver;
    let order = solver.order();
    if order == Order::default() {
        warnings.push(format!(
            "{name}: it has no order, so that more steps do not bring its samples nearer to the data; take it for what \
             few steps look like, or choose ancestral"
        ));
    }
    if let (Some(claim), Some(better)) = (order.ode, started_well(choice.solver).and_then(|order| order.ode))
        && claim < better
    {
        warnings.push(format!(
            "{name}: started as published, it has order {claim} and not {better}; set start: single_step, at a few \
             evaluations more"
        ));
    }
    warnings
}

/// The order of a multistep method that starts with lower orders, if it did not.
fn started_well(solver: &SolverSpec) -> Option<Order> {
    let mut settings = serde_json::to_value(solver).expect("settings are plain data");
    let start = settings[solver.name()].get_mut("start").filter(|start| *start == "euler")?;
    *start = "single_step".into();
    let solver: SolverSpec = orders::choice("", &settings.to_string()).ok()?;
    Some(solver.chosen().method(MANY).solver.order())
}

/// A number of steps at which a solver shows what it is.
const MANY: usize = 100;

/// Explicit times that do not reach from the prior to the data.
fn grid(plan: &Plan, choice: &Choice) -> Vec<String> {
    let GridSpec::Explicit(times) = choice.grid else { return Vec::new() };
    let (Some(&first), Some(&last)) = (times.0.first(), times.0.last()) else { return Vec::new() };
    let (sde, span) = (&plan.sde, plan.sde.span());
    let mut warnings = Vec::new();
    let [start, end, prior, least] = [first, last, span.t_max, span.t_min].map(|t| sde.kernel(t).ratio());
    // Some slack for times that were written with few digits.
    if start < 0.9 * prior {
        warnings.push(format!(
            "the explicit grid starts at t = {first}, where σ/α = {start:.3}, but x_T is drawn from the prior at t = {}, \
             where σ/α = {prior:.3}; start it there, or give --init",
            span.t_max
        ));
    }
    if end > 1.1 * least && !choice.denoise {
        warnings.push(format!(
            "the explicit grid ends at t = {last}, where σ/α = {end:.3}: noise of that size stays in the samples; end it \
             at t = {}, or set denoise: true",
            span.t_min
        ));
    }
    warnings
}

/// Budgets beyond this leave little over, and room for any order.
const LARGE: usize = 100;

/// What is odd about a solver at a budget of evaluations.
fn at_budget(plan: &Plan, choice: &Choice, label: &str, budget: usize) -> Option<String> {
    // One that cannot be met is told where it is left out.
    let steps = (budget <= LARGE).then(|| plan.steps_within(choice, budget)).flatten()?;
    let used = plan.evaluations(choice, steps, budget).evaluations;
    let unused = budget.saturating_sub(used);
    if unused >= 2 && unused * 5 > budget {
        let next = plan.evaluations(choice, steps + 1, usize::MAX).evaluations;
        return Some(format!(
            "{label}: of a budget of {budget} evaluations it uses {used}; compare at {used} or {next}"
        ));
    }
    let memory = choice.solver.chosen().method(steps).solver.memory();
    (memory > 0 && steps <= memory).then(|| {
        format!(
            "{label}: the {steps} steps of a budget of {budget} evaluations end before it has the {memory} earlier ones \
             that its order needs; compare at more evaluations, or take a lower order"
        )
    })
}
