//! Single-step methods of the DPM-Solver family, for the ODE and for the SDE.

use serde::{Deserialize, Serialize};

use super::exponential::{Form, check_eta};
use super::single_step::{SolverType, check_stage, of_order, three_stages, two_stages};
use super::{About, Clock, Context, Order, Solver, Step};
use crate::error::{Fault, Settings};
use crate::score::Eval;

/// Two stages of the ODE, the second where the setting says.
macro_rules! two_stage {
    ($(#[$doc:meta])* $name:ident, $key:ident, $form:expr, $kind:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Where the stage lies in the step, as a fraction of it in λ.
            pub $key: f64,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $key: 0.5 }
            }
        }

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                Order::ode(2.0)
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                two_stages($form, self.$key, SolverType::$kind, cx, now, s).into()
            }
        }

        impl Settings for $name {
            fn check(&self) -> Result<(), Fault> {
                check_stage(stringify!($key), self.$key)
            }
        }
    };
}

/// Methods of the ODE without settings.
macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $order:literal, $step:expr, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {}

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                Order::ode($order)
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                $step(cx, now, s).into()
            }
        }

        impl Settings for $name {}
    };
}

two_stage!(
    /// DPM-Solver-2 (Lu et al. 2022, Algorithm 1): noise prediction, a stage at u = r.
    ///
    /// x_s = (α_s/α_t) x − σ_s (e^h − 1) [ε̂ + (ε̂_r − ε̂)/2r]; two evaluations a step.
    DpmSolver2s,
    r,
    Form::NOISE,
    Midpoint,
    About { paper: "Lu et al. 2022, Algorithm 1", when: "as a single-step reference: it needs no past" }
);
two_stage!(
    /// DPM-Solver++(2S) (Lu et al. 2022b, Algorithm 1): data prediction, a stage at u = r.
    ///
    /// x_s = (σ_s/σ_t) x + α_s (1 − e^{−h}) [x̂₀ + (x̂₀ᵣ − x̂₀)/2r]; two evaluations a step.
    Dpmpp2s,
    r,
    Form::DATA,
    Midpoint,
    About { paper: "Lu et al. 2022b, Algorithm 1", when: "strong guidance, where a past misleads" }
);
two_stage!(
    /// RES, second order, single-step (Zhang et al. 2023): as [`Dpmpp2s`] with the exact weight of the slope, which
    /// meets the stiff order conditions.
    Res2s,
    c2,
    Form::DATA,
    Heun,
    About { paper: "Zhang et al. 2023", when: "large steps, where the exact weight of the slope matters" }
);
fixed!(
    /// KDPM2 (k-diffusion's `dpm_2`): DPM-Solver-2 in z = x/α and κ, with the stage at √(κ_t κ_s).
    ///
    /// It is [`DpmSolver2s`] at r = ½, where the stage alone has weight.
    Kdpm2,
    2.0,
    |cx: &mut Context, now, s| two_stages(Form::NOISE, 0.5, SolverType::Midpoint, cx, now, s),
    About { paper: "Karras et al. 2022; k-diffusion", when: "to compare with k-diffusion's dpm_2" }
);
fixed!(
    /// DPM-Solver-3 (Lu et al. 2022, Algorithm 2): noise prediction, stages at ⅓ and ⅔; three evaluations a step.
    DpmSolver3s,
    3.0,
    |cx: &mut Context, now, s| three_stages(Form::NOISE, cx, now, s),
    About { paper: "Lu et al. 2022, Algorithm 2", when: "30 evaluations and more without guidance" }
);
fixed!(
    /// DPM-Solver++(3S) (Lu et al. 2022b): data prediction, stages at ⅓ and ⅔; three evaluations a step.
    Dpmpp3s,
    3.0,
    |cx: &mut Context, now, s| three_stages(Form::DATA, cx, now, s),
    About { paper: "Lu et al. 2022b", when: "30 evaluations and more" }
);

/// Which orders the last steps of [`DpmFast`] have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// …, 3, 2, 1: 3 N − 3 evaluations.
    TwoOne,
    /// …, 3, 1: 3 N − 2.
    One,
    /// …, 3, 2: 3 N − 1.
    #[default]
    Two,
}

