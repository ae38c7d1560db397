//! The typed form of an experiment file.

use super::choice::unknown;
use super::choices::{DataSpec, GridSpec, MetricSpec, NetworkSpec, OptimizerSpec, SdeSpec, SolverSpec, TimeSpec};
use super::locate::{Step, line, steps};
use super::overrides::Override;
use super::read::{Invalid, read};
use super::syntax;
use super::tree::Tree;
use crate::error::{Error, Fault, Result, Settings};
use crate::model::Prediction;
use crate::train::{Ema, Weighting};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

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
    /// What tells the score: a network to be trained, or the exact score where the data have one.
    pub model: ModelSpec,
    /// How to train the network; there is none with the exact model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<TrainSpec>,
    /// How to draw samples.
    #[serde(default)]
    pub sample: SampleSpec,
    /// Which solvers to compare, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<CompareSpec>,
}

/// What tells the score.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSpec {
    /// The exact score, for data that have one in closed form.
    Exact,
    /// A network to be trained.
    Learned(LearnedModel),
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
}

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSpec {
    /// How many steps of the optimiser.
    pub steps: usize,
    /// How many points in each step.
    pub batch: usize,
    /// The law from which the times are drawn.
    pub time: TimeSpec,
    /// The weight of each time in the loss.
    pub weighting: Weighting,
    /// The optimiser.
    pub optimizer: OptimizerSpec,
    /// Over how many steps the learning rate rises from zero.
    pub warmup: usize,
    /// The norm to which gradients are clipped; `null` for no clipping.
    pub clip: Option<f64>,
    /// The moving average of the weights with which samples are drawn.
    pub ema: Ema,
    /// The number of steps between two lines of the log.
    pub log_every: usize,
    /// The number of steps between two checkpoints.
    pub checkpoint_every: usize,
}

/// How to draw samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SampleSpec {
    /// How many samples.
    pub count: usize,
    /// The solver.
    pub solver: SolverSpec,
    /// The times at which the solver stops.
    pub grid: GridSpec,
    /// How many steps. Absent, 20, or as many as an explicit grid has; a spec that was read always has it.
    pub steps: Option<usize>,
    /// Whether a last step removes the noise that is left at the smallest time.
    pub denoise: bool,
    /// Where the noise of a stochastic solver comes from.
    pub noise: Noise,
    /// How many samples are drawn at once; smaller saves memory and changes nothing else.
    pub chunk: usize,
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
    pub entries: Vec<Entry>,
    /// The budgets at which to compare: numbers of evaluations of the score, ascending.
    pub nfe: Vec<usize>,
    /// The distances from the data to measure.
    #[serde(default = "default_metrics")]
    pub metrics: Vec<MetricSpec>,
    /// How often to repeat each measurement, with new noise, for its error bar.
    #[serde(default = "default_repeats")]
    pub repeats: usize,
    /// How many samples for each measurement; as many as `sample.count` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
        LearnedModel { network: NetworkSpec::Mlp(Default::default()), predict: Prediction::Edm, sigma_data: None }
    }
}

impl Default for TrainSpec {
    fn default() -> Self {
        TrainSpec {
            steps: 5000,
            batch: 512,
            time: TimeSpec::Uniform(Default::default()),
            weighting: Weighting::Simple,
            optimizer: OptimizerSpec::AdamW(Default::default()),
            warmup: 100,
            clip: Some(1.0),
            ema: Ema::default(),
            log_every: 50,
            checkpoint_every: 1000,
        }
    }
}

