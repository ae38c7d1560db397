//! The augmented ODE of the state and its log-density, d(x, ℓ)/dt = (v, −∇·v), as a model like any other.

use std::cell::OnceCell;
use std::sync::Arc;

use tch::Tensor;

use super::divergence::{Divergence, Jacobian};
use crate::rng::{Purpose, Stream};
use crate::score::{Denoiser, Model, velocity_gains};
use crate::sde::Sde;
use crate::tensor::each;

/// A model whose states are rows (x, ℓ) `[B, D + K]`: x is that of the inner model, and ℓ follows ln p/D along the flow,
/// dℓ/dt = −∇·v(x, t)/D (the instantaneous change of variables, Chen et al. 2018; Song et al. 2021, eq. 39), by each of K
/// estimates of the divergence.
///
/// Solvers know one thing of a model, its denoiser, from which they take the velocity a y + b ŷ₀ of a state y. So in a
/// coordinate ℓ of rate r the denoiser is ŷ₀ = (r − a ℓ)/b, whose velocity is r: tableaus, error control and threads are
/// those of sampling. Tolerances are met by x and by ℓ, nats for each dimension, each by itself. Methods that solve the
/// linear part a y exactly are consistent here too, but have nothing to gain.
#[derive(Debug)]
pub struct Augmented {
    inner: Box<dyn Model>,
    divergence: Arc<dyn Divergence>,
    /// The shape of x, of one sample.
    shape: Vec<i64>,
    stream: Stream,
    /// The number of the first sample, and how many there are.
    samples: (u64, i64),
    /// States that the inner model is asked about at once, at most.
    room: i64,
    /// `[m, B, D]`, made when they are first needed.
    probes: OnceCell<Tensor>,
}

impl Augmented {
    /// `inner` on `count` samples of a shape; probes are functions of the seed and of the number of the sample, counted from
    /// `first`. `room` is how many states the inner model is asked about at once where there are several products to take.
    pub fn new(
        inner: Box<dyn Model>,
        shape: &[i64],
        divergence: Arc<dyn Divergence>,
        (seed, first, count): (u64, u64, i64),
        room: i64,
    ) -> Self {
        let stream = Stream::new(seed, Purpose::Probe);
        let (shape, samples) = (shape.to_vec(), (first, count));
        Augmented { inner, divergence, shape, stream, samples, room, probes: OnceCell::new() }
    }

    /// D.
    fn dim(&self) -> i64 {
        self.shape.iter().product()
    }

    /// The states (x, 0) of x `[B, …]`.
    pub fn states(&self, x: &Tensor) -> Tensor {
        let rows = x.reshape([x.size()[0], -1]);
        let zeros = Tensor::zeros([x.size()[0], self.divergence.estimates() as i64], (x.kind(), x.device()));
        Tensor::cat(&[rows, zeros], 1)
    }

    /// x `[B, …]` and the change of ln p `[B, K]` of states.
    pub fn split(&self, states: &Tensor) -> (Tensor, Tensor) {
        let (dim, width) = (self.dim(), states.size()[1]);
        (self.shaped(&states.narrow(1, 0, dim)), states.narrow(1, dim, width - dim) * dim as f64)
    }

    fn shaped(&self, rows: &Tensor) -> Tensor {
        let shape: Vec<i64> = std::iter::once(rows.size()[0]).chain(self.shape.iter().copied()).collect();
        rows.reshape(shape)
    }

    /// The probes of some samples.
    fn probes_of(&self, samples: &[usize], like: &Tensor) -> Tensor {
        let probes = self.probes.get_or_init(|| {
            let all = Tensor::empty([self.samples.1, self.dim()], (like.kind(), like.device()));
            self.divergence.probes(self.stream, self.samples.0, &all)
        });
        if samples.len() as i64 == self.samples.1 && samples.iter().enumerate().all(|(i, &sample)| i == sample) {
            return probes.shallow_clone();
        }
        let samples: Vec<i64> = samples.iter().map(|&sample| sample as i64).collect();
        probes.index_select(1, &Tensor::from_slice(&samples).to_device(like.device()))
    }

    /// The denoiser of states at one time `[t]` or at one for each.
    fn evaluate(&self, states: &Tensor, samples: &[usize], t: &[f64]) -> Tensor {
        let (dim, batch) = (self.dim(), states.size()[0]);
        let products = self.divergence.products(dim as usize) as i64;
        let copies = (self.room / batch.max(1)).clamp(1, products);
        let (a, b): (Vec<f64>, Vec<f64>) = t.iter().map(|&t| velocity_gains(self.inner.sde(), t)).unzip();
        let (x0, divergence) = tch::with_grad(|| {
            let leaf = states.detach().narrow(1, 0, dim).repeat([copies, 1]).set_requires_grad(true);
            let denoised = self.inner_denoised(&leaf, samples, t, copies as usize).reshape([-1, dim]);
            let x0 = denoised.detach().narrow(0, 0, batch);
            let gains = [each(&a, &x0), each(&b, &x0)];
            let jacobian = Jacobian::new(leaf, denoised, gains, batch);
            let divergence = self.divergence.of(&jacobian, &self.probes_of(samples, &x0));
            (x0, divergence.detach())
        });
        let change = states.narrow(1, dim, divergence.size()[1]);
        let rates = -(change * each(&a, &divergence) + divergence / dim as f64);
        let inverse: Vec<f64> = b.iter().map(|b| 1.0 / b).collect();
        Tensor::cat(&[x0, rates * each(&inverse, states)], 1)
    }

    /// D(x, t) of copies of the batch.
    fn inner_denoised(&self, rows: &Tensor, samples: &[usize], t: &[f64], copies: usize) -> Tensor {
        let x = self.shaped(rows);
        let whole = samples.len() as i64 == self.samples.1;
        match t {
            [t] if copies == 1 && whole => self.inner.denoise(&x, *t),
            _ => {
                let t: Vec<f64> = if t.len() == 1 { vec![t[0]; samples.len()] } else { t.to_vec() };
                self.inner.denoise_each(&x, &samples.repeat(copies), &t.repeat(copies))
            }
        }
    }
}

impl Denoiser for Augmented {
    fn sde(&self) -> &dyn Sde {
        self.inner.sde()
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        let samples: Vec<usize> = (0..x.size()[0] as usize).collect();
        self.evaluate(x, &samples, &[t])
    }

    fn denoise_each(&self, x: &Tensor, samples: &[usize], t: &[f64]) -> Tensor {
        self.evaluate(x, samples, t)
    }

    fn apart(&self) -> i64 {
        self.divergence.estimates() as i64
    }
}

impl Model for Augmented {
    fn part(&self, first: i64, count: i64) -> Box<dyn Model> {
        let (stream, room, probes) = (self.stream, self.room, OnceCell::new());
        let samples = (self.samples.0 + first as u64, count);
        let (inner, divergence, shape) = (self.inner.part(first, count), self.divergence.clone(), self.shape.clone());
        Box::new(Augmented { inner, divergence, shape, stream, samples, room, probes })
    }
}
