//! Sources of noise: fresh counter-based streams, replay from given numbers.

use std::fmt::Debug;

use tch::Tensor;

use crate::rng::{Purpose, Stream};
use crate::tensor::{self, combine};

/// The randomness of one integration, `[B, …]` at a time.
pub trait Noise: Debug {
    /// W(b) − W(a) of a Brownian motion in the solver's own clock, shaped like `like`.
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor;

    /// W(b) − W(a) and ∫_a^b (W(c) − W(a)) dc, a < b, each shaped like `like`.
    fn integral(&mut self, like: &Tensor, a: f64, b: f64) -> (Tensor, Tensor) {
        // Given the increment, the integral is half the rectangle on average, and further normals away from it.
        let (increment, normal) = (self.increment(like, a, b), self.increment(like, 0.0, 1.0));
        let integral = integral_given(&increment, b - a, &normal);
        (increment, integral)
    }

    /// Standard normals outside that Brownian motion: correctors, churn.
    fn normal(&mut self, like: &Tensor) -> Tensor;

    /// Why the noise given so far is not what it should be, if it is not.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// The integral over a time of length `length` ∫ W dc, given its increment and a standard normal: its mean is half
/// the rectangle, its variance length³/12.
pub(super) fn integral_given(increment: &Tensor, length: f64, normal: &Tensor) -> Tensor {
    combine(0.5 * length, increment, (length.powi(3) / 12.0).sqrt(), normal)
}

/// Independent increments from counter-based streams: draw i of sample j is a function of (seed, j, i) alone.
#[derive(Debug)]
pub struct Fresh {
    brownian: Stream,
    auxiliary: Stream,
    first: u64,
    draws: [u32; 2],
}

impl Fresh {
    /// Noise for the samples `first..` of `seed`.
    pub fn new(seed: u64, first: u64) -> Self {
        let (brownian, auxiliary) = (Stream::new(seed, Purpose::Brownian), Stream::new(seed, Purpose::Auxiliary));
        Fresh { brownian, auxiliary, first, draws: [0; 2] }
    }
}

impl Noise for Fresh {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        let z = tensor::normals(self.brownian, self.first, self.draws[0], like);
        self.draws[0] += 1;
        z * (b - a).abs().sqrt()
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        let z = tensor::normals(self.auxiliary, self.first, self.draws[1], like);
        self.draws[1] += 1;
        z
    }
}

/// Standard normals `[draws, B, …]` used in the order drawn, for comparisons with other implementations.
#[derive(Debug)]
pub struct Replay {
    normals: Tensor,
    next: i64,
}

impl Replay {
    /// Replays `normals` `[draws, B, …]`.
    pub fn new(normals: Tensor) -> Self {
        Replay { normals, next: 0 }
    }
}

impl Noise for Replay {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        self.normal(like) * (b - a).abs().sqrt()
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        self.next += 1;
        if self.fault().is_some() {
            return like.zeros_like();
        }
        self.normals.get(self.next - 1).to_device(like.device()).to_kind(like.kind())
    }

    fn fault(&self) -> Option<String> {
        let draws = self.normals.size()[0];
        (self.next > draws).then(|| format!("it has {draws} draws and the solver needs more"))
    }
}
