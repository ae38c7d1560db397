//! What is written and shown of measured orders: a table, CSV files, figures.

use std::path::Path;

use serde::Serialize;

use super::orders::OrderCell;
use crate::error::Result;
use crate::file::write_whole;
use crate::order::{Finding, Kind, Outcome, Verdict};
use crate::report::{ConvergencePanel, ConvergencePanels, ConvergenceSeries, Table, save};

/// One row of `orders.csv`: a fit, or a cell that was skipped.
#[derive(Clone, Debug, Serialize)]
pub struct OrderRow<'a> {
    solver: &'a str,
    sde: &'a str,
    grid: &'a str,
    kind: Option<Kind>,
    problem: Option<&'a str>,
    claim: Option<f64>,
    order: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    fewest_steps: Option<usize>,
    most_steps: Option<usize>,
    verdict: &'static str,
    why: Option<&'a str>,
}

/// One row of `errors.csv`.
#[derive(Clone, Debug, Serialize)]
struct ErrorRow<'a> {
    solver: &'a str,
    sde: &'a str,
    grid: &'a str,
    kind: Kind,
    problem: &'a str,
    steps: usize,
    error: f64,
    standard_error: f64,
}

impl<'a> OrderRow<'a> {
    /// A cell that was skipped.
    fn skipped(cell: &'a OrderCell, why: &'a str) -> Self {
        OrderRow {
            solver: &cell.solver,
            sde: cell.sde,
            grid: cell.grid,
            kind: None,
            problem: None,
            claim: None,
            order: None,
            low: None,
            high: None,
            fewest_steps: None,
            most_steps: None,
            verdict: "skipped",
            why: Some(why),
        }
    }

    /// A fit.
    fn of(cell: &'a OrderCell, finding: &'a Finding) -> Self {
        let fit = finding.fit.as_ref().ok();
        let (verdict, why) = match &finding.verdict {
            Verdict::Met => ("met", None),
            Verdict::Excused(why) => ("excused", Some(*why)),
            Verdict::Missed(why) => ("missed", Some(why.as_str())),
        };
        OrderRow {
            kind: Some(finding.kind),
            problem: Some(finding.problem),
            claim: Some(finding.claim),
            order: fit.map(|fit| fit.order),
            low: fit.map(|fit| fit.interval().0),
            high: fit.map(|fit| fit.interval().1),
            fewest_steps: fit.map(|fit| fit.steps.0),
            most_steps: fit.map(|fit| fit.steps.1),
            verdict,
            why,
            ..OrderRow::skipped(cell, "")
        }
    }
}

/// The fits, a row each, and a row for each cell that was skipped.
pub fn order_rows(cells: &[OrderCell]) -> Vec<OrderRow<'_>> {
    let mut rows = Vec::new();
    for cell in cells {
        match &cell.outcome {
            Outcome::Skipped(why) => rows.push(OrderRow::skipped(cell, why)),
            Outcome::Measured(findings) => rows.extend(findings.iter().map(|finding| OrderRow::of(cell, finding))),
        }
    }
    rows
}

/// What one figure shows, and one block of rows in the table: a grid, a kind and a problem.
type Sight = (&'static str, Kind, &'static str);

/// All of them that occur, by grid, then by kind.
fn sights(cells: &[OrderCell]) -> Vec<Sight> {
    let mut sights: Vec<Sight> = Vec::new();
    for cell in cells {
        for finding in cell.findings() {
            let sight = (cell.grid, finding.kind, finding.problem);
            if !sights.contains(&sight) {
                sights.push(sight);
            }
        }
    }
    // Stable, so that grids and problems keep their order.
    sights.sort_by_key(|sight| Kind::ALL.iter().position(|kind| *kind == sight.1));
    sights
}

/// The finding of a cell that belongs to a sight.
fn seen(cell: &OrderCell, (grid, kind, problem): Sight) -> Option<&Finding> {
    cell.findings().iter().find(|finding| (cell.grid, finding.kind, finding.problem) == (grid, kind, problem))
}

/// Names in the order of their first occurrence.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.fold(Vec::new(), |mut all, name| {
        if !all.contains(&name) {
            all.push(name);
        }
        all
    })
}

