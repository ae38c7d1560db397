//! The U-Net of diffusion models, from DDPM to NCSN++ and ADM.

mod attention;
mod config;
mod resample;
mod resnet;
mod stage;

pub use config::{DownBlock, Resampling, TimeEmbedding, TimeScaleShift, Unet, UpBlock};

use std::f64::consts::TAU;
use std::sync::Arc;

use tch::{Kind, Tensor};

use self::attention::Attention;
use self::resnet::{Resnet, Shape};
use self::stage::{Down, Up};
use super::embedder::{self, Embedder, Layers};
use super::layer::{Conv2d, GroupNorm, Start};
use super::norm::channels_last;
use super::{Builder, Condition, Frozen, Interface, Network, Training};
use crate::error::Fault;
use crate::rng::{Purpose, Stream};
use crate::tensor;

/// What all blocks of a network under construction share.
struct Settled {
    config: Unet,
    /// The length of the embedding of the noise level.
    embedding: i64,
    /// Channels of the image.
    image: i64,
    /// Residual blocks so far, each of which has a mask of its own.
    masks: u32,
}

/// What all blocks are told in a forward pass.
struct Brief<'a> {
    /// silu(e) of the noise level, the class and the augmentation `[1 or B, E]`.
    embedding: Tensor,
    training: Option<&'a Training>,
}

/// The parameters of a [`Unet`].
#[derive(Debug)]
pub struct UnetNetwork(Arc<Frozen<Parts>>);

#[derive(Debug)]
struct Parts {
    config: Unet,
    frequencies: Tensor,
    conv_in: Conv2d,
    embedder: Embedder,
    down: Vec<Down>,
    middle: (Resnet, Option<Attention>, Resnet),
    up: Vec<Up>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    mixes_images: bool,
    grain: i64,
}

/// Numbers at the full resolution that one thread works on at a time: a megabyte.
const GRAIN: i64 = 1 << 18;

/// The scale of random frequencies.
const FOURIER_SCALE: f64 = 16.0;

impl Unet {
    /// The network for images `[B, C, H, W]`; `seed` fixes the frequencies of Fourier features.
    ///
    /// # Errors
    /// Images whose sides cannot be halved as often as there are levels, more classes than the network has vectors for.
    pub fn build(&self, interface: &Interface, seed: u64, b: &mut Builder) -> Result<UnetNetwork, Fault> {
        let &[channels, height, width] = interface.shape.as_slice() else {
            let problem = format!("a U-Net takes images, and the data have the shape {:?}", interface.shape);
            return Err(Fault::new("", problem, "choose a network for points, such as mlp"));
        };
        let halvings = self.levels() as u32 - 1;
        if height % (1 << halvings) != 0 || width % (1 << halvings) != 0 {
            let problem = format!("images of {height} × {width} cannot be halved {halvings} times");
            let remedy = "take fewer levels, or bring the images to another size (`pad`, or `size`)";
            return Err(Fault::new("block_out_channels", problem, remedy));
        }
        embedder::enough("num_class_embeds", self.num_class_embeds, interface)?;
        let parts = self.parts(interface, channels, seed, b);
        Ok(UnetNetwork(Arc::new(Frozen::new(parts))))
    }

