//! A U-Net on images through the program itself: training with classes, augmentation and dropout, resumed bit for bit,
//! and a report of images. The 200 images of `tests/fixtures` are enough for that.

mod place;

use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;
use place::{Place, fixtures, refuses, silent_refusal};

const SETTINGS: &str = "\
name: drawn
data: {fashion_mnist: {prepare: {augment: {p: 0.3}}}}
sde: edm
model:
  network:
    unet: {block_out_channels: [8, 16], layers_per_block: 1, norm_num_groups: 4, dropout: 0.1, num_class_embeds: 10,
           down_block_types: [DownBlock2D, AttnDownBlock2D], up_block_types: [AttnUpBlock2D, UpBlock2D]}
train: {steps: 12, batch: 10, warmup: 2, log_every: 4, checkpoint_every: 4, validate: {every: 6, count: 20}}
sample: {count: 20, solver: heun, grid: karras, steps: 6, denoise: true}
compare: {entries: [{solver: heun}, {solver: dpmpp_2m}], nfe: [5, 9], repeats: 2, count: 20}
";

fn place() -> Place {
    let place = Place::new();
    place.write("drawn.yaml", SETTINGS);
    place
}

fn tensors(place: &Place, run: &str) -> Vec<u8> {
    place.read(&format!("{run}/checkpoints/step-00000012.safetensors"))
}

/// Threads change who computes a part of a batch; a run in pieces draws the same images, augmentations and masks.
#[test]
fn a_training_is_the_same_in_pieces_and_on_any_number_of_threads() {
    let place = place();
    let train = |run: &str, more: &[&str]| {
        let folder = fixtures();
        place.run(&[&["train", "drawn.yaml", "--data", &folder, "--out", run, "-q"], more].concat()).ok()
    };
    train("whole", &["--threads", "2"]);
    train("single", &["--threads", "1"]);
    train("pieces", &["--set", "train.steps=8"]);
    train("pieces", &["--resume"]);
    assert!(tensors(&place, "whole") == tensors(&place, "single"), "threads change the parameters");
    assert!(tensors(&place, "whole") == tensors(&place, "pieces"), "a resumed run is another");
    assert_eq!(place.text("whole/validation.csv"), place.text("pieces/validation.csv"));
    let other = |run: &str, setting: &str| {
        train(run, &["--set", setting]);
        assert!(tensors(&place, "whole") != tensors(&place, run), "{setting} changes nothing");
    };
    other("undropped", "model.network.unet.dropout=0");
    other("plain", "data.fashion_mnist.prepare.augment.p=0");
    // In smaller pieces, too, it is the same batch, summed in another order.
    other("micro", "train.micro_batch=1");
    let losses = |run: &str| -> Vec<f64> {
        let log = place.text(&format!("{run}/metrics.csv"));
        log.lines().skip(1).map(|line| line.split(',').nth(1).and_then(|v| v.parse().ok()).expect("a loss")).collect()
    };
    let (whole, micro) = (losses("whole"), losses("micro"));
    assert!(whole.iter().zip(&micro).all(|(a, b)| (a / b - 1.0).abs() < 1e-4), "{whole:?} and {micro:?}");
}

#[test]
fn a_run_goes_through_to_its_pictures() {
    let place = place();
    let folder = fixtures();
    place.run(&["run", "drawn.yaml", "--data", &folder, "--out", "run", "-q"]).ok();
    let samples = ArrayD::<u8>::read_npy(place.read("run/samples.npy").as_slice()).expect("an array of bytes");
    assert_eq!(samples.shape(), [20, 1, 28, 28]);
    let page = place.text("run/report.html");
    for stem in ["samples", "strips", "neighbours", "nearness", "solvers", "loss"] {
        assert!(place.path(&format!("run/figures/{stem}.png")).is_file(), "there is no figure {stem}");
    }
    assert!(
        page.contains("nearest of 160 training images") && page.contains("E[x₀ | x]"),
        "the page says what it shows"
    );
    // The samples do not depend on how many are drawn together, and class follows class.
    let sample = |output: &str, more: &[&str]| {
        place.run(&[&["sample", "run", "--data", &folder, "--output", output, "-q"], more].concat()).ok();
        ArrayD::<u8>::read_npy(place.read(output).as_slice()).expect("an array of bytes")
    };
    let few = sample("few.npy", &["--set", "sample.chunk=3"]);
    let gap = samples.iter().zip(&few).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(gap <= Some(1), "a chunk changes samples by {gap:?}");
}

