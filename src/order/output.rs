//! The exact law of what a linear sampler makes of Gaussian data in many dimensions.

use std::sync::Arc;

use ndarray::Array1;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::target::DOUBLE;
use crate::error::{Error, Result};
use crate::score::exact::{Exact, Law};
use crate::sde::{Kernel, Sde};
use crate::solve::{Integrator, Method, Noise};
use crate::tensor::to_rows;

/// A Gaussian in the axes of a covariance, in which its coordinates are independent.
#[derive(Clone, Debug)]
pub struct Axes {
    /// The mean `[D]`.
    pub mean: Array1<f64>,
    /// The standard deviation `[D]`.
    pub deviation: Array1<f64>,
}

impl Axes {
    /// The data themselves, in the axes of their covariance; none unless their law is one Gaussian.
    pub fn of_data(law: &Law) -> Option<Self> {
        let (mean, eigenvalues) = law.axes()?;
        Some(Axes { mean, deviation: eigenvalues.mapv(f64::sqrt) })
    }

    /// N(0, s² I) in as many dimensions.
    pub fn noise(&self, s: f64) -> Self {
        Axes { mean: Array1::zeros(self.mean.len()), deviation: Array1::from_elem(self.mean.len(), s) }
    }

    /// The marginal of these data at a noise level: N(α μ, α² Λ + σ² I).
    pub fn at(&self, Kernel { alpha, sigma }: Kernel) -> Self {
        Axes { mean: &self.mean * alpha, deviation: self.deviation.mapv(|deviation| (alpha * deviation).hypot(sigma)) }
    }

    /// Some of its coordinates.
    fn piece(&self, first: usize, count: usize) -> Self {
        let part = |values: &Array1<f64>| values.slice(ndarray::s![first..first + count]).to_owned();
        Axes { mean: part(&self.mean), deviation: part(&self.deviation) }
    }
}

