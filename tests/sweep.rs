//! Experiments that build on experiments: bases, sweeps, and reports on several runs.

mod place;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ornstein::experiment::Spec;
use place::{EXACT, LEARNED, Place, refuses};

const COMPARE: &str = "\
compare:
  entries: [{solver: heun}, {solver: euler_maruyama, label: EM}]
  nfe: [2, 4]
  repeats: 2
  count: 32
";

/// The names in a folder.
fn names(place: &Place, folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(place.path(folder)).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

/// The rows of a CSV file, each as (column, value).
fn rows(place: &Place, path: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let data = place.read(path);
    let mut reader = csv::Reader::from_reader(data.as_slice());
    reader.deserialize().map(|row| row.expect("a row")).collect()
}

#[test]
fn a_derived_experiment_is_laid_over_its_base() {
    let place = Place::new();
    fs::create_dir(place.path("bases")).expect("a folder");
    place.write("bases/part.yaml", "{sde: {vp: {beta_max: 10}}, sample: {count: 16, solver: {ddim: {eta: 1}}}}\n");
    place.write(
        "bases/tiny.yaml",
        format!("base: part.yaml\ndescription: of the base\n{}", LEARNED.replace("sde: vp\n", "")),
    );
    place
        .write("derived.yaml", "base: bases/tiny.yaml\nname: derived\nsde: {ve: {sigma_max: 5}}\ntrain: {steps: 10}\n");
    let outcome = place.run(&["run", "derived.yaml", "--out", "run", "-q", "--json"]).ok();
    assert_eq!(outcome.json()["train"]["steps"], 10);
    // What is kept is the whole experiment, which needs no base.
    let text = place.text("run/experiment.yaml");
    assert!(!text.contains("base"), "{text}");
    let spec = Spec::parse(&text, "experiment.yaml", &[]).expect("an experiment");
    let whole = LEARNED.replace("name: tiny", "name: derived").replace("sde: vp", "sde: {ve: {sigma_max: 5}}");
    let settings = ["train.steps=10".to_owned()];
    assert_eq!(spec, Spec::parse(&whole, "whole.yaml", &settings).expect("an experiment"));
    // A list of the derived file replaces; a base in another folder finds its own base beside it.
    let json = place.run(&["check", "bases/tiny.yaml", "--json"]).ok().json();
    assert_eq!(json["experiment"]["sde"]["vp"]["beta_max"], 10.0);
    assert_eq!(json["experiment"]["sample"]["solver"]["dpmpp_2m"]["solver_type"], "midpoint");
    assert_eq!(json["experiment"]["sample"]["count"], 64);
}

#[test]
fn bases_that_cannot_be() {
    let place = Place::new();
    fs::create_dir(place.path("sub")).expect("a folder");
    let check = |text: &str, message: &str| {
        place.write("derived.yaml", text);
        refuses(&place, &["check", "derived.yaml"], message);
    };
    place.write("sub/a.yaml", "seed: 1\nbase: ../b.yaml\n");
    place.write("b.yaml", "base: sub/../sub/a.yaml\n");
    check(
        "name: x\nbase: b.yaml\n",
        "sub/../sub/a.yaml:2: base: b.yaml is based on itself: b.yaml → sub/../sub/a.yaml → b.yaml; \
         remove one of these `base` keys",
    );
    check(
        "name: x\n\nbase: none.yaml\n",
        "derived.yaml:3: base: the base none.yaml cannot be read (No such file or directory (os error 2)); \
         give the path of a YAML file, relative to the file that names it",
    );
    check(
        "name: x\nbase: [1]\n",
        "derived.yaml:2: base: expected the path of an experiment file, found a list; \
         write one relative to this file, or remove the key",
    );
    check(
        "base: tiny.yaml\n",
        "derived.yaml: missing key `name`; add it, such as `name: two-moons-vp`: that of a base is not taken over, \
         for it names the folder of the results",
    );
    place.write("list.yaml", "- 1\n");
    check(
        "name: x\nbase: list.yaml\n",
        "list.yaml: expected a map of settings, found a list; \
         write `key: value`, or remove `base` where this file is named",
    );
    place.write("broken.yaml", "data: [1\n");
    check(
        "name: x\nbase: broken.yaml\n",
        "broken.yaml:2:1: the list that starts with `[` on line 1 is not closed; add the missing `,` or `]`",
    );
    check("name: x\nbase: a\nbase: b\n", "derived.yaml:3: the key `base` stands here twice; keep one of them");

    // A fault is reported where it stands: in the base, or in the file that replaced the setting.
    place.write("slip.yaml", LEARNED.replace("batch: 32", "batch: many"));
    check(
        "name: x\nbase: slip.yaml\ntrain: {steps: 5}\n",
        "slip.yaml:5: train.batch: expected a whole number, found the text \"many\"; write digits only, such as 100",
    );
    check(
        "name: x\nbase: tiny.yaml\ntrain:\n  batch: few\n",
        "derived.yaml:4: train.batch: expected a whole number, found the text \"few\"; write digits only, such as 100",
    );
    check(
        "name: x\nbase: tiny.yaml\nmodel: exact\n",
        "tiny.yaml:5: train: there is nothing to train with `model: exact`; remove `train`, or give `model` a network",
    );
    // What the derived file replaces may be wrong in the base.
    place.write("derived.yaml", "name: x\nbase: slip.yaml\ntrain: {batch: 8}\n");
    place.run(&["check", "derived.yaml"]).ok();
    refuses(
        &place,
        &["check", "derived.yaml", "--set", "base=tiny.yaml"],
        "--set base=tiny.yaml: the base is read before settings change; \
         write `base` into a file of its own, and run that",
    );
}

#[test]
fn sweeps_that_cannot_be() {
    let place = Place::new();
    let check = |sweep: &str, message: &str| {
        place.write("sweep.yaml", format!("{LEARNED}{sweep}\n"));
        refuses(&place, &["run", "sweep.yaml"], message);
    };
    check(
        "sweep: {train.stepps: [1, 2]}",
        "sweep.yaml:7: sweep.train.stepps[0]: unknown key `stepps`; did you mean `steps`? allowed: steps, batch, \
         micro_batch, time, quantiles, weighting, uncertainty, optimizer, schedule, warmup, clip, gradient_checkpointing, \
         ema, log_every, validate, early_stop, checkpoint_every, keep, snapshot_every",
    );
    check(
        "sweep:\n  sde: [vp]\n  train.steps: [1, many]",
        "sweep.yaml:9: sweep.train.steps[1]: expected a whole number, found the text \"many\"; \
         write digits only, such as 100",
    );
    check(
        "sweep: {sde: [vp, {ve: {sigma: 1}}]}",
        "sweep.yaml:7: sweep.sde[1]: sde.ve: unknown key `sigma`; did you mean `sigma_min`? \
         allowed: sigma_min, sigma_max, t_min, t_train, t_max",
    );
    let empty = "the sweep is empty; write a grid, such as {seed: [0, 1, 2]}, or a list of cells, or remove `sweep`";
    for text in ["sweep: {}", "sweep: []", "sweep:"] {
        check(text, &format!("sweep.yaml:7: sweep: {empty}"));
    }
    check("sweep: {seed: []}", "sweep.yaml:7: sweep.seed: there are no values; write at least one, or remove the key");
    check(
        "sweep: {seed: 3}",
        "sweep.yaml:7: sweep.seed: expected a list of values, found the number 3; \
         put them in brackets, as in `seed: [3]`",
    );
    check(
        "sweep: {name: [a, b]}",
        "sweep.yaml:7: sweep.name: the name is that of the whole sweep; remove it, or call a cell something with `label`",
    );
    check("sweep: {seed: [1, 2, 1]}", "sweep.yaml:7: sweep.seed[2]: two cells are \"seed=1\"; remove one of them");
    check(
        "sweep:\n  - {}\n  - {sde: ve}\n  - {sde: vp}",
        "sweep.yaml:10: sweep[2]: the cells \"as it is\" and \"sde=vp\" are the same experiment; remove one of them",
    );
    check(
        "sweep: [{seed: 1}, {seed: 2, sede: 3}]",
        "sweep.yaml:7: sweep[1].sede: unknown key `sede`; did you mean `seed`? \
         allowed: name, description, seed, data, sde, model, train, sample, compare, likelihood",
    );
    check(
        "sweep: [{seed: 1, label: a}, {seed: 2, label: a}]",
        "sweep.yaml:7: sweep[1].label: another cell is already called \"a\"; give each cell a `label` of its own",
    );
    check(
        "sweep: {a..b: [1]}",
        "sweep.yaml:7: sweep.a..b: `a..b` is not a path; write keys with dots between them, such as compare.entries[0].solver",
    );
    check(
        "sweep: {train.steps.x: [1]}",
        "sweep.yaml:7: sweep.train.steps.x[0]: `train.steps` is the number 40, which has no x; \
         shorten the path, or set `train.steps` as a whole",
    );
    // A fault of the file itself stays one of the file.
    place.write("slip.yaml", LEARNED.replace("batch: 32", "batch: 0") + "sweep: {seed: [0, 1]}\n");
    refuses(
        &place,
        &["run", "slip.yaml"],
        "slip.yaml:5: train.batch: 0 is too small; write a whole number of at least 1",
    );
}

#[test]
fn overrides_of_sweeps() {
    let place = Place::new();
    place.write("sweep.yaml", format!("{LEARNED}sweep: {{sde: [vp, ve], seed: [0, 1]}}\n"));
    let labels = |arguments: &[&str]| -> Vec<String> {
        let json = place.run(&[&["check", "sweep.yaml", "--json"], arguments].concat()).ok().json();
        let cells = json["cells"].as_array().expect("cells").iter();
        cells.map(|cell| cell["label"].as_str().expect("a label").to_owned()).collect()
    };
    assert_eq!(labels(&[]).len(), 4);
    assert_eq!(labels(&["--set", "sweep.seed=[3]"]), ["sde=vp, seed=3", "sde=ve, seed=3"]);
    assert_eq!(labels(&["--set", "sweep={train.steps: [1, 2]}", "--seed", "4"]), ["steps=1", "steps=2"]);
    assert_eq!(labels(&["--set", "sweep.train.optimizer.adamw.lr=[1, 2]"]).len(), 8);
    let one = place.run(&["check", "sweep.yaml", "--set", "sweep=null", "--json"]).ok().json();
    assert_eq!(one["experiment"]["name"], "tiny");
    let text = place.run(&["check", "sweep.yaml"]).ok().stdout;
    assert!(text.contains("# 4 cells in runs/tiny/sweep-") && text.contains("\n# sde=ve, seed=1 "), "{text}");
    // What it prints is the sweep again.
    place.write("again.yaml", text);
    let again = place.run(&["check", "again.yaml", "--json"]).ok().json();
    assert_eq!(again, place.run(&["check", "sweep.yaml", "--json"]).ok().json());

    refuses(
        &place,
        &["check", "sweep.yaml", "--seed", "7"],
        "--set seed=7: the sweep sets `seed` itself; \
         leave one of them away, or change the sweep, as with --set 'sweep.seed=[0, 1]'",
    );
    refuses(
        &place,
        &["check", "sweep.yaml", "--set", "sweep.seed=[a]"],
        "--set sweep.seed=[a]: sweep.seed[0]: expected a whole number, found the text \"a\"; \
         write digits only, such as 100",
    );
    refuses(
        &place,
        &["sample", "sweep.yaml"],
        "sweep.yaml:7: sweep: this is a sweep, many experiments, where one belongs; \
         give the folder of one of its runs, or take the sweep out with --set sweep=null",
    );
    refuses(
        &place,
        &["run", "tiny.yaml", "--jobs", "2"],
        "--jobs 2: the experiment has no `sweep`; leave it away; --threads divides the work of one experiment",
    );
    refuses(
        &place,
        &["run", "sweep.yaml", "--jobs", "0"],
        "--jobs 0: 0 is too small; write a whole number of at least 1",
    );
    for verb in ["compare", "report"] {
        let stderr = place.run(&[verb, "sweep.yaml"]).stderr;
        assert!(stderr.contains("there are no runs of this sweep in this folder; run it first"), "{stderr}");
    }
    let exact = ["--set", "sweep=null", "--set", "model=exact", "--set", "data=eight_gaussians", "--set", "train=null"];
    place.run(&[&["check", "sweep.yaml"], &exact[..]].concat()).ok();
}

#[test]
fn every_cell_is_a_run_and_all_make_one_report() {
    let place = Place::new();
    let sweep = "sweep: {sde: [vp, {ve: {sigma_max: 5}}], seed: [0, 1]}\n";
    place.write("sweep.yaml", format!("{LEARNED}{COMPARE}{sweep}"));
    let outcome = place.run(&["run", "sweep.yaml", "--jobs", "2", "--json"]).ok();
    let json = outcome.json();
    let folder = json["sweep"].as_str().expect("a folder");
    assert!(folder.starts_with("runs/tiny/sweep-"), "{folder}");
    let cells = ["sde=vp,seed=0", "sde=vp,seed=1", "sde=ve,seed=0", "sde=ve,seed=1"];
    let files = [".lock", "figures", "report.html", "runs.csv", "sweep.yaml"];
    assert_eq!(names(&place, folder), cells.iter().chain(&files).map(|name| name.to_string()).collect());
    for line in ["[4/4] ", "sde=vp, seed=1: done in "] {
        assert!(outcome.stderr.contains(line), "{}", outcome.stderr);
    }
    assert_eq!(json["cells"].as_array().expect("cells").len(), 4);
    assert_eq!(json["cells"][0]["state"], "done");
    let figures = ["loss.png", "loss.svg", "sliced_wasserstein-nfe.png", "sliced_wasserstein-nfe.svg"];
    assert_eq!(names(&place, &format!("{folder}/figures")), figures.map(String::from).into());

    // A line for each run, solver, budget and metric, and one for each noise floor.
    let rows = rows(&place, &format!("{folder}/runs.csv"));
    assert_eq!(rows.len(), 4 * (2 * 2 + 1));
    let em = rows.iter().find(|row| row["run"] == "sde=vp, seed=1" && row["entry"] == "EM" && row["budget"] == "4");
    let em = em.expect("a row");
    assert_eq!((em["seed"].as_str(), em["sde"].as_str(), em["steps"].as_str()), ("1", "vp", "40"));
    // The final loss is the mean over the last tenth of eight lines of the log: the last.
    let log = place.text(&format!("{folder}/sde=vp,seed=1/metrics.csv"));
    assert_eq!(em["loss"], log.lines().last().expect("a line").split(',').nth(1).expect("a loss"));
    let page = place.text(&format!("{folder}/report.html"));
    for text in ["./sde=vp,seed=0/report.html", "sde=vp, 2 seeds · heun", "Means over seeds", "final loss"] {
        assert!(page.contains(text), "{text}");
    }

    // A cell is what it would be alone, whoever runs beside it.
    let alone = ["run", "sweep.yaml", "--set", "sweep=null", "--seed", "1", "--out", "alone", "-q"];
    place.run(&alone).ok();
    let samples = |run: &str| place.read(&format!("{run}/samples.npy"));
    assert!(samples("alone") == samples(&format!("{folder}/sde=vp,seed=1")));
    assert_eq!(place.text("alone/experiment.yaml"), place.text(&format!("{folder}/sde=vp,seed=1/experiment.yaml")));

    // Again: not without --resume; with it, what is finished stays, and what is missing is done.
    refuses(
        &place,
        &["run", "sweep.yaml"],
        &format!(
            "run: {folder}: this sweep was started already; \
             add --resume to go on with it, or choose another folder with --out"
        ),
    );
    let unknown = ["run", "sweep.yaml", "--resume", "--out", "other"];
    refuses(&place, &unknown, "--resume: other: there is no sweep in this folder; start one without --resume");
    let single = ["run", "sweep.yaml", "--resume", "--out", "alone"];
    let message = "--out: alone: this is the folder of a single run; choose another folder for the sweep";
    refuses(&place, &single, message);
    fs::remove_dir_all(place.path(folder).join(cells[0])).expect("a folder");
    // One that was killed while its folder was made.
    fs::remove_file(place.path(folder).join(cells[2]).join("run.json")).expect("a file");
    let before = place.read(&format!("{folder}/{}/report.html", cells[1]));
    let outcome = place.run(&["run", "sweep.yaml", "--resume"]).ok();
    assert_eq!(outcome.stderr.matches("finished before").count(), 2, "{}", outcome.stderr);
    assert!(before == place.read(&format!("{folder}/{}/report.html", cells[1])));
    // The folder stands for the sweep.
    fs::remove_file(place.path(folder).join("runs.csv")).expect("a file");
    place.run(&["report", folder, "-q"]).ok();
    let outcome = place.run(&["run", folder, "--json"]).ok();
    assert_eq!(outcome.json()["cells"].as_array().expect("cells").len(), 4);
    assert!(place.path(folder).join("runs.csv").is_file());
}

/// A sweep may begin with training alone, and be compared later.
#[test]
fn train_and_compare_run_on_sweeps() {
    let place = Place::new();
    place.write("sweep.yaml", format!("{LEARNED}{COMPARE}sweep: {{seed: [0, 1]}}\n"));
    place.run(&["train", "sweep.yaml", "--out", "all", "-q"]).ok();
    assert!(place.path("all/seed=1/checkpoints/step-00000040.safetensors").is_file());
    assert!(!place.path("all/seed=1/samples.npy").exists());
    assert!(place.text("all/report.html").contains("Not finished: seed=0; seed=1."));
    assert_eq!(rows(&place, "all/runs.csv").len(), 2);
    place.run(&["compare", "sweep.yaml", "--out", "all", "-q"]).ok();
    assert_eq!(rows(&place, "all/runs.csv").len(), 2 * 5);
    // More cells join those that are there.
    let more = ["--out", "all", "--resume", "--set", "sweep.seed=[0, 1, 2]"];
    let outcome = place.run(&[&["run", "sweep.yaml"], &more[..]].concat()).ok();
    assert!(outcome.stderr.contains("[3/3] "), "{}", outcome.stderr);
    assert!(!place.text("all/report.html").contains("Not finished"));
    // Another experiment does not.
    let other = ["run", "sweep.yaml", "--out", "all", "--resume", "--set", "train.batch=8"];
    refuses(
        &place,
        &other,
        "all/seed=0: the run in this folder is of another experiment (its seed, data, process, model or training \
         differ); choose another folder with --out",
    );
}

#[test]
fn a_cell_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    let sweep = "sweep: {train.optimizer.adamw.lr: [1.0e+30, 1.0e-3]}\n";
    place.write("sweep.yaml", format!("{LEARNED}{sweep}"));
    let outcome = place.run(&["run", "sweep.yaml", "--out", "all", "--json"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let json = outcome.json();
    assert_eq!((&json["cells"][0]["state"], &json["cells"][1]["state"]), (&"failed".into(), &"done".into()));
    let end = outcome.stderr.rsplit_once("error: ").expect("an error").1;
    assert!(end.starts_with("1 of 2 cells failed:\n  lr=1e30: ") && end.contains("is not finite"), "{end}");
    assert!(end.ends_with("(all/lr=1e30/log.txt)\n; mend the cause, and go on with --resume\n"), "{end}");
    assert!(place.text("all/lr=1e30/log.txt").contains("is not finite"));
    assert!(place.text("all/report.html").contains("Not finished: lr=1e30."));
    assert!(place.path("all/lr=0.001/report.html").is_file());
    // The exact model has no network to train: a mistake in one cell is found before any starts.
    let wrong = ["run", "sweep.yaml", "--out", "none", "--set", "sweep=[{seed: 1}, {model: exact}]"];
    assert_eq!(place.run(&wrong).code, Some(2));
    assert!(!place.path("none").exists());
}

/// A sweep of two long cells.
fn long() -> Place {
    let place = Place::new();
    let train = "train: {steps: 600, batch: 32, ema: {half_life: 50}, log_every: 10, checkpoint_every: 7}";
    let text = LEARNED.lines().map(|line| if line.starts_with("train") { train } else { line }.to_owned() + "\n");
    place.write("sweep.yaml", text.collect::<String>() + "sweep: {seed: [0, 1]}\n");
    place
}

/// The step of the newest checkpoint, 0 where there is none yet.
fn newest(place: &Place, run: &str) -> usize {
    let entries = fs::read_dir(place.path(run).join("checkpoints")).into_iter().flatten().flatten();
    let step = |name: String| name.strip_prefix("step-")?.strip_suffix(".json")?.parse().ok();
    entries.filter_map(|entry| step(entry.file_name().into_string().ok()?)).max().unwrap_or(0)
}

/// Waits until both cells have a checkpoint.
fn begun(place: &Place, child: &mut Child) {
    let start = Instant::now();
    while ["all/seed=0", "all/seed=1"].iter().any(|run| newest(place, run) == 0) {
        assert!(child.try_wait().expect("a child").is_none(), "the sweep was over too soon");
        assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint in a minute");
        sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
fn interrupt(id: u32) {
    let kill = std::process::Command::new("kill").args(["-INT", &id.to_string()]).status();
    assert!(kill.expect("kill runs").success());
}

#[cfg(unix)]
#[test]
fn interrupted_cells_leave_checkpoints_and_resume_bit_for_bit() {
    let place = long();
    let arguments = ["train", "sweep.yaml", "--out", "all", "--jobs", "2", "--threads", "1"];
    let mut child = place.command(&arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
    begun(&place, &mut child);
    // A folder belongs to one process at a time.
    let second = place.run(&[&arguments[..], &["--resume", "-q"]].concat());
    let refusal = format!("error: all: process {} is at work in this folder; ", child.id());
    assert!(second.code == Some(2) && second.stderr.starts_with(&refusal), "{}", second.stderr);
    interrupt(child.id());
    let output = child.wait_with_output().expect("a child");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    let last = "error: interrupted; 0 of 2 cells are finished in all; \
                go on with: ornstein train sweep.yaml --resume --out all\n";
    assert!(stderr.ends_with(last), "{stderr}");
    for run in ["all/seed=0", "all/seed=1"] {
        let step = newest(&place, run);
        assert!((1..600).contains(&step), "{step}");
        // The cell itself said where it stopped, so it stopped by itself.
        assert!(place.text(&format!("{run}/log.txt")).contains(&format!("the checkpoint of step {step} is in")));
    }
    let resumed = place.run(&["train", "sweep.yaml", "--out", "all", "--resume"]).ok();
    assert!(resumed.stderr.contains("[2/2] seed=1: done in"), "{}", resumed.stderr);
    assert!(place.text("all/seed=1/log.txt").contains("resuming at step"));
    place.run(&["train", "sweep.yaml", "--set", "sweep=null", "--seed", "1", "--out", "alone", "-q"]).ok();
    let tensors = |run: &str| place.read(&format!("{run}/checkpoints/step-00000600.safetensors"));
    assert!(tensors("all/seed=1") == tensors("alone"));
}

/// Twice stops at once, and no process stays behind.
#[cfg(unix)]
#[test]
fn a_second_interrupt_stops_at_once() {
    let place = long();
    let steps = "train.steps=1000000000";
    let arguments = ["train", "sweep.yaml", "--out", "all", "--jobs", "2", "-q", "--set", steps];
    let mut child = place.command(&arguments).stderr(Stdio::null()).spawn().expect("the program starts");
    begun(&place, &mut child);
    interrupt(child.id());
    interrupt(child.id());
    let start = Instant::now();
    assert_eq!(child.wait().expect("a child").code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(10));
    sleep(Duration::from_millis(500));
    let steps = || [newest(&place, "all/seed=0"), newest(&place, "all/seed=1")];
    let stopped = steps();
    sleep(Duration::from_millis(500));
    assert_eq!(steps(), stopped, "a cell goes on alone");
}

#[test]
fn several_runs_make_one_report() {
    let place = Place::new();
    place.write("exact.yaml", format!("{EXACT}{COMPARE}"));
    place.write("tiny.yaml", format!("{LEARNED}{COMPARE}"));
    place.run(&["run", "exact.yaml", "-q", "--out", "a/run"]).ok();
    place.run(&["run", "exact.yaml", "-q", "--out", "b/run", "--set", "sde=vp"]).ok();
    place.run(&["run", "tiny.yaml", "-q", "--out", "c"]).ok();
    let sweep = "sweep={sample.steps: [3, 4]}";
    place.run(&["run", "exact.yaml", "-q", "--out", "d", "--set", sweep, "--set", "compare=null"]).ok();
    place.run(&["report", "a/run", "b/run", "c", "d", "-q", "--out", "together"]).ok();
    assert_eq!(names(&place, "together"), ["figures", "report.html", "runs.csv"].map(String::from).into());
    let labels: BTreeSet<String> = rows(&place, "together/runs.csv").iter().map(|row| row["run"].clone()).collect();
    let wanted = ["exact (a/run)", "exact (b/run)", "exact: steps=3", "exact: steps=4", "tiny"];
    assert_eq!(
        labels.iter().map(|label| label.replace(&place.path("").display().to_string(), "")).collect::<Vec<_>>(),
        wanted
    );
    // Without --out it makes a folder of its own, and says which.
    let outcome = place.run(&["report", "a/run", "c", "--json"]).ok();
    let page = outcome.json()["report"].as_str().expect("a path").to_owned();
    assert!(page.starts_with("report-20") && page.ends_with("/report.html"), "{page}");
    assert!(outcome.stderr.contains(&page) && place.path(&page).is_file());

    refuses(
        &place,
        &["report", "c", "d", "--out", "c"],
        "--out c: the report of a run is in this folder; choose another folder",
    );
    refuses(
        &place,
        &["report", "c", "d", "--seed", "1"],
        "--set: a report on several runs changes none of them; leave it away, or give one run",
    );
    refuses(
        &place,
        &["report", "c", "e"],
        "e: there is no run in this folder (no experiment.yaml); give a folder such as runs/NAME/WHEN-HASH",
    );
}
