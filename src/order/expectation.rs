//! Expectations of the end of a reverse process, given a state on the way.

use super::target::{Component, Mixture};
use crate::sde::Kernel;

/// u(z) = E[φ(z_end) | z] at one noise level, for φ = z and z², z = x/α: values on a grid, by local interpolation.
#[derive(Clone, Debug)]
pub(super) struct Expectation {
    centre: f64,
    /// The distance of the nodes.
    width: f64,
    values: Vec<[f64; 2]>,
}

/// Nodes on either side of the mean, and how many to a standard deviation.
const SIDE: usize = 64;
const DENSITY: f64 = 8.0;
/// Interpolation is through so many nodes.
const STENCIL: usize = 8;

impl Expectation {
    /// That which has the given values at the nodes, asked for in their order.
    pub fn new(mixture: &Mixture, ratio: f64, value: impl FnMut(f64) -> [f64; 2]) -> Self {
        let (centre, width) = Self::scale(mixture, ratio);
        Expectation { centre, width, values: Self::nodes(mixture, ratio).into_iter().map(value).collect() }
    }

    fn scale(mixture: &Mixture, ratio: f64) -> (f64, f64) {
        let (mean, variance) = mixture.moments(0);
        (mean, (variance + ratio * ratio).sqrt() / DENSITY)
    }

    /// The nodes at a noise level: out to eight standard deviations.
    pub fn nodes(mixture: &Mixture, ratio: f64) -> Vec<f64> {
        let (centre, width) = Self::scale(mixture, ratio);
        (0..=2 * SIDE).map(|i| centre + (i as f64 - SIDE as f64) * width).collect()
    }

    /// u(z), by the polynomial through the nearest nodes.
    pub fn at(&self, z: f64) -> [f64; 2] {
        let place = (z - self.centre) / self.width + SIDE as f64;
        let first = (place - 0.5 * (STENCIL as f64 - 2.0)).floor().clamp(0.0, (self.values.len() - STENCIL) as f64);
        let v = place - first;
        // Π_{j ≠ i} (v − j)/(i − j), from products of what lies left and right of i.
        let mut right = [1.0; STENCIL];
        for i in (0..STENCIL - 1).rev() {
            right[i] = right[i + 1] * (v - (i + 1) as f64);
        }
        let (mut left, mut sum) = (1.0, [0.0; 2]);
        for (i, values) in self.values[first as usize..][..STENCIL].iter().enumerate() {
            let weight = left * right[i] / DIVISORS[i];
            sum = [0, 1].map(|k| sum[k] + weight * values[k]);
            left *= v - i as f64;
        }
        sum
    }

    /// E u(z) over the marginal of data of this law at the noise level of u: the trapezoidal rule on the nodes.
    pub fn mean(&self, mixture: &Mixture, ratio: f64) -> [f64; 2] {
        let density = |z: f64| -> f64 {
            let of = |c: &Component| {
                let spread = c.variance[0] + ratio * ratio;
                c.weight * (-0.5 * (z - c.mean[0]).powi(2) / spread).exp() / (std::f64::consts::TAU * spread).sqrt()
            };
            mixture.components.iter().map(of).sum()
        };
        self.values.iter().enumerate().fold([0.0; 2], |sum, (i, values)| {
            let weight = self.width * density(self.centre + (i as f64 - SIDE as f64) * self.width);
            [0, 1].map(|k| sum[k] + weight * values[k])
        })
    }
}

/// Π_{j ≠ i} (i − j) for eight nodes.
const DIVISORS: [f64; STENCIL] = [-5040.0, 720.0, -240.0, 144.0, -144.0, 240.0, -720.0, 5040.0];

/// u at each of falling noise levels, for a process that has the stochasticity `q[n]` between levels n and n + 1.
///
/// Backwards from φ by exponential Euler steps, two and four between levels, extrapolated.
pub(super) fn expectations(mixture: &Mixture, ratios: &[f64], q: &[f64]) -> Vec<Expectation> {
    let [coarse, fine] = [2, 4].map(|pieces| chain(mixture, ratios, q, pieces));
    let extrapolate = |(mut fine, coarse): (Expectation, Expectation)| {
        for (fine, coarse) in fine.values.iter_mut().zip(&coarse.values) {
            *fine = [0, 1].map(|k| 2.0 * fine[k] - coarse[k]);
        }
        fine
    };
    fine.into_iter().zip(coarse).map(extrapolate).collect()
}