/// DPM-Solver-fast (Lu et al. 2022, section 3.4): single steps of order three, and lower ones at the end.
///
/// For n evaluations take ⌊n/3⌋ + 1 steps and the end that leaves none over. A last step of order one leaves order
/// two, though its error is small at low noise: until it counts, at many steps, order 3 shows, then anything between. With a
/// last step of order two the claim is 3; on a Gaussian and a Karras grid it may show late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DpmFast {
    /// The orders of the last steps.
    pub end: End,
}

impl Solver for DpmFast {
    fn about(&self) -> About {
        About {
            paper: "Lu et al. 2022, section 3.4",
            when: "to reproduce DPM-Solver's figures at 10 to 20 evaluations",
        }
    }

    fn order(&self) -> Order {
        Order::ode(if self.end == End::Two { 3.0 } else { 2.0 })
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let order = match (self.end, cx.steps_left()) {
            (End::TwoOne | End::One, 0) => 1,
            (End::TwoOne, 1) | (End::Two, 0) => 2,
            _ => 3,
        };
        match order {
            2 => two_stages(Form::NOISE, 0.5, SolverType::Midpoint, cx, now, s).into(),
            order => of_order(order, Form::NOISE, cx, now, s).into(),
        }
    }
}

impl Settings for DpmFast {}

/// The orders of a single-step method that is of order `ode` without noise.
fn single_step(eta: f64, ode: f64) -> Order {
    if eta == 0.0 { Order::ode(ode) } else { Order::sde(2.0, 1.0) }
}

/// SEEDS-2 (Gonzalez et al. 2023, Algorithm 2): [`Dpmpp2s`] for the reverse process of stochasticity q; stage and step see
/// the same Brownian path. Two evaluations a step.
///
/// x_r = (σ_r/σ) e^{−qrh} x + α_r I₀(rH) x̂₀ + n_r;  x_s = (σ_s/σ) e^{−qh} x + α_s [I₀ x̂₀ + (I₀/2r) (x̂₀ᵣ − x̂₀)] + n_s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Seeds2 {
    /// The stochasticity q, which is not DDIM's η: 0 is the ODE, 1 the reverse SDE.
    pub eta: f64,
    /// Where the stage lies in the step, as a fraction of it in λ.
    pub r: f64,
    /// `midpoint` weights the slope by I₀/2r (“phi_1”), `heun` by I₁/r (“phi_2”).
    pub solver_type: SolverType,
}

impl Default for Seeds2 {
    fn default() -> Self {
        Seeds2 { eta: 1.0, r: 0.5, solver_type: SolverType::Midpoint }
    }
}

impl Solver for Seeds2 {
    fn about(&self) -> About {
        About { paper: "Gonzalez et al. 2023, SEEDS-2", when: "50 to 200 evaluations with noise" }
    }

    fn order(&self) -> Order {
        single_step(self.eta, 2.0)
    }

    fn clock(&self) -> Clock {
        Form::data(self.eta).clock()
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        two_stages(Form::data(self.eta), self.r, self.solver_type, cx, now, s).into()
    }
}

impl Settings for Seeds2 {
    fn check(&self) -> Result<(), Fault> {
        check_eta(self.eta)?;
        check_stage("r", self.r)
    }
}

/// SEEDS-3 (Gonzalez et al. 2023, Algorithm 3): [`Dpmpp3s`] for the reverse process of stochasticity q. Three evaluations a
/// step; order three as an ODE solver, weak order two with noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Seeds3 {
    /// The stochasticity q, which is not DDIM's η: 0 is the ODE, 1 the reverse SDE.
    pub eta: f64,
}

impl Default for Seeds3 {
    fn default() -> Self {
        Seeds3 { eta: 1.0 }
    }
}

impl Solver for Seeds3 {
    fn about(&self) -> About {
        About { paper: "Gonzalez et al. 2023, SEEDS-3", when: "100 evaluations and more with noise" }
    }

    fn order(&self) -> Order {
        single_step(self.eta, 3.0)
    }

    fn clock(&self) -> Clock {
        Form::data(self.eta).clock()
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        three_stages(Form::data(self.eta), cx, now, s).into()
    }
}

impl Settings for Seeds3 {
    fn check(&self) -> Result<(), Fault> {
        check_eta(self.eta)
    }
}
