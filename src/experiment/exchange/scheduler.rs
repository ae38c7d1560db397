//! `scheduler_config.json`: how a network is shown the state, how it is told the noise level, what it predicts, and the
//! process that it was trained on.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{class, in_file, read_settings};
use crate::error::{Error, Fault, Result, Settings};
use crate::experiment::choices::{NoiseLevelSpec, SdeSpec};
use crate::model::{BetaSchedule, Input, Log, Prediction, QuarterLog, TimeEmbedding, TimeStep};
use crate::sde::{Cosine, Edm, Sde, Ve, Vp};

/// What a scheduler says of its network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning {
    /// What the network predicts.
    pub(super) predict: Prediction,
    /// The root mean square of the data's coordinates, as the prediction takes it.
    pub(super) sigma_data: f64,
    /// How it is shown the state.
    pub(super) input: Input,
    /// How it is told the noise level.
    pub(super) noise_level: NoiseLevelSpec,
    /// The embedding that this goes with.
    pub(super) embedding: TimeEmbedding,
    /// The process that it was trained on, over the noise levels that it has seen.
    pub(super) sde: SdeSpec,
    /// What its images call black; white is 1.
    pub(super) black: f64,
    /// What there is to know of its noise levels, in words.
    pub(super) about: String,
}

/// The schedulers on the chain of DDPM, at whose steps one and the same network may be asked.
const CHAINS: [&str; 13] = [
    "DDPMScheduler",
    "DDIMScheduler",
    "PNDMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "LMSDiscreteScheduler",
    "DDPMParallelScheduler",
    "DDIMParallelScheduler",
    "DDIMInverseScheduler",
];

/// The schedulers of EDM.
const EDM: [&str; 2] = ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"];

/// That of NCSN++.
const VE: &str = "ScoreSdeVeScheduler";

/// Settings as they count here; the rest is about sampling, which experiments choose themselves.
#[derive(Deserialize)]
#[serde(default)]
struct ChainSettings {
    beta_schedule: String,
    beta_start: f64,
    beta_end: f64,
    num_train_timesteps: usize,
    trained_betas: Option<Vec<f64>>,
    prediction_type: String,
    rescale_betas_zero_snr: bool,
    use_flow_sigmas: bool,
    timestep_type: String,
}

