//! A full disk: the program stops with a sentence that names the file and the way out, what was whole stays whole, and
//! with some space it goes on to the same end as if nothing had been.
//!
//! Each test runs itself once more in a mount namespace of its own, where it may mount small disks in memory; they vanish
//! with it. That takes root, or user namespaces; where neither is allowed a line says so.
#![cfg(target_os = "linux")]

mod alike;
mod place;

use std::fs;
use std::io::Write as _;
use std::process::Command;

use alike::{files, same_course};
use ornstein::train::Checkpoint;
use place::Place;

const SETTINGS: &str = "\
name: full
data: two_moons
sde: vp
model: {network: {mlp: {width: 64, depth: 2}}, predict: noise}
train: {steps: 100, batch: 32, warmup: 20, ema: {half_life: 50}, log_every: 1, checkpoint_every: 16,
  validate: {every: 50, count: 64}}
sample: {count: 48, steps: 5}
";
const STEPS: usize = 100;
const NO_SPACE: &str = "No space left on device (os error 28)";

/// Set inside of the namespace.
const INSIDE: &str = "ORNSTEIN_TEST_MOUNTS";

/// Whether this process may mount; otherwise `test` has been run in one that may, or skipped.
fn may_mount(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |flags: &str| {
        let mut command = Command::new("unshare");
        command.arg(flags);
        command
    };
    let probe = |flags: &&str| {
        let mut command = unshare(flags);
        let output = command.args(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "/mnt"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(flags) = ["-m", "-rm"].into_iter().find(probe) else {
        // Not `println!`, which tests that pass do not show.
        let _ = writeln!(std::io::stderr(), "skipped: {test} needs root or user namespaces to mount small disks");
        return false;
    };
    let program = std::env::current_exe().expect("a test binary");
    let mut command = unshare(flags);
    let output = command.arg(program).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output();
    let output = output.expect("unshare runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    println!("{stdout}{stderr}");
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}{stderr}");
    false
}

/// A folder with the experiment, and its uninterrupted run in `whole`.
fn place() -> Place {
    let place = Place::new();
    place.write("full.yaml", SETTINGS);
    place.run(&["train", "full.yaml", "--out", "whole", "-q"]).ok();
    place
}

/// A disk of some KiB in the folder `name`; or another size for the one that is there.
#[track_caller]
fn disk(place: &Place, name: &str, kib: u64) {
    let path = place.path(name);
    let mut command = Command::new("mount");
    match path.is_dir() {
        true => command.args(["-o", &format!("remount,size={kib}k")]).arg(path),
        false => {
            fs::create_dir_all(&path).expect("a folder");
            command.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(path)
        }
    };
    assert!(command.status().expect("mount runs").success());
}

/// Runs the program into the full disk: it ends with exactly this sentence.
#[track_caller]
fn fails(place: &Place, arguments: &[&str], file: &str) {
    let outcome = place.run(arguments);
    let said = format!("error: writing {file} failed: {NO_SPACE}; free some space and continue with --resume\n");
    assert_eq!((outcome.code, outcome.stderr, outcome.stdout), (Some(1), said, String::new()), "{arguments:?}");
}

/// The steps of the checkpoints of a run, every one of which is whole; and nothing half-written is beside them.
#[track_caller]
fn steps(place: &Place, run: &str) -> Vec<usize> {
    let folder = place.path(run).join("checkpoints");
    for path in files(&folder) {
        assert!(path.extension().is_some_and(|e| e == "json" || e == "safetensors"), "{}", path.display());
        assert!(path.with_extension("json").is_file() && path.with_extension("safetensors").is_file());
    }
    let load = |manifest: std::path::PathBuf| {
        let value: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).expect("a file")).expect("JSON");
        let hash = value["experiment"].as_str().expect("a hash");
        Checkpoint::load(&manifest, hash).unwrap_or_else(|e| panic!("{e}")).manifest.step
    };
    Checkpoint::all(&folder).into_iter().map(load).collect()
}

/// The KiB of one checkpoint.
fn kib(place: &Place) -> u64 {
    place.read(&format!("whole/checkpoints/step-{STEPS:08}.safetensors")).len() as u64 / 1024
}

const TRAIN: [&str; 5] = ["train", "full.yaml", "--out", "disk/run", "-q"];
const RESUME: [&str; 6] = ["train", "full.yaml", "--out", "disk/run", "-q", "--resume"];

