//! Explicit Runge–Kutta methods on the probability-flow ODE in t.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{About, Attempt, Context, Embedded, Medium, Order, Solver, Step, Tolerance};
use crate::error::{Fault, Settings, positive};
use crate::score::{Eval, Evals};
use crate::tensor::{each, weighted_sum};

/// An explicit Runge–Kutta method: its numbers, proved when the program is compiled.
///
/// k_i = v(x + h Σ_j a_ij k_j, t + c_i h),  x_s = x + h Σ_i b_i k_i.
/// The error estimate is h Σ_i e_i k_i, with v(x_s, s) as one more stage, which is the first stage of the next step.
#[derive(Debug)]
pub struct Tableau {
    a: &'static [&'static [f64]],
    b: &'static [f64],
    c: &'static [f64],
    error: Option<&'static [f64]>,
    order: f64,
}

impl Tableau {
    /// Checks Σ b = 1, Σ_j a_ij = c_i and Σ e = 0; a wrong number does not compile.
    const fn proved(self) -> Self {
        assert!(
            self.a.len() == self.c.len() && self.b.len() == self.c.len() + 1,
            "one row of a for each stage but the first"
        );
        assert!(near(sum(self.b), 1.0), "the weights must sum to one");
        let mut i = 0;
        while i < self.a.len() {
            assert!(self.a[i].len() == i + 1 && near(sum(self.a[i]), self.c[i]), "each row of a must sum to its c");
            i += 1;
        }
        if let Some(error) = self.error {
            assert!(error.len() == self.b.len() + 1 && near(sum(error), 0.0), "the error weights must sum to zero");
        }
        self
    }

    /// x_s, and the velocities of all stages.
    fn step(&self, cx: &mut dyn Medium, now: &Evals, s: &[f64]) -> (Tensor, Vec<Tensor>) {
        let h: Vec<f64> = s.iter().zip(&now.t).map(|(s, t)| s - t).collect();
        let mut k = Vec::with_capacity(self.b.len() + 1);
        k.push(now.velocity(cx.sde()));
        for (a, c) in self.a.iter().zip(self.c) {
            let time = now.t.iter().zip(&h).map(|(t, h)| t + c * h).collect();
            let stage = cx.eval(increment(&h, a, &k) + &now.x, time);
            k.push(stage.velocity(cx.sde()));
        }
        (increment(&h, self.b, &k) + &now.x, k)
    }

    /// The step with its error estimate.
    fn attempt(&self, cx: &mut dyn Medium, now: &Evals, s: &[f64]) -> Attempt {
        let (x, mut k) = self.step(cx, now, s);
        let next = cx.eval(x.shallow_clone(), s.to_vec());
        k.push(next.velocity(cx.sde()));
        let h: Vec<f64> = s.iter().zip(&now.t).map(|(s, t)| s - t).collect();
        let error = increment(&h, self.error.expect("an embedded method"), &k);
        Attempt { low: x.shallow_clone(), x, error, next: Some(next.x0) }
    }
}

/// h Σ w_i k_i.
fn increment(h: &[f64], weights: &[f64], k: &[Tensor]) -> Tensor {
    let terms: Vec<(f64, &Tensor)> = weights.iter().copied().zip(k).filter(|(w, _)| *w != 0.0).collect();
    let out = weighted_sum(&terms);
    let h = each(h, &out);
    out * h
}

const fn sum(values: &[f64]) -> f64 {
    let (mut total, mut i) = (0.0, 0);
    while i < values.len() {
        total += values[i];
        i += 1;
    }
    total
}

const fn near(a: f64, b: f64) -> bool {
    a - b < 1e-12 && b - a < 1e-12
}

const EULER: Tableau = Tableau { a: &[], b: &[1.0], c: &[], error: None, order: 1.0 }.proved();

const HEUN: Tableau = Tableau { a: &[&[1.0]], b: &[0.5, 0.5], c: &[1.0], error: None, order: 2.0 }.proved();

