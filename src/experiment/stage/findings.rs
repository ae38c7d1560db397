//! What a comparison found, in tables and in words.

use super::compare::{Cloud, Comparison, Contest, Standings, Summary, best, metric};
use crate::experiment::plan::Plan;
use crate::experiment::spec::FLOOR;
use crate::metric::Best;
use crate::report::{Better, RankedTable, Scale, Standing, Table, number, plus_minus};

/// A number of evaluations; a mean has a decimal.
pub(super) fn evaluations(nfe: f64) -> String {
    if nfe.fract() == 0.0 { format!("{nfe:.0}") } else { format!("{nfe:.1}") }
}

/// A metric's name in figures.
pub(super) fn label(name: &str) -> String {
    metric(name).map_or_else(|| name.to_owned(), |metric| metric.label().to_owned())
}

/// How a metric is drawn.
pub(super) struct Ordinate {
    /// What stands along the axis.
    pub(super) label: String,
    /// How values spread over it.
    pub(super) scale: Scale,
    /// What is shown of a value.
    pub(super) shown: fn(f64) -> f64,
    /// Of which values there is a Pareto front.
    pub(super) front: Option<Better>,
}

/// How a metric is drawn: distances on a logarithmic axis, shares on a linear one.
pub(super) fn ordinate(metric: &str) -> Ordinate {
    let name = label(metric);
    let plain = |remark: String, scale, front| {
        let label = format!("{name} ({remark})");
        Ordinate { label, scale, shown: |value| value, front }
    };
    match best(metric) {
        Best::Least => plain("lower is better".into(), Scale::Log, Some(Better::Less)),
        Best::Most => plain("higher is better".into(), Scale::Linear, Some(Better::More)),
        Best::Near(target) => plain(format!("best near {target}"), Scale::Linear, None),
        Best::Zero => {
            // On a logarithmic axis what may have either sign shows its size.
            let label = format!("|{name}| (lower is better)");
            Ordinate { label, scale: Scale::Log, shown: f64::abs, front: None }
        }
    }
}

/// What a comparison found, worked out once for all tables and figures.
#[derive(Debug)]
pub struct Findings<'a> {
    /// What was measured.
    pub comparison: &'a Comparison,
    /// Repeats put together.
    pub summaries: Vec<Summary>,
    /// How the solvers stand by each metric.
    pub standings: Vec<Standings>,
}

/// Samples in rows of solvers and columns of budgets.
pub(super) struct Shown<C> {
    /// The headings of the columns.
    pub(super) columns: Vec<String>,
    /// Each solver with its cells.
    pub(super) rows: Vec<(String, Vec<C>)>,
    /// The name of the metric that the remarks are of.
    pub(super) metric: String,
}

impl<'a> Findings<'a> {
    /// Those of a comparison.
    pub fn of(comparison: &'a Comparison) -> Self {
        Findings { comparison, summaries: comparison.summaries(), standings: comparison.standings() }
    }

    /// A table for each metric: solvers × budgets, with the best at each budget and all that may be as good.
    pub fn tables(&self) -> Vec<RankedTable> {
        self.standings.iter().map(|standings| table(self, standings)).collect()
    }

    /// What is known of a solver at a budget by a metric.
    pub fn at(&self, entry: &str, budget: Option<usize>, metric: &str) -> Option<&Summary> {
        self.summaries.iter().find(|s| s.entry == entry && s.budget == budget && s.metric == metric)
    }

    /// The kept samples of each solver at each budget, made into cells of a figure: of the samples, if there are any, and of
    /// what the first metric says in a word. None if no samples of the solvers compared were kept.
    pub(super) fn shown<C>(&self, clouds: &[Cloud], cell: impl Fn(Option<&Cloud>, String) -> C) -> Option<Shown<C>> {
        let known = |cloud: &&Cloud| self.comparison.cells.iter().any(|cell| cell.entry == cloud.entry);
        let mut budgets: Vec<Option<usize>> = clouds.iter().filter(known).map(|cloud| cloud.budget).collect();
        budgets.sort_by_key(|budget| budget.unwrap_or(usize::MAX));
        budgets.dedup();
        let metric = self.comparison.metrics().first().map_or(String::new(), |metric| (*metric).to_owned());
        let of = |entry: &str, budget: Option<usize>| {
            let note = self.at(entry, budget, &metric).map_or(String::new(), |s| match s.value.is_nan() {
                true => "diverged".into(),
                false => number(s.value),
            });
            cell(clouds.iter().find(|cloud| cloud.entry == entry && cloud.budget == budget), note)
        };
        let row = |entry: &str| (entry.to_owned(), budgets.iter().map(|&budget| of(entry, budget)).collect());
        let rows = self.comparison.entries().into_iter().map(row).collect();
        let heading = |budget: &Option<usize>| budget.map_or("own steps".to_owned(), |budget| budget.to_string());
        let columns: Vec<String> = budgets.iter().map(heading).collect();
        (!columns.is_empty()).then_some(Shown { columns, rows, metric })
    }

