//! Training resumes bit for bit in another process, whatever ended the first one; samples are a function of the seed.
//! What kills do is in `kill.rs`, what Ctrl-C does in `interrupt.rs`, what full disks do in `disk.rs`.

mod alike;
mod place;

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use alike::same_course;
use place::Place;

/// Long enough to be met on the way, with an odd rhythm: checkpoints fall between lines of the log.
const SETTINGS: &str = "\
name: killed
data: two_moons
sde: vp
model: {network: {mlp: {width: 16, depth: 2}}, predict: noise}
train: {steps: 600, batch: 32, warmup: 20, ema: {half_life: 50}, log_every: 10, checkpoint_every: 7,
  validate: {every: 30, count: 64}}
sample: {count: 48, solver: {ddim: {eta: 1}}, grid: log_snr, steps: 6, chunk: 16}
";
const STEPS: usize = 600;

/// A folder with the experiment above, and its uninterrupted run in `whole`.
fn place() -> Place {
    let place = Place::new();
    place.write("killed.yaml", SETTINGS);
    place.run(&["train", "killed.yaml", "--out", "whole", "-q"]).ok();
    place
}

/// The bytes of the tensors at a step.
#[track_caller]
fn tensors(place: &Place, run: &str, step: usize) -> Vec<u8> {
    place.read(&format!("{run}/checkpoints/step-{step:08}.safetensors"))
}

/// Asserts that a run in pieces came to the same as the uninterrupted one.
#[track_caller]
fn same_as_whole(place: &Place, run: &str) {
    assert_eq!(newest(place, run), STEPS);
    assert_eq!(place.text(&format!("{run}/metrics.csv")).lines().count(), 1 + STEPS / 10);
    assert_eq!(place.text(&format!("{run}/validation.csv")).lines().count(), 1 + STEPS / 30);
    same_course(place, "whole", run);
}

/// The step of the newest checkpoint, 0 where there is none yet.
fn newest(place: &Place, run: &str) -> usize {
    let entries = std::fs::read_dir(place.path(run).join("checkpoints")).into_iter().flatten().flatten();
    let step = |name: String| name.strip_prefix("step-")?.strip_suffix(".json")?.parse().ok();
    entries.filter_map(|entry| step(entry.file_name().into_string().ok()?)).max().unwrap_or(0)
}

/// Waits until the newest checkpoint is of `step` or later; whether the program was still at work then.
fn reaches(place: &Place, run: &str, step: usize, child: &mut Child) -> bool {
    let start = Instant::now();
    while newest(place, run) < step {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no step {step} in a minute");
        sleep(Duration::from_millis(1));
    }
    true
}

/// How long to train and how often to log are no part of what a checkpoint is of.
#[test]
fn a_finished_run_can_go_on_for_longer() {
    let place = place();
    let short = "train.steps=300";
    place.run(&["train", "killed.yaml", "--out", "longer", "-q", "--set", short]).ok();
    assert_eq!(newest(&place, "longer"), 300);
    let resumed = place.run(&["train", "killed.yaml", "--out", "longer", "--resume"]).ok();
    assert!(resumed.stderr.contains("resuming at step 300 of 600"), "{}", resumed.stderr);
    same_as_whole(&place, "longer");
    // The folder says what is in it, so that it can stand for the experiment.
    assert!(place.text("longer/experiment.yaml") == place.text("whole/experiment.yaml"));
    // With nothing left to do nothing changes.
    let before = (tensors(&place, "longer", STEPS), place.text("longer/metrics.csv"));
    let outcome = place.run(&["train", "longer", "--json"]).ok();
    assert_eq!(outcome.json()["train"]["steps"], STEPS);
    assert_eq!(outcome.json()["train"]["loss"], serde_json::Value::Null);
    assert!(before == (tensors(&place, "longer", STEPS), place.text("longer/metrics.csv")));
}

/// A checkpoint that was damaged after it was written costs the steps since the one before, no more.
#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let place = place();
    let some = "train.steps=100";
    place.run(&["train", "killed.yaml", "--out", "damaged", "-q", "--set", some]).ok();
    assert_eq!(newest(&place, "damaged"), 100);
    let last = "damaged/checkpoints/step-00000100.safetensors";
    let mut bytes = tensors(&place, "damaged", 100);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.write(last, &bytes);
    let outcome = place.run(&["train", "killed.yaml", "--out", "damaged", "--resume"]).ok();
    let passed = format!("passed over: {last}: the file is damaged: its SHA-256 is not that of its manifest");
    assert!(outcome.stderr.contains(&passed), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("resuming at step 98 of 600"), "{}", outcome.stderr);
    same_as_whole(&place, "damaged");
}

