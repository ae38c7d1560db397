//! The typed form of an experiment file.

use super::choices::{DataSpec, EmaSpec, GridSpec, MetricSpec, NetworkSpec, NoiseLevelSpec, SdeSpec, SolverSpec};
use super::class_spec::Classes;
use super::likelihood_spec::LikelihoodSpec;
use super::model_spec::ModelSpec;
use super::read::{Invalid, read};
use super::train_spec::TrainSpec;
use super::tree::Tree;
use crate::error::{Fault, Settings};
use crate::model::{FourierFeatures, Input, Precision, Prediction};
use serde::{Deserialize, Serialize};

/// An experiment: what to learn, with what, and how to sample and compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name of the experiment, and of the folder of its results: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// A sentence on what it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The seed of all randomness; the same seed gives the same results.
    #[serde(default)]
    pub seed: u64,
    /// The data to learn and to compare with.
    pub data: DataSpec,
    /// The process that turns data into noise.
    pub sde: SdeSpec,
    /// What tells the score: a network to be trained, the exact score where the data have one, or that of finitely many
    /// points of them.
    pub model: ModelSpec,
    /// How to train the network; only networks are trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<TrainSpec>,
    /// How to draw samples.
    #[serde(default)]
    pub sample: SampleSpec,
    /// Which solvers to compare, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<CompareSpec>,
    /// How to compute likelihoods, if at all: `ornstein likelihood` does so with or without, `ornstein run` only with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodSpec>,
}

/// A network and what it predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LearnedModel {
    /// The network.
    pub network: NetworkSpec,
    /// What the network predicts, from which the score follows.
    pub predict: Prediction,
    /// The standard deviation of the data, to scale what enters and leaves the network; measured if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_data: Option<f64>,
    /// What the network computes in; `--precision` is that of the states of solvers.
    // The defaults of this and the next are not written out: they were there before they could be chosen, and hashes stay.
    #[serde(skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// How the network is shown the state.
    #[serde(skip_serializing_if = "is_default")]
    pub input: Input,
    /// How the network is told the noise level.
    #[serde(skip_serializing_if = "is_default")]
    pub noise_level: NoiseLevelSpec,
    /// What the network is shown beside the state, of discrete data: periods in bins, such as [1, 2].
    #[serde(skip_serializing_if = "is_default")]
    pub fourier_features: FourierFeatures,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How to draw samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SampleSpec {
    /// How many samples.
    #[schemars(range(min = 1))]
    pub count: usize,
    /// Which classes, in turn: one for all samples, or a list. Of networks that are told classes; all of them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Classes>,
    /// The solver.
    pub solver: SolverSpec,
    /// The times at which the solver stops.
    pub grid: GridSpec,
    /// How many steps. Absent, 20, or as many as an explicit grid has; a spec that was read always has it.
    #[schemars(range(min = 1))]
    pub steps: Option<usize>,
    /// Whether a last step removes the noise that is left at the smallest time.
    pub denoise: bool,
    /// Where the noise of a stochastic solver comes from.
    pub noise: Noise,
    /// How many samples are drawn at once; smaller saves memory and changes nothing else. As many as suit the model if
    /// absent.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// Which checkpoint of a trained model.
    pub checkpoint: Which,
    /// Which moving average of its parameters; the first of `train.ema` if absent. A power average that was not tracked
    /// is put together from the snapshots of `train.snapshot_every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaSpec>,
}

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The newest.
    Last,
    /// The one with the least validation loss.
    Best,
}

/// Where the noise of a stochastic solver comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// New noise in each step.
    Fresh,
    /// The increments of one Brownian path, the same for every grid.
    Brownian,
}

/// Which solvers to compare, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareSpec {
    /// The solvers to compare.
    #[schemars(length(min = 1))]
    pub entries: Vec<Entry>,
    /// The budgets at which to compare: numbers of evaluations of the score, ascending.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub nfe: Vec<usize>,
    /// The distances from the data to measure.
    #[serde(default = "default_metrics")]
    #[schemars(length(min = 1))]
    pub metrics: Vec<MetricSpec>,
    /// What the features of images are computed with, for the distances that are measured on them: the folder of a classifier
    /// (`ornstein features`), or a TorchScript file. Absent, a classifier of the data, which is trained where there is none
    /// yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
    /// How often to repeat each measurement, with new noise, for its error bar.
    #[serde(default = "default_repeats")]
    #[schemars(range(min = 1))]
    pub repeats: usize,
    /// How many samples for each measurement; as many as `sample.count` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4))]
    pub count: Option<usize>,
}

