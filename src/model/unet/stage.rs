//! The levels of a U-Net: residual blocks at one resolution, and the way to the next.

use tch::Tensor;

use super::attention::Attention;
use super::config::{DownBlock, Resampling, UpBlock, quarter, up_groups};
use super::resample::{Resample, pad_after};
use super::resnet::{Resnet, Shape};
use super::{Brief, Settled};
use crate::model::Builder;
use crate::model::layer::{Conv2d, GroupNorm, Start};

/// Residual blocks, each with attention after it where there is attention.
#[derive(Debug)]
struct Blocks {
    resnets: Vec<Resnet>,
    attentions: Vec<Attention>,
}

/// How a level goes over to the next resolution.
#[derive(Debug)]
enum Change {
    /// A strided convolution, padded at all edges or after the last row and column only.
    Down { conv: Conv2d, padded: bool },
    /// Doubled pixels, and a convolution.
    Up(Conv2d),
    /// A residual block.
    Resnet(Box<Resnet>),
}

impl Change {
    fn apply(&self, h: &Tensor, brief: &Brief) -> Tensor {
        match self {
            Change::Down { conv, padded: true } => conv.forward(h),
            Change::Down { conv, padded: false } => conv.forward(&pad_after(h)),
            Change::Up(conv) => conv.forward(&Resample::Nearest.apply(h)),
            Change::Resnet(resnet) => resnet.forward(h, brief),
        }
    }
}

/// A level on the way down.
#[derive(Debug)]
pub(super) struct Down {
    blocks: Blocks,
    change: Option<Change>,
    /// Where NCSN++ lets the image in again.
    skip_conv: Option<Conv2d>,
}

/// A level on the way up.
#[derive(Debug)]
pub(super) struct Up {
    blocks: Blocks,
    change: Option<Change>,
    /// Where NCSN++ adds to the image.
    to_image: Option<(GroupNorm, Conv2d)>,
}

/// ρ of NCSN++'s blocks (Song et al. 2021, "skip rescaling").
const RESCALE: f64 = std::f64::consts::SQRT_2;
/// Groups of its attention.
const GROUPS: i64 = 32;

/// Attention over `channels` in a level.
fn attention(b: &mut Builder, name: &str, settled: &Settled, channels: usize, skips: bool) -> Attention {
    let heads = channels / settled.config.attention_head_dim.unwrap_or(channels);
    let groups = if skips { GROUPS } else { settled.config.groups(channels) as i64 };
    let rescale = if skips { RESCALE } else { 1.0 };
    Attention::new(b, name, channels as i64, (heads as i64, Some(groups)), settled.config.norm_eps, rescale)
}

/// A residual block that changes the resolution.
fn resampling(b: &mut Builder, name: &str, settled: &mut Settled, channels: usize, resample: Resample) -> Resnet {
    let fir = matches!(resample, Resample::FirDown | Resample::FirUp);
    let groups = if fir { quarter(channels) } else { settled.config.groups(channels) } as i64;
    let (from, rescale) = (channels as i64, if fir { RESCALE } else { 1.0 });
    let resample = Some(resample);
    Resnet::new(b, name, settled, Shape { from, to: from, groups: [groups; 2], resample, shortcut: fir, rescale })
}

impl Down {
    pub(super) fn new(b: &mut Builder, level: usize, settled: &mut Settled) -> Self {
        let config = settled.config.clone();
        let (kind, to) = (config.down_block_types[level], config.block_out_channels[level]);
        let first = config.block_out_channels[level.saturating_sub(1)];
        let name = format!("down_blocks.{level}");
        let mut blocks = Blocks { resnets: Vec::new(), attentions: Vec::new() };
        for i in 0..config.layers_per_block {
            let from = if i == 0 { first } else { to };
            let groups = [from, to].map(|c| if kind.skips() { quarter(c) } else { config.groups(c) } as i64);
            let rescale = if kind.skips() { RESCALE } else { 1.0 };
            let shape = Shape { from: from as i64, to: to as i64, groups, resample: None, shortcut: false, rescale };
            blocks.resnets.push(Resnet::new(b, &format!("{name}.resnets.{i}"), settled, shape));
            if kind.attends() {
                blocks.attentions.push(attention(b, &format!("{name}.attentions.{i}"), settled, to, kind.skips()));
            }
        }
        let inner = level + 1 < config.levels();
        let by_resnet = kind == DownBlock::ResnetDownsampleBlock2D
            || kind == DownBlock::AttnDownBlock2D && config.downsample_type == Resampling::Resnet;
        let change = inner.then(|| {
            if kind.skips() {
                Change::Resnet(Box::new(resampling(b, &format!("{name}.resnet_down"), settled, to, Resample::FirDown)))
            } else if by_resnet {
                let name = format!("{name}.downsamplers.0");
                Change::Resnet(Box::new(resampling(b, &name, settled, to, Resample::Average)))
            } else {
                let conv =
                    Conv2d::new(b, &format!("{name}.downsamplers.0.conv"), (to as i64, to as i64), 3, Start::Glorot);
                let padding = config.downsample_padding as i64;
                Change::Down { conv: conv.strided(padding), padded: padding > 0 }
            }
        });
        let skip_conv = (inner && kind.skips())
            .then(|| Conv2d::new(b, &format!("{name}.skip_conv"), (settled.image, to as i64), 1, Start::Glorot));
        Down { blocks, change, skip_conv }
    }

