//! k-diffusion's ancestral methods: a step of the ODE below the target, then noise up to it.
//!
//! In z = x/α and κ, with κ_up = η κ_s √(1 − κ_s²/κ_t²) and κ_down = √(κ_s² − κ_up²): z ↦ z(κ_down) + κ_up ξ. Its noise is an
//! increment on the clock κ⁻², κ_up ξ = η κ_s² ΔB.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::exponential::{Form, Leap};
use super::single_step::{SolverType, check_stage, time_within};
use super::{About, Clock, Context, Ddim, Order, Solver, Step};
use crate::error::{Fault, Settings};
use crate::score::Eval;
use crate::sde::Kernel;
use crate::tensor::combine;

/// The noise level from which `eta` of the noise leads up to `end`.
fn below(from: Kernel, end: Kernel, eta: f64) -> Kernel {
    let ratio = end.ratio() / from.ratio();
    let left = 1.0 - eta * eta * (1.0 - ratio) * (1.0 + ratio);
    Kernel { alpha: end.alpha, sigma: end.sigma * left.sqrt() }
}

/// Refuses more noise than there is at the end of a step.
fn check(eta: f64) -> Result<(), Fault> {
    Ddim { eta }.check()
}

/// The orders of a method that is of order two without noise.
fn orders(eta: f64) -> Order {
    if eta == 0.0 { Order::ode(2.0) } else { Order::sde(2.0, 1.0) }
}

/// Two stages of the ODE down, the second in the middle in λ, then noise up.
fn two_stages(form: Form, eta: f64, cx: &mut Context, now: &Eval, s: f64) -> Tensor {
    let ks = cx.kernel(s);
    let leap = form.leap(now.kernel, below(now.kernel, ks, eta));
    let time = cx.sde().time_of_ratio((now.kernel.ratio() * leap.to.ratio()).sqrt());
    let x = form.leap(now.kernel, cx.kernel(time)).euler(now, None);
    let middle = cx.eval(x, time);
    let weights = Leap::weights(&[0.0, 0.5], &SolverType::Midpoint.moments(&leap));
    let x = leap.apply(now, &weights, &[now, &middle], None);
    if eta == 0.0 {
        return x;
    }
    let noise = cx.brownian(Clock::REVERSE, &x, now.t, s);
    combine(1.0, &x, eta * ks.alpha * ks.ratio().powi(2), &noise)
}

macro_rules! ancestral {
    ($(#[$doc:meta])* $name:ident, $order:expr, $step:expr, $about:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The amount of noise, from 0 (none) to 1 (DDPM's posterior).
            pub eta: f64,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { eta: 1.0 }
            }
        }

        impl Solver for $name {
            fn about(&self) -> About {
                $about
            }

            fn order(&self) -> Order {
                $order(self.eta)
            }

            fn clock(&self) -> Clock {
                Clock::REVERSE
            }

            fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
                $step(self.eta, cx, now, s)
            }
        }

        impl Settings for $name {
            fn check(&self) -> Result<(), Fault> {
                check(self.eta)
            }
        }
    };
}

ancestral!(
    /// Euler ancestral (k-diffusion's `euler_ancestral`): the step down by Euler in κ. It is [`Ddim`] with the same η.
    EulerAncestral,
    |eta| Ddim { eta }.order(),
    |eta, cx: &mut Context, now, s| Ddim { eta }.step(cx, now, s),
    About { paper: "k-diffusion", when: "to compare with k-diffusion's euler_ancestral" }
);
ancestral!(
    /// DPM-Solver++(2S) ancestral (k-diffusion's `dpmpp_2s_ancestral`): the step down by [`Dpmpp2s`](super::Dpmpp2s).
    Dpmpp2sAncestral,
    orders,
    |eta, cx: &mut Context, now, s| two_stages(Form::DATA, eta, cx, now, s).into(),
    About { paper: "k-diffusion", when: "40 evaluations and more with noise" }
);
ancestral!(
    /// KDPM2 ancestral (k-diffusion's `dpm_2_ancestral`): the step down by [`Kdpm2`](super::Kdpm2).
    Kdpm2Ancestral,
    orders,
    |eta, cx: &mut Context, now, s| two_stages(Form::NOISE, eta, cx, now, s).into(),
    About { paper: "k-diffusion", when: "to compare with k-diffusion's dpm_2_ancestral" }
);

/// DPM-Solver++ SDE (k-diffusion's `dpmpp_sde`): [`Seeds2`](super::Seeds2) with ancestral stages of k-diffusion's η.
///
/// Stage and step each go down by Euler and up by noise of one Brownian path:
/// z_r = (κ_d/κ) z + (1 − κ_d/κ) x̂₀ + κ_up ξ at u = r, then z_s likewise with (1 − 1/2r) x̂₀ + (1/2r) x̂₀ᵣ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DpmppSde {
    /// The amount of noise, from 0 (none) to 1 (DDPM's posterior).
    pub eta: f64,
    /// Where the stage lies in the step, as a fraction of it in λ.
    pub r: f64,
}

impl Default for DpmppSde {
    fn default() -> Self {
        DpmppSde { eta: 1.0, r: 0.5 }
    }
}

impl Solver for DpmppSde {
    fn about(&self) -> About {
        About {
            paper: "Lu et al. 2022b; k-diffusion",
            when: "20 to 60 evaluations with noise; popular with text-to-image models",
        }
    }

    fn order(&self) -> Order {
        orders(self.eta)
    }

    fn clock(&self) -> Clock {
        Clock::REVERSE
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let time = time_within(cx, now, s, self.r);
        let up = |k: Kernel| self.eta * k.alpha * k.ratio().powi(2);
        let (km, ks) = (cx.kernel(time), cx.kernel(s));
        let down = |end: Kernel| Form::DATA.leap(now.kernel, below(now.kernel, end, self.eta));
        let mut x = down(km).euler(now, None);
        let mut noise = None;
        if self.eta > 0.0 {
            let first = cx.brownian(Clock::REVERSE, &x, now.t, time);
            x = combine(1.0, &x, up(km), &first);
            noise = Some(first + cx.brownian(Clock::REVERSE, &x, time, s));
        }
        let middle = cx.eval(x, time);
        let leap = down(ks);
        let whole = leap.moments(1)[0];
        let x = leap.apply(now, &[whole * (1.0 - 0.5 / self.r), whole * 0.5 / self.r], &[now, &middle], None);
        match noise {
            Some(noise) => combine(1.0, &x, up(ks), &noise).into(),
            None => x.into(),
        }
    }
}

impl Settings for DpmppSde {
    fn check(&self) -> Result<(), Fault> {
        check(self.eta)?;
        check_stage("r", self.r)
    }
}
