//! The shared search over grids: descent of an error as a function of the lengths of the steps.

use ndarray::{Array1, Array2};

use crate::error::Result;

/// A quasi-Newton descent (Broyden, Fletcher, Goldfarb & Shanno 1970) of ln(error) in θ, where step i of n spans the part
///
/// w_i = δ/n + (1 − δ) e^{θ_i}/Σ_j e^{θ_j},  δ = 0.001
///
/// of the levels between the fixed ends: grids stay ordered, and no step vanishes. Slopes are differences. Only grids that
/// lower the error are accepted, so that the result is never worse than the start, and there is no randomness.
///
/// On smooth errors it needs hundreds of evaluations where a search of one node after the other needs thousands: the best
/// place of a node hangs on that of its neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The most evaluations of the error from one start.
    pub evaluations: usize,
    /// The length of the differences in θ: the more the error is rounded, the longer.
    pub difference: f64,
}

/// Where a search ended.
#[derive(Clone, Debug)]
pub struct Found {
    /// The levels of the grid.
    pub levels: Vec<f64>,
    /// Its error.
    pub error: f64,
    /// How often the error was evaluated.
    pub evaluations: usize,
    /// The grids on the way there, the start first, each better than the one before.
    pub trail: Vec<Vec<f64>>,
}

/// The part δ of the span that is shared out equally.
const SHARED: f64 = 1e-3;
/// The most that one θ may change in an iteration.
const LEAP: f64 = 1.0;
/// A decrease of ln(error) in an iteration that is not worth another one.
const SLIGHT: f64 = 1e-5;
/// How many slight decreases in a row end the search.
const PATIENCE: usize = 3;

/// The error as a function of θ.
struct Landscape<'a> {
    ends: (f64, f64),
    error: &'a mut dyn FnMut(&[f64]) -> Result<f64>,
    evaluations: usize,
}

impl Landscape<'_> {
    fn levels(&self, theta: &Array1<f64>) -> Vec<f64> {
        let most = theta.fold(f64::NEG_INFINITY, |most, &theta| most.max(theta));
        let weights = theta.mapv(|theta| (theta - most).exp());
        let parts = &weights * ((1.0 - SHARED) / weights.sum()) + SHARED / weights.len() as f64;
        let (first, last) = self.ends;
        let mut done = 0.0;
        let inner = parts.iter().take(parts.len() - 1).map(|part| {
            done += part;
            first + (last - first) * done
        });
        std::iter::once(first).chain(inner).chain([last]).collect()
    }

    /// ln(error); +∞ where there is none.
    fn at(&mut self, theta: &Array1<f64>) -> Result<f64> {
        self.evaluations += 1;
        let levels = self.levels(theta);
        let error = (self.error)(&levels)?;
        Ok(if error.is_finite() { error.max(f64::MIN_POSITIVE).ln() } else { f64::INFINITY })
    }

    /// The slope by differences, on one side or on both.
    fn slope(&mut self, theta: &Array1<f64>, value: f64, difference: f64, both: bool) -> Result<Array1<f64>> {
        let mut slope = Array1::zeros(theta.len());
        for i in 0..theta.len() {
            let mut beside = |shift: f64| {
                let mut theta = theta.clone();
                theta[i] += shift;
                self.at(&theta)
            };
            let ahead = beside(difference)?;
            let (behind, length) = if both { (beside(-difference)?, 2.0) } else { (value, 1.0) };
            let rise = (ahead - behind) / (length * difference);
            // Beside a wall there is no slope to follow.
            slope[i] = if rise.is_finite() { rise } else { 0.0 };
        }
        Ok(slope)
    }
}

