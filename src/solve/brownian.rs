//! One Brownian path that every refinement shares.

use tch::{Kind, Tensor};

use super::Noise;
use crate::rng::{Purpose, Stream};
use crate::tensor;

/// A Brownian path on [start, end] as a function of (seed, sample): the value at any time is the same whatever else is
/// asked, so that solvers with different grids follow one path (Lévy's construction; Kidger 2022, virtual tree).
///
/// W(end) is drawn first, then middles by Brownian bridges down to the queried time, at most `DEPTH` levels; below
/// that a last bridge gives the value. Middles are geometric, because the clocks κ² and κ⁻² span many decades and grids
/// step through all of them. Cost: `DEPTH` normals per coordinate and query.
#[derive(Debug)]
pub struct BrownianPath {
    path: Stream,
    auxiliary: Stream,
    first: u64,
    draws: u32,
    span: (f64, f64),
    /// The last query and its value: the end of one step is the start of the next.
    last: Option<(f64, Tensor)>,
}

/// Two to this many leaves, each a millionth of its time wide: far below the step of any grid.
const DEPTH: u32 = 24;

impl BrownianPath {
    /// The path of the samples `first..` of `seed` between two readings of the solver's clock, in either order.
    pub fn new(seed: u64, first: u64, (a, b): (f64, f64)) -> Self {
        BrownianPath {
            path: Stream::new(seed, Purpose::Brownian),
            auxiliary: Stream::new(seed, Purpose::Auxiliary),
            first,
            draws: 0,
            span: (a.min(b), a.max(b)),
            last: None,
        }
    }

    /// W of one of the samples at a clock reading, into `out` `[D]`; W(start) = 0.
    pub(super) fn value(&self, sample: usize, time: f64, out: &mut [f64]) {
        let (start, end) = self.span;
        let slack = 1e-9 * (end - start);
        assert!(
            time >= start - slack && time <= end + slack,
            "{time} is outside the Brownian path on [{start}, {end}]"
        );
        let (sample, dim) = (self.first + sample as u64, out.len());
        // Node 1 is the whole interval; the halves of node n are 2n and 2n + 1. Each owns one draw, its number.
        let normals = |node: u32, z: &mut [f64]| self.path.normals(sample, node, dim, z);
        let (mut low, mut high) = (start, end);
        let (mut w_low, mut w_high, mut w) = (vec![0.0; dim], vec![0.0; dim], vec![0.0; dim]);
        normals(0, &mut w_high);
        w_high.iter_mut().for_each(|z| *z *= (end - start).sqrt());
        let mut node = 1u32;
        for _ in 0..DEPTH {
            if time <= low {
                return out.copy_from_slice(&w_low);
            }
            if time >= high {
                return out.copy_from_slice(&w_high);
            }
            let middle = if low > 0.0 { (low * high).sqrt() } else { 0.5 * (low + high) };
            normals(node, &mut w);
            bridge((low, &w_low), (high, &w_high), middle, &mut w);
            if time < middle {
                (high, node) = (middle, 2 * node);
                std::mem::swap(&mut w_high, &mut w);
            } else {
                (low, node) = (middle, 2 * node + 1);
                std::mem::swap(&mut w_low, &mut w);
            }
        }
        normals(node, out);
        bridge((low, &w_low), (high, &w_high), time.clamp(low, high), out);
    }

    /// W of all samples at a clock reading, shaped like `like` and in float64.
    fn at(&self, like: &Tensor, time: f64) -> Tensor {
        let mut values = vec![0.0; like.numel()];
        let dim = (values.len() / like.size()[0].max(1) as usize).max(1);
        values.chunks_mut(dim).enumerate().for_each(|(sample, out)| self.value(sample, time, out));
        tensor::from_f64(values, &like.size(), (Kind::Double, like.device()))
    }
}

/// Turns standard normals into W at a time between two known values.
fn bridge((low, w_low): (f64, &[f64]), (high, w_high): (f64, &[f64]), time: f64, z: &mut [f64]) {
    let fraction = (time - low) / (high - low);
    let spread = (fraction * (high - time)).sqrt();
    let ends = w_low.iter().zip(w_high);
    z.iter_mut().zip(ends).for_each(|(z, (a, b))| *z = a * (1.0 - fraction) + b * fraction + *z * spread);
}

impl Noise for BrownianPath {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        let from = match self.last.take() {
            Some((time, w)) if time == a => w,
            _ => self.at(like, a),
        };
        let to = self.at(like, b);
        let increment = (&to - from).to_kind(like.kind());
        self.last = Some((b, to));
        increment
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        let z = tensor::normals(self.auxiliary, self.first, self.draws, like);
        self.draws += 1;
        z
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Increments add up, have variance b − a, are uncorrelated on disjoint intervals, and do not depend on the grid.
    #[test]
    fn a_path_is_brownian_and_the_same_for_every_refinement() {
        let like = Tensor::zeros([20_000, 1], (Kind::Double, Device::Cpu));
        let times = [0.1, 0.35, 0.7, 1.9, 2.3];
        let mut path = BrownianPath::new(5, 0, (2.3, 0.1));
        let parts: Vec<Tensor> = times.windows(2).map(|w| path.increment(&like, w[0], w[1])).collect();
        let whole = BrownianPath::new(5, 0, (0.1, 2.3)).increment(&like, 0.1, 2.3);
        let sum = parts.iter().fold(like.shallow_clone(), |sum, part| sum + part);
        assert!((sum - whole).abs().max().double_value(&[]) < 1e-12);
        let mean = |x: Tensor| x.mean(Kind::Double).double_value(&[]);
        let error = 5.0 * (2.0 / 20_000f64).sqrt();
        for (part, w) in parts.iter().zip(times.windows(2)) {
            let ratio = mean(part.square()) / (w[1] - w[0]);
            assert!((ratio - 1.0).abs() < error, "variance ratio {ratio} on {w:?}");
        }
        for pair in parts.windows(2) {
            let scale = (mean(pair[0].square()) * mean(pair[1].square())).sqrt();
            assert!((mean(&pair[0] * &pair[1]) / scale).abs() < error);
        }
        let backwards = BrownianPath::new(5, 0, (0.1, 2.3)).increment(&like, 0.7, 0.35);
        assert!((backwards + &parts[1]).abs().max().double_value(&[]) < 1e-12);
    }

    /// The clocks κ² and κ⁻² span twelve decades and more, and a grid steps through all of them: the smallest increments
    /// are as Brownian as the largest.
    #[test]
    fn increments_are_independent_over_many_decades() {
        let (samples, steps) = (4000, 60);
        let like = Tensor::zeros([samples, 1], (Kind::Double, Device::Cpu));
        let at = |i: i32| 10f64.powf(-6.0 + 12.0 * f64::from(i) / f64::from(steps));
        let mut path = BrownianPath::new(8, 0, (at(0), at(steps)));
        let standard = |i| path.increment(&like, at(i), at(i + 1)) / (at(i + 1) - at(i)).sqrt();
        let z = Tensor::cat(&(0..steps).map(standard).collect::<Vec<_>>(), 1);
        let excess = z.tr().matmul(&z) / samples as f64 - Tensor::eye(i64::from(steps), (Kind::Double, Device::Cpu));
        // 1830 pairs, each with a standard error of at most √(2/samples).
        let worst = excess.abs().max().double_value(&[]);
        assert!(worst < 4.5 * (2.0 / samples as f64).sqrt(), "covariance off by {worst}");
    }
}
