//! Products and spectra of large matrices, in parallel and the same on any number of threads.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::tensor;

/// Rows or columns of a block that one thread works on.
const BLOCK: usize = 256;

/// A B of `[N, K]` and `[K, M]`.
pub(super) fn product(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Array2<f64> {
    if a.nrows() <= BLOCK {
        return a.dot(&b);
    }
    let rows: Vec<Array2<f64>> = a.axis_chunks_iter(Axis(0), BLOCK).into_par_iter().map(|rows| rows.dot(&b)).collect();
    let rows: Vec<ArrayView2<f64>> = rows.iter().map(|rows| rows.view()).collect();
    concatenate(Axis(0), &rows).expect("blocks of one width")
}

/// Xᵀ X of `[N, F]`, `[F, F]`; each pair of columns once.
pub(super) fn gram(x: ArrayView2<f64>) -> Array2<f64> {
    let dim = x.ncols();
    let starts: Vec<usize> = (0..dim).step_by(BLOCK).collect();
    let pairs: Vec<(usize, usize)> =
        starts.iter().flat_map(|&i| starts.iter().filter(move |&&j| j >= i).map(move |&j| (i, j))).collect();
    let range = |start: usize| start..dim.min(start + BLOCK);
    let block = |(i, j): (usize, usize)| x.slice(s![.., range(i)]).t().dot(&x.slice(s![.., range(j)]));
    let blocks: Vec<Array2<f64>> = pairs.par_iter().map(|&pair| block(pair)).collect();
    let mut gram = Array2::zeros((dim, dim));
    for (&(i, j), block) in pairs.iter().zip(&blocks) {
        gram.slice_mut(s![range(i), range(j)]).assign(block);
        gram.slice_mut(s![range(j), range(i)]).assign(&block.t());
    }
    gram
}

/// The eigenvalues and the eigenvectors of a positive semi-definite matrix; eigenvalues that are no more than round-off,
/// F ε beside the largest, are zero.
///
/// A covariance of N points in F > N dimensions has F − N + 1 such directions. Their eigenvalues come out as ±1e-16 of the
/// largest, and the roots of these, 1e-8 each, would add up.
pub(super) struct Spectrum {
    /// `[F]`, ascending.
    pub(super) values: Array1<f64>,
    /// `[F, F]`, in columns.
    vectors: Array2<f64>,
}

impl Spectrum {
    pub(super) fn new(matrix: &Array2<f64>) -> Self {
        let (values, vectors) = symmetric(matrix).linalg_eigh("L");
        Spectrum { values: positive(&values), vectors: tensor::to_rows(&vectors) }
    }

    /// The eigenvalues alone, in a third of the time.
    pub(super) fn values_of(matrix: &Array2<f64>) -> Array1<f64> {
        positive(&symmetric(matrix).linalg_eigvalsh("L"))
    }

    /// The matrix with the same eigenvectors and mapped eigenvalues.
    pub(super) fn map(&self, f: impl FnMut(f64) -> f64) -> Array2<f64> {
        product((&self.vectors * &self.values.mapv(f)).view(), self.vectors.t())
    }

    /// A^{½}.
    pub(super) fn root(&self) -> Array2<f64> {
        self.map(f64::sqrt)
    }

    /// A^{−½} where A is not zero, and zero where it is.
    pub(super) fn inverse_root(&self) -> Array2<f64> {
        self.map(|value| if value > 0.0 { 1.0 / value.sqrt() } else { 0.0 })
    }
}

/// Exactly symmetric, since only one triangle is read.
fn symmetric(matrix: &Array2<f64>) -> Tensor {
    let dim = matrix.nrows() as i64;
    let symmetric = (matrix + &matrix.t()) * 0.5;
    tensor::from_f64(symmetric.iter().copied().collect(), &[dim, dim], (Kind::Double, Device::Cpu))
}

/// Eigenvalues, with round-off as zero.
fn positive(values: &Tensor) -> Array1<f64> {
    let values = tensor::to_rows(&values.unsqueeze(0)).row(0).to_owned();
    let least = values.iter().fold(0.0, |most: f64, &value| most.max(value)) * values.len() as f64 * f64::EPSILON;
    values.mapv(|value| if value > least { value } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::super::tests::gaussian;
    use super::*;

    fn off(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        (a - b).iter().fold(0.0, |most: f64, gap| most.max(gap.abs()))
    }

    #[test]
    fn products_in_blocks_are_products() {
        let (a, b) = (gaussian(1, 2 * BLOCK + 3, &[0.0; 40], 1.0), gaussian(2, 40, &[0.0; 30], 1.0));
        assert!(off(&product(a.view(), b.view()), &a.dot(&b)) < 1e-12);
        for dim in [3, BLOCK, BLOCK + 7] {
            let x = gaussian(3, 20, &vec![0.0; dim], 1.0);
            assert!(off(&gram(x.view()), &x.t().dot(&x)) < 1e-12);
        }
    }

    #[test]
    fn roots_of_singular_matrices_square_to_them() {
        // Rank 5 in 12 dimensions.
        let x = gaussian(1, 5, &[0.0; 12], 1.0);
        let matrix = gram(x.view());
        let spectrum = Spectrum::new(&matrix);
        assert_eq!(spectrum.values.iter().filter(|&&value| value > 0.0).count(), 5);
        let root = spectrum.root();
        assert!(off(&root.dot(&root), &matrix) < 1e-12);
        // A^{½} A^{−½} is the projector on the range, which leaves A as it is.
        assert!(off(&root.dot(&spectrum.inverse_root()).dot(&matrix), &matrix) < 1e-11);
    }
}
