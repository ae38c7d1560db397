//! Exact solutions of the probability-flow ODE.

use tch::Tensor;

use super::target::{Mixture, gaussian, line, many, plane};
use crate::rng::{Purpose, Stream};
use crate::sde::{Kernel, Sde};

/// A problem: one mixture, and points on its probability flow at both ends of a span.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub name: &'static str,
    pub mixture: Mixture,
    /// `[ROWS][D]` at the noisy end.
    pub start: Vec<Vec<f64>>,
    /// `[ROWS][D]` at the other end.
    pub end: Vec<Vec<f64>>,
}

/// Points followed in each problem.
pub(super) const ROWS: usize = 3;

/// Their quantiles on the line, and their standard deviations from the mean.
const QUANTILES: [f64; ROWS] = [0.1, 0.45, 0.9];
const DEVIATIONS: [f64; ROWS] = [1.3, -0.6, 0.4];

/// The problems of deterministic solvers, between two kernels.
pub(super) fn problems(sde: &dyn Sde, (t_max, t_min): (f64, f64)) -> Vec<Problem> {
    let ends = [sde.kernel(t_max), sde.kernel(t_min)];
    let [start, end] = ends.map(|kernel| DEVIATIONS.map(|z| on_gaussian(&gaussian(), kernel, z)).to_vec());
    let of_gaussian = Problem { name: "gaussian", mixture: gaussian(), start, end };
    let [start, end] = ends.map(|kernel| QUANTILES.map(|p| vec![quantile(&line(), kernel, p)]).to_vec());
    let of_line = Problem { name: "mixture_1d", mixture: line(), start, end };
    let followed = |name, mixture: Mixture| {
        let dim = mixture.dim();
        let mut normals = vec![0.0; ROWS * dim];
        Stream::new(11, Purpose::Prior).normals(0, 0, ROWS * dim, &mut normals);
        // Draws of the marginal at the noisy end, near enough: the flow is exact from anywhere.
        let start: Vec<Vec<f64>> = normals.chunks(dim).map(|z| z.iter().map(|z| ends[0].sigma * z).collect()).collect();
        let end = start.iter().map(|x| follow(&mixture, ends, x)).collect();
        Problem { name, mixture, start, end }
    };
    vec![of_gaussian, of_line, followed("mixture_2d", plane()), followed("mixture_16d", many())]
}

/// The flow of a Gaussian keeps (x − α μ)/√(α² λ + σ²) in each coordinate.
fn on_gaussian(mixture: &Mixture, Kernel { alpha, sigma }: Kernel, z: f64) -> Vec<f64> {
    let component = &mixture.components[0];
    let spreads = component.variance.iter().map(|variance| (alpha * alpha * variance + sigma * sigma).sqrt());
    component.mean.iter().zip(spreads).map(|(mean, spread)| alpha * mean + z * spread).collect()
}

/// On the line the flow keeps quantiles, for it moves no mass past another: x_t = F_t⁻¹(F_s(x_s)). By bisection.
fn quantile(mixture: &Mixture, Kernel { alpha, sigma }: Kernel, p: f64) -> f64 {
    let parts: Vec<(f64, f64, f64)> = mixture
        .components
        .iter()
        .map(|c| (c.weight, alpha * c.mean[0], (alpha * alpha * c.variance[0] + sigma * sigma).sqrt()))
        .collect();
    let below =
        |x: f64| -> f64 { parts.iter().map(|&(weight, mean, spread)| weight * normal_cdf((x - mean) / spread)).sum() };
    let (mut low, mut high) = (-10.0 * (alpha + sigma), 10.0 * (alpha + sigma));
    for _ in 0..90 {
        let middle = 0.5 * (low + high);
        if below(middle) < p { low = middle } else { high = middle }
    }
    low
}

/// Φ, by LibTorch: that of statrs is good to 1e-11 only.
fn normal_cdf(x: f64) -> f64 {
    Tensor::from(x).special_ndtr().double_value(&[])
}

/// The flow in z = x/α over λ, dz/dλ = D − z, by midpoint rules extrapolated to order 8 (Gragg 1965; Bulirsch & Stoer
/// 1966) in [`PIECES`] pieces, on the host in float64: independent of every solver here.
fn follow(mixture: &Mixture, [from, to]: [Kernel; 2], x: &[f64]) -> Vec<f64> {
    let (begin, length) = (from.lambda(), to.lambda() - from.lambda());
    let slope = |z: &[f64], lambda: f64| -> Vec<f64> {
        let mut out = vec![0.0; z.len()];
        mixture.denoise(Kernel { alpha: 1.0, sigma: (-lambda).exp() }, z, &mut out);
        out.iter().zip(z).map(|(x0, z)| x0 - z).collect()
    };
    let step = length / PIECES as f64;
    let mut z: Vec<f64> = x.iter().map(|x| x / from.alpha).collect();
    for piece in 0..PIECES {
        z = extrapolated(&slope, &z, begin + piece as f64 * step, step);
    }
    z.iter().map(|z| z * to.alpha).collect()
}

const PIECES: usize = 400;

/// One step of length `step` by the midpoint rule in 2, 4, 6 and 8 parts, extrapolated to none: its error has even
/// powers only, so that each further rule gains two orders (Aitken and Neville).
fn extrapolated(slope: &dyn Fn(&[f64], f64) -> Vec<f64>, z: &[f64], at: f64, step: f64) -> Vec<f64> {
    let advance =
        |z: &[f64], h: f64, slope: &[f64]| -> Vec<f64> { z.iter().zip(slope).map(|(z, s)| z + h * s).collect() };
    let first = slope(z, at);
    let midpoint = |parts: usize| {
        let h = step / parts as f64;
        let (mut before, mut now) = (z.to_vec(), advance(z, h, &first));
        for part in 1..parts {
            let next = advance(&before, 2.0 * h, &slope(&now, at + part as f64 * h));
            (before, now) = (now, next);
        }
        now
    };
    let parts = [2, 4, 6, 8];
    let mut row: Vec<Vec<f64>> = parts.iter().map(|&parts| midpoint(parts)).collect();
    for level in 1..row.len() {
        for j in (level..row.len()).rev() {
            let ratio = (parts[j] as f64 / parts[j - level] as f64).powi(2);
            row[j] =
                row[j].iter().zip(&row[j - 1]).map(|(fine, coarse)| fine + (fine - coarse) / (ratio - 1.0)).collect();
        }
    }
    row.pop().expect("four rules")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::tests::processes;

    /// Extrapolated midpoint rules against the closed forms on every process.
    #[test]
    fn the_reference_is_exact_where_that_is_known() {
        for sde in processes() {
            let span = sde.span();
            let ends = [sde.kernel(span.t_max), sde.kernel(span.t_min)];
            for problem in &problems(&*sde, (span.t_max, span.t_min))[..2] {
                for (start, end) in problem.start.iter().zip(&problem.end) {
                    let found = follow(&problem.mixture, ends, start);
                    let worst = found.iter().zip(end).fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs()));
                    assert!(worst < 3e-14, "{}: {worst:e} on {sde:?}", problem.name);
                }
            }
        }
    }
}
