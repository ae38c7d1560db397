//! U-Nets agree with Hugging Face diffusers, and transformers with the equations of their paper: scripts/golden-networks
//! made the file.

mod filled;

use filled::fill;
use ornstein::error::Settings;
use ornstein::model::{Builder, Condition, Dit, Interface, Network, Parameters, Unet};
use ornstein::tensor;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn settings<T: serde::de::DeserializeOwned + Settings>(config: Value) -> T {
    let config: T = serde_json::from_value(config).expect("settings");
    config.check().expect("settings that make sense");
    config
}

/// The network of a case.
fn network(case: &Value) -> (Box<dyn Network>, Parameters) {
    let mut config = case["config"].as_object().expect("a map").clone();
    let channels = config.remove("in_channels").expect("channels").as_i64().expect("a number");
    config.remove("out_channels");
    config.remove("sample_size");
    // The one default in which we differ.
    config.entry("attention_head_dim").or_insert(8.into());
    let mut builder = Builder::new(0, Device::Cpu);
    let interface = Interface { shape: vec![channels, 16, 16], classes: 10, ..Interface::default() };
    let config: Unet = settings(Value::Object(config));
    let network = config.build(&interface, 0, &mut builder).expect("a network for these images");
    (Box::new(network), builder.finish())
}

/// The transformer of a case, its images and what it is told.
fn transformer(case: &Value) -> (Box<dyn Network>, Parameters, Tensor, Condition) {
    let number = |key: &str| case[key].as_u64().expect("a number") as usize;
    let shape: Vec<i64> = serde_json::from_value(case["image"].clone()).expect("a shape");
    let config: Dit = settings(case["config"].clone());
    let (image, augmentations) = (number("told"), number("augmentations"));
    let classes = config.num_classes.unwrap_or(0);
    let interface = Interface { shape: shape.clone(), classes, augmentations, image, features: 0 };
    let mut builder = Builder::new(0, Device::Cpu);
    let network = config.build(&interface, &mut builder).expect("a network for these images");
    let (channels, told) = (shape[0], image as i64);
    let all = fill(&[2, channels + told, shape[1], shape[2]], 1000).to_kind(Kind::Float);
    let condition = Condition {
        label: Some(Tensor::from_slice(&[3i64, 7])),
        image: Some(all.narrow(1, channels, told)),
        vector: (augmentations > 0).then(|| fill(&[2, augmentations as i64], 2000).to_kind(Kind::Float)),
        ..Condition::default()
    };
    (Box::new(network), builder.finish(), all.narrow(1, 0, channels), condition)
}

/// Gives the parameters the values that the script gives them.
fn prepare(case: &Value, parameters: &Parameters) {
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
}

/// How far numbers may be off, beside the root mean square of an output and beside the norm of a gradient.
struct Tolerance {
    output: f64,
    gradient: f64,
}

#[test]
fn outputs_and_gradients_are_those_of_others() {
    // LibTorch's own threads collapse where others share the cores.
    tch::set_num_threads(1);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/networks.json");
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("the file")).expect("JSON");
    for (name, case) in cases.as_object().expect("a map") {
        let transforms = case.get("along").is_some();
        let (network, parameters, x, condition) = if transforms {
            transformer(case)
        } else {
            let (network, parameters) = network(case);
            let channels = case["config"]["in_channels"].as_i64().expect("channels");
            let x = fill(&[2, channels, 16, 16], 1000).to_kind(Kind::Float);
            let label = Some(Tensor::from_slice(&[3i64, 7]));
            (network, parameters, x, Condition { label, ..Condition::default() })
        };
        prepare(case, &parameters);
        let tolerance = match transforms {
            true => Tolerance { output: 1e-5, gradient: 1e-5 },
            false => Tolerance { output: 1e-4, gradient: 1e-3 },
        };
        let noise: Vec<f32> =
            case["noise"].as_array().expect("two").iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let y = network.forward(&x, &Tensor::from_slice(&noise), &condition, None);
        let loss = y.square().mean(Kind::Float);
        let scale = case["mean_square"].as_f64().expect("a number");
        let wanted = case["output"].as_array().expect("numbers").iter().map(|v| v.as_f64().expect("a number"));
        let found = tensor::to_array(&y.detach());
        let worst = found.iter().step_by(37).zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{name}: {:.1e} of the root mean square", worst / scale.sqrt());
        assert!(worst < tolerance.output * scale.sqrt(), "{name}: {worst:e} beside {scale}");
        let gradients = parameters.leaves().gradient(&loss);
        for ((key, _), gradient) in parameters.named(&parameters.flat()).iter().zip(gradients) {
            let wanted = case["gradients"][key].as_f64().unwrap_or_else(|| panic!("{name}: no parameter {key}"));
            let close = |found: f64, wanted: f64, scale: f64| {
                assert!(
                    (found - wanted).abs() < tolerance.gradient * scale + 1e-2 * tolerance.gradient,
                    "{name}: {key}: {found} is not {wanted}"
                );
            };
            close(gradient.norm().double_value(&[]), wanted, wanted);
            if let Some(along) = case.get("along") {
                // Norms do not tell one place of a parameter from another.
                let product = gradient.to_kind(Kind::Double) * fill(&gradient.size(), 3000);
                close(product.sum(Kind::Double).double_value(&[]), along[key].as_f64().expect("a number"), wanted);
            }
        }
    }
}
