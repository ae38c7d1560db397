//! What the quickstart promises: samples close to the data, in little memory.

use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// The quickstart's network, sampled with 50 evaluations, is within twice the distance between two fresh data sets of
/// the same size; and the whole takes less than 1.5 GiB.
#[test]
fn fifty_evaluations_reach_twice_the_noise_floor() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(cargo_bin("ornstein"))
        .args(["run", "experiments/quickstart.yaml", "--json", "--quiet", "--out"])
        .arg(folder.path().join("run"))
        .args(["--set", "compare.entries=[{solver: dpmpp_2m}]", "--set", "compare.nfe=[50]"])
        .args(["--set", "compare.metrics=[sliced_wasserstein]", "--set", "compare.count=10000"])
        .args(["--set", "compare.repeats=5"])
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).expect("the result is JSON");
    let distance = |entry: &str| {
        let rows = result["compare"].as_array().expect("there is a comparison");
        let row = rows.iter().find(|row| row["entry"] == entry).expect("the row is there");
        row["value"].as_f64().expect("a number")
    };
    let (samples, floor) = (distance("dpmpp_2m"), distance("data"));
    println!("sliced W₂ at 50 evaluations {samples:.4}, data against data {floor:.4}: {:.2} times", samples / floor);
    assert!(samples <= 2.0 * floor, "{samples} is more than twice {floor}");
    // SAFETY: getrusage fills the struct that it is given.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    println!("peak memory {} MiB", usage.ru_maxrss / 1024);
    assert!(usage.ru_maxrss < 1536 * 1024, "{} KiB", usage.ru_maxrss);
}
