//! Trained denoisers: a network, a prediction row around it, and the condition bound to it.

mod condition;
mod dit;
mod embedder;
mod embedding;
mod fourier_features;
mod layer;
mod mlp;
mod noise_level;
mod norm;
mod parameters;
mod precision;
mod prediction;
mod product;
mod segment;
mod time_step;
mod unet;

pub use condition::{Condition, Tokens};
pub use dit::{Dit, DitNetwork};
pub use embedding::Embedding;
pub use fourier_features::{FourierFeatures, Waves};
pub use mlp::{Mlp, MlpNetwork};
pub use noise_level::{Input, Log, NoiseLevel, QuarterLog};
pub use parameters::{Builder, Leaves, Parameters};
pub use precision::Precision;
pub use prediction::{Preconditioning, Prediction, Row};
pub use time_step::{BetaSchedule, Chain, TimeStep};
pub use unet::{DownBlock, Resampling, TimeEmbedding, TimeScaleShift, Unet, UnetNetwork, UpBlock};

use std::fmt::Debug;
use std::sync::Arc;

use tch::{Kind, Tensor};

use crate::rng::Stream;
use crate::score::{Denoiser, Model};
use crate::sde::{Kernel, Sde};
use crate::tensor::factors;

/// A backbone with parameters.
pub trait Network: Debug + Send {
    /// F(x, noise, condition) `[B, …]`, where x `[B, …]` is already scaled by c_in; Fourier features of it, where the network is
    /// made for them, follow its channels.
    ///
    /// `noise` is c_noise, `[B]`, or `[1]` where all samples share it (which saves the embedding of B equal numbers).
    /// `training` switches on what only training has, such as dropout.
    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, training: Option<&Training>) -> Tensor;

    /// How many samples one thread should compute at a time on the CPU, at most: enough that calling an operator costs
    /// little beside its work, and few enough that what it reads is still in a cache.
    fn grain(&self) -> i64;

    /// A further handle on the same parameters, for another thread.
    fn share(&self) -> Box<dyn Network>;
}

/// What a network is made for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// The shape of one sample.
    pub shape: Vec<i64>,
    /// The number of classes of the data; 0 where they have none.
    pub classes: usize,
    /// The length of what tells how an example was augmented ([`Condition::vector`]); 0 for nothing.
    pub augmentations: usize,
    /// The channels of an image to condition on ([`Condition::image`]); 0 for none.
    pub image: usize,
    /// The channels of Fourier features of the state ([`FourierFeatures`]); 0 for none.
    pub features: usize,
}

impl Interface {
    /// For samples of a shape, and nothing beside them.
    pub fn of_shape(shape: &[i64]) -> Self {
        Interface { shape: shape.to_vec(), ..Interface::default() }
    }

    /// The channels of all that convolutions are shown, where the state has `channels`.
    fn shown(&self, channels: i64) -> i64 {
        channels + (self.features + self.image) as i64
    }
}

/// What training asks of a forward pass: what is random in it, as a function of the example, and what it keeps.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// The stream of masks.
    pub masks: Stream,
    /// The first example of the batch; masks of the next are those of the next examples.
    pub first: u64,
    /// Whether blocks keep their inputs alone, and compute the rest again for the gradient (gradient checkpointing).
    pub gradient_checkpointing: bool,
}

impl Training {
    /// x `[B, …]` with each number set to zero with probability `share` and the others divided by 1 − `share`
    /// (Srivastava et al. 2014). `place` tells the masks of a network apart.
    ///
    /// On the CPU the mask is a function of the example, in steps of 2⁻¹⁶ of the share; elsewhere it comes from the
    /// device's own generator.
    pub fn dropout(&self, x: &Tensor, share: f64, place: u32) -> Tensor {
        if x.device() != tch::Device::Cpu {
            return x.dropout(share, true);
        }
        let size = x.size();
        let mut mask = Tensor::empty(&size, (Kind::Float, tch::Device::Cpu));
        let width = mask.numel() / size[0].max(1) as usize;
        // SAFETY: the mask is new.
        let numbers = unsafe { crate::tensor::floats_mut(&mut mask) };
        let keep = (1.0 / (1.0 - share)) as f32;
        self.masks.bernoulli((self.first, place), width, share, keep, numbers);
        // The channels of x may be last in memory; which number of the mask falls where does not matter.
        let mask =
            if x.dim() == 4 { mask.view([size[0], size[2], size[3], size[1]]).permute([0, 3, 1, 2]) } else { mask };
        x * mask
    }
}

