//! What is minimised: E_t w(t) E ‖D(x_t, t) − x₀‖², as a law of t, a weighting and a prediction row.

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Fault, Settings, positive};
use crate::model::{Condition, Network, Prediction};
use crate::rng::{Purpose, Stream};
use crate::sde::Sde;
use crate::tensor;

/// The law from which training times are drawn, by its quantile function.
pub trait TimeLaw: Debug + Send + Sync {
    /// The time at quantile `u` ∈ (0, 1].
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64;
}

/// t uniform on [t_train, t_max] (Song et al. 2021).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UniformTime {}

impl TimeLaw for UniformTime {
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64 {
        let span = sde.span();
        span.t_train + u * (span.t_max - span.t_train)
    }
}

impl Settings for UniformTime {}

/// ln κ ~ N(mean, std²), cut to the span (Karras et al. 2022).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogNormal {
    /// The mean of ln κ (EDM's P_mean).
    pub mean: f64,
    /// The standard deviation of ln κ (EDM's P_std).
    pub std: f64,
}

impl Default for LogNormal {
    fn default() -> Self {
        LogNormal { mean: -1.2, std: 1.2 }
    }
}

impl TimeLaw for LogNormal {
    fn quantile(&self, sde: &dyn Sde, u: f64) -> f64 {
        let span = sde.span();
        // u = 1 would be infinite; the clamp to the span makes its exact value irrelevant.
        let z = normal_quantile(u.clamp(1e-300, 1.0 - 1e-16));
        sde.time_of_ratio((self.mean + self.std * z).exp()).clamp(span.t_train, span.t_max)
    }
}

impl Settings for LogNormal {
    fn check(&self) -> Result<(), Fault> {
        if !self.mean.is_finite() {
            return Err(Fault::new("mean", format!("{} is not finite", self.mean), "EDM's value is -1.2"));
        }
        positive("std", self.std)
    }
}

/// The standard normal quantile function.
fn normal_quantile(u: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, Normal};
    Normal::standard().inverse_cdf(u)
}

/// The weight of each noise level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// σ² on the score, that is ‖ε̂ − ε‖² (Ho et al. 2020, L_simple).
    #[default]
    Simple,
    /// g² on the score, which makes the loss a bound on −log p (Song, Durkan, Murray & Ermon 2021).
    Likelihood,
    /// (κ² + σ_data²)/(κ σ_data)² on D, unit weight on EDM's target (Karras et al. 2022).
    Edm,
}

impl Weighting {
    /// w(t), the weight of ‖D − x₀‖².
    pub fn of_denoiser(self, sde: &dyn Sde, t: f64, sigma_data: f64) -> f64 {
        let k = sde.kernel(t);
        match self {
            Weighting::Simple => k.ratio().powi(-2),
            Weighting::Likelihood => sde.diffusion_sq(t) * (k.alpha / (k.sigma * k.sigma)).powi(2),
            Weighting::Edm => sigma_data.powi(-2) + k.ratio().powi(-2),
        }
    }
}

/// A law of t × a weighting × a prediction row, for one process.
#[derive(Debug)]
pub struct Objective {
    /// The process.
    pub sde: Arc<dyn Sde>,
    /// The law of t.
    pub time: Box<dyn TimeLaw>,
    /// The weighting.
    pub weighting: Weighting,
    /// What the network predicts.
    pub prediction: Prediction,
    /// The root mean square of the data's coordinates.
    pub sigma_data: f64,
    /// The seed of times and perturbations.
    pub seed: u64,
}

impl Objective {
    /// The loss of data x₀ `[B, …]`, which are the examples `first..first + B` of the run: a mean over the batch and
    /// over coordinates.
    ///
    /// Times and perturbations are functions of (seed, example), mapped to (α, σ) and the row in f64 on the host.
    pub fn loss(&self, network: &dyn Network, x0: &Tensor, first: u64, condition: &Condition) -> Tensor {
        let batch = x0.size()[0] as usize;
        let times = Stream::new(self.seed, Purpose::Time);
        // For each example: c_in x_t = a x₀ + b ε, the target c x₀ + d ε, its weight, and c_noise.
        let mut columns = [(); 6].map(|()| Vec::with_capacity(batch));
        for i in 0..batch as u64 {
            let t = self.time.quantile(&*self.sde, times.uniform(first + i, 0));
            let k = self.sde.kernel(t);
            let row = self.prediction.row(&*self.sde, t, self.sigma_data);
            let (c, d) = row.target(k);
            let weight = self.weighting.of_denoiser(&*self.sde, t, self.sigma_data) * row.out * row.out;
            let values = [row.input * k.alpha, row.input * k.sigma, c, d, weight, row.noise];
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        }
        let [a, b, c, d, weight, noise] = columns.map(|column| tensor::per_sample(&column, x0));
        let epsilon = tensor::normals(Stream::new(self.seed, Purpose::Perturbation), first, 0, x0);
        let input = x0 * a + &epsilon * b;
        let target = x0 * c + epsilon * d;
        let error = network.forward(&input, &noise.view(-1), condition, true) - target;
        (error.square() * weight).mean(Kind::Float)
    }
}
