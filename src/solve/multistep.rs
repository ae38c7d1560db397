//! What exponential multistep methods have in common: nodes, and how they start.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::exponential::{Form, Leap};
use super::single_step::of_order;
use super::{Context, Order};
use crate::score::Eval;

/// How a multistep method makes its first steps, before it has the past that it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With a single-step method of the order that the claim needs, at further evaluations: an error made once may be
    /// one order below the global one.
    #[default]
    SingleStep,
    /// With orders 1, 2, 3, …, as published: one evaluation a step, but the first step's error, O(h²), stays, and
    /// with it the method's order is two at most.
    Euler,
}

/// A multistep method of order k through the last k predictions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multistep {
    pub form: Form,
    pub order: usize,
    pub start: Start,
    /// Whether the last steps have orders …, 2, 1.
    pub lower_order_final: bool,
}

impl Multistep {
    /// The order that the start leaves of the method's own.
    pub(super) fn claim(&self) -> Order {
        // A last step of order one makes an error of O(h²).
        let order = if self.lower_order_final { self.order.min(2) } else { self.order } as f64;
        match (self.form.q > 0.0, self.start) {
            // The polynomial does not see the noise between its nodes, which costs O(h²) whatever its degree.
            (true, _) => Order::sde(order.min(2.0), 1.0),
            (false, Start::SingleStep) => Order::ode(order),
            (false, Start::Euler) => Order::ode(order.min(2.0)),
        }
    }

    /// One step with the weights that `weights` gives for the nodes, newest first.
    pub(super) fn step(
        &self,
        cx: &mut Context,
        now: &Eval,
        s: f64,
        weights: impl FnOnce(&Context, &Leap, &[&Eval]) -> Vec<f64>,
    ) -> Tensor {
        let missing = (self.order - 1).saturating_sub(1 + cx.past().len());
        if missing > 0 && self.start == Start::SingleStep && self.form.q == 0.0 {
            return of_order(self.order - 1, self.form, cx, now, s);
        }
        let leap = self.form.leap(now.kernel, cx.kernel(s));
        let noise = self.form.increment(cx, &now.x, now.t, s);
        let nodes = self.nodes(cx, now);
        leap.apply(now, &weights(cx, &leap, &nodes), &nodes, noise.as_ref())
    }

    /// The last evaluations, newest first, `order` of them at most, and of a method that ends with lower orders no more
    /// than steps are to be made.
    pub(super) fn nodes<'a>(&self, cx: &'a Context, now: &'a Eval) -> Vec<&'a Eval> {
        let most = if self.lower_order_final { self.order.min(cx.steps_left() + 1) } else { self.order };
        std::iter::once(now).chain(cx.past()).take(most).collect()
    }
}