/// Whether a forward pass is one of training that keeps the inputs of blocks alone.
fn recomputes(training: Option<&Training>) -> bool {
    training.is_some_and(|training| training.gradient_checkpointing)
}

/// Something made of tensors that nobody writes to, for all threads.
#[derive(Debug)]
struct Frozen<T>(T);

// SAFETY: tensors count their handles atomically and may be read from any number of threads; tch makes them `!Sync` because
// a handle can also be written through. Of a `Frozen` there are shared references only, and networks never write to their
// parameters: the optimizer does, through the flat buffer, while no forward pass runs.
unsafe impl<T: Send> Sync for Frozen<T> {}

impl<T> Frozen<T> {
    fn new(value: T) -> Self {
        Frozen(value)
    }

    fn get(&self) -> &T {
        &self.0
    }
}

/// A network as a denoiser: D(x, t) = c_skip x + c_out F(c_in x, c_noise), with its condition bound.
#[derive(Debug)]
pub struct Trained {
    /// The backbone F.
    pub network: Box<dyn Network>,
    /// What stands around F.
    pub preconditioning: Preconditioning,
    /// The process.
    pub sde: Arc<dyn Sde>,
    /// What F is told beside x and the noise level.
    pub condition: Condition,
}

impl Trained {
    /// D for states that share one time or have one each; `condition` is that of these states.
    fn predict(&self, x: &Tensor, t: &[f64], condition: &Condition) -> Tensor {
        let rows: Vec<Row> = t.iter().map(|&t| self.preconditioning.row(&*self.sde, t)).collect();
        let factor = factors(&rows, x);
        // The network computes in float32 whatever the state's kind.
        let noise: Vec<f32> = rows.iter().map(|row| row.noise as f32).collect();
        let noise = Tensor::from_slice(&noise).to_device(x.device());
        let input = (x * factor(|row| row.input)).to_kind(Kind::Float);
        let input = self.preconditioning.features.beside(input, || {
            let kernels: Vec<Kernel> = t.iter().map(|&t| self.sde.kernel(t)).collect();
            let factor = factors(&kernels, x);
            (x / factor(|k| k.alpha), factor(|k| k.ratio()))
        });
        let output = self.network.forward(&input, &noise, condition, None).to_kind(x.kind());
        let out = output * factor(|row| row.out);
        if rows.iter().all(|row| row.skip == 0.0) { out } else { x * factor(|row| row.skip) + out }
    }
}

impl Denoiser for Trained {
    fn sde(&self) -> &dyn Sde {
        &*self.sde
    }

    fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
        self.predict(x, &[t], &self.condition.narrow(0, x.size()[0]))
    }

    fn denoise_each(&self, x: &Tensor, samples: &[usize], t: &[f64]) -> Tensor {
        self.predict(x, t, &self.condition.select(samples))
    }
}

