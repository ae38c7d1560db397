//! Spiral arms around the origin.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{MOST_PARTS, Planar, not_negative};
use crate::error::{Fault, Settings, between, positive};
use crate::rng::Counter;

/// Spirals of Archimedes that start at the origin: r = R v, θ = 2π n v with v = √u and u uniform, so that points lie almost
/// evenly along an arm (as the `2spirals` of Grathwohl et al. 2019, FFJORD). Arms are equally likely, and turned by equal
/// angles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spirals {
    /// The number of arms.
    pub arms: usize,
    /// n, how often an arm winds around the origin.
    pub turns: f64,
    /// R, the distance of the ends of the arms from the origin.
    pub radius: f64,
    /// The standard deviation of the noise in each coordinate.
    pub noise: f64,
}

impl Default for Spirals {
    fn default() -> Self {
        Spirals { arms: 2, turns: 1.5, radius: 2.0, noise: 0.05 }
    }
}

impl Planar for Spirals {
    fn point(&self, rng: &mut Counter) -> [f64; 2] {
        let arm = rng.random_range(0..self.arms) as f64 / self.arms as f64;
        let along = rng.random::<f64>().sqrt();
        let (sin, cos) = (TAU * (self.turns * along + arm)).sin_cos();
        [self.radius * along * cos, self.radius * along * sin]
    }

    fn noise(&self) -> f64 {
        self.noise
    }
}

impl Settings for Spirals {
    fn check(&self) -> Result<(), Fault> {
        between("arms", self.arms, (1, MOST_PARTS))?;
        positive("turns", self.turns)?;
        positive("radius", self.radius)?;
        not_negative("noise", self.noise)
    }
}

/// A pinwheel (Johnson et al. 2016, “Composing graphical models with neural networks”): each arm is a Gaussian around
/// (1, 0), a = 1 + `radial_std` z₁ and b = `tangential_std` z₂, turned by 2π k/K + `rate` · exp(a) and scaled by `radius`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pinwheel {
    /// K, the number of arms.
    pub arms: usize,
    /// The distance of the middles of the arms from the origin.
    pub radius: f64,
    /// The standard deviation along an arm, in units of the radius.
    pub radial_std: f64,
    /// The standard deviation across an arm, in units of the radius.
    pub tangential_std: f64,
    /// How strongly arms are bent, in radians.
    pub rate: f64,
}

impl Default for Pinwheel {
    fn default() -> Self {
        Pinwheel { arms: 5, radius: 1.35, radial_std: 0.3, tangential_std: 0.1, rate: 0.25 }
    }
}

impl Planar for Pinwheel {
    fn point(&self, rng: &mut Counter) -> [f64; 2] {
        let arm = rng.random_range(0..self.arms) as f64 / self.arms as f64;
        let along = 1.0 + self.radial_std * rng.sample::<f64, _>(StandardNormal);
        let across = self.tangential_std * rng.sample::<f64, _>(StandardNormal);
        let (sin, cos) = (TAU * arm + self.rate * along.exp()).sin_cos();
        [self.radius * (cos * along - sin * across), self.radius * (sin * along + cos * across)]
    }

    fn noise(&self) -> f64 {
        // The width of an arm is part of its shape.
        0.0
    }
}

impl Settings for Pinwheel {
    fn check(&self) -> Result<(), Fault> {
        between("arms", self.arms, (1, MOST_PARTS))?;
        positive("radius", self.radius)?;
        not_negative("radial_std", self.radial_std)?;
        not_negative("tangential_std", self.tangential_std)?;
        not_negative("rate", self.rate)
    }
}
