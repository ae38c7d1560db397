//! The gradient of a batch as a sum over its parts.

use tch::Tensor;

use crate::model::Parameters;

/// A sum of gradients in one flat buffer `[P]`, which is used again in every step.
#[derive(Debug)]
pub struct GradientSum {
    /// The buffer.
    pub flat: Tensor,
    /// Each parameter's part of it.
    views: Vec<Tensor>,
    empty: bool,
}

impl GradientSum {
    /// An empty sum.
    pub fn new(parameters: &Parameters) -> Self {
        let flat = parameters.flat().zeros_like();
        GradientSum { views: parameters.views(&flat), flat, empty: true }
    }

    /// Forgets what was added.
    pub fn clear(&mut self) {
        self.empty = true;
    }

    /// Adds a gradient by parameter.
    pub fn add(&mut self, gradient: Vec<Tensor>) {
        for (sum, part) in self.views.iter_mut().zip(&gradient) {
            if self.empty { sum.copy_(part) } else { *sum += part }
        }
        self.empty = false;
    }
}
