//! Differences of paired values, and tests of many of them.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Interval, ROUND_OFF, interval, largest, mean};

/// The difference of two competitors over the same repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// The mean of the differences, first − second.
    pub difference: f64,
    /// Its interval.
    pub interval: Interval,
    /// The interval of the ratio first/second, by the logarithms of the values; none unless all are positive.
    pub ratio: Option<(f64, Interval)>,
    /// The effect size: the mean difference over the standard deviation of the differences, corrected for few of them
    /// (Hedges 1981). Infinite where the differences are all the same.
    pub effect: f64,
    /// The probability, were there no difference, of a t at least as large in either direction. NaN for a single repeat,
    /// which tells nothing.
    pub p: f64,
}

impl Paired {
    /// Of values in the same repeats: the t test of the differences (Student 1908), which has n − 1 degrees of freedom.
    ///
    /// # Panics
    /// When there are not as many of one as of the other, or none.
    pub fn sampled(first: &[f64], second: &[f64]) -> Self {
        assert!(first.len() == second.len() && !first.is_empty(), "{} and {} repeats", first.len(), second.len());
        let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
        let size = largest(first).max(largest(second));
        let (difference, error) = mean(&differences);
        if error <= ROUND_OFF * size {
            return Self::certain(difference, first, second, ROUND_OFF * size);
        }
        let n = differences.len() as f64;
        let p = match differences.len() {
            1 => f64::NAN,
            _ if !error.is_finite() => f64::NAN,
            _ => {
                let law = StudentsT::new(0.0, 1.0, n - 1.0).expect("a positive scale");
                2.0 * law.sf((difference / error).abs())
            }
        };
        let correction = 1.0 - 3.0 / (4.0 * (n - 1.0) - 1.0);
        Paired {
            difference,
            interval: interval(&differences),
            ratio: ratio(first, second),
            effect: difference / (error * n.sqrt()) * correction,
            p,
        }
    }

    /// Of values that no repeat would change.
    ///
    /// # Panics
    /// As [`Paired::sampled`].
    pub fn exact(first: &[f64], second: &[f64]) -> Self {
        assert!(first.len() == second.len() && !first.is_empty(), "{} and {} repeats", first.len(), second.len());
        let size = largest(first).max(largest(second));
        Self::certain(mean(first).0 - mean(second).0, first, second, ROUND_OFF * size)
    }

    /// The probability, were the first no less than the second, of a t at least as far below zero: the test on one side.
    pub fn less(&self) -> f64 {
        match self.difference < 0.0 {
            true => 0.5 * self.p,
            false => 1.0 - 0.5 * self.p,
        }
    }

    /// The same with the two changed over: second − first.
    pub fn reversed(self) -> Self {
        let Interval { low, high } = self.interval;
        let inverse = |(ratio, Interval { low, high }): (f64, Interval)| {
            (1.0 / ratio, Interval { low: 1.0 / high, high: 1.0 / low })
        };
        Paired {
            difference: -self.difference,
            interval: Interval { low: -high, high: -low },
            ratio: self.ratio.map(inverse),
            effect: -self.effect,
            p: self.p,
        }
    }

    fn certain(difference: f64, first: &[f64], second: &[f64], round_off: f64) -> Self {
        let same = difference.abs() <= round_off;
        Paired {
            difference,
            interval: Interval { low: difference, high: difference },
            ratio: ratio(&[mean(first).0; 2], &[mean(second).0; 2]),
            effect: if same { 0.0 } else { f64::INFINITY.copysign(difference) },
            p: if same { 1.0 } else { 0.0 },
        }
    }
}

/// The geometric mean of the ratios, with its interval.
fn ratio(first: &[f64], second: &[f64]) -> Option<(f64, Interval)> {
    if first.iter().chain(second).any(|&value| value.is_nan() || value <= 0.0) {
        return None;
    }
    let logarithms: Vec<f64> = first.iter().zip(second).map(|(a, b)| (a / b).ln()).collect();
    let Interval { low, high } = interval(&logarithms);
    Some((mean(&logarithms).0.exp(), Interval { low: low.exp(), high: high.exp() }))
}

