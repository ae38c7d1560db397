//! Sets of images through the program itself: what it reads, samples, writes and refuses. The 200 images of
//! `tests/fixtures` are enough for that.

mod place;

use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;
use place::{Place, fixtures, refuses};

const SETTINGS: &str = "\
name: clothes
data: fashion_mnist
sde: edm
model: {empirical: {points: 20}}
sample: {count: 6, solver: heun, grid: karras, steps: 8, denoise: true}
compare: {entries: [{solver: heun}, {solver: dpmpp_2m}], nfe: [5, 9], repeats: 3, count: 20}
";

fn place() -> Place {
    let place = Place::new();
    place.write("clothes.yaml", SETTINGS);
    place
}

#[test]
fn a_check_tells_what_was_read() {
    let place = place();
    let folder = fixtures();
    let check = |more: &[&str]| {
        place.run(&[&["check", "clothes.yaml", "--data", &folder, "--json"], more].concat()).ok().json()
    };
    let json = check(&[]);
    assert_eq!(json["data"], "200 of 200 images of fashion-mnist, 40 of them held out; 28×28×1 in 10 classes");
    assert_eq!(json["data_sha256"].as_str().map(str::len), Some(64));
    assert_eq!(json["warnings"], serde_json::json!([]));
    let json = check(&["--set", "data.fashion_mnist={prepare: {classes: [Bag, 1], pad: 32, flip: true, limit: 30}}"]);
    assert_eq!(json["data"], "38 of 200 images of fashion-mnist, 8 of them held out; 32×32×1 in 2 classes");
    let warnings = json["warnings"].to_string();
    assert!(warnings.contains("compares 20 samples with the same 8 images"), "{warnings}");
}

/// The ideal denoiser of 20 images gives back the 20 images, byte by byte.
#[test]
fn samples_are_bytes() {
    let place = place();
    place.run(&["sample", "clothes.yaml", "--data", &fixtures(), "--output", "samples.npy", "-q"]).ok();
    let samples = ArrayD::<u8>::read_npy(place.read("samples.npy").as_slice()).expect("an array of bytes");
    assert_eq!(samples.shape(), [6, 1, 28, 28]);
    let gz =
        std::fs::read(Path::new(&fixtures()).join("fashion-mnist/train-images-idx3-ubyte.gz")).expect("the fixture");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gz.as_slice()), &mut bytes).expect("a packed file");
    let known: Vec<&[u8]> = bytes[16..].chunks(784).collect();
    for sample in samples.outer_iter() {
        let sample: Vec<u8> = sample.iter().copied().collect();
        assert!(known.contains(&sample.as_slice()), "a sample is none of the images");
    }
}

#[test]
fn a_run_goes_through_to_its_report() {
    let place = place();
    place.run(&["run", "clothes.yaml", "--data", &fixtures(), "--out", "run", "-q"]).ok();
    // Two solvers, two budgets, three repeats.
    let table = place.text("run/compare.csv");
    assert_eq!(
        table.lines().filter(|line| line.starts_with("heun,") || line.starts_with("dpmpp_2m,")).count(),
        12,
        "{table}"
    );
    assert!(place.text("run/report.html").contains("sliced"));
    assert!(place.text("run/run.json").contains("data_sha256"));
    // Again from what is written: the samples are bytes now.
    place.run(&["report", "run", "--data", &fixtures(), "-q"]).ok();
}

#[test]
fn what_does_not_fit_is_refused() {
    let place = place();
    let folder = fixtures();
    let check = ["check", "clothes.yaml", "--data", &folder];
    let write = |data: &str| place.write("clothes.yaml", SETTINGS.replace("fashion_mnist", data));
    write("mnist");
    refuses(
        &place,
        &check,
        &format!(
            "clothes.yaml:2: data.mnist.folder: there is no file {folder}/mnist/train-images-idx3-ubyte.gz (the folder \
             {folder} is named by --data); fetch it with `scripts/fetch-data --to DIR mnist`, and name DIR with --data DIR \
             or ORNSTEIN_DATA"
        ),
    );
    write("{fashion_mnist: {prepare: {classes: [Baag]}}}");
    refuses(
        &place,
        &check,
        "clothes.yaml:2: data.fashion_mnist.prepare.classes[0]: the images have no class `Baag`; did you mean `Bag`? \
         their classes are T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot",
    );
    write("{fashion_mnist: {prepare: {augment: {p: 1.5}}}}");
    refuses(
        &place,
        &check,
        "clothes.yaml:2: data.fashion_mnist.prepare.augment.p: 1.5 is no probability; write a number from 0 to 1",
    );
    write("{fashion_mnist: {prepare: {flop: true}}}");
    let said = place::silent_refusal(&place, &check);
    assert!(
        said.contains("clothes.yaml:2: data.fashion_mnist.prepare") && said.contains("did you mean `flip`?"),
        "{said}"
    );
    write("{images: {path: fashion-mnist}}");
    refuses(
        &place,
        &check,
        &format!(
            "clothes.yaml:2: data.images.path: there is no PNG or JPEG file in {folder}/fashion-mnist; \
             name the folder or the archive that has them"
        ),
    );
    let learned = "model: {network: mlp, predict: noise}\ntrain: {steps: 5}";
    place.write("clothes.yaml", SETTINGS.replace("model: {empirical: {points: 20}}", learned));
    let said = place::silent_refusal(&place, &check);
    assert!(
        said.contains("an MLP takes points, and the data have the shape [1, 28, 28]; choose a network for images"),
        "{said}"
    );
}
