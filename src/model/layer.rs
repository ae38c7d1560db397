//! The layers that networks are made of, each with the parameters and the names that PyTorch gives it.

use tch::Tensor;

use super::Builder;
use super::norm::{self, Form};

/// x Wᵀ + b.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

/// How a layer starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    /// Independent normal weights of variance 2/(fan_in + fan_out) (Glorot & Bengio 2010), and biases of zero.
    Glorot,
    /// Independent normal weights of this standard deviation, and biases of zero.
    Normal(f64),
    /// Zero: the last layer of a branch, which so begins as the identity (Ho et al. 2020, Dhariwal & Nichol 2021).
    Zero,
}

impl Start {
    pub(super) fn deviation(self, fan_in: i64, fan_out: i64) -> f64 {
        match self {
            Start::Glorot => (2.0 / (fan_in + fan_out) as f64).sqrt(),
            Start::Normal(deviation) => deviation,
            Start::Zero => 0.0,
        }
    }
}

impl Linear {
    pub(super) fn new(b: &mut Builder, name: &str, from: i64, to: i64, start: Start) -> Self {
        let weight = b.normal(format!("{name}.weight"), &[to, from], start.deviation(from, to));
        Linear { weight, bias: Some(b.zeros(format!("{name}.bias"), &[to])) }
    }

    pub(super) fn without_bias(b: &mut Builder, name: &str, from: i64, to: i64, start: Start) -> Self {
        Linear { weight: b.normal(format!("{name}.weight"), &[to, from], start.deviation(from, to)), bias: None }
    }

    /// x `[…, from]` ↦ `[…, to]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
}

/// A table of vectors, one for each index.
#[derive(Debug)]
pub(super) struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// Independent normal entries of the given standard deviation.
    pub(super) fn new(b: &mut Builder, name: &str, (count, width): (i64, i64), deviation: f64) -> Self {
        Embedding { weight: b.normal(format!("{name}.weight"), &[count, width], deviation) }
    }

    /// indices `[B]` ↦ `[B, width]`.
    pub(super) fn forward(&self, index: &Tensor) -> Tensor {
        Tensor::embedding(&self.weight, index, -1, false, false)
    }
}

/// A two-dimensional convolution with its channels last in memory.
#[derive(Debug)]
pub(super) struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// A convolution of odd width `kernel` that keeps the size.
    pub(super) fn new(b: &mut Builder, name: &str, (from, to): (i64, i64), kernel: i64, start: Start) -> Self {
        let deviation = start.deviation(from * kernel * kernel, to * kernel * kernel);
        let weight = b.convolution(format!("{name}.weight"), [to, from, kernel, kernel], deviation);
        Conv2d { weight, bias: b.zeros(format!("{name}.bias"), &[to]), stride: 1, padding: kernel / 2 }
    }

    /// The same with every second pixel of the output, and another padding.
    pub(super) fn strided(self, padding: i64) -> Self {
        Conv2d { stride: 2, padding, ..self }
    }

    /// x `[B, from, H, W]` ↦ `[B, to, …]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        if self.weight.size()[2] == 1 && self.stride == 1 {
            // A matrix product over all pixels, of which the channels lie side by side.
            let weight = self.weight.flatten(1, 3);
            return x.permute([0, 2, 3, 1]).linear(&weight, Some(&self.bias)).permute([0, 3, 1, 2]);
        }
        x.conv2d(&self.weight, Some(&self.bias), [self.stride; 2], [self.padding; 2], [1, 1], 1)
    }
}

/// Group normalisation, with the activation after it.
#[derive(Debug)]
pub(super) struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: i64,
    eps: f64,
}

impl GroupNorm {
    pub(super) fn new(b: &mut Builder, name: &str, channels: i64, groups: i64, eps: f64) -> Self {
        let weight = b.ones(format!("{name}.weight"), &[channels]);
        GroupNorm { weight, bias: b.zeros(format!("{name}.bias"), &[channels]), groups, eps }
    }

    /// GN(x) of x `[B, C, H, W]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        self.apply(x, None, &self.weight, &self.bias, false)
    }

    /// silu(GN(x)).
    pub(super) fn silu(&self, x: &Tensor) -> Tensor {
        self.apply(x, None, &self.weight, &self.bias, true)
    }

    /// silu(GN(x + shift)), with shift `[1 or B, C]`.
    pub(super) fn shifted_silu(&self, x: &Tensor, shift: &Tensor) -> Tensor {
        self.apply(x, Some(shift), &self.weight, &self.bias, true)
    }

    /// silu(GN(x) (1 + scale) + shift), with `[1 or B, C]` both.
    pub(super) fn modulated_silu(&self, x: &Tensor, scale: &Tensor, shift: &Tensor) -> Tensor {
        let scale: Tensor = scale + 1.0;
        self.apply(x, None, &(&self.weight * &scale), &(&self.bias * &scale + shift), true)
    }

    fn apply(&self, x: &Tensor, shift: Option<&Tensor>, gain: &Tensor, bias: &Tensor, silu: bool) -> Tensor {
        let rows = |t: &Tensor| if t.dim() == 1 { t.unsqueeze(0) } else { t.shallow_clone() };
        let form = Form { groups: self.groups, eps: self.eps, silu };
        norm::group_norm(x, shift, &rows(gain), &rows(bias), form)
    }
}
