//! Concentric circles.
//!
//! A ring is a point uniform on a circle of radius R plus noise N(0, s² I); its density is known (see `sphere.rs`).

use std::f64::consts::TAU;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{MOST_PARTS, Planar, not_negative, sphere};
use crate::error::{Fault, Settings, between, positive};
use crate::rng::Counter;

/// Two concentric circles, equally likely (as scikit-learn's `make_circles`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Circles {
    /// The radius of the outer circle.
    pub radius: f64,
    /// The radius of the inner circle in units of the outer, between 0 and 1.
    pub factor: f64,
    /// The standard deviation of the noise in each coordinate.
    pub noise: f64,
}

impl Default for Circles {
    fn default() -> Self {
        Circles { radius: 1.8, factor: 0.5, noise: 0.1 }
    }
}

impl Circles {
    fn radii(&self) -> [f64; 2] {
        [self.radius, self.factor * self.radius]
    }
}

impl Planar for Circles {
    fn point(&self, rng: &mut Counter) -> [f64; 2] {
        on_one(&self.radii(), rng)
    }

    fn noise(&self) -> f64 {
        self.noise
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        log_density(&self.radii(), self.noise, x)
    }
}

impl Settings for Circles {
    fn check(&self) -> Result<(), Fault> {
        positive("radius", self.radius)?;
        if !(self.factor > 0.0 && self.factor < 1.0) {
            let problem = format!("{} is not between 0 and 1", self.factor);
            return Err(Fault::new("factor", problem, "write a number between 0 and 1, such as 0.5"));
        }
        not_negative("noise", self.noise)
    }
}

/// Concentric rings with radii R/K, 2R/K, …, R, equally likely (as the `rings` of Grathwohl et al. 2019, FFJORD).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rings {
    /// K, the number of rings.
    pub count: usize,
    /// R, the radius of the outermost ring.
    pub radius: f64,
    /// The standard deviation of the noise in each coordinate.
    pub noise: f64,
}

impl Default for Rings {
    fn default() -> Self {
        Rings { count: 4, radius: 2.0, noise: 0.05 }
    }
}

impl Rings {
    fn radii(&self) -> Vec<f64> {
        (1..=self.count).map(|k| self.radius * k as f64 / self.count as f64).collect()
    }
}

impl Planar for Rings {
    fn point(&self, rng: &mut Counter) -> [f64; 2] {
        on_one(&self.radii(), rng)
    }

    fn noise(&self) -> f64 {
        self.noise
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        log_density(&self.radii(), self.noise, x)
    }
}

impl Settings for Rings {
    fn check(&self) -> Result<(), Fault> {
        between("count", self.count, (1, MOST_PARTS))?;
        positive("radius", self.radius)?;
        not_negative("noise", self.noise)
    }
}

/// A point on one of the circles.
fn on_one(radii: &[f64], rng: &mut Counter) -> [f64; 2] {
    let radius = radii[rng.random_range(0..radii.len())];
    let (sin, cos) = (TAU * rng.random::<f64>()).sin_cos();
    [radius * cos, radius * sin]
}

/// ln p(x) `[N]` of x `[N, 2]`: the mean of the densities of the rings.
fn log_density(radii: &[f64], noise: f64, x: &Tensor) -> Option<Tensor> {
    let distance = x.square().sum_dim_intlist([1i64].as_slice(), false, x.kind()).sqrt();
    let ring = |&radius: &f64| sphere::CIRCLE.log_density(radius, noise, &distance, &distance.zeros_like(), 2);
    let rings: Option<Vec<Tensor>> = radii.iter().map(ring).collect();
    Some(Tensor::stack(&rings?, 0).logsumexp([0i64].as_slice(), false) - (radii.len() as f64).ln())
}
