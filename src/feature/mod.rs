//! Features of images: what distances between sets of images are measured on.
//!
//! | features | F | from | the Fréchet distance on them is called |
//! |---|---|---|---|
//! | [`ImageClassifier`] | 128, or as set | a small network that `ornstein features` trains on the labels of the data | FD (features) |
//! | [`TorchScript`] | any | a file that PyTorch saved | FD (features) |
//! | [`TorchScript`] of `inception-2015-12-05.pt` | 2048 | the network of Heusel et al. (2017) in the form of StyleGAN2-ADA and EDM | FID |
//!
//! Numbers on different features cannot be compared: whoever reports one reports the features' name and hash with it.

mod augment;
mod convolutional;
mod image_classifier;
mod store;
mod torch_script;
mod training;

use std::fmt::Debug;

use ndarray::Array2;
use tch::Tensor;

pub use convolutional::{Convolutional, ConvolutionalNetwork};
pub use image_classifier::ImageClassifier;
pub use store::Card;
pub use torch_script::TorchScript;
pub use training::{ClassifierSettings, Progress, can_train, train_classifier};

use crate::error::Result;
use crate::tensor;
use crate::threads::Workers;

/// A fixed map from images to vectors.
pub trait Features: Debug + Send {
    /// What computes them, for people.
    fn name(&self) -> &str;

    /// F, the length of a vector.
    fn dim(&self) -> usize;

    /// K, the number of logits; 0 of a network that is no classifier.
    fn classes(&self) -> usize;

    /// The SHA-256 of all that determines them, 64 hexadecimal digits.
    fn hash(&self) -> &str;

    /// What the Fréchet distance on them is called.
    fn distance(&self) -> &'static str {
        "FD (features)"
    }

    /// The features of images `[B, C, H, W]` in [−1, 1], of a batch small enough for one thread.
    ///
    /// # Errors
    /// What the network is not made for.
    fn compute(&self, images: &Tensor) -> Result<Activations>;

    /// A further handle, for another thread.
    fn share(&self) -> Box<dyn Features>;
}

/// What a feature network says of a batch.
#[derive(Debug)]
pub struct Activations {
    /// `[B, F]`
    pub features: Tensor,
    /// `[B, K]`; none of a network that is no classifier.
    pub logits: Option<Tensor>,
}

/// What a feature network says of a set of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// `[N, F]`
    pub features: Array2<f64>,
    /// `[N, K]`; none of a network that is no classifier.
    pub logits: Option<Array2<f64>>,
}

/// Images that one thread works on at a time. It does not depend on the number of threads, so that features do not either.
const CHUNK: i64 = 64;

/// The features of images `[N, C, H, W]` in [−1, 1] of any float kind, N ≥ 1, in chunks on the workers; `done` is told of
/// every chunk, how many images it had, and may stop the work.
///
/// Memory beside images and result: the activations of one chunk a worker.
///
/// # Errors
/// Those of [`Features::compute`] and of `done`.
pub fn extract(
    features: &dyn Features,
    images: &Tensor,
    workers: &Workers,
    done: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Extracted> {
    let count = images.size()[0];
    let chunk = |start: i64| (features.share(), images.narrow(0, start, CHUNK.min(count - start)));
    let chunks: Vec<_> = (0..count).step_by(CHUNK as usize).map(chunk).collect();
    let work = |(features, images): (Box<dyn Features>, Tensor)| -> Result<(Array2<f64>, Option<Array2<f64>>)> {
        let Activations { features, logits } = tch::no_grad(|| features.compute(&images))?;
        done(images.size()[0] as usize)?;
        Ok((tensor::to_rows(&features), logits.map(|logits| tensor::to_rows(&logits))))
    };
    let (mut vectors, mut logits, mut failed) = (Vec::new(), Vec::new(), None);
    workers.in_order(chunks.into_iter(), work, |result| match result {
        Ok((rows, of_classes)) => {
            vectors.extend(rows);
            logits.extend(of_classes.into_iter().flatten());
        }
        Err(error) => failed = failed.take().or(Some(error)),
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let table = |values: Vec<f64>| {
        let width = values.len() / count as usize;
        Array2::from_shape_vec((count as usize, width), values).expect("rows of one length")
    };
    Ok(Extracted { features: table(vectors), logits: (!logits.is_empty()).then(|| table(logits)) })
}

#[cfg(test)]
mod tests;
