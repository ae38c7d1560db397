//! A Brownian path that remembers what it was asked.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::rng::{Purpose, Stream};
use crate::solve::{Displacement, Noise};
use crate::tensor;

/// A Brownian path as far as it is known: at the readings of the clock that solvers asked for. A new reading between two
/// known ones is drawn from the Brownian bridge, one outside from an independent increment, so that all solvers that are
/// driven by it follow one path, whatever their grids.
///
/// Readings are known with the integral of the path up to them, for solvers that use both.
///
/// It costs two normals for each coordinate and new reading, and the memory of all of them; where memory matters or the
/// order of questions may not, take [`BrownianPath`](crate::solve::BrownianPath).
#[derive(Debug)]
pub(super) struct RememberedPath {
    path: Stream,
    area: Stream,
    auxiliary: Stream,
    draws: [u32; 2],
    /// W and ∫ W by the bits of the reading, which for numbers that are not negative order as the numbers do.
    known: BTreeMap<u64, Displacement>,
}

impl RememberedPath {
    pub fn new(seed: u64) -> Self {
        RememberedPath {
            path: Stream::new(seed, Purpose::Brownian),
            area: Stream::new(seed, Purpose::Area),
            auxiliary: Stream::new(seed, Purpose::Auxiliary),
            draws: [0; 2],
            known: BTreeMap::new(),
        }
    }

    /// The auxiliary noise from its beginning again, for the next solver on this path.
    pub fn rewind(&mut self) {
        self.draws[1] = 0;
    }

    /// W and ∫ W at a reading of the clock, counted from the first reading asked for.
    fn at(&mut self, like: &Tensor, reading: f64) -> Displacement {
        assert!(reading >= 0.0, "a clock reads {reading}");
        // A negative zero would come after all other numbers.
        let reading = reading + 0.0;
        let key = reading.to_bits();
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let before = self.known.range(..key).next_back().map(|(&key, w)| (f64::from_bits(key), w));
        let after = self.known.range(key..).next().map(|(&key, w)| (f64::from_bits(key), w));
        let mut normals = || {
            self.draws[0] += 1;
            [self.path, self.area].map(|stream| {
                let mut z = vec![0.0; like.numel()];
                stream.normals(0, self.draws[0], like.numel() / like.size()[0] as usize, &mut z);
                z
            })
        };
        let value = match (before, after) {
            (None, None) => Displacement::none(like.numel()),
            (Some((low, known)), None) => known.then(&Displacement::fresh(reading - low, normals()), reading - low),
            (None, Some((high, known))) => {
                // Backwards: the value from which a fresh stretch leads to the known one.
                let length = high - reading;
                let Displacement { w, area } = Displacement::fresh(length, normals());
                let w: Vec<f64> = known.w.iter().zip(w).map(|(known, w)| known - w).collect();
                let areas = known.area.iter().zip(area).zip(&w);
                Displacement { area: areas.map(|((known, area), w)| known - area - w * length).collect(), w }
            }
            (Some((low, known)), Some((high, later))) => {
                let length = high - low;
                let (first, _) = later.after(known, length).split(length, (reading - low) / length, normals());
                known.then(&first, reading - low)
            }
        };
        self.known.insert(key, value.clone());
        value
    }
}

impl Noise for RememberedPath {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        self.integral(like, a, b).0
    }

    fn integral(&mut self, like: &Tensor, a: f64, b: f64) -> (Tensor, Tensor) {
        let from = self.at(like, a);
        let Displacement { w, area } = self.at(like, b).after(&from, b - a);
        let tensor = |values| tensor::from_f64(values, &like.size(), (like.kind(), like.device()));
        (tensor(w), tensor(area))
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
