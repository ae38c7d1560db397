//! The law that solvers are measured on, and its denoiser in plain numbers.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::rng::{Purpose, Stream};
use crate::score::Denoiser;
use crate::sde::{Kernel, Sde};
use crate::tensor;

/// Σ_k w_k N(μ_k, diag Λ_k) in D dimensions.
#[derive(Clone, Debug)]
pub(super) struct Mixture {
    pub components: Vec<Component>,
}

#[derive(Clone, Debug)]
pub(super) struct Component {
    pub weight: f64,
    pub mean: Vec<f64>,
    pub variance: Vec<f64>,
}

impl Mixture {
    pub fn new(components: &[(f64, &[f64], &[f64])]) -> Self {
        let component = |&(weight, mean, variance): &(f64, &[f64], &[f64])| Component {
            weight,
            mean: mean.to_vec(),
            variance: variance.to_vec(),
        };
        Mixture { components: components.iter().map(component).collect() }
    }

    pub fn dim(&self) -> usize {
        self.components[0].mean.len()
    }

    /// D(x, t) = Σ_k r_k [μ_k + α Λ_k/(α² Λ_k + σ²) (x − α μ_k)], r_k ∝ w_k N(x; α μ_k, α² Λ_k + σ²).
    pub fn denoise(&self, Kernel { alpha, sigma }: Kernel, x: &[f64], out: &mut [f64]) {
        let (mut top, mut total) = (f64::NEG_INFINITY, 0.0);
        for Component { weight, mean, variance } in &self.components {
            let (mut square, mut determinant) = (0.0, 1.0);
            for ((x, mean), variance) in x.iter().zip(mean).zip(variance) {
                let spread = alpha * alpha * variance + sigma * sigma;
                square += (x - alpha * mean) * (x - alpha * mean) / spread;
                determinant *= spread;
            }
            // The densities of all components so far are kept relative to the greatest.
            let log_density = (weight / determinant.sqrt()).ln() - 0.5 * square;
            let shrink = if log_density > top { (top - log_density).exp() } else { 1.0 };
            top = top.max(log_density);
            let density = (log_density - top).exp();
            total = total * shrink + density;
            for (((x, mean), variance), out) in x.iter().zip(mean).zip(variance).zip(out.iter_mut()) {
                let gain = alpha * variance / (alpha * alpha * variance + sigma * sigma);
                let own = density * (mean + gain * (x - alpha * mean));
                *out = if total == density { own } else { *out * shrink + own };
            }
        }
        out.iter_mut().for_each(|out| *out /= total);
    }

    /// Mean and variance of coordinate `i` of the data.
    pub fn moments(&self, i: usize) -> (f64, f64) {
        let sum = |f: &dyn Fn(&Component) -> f64| self.components.iter().map(|c| c.weight * f(c)).sum::<f64>();
        let mean = sum(&|c| c.mean[i]);
        (mean, sum(&|c| c.variance[i] + (c.mean[i] - mean).powi(2)))
    }

    /// Samples `[count, D]` of x_t = α x₀ + σ ε: exact draws of the marginal at a time.
    pub fn draw(&self, seed: u64, kernel: Kernel, count: usize) -> Tensor {
        let (stream, dim) = (Stream::new(seed, Purpose::Prior), self.dim());
        let mut values = vec![0.0; count * dim];
        for (i, row) in values.chunks_mut(dim).enumerate() {
            stream.normals(i as u64, 0, dim, row);
            let (u, mut below) = (stream.uniform(i as u64, 1), 0.0);
            let chosen = self.components.iter().find(|component| {
                below += component.weight;
                u <= below
            });
            let Component { mean, variance, .. } = chosen.unwrap_or(&self.components[self.components.len() - 1]);
            for ((x, mean), variance) in row.iter_mut().zip(mean).zip(variance) {
                let Kernel { alpha, sigma } = kernel;
                *x = alpha * mean + (alpha * alpha * variance + sigma * sigma).sqrt() * *x;
            }
        }
        tensor::from_f64(values, &[count as i64, dim as i64], DOUBLE)
    }
}

/// Everything here is in float64 on the CPU.
pub(super) const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// A product of mixtures, each on coordinates of its own, so that one integration solves several problems: the denoiser
/// of a product is that of each factor.
///
/// It computes on the host: for a few numbers at a time that takes a tenth of the time of LibTorch's operators, and is a
/// witness independent of [`score::exact`](crate::score::exact).
#[derive(Debug)]
pub(super) struct Product {
    pub factors: Vec<Mixture>,
    pub sde: Arc<dyn Sde>,
}

