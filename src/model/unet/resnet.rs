//! The residual block of U-Nets.

use tch::Tensor;

use super::resample::Resample;
use super::{Brief, Settled, TimeScaleShift};
use crate::model::Builder;
use crate::model::layer::{Conv2d, GroupNorm, Linear, Start};

/// h = conv₁(silu(GN₁(x))),  y = (W x + conv₂(dropout(silu(GN₂(h + T silu(e))))))/ρ, or with GN₂(h) (1 + s) + t in place
/// of GN₂(h + …) where the noise level scales and shifts (Dhariwal & Nichol 2021); both branches are resampled before
/// conv₁ in a block that changes the resolution (Song et al. 2021, after BigGAN).
#[derive(Debug)]
pub(super) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    modulates: bool,
    resample: Option<Resample>,
    /// 1/ρ.
    scale: f64,
    dropout: f64,
    /// The place of its mask among those of the network.
    place: u32,
}

/// What differs between residual blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) from: i64,
    pub(super) to: i64,
    /// Groups of both normalisations.
    pub(super) groups: [i64; 2],
    pub(super) resample: Option<Resample>,
    /// Whether the other branch has a convolution even where the channels are the same.
    pub(super) shortcut: bool,
    /// ρ.
    pub(super) rescale: f64,
}

impl Resnet {
    pub(super) fn new(b: &mut Builder, name: &str, settled: &mut Settled, shape: Shape) -> Self {
        let Shape { from, to, groups, resample, shortcut, rescale } = shape;
        let modulates = settled.config.resnet_time_scale_shift == TimeScaleShift::ScaleShift;
        let eps = settled.config.norm_eps;
        let name = |layer: &str| format!("{name}.{layer}");
        settled.masks += 1;
        Resnet {
            norm1: GroupNorm::new(b, &name("norm1"), from, groups[0], eps),
            conv1: Conv2d::new(b, &name("conv1"), (from, to), 3, Start::Glorot),
            time_emb_proj: Linear::new(
                b,
                &name("time_emb_proj"),
                settled.embedding,
                if modulates { 2 * to } else { to },
                Start::Glorot,
            ),
            norm2: GroupNorm::new(b, &name("norm2"), to, groups[1], eps),
            conv2: Conv2d::new(b, &name("conv2"), (to, to), 3, Start::Zero),
            conv_shortcut: (shortcut || from != to)
                .then(|| Conv2d::new(b, &name("conv_shortcut"), (from, to), 1, Start::Glorot)),
            modulates,
            resample,
            scale: 1.0 / rescale,
            dropout: settled.config.dropout,
            place: settled.masks,
        }
    }

    pub(super) fn forward(&self, x: &Tensor, brief: &Brief) -> Tensor {
        let mut h = self.norm1.silu(x);
        let resampled = self.resample.map(|resample| {
            h = resample.apply(&h);
            resample.apply(x)
        });
        let x = resampled.as_ref().unwrap_or(x);
        let h = self.conv1.forward(&h);
        let time = self.time_emb_proj.forward(&brief.embedding);
        let h = if self.modulates {
            let parts = time.chunk(2, 1);
            self.norm2.modulated_silu(&h, &parts[0], &parts[1])
        } else {
            self.norm2.shifted_silu(&h, &time)
        };
        let h = self.conv2.forward(&brief.dropout(h, self.dropout, self.place));
        let other = self.conv_shortcut.as_ref().map(|conv| conv.forward(x));
        let y = other.as_ref().unwrap_or(x) + h;
        if self.scale == 1.0 { y } else { y * self.scale }
    }
}
