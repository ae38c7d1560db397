//! From a model folder of diffusers to an experiment with a checkpoint at step 0.

use std::path::{Path, PathBuf};

use tch::Device;

use super::config::Config;
use super::scheduler::Meaning;
use super::{CONFIG, INDEX, SCHEDULER, class, read_settings, weights};
use crate::data::ImageShape;
use crate::error::{Error, Result};
use crate::experiment::choices::{DataSpec, NetworkSpec};
use crate::experiment::document::Document;
use crate::experiment::model_spec::ModelSpec;
use crate::experiment::plan::Plan;
use crate::experiment::spec::{LearnedModel, SampleSpec, Spec};
use crate::model::TimeEmbedding;
use crate::train::{Checkpoint, FIXED, PARAMETERS};

/// A model folder that was read, without its weights.
#[derive(Debug)]
pub struct Import {
    /// The experiment that it becomes, before any change.
    pub document: Document,
    /// What there is to say of it.
    pub remarks: Vec<String>,
    config: Config,
    /// What its images call black.
    black: f64,
    config_path: PathBuf,
    weights: PathBuf,
}

/// Samples that are drawn unless more are asked for.
const COUNT: usize = 16;

impl Import {
    /// Reads the settings in a folder. `overrides` are the changes that will be made to the experiment: where the folder does
    /// not tell the size of its images, they have to.
    ///
    /// # Errors
    /// Files that are missing or damaged, a model or a scheduler of another kind, settings that do not go together.
    pub fn open(folder: &Path, overrides: &[String]) -> Result<Self> {
        if !folder.is_dir() {
            let remedy = "give a folder that `save_pretrained` of diffusers has written";
            return Err(Error::file(folder, "there is no such folder", remedy));
        }
        refuse_latent(folder)?;
        let model = [folder.join("unet"), folder.to_owned()].into_iter().find(|path| path.join(CONFIG).is_file());
        let model = model.unwrap_or_else(|| folder.to_owned());
        let config_path = model.join(CONFIG);
        let config = Config::read(&config_path)?;
        let mut remarks = Vec::new();
        let beside = [folder.join("scheduler"), model.clone(), folder.to_owned()].map(|path| path.join(SCHEDULER));
        let meaning = match beside.iter().find(|path| path.is_file()) {
            Some(path) => Meaning::read(path)?,
            None => {
                let what = "the chain of DDPM (1000 steps, β from 0.0001 to 0.02 linearly, epsilon)";
                remarks.push(format!("there is no {SCHEDULER}; what is taken is {what}"));
                Meaning::of_ddpm()
            }
        };
        if config.unet.time_embedding_type != meaning.embedding {
            let [wants, has] = [meaning.embedding, config.unet.time_embedding_type].map(word);
            let problem = format!("time_embedding_type: {has}, and with its scheduler the network would need {wants}");
            return Err(Error::file(&config_path, problem, "give the scheduler that the network was trained with"));
        }
        let says_data = overrides.iter().any(|change| change.trim_start().starts_with("data"));
        if config.size.is_none() && !says_data {
            let shape = format!("{{channels: {}, height: 64, width: 64}}", config.channels);
            let remedy = format!("say it, as with --set 'data={{image_shape: {shape}}}', or name the data");
            return Err(Error::file(&config_path, "sample_size: the size of the images is not told", remedy));
        }
        let weights = weights::find(&model)?;
        let text = spec(folder, &config, &meaning).to_yaml();
        let document = Document::parse(&text, &folder.display().to_string())?;
        remarks.push(meaning.about);
        Ok(Import { document, remarks, config, black: meaning.black, config_path, weights })
    }

    /// The checkpoint of the model at step 0 of a plan of its experiment.
    ///
    /// # Errors
    /// Weights that are damaged or of another network, data of another number of channels.
    pub fn checkpoint(&self, plan: &Plan) -> Result<Checkpoint> {
        let channels = plan.data().shape().first().copied().unwrap_or_default();
        if channels != self.config.channels as i64 {
            let problem =
                format!("in_channels: the network is for {} channels, the data have {channels}", self.config.channels);
            return Err(Error::file(&self.config_path, problem, "name data that the network is made for"));
        }
        if self.black != -1.0 && plan.data().has_examples() {
            let problem =
                format!("the network calls black {}, and data call it -1: its samples would not be theirs", self.black);
            let remedy =
                "leave the data away: such a model can be sampled, and neither compared with data nor trained on";
            return Err(Error::file(&self.config_path, problem, remedy));
        }
        let (_network, parameters) = plan.network();
        weights::fill(&self.weights, weights::read(&self.weights)?, &parameters)?;
        let mut tensors = std::collections::HashMap::new();
        for (buffer, named) in [(PARAMETERS, parameters.named(&parameters.flat())), (FIXED, parameters.fixed())] {
            tensors.extend(named.into_iter().map(|(name, value)| (format!("{buffer}/{name}"), value)));
        }
        Ok(Checkpoint::new(0, &plan.training_hash(), plan.sigma_data(), Device::Cpu, tensors))
    }
}

/// A model of latent codes has a decoder beside it, which is not imported: its samples would be no images.
fn refuse_latent(folder: &Path) -> Result<()> {
    let path = folder.join(INDEX);
    if !path.is_file() {
        return Ok(());
    }
    let index = read_settings(&path)?;
    match ["vqvae", "vae", "movq"].into_iter().find(|part| index.contains_key(*part)) {
        Some(part) => {
            let problem = format!("{} is a model of latent codes: its `{part}` makes images of them", class(&index));
            Err(Error::file(&path, problem, "give a model of pixels, such as a DDPMPipeline"))
        }
        None => Ok(()),
    }
}

fn word(embedding: TimeEmbedding) -> &'static str {
    match embedding {
        TimeEmbedding::Positional => "positional",
        TimeEmbedding::Fourier => "fourier",
    }
}

/// The experiment that a model becomes: its network and process, and images of which the shape is known alone.
fn spec(folder: &Path, config: &Config, meaning: &Meaning) -> Spec {
    let [height, width] = config.size.unwrap_or_else(|| [ImageShape::default().height; 2]);
    let (channels, classes) = (config.channels, config.unet.num_class_embeds.unwrap_or(0));
    Spec {
        name: name(folder),
        description: Some(format!("imported from {}: {}", folder.display(), meaning.about)),
        seed: 0,
        data: DataSpec::ImageShape(ImageShape { channels, height, width, black: meaning.black, classes }),
        sde: meaning.sde.clone(),
        model: ModelSpec::Learned(LearnedModel {
            network: NetworkSpec::Unet(config.unet.clone()),
            predict: meaning.predict,
            sigma_data: Some(meaning.sigma_data),
            input: meaning.input,
            noise_level: meaning.noise_level.clone(),
            ..LearnedModel::default()
        }),
        train: Some(Default::default()),
        // Published chains end with x̂₀ of the last step.
        sample: SampleSpec { count: COUNT, denoise: true, ..SampleSpec::default() },
        compare: None,
        likelihood: None,
    }
}

/// The name of the folder, as an experiment may have it.
fn name(folder: &Path) -> String {
    let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let own = real.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' };
    let name: String = own.chars().map(plain).take(64).collect();
    match name.trim_start_matches(['-', '_']) {
        "" => "imported".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_names() {
        assert_eq!(name(Path::new("/no/such/Google DDPM-cifar10_32.v2")), "google-ddpm-cifar10_32-v2");
        assert_eq!(name(Path::new("/no/such/__")), "imported");
    }
}
