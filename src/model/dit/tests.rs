use tch::Device;

use super::*;
use crate::error::Settings;
use crate::model::Parameters;
use crate::model::tests::{draw, recomputes_to_the_bit, starts_at_zero, stirred};

fn small() -> Dit {
    Dit { hidden_size: 32, depth: 2, num_heads: 4, frequency_embedding_size: 16, ..Dit::default() }
}

/// A network whose last layers are not zero any more.
fn network(config: &Dit, interface: &Interface) -> (DitNetwork, Parameters) {
    let mut builder = Builder::new(1, Device::Cpu);
    let network = config.build(interface, &mut builder).expect("a network for these images");
    (network, stirred(builder))
}

fn refusal(config: &Dit, interface: &Interface) -> String {
    let fault = match config.check() {
        Err(fault) => fault,
        Ok(()) => config.build(interface, &mut Builder::without_values(Device::Cpu)).expect_err("it should be refused"),
    };
    format!("{}: {}", fault.key, fault.problem)
}

#[test]
fn what_cannot_be_built_is_refused() {
    let images = Interface { classes: 10, ..Interface::of_shape(&[1, 28, 20]) };
    let refused = |config: Dit, message: &str| assert_eq!(refusal(&config, &images), message);
    refused(
        Dit { patch_size: 7, ..Dit::default() },
        "patch_size: images of 28 × 20 cannot be cut into patches of 7 × 7",
    );
    refused(Dit { patch_size: 0, ..Dit::default() }, "patch_size: 0 is too small");
    refused(Dit { num_heads: 6, ..Dit::default() }, "num_heads: 6 heads cannot share a hidden_size of 128");
    refused(
        Dit { hidden_size: 90, num_heads: 3, ..Dit::default() },
        "hidden_size: 90 is not a multiple of 4, as sines and cosines of two coordinates ask",
    );
    refused(Dit { mlp_ratio: 0.001, ..Dit::default() }, "mlp_ratio: 0 units for a hidden_size of 128");
    refused(Dit { mlp_ratio: f64::NAN, ..Dit::default() }, "mlp_ratio: NaN is not a positive number");
    refused(
        Dit { frequency_embedding_size: 7, ..Dit::default() },
        "frequency_embedding_size: 7 is odd, and each frequency has a sine and a cosine",
    );
    refused(Dit { num_classes: Some(9), ..Dit::default() }, "num_classes: 9 vectors for 10 classes of the data");
    let points = Interface::of_shape(&[2]);
    assert_eq!(refusal(&Dit::default(), &points), ": a DiT takes images, and the data have the shape [2]");
    assert!(Dit::default().check().is_ok());
}

/// A sample is what it is alone, whatever is beside it; and each thing that the network is told makes a difference.
#[test]
fn samples_do_not_see_one_another() {
    let config = Dit { num_classes: Some(3), ..small() };
    let interface = Interface { classes: 3, augmentations: 9, image: 2, ..Interface::of_shape(&[3, 8, 12]) };
    let (network, _) = network(&config, &interface);
    let x = draw(2, &[3, 3, 8, 12]);
    let condition = |label: [i64; 3], image: u64, vector: Option<Tensor>| Condition {
        label: Some(Tensor::from_slice(&label)),
        image: Some(draw(image, &[3, 2, 8, 12])),
        vector,
        ..Condition::default()
    };
    let told = condition([2, 0, 1], 4, Some(draw(3, &[3, 9])));
    let noise = Tensor::from_slice(&[-0.5f32, 0.3, 1.0]);
    let all = network.forward(&x, &noise, &told, None);
    assert_eq!(all.size(), x.size());
    let gap = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
    for i in 0..3 {
        let alone = |tensor: &Tensor| tensor.narrow(0, i, 1);
        let one = network.forward(&alone(&x), &alone(&noise), &told.narrow(i, 1), None);
        assert!(gap(&alone(&all), &one) < 1e-5 * one.abs().max().double_value(&[]), "sample {i}");
    }
    let shared = network.forward(&x, &Tensor::from_slice(&[0.3f32]), &told, None);
    assert!(gap(&shared.narrow(0, 1, 1), &all.narrow(0, 1, 1)) < 1e-5);
    let with = |noise: &Tensor, told: Condition| gap(&network.forward(&x, noise, &told, None), &all);
    let vector = || Some(draw(3, &[3, 9]));
    assert!(with(&noise, condition([2, 0, 1], 4, vector())) == 0.0);
    assert!(with(&noise, condition([0, 0, 1], 4, vector())) > 1e-3);
    assert!(with(&noise, condition([2, 0, 1], 5, vector())) > 1e-3);
    assert!(with(&noise, condition([2, 0, 1], 4, None)) > 1e-3);
    assert!(with(&(&noise + 0.1), condition([2, 0, 1], 4, vector())) > 1e-3);
}

