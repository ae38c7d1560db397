//! Every metric through the program: each run is asked what it can answer, and the exact flow costs a solver nothing.

mod place;

use std::collections::BTreeMap;

use place::Place;

const EXPERIMENT: &str = "\
name: all
data: eight_gaussians
sde: vp
model: exact
sample: {count: 64, solver: heun, grid: log_snr, steps: 10}
compare:
  entries:
    - {solver: euler_maruyama, label: noisy}
    - {solver: heun}
    - {solver: heun, label: denoised, denoise: true}
    - {solver: rk4, label: fine, grid: log_snr}
  nfe: [16, 64]
  metrics: [METRICS]
  repeats: 1
  count: 256
";

const METRICS: [&str; 12] = [
    "sliced_wasserstein",
    "mmd",
    "energy_distance",
    "gaussian_wasserstein",
    "max_sliced_wasserstein",
    "optimal_transport",
    "mode_coverage",
    "mode_weights",
    "classifier",
    "kl",
    "log_density",
    "trajectory_error",
];

#[test]
fn each_run_is_asked_what_it_can_answer() {
    let place = Place::new();
    place.write("all.yaml", EXPERIMENT.replace("METRICS", &METRICS.join(", ")));
    let arguments = ["compare", "all.yaml", "--precision", "float64", "--out", "run"];
    let _ = place.run(&arguments).ok();
    let text = place.text("run/compare.csv");
    // (entry, budget, metric) → (NFE, value, standard error)
    let mut cells: BTreeMap<(&str, &str, &str), (f64, f64, f64)> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        let number = |column: usize| row[column].parse::<f64>().expect("a number");
        assert!(number(7).is_finite() && number(8) >= 0.0, "{line}");
        cells.insert((row[0], row[1], row[6]), (number(4), number(7), number(8)));
    }
    for (entry, budget) in [("data", ""), ("noisy", "16"), ("heun", "16"), ("denoised", "64"), ("fine", "64")] {
        for metric in METRICS {
            // Fresh data follow no flow, and neither does a solver of the SDE.
            let asked = metric != "trajectory_error" || (entry != "data" && entry != "noisy");
            assert_eq!(cells.contains_key(&(entry, budget, metric)), asked, "{metric} of {entry}");
        }
    }
    let cell = |entry, budget, metric| cells[&(entry, budget, metric)];
    // The reference run is nobody's evaluations.
    assert_eq!(cell("heun", "64", "trajectory_error").0, 64.0);
    // Two and four evaluations a step, four times the steps: orders 2 and 4, with room for the first terms.
    let gain = |entry| cell(entry, "16", "trajectory_error").1 / cell(entry, "64", "trajectory_error").1;
    assert!(gain("heun") > 6.0 && gain("fine") > 20.0, "{} {}", gain("heun"), gain("fine"));
    // Against the flow with the same last step, denoising is no error; against one without it would be of size σ.
    let (plain, denoised) = (cell("heun", "64", "trajectory_error").1, cell("denoised", "64", "trajectory_error").1);
    assert!((0.3..3.0).contains(&(denoised / plain)), "{denoised} {plain}");
    // A perfect sampler is where fresh data are; 256 points in each sample.
    for (metric, best) in [("classifier", 0.0), ("kl", 0.0), ("log_density", 0.0), ("mode_coverage", 1.0)] {
        let (_, value, error) = cell("fine", "64", metric);
        // Six points in a neighbourhood of 32 bend the density within it: a bias of a few tenths.
        let bias = if metric == "kl" { 0.4 } else { 0.0 };
        assert!((value - best).abs() < 4.0 * error + bias, "{metric}: {value} ± {error}");
    }
}

#[test]
fn check_says_what_will_be_left_out() {
    let place = Place::new();
    let metrics = "trajectory_error, {optimal_transport: {points: 100}}";
    place.write("all.yaml", EXPERIMENT.replace("METRICS", metrics));
    let warnings = place.run(&["check", "all.yaml", "--json"]).ok().json()["warnings"].to_string();
    assert!(warnings.contains("trajectory_error: it is left out for solvers that draw noise: noisy\""), "{warnings}");
    assert!(warnings.contains("optimal_transport: it compares 100 of 256 points"), "{warnings}");
}
