//! Random orthonormal frames.

use tch::Tensor;

use crate::rng::{Purpose, Stream};

/// The draw of a frame; networks draw their frequencies from draw 0 of the same stream.
const DRAW: u32 = 1;

/// `rows` ≤ `dim` orthonormal vectors `[rows, dim]`, float64: a function of the seed, and uniform (Haar) over seeds.
///
/// The QR decomposition of a Gaussian matrix with the signs of R's diagonal taken out (Mezzadri 2007).
pub(super) fn orthonormal(rows: usize, dim: usize, seed: u64) -> Tensor {
    let mut normals = vec![0.0; rows * dim];
    Stream::new(seed, Purpose::Features).normals(0, DRAW, dim, &mut normals);
    let columns = Tensor::from_slice(&normals).view([rows as i64, dim as i64]).tr();
    let (q, r) = Tensor::linalg_qr(&columns, "reduced");
    (q * r.diagonal(0, 0, 1).sign()).tr().contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn rows_are_orthonormal() {
        for (rows, dim) in [(1, 1), (2, 2), (3, 16), (16, 16), (2, 784)] {
            let frame = orthonormal(rows, dim, 5);
            let gram = frame.matmul(&frame.tr());
            let error = (gram - Tensor::eye(rows as i64, (Kind::Double, frame.device()))).abs().max();
            assert!(error.double_value(&[]) < 1e-13, "{rows} in {dim}");
            assert_eq!(orthonormal(rows, dim, 5), frame);
        }
    }

    /// Each entry of a uniform frame has mean 0, variance 1/D and fourth moment 3/(D (D + 2)), within 5 standard errors.
    /// Without the signs of R, the diagonal would always be negative.
    #[test]
    fn frames_are_uniform() {
        let (seeds, dim) = (4000, 3);
        let frames = Tensor::stack(&(0..seeds).map(|seed| orthonormal(2, dim, seed)).collect::<Vec<_>>(), 0);
        for (power, moment) in [(1, 0.0), (2, 1.0 / 3.0), (3, 0.0), (4, 0.2)] {
            let powers = frames.pow_tensor_scalar(power);
            let error = powers.std_dim([0i64].as_slice(), true, false) / (seeds as f64).sqrt();
            let worst = ((powers.mean_dim([0i64].as_slice(), false, Kind::Double) - moment).abs() / error).max();
            assert!(worst.double_value(&[]) < 5.0, "moment {power}");
        }
    }
}
