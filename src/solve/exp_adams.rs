//! Exponential Adams methods of any order, in every form.

use serde::{Deserialize, Serialize};

use super::exponential::{Basis, Form, Predict, check_eta};
use super::multistep::{Multistep, Start};
use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::{Fault, Settings, between};
use crate::score::Eval;

/// The exponential Adams–Bashforth method of order k: the polynomial through the last k predictions, integrated exactly.
///
/// What the named multistep methods are special cases or approximations of: k = 1 is DDIM (q = 0) or DDPM's posterior
/// (q = 1); data in λ UniP and RES; noise in λ, κ or t DEIS; the velocity that of
/// DPM-Solver-v3 without its model statistics (Zheng et al. 2023; REAB).
///
/// On a Gaussian with equal steps in λ the leading error of an odd order cancels, and the next order shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExpAdams {
    /// k, the number of predictions.
    #[schemars(range(min = 1, max = 8))]
    pub order: usize,
    /// What is continued.
    pub predict: Predict,
    /// The stochasticity q, which is not DDIM's η: 0 is the ODE, 1 the reverse SDE.
    pub eta: f64,
    /// The variable of the polynomial.
    pub basis: Basis,
    /// How the first steps are made.
    pub start: Start,
    /// Whether the last steps have orders …, 2, 1, as in published code; it leaves order two.
    pub lower_order_final: bool,
}

impl Default for ExpAdams {
    fn default() -> Self {
        let (predict, basis, start) = (Predict::Data, Basis::LogSnr, Start::SingleStep);
        ExpAdams { order: 3, predict, eta: 0.0, basis, start, lower_order_final: false }
    }
}

impl ExpAdams {
    fn method(&self) -> Multistep {
        let form = Form { predict: self.predict, q: self.eta };
        let ExpAdams { order, start, lower_order_final, .. } = *self;
        Multistep { form, order, start, lower_order_final }
    }
}

impl Solver for ExpAdams {
    fn about(&self) -> About {
        About {
            paper: "Hochbruck & Ostermann 2010, section 2.5; Zhang & Chen 2022",
            when: "to study order, prediction, basis and noise apart; order 3 is a good default without guidance",
        }
    }

    fn order(&self) -> Order {
        self.method().claim()
    }

    fn memory(&self) -> usize {
        self.order - 1
    }

    fn clock(&self) -> Clock {
        self.method().form.clock()
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        self.method().step(cx, now, s, |cx, leap, nodes| leap.weights_in(self.basis, cx.sde(), nodes)).into()
    }
}

impl Settings for ExpAdams {
    fn check(&self) -> Result<(), Fault> {
        between("order", self.order, (1, 8))?;
        check_eta(self.eta)?;
        if self.predict == Predict::Velocity && self.eta > 0.0 {
            let problem = "the velocity prediction has no stochastic form";
            return Err(Fault::new("eta", problem, "write eta: 0, or predict: data"));
        }
        Ok(())
    }
}
