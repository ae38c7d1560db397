//! A small convolutional classifier of images.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::Activations;
use crate::error::{Fault, Settings, at_least_one, between};
use crate::model::Builder;

/// A convolutional network whose last hidden layer serves as features.
///
/// h ← silu(norm(conv₃ₓ₃ h)) for each width, where all convolutions but the last halve height and width (stride 2, rounded up);
/// features φ = mean of h over pixels, F = the last width; logits W φ + b. Group normalisation (Wu & He, 2018) does not mix
/// examples, so that features of an image do not depend on its batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Convolutional {
    /// Channels of each layer; the last is the number of features.
    pub widths: Vec<usize>,
    /// Groups of channels that are normalised together.
    #[schemars(range(min = 1))]
    pub groups: usize,
}

impl Default for Convolutional {
    fn default() -> Self {
        Convolutional { widths: vec![32, 64, 128, 128], groups: 8 }
    }
}

impl Settings for Convolutional {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("groups", self.groups)?;
        if self.widths.is_empty() || self.widths.len() > 8 {
            let problem = format!("{} layers", self.widths.len());
            return Err(Fault::new("widths", problem, "write one to eight widths, such as [32, 64, 128, 128]"));
        }
        for (i, &width) in self.widths.iter().enumerate() {
            between(&format!("widths[{i}]"), width, (1, 1 << 12))?;
            if width % self.groups != 0 {
                let problem = format!("{width} channels cannot be divided into {} groups", self.groups);
                return Err(Fault::new(format!("widths[{i}]"), problem, "write a multiple of `groups`"));
            }
        }
        Ok(())
    }
}

impl Convolutional {
    /// F, the number of features.
    pub fn features(&self) -> usize {
        self.widths.last().copied().unwrap_or_default()
    }

    /// The network for images of `shape` `[C, H, W]` of `classes` classes.
    ///
    /// # Errors
    /// Another shape.
    pub fn build(&self, shape: &[i64], classes: i64, parameters: &mut Builder) -> Result<ConvolutionalNetwork, Fault> {
        let &[channels, _, _] = shape else {
            let problem = format!("the classifier takes images, and the data have the shape {shape:?}");
            return Err(Fault::new("", problem, "choose data of images [C, H, W]"));
        };
        let mut from = channels;
        let mut blocks = Vec::new();
        for (i, &width) in self.widths.iter().enumerate() {
            let to = width as i64;
            // √2 keeps the variance through an activation that halves it (He et al. 2015).
            let std = (2.0 / (9 * from) as f64).sqrt();
            blocks.push(Block {
                weight: parameters.normal(format!("blocks.{i}.conv.weight"), &[to, from, 3, 3], std),
                gain: parameters.zeros(format!("blocks.{i}.norm.gain"), &[to]),
                bias: parameters.zeros(format!("blocks.{i}.norm.bias"), &[to]),
            });
            from = to;
        }
        let weight = parameters.normal("head.weight", &[classes, from], 1.0 / (from as f64).sqrt());
        let bias = parameters.zeros("head.bias", &[classes]);
        Ok(ConvolutionalNetwork { blocks, head: (weight, bias), groups: self.groups as i64 })
    }
}

/// A convolution, the norm after it, and what it is scaled by: 1 + `gain`, since parameters start at zero.
#[derive(Debug)]
struct Block {
    weight: Tensor,
    gain: Tensor,
    bias: Tensor,
}

/// The parameters of a [`Convolutional`] network.
#[derive(Debug)]
pub struct ConvolutionalNetwork {
    blocks: Vec<Block>,
    head: (Tensor, Tensor),
    groups: i64,
}

impl ConvolutionalNetwork {
    /// Features `[B, F]` and logits `[B, K]` of images `[B, C, H, W]`, float32.
    pub fn forward(&self, images: &Tensor) -> Activations {
        let mut h = images.shallow_clone();
        for (i, Block { weight, gain, bias }) in self.blocks.iter().enumerate() {
            let stride = if i + 1 < self.blocks.len() { 2 } else { 1 };
            h = h.conv2d(weight, None::<&Tensor>, [stride; 2], [1; 2], [1; 2], 1);
            let gain = gain + 1.0;
            h = h.group_norm(self.groups, Some(&gain), Some(bias), 1e-5, false).silu();
        }
        let features = h.mean_dim([2i64, 3].as_slice(), false, None);
        let logits = features.linear(&self.head.0, Some(&self.head.1));
        Activations { features, logits: Some(logits) }
    }

    /// A further handle on the same parameters, for another thread.
    pub fn share(&self) -> Self {
        let share = |block: &Block| Block {
            weight: block.weight.shallow_clone(),
            gain: block.gain.shallow_clone(),
            bias: block.bias.shallow_clone(),
        };
        ConvolutionalNetwork {
            blocks: self.blocks.iter().map(share).collect(),
            head: (self.head.0.shallow_clone(), self.head.1.shallow_clone()),
            groups: self.groups,
        }
    }
}
