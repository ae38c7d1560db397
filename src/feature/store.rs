//! A classifier in a folder: its parameters as safetensors, and a card in JSON that is written last.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::image_classifier::ImageClassifier;
use super::training::ClassifierSettings;
use crate::data::Dataset;
use crate::error::{Error, Result, Settings};
use crate::file::{sha256, write_whole};
use crate::metric::Share;
use crate::model::Builder;
use crate::{named_tensors, tensor};

/// What a classifier says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The version of this format.
    pub format: u32,
    /// The version of the program that trained it.
    pub version: String,
    /// The version of LibTorch that it was trained with.
    pub libtorch: String,
    /// How it was built and trained.
    pub settings: ClassifierSettings,
    /// The shape of the images `[C, H, W]`.
    pub shape: Vec<i64>,
    /// The names of the classes, K.
    pub classes: Vec<String>,
    /// The seed of its training.
    pub seed: u64,
    /// The SHA-256 of the files of the data; none of a law.
    pub data_sha256: Option<String>,
    /// The accuracy on held-out data.
    pub accuracy: Share,
    /// The SHA-256 of the file with the parameters, which holds the network and the shape of the images too: equal hashes are
    /// equal features.
    pub hash: String,
}

/// The version of the format that this program writes and reads.
const FORMAT: u32 = 1;

/// The name of the card in its folder.
const CARD: &str = "classifier.json";

/// What to do about a classifier that cannot be used.
const AGAIN: &str = "train one: ornstein features EXPERIMENT --output FOLDER";

impl Card {
    /// The card of a classifier that is still to be trained.
    pub(super) fn new(settings: &ClassifierSettings, data: &dyn Dataset, seed: u64) -> Self {
        Card {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            libtorch: tensor::LIBTORCH.into(),
            settings: settings.clone(),
            shape: data.shape(),
            classes: data.classes().to_vec(),
            seed,
            data_sha256: data.digest().map(str::to_owned),
            accuracy: Share::of(0, 1),
            hash: String::new(),
        }
    }

    /// Reads the card in `folder`.
    ///
    /// # Errors
    /// When there is none, or one that this program cannot read.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CARD);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::file(folder, "there is no classifier in this folder", AGAIN));
            }
            other => other.map_err(|error| Error::file(&path, error.to_string(), AGAIN))?,
        };
        let not_one = |error: serde_json::Error| {
            Error::file(&path, format!("this is not the card of a classifier ({error})"), AGAIN)
        };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(not_one)?;
        if let Some(format) = value.get("format").and_then(serde_json::Value::as_u64)
            && format != u64::from(FORMAT)
        {
            let problem = format!("classifier format {format} where this program reads format {FORMAT}");
            return Err(Error::file(&path, problem, AGAIN));
        }
        let card: Card = serde_json::from_value(value).map_err(not_one)?;
        card.settings
            .check()
            .map_err(|fault| Error::file(&path, format!("settings.{}: {}", fault.key, fault.problem), AGAIN))?;
        if card.hash.len() != 64 || !card.hash.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(Error::file(&path, "the hash is none", AGAIN));
        }
        Ok(card)
    }

    /// The file with the parameters. It has the hash in its name, so that a card never stands beside the parameters of
    /// another classifier.
    fn tensors(&self, folder: &Path) -> PathBuf {
        folder.join(format!("classifier-{}.safetensors", &self.hash[..12]))
    }
}

impl ImageClassifier {
    /// Writes it into `folder`, which is made if it is not there; an earlier classifier in it is replaced.
    ///
    /// # Errors
    /// When the disk is full or the folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).map_err(|source| Error::Unwritable { path: folder.to_owned(), source })?;
        let earlier = Card::read(folder).ok().map(|card| card.tensors(folder));
        let tensors = self.card.tensors(folder);
        write_whole(&tensors, &serialize(&self.named, &self.card))?;
        let path = folder.join(CARD);
        write_whole(&path, &serde_json::to_vec_pretty(&self.card).expect("a card is plain data"))?;
        if let Some(earlier) = earlier.filter(|earlier| *earlier != tensors) {
            // A failure leaves a file too many, no more.
            let _ = fs::remove_file(earlier);
        }
        Ok(path)
    }

    /// Reads the classifier in `folder`.
    ///
    /// # Errors
    /// When a file is missing, damaged, or not of the network that the card describes.
    pub fn load(folder: &Path) -> Result<Self> {
        let card = Card::read(folder)?;
        let path = card.tensors(folder);
        let refuse = |problem: String| Error::file(&path, problem, AGAIN);
        let data = fs::read(&path).map_err(|error| refuse(error.to_string()))?;
        if sha256(&data) != card.hash {
            return Err(refuse("the parameters are damaged: their hash is not that on the card".into()));
        }
        let stored = named_tensors::from_bytes(&data).map_err(refuse)?;
        let mut builder = Builder::new(0, Device::Cpu);
        let network = card.settings.network.build(&card.shape, card.classes.len() as i64, &mut builder);
        let network = network.map_err(|fault| refuse(fault.problem))?;
        let parameters = builder.finish();
        for (name, mut value) in parameters.named(&parameters.flat()) {
            let Some(found) = stored.get(&name) else { return Err(refuse(format!("there is no tensor {name}"))) };
            if found.kind() != Kind::Float || found.size() != value.size() {
                let problem = format!("{name} is {:?} {:?}, not Float {:?}", found.kind(), found.size(), value.size());
                return Err(refuse(problem));
            }
            value.copy_(found);
        }
        let hash = card.hash.clone();
        let classifier = ImageClassifier::new(network, &parameters, card);
        match classifier.card.hash == hash {
            true => Ok(classifier),
            false => Err(refuse("these are the parameters of another network than that on the card".into())),
        }
    }
}

/// The file with the parameters, and with what they are the parameters of.
pub(super) fn serialize(named: &[(String, Tensor)], card: &Card) -> Vec<u8> {
    let about = serde_json::to_string(&(&card.settings.network, &card.shape)).expect("settings are plain data");
    let about = HashMap::from([("network".to_owned(), about)]);
    named_tensors::to_bytes(named.iter().map(|(name, value)| (name, value)), Some(about))
}
