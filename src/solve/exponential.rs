//! Exponential integrators: the algebra of one step in (α, σ, λ, q) that the whole family shares.
//!
//! The reverse process of stochasticity q is linear but for its prediction M(λ), so that a step t → s with
//! h = λ_s − λ_t and u = (λ − λ_t)/h is exact up to how M is continued over it:
//!
//! x_s = A x_t + ∫₀¹ ω(u) M(u) du + S ξ
//!
//! | M | A | ω(u) | S² |
//! |---|---|---|---|
//! | data x̂₀ | (σ_s/σ_t) e^{−qh} | α_s H e^{−H(1−u)}, H = (1+q) h | σ_s² (1 − e^{−2qh}) |
//! | noise ε̂ | α_s/α_t | −(1+q) σ_s h e^{h(1−u)} | q σ_s² (e^{2h} − 1) |
//! | velocity (ODE) | r_s/r_t, r = √(α² + σ²) | −r_s h κ/(1+κ²) | 0 |
//!
//! A polynomial through n predictions at the nodes u_j turns the integral into Σ w_j M_j with Σ_j w_j u_jᵏ = m_k, where
//! m_k = ∫ ω uᵏ du: weights follow from moments. All multistep and single-step methods of the family differ in their
//! nodes and in what they take for the moments (Hochbruck & Ostermann 2010; Lu et al. 2022, 2022b; Zhao et al. 2023).

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Clock, Context};
use crate::error::Fault;
use crate::score::Eval;
use crate::sde::{Kernel, Sde};
use crate::tensor::weighted_sum;

/// What a method continues over a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Predict {
    /// The data x̂₀: smooth at low noise, and what guidance leaves bounded.
    #[default]
    Data,
    /// The noise ε̂.
    Noise,
    /// The velocity on the circle, (x/(α (1+κ²)) − x̂₀) √(1+κ²)/κ, which is bounded at both ends; for the ODE alone.
    Velocity,
}

/// The variable in which predictions are continued by a polynomial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// λ = −ln κ.
    #[default]
    LogSnr,
    /// κ = σ/α.
    Ratio,
    /// t.
    Time,
}

impl Basis {
    fn of(self, sde: &dyn Sde, lambda: f64) -> f64 {
        match self {
            Basis::LogSnr => lambda,
            Basis::Ratio => (-lambda).exp(),
            Basis::Time => sde.time_of_ratio((-lambda).exp()),
        }
    }

    fn at(self, eval: &Eval) -> f64 {
        match self {
            Basis::LogSnr => eval.kernel.lambda(),
            Basis::Ratio => eval.kernel.ratio(),
            Basis::Time => eval.t,
        }
    }
}

/// Refuses a stochasticity that is negative, not finite, or beyond all use.
pub(super) fn check_eta(eta: f64) -> Result<(), Fault> {
    if (0.0..=10.0).contains(&eta) {
        return Ok(());
    }
    let remedy = "write 0 for the ODE, 1 for the reverse SDE, or a number between 0 and 10";
    Err(Fault::new("eta", format!("{eta} is not a stochasticity"), remedy))
}

/// A prediction and a stochasticity q.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Form {
    pub predict: Predict,
    pub q: f64,
}

impl Form {
    pub(super) const DATA: Form = Form { predict: Predict::Data, q: 0.0 };
    pub(super) const NOISE: Form = Form { predict: Predict::Noise, q: 0.0 };

    pub(super) fn data(q: f64) -> Self {
        Form { predict: Predict::Data, q }
    }

    /// The clock on which the noise of a step is an increment.
    pub(super) fn clock(self) -> Clock {
        match self.predict {
            Predict::Data => Clock::Ratio(-2.0 * self.q),
            _ => Clock::FORWARD,
        }
    }

    /// The step between two noise levels.
    pub(super) fn leap(self, from: Kernel, to: Kernel) -> Leap {
        Leap { form: self, from, to, h: to.lambda() - from.lambda() }
    }

    /// M = a x + b x̂₀ of an evaluation.
    fn of(self, Kernel { alpha, sigma }: Kernel) -> (f64, f64) {
        let radius = alpha.hypot(sigma);
        match self.predict {
            Predict::Data => (0.0, 1.0),
            Predict::Noise => (1.0 / sigma, -alpha / sigma),
            Predict::Velocity => (alpha / (sigma * radius), -radius / sigma),
        }
    }

    /// The increment of the Brownian motion in a step; none for the ODE.
    pub(super) fn increment(self, cx: &mut Context, like: &Tensor, t: f64, s: f64) -> Option<Tensor> {
        (self.q > 0.0).then(|| cx.brownian(self.clock(), like, t, s))
    }

