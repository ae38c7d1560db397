//! Automatic mixed precision: matrix products and convolutions in bfloat16, sums and norms in float32.
//!
//! tch has a guard for float16 on CUDA alone. `autocast.cpp` reaches LibTorch's own switch, which belongs to the thread.

use tch::Tensor;
use torch_sys::C_tensor;

unsafe extern "C" {
    fn ornstein_autocast(like: *const C_tensor, on: i32) -> i32;
}

/// What `f` computes on the device of `like` with mixed precision on, or off. What is differentiated later needs no
/// such guard: the casts are in its graph.
pub fn with_autocast<T>(on: bool, like: &Tensor, f: impl FnOnce() -> T) -> T {
    /// Restores what was, also where `f` panics.
    struct Restored<'a>(&'a Tensor, i32);

    impl Drop for Restored<'_> {
        fn drop(&mut self) {
            // SAFETY: the tensor is alive, and the switch is of this thread alone.
            unsafe { ornstein_autocast(self.0.as_ptr(), self.1) };
        }
    }

    // SAFETY: as above.
    let before = unsafe { ornstein_autocast(like.as_ptr(), i32::from(on)) };
    let _restored = Restored(like, before);
    f()
}

/// Whether mixed precision is on for the device of `like`.
pub fn is_autocast(like: &Tensor) -> bool {
    // SAFETY: as above.
    let before = unsafe { ornstein_autocast(like.as_ptr(), 0) };
    // SAFETY: as above.
    unsafe { ornstein_autocast(like.as_ptr(), before) };
    before != 0
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn products_are_of_the_lower_precision_within_the_guard_alone() {
        let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        let kinds = with_autocast(true, &x, || {
            let inner = with_autocast(false, &x, || x.matmul(&x).kind());
            (is_autocast(&x), x.matmul(&x).kind(), inner, (&x + &x).kind())
        });
        assert_eq!(kinds, (true, Kind::BFloat16, Kind::Float, Kind::Float));
        assert_eq!((is_autocast(&x), x.matmul(&x).kind()), (false, Kind::Float));
        let _ = std::panic::catch_unwind(|| with_autocast(true, &Tensor::ones([1], tch::kind::FLOAT_CPU), || panic!()));
        assert!(!is_autocast(&x), "a panic leaves nothing switched on");
    }
}
