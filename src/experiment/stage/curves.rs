//! Quality against evaluations of several runs.

use super::compare::Summary;
use super::findings::{evaluations, label};
use crate::report::{QualityPoint, Table, plus_minus};
use crate::statistics::{mean, student};

/// One solver in one run, or in several that differ by their seed.
#[derive(Debug)]
pub(super) struct Curve {
    /// The run, or what several have in common.
    pub run: String,
    /// The label of the solver.
    pub entry: String,
    /// What was measured.
    pub summaries: Vec<Summary>,
}

impl Curve {
    /// Puts the numbers of several seeds together: means, and standard errors over seeds.
    pub fn merge(&mut self) {
        let mut merged: Vec<Summary> = Vec::new();
        for summary in &self.summaries {
            let same = |s: &&Summary| s.budget == summary.budget && s.metric == summary.metric;
            if merged.iter().any(|known| same(&known)) {
                continue;
            }
            let all: Vec<&Summary> = self.summaries.iter().filter(same).collect();
            let of = |field: fn(&Summary) -> f64| all.iter().map(|s| field(s)).collect::<Vec<_>>();
            let values = of(|s| s.value);
            let (value, error) = mean(&values);
            let several = all.len() > 1;
            merged.push(Summary {
                nfe: mean(&of(|s| s.nfe)).0,
                seconds: mean(&of(|s| s.seconds)).0,
                value,
                standard_error: if several { error } else { summary.standard_error },
                interval: if several { student(&values) } else { summary.interval },
                ..summary.clone()
            });
        }
        self.summaries = merged;
    }

    /// The points of a metric, as much of their values as is shown.
    pub fn points(&self, metric: &str, shown: fn(f64) -> f64) -> Vec<QualityPoint> {
        let mine = self.summaries.iter().filter(|s| s.metric == metric);
        mine.map(|s| QualityPoint::new(s.nfe, shown(s.value), s.standard_error)).collect()
    }
}

/// Curves × budgets; `bars` says what the errors are of.
pub(super) fn table(curves: &[Curve], metric: &str, bars: &str) -> Table {
    let mine =
        |curve: &Curve| -> Vec<Summary> { curve.summaries.iter().filter(|s| s.metric == metric).cloned().collect() };
    let mut budgets: Vec<Option<usize>> = curves.iter().flat_map(mine).map(|s| s.budget).collect();
    // Solvers that choose their own steps come last.
    budgets.sort_by_key(|budget| budget.unwrap_or(usize::MAX));
    budgets.dedup();
    let heading = |budget: &Option<usize>| budget.map_or("own steps".into(), |budget| format!("{budget} evaluations"));
    let columns = ["run".to_owned(), "solver".to_owned()].into_iter().chain(budgets.iter().map(heading)).collect();
    let row = |curve: &Curve| {
        let summaries = mine(curve);
        let cell = |budget: &Option<usize>| {
            let found = summaries.iter().find(|s| s.budget == *budget);
            found.map_or(String::new(), |s| match s.value.is_nan() {
                true => "diverged".to_owned(),
                false if budget.is_some() => plus_minus(s.value, s.standard_error),
                false => format!("{} ({} used)", plus_minus(s.value, s.standard_error), evaluations(s.nfe)),
            })
        };
        [curve.run.clone(), curve.entry.clone()].into_iter().chain(budgets.iter().map(cell)).collect()
    };
    Table { caption: format!("{}. {bars}", label(metric)), columns, rows: curves.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Interval;

    #[test]
    fn seeds_are_averaged_and_their_spread_is_the_error() {
        let summary = |budget: Option<usize>, value: f64| Summary {
            entry: "heun".into(),
            budget,
            steps: None,
            metric: "mmd".into(),
            nfe: 10.0,
            seconds: 1.0,
            value,
            standard_error: 0.5,
            interval: Interval { low: value - 1.0, high: value + 1.0 },
        };
        let summaries =
            vec![summary(Some(10), 1.0), summary(None, 7.0), summary(Some(10), 2.0), summary(Some(10), 6.0)];
        let mut curve = Curve { run: "a".into(), entry: "heun".into(), summaries };
        curve.merge();
        let [fixed, own] = &curve.summaries[..] else { panic!("two budgets") };
        // Mean 3, variance (4 + 1 + 9)/2 = 7, of the mean 7/3.
        assert_eq!((fixed.value, fixed.standard_error), (3.0, (7.0f64 / 3.0).sqrt()));
        assert_eq!((own.value, own.standard_error), (7.0, 0.5));
        let table = table(&[curve], "mmd", "");
        assert_eq!(table.columns[2..], ["10 evaluations", "own steps"]);
        assert_eq!(table.rows[0][2..], ["3.0 ± 1.5", "7.0 ± 0.5 (10 used)"]);
    }
}
