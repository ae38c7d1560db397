//! Group normalisation and the activation after it in one pass over memory.
//!
//! y = φ(a x̂ + b) with x̂ = (x + s − μ)/√(v + ε), where μ and v are the mean and the variance of x + s over the pixels and
//! the channels of a group (Wu & He 2018), and s, a and b are numbers for each channel, or for each sample and channel.
//! LibTorch takes three to five passes for it, and as many again for its gradient: in a U-Net of few channels a quarter of
//! the time on a CPU. The data are `[B, H, W, C]` in memory (channels last), so that loops run over channels.

use multiversion::multiversion;
use multiversion::target::selected_target;
use tch::{Device, Kind, Tensor};

use crate::differentiable::with_gradient;

/// What a normalisation does beside normalising.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The number of groups of channels.
    pub(super) groups: i64,
    /// ε.
    pub(super) eps: f64,
    /// Whether φ is silu(z) = z/(1 + e^{−z}), and not the identity.
    pub(super) silu: bool,
}

/// φ(a x̂ + b) of x `[B, C, H, W]`, with `shift` s, `gain` a and `bias` b, each `[1, C]` or `[B, C]`.
pub(super) fn group_norm(x: &Tensor, shift: Option<&Tensor>, gain: &Tensor, bias: &Tensor, form: Form) -> Tensor {
    let plain = |x: &Tensor| x.device() == Device::Cpu && x.kind() == Kind::Float;
    if plain(x) && plain(gain) && plain(bias) && shift.is_none_or(plain) {
        fused(x, shift, gain, bias, form)
    } else {
        by_operators(x, shift, gain, bias, form)
    }
}

fn by_operators(x: &Tensor, shift: Option<&Tensor>, gain: &Tensor, bias: &Tensor, form: Form) -> Tensor {
    let over_pixels = |t: &Tensor| t.unsqueeze(-1).unsqueeze(-1);
    let shifted = shift.map(|shift| x + over_pixels(shift));
    let x = shifted.as_ref().unwrap_or(x);
    // What all samples share the operator applies in passing.
    let shared = gain.size()[0] == 1 && bias.size()[0] == 1;
    let [inner_gain, inner_bias] = [gain, bias].map(|t| shared.then(|| t.squeeze_dim(0)));
    let normal = x.group_norm(form.groups, inner_gain.as_ref(), inner_bias.as_ref(), form.eps, true);
    let out = if shared { normal } else { normal * over_pixels(gain) + over_pixels(bias) };
    if form.silu { out.silu() } else { out }
}

/// `x` with its channels last in memory.
pub(super) fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// A new tensor for x of the size `[B, C, H, W]`, `[B, H, W, C]`.
fn empty(size: &[i64]) -> Tensor {
    Tensor::empty([size[0], size[2], size[3], size[1]], (Kind::Float, Device::Cpu))
}

/// What a forward pass works on, and its gradient too.
struct Kept {
    x: Tensor,
    /// s, a and b, each `[1, C]` or `[B, C]`.
    factors: [Tensor; 3],
    groups: usize,
    /// For each sample and group, μ and 1/√(v + ε).
    statistics: Vec<[f32; 2]>,
}

/// One sample: x `[pixels, C]`, and s, a, b `[C]`.
struct One<'a> {
    x: &'a [f32],
    shift: &'a [f32],
    gain: &'a [f32],
    bias: &'a [f32],
    groups: usize,
}

/// Sample `at` of a batch, of which all or each has `width` numbers.
fn of_sample(values: &[f32], at: usize, width: usize) -> &[f32] {
    if values.len() == width { values } else { &values[at * width..][..width] }
}

/// The numbers of a dense float32 tensor on the CPU.
///
/// # Safety
/// Nothing may write to the tensor while the slice lives.
unsafe fn numbers(x: &Tensor) -> &[f32] {
    // SAFETY: callers have dense tensors, and `x` keeps them alive; the caller answers for writers.
    unsafe { std::slice::from_raw_parts(x.data_ptr().cast::<f32>().cast_const(), x.numel()) }
}

impl Kept {
    /// B, the numbers of one image, and C.
    fn sizes(&self) -> [usize; 3] {
        let size = self.x.size();
        [size[0] as usize, size[1..].iter().product::<i64>() as usize, size[1] as usize]
    }

    fn sample(&self, at: usize) -> One<'_> {
        let [_, image, channels] = self.sizes();
        // SAFETY: what is kept is only read.
        let (x, factors) = unsafe { (numbers(&self.x), self.factors.each_ref().map(|t| numbers(t))) };
        let [shift, gain, bias] = factors.map(|values| of_sample(values, at, channels));
        One { x: of_sample(x, at, image), shift, gain, bias, groups: self.groups }
    }
}

