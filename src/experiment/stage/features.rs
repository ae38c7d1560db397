//! Training features of the data: a classifier on their labels, in a folder of its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::experiment::Plan;
use crate::experiment::hash::digest;
use crate::experiment::observer::{Nobody, Observer};
use crate::experiment::spec::CompareSpec;
use crate::feature::{self, ClassifierSettings, Features, ImageClassifier, Progress, TorchScript};
use crate::file;
use crate::metric::{Need, Share};
use crate::threads::Workers;

/// A classifier that was trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainedFeatures {
    /// Where it lies.
    pub folder: PathBuf,
    /// F.
    pub features: usize,
    /// K.
    pub classes: usize,
    /// Steps.
    pub steps: usize,
    /// On data that it has not seen.
    pub accuracy: Share,
    /// The hash of the features.
    pub hash: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Where the classifier of a plan's data goes unless told otherwise: `features/<data>-<digest>`, beside `runs`.
pub fn features_folder(plan: &Plan) -> PathBuf {
    let data = &plan.spec.data;
    let own = || digest(&serde_json::to_string(data).expect("settings are plain data"));
    let digest = plan.data().digest().map_or_else(own, str::to_owned);
    let short = &digest[..digest.len().min(12)];
    Path::new("features").join(format!("{}-{short}", data.name()))
}

/// What a comparison measures features with: what the experiment names, or a classifier of the data, which is trained where
/// there is none yet.
///
/// # Errors
/// Features that are missing, made for other images or without what a metric asks, and those of [`features`].
pub fn wanted_features(plan: &Plan, spec: &CompareSpec, observer: &dyn Observer) -> Result<Box<dyn Features>> {
    let features = named_features(plan, spec.features.as_deref(), observer)?;
    can_tell(plan, spec, &*features)?;
    Ok(features)
}

fn named_features(plan: &Plan, named: Option<&str>, observer: &dyn Observer) -> Result<Box<dyn Features>> {
    let Some(named) = named else {
        let folder = features_folder(plan);
        if !folder.join("classifier.json").is_file() {
            observer.say(&format!("training a classifier for the features of images, once, into {}", folder.display()));
            features(plan, &ClassifierSettings::default(), &folder, observer)?;
        }
        return of_folder(plan, &folder);
    };
    match Path::new(named) {
        folder if folder.is_dir() => of_folder(plan, folder),
        file => Ok(Box::new(TorchScript::open(file, &plan.data().shape())?)),
    }
}

fn of_folder(plan: &Plan, folder: &Path) -> Result<Box<dyn Features>> {
    let classifier = ImageClassifier::load(folder)?;
    classifier.fits(&**plan.data())?;
    Ok(Box::new(classifier))
}

/// That features can tell what metrics ask of them.
fn can_tell(plan: &Plan, spec: &CompareSpec, features: &dyn Features) -> Result<()> {
    let (known, classes) = (features.classes(), plan.data().classes().len());
    for metric in &spec.metrics {
        let name = features.name();
        let lacks = match metric.build().needs() {
            Some(Need::Logits | Need::Asked) if known == 0 => format!("{name} gives no logits"),
            Some(Need::Asked) if known != classes => format!("{name} knows {known} classes, the data {classes}"),
            _ => continue,
        };
        let problem = format!("{} needs a classifier, and {lacks}", metric.name());
        let remedy = "name a classifier of the data (`ornstein features`), or leave the metric out";
        return Err(Error::argument("features", problem, remedy));
    }
    Ok(())
}

/// That the features which metrics ask for are there and fit, or can be trained, before anything long is done.
///
/// # Errors
/// Features that are missing or made for other images, data that they cannot be trained on.
pub fn check_features(plan: &Plan) -> Result<()> {
    let Some(spec) = &plan.spec.compare else { return Ok(()) };
    let is_asked = spec.metrics.iter().any(|metric| metric.build().needs().is_some_and(Need::is_of_images));
    match spec.features.is_some() || (is_asked && features_folder(plan).join("classifier.json").is_file()) {
        true => wanted_features(plan, spec, &Nobody).map(drop),
        false if is_asked => feature::can_train(&**plan.data(), &ClassifierSettings::default()),
        false => Ok(()),
    }
}

/// Trains a classifier on the labels of the plan's data, and stores it in `folder`.
///
/// # Errors
/// Data that are no images or have no classes, a device other than the CPU, a folder that cannot be written, an interrupt.
pub fn features(
    plan: &Plan,
    settings: &ClassifierSettings,
    folder: &Path,
    observer: &dyn Observer,
) -> Result<TrainedFeatures> {
    if plan.compute.device != tch::Device::Cpu {
        let problem = "features are trained and computed on the CPU";
        return Err(Error::argument("--device", problem, "leave --device away"));
    }
    plan.needs_examples("a classifier")?;
    of_data(&**plan.data(), (settings, plan.spec.seed), &plan.compute.workers, folder, observer)
}

