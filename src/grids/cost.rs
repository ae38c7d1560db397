//! Equal cost per step.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::teacher::Teacher;
use super::{Tick, equal};
use crate::error::{Fault, Result, Settings, between};
use crate::score::{Eval, Model};

/// A grid whose steps all cost the same, by a density of cost that is measured once (after Williams, Campbell, Doucet &
/// Syed 2024, “Score-optimal diffusion schedules”, who do so for the cost of correcting samples).
///
/// The local error of a method of order p in a step of length h in λ is C h^{p+1} dᵖD/dλᵖ to leading order, and the flow
/// carries it to the end. With c(λ) the root mean square over trajectories of the carried dᵖD/dλᵖ, Σ c h^{p+1} is least
/// for steps of equal c h^{p+1}: equal distances in ∫ c^{1/(p+1)} dλ. One pass over a fine solution, and no search. For p = 1
/// and data N(0, v I) it is the tangent law exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cost {
    /// p; the solver's own order, up to 3, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3))]
    pub order: Option<usize>,
    /// The steps of the fine solution.
    #[schemars(range(min = 10))]
    pub teacher_steps: usize,
    /// The trajectories.
    #[schemars(range(min = 1))]
    pub trajectories: usize,
}

impl Default for Cost {
    fn default() -> Self {
        Cost { order: None, teacher_steps: 120, trajectories: 256 }
    }
}

impl Settings for Cost {
    fn check(&self) -> Result<(), Fault> {
        if let Some(order) = self.order {
            between("order", order, (1, 3))?;
        }
        between("teacher_steps", self.teacher_steps, (10, 100_000))?;
        between("trajectories", self.trajectories, (1, 1_000_000))
    }
}

impl Cost {
    /// The levels of the grid, for a method of order `order` unless the settings say another, from trajectories that start
    /// at `init` `[B, …]`.
    ///
    /// # Errors
    /// A trajectory that is not finite, whatever `tick` returns.
    pub fn find(&self, model: &dyn Model, init: &Tensor, order: f64, steps: usize, tick: &Tick) -> Result<Vec<f64>> {
        let order = self.order.unwrap_or_else(|| (order as usize).clamp(1, 3));
        let levels = equal(model.sde(), self.teacher_steps);
        tick(0.0)?;
        let teacher = Teacher::new(model, &levels, init.shallow_clone())?;
        tick(0.5)?;
        let density = tch::no_grad(|| density(model, &teacher, levels[0] - levels[1], order));
        tick(0.5)?;
        Ok(shared_out(&levels, &density, steps))
    }
}

/// How much of the size of the noise an error is tried with.
const SMALL: f64 = 0.01;

/// c^{1/(p+1)} at each level.
fn density(model: &dyn Model, teacher: &Teacher, gap: f64, order: usize) -> Vec<f64> {
    let points = &teacher.points;
    let slope = |i: usize| {
        // As many neighbours as a difference of this order needs, centred where it can be.
        let first = i.saturating_sub(order / 2).min(points.len() - 1 - order);
        let signs: &[f64] = match order {
            1 => &[-1.0, 1.0],
            2 => &[1.0, -2.0, 1.0],
            _ => &[-1.0, 3.0, -3.0, 1.0],
        };
        let terms = signs.iter().zip(&points[first..]).map(|(&sign, point)| &point.x0 * sign);
        terms.reduce(|sum, term| sum + term).expect("some points") / gap.powi(order as i32)
    };
    let at = |(i, Eval { t, kernel, x, .. }): (usize, &Eval)| {
        let slope = slope(i);
        let size = slope.square().mean(Kind::Double).double_value(&[]).sqrt();
        if size == 0.0 {
            return 0.0;
        }
        let scale = SMALL * kernel.ratio() / size;
        let moved = x + &slope * (scale * kernel.alpha);
        let x0 = model.denoise(&moved, *t);
        let carried = teacher.carried(i, &moved, &x0) / x.numel() as f64;
        (carried.sqrt() / scale).powf(1.0 / (order as f64 + 1.0))
    };
    points.iter().enumerate().map(at).collect()
}

/// Levels between which the integral of a density over given levels is the same.
fn shared_out(levels: &[f64], density: &[f64], steps: usize) -> Vec<f64> {
    // Where nothing is measured steps may be long, but not without end.
    let floor = 1e-3 * density.iter().sum::<f64>() / density.len() as f64;
    let rate: Vec<f64> = density.iter().map(|rate| rate.max(floor).max(f64::MIN_POSITIVE)).collect();
    let mut total = vec![0.0];
    for (pair, rates) in levels.windows(2).zip(rate.windows(2)) {
        total.push(total[total.len() - 1] + (pair[0] - pair[1]) * 0.5 * (rates[0] + rates[1]));
    }
    let whole = total[total.len() - 1];
    let at = |i: usize| {
        let wanted = whole * i as f64 / steps as f64;
        let after = total.partition_point(|&sum| sum < wanted).clamp(1, total.len() - 1);
        let part = (wanted - total[after - 1]) / (total[after] - total[after - 1]);
        levels[after - 1] + part * (levels[after] - levels[after - 1])
    };
    std::iter::once(levels[0]).chain((1..steps).map(at)).chain(levels.last().copied()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use approx::assert_abs_diff_eq;
    use tch::Device;

    use super::super::tangent;
    use super::*;
    use crate::score::exact::{Exact, Law};
    use crate::sde::{Edm, Sde, Vp};
    use crate::solve::prior;

    /// Its closed form: with p = 1 on N(0, c² I) the density is that of the angle arctan(κ/c).
    #[test]
    fn of_one_gaussian_it_is_the_tangent_law() {
        for sde in [Arc::new(Edm::default()) as Arc<dyn Sde>, Arc::new(Vp::default())] {
            let options = (Kind::Double, Device::Cpu);
            let model = Exact::new(&Law::spectrum(&[0.0; 3], &[0.25; 3]), sde.clone(), options);
            let init = prior(&*sde, 3, 50, &[3], options);
            let cost = Cost { order: Some(1), teacher_steps: 400, trajectories: 50 };
            let found = cost.find(&model, &init, 2.0, 8, &|_| Ok(())).unwrap();
            let exact = tangent(&equal(&*sde, 8), 0.5);
            found.iter().zip(&exact).for_each(|(x, y)| assert_abs_diff_eq!(x, y, epsilon = 2e-2));
        }
    }

    #[test]
    fn equal_parts_of_a_density() {
        let levels: Vec<f64> = (0..=100).map(|i| 1.0 - f64::from(i) / 50.0).collect();
        let found = shared_out(&levels, &vec![3.0; 101], 4);
        found.iter().zip([1.0, 0.5, 0.0, -0.5, -1.0]).for_each(|(x, y)| assert_abs_diff_eq!(*x, y, epsilon = 1e-12));
        // A density of 1 − x has half its integral at x = 1 − √2.
        let density: Vec<f64> = levels.iter().map(|level| 1.0 - level).collect();
        assert_abs_diff_eq!(shared_out(&levels, &density, 2)[1], 1.0 - 2.0f64.sqrt(), epsilon = 1e-3);
        // Where there is no density there are long steps, and an order still.
        assert!(shared_out(&levels, &vec![0.0; 101], 5).windows(2).all(|pair| pair[0] > pair[1]));
    }
}
