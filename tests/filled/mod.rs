//! Numbers that the scripts which make golden values fill tensors with, too.

use ornstein::tensor;
use tch::{Device, Kind, Tensor};

/// Numbers in [−1, 1), as if at random, from the row-major places i: a hash of i + 7919 phase.
pub fn fill(shape: &[i64], phase: u64) -> Tensor {
    let count: i64 = shape.iter().product();
    let number = |i: u64| {
        let h = (i + 7919 * phase).wrapping_mul(2_654_435_761) & 0xFFFF_FFFF;
        let h = (h ^ h >> 15).wrapping_mul(2_246_822_519) & 0xFFFF_FFFF;
        (h ^ h >> 13) as f64 / 2f64.powi(31) - 1.0
    };
    tensor::from_f64((0..count as u64).map(number).collect(), shape, (Kind::Double, Device::Cpu))
}
