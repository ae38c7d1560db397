//! The exact denoiser of a finite data set, also called the ideal denoiser: what a network of unlimited capacity learns.
//!
//! Of the empirical law (1/N) Σ_i δ(y_i), the state x_t has the law (1/N) Σ_i N(α y_i, σ² I), and
//!
//! D(x, t) = Σ_i w_i y_i with w_i ∝ exp(−‖x − α y_i‖²/(2 σ²))
//!
//! minimises the denoising loss over the data (Karras et al. 2022, appendix B.3). For σ → ∞ it is the mean of the data,
//! for σ → 0 the nearest neighbour of x/α, so that sampling with it gives back the data and nothing else.
//!
//! The sums run over blocks of the data with an online log-sum-exp (Milakov & Gimelshein 2018): a running maximum of the
//! exponents, to which sums over earlier blocks are rescaled. One evaluation costs 4 B N D operations and B N
//! exponentials, and holds at most [`WEIGHTS`] weights at once, whatever N is.

use std::sync::Arc;

use tch::{Device, Tensor};

use super::{Denoiser, Model};
use crate::sde::{Kernel, Sde};
use crate::tensor::{factors, finest};

/// The most weights w that are held at once (8 MiB in float64); batches above this number hold one each.
pub const WEIGHTS: i64 = 1 << 20;

/// σ² below this counts as this: small enough to single out the nearest neighbour, and exponents stay finite.
const LEAST_VARIANCE: f64 = 1e-30;

/// The exact denoiser of N points under any process. It computes in float64 (float32 on Metal, which lacks float64) and
/// answers in the kind of the state.
#[derive(Debug)]
pub struct Empirical {
    sde: Arc<dyn Sde>,
    /// m, the mean of the points `[D]`.
    mean: Tensor,
    /// y_i − m `[N, D]`. Distances do not change, and points far from the origin lose no digits.
    points: Tensor,
    /// ½ ‖y_i − m‖² `[N]`.
    half_squares: Tensor,
}

impl Empirical {
    /// The denoiser of the points `[N, …]`, N ≥ 1, under `sde`, on a device.
    pub fn new(points: &Tensor, sde: Arc<dyn Sde>, device: Device) -> Self {
        let kind = finest(device);
        let points = points.reshape([points.size()[0], -1]).to_device(device).to_kind(kind);
        let mean = points.mean_dim([0i64].as_slice(), false, kind);
        let points = points - &mean;
        let half_squares = points.square().sum_dim_intlist([1i64].as_slice(), false, kind) * 0.5;
        Empirical { sde, mean, points, half_squares }
    }

    /// N, the number of points.
    pub fn count(&self) -> i64 {
        self.points.size()[0]
    }

    /// D(x, t) with the data taken `block` points at a time, for states that share one time or have one each.
    fn mean_given(&self, x: &Tensor, t: &[f64], block: i64) -> Tensor {
        let kernels: Vec<Kernel> = t.iter().map(|&t| self.sde.kernel(t)).collect();
        // [B, 1] against [B, N] and [B, D], or a plain number.
        let rows = x.reshape([x.size()[0], self.points.size()[1]]).to_kind(self.points.kind());
        let factor = factors(&kernels, &rows);
        let alpha = factor(|k| k.alpha);
        let gain = factor(|k| k.alpha / (k.sigma * k.sigma).max(LEAST_VARIANCE));
        // −‖x − α y‖²/(2σ²) up to a summand that all points share, in units of the gain α/σ²: x·y − α ‖y‖²/2.
        let query = &rows - &self.mean * &alpha;
        let lean = factor(|k| -k.alpha);
        let sum = |x: &Tensor| x.sum_dim_intlist([1i64].as_slice(), true, x.kind());
        // The largest exponent so far, and relative to it Σ w and Σ w (y − m): [B, 1], [B, 1] and [B, D].
        let mut state: Option<(Tensor, Tensor, Tensor)> = None;
        for first in (0..self.count()).step_by(block as usize) {
            let length = block.min(self.count() - first);
            let points = self.points.narrow(0, first, length);
            let bias = self.half_squares.narrow(0, first, length) * &lean;
            let mut weights = bias.addmm(&query, &points.tr());
            // What is divided out again has no derivative.
            let top = weights.detach().amax([1i64].as_slice(), true);
            let top = state.as_ref().map_or_else(|| top.shallow_clone(), |(before, ..)| before.maximum(&top));
            weights -= &top;
            weights *= &gain;
            let weights = weights.exp_();
            let (mut total, mut weighted) = (sum(&weights), weights.matmul(&points));
            if let Some((before, earlier_total, earlier_weighted)) = state {
                let shrink = ((before - &top) * &gain).exp();
                total += earlier_total * &shrink;
                weighted += earlier_weighted * shrink;
            }
            state = Some((top, total, weighted));
        }
        let (_, total, weighted) = state.expect("there is at least one point");
        (weighted / total + &self.mean).to_kind(x.kind()).reshape(x.size())
    }
}

