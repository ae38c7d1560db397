//! Two-dimensional classics.

use std::f64::consts::{PI, TAU};
use std::fmt::Debug;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Dataset, Known, half_circle, not_negative};
use crate::error::{Fault, Settings, positive};
use crate::rng::{Counter, Stream};
use crate::score::exact::Law;

/// A distribution of points in the plane, by one sample from a generator and added Gaussian noise.
pub trait Planar: Debug + Send + Sync {
    /// One point without noise.
    fn point(&self, rng: &mut Counter) -> [f64; 2];

    /// The standard deviation of the noise.
    fn noise(&self) -> f64;

    /// ln p(x) `[N]` of x `[N, 2]`, noise included, where it is known; see [`Dataset::log_density`].
    fn log_density(&self, _x: &Tensor) -> Option<Tensor> {
        None
    }
}

/// A planar distribution as a data set.
#[derive(Debug)]
pub struct Toy<P: Planar>(pub P);

impl<P: Planar> Dataset for Toy<P> {
    fn shape(&self) -> Vec<i64> {
        vec![2]
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        let mut points = vec![0.0; 2 * count];
        stream.normals(first, 1, 2, &mut points);
        for (i, row) in points.chunks_mut(2).enumerate() {
            let [x, y] = self.0.point(&mut stream.at(first + i as u64, 0));
            row[0] = x + self.0.noise() * row[0];
            row[1] = y + self.0.noise() * row[1];
        }
        Tensor::from_slice(&points).view([-1, 2])
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        self.0.log_density(x)
    }
}

/// Two interleaved half circles of radius 1, centred on the origin (as scikit-learn's `make_moons`, shifted).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TwoMoons {
    /// The standard deviation of the noise.
    pub noise: f64,
}

impl Default for TwoMoons {
    fn default() -> Self {
        TwoMoons { noise: 0.05 }
    }
}

impl Planar for TwoMoons {
    fn point(&self, rng: &mut Counter) -> [f64; 2] {
        let (upper, angle) = (rng.random::<bool>(), PI * rng.random::<f64>());
        if upper { upper_moon(angle) } else { lower_moon(angle) }
    }

    fn noise(&self) -> f64 {
        self.noise
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        (self.noise > 0.0).then(|| half_circle::log_density(&[upper_moon, lower_moon], self.noise, x))
    }
}

fn upper_moon(angle: f64) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    [cos - 0.5, sin - 0.25]
}

fn lower_moon(angle: f64) -> [f64; 2] {
    upper_moon(angle).map(|v| -v)
}

/// A 4 × 4 board on [−2, 2]², uniform on every second square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Checkerboard {}

impl Planar for Checkerboard {
    fn point(&self, rng: &mut Counter) -> [f64; 2] {
        let column = rng.random_range(0..4u8);
        let row = 2 * rng.random_range(0..2u8) + column % 2;
        let mut place = |square: u8| f64::from(square) - 2.0 + rng.random::<f64>();
        [place(column), place(row)]
    }

    fn noise(&self) -> f64 {
        0.0
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        // Eight squares of area one, where ⌊x₁⌋ + ⌊x₂⌋ is even.
        let even = x.floor().sum_dim_intlist([1i64].as_slice(), false, x.kind()).remainder(2.0).eq(0.0);
        let black = even.logical_and(&x.abs().amax([1i64].as_slice(), false).le(2.0));
        let inside = x.select(1, 0).full_like(-8f64.ln());
        Some(inside.where_self(&black, &inside.full_like(f64::NEG_INFINITY)))
    }
}

/// A spiral of one and a half turns: r = θ/5 for θ from 1.5π to 4.5π (the plane section of the swiss roll).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SwissRoll {
    /// The standard deviation of the noise.
    pub noise: f64,
}

impl Default for SwissRoll {
    fn default() -> Self {
        SwissRoll { noise: 0.05 }
    }
}

impl Planar for SwissRoll {
    fn point(&self, rng: &mut Counter) -> [f64; 2] {
        let angle = 1.5 * PI * (1.0 + 2.0 * rng.random::<f64>());
        let (sin, cos) = angle.sin_cos();
        [angle * cos / 5.0, angle * sin / 5.0]
    }

    fn noise(&self) -> f64 {
        self.noise
    }
}

/// Eight Gaussians on a circle: a mixture with equal weights, so its denoiser is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EightGaussians {
    /// The radius of the circle.
    pub radius: f64,
    /// The standard deviation of each Gaussian.
    pub std: f64,
}

impl Default for EightGaussians {
    fn default() -> Self {
        EightGaussians { radius: 2.0, std: 0.1 }
    }
}

