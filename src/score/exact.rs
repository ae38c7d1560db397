//! Closed forms: the denoiser, the score and the density of Gaussians and Gaussian mixtures under every process.
//!
//! For data N(μ, Σ) with Σ = U Λ Uᵀ, x_t ~ N(α μ, α² Σ + σ² I) and
//! D(x, t) = μ + U diag(α Λ/(α² Λ + σ²)) Uᵀ (x − α μ).
//! A mixture weighs the denoisers of its components by their responsibilities for x_t.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayD, ArrayView1, Axis, Ix2};
use tch::{Device, Kind, Tensor};

use super::{Denoiser, Model};
use crate::error::Fault;
use crate::rng::Stream;
use crate::sde::{Edm, Kernel, Sde};
use crate::tensor;

/// A mixture Σ_k w_k N(μ_k, U_k diag(Λ_k) U_kᵀ); one component makes it a Gaussian. Plain numbers, so that threads may
/// share it.
#[derive(Debug)]
pub struct Law {
    /// w `[K]`, summing to one.
    weights: Vec<f64>,
    /// μ `[K, D]`.
    means: Array2<f64>,
    /// Λ `[K, D]`, not negative.
    eigenvalues: Array2<f64>,
    /// U `[K, D, D]`, eigenvectors in columns; none where the covariances are diagonal.
    basis: Option<ArrayD<f64>>,
}

/// The parts of a [`Law`] as tensors, float64 on the CPU.
struct Parts {
    means: Tensor,
    eigenvalues: Tensor,
    basis: Option<Tensor>,
}

impl Law {
    /// N(μ, diag(spectrum)), the Gaussian in its eigenbasis.
    pub fn spectrum(mean: &[f64], spectrum: &[f64]) -> Self {
        assert_eq!(mean.len(), spectrum.len(), "a mean and a spectrum of different length");
        let row = |values: &[f64]| ArrayView1::from(values).insert_axis(Axis(0)).to_owned();
        Law { weights: vec![1.0], means: row(mean), eigenvalues: row(spectrum), basis: None }
    }

    /// Σ_k N(μ_k, v I)/K: equal weights, means `[K, D]` and one variance v ≥ 0 for all coordinates. There is no basis
    /// to store or to multiply with, so D may be large.
    pub fn isotropic(means: &Tensor, variance: f64) -> Self {
        let means = tensor::to_rows(means);
        let (count, eigenvalues) = (means.nrows(), Array2::from_elem(means.dim(), variance));
        Law { weights: vec![1.0 / count as f64; count], means, eigenvalues, basis: None }
    }

    /// N(μ, Σ).
    ///
    /// # Errors
    /// A covariance with a negative eigenvalue.
    pub fn gaussian(mean: &[f64], covariance: &[Vec<f64>]) -> Result<Self, Fault> {
        Law::mixture(&[1.0], &[mean.to_vec()], &[covariance.to_vec()])
            .map_err(|fault| Fault { key: "covariance".into(), ..fault })
    }

    /// Σ_k w_k N(μ_k, Σ_k); shapes `[K]`, `[K][D]` and `[K][D][D]`.
    ///
    /// # Errors
    /// A covariance with a negative eigenvalue.
    pub fn mixture(weights: &[f64], means: &[Vec<f64>], covariances: &[Vec<Vec<f64>>]) -> Result<Self, Fault> {
        let (k, d) = (means.len() as i64, means[0].len() as i64);
        let flat: Vec<f64> = covariances.iter().flatten().flatten().copied().collect();
        let too_large = |i: i64| {
            let remedy = "scale the data: entries near 1 serve best";
            Fault::new(format!("covariances[{i}]"), "the matrix has no eigenvalues in float64", remedy)
        };
        let decomposed = Tensor::from_slice(&flat).reshape([k, d, d]).f_linalg_eigh("L");
        let (eigenvalues, basis) = decomposed.map_err(|_| too_large(0))?;
        for i in 0..k {
            let of_one = eigenvalues.get(i);
            let (least, greatest) = (of_one.min().double_value(&[]), of_one.max().double_value(&[]));
            if !(least.is_finite() && greatest.is_finite()) {
                return Err(too_large(i));
            }
            // Round-off of the decomposition makes zeros slightly negative.
            if least < -1e-12 * greatest.abs().max(1e-300) * d as f64 {
                return Err(Fault::new(
                    format!("covariances[{i}]"),
                    format!("the matrix has the negative eigenvalue {least:.3e}"),
                    "a covariance is positive semi-definite: check signs and off-diagonal entries",
                ));
            }
        }
        let flat: Vec<f64> = means.iter().flatten().copied().collect();
        Ok(Law {
            weights: weights.to_vec(),
            means: Array2::from_shape_vec((k as usize, d as usize), flat).expect("means of one length"),
            eigenvalues: tensor::to_rows(&eigenvalues.clamp_min(0.0)),
            basis: Some(tensor::to_array(&basis)),
        })
    }

