//! Intervals of a probability from counts.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{Interval, LEVEL};

/// Wilson's score interval (Wilson, 1927) of a probability p from `hits` in `count` independent trials: all p from which the
/// share lies less than z √(p (1 − p)/n) away.
///
/// It stays within [0, 1], has a width also where there were no hits or nothing but hits, and covers what it claims to
/// within a few per cent for any p. No trials say nothing: [0, 1].
pub fn wilson(hits: usize, count: usize) -> Interval {
    if count == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, share) = (count as f64, hits as f64 / count as f64);
    let z = Normal::standard().inverse_cdf((1.0 + LEVEL) / 2.0);
    let (middle, shrink) = (share + z * z / (2.0 * n), 1.0 + z * z / n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let end = |value: f64| (value / shrink).clamp(0.0, 1.0);
    // Round-off must not leave out what was seen.
    Interval { low: end(middle - half).min(share), high: end(middle + half).max(share) }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Binomial, Discrete};

    use super::*;

    #[test]
    fn is_the_published_interval() {
        // Newcombe (1998), Statistics in Medicine 17, Table I: method 3 for 81/263, 15/148, 0/20 and 1/29.
        for ((hits, count), (low, high)) in [
            ((81, 263), (0.2553, 0.3662)),
            ((15, 148), (0.0624, 0.1605)),
            ((0, 20), (0.0, 0.1611)),
            ((1, 29), (0.0061, 0.1718)),
        ] {
            let found = wilson(hits, count);
            assert!((found.low - low).abs() < 6e-5 && (found.high - high).abs() < 6e-5, "{hits}/{count}: {found:?}");
        }
        assert_eq!(wilson(0, 0), Interval { low: 0.0, high: 1.0 });
        assert_eq!(wilson(7, 7).high, 1.0);
    }

    #[test]
    fn covers_what_it_claims() {
        for (count, p) in [(100, 0.5), (100, 0.9), (1_000, 0.93), (1_000, 0.05)] {
            let law = Binomial::new(p, count).expect("a probability");
            let holds = |hits: &u64| {
                let Interval { low, high } = wilson(*hits as usize, count as usize);
                low <= p && p <= high
            };
            let coverage: f64 = (0..=count).filter(holds).map(|hits| law.pmf(hits)).sum();
            assert!((0.93..0.97).contains(&coverage), "{count} trials of {p}: {coverage}");
        }
    }
}