impl EightGaussians {
    /// The data set.
    ///
    /// # Errors
    /// A variance that is no number in float64.
    pub fn build(&self) -> Result<Known, Fault> {
        let mean = |i: usize| {
            let (sin, cos) = (TAU * i as f64 / 8.0).sin_cos();
            vec![self.radius * cos, self.radius * sin]
        };
        let variance = self.std * self.std;
        let covariance = vec![vec![variance, 0.0], vec![0.0, variance]];
        Ok(Known(Law::mixture(&[0.125; 8], &(0..8).map(mean).collect::<Vec<_>>(), &vec![covariance; 8])?))
    }
}

impl Settings for TwoMoons {
    fn check(&self) -> Result<(), Fault> {
        not_negative("noise", self.noise)
    }
}

impl Settings for Checkerboard {}

impl Settings for SwissRoll {
    fn check(&self) -> Result<(), Fault> {
        not_negative("noise", self.noise)
    }
}

impl Settings for EightGaussians {
    fn check(&self) -> Result<(), Fault> {
        positive("radius", self.radius)?;
        positive("std", self.std)?;
        self.build().map(|_| ()).map_err(|fault| Fault { key: "std".into(), ..fault })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::tensor::to_rows;

    fn points<P: Planar>(toy: P) -> ndarray::Array2<f64> {
        to_rows(&Toy(toy).draw(Stream::new(0, Purpose::Data), 0, 4000))
    }

    #[test]
    fn toys_lie_on_their_curves() {
        for p in points(TwoMoons { noise: 0.0 }).rows() {
            let (a, b) = ((p[0] + 0.5).hypot(p[1] + 0.25), (p[0] - 0.5).hypot(p[1] - 0.25));
            assert!(
                (a - 1.0).abs() < 1e-12 && p[1] >= -0.25 - 1e-12 || (b - 1.0).abs() < 1e-12 && p[1] <= 0.25 + 1e-12
            );
        }
        for p in points(SwissRoll { noise: 0.0 }).rows() {
            let radius = p[0].hypot(p[1]);
            let turn = (5.0 * radius - p[1].atan2(p[0])) / TAU;
            assert!((turn - turn.round()).abs() < 1e-9);
        }
        for p in points(Checkerboard {}).rows() {
            assert!(p.iter().all(|v| v.abs() <= 2.0));
            assert_eq!((p[0].floor() as i64 + p[1].floor() as i64).rem_euclid(2), 0);
        }
    }

    /// The density of the moons integrates to one, and expectations under it are means over their points.
    #[test]
    fn the_density_of_the_moons_is_that_of_their_points() {
        for noise in [0.05, 0.3] {
            let moons = TwoMoons { noise };
            let side = 401;
            let step = 6.0 / (side - 1) as f64;
            let axis = |i: i64| -3.0 + step * i as f64;
            let nodes: Vec<f64> = (0..side).flat_map(|i| (0..side).flat_map(move |j| [axis(i), axis(j)])).collect();
            let nodes = Tensor::from_slice(&nodes).view([-1, 2]);
            let p = moons.log_density(&nodes).expect("there is noise").exp();
            let total = p.sum(tch::Kind::Double).double_value(&[]) * step * step;
            assert!((total - 1.0).abs() < 1e-6, "{noise}: {total}");
            // E q(X) of a smooth q, by draws and by the integral of p q.
            let q = |x: &Tensor| (x.select(1, 0) * 2.0 + x.select(1, 1)).cos();
            let drawn = q(&Toy(moons).draw(Stream::new(2, Purpose::Data), 0, 100_000));
            let mean = drawn.mean(tch::Kind::Double).double_value(&[]);
            let error = drawn.std(true).double_value(&[]) / 100_000f64.sqrt();
            let integral = (p * q(&nodes)).sum(tch::Kind::Double).double_value(&[]) * step * step;
            assert!((mean - integral).abs() < 4.0 * error, "{noise}: {mean} ± {error}, {integral}");
        }
        assert!(TwoMoons { noise: 0.0 }.log_density(&Tensor::zeros([1, 2], tch::kind::DOUBLE_CPU)).is_none());
    }

    #[test]
    fn toys_are_centred_and_cut_anywhere() {
        let set = Toy(TwoMoons::default());
        let stream = Stream::new(1, Purpose::Data);
        assert_eq!(set.draw(stream, 0, 10).narrow(0, 6, 4), set.draw(stream, 6, 4));
        let mean = points(TwoMoons::default()).mean_axis(ndarray::Axis(0)).expect("there are points");
        assert!(mean.iter().all(|m| m.abs() < 0.05), "{mean}");
    }
}