fn of_data(
    data: &dyn Dataset,
    (settings, seed): (&ClassifierSettings, u64),
    workers: &Workers,
    folder: &Path,
    observer: &dyn Observer,
) -> Result<TrainedFeatures> {
    feature::can_train(data, settings)?;
    std::fs::create_dir_all(folder).map_err(|source| Error::Unwritable { path: folder.to_owned(), source })?;
    file::writable(&folder.join("classifier.json"))?;
    let start = Instant::now();
    observer.begin("features", settings.steps as u64);
    // A batch says little; a mean that forgets shows the way.
    let mut seen: Option<(f64, f64)> = None;
    let mut watch = |Progress { loss, accuracy, .. }: Progress| {
        let (mean_loss, mean_accuracy) = seen.unwrap_or((loss, accuracy));
        let (loss, accuracy) =
            (mean_loss + 0.05 * (loss - mean_loss), mean_accuracy + 0.05 * (accuracy - mean_accuracy));
        seen = Some((loss, accuracy));
        observer.note(&format!("loss {loss:.3}, accuracy {:.1} %", 100.0 * accuracy));
        observer.advance(1);
        observer.go_on("nothing of it was kept; give the same command again")
    };
    let trained = feature::train_classifier(data, settings, seed, workers, &mut watch);
    observer.end();
    let classifier = trained?;
    classifier.save(folder)?;
    Ok(TrainedFeatures {
        folder: folder.to_owned(),
        features: classifier.dim(),
        classes: classifier.card.classes.len(),
        steps: settings.steps,
        accuracy: classifier.card.accuracy,
        hash: classifier.hash().to_owned(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::data::{Examples, Part};
    use crate::rng::Stream;

    /// Bright and dark images.
    #[derive(Debug)]
    struct Shades(Vec<String>);

    impl Dataset for Shades {
        fn shape(&self) -> Vec<i64> {
            vec![1, 4, 4]
        }

        fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
            self.examples(stream, first, count).x
        }

        fn examples(&self, _stream: Stream, first: u64, count: usize) -> Examples {
            let class = Tensor::arange_start(first as i64, (first as usize + count) as i64, (Kind::Int64, Device::Cpu));
            let class = class.remainder(2);
            let x = (class.to_kind(Kind::Float) - 0.5).view([-1, 1, 1, 1]).expand([count as i64, 1, 4, 4], false);
            Examples { class: Some(class), ..Examples::plain(x) }
        }

        fn labelled(&self, _part: Part, stream: Stream, first: u64, count: usize) -> Examples {
            self.examples(stream, first, count)
        }

        fn classes(&self) -> &[String] {
            &self.0
        }
    }

    #[derive(Default)]
    struct Watch {
        steps: AtomicU64,
        stop: bool,
    }

    impl Observer for Watch {
        fn advance(&self, done: u64) {
            self.steps.fetch_add(done, Ordering::Relaxed);
        }

        fn stopped(&self) -> bool {
            self.stop
        }
    }

    #[test]
    fn a_classifier_is_trained_into_its_folder() {
        let settings: ClassifierSettings =
            crate::experiment::choice("", "{network: {widths: [4, 8], groups: 2}, steps: 20, batch: 16, held_out: 50}")
                .expect("settings");
        let workers = Workers::new(2).expect("threads");
        let data = Shades(vec!["dark".into(), "bright".into()]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path().join("features/shades");
        let watch = Watch::default();
        let trained = of_data(&data, (&settings, 1), &workers, &folder, &watch).expect("features");
        assert_eq!(watch.steps.into_inner(), 20);
        assert_eq!((trained.features, trained.classes, trained.accuracy.hits), (8, 2, 50));
        let stored = ImageClassifier::load(&folder).expect("a classifier");
        assert_eq!((stored.hash(), stored.card.accuracy), (&trained.hash[..], trained.accuracy));

        let stop = Watch { stop: true, ..Watch::default() };
        let stopped = of_data(&data, (&settings, 1), &workers, &folder, &stop);
        assert!(matches!(stopped, Err(Error::Interrupted { .. })));
        assert_eq!(ImageClassifier::load(&folder).expect("as it was").card, stored.card);
        // What cannot be leaves nothing behind.
        let elsewhere = folder.join("elsewhere");
        let plain = of_data(&Shades(Vec::new()), (&settings, 1), &workers, &elsewhere, &Watch::default());
        assert_eq!(plain.expect_err("no classes").exit_code(), 2);
        assert!(!elsewhere.exists());
    }
}
