//! Tables through the program itself: what it reads, trains, writes, and refuses to go on with.

mod place;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use place::Place;

/// Two clusters far from the origin, in units that differ by a million, and a row that the filter drops.
fn clusters() -> String {
    let row = |i: i32| {
        let (side, wobble) = (f64::from(i % 2), f64::from(i * 7 % 19) / 19.0);
        format!("a,{},{}\n", 5e6 + 1e6 * side + 1e5 * wobble, 3.0 + side + 0.1 * f64::from(i * 5 % 17) / 17.0)
    };
    "kind,x,y\nb,none,none\n".to_owned() + &(0..120).map(row).collect::<String>()
}

const SETTINGS: &str = "\
name: clusters
data: {table: {file: sets/clusters.csv, where: {kind: a}, validation: 0.25}}
sde: edm
model: {network: {mlp: {width: 32, depth: 2}}, predict: edm}
train: {steps: 60, batch: 32, warmup: 5, weighting: edm, optimizer: {adamw: {lr: 5.0e-3}}, ema: {half_life: 5},
  log_every: 5, checkpoint_every: 7}
sample: {count: 64, solver: heun, grid: karras, steps: 8, denoise: true}
compare: {entries: [{solver: heun}], nfe: [9], repeats: 2, count: 40}
";

fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir_all(place.path("data/sets")).expect("a folder");
    place.write("data/sets/clusters.csv", clusters());
    place.write("clusters.yaml", SETTINGS);
    place
}

/// Runs without what the environment says of data.
fn run(place: &Place, arguments: &[&str]) -> place::Outcome {
    run_with(place, None, arguments)
}

