//! UniPC: a predictor, and a corrector that costs no evaluation.

use serde::{Deserialize, Serialize};

use super::exponential::{Form, Leap, Predict};
use super::multistep::{Multistep, Start};
use super::single_step::of_order;
use super::{About, Context, Order, Solver, Step};
use crate::error::{Fault, Settings, between};
use crate::score::Eval;

/// The function B(h) of UniPC; it matters only where the weights are not those of a polynomial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum B {
    /// B = h.
    Bh1,
    /// B = e^h − 1.
    #[default]
    Bh2,
}

/// UniPC of order k (Zhao et al. 2023): the polynomial through the last k predictions, then through the new one too.
///
/// Predictor UniP-k: x̃_s = A x + Σ_{j<k} w_j M_{−j}. Corrector UniC-k: the same with the node u = 1 and M(x̃_s), of order
/// k + 1; the next step starts from the corrected x_s with M(x̃_s), so that a step costs one evaluation. The weights are
/// those of the polynomial but for the line, where the first moment is B(h)/2: UniP-2 and UniC-1.
///
/// The method has order k + 1 with the corrector, k without. On a Gaussian with equal steps in λ the leading error of an odd order
/// cancels, and the next order shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UniPc {
    /// k, the number of predictions.
    #[schemars(range(min = 1, max = 6))]
    pub order: usize,
    /// B(h).
    pub b: B,
    /// What is continued: data or noise.
    pub predict: Predict,
    /// Whether each step but the last is corrected, with the evaluation that the next one needs anyway.
    pub corrector: bool,
    /// How the first steps are made.
    pub start: Start,
    /// Whether the last steps have orders …, 2, 1, as in published code; it leaves order two.
    pub lower_order_final: bool,
}

impl Default for UniPc {
    fn default() -> Self {
        let (predict, start) = (Predict::Data, Start::SingleStep);
        UniPc { order: 3, b: B::Bh2, predict, corrector: true, start, lower_order_final: false }
    }
}

impl UniPc {
    fn method(&self) -> Multistep {
        let form = Form { predict: self.predict, q: 0.0 };
        let UniPc { order, start, lower_order_final, .. } = *self;
        Multistep { form, order, start, lower_order_final }
    }

    /// The weights at the nodes of a polynomial, or of B(h) for a line.
    fn weights(&self, leap: &Leap, nodes: &[&Eval]) -> Vec<f64> {
        let mut moments = leap.moments(nodes.len());
        if nodes.len() == 2 {
            moments[1] = 0.5
                * match (self.b, self.predict) {
                    (B::Bh2, _) => moments[0],
                    (B::Bh1, Predict::Data) => leap.to.alpha * leap.h,
                    (B::Bh1, _) => -leap.to.sigma * leap.h,
                };
        }
        Leap::weights(&leap.nodes(nodes), &moments)
    }
}

impl Solver for UniPc {
    fn about(&self) -> About {
        About {
            paper: "Zhao et al. 2023, Algorithms 5 to 8",
            when: "5 to 20 evaluations; order 2 with guidance, 3 without",
        }
    }

    fn order(&self) -> Order {
        let order = self.order as f64 + if self.corrector { 1.0 } else { 0.0 };
        match self.start {
            // The last step is not corrected.
            _ if self.lower_order_final => Order::ode(order.min(2.0)),
            Start::SingleStep => Order::ode(order),
            // The first step is of order one, corrected to two; its error is made once.
            Start::Euler => Order::ode(order.min(if self.corrector { 3.0 } else { 2.0 })),
        }
    }

    fn memory(&self) -> usize {
        self.order - 1
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let form = self.method().form;
        let last = cx.steps_left() == 0;
        // A start that is corrected reaches one order more than one that is not.
        let have = 1 + cx.past().len();
        if self.start == Start::SingleStep && have + 1 < self.order {
            let order = if self.corrector { self.order } else { self.order - 1 };
            return of_order(order, form, cx, now, s).into();
        }
        let leap = form.leap(now.kernel, cx.kernel(s));
        let mut nodes = self.method().nodes(cx, now);
        let x = leap.apply(now, &self.weights(&leap, &nodes), &nodes, None);
        if !self.corrector || last {
            return x.into();
        }
        let predicted = cx.eval(x, s);
        nodes.push(&predicted);
        let x = leap.apply(now, &self.weights(&leap, &nodes), &nodes, None);
        Step { next: Some(form.carried(&predicted, x.shallow_clone())), x }
    }
}

impl Settings for UniPc {
    fn check(&self) -> Result<(), Fault> {
        between("order", self.order, (1, 6))?;
        if self.predict == Predict::Velocity {
            let remedy = "write data or noise; exp_adams has the velocity";
            return Err(Fault::new("predict", "UniPC has no B(h) for the velocity", remedy));
        }
        Ok(())
    }
}
