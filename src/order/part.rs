//! A process between two noise levels.

use std::sync::Arc;

use crate::sde::{Kernel, Sde, Span};

/// A process between two noise levels σ/α, where most is decided: over the whole span finer solutions would be dear.
#[derive(Debug)]
pub(super) struct Part {
    whole: Arc<dyn Sde>,
    span: Span,
}

impl Part {
    pub fn between(whole: Arc<dyn Sde>, (high, low): (f64, f64)) -> Self {
        let (t_max, t_min) = (whole.time_of_ratio(high), whole.time_of_ratio(low));
        // What is at t_max is no prior, but its scale is.
        let prior_std = whole.kernel(t_max).sigma;
        Part { span: Span { t_min, t_train: t_min, t_max, prior_std }, whole }
    }
}

impl Sde for Part {
    fn kernel(&self, t: f64) -> Kernel {
        self.whole.kernel(t)
    }

    fn drift(&self, t: f64) -> f64 {
        self.whole.drift(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        self.whole.diffusion_sq(t)
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        self.whole.time_of_ratio(ratio)
    }

    fn span(&self) -> Span {
        self.span
    }

    fn lambda_rate(&self, t: f64) -> f64 {
        self.whole.lambda_rate(t)
    }
}