fn fused(x: &Tensor, shift: Option<&Tensor>, gain: &Tensor, bias: &Tensor, form: Form) -> Tensor {
    let dense = |t: &Tensor| t.detach().contiguous();
    let nothing = || Tensor::zeros([1, x.size()[1]], (Kind::Float, Device::Cpu));
    let factors = [shift.map_or_else(nothing, dense), dense(gain), dense(bias)];
    let (x_last, groups) = (channels_last(&x.detach()), form.groups as usize);
    let mut kept = Kept { x: x_last, factors, groups, statistics: Vec::new() };
    let [batch, image, _] = kept.sizes();
    let mut out = empty(&x.size());
    // SAFETY: `out` is new.
    let target = unsafe { crate::tensor::floats_mut(&mut out) };
    let mut statistics = Vec::with_capacity(batch * groups);
    for (at, target) in target.chunks_exact_mut(image.max(1)).enumerate() {
        forward_one(&kept.sample(at), form.eps as f32, form.silu, target, &mut statistics);
    }
    kept.statistics = statistics;
    let inputs: Vec<&Tensor> = [x, gain, bias].into_iter().chain(shift).collect();
    let shifted = shift.is_some();
    with_gradient(&inputs, out.permute([0, 3, 1, 2]), move |outer| {
        let [inner, by_shift, by_gain, by_bias] = gradient(&kept, outer, form.silu).map(Some);
        let mut all = vec![inner, by_gain, by_bias];
        all.extend(shifted.then_some(by_shift));
        all
    })
}

/// ∂loss/∂(x, s, a, b).
fn gradient(kept: &Kept, outer: &Tensor, silu: bool) -> [Tensor; 4] {
    let [batch, image, channels] = kept.sizes();
    let outer = channels_last(outer);
    let mut inner = empty(&kept.x.size());
    // `[B, C]` each.
    let mut by_factor = [(); 3].map(|()| vec![0.0f32; batch * channels]);
    // SAFETY: the outer gradient is only read, and `inner` is new.
    let (outer, target) = unsafe { (numbers(&outer), crate::tensor::floats_mut(&mut inner)) };
    for (at, target) in target.chunks_exact_mut(image.max(1)).enumerate() {
        let statistics = &kept.statistics[at * kept.groups..][..kept.groups];
        let found = by_factor.each_mut().map(|values| &mut values[at * channels..][..channels]);
        backward_one(&kept.sample(at), statistics, silu, of_sample(outer, at, image), target, found);
    }
    let like = |(values, factor): (&Vec<f32>, &Tensor)| {
        let all = Tensor::from_slice(values).view([batch as i64, channels as i64]);
        if factor.numel() == channels { all.sum_dim_intlist(0, true, Kind::Float).view_as(factor) } else { all }
    };
    let [shift, gain, bias] = [0, 1, 2].map(|i| like((&by_factor[i], &kept.factors[i])));
    [inner.permute([0, 3, 1, 2]), shift, gain, bias]
}

