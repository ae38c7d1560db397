use tch::Device;

use super::*;
use crate::error::Settings;
use crate::model::tests::{draw, recomputes_to_the_bit, starts_at_zero, stirred};

fn small() -> Unet {
    Unet { block_out_channels: vec![8, 16, 16], layers_per_block: 1, norm_num_groups: Some(4), ..Unet::default() }
}

/// A network whose last layers are not zero any more.
fn network(config: &Unet, interface: &Interface) -> UnetNetwork {
    let mut builder = Builder::new(1, Device::Cpu);
    let network = config.build(interface, 0, &mut builder).expect("a network for these images");
    stirred(builder);
    network
}

fn refusal(config: &Unet, interface: &Interface) -> String {
    let fault = match config.check() {
        Err(fault) => fault,
        Ok(()) => {
            config.build(interface, 0, &mut Builder::without_values(Device::Cpu)).expect_err("it should be refused")
        }
    };
    format!("{}: {}", fault.key, fault.problem)
}

#[test]
fn what_cannot_be_built_is_refused() {
    let images = Interface::of_shape(&[1, 28, 28]);
    let refused = |config: Unet, message: &str| assert_eq!(refusal(&config, &images), message);
    let four = Unet {
        block_out_channels: vec![32; 4],
        down_block_types: vec![DownBlock::DownBlock2D; 4],
        up_block_types: vec![UpBlock::UpBlock2D; 4],
        ..Unet::default()
    };
    refused(four, "block_out_channels: images of 28 × 28 cannot be halved 3 times");
    refused(
        Unet { block_out_channels: vec![32, 64], ..Unet::default() },
        "down_block_types: 3 kinds of levels for 2 block_out_channels",
    );
    refused(
        Unet { block_out_channels: vec![24, 48, 48], ..Unet::default() },
        "norm_num_groups: 24 channels cannot be split into 32 groups",
    );
    refused(
        Unet { attention_head_dim: Some(48), ..Unet::default() },
        "attention_head_dim: 64 channels cannot be split into heads of 48",
    );
    refused(Unet { dropout: 1.0, ..Unet::default() }, "dropout: 1 is not in [0, 1)");
    let classes = Interface { classes: 10, ..images.clone() };
    let told = Unet { num_class_embeds: Some(9), ..Unet::default() };
    assert_eq!(refusal(&told, &classes), "num_class_embeds: 9 vectors for 10 classes of the data");
    let points = Interface::of_shape(&[2]);
    assert_eq!(refusal(&Unet::default(), &points), ": a U-Net takes images, and the data have the shape [2]");
    // Sums of neighbouring channels on the way up need whole groups too.
    assert!(Unet { block_out_channels: vec![32, 64, 96], ..Unet::default() }.check().is_ok());
}

/// A sample is what it is alone, whatever is beside it, and whether it has its noise level to itself.
#[test]
fn samples_do_not_see_one_another() {
    let config = Unet { num_class_embeds: Some(3), ..small() };
    let interface = Interface { classes: 3, augmentations: 9, ..Interface::of_shape(&[3, 16, 8]) };
    let network = network(&config, &interface);
    let x = draw(2, &[3, 3, 16, 8]);
    let label = Some(Tensor::from_slice(&[2i64, 0, 1]));
    let condition = Condition { label, vector: Some(draw(3, &[3, 9])), ..Condition::default() };
    let noise = Tensor::from_slice(&[-0.5f32, 0.3, 1.0]);
    let all = network.forward(&x, &noise, &condition, None);
    assert_eq!(all.size(), x.size());
    for i in 0..3 {
        let alone = |tensor: &Tensor| tensor.narrow(0, i, 1);
        let one = network.forward(&alone(&x), &alone(&noise), &condition.narrow(i, 1), None);
        let gap = (alone(&all) - &one).abs().max().double_value(&[]);
        assert!(gap < 1e-5 * one.abs().max().double_value(&[]), "sample {i}: {gap}");
    }
    // Each thing that it is told makes a difference.
    let without = |condition: Condition| {
        let other = network.forward(&x, &noise, &condition, None);
        (&other - &all).abs().max().double_value(&[])
    };
    let zeros = Some(Tensor::zeros([3, 9], (Kind::Float, Device::Cpu)));
    let label = || condition.label.as_ref().map(Tensor::shallow_clone);
    let plain = network.forward(&x, &noise, &Condition { label: label(), ..Condition::default() }, None);
    assert!(without(Condition { label: label(), vector: zeros, ..Condition::default() }) > 1e-3);
    let untold = network.forward(
        &x,
        &noise,
        &Condition {
            label: label(),
            vector: Some(Tensor::zeros([3, 9], (Kind::Float, Device::Cpu))),
            ..Condition::default()
        },
        None,
    );
    assert_eq!(plain, untold, "not augmented is not told");
    let other = Some(Tensor::from_slice(&[0i64, 0, 1]));
    let vector = condition.vector.as_ref().map(Tensor::shallow_clone);
    assert!(without(Condition { label: other, vector, ..Condition::default() }) > 1e-3);
}

