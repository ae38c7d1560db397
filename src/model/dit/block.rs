//! The block of a diffusion transformer, and what the last layer shares with it.

use tch::Tensor;

use super::Dit;
use crate::model::Builder;
use crate::model::layer::{Linear, Start};

/// x ← x + g₁ Attention(LN(x) (1 + s₁) + t₁),  x ← x + g₂ MLP(LN(x) (1 + s₂) + t₂), where the shifts t, scales s and gates g
/// are a linear function of silu(e), which starts at zero: each block begins as the identity (adaLN-Zero).
#[derive(Debug)]
pub(super) struct Block {
    modulation: Linear,
    qkv: Linear,
    proj: Linear,
    fc1: Linear,
    fc2: Linear,
    heads: i64,
}

impl Block {
    pub(super) fn new(b: &mut Builder, name: &str, config: &Dit) -> Self {
        let (width, hidden) = (config.hidden_size as i64, config.mlp_hidden() as i64);
        let mut linear = |layer: &str, from, to, start| Linear::new(b, &format!("{name}.{layer}"), from, to, start);
        Block {
            qkv: linear("attn.qkv", width, 3 * width, Start::Glorot),
            proj: linear("attn.proj", width, width, Start::Glorot),
            fc1: linear("mlp.fc1", width, hidden, Start::Glorot),
            fc2: linear("mlp.fc2", hidden, width, Start::Glorot),
            modulation: linear("adaLN_modulation.1", width, 6 * width, Start::Zero),
            heads: config.num_heads as i64,
        }
    }

    /// The tokens x `[B, T, H]` after this block, with silu(e) `[1 or B, H]`.
    pub(super) fn forward(&self, x: &Tensor, embedding: &Tensor) -> Tensor {
        let parts = self.modulation.forward(embedding).unsqueeze(1).chunk(6, 2);
        let [shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp] = &parts[..] else {
            unreachable!("six parts")
        };
        let x = x.addcmul(gate_msa, &self.attention(&modulate(x, shift_msa, scale_msa)));
        let hidden = self.fc1.forward(&modulate(&x, shift_mlp, scale_mlp)).gelu("tanh");
        x.addcmul(gate_mlp, &self.fc2.forward(&hidden))
    }

    /// W_o softmax(q kᵀ/√d) v with q, k, v = W x, in heads of d numbers (Vaswani et al. 2017).
    fn attention(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        let (batch, tokens, width) = (size[0], size[1], size[2]);
        let all = self.qkv.forward(x).view([batch, tokens, 3, self.heads, width / self.heads]);
        let each = all.permute([2, 0, 3, 1, 4]).unbind(0);
        let mask: Option<&Tensor> = None;
        let mixed = Tensor::scaled_dot_product_attention(&each[0], &each[1], &each[2], mask, 0.0, false, None, false);
        self.proj.forward(&mixed.transpose(1, 2).reshape([batch, tokens, width]))
    }
}

/// What keeps a normalisation finite.
const EPS: f64 = 1e-6;

/// LN(x) (1 + scale) + shift of x `[B, T, H]`, with `[1 or B, 1, H]` both; LN has no parameters of its own.
pub(super) fn modulate(x: &Tensor, shift: &Tensor, scale: &Tensor) -> Tensor {
    let (width, none) = (x.size()[2], None::<&Tensor>);
    let gain: Tensor = scale + 1.0;
    shift.addcmul(&x.layer_norm([width], none, none, EPS, false), &gain)
}
