//! A classifier that learns to tell made-up images apart, and what becomes of its files.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use tch::{Device, Kind};

use super::*;
use crate::data::{Dataset, Examples, Part};
use crate::error::Error;
use crate::rng::{Purpose, Stream};
use crate::train::AdamW;

/// Grey images of 8 × 8 pixels with a bright bar, upright or lying, on noise: the class is the direction.
#[derive(Debug)]
pub struct Bars {
    classes: Vec<String>,
    shape: Vec<i64>,
}

impl Bars {
    fn new() -> Self {
        Bars { classes: vec!["upright".into(), "lying".into()], shape: vec![1, 8, 8] }
    }
}

impl Dataset for Bars {
    fn shape(&self) -> Vec<i64> {
        self.shape.clone()
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        self.examples(stream, first, count).x
    }

    fn examples(&self, stream: Stream, first: u64, count: usize) -> Examples {
        let (mut pixels, mut class) = (Vec::new(), Vec::new());
        for i in first..first + count as u64 {
            let word = stream.word(i, 0);
            let (label, at) = (i64::from(word & 1), (word >> 1) as usize % 8);
            let mut noise = [0.0; 64];
            stream.normals(i, 1, 64, &mut noise);
            let on = |p: usize| if label == 0 { p % 8 == at } else { p / 8 == at };
            pixels.extend((0..64).map(|p| (0.3 * noise[p] + if on(p) { 0.4 } else { -0.4 }).clamp(-1.0, 1.0)));
            class.push(label);
        }
        let x = tensor::from_f64(pixels, &[count as i64, 1, 8, 8], (Kind::Float, Device::Cpu));
        Examples { class: Some(Tensor::from_slice(&class)), ..Examples::plain(x) }
    }

