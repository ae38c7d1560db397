//! A comparison keeps what it measured: it survives a kill, measures what is new and nothing twice, and gives the same
//! numbers on any number of threads.

mod place;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ornstein::sde::{Kernel, Sde, Vp};
use place::{LEARNED, Outcome, Place};

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
    let is_cell = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "csv");
    fs::read_dir(place.path(out).join(".cells")).map_or(0, |entries| entries.flatten().filter(is_cell).count())
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
    // And the sources of error of the ten runs that draw no noise.
    assert_eq!(kept(&place, "a"), 38);
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

/// The parts of the error by solver and budget.
fn sources(place: &Place, out: &str) -> Vec<(String, usize, BTreeMap<String, f64>)> {
    let text = place.text(&format!("{out}/sources.csv"));
    let mut lines = text.lines();
    let header: Vec<String> = lines.next().expect("a header").split(',').map(str::to_owned).collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let numbers =
            header.iter().zip(&cells).skip(2).map(|(name, cell)| (name.clone(), cell.parse().expect("a number")));
        (cells[0].to_owned(), cells[1].parse().unwrap_or(0), numbers.collect())
    };
    lines.map(row).collect()
}

/// Of a Gaussian N(μ, Λ) the flow is x_s = α_s μ + √(v_s/v_t) (x_t − α_t μ) with v = α² Λ + σ², so that what truncation and
/// the prior do is known; and an exact score has no error.
#[test]
fn the_sources_of_error_are_those_of_the_closed_form() {
    let place = Place::new();
    let (mean, spread) = ([1.0, -2.0], [1.0, 0.01]);
    place.write(
        "line.yaml",
        "name: line\ndata: {gaussian: {mean: [1.0, -2.0], spectrum: [1.0, 0.01]}}\n\
         sde: {vp: {beta_min: 0.1, beta_max: 4.0, t_min: 0.02}}\nmodel: exact\nsample: {count: 2000, grid: log_snr}\n\
         compare:\n  entries: [{solver: ddim}, {solver: dpmpp_2m}, {solver: euler_maruyama}, {solver: ddim, denoise: true, \
         label: denoised}]\n  nfe: [8, 32]\n  repeats: 1\n  metrics: [energy_distance]\n  count: 2000\n",
    );
    place.run(&["compare", "line.yaml", "--out", "a", "--precision", "float64"]).ok();
    let sde = Vp { beta_min: 0.1, beta_max: 4.0, t_min: 0.02, ..Vp::default() };
    let [first, last] = [1.0, 0.02].map(|t| sde.kernel(t));
    let v = |k: Kernel, d: usize| k.alpha * k.alpha * spread[d] + k.sigma * k.sigma;
    // x_T ~ N(0, 1).
    let prior = |d: usize| {
        let start = first.alpha.powi(2) * (mean[d] * mean[d] + spread[d]) + (first.sigma - 1.0).powi(2);
        (spread[d] / v(first, d) * start, start)
    };
    let truncation = |d: usize| {
        let slope = (v(last, d).sqrt() - spread[d].sqrt()) / v(first, d).sqrt();
        let shift = (last.alpha - 1.0) * mean[d] - slope * first.alpha * mean[d];
        slope * slope + shift * shift
    };
    let expected_prior = (prior(0).0 + prior(1).0).sqrt();
    let expected_start = (prior(0).1 + prior(1).1).sqrt();
    let expected_truncation = (truncation(0) + truncation(1)).sqrt();
    let found = sources(&place, "a");
    let names: Vec<(&str, usize)> = found.iter().map(|(entry, budget, _)| (entry.as_str(), *budget)).collect();
    let both = |name| [(name, 8), (name, 32)];
    assert_eq!(names, [both("ddim"), both("dpmpp_2m"), both("denoised")].concat());
    for (entry, budget, part) in &found {
        let what = format!("{entry}, {budget}: {part:?}");
        // Means over 2,000 samples.
        assert!((part["prior"] / expected_prior - 1.0).abs() < 0.05, "{what}, {expected_prior}");
        assert!((part["prior_at_start"] / expected_start - 1.0).abs() < 1e-12, "{what}, {expected_start}");
        assert!(part["score"] < 1e-9, "{what}");
        if entry != "denoised" {
            assert!((part["truncation"] / expected_truncation - 1.0).abs() < 0.05, "{what}, {expected_truncation}");
        }
        let parts = ["discretisation", "score", "truncation", "prior"].map(|name| part[name]);
        let sum: f64 = parts.iter().sum();
        let most = parts.iter().copied().fold(0.0, f64::max);
        assert!(part["total"] <= sum * (1.0 + 1e-9) && part["total"] >= 2.0 * most - sum, "{what}");
    }
    let discretisation = |place: usize| found[place].2["discretisation"];
    assert!(discretisation(1) < 0.5 * discretisation(0) && discretisation(3) < 0.2 * discretisation(2), "{found:?}");
    // Kept like everything else.
    let text = place.text("a/sources.csv");
    place.run(&["compare", "line.yaml", "--out", "a", "--precision", "float64", "--resume"]).ok();
    assert_eq!(place.text("a/sources.csv"), text);
}

/// A network has an error of its own, and data without a law have no exact denoiser.
#[test]
fn the_sources_of_a_network_are_told_where_the_data_have_a_law() {
    let place = Place::new();
    let more = "compare: {entries: [{solver: heun}], nfe: [20], repeats: 1, count: 200}\n";
    place.write("moons.yaml", format!("{LEARNED}{more}"));
    place.write("modes.yaml", format!("{LEARNED}{more}").replace("two_moons", "eight_gaussians"));
    for name in ["moons", "modes"] {
        place.run(&["run", &format!("{name}.yaml"), "--out", name]).ok();
    }
    assert!(!place.path("moons/sources.csv").exists());
    let found = sources(&place, "modes");
    assert!(found.len() == 1 && found[0].2["score"] > 0.05, "{found:?}");
}
