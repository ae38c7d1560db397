//! The time steps of Xue et al. (2024): without a model.

use serde::{Deserialize, Serialize};

use super::{Search, equal};
use crate::error::{Fault, Result, Settings, positive};
use crate::sde::Sde;
use crate::solve::data_weights;

/// Optimised time steps (Xue, Liu, Chen, Zhang, Hu, Xie & Li 2024, “Accelerating diffusion sampling with optimized time
/// steps”, eq. 18): the error of a multistep method bounded by what its weights make of the errors of its evaluations.
///
/// In λ = −ln κ, step s from λ_s to λ_{s+1} of a method on data predictions is, up to α, σ: ∫ e^λ D(λ) dλ with D continued
/// by the polynomial through the last k evaluations, k = 1, 2, 3, 3, …, 3, 2, 1. Evaluation n so gets the weights
/// J_{n,s} = ∫_{λ_s}^{λ_{s+1}} e^λ ℓ_{n,s}(λ) dλ, ℓ the basis of Lagrange, and with errors of size ε_n the bound is
///
/// Σ_n ε_n |Σ_s J_{n,s}|,  ε = σ^p/α,
///
/// where, for stability at few steps, each of the first three steps enters by itself, as √(Σ_n (ε_n J_{n,s})²). σ and α
/// are those of the variance-preserving process at the same κ. The published code has p = 2; p = 1 does better on pixels.
///
/// The search starts from equal distances in λ, as the published one does, and is deterministic. It sees neither data nor
/// solver: one grid for all multistep methods of order three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Analytic {
    /// p: how the error of a prediction grows with the noise.
    pub power: f64,
}

impl Default for Analytic {
    fn default() -> Self {
        Analytic { power: 1.0 }
    }
}

impl Settings for Analytic {
    fn check(&self) -> Result<(), Fault> {
        positive("power", self.power)
    }
}

/// Steps that enter by themselves.
const FIRST: usize = 3;

impl Analytic {
    /// The levels of the best grid.
    pub fn find(&self, sde: &dyn Sde, steps: usize) -> Vec<f64> {
        let search = Search { evaluations: 100 * (steps + 10), difference: 1e-6 };
        let found = search.descend(&equal(sde, steps), &mut |levels| Ok(self.bound(levels)));
        found.expect("the bound does not fail").levels
    }

    /// The bound for a grid, divided by e^λ at its end.
    pub fn bound(&self, levels: &[f64]) -> f64 {
        let n = levels.len() - 1;
        let lambda: Vec<f64> = levels.iter().map(|level| levels[n] - level).collect();
        let size = |level: f64| {
            let kappa = level.exp();
            let alpha = 1.0 / 1.0f64.hypot(kappa);
            (kappa * alpha).powf(self.power) / alpha
        };
        let (mut alone, mut together) = (0.0, vec![0.0; n]);
        for s in 0..n {
            let order = 3.min(s + 1).min(n - s);
            let nodes = s + 1 - order..s + 1;
            let weights = weights(&lambda[nodes.clone()], lambda[s], lambda[s + 1]);
            let terms = nodes.clone().zip(weights).map(|(node, weight)| (node, weight * size(levels[node])));
            if s < FIRST || order == 1 {
                alone += terms.map(|(_, term)| term * term).sum::<f64>().sqrt();
            } else {
                terms.for_each(|(node, term)| together[node] += term);
            }
        }
        alone + together.iter().map(|sum| sum.abs()).sum::<f64>()
    }
}

/// ∫_a^b e^λ ℓ_j(λ) dλ for each node.
fn weights(nodes: &[f64], a: f64, b: f64) -> Vec<f64> {
    let nodes: Vec<f64> = nodes.iter().map(|node| (node - a) / (b - a)).collect();
    data_weights(&nodes, b - a).into_iter().map(|weight| weight * b.exp()).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::sde::{Edm, Vp};

    /// Weights against quadrature.
    #[test]
    fn weights_are_the_integrals() {
        let nodes = [-0.9, -0.4, 0.3];
        for k in 1..=3 {
            let nodes = &nodes[3 - k..];
            let (a, b) = (0.3, 1.7);
            let found = weights(nodes, a, b);
            for (j, &weight) in found.iter().enumerate() {
                let basis = |x: f64| {
                    let others = nodes.iter().enumerate().filter(|&(i, _)| i != j);
                    others.map(|(_, &node)| (x - node) / (nodes[j] - node)).product::<f64>()
                };
                let n = 20_000;
                let middle = |i: usize| a + (b - a) * (i as f64 + 0.5) / n as f64;
                let sum: f64 = (0..n).map(|i| middle(i).exp() * basis(middle(i))).sum::<f64>() * (b - a) / n as f64;
                assert_relative_eq!(weight, sum, max_relative = 1e-6);
            }
        }
    }

    #[test]
    fn the_bound_is_lower_than_that_of_equal_distances_and_found_again() {
        for steps in [1, 2, 5, 10, 20] {
            for power in [1.0, 2.0] {
                let analytic = Analytic { power };
                for sde in [&Edm::default() as &dyn Sde, &Vp::default()] {
                    let levels = analytic.find(sde, steps);
                    assert!(levels.windows(2).all(|pair| pair[0] > pair[1]), "{levels:?}");
                    let (found, start) = (analytic.bound(&levels), analytic.bound(&equal(sde, steps)));
                    assert!(found <= start && (steps < 3 || found < 0.99 * start), "{steps}: {found} of {start}");
                    assert_eq!(levels, analytic.find(sde, steps));
                }
            }
        }
    }
}
