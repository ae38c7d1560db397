//! The part of a plan that is about training: from settings to a trainer, and from a checkpoint to a model.

use std::path::Path;

use tch::Tensor;

use super::choices::EmaSpec;
use super::model_spec::ModelSpec;
use super::plan::Plan;
use crate::data::{Examples, Part};
use crate::error::{Fault, Result};
use crate::model::{Condition, Network, Parameters};
use crate::rng::{Purpose, Stream};
use crate::score::Model;
use crate::train::{
    Checkpoint, Learner, Manifest, Objective, PARAMETERS, Snapshots, Told, Trainer, TrainerSettings, Uncertainty,
};

/// A network with the parameters of a checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// The network.
    pub network: Box<dyn Network>,
    /// Its parameters.
    pub parameters: Parameters,
    /// The training steps that made them.
    pub step: usize,
    /// The root mean square of the data's coordinates that its prediction row was given.
    pub sigma_data: f64,
}

impl Plan {
    /// What is trained, at its initial parameters.
    fn learner(&self, uncertainty: Option<Uncertainty>) -> Learner {
        let (network, mut builder) = self.initial_network();
        let uncertainty = uncertainty.map(|uncertainty| uncertainty.build(self.spec.seed, &mut builder));
        Learner { network, uncertainty, parameters: builder.finish(), told: self.told() }
    }

    /// A training run at step 0.
    ///
    /// # Errors
    /// When there are no examples of the data.
    pub fn trainer(&self) -> Result<Trainer> {
        self.needs_examples("training")?;
        let (Some(train), ModelSpec::Learned(model)) = (&self.spec.train, &self.spec.model) else {
            panic!("this model is not trained")
        };
        let settings = TrainerSettings {
            steps: train.steps,
            batch: train.batch,
            micro_batch: train.micro_batch,
            optimizer: train.optimizer.build(),
            schedule: train.schedule.build(),
            warmup: train.warmup,
            clip: train.clip,
            averages: train.ema.0.iter().map(EmaSpec::build).collect(),
            seed: self.spec.seed,
        };
        let (sigma_data, weighting) = (self.sigma_data(), train.weighting.build());
        let objective = Objective {
            sde: self.sde.clone(),
            time: train.time.build(&*self.sde, &*weighting, sigma_data),
            strata: train.quantiles.strata(train.batch),
            weighting,
            preconditioning: model.preconditioning(sigma_data, &**self.data()),
            seed: self.spec.seed,
            gradient_checkpointing: train.gradient_checkpointing,
        };
        let learner = self.learner(train.uncertainty);
        Ok(Trainer::new(settings, objective, self.data().clone(), learner, self.compute.workers.clone()))
    }

    /// What the network is told of examples.
    pub fn told(&self) -> Told {
        match &self.spec.model {
            ModelSpec::Learned(model) => Told {
                classes: model.network.is_told_classes(),
                augmentations: model.network.is_told_augmentations() && self.data().augmentations() > 0,
            },
            _ => Told::default(),
        }
    }

    /// What samples are conditioned on that stand for the data: a network that is told classes is told one after the other.
    pub fn in_turn(&self) -> Condition {
        self.of_classes((0..self.data().classes().len()).collect())
    }

    /// What the samples of `sample` are conditioned on: the classes that it names.
    pub fn asked(&self) -> Condition {
        // Classes that are not there were refused when the plan was made.
        let places = self.spec.sample.class.as_ref().and_then(|classes| classes.places(self.data().classes()).ok());
        places.map_or_else(|| self.in_turn(), |places| self.of_classes(places))
    }

    fn of_classes(&self, places: Vec<usize>) -> Condition {
        let label = || {
            let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
            Tensor::from_slice(&places).to_device(self.compute.device)
        };
        Condition { label: self.told().classes.then(label), ..Condition::default() }
    }

    /// Whether the data have the classes that the network is told and that samples are drawn of.
    pub(super) fn check_classes(&self) -> Result<(), Fault> {
        let names = self.data().classes();
        if self.told().classes && names.is_empty() {
            let problem = "the network is told classes, and the data have none";
            let remedy = "leave `num_class_embeds` (unet) or `num_classes` (dit) away, or choose data with classes";
            return Err(Fault::new("model.network", problem, remedy));
        }
        let asked = self.spec.sample.class.as_ref().map(|classes| classes.places(names));
        asked.transpose().map(drop).map_err(|fault| fault.under("sample.class"))
    }

    /// The trained model of a checkpoint, with the averaged parameters that `sample.ema` asks for, told all classes in turn.
    ///
    /// # Errors
    /// When the checkpoint cannot be read or is of another experiment.
    pub fn trained(&self, manifest: &Path) -> Result<Box<dyn Model>> {
        self.trained_on(manifest, self.in_turn())
    }

    /// The trained model of a checkpoint under a condition.
    ///
    /// # Errors
    /// As [`Plan::trained`].
    pub fn trained_on(&self, manifest: &Path, condition: Condition) -> Result<Box<dyn Model>> {
        let Loaded { network, sigma_data, .. } = self.loaded(manifest)?;
        Ok(self.around(network, sigma_data, condition))
    }

    /// The network of a checkpoint, with the averaged parameters that `sample.ema` asks for.
    ///
    /// # Errors
    /// As [`Plan::trained`].
    pub fn loaded(&self, manifest: &Path) -> Result<Loaded> {
        let Some(train) = &self.spec.train else { panic!("an exact model has no checkpoint") };
        let hash = self.training_hash();
        let checkpoint = Checkpoint::load(manifest, &hash)?;
        let (network, parameters) = self.network();
        checkpoint.copy_fixed(&parameters)?;
        let Manifest { step, sigma_data, .. } = checkpoint.manifest;
        let wanted = self.spec.sample.ema.as_ref().unwrap_or(&train.ema.0[0]);
        match (train.ema.0.iter().position(|tracked| tracked == wanted), wanted) {
            // Before the first step all averages are the parameters.
            _ if step == 0 => checkpoint.copy_all(PARAMETERS, &parameters, &parameters.flat())?,
            (None, EmaSpec::Power(wanted)) => {
                let power = |(i, average): (usize, &EmaSpec)| match average {
                    EmaSpec::Power(power) => Some((i, *power)),
                    EmaSpec::HalfLife(_) => None,
                };
                let tracked = train.ema.0.iter().enumerate().filter_map(power).collect();
                // Beside the last checkpoints, one folder up from the best.
                let folders = manifest.ancestors().skip(1).take(2).map(|folder| folder.join("snapshots"));
                let folder = folders.clone().find(|folder| folder.is_dir()).or(folders.into_iter().next());
                let snapshots = Snapshots { folder: &folder.unwrap_or_default(), experiment: &hash, tracked };
                snapshots.average(*wanted, step, &parameters)?;
            }
            (place, _) => {
                let buffer = format!("ema.{}", place.expect("the experiment was checked"));
                checkpoint.copy_all(&buffer, &parameters, &parameters.flat())?;
            }
        }
        Ok(Loaded { network, parameters, step, sigma_data })
    }

    /// The examples on which the loss of training is validated, at most `count`.
    pub fn validation(&self, count: usize) -> Examples {
        self.data().labelled(Part::HeldOut, Stream::new(self.spec.seed, Purpose::Validation), 0, count)
    }
}