/// The fitted orders with their intervals: a table for each grid, kind and problem, solvers down, processes across.
/// What missed its claim is marked with ✗, what is excused for a known reason with +.
pub fn order_tables(cells: &[OrderCell]) -> Vec<Table> {
    let (solvers, sdes) = (distinct(cells.iter().map(|c| c.solver.as_str())), distinct(cells.iter().map(|c| c.sde)));
    let table = |sight: Sight| {
        let (grid, kind, problem) = sight;
        let mut rows = Vec::new();
        for solver in &solvers {
            let mine: Vec<(&str, &Finding)> = cells
                .iter()
                .filter(|cell| cell.solver == *solver)
                .filter_map(|cell| Some((cell.sde, seen(cell, sight)?)))
                .collect();
            let Some((_, first)) = mine.first() else { continue };
            let mut row = vec![(*solver).to_owned(), first.claim.to_string()];
            row.extend(
                sdes.iter().map(|sde| mine.iter().find(|(name, _)| name == sde).map_or(String::new(), |m| text(m.1))),
            );
            rows.push(row);
        }
        let columns = ["solver", "claim"].into_iter().chain(sdes.iter().copied()).map(str::to_owned).collect();
        let caption = format!("{} order on {problem}, grid {grid}: order ± half of its 95 % interval", kind.name());
        Table { caption, columns, rows }
    };
    sights(cells).into_iter().map(table).collect()
}

fn text(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Met => "",
        Verdict::Excused(_) => " +",
        Verdict::Missed(_) => " ✗",
    };
    match &finding.fit {
        Ok(fit) => format!("{:.2} ± {:.2}{mark}", fit.order, fit.half_width),
        Err(_) => format!("no fit{mark}"),
    }
}

/// Why cells were skipped and misses excused: each solver with its reason, once.
pub fn order_remarks(cells: &[OrderCell]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cell in cells {
        let skipped = match cell.outcome {
            Outcome::Skipped(why) => Some(format!("{}: not measured, {why}", cell.solver)),
            Outcome::Measured(_) => None,
        };
        let excused = cell.findings().iter().filter_map(|finding| match finding.verdict {
            Verdict::Excused(why) => Some(format!("+ {} on {}: {why}", cell.solver, cell.sde)),
            _ => None,
        });
        for line in skipped.into_iter().chain(excused) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// Writes `orders.csv` (fits), `errors.csv` (what they were fitted to) and a figure for each grid, kind and problem into
/// a folder that exists; the names of the figures.
///
/// # Errors
/// The file that could not be written.
pub fn write_orders(cells: &[OrderCell], folder: &Path) -> Result<Vec<String>> {
    write_csv(&folder.join("orders.csv"), order_rows(cells))?;
    let errors = cells.iter().flat_map(|cell| {
        cell.findings().iter().flat_map(move |finding| {
            finding.points.iter().map(move |point| ErrorRow {
                solver: &cell.solver,
                sde: cell.sde,
                grid: cell.grid,
                kind: finding.kind,
                problem: finding.problem,
                steps: point.steps,
                error: point.error,
                standard_error: point.standard_error,
            })
        })
    });
    write_csv(&folder.join("errors.csv"), errors)?;
    let mut names = Vec::new();
    for sight in sights(cells) {
        let (grid, kind, problem) = sight;
        let stem = format!("{}-{problem}-{grid}", kind.name());
        save(&figure(cells, sight), folder, &stem)?;
        names.push(stem);
    }
    Ok(names)
}

fn write_csv(path: &Path, rows: impl IntoIterator<Item = impl Serialize>) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("a row is a flat record");
    }
    write_whole(path, &writer.into_inner().expect("writing to memory does not fail"))
}

/// Errors against steps, a panel for each process.
fn figure(cells: &[OrderCell], sight: Sight) -> ConvergencePanels {
    let (grid, kind, problem) = sight;
    let shown: Vec<(&OrderCell, &Finding)> = cells.iter().filter_map(|cell| Some((cell, seen(cell, sight)?))).collect();
    let names = distinct(shown.iter().map(|(cell, _)| cell.solver.as_str()));
    let mut slopes: Vec<f64> = shown.iter().map(|(_, finding)| finding.claim).collect();
    slopes.sort_by(f64::total_cmp);
    slopes.dedup();
    let series = |(cell, finding): &(&OrderCell, &Finding)| ConvergenceSeries {
        name: names.iter().position(|name| *name == cell.solver).expect("it was listed"),
        points: finding.points.iter().map(|point| (point.steps as f64, point.error)).collect(),
    };
    let panel = |sde: &str| ConvergencePanel {
        title: sde.to_owned(),
        series: shown.iter().filter(|(cell, _)| cell.sde == sde).map(series).collect(),
    };
    let panels = distinct(shown.iter().map(|(cell, _)| cell.sde)).into_iter().map(panel).collect();
    let names = names.into_iter().map(str::to_owned).collect();
    let title = format!("{} order on {problem}, grid {grid}; dashed: the orders that are claimed", kind.name());
    ConvergencePanels { title, y_label: label(kind).to_owned(), panels, names, slopes }
}

/// What is measured.
fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Ode => "error at t_min",
        Kind::Weak => "error of expectations",
        Kind::Strong => "error of paths",
    }
}
