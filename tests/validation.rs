//! Validation, early stopping, and the moving averages that one may sample from.

mod place;

use ornstein::data::Library;
use ornstein::experiment::{Compute, Plan, Spec};
use ornstein::score::Model;
use ornstein::threads::Workers;
use place::Place;
use tch::{Device, Kind, Tensor};

const SETTINGS: &str = "\
name: validated
data: two_moons
sde: vp
model: {network: {mlp: {width: 16, depth: 2}}, predict: edm}
train:
  steps: 400
  batch: 64
  warmup: 20
  optimizer: {adamw: {lr: 3.0e-3}}
  time: log_normal
  weighting: edm
  log_every: 20
  checkpoint_every: 100
  validate: {every: 20, count: 256}
  ema: [{power: {std: 0.05}}, {power: {std: 0.1}}, {power: {std: 0.07}}, {half_life: 40}]
  snapshot_every: 20
sample: {count: 32, steps: 5}
";

fn place() -> Place {
    let place = Place::new();
    place.write("validated.yaml", SETTINGS);
    place
}

/// The plan of the experiment with some changes.
fn plan(changes: &[&str]) -> Plan {
    let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    let spec = Spec::parse(SETTINGS, "validated.yaml", &changes).expect("an experiment");
    tch::set_num_threads(1);
    let workers = Workers::new(1).expect("a thread").into();
    let compute = Compute { device: Device::Cpu, kind: Kind::Float, workers };
    Plan::new(spec, compute, &Library::new(None)).expect("a law")
}

/// The columns of a log without its header.
fn rows(text: &str) -> Vec<Vec<f64>> {
    let row = |line: &str| line.split(',').map(|cell| cell.parse().expect("a number")).collect();
    text.lines().skip(1).map(row).collect()
}

#[test]
fn the_best_checkpoint_is_that_of_the_least_validation_loss() {
    let place = place();
    let outcome = place.run(&["train", "validated.yaml", "--out", "run", "--json"]).ok();
    let rows = rows(&place.text("run/validation.csv"));
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().enumerate().all(|(i, row)| row[0] == 20.0 * (i + 1) as f64));
    let best = rows.iter().min_by(|a, b| a[1].total_cmp(&b[1])).expect("rows");
    assert!(rows[0][1] > 1.05 * best[1], "the loss should have fallen: {rows:?}");
    assert_eq!(outcome.json()["train"]["validation"], best[1]);
    let name = format!("run/checkpoints/best/step-{:08}", best[0]);
    assert!(place.path(&format!("{name}.json")).is_file());
    assert_eq!(std::fs::read_dir(place.path("run/checkpoints/best")).expect("a folder").count(), 2);
    // The loss that was written down is that of the averaged parameters in the file.
    let plan = plan(&[]);
    let mut trainer = plan.trainer().expect("a network for points");
    let checkpoint = ornstein::train::Checkpoint::load(&place.path(&format!("{name}.json")), &plan.training_hash());
    trainer.restore(&checkpoint.expect("a checkpoint")).expect("of this network");
    let loss = trainer.validate(&plan.validation(256));
    assert_eq!((loss.value, loss.standard_error), (best[1], best[2]));
    // And a validation changes nothing.
    let before = trainer.checkpoint("x");
    trainer.validate(&plan.validation(256));
    let after = trainer.checkpoint("x");
    assert!(before.tensors.iter().all(|(name, value)| *value == after.tensors[name]));
}

#[test]
fn a_run_stops_when_its_validation_loss_no_longer_falls_and_stays_so() {
    let place = place();
    // With no learning rate to speak of, the first validation loss is about as good as any.
    let still = ["--set", "train.optimizer.adamw.lr=1e-12", "--set", "train.early_stop={patience: 3}"];
    let train = |more: &[&str]| {
        place.run(&[&["train", "validated.yaml", "--out", "still", "--json"], &still[..], more].concat()).ok()
    };
    let outcome = train(&[]);
    let steps = outcome.json()["train"]["steps"].as_u64().expect("a number");
    let rows = rows(&place.text("still/validation.csv"));
    let best = rows.iter().enumerate().min_by(|a, b| a.1[1].total_cmp(&b.1[1])).expect("rows").0;
    assert_eq!(rows.len(), best + 1 + 3, "{rows:?}");
    assert_eq!(steps as usize, 20 * rows.len());
    assert!(outcome.stderr.contains(&format!("stopped early at step {steps}")), "{}", outcome.stderr);
    let again = train(&["--resume"]);
    assert_eq!(again.json()["train"]["steps"], steps);
    assert_eq!(again.json()["train"]["loss"], serde_json::Value::Null);
}