impl Search {
    /// The best of the descents from several starts, all with the same ends.
    ///
    /// # Errors
    /// Whatever `error` returns.
    ///
    /// # Panics
    /// Without a start.
    pub fn best(&self, starts: &[Vec<f64>], error: &mut dyn FnMut(&[f64]) -> Result<f64>) -> Result<Found> {
        let mut best: Option<Found> = None;
        for start in starts {
            let found = self.descend(start, error)?;
            let evaluations = found.evaluations + best.as_ref().map_or(0, |best| best.evaluations);
            let better = best.as_ref().is_none_or(|best| found.error < best.error);
            let kept = if better { Some(found) } else { best };
            best = kept.map(|kept| Found { evaluations, ..kept });
        }
        Ok(best.expect("a start"))
    }

    /// The descent from one grid.
    ///
    /// # Errors
    /// Whatever `error` returns.
    pub fn descend(&self, start: &[f64], error: &mut dyn FnMut(&[f64]) -> Result<f64>) -> Result<Found> {
        let n = start.len() - 1;
        let ends = (start[0], start[n]);
        let mut landscape = Landscape { ends, error, evaluations: 0 };
        let mut theta: Array1<f64> = start
            .windows(2)
            .map(|pair| {
                let part = (pair[1] - pair[0]) / (ends.1 - ends.0);
                ((part - SHARED / n as f64) / (1.0 - SHARED)).max(1e-9).ln()
            })
            .collect();
        let mut value = landscape.at(&theta)?;
        let mut trail = vec![landscape.levels(&theta)];
        if n > 1 && value.is_finite() {
            (theta, value) = self.walk(&mut landscape, theta, value, &mut trail)?;
        }
        let evaluations = landscape.evaluations;
        Ok(Found { levels: landscape.levels(&theta), error: value.exp(), evaluations, trail })
    }

    fn walk(
        &self,
        landscape: &mut Landscape,
        mut theta: Array1<f64>,
        mut value: f64,
        trail: &mut Vec<Vec<f64>>,
    ) -> Result<(Array1<f64>, f64)> {
        let n = theta.len();
        let (mut both, mut slight) = (false, 0);
        let mut slope = landscape.slope(&theta, value, self.difference, both)?;
        // The inverse of the matrix of second derivatives, as far as it is known.
        let mut inverse: Array2<f64> = Array2::eye(n);
        while landscape.evaluations < self.evaluations && slight < PATIENCE {
            let mut direction = -inverse.dot(&slope);
            if direction.dot(&slope) >= 0.0 {
                inverse = Array2::eye(n);
                direction = -slope.clone();
            }
            let longest = direction.fold(0.0f64, |longest, change| longest.max(change.abs()));
            if longest > LEAP {
                direction *= LEAP / longest;
            }
            let Some((step, next)) = self.ahead(landscape, &theta, value, &slope, &direction)? else {
                // Neither better knowledge of the slope nor forgetting the curvature has helped.
                if both && inverse == Array2::<f64>::eye(n) {
                    break;
                }
                both = true;
                inverse = Array2::eye(n);
                slope = landscape.slope(&theta, value, self.difference, both)?;
                continue;
            };
            let moved = direction * step;
            slight = if value - next < SLIGHT { slight + 1 } else { 0 };
            theta += &moved;
            value = next;
            trail.push(landscape.levels(&theta));
            let new = landscape.slope(&theta, value, self.difference, both)?;
            update(&mut inverse, &moved, &(&new - &slope));
            slope = new;
        }
        Ok((theta, value))
    }

    /// The first of ever shorter steps that lowers the error enough (Armijo 1966), and the value there.
    fn ahead(
        &self,
        landscape: &mut Landscape,
        theta: &Array1<f64>,
        value: f64,
        slope: &Array1<f64>,
        direction: &Array1<f64>,
    ) -> Result<Option<(f64, f64)>> {
        let promised = direction.dot(slope);
        let mut step = 1.0;
        for _ in 0..12 {
            let next = landscape.at(&(theta + &(direction * step)))?;
            if next < value + 1e-4 * step * promised {
                return Ok(Some((step, next)));
            }
            // The minimum of the parabola through what is known, within bounds.
            let bend = next - value - step * promised;
            let ideal = if bend.is_finite() && bend > 0.0 { -promised * step / (2.0 * bend) } else { 0.0 };
            step *= ideal.clamp(0.1, 0.5);
        }
        Ok(None)
    }
}