/// The label of the noise floor in tables: fresh data compared with data.
pub const FLOOR: &str = "data";

/// One solver of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The solver.
    pub solver: SolverSpec,
    /// The times at which it stops; those of `sample.grid` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<GridSpec>,
    /// Its name in tables and figures; that of the solver, and of the grid if given, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether a last step removes the noise that is left; as in `sample.denoise` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denoise: Option<bool>,
    /// The budgets of this solver, ascending, for example to compare solvers at equal steps; `compare.nfe` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1), inner(range(min = 1))))]
    pub nfe: Option<Vec<usize>>,
}

/// For each required key, how it may look.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("name", "name: two-moons-vp"),
    ("data", "data: two_moons"),
    ("sde", "sde: vp"),
    ("model", "model: {network: mlp, predict: noise}"),
    ("entries", "entries: [{solver: heun}, {solver: dpmpp_2m}]"),
    ("nfe", "nfe: [10, 20, 50]"),
    ("solver", "solver: heun"),
];

/// How many steps a solver takes where neither `steps` nor an explicit grid says.
const DEFAULT_STEPS: usize = 20;

impl Default for LearnedModel {
    fn default() -> Self {
        LearnedModel {
            network: NetworkSpec::Mlp(Default::default()),
            predict: Prediction::Edm,
            sigma_data: None,
            precision: Precision::Float32,
            input: Input::UnitVariance,
            noise_level: NoiseLevelSpec::default(),
            fourier_features: FourierFeatures::default(),
        }
    }
}

impl Default for SampleSpec {
    fn default() -> Self {
        SampleSpec {
            count: 10_000,
            class: None,
            solver: SolverSpec::Dpmpp2m(Default::default()),
            grid: GridSpec::Karras(Default::default()),
            steps: None,
            denoise: false,
            noise: Noise::Fresh,
            chunk: None,
            checkpoint: Which::Last,
            ema: None,
        }
    }
}

fn default_metrics() -> Vec<MetricSpec> {
    vec![MetricSpec::SlicedWasserstein(Default::default())]
}

fn default_repeats() -> usize {
    5
}

impl SampleSpec {
    /// How many steps the solver takes.
    pub fn steps(&self) -> usize {
        match (&self.grid, self.steps) {
            (_, Some(steps)) => steps,
            (GridSpec::Explicit(times), None) => times.steps(),
            (_, None) => DEFAULT_STEPS,
        }
    }
}

impl CompareSpec {
    /// The budgets at which to measure an entry; a solver under error control has none.
    pub fn budgets<'a>(&'a self, entry: &'a Entry) -> &'a [usize] {
        match entry.solver.chosen().tolerance() {
            Some(_) => &[],
            None => entry.nfe.as_ref().unwrap_or(&self.nfe),
        }
    }

    /// The samples of a run, where the experiment samples `count`.
    pub fn count(&self, count: usize) -> usize {
        self.count.unwrap_or(count)
    }

    /// The evaluations that the whole comparison makes, of `count` samples a run unless it says otherwise itself: without
    /// solvers that choose their own steps.
    pub fn evaluations(&self, count: usize) -> usize {
        let budgets = self.entries.iter().flat_map(|entry| self.budgets(entry)).copied();
        let each = budgets.fold(0, usize::saturating_add);
        each.saturating_mul(self.repeats).saturating_mul(self.count(count))
    }
}

impl Entry {
    /// Its name in tables and figures.
    pub fn label(&self) -> String {
        match (&self.label, &self.grid) {
            (Some(label), _) => label.clone(),
            (None, Some(grid)) => format!("{} ({})", self.solver.name(), grid.name()),
            (None, None) => self.solver.name().to_owned(),
        }
    }
}

impl Spec {
    /// The experiment as YAML, with everything that has a default written out.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("plain maps, lists, numbers and texts can always be written")
    }

    /// Reads and checks a tree.
    pub(super) fn understand(tree: &Tree) -> Result<Self, Invalid> {
        if *tree == Tree::Null {
            let remedy = "write at least the keys name, data, sde and model";
            return Err(Fault::new("", "there is nothing in this experiment", remedy).into());
        }
        let mut spec: Self = read(tree)?;
        if matches!(spec.model, ModelSpec::Learned(_)) {
            spec.train.get_or_insert_default().complete();
        }
        spec.check()?;
        spec.sample.steps = Some(spec.sample.steps());
        Ok(spec)
    }
}
