//! What all blocks of a network for images are told: the noise level, the class and how an example was augmented.

use tch::Tensor;

use super::layer::{Embedding, Linear, Start};
use super::{Builder, Condition, Interface};
use crate::error::Fault;

/// silu(W₂ silu(W₁ f) + v_class + A a) of the features f of c_noise, the class and the augmentation a.
#[derive(Debug)]
pub(super) struct Embedder {
    time: [Linear; 2],
    classes: Option<Embedding>,
    augmentation: Option<Linear>,
}

/// The layers of an [`Embedder`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers<'a> {
    /// The names of those of the noise level.
    pub(super) time: [&'a str; 2],
    /// The name of the table of classes.
    pub(super) classes: &'a str,
    /// The number of features, and of numbers that come out.
    pub(super) sizes: (i64, i64),
    /// How the linear ones start.
    pub(super) start: Start,
    /// The standard deviation of the vectors of classes at the start.
    pub(super) deviation: f64,
}

impl Embedder {
    /// An embedder with vectors for `classes`, if it is told any.
    pub(super) fn new(b: &mut Builder, layers: Layers, classes: Option<usize>, interface: &Interface) -> Self {
        let Layers { sizes: (features, width), start, .. } = layers;
        let mut time = |name: &str, from| Linear::new(b, name, from, width, start);
        Embedder {
            time: [time(layers.time[0], features), time(layers.time[1], width)],
            classes: classes.map(|count| Embedding::new(b, layers.classes, (count as i64, width), layers.deviation)),
            augmentation: (interface.augmentations > 0)
                .then(|| Linear::without_bias(b, "augment_embedding", interface.augmentations as i64, width, start)),
        }
    }

    /// `[1 or B, E]` of the features `[1 or B, F]` of c_noise.
    pub(super) fn forward(&self, features: &Tensor, condition: &Condition) -> Tensor {
        let mut e = self.time[1].forward(&self.time[0].forward(features).silu());
        if let Some(table) = &self.classes {
            let label = condition.label.as_ref().expect("a class-conditional network is told a class");
            // Not in place: of one noise level for all samples there is one row.
            e = table.forward(label) + e;
        }
        if let Some(layer) = &self.augmentation
            && let Some(vector) = &condition.vector
        {
            e = layer.forward(vector) + e;
        }
        e.silu()
    }
}

/// Refuses fewer vectors than the data have classes.
pub(super) fn enough(key: &str, known: Option<usize>, interface: &Interface) -> Result<(), Fault> {
    match known.filter(|&known| known < interface.classes) {
        Some(known) => {
            let problem = format!("{known} vectors for {} classes of the data", interface.classes);
            Err(Fault::new(key, problem, "write at least as many, or null to learn no classes"))
        }
        None => Ok(()),
    }
}