    /// The state after this level; each state on the way is kept for the way up. `image` is NCSN++'s copy of the input.
    pub(super) fn forward(&self, mut h: Tensor, image: &mut Tensor, kept: &mut Vec<Tensor>, brief: &Brief) -> Tensor {
        for (i, resnet) in self.blocks.resnets.iter().enumerate() {
            h = resnet.forward(&h, brief);
            if let Some(attention) = self.blocks.attentions.get(i) {
                h = attention.forward(&h, brief);
            }
            kept.push(h.shallow_clone());
        }
        if let Some(change) = &self.change {
            h = change.apply(&h, brief);
            if let Some(conv) = &self.skip_conv {
                *image = Resample::FirDown.apply(image);
                h = conv.forward(image) + h;
            }
            kept.push(h.shallow_clone());
        }
        h
    }
}

impl Up {
    pub(super) fn new(b: &mut Builder, level: usize, settled: &mut Settled) -> Self {
        let config = settled.config.clone();
        let kind = config.up_block_types[level];
        let [previous, skip, to] = config.upward(level);
        let name = format!("up_blocks.{level}");
        let mut blocks = Blocks { resnets: Vec::new(), attentions: Vec::new() };
        for i in 0..=config.layers_per_block {
            let last = i == config.layers_per_block;
            let joined = if i == 0 { previous } else { to } + if last { skip } else { to };
            let second = if kind.skips() { quarter(to) } else { config.groups(to) };
            let groups = [up_groups(&config, kind, joined) as i64, second as i64];
            let rescale = if kind.skips() { RESCALE } else { 1.0 };
            let shape = Shape { from: joined as i64, to: to as i64, groups, resample: None, shortcut: false, rescale };
            blocks.resnets.push(Resnet::new(b, &format!("{name}.resnets.{i}"), settled, shape));
            // NCSN++ attends once on the way up, after the last block.
            if kind.attends() && !kind.skips() {
                blocks.attentions.push(attention(b, &format!("{name}.attentions.{i}"), settled, to, false));
            }
        }
        if kind == UpBlock::AttnSkipUpBlock2D {
            blocks.attentions.push(attention(b, &format!("{name}.attentions.0"), settled, to, true));
        }
        let inner = level + 1 < config.levels();
        let by_resnet = kind == UpBlock::ResnetUpsampleBlock2D
            || kind == UpBlock::AttnUpBlock2D && config.upsample_type == Resampling::Resnet;
        let change = inner.then(|| {
            if kind.skips() {
                Change::Resnet(Box::new(resampling(b, &format!("{name}.resnet_up"), settled, to, Resample::FirUp)))
            } else if by_resnet {
                let name = format!("{name}.upsamplers.0");
                Change::Resnet(Box::new(resampling(b, &name, settled, to, Resample::Nearest)))
            } else {
                Change::Up(Conv2d::new(
                    b,
                    &format!("{name}.upsamplers.0.conv"),
                    (to as i64, to as i64),
                    3,
                    Start::Glorot,
                ))
            }
        });
        let to_image = (inner && kind.skips()).then(|| {
            let groups = quarter(to) as i64;
            let norm = GroupNorm::new(b, &format!("{name}.skip_norm"), to as i64, groups, config.norm_eps);
            (norm, Conv2d::new(b, &format!("{name}.skip_conv"), (to as i64, settled.image), 3, Start::Zero))
        });
        Up { blocks, change, to_image }
    }

    /// The state after this level, which takes what the way down has kept. `image` is NCSN++'s output so far.
    pub(super) fn forward(
        &self,
        mut h: Tensor,
        image: &mut Option<Tensor>,
        kept: &mut Vec<Tensor>,
        brief: &Brief,
    ) -> Tensor {
        let every = self.blocks.attentions.len() == self.blocks.resnets.len();
        for (i, resnet) in self.blocks.resnets.iter().enumerate() {
            let other = kept.pop().expect("the way down has kept one state for each block");
            h = resnet.forward(&Tensor::cat(&[h, other], 1), brief);
            if every {
                h = self.blocks.attentions[i].forward(&h, brief);
            }
        }
        if let (false, Some(attention)) = (every, self.blocks.attentions.first()) {
            h = attention.forward(&h, brief);
        }
        *image = image.take().map(|image| Resample::FirUp.apply(&image));
        if let Some((norm, conv)) = &self.to_image {
            let more = conv.forward(&norm.silu(&h));
            *image = Some(image.take().map_or_else(|| more.shallow_clone(), |image| image + &more));
        }
        match &self.change {
            Some(change) => change.apply(&h, brief),
            None => h,
        }
    }
}