#[test]
fn a_disk_that_is_full_at_a_checkpoint() {
    if !may_mount("a_disk_that_is_full_at_a_checkpoint") {
        return;
    }
    let place = place();
    let size = kib(&place);
    disk(&place, "disk", 2048);
    // Room for two checkpoints and a half: the third one fails, for the first is kept until it is there.
    let ballast = 2048 - 5 * size / 2;
    place.write("disk/ballast", vec![0; 1024 * ballast as usize]);
    let third = "disk/run/checkpoints/step-00000048.safetensors";
    fails(&place, &TRAIN, third);
    assert_eq!(steps(&place, "disk/run"), [16, 32]);
    // As long as there is no space, going on ends at the same place and costs nothing.
    fails(&place, &RESUME, third);
    assert_eq!(steps(&place, "disk/run"), [16, 32]);
    // A disk without a byte.
    let rest = place.path("disk/rest");
    let _ = fs::write(&rest, vec![0; 1 << 21]);
    let mut file = fs::OpenOptions::new().append(true).open(&rest).expect("a file");
    while file.write_all(&[0]).is_ok() {}
    fails(&place, &RESUME, "disk/run/experiment.yaml");
    assert_eq!(steps(&place, "disk/run"), [16, 32]);
    assert_eq!(place.text("disk/run/experiment.yaml"), place.text("whole/experiment.yaml"));
    fs::remove_file(rest).expect("a file");
    fs::remove_file(place.path("disk/ballast")).expect("a file");
    place.run(&RESUME).ok();
    same_course(&place, "whole", "disk/run");
    steps(&place, "disk/run");
}

#[test]
fn a_disk_that_is_full_at_the_first_checkpoint() {
    if !may_mount("a_disk_that_is_full_at_the_first_checkpoint") {
        return;
    }
    let place = place();
    disk(&place, "disk", kib(&place) / 2);
    fails(&place, &TRAIN, "disk/run/checkpoints/step-00000016.safetensors");
    assert_eq!(steps(&place, "disk/run"), [0; 0]);
    disk(&place, "disk", 2048);
    place.run(&RESUME).ok();
    same_course(&place, "whole", "disk/run");
}

/// Each log alone on a disk of one page.
#[test]
fn a_disk_that_is_full_at_a_line_of_a_log() {
    if !may_mount("a_disk_that_is_full_at_a_line_of_a_log") {
        return;
    }
    let place = place();
    for (i, log) in ["metrics.csv", alike::EVENTS].into_iter().enumerate() {
        let (small, run) = (format!("small-{i}"), format!("run-{i}"));
        disk(&place, &small, 4);
        fs::create_dir(place.path(&run)).expect("a folder");
        let link = std::os::unix::fs::symlink(place.path(&small).join(log), place.path(&run).join(log));
        link.expect("a link");
        let train = ["train", "full.yaml", "--out", &run, "-q"];
        let resume = [&train[..], &["--resume"]].concat();
        fails(&place, &train, &format!("{run}/{log}"));
        let text = place.read(&format!("{run}/{log}"));
        assert!((3000..=4096).contains(&text.len()), "{} bytes", text.len());
        // No half of a line, though a part of it had found its place.
        let begun = place.read(&format!("whole/{log}"));
        assert!(if log == "metrics.csv" { text.ends_with(b"\n") } else { text.len() < begun.len() });
        assert!(!steps(&place, &run).is_empty());
        disk(&place, &small, 1024);
        place.run(&resume).ok();
        same_course(&place, "whole", &run);
    }
}

#[test]
fn a_disk_that_is_full_at_the_report() {
    if !may_mount("a_disk_that_is_full_at_the_report") {
        return;
    }
    let place = place();
    disk(&place, "run/figures", 4);
    let run = ["run", "full.yaml", "--out", "run", "-q"];
    fails(&place, &run, "run/figures/loss.svg");
    // What came before is done.
    assert_eq!(*steps(&place, "run").last().expect("checkpoints"), STEPS);
    same_course(&place, "whole", "run");
    let samples = place.read("run/samples.npy");
    assert!(files(&place.path("run/figures")).is_empty() && !place.path("run/report.html").exists());
    // A disk that takes some figures, and not all.
    disk(&place, "run/figures", 256);
    let outcome = place.run(&["report", "run", "-q"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.starts_with("error: writing run/figures/"), "{}", outcome.stderr);
    for path in files(&place.path("run/figures")) {
        assert!(path.extension().is_some_and(|e| e == "png" || e == "svg"), "{}", path.display());
    }
    assert!(!place.path("run/report.html").exists());
    disk(&place, "run/figures", 65536);
    place.run(&[&run[..], &["--resume"]].concat()).ok();
    assert!(place.path("run/report.html").is_file());
    assert!(place.read("run/samples.npy") == samples);
}
