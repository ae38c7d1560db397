//! Error control: step sizes chosen so that each step's local error meets a tolerance.

use tch::{Kind, Tensor};

use super::{Step, Stepping, Verdict};
use crate::error::{Error, Result};

/// Tolerances of the local error, per coordinate: atol + rtol |x|.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative to the state.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
}

impl Default for Tolerance {
    /// 1e-5 for both, as score_sde's black-box ODE sampler (Song et al. 2021).
    fn default() -> Self {
        Tolerance { rtol: 1e-5, atol: 1e-5 }
    }
}

/// The elementary step-size controller (Hairer, Nørsett & Wanner 1993, II.4).
///
/// e = max over samples of RMS(error/(atol + rtol max(|x_t|, |x_s|))); a step stands if e ≤ 1; the next is
/// 0.9 e^{−1/order} times as long, between 0.2 and 10 times, and no longer than before right after a rejection. The
/// worst sample of a batch sets the step, so that every sample meets the tolerance.
#[derive(Clone, Debug)]
pub struct ErrorControl {
    tolerance: Tolerance,
    t_max: f64,
    t_min: f64,
    /// Where a last step to σ = 0 ends, if there is one.
    finish: Option<f64>,
    rejected: bool,
    tries: usize,
}

/// More steps than any sensible tolerance needs.
const MOST_TRIES: usize = 100_000;

impl ErrorControl {
    /// Integrates from `t_max` to `t_min`, then, if `finish` is a time, in one step to it.
    pub fn new(tolerance: Tolerance, (t_max, t_min): (f64, f64), finish: Option<f64>) -> Self {
        ErrorControl { tolerance, t_max, t_min, finish, rejected: false, tries: 0 }
    }

    fn norm(&self, x: &Tensor, step: &Step) -> f64 {
        let error = step.error.as_ref().expect("error control needs a solver that estimates its error");
        let Tolerance { rtol, atol } = self.tolerance;
        let scale = x.abs().maximum(&step.x.abs()) * rtol + atol;
        let batch = error.size()[0];
        let squares = (error / scale).square().reshape([batch, -1]).mean_dim([1i64].as_slice(), false, Kind::Double);
        squares.max().double_value(&[]).sqrt()
    }
}

impl Stepping for ErrorControl {
    fn start(&mut self) -> (f64, f64) {
        // A hundredth of the way: the controller finds the right size within a few tries.
        (self.t_max, self.t_max + 0.01 * (self.t_min - self.t_max))
    }

    fn judge(&mut self, (x, t): (&Tensor, f64), (step, s): (&Step, f64), order: f64) -> Result<Verdict> {
        if self.finish == Some(s) {
            return Ok(Verdict::Finish);
        }
        self.tries += 1;
        let e = self.norm(x, step);
        let fail = |problem: &str| {
            let remedy = "loosen rtol and atol, or use --precision float64".to_owned();
            Err(Error::Tolerance { t, problem: problem.into(), remedy })
        };
        if !e.is_finite() {
            return fail("the error estimate is not finite");
        }
        if self.tries > MOST_TRIES {
            return fail("100,000 steps were not enough");
        }
        let mut factor = (0.9 * e.powf(-1.0 / order)).clamp(0.2, 10.0);
        if self.rejected {
            factor = factor.min(1.0);
        }
        self.rejected = e > 1.0;
        if self.rejected {
            let shorter = t + factor * (s - t);
            if (shorter - t).abs() < 1e-14 * self.t_max {
                return fail("the step size fell below round-off");
            }
            return Ok(Verdict::Reject(shorter));
        }
        if s <= self.t_min {
            return Ok(self.finish.map_or(Verdict::Finish, Verdict::Accept));
        }
        Ok(Verdict::Accept((s + factor * (s - t)).max(self.t_min)))
    }
}