impl Default for ChainSettings {
    fn default() -> Self {
        let TimeStep { beta_start, beta_end, num_train_timesteps, trained_betas, .. } = TimeStep::default();
        ChainSettings {
            beta_schedule: "linear".into(),
            beta_start,
            beta_end,
            num_train_timesteps,
            trained_betas,
            prediction_type: "epsilon".into(),
            rescale_betas_zero_snr: false,
            use_flow_sigmas: false,
            timestep_type: "discrete".into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct EdmSettings {
    sigma_min: f64,
    sigma_max: f64,
    sigma_data: f64,
    prediction_type: String,
}

impl Default for EdmSettings {
    fn default() -> Self {
        EdmSettings { sigma_min: 0.002, sigma_max: 80.0, sigma_data: 0.5, prediction_type: "epsilon".into() }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct VeSettings {
    sigma_min: f64,
    sigma_max: f64,
}

impl Default for VeSettings {
    fn default() -> Self {
        VeSettings { sigma_min: 0.01, sigma_max: 1348.0 }
    }
}

impl Meaning {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that is missing or no JSON, a scheduler whose networks are no denoisers of this kind, settings that make no
    /// sense.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let map = read_settings(path)?;
        let name = class(&map).to_owned();
        if CHAINS.contains(&name.as_str()) {
            return read::<ChainSettings>(&map).and_then(ChainSettings::meaning).map_err(in_file(path));
        }
        if EDM.contains(&name.as_str()) {
            return read::<EdmSettings>(&map).and_then(EdmSettings::meaning).map_err(in_file(path));
        }
        if name == VE {
            return read::<VeSettings>(&map).and_then(VeSettings::meaning).map_err(in_file(path));
        }
        let problem = match name.as_str() {
            "CMStochasticIterativeScheduler" => {
                "a consistency model leads from any noise level to the end of its own trajectory: it is no denoiser, and \
                 no solver can step with it"
                    .to_owned()
            }
            _ => format!("the scheduler is of the class {name:?}, whose networks are told the noise level in another way"),
        };
        let known = [&CHAINS[..], &EDM, &[VE]].concat().join(", ");
        Err(Error::file(path, problem, format!("give a model with one of {known}")))
    }

    /// What is taken where a model has no scheduler beside it.
    pub(super) fn of_ddpm() -> Self {
        ChainSettings::default().meaning().expect("the defaults make sense")
    }
}

/// The settings of interest; `null` is as good as absent.
fn read<T: DeserializeOwned>(map: &Map<String, Value>) -> Result<T, Fault> {
    let given = map.iter().filter(|(_, value)| !value.is_null());
    // One by one, so that a fault knows its key.
    for (key, value) in given.clone() {
        if let Err(error) = serde_json::from_value::<T>(json!({ key: value })) {
            return Err(Fault::new(key, error.to_string(), "give a file that diffusers has written"));
        }
    }
    let given: Map<String, Value> = given.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(serde_json::from_value(Value::Object(given)).unwrap_or_else(|_| unreachable!("each setting was read")))
}

fn unknown(key: &str, given: &str, allowed: &str) -> Fault {
    Fault::new(key, format!("{given:?} cannot be imported"), format!("give a model with one of {allowed}"))
}

impl ChainSettings {
    fn meaning(self) -> Result<Meaning, Fault> {
        let beta_schedule = match (self.beta_schedule.as_str(), &self.trained_betas) {
            ("scaled_linear", _) => BetaSchedule::ScaledLinear,
            ("squaredcos_cap_v2", _) => BetaSchedule::SquaredCosine,
            ("linear", _) | (_, Some(_)) => BetaSchedule::Linear,
            (other, None) => return Err(unknown("beta_schedule", other, "linear, scaled_linear, squaredcos_cap_v2")),
        };
        // v of the chain is that of unit variance, whatever the process.
        let predict = match self.prediction_type.as_str() {
            "epsilon" => Prediction::Noise,
            "sample" => Prediction::Data,
            "v_prediction" => Prediction::TrigFlow,
            other => return Err(unknown("prediction_type", other, "epsilon, sample, v_prediction")),
        };
        if self.rescale_betas_zero_snr {
            let problem = "its last step has no signal: σ/α is infinite there";
            return Err(Fault::new("rescale_betas_zero_snr", problem, "give a model that was trained without it"));
        }
        if self.use_flow_sigmas {
            let problem = "the noise levels are those of flow matching";
            return Err(Fault::new("use_flow_sigmas", problem, "give a model of a chain with β"));
        }
        if self.timestep_type != "discrete" {
            return Err(unknown("timestep_type", &self.timestep_type, "discrete"));
        }
        let num_train_timesteps = self.trained_betas.as_ref().map_or(self.num_train_timesteps, Vec::len);
        let (beta_start, beta_end) = (self.beta_start, self.beta_end);
        let step =
            TimeStep { beta_schedule, beta_start, beta_end, num_train_timesteps, trained_betas: self.trained_betas };
        step.check()?;
        let (sde, about) = process(&step);
        sde.check()?;
        Ok(Meaning {
            predict,
            // c_in = (α² + σ²)^{−1/2}: the state of the chain.
            sigma_data: 1.0,
            input: Input::UnitVariance,
            noise_level: NoiseLevelSpec::TimeStep(step),
            embedding: TimeEmbedding::Positional,
            sde,
            black: -1.0,
            about,
        })
    }
}

/// The process of which a chain is a grid, or one over the same noise levels; with what to say of it.
fn process(step: &TimeStep) -> (SdeSpec, String) {
    let ratios = step.build().ratios();
    let (count, first, last) = (ratios.len(), ratios[0], ratios[ratios.len() - 1]);
    let levels = format!("a chain of {count} steps from σ/α = {first:.4} to {last:.4}");
    let span = |sde: &dyn Sde| (sde.time_of_ratio(first), sde.time_of_ratio(last));
    let near = format!("step i (from 0) is near t = (i + 1)/{count}, and the network is told the step of equal σ/α");
    match (step.beta_schedule, &step.trained_betas) {
        (BetaSchedule::SquaredCosine, None) => {
            let (t_min, last) = span(&Cosine::default());
            // Beyond, an error of ε in x̂₀ is hundreds of times itself.
            let t_max = last.min(Cosine::default().t_max);
            (SdeSpec::Cosine(Cosine { t_min, t_train: t_min, t_max, ..Cosine::default() }), format!("{levels}; {near}"))
        }
        (schedule, betas) => {
            // β is a rate for each step, and the process takes a unit of time for all.
            let rates = match betas {
                None => [step.beta_start, step.beta_end].map(|beta| beta * count as f64),
                Some(_) => [Vp::default().beta_min, Vp::default().beta_max],
            };
            let [beta_min, beta_max] = [rates[0].min(rates[1]), rates[0].max(rates[1])];
            let sde = Vp { beta_min, beta_max, ..Vp::default() };
            let (t_min, t_max) = span(&sde);
            let linear = schedule == BetaSchedule::Linear && betas.is_none();
            let place = if linear { near } else { "the network is told the step of equal σ/α".to_owned() };
            (SdeSpec::Vp(Vp { t_min, t_train: t_min, t_max, ..sde }), format!("{levels}; {place}"))
        }
    }
}

impl EdmSettings {
    fn meaning(self) -> Result<Meaning, Fault> {
        let EdmSettings { sigma_min, sigma_max, sigma_data, prediction_type } = self;
        let predict = match prediction_type.as_str() {
            "epsilon" => Prediction::Edm,
            "v_prediction" => Prediction::TrigFlow,
            other => return Err(unknown("prediction_type", other, "epsilon, v_prediction")),
        };
        crate::error::positive("sigma_data", sigma_data)?;
        let sde = SdeSpec::Edm(Edm { sigma_min, sigma_max });
        sde.check()?;
        let noise_level = NoiseLevelSpec::QuarterLog(QuarterLog {});
        let about = format!("noise levels from {sigma_min} to {sigma_max}, of which the network is told ¼ ln σ");
        let (input, embedding) = (Input::UnitVariance, TimeEmbedding::Positional);
        Ok(Meaning { predict, sigma_data, input, noise_level, embedding, sde, black: -1.0, about })
    }
}

impl VeSettings {
    fn meaning(self) -> Result<Meaning, Fault> {
        let VeSettings { sigma_min, sigma_max } = self;
        let sde = SdeSpec::Ve(Ve { sigma_min, sigma_max, ..Ve::default() });
        sde.check()?;
        let about = format!(
            "noise levels from {sigma_min} to {sigma_max}, of which the network is told ln σ; its images have black at 0 \
             and white at 1"
        );
        Ok(Meaning {
            predict: Prediction::Score,
            // Neither the input nor the prediction asks for it.
            sigma_data: 0.5,
            input: Input::Exploding,
            noise_level: NoiseLevelSpec::Log(Log {}),
            embedding: TimeEmbedding::Fourier,
            sde,
            black: 0.0,
            about,
        })
    }
}
