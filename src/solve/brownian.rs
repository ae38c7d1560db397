//! One Brownian path that every refinement shares.

use tch::{Kind, Tensor};

use super::Noise;
use crate::rng::{Purpose, Stream};
use crate::tensor;

/// A Brownian path on [start, end] as a function of (seed, sample): the value at any time is the same whatever else is
/// asked, so that solvers with different grids follow one path (Lévy's construction; Kidger 2022, virtual tree).
///
/// W and its integral over the whole span are drawn first, then those of parts, by bridges, down to the queried time, at
/// most `DEPTH` levels; below that a last bridge gives the value. Middles are geometric, because the clocks κ² and κ⁻² span many decades and grids
/// step through all of them. Cost: 2 `DEPTH` normals per coordinate and query.
#[derive(Debug)]
pub struct BrownianPath {
    path: Stream,
    area: Stream,
    auxiliary: Stream,
    first: u64,
    draws: u32,
    span: (f64, f64),
    /// The last query and its value: the end of one step is the start of the next.
    last: Option<(f64, [Tensor; 2])>,
}

/// Two to this many leaves, each a millionth of its time wide: far below the step of any grid.
const DEPTH: u32 = 24;

impl BrownianPath {
    /// The path of the samples `first..` of `seed` between two readings of the solver's clock, in either order.
    pub fn new(seed: u64, first: u64, (a, b): (f64, f64)) -> Self {
        BrownianPath {
            path: Stream::new(seed, Purpose::Brownian),
            area: Stream::new(seed, Purpose::Area),
            auxiliary: Stream::new(seed, Purpose::Auxiliary),
            first,
            draws: 0,
            span: (a.min(b), a.max(b)),
            last: None,
        }
    }

    /// W and ∫ W of one of the samples, in D coordinates, from the start to a clock reading; both are 0 at the start.
    pub(super) fn value(&self, sample: usize, dim: usize, time: f64) -> Displacement {
        let (start, end) = self.span;
        let slack = 1e-9 * (end - start);
        assert!(
            time >= start - slack && time <= end + slack,
            "{time} is outside the Brownian path on [{start}, {end}]"
        );
        // Node 1 is the whole interval; the halves of node n are 2n and 2n + 1. Each owns two draws, by its number.
        let normals = |node: u32| {
            [self.path, self.area].map(|stream| {
                let mut z = vec![0.0; dim];
                stream.normals(self.first + sample as u64, node, dim, &mut z);
                z
            })
        };
        let mut before = Displacement::none(dim);
        if time <= start {
            return before;
        }
        let (mut low, mut length, mut node) = (start, end - start, 1u32);
        let mut piece = Displacement::fresh(length, normals(0));
        for _ in 0..DEPTH {
            if time >= low + length {
                break;
            }
            let middle = if low > 0.0 { (low * (low + length)).sqrt() } else { low + 0.5 * length };
            let (left, right) = piece.split(length, (middle - low) / length, normals(node));
            if time < middle {
                (piece, length, node) = (left, middle - low, 2 * node);
            } else {
                before = before.then(&left, middle - low);
                (piece, length, low, node) = (right, low + length - middle, middle, 2 * node + 1);
            }
            if time <= low {
                return before;
            }
        }
        if time < low + length {
            let fraction = (time - low) / length;
            piece = piece.split(length, fraction, normals(node)).0;
            length *= fraction;
        }
        before.then(&piece, length)
    }

    /// W and ∫ W of all samples, each shaped like `like` and in float64.
    fn at(&self, like: &Tensor, time: f64) -> [Tensor; 2] {
        let mut values = [vec![0.0; like.numel()], vec![0.0; like.numel()]];
        let dim = (like.numel() / like.size()[0].max(1) as usize).max(1);
        for sample in 0..like.numel() / dim {
            let Displacement { w, area } = self.value(sample, dim, time);
            let here = sample * dim..(sample + 1) * dim;
            values[0][here.clone()].copy_from_slice(&w);
            values[1][here].copy_from_slice(&area);
        }
        values.map(|values| tensor::from_f64(values, &like.size(), (Kind::Double, like.device())))
    }

    /// The values at two times, the end of one step being the start of the next.
    fn ends(&mut self, like: &Tensor, a: f64, b: f64) -> [[Tensor; 2]; 2] {
        let from = match self.last.take() {
            Some((time, value)) if time == a => value,
            _ => self.at(like, a),
        };
        let to = self.at(like, b);
        self.last = Some((b, [to[0].shallow_clone(), to[1].shallow_clone()]));
        [from, to]
    }
}

/// W and its integral over an interval of a clock, each from 0 at its start, in any number of coordinates.
#[derive(Clone, Debug)]
pub struct Displacement {
    /// W.
    pub w: Vec<f64>,
    /// ∫ W.
    pub area: Vec<f64>,
}

impl Displacement {
    /// None at all.
    pub fn none(dim: usize) -> Self {
        Displacement { w: vec![0.0; dim], area: vec![0.0; dim] }
    }

    /// That over an interval of which nothing is known, from two standard normals.
    pub fn fresh(length: f64, [mut w, mut area]: [Vec<f64>; 2]) -> Self {
        w.iter_mut().for_each(|w| *w *= length.sqrt());
        // As `integral_given` says.
        let spread = (length.powi(3) / 12.0).sqrt();
        area.iter_mut().zip(&w).for_each(|(area, w)| *area = w * (0.5 * length) + *area * spread);
        Displacement { w, area }
    }

