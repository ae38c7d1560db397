//! `ornstein likelihood`, `encode`, `decode` and `interpolate`: what they write, and what they refuse.

mod place;

use ndarray::{ArrayD, Axis};
use place::{EXACT, LEARNED, Place, fixtures, refuses};

/// Images that are shipped, under a network that takes no time.
const IMAGES: &str = "\
name: images
data: fashion_mnist
sde: edm
model: {network: {unet: {block_out_channels: [8], layers_per_block: 1, norm_num_groups: 4, down_block_types: [DownBlock2D], \
  up_block_types: [UpBlock2D]}}}
train: {steps: 2, batch: 8, checkpoint_every: 2, validate: ~}
sample: {count: 4, solver: heun, grid: karras, steps: 2}
likelihood: {count: 4, solver: heun, grid: karras, steps: 6}
";

/// The columns of a CSV file, by name.
fn columns(text: String) -> impl Fn(&str) -> Vec<f64> {
    let lines: Vec<Vec<String>> = text.lines().map(|line| line.split(',').map(String::from).collect()).collect();
    move |name| {
        let at =
            lines[0].iter().position(|heading| heading == name).unwrap_or_else(|| panic!("{name} in {:?}", lines[0]));
        lines[1..].iter().map(|line| line[at].parse().expect("a number")).collect()
    }
}

/// ln N(x; (0.5, −1), diag(1, ¼)).
fn log_normal(x: &[f64]) -> f64 {
    let (a, b) = (x[0] - 0.5, (x[1] + 1.0) / 0.5);
    -0.5 * (a * a + b * b) - (0.5 * std::f64::consts::TAU).ln()
}

#[test]
fn the_likelihood_of_given_data_is_the_known_one() {
    let place = Place::new();
    let x = ArrayD::from_shape_vec(vec![3, 2], vec![0.5, -1.0, 1.5, -0.5, -0.7, -2.0]).unwrap();
    place.write_npy("x.npy", &x);
    let settings = "likelihood={tolerances: [1.0e-2, 1.0e-7], bound: {chain: {steps: 5}}, draws: 2, lift: decoder}";
    let arguments = ["likelihood", "exact.yaml", "--input", "x.npy", "--out", "run", "--json", "--set", settings];
    let found = place.run(&arguments).ok().json();
    let column = columns(place.text("run/likelihood.csv"));
    let (log_p, known) = (column("log_p"), column("known"));
    for (i, row) in x.axis_iter(Axis(0)).enumerate() {
        let wanted = log_normal(&row.iter().copied().collect::<Vec<_>>());
        assert!((known[i] - wanted).abs() < 1e-9, "{} for {wanted}", known[i]);
        // κ₀ is 0.002, and the prior N(0, 80²) is not quite p_T.
        assert!((log_p[i] - wanted).abs() < 2e-2, "{} for {wanted}", log_p[i]);
        let bits = -log_p[i] / (2.0 * std::f64::consts::LN_2);
        assert!((column("bits_per_dim")[i] - bits).abs() < 1e-12);
        let terms = ["prior", "divergence", "decoder", "entropy", "units", "importance"];
        let sum: f64 = terms.iter().map(|term| column(term)[i]).sum();
        assert!((sum - log_p[i]).abs() < 1e-9, "the terms add up: {sum} and {}", log_p[i]);
        let parts = ["bound_prior", "bound_diffusion", "bound_reconstruction"];
        let sum: f64 = parts.iter().map(|term| column(term)[i]).sum();
        assert!((sum - column("bound")[i]).abs() < 1e-9 && sum > -wanted, "the chain is a bound: {sum}");
    }
    let summary = &found["likelihood"];
    assert_eq!((summary["count"].as_u64(), summary["dimensions"].as_u64()), (Some(3), Some(2)));
    let excess = summary["excess"]["value"].as_f64().unwrap();
    assert!(excess.abs() < 2e-2, "{excess}");
    for file in ["likelihood.json", "likelihood-tolerances.csv", "figures/likelihood.png", "figures/likelihood-map.svg"]
    {
        assert!(place.path("run").join(file).is_file(), "{file}");
    }
    // The same command again gives the same file, and a command without tolerances leaves none of them behind.
    let before = place.read("run/likelihood.csv");
    place.run(&["likelihood", "run", "--input", "x.npy", "--set", settings, "-q"]).ok();
    assert!(place.read("run/likelihood.csv") == before);
    place.run(&["likelihood", "run", "-q", "--set", "likelihood.tolerances=[]"]).ok();
    assert!(!place.path("run/likelihood-tolerances.csv").exists());
    assert_eq!(columns(place.text("run/likelihood.csv"))("log_p").len(), 256);
}

