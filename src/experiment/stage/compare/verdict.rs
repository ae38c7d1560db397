//! Which solver is best at each budget, and which may be as good.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::cell::{Cell, Comparison, csv_of};
use crate::error::Result;
use crate::experiment::choices::MetricSpec;
use crate::experiment::spec::FLOOR;
use crate::file::write_whole;
use crate::metric::{Best, Metric};
use crate::statistics::{Pair, Paired, Ranking, rank};

/// The solvers at all budgets, by one metric.
#[derive(Clone, Debug)]
pub struct Standings {
    /// The name of the metric.
    pub metric: String,
    /// One for each budget, ascending; solvers that choose their own steps have none.
    pub contests: Vec<Contest>,
}

/// The solvers at one budget.
#[derive(Clone, Debug)]
pub struct Contest {
    /// Evaluations.
    pub budget: usize,
    /// The labels of the solvers, in the order of the experiment.
    pub entries: Vec<String>,
    /// How they stand: places among the entries.
    pub ranking: Ranking,
}

/// A line of `pairs.csv`.
#[derive(Serialize)]
struct Line<'a> {
    metric: &'a str,
    budget: usize,
    first: &'a str,
    second: &'a str,
    difference: f64,
    low: f64,
    high: f64,
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    effect: f64,
    p: f64,
    p_holm: f64,
}

impl Comparison {
    /// How the solvers stand, by each metric that ranks them. Pairs are of values; where those near a number are good, of
    /// their distances from it.
    pub fn standings(&self) -> Vec<Standings> {
        self.metrics().into_iter().map(|metric| self.by(metric)).collect()
    }

    fn by(&self, metric: &str) -> Standings {
        let (best, entries) = (best(metric), self.entries());
        let mine: Vec<&Cell> = self.cells.iter().filter(|cell| cell.metric == metric && cell.entry != FLOOR).collect();
        // A repeat that is not there is as bad as one that diverged: nothing can be said of its solver.
        let repeats = mine.iter().map(|cell| cell.repeat + 1).max().unwrap_or(0);
        let mut values: HashMap<(usize, &str), Vec<f64>> = HashMap::new();
        for cell in &mine {
            if let Some(budget) = cell.budget {
                let values = values.entry((budget, &cell.entry)).or_insert_with(|| vec![f64::NAN; repeats]);
                values[cell.repeat] = best.loss(cell.value);
            }
        }
        let mut contests = Vec::new();
        for budget in self.budgets() {
            let there = entries.iter().filter(|&&entry| values.contains_key(&(budget, entry)));
            let there: Vec<String> = there.map(|&entry| entry.to_owned()).collect();
            if !there.is_empty() {
                contests.push(Contest { budget, entries: there, ranking: Ranking::default() });
            }
        }
        let of = |contest: &Contest| -> Vec<Vec<f64>> {
            contest.entries.iter().map(|entry| values[&(contest.budget, entry.as_str())].clone()).collect()
        };
        let numbers: Vec<Vec<Vec<f64>>> = contests.iter().map(of).collect();
        // What has no error is not drawn at random.
        let exact = mine.iter().all(|cell| cell.standard_error == 0.0 || cell.value.is_nan());
        let rankings = rank(&numbers, if exact { Paired::exact } else { Paired::sampled });
        for (contest, mut ranking) in contests.iter_mut().zip(rankings) {
            if best == Best::Most {
                // Losses are −value: of the values themselves the differences have the other sign.
                ranking.pairs.iter_mut().for_each(|pair| pair.paired = pair.paired.reversed());
            }
            contest.ranking = ranking;
        }
        Standings { metric: metric.to_owned(), contests }
    }
}

impl Standings {
    /// The contest at a budget.
    pub fn at(&self, budget: usize) -> Option<&Contest> {
        self.contests.iter().find(|contest| contest.budget == budget)
    }

    /// Writes every pair of every contest of some standings, with its difference, interval and p-values.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(standings: &[Standings], path: &Path) -> Result<()> {
        let mut lines = Vec::new();
        for Standings { metric, contests } in standings {
            for Contest { budget, entries, ranking } in contests {
                lines.extend(ranking.pairs.iter().map(|Pair { of, paired, adjusted }| Line {
                    metric,
                    budget: *budget,
                    first: &entries[of.0],
                    second: &entries[of.1],
                    difference: paired.difference,
                    low: paired.interval.low,
                    high: paired.interval.high,
                    ratio: paired.ratio.map(|(ratio, _)| ratio),
                    ratio_low: paired.ratio.map(|(_, interval)| interval.low),
                    ratio_high: paired.ratio.map(|(_, interval)| interval.high),
                    effect: paired.effect,
                    p: paired.p,
                    p_holm: *adjusted,
                }));
            }
        }
        write_whole(path, &csv_of(&lines))
    }
}

impl Contest {
    /// Whether a solver is the best at this budget.
    pub fn is_best(&self, entry: &str) -> bool {
        self.ranking.best.is_some_and(|best| self.entries[best] == entry)
    }

    /// Whether a solver is the best at this budget, or cannot be told from it.
    pub fn is_tied(&self, entry: &str) -> bool {
        self.entries.iter().position(|other| other == entry).is_some_and(|place| self.ranking.is_tied(place))
    }
}

/// A metric by its name, with default settings; none if this program does not know it.
pub(in crate::experiment::stage) fn metric(name: &str) -> Option<Box<dyn Metric>> {
    let choice: MetricSpec = serde_yaml::from_str(name).ok()?;
    Some(choice.build())
}

/// Which values of a metric are good.
pub(in crate::experiment::stage) fn best(name: &str) -> Best {
    metric(name).map_or(Best::Least, |metric| metric.best())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two solvers in three repeats.
    fn comparison(metric: &str, values: [[f64; 3]; 2]) -> Comparison {
        let cell = |entry: &str, repeat: usize, value: f64| Cell {
            entry: entry.into(),
            budget: Some(10),
            steps: Some(10),
            repeat,
            nfe: 10.0,
            seconds: 1.0,
            metric: metric.into(),
            value,
            standard_error: 0.01,
        };
        let of = |(entry, values): (&&str, [f64; 3])| (0..3).map(|i| cell(entry, i, values[i])).collect::<Vec<_>>();
        Comparison { cells: ["a", "b"].iter().zip(values).flat_map(of).collect() }
    }

    /// The same numbers, and who is best by each metric.
    #[test]
    fn each_metric_says_which_values_are_good() {
        let values = [[0.70, 0.71, 0.69], [0.02, 0.03, 0.01]];
        for (metric, best) in [
            ("frechet_distance", "b"),
            ("class_balance", "b"),
            ("precision", "a"),
            ("class_accuracy", "a"),
            // 0.02 is 0.03 from what a good sampler has, 0.70 is 0.65.
            ("memorisation", "b"),
        ] {
            let standings = comparison(metric, values).standings();
            let contest = standings[0].at(10).expect("a contest");
            assert!(contest.is_best(best) && !contest.is_tied(if best == "a" { "b" } else { "a" }), "{metric}");
            // The difference is of values, whichever are good.
            let difference = contest.ranking.pairs[0].paired.difference;
            let expected = if metric == "memorisation" { 0.65 - 0.03 } else { 0.68 };
            assert!((difference - expected).abs() < 1e-12, "{metric}: {difference}");
        }
        let near = comparison("memorisation", [[0.06, 0.05, 0.04], [0.0; 3]]).standings();
        assert!(near[0].at(10).is_some_and(|contest| contest.is_best("a")));
    }
}