    /// An evaluation at a state `x` whose prediction M is that made at another state of the same time: what
    /// predictor–corrector methods do to save an evaluation.
    pub(super) fn carried(self, predicted: &Eval, x: Tensor) -> Eval {
        let Eval { t, kernel, x: old, x0 } = predicted;
        // a x_old + b x̂₀ = a x + b x̂₀′.
        let (a, b) = self.of(*kernel);
        let x0 = match self.predict {
            Predict::Data => x0.shallow_clone(),
            _ => weighted_sum(&[(1.0, x0), (a / b, old), (-a / b, &x)]),
        };
        Eval { t: *t, kernel: *kernel, x, x0 }
    }
}

/// A step of a [`Form`] between two noise levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leap {
    pub form: Form,
    pub from: Kernel,
    pub to: Kernel,
    /// λ_s − λ_t.
    pub h: f64,
}

impl Leap {
    /// A.
    fn carry(&self) -> f64 {
        let (k, ks) = (self.from, self.to);
        match self.form.predict {
            Predict::Data => ks.sigma / k.sigma * (-self.form.q * self.h).exp(),
            Predict::Noise => ks.alpha / k.alpha,
            Predict::Velocity => ks.alpha.hypot(ks.sigma) / k.alpha.hypot(k.sigma),
        }
    }

    /// S ξ = (this) × the increment on the form's clock.
    fn spread(&self) -> f64 {
        match self.form.predict {
            Predict::Data => self.to.sigma * self.to.ratio().powf(self.form.q),
            _ => self.to.alpha * self.form.q.sqrt(),
        }
    }

    /// ω(u).
    fn density(&self, u: f64) -> f64 {
        let (q, h) = (self.form.q, self.h);
        match self.form.predict {
            Predict::Data => self.to.alpha * (1.0 + q) * h * (-(1.0 + q) * h * (1.0 - u)).exp(),
            Predict::Noise => -(1.0 + q) * self.to.sigma * h * (h * (1.0 - u)).exp(),
            Predict::Velocity => {
                let kappa = self.from.ratio() * (-u * h).exp();
                -self.to.alpha.hypot(self.to.sigma) * h * kappa / (1.0 + kappa * kappa)
            }
        }
    }

    /// The moments m_k = ∫ ω uᵏ du, k < n, in λ: exact for data and noise.
    pub(super) fn moments(&self, n: usize) -> Vec<f64> {
        let q = self.form.q;
        match self.form.predict {
            Predict::Data => scaled(self.to.alpha, exponential_moments((1.0 + q) * self.h, n)),
            Predict::Noise => scaled((1.0 + q) * self.to.sigma, exponential_moments(-self.h, n)),
            Predict::Velocity => (0..n as i32).map(|k| integrate(|u| self.density(u) * u.powi(k))).collect(),
        }
    }

    /// The weights of predictions at the nodes u_j for given moments, one for each node.
    pub(super) fn weights(nodes: &[f64], moments: &[f64]) -> Vec<f64> {
        solve_vandermonde(nodes, moments)
    }

    /// The weights of evaluations, the first of them at t, continued in a variable.
    pub(super) fn weights_in(&self, basis: Basis, sde: &dyn Sde, nodes: &[&Eval]) -> Vec<f64> {
        if basis == Basis::LogSnr {
            return Self::weights(&self.nodes(nodes), &self.moments(nodes.len()));
        }
        let lambda = self.from.lambda();
        let (start, end) = (basis.of(sde, lambda), basis.of(sde, lambda + self.h));
        let scaled = |value: f64| (value - start) / (end - start);
        let nodes: Vec<f64> = nodes.iter().map(|eval| scaled(basis.at(eval))).collect();
        let moment = |k| integrate(|u| self.density(u) * scaled(basis.of(sde, lambda + u * self.h)).powi(k));
        Self::weights(&nodes, &(0..nodes.len() as i32).map(moment).collect::<Vec<_>>())
    }

    /// u of evaluations.
    pub(super) fn nodes(&self, evals: &[&Eval]) -> Vec<f64> {
        let start = self.from.lambda();
        evals.iter().map(|eval| (eval.kernel.lambda() - start) / self.h).collect()
    }

    /// A x + Σ w_j M_j + S ξ from the state of `now`; `noise` is the increment on the form's clock.
    pub(super) fn apply(&self, now: &Eval, weights: &[f64], nodes: &[&Eval], noise: Option<&Tensor>) -> Tensor {
        let mut terms = vec![(self.carry(), &now.x)];
        for (&weight, &node) in weights.iter().zip(nodes) {
            let (a, b) = self.form.of(node.kernel);
            if std::ptr::eq(node, now) {
                terms[0].0 += weight * a;
            } else if a != 0.0 {
                terms.push((weight * a, &node.x));
            }
            terms.push((weight * b, &node.x0));
        }
        if let Some(noise) = noise {
            terms.push((self.spread(), noise));
        }
        terms.retain(|(weight, _)| *weight != 0.0);
        weighted_sum(&terms)
    }

