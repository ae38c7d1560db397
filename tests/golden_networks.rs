//! Networks agree with Hugging Face diffusers: scripts/golden-networks made the file.

use ornstein::model::{Builder, Condition, Interface, Network, Parameters, Unet, UnetNetwork};
use ornstein::tensor;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Numbers in [−1, 1), as if at random, from the row-major places i: a hash of i + 7919 phase.
fn fill(shape: &[i64], phase: u64) -> Tensor {
    let count: i64 = shape.iter().product();
    let number = |i: u64| {
        let h = (i + 7919 * phase).wrapping_mul(2_654_435_761) & 0xFFFF_FFFF;
        let h = (h ^ h >> 15).wrapping_mul(2_246_822_519) & 0xFFFF_FFFF;
        (h ^ h >> 13) as f64 / 2f64.powi(31) - 1.0
    };
    tensor::from_f64((0..count as u64).map(number).collect(), shape, (Kind::Double, Device::Cpu))
}

/// The network of a case, with the parameters that the script gives it.
fn network(case: &Value) -> (UnetNetwork, Parameters) {
    let mut config = case["config"].as_object().expect("a map").clone();
    let channels = config.remove("in_channels").expect("channels").as_i64().expect("a number");
    config.remove("out_channels");
    config.remove("sample_size");
    // The one default in which we differ.
    config.entry("attention_head_dim").or_insert(8.into());
    let config: Unet = serde_json::from_value(Value::Object(config)).expect("a U-Net");
    ornstein::error::Settings::check(&config).expect("settings that make sense");
    let mut builder = Builder::new(0, Device::Cpu);
    let interface = Interface { shape: vec![channels, 16, 16], classes: 10, ..Interface::default() };
    let network = config.build(&interface, 0, &mut builder).expect("a network for these images");
    let parameters = builder.finish();
    let mut named = parameters.named(&parameters.flat());
    named.extend(parameters.fixed());
    named.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(named.len(), case["parameters"].as_u64().expect("a count") as usize);
    for (phase, (name, value)) in named.iter_mut().enumerate() {
        let shape = value.size();
        let waves = fill(&shape, phase as u64);
        let filled: Tensor = if name == "time_proj.weight" {
            waves * 0.3
        } else if shape.len() == 1 {
            waves * 0.1 + if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 }
        } else {
            waves * 1.7 / (shape[1..].iter().product::<i64>() as f64).sqrt()
        };
        tch::no_grad(|| value.copy_(&filled));
    }
    (network, parameters)
}

#[test]
fn outputs_and_gradients_are_those_of_diffusers() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/networks.json");
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("the file")).expect("JSON");
    for (name, case) in cases.as_object().expect("a map") {
        let (network, parameters) = network(case);
        let channels = case["config"]["in_channels"].as_i64().expect("channels");
        let x = fill(&[2, channels, 16, 16], 1000).to_kind(Kind::Float);
        let noise: Vec<f32> =
            case["noise"].as_array().expect("two").iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let condition = Condition { label: Some(Tensor::from_slice(&[3i64, 7])), ..Condition::default() };
        let y = network.forward(&x, &Tensor::from_slice(&noise), &condition, None);
        let loss = y.square().mean(Kind::Float);
        let scale = case["mean_square"].as_f64().expect("a number");
        let wanted = case["output"].as_array().expect("numbers").iter().map(|v| v.as_f64().expect("a number"));
        let found = tensor::to_array(&y.detach());
        let worst = found.iter().step_by(37).zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{name}: {:.1e} of the root mean square", worst / scale.sqrt());
        assert!(worst < 1e-4 * scale.sqrt(), "{name}: {worst:e} beside {scale}");
        let gradients = parameters.leaves().gradient(&loss);
        for ((key, _), gradient) in parameters.named(&parameters.flat()).iter().zip(gradients) {
            let wanted = case["gradients"][key].as_f64().unwrap_or_else(|| panic!("{name}: no parameter {key}"));
            let found = gradient.norm().double_value(&[]);
            assert!((found - wanted).abs() < 1e-3 * wanted + 1e-5, "{name}: {key}: {found} is not {wanted}");
        }
    }
}
