//! A fine solution of the probability-flow ODE, which methods compare a solver with.

use tch::Tensor;

use super::times;
use crate::error::Result;
use crate::score::{Denoiser, Eval};
use crate::sde::Kernel;
use crate::solve::{Dpmpp3s, Fresh, Integrator};

/// Points on the probability flow, with what the model says there.
#[derive(Debug)]
pub struct Teacher {
    /// One evaluation for each level.
    pub points: Vec<Eval>,
    /// κ at each level, relative to that at the last.
    ratios: Vec<f64>,
}

/// Steps of the teacher between two levels.
const SUBSTEPS: usize = 2;

impl Teacher {
    /// The flow from `x` `[B, …]` at the first of `levels`, at all of them: two steps of DPM-Solver++(3S) from one to the
    /// next, so that its errors are far below those that it judges.
    ///
    /// # Errors
    /// A state that is not finite.
    pub fn new(denoiser: &dyn Denoiser, levels: &[f64], x: Tensor) -> Result<Self> {
        let fine: Vec<f64> = levels
            .windows(2)
            .flat_map(|pair| (0..SUBSTEPS).map(|i| pair[0] + (pair[1] - pair[0]) * i as f64 / SUBSTEPS as f64))
            .chain(levels.last().copied())
            .collect();
        let times = times(denoiser.sde(), &fine);
        let (method, mut noise) = (Dpmpp3s::default().into(), Fresh::new(0, 0));
        let evaluate = |x: Tensor, t: f64| tch::no_grad(|| Eval::new(denoiser, x, t));
        let mut points = vec![evaluate(x.shallow_clone(), times[0])];
        for (step, point) in Integrator::new(denoiser, &method, &times, &mut noise, x).enumerate() {
            // Of what lies between two levels nothing is kept.
            let (x, done) = (point?.x, step + 1);
            if done % SUBSTEPS == 0 {
                points.push(evaluate(x, times[done]));
            }
        }
        let last = levels[levels.len() - 1];
        Ok(Teacher { points, ratios: levels.iter().map(|level| (level - last).exp()).collect() })
    }

    /// What an error at level `i` becomes by the end: Σ |J e|² over the samples, e = x/α − x*/α the error and J how the flow
    /// carries it on; `x0` is what the model says at x.
    ///
    /// Of Gaussian data the flow multiplies an error along an eigenvector by √((Λ + κ_N²)/(Λ + κ²)), and the model's answer
    /// to it by g = Λ/(Λ + κ²). So |J e|² = ⟨e, g e⟩ + (κ_N/κ)² (⟨e, e⟩ − ⟨e, g e⟩), where g e = D(x) − D(x*): exact for
    /// Gaussians, without a Jacobian; elsewhere a measure that knows which errors the flow forgets.
    pub fn carried(&self, i: usize, x: &Tensor, x0: &Tensor) -> f64 {
        let Eval { kernel: Kernel { alpha, .. }, x: there, x0: known, .. } = &self.points[i];
        let error = (x - there) / *alpha;
        let answer = (&error * (x0 - known)).sum(tch::Kind::Double).double_value(&[]);
        let whole = error.square().sum(tch::Kind::Double).double_value(&[]);
        let remains = self.ratios[i].powi(-2);
        // A learned denoiser may answer against the error.
        remains * whole + (1.0 - remains) * answer.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use approx::assert_relative_eq;
    use tch::{Device, Kind};

    use super::super::{equal, levels};
    use super::*;
    use crate::score::exact::{Exact, Law};
    use crate::sde::{Sde, Vp};

    /// Against the closed form of the flow of a Gaussian, which keeps x/√(α² Λ + σ²).
    #[test]
    fn follows_the_flow_and_carries_errors_as_it_does() {
        let sde: Arc<dyn Sde> = Arc::new(Vp::default());
        let variance = [1.0, 0.01];
        let denoiser = Exact::new(&Law::spectrum(&[0.0; 2], &variance), sde.clone(), (Kind::Double, Device::Cpu));
        let grid = equal(&*sde, 60);
        let teacher = Teacher::new(&denoiser, &grid, Tensor::ones([1, 2], (Kind::Double, Device::Cpu))).unwrap();
        let spread = |i: usize, d: usize| {
            let Kernel { alpha, sigma } = teacher.points[i].kernel;
            (alpha * alpha * variance[d] + sigma * sigma).sqrt()
        };
        let error = Tensor::from_slice(&[0.3, -0.2]).unsqueeze(0);
        for i in [0, 20, 45, 60] {
            let point = &teacher.points[i];
            for d in 0..2 {
                let x = point.x.double_value(&[0, d as i64]);
                assert_relative_eq!(x, spread(i, d) / spread(0, d), max_relative = 1e-4);
            }
            let moved = &point.x + &error;
            let x0 = denoiser.denoise(&moved, point.t);
            let alpha = teacher.points[60].kernel.alpha;
            let at_end = |d: usize, e: f64| e * spread(60, d) / spread(i, d) / alpha;
            let expected = at_end(0, 0.3).powi(2) + at_end(1, -0.2).powi(2);
            assert_relative_eq!(teacher.carried(i, &moved, &x0), expected, max_relative = 1e-9);
        }
        assert_eq!(levels(&*sde, &times(&*sde, &grid)).len(), 61);
    }
}
