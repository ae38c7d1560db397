//! From a run to a model folder of diffusers.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::config::Config;
use super::{CONFIG, INDEX, SCHEDULER, WEIGHTS};
use crate::error::{Error, Fault, Result};
use crate::experiment::choices::{NetworkSpec, NoiseLevelSpec};
use crate::experiment::model_spec::ModelSpec;
use crate::experiment::plan::Plan;
use crate::experiment::spec::LearnedModel;
use crate::experiment::training::Loaded;
use crate::file::write_whole;
use crate::model::{Input, Prediction, TimeEmbedding, TimeStep};
use crate::named_tensors;
use crate::sde::Sde;

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// The class of its scheduler.
    pub scheduler: String,
    /// The training steps that made the weights.
    pub step: usize,
    /// What was left behind, and why.
    pub remarks: Vec<String>,
}

/// A scheduler that tells a network what ours is told, and the pipeline that it is part of, if there is one.
struct Scheduler {
    settings: Value,
    pipeline: Option<&'static str>,
}

/// The vector that tells how an example was augmented has a layer that diffusers does not know.
const AUGMENTATION: &str = "augment_embedding.";

/// Writes the model of a checkpoint as a folder that diffusers reads.
///
/// The folder is written under another name beside its place and moved there when it is whole.
///
/// # Errors
/// A network that is no U-Net, or one that no scheduler of diffusers would tell the same; a folder that holds something.
pub fn export(plan: &Plan, loaded: &Loaded, folder: &Path) -> Result<Exported> {
    let ModelSpec::Learned(model) = &plan.spec.model else {
        let word = plan.spec.model.word().unwrap_or_default();
        return Err(refused("", format!("`model: {word}` has no network"), "export a run with a trained network"));
    };
    let NetworkSpec::Unet(unet) = &model.network else {
        let problem = format!("diffusers has no network such as {}", model.network.name());
        return Err(refused("network", problem, "export a run whose network is a unet"));
    };
    if !model.fourier_features.0.is_empty() {
        let problem = "networks of diffusers are shown the state alone";
        return Err(refused("fourier_features", problem.to_owned(), "export a run without them"));
    }
    let shape = plan.data().shape();
    let &[channels, height, width] = shape.as_slice() else { unreachable!("a U-Net is made for images") };
    let config =
        Config { unet: unet.clone(), channels: channels as usize, size: Some([height as usize, width as usize]) };
    let scheduler = scheduler(plan, model, loaded.sigma_data, unet.time_embedding_type)
        .map_err(|Fault { key, problem, remedy }| refused(&key, problem, &remedy))?;
    let parameters = &loaded.parameters;
    let mut named = parameters.named(&parameters.flat());
    named.extend(parameters.fixed());
    let mut remarks = Vec::new();
    let all = named.len();
    named.retain(|(name, _)| !name.starts_with(AUGMENTATION) && !name.starts_with("uncertainty."));
    if named.len() < all {
        remarks
            .push("what the network was told of augmentation is left out; of images as they are it is told 0".into());
    }
    // As PyTorch's own files say.
    let about = [("format".to_owned(), "pt".to_owned())].into();
    let weights = named_tensors::to_bytes(named.iter().map(|(name, value)| (name, value)), Some(about));
    let files = Files { config: config.to_json(), scheduler, weights };
    files.write(folder)?;
    let scheduler = super::class(files.scheduler.settings.as_object().expect("a map")).to_owned();
    Ok(Exported { folder: folder.to_owned(), scheduler, step: loaded.step, remarks })
}

fn refused(key: &str, problem: String, remedy: &str) -> Error {
    let place = if key.is_empty() { "model".to_owned() } else { format!("model.{key}") };
    Error::Experiment { place, problem, remedy: remedy.to_owned() }
}

