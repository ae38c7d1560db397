//! A diffusion transformer on images through the program itself: training with classes and augmentation, resumed bit for
//! bit with and without gradient checkpointing, and samples of chosen classes.

mod place;

use ndarray::{ArrayD, Axis};
use ndarray_npy::ReadNpyExt;
use ornstein::model::{Builder, Condition, Dit, Interface, Network, Training, Unet};
use ornstein::rng::{Purpose, Stream};
use place::{Place, fixtures, refuses, silent_refusal};
use tch::{Device, Kind, Tensor};

const SETTINGS: &str = "\
name: drawn
data: {fashion_mnist: {prepare: {augment: {p: 0.3}}}}
sde: edm
model:
  network:
    dit: {patch_size: 4, hidden_size: 32, depth: 2, num_heads: 2, frequency_embedding_size: 16, num_classes: 10}
train: {steps: 12, batch: 10, warmup: 2, log_every: 4, checkpoint_every: 4, validate: {every: 6, count: 20},
        optimizer: {adamw: {lr: 1.0e-2}}, ema: {half_life: 2}}
sample: {count: 20, solver: heun, grid: karras, steps: 6, denoise: true}
";

fn place() -> Place {
    let place = Place::new();
    place.write("drawn.yaml", SETTINGS);
    place
}

/// Threads change who computes a part of a batch, and gradient checkpointing how often; neither changes a bit, so that a run
/// may go on with the other.
#[test]
fn a_training_is_the_same_in_pieces_and_on_any_number_of_threads() {
    let place = place();
    let folder = fixtures();
    let train = |run: &str, more: &[&str]| {
        place.run(&[&["train", "drawn.yaml", "--data", &folder, "--out", run, "-q"], more].concat()).ok()
    };
    let tensors = |run: &str| place.read(&format!("{run}/checkpoints/step-00000012.safetensors"));
    let again = ["--set", "train.gradient_checkpointing=true"];
    train("whole", &["--threads", "2"]);
    train("single", &["--threads", "1"]);
    train("pieces", &["--set", "train.steps=8"]);
    train("pieces", &[&["--resume"], &again[..]].concat());
    assert!(tensors("whole") == tensors("single"), "threads change the parameters");
    assert!(tensors("whole") == tensors("pieces"), "a run that is resumed with gradient checkpointing is another");
    assert_eq!(place.text("whole/validation.csv"), place.text("pieces/validation.csv"));
    train("plain", &["--set", "data.fashion_mnist.prepare.augment.p=0"]);
    assert!(tensors("whole") != tensors("plain"), "augmentation changes nothing");
}

#[test]
fn samples_are_of_the_classes_that_are_asked_for() {
    let place = place();
    let folder = fixtures();
    let compare = "compare={entries: [{solver: heun}], nfe: [5], repeats: 1}";
    let run = ["run", "drawn.yaml", "--data", &folder, "--out", "run", "-q", "--set", "sample.class=Bag"];
    place.run(&[&run[..], &["--set", compare]].concat()).ok();
    assert!(place.path("run/figures/strips.png").is_file());
    let read = |file: &str| ArrayD::<u8>::read_npy(place.read(file).as_slice()).expect("an array of bytes");
    let sample = |class: &str| {
        let set = format!("sample.class={class}");
        let words = ["sample", "run", "--data", &folder, "--output", "out.npy", "-q", "--set", &set];
        place.run(&words).ok();
        read("out.npy")
    };
    let in_turn = sample("null");
    // A position, a name and a list, all of the same class as the run's own.
    let bags = read("run/samples.npy");
    for class in ["8", "Bag", "[Bag, 8]"] {
        assert!(sample(class) == bags, "{class}");
    }
    let same = |a: &ArrayD<u8>, b: &ArrayD<u8>, i: usize| a.index_axis(Axis(0), i) == b.index_axis(Axis(0), i);
    assert!((0..20).all(|i| same(&in_turn, &bags, i) == (i % 10 == 8)), "every tenth sample in turn is a bag");
    let pair = sample("[Bag, Sneaker]");
    assert!((0..20).all(|i| same(&pair, &bags, i) == (i % 2 == 0)));
    assert!((0..20).all(|i| same(&pair, &in_turn, i) == [7, 8].contains(&(i % 10))));
    // What is compared stands for the data, of whatever class samples are.
    let compared = place.text("run/compare.csv");
    let again = ["compare", "run", "--data", &folder, "-q", "--fresh", "--set", "sample.class=null"];
    place.run(&again).ok();
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(',').nth(7).expect("a value").to_owned()).collect()
    };
    assert_eq!(values(&place.text("run/compare.csv")), values(&compared));
}

