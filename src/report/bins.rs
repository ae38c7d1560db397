//! Bins that several sets of numbers share, and the outlines of their histograms.

use super::axis::quantile;
use super::canvas::Place;
use super::plot::Plot;

/// The least and the most bins.
const COUNT: (usize, usize) = (10, 60);

/// Bins of the same width from one number to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bins {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) count: usize,
}

/// The numbers from `least` on that are finite, in order.
pub(crate) fn sorted(values: &[f64], least: f64) -> Vec<f64> {
    let mut kept: Vec<f64> = values.iter().copied().filter(|value| value.is_finite() && *value >= least).collect();
    kept.sort_by(f64::total_cmp);
    kept
}

impl Bins {
    /// Bins from `low` to the greater `high` for sets that are sorted.
    pub(crate) fn between(low: f64, high: f64, sets: &[Vec<f64>]) -> Self {
        // The rule of Freedman and Diaconis (1981) for the set that needs the widest, which would look ragged otherwise.
        let width = |set: &Vec<f64>| 2.0 * (quantile(set, 0.75) - quantile(set, 0.25)) / (set.len() as f64).cbrt();
        let width = sets.iter().filter(|set| set.len() > 1).map(width).fold(0.0, f64::max);
        let count = if width > 0.0 { ((high - low) / width).ceil().min(COUNT.1 as f64) as usize } else { COUNT.1 };
        Bins { low, high, count: count.max(COUNT.0) }
    }

    /// The fewest bins from 0 to 1, for sets that suggest no others.
    pub(crate) fn nothing() -> Self {
        Bins { low: 0.0, high: 1.0, count: COUNT.0 }
    }

    /// The share of the numbers in each bin; what lies outside is in the outer ones.
    pub(crate) fn shares(&self, values: &[f64]) -> Vec<f64> {
        let mut shares = vec![0.0; self.count];
        for value in values {
            let bin = ((value - self.low) / (self.high - self.low) * self.count as f64) as usize;
            shares[bin.min(self.count - 1)] += 1.0 / values.len() as f64;
        }
        shares
    }

    /// The outline of a histogram from left to right, as steps.
    pub(crate) fn outline(&self, plot: &Plot, shares: &[f64]) -> Vec<Place> {
        let edge = |bin: usize| self.low + bin as f64 / self.count as f64 * (self.high - self.low);
        let ground = |x: f64| plot.place((x, 0.0));
        let step = |(bin, share): (usize, &f64)| [bin, bin + 1].map(|side| plot.place((edge(side), *share)));
        let steps = shares.iter().enumerate().flat_map(step);
        [ground(self.low)].into_iter().chain(steps).chain([ground(self.high)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_bins_that_a_set_needs_are_those_of_all() {
        let set = |count: usize| (0..count).map(|i| i as f64 / count as f64).collect::<Vec<_>>();
        let few = Bins::between(0.0, 1.0, &[set(1000)]);
        assert!((10..=11).contains(&few.count), "{few:?}");
        let many = Bins::between(0.0, 4.0, &[set(1000)]);
        assert!((39..=41).contains(&many.count), "{many:?}");
        assert!(Bins::between(0.0, 4.0, &[set(1000), set(100)]).count < 25);
        // Numbers that are all the same suggest no width.
        assert_eq!(Bins::between(0.0, 1.0, &[vec![0.5; 9], vec![]]).count, 60);
    }

    #[test]
    fn the_outer_bins_hold_what_lies_outside() {
        let shares = Bins { low: -1.0, high: 1.0, count: 4 }.shares(&[-1e300, -0.9, 0.1, 1.0, 7.0, 1e300, 0.2, -0.4]);
        assert_eq!(shares, [0.25, 0.125, 0.25, 0.375]);
        assert_eq!(Bins::nothing().shares(&[]), vec![0.0; 10]);
    }
}