/// The points in a block for a batch of B states.
fn block(batch: i64) -> i64 {
    (WEIGHTS / batch.max(1)).max(1)
}

impl Denoiser for Empirical {
    fn sde(&self) -> &dyn Sde {
        &*self.sde
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        self.mean_given(x, &[t], block(x.size()[0]))
    }

    fn denoise_each(&self, x: &Tensor, _samples: &[usize], t: &[f64]) -> Tensor {
        self.mean_given(x, t, block(x.size()[0]))
    }
}

impl Model for Empirical {
    fn part(&self, _first: i64, _count: i64) -> Box<dyn Model> {
        Box::new(Empirical {
            sde: self.sde.clone(),
            mean: self.mean.shallow_clone(),
            points: self.points.shallow_clone(),
            half_squares: self.half_squares.shallow_clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::sde::Edm;
    use crate::tensor::normals;
    use tch::Kind;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn states(count: i64, dim: i64, draw: u32) -> Tensor {
        normals(Stream::new(3, Purpose::Data), 0, draw, &Tensor::empty([count, dim], DOUBLE))
    }

    /// Blocks that divide N and that do not, one point, all points; the running maximum rises, falls and stays.
    #[test]
    fn blocks_change_round_off_only() {
        let points = states(60, 3, 0);
        let ascending = points.index_select(0, &points.select(1, 0).argsort(0, false));
        for points in [&points, &ascending, &ascending.flip([0])] {
            let empirical = Empirical::new(points, Arc::new(Edm::default()), Device::Cpu);
            let x = states(20, 3, 1) * 2.0;
            for sigma in [1e-6, 0.01, 0.3, 5.0, 1e4] {
                let whole = empirical.mean_given(&x, &[sigma], 60);
                for block in [1, 7, 20, 59, 1000] {
                    let error = (empirical.mean_given(&x, &[sigma], block) - &whole).abs().max().double_value(&[]);
                    assert!(error < 1e-12, "blocks of {block} at σ = {sigma}: {error:e}");
                }
            }
        }
    }

    /// Each state at its own time, in blocks too, as if it were alone.
    #[test]
    fn each_sample_has_its_own_time() {
        let empirical = Empirical::new(&states(60, 3, 0), Arc::new(Edm::default()), Device::Cpu);
        let (x, t) = (states(5, 3, 1) * 2.0, [1e-6, 0.3, 5.0, 0.3, 1e4]);
        let alone: Vec<Tensor> = (0..5).map(|i| empirical.denoise(&x.narrow(0, i, 1), t[i as usize])).collect();
        let expected = Tensor::cat(&alone, 0);
        for block in [7, 60] {
            let error = (empirical.mean_given(&x, &t, block) - &expected).abs().max().double_value(&[]);
            assert!(error < 1e-12, "blocks of {block}: {error:e}");
        }
        assert!((empirical.denoise_each(&x, &[0, 1, 2, 3, 4], &t) - expected).abs().max().double_value(&[]) < 1e-12);
    }

    #[test]
    fn memory_is_bounded() {
        for batch in [1, 7, 1024, 10_000, WEIGHTS - 1, WEIGHTS] {
            assert!((1..=WEIGHTS).contains(&(batch * block(batch))), "{batch}");
        }
        assert_eq!((block(0), block(1), block(1024), block(WEIGHTS + 1)), (WEIGHTS, WEIGHTS, 1024, 1));
    }
}
