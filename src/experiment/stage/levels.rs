//! The loss of each noise level of a trained model, in `levels.csv`.

use std::path::Path;

use tch::Kind;

use crate::error::Result;
use crate::experiment::observer::Observer;
use crate::experiment::{Plan, RunDir};
use crate::file::write_whole;
use crate::rng::{Purpose, Stream};
use crate::train::{Level, Mean, losses_by_level};

/// The file, and its columns.
pub(super) const LEVELS: &str = "levels.csv";
const HEADER: &str = "t,kappa,loss,loss_error,optimum,optimum_error,excess,excess_error,distance,distance_error,\
                      calibration,calibration_error\n";

/// Noise levels between t_train and t_max.
const COUNT: usize = 32;

/// Measures the model that would be sampled, on the data of validation.
pub(super) fn write_levels(plan: &Plan, run: &RunDir, observer: &dyn Observer) -> Result<()> {
    let settings = plan.spec.train.as_ref().expect("a learned model has training settings");
    let Some(manifest) = run.chosen_checkpoint(plan.spec.sample.checkpoint) else { return Ok(()) };
    let examples = plan.validation(settings.validate.unwrap_or_default().count);
    let model = plan.trained_on(&manifest, plan.told().of(&examples, plan.compute.device))?;
    let exact = plan.exact();
    let x0 = examples.x.to_kind(Kind::Float).to_kind(plan.compute.kind).to_device(plan.compute.device);
    observer.begin("loss by noise level", COUNT as u64);
    let mut tick = || {
        observer.advance(1);
        let run = run.path().display();
        observer.go_on(&format!("the training is done and in {run}; continue with --resume --out {run}"))
    };
    let models = (&*model, exact.as_ref().map(|exact| exact as &dyn crate::score::Model));
    let stream = Stream::new(plan.spec.seed, Purpose::Levels);
    let levels = losses_by_level(models, &x0, stream, COUNT, &plan.compute.workers, &mut tick);
    observer.end();
    let lines: String = levels?.iter().map(line).collect();
    write_whole(&run.file(LEVELS), (HEADER.to_owned() + &lines).as_bytes())
}

fn line(level: &Level) -> String {
    let pair = |mean: Option<Mean>| mean.map_or(",".into(), |mean| format!("{},{}", mean.value, mean.standard_error));
    let Level { t, ratio, loss, optimum, excess, distance, calibration } = *level;
    let pairs = [Some(loss), optimum, excess, distance, Some(calibration)].map(pair);
    format!("{t},{ratio},{}\n", pairs.join(","))
}

/// A line of `levels.csv`: κ, the loss with its standard error, the optimum and the distance from the exact denoiser where
/// they are known, and the calibration with its standard error.
pub(super) struct Row {
    pub(super) ratio: f64,
    pub(super) loss: (f64, f64),
    pub(super) optimum: Option<f64>,
    pub(super) distance: Option<f64>,
    pub(super) calibration: Option<(f64, f64)>,
}

/// The lines of `levels.csv`; none where there is no such file.
pub(super) fn read_levels(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let row = |line: &str| {
        let cells: Vec<Option<f64>> = line.split(',').map(|cell| cell.parse().ok()).collect();
        match cells.as_slice() {
            &[_, Some(ratio), Some(loss), Some(error), optimum, _, _, _, ref more @ ..] => {
                let (distance, calibration) = match *more {
                    [distance, _, Some(slope), Some(error)] => (distance, Some((slope, error))),
                    // Of a run before these were measured.
                    _ => (None, None),
                };
                Some(Row { ratio, loss: (loss, error), optimum, distance, calibration })
            }
            _ => None,
        }
    };
    text.lines().skip(1).filter_map(row).collect()
}
