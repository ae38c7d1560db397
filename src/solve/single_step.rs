//! Single-step exponential methods: evaluations inside a step instead of a past.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::Context;
use super::exponential::{Form, Leap};
use crate::error::Fault;
use crate::score::Eval;

/// What the moment m₁ of a line is taken for; either gives order two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SolverType {
    /// m₀/2: the slope acts as if evenly over the step.
    #[default]
    Midpoint,
    /// m₁ itself.
    Heun,
}

impl SolverType {
    /// The first two moments.
    pub(super) fn moments(self, leap: &Leap) -> Vec<f64> {
        let mut moments = leap.moments(2);
        if self == SolverType::Midpoint {
            moments[1] = 0.5 * moments[0];
        }
        moments
    }
}

/// Refuses a stage outside the step.
pub(super) fn check_stage(key: &str, r: f64) -> Result<(), Fault> {
    if r > 0.0 && r <= 1.0 {
        return Ok(());
    }
    Err(Fault::new(key, format!("{r} is not within the step"), "write a fraction between 0 and 1, such as 0.5"))
}

/// The step of order one.
pub(super) fn one_stage(form: Form, cx: &mut Context, now: &Eval, s: f64) -> Tensor {
    let noise = form.increment(cx, &now.x, now.t, s);
    form.leap(now.kernel, cx.kernel(s)).euler(now, noise.as_ref())
}

/// The time at u = r of the way in λ from t to s.
pub(super) fn time_within(cx: &Context, now: &Eval, s: f64, r: f64) -> f64 {
    let (start, end) = (now.kernel.ratio().ln(), cx.kernel(s).ratio().ln());
    cx.sde().time_of_ratio((start + r * (end - start)).exp())
}

/// An evaluation on the way, and the increment of the Brownian motion up to it.
struct Stage {
    eval: Eval,
    noise: Option<Tensor>,
}

/// Moves the last stage's noise on to a later time: both ends of a step see one Brownian path.
fn noise_until(
    form: Form,
    cx: &mut Context,
    like: &Tensor,
    before: (Option<&Tensor>, f64),
    time: f64,
) -> Option<Tensor> {
    let further = form.increment(cx, like, before.1, time);
    match (before.0, further) {
        (Some(before), Some(further)) => Some(before + further),
        (_, further) => further,
    }
}

/// The first stage, by order one.
fn first_stage(form: Form, cx: &mut Context, now: &Eval, time: f64) -> Stage {
    let noise = form.increment(cx, &now.x, now.t, time);
    let x = form.leap(now.kernel, cx.kernel(time)).euler(now, noise.as_ref());
    Stage { eval: cx.eval(x, time), noise }
}

/// Order two: a stage at u = r, then the line through both predictions.
///
/// x_s = A x_t + m₀ M_t + (m₁/r) (M_r − M_t) + S ξ.
pub(super) fn two_stages(form: Form, r: f64, kind: SolverType, cx: &mut Context, now: &Eval, s: f64) -> Tensor {
    let time = time_within(cx, now, s, r);
    let Stage { eval, noise } = first_stage(form, cx, now, time);
    let noise = noise_until(form, cx, &now.x, (noise.as_ref(), time), s);
    let leap = form.leap(now.kernel, cx.kernel(s));
    leap.apply(now, &Leap::weights(&[0.0, r], &kind.moments(&leap)), &[now, &eval], noise.as_ref())
}

/// Order three: stages at u = ⅓ and ⅔, each by the line through t and the stage before; ⅔ is where the line through it
/// integrates the parabola.
pub(super) fn three_stages(form: Form, cx: &mut Context, now: &Eval, s: f64) -> Tensor {
    let (r1, r2) = (1.0 / 3.0, 2.0 / 3.0);
    let (t1, t2) = (time_within(cx, now, s, r1), time_within(cx, now, s, r2));
    let first = first_stage(form, cx, now, t1);
    let to_second = form.leap(now.kernel, cx.kernel(t2));
    let noise = noise_until(form, cx, &now.x, (first.noise.as_ref(), t1), t2);
    let weights = Leap::weights(&[0.0, r1 / r2], &to_second.moments(2));
    let x = to_second.apply(now, &weights, &[now, &first.eval], noise.as_ref());
    let second = cx.eval(x, t2);
    let noise = noise_until(form, cx, &now.x, (noise.as_ref(), t2), s);
    let leap = form.leap(now.kernel, cx.kernel(s));
    leap.apply(now, &Leap::weights(&[0.0, r2], &leap.moments(2)), &[now, &second], noise.as_ref())
}

/// A step of any order p of the ODE.
///
/// Beyond three, sweeps of Picard's iteration over p equidistant nodes: each integrates the polynomial through the
/// predictions of the sweep before, and raises the order by one, for (p − 1)² evaluations beside that at t.
pub(super) fn of_order(p: usize, form: Form, cx: &mut Context, now: &Eval, s: f64) -> Tensor {
    match p {
        1 => return one_stage(form, cx, now, s),
        2 => return two_stages(form, 0.5, SolverType::Heun, cx, now, s),
        3 => return three_stages(form, cx, now, s),
        _ => {}
    }
    let at = |i: usize| i as f64 / (p - 1) as f64;
    let times: Vec<f64> = (1..p).map(|i| if i == p - 1 { s } else { time_within(cx, now, s, at(i)) }).collect();
    let leaps: Vec<Leap> = times.iter().map(|&time| form.leap(now.kernel, cx.kernel(time))).collect();
    let mut states: Vec<Tensor> = leaps.iter().map(|leap| leap.euler(now, None)).collect();
    for _ in 1..p {
        let stages: Vec<Eval> = states.drain(..).zip(&times).map(|(x, &time)| cx.eval(x, time)).collect();
        let nodes: Vec<&Eval> = std::iter::once(now).chain(&stages).collect();
        states = leaps
            .iter()
            .map(|leap| leap.apply(now, &Leap::weights(&leap.nodes(&nodes), &leap.moments(p)), &nodes, None))
            .collect();
    }
    states.pop().expect("there are stages")
}
