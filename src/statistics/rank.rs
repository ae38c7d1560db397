//! The best of several competitors, and those that may be as good.

use serde::Serialize;

use super::{LEVEL, Paired, holm, mean};

/// How the competitors of one contest stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ranking {
    /// The one with the least mean; none where none has values that are finite.
    pub best: Option<usize>,
    /// Those of which none is known to be worse than another: the set that holds the one that is truly best.
    pub candidates: Vec<usize>,
    /// All pairs of those with values that are finite.
    pub pairs: Vec<Pair>,
}

/// Two competitors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The first, and the second: their places in the contest.
    pub of: (usize, usize),
    /// Their difference, first − second.
    pub paired: Paired,
    /// The p-value of it, adjusted for all pairs of the contest.
    pub adjusted: f64,
}

impl Pair {
    /// Whether the two differ, as far as one can tell.
    pub fn differs(&self) -> bool {
        self.adjusted <= 1.0 - LEVEL
    }

    /// The same pair, its second competitor first.
    pub fn reversed(self) -> Self {
        Pair { of: (self.of.1, self.of.0), paired: self.paired.reversed(), ..self }
    }
}

impl Ranking {
    /// The pair of two competitors, in either order.
    pub fn pair(&self, a: usize, b: usize) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.of == (a, b) || pair.of == (b, a))
    }

    /// Whether a competitor may be the best.
    pub fn is_tied(&self, competitor: usize) -> bool {
        self.candidates.contains(&competitor)
    }
}

/// Ranks the competitors of each contest; less is better.
///
/// `contests[c][i]` are the values of competitor i in the repeats of contest c, the same repeats for all. `pair` compares
/// two competitors: [`Paired::sampled`], or [`Paired::exact`]. One with a value that is not finite is left out.
///
/// Two promises, each with probability [`LEVEL`] at least and whatever is true:
///
/// * In every contest at once the candidates hold the one that is truly best (subset selection, Gupta 1965). A competitor
///   is left out if it is worse than another by a one-sided test at (1 − LEVEL)/n, where n = Σ (competitors − 1) over all
///   contests. Only tests of the truly best can go wrong, and there are n of them (Bonferroni), so that finding the best
///   by looking costs nothing more.
/// * In one contest, none of the pairs with an adjusted p-value of 1 − LEVEL or less is in truth equal ([`holm`]).
pub fn rank(contests: &[Vec<Vec<f64>>], pair: impl Fn(&[f64], &[f64]) -> Paired) -> Vec<Ranking> {
    let mut rankings: Vec<(Vec<usize>, Ranking)> = contests.iter().map(|contest| ranking(contest, &pair)).collect();
    let tests: usize = rankings.iter().map(|(sound, _)| sound.len().saturating_sub(1)).sum();
    let level = (1.0 - LEVEL) / tests as f64;
    for (sound, ranking) in &mut rankings {
        let is_worse = |pair: &Pair, competitor: usize| {
            let worse = if pair.paired.difference > 0.0 { pair.of.0 } else { pair.of.1 };
            worse == competitor && pair.paired.p / 2.0 <= level
        };
        let may_be_best = |&competitor: &usize| !ranking.pairs.iter().any(|pair| is_worse(pair, competitor));
        ranking.candidates = sound.iter().copied().filter(may_be_best).collect();
    }
    rankings.into_iter().map(|(_, ranking)| ranking).collect()
}

/// The competitors with values that are finite, their pairs, and the one with the least mean.
fn ranking(contest: &[Vec<f64>], pair: impl Fn(&[f64], &[f64]) -> Paired) -> (Vec<usize>, Ranking) {
    let sound = |&i: &usize| !contest[i].is_empty() && contest[i].iter().all(|value| value.is_finite());
    let sound: Vec<usize> = (0..contest.len()).filter(sound).collect();
    let best = sound.iter().copied().min_by(|&a, &b| mean(&contest[a]).0.total_cmp(&mean(&contest[b]).0));
    let after = |(place, &a): (usize, &usize)| {
        let with = |&b: &usize| Pair { of: (a, b), paired: pair(&contest[a], &contest[b]), adjusted: f64::NAN };
        sound[place + 1..].iter().map(with).collect::<Vec<_>>()
    };
    let mut pairs: Vec<Pair> = sound.iter().enumerate().flat_map(after).collect();
    let family: Vec<f64> = pairs.iter().map(|pair| pair.paired.p).collect();
    pairs.iter_mut().zip(holm(&family)).for_each(|(pair, adjusted)| pair.adjusted = adjusted);
    (sound, Ranking { best, candidates: Vec::new(), pairs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_marked_with_its_equals() {
        let contest = vec![
            vec![1.00, 1.10, 0.90, 1.05, 0.95],
            vec![0.50, 0.61, 0.39, 0.56, 0.44],
            vec![0.51, 0.60, 0.40, 0.54, 0.46],
            vec![f64::NAN, 0.1, 0.1, 0.1, 0.1],
        ];
        let rankings = rank(&[contest], Paired::sampled);
        let ranking = &rankings[0];
        assert_eq!(ranking.best, Some(1));
        assert_eq!(ranking.pairs.len(), 3);
        assert_eq!([0, 1, 2, 3].map(|i| ranking.is_tied(i)), [false, true, true, false]);
        assert!(ranking.pair(1, 0).unwrap().differs() && ranking.pair(0, 3).is_none());
    }

    #[test]
    fn one_repeat_separates_exact_values_alone() {
        let contest = vec![vec![vec![1.0], vec![2.0]]];
        assert!(rank(&contest, Paired::sampled)[0].is_tied(1));
        assert!(!rank(&contest, Paired::exact)[0].is_tied(1));
        assert_eq!(rank(&[vec![]], Paired::sampled)[0], Ranking::default());
    }
}
