//! Langevin correctors: Markov chains that leave p_t invariant, run at fixed t.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Context, Corrector};
use crate::error::{Fault, Settings, between, positive};
use crate::score::Eval;

/// The most steps of a corrector for one step of its predictor.
const MOST_STEPS: usize = 1000;

/// The steps of score_sde's discrete chains.
const CHAIN: f64 = 1000.0;

/// The Langevin corrector with the signal-to-noise rule (Song et al. 2021, Algorithms 4 and 5).
///
/// x ← x + ϵ score + √(2ϵ) ξ. Published: ϵ = 2 (r ‖ξ‖/‖score‖)² with norms averaged over the batch, so that samples
/// depend on their neighbours. Here each sample has its own step, with ‖ξ‖ at its root mean square √D and ‖score‖ no
/// smaller than √D/σ, which it is for data without spread: ϵ = 2 r² min(D/‖score‖², σ²). Without that bound a sample
/// where the score nearly vanishes, as happens in few dimensions, would take an unbounded step.
///
/// The published code further multiplies ϵ by the α_i = 1 − β_i of a chain of 1000 steps, i = ⌊999 t/t_max⌋, for VP; here
/// 1 + 2 f t_max/1000 at the time of i for any process, which is that for VP and 1 for VE.
///
/// At fixed r the invariant law is biased, however fine the grid: a variance v becomes v/(1 − ϵ/2v), for the published
/// rule at r = 0.16 some 2.6 % too large.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Langevin {
    /// r, the signal-to-noise ratio of a step.
    pub snr: f64,
    /// Steps at each time.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// The rule for the step size; as published, it couples the samples that are integrated together.
    pub variant: Variant,
}

impl Default for Langevin {
    fn default() -> Self {
        Langevin { snr: 0.16, steps: 1, variant: Variant::Independent }
    }
}

/// A rule for the step size of [`Langevin`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Each sample has its own bounded step.
    #[default]
    Independent,
    /// One step for all samples of a chunk, from mean norms.
    Published,
}

impl Langevin {
    /// ϵ, shaped to broadcast against the score.
    fn step_size(&self, score: &Tensor, noise: &Tensor, sigma: f64, chain: f64) -> Tensor {
        let ratio_sq = match self.variant {
            Variant::Independent => {
                let dim = score.numel() as f64 / score.size()[0] as f64;
                (squared_norm(score).reciprocal() * dim).clamp_max(sigma * sigma)
            }
            Variant::Published => {
                let mean_norm = |x: &Tensor| squared_norm(x).sqrt().mean(x.kind());
                (mean_norm(noise) / mean_norm(score)).square() * chain
            }
        };
        ratio_sq * (2.0 * self.snr * self.snr)
    }
}

impl Corrector for Langevin {
    fn correct(&self, cx: &mut Context, x: &Tensor, t: f64) -> Tensor {
        let mut x = x.shallow_clone();
        let (t_max, last) = (cx.sde().span().t_max, CHAIN - 1.0);
        let of_chain = (t * last / t_max).floor() / last * t_max;
        let chain = (1.0 + 2.0 * cx.sde().drift(of_chain) * t_max / CHAIN).max(0.0);
        for _ in 0..self.steps {
            let noise = cx.normal(&x);
            let eval = cx.eval(x.shallow_clone(), t);
            let score = eval.score();
            let step = self.step_size(&score, &noise, eval.kernel.sigma, chain);
            x = x + score * &step + noise * (step * 2.0).sqrt();
        }
        x
    }
}

/// Annealed Langevin dynamics (Song & Ermon 2019, Algorithm 1): step sizes proportional to σ².
///
/// x ← x + ϵ score + √(2ϵ) ξ,  ϵ = 2 (r σ)².
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealedLangevin {
    /// r, the signal-to-noise ratio of a step.
    pub snr: f64,
    /// Steps at each time.
    #[schemars(range(min = 1))]
    pub steps: usize,
}

impl Default for AnnealedLangevin {
    fn default() -> Self {
        AnnealedLangevin { snr: 0.16, steps: 1 }
    }
}

impl Corrector for AnnealedLangevin {
    fn correct(&self, cx: &mut Context, x: &Tensor, t: f64) -> Tensor {
        let mut x = x.shallow_clone();
        for _ in 0..self.steps {
            let noise = cx.normal(&x);
            let Eval { kernel, x: state, x0, .. } = cx.eval(x, t);
            // ϵ score = 2 r² (α x̂₀ − x).
            let gain = 2.0 * self.snr * self.snr;
            x = state * (1.0 - gain) + x0 * (gain * kernel.alpha) + noise * (2.0 * self.snr * kernel.sigma);
        }
        x
    }
}

/// ‖x‖² of each sample of `[B, …]`, shaped to broadcast against it.
fn squared_norm(x: &Tensor) -> Tensor {
    let dims: Vec<i64> = (1..x.dim() as i64).collect();
    x.square().sum_dim_intlist(dims, true, None::<Kind>)
}

impl Settings for Langevin {
    fn check(&self) -> Result<(), Fault> {
        positive("snr", self.snr)?;
        between("steps", self.steps, (1, MOST_STEPS))
    }
}

impl Settings for AnnealedLangevin {
    fn check(&self) -> Result<(), Fault> {
        positive("snr", self.snr)?;
        between("steps", self.steps, (1, MOST_STEPS))
    }
}
