//! Counter-based random streams: every number is a function of (seed, purpose, sample, draw, position).
//!
//! Philox-4×32-10 (Salmon et al. 2011, “Parallel random numbers: as easy as 1, 2, 3”) has no state to save, so samples
//! do not depend on the batch split or the number of threads, a run resumes bit for bit, and two solvers can share
//! their noise.

use rand::rand_core::{Infallible, TryRng};

/// What the numbers are for. Streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial parameters of a network.
    Init = 1,
    /// Draws from a data distribution.
    Data = 2,
    /// Fresh draws from the data distribution, never seen in training, to compare samples with.
    Reference = 3,
    /// Times in training.
    Time = 4,
    /// ε in x_t = α x₀ + σ ε in training.
    Perturbation = 5,
    /// x_T of a sampling run.
    Prior = 6,
    /// Increments of the Brownian motion that drives a stochastic solver.
    Brownian = 7,
    /// Standard normals outside the solver's Brownian motion: correctors and churn.
    Auxiliary = 8,
    /// Gaussian–Fourier frequencies and other fixed random features.
    Features = 9,
    /// Data, times and perturbations of the fixed validation set.
    Validation = 10,
    /// Data and perturbations on which losses of single noise levels are measured.
    Levels = 11,
    /// Time integrals of the Brownian motion, given its values.
    Area = 12,
    /// Masks of dropout.
    Dropout = 13,
    /// Shifts and flips of images in the training of a classifier.
    Augmentation = 14,
    /// Directions in which the divergence of the probability flow is measured.
    Probe = 15,
    /// What is added to data before their likelihood is computed: dequantisation, the noise at t_min.
    Lift = 16,
}

/// An inexhaustible table of random numbers for one seed and purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// The stream of `seed` for `purpose`.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        // One splitmix64 round (Steele et al. 2014) spreads neighbouring seeds over the key space.
        let mut z = seed.wrapping_add((purpose as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        Stream { key: [z as u32, (z >> 32) as u32] }
    }

    /// The generator of draw `draw` of sample `sample`, for laws that need an unknown count of numbers.
    pub fn at(&self, sample: u64, draw: u32) -> Counter {
        Counter { stream: *self, sample, draw, block: 0, words: [0; 4], used: 4 }
    }

    /// Standard normals for draw `draw` of the samples `first..`, `dim` for each; `out` is `[samples, dim]`, row-major.
    ///
    /// Box & Muller (1958) on 53-bit uniforms: two normals from each block of 128 bits.
    pub fn normals(&self, first: u64, draw: u32, dim: usize, out: &mut [f64]) {
        if dim == 0 {
            return;
        }
        for (i, row) in out.chunks_mut(dim).enumerate() {
            for (block, pair) in row.chunks_mut(2).enumerate() {
                let [a, b, c, d] = self.block(first + i as u64, draw, block as u32);
                let radius = (-2.0 * open_uniform(a, b).ln()).sqrt();
                let (sin, cos) = (std::f64::consts::TAU * open_uniform(c, d)).sin_cos();
                pair[0] = radius * cos;
                if let Some(second) = pair.get_mut(1) {
                    *second = radius * sin;
                }
            }
        }
    }

    /// For draw `draw` of the samples `first..`, `dim` numbers each: 0 with probability `share`, rounded to a multiple of
    /// 2⁻¹⁶, and else `one`; `out` is `[samples, dim]`, row-major.
    pub fn bernoulli(&self, (first, draw): (u64, u32), dim: usize, share: f64, one: f32, out: &mut [f32]) {
        let below = (share * 65536.0).round() as u32;
        for (i, row) in out.chunks_mut(dim.max(1)).enumerate() {
            for (block, eight) in row.chunks_mut(8).enumerate() {
                let words = self.block(first + i as u64, draw, block as u32);
                for (j, value) in eight.iter_mut().enumerate() {
                    let bits = words[j / 2] >> (16 * (j % 2)) & 0xFFFF;
                    *value = if bits < below { 0.0 } else { one };
                }
            }
        }
    }

    /// One uniform number in (0, 1] for draw `draw` of sample `sample`.
    pub fn uniform(&self, sample: u64, draw: u32) -> f64 {
        let [a, b, _, _] = self.block(sample, draw, 0);
        open_uniform(a, b)
    }

    /// 32 random bits for draw `draw` of sample `sample`.
    pub fn word(&self, sample: u64, draw: u32) -> u32 {
        self.block(sample, draw, 0)[0]
    }

    fn block(&self, sample: u64, draw: u32, block: u32) -> [u32; 4] {
        philox([block, draw, sample as u32, (sample >> 32) as u32], self.key)
    }
}

/// A uniform number in (0, 1], so that its logarithm is finite.
fn open_uniform(low: u32, high: u32) -> f64 {
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    (bits + 1) as f64 * (1.0 / (1u64 << 53) as f64)
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let p0 = u64::from(counter[0]) * 0xD251_1F53;
        let p1 = u64::from(counter[2]) * 0xCD9E_8D57;
        counter =
            [(p1 >> 32) as u32 ^ counter[1] ^ key[0], p1 as u32, (p0 >> 32) as u32 ^ counter[3] ^ key[1], p0 as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// A [`rand`] generator over the numbers of one (sample, draw).
#[derive(Clone, Debug)]
pub struct Counter {
    stream: Stream,
    sample: u64,
    draw: u32,
    block: u32,
    words: [u32; 4],
    used: usize,
}

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.used == 4 {
            self.words = self.stream.block(self.sample, self.draw, self.block);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        Ok(self.words[self.used - 1])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.try_next_u32()?);
        Ok(u64::from(self.try_next_u32()?) << 32 | low)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.try_next_u32()?.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that the authors publish with Random123 (file `kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = ([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        assert_eq!(philox(pi.0, pi.1), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    /// Moments of 400,000 normals, each within 4 standard errors, and no correlation between samples, draws, purposes.
    #[test]
    fn normals_are_standard_and_independent() {
        let (samples, dim) = (100_000, 4);
        let fill = |seed, purpose, draw| {
            let mut out = vec![0.0; samples * dim];
            Stream::new(seed, purpose).normals(0, draw, dim, &mut out);
            out
        };
        let z = fill(0, Purpose::Prior, 0);
        let n = z.len() as f64;
        for (power, moment, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let mean = z.iter().map(|v| v.powi(power)).sum::<f64>() / n;
            assert!((mean - moment).abs() < 4.0 * (variance / n).sqrt(), "moment {power}: {mean}");
        }
        let others = [fill(0, Purpose::Prior, 1), fill(1, Purpose::Prior, 0), fill(0, Purpose::Brownian, 0)];
        for other in others.iter().chain([&z[1..].to_vec(), &z[dim..].to_vec()]) {
            let correlation = z.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() / n;
            assert!(correlation.abs() < 4.0 / n.sqrt(), "correlation {correlation}");
        }
    }

    #[test]
    fn a_row_depends_on_its_sample_index_alone() {
        let stream = Stream::new(7, Purpose::Data);
        let (mut all, mut tail) = (vec![0.0; 10 * 3], vec![0.0; 4 * 3]);
        stream.normals(0, 5, 3, &mut all);
        stream.normals(6, 5, 3, &mut tail);
        assert_eq!(all[6 * 3..], tail[..]);
    }
}
