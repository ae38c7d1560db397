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
        let mut out = self.network.forward(&input, &noise, condition, false).to_kind(x.kind());
        out = out * factor(|row| row.out);
        if rows.iter().any(|row| row.skip != 0.0) {
            out = x * factor(|row| row.skip) + out;
        }
        out
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