    fn labelled(&self, _part: Part, stream: Stream, first: u64, count: usize) -> Examples {
        self.examples(stream, first, count)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

fn settings() -> ClassifierSettings {
    ClassifierSettings {
        network: Convolutional { widths: vec![8, 16], groups: 4 },
        steps: 120,
        batch: 100,
        optimizer: AdamW { lr: 1e-2, ..AdamW::default() },
        warmup: 5,
        shift: 1,
        held_out: 500,
        ..ClassifierSettings::default()
    }
}

fn trained(settings: &ClassifierSettings, seed: u64, threads: usize) -> ImageClassifier {
    let workers = Workers::new(threads).expect("threads");
    train_classifier(&Bars::new(), settings, seed, &workers, &mut |_| Ok(())).expect("a classifier")
}

#[test]
fn a_classifier_learns_and_does_not_depend_on_threads() {
    let (one, three) = (trained(&settings(), 1, 1), trained(&settings(), 1, 3));
    println!("{:?}", one.card.accuracy);
    assert!(one.card.accuracy.interval.low > 0.9, "{:?}", one.card.accuracy);
    assert_eq!(one.card, three.card);
    assert_ne!(one.hash(), trained(&ClassifierSettings { steps: 3, ..settings() }, 1, 2).hash());
    let images = Bars::new().draw(Stream::new(5, Purpose::Data), 0, 150);
    let on = |classifier: &ImageClassifier, threads: usize| {
        let workers = Workers::new(threads).expect("threads");
        extract(classifier, &images, &workers, &|_| Ok(())).expect("features")
    };
    let found = on(&one, 1);
    assert_eq!(found, on(&three, 3));
    assert_eq!((found.features.dim(), found.logits.expect("logits").dim()), ((150, 16), (150, 2)));
    assert_eq!((one.name(), one.dim(), one.distance()), ("classifier", 16, "FD (features)"));
}

#[test]
fn training_is_watched_and_can_be_stopped() {
    let workers = Workers::new(2).expect("threads");
    let mut losses = Vec::new();
    let mut watch = |progress: Progress| {
        losses.push(progress.loss);
        if progress.step == 10 { Err(Error::Interrupted { remedy: "again".into() }) } else { Ok(()) }
    };
    let stopped = train_classifier(&Bars::new(), &settings(), 0, &workers, &mut watch);
    assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    assert_eq!(losses.len(), 10);
    // ln 2 before anything is known.
    assert!((losses[0] - 2f64.ln()).abs() < 0.2 && losses[9] < losses[0], "{losses:?}");
}

#[test]
fn extraction_can_be_stopped_and_counts() {
    let classifier = trained(&ClassifierSettings { steps: 1, ..settings() }, 0, 1);
    let workers = Workers::new(2).expect("threads");
    let images = Bars::new().draw(Stream::new(5, Purpose::Data), 0, 130);
    let seen = AtomicUsize::new(0);
    let count = |images: usize| {
        seen.fetch_add(images, Ordering::Relaxed);
        Ok(())
    };
    extract(&classifier, &images, &workers, &count).expect("features");
    assert_eq!(seen.into_inner(), 130);
    let stop = |_: usize| Err(Error::Interrupted { remedy: "again".into() });
    assert!(matches!(extract(&classifier, &images, &workers, &stop), Err(Error::Interrupted { .. })));
}

#[test]
fn a_stored_classifier_is_the_same() {
    let classifier = trained(&ClassifierSettings { steps: 2, ..settings() }, 3, 2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("deep/inside");
    classifier.save(&folder).expect("written");
    let again = ImageClassifier::load(&folder).expect("read");
    assert_eq!(again.card, classifier.card);
    let workers = Workers::new(1).expect("threads");
    let images = Bars::new().draw(Stream::new(5, Purpose::Data), 0, 10);
    let of = |classifier| extract(classifier, &images, &workers, &|_| Ok(())).expect("features");
    assert_eq!(of(&classifier), of(&again));
    again.fits(&Bars::new()).expect("its own data");
    // Another in its place leaves no files of the first.
    trained(&ClassifierSettings { steps: 1, ..settings() }, 3, 2).save(&folder).expect("written");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 2);
    ImageClassifier::load(&folder).expect("whole");
}

#[test]
fn bad_data_are_refused() {
    let workers = Workers::new(1).expect("threads");
    let refused = |data: &dyn Dataset, settings: &ClassifierSettings| {
        let error = train_classifier(data, settings, 0, &workers, &mut |_| Ok(())).expect_err("no classifier");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let plain = refused(&Bars { classes: Vec::new(), ..Bars::new() }, &settings());
    assert!(plain.starts_with("data: these data have no classes to learn features from; choose images"), "{plain}");
    let points = refused(&Bars { shape: vec![64], ..Bars::new() }, &settings());
    assert!(points.starts_with("data: the classifier takes images, and the data have the shape [64];"), "{points}");
}

#[test]
fn bad_settings_name_their_key() {
    use crate::error::Settings;
    let key = |settings: ClassifierSettings| settings.check().expect_err("wrong").key;
    assert!(ClassifierSettings::default().check().is_ok() && settings().check().is_ok());
    let network = |widths: Vec<usize>| Convolutional { widths, groups: 8 };
    assert_eq!(key(ClassifierSettings { network: network(vec![]), ..settings() }), "network.widths");
    assert_eq!(key(ClassifierSettings { network: network(vec![8, 12]), ..settings() }), "network.widths[1]");
    assert_eq!(key(ClassifierSettings { steps: 0, ..settings() }), "steps");
}

#[test]
fn damaged_files_are_refused() {
    let classifier = trained(&ClassifierSettings { steps: 1, ..settings() }, 0, 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let refused = || {
        let error = ImageClassifier::load(folder).expect_err("no classifier");
        assert_eq!(error.exit_code(), 2);
        println!("{error}");
        error.to_string()
    };
    assert!(refused().contains("there is no classifier in this folder; train one"));
    let card = classifier.save(folder).expect("written");
    let text = fs::read_to_string(&card).expect("a card");
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        fs::write(&card, text.replacen(from, to, 1)).expect("writable");
    };
    with("\"format\": 1", "\"format\": 7");
    assert!(refused().contains("classifier format 7 where this program reads format 1"));
    with("\"seed\"", "\"sed\"");
    assert!(refused().contains("this is not the card of a classifier"));
    with("\"groups\": 4", "\"groups\": 0");
    assert!(refused().contains("settings.network.groups"));
    // As many parameters, another network.
    with("\"groups\": 4", "\"groups\": 2");
    assert!(refused().contains("of another network"));
    with("\"upright\",", "\"upright\", \"askew\",");
    assert!(refused().contains("head.weight is Float [2, 16], not Float [3, 16]"));
    with("", "");
    let mut files = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let tensors = files.find(|path| path.extension().is_some_and(|e| e == "safetensors")).expect("tensors");
    let mut data = fs::read(&tensors).expect("tensors");
    *data.last_mut().expect("bytes") ^= 1;
    fs::write(&tensors, data).expect("writable");
    assert!(refused().contains("the parameters are damaged"));
    fs::remove_file(&tensors).expect("there");
    assert!(refused().contains("safetensors"));
}

#[test]
fn other_data_do_not_fit() {
    let classifier = trained(&ClassifierSettings { steps: 1, ..settings() }, 0, 1);
    let wrong = |data: Bars| classifier.fits(&data).expect_err("other data").to_string();
    assert!(
        wrong(Bars { shape: vec![3, 8, 8], ..Bars::new() }).contains("of images [1, 8, 8], and the data are [3, 8, 8]")
    );
    assert!(wrong(Bars { classes: vec!["a".into()], ..Bars::new() }).contains("knows the classes upright, lying"));
    let other = Tensor::zeros([2, 1, 9, 9], (Kind::Float, Device::Cpu));
    assert_eq!(classifier.compute(&other).expect_err("another shape").exit_code(), 2);
}
