//! SA-Solver: stochastic Adams, predictor and corrector.

use serde::{Deserialize, Serialize};

use super::exponential::{Form, Leap};
use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::{Fault, Settings, between, positive};
use crate::score::Eval;

/// What follows a correction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: the next step goes on with the prediction made at the predicted state; one evaluation a step.
    #[default]
    Pec,
    /// An evaluation at the corrected state; two a step.
    Pece,
}

/// SA-Solver (Xue et al. 2023): exponential Adams–Bashforth, then Adams–Moulton with the same noise, on the reverse
/// process of stochasticity q = τ²(t).
///
/// x_s = (σ_s/σ_t) e^{−qh} x + (1+q) α_s Σ_j x̂₀ⱼ ∫ e^{(1+q)(λ−λ_s)} ℓ_j dλ + σ_s √(1 − e^{−2qh}) ξ; the corrector has the new
/// evaluation among its nodes. τ(t) is `tau` where a step starts with κ between `from` and `to`, else 0; the last step has
/// no noise and no corrector.
///
/// Paths lack the noise of the last step, σ √(2qh): a strong order of ½, though the error is small where σ is that of t_min;
/// the theory of the other steps gives 1. At τ = 0 its first steps, of fewer nodes, bound its order, but their errors are
/// negligible where a span starts from pure noise: P3/C4 then shows order 4, and P2/C2 order 2 from some 300 steps on only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SaSolver {
    /// The nodes of the predictor.
    #[schemars(range(min = 1, max = 6))]
    pub predictor: usize,
    /// The nodes of the corrector, the new one included; 0 for none.
    #[schemars(range(min = 0, max = 6))]
    pub corrector: usize,
    /// τ, the square root of the stochasticity.
    pub tau: f64,
    /// The highest κ from which steps are stochastic.
    pub from: f64,
    /// The lowest.
    pub to: f64,
    /// What follows a correction.
    pub mode: Mode,
}

impl Default for SaSolver {
    fn default() -> Self {
        SaSolver { predictor: 3, corrector: 4, tau: 1.0, from: f64::INFINITY, to: 0.0, mode: Mode::Pec }
    }
}

impl SaSolver {
    fn form(&self, now: &Eval, last: bool) -> Form {
        let kappa = now.kernel.ratio();
        let stochastic = !last && (self.to..=self.from).contains(&kappa);
        Form::data(if stochastic { self.tau * self.tau } else { 0.0 })
    }
}

impl Solver for SaSolver {
    fn about(&self) -> About {
        About {
            paper: "Xue et al. 2023, Algorithm 1",
            when: "20 to 100 evaluations with noise; less tau at fewer steps",
        }
    }

    fn order(&self) -> Order {
        let most = if self.corrector == 0 { self.predictor } else { self.corrector.min(self.predictor + 1) } as f64;
        match self.tau > 0.0 {
            // The last step's lack of noise.
            true => Order::sde(most.min(2.0), 0.5),
            // The first step has one node, and with the corrector two.
            false => Order::ode(most.min(if self.corrector == 0 { 2.0 } else { 3.0 })),
        }
    }

    fn memory(&self) -> usize {
        self.predictor.max(self.corrector.saturating_sub(1)) - 1
    }

    fn clock(&self) -> Clock {
        Form::data(self.tau * self.tau).clock()
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let last = cx.steps_left() == 0;
        let form = self.form(now, last);
        let leap = form.leap(now.kernel, cx.kernel(s));
        let noise = form.increment(cx, &now.x, now.t, s);
        let all: Vec<&Eval> = std::iter::once(now).chain(cx.past()).collect();
        let adams = |nodes: &[&Eval]| {
            let weights = Leap::weights(&leap.nodes(nodes), &leap.moments(nodes.len()));
            leap.apply(now, &weights, nodes, noise.as_ref())
        };
        let x = adams(&all[..all.len().min(self.predictor)]);
        if self.corrector == 0 || last {
            return x.into();
        }
        let predicted = cx.eval(x, s);
        let old = all.into_iter().take(self.corrector - 1);
        let x = adams(&old.chain([&predicted]).collect::<Vec<_>>());
        let next = (self.mode == Mode::Pec).then(|| form.carried(&predicted, x.shallow_clone()));
        Step { x, next }
    }
}

impl Settings for SaSolver {
    fn check(&self) -> Result<(), Fault> {
        between("predictor", self.predictor, (1, 6))?;
        between("corrector", self.corrector, (0, 6))?;
        if self.tau != 0.0 {
            positive("tau", self.tau)?;
        }
        if self.tau > 3.0 {
            return Err(Fault::new("tau", format!("{} is too large", self.tau), "write a number up to 3, such as 1"));
        }
        if !(self.to >= 0.0 && self.from > self.to) {
            let problem = format!("{} is not above to = {}", self.from, self.to);
            return Err(Fault::new("from", problem, "write noise levels σ/α with from > to ≥ 0; from may be .inf"));
        }
        Ok(())
    }
}