/// Attention does not know where a token is; the position embedding does.
#[test]
fn a_patch_knows_its_place() {
    let (network, _) = network(&small(), &Interface::of_shape(&[1, 8, 8]));
    let noise = Tensor::from_slice(&[0.1f32]);
    let x = draw(2, &[1, 1, 8, 8]);
    let run = |x: &Tensor| network.forward(x, &noise, &Condition::default(), None);
    for axis in [2, 3] {
        let gap = (run(&x.roll([2], [axis])) - run(&x).roll([2], [axis])).abs().max().double_value(&[]);
        assert!(gap > 1e-3, "axis {axis}: {gap}");
    }
    let place = Patches { rows: 2, columns: 3, side: 2 }.position(8);
    // Row 1, column 2: sin and cos of 2 and 2/100, then of 1 and 1/100.
    let wanted =
        [2f64.sin(), 0.02f64.sin(), 2f64.cos(), 0.02f64.cos(), 1f64.sin(), 0.01f64.sin(), 1f64.cos(), 0.01f64.cos()];
    for (i, wanted) in wanted.iter().enumerate() {
        assert!((place.double_value(&[0, 5, i as i64]) - wanted).abs() < 1e-6);
    }
}

#[test]
fn cutting_and_joining_are_inverse() {
    let patches = Patches { rows: 2, columns: 3, side: 4 };
    let x = draw(1, &[2, 3, 8, 12]);
    let cut = patches.cut(&x);
    assert_eq!(cut.size(), [2, 6, 48]);
    // The patch in row 1 and column 2 begins with the channels of its first pixel.
    assert_eq!(cut.double_value(&[1, 5, 2]), x.double_value(&[1, 2, 4, 8]));
    assert_eq!(patches.join(&cut), x);
}

#[test]
fn a_network_starts_at_zero() {
    let mut builder = Builder::new(1, Device::Cpu);
    let network = small().build(&Interface::of_shape(&[3, 8, 8]), &mut builder).expect("a network");
    starts_at_zero(&network, &builder.finish());
}

#[test]
fn gradients_without_activations_are_the_same() {
    let interface = Interface { classes: 3, ..Interface::of_shape(&[1, 8, 8]) };
    let (network, parameters) = network(&Dit { num_classes: Some(3), ..small() }, &interface);
    recomputes_to_the_bit(&network, &parameters);
}

/// Published models on latents 4 × 32 × 32 with 1,000 classes and the one for no class. The authors count 33, 130, 458 and
/// 675 million: theirs predict a variance beside each number (a last layer twice as wide), and count the position embedding.
#[test]
fn parameters_are_as_many_as_published() {
    for (hidden_size, depth, num_heads, ours, theirs) in [
        (384, 12, 6, 32_858_896, 32_963_360),
        (768, 12, 12, 130_303_504, 130_512_416),
        (1024, 24, 16, 457_824_272, 458_102_816),
        (1152, 28, 16, 674_816_272, 675_129_632),
    ] {
        let config = Dit { hidden_size, depth, num_heads, num_classes: Some(1001), ..Dit::default() };
        config.check().expect("settings that make sense");
        let mut builder = Builder::without_values(Device::Cpu);
        config.build(&Interface::of_shape(&[4, 32, 32]), &mut builder).expect("a network");
        let width = hidden_size;
        let (variance, position) = (16 * (width + 1), 256 * width);
        assert_eq!((builder.count(), builder.count() + variance + position), (ours, theirs));
    }
}
