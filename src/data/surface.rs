//! Curves and surfaces, by themselves and embedded in many dimensions.

use std::f64::consts::{PI, TAU};

use ndarray::ArrayD;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::{Dataset, MOST_COORDINATES, Planar, SwissRoll, TwoMoons, frame, not_negative, sphere};
use crate::error::{Fault, Settings, between};
use crate::rng::{Counter, Stream};
use crate::tensor::{self, normals};

/// A curve in the plane or a surface in space.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// A circle, uniform.
    Circle,
    /// Two interleaved half circles.
    TwoMoons,
    /// The surface of a ball, uniform.
    Sphere,
    /// A torus of radii 1 and 0.4, uniform in area.
    Torus,
    /// A sheet rolled up.
    SwissRoll,
    /// A sheet in the form of an S.
    SCurve,
}

/// The radius of the tube of the torus, whose axis has the radius 1.
const TUBE: f64 = 0.4;
/// The height of the swiss roll, in proportion to its radius that of scikit-learn.
const HEIGHT: f64 = 21.0 / 5.0;

impl Surface {
    /// m, the dimension of the space that it lies in: 2 or 3.
    fn dim(self) -> usize {
        match self {
            Surface::Circle | Surface::TwoMoons => 2,
            Surface::Sphere | Surface::Torus | Surface::SwissRoll | Surface::SCurve => 3,
        }
    }

    /// One point; in the plane, the third coordinate is zero.
    fn point(self, rng: &mut Counter) -> [f64; 3] {
        let mut uniform = || rng.random::<f64>();
        match self {
            Surface::Circle => {
                let (sin, cos) = (TAU * uniform()).sin_cos();
                [cos, sin, 0.0]
            }
            Surface::TwoMoons => {
                let [x, y] = TwoMoons { noise: 0.0 }.point(rng);
                [x, y, 0.0]
            }
            Surface::Sphere => {
                // Archimedes: the height is uniform.
                let (height, (sin, cos)) = (2.0 * uniform() - 1.0, (TAU * uniform()).sin_cos());
                let radius = (1.0 - height * height).sqrt();
                [radius * cos, radius * sin, height]
            }
            Surface::Torus => {
                let (sin, cos) = (TAU * uniform()).sin_cos();
                // The area at an angle of the tube is proportional to its distance from the axis: rejection.
                let tube = loop {
                    let angle = TAU * uniform();
                    if (1.0 + TUBE) * uniform() < 1.0 + TUBE * angle.cos() {
                        break angle;
                    }
                };
                let distance = 1.0 + TUBE * tube.cos();
                [distance * cos, distance * sin, TUBE * tube.sin()]
            }
            Surface::SwissRoll => {
                let height = HEIGHT * (uniform() - 0.5);
                let [x, y] = SwissRoll { noise: 0.0 }.point(rng);
                [x, y, height]
            }
            Surface::SCurve => {
                let (angle, width) = (3.0 * PI * (uniform() - 0.5), 2.0 * uniform() - 1.0);
                [angle.sin(), width, angle.signum() * (angle.cos() - 1.0)]
            }
        }
    }

    /// E ‖p‖².
    fn mean_square(self) -> f64 {
        match self {
            Surface::Circle | Surface::Sphere => 1.0,
            // 1 + |centre|² − E sin over a half circle.
            Surface::TwoMoons => 1.3125 - 1.0 / PI,
            // E (1 + a cos)² + a² E sin² with the density (1 + a cos)/(2π) of the angle of the tube.
            Surface::Torus => 1.0 + 2.0 * TUBE * TUBE,
            // E θ²/25 for θ uniform between 1.5π and 4.5π, and the variance of a uniform height.
            Surface::SwissRoll => 9.75 * PI * PI / 25.0 + HEIGHT * HEIGHT / 12.0,
            // E sin² + E (1 − cos)² = 2 − 2 E cos for an angle uniform between −1.5π and 1.5π, and the variance of the width.
            Surface::SCurve => 2.0 + 4.0 / (3.0 * PI) + 1.0 / 3.0,
        }
    }

    /// The points `first..first + count` of a stream `[count, m]`, float64.
    fn draw(self, stream: Stream, first: u64, count: usize) -> Tensor {
        let point = |i| self.point(&mut stream.at(first + i, 0)).into_iter().take(self.dim());
        let points: Vec<f64> = (0..count as u64).flat_map(point).collect();
        Tensor::from_slice(&points).view([-1, self.dim() as i64])
    }
}

/// A sheet in the form of an S (as scikit-learn's `make_s_curve`, centred): (sin t, w, sign(t)(cos t − 1)) with t uniform on
/// [−3π/2, 3π/2] and w uniform on [−1, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SCurve {
    /// 3 for the sheet, 2 for its section: the letter S in the plane.
    pub dim: usize,
    /// The standard deviation of the noise in each coordinate.
    pub noise: f64,
}

impl Default for SCurve {
    fn default() -> Self {
        SCurve { dim: 3, noise: 0.05 }
    }
}

impl Dataset for SCurve {
    fn shape(&self) -> Vec<i64> {
        vec![self.dim as i64]
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        let sheet = Surface::SCurve.draw(stream, first, count);
        let points = if self.dim == 3 { sheet } else { sheet.index_select(1, &Tensor::from_slice(&[0i64, 2])) };
        normals(stream, first, 1, &points) * self.noise + points
    }
}

