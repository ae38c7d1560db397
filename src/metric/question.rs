//! What metrics are asked, and what they may be told.

use std::sync::Mutex;

use ndarray::ArrayView2;

use super::{Diagonal, Fidelities, Metric, Neighbor, Start, Target, TrainingSet, Truth};

/// What a metric is asked about, and all that it may look at.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The samples `[N, D]`.
    pub x: ArrayView2<'a, f64>,
    /// Reference data `[M, D]`, independent of the samples.
    pub data: ArrayView2<'a, f64>,
    /// What is known of the law of the data.
    pub truth: &'a Truth,
    /// Where the probability flow ends `[N, D]` that starts where each sample started.
    pub flow: Option<ArrayView2<'a, f64>>,
    /// The law of what the solver makes, and of what it should, in common axes.
    pub laws: Option<[&'a Diagonal; 2]>,
    /// What a classifier says of the samples and of the data.
    pub classified: Option<Classified<'a>>,
    /// What the model was trained on, in the space of the samples.
    pub trained: Option<Trained<'a>>,
    /// What metrics that ask the same work out once; without it each works it out for itself.
    pub shared: Option<&'a Shared>,
}

/// What a classifier says of samples and of data.
#[derive(Clone, Copy, Debug)]
pub struct Classified<'a> {
    /// The logits of the samples `[N, K]`.
    pub samples: ArrayView2<'a, f64>,
    /// The logits of the reference data `[M, K]`.
    pub data: ArrayView2<'a, f64>,
    /// The class below K that each sample was asked to be of `[N]`; none of samples that were not asked.
    pub asked: Option<&'a [usize]>,
}

/// What a model was trained on, and how near the reference data come to it.
#[derive(Clone, Copy, Debug)]
pub struct Trained<'a> {
    /// The training examples.
    pub on: &'a TrainingSet,
    /// The nearest of them to each point of the reference data, which are not among them `[M]`.
    pub held_out: &'a [Neighbor],
}

/// What several metrics find out about one question, found out once.
#[derive(Debug, Default)]
pub struct Shared(Mutex<Vec<(usize, Fidelities)>>);

impl Shared {
    /// The fidelities for `k` neighbours.
    pub(super) fn fidelities(&self, k: usize, find: impl FnOnce() -> Fidelities) -> Fidelities {
        let mut known = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, found)) = known.iter().find(|(other, _)| *other == k) {
            return *found;
        }
        let found = find();
        known.push((k, found));
        found
    }
}

impl<'a> Question<'a> {
    /// How far are the points `x` `[N, D]` from `data` `[M, D]`, if nothing else is known?
    pub fn new(x: ArrayView2<'a, f64>, data: ArrayView2<'a, f64>) -> Self {
        let (flow, laws, classified, trained, shared) = (None, None, None, None, None);
        Question { x, data, truth: &Truth::NOTHING, flow, laws, classified, trained, shared }
    }

    /// Whether it holds what a metric needs.
    pub fn has(&self, need: Need) -> bool {
        match need {
            Need::Density => self.truth.density.is_some(),
            Need::Modes => self.truth.modes.is_some(),
            Need::Flow { .. } => self.flow.is_some(),
            Need::Laws { .. } => self.laws.is_some(),
            // Points are points: whoever asks gives features for them.
            Need::Features => true,
            Need::Logits => self.classified.is_some(),
            Need::Asked => self.classified.is_some_and(|classified| classified.asked.is_some()),
            Need::Training { .. } => self.trained.is_some(),
        }
    }

    /// Panics unless the samples and the data are `least` points or more in one space.
    #[track_caller]
    pub(super) fn check(&self, metric: &(impl Metric + ?Sized)) {
        let ((n, d), (m, e), least) = (self.x.dim(), self.data.dim(), metric.least());
        assert!(
            d == e && d > 0 && n >= least && m >= least,
            "{} compares [N, D] with [M, D] for N, M ≥ {least} and D ≥ 1, but got [{n}, {d}] and [{m}, {e}]",
            metric.name(),
        );
    }

    /// Whether every coordinate is finite; sorting and searching make no sense of others.
    pub(super) fn is_finite(&self) -> bool {
        let logits = self.classified.iter().flat_map(|classified| classified.samples.iter().chain(&classified.data));
        self.x.iter().chain(&self.data).chain(logits).all(|coordinate| coordinate.is_finite())
    }
}

/// What a metric may need to know beside samples and reference data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Need {
    /// The density of the data.
    Density,
    /// The modes of the data.
    Modes,
    /// The end of the probability flow from the same starts.
    Flow {
        /// The tolerance, relative and absolute, of its integration.
        tolerance: f64,
    },
    /// Features of images in place of the images themselves, as samples and as reference data.
    Features,
    /// Features, and what a classifier says of the images.
    Logits,
    /// The same, and the class that each sample was asked to be of.
    Asked,
    /// Features, and those of images that the model was trained on.
    Training {
        /// At most so many of them.
        points: usize,
    },
    /// The exact laws of what the solver makes and of what it should.
    Laws {
        /// Where it starts.
        start: Start,
        /// What it should make.
        target: Target,
    },
}

impl Need {
    /// Whether data in place of samples have to be images that neither the model nor the classifier was trained on.
    pub fn is_of_unseen(self) -> bool {
        matches!(self, Need::Asked | Need::Training { .. })
    }

    /// Whether samples and data are features of images in place of the images themselves.
    pub fn is_of_images(self) -> bool {
        match self {
            Need::Features | Need::Logits | Need::Asked | Need::Training { .. } => true,
            Need::Density | Need::Modes | Need::Flow { .. } | Need::Laws { .. } => false,
        }
    }
}
