//! Functions of tensors with gradients of our own.
//!
//! LibTorch differentiates what is made of its operators. A function that is computed in another way, as one pass over
//! memory in place of five, brings its own gradient. `differentiable.cpp` hangs it into the graph.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::autocast::{is_autocast, with_autocast};

/// ∂loss/∂output ↦ ∂loss/∂input for each input, none where there is none.
type Gradient = Box<dyn FnMut(&Tensor) -> Vec<Option<Tensor>> + Send>;

type Backward = extern "C" fn(*mut c_void, *mut C_tensor, *mut *mut C_tensor, usize) -> i32;

unsafe extern "C" {
    fn ornstein_attach(
        output: *const C_tensor,
        inputs: *const *const C_tensor,
        count: usize,
        closure: *mut c_void,
        backward: Backward,
        release: extern "C" fn(*mut c_void),
    );
}

/// `output`, computed without a graph, as a function of `inputs` with the given gradient.
///
/// The gradient is computed without a graph itself, so there are no second derivatives. What it captures should be
/// detached; it is dropped as soon as the graph has been differentiated, or at once where no gradient is wanted.
pub fn with_gradient(
    inputs: &[&Tensor],
    output: Tensor,
    gradient: impl FnMut(&Tensor) -> Vec<Option<Tensor>> + Send + 'static,
) -> Tensor {
    let pointers: Vec<*const C_tensor> = inputs.iter().map(|input| input.as_ptr()).collect();
    let gradient: Gradient = Box::new(gradient);
    let closure = Box::into_raw(Box::new(gradient)).cast::<c_void>();
    // SAFETY: the pointers are of live tensors; the closure is a Box<Gradient>, which `release` takes back exactly once.
    unsafe {
        ornstein_attach(output.as_ptr(), pointers.as_ptr(), pointers.len(), closure, backward, release);
    }
    output
}

/// f(inputs), of which a gradient keeps nothing but the inputs, and computes the rest again (gradient checkpointing: Griewank
/// & Walther 2000, Chen et al. 2016). `parameters` are the leaves that `f` uses besides.
///
/// Called twice, `f` has to do the same twice, so that the gradient is the one that it would have anyway.
pub fn recomputed(
    inputs: &[&Tensor],
    parameters: &[Tensor],
    f: impl Fn(&[&Tensor]) -> Tensor + Send + 'static,
) -> Tensor {
    let wanted: Vec<bool> = inputs.iter().map(|input| input.requires_grad()).collect();
    let kept: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
    let leaves: Vec<Tensor> = parameters.iter().map(Tensor::shallow_clone).collect();
    let output = tch::no_grad(|| f(&kept.iter().collect::<Vec<_>>()));
    // The gradient is computed outside of the guard, and again in the same precision.
    let mixed = is_autocast(&output);
    let sources: Vec<&Tensor> = inputs.iter().copied().chain(parameters).collect();
    with_gradient(&sources, output, move |outer| {
        tch::with_grad(|| {
            let again: Vec<Tensor> =
                kept.iter().zip(&wanted).map(|(x, &wanted)| x.detach().set_requires_grad(wanted)).collect();
            let output = with_autocast(mixed, outer, || f(&again.iter().collect::<Vec<_>>()));
            // The gradient of Σ y g by y is g, to the last bit.
            let product = (output * outer).sum(outer.kind());
            let all: Vec<&Tensor> = again.iter().chain(&leaves).collect();
            let asked: Vec<&Tensor> = all.iter().copied().filter(|x| x.requires_grad()).collect();
            let mut found = Tensor::run_backward(&[product], &asked, false, false).into_iter();
            let next = |x: &&Tensor| if x.requires_grad() { found.next().filter(Tensor::defined) } else { None };
            all.iter().map(next).collect()
        })
    })
}

extern "C" fn backward(closure: *mut c_void, gradient: *mut C_tensor, out: *mut *mut C_tensor, count: usize) -> i32 {
    // A panic must not unwind into C++; LibTorch turns the failure into an error of the backward pass.
    let done = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `closure` is what `with_gradient` made, and only one backward pass at a time uses a node.
        let closure = unsafe { &mut *closure.cast::<Gradient>() };
        // SAFETY: the pointer is of a live tensor, of which this is a further handle.
        let gradient = unsafe { Tensor::clone_from_ptr(gradient) };
        let gradients = closure(&gradient);
        assert_eq!(gradients.len(), count, "one gradient for each input");
        for (i, gradient) in gradients.into_iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            // SAFETY: `out` has room for `count` pointers; the caller owns what it finds there.
            unsafe { *out.add(i) = torch_sys::at_shallow_clone(gradient.as_ptr().cast_mut()) };
        }
    }));
    i32::from(done.is_err())
}

