//! Images as metrics see them: as features, as what a classifier takes them for, and beside what the model was trained on.

use std::sync::{Mutex, OnceLock};

use ndarray::{Array2, Axis, concatenate};
use tch::{Device, Tensor};

use super::tick;
use crate::data::{Examples, Part};
use crate::error::Result;
use crate::experiment::observer::Observer;
use crate::experiment::plan::Plan;
use crate::feature::{Extracted, Features, extract};
use crate::metric::{Classified, Metric, Need, Neighbor, Question, Shared, Trained, TrainingSet};
use crate::rng::{Purpose, Stream};
use crate::tensor;
use crate::threads::Workers;

/// Who looks at the images of a comparison, and what all repeats share.
pub(super) struct Gallery<'a> {
    plan: &'a Plan,
    observer: &'a dyn Observer,
    features: Mutex<Box<dyn Features>>,
    /// Whether a metric compares samples with classes or with training images, of which fresh data have to be unseen.
    judges: bool,
    /// At most so many training images; none if no metric asks for them.
    points: Option<usize>,
    training: OnceLock<TrainingSet>,
}

/// Some images.
pub(super) struct Seen {
    what: Extracted,
    /// The class that each was asked to be of.
    asked: Option<Vec<usize>>,
    shared: Shared,
}

/// The images of a run, or fresh data in their place.
pub(super) struct Exhibits {
    images: Seen,
    /// Of fresh data those that neither the model nor the classifier was trained on, where it matters.
    unseen: Option<Seen>,
}

/// The reference data of a repeat.
pub(super) struct References {
    what: Extracted,
    /// The nearest training image of each, if a metric asks.
    held_out: Vec<Neighbor>,
}

/// Training images that are drawn at once.
const BLOCK: usize = 4096;

impl<'a> Gallery<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        metrics: &[Box<dyn Metric>],
        features: Box<dyn Features>,
        observer: &'a dyn Observer,
    ) -> Self {
        let needs = || metrics.iter().filter_map(|metric| metric.needs());
        let points = needs().find_map(|need| if let Need::Training { points } = need { Some(points) } else { None });
        let judges = needs().any(Need::is_of_unseen);
        Gallery { plan, observer, features: Mutex::new(features), judges, points, training: OnceLock::new() }
    }

    /// What the features are of images `[N, C, H, W]`.
    fn look(&self, images: &Tensor, workers: &Workers) -> Result<Extracted> {
        let features = self.features.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).share();
        // As they are written to files.
        let images = images.to_device(Device::Cpu).clamp(-1.0, 1.0);
        extract(&*features, &images, workers, &|_| tick(self.observer)(0))
    }

    fn see(&self, images: &Tensor, asked: Option<&Tensor>, workers: &Workers) -> Result<Seen> {
        let asked = asked.map(|class| tensor::to_array(class).iter().map(|&class| class as usize).collect());
        Ok(Seen { what: self.look(images, workers)?, asked, shared: Shared::default() })
    }

    /// The samples of a run, which takes the classes in turn.
    pub(super) fn samples(&self, x: &Tensor, workers: &Workers) -> Result<Exhibits> {
        let asked = self.plan.in_turn().narrow(0, x.size()[0]).label;
        Ok(Exhibits { images: self.see(x, asked.as_ref(), workers)?, unseen: None })
    }

    /// Fresh data `[N, C, H, W]` of training, from a place in their stream on; and as many that are held out.
    pub(super) fn data(&self, training: &Tensor, first: u64, workers: &Workers) -> Result<Exhibits> {
        let images = self.see(training, None, workers)?;
        if !self.judges {
            return Ok(Exhibits { images, unseen: None });
        }
        let (stream, count) = (Stream::new(self.plan.spec.seed, Purpose::Reference), training.size()[0] as usize);
        let Examples { x, class, .. } = self.plan.data().labelled(Part::HeldOut, stream, first, count);
        Ok(Exhibits { images, unseen: Some(self.see(&x, class.as_ref(), workers)?) })
    }

    /// The reference data of a repeat.
    pub(super) fn references(&self, images: &Tensor, workers: &Workers) -> Result<References> {
        let what = self.look(images, workers)?;
        let training = self.points.map(|points| self.training(points, workers)).transpose()?;
        let nearest = |training: &TrainingSet| workers.install(|| training.nearest(what.features.view()));
        Ok(References { held_out: training.map_or(Vec::new(), nearest), what })
    }

    /// The training images, looked at once: the first that training is shown.
    fn training(&self, points: usize, workers: &Workers) -> Result<&TrainingSet> {
        if let Some(training) = self.training.get() {
            return Ok(training);
        }
        let data = self.plan.data();
        let count = points.min(data.rows(Part::Training).unwrap_or(points));
        self.observer.say(&format!("computing features of {count} training images, for memorisation"));
        let stream = Stream::new(self.plan.spec.seed, Purpose::Data);
        let block = |first: usize| {
            let images = data.draw(stream, first as u64, BLOCK.min(count - first));
            self.look(&images, workers).map(|seen| seen.features)
        };
        let blocks: Vec<Array2<f64>> = (0..count).step_by(BLOCK).map(block).collect::<Result<_>>()?;
        let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
        let features = concatenate(Axis(0), &views).expect("features of one length");
        Ok(self.training.get_or_init(|| TrainingSet::new(features.view())))
    }

    /// What a metric that needs images is asked.
    pub(super) fn question<'q>(
        &'q self,
        need: Need,
        exhibits: &'q Exhibits,
        references: &'q References,
    ) -> Question<'q> {
        let Exhibits { images, unseen } = exhibits;
        let seen = unseen.as_ref().filter(|_| need.is_of_unseen()).unwrap_or(images);
        let logits = seen.what.logits.as_ref().zip(references.what.logits.as_ref());
        let classified =
            logits.map(|(x, y)| Classified { samples: x.view(), data: y.view(), asked: seen.asked.as_deref() });
        let trained = self.training.get().map(|on| Trained { on, held_out: &references.held_out });
        let (x, data) = (seen.what.features.view(), references.what.features.view());
        Question { classified, trained, shared: Some(&seen.shared), ..Question::new(x, data) }
    }
}
