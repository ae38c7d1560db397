//! An experiment that is as it should be; beside it, what is said of others.

mod limits;
mod messages;
mod overrides;
mod properties;
mod settings;
mod syntax;
mod training;

use super::{DataSpec, EmpiricalModel, GridSpec, ModelSpec, Noise, SolverSpec, Spec};
use crate::model::Prediction;

/// The example of the design, whose lines the messages below name.
const TWO_MOONS: &str = "\
name: two-moons-vp
seed: 0
data: {two_moons: {noise: 0.05}}
sde: {vp: {beta_min: 0.1, beta_max: 20}}
model:
  network: {mlp: {width: 256, depth: 4}}
  predict: noise
train:
  steps: 5000
  batch: 512
  optimizer: {adamw: {lr: 1.0e-3}}
  ema: {half_life: 500}
sample: {count: 10000, solver: {dpmpp_2m: {}}, grid: {karras: {rho: 7}}, steps: 20}
compare:
  entries:
    - {solver: euler_maruyama}
    - {solver: {predictor_corrector: {predictor: reverse_diffusion, corrector: {langevin: {snr: 0.16}}}}}
    - {solver: heun}
    - {solver: dpmpp_2m, grid: log_snr, label: DPM-Solver++(2M)}
    - {solver: {dopri5: {rtol: 1.0e-5, atol: 1.0e-5}}}
  nfe: [5, 10, 20, 50, 100]
  metrics: [sliced_wasserstein, mmd, energy_distance]
  repeats: 5
";

fn with(old: &str, new: &str) -> String {
    assert_eq!(TWO_MOONS.matches(old).count(), 1, "{old} should stand in the example once");
    TWO_MOONS.replace(old, new)
}

fn parse(text: &str, overrides: &[&str]) -> Result<Spec, String> {
    let overrides: Vec<_> = overrides.iter().map(|&text| text.to_owned()).collect();
    Spec::parse(text, "moons.yaml", &overrides).map_err(|error| error.to_string())
}

#[test]
fn the_example_means_what_it_says() {
    let spec = parse(TWO_MOONS, &[]).unwrap();
    assert_eq!(spec.name, "two-moons-vp");
    assert_eq!(spec.data, DataSpec::TwoMoons(crate::data::TwoMoons { noise: 0.05 }));
    let ModelSpec::Learned(model) = spec.model else { panic!("a network") };
    assert_eq!(model.predict, Prediction::Noise);
    assert_eq!(spec.train.unwrap().clip, Some(1.0));
    assert_eq!(spec.sample.noise, Noise::Fresh);
    let compare = spec.compare.unwrap();
    let labels: Vec<_> = compare.entries.iter().map(|entry| entry.label()).collect();
    assert_eq!(labels, ["euler_maruyama", "predictor_corrector", "heun", "DPM-Solver++(2M)", "dopri5"]);
    let SolverSpec::Dopri5(dopri5) = &compare.entries[4].solver else { panic!("dopri5") };
    assert_eq!(dopri5.rtol, Some(1e-5));
}

/// What could not be chosen at first is not written where it is the default, so that checkpoints keep their experiments.
#[test]
fn later_settings_leave_hashes_alone() {
    let spec = parse("{name: x, data: checkerboard, sde: edm, model: {}}", &[]).unwrap();
    assert_eq!(serde_yaml::to_value(&spec.model).unwrap().as_mapping().unwrap().len(), 2);
    assert_eq!(spec.training_hash(), "97c4edd03c4f");
    let other = parse("{name: x, data: checkerboard, sde: edm, model: {noise_level: log}}", &[]).unwrap();
    assert_ne!(other.training_hash(), spec.training_hash());
}

#[test]
fn four_keys_are_enough() {
    let spec = parse("{name: x, data: checkerboard, sde: edm, model: {}}", &[]).unwrap();
    assert_eq!(spec.train, Some(Default::default()));
    assert_eq!(spec.sample.steps, Some(20));
    let exact = parse("{name: x, data: eight_gaussians, sde: edm, model: exact}", &[]).unwrap();
    assert_eq!((exact.model, exact.train), (ModelSpec::Exact, None));
    for (text, points) in [("empirical", 4096), ("{empirical: }", 4096), ("{empirical: {points: 7}}", 7)] {
        let empirical = parse(&format!("{{name: x, data: checkerboard, sde: edm, model: {text}}}"), &[]).unwrap();
        assert_eq!((empirical.model, empirical.train), (ModelSpec::Empirical(EmpiricalModel { points }), None));
    }
}

#[test]
fn a_choice_is_a_word_or_a_map_with_one_key() {
    for heun in ["heun", "{heun: {}}", "{heun: }", "{heun: null}"] {
        assert_eq!(
            parse(&with("{solver: heun}", &format!("{{solver: {heun}}}")), &[]),
            parse(TWO_MOONS, &[]),
            "{heun} should be heun"
        );
    }
    let karras: GridSpec = serde_yaml::from_str("karras").unwrap();
    assert_eq!(karras, serde_yaml::from_str("{karras: {rho: 7}}").unwrap());
    assert_eq!(GridSpec::NAMES, ["uniform", "log_snr", "karras", "quadratic", "rectified", "explicit", "tabulated"]);
    assert_eq!(karras.name(), "karras");
}

#[test]
fn numbers_may_be_written_as_one_likes() {
    for lr in ["0.001", "1e-3", "1.0e-3", "1E-3", "+1e-3", ".001"] {
        assert_eq!(parse(&with("1.0e-3", lr), &[]), parse(TWO_MOONS, &[]), "{lr} should be 0.001");
    }
    for steps in ["5000", "+5000", "0x1388"] {
        assert_eq!(parse(&with("steps: 5000", &format!("steps: {steps}")), &[]), parse(TWO_MOONS, &[]));
    }
}

#[test]
fn an_explicit_grid_knows_its_steps() {
    let text = "{name: x, data: checkerboard, sde: ve, model: {}, sample: {grid: {explicit: [1, 0.5, 0.1, -.inf]}}}";
    assert_eq!(parse(text, &[]).unwrap().sample.steps, Some(3));
    assert_eq!(parse(text, &["sample.steps=3"]), parse(text, &[]));
}
