//! What stands between data x₀ and states at t₀ (`t_min`), where the probability flow ends: the flow has no density at
//! σ = 0, and discrete data have none anywhere.
//!
//! Each lift draws x_{t₀} ~ q(x_{t₀} | x₀) and says by which weight w the density there becomes a likelihood of the data,
//! ln p(x₀) ≥ E_q [ln p_{t₀}(x_{t₀}) + ln w] (Jensen's inequality), which K draws tighten: ln Σ e^{…}/K (Burda, Grosse &
//! Salakhutdinov 2016). With κ₀ = σ/α at t₀, the model's density of data is that of y = x_{t₀}/α, that is α^D p_{t₀}(α y).

use serde::{Deserialize, Serialize};
use statrs::function::erf::erf;
use tch::{Kind, Tensor};

use super::{log_normal, per_sample_numbers, sum};
use crate::data::{Bins, Scale};
use crate::rng::Stream;
use crate::sde::Kernel;
use crate::tensor::normals;

/// How data become states at t₀.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lift {
    /// Continuous data are taken as draws of y: x_{t₀} = α x₀. The number is the density of samples that end at t₀, which is
    /// that of the data with noise of the variance κ₀².
    Density,
    /// Discrete data: y = x₀ + u, u uniform on the bin around x₀ (Theis, van den Oord & Bethge 2016).
    Uniform,
    /// Discrete data: y = x₀ + κ₀ ε, ε a normal cut to the bin: nearer to what the network has seen than a uniform law, so
    /// that the bound is tighter (Zheng, Lu, Chen & Zhu 2023, i-DODE).
    TruncatedNormal,
    /// x_{t₀} = α x₀ + σ ε, and the model goes on from there to its data by a normal about D(x_{t₀}, t₀) of the variance κ₀²
    /// (Tweedie), discretised where data are discrete (Ho et al. 2020, section 3.3). A bound also of continuous data.
    Decoder,
}

/// Data at t₀.
#[derive(Debug)]
pub struct Lifted {
    /// x_{t₀} `[N, …]`.
    pub x: Tensor,
    /// The parts of ln w `[N]`, in nats, by name.
    pub terms: Vec<(&'static str, Tensor)>,
}

impl Lifted {
    /// ln w `[N]`.
    pub fn log_weight(&self) -> Tensor {
        self.terms.iter().fold(self.terms[0].1.zeros_like(), |total, (_, term)| total + term)
    }
}

impl Lift {
    /// What suits data where nothing is asked for.
    pub fn fitting(scale: &Scale) -> Self {
        if scale.bins.is_some() { Lift::Uniform } else { Lift::Density }
    }