#[test]
fn images_have_bits_and_all_terms() {
    let place = Place::new();
    place.write("images.yaml", IMAGES);
    let data = fixtures();
    let run = |more: &[&str]| {
        let arguments = [&["likelihood", "run", "--data", &data, "--json"], more].concat();
        place.run(&arguments).ok().json()["likelihood"].clone()
    };
    place.run(&["train", "images.yaml", "--out", "run", "--data", &data, "-q"]).ok();
    let uniform = run(&[]);
    let term = |summary: &serde_json::Value, name: &str| {
        let terms = summary["terms"].as_array().unwrap();
        terms.iter().find(|term| term["name"] == name).map(|term| term["bits_per_dim"]["value"].as_f64().unwrap())
    };
    // Bytes are 1/127.5 wide.
    let offset = term(&uniform, "dequantisation").unwrap();
    assert!((offset - 127.5f64.log2()).abs() < 1e-9, "{offset}");
    assert!(uniform["bits_per_dim"]["value"].as_f64().unwrap().is_finite());
    assert!(uniform["about"].as_str().unwrap().contains("divergence hutchinson"));
    let several = run(&["--set", "likelihood.divergence={hutchinson: {probes: 2}}", "--set", "likelihood.draws=3"]);
    assert!(several["probe_error"].as_f64().unwrap() > 0.0);
    assert!(term(&several, "importance").unwrap() < 0.0, "more draws tighten the bound");
    assert!(term(&run(&["--set", "likelihood.lift=decoder"]), "decoder").is_some());
    // A run that says so computes it, and the report shows it.
    place.run(&["run", "images.yaml", "--out", "whole", "--data", &data, "-q"]).ok();
    assert!(place.text("whole/report.html").contains("Likelihood"));
    assert!(place.path("whole/likelihood.csv").is_file());
}

#[test]
fn latents_go_there_and_back() {
    let place = Place::new();
    let x = ArrayD::from_shape_vec(vec![4, 2], vec![0.5, -1.0, 1.5, -0.5, -0.7, -2.0, 0.1, 0.2]).unwrap();
    place.write_npy("x.npy", &x);
    let settings = ["--precision", "float64", "--set", "likelihood={tolerances: [1.0e-3, 1.0e-8]}"];
    let encode = ["encode", "exact.yaml", "--input", "x.npy", "--output", "z.npy", "--out", "run", "--json"];
    let found = place.run(&[&encode[..], &settings].concat()).ok().json();
    let trips: Vec<f64> =
        found["encode"]["round_trips"].as_array().unwrap().iter().map(|trip| trip["rms"].as_f64().unwrap()).collect();
    assert!(trips[2] < 1e-7 && trips[1] > trips[0] && trips[0] > trips[2], "{trips:?}");
    assert!(place.path("run/figures/round-trip.png").is_file());
    // The flow of a Gaussian is linear: x_T − μ = √((λ + σ_max²)/(λ + σ_min²)) (x − μ).
    let z = place.read_npy("z.npy");
    for (row, latent) in x.axis_iter(Axis(0)).zip(z.axis_iter(Axis(0))) {
        for (i, (mean, lambda)) in [(0.5, 1.0), (-1.0, 0.25)].into_iter().enumerate() {
            let stretch = ((lambda + 80.0f64.powi(2)) / (lambda + 0.002f64.powi(2))).sqrt();
            let wanted = mean + stretch * (row[i] - mean);
            assert!((latent[i] - wanted).abs() < 1e-2, "{} for {wanted}", latent[i]);
        }
    }
    place.run(&["decode", "exact.yaml", "--input", "z.npy", "--output", "y.npy", "--precision", "float64", "-q"]).ok();
    let y = place.read_npy("y.npy");
    assert!((&y - &x).iter().all(|gap| gap.abs() < 1e-3), "{y}");
    let ends =
        ["interpolate", "exact.yaml", "--input", "x.npy", "--frames", "5", "--output", "w.npy", "--out", "between"];
    place.run(&[&ends[..], &["--precision", "float64", "-q"]].concat()).ok();
    let between = place.read_npy("w.npy");
    assert_eq!(between.shape(), [2, 5, 2]);
    for pair in 0..2 {
        for (frame, row) in [(0, pair), (4, pair + 2)] {
            let gap = &between.index_axis(Axis(0), pair).index_axis(Axis(0), frame) - &x.index_axis(Axis(0), row);
            assert!(gap.iter().all(|gap| gap.abs() < 1e-3), "{gap}");
        }
    }
    assert!(place.path("between/figures/interpolation.svg").is_file());
}