impl Denoiser for Product {
    fn sde(&self) -> &dyn Sde {
        &*self.sde
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        let (kernel, values) = (self.sde.kernel(t), tensor::to_array(x));
        let values = values.as_slice().expect("an array in standard order");
        let mut out = vec![0.0; values.len()];
        let width: usize = self.factors.iter().map(Mixture::dim).sum();
        for (x, out) in values.chunks(width).zip(out.chunks_mut(width)) {
            let mut first = 0;
            for factor in &self.factors {
                let own = first..first + factor.dim();
                factor.denoise(kernel, &x[own.clone()], &mut out[own.clone()]);
                first = own.end;
            }
        }
        tensor::from_f64(out, &x.size(), DOUBLE)
    }
}

/// Three spreads, off centre: every linear solver is a linear map on it.
pub(super) fn gaussian() -> Mixture {
    Mixture::new(&[(1.0, &[0.7, -0.4, 0.2], &[0.04, 0.25, 1.5])])
}

/// Two components on the line.
pub(super) fn line() -> Mixture {
    Mixture::new(&[(0.4, &[-0.6], &[0.1]), (0.6, &[0.5], &[0.3])])
}

/// Two narrow components on the line, of which one is rare.
pub(super) fn skewed() -> Mixture {
    Mixture::new(&[(0.1, &[-0.4], &[0.01]), (0.9, &[0.4], &[0.01])])
}

/// Three components in the plane.
pub(super) fn plane() -> Mixture {
    Mixture::new(&[
        (0.3, &[-0.8, 0.3], &[0.15, 0.25]),
        (0.45, &[0.6, 0.7], &[0.3, 0.12]),
        (0.25, &[0.2, -0.9], &[0.2, 0.2]),
    ])
}

/// Three components in sixteen dimensions.
pub(super) fn many() -> Mixture {
    let numbers = |f: &dyn Fn(f64) -> f64| (0..16).map(|i| f(f64::from(i))).collect::<Vec<f64>>();
    let component = |weight: f64, phase: f64| Component {
        weight,
        mean: numbers(&|i| 0.45 * (1.7 * i + phase).cos()),
        variance: numbers(&|i| 0.35 + 0.15 * (0.9 * i + phase).sin()),
    };
    Mixture { components: vec![component(0.3, 0.0), component(0.45, 2.1), component(0.25, 4.2)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::exact::{Exact, Law};
    use crate::sde::Vp;

    /// The closed forms of the library, computed by another program.
    #[test]
    fn the_denoiser_is_the_exact_one() {
        let sde: Arc<dyn Sde> = Arc::new(Vp::default());
        for mixture in [gaussian(), line(), skewed(), plane(), many()] {
            let diagonal = |variance: &Vec<f64>| -> Vec<Vec<f64>> {
                (0..variance.len())
                    .map(|i| (0..variance.len()).map(|j| if i == j { variance[i] } else { 0.0 }).collect())
                    .collect()
            };
            let components = &mixture.components;
            let weights: Vec<f64> = components.iter().map(|c| c.weight).collect();
            let means: Vec<Vec<f64>> = components.iter().map(|c| c.mean.clone()).collect();
            let covariances: Vec<_> = components.iter().map(|c| diagonal(&c.variance)).collect();
            let exact = Exact::new(&Law::mixture(&weights, &means, &covariances).unwrap(), sde.clone(), DOUBLE);
            for t in [1.0, 0.3, 1e-3] {
                let x = mixture.draw(3, sde.kernel(t), 50) * 1.3;
                let product = Product { factors: vec![mixture.clone()], sde: sde.clone() };
                let gap = (product.denoise(&x, t) - exact.denoise(&x, t)).abs().max().double_value(&[]);
                assert!(gap < 1e-12, "{gap:e} at {t}");
            }
        }
    }

    #[test]
    fn draws_have_their_moments() {
        let (mixture, kernel) = (plane(), Kernel { alpha: 0.6, sigma: 0.2 });
        let x = mixture.draw(1, kernel, 40_000);
        for i in 0..2 {
            let (mean, variance) = mixture.moments(i);
            let column = x.select(1, i as i64);
            let exact = 0.36 * variance + 0.04;
            let found = column.mean(Kind::Double).double_value(&[]);
            assert!((found - 0.6 * mean).abs() < 5.0 * (exact / 4e4).sqrt());
            let spread = (column - found).square().mean(Kind::Double).double_value(&[]);
            assert!((spread / exact - 1.0).abs() < 5.0 * (3.0f64 / 4e4).sqrt(), "{spread} {exact}");
        }
    }
}
