//! Grids from the eigenvalues of the data.

use std::sync::Arc;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::{Search, Tick, equal, times};
use crate::error::{Error, Fault, Result, Settings, between, positive};
use crate::order::{Axes, output};
use crate::sde::Sde;
use crate::solve::Method;

/// The exact error of the *actual* solver on the Gaussian with the mean and the covariance of the data, minimised.
///
/// On a Gaussian with the exact denoiser a solver with a given grid is a linear map, so that the law of its output is
/// known without samples ([`output`]): N(m, diag v) in the axes of the covariance, where N(m*, diag v*) would be right, the
/// flow of the marginal at t_max. Nothing but mean and eigenvalues is asked of the data, and no model is called. It goes
/// beyond the tangent law (Sabour et al. 2024, Theorem 3.1), which it reproduces for DDIM on one eigenvalue: it holds for
/// every linear solver, its start and its last step included, and for a whole spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spectral {
    /// Which error.
    pub criterion: Criterion,
    /// For `kl`: the standard deviation of the noise in which both laws are seen, relative to that of the data.
    pub resolution: f64,
    /// The most evaluations of the error from one start.
    pub evaluations: usize,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The Kullback–Leibler divergence of the laws, both seen in noise of variance τ²:
    /// ½ Σ [r − 1 − ln r + (m − m*)²/(v* + τ²)], r = (v + τ²)/(v* + τ²). τ = 0 weighs all directions alike, however little
    /// the data vary in them; a large τ only those in which they vary most.
    #[default]
    Kl,
    /// The Wasserstein distance, √Σ[(m − m*)² + (√v − √v*)²]. For a solver of the ODE that keeps signs it is also the
    /// root mean square error along the flow.
    Wasserstein,
    /// No error: the tangent law κ_i = c tan(θ_i), θ at equal distances, with c the root mean square of the eigenvalues.
    Tangent,
}

impl Default for Spectral {
    fn default() -> Self {
        Spectral { criterion: Criterion::Kl, resolution: 0.5, evaluations: 2000 }
    }
}

impl Settings for Spectral {
    fn check(&self) -> Result<(), Fault> {
        positive("resolution", self.resolution)?;
        between("evaluations", self.evaluations, (1, 1_000_000))
    }
}

/// Mean and spectrum of data in few numbers: coordinates with neighbouring eigenvalues share one, and are counted.
#[derive(Clone, Debug)]
pub struct Spectrum {
    axes: Axes,
    count: Array1<f64>,
}

/// The most different eigenvalues that are told apart: 8 % in the deviation from one to the next over eight decades of variance.
const KINDS: usize = 128;

impl Spectrum {
    /// From the data in the axes of their covariance.
    pub fn new(data: &Axes) -> Self {
        let mut order: Vec<usize> = (0..data.mean.len()).collect();
        order.sort_by(|&i, &j| data.deviation[j].total_cmp(&data.deviation[i]));
        let least = data.deviation.iter().copied().filter(|&deviation| deviation > 0.0).fold(f64::INFINITY, f64::min);
        let most = data.deviation[order[0]];
        let few = order.len() <= KINDS;
        // Zeros stay apart from what is small.
        let bin = |deviation: f64| match deviation > 0.0 {
            true => ((deviation / least).ln() / (most / least).ln() * (KINDS - 2) as f64) as i64,
            false => -1,
        };
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for i in order {
            let deviation = data.deviation[i];
            let fits = |group: &Vec<usize>| {
                let known = data.deviation[group[0]];
                known == deviation || (!few && bin(known) == bin(deviation))
            };
            match groups.last_mut() {
                Some(group) if fits(group) => group.push(i),
                _ => groups.push(vec![i]),
            }
        }
        let of = |values: &Array1<f64>| {
            let mean_square =
                |group: &Vec<usize>| group.iter().map(|&i| values[i] * values[i]).sum::<f64>() / group.len() as f64;
            groups.iter().map(|group| mean_square(group).sqrt()).collect()
        };
        // Errors in the mean are linear in the mean, so that its root mean square stands for all.
        let axes = Axes { mean: of(&data.mean), deviation: of(&data.deviation) };
        Spectrum { axes, count: groups.iter().map(|group| group.len() as f64).collect() }
    }

    /// The root mean square deviation of a coordinate.
    pub fn deviation(&self) -> f64 {
        let variance = &self.axes.deviation * &self.axes.deviation;
        (variance.dot(&self.count) / self.count.sum()).sqrt()
    }

    /// What a sampler makes of the marginal at the first time, against what it should.
    fn error(&self, made: &Axes, wanted: &Axes, criterion: Criterion, noise: f64) -> f64 {
        let shift = &made.mean - &wanted.mean;
        let shift = &shift * &shift;
        match criterion {
            Criterion::Kl => {
                let seen = |axes: &Axes| axes.deviation.mapv(|deviation| deviation * deviation + noise * noise);
                let (made, wanted) = (seen(made), seen(wanted));
                // r − 1 and ln r from the difference, which may be tiny.
                let excess = (&made - &wanted) / &wanted;
                let divergence = excess.mapv(|excess| excess - excess.ln_1p()) + shift / &wanted;
                0.5 * divergence.dot(&self.count)
            }
            Criterion::Wasserstein | Criterion::Tangent => {
                let gap = &made.deviation - &wanted.deviation;
                (&gap * &gap + shift).dot(&self.count).sqrt()
            }
        }
    }
}

