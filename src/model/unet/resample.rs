//! Changes of resolution by a factor of two.

use tch::Tensor;

/// A filter for halving or doubling the resolution, without parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Resample {
    /// The mean of each 2 × 2 block.
    Average,
    /// Each pixel four times.
    Nearest,
    /// Halving after the filter (1, 3, 3, 1)/8 in both directions (Zhang 2019; Song et al. 2021, NCSN++).
    FirDown,
    /// Doubling with the filter (1, 3, 3, 1)/4 in both directions.
    FirUp,
}

impl Resample {
    /// x `[B, C, H, W]` ↦ `[B, C, H/2, W/2]` or `[B, C, 2H, 2W]`.
    pub(super) fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Resample::Average => x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None),
            Resample::Nearest => nearest(x),
            // With padding 1 at each side, output pixel i sees the inputs 2i − 1 to 2i + 2.
            Resample::FirDown => {
                let weight = taps(x, 8.0);
                x.conv2d(&weight, None::<&Tensor>, [2, 2], [1, 1], [1, 1], x.size()[1])
            }
            // The transpose of the above, so that output pixel j hears the inputs within 1½ pixels of it.
            Resample::FirUp => {
                let weight = taps(x, 4.0);
                x.conv_transpose2d(&weight, None::<&Tensor>, [2, 2], [1, 1], [0, 0], x.size()[1], [1, 1])
            }
        }
    }
}

fn nearest(x: &Tensor) -> Tensor {
    let size = x.size();
    if size[2] * size[3] == 0 {
        return x.shallow_clone();
    }
    x.upsample_nearest2d([2 * size[2], 2 * size[3]], 2.0, 2.0)
}

/// The outer product of (1, 3, 3, 1)/`sum` with itself, for each channel of x: `[C, 1, 4, 4]`.
fn taps(x: &Tensor, sum: f64) -> Tensor {
    let row = Tensor::from_slice(&[1.0f32, 3.0, 3.0, 1.0]) / sum;
    let square = row.outer(&row).to_device(x.device()).to_kind(x.kind());
    square.view([1, 1, 4, 4]).expand([x.size()[1], 1, 4, 4], false).contiguous()
}

/// Zeros beyond the right and the lower edge, for convolutions that are padded on one side only.
pub(super) fn pad_after(x: &Tensor) -> Tensor {
    x.constant_pad_nd([0, 1, 0, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn ramp(side: i64) -> Tensor {
        Tensor::arange(side * side, (Kind::Float, Device::Cpu)).view([1, 1, side, side])
    }

    #[test]
    fn constants_stay_and_halves_are_undone_inside() {
        for resample in [Resample::Average, Resample::Nearest, Resample::FirDown, Resample::FirUp] {
            let y = resample.apply(&Tensor::ones([2, 3, 8, 8], (Kind::Float, Device::Cpu)));
            let side = y.size()[2];
            assert_eq!(side, if matches!(resample, Resample::Average | Resample::FirDown) { 4 } else { 16 });
            let inside = y.narrow(2, 1, side - 2).narrow(3, 1, side - 2);
            assert!((inside - 1.0).abs().max().double_value(&[]) < 1e-6, "{resample:?}");
        }
        // A linear function is kept by FIR filters: pixel i of the half has its centre at 2i + ½.
        let y = Resample::FirDown.apply(&ramp(8));
        let expected = |i: i64, j: i64| (2 * i) as f64 * 8.0 + 4.0 + (2 * j) as f64 + 0.5;
        assert!((y.double_value(&[0, 0, 1, 2]) - expected(1, 2)).abs() < 1e-4);
        // Pixel j of the double has its centre at j/2 − ¼.
        let y = Resample::FirUp.apply(&ramp(8));
        assert!((y.double_value(&[0, 0, 5, 6]) - (2.25 * 8.0 + 2.75)).abs() < 1e-4);
    }
}