#[test]
fn what_does_not_fit_is_refused() {
    let place = place();
    let folder = fixtures();
    let check = |setting: &str, message: &str| {
        refuses(&place, &["check", "drawn.yaml", "--data", &folder, "--set", setting], message);
    };
    check(
        "model.network.dit.patch_size=3",
        "--set model.network.dit.patch_size=3: images of 28 × 28 cannot be cut into patches of 3 × 3; write a divisor of \
         both sides, or bring the images to another size (`pad`, or `size`)",
    );
    // Training refuses it too before there is a folder of the run.
    place.write("cut.yaml", place.text("drawn.yaml").replace("patch_size: 4", "patch_size: 3"));
    let said = silent_refusal(&place, &["train", "cut.yaml", "--data", &folder, "--out", "cut", "-q"]);
    assert!(said.contains("cut.yaml:6: model.network.dit.patch_size: images of 28 × 28"), "{said}");
    check(
        "model.network.dit.num_heads=5",
        "--set model.network.dit.num_heads=5: 5 heads cannot share a hidden_size of 32; write a divisor of hidden_size",
    );
    check(
        "model.network.dit.num_classes=9",
        "--set model.network.dit.num_classes=9: 9 vectors for 10 classes of the data; write at least as many, or null to \
         learn no classes",
    );
    let classes =
        "their classes are T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot";
    check(
        "sample.class=Snaeker",
        &format!("--set sample.class=Snaeker: the images have no class `Snaeker`; did you mean `Sneaker`? {classes}"),
    );
    check(
        "sample.class=[3, 12]",
        &format!("--set sample.class=[3, 12]: sample.class[1]: the images have no class 12; {classes}"),
    );
    check("sample.class=[]", "--set sample.class=[]: the list is empty; name at least one, as in `class: [0, 1]`");
    let untold = "name: untold\ndata: two_moons\nsde: edm\nmodel: {network: mlp}\n";
    let line = |more: &str, message: &str| {
        place.write("untold.yaml", format!("{untold}{more}\n"));
        refuses(&place, &["check", "untold.yaml"], &format!("untold.yaml:5: {message}"));
    };
    line(
        "sample: {class: 3}",
        "sample.class: this model is not told classes; give the network `num_class_embeds` (unet) or `num_classes` (dit), or \
         remove `class`",
    );
    line(
        "train: {gradient_checkpointing: true}",
        "train.gradient_checkpointing: mlp has no blocks that could be computed again; remove it, or choose unet or dit",
    );
}

/// What a loss keeps for its gradient, in bytes.
fn kept(network: &dyn Network, shape: &[i64], gradient_checkpointing: bool) -> f64 {
    let allocated = || {
        // SAFETY: it reads the allocator's counters.
        let counters = unsafe { libc::mallinfo2() };
        (counters.uordblks + counters.hblkhd) as f64
    };
    let x = Tensor::ones(shape, (Kind::Float, Device::Cpu));
    let masks = Stream::new(0, Purpose::Dropout);
    let training = Training { masks, first: 0, gradient_checkpointing };
    let noise = Tensor::from_slice(&[0.1f32]);
    let before = allocated();
    let loss = network.forward(&x, &noise, &Condition::default(), Some(&training)).square().mean(Kind::Float);
    let held = allocated() - before;
    assert!(loss.double_value(&[]).is_finite());
    held
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn gradient_checkpointing_keeps_less() {
    tch::set_num_threads(1);
    let shape = [16, 1, 32, 32];
    let interface = Interface::of_shape(&shape[1..]);
    let network = |unet: bool| -> Box<dyn Network> {
        let mut b = Builder::new(0, Device::Cpu);
        let network: Box<dyn Network> = match unet {
            true => Box::new(Unet::default().build(&interface, 0, &mut b).expect("a network")),
            false => Box::new(Dit::default().build(&interface, &mut b).expect("a network")),
        };
        b.finish();
        network
    };
    for (unet, most) in [(false, 0.15), (true, 0.5)] {
        let network = network(unet);
        let (all, inputs) = (kept(&*network, &shape, false), kept(&*network, &shape, true));
        println!("U-Net {unet}: {:.1} MiB, and {:.1} with gradient checkpointing", all / 1048576.0, inputs / 1048576.0);
        assert!(inputs < most * all, "{inputs} of {all}");
    }
}
