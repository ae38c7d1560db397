//! Descent of the error itself.

use serde::{Deserialize, Serialize};

use super::{Found, Search};
use crate::error::{Fault, Result, Settings, between};

/// Descent of a chosen error of the solver on the grid: whatever can be measured, on the seeds of the search.
///
/// The dearest method and the one that knows what it wants. From each of several grids, the shared [`Search`] follows the
/// error downhill, each evaluation a sampling run of the solver. The error on other seeds is larger than the one reached,
/// the more so the fewer samples the search has and the more nodes it moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Direct {
    /// The most evaluations of the error from one start.
    #[schemars(range(min = 1))]
    pub evaluations: usize,
    /// The samples of each evaluation.
    #[schemars(range(min = 4))]
    pub samples: usize,
}

impl Default for Direct {
    fn default() -> Self {
        Direct { evaluations: 1000, samples: 256 }
    }
}

impl Settings for Direct {
    fn check(&self) -> Result<(), Fault> {
        between("evaluations", self.evaluations, (1, 1_000_000))?;
        between("samples", self.samples, (4, 1_000_000))
    }
}

impl Direct {
    /// The best grid in reach of the starts. `difference` is how far grids have to be apart for their errors to tell
    /// which is better, see [`Search`].
    ///
    /// # Errors
    /// Whatever `error` returns.
    pub fn find(
        &self,
        starts: &[Vec<f64>],
        difference: f64,
        error: &mut dyn FnMut(&[f64]) -> Result<f64>,
    ) -> Result<Found> {
        Search { evaluations: self.evaluations, difference }.best(starts, error)
    }
}
