//! `config.json` of a `UNet2DModel`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{class, in_file, read_settings};
use crate::error::{Error, Fault, Result, Settings, suggestion};
use crate::model::Unet;

/// What the file says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// The network.
    pub(super) unet: Unet,
    /// Channels of its images.
    pub(super) channels: usize,
    /// Their height and width, where the file says.
    pub(super) size: Option<[usize; 2]>,
}

const CLASS: &str = "UNet2DModel";

/// Where the defaults of diffusers are not ours: what a key means that is not in the file.
fn defaults() -> Map<String, Value> {
    let Value::Object(defaults) = json!({
        "block_out_channels": [224, 448, 672, 896],
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        "attention_head_dim": 8,
    }) else {
        unreachable!("it is written as a map")
    };
    defaults
}

/// The keys that are no settings of the network here. `num_train_timesteps` counts only in a network that learns its
/// embedding of the time.
const OTHERS: [&str; 8] = [
    "sample_size",
    "in_channels",
    "out_channels",
    "center_input_sample",
    "act_fn",
    "mid_block_type",
    "class_embed_type",
    "num_train_timesteps",
];

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that is missing or no JSON, a model of another class, settings that do not exist here or make no sense.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let map = read_settings(path)?;
        if class(&map) != CLASS {
            let problem = format!("the model is of the class {:?}", class(&map));
            return Err(Error::file(path, problem, format!("give a folder with a {CLASS}: no other can be imported")));
        }
        Self::understand(map).map_err(in_file(path))
    }

    fn understand(map: Map<String, Value>) -> Result<Self, Fault> {
        check_others(&map)?;
        let channels = count(&map, "in_channels")?.unwrap_or(3);
        let out = count(&map, "out_channels")?.unwrap_or(3);
        if out != channels {
            let problem = format!("{out} channels come out where {channels} go in; the rest may be a learned variance");
            return Err(Fault::new("out_channels", problem, "give a model with as many channels out as in"));
        }
        let size = size(&map)?;
        let Value::Object(known) = serde_json::to_value(Unet { num_class_embeds: Some(1), ..Unet::default() })
            .expect("settings are plain data")
        else {
            unreachable!("the settings of a network are a map")
        };
        let optional = ["attn_norm_num_groups", "time_embedding_dim"];
        let mut settings = defaults();
        for (key, value) in map {
            if key.starts_with('_') || OTHERS.contains(&key.as_str()) {
                continue;
            }
            if !known.contains_key(&key) && !optional.contains(&key.as_str()) {
                if value.is_null() {
                    continue;
                }
                let names: Vec<String> =
                    known.keys().cloned().chain(optional.into_iter().chain(OTHERS).map(str::to_owned)).collect();
                let problem = format!("{CLASS} has no such setting here ({value})");
                return Err(Fault::new(key.clone(), problem, suggestion(&key, "settings", &names)));
            }
            // One by one, so that a fault knows its key.
            let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            if let Err(error) = serde_json::from_value::<Unet>(alone) {
                return Err(Fault::new(key, error.to_string(), "only what is listed can be imported"));
            }
            settings.insert(key, value);
        }
        let unet: Unet = serde_json::from_value(Value::Object(settings)).expect("each setting was read");
        unet.check()?;
        Ok(Config { unet, channels, size })
    }

    /// The settings as diffusers writes them.
    pub(super) fn to_json(&self) -> Value {
        let mut settings = serde_json::to_value(&self.unet).expect("settings are plain data");
        settings["_class_name"] = json!(CLASS);
        settings["in_channels"] = json!(self.channels);
        settings["out_channels"] = json!(self.channels);
        settings["act_fn"] = json!("silu");
        settings["center_input_sample"] = json!(false);
        settings["sample_size"] = match self.size {
            Some([height, width]) if height == width => json!(height),
            size => json!(size),
        };
        settings
    }
}

/// Settings with which the network would be another than ours.
fn check_others(map: &Map<String, Value>) -> Result<(), Fault> {
    let unlike = |key: &str, only: &[Value], what: &str| match map.get(key) {
        Some(value) if !only.contains(value) => {
            Err(Fault::new(key, format!("{value}: {what}"), format!("only {} can be imported", only[0])))
        }
        _ => Ok(()),
    };
    unlike("center_input_sample", &[json!(false), Value::Null], "the network would take 2x − 1 of what it is given")?;
    unlike("act_fn", &[json!("silu"), json!("swish"), Value::Null], "another activation")?;
    unlike("mid_block_type", &[json!("UNetMidBlock2D")], "another block, or none, at the coarsest level")?;
    unlike("class_embed_type", &[Value::Null], "classes that are told in another way than by a table")
}

/// A whole number greater than zero.
fn count(map: &Map<String, Value>, key: &str) -> Result<Option<usize>, Fault> {
    map.get(key).filter(|value| !value.is_null()).map(|value| whole(key, value)).transpose()
}

fn whole(key: &str, value: &Value) -> Result<usize, Fault> {
    let number = value.as_u64().filter(|number| (1..=1 << 14).contains(number)).map(|number| number as usize);
    number.ok_or_else(|| Fault::new(key, format!("{value} is no count"), "write a whole number of 1 to 16384"))
}

/// The height and the width of images: one number for both, or two.
fn size(map: &Map<String, Value>) -> Result<Option<[usize; 2]>, Fault> {
    let key = "sample_size";
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(both)) if both.len() == 2 => Ok(Some([whole(key, &both[0])?, whole(key, &both[1])?])),
        Some(side) => whole(key, side).map(|side| Some([side, side])),
    }
}
