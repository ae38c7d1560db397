//! The discrete chain of DDPM, whose networks are told the place of a noise level in it.

use serde::{Deserialize, Serialize};

use super::NoiseLevel;
use crate::error::{Fault, Settings, between};

/// The time step i of the chain x_i = √ᾱ_i x₀ + √(1 − ᾱ_i) ε with ᾱ_i = Π_{j ≤ i} (1 − β_j), i from 0 (Ho et al. 2020).
///
/// A network is told the i at which κ_i = √((1 − ᾱ_i)/ᾱ_i) is that of the process: a whole number at the nodes, linear in
/// ln κ between them, and the first or the last beyond. Settings have the names of `DDPMScheduler` of Hugging Face diffusers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeStep {
    /// How β grows.
    pub beta_schedule: BetaSchedule,
    /// β of the first step; of no account under `squaredcos_cap_v2`.
    pub beta_start: f64,
    /// β of the last step; of no account under `squaredcos_cap_v2`.
    pub beta_end: f64,
    /// How many steps there are.
    #[schemars(range(min = 2))]
    pub num_train_timesteps: usize,
    /// The β written out, in place of all the above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_betas: Option<Vec<f64>>,
}

/// How β grows along the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Linearly (Ho et al. 2020).
    Linear,
    /// √β linearly (Rombach et al. 2022).
    ScaledLinear,
    /// So that ᾱ is cos² of the time, with β at most 0.999 (Nichol & Dhariwal 2021).
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredCosine,
}

impl Default for TimeStep {
    fn default() -> Self {
        TimeStep {
            beta_schedule: BetaSchedule::Linear,
            beta_start: 1e-4,
            beta_end: 0.02,
            num_train_timesteps: 1000,
            trained_betas: None,
        }
    }
}

/// The longest chain that is believed.
const MOST_STEPS: usize = 100_000;

/// The largest β of the cosine schedule.
const MOST_BETA: f64 = 0.999;

