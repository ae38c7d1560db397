//! The JSON Schema of an experiment, which editors check by: it knows every key and describes it, it refuses what is
//! misspelt or of the wrong type, and it refuses nothing that the program accepts. Beside it, completions of shells.

mod place;

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use ornstein::experiment::{
    BoundSpec, CorrectorSpec, DataSpec, DivergenceSpec, EmaSpec, GridSpec, MetricSpec, NetworkSpec, NoiseLevelSpec,
    ScheduleSpec, SdeSpec, SolverSpec, Spec, TimeSpec, WeightingSpec, schema,
};
use place::{EXACT, LEARNED, Place};
use serde_json::{Value, json};

const FULL: &str = include_str!("fuzz/full.yaml");

fn validator() -> Validator {
    jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&schema()).expect("the schema is a schema")
}

/// YAML as JSON, as an editor would see it; ∞, which JSON lacks, becomes a large number.
fn as_json(text: &str) -> Value {
    fn convert(value: serde_yaml::Value) -> Value {
        match value {
            serde_yaml::Value::Number(number) => match number.as_f64() {
                Some(real) if number.is_f64() && !real.is_finite() => json!(1e300 * real.signum()),
                _ => serde_json::to_value(&number).expect("a finite number"),
            },
            serde_yaml::Value::Sequence(items) => items.into_iter().map(convert).collect(),
            serde_yaml::Value::Mapping(map) => Value::Object(
                map.into_iter().map(|(key, value)| (key.as_str().unwrap_or("?").to_owned(), convert(value))).collect(),
            ),
            other => serde_json::to_value(&other).expect("a plain value"),
        }
    }
    convert(serde_yaml::from_str(text).unwrap_or_else(|e| panic!("{e} in {text}")))
}

#[track_caller]
fn accepts(validator: &Validator, what: &str, text: &str) {
    let instance = as_json(text);
    let errors: Vec<String> =
        validator.iter_errors(&instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {}\n{text}", errors.join("\n"));
}

fn shipped() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "yaml") => found.push(path),
                false => {}
            }
        }
    }
    found
}

fn read(text: &str, overrides: &[&str]) -> Result<Spec, String> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Spec::parse(text, "some.yaml", &overrides).map_err(|error| error.to_string())
}

