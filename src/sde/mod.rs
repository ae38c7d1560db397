//! Forward processes dx = f(t) x dt + g(t) dw with scalar coefficients, as pure f64 mathematics.
//!
//! Each is linear, so x_t = α_t x₀ + σ_t ε. With κ = σ/α and λ = ln(α/σ) = −ln κ:
//! f = d ln α/dt and g² = dσ²/dt − 2 f σ² = −2 σ² dλ/dt, for any (α, σ).
//!
//! One process is one file; to add another, write its file and name it in the experiment's list of choices.

mod backward;
mod cosine;
mod edm;
mod flow;
mod sub_vp;
mod ve;
mod vp;

pub use backward::Backward;
pub use cosine::Cosine;
pub use edm::Edm;
pub use flow::Flow;
pub use sub_vp::SubVp;
pub use ve::Ve;
pub use vp::Vp;

use std::fmt::Debug;

use crate::error::Fault;

/// The perturbation kernel p(x_t | x₀) = N(α x₀, σ² I) at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    /// The scale of the signal.
    pub alpha: f64,
    /// The standard deviation of the noise.
    pub sigma: f64,
}

impl Kernel {
    /// λ = ln(α/σ), half of the logarithm of the signal-to-noise ratio; +∞ without noise.
    pub fn lambda(&self) -> f64 {
        (self.alpha / self.sigma).ln()
    }

    /// κ = σ/α, the noise level of x/α; EDM's σ.
    pub fn ratio(&self) -> f64 {
        self.sigma / self.alpha
    }
}

/// The times that matter and the law at the end of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Where sampling ends.
    pub t_min: f64,
    /// Where training starts; at most `t_min`.
    pub t_train: f64,
    /// Where training ends and sampling starts.
    pub t_max: f64,
    /// The prior is N(0, prior_std² I).
    pub prior_std: f64,
}

/// A forward process dx = f(t) x dt + g(t) dw. Plain data, hence `Send + Sync`.
pub trait Sde: Debug + Send + Sync {
    /// (α, σ) at time t.
    fn kernel(&self, t: f64) -> Kernel;

    /// f(t) = d ln α/dt.
    fn drift(&self, t: f64) -> f64;

    /// g²(t) = −2 σ² dλ/dt.
    fn diffusion_sq(&self, t: f64) -> f64;

    /// The time at which σ/α is `ratio`: the inverse of κ(t), which makes every grid one line.
    ///
    /// κ = 0 gives the time without noise, which may be −∞.
    fn time_of_ratio(&self, ratio: f64) -> f64;

    /// The times between which one trains and samples.
    fn span(&self) -> Span;

    /// dλ/dt = −g²/(2σ²), negative.
    fn lambda_rate(&self, t: f64) -> f64 {
        let sigma = self.kernel(t).sigma;
        -0.5 * self.diffusion_sq(t) / (sigma * sigma)
    }

    /// The time at which σ = 0 and x is data.
    fn time_of_data(&self) -> f64 {
        self.time_of_ratio(0.0)
    }
}

/// Refuses spans that are not 0 ≤ `t_train` ≤ `t_min` < `t_max` ≤ `end`.
fn check_span(span: Span, end: f64) -> Result<(), Fault> {
    let Span { t_min, t_train, t_max, .. } = span;
    if !(t_max > 0.0 && t_max <= end) {
        let remedy = match end {
            f64::MAX => "write a time greater than t_min".to_owned(),
            end => format!("write a time between t_min and {end}"),
        };
        return Err(Fault::new("t_max", format!("{t_max} is not a time of this process"), remedy));
    }
    if !(t_min > 0.0 && t_min < t_max) {
        return Err(Fault::new(
            "t_min",
            format!("{t_min} is not between 0 and t_max = {t_max}"),
            "write a small positive time",
        ));
    }
    if !(t_train > 0.0 && t_train <= t_min) {
        return Err(Fault::new(
            "t_train",
            format!("{t_train} is not between 0 and t_min = {t_min}"),
            "train down to t_min or below",
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every process, with its default settings.
    pub(crate) fn processes() -> Vec<Box<dyn Sde>> {
        vec![
            Box::new(Vp::default()),
            Box::new(SubVp::default()),
            Box::new(Ve::default()),
            Box::new(Edm::default()),
            Box::new(Cosine::default()),
            Box::new(Flow::default()),
        ]
    }
}