/// The flow of a network is its own inverse as far as the tolerance says.
#[test]
fn a_trained_model_goes_there_and_back() {
    let place = Place::new();
    place.write(
        "toy.yaml",
        "name: toy\ndata: two_moons\nsde: vp\nmodel: {network: {mlp: {width: 64, depth: 3}}}\n\
         train: {steps: 600, batch: 256, optimizer: {adamw: {lr: 3.0e-3}}, ema: {half_life: 50}, validate: ~}\n\
         sample: {count: 64, solver: dpmpp_2m, grid: karras, steps: 5}\n\
         likelihood: {count: 64, solver: {bosh3: {rtol: 1.0e-6, atol: 1.0e-6}}, bound: continuous}\n",
    );
    place.run(&["train", "toy.yaml", "--out", "run", "-q"]).ok();
    let found = place.run(&["encode", "run", "--json"]).ok().json();
    let trip = found["encode"]["round_trips"][0]["rms"].as_f64().unwrap();
    println!("there and back at the tolerance 1e-6: RMS error {trip:.1e}");
    assert!(trip < 1e-5, "{trip:e}");
    // The density of data with the noise of t_min, and a bound for data without it.
    let found = place.run(&["likelihood", "run", "--json"]).ok().json()["likelihood"].clone();
    let bits = |value: &serde_json::Value| {
        let of = |key: &str| value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"));
        (of("value"), of("standard_error"))
    };
    let (exact, error) = bits(&found["bits_per_dim"]);
    let bound = found["bound"].as_array().unwrap().iter().find(|term| term["name"] == "bound").unwrap();
    let (bound, of_bound) = bits(&bound["bits_per_dim"]);
    println!("{exact:.3} ± {error:.3} bits by the flow, at most {bound:.3} ± {of_bound:.3}");
    assert!(bound > exact - 3.0 * of_bound && bound < exact + 2.0, "{exact} ± {error}, {bound} ± {of_bound}");
    // `check` says what that costs.
    let text = place.run(&["check", "run"]).ok().stdout;
    let line = text.lines().find(|line| line.starts_with("# likelihood ")).expect("a line");
    assert!(line.contains("an evaluation of one sample"), "{line}");
}

