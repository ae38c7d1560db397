//! The scale of images: x = v/127.5 − 1 of a byte v, so that −1 is black and 1 is white. It is taken here and undone
//! here, and nowhere else.

use tch::{Kind, Tensor};

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