impl TimeStep {
    /// β_0 … β_{N−1}.
    fn betas(&self) -> Vec<f64> {
        if let Some(betas) = &self.trained_betas {
            return betas.clone();
        }
        let count = self.num_train_timesteps;
        let between = |a: f64, b: f64, i: usize| a + (b - a) * i as f64 / (count - 1) as f64;
        let beta = |i: usize| match self.beta_schedule {
            BetaSchedule::Linear => between(self.beta_start, self.beta_end, i),
            BetaSchedule::ScaledLinear => between(self.beta_start.sqrt(), self.beta_end.sqrt(), i).powi(2),
            BetaSchedule::SquaredCosine => {
                let alpha_bar =
                    |i: usize| ((i as f64 / count as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
                (1.0 - alpha_bar(i + 1) / alpha_bar(i)).min(MOST_BETA)
            }
        };
        (0..count).map(beta).collect()
    }

    /// The chain.
    pub fn build(&self) -> Chain {
        let mut sum = 0.0;
        let log_ratio = |beta: f64| {
            // −ln ᾱ as a sum, so that neither 1 − ᾱ of the first steps nor ᾱ of the last loses digits.
            sum -= (-beta).ln_1p();
            0.5 * (sum + (-(-sum).exp_m1()).ln())
        };
        Chain { log_ratios: self.betas().into_iter().map(log_ratio).collect() }
    }
}

impl Settings for TimeStep {
    fn check(&self) -> Result<(), Fault> {
        between("num_train_timesteps", self.num_train_timesteps, (2, MOST_STEPS))?;
        if let Some(betas) = &self.trained_betas {
            between("trained_betas", betas.len(), (2, MOST_STEPS))
                .map_err(|fault| Fault { problem: format!("a list of {} numbers", betas.len()), ..fault })?;
        }
        let given = self.trained_betas.iter().flatten().enumerate();
        let named = [("beta_start".to_owned(), self.beta_start), ("beta_end".to_owned(), self.beta_end)];
        for (key, beta) in named.into_iter().chain(given.map(|(i, &beta)| (format!("trained_betas[{i}]"), beta))) {
            if !(beta > 0.0 && beta < 1.0) {
                let problem = format!("{beta} is not between 0 and 1");
                return Err(Fault::new(key, problem, "write the share of noise that a step adds, such as 0.02"));
            }
        }
        Ok(())
    }
}

/// The noise levels of a discrete chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// ln κ_i, ascending.
    log_ratios: Vec<f64>,
}

impl Chain {
    /// κ of every step.
    pub fn ratios(&self) -> Vec<f64> {
        self.log_ratios.iter().map(|log| log.exp()).collect()
    }
}

impl NoiseLevel for Chain {
    fn of(&self, ratio: f64) -> f64 {
        let (log, last) = (ratio.ln(), self.log_ratios.len() - 1);
        match self.log_ratios.partition_point(|&node| node < log) {
            0 => 0.0,
            above if above > last => last as f64,
            above => {
                let (low, high) = (self.log_ratios[above - 1], self.log_ratios[above]);
                (above - 1) as f64 + (log - low) / (high - low)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ᾱ of the first, some middle and the last step as `DDPMScheduler` of diffusers 0.42.1 has them, in float32:
    ///
    /// ```python
    /// from diffusers import DDPMScheduler
    /// for name in ["linear", "scaled_linear", "squaredcos_cap_v2"]:
    ///     table = DDPMScheduler(beta_schedule=name).alphas_cumprod
    ///     print(name, [table[i].item() for i in [0, 250, 500, 999]])
    /// ```
    const PUBLISHED: [(BetaSchedule, [f64; 4]); 3] = [
        (BetaSchedule::Linear, [9.998999834e-01, 5.214229822e-01, 7.779665291e-02, 4.035830352e-05]),
        (BetaSchedule::ScaledLinear, [9.998999834e-01, 8.200101256e-01, 3.312746286e-01, 7.334119873e-04]),
        (BetaSchedule::SquaredCosine, [9.999586940e-01, 8.458880186e-01, 4.922850430e-01, 2.428734991e-09]),
    ];

    #[test]
    fn chains_are_the_published_ones() {
        for (beta_schedule, wanted) in PUBLISHED {
            let ratios = TimeStep { beta_schedule, ..TimeStep::default() }.build().ratios();
            for (i, wanted) in [0, 250, 500, 999].into_iter().zip(wanted) {
                let found = 1.0 / (1.0 + ratios[i] * ratios[i]);
                assert!((found / wanted - 1.0).abs() < 1e-4, "{beta_schedule:?} {i}: {found:e} is not {wanted:e}");
            }
        }
    }

    /// A whole number at every node of every chain, in order between them, and clamped beyond.
    #[test]
    fn steps_are_exact_at_the_nodes() {
        let written = TimeStep { trained_betas: Some(vec![0.1, 0.5, 0.2, 0.999]), ..TimeStep::default() };
        let of = |beta_schedule| TimeStep { beta_schedule, ..TimeStep::default() };
        for settings in PUBLISHED.map(|(schedule, _)| of(schedule)).into_iter().chain([written]) {
            settings.check().expect("settings that make sense");
            let chain = settings.build();
            let ratios = chain.ratios();
            for (i, pair) in ratios.windows(2).enumerate() {
                assert!((chain.of(pair[0]) - i as f64).abs() < 1e-6, "{settings:?}: {} is not {i}", chain.of(pair[0]));
                let middle = chain.of((pair[0] * pair[1]).sqrt());
                assert!((middle - i as f64 - 0.5).abs() < 1e-6, "{settings:?}: {middle} is not {i}.5");
            }
            let last = ratios.len() - 1;
            assert_eq!((chain.of(0.0), chain.of(0.5 * ratios[0])), (0.0, 0.0));
            assert_eq!((chain.of(2.0 * ratios[last]), chain.of(f64::INFINITY)), (last as f64, last as f64));
        }
    }

    #[test]
    fn chains_that_cannot_be_are_refused() {
        let refused = |settings: TimeStep| settings.check().expect_err("a fault").key;
        let written = |betas: &[f64]| TimeStep { trained_betas: Some(betas.to_vec()), ..TimeStep::default() };
        assert_eq!(refused(TimeStep { num_train_timesteps: 1, ..TimeStep::default() }), "num_train_timesteps");
        assert_eq!(refused(TimeStep { beta_end: 1.0, ..TimeStep::default() }), "beta_end");
        assert_eq!(refused(TimeStep { beta_start: f64::NAN, ..TimeStep::default() }), "beta_start");
        assert_eq!(refused(written(&[0.1])), "trained_betas");
        assert_eq!(refused(written(&[0.1, 0.0])), "trained_betas[1]");
    }
}