#[test]
fn what_has_no_likelihood_is_refused() {
    let place = Place::new();
    let data = fixtures();
    let images = |lift: &str| {
        IMAGES.replace("count: 4, solver: heun, grid: karras, steps: 6}", &format!("count: 4, lift: {lift}}}"))
    };
    place.write("images.yaml", images("density"));
    refuses(
        &place,
        &["check", "images.yaml", "--data", &data],
        "images.yaml:7: likelihood.lift: fashion_mnist is discrete, and discrete data have no density; \
         write uniform or truncated_normal to dequantise them, or decoder",
    );
    refuses(
        &place,
        &["likelihood", "exact.yaml", "--set", "likelihood={lift: uniform}"],
        "--set likelihood={lift: uniform}: likelihood.lift: gaussian is continuous: there is nothing to dequantise; \
         write density or decoder",
    );
    refuses(
        &place,
        &["likelihood", "exact.yaml", "--set", "likelihood={solver: euler_maruyama}"],
        "--set likelihood={solver: euler_maruyama}: likelihood.solver: euler_maruyama draws noise, and a likelihood is of \
         the probability-flow ODE; choose dopri5, rk4 or heun",
    );
    refuses(
        &place,
        &["likelihood", "exact.yaml", "--set", "likelihood={solver: rk4, tolerances: [1e-3]}"],
        "--set likelihood={solver: rk4, tolerances: [1e-3]}: likelihood.tolerances: rk4 does not estimate its error; \
         choose dopri5 or bosh3 as the solver, or leave them away",
    );
    refuses(
        &place,
        &["likelihood", "exact.yaml", "--set", "likelihood={divergence: {hutch_pp: {products: 4}}}"],
        "--set likelihood={divergence: {hutch_pp: {products: 4}}}: likelihood.divergence.hutch_pp.products: 4 products \
         cannot be divided into three thirds; write a multiple of 3, such as 12",
    );
    // Data are lifted to t_min, whatever the grid says.
    for (setting, key) in [
        ("likelihood={solver: rk4, grid: {explicit: [1.0, 0.1]}}", "grid"),
        ("likelihood={bound: {chain: {grid: {explicit: [1.0, 0.1]}}}}", "bound.chain.grid"),
        ("likelihood={solver: rk4, grid: {explicit: [1.0, 0.1, 0.0]}}", "grid"),
    ] {
        let last = if setting.contains("0.0]") { "0" } else { "0.1" };
        let said = format!("it ends at {last}, and data are lifted to t_min = 0.002; write 0.002 as its last time");
        let message = format!("--set {setting}: likelihood.{key}: {said}");
        refuses(&place, &["likelihood", "exact.yaml", "--set", setting], &message);
    }
    // Features of bytes, of what has none.
    refuses(
        &place,
        &["check", "exact.yaml", "--set", "model={fourier_features: [1, 2]}"],
        "--set model={fourier_features: [1, 2]}: model.fourier_features: gaussian is continuous: there are no bins to have \
         periods in; remove it",
    );
    refuses(
        &place,
        &["check", "images.yaml", "--data", &data, "--set", "model={fourier_features: [1, 0]}"],
        "--set model={fourier_features: [1, 0]}: model.fourier_features[1]: 0 is not a positive \
         number; write a number greater than 0",
    );
    // A table of angles on a sphere, and one with a column of few values.
    place.write("angles.csv", "latitude,longitude\n10,20\n30,40\n50,60\n-70,80\n");
    let rows: String = (0..100).map(|i| format!("{},{}\n", f64::from(i).sqrt(), i % 3)).collect();
    place.write("classes.csv", format!("size,kind\n{rows}"));
    let table = |settings: &str| EXACT.replace("{gaussian: {mean: [0.5, -1.0], spectrum: [1.0, 0.25]}}", settings);
    let learned = |settings: &str| table(settings).replace("model: exact", "model: {}");
    place.write("sphere.yaml", learned("{table: {file: angles.csv, sphere: [latitude, longitude], validation: 0}}"));
    place.write("kinds.yaml", learned("{table: {file: classes.csv}}"));
    refuses(
        &place,
        &["likelihood", "sphere.yaml", "--data", "."],
        "sphere.yaml:2: data.table.sphere: unit vectors lie on a surface, and have no density in space; \
         remove `sphere` to learn the angles as they are",
    );
    refuses(
        &place,
        &["likelihood", "kinds.yaml", "--data", "."],
        "kinds.yaml:2: data.table.columns: `kind` has 3 values in 90 rows: it is discrete, and has no density; \
         leave it out of `columns`",
    );
}

#[test]
fn data_that_cannot_be_are_refused() {
    let place = Place::new();
    let data = fixtures();
    place.write("images.yaml", IMAGES);
    place.run(&["train", "images.yaml", "--out", "run", "--data", &data, "-q"]).ok();
    let mut pixels = ArrayD::from_elem(vec![2, 1, 28, 28], 7.0);
    pixels[[1, 0, 3, 4]] = 256.0;
    place.write_npy("bright.npy", &pixels);
    place.write_npy("flat.npy", &ArrayD::from_elem(vec![2, 784], 7.0));
    let refuse = |file: &str, message: &str| {
        refuses(&place, &["likelihood", "run", "--data", &data, "--input", file], message);
    };
    refuse(
        "bright.npy",
        "bright.npy: image 1 has the value 256, and a byte is a whole number from 0 to 255; \
         give images as bytes, as samples.npy of a run has them",
    );
    refuse("flat.npy", "flat.npy: the array has the shape [2, 784]; save one of the shape [N, 1, 28, 28]");
    refuses(
        &place,
        &["likelihood", "tiny.yaml"],
        "experiment: no trained model of this experiment in runs/tiny; train one first: ornstein train EXPERIMENT",
    );
    assert!(LEARNED.contains("two_moons"));
}
