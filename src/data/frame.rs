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
