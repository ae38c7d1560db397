//! Ctrl-C at any stage: what is at work is finished as far as it must be, nothing is lost, and the program says how to go
//! on. A second Ctrl-C ends it at once.
#![cfg(unix)]

mod alike;
mod place;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ornstein::train::Checkpoint;
use place::{Outcome, Place};

const SETTINGS: &str = "\
name: stopped
data: two_moons
sde: vp
model: {network: {mlp: {width: 16, depth: 2}}, predict: noise}
train: {steps: 60, batch: 32, warmup: 5, ema: {half_life: 10}, log_every: 5, checkpoint_every: 7,
  validate: {every: 20, count: 64}}
sample: {count: 64, solver: ddim, steps: 5, chunk: 16}
compare: {entries: [{solver: ddim}, {solver: heun}], nfe: [4, 8], repeats: 1, count: 32}
";

fn place() -> Place {
    let place = Place::new();
    place.write("stopped.yaml", SETTINGS);
    place
}

fn signal(child: &Child, signal: &str) {
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    let mut command = place.command(arguments);
    command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts")
}

fn newest(folder: &Path) -> usize {
    Checkpoint::all(folder).pop().and_then(|manifest| Checkpoint::step_of(&manifest)).unwrap_or(0)
}

/// Waits until something has happened that the program does on the way.
#[track_caller]
fn wait(child: &mut Child, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(child.try_wait().expect("a child").is_none(), "the program has ended too early");
        assert!(start.elapsed() < Duration::from_secs(120), "nothing in two minutes");
        sleep(Duration::from_micros(500));
    }
}

/// Runs the program, interrupts it as soon as a line for people starts with `line`, and lets it end.
fn interrupt_after(place: &Place, arguments: &[&str], line: &str) -> Outcome {
    let mut child = start(place, arguments);
    let mut reader = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut stderr = String::new();
    while !stderr.lines().last().is_some_and(|last| last.trim_start().starts_with(line)) {
        assert!(reader.read_line(&mut stderr).expect("UTF-8") > 0, "no line {line:?} in {stderr}");
    }
    signal(&child, "-INT");
    reader.read_to_string(&mut stderr).expect("UTF-8");
    let output = child.wait_with_output().expect("a child");
    Outcome { code: output.status.code(), stdout: String::from_utf8(output.stdout).expect("UTF-8"), stderr }
}

/// The signals of a terminal and of a system that shuts down, in the middle of the training.
#[test]
fn an_interrupt_says_how_to_go_on() {
    let place = place();
    let long = ["--set", "train.steps=600"];
    let train =
        |run: &str, more: &[&str]| [&["train", "stopped.yaml", "--out", run], &long[..], more].concat().join(" ");
    place.run(&train("whole", &["-q"]).split(' ').collect::<Vec<_>>()).ok();
    for name in ["-INT", "-TERM", "-HUP"] {
        let run = format!("run{name}");
        let mut child = start(&place, &train(&run, &[]).split(' ').collect::<Vec<_>>());
        let checkpoints = place.path(&run).join("checkpoints");
        wait(&mut child, || newest(&checkpoints) >= 1);
        signal(&child, name);
        let output = child.wait_with_output().expect("a child");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(output.stdout.is_empty());
        let step = newest(&checkpoints);
        assert!((1..600).contains(&step), "{step}");
        let said = format!(
            "error: interrupted; the checkpoint of step {step} is in {run}/checkpoints; continue with --resume --out {run}"
        );
        assert_eq!(stderr.lines().last(), Some(said.as_str()));
        let resumed = place.run(&train(&run, &["--resume"]).split(' ').collect::<Vec<_>>()).ok();
        assert!(resumed.stderr.contains(&format!("resuming at step {step} of 600")), "{}", resumed.stderr);
        alike::same_course(&place, "whole", &run);
    }
}

