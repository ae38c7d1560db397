//! The typed form of `train:`.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::choices::{EmaSpec, OptimizerSpec, ScheduleSpec, TimeSpec, WeightingSpec};
use crate::error::{Fault, Settings, at_least_one, positive};
use crate::train::{Quantiles, Uncertainty};

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSpec {
    /// How many steps of the optimiser.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// How many points in each step.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// How many of them go through the network at once, at most: their gradients are summed, which saves memory. Absent,
    /// the whole batch on a GPU, and on the CPU as many as suit the network.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// The law from which the times are drawn.
    pub time: TimeSpec,
    /// How the times of one batch are drawn from it.
    pub quantiles: Quantiles,
    /// The weight of each time in the loss.
    pub weighting: WeightingSpec,
    /// Whether to learn the uncertainty of each noise level and to divide the loss by it; `null` for not.
    pub uncertainty: Option<Uncertainty>,
    /// The optimiser.
    pub optimizer: OptimizerSpec,
    /// How the learning rate changes after warm-up.
    pub schedule: ScheduleSpec,
    /// Over how many steps the learning rate rises from zero.
    pub warmup: usize,
    /// The norm to which gradients are clipped; `null` for no clipping.
    pub clip: Option<f64>,
    /// Whether training keeps only the inputs of the network's blocks for the gradient and computes the rest again (Chen et
    /// al. 2016): less memory for activations, a quarter to a third more time, and the same parameters. For `unet` and `dit`.
    /// On a GPU, residual blocks with dropout are kept.
    // Written out only where it is on: it came later, and the hashes of trainings stay.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
    /// The moving average of the parameters with which samples are drawn, or a list of several, the first of which is
    /// used unless `sample.ema` says otherwise.
    pub ema: Averages,
    /// The number of steps between two lines of the log.
    #[schemars(range(min = 1))]
    pub log_every: usize,
    /// When to measure the loss on fixed data that are not trained on; `null` for never.
    pub validate: Option<Validate>,
    /// Whether to stop before the last step when the validation loss no longer falls; `null` for not.
    pub early_stop: Option<EarlyStop>,
    /// The number of steps between two checkpoints.
    #[schemars(range(min = 1))]
    pub checkpoint_every: usize,
    /// How many of the last checkpoints to keep. The one with the least validation loss is kept besides.
    #[schemars(range(min = 1))]
    pub keep: usize,
    /// The number of steps between two snapshots of the moving averages, from which power averages of other widths can
    /// be put together; `null` for none.
    #[schemars(range(min = 1))]
    pub snapshot_every: Option<usize>,
}

/// When to measure the validation loss, and on how much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Validate {
    /// The number of steps between two measurements.
    #[schemars(range(min = 1))]
    pub every: usize,
    /// How many points.
    #[schemars(range(min = 2))]
    pub count: usize,
}

/// When to stop before the last step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStop {
    /// After how many measurements of the validation loss without a new least value.
    #[schemars(range(min = 1))]
    pub patience: usize,
}

/// One or more moving averages: written as one, or as a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Averages(pub Vec<EmaSpec>);

impl Default for TrainSpec {
    fn default() -> Self {
        TrainSpec {
            steps: 5000,
            batch: 512,
            micro_batch: None,
            time: TimeSpec::Uniform(Default::default()),
            quantiles: Quantiles::Independent,
            weighting: WeightingSpec::Simple(Default::default()),
            uncertainty: None,
            optimizer: OptimizerSpec::AdamW(Default::default()),
            schedule: ScheduleSpec::Constant(Default::default()),
            warmup: 100,
            clip: Some(1.0),
            gradient_checkpointing: false,
            ema: Averages::default(),
            log_every: 50,
            validate: Some(Validate::default()),
            early_stop: None,
            checkpoint_every: 1000,
            keep: 2,
            snapshot_every: None,
        }
    }
}

impl Default for Validate {
    fn default() -> Self {
        Validate { every: 500, count: 4096 }
    }
}

impl Default for EarlyStop {
    fn default() -> Self {
        EarlyStop { patience: 10 }
    }
}

