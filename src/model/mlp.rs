//! A multilayer perceptron for points.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Builder, Condition, Embedding, Network, Training, embedding, product};
use crate::error::{Fault, Settings, between};

/// A residual perceptron that is told the noise level in every layer.
///
/// h₁ = silu(W₁ x + T₁ e + b₁),  h_l = h_{l−1} + silu(W_l h_{l−1} + T_l e + b_l),  F = W_out h_depth + b_out,
/// with e = silu(W_e [sin ω c, cos ω c] + b_e). F starts at zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mlp {
    /// Units in each hidden layer.
    #[schemars(range(min = 1))]
    pub width: usize,
    /// Hidden layers.
    #[schemars(range(min = 1))]
    pub depth: usize,
    /// How the noise level becomes a vector.
    pub embedding: Embedding,
    /// The length of that vector. T_l maps it to a layer, so a long one costs more than the layers themselves.
    #[schemars(range(min = 2))]
    pub features: usize,
}

impl Default for Mlp {
    fn default() -> Self {
        Mlp { width: 256, depth: 4, embedding: Embedding::Sinusoidal, features: 64 }
    }
}

impl Settings for Mlp {
    fn check(&self) -> Result<(), Fault> {
        between("width", self.width, (1, 1 << 16))?;
        between("depth", self.depth, (1, 1000))?;
        between("features", self.features, (0, 1 << 16))?;
        if self.features < 2 || self.features % 2 == 1 {
            return Err(Fault::new(
                "features",
                format!("{} is not an even number of at least 2", self.features),
                "write for example 64",
            ));
        }
        Ok(())
    }
}

impl Mlp {
    /// The network for points `[B, dim]`; `seed` fixes the frequencies of Fourier features.
    pub fn build(&self, dim: i64, seed: u64, parameters: &mut Builder) -> MlpNetwork {
        let (width, depth, features) = (self.width as i64, self.depth as i64, self.features as i64);
        let frequencies = self.embedding.frequencies(self.features, seed).to_device(parameters.device());
        let mut linear = |name: &str, from: i64, to: i64, gain: f64| Linear {
            weight: parameters.normal(format!("{name}.weight"), &[to, from], gain / (from as f64).sqrt()),
            bias: parameters.zeros(format!("{name}.bias"), &[to]),
        };
        // √2 keeps the variance through an activation that halves it (He et al. 2015).
        let gain = std::f64::consts::SQRT_2;
        let embed = linear("embed", features, features, gain);
        let out = linear("out", width, dim, 0.0);
        let project = parameters.normal("project.weight", &[features, depth * width], 1.0 / (features as f64).sqrt());
        let biases = parameters.zeros("project.bias", &[depth * width]);
        let layer = |l| {
            let from = if l == 0 { dim } else { width };
            parameters.normal(format!("layers.{l}.weight"), &[width, from], gain / (from as f64).sqrt())
        };
        MlpNetwork { embed, project, biases, layers: (0..depth).map(layer).collect(), out, frequencies }
    }
}

#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    fn share(&self) -> Self {
        Linear { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

/// The parameters of an [`Mlp`].
#[derive(Debug)]
pub struct MlpNetwork {
    embed: Linear,
    /// T_lᵀ of all layers side by side `[features, depth · width]`: so laid out, its gradient is the faster product.
    project: Tensor,
    /// b_l of all layers.
    biases: Tensor,
    /// W_l.
    layers: Vec<Tensor>,
    out: Linear,
    frequencies: Tensor,
}

impl Network for MlpNetwork {
    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, _training: Option<&Training>) -> Tensor {
        assert!(condition.is_empty(), "an MLP cannot be told a condition");
        let features = embedding::features(noise, &self.frequencies);
        let e = self.embed.forward(&features).silu();
        let shifts = product::affine(&e, &self.project, &self.biases);
        let shifts = shifts.chunk(self.layers.len() as i64, 1);
        let mut h: Option<Tensor> = None;
        for (weight, shift) in self.layers.iter().zip(&shifts) {
            let input = h.as_ref().unwrap_or(x);
            let mut next = product::affine(input, &weight.tr(), shift).silu();
            if let Some(h) = &h {
                next += h;
            }
            h = Some(next);
        }
        self.out.forward(&h.expect("an MLP has at least one layer"))
    }

    fn grain(&self) -> i64 {
        512
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(MlpNetwork {
            embed: self.embed.share(),
            project: self.project.shallow_clone(),
            biases: self.biases.shallow_clone(),
            layers: self.layers.iter().map(Tensor::shallow_clone).collect(),
            out: self.out.share(),
            frequencies: self.frequencies.shallow_clone(),
        })
    }
}
