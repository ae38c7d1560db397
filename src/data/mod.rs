//! Data distributions, as random-access streams of samples.

mod gaussian;
mod toy;

pub use gaussian::{Gaussian, GaussianMixture, Known};
pub use toy::{Checkerboard, EightGaussians, SwissRoll, Toy, TwoMoons};

use std::fmt::Debug;

use tch::Tensor;

use crate::error::Fault;
use crate::rng::Stream;
use crate::score::exact::Law;

/// A data distribution. Sample i of a stream is a function of the stream and i, so there is no position to save.
pub trait Dataset: Debug + Send {
    /// The shape of one sample, `[D]` for points.
    fn shape(&self) -> Vec<i64>;

    /// The samples `first..first + count` of the stream, `[count, …]`, float64 on the CPU.
    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor;

    /// The distribution in closed form, where there is one.
    fn law(&self) -> Option<&Law> {
        None
    }
}

/// Refuses a negative or infinite value.
fn not_negative(key: &str, value: f64) -> Result<(), Fault> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Fault::new(key, format!("{value} is not a number of at least 0"), "write 0 or a positive number"))
}