/// The update of the inverse by a step s and the change y of the slope over it; none where the curvature is not positive.
fn update(inverse: &mut Array2<f64>, s: &Array1<f64>, y: &Array1<f64>) {
    let curvature = s.dot(y);
    if curvature <= 1e-12 * s.dot(s).sqrt() * y.dot(y).sqrt() {
        return;
    }
    let hy = inverse.dot(y);
    let factor = (1.0 + y.dot(&hy) / curvature) / curvature;
    for ((i, j), entry) in inverse.indexed_iter_mut() {
        *entry += factor * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / curvature;
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    const SEARCH: Search = Search { evaluations: 2000, difference: 1e-6 };

    /// Coupled nodes in a narrow valley, with a known best grid.
    #[test]
    fn finds_the_bottom_of_a_valley() {
        let best = [1.0, 0.1, -0.4, -2.0, -2.1, -3.0];
        let mut error = |levels: &[f64]| {
            let gaps: Vec<f64> = levels.iter().zip(best).map(|(level, best)| level - best).collect();
            let valley: f64 = gaps.windows(2).map(|pair| 100.0 * (pair[1] - pair[0]).powi(2)).sum();
            Ok(1e-6 + valley + gaps.iter().map(|gap| gap * gap).sum::<f64>())
        };
        let start: Vec<f64> = (0..6).map(|i| 1.0 - 0.8 * f64::from(i)).collect();
        let found = SEARCH.descend(&start, &mut error).unwrap();
        assert!(found.error < 1.1e-6 && found.evaluations < 1000, "{found:?}");
        found.levels.iter().zip(best).for_each(|(level, best)| assert_abs_diff_eq!(*level, best, epsilon = 1e-3));
    }

    /// What is accepted lowers the error, from any start, walls and all.
    #[test]
    fn the_error_only_falls() {
        let mut seen = Vec::new();
        let mut error = |levels: &[f64]| {
            let wall = levels[1] < -1.5;
            let error = if wall { f64::NAN } else { 2.0 + (7.0 * levels[1]).sin() + levels[2].abs() };
            seen.push(error);
            Ok(error)
        };
        let start = vec![0.0, -1.0, -1.4, -3.0];
        let first = error(&start).unwrap();
        let found = SEARCH.descend(&start, &mut error).unwrap();
        let trail: Vec<f64> = found.trail.iter().map(|levels| error(levels).unwrap()).collect();
        assert!(trail.windows(2).all(|pair| pair[1] < pair[0]) && found.trail.last() == Some(&found.levels));
        assert!(found.error <= first && found.levels.windows(2).all(|pair| pair[0] > pair[1]), "{found:?}");
        assert!(seen.iter().filter(|error| error.is_finite()).all(|&error| error >= found.error - 1e-9));
    }

    #[test]
    fn one_step_has_nothing_to_search() {
        let found = SEARCH.best(&[vec![0.0, -3.0]], &mut |_| Ok(2.0)).unwrap();
        assert_eq!((&found.levels, found.evaluations), (&vec![0.0, -3.0], 1));
        assert_abs_diff_eq!(found.error, 2.0, epsilon = 1e-12);
    }

    #[test]
    fn the_best_start_wins() {
        let mut error = |levels: &[f64]| Ok(1.0 + (levels[1] + 2.0).powi(2).min(0.5 + (levels[1] + 0.5).powi(2)));
        let starts = [vec![0.0, -0.4, -3.0], vec![0.0, -1.9, -3.0], vec![0.0, -0.6, -3.0]];
        let found = SEARCH.best(&starts, &mut error).unwrap();
        assert_abs_diff_eq!(found.levels[1], -2.0, epsilon = 1e-2);
    }
}
