//! A comparison keeps what it measured: it survives a kill, measures what is new and nothing twice, and gives the same
//! numbers on any number of threads.

mod place;

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use place::{Outcome, Place};

/// Five solvers, one of which chooses its own steps, at three budgets: 13 runs and the noise floor, in two repeats.
const MODES: &str = "\
name: modes
data: eight_gaussians
sde: vp
model: exact
sample: {count: 400, solver: ddim, grid: log_snr, steps: 5, chunk: 128}
compare:
  entries:
    - {solver: ddim}
    - {solver: heun}
    - {solver: dpmpp_2m}
    - {solver: euler_maruyama}
    - {solver: {dopri5: {rtol: 1.0e-3, atol: 1.0e-3}}}
  nfe: [4, 8, 12]
  metrics: [energy_distance, trajectory_error]
  repeats: 2
";

fn place() -> Place {
    let place = Place::new();
    place.write("modes.yaml", MODES);
    place
}

fn compare(place: &Place, out: &str, more: &[&str]) -> Outcome {
    let resume: &[&str] = if place.path(out).exists() { &["--resume"] } else { &[] };
    place.run(&[&["compare", "modes.yaml", "--out", out], resume, more].concat()).ok()
}

/// The lines of `compare.csv` without seconds.
fn values(place: &Place, out: &str) -> Vec<String> {
    let text = place.text(&format!("{out}/compare.csv"));
    let without = |line: &str| {
        let columns: Vec<&str> = line.split(',').collect();
        [&columns[..5], &columns[6..]].concat().join(",")
    };
    text.lines().map(without).collect()
}

fn kept(place: &Place, out: &str) -> usize {
    fs::read_dir(place.path(out).join(".cells")).map_or(0, |entries| entries.count())
}

/// How many cells a run found, of how many.
#[track_caller]
fn found(outcome: &Outcome) -> (usize, usize) {
    let Some(line) = outcome.stderr.lines().find(|line| line.contains("cells were measured before")) else {
        return (0, 0);
    };
    let words: Vec<&str> = line.split(' ').collect();
    (words[0].parse().expect("a number"), words[2].parse().expect("a number"))
}

#[test]
fn only_what_is_new_is_measured() {
    let place = place();
    assert_eq!(found(&compare(&place, "a", &[])), (0, 0));
    assert_eq!(kept(&place, "a"), 28);
    let first = values(&place, "a");
    assert_eq!(found(&compare(&place, "a", &[])), (28, 28));
    assert_eq!(values(&place, "a"), first);
    // Another repeat, another setting of one solver, another metric.
    assert_eq!(found(&compare(&place, "a", &["--set", "compare.repeats=3"])), (28, 42));
    assert_eq!(found(&compare(&place, "a", &["--set", "compare.entries[0].solver={ddim: {eta: 0.5}}"])), (22, 28));
    let more = ["--set", "compare.metrics=[energy_distance, mmd, trajectory_error]"];
    assert_eq!(found(&compare(&place, "a", &more)), (0, 0));
    // What one metric said is not lost when another is asked.
    assert_eq!(found(&compare(&place, "a", &["--set", "compare.metrics=[mmd]"])), (28, 28));
    assert_eq!(found(&compare(&place, "a", &["--set", "compare.metrics=[sliced_wasserstein]"])), (0, 0));
    assert_eq!(found(&compare(&place, "a", &more)), (28, 28));
    // Another seed, precision or process is another everything.
    for different in [&["--seed", "1"][..], &["--precision", "float64"], &["--set", "sample.noise=brownian"]] {
        let out = different[0].trim_start_matches('-');
        place.run(&[&["compare", "modes.yaml", "--out", out][..], different].concat()).ok();
        fs::rename(place.path(out), place.path("b")).expect("moved");
        fs::rename(place.path("a/.cells"), place.path("b/.cells-of-a")).expect("moved");
        fs::rename(place.path("b/.cells-of-a"), place.path("a/.cells")).expect("moved");
        let ours: Vec<_> = fs::read_dir(place.path("a/.cells")).expect("cells").flatten().collect();
        let same = ours.iter().filter(|entry| place.path("b/.cells").join(entry.file_name()).exists()).count();
        // The noise of deterministic solvers is a setting all the same.
        assert!(same <= 2, "{different:?}: {same}");
        fs::remove_dir_all(place.path("b")).expect("removed");
    }
    // What cannot be read is measured again, and so is everything that is asked to be.
    let cells: Vec<_> = fs::read_dir(place.path("a/.cells")).expect("cells").flatten().collect();
    cells.iter().for_each(|cell| fs::write(cell.path(), "# half a li").expect("writable"));
    assert_eq!(found(&compare(&place, "a", &[])), (0, 0));
    assert_eq!(values(&place, "a"), first);
    assert_eq!(found(&compare(&place, "a", &["--fresh"])), (0, 0));
    assert_eq!(found(&compare(&place, "a", &[])), (28, 28));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let place = place();
    for threads in ["1", "2", "5"] {
        compare(&place, threads, &["--threads", threads]);
        assert_eq!(values(&place, threads), values(&place, "1"), "{threads} threads");
    }
    // All solvers of a repeat stand on the same ground, and repeats do not.
    let lines = values(&place, "1");
    assert_eq!(lines.len(), 1 + 2 * (1 + 13 + 10));
    assert!(lines.iter().any(|line| line.starts_with("data,,,1,0.0,energy_distance,")), "{lines:?}");
}

