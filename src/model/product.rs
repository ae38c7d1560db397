//! The matrix products of a perceptron.

use std::sync::LazyLock;

use tch::{Device, Tensor};

/// x W + b `[B, n]` of x `[B, k]`, W `[k, n]` and b `[n]`, `[1, n]` or `[B, n]`, by the faster of LibTorch's two libraries.
///
/// LibTorch multiplies with MKL, whose kernels for AMD's processors compute with 256 bits at a time. oneDNN, its library
/// for convolutions, uses 512 where the processor has them: on Zen 5 it takes about half the time from B = 512 on. The
/// choice is one of the processor and the shape alone, so that a run repeats itself bit for bit.
pub(super) fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let rows = x.size()[0];
    let large = weight.size().iter().chain([&rows]).all(|&n| n >= SMALLEST);
    if *WIDE_AMD && large && rows % IMAGES == 0 && x.device() == Device::Cpu {
        return by_convolution(x, weight, bias);
    }
    bias.addmm(x, weight)
}

/// Rows and columns from which on the better kernel makes up for calling it.
const SMALLEST: i64 = 64;

/// LibTorch leaves a 1 × 1 convolution of so many images to oneDNN, and forward and backward alike.
const IMAGES: i64 = 16;

/// The product as a 1 × 1 convolution of images whose pixels are the rows of x, in its own memory (channels last).
fn by_convolution(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let ([rows, k], n) = (<[i64; 2]>::try_from(x.size()).expect("a matrix"), weight.size()[1]);
    let channels_last = [0, 3, 1, 2];
    let images = x.view([IMAGES, rows / IMAGES, 1, k]).permute(channels_last);
    let kernel = weight.tr().view([n, 1, 1, k]).permute(channels_last);
    let vector = (bias.dim() == 1).then_some(bias);
    let mut y = images.conv2d(&kernel, vector, 1, 0, 1, 1).permute([0, 2, 3, 1]).reshape([rows, n]);
    if vector.is_none() {
        y += bias;
    }
    y
}

/// Whether this is an AMD processor that computes with 512 bits at a time: Zen 5, family 26, or later. Zen 4 has the
/// instructions, but takes two turns for each.
static WIDE_AMD: LazyLock<bool> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::__cpuid;
        let (vendor, version) = (__cpuid(0), __cpuid(1).eax);
        let amd = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).concat() == b"AuthenticAMD";
        let family = (version >> 8 & 0xf) + (version >> 20 & 0xff);
        amd && family >= 26 && is_x86_feature_detected!("avx512f")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
});

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::tensor;

    /// The convolution is the product, and so are its derivatives, to the round-off of k = 96 terms.
    #[test]
    fn a_convolution_is_a_product() {
        let (rows, k, n) = (64, 96, 40);
        let normal = |draw, shape: &[i64]| {
            let like = Tensor::empty(shape, (Kind::Float, Device::Cpu));
            tensor::normals(Stream::new(0, Purpose::Init), 0, draw, &like).set_requires_grad(true)
        };
        let (x, weight, direction) = (normal(0, &[rows, k]), normal(1, &[k, n]), normal(2, &[rows, n]).detach());
        for bias in [&[n][..], &[1, n], &[rows, n]].map(|shape| normal(3, shape)) {
            let results = |product: &dyn Fn(&Tensor, &Tensor, &Tensor) -> Tensor| {
                let y = product(&x, &weight, &bias);
                let loss = (&y * &direction).sum(Kind::Float);
                let mut all = Tensor::run_backward(&[loss], &[&x, &weight, &bias], false, false);
                all.push(y);
                all
            };
            let expected = results(&|x, weight, bias| x.matmul(weight) + bias);
            for product in [affine, by_convolution] {
                for (found, expected) in results(&product).iter().zip(&expected) {
                    assert_eq!(found.size(), expected.size());
                    let off = (found - expected).abs().max().double_value(&[]);
                    assert!(off < 1e-4, "{off:.1e}");
                }
            }
        }
    }
}