/// The scheduler of diffusers under which a network is asked what it was trained to answer.
fn scheduler(plan: &Plan, model: &LearnedModel, sigma_data: f64, embedding: TimeEmbedding) -> Result<Scheduler, Fault> {
    let (span, sde) = (plan.sde.span(), &*plan.sde);
    let [sigma_min, sigma_max] = [span.t_min, span.t_max].map(|t| sde.kernel(t).ratio());
    let needs = |wanted: TimeEmbedding, input: Input| {
        if embedding != wanted {
            let problem = "diffusers takes the logarithm of what Fourier features are told, and of nothing else";
            let remedy = "it can be exported with `noise_level: log`, or as positional with the others";
            return Err(Fault::new("network.unet.time_embedding_type", problem, remedy));
        }
        if model.input != input {
            let problem = "no scheduler of diffusers shows a network the state like this at what it is told";
            let remedy = "it can be exported with `exploding` under `noise_level: log`, else with `unit_variance`";
            return Err(Fault::new("input", problem, remedy));
        }
        Ok(())
    };
    match &model.noise_level {
        NoiseLevelSpec::TimeStep(step) => {
            needs(TimeEmbedding::Positional, Input::UnitVariance)?;
            if sigma_data != 1.0 {
                let problem = format!("the network saw states scaled with {sigma_data}, and those of a chain have 1");
                return Err(Fault::new("sigma_data", problem, "it can be exported where it was trained with 1"));
            }
            let predicted = chain_prediction(model.predict, sde)?;
            Ok(Scheduler { settings: ddpm(step, predicted), pipeline: Some("DDPMPipeline") })
        }
        NoiseLevelSpec::Log(_) => {
            needs(TimeEmbedding::Fourier, Input::Exploding)?;
            if model.predict != Prediction::Score {
                let problem = "diffusers takes what such a network predicts for the score";
                return Err(Fault::new("predict", problem, "it can be exported with `predict: score`"));
            }
            let settings = json!({
                "_class_name": "ScoreSdeVeScheduler", "num_train_timesteps": 2000, "snr": 0.15, "sigma_min": sigma_min,
                "sigma_max": sigma_max, "sampling_eps": 1e-5, "correct_steps": 1,
            });
            Ok(Scheduler { settings, pipeline: Some("ScoreSdeVePipeline") })
        }
        NoiseLevelSpec::QuarterLog(_) => {
            needs(TimeEmbedding::Positional, Input::UnitVariance)?;
            let predicted = match model.predict {
                Prediction::Edm => "epsilon",
                Prediction::TrigFlow => "v_prediction",
                _ => {
                    let problem =
                        "where a network is told ¼ ln κ, the schedulers of diffusers know EDM's residual alone";
                    return Err(Fault::new(
                        "predict",
                        problem,
                        "it can be exported with `predict: edm`, or `trig_flow`",
                    ));
                }
            };
            let settings = json!({
                "_class_name": "EDMEulerScheduler", "sigma_min": sigma_min, "sigma_max": sigma_max,
                "sigma_data": sigma_data, "sigma_schedule": "karras", "rho": 7.0, "num_train_timesteps": 1000,
                "prediction_type": predicted, "final_sigmas_type": "zero",
            });
            Ok(Scheduler { settings, pipeline: None })
        }
    }
}

/// What diffusers calls the prediction of a network on a chain.
fn chain_prediction(predict: Prediction, sde: &dyn Sde) -> Result<&'static str, Fault> {
    let span = sde.span();
    let preserves = |t: f64| {
        let k = sde.kernel(t);
        (k.alpha.hypot(k.sigma) - 1.0).abs() < 1e-9
    };
    match predict {
        Prediction::Noise => Ok("epsilon"),
        Prediction::Data => Ok("sample"),
        Prediction::TrigFlow => Ok("v_prediction"),
        Prediction::Velocity if [span.t_min, 0.5 * (span.t_min + span.t_max)].into_iter().all(preserves) => {
            Ok("v_prediction")
        }
        _ => Err(Fault::new(
            "predict",
            "no scheduler of a chain takes this prediction",
            "it can be exported with `noise`, `data` or `trig_flow`, and with `velocity` where α² + σ² = 1",
        )),
    }
}

fn ddpm(step: &TimeStep, predicted: &str) -> Value {
    let mut settings = serde_json::to_value(step).expect("settings are plain data");
    settings["_class_name"] = json!("DDPMScheduler");
    settings["prediction_type"] = json!(predicted);
    settings["variance_type"] = json!("fixed_small");
    settings["clip_sample"] = json!(true);
    settings
}

/// What a folder holds.
struct Files {
    config: Value,
    scheduler: Scheduler,
    weights: Vec<u8>,
}

impl Files {
    fn write(&self, folder: &Path) -> Result<()> {
        let unwritable = |source| Error::Unwritable { path: folder.to_owned(), source };
        if fs::symlink_metadata(folder).is_ok() {
            let mut entries = fs::read_dir(folder).map_err(unwritable)?;
            if entries.next().is_some() {
                let problem = "this folder is not empty";
                return Err(Error::argument(folder.display().to_string(), problem, "name one that does not exist yet"));
            }
        }
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("model");
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let partial = parent.join(format!(".{name}.{}.partial", std::process::id()));
        fs::create_dir_all(&partial).map_err(unwritable)?;
        let written = self.fill(&partial).and_then(|()| fs::rename(&partial, folder).map_err(unwritable));
        if written.is_err() {
            // A failure leaves a folder too many, no more.
            let _ = fs::remove_dir_all(&partial);
        }
        written
    }

    fn fill(&self, folder: &Path) -> Result<()> {
        let text = |value: &Value| serde_json::to_vec_pretty(value).expect("settings are plain data");
        let Scheduler { settings, pipeline } = &self.scheduler;
        let (unet, scheduler) = match pipeline {
            // Of a model alone all lies in one folder.
            None => (folder.to_owned(), folder.to_owned()),
            Some(pipeline) => {
                let index = json!({
                    "_class_name": pipeline, "unet": ["diffusers", "UNet2DModel"],
                    "scheduler": ["diffusers", settings["_class_name"]],
                });
                write_whole(&folder.join(INDEX), &text(&index))?;
                (folder.join("unet"), folder.join("scheduler"))
            }
        };
        for folder in [&unet, &scheduler] {
            fs::create_dir_all(folder).map_err(Error::write(folder))?;
        }
        write_whole(&scheduler.join(SCHEDULER), &text(settings))?;
        write_whole(&unet.join(CONFIG), &text(&self.config))?;
        write_whole(&unet.join(WEIGHTS), &self.weights)
    }
}
