//! The divergence of the probability flow: tr A of the Jacobian A = ∂v/∂x of its velocity, exactly or by random probes.
//!
//! A is never made. What there is are products vᵀA, each a backward pass: A = a I + b ∂D/∂x, with the gains of
//! dx/dt = a x + b D(x, t), has diagonal terms that nearly cancel at low noise, so that probes meet the whole of A and not
//! the denoiser's part alone.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Fault, Settings, at_least_one};
use crate::rng::Stream;
use crate::tensor::normals;

/// Products vᵀA with the Jacobian of the velocity at a batch of states.
#[derive(Debug)]
pub struct Jacobian {
    /// The states `[R B, D]`, R copies of the batch one after another.
    leaf: Tensor,
    /// D at these states `[R B, D]`, with its graph.
    denoised: Tensor,
    /// a and b: numbers, or `[B, 1]`.
    gains: [Tensor; 2],
    batch: i64,
}

impl Jacobian {
    /// From copies of the states, which are the leaf of a graph, what the denoiser made of them, and the gains.
    pub(super) fn new(leaf: Tensor, denoised: Tensor, gains: [Tensor; 2], batch: i64) -> Self {
        Jacobian { leaf, denoised, gains, batch }
    }

    /// B and D.
    fn size(&self) -> [i64; 2] {
        [self.batch, self.leaf.size()[1]]
    }

    /// R, how many products one backward pass makes for each sample.
    fn at_once(&self) -> i64 {
        self.leaf.size()[0] / self.batch
    }

    /// vᵀA for m vectors of each sample, `[m, B, D]` ↦ `[m, B, D]`.
    pub fn transposed(&self, v: &Tensor) -> Tensor {
        let [batch, dim] = self.size();
        let parts = v.split(self.at_once(), 0);
        let gradients: Vec<Tensor> = parts.iter().map(|v| self.gradient(&v.reshape([-1, dim]))).collect();
        let [a, b] = &self.gains;
        v * a + Tensor::cat(&gradients, 0).view([-1, batch, dim]) * b
    }

    /// vᵀ ∂D/∂x of as many rows as one pass has, or fewer.
    fn gradient(&self, v: &Tensor) -> Tensor {
        let rows = v.size()[0];
        // A denoiser that is constant in x has no graph.
        if !self.denoised.requires_grad() {
            return v.zeros_like();
        }
        let product = (self.denoised.narrow(0, 0, rows) * v).sum(v.kind());
        let [gradient] = <[Tensor; 1]>::try_from(Tensor::run_backward(&[product], &[&self.leaf], true, false))
            .expect("one gradient for one leaf");
        if gradient.defined() { gradient.narrow(0, 0, rows) } else { v.zeros_like() }
    }
}

/// A way to take tr A.
pub trait Divergence: Debug + Send + Sync {
    /// How many estimates it makes for each sample, whose mean is its answer and whose spread its error: each has a
    /// coordinate of its own in the ODE.
    fn estimates(&self) -> usize;

    /// How many products vᵀA it takes at one time for states of `dim` numbers.
    fn products(&self, dim: usize) -> usize;

    /// The random vectors `[m, B, D]` that it keeps for the whole of a solution, for the samples `first..first + B` of a
    /// stream, like states `[B, D]`.
    fn probes(&self, stream: Stream, first: u64, like: &Tensor) -> Tensor;

    /// tr A of each sample, by each estimate: `[B, estimates]`.
    fn of(&self, jacobian: &Jacobian, probes: &Tensor) -> Tensor;
}

/// The law of random probes, of unit variance and independent coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Probes {
    /// ±1: an estimate has the variance 2 (‖A‖² − Σ A_ii²) for symmetric A, the least of all laws (Hutchinson 1990).
    #[default]
    Rademacher,
    /// Standard normal: 2 ‖A‖² (Skilling 1989).
    Gaussian,
}