    /// The mean `[D]` and the eigenvalues `[D]` of the covariance of one Gaussian, both in the axes of its covariance;
    /// none of a mixture.
    pub fn axes(&self) -> Option<(Array1<f64>, Array1<f64>)> {
        let mean = (self.weights.len() == 1).then(|| self.means.row(0))?;
        let mean = match &self.basis {
            Some(basis) => basis.index_axis(Axis(0), 0).into_dimensionality::<Ix2>().expect("a matrix").t().dot(&mean),
            None => mean.to_owned(),
        };
        Some((mean, self.eigenvalues.row(0).to_owned()))
    }

    /// The components, one at least.
    pub fn components(&self) -> Vec<Component> {
        let (dim, Parts { means, eigenvalues, basis }) = (self.dim() as i64, self.parts());
        let basis = |k| match &basis {
            Some(basis) => basis.get(k),
            None => Tensor::eye(dim, (Kind::Double, Device::Cpu)),
        };
        let component = |(k, &weight): (i64, &f64)| Component {
            weight,
            mean: means.get(k),
            eigenvalues: eigenvalues.get(k),
            basis: basis(k),
        };
        (0..).zip(&self.weights).map(component).collect()
    }

    /// E‖x‖².
    pub fn second_moment(&self) -> f64 {
        let rows = self.means.rows().into_iter().zip(self.eigenvalues.rows());
        self.weights.iter().zip(rows).map(|(weight, (mean, spread))| weight * (mean.dot(&mean) + spread.sum())).sum()
    }

    /// D, the number of coordinates.
    pub fn dim(&self) -> usize {
        self.means.ncols()
    }

    fn parts(&self) -> Parts {
        let rows = |array: &Array2<f64>| tensor::from_array(&array.clone().into_dyn(), (Kind::Double, Device::Cpu));
        Parts {
            means: rows(&self.means),
            eigenvalues: rows(&self.eigenvalues),
            basis: self.basis.as_ref().map(|basis| tensor::from_array(basis, (Kind::Double, Device::Cpu))),
        }
    }

    /// The samples `first..first + count` of the stream `[count, D]`, float64 on the CPU.
    pub fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        let Parts { means, eigenvalues, basis } = self.parts();
        let like = Tensor::empty([count as i64, self.dim() as i64], (Kind::Double, Device::Cpu));
        let normals = tensor::normals(stream, first, 1, &like);
        let component: Vec<i64> = (0..count as u64).map(|i| self.component(stream.uniform(first + i, 0))).collect();
        let component = Tensor::from_slice(&component);
        let mut x = normals * eigenvalues.sqrt().index_select(0, &component);
        if let Some(basis) = &basis {
            // One product a component rather than a gathered [count, D, D].
            let rotated = Tensor::zeros_like(&x);
            for k in 0..self.weights.len() as i64 {
                let rows = component.eq(k).nonzero().squeeze_dim(1);
                let part = x.index_select(0, &rows).matmul(&basis.get(k).tr());
                let _ = rotated.shallow_clone().index_copy_(0, &rows, &part);
            }
            x = rotated;
        }
        x + means.index_select(0, &component)
    }

    /// ln p(x) `[N]` in nats of x `[N, …]`; none where a covariance is singular, for then there is no density.
    pub fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        let sde = Arc::new(Edm::default());
        let regular = self.eigenvalues.iter().all(|&eigenvalue| eigenvalue > 0.0);
        regular.then(|| Exact::new(self, sde.clone(), (Kind::Double, x.device())).log_density(x, sde.time_of_data()))
    }

    /// The component at quantile `u` ∈ (0, 1] of the weights.
    fn component(&self, u: f64) -> i64 {
        let mut total = 0.0;
        let at = self.weights.iter().position(|w| {
            total += w;
            u <= total
        });
        at.unwrap_or(self.weights.len() - 1) as i64
    }
}

/// A component w N(μ, U diag(Λ) Uᵀ) of a [`Law`], in float64 on the CPU.
#[derive(Debug)]
pub struct Component {
    /// w.
    pub weight: f64,
    /// μ `[D]`.
    pub mean: Tensor,
    /// Λ `[D]`.
    pub eigenvalues: Tensor,
    /// U `[D, D]`, eigenvectors in columns.
    pub basis: Tensor,
}