    /// The step of order one: M as it is at t.
    pub(super) fn euler(&self, now: &Eval, noise: Option<&Tensor>) -> Tensor {
        self.apply(now, &self.moments(1), &[now], noise)
    }
}

fn scaled(by: f64, mut values: Vec<f64>) -> Vec<f64> {
    values.iter_mut().for_each(|value| *value *= by);
    values
}

/// ∫₀¹ z e^{−z(1−u)} uᵏ du for k < n, any real z.
///
/// Upwards, m_0 = 1 − e^{−z} and m_k = 1 − (k/z) m_{k−1}; that loses digits where |z| is small beside k, and there the
/// series z Σ_n (−z)ⁿ k!/(k+n+1)! is used.
fn exponential_moments(z: f64, n: usize) -> Vec<f64> {
    let series = |k: usize| {
        let (mut term, mut sum) = (z / (k + 1) as f64, 0.0);
        for n in 0..60 {
            sum += term;
            term *= -z / (k + n + 2) as f64;
        }
        sum
    };
    let mut moments = vec![-(-z).exp_m1()];
    for k in 1..n {
        let by_recursion = 1.0 - k as f64 / z * moments[k - 1];
        moments.push(if z.abs() > 1.0 + k as f64 { by_recursion } else { series(k) });
    }
    moments
}

/// The weights of predictions of the data at the nodes u_j for a step of length h in λ, without the factor α of its end:
/// h ∫₀¹ e^{−h(1−u)} ℓ_j(u) du with the basis ℓ of Lagrange.
pub fn data_weights(nodes: &[f64], h: f64) -> Vec<f64> {
    solve_vandermonde(nodes, &exponential_moments(h, nodes.len()))
}

/// The w with Σ_j w_j x_jᵏ = b_k (Björck & Pereyra 1970), the points x_j distinct.
fn solve_vandermonde(points: &[f64], moments: &[f64]) -> Vec<f64> {
    let (x, n) = (points, points.len());
    let mut w = moments[..n].to_vec();
    for (k, x) in x[..n - 1].iter().enumerate() {
        for i in (k + 1..n).rev() {
            w[i] -= x * w[i - 1];
        }
    }
    for k in (0..n - 1).rev() {
        for i in k + 1..n {
            w[i] /= x[i] - x[i - k - 1];
        }
        for i in k..n - 1 {
            w[i] -= w[i + 1];
        }
    }
    w
}

/// ∫₀¹ f du by Gauss–Legendre quadrature of 32 points.
pub(super) fn integrate(f: impl Fn(f64) -> f64) -> f64 {
    static RULE: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| gauss_legendre(32));
    RULE.iter().map(|&(u, weight)| weight * f(u)).sum()
}

/// Points and weights on [0, 1]: the roots of the Legendre polynomial by Newton's method.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let at = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 0.0;
        for _ in 0..20 {
            let (mut p, mut before) = (x, 1.0);
            for k in 2..=n {
                (p, before) = (((2 * k - 1) as f64 * x * p - (k - 1) as f64 * before) / k as f64, p);
            }
            slope = n as f64 * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        (0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments against quadrature in 64 pieces, for steps from round-off to far beyond any grid, both signs.
    #[test]
    fn moments_are_their_integrals() {
        for z in [1e-12, 1e-6, 1e-3, 0.1, 0.9, 1.1, 2.5, 4.9, 5.1, 9.0, 30.0] {
            for z in [z, -z] {
                for (k, moment) in exponential_moments(z, 8).into_iter().enumerate() {
                    let piece = |i: usize| {
                        integrate(|v| {
                            let u = (i as f64 + v) / 64.0;
                            z * (-z * (1.0 - u)).exp() * u.powi(k as i32) / 64.0
                        })
                    };
                    let integral: f64 = (0..64).map(piece).sum();
                    let error = (moment / integral - 1.0).abs();
                    assert!(error < 1e-13 * (1.0 + 10f64.powi(k as i32 / 4)), "z = {z}, k = {k}: {error:e}");
                }
            }
        }
    }

    #[test]
    fn weights_integrate_polynomials() {
        let nodes = [0.0, -0.7, -1.9, 1.0, -2.2];
        let moments = [0.9, 0.4, 0.3, 0.2, 0.15];
        let weights = Leap::weights(&nodes, &moments);
        for (k, moment) in moments.iter().enumerate() {
            let sum: f64 = weights.iter().zip(nodes).map(|(w, x)| w * x.powi(k as i32)).sum();
            assert!((sum - moment).abs() < 1e-13, "{k}: {sum}");
        }
    }

    #[test]
    fn quadrature_is_exact_for_polynomials() {
        for k in 0..64 {
            let error = integrate(|u| u.powi(k)) * f64::from(k + 1) - 1.0;
            assert!(error.abs() < 1e-13, "{k}: {error:e}");
        }
    }
}
