//! Time grids t₀ > t₁ > … > t_N, from the prior to the data.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Settings, positive};
use crate::sde::Sde;

/// A rule for placing N + 1 times between `t_max` and `t_min`.
pub trait Grid: Debug + Send + Sync {
    /// The time at the fraction `u` ∈ [0, 1] of the way from `t_max` to `t_min`.
    fn at(&self, sde: &dyn Sde, u: f64) -> f64;

    /// The N + 1 times of `steps` steps, strictly decreasing, both ends of the span included exactly.
    fn times(&self, sde: &dyn Sde, steps: usize) -> Vec<f64> {
        let span = sde.span();
        let mut times: Vec<f64> = (0..=steps).map(|i| self.at(sde, i as f64 / steps as f64)).collect();
        times[0] = span.t_max;
        times[steps] = span.t_min;
        times
    }
}

/// Equal steps in t.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UniformGrid {}

impl Grid for UniformGrid {
    fn at(&self, sde: &dyn Sde, u: f64) -> f64 {
        let span = sde.span();
        span.t_max + u * (span.t_min - span.t_max)
    }
}

/// Equal steps in λ = ln(α/σ), half the logarithm of the signal-to-noise ratio (Lu et al. 2022).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSnr {}

impl Grid for LogSnr {
    fn at(&self, sde: &dyn Sde, u: f64) -> f64 {
        let (high, low) = ratios(sde);
        sde.time_of_ratio(high.powf(1.0 - u) * low.powf(u))
    }
}

/// Equal steps in κ^{1/ρ} (Karras et al. 2022, eq. 5); ρ = 7 is theirs, ρ = 1 is uniform in κ, ρ → ∞ is log-SNR.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Karras {
    /// How strongly steps concentrate at low noise.
    pub rho: f64,
}

impl Default for Karras {
    fn default() -> Self {
        Karras { rho: 7.0 }
    }
}

impl Grid for Karras {
    fn at(&self, sde: &dyn Sde, u: f64) -> f64 {
        let (high, low) = ratios(sde);
        let (high, low) = (high.powf(1.0 / self.rho), low.powf(1.0 / self.rho));
        sde.time_of_ratio((high + u * (low - high)).powf(self.rho))
    }
}

/// Equal steps in √t (Song et al. 2021, DDIM, “quadratic”).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quadratic {}

impl Grid for Quadratic {
    fn at(&self, sde: &dyn Sde, u: f64) -> f64 {
        let span = sde.span();
        let (high, low) = (span.t_max.sqrt(), span.t_min.sqrt());
        (high + u * (low - high)).powi(2)
    }
}

/// κ at both ends of the span.
fn ratios(sde: &dyn Sde) -> (f64, f64) {
    let span = sde.span();
    (sde.kernel(span.t_max).ratio(), sde.kernel(span.t_min).ratio())
}

/// Times written out, t₀ > … > t_N. The last may have σ = 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Explicit(pub Vec<f64>);

impl Explicit {
    /// How many steps lie between the times.
    pub fn steps(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// The times, once each is known to be a time of `sde`.
    ///
    /// # Errors
    /// A time outside the span, σ = 0 before the end.
    pub fn times(&self, sde: &dyn Sde) -> Result<Vec<f64>, Fault> {
        let span = sde.span();
        let end = sde.time_of_data();
        for (i, &t) in self.0.iter().enumerate() {
            let last = i + 1 == self.0.len();
            // Rounded copies of the ends, as a user would write them, are fine.
            let slack = 1e-9 * span.t_max;
            if !(t <= span.t_max + slack && (t >= span.t_min.min(span.t_train) - slack || (last && t == end))) {
                return Err(Fault::new(
                    format!("[{i}]"),
                    format!("the time {t} is outside the span of the process"),
                    format!(
                        "write times between {} and {}; the last may also be {end}, where σ = 0",
                        span.t_max, span.t_min
                    ),
                ));
            }
        }
        Ok(self.0.clone())
    }
}

impl Settings for UniformGrid {}
impl Settings for LogSnr {}
impl Settings for Quadratic {}

impl Settings for Karras {
    fn check(&self) -> Result<(), Fault> {
        positive("rho", self.rho)
    }
}

impl Settings for Explicit {
    fn check(&self) -> Result<(), Fault> {
        let times = &self.0;
        if times.len() < 2 {
            return Err(Fault::new(
                "",
                "a grid of fewer than two times",
                "list the times from noise to data, such as {explicit: [1.0, 0.5, 1.0e-3]}",
            ));
        }
        for (i, &time) in times.iter().enumerate() {
            let data_itself = i + 1 == times.len() && time == f64::NEG_INFINITY;
            if !time.is_finite() && !data_itself {
                return Err(Fault::new(
                    format!("[{i}]"),
                    format!("{time} is not a finite time"),
                    "write a finite number; only the last time may be -.inf",
                ));
            }
        }
        match times.windows(2).position(|pair| pair[0] <= pair[1]) {
            None => Ok(()),
            Some(i) => Err(Fault::new(
                format!("[{}]", i + 1),
                format!("{} comes after {}", times[i + 1], times[i]),
                "list the times in strictly decreasing order, from noise to data",
            )),
        }
    }
}
