//! Parts of a network whose activations need not be kept.

use std::fmt::Debug;
use std::sync::Arc;

use tch::Tensor;

use super::{Builder, Frozen};
use crate::differentiable::recomputed;

/// A part of a network that can be computed again for its gradient, in place of keeping what it computed on the way.
#[derive(Debug)]
pub(super) struct Segment<T>(Arc<Frozen<Held<T>>>);

#[derive(Debug)]
struct Held<T> {
    part: T,
    parameters: Vec<Tensor>,
}

impl<T: Debug + Send + 'static> Segment<T> {
    pub(super) fn new(b: &mut Builder, make: impl FnOnce(&mut Builder) -> T) -> Self {
        let (part, parameters) = b.noting(make);
        Segment(Arc::new(Frozen::new(Held { part, parameters })))
    }

    /// f(part, inputs). With `recompute` only the inputs are kept for the gradient.
    pub(super) fn forward(
        &self,
        inputs: &[&Tensor],
        recompute: bool,
        f: impl Fn(&T, &[&Tensor]) -> Tensor + Send + 'static,
    ) -> Tensor {
        let held = self.0.get();
        if !recompute {
            return f(&held.part, inputs);
        }
        let again = self.0.clone();
        recomputed(inputs, &held.parameters, move |inputs| f(&again.get().part, inputs))
    }
}