impl Settings for SCurve {
    fn check(&self) -> Result<(), Fault> {
        if !(2..=3).contains(&self.dim) {
            let problem = format!("an S has 2 or 3 dimensions, not {}", self.dim);
            return Err(Fault::new(
                "dim",
                problem,
                "write 2 or 3, or embed it: `manifold: {surface: s_curve, dim: 16}`",
            ));
        }
        not_negative("noise", self.noise)
    }
}

/// A curve or surface in D dimensions: x = c Qᵀ p + noise · z, with p on the surface, Q `[m, D]` orthonormal rows that are
/// random but fixed, and c such that the coordinates without noise have mean square 1: c² E‖p‖² = D.
///
/// The law of the signal has 1 or 2 dimensions and the noise D, which is how images are thought to lie in pixel space.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Manifold {
    /// What is embedded.
    pub surface: Surface,
    /// D, the number of coordinates; at least the 2 or 3 that the surface needs.
    pub dim: usize,
    /// The standard deviation of the noise in each coordinate.
    pub noise: f64,
    /// The seed of Q. It is not the experiment's, whose repetitions should have the same data.
    pub frame: u64,
}

impl Default for Manifold {
    fn default() -> Self {
        Manifold { surface: Surface::TwoMoons, dim: 16, noise: 0.05, frame: 0 }
    }
}

impl Manifold {
    /// The data set.
    pub fn build(&self) -> Embedded {
        let scale = (self.dim as f64 / self.surface.mean_square()).sqrt();
        let frame = tensor::to_array(&frame::orthonormal(self.surface.dim(), self.dim, self.frame));
        Embedded { surface: self.surface, scale, frame, noise: self.noise }
    }
}

impl Settings for Manifold {
    fn check(&self) -> Result<(), Fault> {
        between("dim", self.dim, (self.surface.dim(), MOST_COORDINATES))?;
        not_negative("noise", self.noise)
    }
}

/// A [`Manifold`] with its frame.
#[derive(Debug)]
pub struct Embedded {
    surface: Surface,
    /// c.
    scale: f64,
    /// Q `[m, D]`; plain numbers, so that threads may share it.
    frame: ArrayD<f64>,
    noise: f64,
}

impl Embedded {
    fn frame(&self) -> Tensor {
        tensor::from_array(&self.frame, (Kind::Double, Device::Cpu))
    }
}

impl Dataset for Embedded {
    fn shape(&self) -> Vec<i64> {
        vec![self.frame.shape()[1] as i64]
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        let points = self.surface.draw(stream, first, count).matmul(&self.frame()) * self.scale;
        normals(stream, first, 1, &points) * self.noise + points
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        let sphere = match self.surface {
            Surface::Circle => sphere::CIRCLE,
            Surface::Sphere => sphere::SPHERE,
            _ => return None,
        };
        let sum_of_squares = |x: &Tensor| x.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let frame = self.frame();
        let inside = x.matmul(&frame.tr());
        let beyond = sum_of_squares(&(x - inside.matmul(&frame)));
        let dim = self.frame.shape()[1];
        sphere.log_density(self.scale, self.noise, &sum_of_squares(&inside).sqrt(), &beyond, dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::tensor::to_rows;

    #[test]
    fn points_lie_on_their_surfaces() {
        let points = |surface: Surface| to_rows(&surface.draw(Stream::new(0, Purpose::Data), 0, 2000));
        for p in points(Surface::Torus).rows() {
            assert!(((p[0].hypot(p[1]) - 1.0).hypot(p[2]) - TUBE).abs() < 1e-12, "{p}");
        }
        for p in points(Surface::Sphere).rows() {
            assert!((p.dot(&p) - 1.0).abs() < 1e-12, "{p}");
        }
        for p in points(Surface::SwissRoll).rows() {
            let turn = (5.0 * p[0].hypot(p[1]) - p[1].atan2(p[0])) / TAU;
            assert!((turn - turn.round()).abs() < 1e-9 && p[2].abs() <= 0.5 * HEIGHT, "{p}");
        }
    }

    /// Every coordinate of a uniform point on a sphere is uniform, and the area of a torus lies outside more than inside:
    /// means within 5 standard errors.
    #[test]
    fn spheres_and_tori_are_uniform_in_area() {
        let count = 20_000;
        let draw = |surface: Surface| surface.draw(Stream::new(1, Purpose::Data), 0, count);
        let check = |values: Tensor, exact: f64| {
            let error = values.std_dim([0i64].as_slice(), true, false) / (count as f64).sqrt();
            let mean = values.mean_dim([0i64].as_slice(), false, Kind::Double);
            assert!(((mean - exact).abs() / error).max().double_value(&[]) < 5.0, "{exact}");
        };
        check(draw(Surface::Sphere).square(), 1.0 / 3.0);
        check(draw(Surface::Sphere).pow_tensor_scalar(4), 0.2);
        let torus = draw(Surface::Torus);
        let distance = torus.select(1, 0).hypot(&torus.select(1, 1));
        // E cos = a/2 with the density (1 + a cos)/(2π).
        check((distance - 1.0) / TUBE, TUBE / 2.0);
    }
}
