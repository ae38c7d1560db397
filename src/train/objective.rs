//! What is minimised: E_t w(t) E ‖D(x_t, t) − x₀‖², as a law of t, a weighting and a prediction row.

use std::sync::Arc;

use tch::{Kind, Tensor};

use super::{LogUncertainty, TimeLaw, Weighting};
use crate::model::{Condition, Network, NoiseLevel as _, Preconditioning, QuarterLog, Training};
use crate::rng::{Purpose, Stream};
use crate::sde::Sde;
use crate::tensor;

/// A law of t × a weighting × a prediction row, for one process.
#[derive(Clone, Debug)]
pub struct Objective {
    /// The process.
    pub sde: Arc<dyn Sde>,
    /// The law of t.
    pub time: Arc<dyn TimeLaw>,
    /// The number of equal parts of (0, 1], one for each example in turn, from which the quantiles of t are drawn: 1 for
    /// independent times, the size of the batch for stratified ones.
    pub strata: usize,
    /// The weighting.
    pub weighting: Arc<dyn Weighting>,
    /// What stands around the network.
    pub preconditioning: Preconditioning,
    /// The seed of times and perturbations.
    pub seed: u64,
    /// Whether the network keeps the inputs of its blocks alone for the gradient, and computes the rest again.
    pub gradient_checkpointing: bool,
}

/// What a network is asked and should answer, for a batch.
struct Question {
    /// c_in x_t `[B, …]`, with the features of x_t/α.
    input: Tensor,
    /// c_noise `[B]`
    noise: Tensor,
    /// ¼ ln κ `[B]`, which the uncertainty is a function of.
    level: Tensor,
    /// The target of F `[B, …]`.
    target: Tensor,
    /// The weight of ‖F − target‖² `[B, 1, …]`.
    weight: Tensor,
}

impl Objective {
    /// The time of the example `n` of the run.
    pub fn time_of(&self, n: u64) -> f64 {
        let strata = self.strata as u64;
        let u = ((n % strata) as f64 + Stream::new(self.seed, Purpose::Time).uniform(n, 0)) / strata as f64;
        self.time.quantile(&*self.sde, u)
    }

    /// The loss of data x₀ `[B, …]`, which are the examples `first..first + B` of the run: a mean over the batch and
    /// over coordinates. With `uncertainty` u it is e^{−u} w ‖D − x₀‖² + u in the mean.
    pub fn loss(
        &self,
        network: &dyn Network,
        uncertainty: Option<&LogUncertainty>,
        x0: &Tensor,
        first: u64,
        condition: &Condition,
    ) -> Tensor {
        let Question { input, noise, level, target, weight } = self.ask(x0, first);
        let masks = Stream::new(self.seed, Purpose::Dropout);
        let training = Training { masks, first, gradient_checkpointing: self.gradient_checkpointing };
        let error = (network.forward(&input, &noise, condition, Some(&training)) - target).square();
        match uncertainty {
            None => (error * weight).mean(Kind::Float),
            Some(uncertainty) => {
                let u = uncertainty.of(&level);
                let scaled = &weight * (-&u).exp().view_as(&weight);
                (error * scaled).mean(Kind::Float) + u.mean(Kind::Float)
            }
        }
    }

    /// The weighted losses of single examples `[B]`, without uncertainty and without a gradient.
    pub fn losses(&self, network: &dyn Network, x0: &Tensor, first: u64, condition: &Condition) -> Tensor {
        tch::no_grad(|| {
            let Question { input, noise, target, weight, .. } = self.ask(x0, first);
            let error = (network.forward(&input, &noise, condition, None) - target).square() * weight;
            error.flatten(1, -1).mean_dim(1, false, Kind::Float)
        })
    }