fn chain(mixture: &Mixture, ratios: &[f64], q: &[f64], pieces: usize) -> Vec<Expectation> {
    let rule = gauss_hermite(5);
    let mut now = Expectation::new(mixture, ratios[ratios.len() - 1], |z| [z, z * z]);
    let mut all = vec![now.clone()];
    for (levels, q) in ratios.windows(2).zip(q).rev() {
        let r = (levels[1] / levels[0]).powf(1.0 / pieces as f64);
        for piece in (0..pieces).rev() {
            let from = levels[0] * r.powi(piece as i32);
            let (carry, spread) = (r.powf(1.0 + q), from * r * (1.0 - r.powf(2.0 * q)).max(0.0).sqrt());
            now = Expectation::new(mixture, from, |z| {
                let mut x0 = [0.0];
                mixture.denoise(Kernel { alpha: 1.0, sigma: from }, &[z], &mut x0);
                let next = carry * z + (1.0 - carry) * x0[0];
                rule.iter().fold([0.0; 2], |sum, (node, weight)| {
                    let values = now.at(next + spread * node);
                    [0, 1].map(|k| sum[k] + weight * values[k])
                })
            });
        }
        all.push(now.clone());
    }
    all.reverse();
    all
}

/// Nodes and weights with which E f(ξ), ξ standard normal, is exact for polynomials of degree 2n − 1: the roots of the
/// Hermite polynomial He_n, by Newton's method with those already found divided out.
pub(super) fn gauss_hermite(n: usize) -> Vec<(f64, f64)> {
    let hermite = |x: f64| (1..n).fold((1.0, x), |(before, now), k| (now, x * now - k as f64 * before));
    let mut nodes: Vec<f64> = Vec::new();
    for _ in 0..n {
        let mut x = 2.0 * (n as f64).sqrt();
        for _ in 0..100 {
            let (before, now) = hermite(x);
            // He_n′ = n He_{n−1}.
            x -= now / (n as f64 * before - now * nodes.iter().map(|node| 1.0 / (x - node)).sum::<f64>());
        }
        nodes.push(x);
    }
    let factorial: f64 = (1..=n).map(|k| k as f64).product();
    nodes.into_iter().map(|x| (x, factorial / (n as f64 * hermite(x).0).powi(2))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::target::line;
    use super::*;

    #[test]
    fn quadrature_has_the_moments_of_a_normal() {
        for n in [1, 2, 5, 8] {
            let rule = gauss_hermite(n);
            let mut exact = 1.0;
            for power in (0..2 * n as i32).step_by(2) {
                let moment: f64 = rule.iter().map(|(node, weight)| weight * node.powi(power)).sum();
                let odd: f64 = rule.iter().map(|(node, weight)| weight * node.powi(power + 1)).sum();
                assert!((moment / exact - 1.0).abs() < 1e-12 && odd.abs() < 1e-8 * exact, "{n}: {moment} {odd}");
                exact *= f64::from(power + 1);
            }
        }
    }

    #[test]
    fn interpolation_is_exact_for_polynomials() {
        let cubic = |z: f64| [z * z * z - z, 2.0 * z - 1.0];
        let u = Expectation::new(&line(), 0.7, cubic);
        for z in [-7.0, -1.234, 0.0, 0.01, 3.7, 7.5] {
            assert!((0..2).all(|k| (u.at(z)[k] - cubic(z)[k]).abs() < 1e-9), "{z}");
        }
    }

    /// Given z, the reverse SDE ends at κ with z_end = z-weighted data and noise: its law is a mixture again, and E x₀ is D.
    #[test]
    fn the_reverse_sde_has_the_expectations_of_its_closed_form() {
        let (mixture, steps) = (line(), 40);
        let ratios: Vec<f64> = (0..=steps).map(|i| 10.0 * 0.005f64.powf(f64::from(i) / f64::from(steps))).collect();
        let all = expectations(&mixture, &ratios, &vec![1.0; ratios.len() - 1]);
        let (from, end) = (10, ratios[ratios.len() - 1]);
        let (kappa, carry) = (ratios[from], (end / ratios[from]).powi(2));
        for z in [-3.0, -0.4, 0.3, 2.5] {
            let mut x0 = [0.0];
            mixture.denoise(Kernel { alpha: 1.0, sigma: kappa }, &[z], &mut x0);
            let exact = carry * z + (1.0 - carry) * x0[0];
            let gap = (all[from].at(z)[0] - exact).abs();
            assert!(gap < 1e-3, "{gap:e} at {z}");
        }
        let (mean, variance) = mixture.moments(0);
        let found = all[0].mean(&mixture, ratios[0]);
        let exact = [mean, variance + mean * mean + end * end];
        assert!((0..2).all(|k| (found[k] - exact[k]).abs() < 1e-3), "{found:?} {exact:?}");
    }
}