/// e^x for x ≤ 0 and ≥ −87, to two units in the last place: 2ⁿ e^r with |r| ≤ ½ ln 2 (Cody & Waite), e^r by the Taylor
/// polynomial of degree 7. Without branches, so that loops of it are vectorised.
#[inline(always)]
fn exp_of_negative(fused: bool, x: f32) -> f32 {
    let x = x.max(-87.0);
    // Adding and subtracting 3·2²² rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    let n = add_product(fused, x, std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = add_product(fused, n, -0.693_359_4, x);
    let r = add_product(fused, n, 2.121_944_4e-4, r);
    // 1/7! … 1/0!
    const TERMS: [f32; 8] = [1.984_127e-4, 1.388_888_9e-3, 8.333_334e-3, 4.166_666_7e-2, 1.666_666_7e-1, 0.5, 1.0, 1.0];
    let p = TERMS[1..].iter().fold(TERMS[0], |p, &term| add_product(fused, p, r, term));
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// a b + c, rounded once where the processor can.
#[inline(always)]
fn add_product(fused: bool, a: f32, b: f32, c: f32) -> f32 {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

/// 1/(1 + e^{−z}).
#[inline(always)]
fn sigmoid(fused: bool, z: f32) -> f32 {
    let e = exp_of_negative(fused, -z.abs());
    let small = e / (1.0 + e);
    if z < 0.0 { small } else { 1.0 - small }
}

#[multiversion(targets("x86_64+avx512f+fma", "x86_64+avx2+fma"))]
fn forward_one(one: &One, eps: f32, silu: bool, out: &mut [f32], statistics: &mut Vec<[f32; 2]>) {
    let fused = selected_target!().supports_feature_str("fma");
    let channels = one.gain.len();
    let (pixels, width) = (one.x.len() / channels, channels / one.groups);
    let mut sums = vec![0.0f32; channels];
    for x in one.x.chunks_exact(channels) {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += x;
        }
    }
    for (sum, s) in sums.iter_mut().zip(one.shift) {
        *sum += pixels as f32 * s;
    }
    let count = (pixels * width) as f32;
    let means: Vec<f32> = sums.chunks_exact(width).map(|sums| sums.iter().sum::<f32>() / count).collect();
    // x + s − μ = x − centre.
    let mut centre: Vec<f32> = (0..channels).map(|c| means[c / width] - one.shift[c]).collect();
    let mut squares = vec![0.0f32; channels];
    sums.fill(0.0);
    for x in one.x.chunks_exact(channels) {
        for c in 0..channels {
            let off = x[c] - centre[c];
            sums[c] += off;
            squares[c] += off * off;
        }
    }
    let first = statistics.len();
    for (group, mean) in means.iter().enumerate() {
        let sum = |of: &[f32]| of[group * width..][..width].iter().sum::<f32>() / count;
        // What rounding has left in the mean (the corrected two-pass algorithm of Chan, Golub & LeVeque 1983).
        let rest = sum(&sums);
        statistics.push([mean + rest, 1.0 / (sum(&squares) - rest * rest + eps).sqrt()]);
    }
    centre.iter_mut().enumerate().for_each(|(c, centre)| *centre = statistics[first + c / width][0] - one.shift[c]);
    let scale: Vec<f32> = (0..channels).map(|c| one.gain[c] * statistics[first + c / width][1]).collect();
    let (centre, scale, bias) = (&centre[..channels], &scale[..channels], &one.bias[..channels]);
    for (out, x) in out.chunks_exact_mut(channels).zip(one.x.chunks_exact(channels)) {
        if silu {
            for c in 0..channels {
                let z = (x[c] - centre[c]) * scale[c] + bias[c];
                out[c] = z * sigmoid(fused, z);
            }
        } else {
            for c in 0..channels {
                out[c] = (x[c] - centre[c]) * scale[c] + bias[c];
            }
        }
    }
}

/// With z = a x̂ + b, δ = φ′(z) ∂loss/∂y and N numbers in a group: ∂loss/∂a = Σ δ x̂, ∂loss/∂b = Σ δ over the pixels, and
/// ∂loss/∂x = (a δ − Σ_group a δ/N − x̂ Σ_group a δ x̂/N)/√(v + ε), of which ∂loss/∂s is the sum over the pixels.
#[multiversion(targets("x86_64+avx512f+fma", "x86_64+avx2+fma"))]
fn backward_one(
    one: &One,
    statistics: &[[f32; 2]],
    silu: bool,
    outer: &[f32],
    inner: &mut [f32],
    [by_shift, by_gain, by_bias]: [&mut [f32]; 3],
) {
    let fused = selected_target!().supports_feature_str("fma");
    let channels = one.gain.len();
    let (pixels, width) = (one.x.len() / channels, channels / one.groups);
    let rate: Vec<f32> = (0..channels).map(|c| statistics[c / width][1]).collect();
    let centre: Vec<f32> = (0..channels).map(|c| statistics[c / width][0] - one.shift[c]).collect();
    let (rate, centre) = (&rate[..channels], &centre[..channels]);
    let (gain, bias) = (&one.gain[..channels], &one.bias[..channels]);
    let (by_gain, by_bias, by_shift) = (&mut by_gain[..channels], &mut by_bias[..channels], &mut by_shift[..channels]);
    by_gain.fill(0.0);
    by_bias.fill(0.0);
    let mut normals = vec![0.0f32; channels];
    let normals = &mut normals[..channels];
    let rows = inner.chunks_exact_mut(channels).zip(one.x.chunks_exact(channels)).zip(outer.chunks_exact(channels));
    for ((inner, x), outer) in rows {
        for c in 0..channels {
            let normal = (x[c] - centre[c]) * rate[c];
            let slope = if silu {
                let z = gain[c] * normal + bias[c];
                let s = sigmoid(fused, z);
                s + s * z * (1.0 - s)
            } else {
                1.0
            };
            let delta = outer[c] * slope;
            inner[c] = delta;
            by_bias[c] += delta;
            by_gain[c] += delta * normal;
            normals[c] += normal;
        }
    }
    let count = (pixels * width) as f32;
    let mean = |of: &[f32]| -> Vec<f32> {
        let products: Vec<f32> = of.iter().zip(gain).map(|(a, b)| a * b).collect();
        products.chunks_exact(width).map(|part| part.iter().sum::<f32>() / count).collect()
    };
    let (along, across) = (mean(by_bias), mean(by_gain));
    let of_delta: Vec<f32> = (0..channels).map(|c| rate[c] * gain[c]).collect();
    let of_normal: Vec<f32> = (0..channels).map(|c| -rate[c] * across[c / width]).collect();
    let constant: Vec<f32> = (0..channels).map(|c| -rate[c] * along[c / width]).collect();
    for c in 0..channels {
        by_shift[c] = of_delta[c] * by_bias[c] + of_normal[c] * normals[c] + pixels as f32 * constant[c];
    }
    let of_x: Vec<f32> = (0..channels).map(|c| of_normal[c] * rate[c]).collect();
    let (of_delta, of_x, constant) = (&of_delta[..channels], &of_x[..channels], &constant[..channels]);
    for (inner, x) in inner.chunks_exact_mut(channels).zip(one.x.chunks_exact(channels)) {
        for c in 0..channels {
            inner[c] = inner[c] * of_delta[c] + (x[c] - centre[c]) * of_x[c] + constant[c];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::tensor;

    fn draw(seed: u64, shape: &[i64]) -> Tensor {
        let like = Tensor::empty(shape, (Kind::Float, Device::Cpu));
        tensor::normals(Stream::new(seed, Purpose::Data), 0, 0, &like).set_requires_grad(true)
    }

    /// Values and all gradients are those of LibTorch's operators in float64, for every form.
    #[test]
    fn one_pass_is_its_operators() {
        for (batch, channels, side, groups) in [(3, 32, 5, 32), (2, 48, 4, 12), (1, 6, 7, 1), (4, 10, 1, 5)] {
            for (silu, shifted, rows) in
                [(true, true, batch), (true, false, 1), (false, false, 1), (false, true, batch), (true, true, 1)]
            {
                let x = draw(1, &[batch, channels, side, side]);
                // A mean far from zero is where squares minus the square of the mean would fail.
                let far = &x * 0.3 + if side > 1 { 20.0 } else { 1.0 };
                let shift = shifted.then(|| draw(2, &[rows, channels]));
                let (gain, bias) = (draw(3, &[rows, channels]), draw(4, &[rows, channels]));
                let outer = draw(5, &[batch, channels, side, side]).detach();
                let form = Form { groups, eps: 1e-5, silu };
                let leaves: Vec<&Tensor> = [&x, &gain, &bias].into_iter().chain(&shift).collect();
                let run = |double: bool| {
                    let kind = if double { Kind::Double } else { Kind::Float };
                    let to = |t: &Tensor| t.to_kind(kind);
                    let shift = shift.as_ref().map(to);
                    let y = group_norm(&to(&far), shift.as_ref(), &to(&gain), &to(&bias), form);
                    let loss = (&y * to(&outer)).sum(kind);
                    let gradients = Tensor::run_backward(&[&loss], &leaves, false, false);
                    (y.detach(), gradients)
                };
                let ((y, found), (exact, wanted)) = (run(false), run(true));
                let gap = |a: &Tensor, b: &Tensor| {
                    let b = b.to_kind(Kind::Double);
                    let scale = b.abs().max().double_value(&[]).max(1.0);
                    (a.to_kind(Kind::Double) - b).abs().max().double_value(&[]) / scale
                };
                assert!(gap(&y, &exact) < 3e-5, "{channels} {silu}: {}", gap(&y, &exact));
                for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                    assert!(gap(found, wanted) < 3e-4, "{channels} {silu} gradient {i}: {}", gap(found, wanted));
                }
            }
        }
    }

    #[test]
    fn the_exponential_is_right_to_two_units() {
        for i in 0..=200_000 {
            let x = -88.0 * i as f32 / 200_000.0;
            let exact = f64::from(x.max(-87.0)).exp();
            for fused in [true, false] {
                assert!((f64::from(exp_of_negative(fused, x)) / exact - 1.0).abs() < 2.4e-7, "e^{x}");
            }
        }
        assert_eq!(sigmoid(true, 0.0), 0.5);
        assert!((sigmoid(true, -5.0) + sigmoid(false, 5.0) - 1.0).abs() < 1e-7);
        assert!(sigmoid(true, 1e9) == 1.0 && sigmoid(false, -1e9) < 1e-37);
    }
}