#[test]
fn distances_are_measured_on_features() {
    let place = place();
    let folder = fixtures();
    let classifier = "{network: {widths: [4, 8], groups: 2}, steps: 20, batch: 16, held_out: 40}";
    let features = |seed: &str, output: &str| {
        let settings = ["--seed", seed, "--classifier", classifier, "--output", output, "-q", "--json"];
        let outcome = place.run(&[&["features", "drawn.yaml", "--data", &folder], &settings[..]].concat()).ok();
        let trained = outcome.json();
        let accuracy = trained["accuracy"]["value"].as_f64().expect("a share");
        (trained["hash"].as_str().expect("a hash").to_owned(), accuracy)
    };
    let (one, other) = (features("0", "one"), features("1", "other"));
    assert_ne!(one.0, other.0);
    let all = [
        "frechet_distance",
        "kernel_distance",
        "precision",
        "recall",
        "density",
        "coverage",
        "class_accuracy",
        "class_balance",
        "inception_score",
        "memorisation",
    ];
    let metrics = format!("compare.metrics=[{}]", all.join(", "));
    let metrics = ["--set", &metrics];
    let named = ["--set", "compare.features=one"];
    place.run(&[&["run", "drawn.yaml", "--data", &folder, "--out", "run", "-q"], &metrics[..], &named].concat()).ok();
    let table = place.text("run/compare.csv");
    for metric in all {
        // Two solvers at two budgets, and data against data, in two repeats.
        let lines = || table.lines().filter(|line| line.split(',').nth(6) == Some(metric));
        assert_eq!(lines().count(), 10, "{table}");
        for line in lines() {
            let [value, error] = [7, 8].map(|column| line.split(',').nth(column).map(str::parse::<f64>));
            assert!(
                matches!((value, error), (Some(Ok(value)), Some(Ok(error))) if value.is_finite() && error >= 0.0),
                "{line}"
            );
        }
    }
    let floor = |metric: &str| -> f64 {
        let mine = |line: &&str| line.starts_with("data,") && line.split(',').nth(6) == Some(metric);
        table.lines().filter(mine).map(|line| line.split(',').nth(7).unwrap().parse::<f64>().unwrap() / 2.0).sum()
    };
    // Held-out images are as near to training images as held-out images are, and training images would be at none.
    assert!(floor("memorisation") < 0.3, "{}", floor("memorisation"));
    // The best that the samples can reach is what the classifier gets right of images that it has not seen.
    let accuracy = one.1;
    assert!((floor("class_accuracy") - accuracy).abs() < 0.3, "{} {accuracy}", floor("class_accuracy"));
    // What was measured is not measured again, of all metrics or of some; the seconds tell.
    let again = ["compare", "run", "--data", &folder, "-q"];
    place.run(&[&again[..], &metrics, &named].concat()).ok();
    assert_eq!(place.text("run/compare.csv"), table);
    place.run(&[&again[..], &["--set", "compare.metrics=[memorisation, recall]"], &named].concat()).ok();
    let some: Vec<String> = place.text("run/compare.csv").lines().skip(1).map(str::to_owned).collect();
    assert!(some.len() == 20 && some.iter().all(|line| table.contains(line.as_str())), "{some:?}");
    place.run(&[&again[..], &metrics, &named].concat()).ok();
    let page = place.text("run/report.html");
    assert!(page.contains("Features of images are those of a classifier") && page.contains(&one.0[..12]));
    assert!(page.contains("FD (features)"));
    assert!(place.path("run/figures/classes.png").is_file() && page.contains("are taken for the class asked for"));
    assert!(page.contains("row − column") && page.contains("held-out images in their place"));
    // Numbers on other features are others, and are not taken for the same.
    let named = ["--set", "compare.features=other"];
    place.run(&[&["compare", "run", "--data", &folder, "-q"], &metrics[..], &named].concat()).ok();
    assert_ne!(place.text("run/compare.csv"), table);
}

