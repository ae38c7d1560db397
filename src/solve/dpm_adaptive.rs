//! DPM-Solver-12 and -23: DPM-Solver under error control.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{About, Attempt, Context, Embedded, Medium, Order, Scale, Solver, Step, Tolerance, Variable};
use crate::error::{Fault, Settings, between, positive};
use crate::score::{Eval, Evals};
use crate::sde::{Kernel, Sde};
use crate::tensor::each;

/// Adaptive DPM-Solver (Lu et al. 2022, Algorithms 4 and 5, appendix C), in steps of λ = ln(α/σ), with the controller of
/// k-diffusion.
///
/// With h = λ_s − λ_t, u(r) the time at λ_t + r h, ε̂ the predicted noise and φ(r) = e^{rh} − 1:
///
/// * x₁ = (α_s/α) x − σ_s φ(1) ε̂_t;
/// * x₂ = x₁ − σ_s φ(1)/(2r) (ε̂_u − ε̂_t), where u = u(r) is reached by x₁ with h replaced by r h;
/// * x₃ = x₁ − (σ_s/r₂) (φ(1)/h − 1) (ε̂_v − ε̂_t), r₁ = ⅓, r₂ = ⅔, where v = u(r₂) is reached by
///   (α_v/α) x − σ_v φ(r₂) ε̂_t − σ_v (r₂/r₁) (φ(r₂)/(r₂ h) − 1) (ε̂_u − ε̂_t), u = u(r₁).
///
/// Of order 2, x₂ with r = ½ is judged beside x₁; of order 3, x₃ beside x₂ with r = r₁, which share their evaluations:
/// two or three a try, and one fewer where the try before was rejected. Errors are measured by
/// max(atol, rtol max(|low|, |low_prev|)), low being the result of lower order. The step changes by 1 + atan(e^{−1/k} − 1),
/// k being the order, and stands if that is at least `accept`: k-diffusion's integral controller.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DpmAdaptive {
    /// The order of the better of the two methods, 2 or 3.
    #[schemars(range(min = 2, max = 3))]
    pub order: usize,
    /// The relative tolerance.
    pub rtol: f64,
    /// The absolute tolerance.
    pub atol: f64,
    /// The first step in λ.
    pub h0: f64,
    /// The least change of the step with which it stands.
    pub accept: f64,
}

impl Default for DpmAdaptive {
    fn default() -> Self {
        DpmAdaptive { order: 3, rtol: 0.05, atol: 0.0078, h0: 0.05, accept: 0.81 }
    }
}

impl Solver for DpmAdaptive {
    fn about(&self) -> About {
        About {
            paper: "Lu et al. 2022, DPM-Solver-12 and -23; controller of k-diffusion",
            when: "error control at the loose tolerances of images, in 30 to 100 evaluations",
        }
    }

    fn order(&self) -> Order {
        Order::ode(self.order as f64)
    }

    fn tolerance(&self) -> Option<Tolerance> {
        Some(Tolerance { rtol: self.rtol, atol: self.atol })
    }

    fn embedded(&self) -> Option<&dyn Embedded> {
        Some(self)
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        self.attempt(cx, &now.into(), &[s]).x.into()
    }
}

impl Embedded for DpmAdaptive {
    fn scale(&self) -> Scale {
        Scale::Larger
    }

    fn variable(&self) -> Variable {
        Variable::LogSnr
    }

    fn first(&self, _whole: f64) -> f64 {
        self.h0
    }

    fn growth(&self, error: f64, _again: bool) -> f64 {
        // k-diffusion adds its 1e-8 to e too.
        1.0 + ((error + 1e-8).powf(-1.0 / self.order as f64) - 1.0).atan()
    }

    fn stands(&self, error: f64) -> bool {
        self.growth(error, false) >= self.accept
    }

