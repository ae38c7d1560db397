//! DPM-Solver and DPM-Solver++, multistep, for the ODE and for the SDE.

use serde::{Deserialize, Serialize};

use super::exponential::{Form, Leap, Predict, check_eta};
use super::multistep::{Multistep, Start};
use super::{About, Clock, Context, Order, Solver, SolverType, Step, Variant};
use crate::error::{Fault, Settings};
use crate::score::Eval;

/// The weights of order two.
fn second(kind: SolverType) -> impl FnOnce(&Context, &Leap, &[&Eval]) -> Vec<f64> {
    move |_, leap, nodes| Leap::weights(&leap.nodes(nodes), &kind.moments(leap))
}

/// The weights of order three. As published, the second difference lacks a factor 2, which leaves order two; `start` is what
/// is taken for the slope where only two predictions are known.
fn third(variant: Variant, start: SolverType) -> impl FnOnce(&Context, &Leap, &[&Eval]) -> Vec<f64> {
    move |_, leap, nodes| {
        let mut moments = leap.moments(nodes.len());
        match (variant, nodes.len()) {
            (Variant::Published, 2) => moments = start.moments(leap),
            (Variant::Published, 3) => moments[2] *= 0.5,
            _ => {}
        }
        Leap::weights(&leap.nodes(nodes), &moments)
    }
}

/// What a published third order is worth.
fn claimed(method: Multistep, variant: Variant) -> Order {
    match variant {
        Variant::Correct => method.claim(),
        Variant::Published => Multistep { order: method.order.min(2), ..method }.claim(),
    }
}

/// Order two of the ODE: a prediction, and what is taken for the slope's moment.
macro_rules! second_order {
    ($(#[$doc:meta])* $name:ident, $predict:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// How the slope is weighted.
            pub solver_type: SolverType,
            /// Whether the last step has order 1, as in published code: at ten steps and below it may do better.
            pub lower_order_final: bool,
        }

        impl $name {
            fn method(&self) -> Multistep {
                let (form, lower_order_final) = (Form { predict: Predict::$predict, q: 0.0 }, self.lower_order_final);
                Multistep { form, order: 2, start: Start::Euler, lower_order_final }
            }
        }

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                self.method().claim()
            }

            fn memory(&self) -> usize {
                1
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                self.method().step(cx, now, s, second(self.solver_type)).into()
            }
        }

        impl Settings for $name {}
    };
}

/// Order three of the ODE.
macro_rules! third_order {
    ($(#[$doc:meta])* $name:ident, $predict:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// `published` halves the weight of the second difference, and starts as dpmpp_2m does.
            pub variant: Variant,
            /// How the first steps are made.
            pub start: Start,
            /// Whether the last steps have orders 2 and 1, as in published code; it leaves order two.
            pub lower_order_final: bool,
        }

        impl $name {
            fn method(&self) -> Multistep {
                let form = Form { predict: Predict::$predict, q: 0.0 };
                Multistep { form, order: 3, start: self.start, lower_order_final: self.lower_order_final }
            }
        }

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                claimed(self.method(), self.variant)
            }

            fn memory(&self) -> usize {
                2
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                self.method().step(cx, now, s, third(self.variant, SolverType::Midpoint)).into()
            }
        }

        impl Settings for $name {}
    };
}

/// Order two of the reverse process of stochasticity q.
macro_rules! second_order_sde {
    ($(#[$doc:meta])* $name:ident, $predict:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The stochasticity q, which is not DDIM's η: 0 is the ODE, 1 the reverse SDE.
            pub eta: f64,
            /// How the slope is weighted.
            pub solver_type: SolverType,
            /// Whether the last step has order 1, as in published code.
            pub lower_order_final: bool,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { eta: 1.0, solver_type: SolverType::Midpoint, lower_order_final: false }
            }
        }

        impl $name {
            fn method(&self) -> Multistep {
                let form = Form { predict: Predict::$predict, q: self.eta };
                Multistep { form, order: 2, start: Start::Euler, lower_order_final: self.lower_order_final }
            }
        }

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                self.method().claim()
            }

            fn memory(&self) -> usize {
                1
            }

            fn clock(&self) -> Clock {
                self.method().form.clock()
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                self.method().step(cx, now, s, second(self.solver_type)).into()
            }
        }

        impl Settings for $name {
            fn check(&self) -> Result<(), Fault> {
                check_eta(self.eta)
            }
        }
    };
}

