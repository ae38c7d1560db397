//! `ornstein orders`

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use super::terminal::Terminal;
use super::{print, print_json};
use crate::error::{Error, Result};
use crate::experiment::{
    GridSpec, Matrix, Observer, OrderCell, SdeSpec, SolverSpec, choice, every, measure_orders, missed, order_remarks,
    order_rows, order_tables, write_orders,
};
use crate::order::{Effort, Kind};
use crate::threads::Workers;

/// Measure the orders of solvers on exact problems, and hold them to their claims.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Order p: the error of N steps falls as N^-p. Twice the steps divide the error by 2^p, once N is large enough.
  ode     distance from the exact solution of the probability-flow ODE, from the same start
  weak    distance of expectations under the reverse SDE from the exact ones: does the law of the samples converge?
  strong  distance of paths from much finer ones on the same Brownian motion: do the samples converge?

Problems: a Gaussian (closed form), mixtures in 1 (exact quantiles), 2 and 16 dimensions (a reference to 1e-14) for ode;
a Gaussian (exact law of the output, no Monte Carlo) and a mixture on the line (expectations step by step, by quadrature)
for weak; two narrow components on the line (against a finer solution on the same paths) for strong. No network, no data,
no training. With --quick the weak order of multistep solvers is measured on the Gaussian alone.

The table gives the fitted order and half of its 95 % interval. A claim is met if the interval reaches within 0.1 of it
and stays within 0.3 of it; \u{2717} marks what misses it, ? what chance hides, + what is excused, for a reason told below.
--out gets orders.csv (fits), errors.csv (errors) and log-log figures: a line parallel to a dashed one has its order.

Exit codes: 0 all claims are met, 1 one is missed, 2 wrong input.

Examples:
  ornstein orders --solver dpmpp_2m --sde vp
  ornstein orders --solver '{ddim: {eta: 1}}' --solver ancestral --kind strong --grid karras --out orders")]
pub struct Orders {
    /// A solver as an experiment writes it, such as heun or '{ddim: {eta: 1}}'; repeatable (default: all)
    #[arg(long = "solver", value_name = "SOLVER")]
    solvers: Vec<String>,

    /// An SDE, such as vp or '{vp: {beta_max: 10}}'; repeatable (default: all)
    #[arg(long = "sde", value_name = "SDE")]
    sdes: Vec<String>,

    /// A grid, such as karras or '{karras: {rho: 3}}'; repeatable
    #[arg(long = "grid", value_name = "GRID", default_value = "log_snr")]
    grids: Vec<String>,

    /// A kind of order; repeatable (default: all that a solver claims)
    #[arg(long = "kind", value_enum)]
    kinds: Vec<OfKind>,

    /// A folder for orders.csv, errors.csv and figures; nothing is written without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Fewer steps and fewer paths: wider intervals in a fraction of the time
    #[arg(long)]
    quick: bool,

    /// Threads; 0 for one a core
    #[arg(long, default_value_t = 0)]
    threads: usize,

    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OfKind {
    /// Of the probability-flow ODE
    Ode,
    /// Of expectations
    Weak,
    /// Of paths
    Strong,
}

impl Orders {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let matrix = self.matrix()?;
        if let Some(folder) = &self.out {
            fs::create_dir_all(folder).map_err(|source| Error::Unwritable { path: folder.clone(), source })?;
        }
        let terminal = Terminal::new(false, false);
        let cells = measure_orders(&matrix, &Workers::new(self.threads)?, &terminal)?;
        if let Some(folder) = &self.out {
            let figures = write_orders(&cells, folder)?;
            let (count, place) = (figures.len(), folder.display());
            terminal.say(&format!("    orders orders.csv, errors.csv and {count} figures in {place}"));
        }
        if self.json {
            print_json(&json!({ "orders": order_rows(&cells), "missed": missed(&cells) }))?;
        } else {
            print(&text(&cells))?;
        }
        missed(&cells).iter().for_each(|line| terminal.say(line));
        outcome(&cells)
    }

    /// What was asked for.
    fn matrix(&self) -> Result<Matrix> {
        let solvers = match self.solvers.is_empty() {
            true => every(SolverSpec::NAMES),
            false => self.solvers.iter().map(|text| choice("--solver", text)).collect::<Result<_>>()?,
        };
        let sdes = match self.sdes.is_empty() {
            true => every(SdeSpec::NAMES),
            false => self.sdes.iter().map(|text| choice("--sde", text)).collect::<Result<_>>()?,
        };
        let grids = self.grids.iter().map(|text| choice::<GridSpec>("--grid", text)).collect::<Result<_>>()?;
        let kind = |kind: &OfKind| match kind {
            OfKind::Ode => Kind::Ode,
            OfKind::Weak => Kind::Weak,
            OfKind::Strong => Kind::Strong,
        };
        let kinds = if self.kinds.is_empty() { Kind::ALL.to_vec() } else { self.kinds.iter().map(kind).collect() };
        let effort = if self.quick { Effort::Quick } else { Effort::Full };
        Ok(Matrix { solvers, sdes, grids, kinds, effort })
    }
}

/// The tables, and what was not measured.
fn text(cells: &[OrderCell]) -> String {
    let mut text = order_tables(cells).iter().map(|table| table.to_text()).collect::<Vec<_>>().join("\n");
    for line in order_remarks(cells) {
        text += &format!("\n{line}");
    }
    text + "\n"
}

/// Fails if a claim was missed.
fn outcome(cells: &[OrderCell]) -> Result<()> {
    let missed = missed(cells);
    if missed.is_empty() {
        return Ok(());
    }
    let count: usize = cells.iter().map(|cell| cell.findings().len()).sum();
    let problem = format!("{} of {count} claims are missed", missed.len());
    let remedy = "look at the figures of --out: a slope that drifts needs more steps, another one another claim".into();
    Err(Error::Cells { problem, remedy })
}
