//! `ornstein grid`

use std::path::PathBuf;

use serde_json::json;

use super::session::Session;
use super::terminal::Terminal;
use super::{Shared, print, print_json};
use crate::error::{Error, Result};
use crate::experiment::{
    Choice, GridFound, GridMethodSpec, GridSearch, MetricSpec, Observer, SolverSpec, choice, default_error,
};
use crate::file;
use crate::statistics::Interval;
use crate::tensor;

/// Find time grids for a solver, its budgets and a model, and try them on seeds that the search has not seen.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Methods, each with settings, as in --method '{dp: {beam: 8}}'; `ornstein list methods` lists them:
  dp        dynamic programming over the nodes of a fine solution, with the solver's own steps; GITS is a special case
  klub      Align Your Steps: a bound on the divergence of the reverse SDE, one round of its search ({rounds: N} for more)
  analytic  Xue et al.: a bound from the weights of a multistep method; no model, no data
  spectral  the exact error of the solver on the Gaussian with the eigenvalues of the data; no model
  cost      equal cost per step, from a density measured along trajectories
  direct    descent of the chosen --error itself

Each grid is tried against the default one (that of `sample`) on held-out seeds, with the same x_T and noise for both. What is
printed, a piece of YAML for `sample` or an entry of `compare`, holds the grids that beat the default beyond chance: a
paired one-sided test at 5 %, shared out over the budgets; errors from exact laws need no test. If none does, nothing
is printed or written, and the exit code is 1. The search and the trial compute in float64 (networks in float32).

Exit codes: 0 a grid is recommended, 1 none is, 2 wrong input, 130 interrupted.

Examples:
  ornstein grid experiments/exact/mixture-16d.yaml --solver unipc --nfe 5,10,20 --output grid.yaml
  ornstein grid experiments/exact/cifar-10-gaussian-edm.yaml --method spectral \\
      --solver '{dpmpp_2m: {lower_order_final: true}}' --error '{law_wasserstein: {start: marginal, target: marginal}}'")]
pub struct Grid {
    #[command(flatten)]
    shared: Shared,

    /// How to find the grids (default: dp; klub for solvers that draw noise)
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,

    /// The solver as an experiment writes it (default: that of `sample`)
    #[arg(long, value_name = "SOLVER")]
    solver: Option<String>,

    /// The budgets of evaluations, such as 5,10,20 (default: those of `compare`, else the steps of `sample`)
    #[arg(long, value_name = "N", value_delimiter = ',')]
    nfe: Vec<usize>,

    /// The error by which grids are tried, and which direct minimises: a metric as an experiment writes it (default:
    /// trajectory_error; sliced_wasserstein for solvers that draw noise)
    #[arg(long, value_name = "METRIC")]
    error: Option<String>,

    /// On how many held-out seeds to try them
    #[arg(long, value_name = "SEEDS", default_value_t = 8)]
    repeats: usize,

    /// How many samples of each seed
    #[arg(long, value_name = "SAMPLES", default_value_t = 1000)]
    count: usize,

    /// The file for the YAML, beside standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Budgets beyond this are no search for a grid any more: a search has as many unknowns.
const MOST_STEPS: usize = 200;

impl Grid {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let mut session = Session::new(&self.shared)?;
        session.plan.compute.kind = tensor::finest(session.plan.compute.device);
        let (plan, terminal) = (&session.plan, &session.terminal);
        let sample = &plan.spec.sample;
        let solver: SolverSpec = match &self.solver {
            Some(text) => choice("--solver", text)?,
            None => sample.solver.clone(),
        };
        let error: MetricSpec = match &self.error {
            Some(text) => choice("--error", text)?,
            None => default_error(plan, &solver),
        };
        let method: GridMethodSpec = match &self.method {
            Some(text) => choice("--method", text)?,
            // Without noise there is a path to follow.
            None if matches!(error, MetricSpec::TrajectoryError(_)) => GridMethodSpec::Dp(Default::default()),
            None => GridMethodSpec::Klub(Default::default()),
        };
        let nfe = self.budgets(&session, &error)?;
        if let Some(path) = &self.output {
            file::writable(path)?;
        }
        let (model, _) = session.model(self.checkpoint.as_deref())?;
        let search = GridSearch {
            plan,
            model: &*model,
            method: &method,
            choice: Choice { solver: &solver, grid: &sample.grid, denoise: sample.denoise },
            nfe: &nfe,
            error: &error,
            trial: (self.repeats, self.count),
        };
        let budgets = nfe.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        terminal.say(&format!("      grid {} for {} at {budgets} evaluations", method.name(), solver.name()));
        let found = search.run(terminal)?;
        let fragment = self.fragment(&search, &found);
        terminal.say(&table(&found));
        if self.shared.json {
            print_json(&json!({
                "method": method, "solver": solver, "error": error, "hash": plan.hash(), "grids": found, "yaml": fragment,
            }))?;
        }
        let Some(fragment) = fragment else { return Err(refusal(&found)) };
        if !self.shared.json {
            print(&fragment)?;
        }
        if let Some(path) = &self.output {
            file::write_whole(path, fragment.as_bytes())?;
        }
        told(terminal, &found);
        Ok(())
    }

