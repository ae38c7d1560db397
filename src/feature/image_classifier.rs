//! A trained classifier as features.

use tch::{Kind, Tensor};

use super::convolutional::ConvolutionalNetwork;
use super::store::{self, Card};
use super::{Activations, Features};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::file::sha256;
use crate::model::Parameters;

/// A classifier of images, and what is known of it.
#[derive(Debug)]
pub struct ImageClassifier {
    network: ConvolutionalNetwork,
    /// The parameters of the network by name.
    pub(super) named: Vec<(String, Tensor)>,
    /// What it says about itself.
    pub card: Card,
}

impl ImageClassifier {
    /// A network with its parameters; the hash on the card becomes theirs.
    pub(super) fn new(network: ConvolutionalNetwork, parameters: &Parameters, mut card: Card) -> Self {
        let named = parameters.named(&parameters.flat());
        card.hash = sha256(&store::serialize(&named, &card));
        ImageClassifier { network, named, card }
    }

    /// That it is made for such data.
    ///
    /// # Errors
    /// When their shape or their classes are others.
    pub fn fits(&self, data: &dyn Dataset) -> Result<()> {
        let Card { shape, classes, .. } = &self.card;
        let remedy = "train one on these data: ornstein features EXPERIMENT";
        if *shape != data.shape() {
            let problem = format!("the classifier is of images {shape:?}, and the data are {:?}", data.shape());
            return Err(Error::argument("features", problem, remedy));
        }
        if classes != data.classes() {
            let names = |classes: &[String]| match classes {
                [] => "none".to_owned(),
                classes => classes.join(", "),
            };
            let problem = format!(
                "the classifier knows the classes {}, and the data have {}",
                names(classes),
                names(data.classes())
            );
            return Err(Error::argument("features", problem, remedy));
        }
        Ok(())
    }
}

impl Features for ImageClassifier {
    fn name(&self) -> &str {
        "classifier"
    }

    fn dim(&self) -> usize {
        self.card.settings.network.features()
    }

    fn classes(&self) -> usize {
        self.card.classes.len()
    }

    fn hash(&self) -> &str {
        &self.card.hash
    }

    fn compute(&self, images: &Tensor) -> Result<Activations> {
        if images.size()[1..] != self.card.shape {
            let problem = format!("the classifier is of images {:?}, not {:?}", self.card.shape, &images.size()[1..]);
            return Err(Error::argument("features", problem, "choose features that were trained on such images"));
        }
        Ok(self.network.forward(&images.to_kind(Kind::Float)))
    }

    fn share(&self) -> Box<dyn Features> {
        let named = self.named.iter().map(|(name, value)| (name.clone(), value.shallow_clone())).collect();
        Box::new(ImageClassifier { network: self.network.share(), named, card: self.card.clone() })
    }
}