    /// x₀ `[N, …]`, float64, at t₀: draw `draw` of the samples `first..` of a stream. `denoise` is D at t₀.
    ///
    /// # Panics
    /// For what needs bins where there are none, and for `density` where there are some.
    pub fn of(
        self,
        x0: &Tensor,
        scale: &Scale,
        kernel: Kernel,
        (stream, first, draw): (Stream, u64, u32),
        denoise: impl FnOnce(&Tensor) -> Tensor,
    ) -> Lifted {
        let Kernel { alpha, sigma } = kernel;
        let (kappa, dim, count) = (kernel.ratio(), per_sample_numbers(x0), x0.size()[0]);
        let constant = |value: f64| Tensor::full([count], value, (Kind::Double, x0.device()));
        let volume = ("scale", constant(dim * alpha.ln()));
        let units = ("units", constant(-scale.log_volume));
        let z = normals(stream, first, draw, x0);
        match self {
            Lift::Density => {
                assert!(scale.bins.is_none(), "discrete data have no density");
                Lifted { x: x0 * alpha, terms: vec![volume, units] }
            }
            Lift::Uniform => {
                let width = scale.bins.expect("bins of discrete data").width;
                let y = x0 + (z.special_ndtr() - 0.5) * width;
                Lifted { x: y * alpha, terms: vec![volume, ("dequantisation", constant(dim * width.ln()))] }
            }
            Lift::TruncatedNormal => {
                let width = scale.bins.expect("bins of discrete data").width;
                // The inverse of the distribution function, cut at ± half a bin.
                let within = erf(0.5 * width / kappa / std::f64::consts::SQRT_2);
                let quantile: Tensor = (z.special_ndtr() - 0.5) * within + 0.5;
                let noise = quantile.special_ndtri();
                let log_q = log_normal(&noise) - dim * (kappa.ln() + within.ln());
                Lifted { x: (x0 + noise * kappa) * alpha, terms: vec![volume, ("dequantisation", -log_q)] }
            }
            Lift::Decoder => {
                let x = x0 * alpha + &z * sigma;
                let log_q = log_normal(&z) - dim * sigma.ln();
                let decoder = log_decoder(x0, &denoise(&x), kappa, scale.bins);
                let mut terms = vec![("decoder", decoder), ("entropy", -log_q)];
                if scale.bins.is_none() {
                    terms.push(units);
                }
                Lifted { x, terms }
            }
        }
    }
}

/// ln N(x₀; D, κ² I) `[N]`; of discrete data the probability of the bins, of which the first and the last are open.
pub(super) fn log_decoder(x0: &Tensor, denoised: &Tensor, kappa: f64, bins: Option<Bins>) -> Tensor {
    let off = (x0 - denoised) / kappa;
    let Some(Bins { width, range: (low, high) }) = bins else {
        return log_normal(&off) - per_sample_numbers(x0) * kappa.ln();
    };
    let half = 0.5 * width / kappa;
    let edge = |at: Tensor, to: f64| off.full_like(to).where_self(&at, &(&off + half * to.signum()));
    let above = edge(x0.gt(high - 0.5 * width), f64::INFINITY);
    let below = edge(x0.lt(low + 0.5 * width), f64::NEG_INFINITY);
    sum(&log_normal_between(&below, &above))
}

/// ln (Φ(b) − Φ(a)) for a < b, in the tails too: taken on the side where Φ is small.
fn log_normal_between(a: &Tensor, b: &Tensor) -> Tensor {
    let flip = a.gt(0.0);
    let (a, b) = ((-b).where_self(&flip, a), (-a).where_self(&flip, b));
    let (low, high) = (a.special_log_ndtr(), b.special_log_ndtr());
    // ln (e^high − e^low) = high + ln (1 − e^{low − high}).
    let gap = &low - &high;
    high + (-gap.expm1()).log()
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::rng::Purpose;
    use crate::sde::{Sde, Vp};
    use crate::statistics::mean;
    use crate::tensor::to_array;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
    const BINS: Bins = Bins { width: 0.5, range: (-1.0, 1.0) };

    fn numbers(x: &Tensor) -> Vec<f64> {
        to_array(x).into_iter().collect()
    }

    /// The middle of each of the five bins, many times.
    fn middles(copies: usize) -> Tensor {
        Tensor::from_slice(&[-1.0, -0.5, 0.0, 0.5, 1.0]).repeat([copies as i64]).view([-1, 1])
    }

    /// For a density that is known, E_q[p(y)/q(y)] is the probability of the bin, whatever q: 4 standard errors. The lower
    /// bound is below it.
    #[test]
    fn dequantisation_integrates_over_the_bin() {
        let kernel = Vp::default().kernel(0.02);
        let scale = Scale { log_volume: 3.0, bins: Some(BINS) };
        let (copies, x0) = (20_000, middles(20_000));
        for lift in [Lift::Uniform, Lift::TruncatedNormal] {
            let stream = Stream::new(3, Purpose::Lift);
            let lifted = lift.of(&x0, &scale, kernel, (stream, 0, 0), |_| panic!("no denoiser is asked"));
            let y = &lifted.x / kernel.alpha;
            assert!((&y - &x0).abs().max().double_value(&[]) <= 0.25 + 1e-12, "{lift:?} stays in the bin");
            // p is N(0.2, 0.6²), and α p_{t₀}(α y) = p(y).
            let log_p = ((&y - 0.2) / 0.6).square() * -0.5 - (0.6 * std::f64::consts::TAU.sqrt()).ln();
            let log_ratio = log_p.squeeze_dim(1) - kernel.alpha.ln() + lifted.log_weight();
            for bin in 0..5 {
                let of_bin = log_ratio.slice(0, bin, None, 5);
                let (value, error) = mean(&numbers(&of_bin.exp()));
                let centre = -1.0 + 0.5 * bin as f64;
                let phi = |v: f64| 0.5 * (1.0 + erf((v - 0.2) / 0.6 / std::f64::consts::SQRT_2));
                let wanted = phi(centre + 0.25) - phi(centre - 0.25);
                if lift == Lift::Uniform {
                    assert!((value - wanted).abs() < 4.0 * error, "{lift:?} {bin}: {value} ± {error} for {wanted}");
                }
                // A normal of κ = 0.16 hardly reaches the edges of the bin, so that its weights have a heavy tail.
                assert!((value / wanted - 1.0).abs() < 0.05, "{lift:?} {bin}: {value} for {wanted}");
                let (bound, error) = mean(&numbers(&of_bin));
                assert!(bound < wanted.ln() + 4.0 * error, "{lift:?} {bin}: {bound} above {}", wanted.ln());
            }
        }
        assert_eq!(copies * 5, x0.size()[0] as usize);
    }

    /// Probabilities of all bins sum to one, in the far tails too.
    #[test]
    fn the_discretised_decoder_is_a_distribution() {
        for denoised in [0.1, -0.9, 1.0, 3.0, -40.0] {
            for kappa in [0.01, 0.3, 5.0] {
                let x0 = middles(1);
                let of_bins = log_decoder(&x0, &x0.full_like(denoised), kappa, Some(BINS));
                let total = of_bins.exp().sum(Kind::Double).double_value(&[]);
                assert!((total - 1.0).abs() < 1e-12, "{denoised} {kappa}: {total}");
                assert!(of_bins.isfinite().all().double_value(&[]) == 1.0 || kappa < 0.05, "{denoised} {kappa}");
            }
        }
        let normal = log_decoder(&middles(1), &middles(1), 0.3, None);
        let wanted = -(0.3 * std::f64::consts::TAU.sqrt()).ln();
        assert!((normal - wanted).abs().max().double_value(&[]) < 1e-12);
    }

    /// The density in the units of the data: v = 2 x has half the density of x.
    #[test]
    fn densities_are_in_the_units_of_the_data() {
        let kernel = Vp::default().kernel(0.1);
        let x0 = Tensor::zeros([3, 2], DOUBLE);
        let of = |log_volume: f64| {
            let scale = Scale { log_volume, bins: None };
            let stream = Stream::new(3, Purpose::Lift);
            Lift::Density.of(&x0, &scale, kernel, (stream, 0, 0), |_| panic!("no denoiser is asked")).log_weight()
        };
        let gap = of(0.0) - of(2.0 * 2f64.ln());
        assert!((gap - 4f64.ln()).abs().max().double_value(&[]) < 1e-12);
        assert!((of(0.0) - 2.0 * kernel.alpha.ln()).abs().max().double_value(&[]) < 1e-12);
    }
}