fn run_with(place: &Place, variable: Option<&Path>, arguments: &[&str]) -> place::Outcome {
    let mut command = place.command(arguments);
    command.env_remove("ORNSTEIN_DATA");
    command.envs(variable.map(|folder| ("ORNSTEIN_DATA", folder)));
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    place::Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn samples_are_in_the_units_of_the_file() {
    let place = place();
    run(&place, &["run", "clusters.yaml", "--out", "run", "-q"]).ok();
    let samples = place.read("run/samples.npy");
    let samples: ndarray::ArrayD<f32> = ndarray_npy::ReadNpyExt::read_npy(samples.as_slice()).expect("an array");
    assert_eq!(samples.shape(), [64, 2]);
    let column = |i: usize| samples.index_axis(ndarray::Axis(1), i).mapv(f64::from);
    // Means within 5 standard errors of the data's, with room for a network of 60 steps.
    for (i, mean, std) in [(0, 5.55e6, 5e5), (1, 3.55, 0.5)] {
        let found = column(i).mean().expect("samples");
        assert!((found - mean).abs() < std, "{found}");
        assert!((0.5..2.0).contains(&(column(i).std(0.0) / std)), "{}", column(i).std(0.0));
    }
    // Distances are in the units of training: of order one, not of a million.
    let table = place.text("run/compare.csv");
    let distances = table.lines().skip(1).map(|line| line.split(',').nth(7).expect("a value").to_owned());
    assert!(distances.map(|value| value.parse::<f64>().expect("a number")).all(|value| value < 3.0), "{table}");
    let figure = place.text("run/figures/samples.svg");
    let labels: BTreeSet<&str> = figure.split(['>', '<']).map(str::trim).collect();
    assert!(labels.contains("x") && labels.contains("y"), "the axes have no names");
    let provenance = place.text("run/run.json");
    assert!(provenance.contains("data_sha256"), "{provenance}");
}

#[test]
fn a_run_in_two_parts_is_the_run_in_one() {
    let place = place();
    let train = |more: &[&str]| run(&place, &[&["train", "clusters.yaml", "-q"], more].concat()).ok();
    train(&["--out", "whole"]);
    train(&["--out", "parts", "--set", "train.steps=23"]);
    train(&["--out", "parts", "--resume", "--threads", "2"]);
    let tensors = |run: &str| place.read(&format!("{run}/checkpoints/step-00000060.safetensors"));
    assert!(tensors("whole") == tensors("parts"), "the parameters differ");
}

#[test]
fn a_changed_file_is_not_gone_on_with() {
    let place = place();
    run(&place, &["train", "clusters.yaml", "-q"]).ok();
    let runs = std::fs::read_dir(place.path("runs/clusters")).expect("a folder");
    let name = runs.map(|entry| entry.expect("an entry").file_name()).next().expect("a run");
    let checkpoints = format!("runs/clusters/{}/checkpoints", name.to_str().expect("UTF-8"));
    // The same settings, another file; a byte is enough.
    place.write("data/sets/clusters.csv", clusters() + "\n");
    let before = place.listing();
    for arguments in [&["train", "clusters.yaml", "--resume", "-q"][..], &["sample", "clusters.yaml", "-q"]] {
        let outcome = run(&place, arguments);
        assert_eq!(outcome.code, Some(2));
        assert_eq!(
            outcome.stderr,
            format!(
                "error: {checkpoints}/step-00000060.json: the data file has changed since this checkpoint was trained; \
                 restore the file, or train anew\n"
            )
        );
    }
    assert!(place.listing() == before);
    place.write("data/sets/clusters.csv", clusters());
    run(&place, &["sample", "clusters.yaml", "-q"]).ok();
}

/// `--data`, else the variable, else `data`; a message says which.
#[test]
fn the_data_folder_is_found() {
    let place = place();
    let check = |variable: Option<&Path>, more: &[&str]| {
        run_with(&place, variable, &[&["check", "clusters.yaml", "--json"], more].concat())
    };
    let about = "120 of 121 rows of sets/clusters.csv, 30 of them held out; x, y";
    assert_eq!(check(None, &[]).ok().json()["data"], about);
    std::fs::rename(place.path("data"), place.path("elsewhere")).expect("a move");
    assert_eq!(check(Some(Path::new("elsewhere")), &[]).ok().json()["data"], about);
    assert_eq!(check(Some(Path::new("wrong")), &["--data", "elsewhere"]).ok().json()["data"], about);
    let absolute = format!("data.table.file={}", place.path("elsewhere/sets/clusters.csv").display());
    check(None, &["--set", &absolute]).ok();
    let remedy = "name the folder that holds sets/clusters.csv with --data DIR or ORNSTEIN_DATA; \
                  the head of each experiment that comes with Ornstein says where its data are to be had";
    for (variable, more, said) in [
        (None, &[][..], "data/sets/clusters.csv (the folder data is named by the default)"),
        (Some(Path::new("wrong")), &[], "wrong/sets/clusters.csv (the folder wrong is named by ORNSTEIN_DATA)"),
        (None, &["--data", "no"], "no/sets/clusters.csv (the folder no is named by --data)"),
    ] {
        let outcome = check(variable, more);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        let expected = format!("error: clusters.yaml:2: data.table.file: there is no file {said}; {remedy}\n");
        assert_eq!(outcome.stderr, expected);
    }
}

#[test]
fn checks_say_what_the_comparison_is_worth() {
    let place = place();
    let warnings = |setting: &str| {
        let json = run(&place, &["check", "clusters.yaml", "--json", "--set", setting]).ok().json();
        json["warnings"].as_array().expect("a list").iter().map(|text| text.to_string()).collect::<String>()
    };
    assert!(warnings("compare.count=40").contains("compares 40 samples with the same 30 rows"));
    assert_eq!(warnings("compare.count=30").matches("rows").count(), 0);
    assert!(warnings("data.table.validation=0").contains("no rows are held out"));
}

/// The experiments on real tables, where the data folder is at hand.
#[test]
fn real_tables_are_what_they_are_said_to_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("ORNSTEIN_DATA").map(PathBuf::from).unwrap_or_else(|| root.join("data"));
    for (name, about) in [
        ("datasaurus", "142 of 1846 rows of tabular/datasaurus_dozen.tsv, 0 of them held out; x, y"),
        ("volcano", "827 of 827 rows of tabular/earth_volcano.csv, 165 of them held out; Longitude, Latitude"),
        ("earthquake", "6120 of 6120 rows of tabular/earth_earthquake.csv, 1224 of them held out; LONGITUDE, LATITUDE"),
        ("fire", "12809 of 12809 rows of tabular/earth_fire.csv, 2562 of them held out; column 1, column 0"),
        ("protein", "45730 of 45730 rows of tabular/uci_protein.csv.gz, 4573 of them held out"),
        ("wine", "1599 of 1599 rows of tabular/uci_wine_red.csv.gz, 320 of them held out"),
    ] {
        let file = about.split([' ', ',']).find(|word| word.starts_with("tabular/")).expect("a file");
        if !folder.join(file).is_file() {
            // Past the capture of output, so that it is seen.
            let _ = writeln!(
                std::io::stderr(),
                "skipped {name}: there is no {file} in {}; set ORNSTEIN_DATA",
                folder.display()
            );
            continue;
        }
        let path = root.join(format!("experiments/tables/{name}.yaml"));
        let place = Place::new();
        let outcome = run_with(&place, Some(&folder), &["check", path.to_str().expect("UTF-8"), "--json"]).ok();
        let said = outcome.json()["data"].as_str().expect("a text").to_owned();
        assert!(said.starts_with(about), "{name}: {said}");
    }
}