/// What diverges says where and why, once and again, and costs nothing that was there before.
#[test]
fn a_run_that_diverges_keeps_its_last_checkpoint() {
    let place = place();
    let wild =
        ["--set", "train.optimizer.adamw.lr=1e20", "--set", "train.warmup=0", "--set", "train.checkpoint_every=1"];
    let train =
        |more: &[&str]| place.run(&[&["train", "killed.yaml", "--out", "wild", "-q"], &wild[..], more].concat());
    let first = train(&[]);
    assert_eq!((first.code, first.stdout.as_str()), (Some(1), ""), "{}", first.stderr);
    let advice = "; lower train.optimizer.adamw.lr, lengthen train.warmup or clip harder, and train anew; with the same \
                  settings it would end here again\n";
    assert!(first.stderr.ends_with(advice), "{}", first.stderr);
    let words: Vec<&str> = first.stderr.trim_end_matches(advice).split_whitespace().collect();
    let [
        _,
        "the",
        "loss" | "gradient",
        "is",
        "not",
        "finite",
        "at",
        "training",
        "step",
        step,
        "(worst",
        "at",
        "t",
        "=",
        t,
        "σ/α",
        "=",
        ratio,
    ] = words[..]
    else {
        panic!("{words:?}")
    };
    let number = |text: &str| text.trim_end_matches([',', ')']).parse::<f64>().expect("a number");
    assert!(number(step) >= 2.0 && (0.0..=1.0).contains(&number(t)) && number(ratio) > 0.0, "{words:?}");
    // The checkpoint of the step before is there, and whole: to go on from it leads to the same place.
    assert_eq!(newest(&place, "wild"), number(step) as usize - 1);
    let before = place.listing();
    let again = train(&["--resume"]);
    assert_eq!((again.code, again.stderr), (Some(1), first.stderr));
    assert!(place.listing() == before);
    // Data beyond single precision end at the first step, before there is anything to keep.
    let far = "data={gaussian: {mean: [1.0e30, 0], spectrum: [1.0, 1.0]}}";
    // A network that is not told of their scale and is to predict the data themselves.
    let model = "model={network: {mlp: {width: 16, depth: 2}}, predict: data, sigma_data: 1}";
    let outcome = place.run(&["train", "killed.yaml", "--out", "far", "-q", "--set", far, "--set", model]);
    assert_eq!(outcome.code, Some(1));
    let [start, end] = [
        "error: the loss is not finite at training step 1 (worst at t = ",
        "the data's root mean square is 7.1e29: scale them to about 1 (`standardise: true` for a table)\n",
    ];
    assert!(outcome.stderr.starts_with(start) && outcome.stderr.ends_with(end), "{}", outcome.stderr);
    assert_eq!(newest(&place, "far"), 0);
}

/// A run belongs to one process at a time, and to nobody once that process is gone.
#[test]
fn the_second_process_in_a_run_is_refused() {
    let place = place();
    let mut child = place.command(&["train", "killed.yaml", "--out", "shared", "-q"]).spawn().expect("it starts");
    assert!(reaches(&place, "shared", 7, &mut child));
    let second = place.run(&["train", "killed.yaml", "--out", "shared", "-q", "--resume"]);
    child.kill().expect("a child can be killed");
    child.wait().expect("a child");
    assert_eq!(second.code, Some(2));
    assert_eq!(
        second.stderr,
        format!(
            "error: shared: process {} is at work in this folder; wait until it has ended, or stop it with Ctrl-C: it \
             will write a checkpoint\n",
            child.id()
        )
    );
    place.run(&["train", "killed.yaml", "--out", "shared", "-q", "--resume"]).ok();
    same_as_whole(&place, "shared");
}

/// Without --out, --resume finds the newest run of the experiment by itself.
#[test]
fn the_newest_run_is_found() {
    let place = Place::new();
    place.run(&["train", "tiny.yaml", "-q", "--set", "train.steps=20"]).ok();
    let outcome = place.run(&["train", "tiny.yaml", "--resume", "--json"]).ok();
    assert!(outcome.stderr.contains("resuming at step 20 of 40"), "{}", outcome.stderr);
    let run = outcome.json()["run"].as_str().expect("a path").to_owned();
    assert!(run.starts_with("runs/tiny/"), "{run}");
    assert_eq!(newest(&place, &run), 40);
    assert_eq!(std::fs::read_dir(place.path("runs/tiny")).expect("a folder").count(), 1);
}

#[test]
fn the_seed_alone_decides() {
    let place = Place::new();
    let run = |out: &str, more: &[&str]| {
        place.run(&[&["run", "tiny.yaml", "--out", out, "-q"], more].concat()).ok();
        place.read(&format!("{out}/samples.npy"))
    };
    let first = run("first", &[]);
    assert!(first == run("again", &[]), "the same seed gave other samples");
    assert!(first != run("other", &["--seed", "1"]), "another seed gave the same samples");
}

/// Threads change who computes a chunk, not what is computed: LibTorch runs on one thread inside each.
#[test]
fn threads_change_nothing_but_time() {
    let place = Place::new();
    place.run(&["train", "tiny.yaml", "--out", "run", "-q"]).ok();
    let sampled = |threads: &str| {
        let output = format!("y{threads}.npy");
        let solver = "sample.solver={ddim: {eta: 1}}";
        place.run(&["sample", "run", "-q", "--threads", threads, "--output", &output, "--set", solver]).ok();
        place.read(&output)
    };
    let one = sampled("1");
    assert!(one == sampled("2") && one == sampled("3"));
}
