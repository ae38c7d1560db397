//! The program end to end: what each verb prints and leaves behind.

mod place;

use std::collections::BTreeSet;

use ndarray::{Array1, ArrayD, Axis};
use ornstein::experiment::{SolverSpec, Spec};
use place::{EXACT, LEARNED, Place, refuses, silent_refusal};

/// A comparison with a one-evaluation solver, a two-evaluation solver and one that chooses its own steps.
const COMPARE: &str = "\
compare:
  entries:
    - {solver: euler_maruyama}
    - {solver: heun, grid: log_snr}
    - {solver: {dopri5: {rtol: 1.0e-2, atol: 1.0e-2}}, label: own steps}
  nfe: [1, 4, 9]
  metrics: [sliced_wasserstein, mmd, energy_distance]
  repeats: 2
  count: 32
";

/// A folder where `tiny.yaml` and `exact.yaml` compare solvers too.
fn place() -> Place {
    let place = Place::new();
    place.write("tiny.yaml", format!("{LEARNED}{COMPARE}"));
    place.write("exact.yaml", format!("{EXACT}{COMPARE}"));
    place
}

/// The rows of `compare.csv`, by column.
fn rows(place: &Place, path: &str) -> Vec<Vec<String>> {
    let text = place.text(path);
    let mut lines = text.lines();
    let header = "entry,budget,steps,repeat,nfe,seconds,metric,value,standard_error";
    assert_eq!(lines.next(), Some(header));
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[track_caller]
fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Asserts that a `compare.csv` of [`COMPARE`] has each entry at each budget that it can meet, and the noise floor.
fn check_comparison(place: &Place, path: &str) {
    let rows = rows(place, path);
    let runs: BTreeSet<(String, String)> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected = [
        ("data", ""),
        ("euler_maruyama", "1"),
        ("euler_maruyama", "4"),
        ("euler_maruyama", "9"),
        ("heun (log_snr)", "4"),
        ("heun (log_snr)", "9"),
        ("own steps", ""),
    ];
    assert_eq!(runs, expected.iter().map(|(entry, budget)| (entry.to_string(), budget.to_string())).collect());
    // Each run has a row for each of 3 metrics and 2 repeats.
    assert_eq!(rows.len(), expected.len() * 6);
    for row in &rows {
        let nfe = number(&row[4]);
        match (row[0].as_str(), row[1].as_str()) {
            ("data", _) => assert_eq!(nfe, 0.0),
            (_, "") => assert!(nfe >= 7.0, "{nfe} evaluations are no step of Dormand–Prince"),
            (_, budget) => {
                assert!(nfe <= number(budget) && nfe >= number(&row[2]), "{row:?}");
                // A further step would have gone over the budget.
                let step = if row[0].starts_with("heun") { 2.0 } else { 1.0 };
                assert!(nfe + step > number(budget), "{row:?}");
            }
        }
        assert!(number(&row[7]).is_finite() && number(&row[8]) >= 0.0, "{row:?}");
    }
}

/// Asserts that `report.html` is one page with all it needs inside, and that each figure is there twice.
fn check_report(place: &Place, run: &str, figures: &[&str]) {
    let page = place.text(&format!("{run}/report.html"));
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "the page needs the network");
    let have: BTreeSet<String> = std::fs::read_dir(place.path(run).join("figures"))
        .expect("figures")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let wanted = figures.iter().flat_map(|stem| [format!("{stem}.png"), format!("{stem}.svg")]);
    let wanted: BTreeSet<String> = wanted.chain(["events.out.tfevents.ornstein".into()]).collect();
    assert_eq!(have, wanted);
    for name in have.iter().filter(|name| !name.starts_with("events")) {
        let data = place.read(&format!("{run}/figures/{name}"));
        match name.ends_with("png") {
            true => assert!(data.starts_with(b"\x89PNG\r\n\x1a\n")),
            false => {
                let text = String::from_utf8(data).expect("UTF-8");
                let tree = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!(tree.root_element().tag_name().name(), "svg");
            }
        }
    }
}

const QUALITY: [&str; 6] = [
    "sliced_wasserstein-nfe",
    "sliced_wasserstein-seconds",
    "mmd-nfe",
    "mmd-seconds",
    "energy_distance-nfe",
    "energy_distance-seconds",
];