/// The exact denoiser of a [`Law`] under any process, in the kind and on the device that it was made for.
#[derive(Debug)]
pub struct Exact {
    sde: Arc<dyn Sde>,
    /// ln w `[K, 1]`.
    log_weights: Tensor,
    /// μ `[K, 1, D]`.
    means: Tensor,
    /// Λ `[K, 1, D]`.
    eigenvalues: Tensor,
    /// U `[K, D, D]`.
    basis: Option<Tensor>,
}

impl Exact {
    /// The denoiser of `law` under `sde`.
    pub fn new(law: &Law, sde: Arc<dyn Sde>, options: (Kind, Device)) -> Self {
        let Parts { means, eigenvalues, basis } = law.parts();
        let to = |x: &Tensor| x.to_device(options.1).to_kind(options.0);
        Exact {
            sde,
            log_weights: to(&Tensor::from_slice(&law.weights).log().unsqueeze(1)),
            means: to(&means.unsqueeze(1)),
            eigenvalues: to(&eigenvalues.unsqueeze(1)),
            basis: basis.as_ref().map(to),
        }
    }

    /// ln p_t(x) `[B]` of x `[B, …]`.
    pub fn log_density(&self, x: &Tensor, t: f64) -> Tensor {
        let projection = self.project(x, &[t]);
        let dim = projection.y.size()[2] as f64;
        self.joint(&projection).logsumexp([0i64].as_slice(), false) - 0.5 * dim * std::f64::consts::TAU.ln()
    }

    /// x − α μ_k in the eigenbasis of each component, and its variances, for states that share one time or have one each.
    fn project(&self, x: &Tensor, t: &[f64]) -> Projection {
        let kernels: Vec<Kernel> = t.iter().map(|&t| self.sde.kernel(t)).collect();
        // [B, 1] against [K, B, D], or a plain number.
        let rows = x.reshape([x.size()[0], -1]);
        let factor = tensor::factors(&kernels, &rows);
        let alpha = factor(|k| k.alpha);
        let centred = rows.unsqueeze(0) - &self.means * &alpha;
        let y = match &self.basis {
            Some(basis) => centred.matmul(basis),
            None => centred,
        };
        let variance = &self.eigenvalues * factor(|k| k.alpha * k.alpha) + factor(|k| k.sigma * k.sigma);
        Projection { alpha, y, variance }
    }

    /// E[x₀ | x] of a projection, in rows `[B, D]`.
    fn mean_given(&self, projection: &Projection) -> Tensor {
        // Without noise and without spread, 0/0: the mean is known, so the gain is zero.
        let gain = (&self.eigenvalues * &projection.alpha / &projection.variance).nan_to_num(0.0, None, None);
        let shrunk = &projection.y * gain;
        let shift = match &self.basis {
            Some(basis) => shrunk.matmul(&basis.transpose(1, 2)),
            None => shrunk,
        };
        let x0 = shift + &self.means;
        if x0.size()[0] == 1 {
            return x0.squeeze_dim(0);
        }
        let responsibility = self.joint(projection).softmax(0, x0.kind()).unsqueeze(-1);
        (x0 * responsibility).sum_dim_intlist([0i64].as_slice(), false, projection.y.kind())
    }

    /// ln (w_k N(x; α μ_k, C_k)) `[K, B]`, up to the constant −(D/2) ln 2π.
    fn joint(&self, Projection { y, variance, .. }: &Projection) -> Tensor {
        let terms = y.square() / variance + variance.log();
        &self.log_weights - terms.sum_dim_intlist([-1i64].as_slice(), false, y.kind()) * 0.5
    }
}

struct Projection {
    /// A number, or `[B, 1]`.
    alpha: Tensor,
    /// `[K, B, D]`
    y: Tensor,
    /// `[K, 1, D]`, or `[K, B, D]`.
    variance: Tensor,
}

impl Denoiser for Exact {
    fn sde(&self) -> &dyn Sde {
        &*self.sde
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        self.mean_given(&self.project(x, &[t])).reshape(x.size())
    }

    fn denoise_each(&self, x: &Tensor, _samples: &[usize], t: &[f64]) -> Tensor {
        self.mean_given(&self.project(x, t)).reshape(x.size())
    }
}

impl Model for Exact {
    fn part(&self, _first: i64, _count: i64) -> Box<dyn Model> {
        Box::new(Exact {
            sde: self.sde.clone(),
            log_weights: self.log_weights.shallow_clone(),
            means: self.means.shallow_clone(),
            eigenvalues: self.eigenvalues.shallow_clone(),
            basis: self.basis.as_ref().map(Tensor::shallow_clone),
        })
    }
}