/// What the model of a plan makes of some points.
fn answers(plan: &Plan, manifest: &std::path::Path) -> Tensor {
    let model: Box<dyn Model> = plan.trained(manifest).expect("a checkpoint");
    let x = plan.reference(0, 200).to_kind(Kind::Float);
    tch::no_grad(|| model.denoise(&x, 0.3))
}

/// Karras et al. (2024): from snapshots of two power averages, that of a third that the run tracked too. Averages and
/// parameters are compared in L², relative to how far the average is from the start of the training.
#[test]
fn an_average_of_another_width_is_put_together_after_training() {
    let place = place();
    place.run(&["train", "validated.yaml", "--out", "run", "-q"]).ok();
    assert_eq!(std::fs::read_dir(place.path("run/checkpoints/snapshots")).expect("a folder").count(), 40);
    let plan = plan(&[]);
    let hash = plan.training_hash();
    let checkpoint = ornstein::train::Checkpoint::load(&place.path("run/checkpoints/step-00000400.json"), &hash);
    let checkpoint = checkpoint.expect("a checkpoint");
    let (_, parameters) = plan.network();
    let flat = |buffer: &str| {
        let parts = parameters.named(&parameters.flat());
        let parts = parts.iter().map(|(name, _)| checkpoint.tensors[&format!("{buffer}/{name}")].reshape(-1));
        Tensor::cat(&parts.collect::<Vec<_>>(), 0).to_kind(Kind::Double)
    };
    let norm = |x: &Tensor| x.square().sum(Kind::Double).sqrt().double_value(&[]);
    let (stored, raw) = (flat("ema.2"), flat("parameters"));
    let (_, start) = plan.network();
    let start = start.flat().to_kind(Kind::Double);
    let power = |std| ornstein::train::Power { std };
    let folder = place.path("run/checkpoints/snapshots");
    let snapshots = |tracked| ornstein::train::Snapshots { folder: &folder, experiment: &hash, tracked };
    snapshots(vec![(0, power(0.05)), (1, power(0.1))]).average(power(0.07), 400, &parameters).expect("snapshots");
    let made = parameters.flat().to_kind(Kind::Double);
    let error = norm(&(&made - &stored));
    println!(
        "relative to the parameters: {:.1e}; to the way since the start: {:.1e}; to the raw parameters' distance: {:.1e}",
        error / norm(&stored),
        error / norm(&(&stored - &start)),
        error / norm(&(&stored - &raw)),
    );
    assert!(error < 1e-3 * norm(&(&stored - &start)), "{error}");
    // A test that would not notice if nothing were averaged at all could not fail.
    assert!(norm(&(&stored - &raw)) > 1e-2 * norm(&(&stored - &start)));
    // One average alone cannot do it as well.
    snapshots(vec![(1, power(0.1))]).average(power(0.07), 400, &parameters).expect("snapshots");
    assert!(norm(&(parameters.flat().to_kind(Kind::Double) - &stored)) > error);
}

#[test]
fn samples_come_from_the_average_that_is_asked_for() {
    let place = place();
    place.run(&["train", "validated.yaml", "--out", "run", "-q"]).ok();
    let manifest = place.path("run/checkpoints/step-00000400.json");
    let of = |ema: &str| answers(&plan(&[&format!("sample.ema={ema}")]), &manifest);
    let distance = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
    let first = answers(&plan(&[]), &manifest);
    assert_eq!(distance(&first, &of("{power: {std: 0.05}}")), 0.0);
    assert!(distance(&first, &of("{half_life: 40}")) > 1e-5);
    // Not tracked, between two that are.
    let between = of("{power: {std: 0.06}}");
    assert!(
        distance(&between, &first) > 1e-6 && distance(&between, &first) < distance(&of("{power: {std: 0.1}}"), &first)
    );
}
