//! Trained denoisers: a network, a prediction row around it, and the condition bound to it.

mod condition;
mod embedding;
mod mlp;
mod parameters;
mod prediction;
mod product;

pub use condition::{Condition, Tokens};
pub use embedding::Embedding;
pub use mlp::{Mlp, MlpNetwork};
pub use parameters::{Builder, Leaves, Parameters};
pub use prediction::{Prediction, Row};

use std::fmt::Debug;
use std::sync::Arc;

use tch::{Kind, Tensor};

use crate::score::{Denoiser, Model};
use crate::sde::Sde;
use crate::tensor::each;

/// A backbone with parameters.
pub trait Network: Debug + Send {
    /// F(x, noise, condition) `[B, …]`, where x `[B, …]` is already scaled by c_in.
    ///
    /// `noise` is c_noise, `[B]`, or `[1]` where all samples share it (which saves the embedding of B equal numbers).
    /// `train` switches on what only training has, such as dropout.
    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, train: bool) -> Tensor;

    /// A further handle on the same parameters, for another thread.
    fn share(&self) -> Box<dyn Network>;
}

/// A network as a denoiser: D(x, t) = c_skip x + c_out F(c_in x, c_noise), with its condition bound.
#[derive(Debug)]
pub struct Trained {
    /// The backbone F.
    pub network: Box<dyn Network>,
    /// What F predicts.
    pub prediction: Prediction,
    /// The process.
    pub sde: Arc<dyn Sde>,
    /// The root mean square of the data's coordinates.
    pub sigma_data: f64,
    /// What F is told beside x and the noise level.
    pub condition: Condition,
}

impl Trained {
    /// D for states that share one time or have one each; `condition` is that of these states.
    fn predict(&self, x: &Tensor, t: &[f64], condition: &Condition) -> Tensor {
        let rows: Vec<Row> = t.iter().map(|&t| self.prediction.row(&*self.sde, t, self.sigma_data)).collect();
        let factor = |of: fn(&Row) -> f64| each(&rows.iter().map(of).collect::<Vec<_>>(), x);
        // The network computes in float32 whatever the state's kind.
        let noise: Vec<f32> = rows.iter().map(|row| row.noise as f32).collect();
        let noise = Tensor::from_slice(&noise).to_device(x.device());
        let input = (x * factor(|row| row.input)).to_kind(Kind::Float);
        let output = self.network.forward(&input, &noise, condition, false).to_kind(x.kind());
        let out = output * factor(|row| row.out);
        if rows.iter().all(|row| row.skip == 0.0) { out } else { x * factor(|row| row.skip) + out }
    }
}

impl Denoiser for Trained {
    fn sde(&self) -> &dyn Sde {
        &*self.sde
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        self.predict(x, &[t], &self.condition)
    }

    fn denoise_each(&self, x: &Tensor, samples: &[usize], t: &[f64]) -> Tensor {
        self.predict(x, t, &self.condition.select(samples))
    }
}

impl Model for Trained {
    fn part(&self, first: i64, count: i64) -> Box<dyn Model> {
        Box::new(Trained {
            network: self.network.share(),
            prediction: self.prediction,
            sde: self.sde.clone(),
            sigma_data: self.sigma_data,
            condition: self.condition.narrow(first, count),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::tests::processes;
    use tch::Device;

    /// F = tanh(x) + c_noise + label, on states of any rank.
    #[derive(Debug)]
    struct Labelled;

    impl Network for Labelled {
        fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, _train: bool) -> Tensor {
            let column = |values: &Tensor| {
                let shape: Vec<i64> = std::iter::once(-1).chain(x.size()[1..].iter().map(|_| 1)).collect();
                values.to_kind(Kind::Float).reshape(shape)
            };
            let out = x.tanh() + column(noise);
            condition.label.as_ref().map_or(out.shallow_clone(), |label| out + column(label))
        }

        fn share(&self) -> Box<dyn Network> {
            Box::new(Labelled)
        }
    }

    /// Each state at its own time and under its own condition is what it is alone, whoever has left the batch.
    #[test]
    fn each_sample_has_its_own_time() {
        let predictions =
            [Prediction::Data, Prediction::Noise, Prediction::Velocity, Prediction::Flow, Prediction::Edm];
        for shape in [vec![5i64, 2], vec![5, 3, 4, 4]] {
            let x = Tensor::randn(&shape, (Kind::Double, Device::Cpu));
            for (sde, prediction) in processes().into_iter().flat_map(|sde| {
                let sde: Arc<dyn Sde> = Arc::from(sde);
                predictions.map(move |prediction| (sde.clone(), prediction))
            }) {
                let label = Some(Tensor::from_slice(&[3i64, 1, 4, 1, 5]));
                let condition = Condition { label, ..Condition::default() };
                let (network, sigma_data) = (Box::new(Labelled), 0.7);
                let trained = Trained { network, prediction, sde: sde.clone(), sigma_data, condition };
                let (samples, span) = ([4usize, 0, 2], sde.span());
                let t: Vec<f64> = [0.9, 0.1, 0.5].map(|u| span.t_min + u * (span.t_max - span.t_min)).to_vec();
                let rows = x.index_select(0, &Tensor::from_slice(&[4i64, 0, 2]));
                let found = trained.denoise_each(&rows, &samples, &t);
                for (row, (&sample, &t)) in samples.iter().zip(&t).enumerate() {
                    let alone = trained.part(sample as i64, 1).denoise(&x.narrow(0, sample as i64, 1), t);
                    let gap = (found.narrow(0, row as i64, 1) - &alone).abs().max().double_value(&[]);
                    let scale = 1.0 + alone.abs().max().double_value(&[]);
                    assert!(gap < 1e-6 * scale, "{prediction:?} on {sde:?}: {gap}");
                }
            }
        }
    }
}
