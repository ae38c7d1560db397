//! DEIS and its relatives: Adams–Bashforth on the noise prediction.

use serde::{Deserialize, Serialize};

use super::exponential::{Basis, Form};
use super::multistep::{Multistep, Start};
use super::{About, Context, Order, Solver, Step};
use crate::error::{Fault, Settings, between};
use crate::score::Eval;

/// DEIS, the diffusion exponential integrator sampler (Zhang & Chen 2022): the noise prediction continued by a
/// polynomial in t (tAB), κ (ρAB) or ln κ (log ρAB).
///
/// x_s = α_s [x/α + Σ_j C_j ε̂_j],  C_j = ∫ ℓ_j(τ(κ)) dκ with Lagrange's polynomials in τ; in ln κ in closed form, else
/// by quadrature.
///
/// On a Gaussian with equal steps in λ the leading error of an odd order cancels, and the next order shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deis {
    /// The number of predictions.
    #[schemars(range(min = 1, max = 8))]
    pub order: usize,
    /// The variable of the polynomial.
    pub basis: Basis,
    /// How the first steps are made.
    pub start: Start,
    /// Whether the last steps have orders …, 2, 1, as in published code; it leaves order two.
    pub lower_order_final: bool,
}

impl Default for Deis {
    fn default() -> Self {
        Deis { order: 3, basis: Basis::Time, start: Start::SingleStep, lower_order_final: false }
    }
}

impl Deis {
    fn method(&self) -> Multistep {
        let Deis { order, start, lower_order_final, .. } = *self;
        Multistep { form: Form::NOISE, order, start, lower_order_final }
    }
}

impl Solver for Deis {
    fn about(&self) -> About {
        About {
            paper: "Zhang & Chen 2022",
            when: "10 to 20 evaluations without guidance; in time on VP, in κ on VE and EDM",
        }
    }

    fn order(&self) -> Order {
        self.method().claim()
    }

    fn memory(&self) -> usize {
        self.order - 1
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        self.method().step(cx, now, s, |cx, leap, nodes| leap.weights_in(self.basis, cx.sde(), nodes)).into()
    }
}

impl Settings for Deis {
    fn check(&self) -> Result<(), Fault> {
        between("order", self.order, (1, 8))
    }
}

/// The linear multistep method of k-diffusion (`lms`): DEIS in κ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lms {
    /// The number of predictions.
    #[schemars(range(min = 1, max = 8))]
    pub order: usize,
    /// How the first steps are made.
    pub start: Start,
}

impl Default for Lms {
    fn default() -> Self {
        Lms { order: 4, start: Start::SingleStep }
    }
}

impl Lms {
    fn deis(&self) -> Deis {
        Deis { order: self.order, basis: Basis::Ratio, start: self.start, lower_order_final: false }
    }
}

impl Solver for Lms {
    fn about(&self) -> About {
        About { paper: "k-diffusion; Zhang & Chen 2022 (ρAB)", when: "smooth grids in κ, at 20 evaluations and more" }
    }

    fn order(&self) -> Order {
        self.deis().order()
    }

    fn memory(&self) -> usize {
        self.deis().memory()
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        self.deis().step(cx, now, s)
    }
}

impl Settings for Lms {
    fn check(&self) -> Result<(), Fault> {
        self.deis().check()
    }
}

/// The weights of Adams and Bashforth for equal steps, newest first.
const EQUAL_STEPS: [&[f64]; 4] = [
    &[1.0],
    &[1.5, -0.5],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// For which steps the weights of [`Ipndm`] are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// For equal steps in κ, whatever the grid.
    #[default]
    Fixed,
    /// For the steps of the grid.
    Variable,
}

/// iPNDM (Zhang & Chen 2022, appendix; Liu et al. 2022 without its Runge–Kutta start): DDIM with the noise prediction
/// averaged over the last four.
///
/// x_s = α_s [x/α + (κ_s − κ_t) Σ_j b_j ε̂_j]. The fixed weights b are those of equal steps in κ, which on other smooth
/// grids, as all good ones are, leaves order two; `variable` weights make it [`Lms`], started with order one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ipndm {
    /// The number of predictions.
    #[schemars(range(min = 1, max = 4))]
    pub order: usize,
    /// For which steps the weights are made.
    pub weights: Weights,
}

impl Default for Ipndm {
    fn default() -> Self {
        Ipndm { order: 4, weights: Weights::Fixed }
    }
}

impl Ipndm {
    fn method(&self) -> Multistep {
        Multistep { form: Form::NOISE, order: self.order, start: Start::Euler, lower_order_final: false }
    }
}

impl Solver for Ipndm {
    fn about(&self) -> About {
        About {
            paper: "Zhang & Chen 2022, iPNDM",
            when: "5 to 10 evaluations, where it is surprisingly strong for its order",
        }
    }

    fn order(&self) -> Order {
        self.method().claim()
    }

    fn memory(&self) -> usize {
        self.order - 1
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let weights = |cx: &Context, leap: &super::exponential::Leap, nodes: &[&Eval]| match self.weights {
            Weights::Fixed => EQUAL_STEPS[nodes.len() - 1].iter().map(|b| b * leap.moments(1)[0]).collect(),
            Weights::Variable => leap.weights_in(Basis::Ratio, cx.sde(), nodes),
        };
        self.method().step(cx, now, s, weights).into()
    }
}

impl Settings for Ipndm {
    fn check(&self) -> Result<(), Fault> {
        between("order", self.order, (1, 4))
    }
}

/// Gradient estimation (Permenter & Yuan 2024): DDIM with the noise prediction extrapolated from the last two.
///
/// ε̄ = γ ε̂ + (1 − γ) ε̂ᵖʳᵉᵛ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GradientEstimation {
    /// γ; 1 is DDIM.
    pub gamma: f64,
}

impl Default for GradientEstimation {
    fn default() -> Self {
        GradientEstimation { gamma: 2.0 }
    }
}

impl Solver for GradientEstimation {
    fn about(&self) -> About {
        About {
            paper: "Permenter & Yuan 2024, Algorithm 2",
            when: "as a comparison: on exact scores it needs hundreds of steps",
        }
    }

    fn order(&self) -> Order {
        Order::ode(1.0)
    }

    fn memory(&self) -> usize {
        1
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let leap = Form::NOISE.leap(now.kernel, cx.kernel(s));
        let whole = leap.moments(1)[0];
        match cx.past().first() {
            None => leap.euler(now, None).into(),
            Some(prev) => leap.apply(now, &[whole * self.gamma, whole * (1.0 - self.gamma)], &[now, prev], None).into(),
        }
    }
}

impl Settings for GradientEstimation {
    fn check(&self) -> Result<(), Fault> {
        if self.gamma.is_finite() && self.gamma.abs() <= 100.0 {
            return Ok(());
        }
        Err(Fault::new("gamma", format!("{} is no weight", self.gamma), "write a number such as 2"))
    }
}
