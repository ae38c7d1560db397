//! A Brownian path that remembers what it was asked.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::rng::{Purpose, Stream};
use crate::solve::Noise;
use crate::tensor;

/// A Brownian path as far as it is known: at the readings of the clock that solvers asked for. A new reading between two
/// known ones is drawn from the Brownian bridge, one outside from an independent increment, so that all solvers that are
/// driven by it follow one path, whatever their grids.
///
/// It costs one normal for each coordinate and new reading, and the memory of all of them; where memory matters or the
/// order of questions may not, take [`BrownianPath`](crate::solve::BrownianPath).
#[derive(Debug)]
pub(super) struct RememberedPath {
    path: Stream,
    auxiliary: Stream,
    draws: [u32; 2],
    /// W by the bits of the reading, which for numbers that are not negative order as the numbers do.
    known: BTreeMap<u64, Tensor>,
}

impl RememberedPath {
    pub fn new(seed: u64) -> Self {
        RememberedPath {
            path: Stream::new(seed, Purpose::Brownian),
            auxiliary: Stream::new(seed, Purpose::Auxiliary),
            draws: [0; 2],
            known: BTreeMap::new(),
        }
    }

    /// The auxiliary noise from its beginning again, for the next solver on this path.
    pub fn rewind(&mut self) {
        self.draws[1] = 0;
    }

    /// W at a reading of the clock, counted from the first reading asked for.
    fn at(&mut self, like: &Tensor, reading: f64) -> Tensor {
        assert!(reading >= 0.0, "a clock reads {reading}");
        // A negative zero would come after all other numbers.
        let reading = reading + 0.0;
        let key = reading.to_bits();
        if let Some(w) = self.known.get(&key) {
            return w.shallow_clone();
        }
        let before = self.known.range(..key).next_back().map(|(&key, w)| (f64::from_bits(key), w));
        let after = self.known.range(key..).next().map(|(&key, w)| (f64::from_bits(key), w));
        let mut normal = || {
            self.draws[0] += 1;
            tensor::normals(self.path, 0, self.draws[0], like)
        };
        let w = match (before, after) {
            (None, None) => like.zeros_like(),
            (Some((low, w)), None) => w + normal() * (reading - low).sqrt(),
            (None, Some((high, w))) => w + normal() * (high - reading).sqrt(),
            (Some((low, w_low)), Some((high, w_high))) => {
                let fraction = (reading - low) / (high - low);
                w_low * (1.0 - fraction) + w_high * fraction + normal() * (fraction * (high - reading)).sqrt()
            }
        };
        self.known.insert(key, w.shallow_clone());
        w
    }
}

impl Noise for RememberedPath {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        let from = self.at(like, a);
        self.at(like, b) - from
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        let z = tensor::normals(self.auxiliary, 0, self.draws[1], like);
        self.draws[1] += 1;
        z
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::DOUBLE;
    use super::*;
    use tch::Kind;

    /// Asked coarsely, finely and beyond its ends: increments add up, have variance b − a and are uncorrelated.
    #[test]
    fn a_path_is_brownian_whatever_it_is_asked_first() {
        let like = Tensor::zeros([20_000, 1], DOUBLE);
        let mut path = RememberedPath::new(4);
        let whole = path.increment(&like, 2.3, 0.35);
        let times = [0.1, 0.35, 0.7, 1.9, 2.3, 3.0];
        let parts: Vec<Tensor> = times.windows(2).map(|w| path.increment(&like, w[0], w[1])).collect();
        let sum = &parts[1] + &parts[2] + &parts[3];
        assert!((sum + whole).abs().max().double_value(&[]) < 1e-12);
        let mean = |x: Tensor| x.mean(Kind::Double).double_value(&[]);
        for (i, (part, w)) in parts.iter().zip(times.windows(2)).enumerate() {
            let ratio = mean(part.square()) / (w[1] - w[0]);
            assert!((ratio - 1.0).abs() < 5.0 * (2.0 / 20_000f64).sqrt(), "variance ratio {ratio} on {w:?}");
            for other in &parts[..i] {
                let scale = (mean(part.square()) * mean(other.square())).sqrt();
                assert!((mean(part * other) / scale).abs() < 5.0 / 20_000f64.sqrt());
            }
        }
    }
}