/// In every later stage: what is finished stays, and the run goes on from there.
#[test]
fn each_stage_can_be_interrupted() {
    let place = place();
    for (i, (line, settings, said)) in [
        (
            "training",
            &["--set", "train.validate={every: 60, count: 40000}"][..],
            "the training is done and in RUN; continue with --resume --out RUN",
        ),
        (
            "loss by noise level",
            &["--set", "sample.count=200000"],
            "what was finished before is in RUN; continue with --resume --out RUN",
        ),
        (
            "sampling",
            &["--set", "compare.count=20000"],
            "what was finished before is in RUN; continue with --resume --out RUN",
        ),
        ("comparing", &[], "what was finished before is in RUN; continue with --resume --out RUN"),
    ]
    .into_iter()
    .enumerate()
    {
        let run = format!("run-{i}");
        let arguments = ["run", "stopped.yaml", "--out", &run];
        let outcome = interrupt_after(&place, &[&arguments, settings].concat(), line);
        assert_eq!(outcome.code, Some(130), "after {line}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
        let said = format!("error: interrupted; {}", said.replace("RUN", &run));
        assert_eq!(outcome.stderr.lines().last(), Some(said.as_str()), "after {line}");
        assert_eq!(newest(&place.path(&run).join("checkpoints")), 60);
        assert_eq!(place.path(&run).join("levels.csv").exists(), i > 0);
        assert_eq!(place.path(&run).join("samples.npy").exists(), i > 1);
        assert_eq!(place.path(&run).join("compare.csv").exists(), i > 2);
        assert!(!place.path(&run).join("report.html").exists());
        let outcome = place.run(&[&arguments[..], &["--resume"]].concat()).ok();
        assert!(outcome.stderr.contains("resuming at step 60 of 60"), "{}", outcome.stderr);
        for name in ["levels.csv", "samples.npy", "compare.csv", "report.html"] {
            assert!(place.path(&run).join(name).is_file(), "{name} after {line}");
        }
    }
}

/// A measurement of the validation loss is finished first. A second signal waits for nothing.
#[test]
fn validation_is_finished_unless_the_user_insists() {
    let place = place();
    let arguments = |run: &'static str| {
        // Checkpoints at 7 and 14; the line of step 15 is written before its validation begins.
        let long = "train.validate={every: 15, count: 300000}";
        ["train", "stopped.yaml", "--out", run, "--set", long, "--set", "train.steps=90"]
    };
    let in_validation = |run: &'static str| {
        let mut child = start(&place, &arguments(run));
        let metrics = place.path(run).join("metrics.csv");
        let text = || std::fs::read_to_string(&metrics).unwrap_or_default();
        wait(&mut child, || text().lines().last().is_some_and(|line| line.starts_with("15,")));
        signal(&child, "-INT");
        child
    };
    let child = in_validation("patient");
    let output = child.wait_with_output().expect("a child");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("stopping after this step; press Ctrl-C again to stop at once"), "{stderr}");
    assert!(stderr.contains("the checkpoint of step 15 is in patient/checkpoints"), "{stderr}");
    assert_eq!(place.text("patient/validation.csv").lines().count(), 2);
    assert_eq!(newest(&place.path("patient/checkpoints/best")), 15);

    for run in ["insistent-0", "insistent-1", "insistent-2"] {
        let child = in_validation(run);
        // Two signals that are not yet delivered are one.
        sleep(Duration::from_millis(50));
        let insisted = Instant::now();
        signal(&child, "-INT");
        let output = child.wait_with_output().expect("a child");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(insisted.elapsed() < Duration::from_secs(20));
        assert!(stderr.ends_with("stopping after this step; press Ctrl-C again to stop at once\n"), "{stderr}");
        assert_eq!(place.text(&format!("{run}/validation.csv")).lines().count(), 1);
        assert_eq!(newest(&place.path(run).join("checkpoints")), 14);
    }
    let few = ["--set", "train.validate=null", "--set", "train.steps=30", "--resume"];
    let mut resumed = arguments("insistent-2").to_vec();
    resumed.truncate(4);
    let outcome = place.run(&[&resumed[..], &few].concat()).ok();
    assert!(outcome.stderr.contains("resuming at step 14 of 30"), "{}", outcome.stderr);
}

#[test]
fn an_interrupted_search_for_grids_writes_nothing() {
    let place = place();
    let before = place.listing();
    let method = "{direct: {evaluations: 1000000}}";
    let arguments =
        ["grid", "exact.yaml", "--solver", "dpmpp_2m", "--method", method, "--nfe", "30", "--output", "grid.yaml"];
    let outcome = interrupt_after(&place, &arguments, "grid ");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(130), ""), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("interrupted; nothing was written"), "{}", outcome.stderr);
    assert!(place.listing() == before);
}
