//! The residual block of U-Nets.

use tch::{Device, Tensor};

use super::resample::Resample;
use super::{Brief, Settled, TimeScaleShift};
use crate::model::layer::{Conv2d, GroupNorm, Linear, Start};
use crate::model::segment::Segment;
use crate::model::{Builder, Training, recomputes};

/// h = conv₁(silu(GN₁(x))),  y = (W x + conv₂(dropout(silu(GN₂(h + T silu(e))))))/ρ, or with GN₂(h) (1 + s) + t in place
/// of GN₂(h + …) where the noise level scales and shifts (Dhariwal & Nichol 2021); both branches are resampled before
/// conv₁ in a block that changes the resolution (Song et al. 2021, after BigGAN).
#[derive(Debug)]
pub(super) struct Resnet {
    branch: Segment<Branch>,
    conv_shortcut: Option<Conv2d>,
    resample: Option<Resample>,
    /// 1/ρ.
    scale: f64,
    dropout: f64,
}

/// The branch with the convolutions.
#[derive(Debug)]
struct Branch {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    modulates: bool,
    resample: Option<Resample>,
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
        let Shape { from, to, resample, shortcut, rescale, .. } = shape;
        settled.masks += 1;
        Resnet {
            branch: Segment::new(b, |b| Branch::new(b, name, settled, shape)),
            conv_shortcut: (shortcut || from != to)
                .then(|| Conv2d::new(b, &format!("{name}.conv_shortcut"), (from, to), 1, Start::Glorot)),
            resample,
            scale: 1.0 / rescale,
            dropout: settled.config.dropout,
        }
    }

    pub(super) fn forward(&self, x: &Tensor, brief: &Brief) -> Tensor {
        // A mask from the device's own generator is another one when it is drawn again.
        let repeats = self.dropout == 0.0 || x.device() == Device::Cpu;
        let training = brief.training.copied();
        let work = move |branch: &Branch, inputs: &[&Tensor]| branch.forward(inputs[0], inputs[1], training.as_ref());
        let h = self.branch.forward(&[x, &brief.embedding], repeats && recomputes(brief.training), work);
        let resampled = self.resample.map(|resample| resample.apply(x));
        let x = resampled.as_ref().unwrap_or(x);
        let other = self.conv_shortcut.as_ref().map(|conv| conv.forward(x));
        let y = other.as_ref().unwrap_or(x) + h;
        if self.scale == 1.0 { y } else { y * self.scale }
    }
}

impl Branch {
    fn new(b: &mut Builder, name: &str, settled: &Settled, shape: Shape) -> Self {
        let Shape { from, to, groups, resample, .. } = shape;
        let modulates = settled.config.resnet_time_scale_shift == TimeScaleShift::ScaleShift;
        let eps = settled.config.norm_eps;
        let name = |layer: &str| format!("{name}.{layer}");
        Branch {
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
            modulates,
            resample,
            dropout: settled.config.dropout,
            place: settled.masks,
        }
    }

    fn forward(&self, x: &Tensor, embedding: &Tensor, training: Option<&Training>) -> Tensor {
        let h = self.norm1.silu(x);
        let h = self.resample.map_or_else(|| h.shallow_clone(), |resample| resample.apply(&h));
        let h = self.conv1.forward(&h);
        let time = self.time_emb_proj.forward(embedding);
        let h = if self.modulates {
            let parts = time.chunk(2, 1);
            self.norm2.modulated_silu(&h, &parts[0], &parts[1])
        } else {
            self.norm2.shifted_silu(&h, &time)
        };
        self.conv2.forward(&match training {
            Some(training) if self.dropout > 0.0 => training.dropout(&h, self.dropout, self.place),
            _ => h,
        })
    }
}
