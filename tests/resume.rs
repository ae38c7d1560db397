//! Training resumes bit for bit in another process, whatever ended the first one; samples are a function of the seed.

mod place;

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ornstein::rng::{Purpose, Stream};
use place::Place;

/// Long enough to be killed on the way, with an odd rhythm: checkpoints fall between lines of the log.
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

/// What must be the same in every run: `validation.csv`, and `metrics.csv` without its last column, the seconds.
#[track_caller]
fn metrics(place: &Place, run: &str) -> Vec<String> {
    let text = place.text(&format!("{run}/metrics.csv"));
    assert!(text.ends_with('\n'));
    let validation = place.text(&format!("{run}/validation.csv"));
    let metrics = text.lines().map(|line| line.rsplit_once(',').expect("five columns").0.to_owned());
    metrics.chain(validation.lines().map(str::to_owned)).collect()
}

/// Asserts that a run in pieces came to the same as the uninterrupted one.
#[track_caller]
fn same_as_whole(place: &Place, run: &str) {
    assert!(tensors(place, run, STEPS) == tensors(place, "whole", STEPS), "the parameters of {run} differ");
    assert_eq!(metrics(place, run), metrics(place, "whole"));
    assert_eq!(metrics(place, run).len(), 1 + STEPS / 10 + 1 + STEPS / 30);
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

#[test]
fn killed_runs_resume_bit_for_bit() {
    let place = place();
    // Moments spread over the run, and up to 20 ms after a checkpoint, so that some fall while one is written.
    let random = Stream::new(11, Purpose::Data);
    let mut kills = 0;
    for i in 0..5u64 {
        let arguments: &[&str] = match i {
            0 => &["train", "killed.yaml", "--out", "pieces", "-q"],
            _ => &["train", "killed.yaml", "--out", "pieces", "-q", "--resume"],
        };
        let mut child = place.command(arguments).stderr(Stdio::inherit()).spawn().expect("the program starts");
        let moment = (STEPS as f64 * (i as f64 + random.uniform(i, 0)) / 6.0) as usize;
        let at_work = reaches(&place, "pieces", moment.max(1), &mut child);
        sleep(Duration::from_secs_f64(0.02 * random.uniform(i, 1)));
        child.kill().expect("a child can be killed");
        let status = child.wait().expect("a child");
        kills += usize::from(at_work && status.code().is_none());
    }
    assert!(kills >= 3, "only {kills} kills met the program at work");
    assert!(newest(&place, "pieces") < STEPS, "the run was over before its last kill");
    place.run(&["train", "killed.yaml", "--out", "pieces", "-q", "--resume"]).ok();
    same_as_whole(&place, "pieces");
    // A kill in the middle of a write may leave a partial file beside the checkpoints, never instead of one.
    let sampled = |run: &str, output: &str| {
        place.run(&["sample", run, "--output", output, "-q"]).ok();
        place.read(output)
    };
    assert!(sampled("pieces", "a.npy") == sampled("whole", "b.npy"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_says_how_to_go_on() {
    let place = place();
    for signal in ["-INT", "-TERM"] {
        let run = format!("interrupted{signal}");
        let mut child = place
            .command(&["train", "killed.yaml", "--out", &run])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        assert!(reaches(&place, &run, 1, &mut child));
        let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let output = child.wait_with_output().expect("a child");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(output.stdout.is_empty());
        let step = newest(&place, &run);
        assert!((1..STEPS).contains(&step), "{step}");
        let last = stderr.lines().last().expect("a sentence");
        assert_eq!(
            last,
            format!(
                "error: interrupted; the checkpoint of step {step} is in {run}/checkpoints; \
                 continue with --resume --out {run}"
            )
        );
        let resumed = place.run(&["train", "killed.yaml", "--resume", "--out", &run]).ok();
        assert!(resumed.stderr.contains(&format!("resuming at step {step} of {STEPS}")), "{}", resumed.stderr);
        same_as_whole(&place, &run);
    }
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
            "error: shared: process {} is at work in this run; wait until it has ended, or stop it with Ctrl-C: it will \
             write a checkpoint\n",
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
