//! The scale of images: x = v/127.5 − 1 of a byte v, so that −1 is black and 1 is white. It is taken here and undone
//! here, and nowhere else.

use tch::{Kind, Tensor};

use crate::data::{Bins, Scale};
use crate::error::Fault;

/// v for one unit of x.
const STEP: f64 = 127.5;

/// The coordinates of images of `count` numbers: each byte is the middle of a bin.
pub(super) fn scale(count: usize) -> Scale {
    Scale { log_volume: count as f64 * STEP.ln(), bins: Some(Bins { width: 1.0 / STEP, range: (-1.0, 1.0) }) }
}

/// x of given bytes `[B, …]`, float64.
pub(super) fn admitted(v: &Tensor) -> Result<Tensor, Fault> {
    let v = v.to_kind(Kind::Double);
    let off = v.lt(0.0).logical_or(&v.gt(255.0)).logical_or(&v.round().ne_tensor(&v));
    let at = off.flatten(0, -1).nonzero();
    if at.numel() == 0 {
        return Ok(v / STEP - 1.0);
    }
    let first = at.int64_value(&[0, 0]);
    let (image, value) = (first / (v.numel() as i64 / v.size()[0]), v.flatten(0, -1).double_value(&[first]));
    let problem = format!("image {image} has the value {value}, and a byte is a whole number from 0 to 255");
    Err(Fault::new("", problem, "give images as bytes, as samples.npy of a run has them"))
}

/// x of the bytes v, number by number.
pub(super) fn scaled(bytes: &[u8], out: &mut [f32]) {
    out.iter_mut().zip(bytes).for_each(|(x, &v)| *x = f32::from(v) / 127.5 - 1.0);
}

/// The bytes v of images x `[B, …]`, uint8: what lies outside [−1, 1] is cut off, what lies between bytes is rounded.
pub(super) fn restored(x: &Tensor) -> Tensor {
    ((x.to_kind(Kind::Float).clamp(-1.0, 1.0) + 1.0) * 127.5).round().to_kind(Kind::Uint8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_byte_is_refused() {
        let bytes = Tensor::from_slice(&[0u8, 51, 255, 7]).view([2, 1, 1, 2]);
        let x = admitted(&bytes).expect("bytes");
        assert_eq!((x.double_value(&[0, 0, 0, 0]), x.double_value(&[1, 0, 0, 0])), (-1.0, 1.0));
        assert_eq!(restored(&x), bytes);
        for (value, text) in [(255.5, "255.5"), (256.0, "256"), (-1.0, "-1"), (f64::NAN, "NaN")] {
            let v = bytes.to_kind(Kind::Double).index_fill(0, &Tensor::from_slice(&[1i64]), value);
            let fault = admitted(&v).expect_err("no byte");
            assert_eq!(
                fault.problem,
                format!("image 1 has the value {text}, and a byte is a whole number from 0 to 255")
            );
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut x = vec![0.0; 256];
        scaled(&bytes, &mut x);
        assert_eq!((x[0], x[51], x[255]), (-1.0, -0.6, 1.0));
        let x = Tensor::from_slice(&x);
        for kind in [Kind::Float, Kind::Double] {
            assert_eq!(Vec::<u8>::try_from(restored(&x.to_kind(kind))).expect("bytes"), bytes);
        }
        // A third of a byte off, and far outside.
        let off = restored(&(&x + 0.3 / 127.5));
        assert_eq!(Vec::<u8>::try_from(off).expect("bytes"), bytes);
        assert_eq!(Vec::<u8>::try_from(restored(&Tensor::from_slice(&[-3.0, 1.5]))).expect("bytes"), [0, 255]);
    }
}
