//! The real sets, where the data folder is at hand: their counts and moments are those that their authors give.

use super::*;
use crate::data::Cell;

/// The data folder, if it has a file; else a line that says so, past the capture of output.
fn library(what: &str, file: &str) -> Option<Library> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("ORNSTEIN_DATA").map(PathBuf::from).unwrap_or_else(|| root.join("data"));
    if folder.join(file).is_file() {
        return Some(Library::new(Some(&folder)));
    }
    let folder = folder.display();
    let _ = writeln!(std::io::stderr(), "skipped: {what}, there is no {file} in {folder}; set ORNSTEIN_DATA");
    None
}

/// How many images of a part are of each class.
fn counts(images: &Images, part: Part) -> Vec<usize> {
    let class_of = images.class_of.as_ref().expect("labels");
    let class_of = match part {
        Part::Training => &class_of[..images.training],
        Part::HeldOut => &class_of[images.training..],
    };
    (0..images.classes.len()).map(|class| class_of.iter().filter(|&&c| usize::from(c) == class).count()).collect()
}

/// The mean and the standard deviation of each channel of the training images, on a scale of 0 to 1.
fn moments(images: &Images) -> Vec<[f64; 2]> {
    let [channels, height, width] = images.shape;
    let plane = height * width;
    let moment = |channel: usize| {
        let values = images.pixels[..images.training * images.size()].chunks(plane).skip(channel).step_by(channels);
        let (mut sum, mut squares) = (0.0, 0.0);
        for &v in values.flatten() {
            let v = f64::from(v) / 255.0;
            sum += v;
            squares += v * v;
        }
        let mean = sum / (images.training * plane) as f64;
        [mean, (squares / (images.training * plane) as f64 - mean * mean).sqrt()]
    };
    (0..channels).map(moment).collect()
}

#[track_caller]
fn near(found: f64, said: f64) {
    assert!((found - said).abs() < 6e-5, "{found}, not {said}");
}

#[test]
fn fashion_mnist() {
    let Some(library) = library("fashion_mnist", "fashion-mnist/train-images-idx3-ubyte.gz") else { return };
    let images = FashionMnist::default().build(&library).expect("the set");
    assert_eq!(
        images.about(),
        Some("70000 of 70000 images of fashion-mnist, 10000 of them held out; 28×28×1 in 10 classes")
    );
    assert_eq!(counts(&images, Part::Training), [6000; 10]);
    assert_eq!(counts(&images, Part::HeldOut), [1000; 10]);
    let [mean, std] = moments(&images)[0];
    near(mean, 0.2860);
    near(std, 0.3530);
}

#[test]
fn mnist() {
    let Some(library) = library("mnist", "mnist/train-images-idx3-ubyte.gz") else { return };
    let images = Mnist::default().build(&library).expect("the set");
    assert_eq!(counts(&images, Part::Training), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(counts(&images, Part::HeldOut), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    let [mean, std] = moments(&images)[0];
    near(mean, 0.1307);
    near(std, 0.3081);
}

/// The first batch of CIFAR-10 and the first 1,000 images to test with.
#[test]
fn a_part_of_cifar_10() {
    let Some(library) = library("a part of cifar10", "cifar-10/test_batch_first1000.bin.gz") else { return };
    let settings = Cifar10 { files: Some(vec!["data_batch_1.bin.gz".into()]), ..Cifar10::default() };
    let images = settings.build(&library).expect("the part");
    assert_eq!(counts(&images, Part::Training), [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]);
    assert_eq!(counts(&images, Part::HeldOut), [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]);
    for ([mean, _], said) in moments(&images).into_iter().zip([0.49346, 0.48338, 0.44718]) {
        near(mean, said);
    }
    assert_eq!(images.classes()[..3], ["airplane", "automobile", "bird"]);
}

/// OpenMoji's drawings of 72×72, transparent and with palettes, in a zip archive.
#[test]
fn openmoji() {
    let Some(library) = library("openmoji", "openmoji-72/color.zip") else { return };
    let all = ImageFiles { path: "openmoji-72/color.zip".into(), ..ImageFiles::default() };
    let images = all.build(&library).expect("the archive");
    assert_eq!(
        images.about(),
        Some("4101 of 4101 images of openmoji-72/color.zip, 410 of them held out; 72×72×3 without classes")
    );
    // Most of every drawing is its white ground.
    assert!(images.pixels.iter().filter(|&&v| v == 255).count() * 3 > images.pixels.len());
    let plain = ImageFiles {
        captions: Some("openmoji-72/captions.jsonl".into()),
        filter: [("skintone".into(), Cell::Text(String::new()))].into(),
        label: Some("group".into()),
        size: Some(36),
        validation: 0.0,
        ..all
    };
    let images = plain.build(&library).expect("the archive");
    assert_eq!(
        images.about(),
        Some("2316 of 4101 images of openmoji-72/color.zip, 0 of them held out; 36×36×3 in 12 classes")
    );
    let flags = images.classes().iter().position(|name| name == "flags").expect("a group");
    assert_eq!(counts(&images, Part::Training)[flags], 269);
}

/// Single photographs of several sizes.
#[test]
fn photographs() {
    let Some(library) = library("sample-images", "sample-images/chelsea.png") else { return };
    let settings = ImageFiles { path: "sample-images".into(), size: Some(64), ..ImageFiles::default() };
    assert_eq!(
        settings.build(&library).expect("the folder").about(),
        Some("9 of 9 images of sample-images, 1 of them held out; 64×64×3 without classes")
    );
    let fault = ImageFiles { size: None, ..settings }.build(&library).expect_err("several sizes");
    assert!(
        fault.key == "size"
            && fault.problem.contains("astronaut.png has 512×512")
            && fault.problem.contains("chelsea.png has 451×300"),
        "{fault:?}"
    );
}

/// Seconds for 128 examples of CIFAR-10, to read.
#[test]
#[ignore = "a measurement"]
fn what_examples_cost() {
    let Some(library) = library("what examples cost", "cifar-10/data_batch_1.bin.gz") else { return };
    let plain = Prepare::default();
    let flip = Prepare { flip: true, ..Prepare::default() };
    let augment = Prepare { augment: Some(Augment::default()), ..Prepare::default() };
    for (name, prepare) in [("plain", plain), ("flip", flip), ("augment", augment)] {
        let images = Cifar10 { prepare, ..Cifar10::default() }.build(&library).expect("a part");
        let mut seconds: Vec<f64> = (0..30)
            .map(|batch| {
                let start = std::time::Instant::now();
                images.examples(stream(0), 128 * batch, 128);
                start.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        println!("{name}: median {:.2} ms, least {:.2} ms", 1e3 * seconds[15], 1e3 * seconds[0]);
    }
}