    /// That over the rest of an interval, after a first part of it; `length` is that of the rest.
    pub fn after(&self, first: &Displacement, length: f64) -> Self {
        let w: Vec<f64> = self.w.iter().zip(&first.w).map(|(whole, first)| whole - first).collect();
        let areas = self.area.iter().zip(&first.area).zip(&first.w);
        Displacement { w, area: areas.map(|((whole, area), w)| whole - area - w * length).collect() }
    }

    /// This interval and a following one of the given length, together.
    pub fn then(&self, next: &Displacement, length: f64) -> Displacement {
        let both = self.w.iter().zip(&next.w);
        let w = both.clone().map(|(w, next)| w + next).collect();
        let areas = self.area.iter().zip(&next.area).zip(&self.w);
        Displacement { w, area: areas.map(|((area, next), w)| area + next + w * length).collect() }
    }

    /// Both parts of an interval of the given length, cut at the fraction r of it, from two standard normals.
    ///
    /// Given W and A = ∫ W over the whole (length 1), W_r and A_r are normal with means (3r² − 2r) W + 6 r (1−r) A and
    /// (r³ − r²) W + (3r² − 2r³) A, variances r (1−r) (1 − 3r + 3r²) and r³ (1−r)³/3, covariance r² (1−r)² (½ − r): the
    /// conditional law of the four (Foster, Lyons & Oberhauser 2020, for r = ½).
    pub fn split(&self, length: f64, r: f64, [first, second]: [Vec<f64>; 2]) -> (Displacement, Displacement) {
        let rest = 1.0 - r;
        let deviation = (r * rest * (1.0 - 3.0 * r + 3.0 * r * r)).sqrt();
        let covariance = (r * rest).powi(2) * (0.5 - r) / deviation;
        let remaining = ((r * rest).powi(3) / 3.0 - covariance * covariance).max(0.0).sqrt();
        let (root, cube) = (length.sqrt(), length.powf(1.5));
        let (mut left, mut right) = (Displacement::empty(first.len()), Displacement::empty(first.len()));
        for (((&w, &area), first), second) in self.w.iter().zip(&self.area).zip(first).zip(second) {
            let w_left = w * (3.0 * r * r - 2.0 * r) + area * (6.0 * r * rest / length) + first * (deviation * root);
            let area_left = w * (-r * r * rest * length)
                + area * (r * r * (3.0 - 2.0 * r))
                + first * (covariance * cube)
                + second * (remaining * cube);
            left.push(w_left, area_left);
            right.push(w - w_left, area - area_left - w_left * (rest * length));
        }
        (left, right)
    }

    fn empty(dim: usize) -> Self {
        Displacement { w: Vec::with_capacity(dim), area: Vec::with_capacity(dim) }
    }

    fn push(&mut self, w: f64, area: f64) {
        self.w.push(w);
        self.area.push(area);
    }
}

impl Noise for BrownianPath {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        let [[from, _], [to, _]] = self.ends(like, a, b);
        (to - from).to_kind(like.kind())
    }

    fn integral(&mut self, like: &Tensor, a: f64, b: f64) -> (Tensor, Tensor) {
        let [[from, before], [to, area]] = self.ends(like, a, b);
        let area = area - before - &from * (b - a);
        ((to - from).to_kind(like.kind()), area.to_kind(like.kind()))
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

    /// The integral is that of the path: a sum over a fine grid within its own error, and its law given the increment.
    #[test]
    fn integrals_are_those_of_the_path() {
        let like = Tensor::zeros([20_000, 1], (Kind::Double, Device::Cpu));
        let mean = |x: &Tensor| x.mean(Kind::Double).double_value(&[]);
        let (a, b, pieces) = (0.4, 1.3, 64);
        let (increment, integral) = BrownianPath::new(6, 0, (0.1, 2.3)).integral(&like, a, b);
        let mut path = BrownianPath::new(6, 0, (0.1, 2.3));
        let width = (b - a) / f64::from(pieces);
        let (mut w, mut sum) = (like.zeros_like(), like.zeros_like());
        for i in 0..pieces {
            let time = a + f64::from(i) * width;
            let next = &w + path.increment(&like, time, time + width);
            sum += (&w + &next) * (0.5 * width);
            w = next;
        }
        // Each trapezium misses an independent N(0, width³/12).
        let missed = mean(&(sum - &integral).square()) / (f64::from(pieces) * width.powi(3) / 12.0);
        assert!((missed - 1.0).abs() < 5.0 * (2.0 / 20_000f64).sqrt(), "{missed}");
        let beside = &integral - &increment * (0.5 * (b - a));
        let ratio = mean(&beside.square()) / ((b - a).powi(3) / 12.0);
        assert!((ratio - 1.0).abs() < 5.0 * (2.0 / 20_000f64).sqrt(), "{ratio}");
        let scale = (mean(&beside.square()) * mean(&increment.square())).sqrt();
        assert!((mean(&(&beside * &increment)) / scale).abs() < 5.0 / 20_000f64.sqrt());
    }

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
