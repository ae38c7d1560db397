//! Where and how to jump back to higher noise.

use serde::{Deserialize, Serialize};

use super::Karras;
use crate::error::{Fault, Settings, between, positive};
use crate::sde::Sde;

/// An interval of noise levels that is passed several times (Xu et al. 2023).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RestartInterval {
    /// The noise level σ/α to which noise is added.
    pub from: f64,
    /// The noise level at or below which the jump happens: at the first time of the grid there.
    pub to: f64,
    /// The steps of each way down.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// How often.
    #[schemars(range(min = 1))]
    pub repeats: usize,
}

impl Default for RestartInterval {
    fn default() -> Self {
        RestartInterval { from: 0.4, to: 0.1, steps: 3, repeats: 2 }
    }
}

impl RestartInterval {
    /// The times with the jumps and the ways down; unchanged where the grid does not cross the interval.
    pub fn insert(&self, sde: &dyn Sde, times: Vec<f64>) -> Vec<f64> {
        let ratio = |t: f64| sde.kernel(t).ratio();
        let start = sde.time_of_ratio(self.from);
        let foot = times.iter().position(|&t| ratio(t) <= self.to && ratio(t) > 0.0);
        let Some(foot) = foot.filter(|&foot| foot > 0 && start <= times[0] && times[foot] < start) else {
            return times;
        };
        let low = ratio(times[foot]);
        let rho = Karras::default().rho.recip();
        let (high, end) = (self.from.powf(rho), low.powf(rho));
        let down = |i: usize| match i {
            i if i == self.steps => times[foot],
            i => sde.time_of_ratio((high + i as f64 / self.steps as f64 * (end - high)).powf(rho.recip())),
        };
        let round: Vec<f64> = (0..=self.steps).map(down).collect();
        let mut out = times[..=foot].to_vec();
        (0..self.repeats).for_each(|_| out.extend(&round));
        out.extend(&times[foot + 1..]);
        out
    }
}

impl Settings for RestartInterval {
    fn check(&self) -> Result<(), Fault> {
        positive("from", self.from)?;
        positive("to", self.to)?;
        if self.from <= self.to {
            let problem = format!("{} is not above to = {}", self.from, self.to);
            return Err(Fault::new("from", problem, "write noise levels σ/α with from > to"));
        }
        between("steps", self.steps, (1, 10_000))?;
        between("repeats", self.repeats, (1, 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::Edm;

    #[test]
    fn an_interval_is_passed_again() {
        let interval = RestartInterval { from: 1.0, to: 0.2, steps: 2, repeats: 2 };
        let times = interval.insert(&Edm::default(), vec![80.0, 5.0, 0.5, 0.1, 0.002]);
        let expected = [80.0, 5.0, 0.5, 0.1, 1.0, f64::NAN, 0.1, 1.0, f64::NAN, 0.1, 0.002];
        assert_eq!(times.len(), expected.len(), "{times:?}");
        for (time, expected) in times.iter().zip(expected) {
            assert!(expected.is_nan() && *time > 0.1 && *time < 1.0 || *time == expected, "{times:?}");
        }
    }

    /// A grid that ends above the interval, or starts within it, is left alone.
    #[test]
    fn a_grid_elsewhere_is_left_alone() {
        let interval = RestartInterval { from: 1.0, to: 0.2, steps: 2, repeats: 2 };
        for grid in [vec![80.0, 5.0, 0.5], vec![0.9, 0.5, 0.1]] {
            assert_eq!(interval.insert(&Edm::default(), grid.clone()), grid);
        }
    }
}