second_order!(
    /// DPM-Solver++(2M) (Lu et al. 2022b, Algorithm 2), in λ = ln(α/σ).
    ///
    /// x_s = (σ_s/σ_t) x − α_s (e^{−h} − 1) [(1 + 1/2r) x̂₀ − (1/2r) x̂₀ᵖʳᵉᵛ],  h = λ_s − λ_t,  r = h_prev/h.
    /// The first step is DDIM, which is all that order two needs. `heun` is the multistep method of RES (Zhang et al.
    /// 2023).
    Dpmpp2m,
    Data,
    About { paper: "Lu et al. 2022b, Algorithm 2", when: "a good first choice at 8 to 50 evaluations, guided or not" }
);
second_order!(
    /// DPM-Solver of order two, multistep (Lu et al. 2022), which continues the noise prediction.
    ///
    /// x_s = (α_s/α_t) x − σ_s (e^h − 1) [(1 + 1/2r) ε̂ − (1/2r) ε̂ᵖʳᵉᵛ].
    DpmSolver2m,
    Noise,
    About { paper: "Lu et al. 2022", when: "without guidance, where the noise prediction is smoother than the data's" }
);
third_order!(
    /// DPM-Solver++(3M) (Lu et al. 2022b), with the factor that its code lacks.
    ///
    /// x_s = (σ_s/σ_t) x + α_s [I₀ x̂₀ + I₁ c₁ + I₂ c₂], where c₁ and c₂ are the coefficients of the parabola through the
    /// last three x̂₀. Published, I₂/2 stands for I₂: of order two, and with smaller errors at 20 steps and below. On a
    /// Gaussian with equal steps in λ the leading error of an odd order cancels, and order 4 shows.
    Dpmpp3m,
    Data,
    About { paper: "Lu et al. 2022b, code", when: "without guidance, at 15 evaluations and more" }
);
third_order!(
    /// DPM-Solver of order three, multistep (Lu et al. 2022, code), with the factor that it lacks there. See
    /// [`Dpmpp3m`], also for the order 4 that shows on a Gaussian.
    DpmSolver3m,
    Noise,
    About { paper: "Lu et al. 2022, code", when: "as dpm_solver_2m, at 15 evaluations and more" }
);
second_order_sde!(
    /// SDE-DPM-Solver++(2M) (Lu et al. 2022b, Appendix; k-diffusion's `dpmpp_2m_sde`).
    ///
    /// x_s = (σ_s/σ_t) e^{−qh} x + α_s [I₀ x̂₀ + ½ I₀ c₁] + σ_s √(1 − e^{−2qh}) ξ.
    Dpmpp2mSde,
    Data,
    About { paper: "Lu et al. 2022b; k-diffusion", when: "where noise should correct errors of the network, at 20 evaluations and more" }
);
second_order_sde!(
    /// SDE-DPM-Solver, order two, multistep (Lu et al. 2022b), which continues the noise prediction.
    ///
    /// x_s = (α_s/α_t) x − (1+q) σ_s [J₀ ε̂ + ½ J₀ c₁] + σ_s √q √(e^{2h} − 1) ξ.
    DpmSolver2mSde,
    Noise,
    About { paper: "Lu et al. 2022b", when: "to compare with the data prediction, which is the better one at few steps" }
);

/// SDE-DPM-Solver++(3M) (k-diffusion's `dpmpp_3m_sde`): as [`Dpmpp2mSde`] with the parabola.
///
/// Its weak order is two: the parabola does not see the noise between its nodes. On smooth problems at few steps its
/// error is smaller all the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dpmpp3mSde {
    /// The stochasticity q, which is not DDIM's η: 0 is the ODE, 1 the reverse SDE.
    pub eta: f64,
    /// `published` halves the weight of the second difference.
    pub variant: Variant,
    /// How the first steps are made when q = 0; otherwise with orders 1, 2, 3.
    pub start: Start,
    /// Whether the last steps have orders 2 and 1, as in published code.
    pub lower_order_final: bool,
}

impl Default for Dpmpp3mSde {
    fn default() -> Self {
        Dpmpp3mSde { eta: 1.0, variant: Variant::Correct, start: Start::SingleStep, lower_order_final: false }
    }
}

impl Dpmpp3mSde {
    fn method(&self) -> Multistep {
        Multistep { form: Form::data(self.eta), order: 3, start: self.start, lower_order_final: self.lower_order_final }
    }
}

impl Solver for Dpmpp3mSde {
    fn about(&self) -> About {
        About { paper: "k-diffusion", when: "as dpmpp_2m_sde, at 30 evaluations and more" }
    }

    fn order(&self) -> Order {
        claimed(self.method(), self.variant)
    }

    fn memory(&self) -> usize {
        2
    }

    fn clock(&self) -> Clock {
        self.method().form.clock()
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        self.method().step(cx, now, s, third(self.variant, SolverType::Heun)).into()
    }
}

impl Settings for Dpmpp3mSde {
    fn check(&self) -> Result<(), Fault> {
        check_eta(self.eta)
    }
}