impl Probes {
    /// `count` of them for each sample `[count, B, D]`, after `before` others.
    fn draw(self, stream: Stream, first: u64, (before, count): (usize, usize), like: &Tensor) -> Tensor {
        let one = |i: usize| {
            let z = normals(stream, first, (before + i) as u32, like);
            if self == Probes::Rademacher { z.sign() } else { z }
        };
        match count {
            0 => like.unsqueeze(0).narrow(0, 0, 0),
            _ => Tensor::stack(&(0..count).map(one).collect::<Vec<_>>(), 0),
        }
    }
}

/// The sum of all D diagonal elements, a product for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExactTrace {}

impl Divergence for ExactTrace {
    fn estimates(&self) -> usize {
        1
    }

    fn products(&self, dim: usize) -> usize {
        dim
    }

    fn probes(&self, _stream: Stream, _first: u64, like: &Tensor) -> Tensor {
        like.unsqueeze(0).narrow(0, 0, 0)
    }

    fn of(&self, jacobian: &Jacobian, _probes: &Tensor) -> Tensor {
        let ([batch, dim], at_once) = (jacobian.size(), jacobian.at_once());
        let unit = Tensor::eye(dim, (jacobian.leaf.kind(), jacobian.leaf.device()));
        // Blocks of unit vectors, lest all of them for all samples be in memory at once.
        let block = |first: i64| {
            let count = at_once.min(dim - first);
            let v = unit.narrow(0, first, count).unsqueeze(1).expand([count, batch, dim], false);
            (jacobian.transposed(&v) * &v).sum_dim_intlist([0i64, 2].as_slice(), false, v.kind())
        };
        let blocks: Vec<Tensor> = (0..dim).step_by(at_once as usize).map(block).collect();
        Tensor::stack(&blocks, 0).sum_dim_intlist([0i64].as_slice(), false, unit.kind()).unsqueeze(1)
    }
}

/// vᵀAv of random v, which is tr A on average (Hutchinson 1990; Skilling 1989; Grathwohl et al. 2019, FFJORD).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hutchinson {
    /// How many for each sample; each costs a backward pass.
    #[schemars(range(min = 1))]
    pub probes: usize,
    /// Their law.
    pub law: Probes,
}

impl Default for Hutchinson {
    fn default() -> Self {
        Hutchinson { probes: 1, law: Probes::Rademacher }
    }
}

impl Divergence for Hutchinson {
    fn estimates(&self) -> usize {
        self.probes
    }

    fn products(&self, _dim: usize) -> usize {
        self.probes
    }

    fn probes(&self, stream: Stream, first: u64, like: &Tensor) -> Tensor {
        self.law.draw(stream, first, (0, self.probes), like)
    }

    fn of(&self, jacobian: &Jacobian, probes: &Tensor) -> Tensor {
        quadratic_forms(jacobian, probes).tr()
    }
}

/// vᵀAv of `[m, B, D]` vectors, `[m, B]`.
fn quadratic_forms(jacobian: &Jacobian, v: &Tensor) -> Tensor {
    (jacobian.transposed(v) * v).sum_dim_intlist([2i64].as_slice(), false, v.kind())
}

/// Hutch++ (Meyer, Musco, Musco & Woodruff 2021, Algorithm 1): of m products, a third finds where A is large, a third takes
/// the trace there exactly, and a third estimates what is left by Hutchinson's method.
///
/// Its variance falls as 1/m² where that of Hutchinson's falls as 1/m, if A has few large eigenvalues. With m ≥ 3 D it is
/// exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HutchPp {
    /// m, a multiple of three.
    #[schemars(range(min = 3))]
    pub products: usize,
    /// The law of the probes.
    pub law: Probes,
}

impl Default for HutchPp {
    fn default() -> Self {
        HutchPp { products: 12, law: Probes::Rademacher }
    }
}

impl HutchPp {
    /// How many vectors find where A is large: not more than there are directions.
    fn sketch(&self, dim: usize) -> usize {
        (self.products / 3).min(dim)
    }
}

