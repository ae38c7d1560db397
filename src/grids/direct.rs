//! Descent of the error itself.

use serde::{Deserialize, Serialize};

use super::Search;
use crate::error::{Fault, Result, Settings, between};

/// Descent of a chosen error of the solver on the grid: whatever can be measured, on the seeds of the search.
///
/// The dearest method and the one that knows what it wants. From each of several grids, the shared [`Search`] follows the
/// error downhill, each evaluation a sampling run of the solver. Few samples do not show what happens to few, such as to
/// those that the solver carries to another mode, and a search that goes far learns its samples by heart. So grids along
/// all descents, their starts included, are tried on further samples, and the one that is best there is taken: descents are
/// stopped early where that serves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Direct {
    /// The most evaluations of the error from one start.
    #[schemars(range(min = 1))]
    pub evaluations: usize,
    /// The samples of each evaluation.
    #[schemars(range(min = 4))]
    pub samples: usize,
    /// The samples on which grids along the descents are tried.
    #[schemars(range(min = 4))]
    pub validation: usize,
}

impl Default for Direct {
    fn default() -> Self {
        Direct { evaluations: 600, samples: 256, validation: 4096 }
    }
}

impl Settings for Direct {
    fn check(&self) -> Result<(), Fault> {
        between("evaluations", self.evaluations, (1, 1_000_000))?;
        between("samples", self.samples, (4, 1_000_000))?;
        between("validation", self.validation, (4, 1_000_000))
    }
}

/// The most grids of one descent that are tried.
const TRIED: usize = 10;

impl Direct {
    /// The levels of the best grid in reach of the starts. `difference` is how far grids have to be apart for their errors
    /// to tell which is better, see [`Search`]; `validate` is the error on further samples.
    ///
    /// # Errors
    /// Whatever `error` and `validate` return.
    ///
    /// # Panics
    /// Without a start.
    pub fn find(
        &self,
        starts: &[Vec<f64>],
        difference: f64,
        error: &mut dyn FnMut(&[f64]) -> Result<f64>,
        validate: &mut dyn FnMut(&[f64]) -> Result<f64>,
    ) -> Result<Vec<f64>> {
        let search = Search { evaluations: self.evaluations, difference };
        let mut best: Option<(f64, Vec<f64>)> = None;
        for start in starts {
            let trail = search.descend(start, error)?.trail;
            for levels in spread(&trail) {
                let error = validate(levels)?;
                if best.as_ref().is_none_or(|(least, _)| error < *least || least.is_nan()) {
                    best = Some((error, levels.clone()));
                }
            }
        }
        Ok(best.expect("a start").1)
    }
}

/// Some of the grids of a trail, the first and the last among them.
fn spread(trail: &[Vec<f64>]) -> impl Iterator<Item = &Vec<f64>> {
    let count = trail.len().min(TRIED);
    (0..count).map(move |i| &trail[i * (trail.len() - 1) / (count - 1).max(1)])
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    const DIRECT: Direct = Direct { evaluations: 500, samples: 4, validation: 4 };

    /// What is best on further samples is taken, be it on the way.
    #[test]
    fn a_descent_is_stopped_where_further_samples_say() {
        let start = [vec![0.0, -0.5, -3.0]];
        let mut error = |levels: &[f64]| Ok(0.01 + (levels[1] + 2.5).powi(2));
        let exact = DIRECT.find(&start, 1e-6, &mut error, &mut |levels| Ok(0.01 + (levels[1] + 2.5).powi(2))).unwrap();
        assert_abs_diff_eq!(exact[1], -2.5, epsilon = 1e-3);
        let start_is_best = DIRECT.find(&start, 1e-6, &mut error, &mut |levels| Ok(-levels[1])).unwrap();
        assert_abs_diff_eq!(start_is_best[1], -0.5, epsilon = 1e-3);
    }

    #[test]
    fn grids_are_spread_over_a_trail() {
        let trail: Vec<Vec<f64>> = (0..100).map(|i| vec![f64::from(i)]).collect();
        let some: Vec<f64> = spread(&trail).map(|levels| levels[0]).collect();
        assert_eq!((some.len(), some[0], some[TRIED - 1]), (TRIED, 0.0, 99.0));
        assert_eq!((spread(&trail[..1]).count(), spread(&trail[..2]).count()), (1, 2));
    }
}