/// Masks are functions of the example, and leave the mean as it is.
#[test]
fn dropout_belongs_to_the_example() {
    let config = Unet { dropout: 0.3, ..small() };
    let network = network(&config, &Interface::of_shape(&[1, 8, 8]));
    let x = draw(2, &[4, 1, 8, 8]);
    let noise = Tensor::from_slice(&[0.1f32; 4]);
    let masks = Stream::new(0, Purpose::Dropout);
    let run = |first: i64, count: i64| {
        let training = Training { masks, first: 100 + first as u64, gradient_checkpointing: false };
        let part = |t: &Tensor| t.narrow(0, first, count);
        network.forward(&part(&x), &part(&noise), &Condition::default(), Some(&training))
    };
    let all = run(0, 4);
    let gap = (all.narrow(0, 2, 2) - run(2, 2)).abs().max().double_value(&[]);
    assert!(gap < 1e-5, "{gap}");
    let plain = network.forward(&x, &noise, &Condition::default(), None);
    assert!((&all - plain).abs().max().double_value(&[]) > 1e-3);
    let ones = Tensor::ones([8, 4, 32, 32], (Kind::Float, Device::Cpu));
    let dropped = Training { masks, first: 0, gradient_checkpointing: false }.dropout(&ones, 0.3, 5);
    let n = ones.numel() as f64;
    let share = dropped.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    assert!((share - 0.3).abs() < 4.0 * (0.3 * 0.7 / n).sqrt(), "{share}");
    assert!((dropped.max().double_value(&[]) - 1.0 / 0.7).abs() < 1e-6);
}

#[test]
fn gradients_without_activations_are_the_same() {
    use {DownBlock::*, UpBlock::*};
    let adm = Unet {
        down_block_types: vec![ResnetDownsampleBlock2D, AttnDownBlock2D, DownBlock2D],
        up_block_types: vec![UpBlock2D, AttnUpBlock2D, ResnetUpsampleBlock2D],
        resnet_time_scale_shift: TimeScaleShift::ScaleShift,
        dropout: 0.2,
        ..small()
    };
    let ncsnpp = Unet {
        down_block_types: vec![SkipDownBlock2D; 3],
        up_block_types: vec![SkipUpBlock2D; 3],
        norm_num_groups: None,
        ..small()
    };
    for config in [Unet { num_class_embeds: Some(3), ..small() }, adm, ncsnpp] {
        let interface = Interface { classes: 3, ..Interface::of_shape(&[1, 8, 8]) };
        let mut builder = Builder::new(1, Device::Cpu);
        let network = config.build(&interface, 0, &mut builder).expect("a network for these images");
        recomputes_to_the_bit(&network, &stirred(builder));
    }
}

#[test]
fn a_network_starts_at_zero() {
    for skips in [false, true] {
        let mut config = small();
        if skips {
            config.down_block_types = vec![DownBlock::SkipDownBlock2D; 3];
            config.up_block_types = vec![UpBlock::SkipUpBlock2D; 3];
            config.time_embedding_type = TimeEmbedding::Fourier;
            config.norm_num_groups = None;
        }
        let mut builder = Builder::new(1, Device::Cpu);
        let network = config.build(&Interface::of_shape(&[3, 8, 8]), 0, &mut builder).expect("a network");
        let parameters = builder.finish();
        assert_eq!(parameters.fixed().len(), usize::from(skips));
        starts_at_zero(&network, &parameters);
    }
}

/// The number of parameters of published models.
#[test]
fn parameters_are_as_many_as_published() {
    use {DownBlock::*, UpBlock::*};
    let count = |config: &Unet, side: i64| {
        let mut builder = Builder::without_values(Device::Cpu);
        config.check().expect("settings that make sense");
        config.build(&Interface::of_shape(&[3, side, side]), 0, &mut builder).expect("a network");
        builder.count()
    };
    // google/ddpm-cifar10-32.
    let ddpm = Unet {
        block_out_channels: vec![128, 256, 256, 256],
        down_block_types: vec![DownBlock2D, AttnDownBlock2D, DownBlock2D, DownBlock2D],
        up_block_types: vec![UpBlock2D, UpBlock2D, AttnUpBlock2D, UpBlock2D],
        norm_eps: 1e-6,
        downsample_padding: 0,
        flip_sin_to_cos: false,
        freq_shift: 1,
        ..Unet::default()
    };
    assert_eq!(count(&ddpm, 32), 35_746_307);
    // google/ncsnpp-celebahq-256.
    let ncsnpp = Unet {
        block_out_channels: vec![128, 128, 256, 256, 256, 256, 256],
        down_block_types: [vec![SkipDownBlock2D; 4], vec![AttnSkipDownBlock2D], vec![SkipDownBlock2D; 2]].concat(),
        up_block_types: [vec![SkipUpBlock2D; 2], vec![AttnSkipUpBlock2D], vec![SkipUpBlock2D; 4]].concat(),
        norm_num_groups: None,
        time_embedding_type: TimeEmbedding::Fourier,
        ..Unet::default()
    };
    assert_eq!(count(&ncsnpp, 256), 65_574_421);
    // openai/diffusers-cd_imagenet64_l2.
    let adm = Unet {
        block_out_channels: vec![192, 384, 576, 768],
        layers_per_block: 3,
        down_block_types: [vec![ResnetDownsampleBlock2D], vec![AttnDownBlock2D; 3]].concat(),
        up_block_types: [vec![AttnUpBlock2D; 3], vec![ResnetUpsampleBlock2D]].concat(),
        attention_head_dim: Some(64),
        attn_norm_num_groups: Some(32),
        resnet_time_scale_shift: TimeScaleShift::ScaleShift,
        downsample_type: Resampling::Resnet,
        upsample_type: Resampling::Resnet,
        num_class_embeds: Some(1000),
        ..Unet::default()
    };
    assert_eq!(count(&adm, 64), 295_899_267);
    assert_eq!(count(&Unet::default(), 32), 1_624_323);
}