    fn attempt(&self, cx: &mut dyn Medium, now: &Evals, s: &[f64]) -> Attempt {
        let from: Vec<Kernel> = now.t.iter().map(|&t| cx.sde().kernel(t)).collect();
        let to: Vec<Kernel> = s.iter().map(|&s| cx.sde().kernel(s)).collect();
        let h: Vec<f64> = from.iter().zip(&to).map(|(from, to)| to.lambda() - from.lambda()).collect();
        let (r1, r2) = if self.order == 2 { (0.5, 1.0) } else { (1.0 / 3.0, 2.0 / 3.0) };
        let [inner, outer] = [r1, r2].map(|r| Node::inside(cx.sde(), (&from, &h), r));
        let end = Node { r: 1.0, from: &from, h: &h, t: s.to_vec(), to };
        let noise = now.noise(cx.sde());
        let first = end.reach(&now.x, &noise);
        let middle = cx.eval(inner.reach(&now.x, &noise), inner.t.clone());
        let change = middle.noise(cx.sde()) - &noise;
        let second = &first - end.bend(&change, |h| h.exp_m1() / (2.0 * r1));
        if self.order == 2 {
            return Attempt { error: &second - &first, x: second, low: first, next: None };
        }
        let state = outer.reach(&now.x, &noise) - outer.bend(&change, |h| r2 / r1 * phi_2(r2 * h));
        let late = cx.eval(state, outer.t.clone());
        let change = late.noise(cx.sde()) - &noise;
        let third = first - end.bend(&change, |h| phi_2(h) / r2);
        Attempt { error: &third - &second, x: third, low: second, next: None }
    }
}

/// The point at λ_t + r h of a step of each sample.
struct Node<'a> {
    r: f64,
    from: &'a [Kernel],
    h: &'a [f64],
    t: Vec<f64>,
    to: Vec<Kernel>,
}

impl<'a> Node<'a> {
    fn inside(sde: &dyn Sde, (from, h): (&'a [Kernel], &'a [f64]), r: f64) -> Self {
        let time = |(from, h): (&Kernel, &f64)| sde.time_of_ratio(from.ratio() * (-r * h).exp());
        let t: Vec<f64> = from.iter().zip(h).map(time).collect();
        let to = t.iter().map(|&t| sde.kernel(t)).collect();
        Node { r, from, h, t, to }
    }

    /// DPM-Solver-1: (α_u/α) x − σ_u (e^{rh} − 1) ε̂.
    fn reach(&self, x: &Tensor, noise: &Tensor) -> Tensor {
        let keep: Vec<f64> = self.from.iter().zip(&self.to).map(|(from, to)| to.alpha / from.alpha).collect();
        x * each(&keep, x) - self.bend(noise, |h| (self.r * h).exp_m1())
    }

    /// σ_u w(h) Δε̂.
    fn bend(&self, change: &Tensor, weight: impl Fn(f64) -> f64) -> Tensor {
        let gains: Vec<f64> = self.to.iter().zip(self.h).map(|(to, &h)| to.sigma * weight(h)).collect();
        change * each(&gains, change)
    }
}

/// (e^h − 1)/h − 1, by its series where the difference cancels.
fn phi_2(h: f64) -> f64 {
    if h.abs() < 1e-3 { h / 2.0 * (1.0 + h / 3.0 * (1.0 + h / 4.0 * (1.0 + h / 5.0))) } else { h.exp_m1() / h - 1.0 }
}

impl Settings for DpmAdaptive {
    fn check(&self) -> Result<(), Fault> {
        between("order", self.order, (2, 3))?;
        for (key, value) in [("rtol", self.rtol), ("atol", self.atol), ("h0", self.h0)] {
            positive(key, value)?;
        }
        if !(self.accept > 0.0 && self.accept < 1.0) {
            let problem = format!("{} is not between 0 and 1", self.accept);
            return Err(Fault::new("accept", problem, "write a number between the two, such as 0.81"));
        }
        Ok(())
    }
}