#[test]
fn every_experiment_validates_as_written_and_as_resolved() {
    let validator = validator();
    let files = shipped().into_iter().map(|path| std::fs::read_to_string(path).expect("a text"));
    let mut seen = 0;
    for text in files.chain([FULL, EXACT, LEARNED].map(str::to_owned)) {
        accepts(&validator, "as written", &text);
        // A file with a base says only a part.
        if let Ok(spec) = read(&text, &[]) {
            accepts(&validator, "as resolved", &spec.to_yaml());
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

/// Every choice, by its bare word and with its settings written out.
#[test]
fn every_choice_validates() {
    let validator = validator();
    let exact = |names: &'static [&'static str], key: &'static str| names.iter().map(move |name| (EXACT, key, *name));
    let learned =
        |names: &'static [&'static str], key: &'static str| names.iter().map(move |name| (LEARNED, key, *name));
    let all = exact(SolverSpec::NAMES, "sample.solver")
        .chain(exact(CorrectorSpec::NAMES, "sample.solver.predictor_corrector.corrector"))
        .chain(exact(GridSpec::NAMES, "sample.grid"))
        .chain(exact(SdeSpec::NAMES, "sde"))
        .chain(exact(MetricSpec::NAMES, "sample.metric"))
        .chain(exact(DivergenceSpec::NAMES, "likelihood.divergence"))
        .chain(exact(BoundSpec::NAMES, "likelihood.bound"))
        .chain(learned(DataSpec::NAMES, "data"))
        .chain(learned(NetworkSpec::NAMES, "model.network"))
        .chain(learned(NoiseLevelSpec::NAMES, "model.noise_level"))
        .chain(learned(TimeSpec::NAMES, "train.time"))
        .chain(learned(WeightingSpec::NAMES, "train.weighting"))
        .chain(learned(ScheduleSpec::NAMES, "train.schedule"))
        .chain(learned(EmaSpec::NAMES, "train.ema"));
    let mut validated = 0;
    for (text, key, name) in all {
        let setting = match key {
            "sample.metric" => {
                format!("compare={{entries: [{{solver: heun}}], nfe: [4], count: 64, metrics: [{name}]}}")
            }
            // These have no defaults: a bare word is refused.
            "sample.grid" if matches!(name, "explicit" | "tabulated") => continue,
            _ => format!("{key}={name}"),
        };
        let solver = "sample.solver=predictor_corrector";
        let settings = match key {
            "sample.solver.predictor_corrector.corrector" => vec![solver, &setting],
            "sample.metric" if name == "law_wasserstein" => vec!["data=cifar10_gaussian", "model=exact", &setting],
            // Its density and its modes are known, which some metrics ask for.
            "sample.metric" => vec!["data=eight_gaussians", &setting],
            _ => vec![setting.as_str()],
        };
        match read(text, &settings) {
            Ok(spec) => accepts(&validator, &setting, &spec.to_yaml()),
            Err(message) => assert!(key == "data", "{setting}: {message}"),
        }
        validated += 1;
    }
    assert!(validated > 40, "{validated}");
}

/// A class is a name or a position, and there may be a list of them.
#[test]
fn classes_of_samples_validate() {
    let validator = validator();
    let text = |class: &str| {
        let model = "{network: {dit: {num_classes: 10}}}";
        format!("{{name: x, data: mnist, sde: edm, model: {model}, sample: {{class: {class}}}}}")
    };
    for class in ["~", "3", "Bag", "'7'", "[Bag, 3]", "[0]"] {
        assert!(read(&text(class), &[]).is_ok(), "the program refuses {class}");
        accepts(&validator, class, &text(class));
    }
    for class in ["[]", "-1", "2.5", "true", "{Bag: 1}", "[[0]]"] {
        let message = read(&text(class), &[]).expect_err("it should be refused");
        assert!(message.starts_with("some.yaml:1: sample.class"), "{message}");
        assert!(!validator.is_valid(&as_json(&text(class))), "the schema accepts {class}");
    }
}

/// What the program refuses for its spelling or its type, the editor underlines too.
#[test]
fn misspelt_keys_and_wrong_types_are_refused() {
    let validator = validator();
    for (old, new) in [
        ("weight_decay: 0.01", "weight_decoy: 0.01"),
        ("train:\n", "trian:\n"),
        ("grid: uniform", "grid: unifrom"),
        ("sub_vp: {", "vq: {"),
        ("solver: rk4", "solver: {rk4: {order: 2}}"),
        ("predict: velocity", "predict: velocityy"),
        ("predict: velocity", "predict: 3"),
        ("solver: rk4", "solver: {rk4: {}, heun: {}}"),
        ("solver: rk4", "solver: {}"),
        ("solver: rk4", "solver: 3"),
        ("solver: rk4", "solver: {rk4: 4}"),
        ("solver: rk4", "solver: [rk4]"),
        ("solver: rk4, ", ""),
        ("  nfe: [8, 16]\n", ""),
        ("nfe: [8, 16]", "nfe: 8"),
        ("nfe: [8, 16]", "nfe: []"),
        ("nfe: [8, 16]", "nfe: [0, 16]"),
        ("{solver: rk4, grid: uniform}", "rk4"),
        ("name: full", "name: 2024"),
        ("denoise: true", "denoise: yes"),
        ("noise: brownian", "noise: brown"),
        ("checkpoint: best", "checkpoint: newest"),
        ("embedding: fourier", "embedding: {fourier: {}}"),
        ("lr: 1.0e-3", "lr: '1e-3'"),
        ("lr: 1.0e-3", "lr: fast"),
        ("eta: 0.5", "eta: [0.5]"),
        ("sigma_data: 1.25", "sigma_data: big"),
        ("means: [[-1, 0.5], [1, -0.5]]", "means: [-1, 0.5]"),
        ("- half_life: 10", "- half_live: 10"),
        ("half_life: 10", "half_life: {steps: 10}"),
        ("quantiles: stratified", "quantiles: [stratified]"),
        ("uncertainty: {features: 8}", "uncertainty: {feature: 8}"),
        ("early_stop: {patience: 3}", "early_stop: 3"),
        ("validate: {every: 10, count: 64}", "validate: {each: 10}"),
        ("steps: 40", "steps: many"),
        ("steps: 40", "steps: 2.5"),
        ("steps: 40", "steps: 5_000"),
        ("steps: 40", "steps: "),
        ("steps: 40", "steps: [1]"),
        ("steps: 40", "steps: -5"),
        ("steps: 40", "steps: 0"),
    ] {
        assert_eq!(FULL.matches(old).count(), 1, "{old} should stand there once");
        let text = FULL.replace(old, new);
        assert!(read(&text, &[]).is_err(), "the program accepts {new}");
        assert!(!validator.is_valid(&as_json(&text)), "the schema accepts {new}");
    }
    let without = |key: &str| LEARNED.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
    for key in ["name", "data", "sde", "model"] {
        assert!(!validator.is_valid(&as_json(&without(key))), "{key} may be missing");
    }
}

/// Every count of the schema that has a least value is refused by the program below it, and the other way round.
#[test]
fn least_counts_are_those_of_the_program() {
    fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                leaves(value, if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found)
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| leaves(item, format!("{path}[{i}]"), found));
            }
            Value::Number(number) if number.is_u64() => found.push(path),
            _ => {}
        }
    }
    let validator = validator();
    // Written out, so that every whole number is one.
    let full = read(FULL, &[]).expect("an experiment").to_yaml();
    let mut paths = Vec::new();
    leaves(&as_json(&full), String::new(), &mut paths);
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        for value in ["0", "1"] {
            let outcome = read(&full, &[&format!("{path}={value}")]);
            let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
            let mut instance = as_json(&full);
            *instance.pointer_mut(&pointer).expect("the leaf") = value.parse::<u64>().expect("a number").into();
            match outcome {
                Ok(_) => assert!(validator.is_valid(&instance), "the schema refuses {path}={value}"),
                Err(message) if message.contains("too small") => {
                    assert!(!validator.is_valid(&instance), "the schema accepts {path}={value}: {message}");
                }
                Err(_) => {}
            }
        }
    }
}