const RK4: Tableau = Tableau {
    a: &[&[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    b: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    c: &[0.5, 0.5, 1.0],
    error: None,
    order: 4.0,
}
.proved();

const BOSH3: Tableau = Tableau {
    a: &[&[0.5], &[0.0, 0.75]],
    b: &[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0],
    c: &[0.5, 0.75],
    error: Some(&[-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0]),
    order: 3.0,
}
.proved();

const DOPRI5: Tableau = Tableau {
    a: &[
        &[1.0 / 5.0],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
        &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    ],
    b: &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
    c: &[1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0],
    error: Some(&[-71.0 / 57600.0, 0.0, 71.0 / 16695.0, -71.0 / 1920.0, 17253.0 / 339200.0, -22.0 / 525.0, 1.0 / 40.0]),
    order: 5.0,
}
.proved();

/// A method on a grid.
macro_rules! on_a_grid {
    ($(#[$doc:meta])* $name:ident, $tableau:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {}

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                Order::ode($tableau.order)
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                $tableau.step(cx, &now.into(), &[s]).0.into()
            }
        }

        impl Settings for $name {}
    };
}

/// A method with an embedded error estimate: on a grid, or under error control when a tolerance is given.
macro_rules! embedded {
    ($(#[$doc:meta])* $name:ident, $tableau:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The relative tolerance; with it (or `atol`) the solver chooses its own steps.
            pub rtol: Option<f64>,
            /// The absolute tolerance.
            pub atol: Option<f64>,
        }

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                Order::ode($tableau.order)
            }

            fn tolerance(&self) -> Option<Tolerance> {
                let default = Tolerance::default();
                (self.rtol.is_some() || self.atol.is_some()).then(|| Tolerance {
                    rtol: self.rtol.unwrap_or(default.rtol),
                    atol: self.atol.unwrap_or(default.atol),
                })
            }

            fn embedded(&self) -> Option<&dyn Embedded> {
                Some(self)
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                $tableau.step(cx, &now.into(), &[s]).0.into()
            }
        }

        /// The elementary controller (Hairer, Nørsett & Wanner 1993, II.4): the next step is 0.9 e^{−1/order} times as
        /// long, between 0.2 and 10 times, and no longer than before right after a rejection.
        impl Embedded for $name {
            fn first(&self, whole: f64) -> f64 {
                // The controller finds the right size within a few tries.
                0.01 * whole
            }

            fn growth(&self, error: f64, again: bool) -> f64 {
                (0.9 * error.powf(-1.0 / $tableau.order)).clamp(0.2, if again { 1.0 } else { 10.0 })
            }

            fn attempt(&self, cx: &mut dyn Medium, now: &Evals, s: &[f64]) -> Attempt {
                $tableau.attempt(cx, now, s)
            }
        }

        impl Settings for $name {
            fn check(&self) -> Result<(), Fault> {
                for (key, value) in [("rtol", self.rtol), ("atol", self.atol)] {
                    value.map_or(Ok(()), |value| positive(key, value))?;
                }
                Ok(())
            }
        }
    };
}

on_a_grid!(
    /// Euler's method on the probability-flow ODE in t; one evaluation a step.
    Euler,
    EULER,
    About { paper: "Euler 1768", when: "to show what a change of variables is worth: DDIM is Euler in κ" }
);
on_a_grid!(
    /// Heun's trapezoidal method (Heun 1900) in t; two evaluations a step.
    Heun,
    HEUN,
    About { paper: "Heun 1900", when: "a textbook method as a yardstick" }
);
on_a_grid!(
    /// The classical method of order 4 (Kutta 1901) in t; four evaluations a step.
    Rk4,
    RK4,
    About { paper: "Kutta 1901", when: "smooth problems with 100 evaluations and more" }
);
embedded!(
    /// Bogacki & Shampine (1989), order 3(2), in t; three evaluations a step.
    Bosh3,
    BOSH3,
    About { paper: "Bogacki & Shampine 1989", when: "error control at loose tolerances, 1e-2 to 1e-4" }
);
embedded!(
    /// Dormand & Prince (1980), order 5(4), in t: score_sde's black-box ODE sampler; six evaluations a step. In σ, as EDM
    /// runs it, its leading error nearly cancels on a Gaussian, and order 6 to 7 shows.
    Dopri5,
    DOPRI5,
    About { paper: "Dormand & Prince 1980", when: "error control at tight tolerances; solutions to compare others with; likelihoods" }
);
