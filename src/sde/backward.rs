//! A process with its clock turned round, so that what steps from noise to data steps from data to noise.

use std::sync::Arc;

use super::{Kernel, Sde, Span};

/// The process at time −t.
///
/// α and σ at τ = −t are those at t, so that rates in τ are those in t with the other sign, and the probability-flow ODE is
/// the same curve, run through from data to noise. It is for that ODE alone: g² = dσ²/dτ − 2 f σ² is negative here, and no
/// noise has such a variance.
#[derive(Clone, Debug)]
pub struct Backward(pub Arc<dyn Sde>);

impl Sde for Backward {
    fn kernel(&self, t: f64) -> Kernel {
        self.0.kernel(-t)
    }

    fn drift(&self, t: f64) -> f64 {
        -self.0.drift(-t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        -self.0.diffusion_sq(-t)
    }

    fn time_of_ratio(&self, ratio: f64) -> f64 {
        -self.0.time_of_ratio(ratio)
    }

    fn span(&self) -> Span {
        let Span { t_min, t_max, prior_std, .. } = self.0.span();
        Span { t_min: -t_max, t_train: -t_max, t_max: -t_min, prior_std }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::tests::processes;

    /// Rates are those of the kernel at the turned clock: f = d ln α/dτ and λ′ = dλ/dτ by central differences.
    #[test]
    fn rates_are_those_of_the_turned_clock() {
        for sde in processes() {
            let backward = Backward(Arc::from(sde));
            let Span { t_min, t_max, .. } = backward.span();
            for u in [0.1, 0.5, 0.9] {
                let t = t_min + u * (t_max - t_min);
                let h = 1e-5 * t.abs();
                let [before, after] = [t - h, t + h].map(|t| backward.kernel(t));
                let slope = |of: fn(&Kernel) -> f64| (of(&after) - of(&before)) / (2.0 * h);
                let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-6 * (1.0 + wanted.abs());
                assert!(near(slope(|k| k.alpha.ln()), backward.drift(t)), "{backward:?} at {t}");
                assert!(near(slope(Kernel::lambda), backward.lambda_rate(t)), "{backward:?} at {t}");
                assert!((backward.time_of_ratio(backward.kernel(t).ratio()) / t - 1.0).abs() < 1e-9);
            }
        }
    }
}