/// What stands under a key in an editor's hint: every key of every settings has a sentence.
#[test]
fn every_key_is_described() {
    fn walk(value: &Value, path: &str, nameless: &mut Vec<String>, count: &mut usize) {
        match value {
            Value::Object(map) => {
                if let Some(Value::Object(properties)) = map.get("properties")
                    && !path.ends_with("/then")
                {
                    for (key, schema) in properties {
                        *count += 1;
                        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
                        if about.len() < 2 || !about.ends_with('.') {
                            nameless.push(format!("{path}/{key}: {about:?}"));
                        }
                    }
                }
                map.iter().for_each(|(key, value)| walk(value, &format!("{path}/{key}"), nameless, count));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path, nameless, count)),
            _ => {}
        }
    }
    let (mut nameless, mut count) = (Vec::new(), 0);
    walk(&schema(), "", &mut nameless, &mut count);
    assert!(nameless.is_empty(), "{}", nameless.join("\n"));
    assert!(count > 100, "{count}");
}

#[test]
fn defaults_are_given() {
    let schema = schema();
    let default = |pointer: &str| schema.pointer(&format!("{pointer}/default")).cloned();
    assert_eq!(default("/$defs/TrainSpec/properties/batch"), Some(json!(512)));
    assert_eq!(default("/$defs/AdamW/properties/lr"), Some(json!(1e-3)));
    assert_eq!(
        default("/$defs/SampleSpec/properties/solver"),
        Some(json!({ "dpmpp_2m": { "solver_type": "midpoint", "lower_order_final": false } }))
    );
    // ∞ cannot be written in JSON, and null would be wrong.
    assert_eq!(default("/$defs/EdmHeun/properties/s_max"), None);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

/// With a base, a file may say as little as it likes; `sweep` is a map of lists or a list of maps.
#[test]
fn keys_of_the_file_are_known() {
    let validator = validator();
    for text in [
        "{name: x, base: other.yaml}",
        "{name: x, base: other.yaml, train: {steps: 5}, compare: {repeats: 2}}",
        "{name: x, data: two_moons, model: {}, sweep: {sde: [vp, ve]}}",
        "{name: x, base: other.yaml, sweep: {sde: [vp, ve], train.steps: [10, 20]}}",
        "{name: x, base: other.yaml, sweep: [{sde: vp}, {sde: ve, sample.steps: 10}]}",
    ] {
        accepts(&validator, "a part", text);
    }
    for text in [
        "{base: other.yaml}",
        "{name: x, base: 3}",
        "{name: x, base: other.yaml, train: {step: 5}}",
        "{name: x, base: other.yaml, sweep: {sde: vp}}",
        "{name: x, base: other.yaml, sweep: [vp]}",
        "{name: x, base: other.yaml, sweep: []}",
        "{name: x, train: {steps: 5}}",
    ] {
        assert!(!validator.is_valid(&as_json(text)), "{text}");
    }
}

#[test]
fn the_program_prints_the_schema() {
    let place = Place::new();
    let before = place.listing();
    let outcome = place.run(&["schema"]).ok();
    assert_eq!((outcome.json(), outcome.stderr.as_str()), (schema(), ""));
    let help = place.run(&["schema", "--help"]).ok().stdout;
    assert!(help.contains("# yaml-language-server: $schema=ornstein.schema.json"), "{help}");
    assert!(help.contains("ornstein schema > ornstein.schema.json"), "{help}");
    assert!(place.listing() == before);
}

#[test]
fn shells_complete_verbs_and_flags() {
    let place = Place::new();
    let verbs =
        ["run", "check", "train", "sample", "compare", "grid", "features", "report", "list", "schema", "completions"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = place.run(&["completions", shell]).ok();
        assert_eq!(outcome.stderr, "");
        // Elvish and PowerShell are told no values.
        let values = if matches!(shell, "elvish" | "powershell") { &[][..] } else { &["float64", "solvers"] };
        for word in verbs.iter().chain(&["precision", "trajectory"]).chain(values) {
            assert!(outcome.stdout.contains(word), "{shell} does not know {word}");
        }
        // Where the shell is there, it reads the script.
        place.write("script", &outcome.stdout);
        if matches!(shell, "bash" | "zsh" | "fish")
            && let Ok(status) = std::process::Command::new(shell).arg("-n").arg(place.path("script")).status()
        {
            assert!(status.success(), "{shell} cannot read its script");
        }
    }
    let outcome = place.run(&["completions", "tcsh"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.starts_with("error: invalid value 'tcsh' for '<SHELL>'"), "{}", outcome.stderr);
}
