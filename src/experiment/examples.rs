//! The part of a plan that looks at the data.

use tch::{Kind, Tensor};

use super::check::LEAST_POINTS;
use super::model_spec::ModelSpec;
use super::plan::Plan;
use super::spec::LearnedModel;
use crate::data::Part;
use crate::error::{Error, Fault, Result};
use crate::rng::{Purpose, Stream};

/// The data points from which σ_data is measured where the experiment does not give it.
const SIGMA_DATA_POINTS: usize = 10_000;
/// Of points in many dimensions fewer do, for their coordinates count.
const SIGMA_DATA_NUMBERS: usize = 1 << 22;

/// What to do where there are no examples.
pub(super) const NO_EXAMPLES: &str = "name the data, such as `data: cifar10`; a model from elsewhere is imported with \
                                      them: `ornstein import DIR --set data=cifar10`";

impl Plan {
    /// Refuses data that are too few to compare with.
    pub(super) fn check_examples(&self) -> Result<(), Fault> {
        if self.spec.compare.is_none() {
            return Ok(());
        }
        for part in [Part::Training, Part::HeldOut] {
            let count = self.measured(part, 0, LEAST_POINTS).size()[0];
            if count < LEAST_POINTS as i64 {
                let (which, remedy) = match part {
                    Part::Training => ("left to train", "take more rows, or hold out fewer"),
                    Part::HeldOut => ("held out", "hold out more, or none to compare with the training rows"),
                };
                let problem = format!("{count} rows {which} are too few to compare with, at least {LEAST_POINTS}");
                return Err(Fault::new(format!("data.{}", self.spec.data.name()), problem, remedy));
            }
        }
        Ok(())
    }

    /// Refuses what looks at examples of the data, where there are none.
    ///
    /// # Errors
    /// When the shape is all that is known of the data.
    pub fn needs_examples(&self, who: &str) -> Result<()> {
        if self.data().has_examples() {
            return Ok(());
        }
        Err(Error::Experiment {
            place: format!("data.{}", self.spec.data.name()),
            problem: format!("{who} needs examples of the data, and their shape is all that is known"),
            remedy: NO_EXAMPLES.into(),
        })
    }

    /// The root mean square of the data's coordinates: given, or measured.
    pub fn sigma_data(&self) -> f64 {
        if let ModelSpec::Learned(LearnedModel { sigma_data: Some(sigma_data), .. }) = self.spec.model {
            return sigma_data;
        }
        let dim: i64 = self.data().shape().iter().product();
        let count = SIGMA_DATA_POINTS.min(SIGMA_DATA_NUMBERS / dim.max(1) as usize).max(1);
        let points = self.data().draw(Stream::new(self.spec.seed, Purpose::Data), 0, count);
        points.square().mean(Kind::Double).double_value(&[]).sqrt()
    }

    /// Points of the data `[≤ count, D…]` that no training has seen, on the CPU, to compare samples with.
    pub fn reference(&self, first: u64, count: usize) -> Tensor {
        self.measured(Part::HeldOut, first, count)
    }

    /// Points of one part of the data `[≤ count, D…]`, on the CPU; of a law, fresh ones.
    pub fn measured(&self, part: Part, first: u64, count: usize) -> Tensor {
        self.data().sample(part, Stream::new(self.spec.seed, Purpose::Reference), first, count)
    }
}
