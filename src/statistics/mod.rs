//! Statistics of repeated measurements: intervals, paired tests, rankings whose errors are controlled.
//!
//! A comparison repeats each measurement with new randomness that all competitors share (common random numbers), so
//! that a difference within a repeat is far less noisy than the values are. Everything here starts from such paired
//! repeats, of which there are few: five by default.
//!
//! | question | answer | source |
//! |---|---|---|
//! | how large is a mean, or a mean difference? | [`interval`]: the studentised bootstrap | Efron 1982; Hall 1988 |
//! | is a difference real? | [`Paired`]: the t test of paired differences | Student 1908 |
//! | and among many? | [`holm`]: adjusted p-values | Holm 1979 |
//! | how large is a probability? | [`wilson`]: the score interval | Wilson 1927 |
//! | are points standard normal? | [`Normality`]: moments, Kolmogorov–Smirnov | Kolmogorov 1933 |
//! | which competitor is best, and which may be? | [`rank()`] | subset selection, Gupta 1965 |
//!
//! `tests/statistics.rs` simulates comparisons whose truth is known, and counts.

mod bootstrap;
mod normality;
mod paired;
mod rank;
mod share;

pub use bootstrap::{Interval, interval, student};
pub use normality::Normality;
pub use paired::{Paired, holm};
pub use rank::{Pair, Ranking, rank};
pub use share::wilson;

/// The probability with which an interval holds what it estimates.
pub const LEVEL: f64 = 0.95;

/// A standard error this small beside the values is round-off: they are all the same.
const ROUND_OFF: f64 = 1e-12;

/// The mean, and the standard error of it: 0 of values that are the same but for round-off, NaN where there are too few.
pub fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let error = (squares / (n - 1.0) / n).sqrt();
    (mean, if error <= ROUND_OFF * largest(values) { 0.0 } else { error })
}

/// The largest absolute value.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0_f64, |most, value| most.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::mean;

    #[test]
    fn values_that_are_the_same_are_exact() {
        // Their sum is rounded, so that no value is the mean.
        let value = 0.38;
        assert_ne!((value + value + value) / 3.0, value);
        assert_eq!(mean(&[value; 3]).1, 0.0);
        assert!((mean(&[value, value, value + 1e-9]).1 / (1e-9 / 3.0) - 1.0).abs() < 1e-6);
        assert!(mean(&[value]).1.is_nan());
    }
}