impl Spectral {
    /// The levels of the best grid for a method, which has to be linear: no corrector with a step size from norms.
    ///
    /// # Errors
    /// A method that is not linear, whatever `tick` returns.
    pub fn find(
        &self,
        spectrum: &Spectrum,
        sde: &Arc<dyn Sde>,
        method: &Method,
        steps: usize,
        tick: &Tick,
    ) -> Result<Vec<f64>> {
        let (scale, even) = (spectrum.deviation(), equal(&**sde, steps));
        if self.criterion == Criterion::Tangent {
            return Ok(tangent(&even, scale));
        }
        let mut error = |levels: &[f64]| {
            tick(0.5 / self.evaluations as f64)?;
            self.error(spectrum, sde, method, levels)
        };
        // Most problems lie between the two: all scales alike, and one scale.
        let starts = [even.clone(), mixed(&even, &tangent(&even, scale))];
        let search = Search { evaluations: self.evaluations, difference: 1e-6 };
        let found = search.best(&starts, &mut error)?;
        if found.error.is_finite() {
            return Ok(found.levels);
        }
        let problem = "the solver does not make a linear map of its normals, or diverges";
        Err(Error::argument("--method spectral", problem, "choose direct, or another solver"))
    }

    /// The error of a grid; ∞ where there is none.
    ///
    /// # Errors
    /// Whatever the run of the sampler returns but divergence.
    pub fn error(&self, spectrum: &Spectrum, sde: &Arc<dyn Sde>, method: &Method, levels: &[f64]) -> Result<f64> {
        let times = times(&**sde, levels);
        let start = spectrum.axes.at(sde.kernel(times[0]));
        let wanted = spectrum.axes.at(sde.kernel(times[times.len() - 1]));
        let made = output(&spectrum.axes, sde, method, &times, &start, &|| Ok(()))?;
        let noise = self.resolution * spectrum.deviation();
        Ok(made.map_or(f64::INFINITY, |made| spectrum.error(&made, &wanted, self.criterion, noise)))
    }
}

/// The tangent law (Sabour et al. 2024, Theorem 3.1): of N(0, c²) and DDIM the least error has κ_i = c tan θ_i, θ at equal
/// distances between its ends; as many levels as given, with their ends.
pub fn tangent(levels: &[f64], c: f64) -> Vec<f64> {
    let n = levels.len() - 1;
    let angle = |level: f64| (level.exp() / c).atan();
    let (first, last) = (angle(levels[0]), angle(levels[n]));
    let at = |i: usize| (c * (first + (last - first) * i as f64 / n as f64).tan()).ln();
    std::iter::once(levels[0]).chain((1..n).map(at)).chain([levels[n]]).collect()
}

/// Half-way between two grids.
fn mixed(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| 0.5 * (one + other)).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::data::Cifar10Gaussian;
    use crate::sde::{Edm, Vp};
    use crate::solve::{Ddim, Dpmpp2m};

    fn data(deviation: &[f64]) -> Spectrum {
        Spectrum::new(&Axes { mean: Array1::zeros(deviation.len()), deviation: deviation.to_vec().into() })
    }

    /// The closed form: of DDIM on N(0, c²) the tangent law is the best grid under every criterion, on every process.
    #[test]
    fn ddim_on_one_eigenvalue_has_the_tangent_law() {
        for sde in [Arc::new(Edm::default()) as Arc<dyn Sde>, Arc::new(Vp::default())] {
            for criterion in [Criterion::Kl, Criterion::Wasserstein] {
                let spectral = Spectral { criterion, ..Default::default() };
                let found = spectral.find(&data(&[0.7; 5]), &sde, &Ddim::default().into(), 6, &|_| Ok(())).unwrap();
                let exact = tangent(&equal(&*sde, 6), 0.7);
                found.iter().zip(&exact).for_each(|(x, y)| assert_abs_diff_eq!(x, y, epsilon = 2e-2));
            }
        }
    }

    #[test]
    fn grouping_hardly_changes_the_error() {
        let sde: Arc<dyn Sde> = Arc::new(Edm::default());
        let deviation: Array1<f64> = Cifar10Gaussian::spectrum().iter().map(|value| value.sqrt()).collect();
        let whole = Axes { mean: Array1::zeros(deviation.len()), deviation };
        let spectrum = Spectrum::new(&whole);
        assert!(spectrum.count.len() <= KINDS && spectrum.count.sum() == 3072.0, "{}", spectrum.count.len());
        approx::assert_relative_eq!(spectrum.deviation(), 0.4979186904, max_relative = 1e-9);
        let levels = equal(&*sde, 10);
        let spectral = Spectral { criterion: Criterion::Wasserstein, ..Default::default() };
        let method = Dpmpp2m { lower_order_final: true, ..Default::default() }.into();
        let error = spectral.error(&spectrum, &sde, &method, &levels).unwrap();
        approx::assert_relative_eq!(error, 0.9547, max_relative = 1e-3);
    }

    #[test]
    fn eigenvalues_of_zero_are_no_obstacle() {
        let sde: Arc<dyn Sde> = Arc::new(Vp::default());
        let spectrum = data(&[1.0, 0.3, 0.0, 0.0]);
        assert_eq!(spectrum.count.to_vec(), [1.0, 1.0, 2.0]);
        let method = Dpmpp2m::default().into();
        let levels = Spectral::default().find(&spectrum, &sde, &method, 5, &|_| Ok(())).unwrap();
        assert!(levels.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