#[test]
fn run_leaves_all_that_a_run_is() {
    let place = place();
    let outcome = place.run(&["run", "tiny.yaml", "--json"]).ok();
    let json = outcome.json();
    let run = json["run"].as_str().expect("a path");
    assert!(run.starts_with("runs/tiny/20"), "{run}");
    assert!(outcome.stderr.contains("report"), "people learn where the report is: {}", outcome.stderr);

    let names: BTreeSet<String> = std::fs::read_dir(place.path(run))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let wanted = [
        ".lock",
        "checkpoints",
        "compare.csv",
        "events.out.tfevents.ornstein",
        "experiment.yaml",
        "figures",
        "levels.csv",
        "metrics.csv",
        "pairs.csv",
        "report.html",
        "run.json",
        "samples.json",
        "samples.npy",
        "validation.csv",
    ];
    assert_eq!(names, wanted.map(String::from).into());
    for step in [30, 40] {
        for kind in ["json", "safetensors"] {
            assert!(!place.read(&format!("{run}/checkpoints/step-{step:08}.{kind}")).is_empty());
        }
    }
    assert_eq!(place.text(&format!("{run}/metrics.csv")).lines().count(), 1 + 40 / 5);
    let samples = ornstein::experiment::stage::read_npy(&place.path(run).join("samples.npy")).expect("an array");
    assert_eq!(samples.shape(), [64, 2]);
    assert!(samples.iter().all(|value| value.is_finite()));
    check_comparison(&place, &format!("{run}/compare.csv"));
    check_report(
        &place,
        run,
        &[&QUALITY[..], &["loss", "levels", "calibration", "grids", "samples", "solvers", "trajectories", "score"]]
            .concat(),
    );

    assert_eq!(json["train"]["steps"], 40);
    assert_eq!(json["sample"]["count"], 64);
    assert_eq!(json["sample"]["nfe"], 5.0);
    assert_eq!(json["compare"].as_array().expect("summaries").len(), 7 * 3);
    let text = place.text(&format!("{run}/experiment.yaml"));
    let spec = Spec::parse(&text, "experiment.yaml", &[]).expect("a resolved experiment is an experiment");
    assert_eq!(spec, Spec::parse(&place.text("tiny.yaml"), "tiny.yaml", &[]).expect("an experiment"));
    let provenance: serde_json::Value =
        serde_json::from_str(&place.text(&format!("{run}/run.json"))).expect("provenance");
    assert_eq!(provenance["ornstein"], env!("CARGO_PKG_VERSION"));
    assert_eq!(provenance["device"], "cpu");

    // The folder stands for the experiment: compare and report write there again and nowhere else.
    for verb in ["compare", "report"] {
        let file = if verb == "compare" { "compare.csv" } else { "report.html" };
        std::fs::remove_file(place.path(run).join(file)).expect("a file");
        let outcome = place.run(&[verb, run, "--json"]).ok();
        assert_eq!(outcome.json()["run"], run);
        assert!(place.path(run).join(file).is_file());
    }
    check_comparison(&place, &format!("{run}/compare.csv"));
    assert_eq!(std::fs::read_dir(place.path("runs/tiny")).expect("a folder").count(), 1);
}

#[test]
fn exact_experiments_need_no_training() {
    let place = place();
    let outcome = place.run(&["run", "exact.yaml", "--out", "run", "--precision", "float64", "--json"]).ok();
    assert_eq!(outcome.json()["train"], serde_json::Value::Null);
    assert_eq!(place.read_npy("run/samples.npy").shape(), [8, 2]);
    assert!(!place.path("run/metrics.csv").exists() && !place.path("run/checkpoints").exists());
    check_comparison(&place, "run/compare.csv");
    check_report(
        &place,
        "run",
        &[&QUALITY[..], &["sources", "grids", "samples", "solvers", "trajectories", "score"]].concat(),
    );
    // Data on a line have no picture in the plane, and need none.
    let line = "data={gaussian: {mean: [0.5], spectrum: [1.0]}}";
    place.run(&["run", "exact.yaml", "--out", "line", "--set", line, "-q"]).ok();
    check_report(&place, "line", &[&QUALITY[..], &["sources", "grids"]].concat());
}

#[test]
fn quiet_is_silent() {
    let place = place();
    for arguments in [
        &["run", "tiny.yaml", "-q", "--out", "run"][..],
        &["sample", "run", "-q"],
        &["compare", "run", "-q"],
        &["report", "run", "-q"],
    ] {
        let outcome = place.run(arguments).ok();
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""), "{arguments:?}");
    }
}

