//! Model folders of Hugging Face diffusers: what is read from them, and what is written.
//!
//! A folder is that of a pipeline (`model_index.json`, `unet/`, `scheduler/`) or of a model alone (`config.json`, the weights
//! and, if there is one, `scheduler_config.json` beside them). Of the networks it is `UNet2DModel`, whose settings and
//! parameter names are those of [`crate::model::Unet`]; the scheduler tells how the network is shown the state, how it is told
//! the noise level and what it predicts.

mod config;
mod export;
mod import;
mod scheduler;
mod weights;

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Fault, Result};

pub use self::export::{Exported, export};
pub use self::import::Import;

/// The files of a model and of a scheduler.
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const SCHEDULER: &str = "scheduler_config.json";
const INDEX: &str = "model_index.json";

/// The settings in a JSON file.
fn read_settings(path: &Path) -> Result<Map<String, Value>> {
    let remedy = "give a folder that `save_pretrained` of diffusers has written";
    let text = std::fs::read(path).map_err(|e| Error::file(path, e.to_string(), remedy))?;
    let value = serde_json::from_slice(&text);
    let value = value.map_err(|e| Error::file(path, format!("this is not JSON ({e})"), remedy))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Error::file(path, "this is JSON, and no map of settings", remedy)),
    }
}

/// A fault of a setting in a file.
fn in_file(path: &Path) -> impl Fn(Fault) -> Error {
    move |Fault { key, problem, remedy }| Error::file(path, format!("{key}: {problem}"), remedy)
}

/// The class that settings are of.
fn class(map: &Map<String, Value>) -> &str {
    map.get("_class_name").and_then(Value::as_str).unwrap_or_default()
}