impl Default for Averages {
    fn default() -> Self {
        Averages(vec![EmaSpec::HalfLife(Default::default())])
    }
}

impl TrainSpec {
    /// Writes out what follows from other settings.
    pub(super) fn complete(&mut self) {
        if let ScheduleSpec::Cosine(cosine) = &mut self.schedule {
            cosine.steps.get_or_insert(self.steps);
        }
    }

    /// The same training as far as the parameters at a given step go: how long to train, what to write down on the way,
    /// and what to compute twice do not determine them.
    pub(super) fn essence(&self) -> Self {
        let TrainSpec { steps, log_every, validate, early_stop, checkpoint_every, keep, snapshot_every, .. } =
            TrainSpec::default();
        let gradient_checkpointing = TrainSpec::default().gradient_checkpointing;
        TrainSpec {
            steps,
            gradient_checkpointing,
            log_every,
            validate,
            early_stop,
            checkpoint_every,
            keep,
            snapshot_every,
            ..self.clone()
        }
    }
}

impl Settings for TrainSpec {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("steps", self.steps)?;
        at_least_one("batch", self.batch)?;
        self.micro_batch.map_or(Ok(()), |examples| at_least_one("micro_batch", examples))?;
        self.time.check().map_err(|fault| fault.under("time"))?;
        self.weighting.check().map_err(|fault| fault.under("weighting"))?;
        self.uncertainty.map_or(Ok(()), |u| u.check().map_err(|fault| fault.under("uncertainty")))?;
        self.optimizer.check().map_err(|fault| fault.under("optimizer"))?;
        self.schedule.check().map_err(|fault| fault.under("schedule"))?;
        self.clip.map_or(Ok(()), |clip| positive("clip", clip))?;
        self.ema.check().map_err(|fault| fault.under("ema"))?;
        at_least_one("log_every", self.log_every)?;
        if let Some(validate) = self.validate {
            at_least_one("validate.every", validate.every)?;
            if validate.count < 2 {
                let problem = format!("{} points have no mean with a standard error", validate.count);
                return Err(Fault::new("validate.count", problem, "write for example 4096"));
            }
        }
        match (self.early_stop, self.validate) {
            (Some(stop), Some(_)) => at_least_one("early_stop.patience", stop.patience)?,
            (Some(_), None) => {
                let remedy = "give `validate`, for example `validate: {every: 500}`";
                return Err(Fault::new("early_stop", "there is no validation loss to stop by", remedy));
            }
            (None, _) => {}
        }
        at_least_one("checkpoint_every", self.checkpoint_every)?;
        at_least_one("keep", self.keep)?;
        match self.snapshot_every {
            Some(every) => {
                at_least_one("snapshot_every", every)?;
                if self.ema.0.iter().any(|average| matches!(average, EmaSpec::Power(_))) {
                    return Ok(());
                }
                let problem = "snapshots are of power averages, and `train.ema` has none";
                Err(Fault::new("snapshot_every", problem, "write `ema: [{power: {std: 0.05}}, {power: {std: 0.1}}]`"))
            }
            None => Ok(()),
        }
    }
}

impl Settings for Averages {
    fn check(&self) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Err(Fault::new("", "the list is empty", "name at least one, as in `ema: {half_life: 500}`"));
        }
        for (i, average) in self.0.iter().enumerate() {
            let key = if self.0.len() == 1 { String::new() } else { format!("[{i}]") };
            average.check().map_err(|fault| if key.is_empty() { fault } else { fault.under(&key) })?;
            if let Some(earlier) = self.0[..i].iter().position(|earlier| earlier == average) {
                return Err(Fault::new(key, format!("the same as ema[{earlier}]"), "list each average once"));
            }
        }
        Ok(())
    }
}

impl Serialize for Averages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Averages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Averages;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a moving average such as {half_life: 500}, or a list of them")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Averages, E> {
                EmaSpec::deserialize(StrDeserializer::new(word)).map(|one| Averages(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Averages, A::Error> {
                EmaSpec::deserialize(MapAccessDeserializer::new(map)).map(|one| Averages(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Averages, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Averages)
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

impl schemars::JsonSchema for Averages {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Averages".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<EmaSpec>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}
