//! Neal's funnel: a law whose scale varies by orders of magnitude.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Dataset, MOST_COORDINATES};
use crate::error::{Fault, Settings, between, positive};
use crate::rng::Stream;

/// Neal's funnel (Neal 2003, “Slice sampling”, section 8): v ~ N(0, std²) and x₂, …, x_D ~ N(0, e^v) given v = x₁.
///
/// E x_i² = exp(std²/2), so the defaults have coordinates of order one. Neal's own funnel is `{dim: 10, std: 3}`, where
/// E x_i² = 90 comes from rare large points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Funnel {
    /// D, the number of coordinates; at least 2.
    pub dim: usize,
    /// The standard deviation of the first coordinate, the logarithm of the variance of the others.
    pub std: f64,
}

impl Default for Funnel {
    fn default() -> Self {
        Funnel { dim: 2, std: 1.0 }
    }
}

impl Dataset for Funnel {
    fn shape(&self) -> Vec<i64> {
        vec![self.dim as i64]
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        let mut points = vec![0.0; self.dim * count];
        stream.normals(first, 1, self.dim, &mut points);
        for row in points.chunks_mut(self.dim) {
            row[0] *= self.std;
            let scale = (0.5 * row[0]).exp();
            row[1..].iter_mut().for_each(|x| *x *= scale);
        }
        Tensor::from_slice(&points).view([-1, self.dim as i64])
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        let others = (self.dim - 1) as i64;
        let v = x.select(1, 0);
        let squares = x.narrow(1, 1, others).square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let of_v = v.square() * (-0.5 / (self.std * self.std)) - self.std.ln();
        let of_others = squares * (-&v).exp() * -0.5 - v * (0.5 * others as f64);
        Some(of_v + of_others - 0.5 * self.dim as f64 * TAU.ln())
    }
}

impl Settings for Funnel {
    fn check(&self) -> Result<(), Fault> {
        between("dim", self.dim, (2, MOST_COORDINATES))?;
        positive("std", self.std)
    }
}