extern "C" fn release(closure: *mut c_void) {
    // SAFETY: `closure` is what `with_gradient` made, and is released once.
    drop(unsafe { Box::from_raw(closure.cast::<Gradient>()) });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use tch::{Device, Kind};

    /// a b² with its gradient written out.
    fn product(a: &Tensor, b: &Tensor, alive: &Arc<()>) -> Tensor {
        let (a, b, alive) = (a.shallow_clone(), b.shallow_clone(), alive.clone());
        let [x, y] = [a.detach(), b.detach()];
        let output = tch::no_grad(|| &x * &y * &y);
        with_gradient(&[&a, &b], output, move |g| {
            let _ = &alive;
            vec![Some(g * &y * &y), Some(g * &x * &y * 2.0)]
        })
    }

    #[test]
    fn the_gradient_is_the_one_given_and_is_freed() {
        let leaf = |v: f64| Tensor::full([3], v, (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let (a, b, alive) = (leaf(2.0), leaf(3.0), Arc::new(()));
        let loss = product(&a, &(&b * 2.0), &alive).sum(Kind::Double);
        assert_eq!(loss.double_value(&[]), 3.0 * 72.0);
        assert_eq!(Arc::strong_count(&alive), 2);
        let found = Tensor::run_backward(&[&loss], &[&a, &b], false, false);
        assert_eq!(found[0].double_value(&[0]), 36.0);
        // d(a (2b)²)/db = 8ab.
        assert_eq!(found[1].double_value(&[1]), 48.0);
        assert_eq!(Arc::strong_count(&alive), 1, "what the gradient keeps is freed with the graph");
        let output = tch::no_grad(|| product(&a, &b, &alive));
        assert!(!output.requires_grad() && Arc::strong_count(&alive) == 1);
    }

    /// tanh(x w) + x, twice over, with and without what it computed on the way.
    #[test]
    fn a_gradient_without_activations_is_the_same() {
        let leaf = |seed: i64| {
            let waves = (Tensor::arange(12, (Kind::Float, Device::Cpu)) * (0.7 + seed as f64)).sin();
            waves.view([3, 4]).set_requires_grad(true)
        };
        let (x, w, alive) = (leaf(0), leaf(1), Arc::new(()));
        let constant = leaf(2).detach();
        let block = |x: &Tensor, w: &Tensor, again: bool| {
            let (weight, alive) = (w.shallow_clone(), alive.clone());
            let f = move |inputs: &[&Tensor]| {
                let _ = &alive;
                (inputs[0] * &weight + inputs[1]).tanh() + inputs[0]
            };
            let parameters = [w.shallow_clone()];
            if again { recomputed(&[x, &constant], &parameters, f) } else { f(&[x, &constant]) }
        };
        let run = |again: bool| {
            let y = block(&block(&x, &w, again), &w, again);
            let loss = (&y * &y).sum(Kind::Float);
            let mut all = Tensor::run_backward(&[loss], &[&x, &w], false, false);
            all.push(y.detach());
            all
        };
        assert_eq!(run(true), run(false));
        assert_eq!(Arc::strong_count(&alive), 1, "what the gradient keeps is freed with the graph");
        let unused = recomputed(&[&x, &w], &[], |inputs| inputs[0] * 2.0).sum(Kind::Float);
        assert!(!Tensor::run_backward(&[unused], &[&x, &w], false, false)[1].defined());
        assert!(!tch::no_grad(|| block(&x, &w, true)).requires_grad() && Arc::strong_count(&alive) == 1);
    }

    #[test]
    fn a_panic_is_an_error_of_the_backward_pass() {
        let a = Tensor::ones([2], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let y = with_gradient(&[&a], a.detach().copy(), |_| panic!("no gradient today"));
        let loss = y.sum(Kind::Double);
        assert!(Tensor::f_run_backward(&[&loss], &[&a], false, false).is_err());
    }
}
