//! Models of Hugging Face diffusers: imports answer as diffusers does (scripts/check-import made the models and the numbers),
//! exports come back bit for bit, and what cannot be is refused in a sentence.

mod filled;
mod place;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filled::fill;
use ndarray::ArrayD;
use ornstein::data::Library;
use ornstein::experiment::{Compute, Import, Plan, exchange};
use ornstein::tensor;
use ornstein::threads::Workers;
use ornstein::train::Checkpoint;
use place::{Place, refuses, silent_refusal};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

const MODELS: [&str; 4] = ["ddpm", "ncsnpp", "classes", "edm"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/diffusers").join(name)
}

fn values() -> Value {
    serde_json::from_slice(&fs::read(golden("values.json")).expect("the file")).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// x₀ + κ ε as the script has it.
fn state(shape: &[i64], ratio: f64) -> Tensor {
    fill(shape, 1) + fill(shape, 2) * 1.7 * ratio
}

/// The plan of an import, and its checkpoint in a folder.
fn imported(folder: &Path, changes: &[&str]) -> Result<(Plan, TempDir, PathBuf), String> {
    tch::set_num_threads(1);
    let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    let import = Import::open(folder, &changes).map_err(|e| e.to_string())?;
    let spec = import.document.spec(&changes).map_err(|e| e.to_string())?;
    let workers = Arc::new(Workers::new(1).expect("a thread"));
    let compute = Compute { device: Device::Cpu, kind: Kind::Double, workers };
    let plan = Plan::new(spec, compute, &Library::new(None)).map_err(|fault| fault.problem)?;
    let checkpoint = import.checkpoint(&plan).map_err(|e| e.to_string())?;
    let run = tempfile::tempdir().expect("a folder");
    let manifest = checkpoint.save(run.path(), 1).expect("a writable folder");
    Ok((plan, run, manifest))
}

fn distance(found: &Tensor, wanted: &[f64]) -> f64 {
    let found: Vec<f64> = tensor::to_array(found).iter().copied().step_by(7).collect();
    assert_eq!(found.len(), wanted.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let gap = square(&mut found.iter().zip(wanted).map(|(a, b)| a - b));
    (gap / square(&mut wanted.iter().copied())).sqrt()
}

/// x̂₀ at four noise levels of each model, on the process that it was trained on and on others.
#[test]
fn imports_answer_as_diffusers_does() {
    for (name, case) in values().as_object().expect("a map") {
        let shape: Vec<i64> = numbers(&case["shape"]).iter().map(|&side| side as i64).collect();
        for changes in [&[][..], &["sde=edm"], &["sde={vp: {beta_max: 19}}"], &["sde=flow"]] {
            let (plan, _run, manifest) = imported(&golden(name), changes).unwrap_or_else(|e| panic!("{name}: {e}"));
            let model = plan.trained(&manifest).expect("the checkpoint of the import");
            for level in case["levels"].as_array().expect("levels") {
                let ratio = level["ratio"].as_f64().expect("κ");
                let t = plan.sde.time_of_ratio(ratio);
                let x = state(&shape, ratio) * plan.sde.kernel(t).alpha;
                let found = tch::no_grad(|| model.denoise(&x, t));
                let gap = distance(&found, &numbers(&level["x0"]));
                assert!(gap < 2e-5, "{name} {changes:?} at σ/α = {ratio}: {gap:e}");
            }
        }
    }
}

/// The program itself: ten DDIM steps to σ = 0 through the door.
#[test]
fn ten_steps_are_those_of_diffusers() {
    let (place, case) = (Place::new(), &values()["ddpm"]);
    let folder = golden("ddpm");
    let said = place.run(&["import", folder.to_str().unwrap(), "--out", "run", "--json"]).ok().json();
    assert_eq!(said["parameters"], 41_899, "{said}");
    let (plan, ..) = imported(&folder, &[]).expect("a model");
    let ratios = numbers(&case["ddim"]["ratios"]);
    let mut times: Vec<f64> = ratios.iter().map(|&ratio| plan.sde.time_of_ratio(ratio)).collect();
    let shape: Vec<i64> = numbers(&case["shape"]).iter().map(|&side| side as i64).collect();
    let x = state(&shape, ratios[0]) * plan.sde.kernel(times[0]).alpha;
    times.push(0.0);
    place.write_npy("x.npy", &tensor::to_array(&x));
    let grid = format!("sample.grid={{explicit: {times:?}}}");
    let sample = ["sample", "run", "--precision", "float64", "--init", "x.npy", "--output", "y.npy"];
    let rest = ["--trajectory", "way", "--set", "sample.solver=ddim", "--set", &grid, "--set", "sample.steps=null"];
    place.run(&[&sample[..], &rest].concat()).ok();
    let end = place.read_npy("way/step-0010.npy");
    let gap = distance(&tensor::from_array(&end, (Kind::Double, Device::Cpu)), &numbers(&case["ddim"]["end"]));
    assert!(gap < 2e-5, "{gap:e}");
    // As images, samples are bytes.
    let bytes: ArrayD<u8> = ndarray_npy::ReadNpyExt::read_npy(place.read("y.npy").as_slice()).expect("bytes");
    assert_eq!(bytes.shape(), [3, 3, 8, 8]);
}

/// The tensors of a checkpoint, in order.
fn contents(manifest: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(manifest.with_extension("safetensors")).expect("the tensors");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut all: Vec<_> = file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect();
    all.sort();
    all
}

#[test]
fn exports_come_back_bit_for_bit() {
    let place = Place::new();
    for (name, scheduler) in MODELS.into_iter().zip(["DDPM", "ScoreSdeVe", "DDPM", "EDMEuler"]) {
        let model = golden(name);
        place.run(&["import", model.to_str().unwrap(), "--out", name]).ok();
        let out = format!("{name}-out");
        let said = place.run(&["export", name, &out, "--json"]).ok().json();
        assert_eq!(said["scheduler"], format!("{scheduler}Scheduler"));
        let again = format!("{name}-again");
        place.run(&["import", &out, "--out", &again]).ok();
        let manifest = "checkpoints/step-00000000.json";
        let [first, second] = [name, &again].map(|run| contents(&place.path(run).join(manifest)));
        assert!(first == second, "{name}");
        assert!(first.iter().any(|(name, _)| name == "fixed/time_proj.weight") == (name == "ncsnpp"));
        // All that counts is the same: process, noise levels, prediction, shape.
        let [first, second] = [name, &again].map(|run| {
            let text = place.text(&format!("{run}/experiment.yaml"));
            let mut spec: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
            for key in ["name", "description"] {
                spec.as_mapping_mut().expect("a map").remove(key);
            }
            spec
        });
        if name == "ncsnpp" {
            // Its span begins a little above σ_min.
            assert_eq!(first["model"], second["model"]);
        } else {
            assert_eq!(first, second, "{name}");
        }
        let message = format!("{out}: this folder is not empty; name one that does not exist yet");
        refuses(&place, &["export", name, &out], &message);
    }
}

/// A copy of a model folder to spoil.
struct Copy(TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        fn copy(from: &Path, to: &Path) {
            fs::create_dir_all(to).expect("a folder");
            for entry in fs::read_dir(from).expect("a folder") {
                let path = entry.expect("an entry").path();
                let target = to.join(path.file_name().expect("a name"));
                match path.is_dir() {
                    true => copy(&path, &target),
                    false => fs::write(target, fs::read(&path).expect("a file")).expect("writable"),
                }
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        copy(&golden(name), folder.path());
        Copy(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Sets keys of a JSON file.
    fn set(&self, file: &str, changes: Value) {
        let path = self.path(file);
        let mut settings: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        for (key, value) in changes.as_object().expect("a map") {
            settings[key] = value.clone();
        }
        fs::write(path, settings.to_string()).expect("writable");
    }

    /// Rewrites the weights, each with its name, shape and bytes.
    fn weights(&self, file: &str, change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<u8>)>)) {
        let path = self.path(file);
        let bytes = fs::read(&path).expect("a file");
        let read = SafeTensors::deserialize(&bytes).expect("safetensors");
        let mut all: Vec<_> =
            read.tensors().into_iter().map(|(name, v)| (name, v.shape().to_vec(), v.data().to_vec())).collect();
        all.sort();
        change(&mut all);
        let views: HashMap<&str, TensorView> = all
            .iter()
            .map(|(name, shape, bytes)| {
                (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
            })
            .collect();
        fs::write(&path, safetensors::serialize(views, None).expect("tensors")).expect("writable");
    }

    /// What is said of it, without its own place.
    #[track_caller]
    fn refused(&self, changes: &[&str]) -> String {
        let said = imported(self.0.path(), changes).map(drop).expect_err("a refusal");
        said.replace(&self.0.path().display().to_string(), "DIR")
    }
}

/// Networks whose settings would make another network of them.
#[test]
fn settings_of_networks_are_refused() {
    for (changes, said) in [
        (
            json!({ "_class_name": "UNet2DConditionModel" }),
            "the model is of the class \"UNet2DConditionModel\"; give a folder with a UNet2DModel: no other can be imported",
        ),
        (
            json!({ "class_embed_type": "timestep" }),
            "class_embed_type: \"timestep\": classes that are told in another way than by a table; only null can be imported",
        ),
        (json!({ "act_fn": "mish" }), "act_fn: \"mish\": another activation; only \"silu\" can be imported"),
        (
            json!({ "mid_block_type": null }),
            "mid_block_type: null: another block, or none, at the coarsest level; only \"UNetMidBlock2D\" can be imported",
        ),
        (
            json!({ "center_input_sample": true }),
            "center_input_sample: true: the network would take 2x − 1 of what it is given; only false can be imported",
        ),
        (
            json!({ "out_channels": 6 }),
            "out_channels: 6 channels come out where 3 go in; the rest may be a learned variance; give a model with as many \
             channels out as in",
        ),
        (json!({ "dropuot": 0.5 }), "dropuot: UNet2DModel has no such setting here (0.5); did you mean `dropout`?"),
        (
            json!({ "time_embedding_type": "learned" }),
            "time_embedding_type: unknown variant `learned`, expected `positional` or `fourier`; only what is listed can be \
             imported",
        ),
        (
            json!({ "time_embedding_type": "fourier" }),
            "time_embedding_type: fourier, and with its scheduler the network would need positional; give the scheduler that \
             the network was trained with",
        ),
        (
            json!({ "norm_num_groups": 3 }),
            "norm_num_groups: 8 channels cannot be split into 3 groups; make all block_out_channels, and the sums of \
             neighbouring ones, multiples of it",
        ),
        (
            json!({ "sample_size": null }),
            "sample_size: the size of the images is not told; say it, as with --set 'data={image_shape: {channels: 3, \
             height: 64, width: 64}}', or name the data",
        ),
        (json!({ "sample_size": 0 }), "sample_size: 0 is no count; write a whole number of 1 to 16384"),
        (json!({ "layers_per_block": "two" }), "layers_per_block: invalid type: string \"two\", expected usize; "),
    ] {
        let copy = Copy::of("ddpm");
        copy.set("unet/config.json", changes);
        let found = copy.refused(&[]);
        assert!(found.starts_with(&format!("DIR/unet/config.json: {said}")), "{found}");
    }
    // These say nothing.
    let copy = Copy::of("ddpm");
    copy.set(
        "unet/config.json",
        json!({ "_name_or_path": "x", "new_setting": null, "act_fn": "swish", "sample_size": [8, 8] }),
    );
    assert!(imported(copy.0.path(), &[]).is_ok());
}

#[test]
fn schedulers_are_refused() {
    for (changes, said) in [
        (
            json!({ "_class_name": "CMStochasticIterativeScheduler" }),
            "a consistency model leads from any noise level to the end of its own trajectory: it is no denoiser, and no \
             solver can step with it; give a model with one of DDPMScheduler, ",
        ),
        (
            json!({ "_class_name": "FlowMatchEulerDiscreteScheduler" }),
            "the scheduler is of the class \"FlowMatchEulerDiscreteScheduler\", whose networks are told the noise level in \
             another way; ",
        ),
        (
            json!({ "rescale_betas_zero_snr": true }),
            "rescale_betas_zero_snr: its last step has no signal: σ/α is infinite there; give a model that was trained \
             without it",
        ),
        (
            json!({ "beta_schedule": "sigmoid" }),
            "beta_schedule: \"sigmoid\" cannot be imported; give a model with one of linear, scaled_linear, \
             squaredcos_cap_v2",
        ),
        (
            json!({ "prediction_type": "flow_prediction" }),
            "prediction_type: \"flow_prediction\" cannot be imported; give a model with one of epsilon, sample, v_prediction",
        ),
        (
            json!({ "trained_betas": [0.1, 1.5] }),
            "trained_betas[1]: 1.5 is not between 0 and 1; write the share of noise that a step adds, such as 0.02",
        ),
        (json!({ "beta_start": "small" }), "beta_start: invalid type: string \"small\", expected f64; "),
    ] {
        let copy = Copy::of("ddpm");
        copy.set("scheduler/scheduler_config.json", changes);
        let found = copy.refused(&[]);
        assert!(found.starts_with(&format!("DIR/scheduler/scheduler_config.json: {said}")), "{found}");
    }
    // Without a scheduler the chain of DDPM is taken, and that is said.
    let copy = Copy::of("ddpm");
    fs::remove_dir_all(copy.path("scheduler")).expect("a folder");
    let import = Import::open(copy.0.path(), &[]).expect("a model");
    assert!(import.remarks[0].starts_with("there is no scheduler_config.json; what is taken is the chain of DDPM"));
    assert!(imported(copy.0.path(), &[]).is_ok());
}

#[test]
fn weights_are_refused() {
    let file = "unet/diffusion_pytorch_model.safetensors";
    type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;
    type Change = fn(&mut Tensors);
    let cases: [(Change, &str); 4] = [
        (
            |all| all.retain(|entry| entry.0 != "conv_in.bias"),
            "there is no parameter `conv_in.bias`; give the config.json that goes with these weights",
        ),
        (
            |all| all.retain(|entry| !entry.0.starts_with("conv_in.")),
            "there is no parameter `conv_in.weight`, nor 1 more; ",
        ),
        (|all| all.push(("extra.weight".into(), vec![1], vec![0; 4])), "the network has no parameter `extra.weight`; "),
        (
            |all| {
                let entry = all.iter_mut().find(|entry| entry.0 == "conv_out.bias").expect("a parameter");
                (entry.1, entry.2) = (vec![1, 3], vec![0; 12]);
            },
            "`conv_out.bias` has the shape [1, 3], and the network has [3]; ",
        ),
    ];
    for (change, said) in cases {
        let copy = Copy::of("ddpm");
        copy.weights(file, change);
        let found = copy.refused(&[]);
        assert!(found.starts_with(&format!("DIR/{file}: {said}")), "{found}");
    }
    let copy = Copy::of("ddpm");
    fs::write(copy.path(file), b"not what it seems").expect("writable");
    assert!(copy.refused(&[]).starts_with(&format!("DIR/{file}: this is not a safetensors file (")));
    fs::rename(copy.path(file), copy.path("unet/diffusion_pytorch_model.bin")).expect("a file");
    assert_eq!(
        copy.refused(&[]),
        "DIR/unet: the weights are a pickled .bin file, which only Python can read (no \
         diffusion_pytorch_model.safetensors); load the model in Python and save it with save_pretrained(…, \
         safe_serialization=True)"
    );
    fs::write(copy.path("unet/diffusion_pytorch_model.safetensors.index.json"), "{}").expect("writable");
    assert!(copy.refused(&[]).starts_with("DIR/unet: the weights are spread over several files"));
}

#[test]
fn folders_and_changes_are_refused() {
    let place = Place::new();
    refuses(
        &place,
        &["import", "nowhere"],
        "nowhere: there is no such folder; give a folder that `save_pretrained` of diffusers has written",
    );
    fs::create_dir(place.path("empty")).expect("a folder");
    let said = silent_refusal(&place, &["import", "empty"]);
    assert!(said.starts_with("error: empty/config.json: No such file or directory"), "{said}");
    let ddpm = golden("ddpm");
    let ddpm = ddpm.to_str().unwrap();
    refuses(
        &place,
        &["import", ddpm, "--set", "data={image_shape: {channels: 1}}"],
        &format!(
            "{ddpm}/unet/config.json: in_channels: the network is for 3 channels, the data have 1; name data that the \
             network is made for"
        ),
    );
    let classes = golden("classes");
    let said = imported(&classes, &["data={image_shape: {channels: 1, height: 8, width: 8}}"]).map(drop);
    assert_eq!(said.expect_err("a refusal"), "the network is told classes, and the data have none");
    let said = silent_refusal(&place, &["import", ddpm, "--set", "sde.vp.beta_min=-1"]);
    assert!(said.starts_with("error: --set sde.vp.beta_min=-1: -1 is not a positive number"), "{said}");
    let latent = Copy::of("ddpm");
    latent.set("model_index.json", json!({ "_class_name": "LDMPipeline", "vqvae": ["diffusers", "VQModel"] }));
    assert_eq!(
        latent.refused(&[]),
        "DIR/model_index.json: LDMPipeline is a model of latent codes: its `vqvae` makes images of them; give a model of \
         pixels, such as a DDPMPipeline"
    );
}

/// Without examples of the data a run is sampled and no more; with them it is compared and trained on.
#[test]
fn a_shape_is_enough_to_sample_and_no_more() {
    let place = Place::new();
    let ddpm = golden("ddpm");
    let ddpm = ddpm.to_str().unwrap();
    place.run(&["import", ddpm, "--out", "run", "--set", "sample.count=2", "--set", "sample.steps=2"]).ok();
    place.run(&["sample", "run"]).ok();
    let needs = "needs examples of the data, and their shape is all that is known; name the data, such as `data: \
                 cifar10`; a model from elsewhere is imported with them: `ornstein import DIR --set data=cifar10`";
    for (verb, who) in [("train", "training"), ("run", "training"), ("features", "a classifier")] {
        let outcome = place.run(&[verb, "run"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{verb}");
        assert!(outcome.stderr.ends_with(&format!("error: data.image_shape: {who} {needs}\n")), "{}", outcome.stderr);
    }
    let compare = "compare={entries: [{solver: ddim}], nfe: [2], count: 4, repeats: 2}";
    let said = silent_refusal(&place, &["compare", "run", "--set", compare]);
    assert!(said.contains(": there are no examples of the data to compare with; name the data"), "{said}");
    let said = place.run(&["check", "run"]).ok().stdout;
    assert!(said.contains("images of 8×8×3, of which no example is known"), "{said}");

    let images = ArrayD::from_shape_fn(vec![16, 3, 8, 8], |i| (7 * i[0] + 31 * i[2] + i[3]) as u8);
    let mut bytes = Vec::new();
    ndarray_npy::WriteNpyExt::write_npy(&images, &mut bytes).expect("memory can be written");
    place.write("images.npy", bytes);
    let file = place.path("images.npy");
    let data = format!("data={{image_array: {{file: '{}', validation: 0.5}}}}", file.display());
    let training = "train={steps: 2, batch: 4, warmup: 1, validate: null, log_every: 1}";
    place.run(&["import", ddpm, "--out", "known", "--set", &data, "--set", training]).ok();
    place.run(&["compare", "known", "--set", compare]).ok();
    place.run(&["train", "known"]).ok();
    assert!(place.path("known/checkpoints/step-00000002.json").is_file());
    // Two steps of learning move the weights a little.
    let [before, after] = [0, 2].map(|step| contents(&place.path(&format!("known/checkpoints/step-{step:08}.json"))));
    let find = |all: &[(String, Vec<u8>)]| all.iter().find(|(name, _)| name == "parameters/conv_out.bias").cloned();
    assert_ne!(find(&before), find(&after));
}

/// What diffusers could not tell a network is not exported.
#[test]
fn exports_are_refused() {
    let refused = |name: &str, changes: &[&str]| {
        let (plan, run, manifest) = imported(&golden(name), changes).expect("a model");
        let loaded = plan.loaded(&manifest).expect("the checkpoint of the import");
        let folder = run.path().join("out");
        let error = exchange::export(&plan, &loaded, &folder).expect_err("a refusal");
        assert_eq!(error.exit_code(), 2);
        assert_eq!(fs::read_dir(run.path()).expect("a folder").count(), 2, "{error}");
        error.to_string()
    };
    for (name, changes, said) in [
        ("ddpm", "model.predict=edm", "model.predict: no scheduler of a chain takes this prediction; "),
        ("ddpm", "model.sigma_data=0.5", "model.sigma_data: the network saw states scaled with 0.5, and "),
        ("ddpm", "model.input=exploding", "model.input: no scheduler of diffusers shows a network the state like this"),
        ("ddpm", "model.noise_level=quarter_log", "model.predict: where a network is told ¼ ln κ, the schedulers of "),
        ("ddpm", "model.noise_level=log", "model.network.unet.time_embedding_type: diffusers takes the logarithm"),
        ("ncsnpp", "model.predict=noise", "model.predict: diffusers takes what such a network predicts for the score"),
    ] {
        let found = refused(name, &[changes]);
        assert!(found.starts_with(said), "{found}");
    }
    // v of a process with α² + σ² = 1 is that of the chain; of another it is not.
    let found = refused("ddpm", &["model.predict=velocity", "sde=flow"]);
    assert!(found.starts_with("model.predict: no scheduler of a chain"), "{found}");
    let (plan, run, manifest) = imported(&golden("ddpm"), &["model.predict=velocity"]).expect("a model");
    let loaded = plan.loaded(&manifest).expect("the checkpoint of the import");
    assert!(exchange::export(&plan, &loaded, &run.path().join("out")).is_ok());
}

/// Frequencies are kept with checkpoints; those of earlier versions have none, and their networks those of their seeds.
#[test]
fn old_checkpoints_without_frequencies_still_load() {
    let (plan, run, manifest) = imported(&golden("ncsnpp"), &["seed=5"]).expect("a model");
    let frequencies = |manifest: &Path| {
        let loaded = plan.loaded(manifest).expect("a checkpoint");
        tensor::to_array(&loaded.parameters.fixed()[0].1)
    };
    let kept = frequencies(&manifest);
    let mut checkpoint = Checkpoint::load(&manifest, &plan.training_hash()).expect("a checkpoint");
    assert!(checkpoint.tensors.remove("fixed/time_proj.weight").is_some());
    let old = checkpoint.save(&run.path().join("old"), 1).expect("writable");
    let of_seed = tensor::to_array(&plan.network().1.fixed()[0].1);
    assert_eq!(frequencies(&old), of_seed);
    assert_ne!(kept, of_seed);
}