impl Divergence for HutchPp {
    fn estimates(&self) -> usize {
        1
    }

    fn products(&self, dim: usize) -> usize {
        // The three thirds follow one another.
        self.sketch(dim)
    }

    fn probes(&self, stream: Stream, first: u64, like: &Tensor) -> Tensor {
        let (third, dim) = (self.products / 3, like.size()[1] as usize);
        // Normals in the sketch, for signs may be linearly dependent in few dimensions.
        let sketch = Probes::Gaussian.draw(stream, first, (0, self.sketch(dim)), like);
        Tensor::cat(&[sketch, self.law.draw(stream, first, (third, third), like)], 0)
    }

    fn of(&self, jacobian: &Jacobian, probes: &Tensor) -> Tensor {
        let [batch, dim] = jacobian.size();
        let (sketch, rest) = (self.sketch(dim as usize) as i64, (self.products / 3) as i64);
        let (sketch, rest) = (probes.narrow(0, 0, sketch), probes.narrow(0, sketch, rest));
        // Q of each sample [B, D, k]; tr A = tr Aᵀ, and products with Aᵀ are those that there are.
        let columns = jacobian.transposed(&sketch).permute([1, 2, 0]).contiguous();
        let (q, _) = Tensor::linalg_qr(&columns, "reduced");
        let large = quadratic_forms(jacobian, &q.permute([2, 0, 1]));
        let total = large.sum_dim_intlist([0i64].as_slice(), false, large.kind());
        if sketch.size()[0] == dim {
            return total.view([batch, 1]);
        }
        let rest = rest.permute([1, 2, 0]);
        let outside = &rest - q.matmul(&q.transpose(1, 2).matmul(&rest));
        let left = quadratic_forms(jacobian, &outside.permute([2, 0, 1]));
        (total + left.mean_dim([0i64].as_slice(), false, Kind::Double).to_kind(left.kind())).view([batch, 1])
    }
}

impl Settings for ExactTrace {}

impl Settings for Hutchinson {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("probes", self.probes)
    }
}

