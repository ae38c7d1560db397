//! Fashion-MNIST and MNIST: the four files that everybody has, under their usual names.

use serde::{Deserialize, Serialize};

use super::prepare::Prepare;
use super::{Idx, Images, within};
use crate::data::Library;
use crate::error::{Fault, Settings};

/// Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 60,000 images of clothing to train with and 10,000 held out, 28×28, grey,
/// in ten classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FashionMnist {
    /// The folder with its four files, plain or .gz. A relative path is sought in the data folder: that of --data, else
    /// of the variable ORNSTEIN_DATA, else `data`.
    pub folder: String,
    /// Which images are learnt, and what is done to them.
    pub prepare: Prepare,
}

/// MNIST (LeCun, Bottou, Bengio & Haffner 1998): 60,000 handwritten digits to train with and 10,000 held out, 28×28, grey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mnist {
    /// The folder with its four files, plain or .gz. A relative path is sought in the data folder: that of --data, else
    /// of the variable ORNSTEIN_DATA, else `data`.
    pub folder: String,
    /// Which images are learnt, and what is done to them.
    pub prepare: Prepare,
}

impl Default for FashionMnist {
    fn default() -> Self {
        FashionMnist { folder: "fashion-mnist".into(), prepare: Prepare::default() }
    }
}

impl Default for Mnist {
    fn default() -> Self {
        Mnist { folder: "mnist".into(), prepare: Prepare::default() }
    }
}

impl Settings for FashionMnist {
    fn check(&self) -> Result<(), Fault> {
        self.prepare.check().map_err(|fault| fault.under("prepare"))
    }
}

impl Settings for Mnist {
    fn check(&self) -> Result<(), Fault> {
        self.prepare.check().map_err(|fault| fault.under("prepare"))
    }
}

/// The classes of Fashion-MNIST.
const CLOTHES: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// Those of MNIST.
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

impl FashionMnist {
    /// Reads the files.
    ///
    /// # Errors
    /// Those of [`Idx`].
    pub fn build(&self, library: &Library) -> Result<Images, Fault> {
        build(library, &self.folder, "fashion-mnist", CLOTHES, &self.prepare)
    }
}

impl Mnist {
    /// Reads the files.
    ///
    /// # Errors
    /// Those of [`Idx`].
    pub fn build(&self, library: &Library) -> Result<Images, Fault> {
        build(library, &self.folder, "mnist", DIGITS, &self.prepare)
    }
}

fn build(library: &Library, folder: &str, set: &str, names: [&str; 10], prepare: &Prepare) -> Result<Images, Fault> {
    let found = |name: &str| {
        let plain = within(folder, name);
        let forms = [format!("{plain}.gz"), plain.clone()];
        let there = forms.into_iter().find(|file| library.path(file).exists());
        there.ok_or_else(|| library.missing("folder", &format!("{plain}.gz"), set))
    };
    let settings = Idx {
        images: found("train-images-idx3-ubyte")?,
        labels: Some(found("train-labels-idx1-ubyte")?),
        test_images: Some(found("t10k-images-idx3-ubyte")?),
        test_labels: Some(found("t10k-labels-idx1-ubyte")?),
        class_names: Some(names.map(str::to_owned).to_vec()),
        ..Idx::default()
    };
    // What is wrong with a file is a fault of the one setting that says where they are.
    let source = settings.read(library, folder).map_err(|fault| Fault { key: "folder".into(), ..fault })?;
    source.prepare(prepare, 0.0, 0)
}