#[test]
fn what_does_not_fit_is_refused() {
    let place = place();
    let folder = fixtures();
    let check = |setting: &str, message: &str| {
        refuses(&place, &["check", "drawn.yaml", "--data", &folder, "--set", setting], message);
    };
    check(
        "model.network.unet.num_class_embeds=4",
        "--set model.network.unet.num_class_embeds=4: 4 vectors for 10 classes of the data; write at least as many, or \
         null to learn no classes",
    );
    check(
        "data={image_shape: {channels: 1, height: 28, width: 28}}",
        "--set data={image_shape: {channels: 1, height: 28, width: 28}}: model.sigma_data: without examples of the data \
         it cannot be measured; write the standard deviation that the network was trained with",
    );
    check(
        "model.network.unet.norm_num_groups=3",
        "--set model.network.unet.norm_num_groups=3: 8 channels cannot be split into 3 groups; make all \
         block_out_channels, and the sums of neighbouring ones, multiples of it",
    );
    check(
        "data=two_moons",
        "--set data=two_moons: model.network.unet: a U-Net takes images, and the data have the shape [2]; choose a \
         network for points, such as mlp",
    );
    check(
        "model.network.unet.down_block_types=[DownBlock2D, DownBlock]",
        "--set model.network.unet.down_block_types=[DownBlock2D, DownBlock]: model.network.unet.down_block_types[1]: \
         unknown word `DownBlock`; did you mean `DownBlock2D`? allowed: DownBlock2D, AttnDownBlock2D, \
         ResnetDownsampleBlock2D, SkipDownBlock2D, AttnSkipDownBlock2D",
    );
    let points = "{name: points, data: two_moons, sde: vp, model: {network: mlp}, \
                  compare: {entries: [{solver: heun}], nfe: [5], metrics: [mmd, frechet_distance]}}";
    place.write("points.yaml", points);
    refuses(
        &place,
        &["check", "points.yaml"],
        "points.yaml:1: compare.metrics[1]: frechet_distance needs images, and two_moons has none; choose fashion_mnist, \
         mnist, cifar10, idx, images or image_array",
    );
    let lost = ["--set", "compare.metrics=[frechet_distance]", "--set", "compare.features=nowhere", "-q"];
    let said = silent_refusal(&place, &[&["run", "drawn.yaml", "--data", &folder], &lost[..]].concat());
    assert!(said.starts_with("error: nowhere: there is no such file; give the path of a TorchScript file"), "{said}");
    // A network that is no classifier, or not of these data, cannot say what classes samples are of.
    let remedy = "name a classifier of the data (`ornstein features`), or leave the metric out";
    for (metric, network, lacks) in [
        ("class_balance", "moments", "moments gives no logits"),
        ("class_accuracy", "plain", "plain knows 3 classes, the data 10"),
    ] {
        let settings = [format!("compare.metrics=[mmd, {metric}]"), format!("compare.features={folder}/{network}.pt")];
        let [metrics, features] = settings.each_ref().map(|setting| ["--set", setting]);
        let run = ["run", "drawn.yaml", "--data", &folder, "-q"];
        let said = silent_refusal(&place, &[&run[..], &metrics, &features].concat());
        assert_eq!(said.trim_end(), format!("error: features: {metric} needs a classifier, and {lacks}; {remedy}"));
    }
    let refused = |settings: &[&str], message: &str| {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        refuses(&place, &[&["check", "drawn.yaml", "--data", &folder], &settings[..]].concat(), message);
    };
    refused(
        &["compare.metrics=[class_accuracy]", "model.network.unet.num_class_embeds=null"],
        "--set compare.metrics=[class_accuracy]: compare.metrics[0]: class_accuracy needs a network that is told classes; \
         give the network classes, as `num_class_embeds: 10` of a U-Net, or write class_balance",
    );
    let images = "data={idx: {images: fashion-mnist/t10k-images-idx3-ubyte.gz, labels: fashion-mnist/t10k-labels-idx1-ubyte.gz, validation: 0}}";
    refused(
        &["compare.metrics=[memorisation]", images],
        "--set compare.metrics=[memorisation]: compare.metrics[0]: memorisation needs images that are held out; hold some \
         out, as with `validation: 0.1`, or leave the metric out",
    );
    let part = ["--set", "compare.metrics=[{memorisation: {points: 100}}]", "--json"];
    let checked = place.run(&[&["check", "drawn.yaml", "--data", &folder], &part[..]].concat()).ok().json();
    let warnings = checked["warnings"].to_string();
    assert!(warnings.contains("memorisation: it looks through 100 of 160 training images"), "{warnings}");
    // Without labels there is nothing to train a classifier on, which is said before the network is trained.
    let images = "data={idx: {images: fashion-mnist/t10k-images-idx3-ubyte.gz}}";
    let settings =
        ["--set", images, "--set", "compare.metrics=[precision]", "--set", "model.network.unet.num_class_embeds=null"];
    let said = silent_refusal(&place, &[&["run", "drawn.yaml", "--data", &folder, "-q"], &settings[..]].concat());
    assert!(said.starts_with("error: data: these data have no classes to learn features from"), "{said}");
}

/// A batch that does not fit into memory ends with a sentence; samples that were there stay.
#[cfg(target_os = "linux")]
#[test]
fn a_lack_of_memory_is_said() {
    let place = place();
    let folder = fixtures();
    place.run(&["train", "drawn.yaml", "--data", &folder, "--out", "run", "-q", "--set", "train.steps=1"]).ok();
    place.write("run/samples.npy", "as it was");
    // 40,000 images of 28 × 28 with 8 channels take a gigabyte an activation.
    let program = env!("CARGO_BIN_EXE_ornstein");
    let command = format!(
        "ulimit -v 5000000; exec {program} sample run --data {folder} --threads 1 -q --set sample.count=40000 --set \
         sample.chunk=40000 --set train.steps=1"
    );
    let output =
        std::process::Command::new("sh").args(["-c", &command]).current_dir(place.path(".")).output().expect("sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: out of memory (") && said.contains("lower sample.chunk"), "{said}");
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert_eq!(place.text("run/samples.npy"), "as it was");
    let left: Vec<_> = std::fs::read_dir(place.path("run")).expect("a folder").flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".partial")), "{left:?}");
}