impl Settings for HutchPp {
    fn check(&self) -> Result<(), Fault> {
        if self.products >= 3 && self.products.is_multiple_of(3) {
            return Ok(());
        }
        let problem = format!("{} products cannot be divided into three thirds", self.products);
        Err(Fault::new("products", problem, "write a multiple of 3, such as 12"))
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::rng::Purpose;
    use crate::statistics::mean;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    /// D(x) = x Mᵀ + sin(x) of B states, in copies, with the gains a = 0.3 and b = −0.7.
    fn jacobian(m: &Tensor, batch: i64, copies: i64) -> Jacobian {
        let dim = m.size()[0];
        let x = normals(Stream::new(4, Purpose::Data), 0, 0, &Tensor::empty([1, dim], DOUBLE));
        let leaf = x.expand([copies * batch, dim], false).copy().set_requires_grad(true);
        let denoised = leaf.matmul(&m.tr()) + leaf.sin();
        let gain = |v: f64| Tensor::from(v);
        Jacobian::new(leaf, denoised, [gain(0.3), gain(-0.7)], batch)
    }

    /// A itself, at the one state that all samples share.
    fn matrix(m: &Tensor) -> Tensor {
        let dim = m.size()[0];
        let x = normals(Stream::new(4, Purpose::Data), 0, 0, &Tensor::empty([1, dim], DOUBLE));
        (m + x.cos().squeeze_dim(0).diag(0)) * -0.7 + Tensor::eye(dim, DOUBLE) * 0.3
    }

    fn random(dim: i64) -> Tensor {
        normals(Stream::new(5, Purpose::Data), 0, 1, &Tensor::empty([dim, dim], DOUBLE))
    }

    #[test]
    fn products_are_those_of_the_matrix_in_any_blocks() {
        let m = random(5);
        let a = matrix(&m);
        for copies in [1, 2, 3, 7] {
            let jacobian = jacobian(&m, 4, copies);
            let v = normals(Stream::new(6, Purpose::Probe), 0, 0, &Tensor::empty([7, 4, 5], DOUBLE));
            let gap = (jacobian.transposed(&v) - v.matmul(&a)).abs().max().double_value(&[]);
            assert!(gap < 1e-13, "{copies} copies: {gap:e}");
            let trace = ExactTrace {}.of(&jacobian, &v);
            assert_eq!(trace.size(), [4, 1]);
            assert!((trace - a.trace()).abs().max().double_value(&[]) < 1e-13);
        }
    }

    /// Estimates of tr A of many samples with one A.
    fn estimates(divergence: &dyn Divergence, m: &Tensor) -> Vec<f64> {
        let (batch, dim) = (4000, m.size()[0]);
        let probes = divergence.probes(Stream::new(7, Purpose::Probe), 0, &Tensor::empty([batch, dim], DOUBLE));
        let found = divergence.of(&jacobian(m, batch, 1), &probes);
        assert_eq!(found.size(), [batch, divergence.estimates() as i64]);
        crate::tensor::to_array(&found.mean_dim([1i64].as_slice(), false, Kind::Double)).into_iter().collect()
    }

    fn variance(values: &[f64]) -> f64 {
        mean(values).1.powi(2) * values.len() as f64
    }

    /// Without bias within 4 standard errors, and with the variances of the literature within 4 of theirs, which is
    /// 2 (‖S‖² − Σ S_ii²)/m and 2 ‖S‖²/m of the symmetric part S.
    #[test]
    fn hutchinson_has_no_bias_and_its_variance() {
        let m = random(6);
        let a = matrix(&m);
        let s = (&a + a.tr()) * 0.5;
        let trace = a.trace().double_value(&[]);
        let all = s.square().sum(Kind::Double).double_value(&[]);
        let diagonal = s.diagonal(0, 0, 1).square().sum(Kind::Double).double_value(&[]);
        for (law, expected) in [(Probes::Rademacher, 2.0 * (all - diagonal)), (Probes::Gaussian, 2.0 * all)] {
            for probes in [1, 3] {
                let values = estimates(&Hutchinson { probes, law }, &m);
                let (value, error) = mean(&values);
                assert!((value - trace).abs() < 4.0 * error, "{law:?}: {value} ± {error} for {trace}");
                // The standard error of a variance of n values is at most √(κ/n), κ < 16 here.
                let ratio = variance(&values) * probes as f64 / expected;
                assert!((ratio - 1.0).abs() < 4.0 * (16.0 / values.len() as f64).sqrt() / 2.0, "{law:?}: {ratio}");
            }
        }
    }

    #[test]
    fn hutch_pp_has_no_bias_and_finds_what_is_large() {
        // Two large eigenvalues beside small ones.
        let (q, _) = Tensor::linalg_qr(&random(12), "reduced");
        let spectrum: Vec<f64> = (0..12).map(|i| if i < 2 { 30.0 } else { 0.1 }).collect();
        let m = q.matmul(&Tensor::from_slice(&spectrum).diag(0)).matmul(&q.tr());
        let trace = matrix(&m).trace().double_value(&[]);
        let plus = estimates(&HutchPp { products: 12, law: Probes::Rademacher }, &m);
        let plain = estimates(&Hutchinson { probes: 12, law: Probes::Rademacher }, &m);
        for values in [&plus, &plain] {
            let (value, error) = mean(values);
            assert!((value - trace).abs() < 4.0 * error, "{value} ± {error} for {trace}");
        }
        let gain = variance(&plain) / variance(&plus);
        println!("variance of Hutchinson over that of Hutch++ at 12 products: {gain:.0}");
        assert!(gain > 30.0, "{gain}");
        // With as many vectors as directions nothing is left to chance.
        let exact = estimates(&HutchPp { products: 36, law: Probes::Gaussian }, &m);
        assert!(exact.iter().all(|value| (value - trace).abs() < 1e-10));
    }
}
