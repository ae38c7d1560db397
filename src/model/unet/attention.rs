//! Attention among the pixels of an image.

use tch::{Device, Tensor};

use super::Brief;
use crate::model::layer::{GroupNorm, Linear, Start};
use crate::model::segment::Segment;
use crate::model::{Builder, recomputes};

/// y = (x + W_o softmax(q kᵀ/√d) v)/ρ with q, k, v = W GN(x), in heads of d channels (Ho et al. 2020, after Vaswani et al.
/// 2017 and Wang et al. 2018).
#[derive(Debug)]
pub(super) struct Attention {
    branch: Segment<Branch>,
    /// 1/ρ.
    scale: f64,
}

/// What is added to x.
#[derive(Debug)]
struct Branch {
    group_norm: Option<GroupNorm>,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: i64,
}

/// Up to so many pixels, scores on a CPU are kept whole: LibTorch's tiled kernel is slower there, and its gradient more so.
const WHOLE: i64 = 1024;

impl Attention {
    pub(super) fn new(
        b: &mut Builder,
        name: &str,
        channels: i64,
        (heads, groups): (i64, Option<i64>),
        eps: f64,
        rescale: f64,
    ) -> Self {
        let branch = |b: &mut Builder| {
            let group_norm =
                groups.map(|groups| GroupNorm::new(b, &format!("{name}.group_norm"), channels, groups, eps));
            let mut linear = |layer: &str, start| Linear::new(b, &format!("{name}.{layer}"), channels, channels, start);
            let [to_q, to_k, to_v] = ["to_q", "to_k", "to_v"].map(|layer| linear(layer, Start::Glorot));
            let to_out = linear("to_out.0", Start::Zero);
            Branch { group_norm, to_q, to_k, to_v, to_out, heads }
        };
        Attention { branch: Segment::new(b, branch), scale: 1.0 / rescale }
    }

    pub(super) fn forward(&self, x: &Tensor, brief: &Brief) -> Tensor {
        let work = |branch: &Branch, inputs: &[&Tensor]| branch.forward(inputs[0]);
        let y = x + self.branch.forward(&[x], recomputes(brief.training), work);
        if self.scale == 1.0 { y } else { y * self.scale }
    }
}

impl Branch {
    fn forward(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        let (batch, channels, pixels) = (size[0], size[1], size[2] * size[3]);
        // Pixels with their channels side by side: no copy, for that is how they lie in memory.
        let normal = self.group_norm.as_ref().map(|norm| norm.forward(x));
        let tokens = normal.as_ref().unwrap_or(x).permute([0, 2, 3, 1]).reshape([batch, pixels, channels]);
        let heads = |layer: &Linear| {
            let all = layer.forward(&tokens).view([batch, pixels, self.heads, channels / self.heads]);
            all.transpose(1, 2)
        };
        let (q, k, v) = (heads(&self.to_q), heads(&self.to_k), heads(&self.to_v));
        let mixed = attend(&q, &k, &v);
        let mixed = mixed.transpose(1, 2).reshape([batch, pixels, channels]);
        self.to_out.forward(&mixed).view([batch, size[2], size[3], channels]).permute([0, 3, 1, 2])
    }
}

/// softmax(q kᵀ/√d) v of `[B, heads, L, d]`.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
    let (pixels, width) = (q.size()[2], q.size()[3]);
    if q.device() != Device::Cpu || pixels > WHOLE {
        let mask: Option<&Tensor> = None;
        return Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, false, None, false);
    }
    let scores = (q * (1.0 / (width as f64).sqrt())).matmul(&k.transpose(2, 3));
    scores.softmax(-1, None).matmul(v)
}