#[test]
fn check_resolves_and_writes_nothing() {
    let place = place();
    let before = place.listing();
    let outcome = place.run(&["check", "tiny.yaml", "--set", "train.steps=50", "--seed", "3"]).ok();
    let settings = ["train.steps=50".to_owned(), "seed=3".to_owned()];
    let wanted = Spec::parse(&place.text("tiny.yaml"), "tiny.yaml", &settings).expect("an experiment");
    // What is printed is an experiment file, the counts in comments.
    assert_eq!(Spec::parse(&outcome.stdout, "stdout", &[]).expect("an experiment"), wanted);
    let counts = |key: &str| {
        let line = outcome.stdout.lines().find(|line| line.starts_with(&format!("# {key} ")));
        line.unwrap_or_else(|| panic!("no {key}")).rsplit(' ').next().map(str::to_owned)
    };
    // embed 64·64 + 64, project 64·32 + 32, out 16·2 + 2, layers 2·16 and 16·16.
    assert_eq!(counts("parameters").as_deref(), Some("6562"));
    assert_eq!(counts("examples in training").as_deref(), Some("1600"));
    assert_eq!(counts("evaluations a sample").as_deref(), Some("5"));

    let json = place.run(&["check", "tiny.yaml", "--json"]).ok();
    assert_eq!(json.stderr, "");
    let json = json.json();
    assert_eq!(json["parameters"], 6562);
    assert_eq!(json["experiment"]["name"], "tiny");
    // 14 evaluations a sample for each of the two solvers on a grid, 2 repeats, 32 samples.
    assert_eq!(json["compared_evaluations"], 2 * 14 * 2 * 32);
    assert!(place.listing() == before);
}

#[test]
fn list_names_every_solver() {
    let place = Place::new();
    let text = place.run(&["list"]).ok().stdout;
    let blocks = place.run(&["list", "solvers"]).ok().stdout;
    let json = place.run(&["list", "solvers", "--json"]).ok().json();
    for name in SolverSpec::NAMES {
        assert!(text.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name} is not listed");
        assert!(blocks.lines().any(|line| line == *name), "{name} has no block");
        let card = &json["solvers"][name];
        for key in ["about", "paper", "when"] {
            assert!(card[key].as_str().is_some_and(|text| text.len() > 5), "{name}: {key}");
        }
        assert!(card["settings"].is_object(), "{name}");
        let least = if *name == "unipc" { 0.9 } else { 1.0 };
        assert!(card["evaluations_per_step"].as_f64().is_none_or(|count| count >= least), "{name}: {card}");
    }
    assert_eq!(json.as_object().expect("a map").len(), 1);
    let solvers = &json["solvers"];
    assert_eq!(solvers["heun"]["evaluations_per_step"], 2.0);
    assert_eq!(solvers["dpmpp_2m"]["evaluations_per_step"], 1.0);
    assert_eq!((&solvers["rk4"]["ode_order"], &solvers["rk4"]["solves"]), (&4.0.into(), &"ode".into()));
    assert_eq!(solvers["ddim"]["settings"]["eta"], 0.0);
    assert!(solvers["euler_maruyama"]["weak_order"] == 1.0 && solvers["euler_maruyama"]["solves"] == "sde");
    assert!(blocks.contains("    order               ODE 4\n    evaluations a step  4\n"), "{blocks}");
}

