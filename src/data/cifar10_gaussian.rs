//! The Gaussian with the covariance of CIFAR-10.

use std::sync::LazyLock;

use ndarray::Array1;
use ndarray_npy::ReadNpyExt;
use serde::{Deserialize, Serialize};

use super::Known;
use crate::error::Settings;
use crate::score::exact::Law;

/// N(0, Λ) in 3,072 dimensions, Λ the eigenvalues of the covariance of CIFAR-10: the benchmark of Pierret & Galerne (2025).
///
/// They are those of the sample covariance (divisor N − 1) of the 50,000 training images with pixels in [−1, 1]; from 221
/// to 6.3e-6, 761.6 in sum. A sample is an image without its mean, in coordinates along the eigenvectors. What solvers
/// make of it is known exactly ([`order::output`](crate::order::output)), and spans noise levels as images do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cifar10Gaussian {}

impl Cifar10Gaussian {
    /// Λ, descending.
    pub fn spectrum() -> &'static [f64] {
        static SPECTRUM: LazyLock<Vec<f64>> = LazyLock::new(|| {
            let file: &[u8] = include_bytes!("cifar10_spectrum.npy");
            Array1::read_npy(file).expect("3,072 numbers in float64").to_vec()
        });
        &SPECTRUM
    }

    /// The data set.
    pub fn build(&self) -> Known {
        let spectrum = Self::spectrum();
        Known(Law::spectrum(&vec![0.0; spectrum.len()], spectrum))
    }
}

impl Settings for Cifar10Gaussian {}