    /// Times and perturbations are functions of (seed, example), mapped to (α, σ) and the row in f64 on the
    /// host.
    fn ask(&self, x0: &Tensor, first: u64) -> Question {
        let batch = x0.size()[0] as u64;
        // For each example: c_in x_t = a x₀ + b ε, the target c x₀ + d ε, its weight, c_noise, ¼ ln κ, and κ.
        let mut rows = Vec::with_capacity(8 * batch as usize);
        for n in first..first + batch {
            let t = self.time_of(n);
            let k = self.sde.kernel(t);
            let row = self.preconditioning.row(&*self.sde, t);
            let (c, d) = row.target(k);
            let of_denoiser = self.weighting.of_denoiser(&*self.sde, t, self.preconditioning.sigma_data);
            let weight = of_denoiser * self.time.correction(&*self.sde, t) * row.out * row.out;
            let level = QuarterLog {}.of(k.ratio());
            rows.extend([row.input * k.alpha, row.input * k.sigma, c, d, weight, row.noise, level, k.ratio()]);
        }
        let mut shape = vec![1; x0.dim() + 1];
        shape[..2].copy_from_slice(&[batch as i64, 8]);
        let columns = tensor::from_f64(rows, &shape, (x0.kind(), x0.device())).unbind(1);
        let [a, b, c, d, weight, noise, level, kappa] = columns.try_into().expect("eight columns");
        let epsilon = tensor::normals(Stream::new(self.seed, Purpose::Perturbation), first, 0, x0);
        let input = x0 * a + &epsilon * b;
        let input = self.preconditioning.features.beside(input, || (x0 + &epsilon * &kappa, kappa));
        let target = x0 * c + epsilon * d;
        Question { input, noise: noise.flatten(0, -1), level: level.flatten(0, -1), target, weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FourierFeatures, Prediction, Trained};
    use crate::score::Denoiser;
    use crate::sde::{Edm, Vp};
    use crate::train::{LogNormal, Unweighted};

    /// F is the sum of all that it is shown.
    #[derive(Debug)]
    struct Sum;

    impl Network for Sum {
        fn forward(&self, x: &Tensor, _: &Tensor, _: &Condition, _: Option<&Training>) -> Tensor {
            assert_eq!(x.size()[1], 5);
            x.sum_dim_intlist([1i64].as_slice(), true, Kind::Float)
        }

        fn grain(&self) -> i64 {
            64
        }

        fn share(&self) -> Box<dyn Network> {
            Box::new(Sum)
        }
    }

    /// In training the network is shown what it is shown afterwards, with Fourier features of each noise level.
    #[test]
    fn features_are_those_of_the_denoiser() {
        for sde in [Arc::new(Vp::default()) as Arc<dyn Sde>, Arc::new(Edm::default())] {
            let features = FourierFeatures(vec![1.0, 3.0]).over(-1.0, 0.4);
            let preconditioning = Preconditioning { features, ..Preconditioning::new(Prediction::Edm, 0.5) };
            let (weighting, time) = (Arc::new(Unweighted {}), Arc::new(LogNormal::default()));
            let (seed, gradient_checkpointing) = (5, false);
            let objective = Objective {
                sde: sde.clone(),
                time,
                strata: 1,
                weighting,
                preconditioning: preconditioning.clone(),
                seed,
                gradient_checkpointing,
            };
            let x0 = Tensor::arange(48, (Kind::Float, tch::Device::Cpu)).view([12, 1, 2, 2]) / 24.0 - 1.0;
            let losses = objective.losses(&Sum, &x0, 7, &Condition::default());
            let condition = Condition::default();
            let trained = Trained { network: Box::new(Sum), preconditioning, sde: sde.clone(), condition };
            let epsilon = tensor::normals(Stream::new(seed, Purpose::Perturbation), 7, 0, &x0);
            for n in 0..12 {
                let (t, row) = (objective.time_of(7 + n as u64), |x: &Tensor| x.narrow(0, n, 1).to_kind(Kind::Double));
                let k = sde.kernel(t);
                let d = trained.denoise(&(row(&x0) * k.alpha + row(&epsilon) * k.sigma), t);
                let wanted = (d - row(&x0)).square().mean(Kind::Double).double_value(&[]);
                let found = losses.double_value(&[n]);
                assert!((found - wanted).abs() < 1e-3 * wanted.max(1e-3), "{sde:?}, example {n}: {found} for {wanted}");
            }
        }
    }
}
