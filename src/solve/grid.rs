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

/// Equal steps in κ/(1 + κ) = σ/(α + σ), the time of rectified flow (Liu et al. 2023) whatever the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rectified {}

impl Grid for Rectified {
    fn at(&self, sde: &dyn Sde, u: f64) -> f64 {
        let (high, low) = ratios(sde);
        let (high, low) = (high / (1.0 + high), low / (1.0 + low));
        let time = high + u * (low - high);
        sde.time_of_ratio(time / (1.0 - time))
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

/// Grids of different numbers of steps, each with all its times, both ends of the span included: what `ornstein grid`
/// finds, usable at every budget.
///
/// A run of N steps takes the grid of N steps. Where there is none, it takes the one with the next more steps, or else the
/// finest, and goes through it at equal distances, linearly in ln κ between its times (Sabour et al. 2024, section 4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Tabulated(pub Vec<Vec<f64>>);

/// How far, relatively, the ends of a tabulated grid may be from those of the process.
const ROUNDED: f64 = 1e-6;

impl Tabulated {
    /// The times of `steps` steps.
    ///
    /// # Errors
    /// A grid that does not lead from one end of the span to the other.
    pub fn times(&self, sde: &dyn Sde, steps: usize) -> Result<Vec<f64>, Fault> {
        let span = sde.span();
        for (i, row) in self.0.iter().enumerate() {
            for (j, end) in [(0, span.t_max), (row.len() - 1, span.t_min)] {
                if (row[j] - end).abs() > ROUNDED * end {
                    return Err(Fault::new(
                        format!("[{i}][{j}]"),
                        format!("the grid ends at the time {}, and the process at {end}", row[j]),
                        "find a grid for this process with `ornstein grid`, or write its ends",
                    ));
                }
            }
        }
        let nearest = self.0.iter().min_by_key(|row| match row.len() - 1 {
            more if more >= steps => (0, more),
            fewer => (1, usize::MAX - fewer),
        });
        let row = nearest.expect("the settings were checked");
        let level = |t: f64| sde.kernel(t).ratio().ln();
        let at = |i: usize| {
            let place = i as f64 * (row.len() - 1) as f64 / steps as f64;
            let (whole, part) = (place as usize, place.fract());
            match row.get(whole + 1) {
                Some(&next) if part > 0.0 => {
                    sde.time_of_ratio(((1.0 - part) * level(row[whole]) + part * level(next)).exp())
                }
                _ => row[whole],
            }
        };
        let mut times: Vec<f64> = (0..=steps).map(at).collect();
        (times[0], times[steps]) = (span.t_max, span.t_min);
        Ok(times)
    }
}

impl Settings for Tabulated {
    fn check(&self) -> Result<(), Fault> {
        if self.0.is_empty() {
            let remedy = "list grids from noise to data, such as {tabulated: [[1.0, 0.5, 1.0e-3]]}";
            return Err(Fault::new("", "a table without a grid", remedy));
        }
        for (i, row) in self.0.iter().enumerate() {
            // What is asked of one grid is what `explicit` asks.
            Explicit(row.clone()).check().map_err(|fault| fault.under(&format!("[{i}]")))?;
            if row.last() == Some(&f64::NEG_INFINITY) {
                let remedy = "end it at t_min; `denoise: true` adds the last step to σ = 0";
                return Err(Fault::new(format!("[{i}]"), "the grid goes on to σ = 0", remedy));
            }
            if let Some(earlier) = self.0[..i].iter().position(|earlier| earlier.len() == row.len()) {
                let problem = format!("grid {earlier} has {} steps too", row.len() - 1);
                return Err(Fault::new(format!("[{i}]"), problem, "keep one grid for each number of steps"));
            }
        }
        Ok(())
    }
}

impl Settings for UniformGrid {}
impl Settings for LogSnr {}
impl Settings for Quadratic {}
impl Settings for Rectified {}

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

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::sde::{Edm, Flow, Vp};

    /// Under its own process it is the uniform grid, and any other process has its levels there.
    #[test]
    fn the_rectified_grid_is_uniform_in_the_time_of_flow() {
        let flow = Flow { t_min: 0.002 / 1.002, t_max: 80.0 / 81.0, ..Flow::default() };
        let uniform = UniformGrid {}.times(&flow, 7);
        let rectified = Rectified {};
        let (own, levels) = (rectified.times(&flow, 7), rectified.times(&Edm::default(), 7));
        for ((own, uniform), level) in own.iter().zip(&uniform).zip(&levels) {
            assert_relative_eq!(own, uniform, max_relative = 1e-12);
            assert_relative_eq!(flow.kernel(*own).ratio(), *level, max_relative = 1e-12);
        }
    }

    fn table(rows: &[&[f64]]) -> Tabulated {
        Tabulated(rows.iter().map(|row| row.to_vec()).collect())
    }

    #[test]
    fn a_table_gives_the_grid_of_as_many_steps() {
        let sde = Edm::default();
        let table = table(&[&[80.0, 1.0, 0.002], &[80.0, 9.0, 3.0, 0.1, 0.002]]);
        assert!(table.check().is_ok());
        assert_eq!(table.times(&sde, 2).unwrap(), table.0[0]);
        assert_eq!(table.times(&sde, 4).unwrap(), table.0[1]);
    }

    /// Three steps go through the grid of four; eight go through it twice as finely, as there is none of more.
    #[test]
    fn between_its_grids_a_table_is_linear_in_the_logarithm() {
        let sde = Edm::default();
        let table = table(&[&[80.0, 1.0, 0.002], &[80.0, 9.0, 3.0, 0.1, 0.002]]);
        let three = table.times(&sde, 3).unwrap();
        assert_relative_eq!(three[1], 9.0f64.powf(2.0 / 3.0) * 3.0f64.powf(1.0 / 3.0), max_relative = 1e-12);
        assert_relative_eq!(three[2], 3.0f64.powf(1.0 / 3.0) * 0.1f64.powf(2.0 / 3.0), max_relative = 1e-12);
        let eight = table.times(&sde, 8).unwrap();
        assert_eq!([eight[0], eight[2], eight[4], eight[8]], [80.0, 9.0, 3.0, 0.002]);
        assert_relative_eq!(eight[3], 27.0f64.sqrt(), max_relative = 1e-12);
        assert!((1..60).all(|steps| table.times(&sde, steps).unwrap().windows(2).all(|pair| pair[0] > pair[1])));
    }

    #[test]
    fn a_table_for_another_span_is_refused() {
        let fault = table(&[&[1.0, 0.5, 0.001]]).times(&Edm::default(), 2).unwrap_err();
        assert_eq!(fault.key, "[0][0]");
        assert!(fault.problem.contains("the process at 80"), "{fault:?}");
        // Ends as a user would round them are those of the process.
        let times = table(&[&[80.00000001, 1.0, 0.002]]).times(&Edm::default(), 2).unwrap();
        assert_eq!(times, [80.0, 1.0, 0.002]);
        let span = Vp::default().span();
        assert!(table(&[&[span.t_max, 0.5, span.t_min]]).times(&Vp::default(), 7).is_ok());
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        for (rows, key) in [
            (&[][..], ""),
            (&[&[1.0][..]], "[0]"),
            (&[&[1.0, 0.1], &[1.0, 2.0, 0.1]], "[1][1]"),
            (&[&[1.0, 0.1], &[1.0, 0.2]], "[1]"),
            (&[&[1.0, f64::NEG_INFINITY]], "[0]"),
        ] {
            assert_eq!(table(rows).check().unwrap_err().key, key, "{rows:?}");
        }
    }
}