    fn parts(&self, interface: &Interface, channels: i64, seed: u64, b: &mut Builder) -> Parts {
        let first = self.block_out_channels[0] as i64;
        let embedding = self.time_embedding_dim.map_or(4 * first, |length| length as i64);
        let input = interface.shown(channels);
        let settled = &mut Settled { config: self.clone(), embedding, image: input, masks: 0 };
        let features = if self.time_embedding_type == TimeEmbedding::Fourier { 2 * first } else { first };
        let conv_in = Conv2d::new(b, "conv_in", (input, first), 3, Start::Glorot);
        let layers = Layers {
            time: ["time_embedding.linear_1", "time_embedding.linear_2"],
            classes: "class_embedding",
            sizes: (features, embedding),
            start: Start::Glorot,
            deviation: 1.0 / (embedding as f64).sqrt(),
        };
        let embedder = Embedder::new(b, layers, self.num_class_embeds, interface);
        let down = (0..self.levels()).map(|level| Down::new(b, level, settled)).collect();
        let last = self.block_out_channels[self.levels() - 1] as i64;
        let groups = [self.groups(last as usize) as i64; 2];
        let rescale = self.mid_block_scale_factor;
        let shape = Shape { from: last, to: last, groups, resample: None, shortcut: false, rescale };
        let before = Resnet::new(b, "mid_block.resnets.0", settled, shape);
        let attention = self.add_attention.then(|| {
            let heads = last / self.attention_head_dim.map_or(last, |width| width as i64);
            let own = self.attn_norm_num_groups.map(|groups| groups as i64);
            // Without groups of its own, attention that follows scale and shift is not normalised.
            let groups = own.or((self.resnet_time_scale_shift == TimeScaleShift::Default).then_some(groups[0]));
            Attention::new(b, "mid_block.attentions.0", last, (heads, groups), self.norm_eps, rescale)
        });
        let after = Resnet::new(b, "mid_block.resnets.1", settled, shape);
        settled.image = channels;
        let up = (0..self.levels()).map(|level| Up::new(b, level, settled)).collect();
        let out_groups = self.groups(first as usize) as i64;
        Parts {
            config: self.clone(),
            frequencies: self.frequencies(first, seed, b),
            conv_in,
            embedder,
            down,
            middle: (before, attention, after),
            up,
            conv_norm_out: GroupNorm::new(b, "conv_norm_out", first, out_groups, self.norm_eps),
            conv_out: Conv2d::new(b, "conv_out", (first, channels), 3, Start::Zero),
            mixes_images: interface.image > 0,
            grain: (GRAIN / (first * interface.shape[1] * interface.shape[2])).clamp(1, 64),
        }
    }

    /// The frequencies of the embedding of the noise level.
    fn frequencies(&self, first: i64, seed: u64, b: &mut Builder) -> Tensor {
        match self.time_embedding_type {
            TimeEmbedding::Positional => {
                let half = first / 2;
                let spacing = (half - self.freq_shift as i64).max(1) as f64;
                let values = (0..half).map(|i| 1e4f64.powf(-i as f64 / spacing)).collect();
                tensor::from_f64(values, &[half], (Kind::Float, b.device()))
            }
            TimeEmbedding::Fourier => {
                let mut z = vec![0.0; first as usize];
                Stream::new(seed, Purpose::Features).normals(0, 0, z.len(), &mut z);
                b.fixed("time_proj.weight", z.iter().map(|z| FOURIER_SCALE * z).collect())
            }
        }
    }
}

impl Parts {
    /// silu(e) of the noise level, the class and the augmentation `[1 or B, E]`, which all blocks are told.
    fn embed(&self, noise: &Tensor, condition: &Condition) -> Tensor {
        let fourier = self.config.time_embedding_type == TimeEmbedding::Fourier;
        let phase = noise.unsqueeze(1) * &self.frequencies * if fourier { TAU } else { 1.0 };
        let (sin, cos) = (phase.sin(), phase.cos());
        let cosines_first = self.config.flip_sin_to_cos && !fourier;
        let features = Tensor::cat(&if cosines_first { [cos, sin] } else { [sin, cos] }, 1);
        self.embedder.forward(&features, condition)
    }

    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, training: Option<&Training>) -> Tensor {
        let brief = Brief { embedding: self.embed(noise, condition), training };
        let joined = condition.image.as_ref().filter(|_| self.mixes_images).map(|image| Tensor::cat(&[x, image], 1));
        let mut image = channels_last(joined.as_ref().unwrap_or(x));
        let mut h = self.conv_in.forward(&image);
        let mut kept = vec![h.shallow_clone()];
        for level in &self.down {
            h = level.forward(h, &mut image, &mut kept, &brief);
        }
        let (before, attention, after) = &self.middle;
        h = before.forward(&h, &brief);
        if let Some(attention) = attention {
            h = attention.forward(&h, &brief);
        }
        h = after.forward(&h, &brief);
        let mut out = None;
        for level in &self.up {
            h = level.forward(h, &mut out, &mut kept, &brief);
        }
        let y = self.conv_out.forward(&self.conv_norm_out.silu(&h));
        out.map_or_else(|| y.shallow_clone(), |out| &y + out).contiguous()
    }
}

impl Network for UnetNetwork {
    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, training: Option<&Training>) -> Tensor {
        self.0.get().forward(x, noise, condition, training)
    }

    fn grain(&self) -> i64 {
        self.0.get().grain
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(UnetNetwork(self.0.clone()))
    }
}

#[cfg(test)]
mod tests;