    /// That of fresh data against the reference.
    pub fn floor(&self, metric: &str) -> Option<&Summary> {
        self.at(FLOOR, None, metric)
    }
}

fn table(findings: &Findings, standings: &Standings) -> RankedTable {
    let Findings { comparison, summaries, .. } = findings;
    let metric = &standings.metric;
    let mine: Vec<&Summary> = summaries.iter().filter(|s| s.metric == *metric).collect();
    let adaptive = mine.iter().any(|s| s.budget.is_none() && s.entry != FLOOR);
    let cell = |entry: &str, budget: Option<usize>| {
        let Some(s) = findings.at(entry, budget, metric) else { return String::new() };
        if s.value.is_nan() {
            return "diverged".into();
        }
        let used = match budget {
            Some(budget) if s.nfe == budget as f64 => String::new(),
            _ => format!(" ({} used)", evaluations(s.nfe)),
        };
        format!("{}{used}", plus_minus(s.value, s.standard_error))
    };
    let budgets: Vec<Option<usize>> =
        standings.contests.iter().map(|contest| Some(contest.budget)).chain(adaptive.then_some(None)).collect();
    let heading = |budget: &Option<usize>| budget.map_or("own steps".into(), |budget| format!("{budget} evaluations"));
    let row = |entry: &str| {
        [entry.to_string()].into_iter().chain(budgets.iter().map(|&budget| cell(entry, budget))).collect()
    };
    let there = |entry: &&str| mine.iter().any(|s| s.entry == *entry);
    let floor = findings.floor(metric);
    let floor =
        floor.map_or(String::new(), |s| format!("; data against data: {}", plus_minus(s.value, s.standard_error)));
    let entries: Vec<&str> = comparison.entries().into_iter().filter(there).collect();
    let stands = |(row, column): (usize, usize)| {
        // Alone at its budget it is not the best of any.
        let contest = standings.contests.get(column).filter(|contest| contest.entries.len() > 1)?;
        let standing = match entries[row] {
            entry if contest.is_best(entry) => Standing::Best,
            entry if contest.is_tied(entry) => Standing::Tied,
            _ => return None,
        };
        Some((row, column + 1, standing))
    };
    let places = (0..entries.len()).flat_map(|row| (0..standings.contests.len()).map(move |column| (row, column)));
    let table = Table {
        caption: format!("{} ± standard error{floor}", label(metric)),
        columns: ["solver".to_owned()].into_iter().chain(budgets.iter().map(heading)).collect(),
        rows: entries.iter().map(|entry| row(entry)).collect(),
    };
    RankedTable { standings: places.filter_map(stands).collect(), table }
}

/// What was found, in words: by the first metric, who is best at which budgets, and by how much.
pub(super) fn summary(plan: &Plan, findings: Option<&Findings>) -> String {
    let description = plan.spec.description.clone().map_or(String::new(), |text| format!("{} ", text.trim()));
    let found = findings.and_then(|findings| Some((findings, findings.standings.first()?)));
    let Some((findings, standings)) = found else { return description };
    let value =
        |entry: &str, budget: usize| findings.at(entry, Some(budget), &standings.metric).map_or(f64::NAN, |s| s.value);
    // Budgets in a row with the same best belong together.
    let mut spans: Vec<(&str, Vec<&Contest>)> = Vec::new();
    for contest in &standings.contests {
        let Some(best) = contest.ranking.best.map(|best| contest.entries[best].as_str()) else { continue };
        match spans.last_mut() {
            Some((entry, contests)) if *entry == best => contests.push(contest),
            _ => spans.push((best, vec![contest])),
        }
    }
    let clause = |(entry, contests): &(&str, Vec<&Contest>)| {
        let (first, last) = (contests[0].budget, contests[contests.len() - 1].budget);
        let of = |budget: usize| number(value(entry, budget));
        match first == last {
            true => format!("{entry} at {first} evaluations ({}{})", of(first), equals(contests[0])),
            false => format!("{entry} from {first} to {last} evaluations ({} to {})", of(first), of(last)),
        }
    };
    let floor = findings.floor(&standings.metric);
    let floor =
        floor.map_or(String::new(), |s| format!(" Fresh data reach {}.", plus_minus(s.value, s.standard_error)));
    match spans.is_empty() {
        true => description,
        false => {
            let clauses = spans.iter().map(clause).collect::<Vec<_>>().join("; ");
            format!("{description}Best by {}: {clauses}.{floor}", label(&standings.metric))
        }
    }
}

/// Those that cannot be told from the best.
fn equals(contest: &Contest) -> String {
    let Some(best) = contest.ranking.best else { return String::new() };
    let others = (0..contest.entries.len()).filter(|&other| other != best);
    let tied: Vec<&str> =
        others.filter(|&other| contest.ranking.is_tied(other)).map(|other| contest.entries[other].as_str()).collect();
    match tied.len() {
        0 => String::new(),
        1 | 2 => format!(", not told from {}", tied.join(" and ")),
        many => format!(", not told from {many} others"),
    }
}