/// Orders are measured, written, drawn and judged; the exit code tells the judgement.
#[test]
fn orders_are_measured_and_judged() {
    let place = Place::new();
    let solvers = ["--solver", "heun", "--solver", "{ddim: {eta: 1}}", "--solver", "renoise", "--sde", "vp"];
    let arguments = [&["orders", "--quick", "--out", "orders"], &solvers[..]].concat();
    let outcome = place.run(&arguments).ok();
    assert!(outcome.stdout.contains("ode order on mixture_16d, grid log_snr"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("renoise: not measured, it claims no order"), "{}", outcome.stdout);
    let rows = place.text("orders/orders.csv");
    assert!(
        rows.starts_with("solver,sde,grid,kind,problem,claim,order,low,high,fewest_steps,most_steps,verdict,why\n")
    );
    // Four problems for the ODE, two weak and one strong, and one line for what was skipped.
    assert_eq!(rows.lines().count(), 1 + 4 + 3 + 1, "{rows}");
    assert_eq!(rows.lines().filter(|row| row.contains(",met,")).count(), 7, "{rows}");
    for stem in ["ode-gaussian-log_snr", "weak-gaussian-log_snr", "strong-skewed_1d-log_snr"] {
        assert!(place.read(&format!("orders/{stem}.png")).starts_with(b"\x89PNG"), "{stem}");
        assert!(place.text(&format!("orders/{stem}.svg")).contains("<svg"), "{stem}");
    }
    let only = ["orders", "--quick", "--solver", "heun", "--sde", "vp", "--kind", "weak", "--json"];
    assert_eq!(place.run(&only).ok().json()["orders"][0]["why"], "it claims no order of this kind");
    refuses(
        &place,
        &["orders", "--solver", "hoin"],
        &format!("--solver hoin: unknown solver `hoin`; allowed: {}", SolverSpec::NAMES.join(", ")),
    );
    let unknown = silent_refusal(&place, &["orders", "--sde", "{vp: {beta: 3}}"]);
    assert!(unknown.starts_with("error: --sde {vp: {beta: 3}}: unknown key `beta` (vp); did you mean"), "{unknown}");
    let explicit = silent_refusal(&place, &["orders", "--grid", "{explicit: [1, 0.1]}"]);
    assert!(explicit.contains("write uniform, log_snr, karras, quadratic or rectified"), "{explicit}");
}

#[test]
fn help_and_version() {
    let place = Place::new();
    let version = place.run(&["--version"]).ok().stdout;
    assert_eq!(version, format!("ornstein {}\n", env!("CARGO_PKG_VERSION")));
    let help = place.run(&["--help"]).ok().stdout;
    for verb in [
        "run",
        "check",
        "train",
        "sample",
        "compare",
        "orders",
        "report",
        "list",
        "schema",
        "completions",
        "import",
        "export",
    ] {
        assert!(help.lines().any(|line| line.split_whitespace().next() == Some(verb)), "{verb}");
        let own = place.run(&[verb, "--help"]).ok();
        assert!(own.stdout.contains(&format!("Usage: ornstein {verb}")) && own.stderr.is_empty(), "{verb}");
    }
}

/// `ornstein check … | head` closes the pipe early, and long work may lose its terminal: neither is a failure.
#[test]
fn readers_may_stop_reading() {
    let place = place();
    for arguments in [&["list"][..], &["list", "--json"], &["check", "tiny.yaml"], &["run", "tiny.yaml", "--json"]] {
        // Both ends that would read are closed before the program writes its first line.
        let closed = || std::io::pipe().expect("a pipe").1;
        let status = place.command(arguments).stdout(closed()).stderr(closed()).status().expect("the program starts");
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

/// D of N(μ, diag Λ) under EDM, where α = 1 and σ = t.
fn denoise(x: &Array1<f64>, t: f64) -> Array1<f64> {
    let (mean, spectrum) = ([0.5, -1.0], [1.0, 0.25]);
    let entry = |i: usize| mean[i] + spectrum[i] / (spectrum[i] + t * t) * (x[i] - mean[i]);
    Array1::from_vec((0..2).map(entry).collect())
}

/// A smooth table of numbers of order one, which needs no generator.
fn table(shape: &[usize]) -> ArrayD<f64> {
    let mut i = 0.0;
    ArrayD::from_shape_simple_fn(shape, || {
        i += 1.0;
        1.5 * f64::sin(i * i + 0.3 * i)
    })
}

/// Integrates each row of `x`, the noise of row b in step k being `z[k, b]`; all states, the first included.
fn integrate(
    x: &ArrayD<f64>,
    times: &[f64],
    step: impl Fn(&Array1<f64>, f64, f64, Array1<f64>) -> Array1<f64>,
    z: Option<&ArrayD<f64>>,
) -> Vec<ArrayD<f64>> {
    let mut states = vec![x.clone()];
    for (k, pair) in times.windows(2).enumerate() {
        let mut next = states[k].clone();
        for (b, mut row) in next.axis_iter_mut(Axis(0)).enumerate() {
            let x = row.to_owned().into_dimensionality().expect("a row");
            let (t, s) = (pair[0], pair[1]);
            let noise = z.filter(|_| s > 0.0).map(|z| z.index_axis(Axis(0), k).index_axis(Axis(0), b).to_owned());
            let noise = noise.map_or(Array1::zeros(2), |z| z.into_dimensionality().expect("a row"));
            // The step to σ = 0 is the denoiser itself and draws nothing.
            row.assign(&if s == 0.0 { denoise(&x, t) } else { step(&x, t, s, noise) });
        }
        states.push(next);
    }
    states
}

#[track_caller]
fn close(found: &ArrayD<f64>, wanted: &ArrayD<f64>) {
    assert_eq!(found.shape(), wanted.shape());
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a:e} is not {b:e}");
    }
}

/// Another implementation's numbers: the same state, noise and times give the same samples, digit by digit.
#[test]
fn sample_is_a_door_for_other_programs() {
    let place = Place::new();
    let times = [80.0, 20.0, 5.0, 1.0, 0.3, 0.05, 0.0];
    let grid = format!("sample.grid={{explicit: {times:?}}}");
    let (x, z) = (table(&[5, 2]) * 80.0, table(&[5, 5, 2]));
    place.write_npy("x.npy", &x);
    place.write_npy("z.npy", &z);
    let sample = |solver: &str, more: &[&str]| {
        let solver = format!("sample.solver={solver}");
        // Chunks of two: the split may not show in the numbers.
        let common = ["sample", "exact.yaml", "--precision", "float64", "--init", "x.npy", "--output", "y.npy", "-q"];
        let settings = ["--set", "sample.steps=null", "--set", &grid, "--set", &solver, "--set", "sample.chunk=2"];
        place.run(&[&common[..], &settings, more].concat()).ok();
        place.read_npy("y.npy")
    };

    // DDIM(0) on EDM: x_s = x̂₀ + (s/t) (x − x̂₀).
    let ddim = |x: &Array1<f64>, t: f64, s: f64, _| {
        let x0 = denoise(x, t);
        &x0 + (x - &x0) * (s / t)
    };
    let wanted = integrate(&x, &times, ddim, None);
    close(&sample("ddim", &["--trajectory", "way"]), &wanted[6]);
    for (k, state) in wanted.iter().enumerate() {
        close(&place.read_npy(&format!("way/step-{k:04}.npy")), state);
    }
    let text = place.text("way/times.csv");
    let rows: Vec<Vec<f64>> = text.lines().skip(1).map(|line| line.split(',').map(number).collect()).collect();
    let expected: Vec<Vec<f64>> = times.iter().enumerate().map(|(k, &t)| vec![k as f64, t, 1.0, t]).collect();
    assert_eq!(rows, expected);

    // Euler–Maruyama on EDM: g² = 2t and score = (x̂₀ − x)/t², so x_s = x + (2/t)(t − s)(x̂₀ − x) + √(2t (t − s)) z.
    let maruyama = |x: &Array1<f64>, t: f64, s: f64, z: Array1<f64>| {
        x + (denoise(x, t) - x) * (2.0 / t * (t - s)) + z * (2.0 * t * (t - s)).sqrt()
    };
    let wanted = integrate(&x, &times, maruyama, Some(&z));
    close(&sample("euler_maruyama", &["--noise", "z.npy"]), &wanted[6]);
    assert!(!place.path("runs").exists(), "with --output there is nothing to put into a run folder");
}

/// Without --output, samples of an exact experiment get a run folder of their own.
#[test]
fn sample_makes_a_run_folder() {
    let place = Place::new();
    let outcome = place.run(&["sample", "exact.yaml", "--json", "--precision", "float64"]).ok();
    let output = outcome.json()["output"].as_str().expect("a path").to_owned();
    assert!(output.starts_with("runs/exact/") && output.ends_with("/samples.npy"), "{output}");
    assert_eq!(place.read_npy(&output).shape(), [8, 2]);
    // --resume puts them into an earlier one.
    let run = output.strip_suffix("/samples.npy").expect("a file");
    let again = place.run(&["sample", "exact.yaml", "--json", "--resume", "--out", run]).ok();
    assert_eq!(again.json()["output"], output.as_str());
}

/// A report names the solver that drew the samples of a run, whatever the experiment has by then; without a word of how
/// they were drawn it names none.
#[test]
fn samples_are_labelled_with_their_solver() {
    let place = Place::new();
    place.run(&["run", "exact.yaml", "--out", "run", "--precision", "float64", "-q"]).ok();
    let heading = || {
        place.run(&["report", "run", "--precision", "float64", "-q"]).ok();
        let text = place.text("run/figures/samples.svg");
        let tree = roxmltree::Document::parse(&text).expect("a figure");
        let words: Vec<String> =
            tree.descendants().filter_map(|node| node.text()).map(|text| text.trim().into()).collect();
        words[words.iter().position(|word| word == "data").expect("a panel of data") + 1..].to_vec()
    };
    let experiment = place.text("run/experiment.yaml");
    let redraw = ["sample", "run", "--precision", "float64", "-q", "--set", "sample.solver=heun", "--set"];
    place.run(&[&redraw[..], &["sample.steps=4"]].concat()).ok();
    assert_eq!(place.text("run/experiment.yaml"), experiment);
    assert!(heading().contains(&"heun, 8 evaluations".to_owned()), "{:?}", heading());
    // Elsewhere they are not the run's.
    place.run(&[&redraw[..], &["sample.steps=5", "--output", "elsewhere.npy"]].concat()).ok();
    assert!(heading().contains(&"heun, 8 evaluations".to_owned()), "{:?}", heading());
    assert!(!place.path("elsewhere.json").exists());
    std::fs::remove_file(place.path("run/samples.json")).expect("a file");
    assert!(heading().contains(&"samples".to_owned()), "{:?}", heading());
}

/// Each thing that a solver is warned of, and silence where there is nothing to say.
#[test]
fn solvers_are_linted() {
    let place = place();
    let warnings = |settings: &[&str]| -> Vec<String> {
        let sets = settings.iter().flat_map(|setting| ["--set", setting]);
        let check = ["check", "exact.yaml", "--quick", "--json", "--set", "compare.repeats=3"];
        let arguments: Vec<&str> = check.into_iter().chain(sets).collect();
        let json = place.run(&arguments).ok().json();
        json["warnings"].as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").into()).collect()
    };
    assert_eq!(warnings(&[]), [""; 0]);
    let clean = [
        "sample.solver=dpmpp_2m",
        "sample.grid={explicit: [80.0, 20.0, 5.0, 1.0, 0.2, 0.002]}",
        "sample.steps=5",
        "compare=null",
    ];
    assert_eq!(warnings(&clean), [""; 0]);
    let only = |settings: &[&str], wanted: &str| assert_eq!(warnings(settings), [wanted], "{settings:?}");
    only(
        &["compare.repeats=2"],
        "compare.repeats: the interval of a difference after 2 repeats is ± 12.7 standard errors, so that hardly any \
         solver can be told from another; take 3, with ± 4.3, or more",
    );
    only(
        &["sample.grid={explicit: [80, 10, 1, 0.1]}", "sample.steps=3", "compare=null"],
        "the explicit grid ends at t = 0.1, where σ/α = 0.100: noise of that size stays in the samples; end it at t = \
         0.002, or set denoise: true",
    );
    assert_eq!(
        warnings(&[
            "sample.grid={explicit: [80, 10, 1, 0.1]}",
            "sample.steps=3",
            "sample.denoise=true",
            "compare=null"
        ]),
        [""; 0]
    );
    only(
        &["sample.grid={explicit: [20, 10, 1, 0.002]}", "sample.steps=3", "compare=null"],
        "the explicit grid starts at t = 20, where σ/α = 20.000, but x_T is drawn from the prior at t = 80, where σ/α = \
         80.000; start it there, or give --init",
    );
    only(
        &["sample.solver=rk4"],
        "5 steps are too few for a method of order 4 to show it; take more steps or a lower order",
    );
    only(
        &["sample.solver={exp_adams: {order: 4, start: euler}}", "sample.steps=20"],
        "exp_adams: started as published, it has order 2 and not 4; set start: single_step, at a few evaluations more",
    );
    only(
        &["sample.solver=renoise"],
        "renoise: it has no order, so that more steps do not bring its samples nearer to the data; take it for what few \
         steps look like, or choose ancestral",
    );
    only(
        &["sample.solver={dopri5: {rtol: 1.0e-8, atol: 1.0e-8}}"],
        "dopri5: a tolerance below 1e-6 is below the round-off of float32; add --precision float64",
    );
    only(
        &["compare.entries=[{solver: dpm_solver_3s}]", "compare.nfe=[5, 9]"],
        "dpm_solver_3s: of a budget of 5 evaluations it uses 3; compare at 3 or 6",
    );
    only(
        &["compare.entries=[{solver: {dpmpp_3m: {start: euler, variant: published}}}]", "compare.nfe=[2, 20]"],
        "dpmpp_3m: the 2 steps of a budget of 2 evaluations end before it has the 2 earlier ones that its order needs; \
         compare at more evaluations, or take a lower order",
    );
    // They are said before work begins, and only there.
    let said = place.run(&["sample", "exact.yaml", "--set", "sample.solver=rk4", "--output", "y.npy"]).ok().stderr;
    assert!(said.contains("warning 5 steps are too few"), "{said}");
}
