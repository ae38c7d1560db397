//! Whether one of two errors, measured on the same seeds, is the smaller.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// What pairs of errors say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// The mean error before.
    pub before: f64,
    /// The mean error after.
    pub after: f64,
    /// The geometric mean of after/before; none unless all errors are positive.
    pub ratio: Option<f64>,
    /// Its 95 % interval; none of one pair.
    pub interval: Option<(f64, f64)>,
    /// The probability of such pairs if the errors after are no smaller on average: of a one-sided t-test on the
    /// logarithms of the ratios, or on the differences where errors may be negative. None of exact errors.
    pub p: Option<f64>,
}

/// Compares pairs `(before, after)` of errors; exact ones need no test.
pub fn paired(pairs: &[(f64, f64)], exact: bool) -> Paired {
    let n = pairs.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (before, after) = (mean(&|pair| pair.0), mean(&|pair| pair.1));
    let positive = pairs.iter().all(|&(before, after)| before > 0.0 && after > 0.0);
    let gap = |pair: &(f64, f64)| if positive { (pair.1 / pair.0).ln() } else { pair.1 - pair.0 };
    let centre = mean(&gap);
    let ratio = positive.then(|| centre.exp());
    if exact || pairs.len() < 2 {
        return Paired { before, after, ratio, interval: None, p: None };
    }
    let spread = pairs.iter().map(|pair| (gap(pair) - centre).powi(2)).sum::<f64>() / (n - 1.0) / n;
    let error = spread.sqrt();
    let law = StudentsT::new(0.0, 1.0, n - 1.0).expect("at least one degree of freedom");
    // Pairs that are all alike leave no doubt, unless nothing changes at all.
    let p = match (error > 0.0, centre < 0.0) {
        (true, _) => law.cdf(centre / error),
        (false, smaller) => f64::from(!smaller),
    };
    let reach = law.inverse_cdf(0.975) * error;
    let interval = positive.then(|| ((centre - reach).exp(), (centre + reach).exp()));
    Paired { before, after, ratio, interval, p: if p.is_nan() { Some(1.0) } else { Some(p) } }
}

impl Paired {
    /// Whether the errors after are smaller, beyond what chance explains at this level; without a test, whether they are.
    pub fn is_better(&self, level: f64) -> bool {
        match self.p {
            Some(p) => p < level,
            None => self.after < self.before,
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    /// t = −√4 · mean/sd, against tables of Student's law with three degrees of freedom.
    #[test]
    fn is_students_test_on_the_logarithms() {
        let pairs = [0.5, 0.6, 0.4, 0.55].map(|ratio: f64| (2.0, 2.0 * ratio));
        let found = paired(&pairs, false);
        let logs = [0.5f64, 0.6, 0.4, 0.55].map(f64::ln);
        let mean = logs.iter().sum::<f64>() / 4.0;
        let error = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / 12.0).sqrt();
        assert_relative_eq!(found.ratio.unwrap(), mean.exp(), max_relative = 1e-12);
        assert_relative_eq!(found.interval.unwrap().1, (mean + 3.182446 * error).exp(), max_relative = 1e-6);
        // One-sided p of t with three degrees of freedom: 0.005 at 5.8409.
        let limit = paired(&[(1.0, 1.0f64.exp().recip()); 4].map(|pair| pair), false);
        assert_eq!(limit.p, Some(0.0));
        assert!((0.001..0.005).contains(&found.p.unwrap()), "{found:?}");
        assert!(found.is_better(0.05) && !found.is_better(0.001));
    }

    #[test]
    fn what_does_not_change_is_not_better() {
        assert!(!paired(&[(1.0, 1.0); 5], false).is_better(0.05));
        assert!(!paired(&[(1.0, 1.0)], true).is_better(0.05));
        assert!(paired(&[(1.0, 0.9)], true).is_better(0.05));
        assert!(!paired(&[(1.0, f64::NAN); 3], false).is_better(0.05));
        assert!(!paired(&[(1.0, f64::NAN)], true).is_better(0.05));
        // Unbiased distances may be negative: then differences are tested.
        let mixed = paired(&[(0.1, -0.1), (0.2, -0.05), (0.15, 0.0)], false);
        assert!(mixed.ratio.is_none() && mixed.is_better(0.05), "{mixed:?}");
    }
}