#[test]
fn a_kill_loses_the_cells_at_work_alone() {
    let place = place();
    let long = ["--set", "compare.repeats=10", "--set", "compare.count=1000"];
    compare(&place, "whole", &long);
    for name in ["-KILL", "-INT"] {
        let out = format!("run{name}");
        let arguments = ["compare", "modes.yaml", "--out", &out];
        let mut command = place.command(&[&arguments[..], &long].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let start = Instant::now();
        while kept(&place, &out) < 20 {
            assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().expect("a child").is_none());
            sleep(Duration::from_millis(1));
        }
        let kill = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let output = child.wait_with_output().expect("a child");
        let kept = kept(&place, &out);
        if name == "-INT" {
            let stderr = String::from_utf8(output.stderr).expect("UTF-8");
            let said = format!("{kept} of 140 cells are measured and kept; the same command measures the rest");
            assert_eq!(output.status.code(), Some(130), "{stderr}");
            assert!(stderr.contains(&said), "{stderr}");
        }
        assert!(!place.path(&out).join("compare.csv").exists());
        let (before, all) = found(&compare(&place, &out, &long));
        // One may be half-written.
        assert!(before + 1 >= kept && before < 140 && all == 140, "{before} of {all}, {kept} kept");
        assert_eq!(values(&place, &out), values(&place, "whole"));
    }
}

#[test]
fn a_part_can_be_chosen() {
    let place = place();
    compare(&place, "a", &["--only", "solver=heun|dpmpp_2m,nfe>=8"]);
    let lines = values(&place, "a");
    let entries: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().expect("a label")).collect();
    assert_eq!(entries.iter().filter(|&&entry| entry == "data").count(), 2);
    assert_eq!(entries.iter().filter(|&&entry| entry == "heun").count(), 8);
    assert_eq!(entries.len(), 18);
    let pairs = place.text("a/pairs.csv");
    assert_eq!(pairs.lines().count(), 1 + 4, "{pairs}");
    // The whole finds the part.
    assert_eq!(found(&compare(&place, "a", &[])), (10, 28));
    for (only, said) in [
        ("steps<4", "error: --only \"steps<4\": \"steps\" is none of solver, label, nfe; write conditions such as"),
        ("solver=hein", "error: --only \"solver=hein\": no solver at any budget is left to compare"),
    ] {
        let outcome = place.run(&["compare", "modes.yaml", "--out", "b", "--only", only]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        assert!(!place.path("b/compare.csv").exists());
    }
}

/// Runs in ./runs share what they measured, and --resume goes on in the newest of them.
#[test]
fn runs_share_their_cells() {
    let place = place();
    let outcome = place.run(&["compare", "modes.yaml"]).ok();
    assert_eq!(found(&outcome), (0, 0));
    assert_eq!(found(&place.run(&["compare", "modes.yaml"]).ok()), (28, 28));
    assert_eq!(fs::read_dir(place.path("runs/modes")).expect("runs").count(), 2);
    assert_eq!(found(&place.run(&["compare", "modes.yaml", "--resume"]).ok()), (28, 28));
    assert_eq!(fs::read_dir(place.path("runs/modes")).expect("runs").count(), 2);
}
