//! The diffusion transformer: an image as a sequence of patches.

mod block;
mod config;

pub use config::Dit;

use std::sync::Arc;

use tch::{Kind, Tensor};

use self::block::{Block, modulate};
use super::embedder::{self, Embedder, Layers};
use super::layer::{Linear, Start};
use super::segment::Segment;
use super::{Builder, Condition, Frozen, Interface, Network, Training, embedding, recomputes};
use crate::error::Fault;
use crate::tensor;

/// The parameters of a [`Dit`].
#[derive(Debug)]
pub struct DitNetwork(Arc<Frozen<Parts>>);

#[derive(Debug)]
struct Parts {
    patches: Patches,
    /// The weights and the bias of the projection of patches.
    projection: [Tensor; 2],
    /// `[1, T, H]`
    position: Tensor,
    frequencies: Tensor,
    embedder: Embedder,
    blocks: Vec<Segment<Block>>,
    final_modulation: Linear,
    final_linear: Linear,
    mixes_images: bool,
    grain: i64,
}

/// How images are cut: rows and columns of square patches.
#[derive(Clone, Copy, Debug)]
struct Patches {
    rows: i64,
    columns: i64,
    side: i64,
}

/// Numbers of all tokens that one thread works on at a time: a megabyte.
const GRAIN: i64 = 1 << 18;

/// The standard deviation of the weights that embed the noise level and the class at the start.
const EMBEDDED: f64 = 0.02;

impl Dit {
    /// The network for images `[B, C, H, W]`.
    ///
    /// # Errors
    /// Images that cannot be cut into such patches, more classes than the network has vectors for.
    pub fn build(&self, interface: &Interface, b: &mut Builder) -> Result<DitNetwork, Fault> {
        let &[channels, height, width] = interface.shape.as_slice() else {
            let problem = format!("a DiT takes images, and the data have the shape {:?}", interface.shape);
            return Err(Fault::new("", problem, "choose a network for points, such as mlp"));
        };
        let side = self.patch_size as i64;
        if height % side != 0 || width % side != 0 {
            let problem = format!("images of {height} × {width} cannot be cut into patches of {side} × {side}");
            let remedy = "write a divisor of both sides, or bring the images to another size (`pad`, or `size`)";
            return Err(Fault::new("patch_size", problem, remedy));
        }
        embedder::enough("num_classes", self.num_classes, interface)?;
        let patches = Patches { rows: height / side, columns: width / side, side };
        let parts = self.parts(interface, (channels, patches), b);
        Ok(DitNetwork(Arc::new(Frozen::new(parts))))
    }

    fn parts(&self, interface: &Interface, (channels, patches): (i64, Patches), b: &mut Builder) -> Parts {
        let (width, side) = (self.hidden_size as i64, patches.side);
        let features = self.frequency_embedding_size as i64;
        let input = interface.shown(channels);
        let deviation = Start::Glorot.deviation(input * side * side, width);
        let projection = [
            b.convolution("x_embedder.proj.weight", [width, input, side, side], deviation),
            b.zeros("x_embedder.proj.bias", &[width]),
        ];
        let layers = Layers {
            time: ["t_embedder.mlp.0", "t_embedder.mlp.2"],
            classes: "y_embedder.embedding_table",
            sizes: (features, width),
            start: Start::Normal(EMBEDDED),
            deviation: EMBEDDED,
        };
        let embedder = Embedder::new(b, layers, self.num_classes, interface);
        let block = |i| Segment::new(b, |b| Block::new(b, &format!("blocks.{i}"), self));
        let blocks = (0..self.depth).map(block).collect();
        let out = channels * side * side;
        Parts {
            patches,
            projection,
            position: patches.position(width).to_device(b.device()),
            frequencies: super::Embedding::Sinusoidal
                .frequencies(self.frequency_embedding_size, 0)
                .to_device(b.device()),
            embedder,
            blocks,
            final_linear: Linear::new(b, "final_layer.linear", width, out, Start::Zero),
            final_modulation: Linear::new(b, "final_layer.adaLN_modulation.1", width, 2 * width, Start::Zero),
            mixes_images: interface.image > 0,
            grain: (GRAIN / (width * patches.rows * patches.columns)).clamp(1, 64),
        }
    }
}

impl Patches {
    /// The place of each patch `[1, T, H]`: a quarter of the numbers are sines and a quarter cosines of its column, and the
    /// others those of its row, at the frequencies 10,000^{−4i/H}.
    fn position(self, width: i64) -> Tensor {
        let quarter = width / 4;
        let frequency = |i: i64| 1e4f64.powf(-i as f64 / quarter as f64);
        let mut values = Vec::with_capacity((self.rows * self.columns * width) as usize);
        for place in 0..self.rows * self.columns {
            for coordinate in [place % self.columns, place / self.columns] {
                let phase = |i: i64| coordinate as f64 * frequency(i);
                values.extend((0..quarter).map(|i| phase(i).sin()));
                values.extend((0..quarter).map(|i| phase(i).cos()));
            }
        }
        tensor::from_f64(values, &[1, self.rows * self.columns, width], (Kind::Float, tch::Device::Cpu))
    }

    /// Images `[B, C, H, W]` as patches `[B, T, p p C]`, row by row, with the channels of a pixel side by side.
    fn cut(self, x: &Tensor) -> Tensor {
        let (batch, channels, side) = (x.size()[0], x.size()[1], self.side);
        let pixels = x.reshape([batch, channels, self.rows, side, self.columns, side]).permute([0, 2, 4, 3, 5, 1]);
        pixels.reshape([batch, self.rows * self.columns, side * side * channels])
    }

    /// Patches `[B, T, p p C]` as images `[B, C, H, W]`.
    fn join(self, x: &Tensor) -> Tensor {
        let (batch, side) = (x.size()[0], self.side);
        let channels = x.size()[2] / (side * side);
        let pixels = x.view([batch, self.rows, self.columns, side, side, channels]).permute([0, 5, 1, 3, 2, 4]);
        pixels.reshape([batch, channels, self.rows * side, self.columns * side])
    }
}

impl Parts {
    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, training: Option<&Training>) -> Tensor {
        let features = embedding::features(noise, &self.frequencies);
        let embedding = self.embedder.forward(&features, condition);
        let joined = condition.image.as_ref().filter(|_| self.mixes_images).map(|image| Tensor::cat(&[x, image], 1));
        let [weight, bias] = &self.projection;
        // In memory the channels come last, as in `Patches::cut`.
        let weight = weight.permute([0, 2, 3, 1]).flatten(1, 3);
        let mut tokens = self.patches.cut(joined.as_ref().unwrap_or(x)).linear(&weight, Some(bias)) + &self.position;
        for block in &self.blocks {
            let work = |block: &Block, inputs: &[&Tensor]| block.forward(inputs[0], inputs[1]);
            tokens = block.forward(&[&tokens, &embedding], recomputes(training), work);
        }
        let parts = self.final_modulation.forward(&embedding).unsqueeze(1).chunk(2, 2);
        self.patches.join(&self.final_linear.forward(&modulate(&tokens, &parts[0], &parts[1])))
    }
}

impl Network for DitNetwork {
    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, training: Option<&Training>) -> Tensor {
        self.0.get().forward(x, noise, condition, training)
    }

    fn grain(&self) -> i64 {
        self.0.get().grain
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(DitNetwork(self.0.clone()))
    }
}

#[cfg(test)]
mod tests;