/// The law of the output of a sampler on `times` that starts from `start`, with the exact denoiser of Gaussian `data`;
/// none of a sampler that does not stay finite or is not linear in its normals, such as one with a step size from norms.
///
/// In the axes of the data's covariance, the denoiser acts on each coordinate by itself, and a step has one coefficient
/// for all coordinates. So the output is x = o + a x_T + Σ_m b_m ξ_m in each coordinate, and a batched run of the
/// production integrator on unit vectors finds o, a and b: the law without Monte Carlo (Pierret & Galerne 2025, section 4,
/// for one-step methods). A further sample with arbitrary inputs tells whether the map is linear.
///
/// For M draws of noise it costs a run of M + 3 samples, side by side in pieces of the coordinates.
///
/// # Errors
/// Whatever `tick` returns; it is called after each step.
pub fn output(
    data: &Axes,
    sde: &Arc<dyn Sde>,
    method: &Method,
    times: &[f64],
    start: &Axes,
    tick: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Option<Axes>> {
    let run = |data: &Axes, noise: &mut Units, x: Tensor| {
        let eigenvalues = data.deviation.mapv(|deviation| deviation * deviation);
        let denoiser = Exact::new(&Law::spectrum(&data.mean.to_vec(), &eigenvalues.to_vec()), sde.clone(), DOUBLE);
        Integrator::new(&denoiser, method, times, noise, x).run(|_| tick())
    };
    let mut counted = Units(0);
    let dim = data.mean.len();
    let law = run(&data.piece(0, 1), &mut counted, Tensor::ones([1, 1], DOUBLE)).and_then(|_| {
        let piece = |first: usize| {
            let count = PIECE.min(dim - first);
            piece(&data.piece(first, count), &start.piece(first, count), counted.0, &run)
        };
        (0..dim).into_par_iter().step_by(PIECE).map(piece).collect::<Result<Option<Vec<Axes>>>>()
    });
    match law {
        Ok(pieces) => Ok(pieces.map(|pieces| {
            let gather = |part: fn(&Axes) -> &Array1<f64>| pieces.iter().flat_map(move |piece| part(piece).to_vec());
            Axes { mean: gather(|piece| &piece.mean).collect(), deviation: gather(|piece| &piece.deviation).collect() }
        })),
        Err(Error::NonFinite { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Coordinates that are run together: 1,000 samples of them stay in the cache of a core.
const PIECE: usize = 64;

/// How far from linear round-off may make a map, relatively: where an explicit method is unstable, its stages are many
/// orders larger than what is left of them.
const ROUND_OFF: f64 = 1e-4;

/// The law of the output in some coordinates, from a run of `draws` draws.
fn piece(
    data: &Axes,
    start: &Axes,
    draws: usize,
    run: &(dyn Fn(&Axes, &mut Units, Tensor) -> Result<Tensor> + Sync),
) -> Result<Option<Axes>> {
    // Samples: the image of nothing, of x_T = 1, of each ξ_m = 1, and of the probe.
    let samples = draws as i64 + 3;
    let x = Tensor::zeros([samples, data.mean.len() as i64], DOUBLE);
    let _ = x.get(1).fill_(1.0);
    let _ = x.get(samples - 1).fill_(probe(0));
    let out = run(data, &mut Units(0), x)?;
    let total = |x: &Tensor| x.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
    let (origin, probed) = (out.get(0), out.get(samples - 1));
    let gains = out.narrow(0, 1, samples - 2) - &origin;
    let probes: Vec<f64> = (0..=draws).map(probe).collect();
    let terms = &gains * Tensor::from_slice(&probes).unsqueeze(1);
    let gap = (probed - &origin - total(&terms)).abs() - (total(&terms.abs()) + origin.abs()) * ROUND_OFF;
    if gap.max().double_value(&[]) > 0.0 {
        return Ok(None);
    }
    let row = |x: Tensor| to_rows(&x.unsqueeze(0)).row(0).to_owned();
    let (carry, noise) = (row(gains.get(0)), row(total(&gains.narrow(0, 1, samples - 3).square())));
    let spread = &carry * &start.deviation;
    let (mean, variance) = (row(origin) + &carry * &start.mean, &spread * &spread + noise);
    Ok(Some(Axes { mean, deviation: variance.mapv(f64::sqrt) }))
}

/// The input m of the probe: anything in which no two are alike.
fn probe(m: usize) -> f64 {
    (1.0 + m as f64 * std::f64::consts::SQRT_2).sin()
}

/// Draws of which the m-th, from 1, is one for sample m + 1, something for the last, and nothing for the others.
#[derive(Debug)]
struct Units(usize);

impl Noise for Units {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        self.normal(like) * (b - a).abs().sqrt()
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        self.0 += 1;
        let (z, last, own) = (like.zeros_like(), like.size()[0] - 1, self.0 as i64 + 1);
        let _ = z.get(last).fill_(probe(self.0));
        if own < last {
            let _ = z.get(own).fill_(1.0);
        }
        z
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::arr1;

    use super::*;
    use crate::order::{AffineMap, Gaussian};
    use crate::sde::Vp;
    use crate::solve::{Dpmpp2mSde, Grid, Langevin, LogSnr, UniPc};

    /// Each coordinate as the dense map of its own problem has it.
    #[test]
    fn is_the_law_of_the_affine_map() {
        let sde: Arc<dyn Sde> = Arc::new(Vp::default());
        let times = LogSnr::default().times(&*sde, 12);
        let (mean, deviation) = (Array1::linspace(-1.0, 1.0, 70), Array1::linspace(0.01, 3.0, 70));
        let data = Axes { mean, deviation };
        let start = Axes { mean: Array1::from_elem(70, 0.3), deviation: Array1::from_elem(70, 1.1) };
        for method in [Method::from(Dpmpp2mSde::default()), Method::from(UniPc::default())] {
            let found = output(&data, &sde, &method, &times, &start, &|| Ok(())).unwrap().expect("a linear sampler");
            for i in [0, 31, 63, 64, 69] {
                let denoiser = Gaussian::scalar(data.mean[i], data.deviation[i].powi(2)).denoiser(&sde);
                let map = AffineMap::of(&denoiser, &method, &times, 1).unwrap();
                let law = map.push(&Gaussian::scalar(0.3, 1.1 * 1.1));
                assert_relative_eq!(found.mean[i], law.mean[0], max_relative = 1e-11);
                assert_relative_eq!(found.deviation[i], law.cov[[0, 0]].sqrt(), max_relative = 1e-11);
            }
        }
    }

    #[test]
    fn a_sampler_that_is_not_linear_has_none() {
        let sde: Arc<dyn Sde> = Arc::new(Vp::default());
        let data = Axes { mean: arr1(&[0.7, -0.2]), deviation: arr1(&[0.5, 2.0]) };
        let method = Method { corrector: Some(Box::new(Langevin::default())), ..UniPc::default().into() };
        let times = LogSnr::default().times(&*sde, 12);
        assert!(output(&data, &sde, &method, &times, &data.noise(1.0), &|| Ok(())).unwrap().is_none());
    }

    #[test]
    fn an_interrupt_ends_the_run() {
        let sde: Arc<dyn Sde> = Arc::new(Vp::default());
        let data = Axes { mean: arr1(&[0.7]), deviation: arr1(&[0.5]) };
        let times = LogSnr::default().times(&*sde, 12);
        let stop = || Err(Error::argument("--x", "stop", "stop"));
        assert!(output(&data, &sde, &UniPc::default().into(), &times, &data.noise(1.0), &stop).is_err());
    }
}