impl Default for SampleSpec {
    fn default() -> Self {
        SampleSpec {
            count: 10_000,
            solver: SolverSpec::Dpmpp2m(Default::default()),
            grid: GridSpec::Karras(Default::default()),
            steps: None,
            denoise: false,
            noise: Noise::Fresh,
            chunk: 1024,
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
    /// Reads an experiment from the text of a file, with `path=value` overrides in their order.
    ///
    /// The text must make sense by itself, so that a fault is either of the file or of an override.
    ///
    /// # Errors
    /// [`Error::Experiment`] with the first thing that cannot be, and its line or its override.
    pub fn parse(text: &str, file: &str, overrides: &[String]) -> Result<Self> {
        let mut tree = syntax::parse(text).map_err(|broken| {
            let place = match broken.position {
                Some((line, column)) => format!("{file}:{line}:{column}"),
                None => file.to_owned(),
            };
            error(place, broken.fault)
        })?;
        let mut outcome = Self::understand(&tree);
        if let Err(invalid) = outcome {
            return Err(in_file(invalid, file, text, &tree));
        }
        // A fault is laid at the door of the override with which it appears.
        let mut culprit = "";
        for text in overrides {
            Override::parse(text)
                .and_then(|change| change.apply(&mut tree))
                .map_err(|fault| error(format!("--set {text}"), fault))?;
            let next = Self::understand(&tree);
            if next != outcome {
                culprit = text;
            }
            outcome = next;
        }
        outcome.map_err(|invalid| in_override(invalid, culprit))
    }

    /// The experiment as YAML, with everything that has a default written out.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("plain maps, lists, numbers and texts can always be written")
    }

    /// A fault of the data that shows when they are read, at its place in what [`Spec::parse`] was given.
    pub fn data_fault(text: &str, file: &str, overrides: &[String], fault: Fault) -> Error {
        match (overrides.iter().rev().find(|text| text.trim_start().starts_with("data")), syntax::parse(text)) {
            (Some(culprit), _) => in_override(fault.into(), culprit),
            (None, Ok(tree)) => in_file(fault.into(), file, text, &tree),
            (None, Err(_)) => error(format!("{file}: {}", fault.key), fault),
        }
    }

    fn understand(tree: &Tree) -> Result<Self, Invalid> {
        if *tree == Tree::Null {
            let remedy = "write at least the keys name, data, sde and model";
            return Err(Fault::new("", "there is nothing in this experiment", remedy).into());
        }
        let mut spec: Self = read(tree)?;
        if matches!(spec.model, ModelSpec::Learned(_)) {
            spec.train.get_or_insert_default();
        }
        spec.check()?;
        spec.sample.steps = Some(spec.sample.steps());
        Ok(spec)
    }
}

fn error(place: String, fault: Fault) -> Error {
    Error::Experiment { place, problem: fault.problem, remedy: fault.remedy }
}

/// The way to what is invalid, down to the key at fault.
fn way(invalid: &Invalid) -> Vec<Step> {
    let mut way = steps(&invalid.fault.key).unwrap_or_default();
    way.extend(invalid.key.clone().map(Step::Key));
    way
}

fn in_file(invalid: Invalid, file: &str, text: &str, tree: &Tree) -> Error {
    let mut place = file.to_owned();
    if let Some(line) = line(text, tree, &way(&invalid)) {
        place += &format!(":{line}");
    }
    if !invalid.fault.key.is_empty() {
        place += &format!(": {}", invalid.fault.key);
    }
    error(place, invalid.fault)
}

fn in_override(invalid: Invalid, text: &str) -> Error {
    let mut place = format!("--set {text}");
    let named = text.split_once('=').and_then(|(place, _)| steps(place.trim()));
    if !invalid.fault.key.is_empty() && named != Some(way(&invalid)) {
        place += &format!(": {}", invalid.fault.key);
    }
    error(place, invalid.fault)
}

impl Serialize for ModelSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ModelSpec::Exact => serializer.serialize_str("exact"),
            ModelSpec::Learned(model) => model.serialize(serializer),
        }
    }
}

impl schemars::JsonSchema for ModelSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ModelSpec".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let exact = schemars::json_schema!({
            "const": "exact", "description": "The exact score, for data that have one in closed form."
        });
        schemars::json_schema!({ "oneOf": [exact, generator.subschema_for::<LearnedModel>()] })
    }
}

impl<'de> Deserialize<'de> for ModelSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExactOrLearned;

        impl<'de> Visitor<'de> for ExactOrLearned {
            type Value = ModelSpec;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a model; write `exact`, or a map such as {network: mlp, predict: noise}")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<ModelSpec, E> {
                match word {
                    "exact" => Ok(ModelSpec::Exact),
                    _ => Err(E::custom(unknown("model", word, &["exact", "{network: …, predict: …}"]))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModelSpec, A::Error> {
                LearnedModel::deserialize(MapAccessDeserializer::new(map)).map(ModelSpec::Learned)
            }
        }

        deserializer.deserialize_any(ExactOrLearned)
    }
}
