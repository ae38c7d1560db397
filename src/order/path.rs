//! A Brownian path that remembers what it was asked.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::rng::{Purpose, Stream};
use crate::solve::{BrownianValue, Noise, integral_given};
use crate::tensor;

/// A Brownian path and its integral as far as they are known: at the readings of the clock that solvers asked for. A new
/// reading between two known ones is drawn from the bridge, one outside independently, so that all solvers that are
/// driven by it follow one path, whatever their grids.
///
/// It costs two normals for each coordinate and new reading, and the memory of all of them; where memory matters or the
/// order of questions may not, take [`BrownianPath`](crate::solve::BrownianPath).
#[derive(Debug)]
pub(super) struct RememberedPath {
    streams: [Stream; 2],
    auxiliary: Stream,
    draws: [u32; 2],
    /// W and ∫ W from the first reading asked for, by the bits of the reading, which for numbers that are not negative
    /// order as the numbers do.
    known: BTreeMap<u64, (Tensor, Tensor)>,
}

impl RememberedPath {
    pub fn new(seed: u64) -> Self {
        RememberedPath {
            streams: [Purpose::Brownian, Purpose::Area].map(|purpose| Stream::new(seed, purpose)),
            auxiliary: Stream::new(seed, Purpose::Auxiliary),
            draws: [0; 2],
            known: BTreeMap::new(),
        }
    }

    /// The auxiliary noise from its beginning again, for the next solver on this path.
    pub fn rewind(&mut self) {
        self.draws[1] = 0;
    }

    /// W and ∫ W at a reading of the clock.
    fn at(&mut self, like: &Tensor, reading: f64) -> (Tensor, Tensor) {
        assert!(reading >= 0.0, "a clock reads {reading}");
        // A negative zero would come after all other numbers.
        let reading = reading + 0.0;
        let key = reading.to_bits();
        if let Some((w, area)) = self.known.get(&key) {
            return (w.shallow_clone(), area.shallow_clone());
        }
        self.draws[0] += 1;
        let normals = self.streams.map(|stream| tensor::normals(stream, 0, self.draws[0], like));
        let before = self.known.range(..key).next_back().map(|(&key, value)| (f64::from_bits(key), value));
        let after = self.known.range(key..).next().map(|(&key, value)| (f64::from_bits(key), value));
        let fresh = |length: f64, [first, second]: [Tensor; 2]| {
            let w = first * length.sqrt();
            let area = integral_given(&w, length, &second);
            BrownianValue { w, area }
        };
        let value = match (before, after) {
            (None, None) => (like.zeros_like(), like.zeros_like()),
            (Some((low, start)), None) => follow(start, &fresh(reading - low, normals), reading - low),
            (None, Some((high, (w_high, area_high)))) => {
                let length = high - reading;
                let piece = fresh(length, normals);
                let w = w_high - piece.w;
                let area = area_high - piece.area - &w * length;
                (w, area)
            }
            (Some((low, start)), Some((high, end))) => {
                let length = high - low;
                let whole = BrownianValue { w: &end.0 - &start.0, area: &end.1 - &start.1 - &start.0 * length };
                let (left, _) = whole.split(length, (reading - low) / length, normals);
                follow(start, &left, reading - low)
            }
        };
        self.known.insert(key, (value.0.shallow_clone(), value.1.shallow_clone()));
        value
    }
}

/// W and ∫ W at the end of a piece of the given length that starts at `start`.
fn follow((w, area): &(Tensor, Tensor), piece: &BrownianValue, length: f64) -> (Tensor, Tensor) {
    (w + &piece.w, area + &piece.area + w * length)
}

impl Noise for RememberedPath {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        let (from, _) = self.at(like, a);
        self.at(like, b).0 - from
    }

    fn integral(&mut self, like: &Tensor, a: f64, b: f64) -> (Tensor, Tensor) {
        let (from, to) = (self.at(like, a), self.at(like, b));
        let area = to.1 - from.1 - &from.0 * (b - a);
        (to.0 - from.0, area)
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

    /// ∫ (W − W(a)) has variance h³/3 and covariance h²/2 with the increment, in parts and in the whole, which are one.
    #[test]
    fn integrals_are_those_of_the_path() {
        let like = Tensor::zeros([40_000, 1], DOUBLE);
        let mut path = RememberedPath::new(6);
        let mean = |x: Tensor| x.mean(Kind::Double).double_value(&[]);
        let whole = path.integral(&like, 0.5, 2.0);
        let (left, right) = (path.integral(&like, 0.5, 1.1), path.integral(&like, 1.1, 2.0));
        let together = &left.1 + &right.1 + &left.0 * 0.9;
        assert!((together - &whole.1).abs().max().double_value(&[]) < 1e-12);
        let below = path.integral(&like, 0.1, 0.5);
        for ((w, area), h) in [(whole, 1.5f64), (left, 0.6), (right, 0.9), (below, 0.4)] {
            let variance = mean(area.square()) * 3.0 / h.powi(3);
            let covariance = mean(w * area) * 2.0 / h.powi(2);
            assert!((variance - 1.0).abs() < 0.05 && (covariance - 1.0).abs() < 0.05, "{variance} {covariance} of {h}");
        }
    }
}
