//! What `ornstein check` says that a run will take, against what the run then takes: memory within a factor of 2,
//! seconds within a factor of 3. Times are given further tries, for other programs may be at work.

mod place;

use std::time::{Duration, Instant};

use place::{EXACT, LEARNED, Place};
use serde_json::Value;

/// The network of the quickstart.
const SMALL: &str = "\
name: small
data: two_moons
sde: vp
model: {}
train: {steps: 60, batch: 512, log_every: 20, checkpoint_every: 60, validate: ~}
sample: {count: 4000, solver: heun, steps: 10}
";

/// Ten million parameters, which are most of its memory, and a step too long to measure whole.
const LARGE: &str = "\
name: large
data: two_moons
sde: vp
model: {network: {mlp: {width: 1024, depth: 8}}}
train: {steps: 2, batch: 384, log_every: 1, validate: ~}
sample: {count: 64, solver: euler, steps: 2}
";

/// Runs the program and watches the most memory that it has, in bytes, as long as the system tells.
fn peak(place: &Place, arguments: &[&str]) -> Option<u64> {
    let mut child = place.command(arguments).stdout(std::process::Stdio::null()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    loop {
        // What was read last before the end is the most; the file is empty once the process has ended.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        peak = kibibytes.map(|number| number << 10).or(peak);
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{arguments:?}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn forecast(place: &Place, file: &str) -> Value {
    place.run(&["check", file, "--json", "--threads", "2"]).ok().json()["forecast"].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn memory_is_right_within_a_factor_of_two() {
    let place = Place::new();
    let Some(program) = peak(&place, &["list"]) else {
        eprintln!("skipped: this system does not tell the memory of a process");
        return;
    };
    for (name, text) in [("small", SMALL), ("large", LARGE), ("exact", EXACT), ("tiny", LEARNED)] {
        place.write("this.yaml", text);
        let forecast = forecast(&place, "this.yaml");
        let memory = &forecast["memory"];
        let arguments = ["run", "this.yaml", "-q", "--threads", "2", "--out", name];
        let measured = peak(&place, &arguments).expect("it was told before");
        let (wanted, found) = (measured - program, number(&memory["peak_bytes"]) - program as f64);
        let ratio = found / wanted as f64;
        let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
        let [forecast, taken, own] = [found, wanted as f64, program as f64].map(mebibytes);
        eprintln!("{name}: {forecast:.0} MiB forecast, {taken:.0} MiB taken, beyond the program's own {own:.0} MiB");
        assert!((0.5..2.0).contains(&ratio), "{name}: {found} bytes forecast, {wanted} taken: {ratio:.2}");
        let baseline = number(&memory["baseline_bytes"]) / program as f64;
        assert!((0.5..2.0).contains(&baseline), "{name}: {baseline}");
    }
}

/// Whether both are within a factor of three of each other.
fn near(forecast: f64, taken: f64) -> bool {
    (1.0 / 3.0..3.0).contains(&(forecast / taken))
}

#[test]
fn seconds_are_right_within_a_factor_of_three() {
    let place = Place::new();
    place.write("small.yaml", SMALL);
    place.write("large.yaml", LARGE);
    for (name, file) in [("small", "small.yaml"), ("large", "large.yaml")] {
        let mut tries = Vec::new();
        let right = (0..5).any(|_| {
            let forecast = forecast(&place, file);
            let run = format!("{name}-{}", tries.len());
            let outcome = place.run(&["run", file, "-q", "--json", "--threads", "2", "--out", &run]).ok().json();
            let pairs = ["training", "sampling"].map(|stage| number(&forecast[stage]["seconds"]));
            let taken = [number(&outcome["train"]["seconds"]), number(&outcome["sample"]["seconds"])];
            tries.push((pairs, taken));
            near(pairs[0], taken[0]) && (name == "large" || near(pairs[1], taken[1]))
        });
        eprintln!("{name}: (forecast, taken) {tries:?}");
        assert!(right, "{name}: forecast and taken seconds of training and sampling: {tries:?}");
    }
}

#[test]
fn a_likelihood_takes_what_was_said() {
    let place = Place::new();
    place.write("small.yaml", format!("{SMALL}likelihood: {{count: 2000, solver: rk4, steps: 20}}\n"));
    place.run(&["train", "small.yaml", "-q", "--threads", "2", "--out", "run"]).ok();
    let mut tries = Vec::new();
    let right = (0..5).any(|_| {
        let said = number(&forecast(&place, "small.yaml")["likelihood"]["seconds"]);
        let found = place.run(&["likelihood", "run", "-q", "--json", "--threads", "2"]).ok().json();
        let taken = number(&found["likelihood"]["seconds"]);
        tries.push((said, taken));
        near(said, taken)
    });
    eprintln!("(forecast, taken) {tries:?}");
    assert!(right, "{tries:?}");
}

#[test]
fn check_is_fast_and_leaves_no_trace() {
    let place = Place::new();
    place.write("small.yaml", SMALL);
    let before = place.listing();
    // Of several tries one is undisturbed. An unoptimised build has the same LibTorch.
    let fast = (0..5).any(|_| {
        let start = Instant::now();
        let text = place.run(&["check", "small.yaml"]).ok().stdout;
        for (key, unit) in [("memory", "MiB"), ("training", "a step"), ("sampling", "an evaluation of one sample")] {
            let line = text.lines().find(|line| line.starts_with(&format!("# {key} ")));
            assert!(line.is_some_and(|line| line.contains("about ") && line.contains(unit)), "{key}: {text}");
        }
        start.elapsed() < Duration::from_secs(3)
    });
    assert!(fast, "check takes more than 3 seconds");
    let quick = place.run(&["check", "small.yaml", "--quick", "--json"]).ok().json();
    assert_eq!(quick["forecast"], Value::Null);
    assert!(place.listing() == before);
}

/// Where a tolerance decides, nothing is claimed; where the memory does not suffice, nothing is tried.
#[test]
fn what_cannot_be_measured_is_said() {
    let place = Place::new();
    let json = |settings: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<&str> = ["check", "tiny.yaml", "--json"].into_iter().chain(settings).collect();
        place.run(&arguments).ok().json()["forecast"].clone()
    };
    let adaptive = json(&["sample.solver={dopri5: {rtol: 1.0e-3}}"]);
    assert_eq!(adaptive["sampling"]["seconds"], Value::Null);
    assert!(number(&adaptive["sampling"]["seconds_per_evaluation"]) > 0.0);

    let vast = json(&["model.network={mlp: {width: 65536, depth: 1000}}"]);
    let note = vast["notes"][0].as_str().expect("a note");
    assert!(note.starts_with("this needs at least ") && note.ends_with("; nothing was tried"), "{note}");
    assert!(number(&vast["memory"]["peak_bytes"]) > 1e13);
    assert_eq!(vast["training"], Value::Null);

    let many = json(&["sample.count=1000000000"]);
    assert!(many["notes"][0].as_str().is_some_and(|note| note.contains("nothing was tried")), "{many}");
}
