//! Equal Gaussians at regular places: mixtures whose denoiser and density are known.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Known, MOST_COORDINATES, MOST_PARTS, frame};
use crate::error::{Fault, Settings, between, positive};
use crate::score::exact::Law;

/// Gaussians on a square grid in the plane, centred on the origin; 5 × 5 is the grid of 25 Gaussians on which mode collapse
/// is studied (Dumoulin et al. 2017).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianGrid {
    /// The number of Gaussians along each side.
    pub side: usize,
    /// The distance between neighbours.
    pub spacing: f64,
    /// The standard deviation of each Gaussian.
    pub std: f64,
}

impl Default for GaussianGrid {
    fn default() -> Self {
        GaussianGrid { side: 5, spacing: 0.7, std: 0.05 }
    }
}

impl GaussianGrid {
    /// The data set.
    pub fn build(&self) -> Known {
        let place = |i: usize| (i as f64 - 0.5 * (self.side - 1) as f64) * self.spacing;
        let means: Vec<f64> =
            (0..self.side * self.side).flat_map(|i| [place(i / self.side), place(i % self.side)]).collect();
        Known(Law::isotropic(&Tensor::from_slice(&means).view([-1, 2]), self.std * self.std))
    }
}

impl Settings for GaussianGrid {
    fn check(&self) -> Result<(), Fault> {
        between("side", self.side, (1, MOST_PARTS.isqrt()))?;
        positive("spacing", self.spacing)?;
        positive("std", self.std)
    }
}

/// Equal Gaussians in D dimensions at ±√D · `radius` along orthonormal directions that are random but fixed: mode k lies
/// on axis k for k < D, and on the other side of axis k − D from there on. All modes are equally far from the origin, so
/// that the coordinates have mean square `radius`² + `std`² whatever D.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrthogonalMixture {
    /// D, the number of coordinates.
    pub dim: usize,
    /// The number of Gaussians; at most 2 D.
    pub modes: usize,
    /// The root mean square of a mode's coordinates: its distance from the origin divided by √D.
    pub radius: f64,
    /// The standard deviation of each Gaussian in each coordinate.
    pub std: f64,
    /// The seed of the directions. It is not the experiment's, whose repetitions should have the same data.
    pub frame: u64,
}

impl Default for OrthogonalMixture {
    fn default() -> Self {
        OrthogonalMixture { dim: 16, modes: 8, radius: 1.0, std: 0.25, frame: 0 }
    }
}

impl OrthogonalMixture {
    /// The data set.
    pub fn build(&self) -> Known {
        let axes = frame::orthonormal(self.modes.min(self.dim), self.dim, self.frame);
        let opposite = -axes.narrow(0, 0, self.modes.saturating_sub(self.dim) as i64);
        let means = Tensor::cat(&[axes, opposite], 0) * (self.radius * (self.dim as f64).sqrt());
        Known(Law::isotropic(&means, self.std * self.std))
    }
}

impl Settings for OrthogonalMixture {
    fn check(&self) -> Result<(), Fault> {
        between("dim", self.dim, (1, MOST_COORDINATES))?;
        between("modes", self.modes, (1, MOST_PARTS))?;
        if self.modes > 2 * self.dim {
            let problem = format!("{} modes do not fit on the axes of {} dimensions", self.modes, self.dim);
            return Err(Fault::new("modes", problem, format!("write at most {}, or raise `dim`", 2 * self.dim)));
        }
        positive("radius", self.radius)?;
        positive("std", self.std)
    }
}