/// Adjusted p-values of a family of tests (Holm 1979): to reject those that are at most a makes a false rejection anywhere
/// in the family with probability a at most, whatever is true and however the tests depend on one another.
///
/// The i-th smallest of m, pᵢ, becomes the largest of (m − j + 1) pⱼ over j ≤ i, at most 1. One that is not a number
/// counts as a test that is never rejected, and stays what it is.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut adjusted, mut least) = (p.to_vec(), 0.0_f64);
    for (rank, &at) in order.iter().enumerate().filter(|&(_, &at)| !p[at].is_nan()) {
        least = least.max((p.len() - rank) as f64 * p[at]).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    /// scipy.stats.ttest_rel([5.1, 4.9, 5.6, 5.8], [4.9, 4.8, 5.1, 5.5]) has p = 0.048566856559801.
    #[test]
    fn the_paired_test_is_students() {
        let paired = Paired::sampled(&[5.1, 4.9, 5.6, 5.8], &[4.9, 4.8, 5.1, 5.5]);
        assert_relative_eq!(paired.difference, 0.275, max_relative = 1e-12);
        assert_relative_eq!(paired.p, 0.048_566_856_559_801, max_relative = 1e-10);
        // d = 0.275/0.17078, and J = 1 − 3/11.
        assert_relative_eq!(paired.effect, 0.275 / 0.170_783 * (8.0 / 11.0), max_relative = 1e-4);
    }

    #[test]
    fn what_does_not_vary_is_certain() {
        let paired = Paired::sampled(&[0.3, 0.3 + 1e-16], &[0.1, 0.1]);
        assert_eq!((paired.p, paired.effect), (0.0, f64::INFINITY));
        assert_eq!(Paired::sampled(&[0.3; 3], &[0.3; 3]).p, 1.0);
        assert_eq!(Paired::exact(&[0.3], &[0.1]).p, 0.0);
        assert!(Paired::sampled(&[0.3], &[0.1]).p.is_nan());
        let (ratio, interval) = Paired::exact(&[0.3], &[0.1]).ratio.unwrap();
        assert_relative_eq!(ratio, 3.0, max_relative = 1e-12);
        assert_relative_eq!(interval.low, 3.0, max_relative = 1e-12);
        assert_eq!(Paired::exact(&[0.3], &[-0.1]).ratio, None);
    }

    /// scipy.stats.ttest_rel(…, alternative='less') of the first test, turned round, has p = 0.0242834282799.
    #[test]
    fn one_side_has_half_the_probability() {
        let (first, second) = ([4.9, 4.8, 5.1, 5.5], [5.1, 4.9, 5.6, 5.8]);
        assert_relative_eq!(Paired::sampled(&first, &second).less(), 0.024_283_428_279_9, max_relative = 1e-9);
        assert_relative_eq!(Paired::sampled(&second, &first).less(), 1.0 - 0.024_283_428_279_9, max_relative = 1e-9);
        assert_eq!(Paired::exact(&[0.1], &[0.3]).less(), 0.0);
        assert_eq!(Paired::exact(&[0.3], &[0.1]).less(), 1.0);
        assert_eq!(Paired::exact(&[0.3], &[0.3]).less(), 0.5);
        assert!(Paired::sampled(&[0.1], &[0.3]).less().is_nan());
    }

    /// R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02.
    #[test]
    fn adjusted_values_are_those_of_holm() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert_relative_eq!(*found, expected, max_relative = 1e-12);
        }
        let adjusted = holm(&[0.9, f64::NAN, 0.4]);
        assert!(adjusted[1].is_nan() && adjusted[0] == 1.0 && adjusted[2] == 1.0);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }
}