impl Model for Trained {
    fn part(&self, first: i64, count: i64) -> Box<dyn Model> {
        Box::new(Trained {
            network: self.network.share(),
            preconditioning: self.preconditioning.clone(),
            sde: self.sde.clone(),
            condition: self.condition.narrow(first, count),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sde::tests::processes;
    use crate::tensor;
    use tch::Device;

    /// Normals of a shape.
    pub(super) fn draw(seed: u64, shape: &[i64]) -> Tensor {
        let like = Tensor::empty(shape, (Kind::Float, Device::Cpu));
        tensor::normals(Stream::new(seed, Purpose::Data), 0, 0, &like)
    }

    /// Parameters of a network whose last layers are not zero any more.
    pub(super) fn stirred(builder: Builder) -> Parameters {
        let parameters = builder.finish();
        let mut flat = parameters.flat();
        let more = draw(9, &[flat.numel() as i64]) * 0.05;
        tch::no_grad(|| flat += more);
        parameters
    }

    /// Asserts that a network for images 3 × 8 × 8 starts as zero, so that the denoiser starts as its skip connection, and
    /// learns from there.
    pub(super) fn starts_at_zero(network: &dyn Network, parameters: &Parameters) {
        let (x, noise) = (draw(2, &[2, 3, 8, 8]), Tensor::from_slice(&[0.1f32, 0.2]));
        let y = network.forward(&x, &noise, &Condition::default(), None);
        assert_eq!(y.abs().max().double_value(&[]), 0.0);
        let loss = (y - &x).square().mean(Kind::Float);
        let gradient: f64 = parameters.leaves().gradient(&loss).iter().map(|g| g.norm().double_value(&[])).sum();
        assert!(gradient.is_finite() && gradient > 0.0);
    }

    /// Asserts that what a network for images 1 × 8 × 8 in three classes computes twice, masks included, has the loss and the
    /// gradient that it would have anyway, to the last bit.
    pub(super) fn recomputes_to_the_bit(network: &dyn Network, parameters: &Parameters) {
        let (x, noise) = (draw(2, &[4, 1, 8, 8]), Tensor::from_slice(&[0.1f32, 0.2, 0.3, 0.4]));
        let condition = Condition { label: Some(Tensor::from_slice(&[0i64, 1, 2, 1])), ..Condition::default() };
        let run = |gradient_checkpointing: bool| {
            let training = Training { masks: Stream::new(0, Purpose::Dropout), first: 7, gradient_checkpointing };
            let loss = network.forward(&x, &noise, &condition, Some(&training)).square().mean(Kind::Float);
            (loss.double_value(&[]), parameters.leaves().gradient(&loss))
        };
        assert!(run(true) == run(false), "{network:?}");
    }

    /// F = tanh(x) + c_noise + label, on states of any rank.
    #[derive(Debug)]
    struct Labelled;

    impl Network for Labelled {
        fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, _training: Option<&Training>) -> Tensor {
            let column = |values: &Tensor| {
                let shape: Vec<i64> = std::iter::once(-1).chain(x.size()[1..].iter().map(|_| 1)).collect();
                values.to_kind(Kind::Float).reshape(shape)
            };
            let out = x.tanh() + column(noise);
            condition.label.as_ref().map_or(out.shallow_clone(), |label| out + column(label))
        }

        fn grain(&self) -> i64 {
            512
        }

        fn share(&self) -> Box<dyn Network> {
            Box::new(Labelled)
        }
    }

    /// Each state at its own time and under its own condition is what it is alone, whoever has left the batch.
    #[test]
    fn each_sample_has_its_own_time() {
        use Prediction::{Data, Edm, Flow, Noise, Score, TrigFlow, Velocity};
        let predictions = [Data, Noise, Velocity, Flow, Edm, Score, TrigFlow];
        for shape in [vec![5i64, 2], vec![5, 3, 4, 4]] {
            let x = Tensor::randn(&shape, (Kind::Double, Device::Cpu));
            for (sde, prediction) in processes().into_iter().flat_map(|sde| {
                let sde: Arc<dyn Sde> = Arc::from(sde);
                predictions.map(move |prediction| (sde.clone(), prediction))
            }) {
                let label = Some(Tensor::from_slice(&[3i64, 1, 4, 1, 5]));
                let condition = Condition { label, ..Condition::default() };
                let (network, preconditioning) = (Box::new(Labelled), Preconditioning::new(prediction, 0.7));
                let trained = Trained { network, preconditioning, sde: sde.clone(), condition };
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