    /// The budgets, ascending and each once.
    fn budgets(&self, session: &Session, error: &MetricSpec) -> Result<Vec<usize>> {
        let spec = &session.plan.spec;
        let mut nfe = match (&self.nfe[..], &spec.compare) {
            ([], Some(compare)) => compare.nfe.iter().copied().filter(|&budget| budget <= MOST_STEPS).collect(),
            ([], None) => vec![spec.sample.steps()],
            (given, _) => given.to_vec(),
        };
        nfe.sort_unstable();
        nfe.dedup();
        let listed = format!("--nfe {}", nfe.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
        let problem = match nfe.first() {
            None => "the budgets of `compare` are too large to search for grids",
            Some(0) => "a run has one evaluation at least",
            Some(_) => "",
        };
        if !problem.is_empty() {
            return Err(Error::argument(listed.trim_end(), problem, "write budgets such as --nfe 5,10,20"));
        }
        if let Some(&most) = nfe.last().filter(|&&most| most > MOST_STEPS) {
            let problem = format!("{most} evaluations are too many to search for a grid");
            return Err(Error::argument(listed, problem, format!("write at most {MOST_STEPS}")));
        }
        let least = error.build().least();
        if self.repeats < 2 || self.count < least.max(4) {
            let (flag, value, at_least) = match self.repeats {
                0 | 1 => ("--repeats", self.repeats, 2),
                _ => ("--count", self.count, least.max(4)),
            };
            let problem = "too few to tell two grids apart";
            return Err(Error::argument(format!("{flag} {value}"), problem, format!("write at least {at_least}")));
        }
        Ok(nfe)
    }

    /// What a user pastes into an experiment; none if no grid is recommended.
    fn fragment(&self, search: &GridSearch, found: &[GridFound]) -> Option<String> {
        let good: Vec<&GridFound> = found.iter().filter(|found| found.recommended).collect();
        if good.is_empty() {
            return None;
        }
        let plan = search.plan;
        let written = |value: serde_json::Value| value.to_string();
        let mut text = format!(
            "# Time grids by `ornstein grid`, for `sample` or an entry of `compare`; more steps interpolate.\n\
             # method      {}\n# solver      {}\n# experiment  {} ({}), seed {}\n# error       {}, {}\n",
            written(json!(search.method)),
            written(json!(search.choice.solver)),
            plan.spec.name,
            plan.hash(),
            plan.spec.seed,
            written(json!(search.error)),
            match found.iter().all(|found| found.exact) {
                true => "exact".to_owned(),
                false => format!("{} samples of each of {} held-out seeds", self.count, self.repeats),
            },
        );
        table(found).lines().for_each(|line| text += &format!("# {line}\n"));
        text += "grid:\n  tabulated:\n";
        let mut lengths = Vec::new();
        for GridFound { steps, times, .. } in good {
            // Two budgets may allow the same number of steps.
            if !lengths.contains(steps) {
                lengths.push(*steps);
                let times: Vec<String> = times.iter().map(|t| format!("{t:?}")).collect();
                text += &format!("  - [{}]\n", times.join(", "));
            }
        }
        Some(text)
    }
}

/// Before and after, budget by budget.
fn table(found: &[GridFound]) -> String {
    let mut text = format!(
        "{:>11}  {:>5}  {:>10}  {:>10}  {:>24}  {:>8}  {:>8}\n",
        "evaluations", "steps", "default", "found", "ratio [95 %]", "p", "seconds"
    );
    for GridFound { budget, steps, seconds, before, after, held_out, exact, recommended, .. } in found {
        let ratio = match held_out.ratio {
            Some((ratio, _)) if *exact => format!("{ratio:.3}"),
            Some((ratio, Interval { low, high })) => format!("{ratio:.3} [{low:.3}, {high:.3}]"),
            None => "–".to_owned(),
        };
        let p = if *exact { "exact".to_owned() } else { format!("{:.1e}", held_out.less()) };
        let remark = if *recommended { "" } else { "  not recommended" };
        text += &format!(
            "{budget:>11}  {steps:>5}  {before:>10.4e}  {after:>10.4e}  {ratio:>24}  {p:>8}  {seconds:>8.1}{remark}\n"
        );
    }
    text
}

/// What is left out is told.
fn told(terminal: &Terminal, found: &[GridFound]) {
    for GridFound { budget, .. } in found.iter().filter(|found| !found.recommended) {
        terminal.say(&format!(
            "at {budget} evaluations the grid found does not beat the default beyond chance; it is left out"
        ));
    }
}

/// That no grid is worth a recommendation.
fn refusal(found: &[GridFound]) -> Error {
    let budgets: Vec<String> = found.iter().map(|found| found.budget.to_string()).collect();
    let problem = format!(
        "no grid found beats the default beyond chance at {} evaluations, so none is recommended and nothing is written",
        budgets.join(", ")
    );
    let remedy = "keep the default grid, or try --method direct, or more --repeats to see smaller differences";
    Error::Cells { problem, remedy: remedy.into() }
}
