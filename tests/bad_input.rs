//! Wrong input: one sentence on standard error, exit code 2, nothing on standard output, nothing written.

mod place;

use ndarray::ArrayD;
use place::{EXACT, LEARNED, Place, refuses, silent_refusal};

/// A copy of `text` with one change.
#[track_caller]
fn with(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old} should stand there once");
    text.replace(old, new)
}

#[test]
fn files_that_say_what_cannot_be() {
    let place = Place::new();
    let spectrum = "spectrum: [1.0, 0.25]";
    let mixture = "{gaussian: {mean: [0.5, -1.0], spectrum: [1.0, 0.25]}}";
    for (text, old, new, said) in [
        (
            LEARNED,
            "batch: 32",
            "batches: 32",
            "5: train: unknown key `batches`; did you mean `batch`? allowed: steps, batch, micro_batch, time, \
             quantiles, weighting, uncertainty, optimizer, schedule, warmup, clip, gradient_checkpointing, ema, log_every, \
             validate, early_stop, checkpoint_every, keep, snapshot_every",
        ),
        (
            LEARNED,
            "batch: 32",
            "batch: many",
            "5: train.batch: expected a whole number, found the text \"many\"; write digits only, such as 100",
        ),
        (LEARNED, "batch: 32", "batch: 0", "5: train.batch: 0 is too small; write a whole number of at least 1"),
        (LEARNED, "batch: 32", "batch: -1", "5: train.batch: -1 is negative; write a whole number of at least 0"),
        (LEARNED, "steps: 40", "steps: 0", "5: train.steps: 0 is too small; write a whole number of at least 1"),
        (
            LEARNED,
            "width: 16",
            "width: 0",
            "4: model.network.mlp.width: 0 is too small; write a whole number of at least 1",
        ),
        (LEARNED, "count: 64", "count: 0", "6: sample.count: 0 is too small; write a whole number of at least 1"),
        (EXACT, "steps: 5", "steps: 0", "5: sample.steps: 0 is too small; write a whole number of at least 1"),
        (
            EXACT,
            mixture,
            "{gaussian_mixture: {weights: [0.5, 0.4], means: [[0], [1]], covariances: [[[1]], [[1]]]}}",
            "2: data.gaussian_mixture.weights: the weights sum to 0.9, not to 1; divide each weight by the sum",
        ),
        (
            EXACT,
            spectrum,
            "covariance: [[1, 0.5], [0.4, 1]]",
            "2: data.gaussian.covariance[0][1]: covariance[0][1] = 0.5 but covariance[1][0] = 0.4; \
             a covariance is symmetric: make them equal",
        ),
        (
            EXACT,
            spectrum,
            "covariance: [[1, 2], [2, 1]]",
            "2: data.gaussian.covariance: the matrix has the negative eigenvalue -1.000e0; \
             a covariance is positive semi-definite: check signs and off-diagonal entries",
        ),
        (
            EXACT,
            "grid: karras, steps: 5",
            "grid: {explicit: [80, 1, 2, 0]}",
            "5: sample.grid.explicit[2]: 2 comes after 1; \
             list the times in strictly decreasing order, from noise to data",
        ),
        (
            EXACT,
            "grid: karras, steps: 5",
            "grid: {explicit: [81, 1, 0]}",
            "5: sample.grid.explicit[0]: the time 81 is outside the span of the process; \
             write times between 80 and 0.002; the last may also be 0, where σ = 0",
        ),
        (
            EXACT,
            "grid: karras, steps: 5",
            "grid: {explicit: [80, 1, 0.001, 0]}",
            "5: sample.grid.explicit[2]: the time 0.001 is outside the span of the process; \
             write times between 80 and 0.002; the last may also be 0, where σ = 0",
        ),
        (
            EXACT,
            mixture,
            "two_moons",
            "4: model: the data set two_moons has no closed-form denoiser; \
             give `model` a network, write `model: empirical`, or choose a Gaussian or a mixture of Gaussians",
        ),
        (
            EXACT,
            "model: exact",
            "model: {empirical: {points: 0}}",
            "4: model.empirical.points: 0 is too small; write a whole number of at least 1",
        ),
        (
            LEARNED,
            "model: {network: {mlp: {width: 16, depth: 2}}, predict: noise}",
            "model: empirical",
            "5: train: there is nothing to train with `model: empirical`; remove `train`, or give `model` a network",
        ),
    ] {
        place.write("wrong.yaml", with(text, old, new));
        refuses(&place, &["run", "wrong.yaml"], &format!("wrong.yaml:{said}"));
    }
}

#[test]
fn overrides_that_cannot_be() {
    let place = Place::new();
    for (setting, said) in [
        ("train.steps", "there is no `=`; write path=value, such as train.steps=100"),
        ("train.steps=0", "0 is too small; write a whole number of at least 1"),
        (
            "trian.steps=9",
            "unknown key `trian`; did you mean `train`? \
             allowed: name, description, seed, data, sde, model, train, sample, compare, likelihood",
        ),
        (
            "sample=[1",
            "the value is not YAML: the list that starts with `[` on line 1 is not closed; \
                       add the missing `,` or `]`",
        ),
    ] {
        refuses(&place, &["run", "tiny.yaml", "--set", setting], &format!("--set {setting}: {said}"));
    }
}

#[test]
fn experiments_and_runs_that_are_not_there() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).expect("a folder");
    let yaml_or_run = "No such file or directory (os error 2); give a YAML file, or the folder of a run";
    let without = "start one without --resume, or name its folder with --out";
    let train_first = "train one first: ornstein train EXPERIMENT";
    let untrained = format!("experiment: no trained model of this experiment in runs/tiny; {train_first}");
    for (arguments, said) in [
        (&["run", "none.yaml"][..], format!("none.yaml: {yaml_or_run}")),
        (
            &["run", "empty"],
            "empty: there is no run in this folder (no experiment.yaml); give a folder such as runs/NAME/WHEN-HASH"
                .into(),
        ),
        (
            &["run", "tiny.yaml", "--resume"],
            format!("--resume: there is no run of this experiment with a checkpoint under runs/tiny; {without}"),
        ),
        (
            &["train", "tiny.yaml", "--resume", "--out", "empty"],
            format!("--resume: there is no run in empty; {without}"),
        ),
        (&["sample", "tiny.yaml"], untrained.clone()),
        (&["report", "tiny.yaml"], untrained.clone()),
        (&["compare", "tiny.yaml", "--set", "compare={entries: [{solver: heun}], nfe: [4]}"], untrained),
        (
            &["sample", "tiny.yaml", "--out", "empty"],
            "--out empty: there is no run in this folder; \
             train one there first, or leave --out away for the newest run of this experiment"
                .into(),
        ),
        (
            &["compare", "exact.yaml"],
            "compare: the experiment has no `compare` section; \
             add one, for example `compare: {entries: [{solver: heun}, {solver: dpmpp_2m}], nfe: [10, 20, 50]}`"
                .into(),
        ),
        (
            &["train", "exact.yaml"],
            "train: the experiment has `model: exact`, which needs no training; \
             give `model` a network, or run sample or compare"
                .into(),
        ),
        (
            &["sample", "exact.yaml", "--checkpoint", "step.json"],
            "--checkpoint step.json: the experiment has `model: exact`, which has none; \
             leave --checkpoint away, or give `model` a network"
                .into(),
        ),
        (
            &["train", "exact.yaml", "--set", "model=empirical"],
            "train: the experiment has `model: empirical`, which needs no training; \
             give `model` a network, or run sample or compare"
                .into(),
        ),
        (
            &["sample", "exact.yaml", "--set", "model=empirical", "--checkpoint", "step.json"],
            "--checkpoint step.json: the experiment has `model: empirical`, which has none; \
             leave --checkpoint away, or give `model` a network"
                .into(),
        ),
        (
            &["report", "exact.yaml"],
            "report: an experiment without training has no run of its own; give the folder of a run: runs/NAME/WHEN-HASH"
                .into(),
        ),
    ] {
        refuses(&place, arguments, &said);
    }
}

#[test]
fn devices_that_are_not_there() {
    let place = Place::new();
    refuses(
        &place,
        &["run", "exact.yaml", "--device", "gpu"],
        "--device gpu: unknown device; write cpu, cuda, cuda:N or mps",
    );
    refuses(
        &place,
        &["run", "exact.yaml", "--threads", "100000"],
        "--threads: 100000 threads are more than any machine can use; write at most 1024, or 0 for one a core",
    );
    // No machine has a hundred of them; the reason, though, is the machine's.
    let said = silent_refusal(&place, &["run", "exact.yaml", "--device", "cuda:99"]);
    assert!(said.starts_with("error: --device cuda:99: ") && said.lines().count() == 1, "{said}");
    assert!(said.contains("use --device cpu") || said.contains("name a smaller index"), "{said}");
}

#[test]
fn places_that_cannot_be_written() {
    let place = Place::new();
    // Root may write everywhere, but not below a file.
    place.write("file", "");
    for (arguments, path) in [
        (&["run", "exact.yaml", "--out", "file/run"][..], "file/run"),
        (&["train", "tiny.yaml", "--out", "file/run"], "file/run"),
        (&["sample", "exact.yaml", "--output", "file/y.npy"], "file/y.npy"),
        (&["sample", "exact.yaml", "--output", "y.npy", "--trajectory", "file/steps"], "file/steps"),
    ] {
        let said = format!(
            "cannot write {path}: Not a directory (os error 20); choose another place for it, or change its permissions"
        );
        refuses(&place, arguments, &said);
    }
}

#[test]
fn arrays_that_do_not_fit() {
    let place = Place::new();
    place.write_npy("x.npy", &ArrayD::zeros(vec![3, 2]));
    place.write_npy("wide.npy", &ArrayD::zeros(vec![3, 5]));
    place.write_npy("nobody.npy", &ArrayD::zeros(vec![0, 2]));
    place.write_npy("z4.npy", &ArrayD::zeros(vec![4, 3, 2]));
    place.write_npy("z-other.npy", &ArrayD::zeros(vec![5, 4, 2]));
    place.write("text.npy", "no array");
    place.write("short.npy", &place.read("x.npy")[..100]);
    let save = "save a float64 or float32 array with numpy.save";
    let kind = "this is not a .npy file of floating-point numbers";
    for (arguments, said) in [
        (&["--init", "none.npy"][..], format!("none.npy: No such file or directory (os error 2); {save}")),
        (&["--noise", "none.npy"], format!("none.npy: No such file or directory (os error 2); {save}")),
        (
            &["--init", "text.npy"],
            format!("text.npy: {kind} (error parsing header: start does not match magic string); {save}"),
        ),
        (&["--init", "wide.npy"], "wide.npy: the array has the shape [3, 5]; save one of the shape [N, 2]".into()),
        (&["--init", "nobody.npy"], "nobody.npy: the array has the shape [0, 2]; save one of the shape [N, 2]".into()),
        (
            &["--init", "x.npy", "--noise", "z-other.npy"],
            "z-other.npy: the array has the shape [5, 4, 2]; save one of the shape [N, 3, 2]".into(),
        ),
        (
            // Five steps of Euler–Maruyama draw five times.
            &["--init", "x.npy", "--noise", "z4.npy"],
            "--noise: it has 4 draws and the solver needs more; give one array of normals for each draw of the solver"
                .into(),
        ),
    ] {
        refuses(&place, &[&["sample", "exact.yaml"], arguments].concat(), &said);
    }
    let said = silent_refusal(&place, &["sample", "exact.yaml", "--init", "short.npy"]);
    assert!(
        said.starts_with(&format!("error: short.npy: {kind} (")) && said.ends_with(&format!("; {save}\n")),
        "{said}"
    );
}

#[test]
fn tables_that_cannot_be_learnt() {
    let place = Place::new();
    place.write("table.yaml", with(LEARNED, "data: two_moons", "data: {table: {file: data/a.csv}}"));
    std::fs::create_dir(place.path("data")).expect("a folder");
    let refuses = |text: &str, more: &[&str], said: &str| {
        place.write("data/a.csv", text);
        refuses(&place, &[&["run", "table.yaml", "--data", "."], more].concat(), said);
    };
    let file = "./data/a.csv";
    let at = "table.yaml:2: data.table";
    refuses(
        "x,y\n1,2\n3,four\n",
        &[],
        &format!(
            "{at}.file: {file}:3: column `y`: \"four\" is not a number; \
             correct it, or leave the column out of `columns`"
        ),
    );
    refuses(
        "x,y\n1,2\n3\n",
        &[],
        &format!(
            "{at}.file: {file}:3: 1 field where line 1 has 2; \
             give every row as many; quote a text that holds a delimiter, and close every quote"
        ),
    );
    refuses(
        "x,y\n1,2\n3,nan\n",
        &[],
        &format!(
            "{at}.file: {file}:3: column `y`: NaN is not a finite number; \
             fill the gap, remove the row, or leave the column out of `columns`"
        ),
    );
    let twenty = "x,y\n".to_owned() + &(0..20).map(|i| format!("{i},7\n")).collect::<String>();
    refuses(
        &twenty,
        &[],
        &format!(
            "{at}.standardise: `y` is 7 in every training row; \
             leave the column out of `columns`, or write `standardise: false`"
        ),
    );
    for (setting, said) in [
        (
            "data.table.columns=[x, yy]",
            ": data.table.columns[1]: {file} has no column `yy`; did you mean `y`? the columns are x, y",
        ),
        ("data.table.columns=[-1]", ": data.table.columns[0]: -1 is negative; count the columns from 0"),
        ("data.table.columns=[x, x]", ": data.table.columns[1]: column `x` stands here twice; keep one of them"),
        ("data.table.where={y: 8}", ": data.table.where.y: no row of {file} has 8 there; its values are 7"),
        (
            "data.table.file=b.txt",
            "b.txt has an ending that says nothing of its form; \
          give a .csv or .tsv file, plain or .gz, or a .npy or .npz file",
        ),
        (
            "data.table.validation=1",
            "1 is not a share of the rows that leaves some to train; \
             write a number of at least 0 and below 1, such as 0.1",
        ),
        ("data.table.validation=0.01", "0.01 of 20 rows is none; hold out more, or write 0"),
        (
            "data.table.colums=[x]",
            "unknown key `colums`; did you mean `columns`? \
             allowed: file, columns, where, header, array, sphere, standardise, validation, split_seed",
        ),
    ] {
        let colon = if said.starts_with(':') { "" } else { ": " };
        let said = format!("--set {setting}{colon}{}", said.replace("{file}", file));
        refuses(&twenty, &["--set", setting], &said);
    }
}

/// What stands in a run folder may be damaged, or of something else.
#[test]
fn runs_and_checkpoints_that_do_not_fit() {
    let place = Place::new();
    // With the last checkpoint alone: an older one would take its place.
    place.run(&["train", "tiny.yaml", "--out", "run", "--quiet", "--set", "train.keep=1"]).ok();
    place.run(&["sample", "exact.yaml", "--out", "drawn", "--quiet"]).ok();
    refuses(
        &place,
        &["run", "tiny.yaml", "--out", "run"],
        "--out run: this folder holds a run already; add --resume to go on with it, or choose another folder",
    );
    refuses(
        &place,
        &["run", "run", "--out", "other"],
        "--out other: the results of the run run stay in its own folder; \
         leave --out away, or give the YAML file of the experiment",
    );
    let differs = "is of another experiment (its seed, data, process, model or training differ)";
    let without = "start one without --resume, or name its folder with --out";
    refuses(
        &place,
        &["run", "tiny.yaml", "--resume", "--out", "run", "--seed", "7"],
        &format!("--resume: the run in run {differs}; {without}"),
    );
    refuses(
        &place,
        &["run", "exact.yaml", "--resume", "--out", "drawn", "--set", "sde=vp"],
        &format!("--resume: the run in drawn {differs}; {without}"),
    );
    refuses(
        &place,
        &["sample", "run", "--set", "sde=ve"],
        &format!(
            "run/checkpoints/step-00000040.json: this checkpoint {differs}; give the experiment that it was trained with"
        ),
    );

    let (tensors, manifest) = ("run/checkpoints/step-00000040.safetensors", "run/checkpoints/step-00000040.json");
    let again = "choose another checkpoint, or train again without --resume";
    let whole = place.read(tensors);
    let bytes = whole.len();
    let all: [&[&str]; 3] = [
        // Quiet, for otherwise the name of the folder comes before the error.
        &["run", "tiny.yaml", "--resume", "--out", "run", "-q"],
        &["sample", "run"],
        &["report", "tiny.yaml", "--out", "run"],
    ];
    let damaged = |contents: &[u8], said: &str| {
        place.write(tensors, contents);
        all.iter().for_each(|arguments| refuses(&place, arguments, &format!("{tensors}: {said}; {again}")));
    };
    damaged(&whole[..1000], &format!("the file is truncated: 1000 bytes of {bytes}"));
    damaged(&[], &format!("the file is truncated: 0 bytes of {bytes}"));
    damaged(&vec![b'x'; bytes], "the file is damaged: its SHA-256 is not that of its manifest");
    std::fs::remove_file(place.path(tensors)).expect("a file");
    refuses(&place, all[0], &format!("{tensors}: No such file or directory (os error 2); {again}"));
    place.write(tensors, &whole);
    let text = place.text(manifest);
    // Of what a later version may have changed only the number and the name of the program are read.
    place.write(manifest, r#"{"format": 3, "version": "9.1.0", "shards": ["a", "b"]}"#);
    for arguments in all {
        let said = "checkpoint format 3 where this program reads format 2; use ornstein 9.1.0 for it";
        refuses(&place, arguments, &format!("{manifest}: {said}"));
    }
    assert!(text.contains("\"format\": 2"));
    place.write(manifest, "not JSON");
    for arguments in all {
        let said =
            format!("{manifest}: this is not a checkpoint manifest (expected ident at line 1 column 2); {again}");
        refuses(&place, arguments, &said);
    }
}

#[test]
fn features_of_data_that_have_no_classes() {
    let place = Place::new();
    place.write("exact.yaml", EXACT);
    let none = "data: these data have no classes to learn features from; choose images with labels, such as Fashion-MNIST \
                or CIFAR-10";
    refuses(&place, &["features", "exact.yaml"], none);
    refuses(&place, &["features", "exact.yaml", "--output", "elsewhere"], none);
    for (settings, said) in [
        ("{steps: 0}", "0 is too small (steps); write a whole number of at least 1"),
        (
            "{network: {widths: [30]}}",
            "30 channels cannot be divided into 8 groups (network.widths[0]); write a multiple of `groups`",
        ),
    ] {
        let said = format!("--classifier {settings}: {said}");
        refuses(&place, &["features", "exact.yaml", "--classifier", settings], &said);
    }
}

/// What clap refuses: several lines, with the usage, but the same exit code and no trace.
#[test]
fn verbs_and_flags_that_do_not_exist() {
    let place = Place::new();
    for (arguments, first) in [
        (&["rnu", "exact.yaml"][..], "error: unrecognized subcommand 'rnu'"),
        (&["run", "exact.yaml", "--sede", "1"], "error: unexpected argument '--sede' found"),
        (
            &["run", "exact.yaml", "--seed", "x"],
            "error: invalid value 'x' for '--seed <SEED>': invalid digit found in string",
        ),
        (&["run", "exact.yaml", "-q", "-v"], "error: the argument '--quiet' cannot be used with '--verbose'"),
        (&["run"], "error: the following required arguments were not provided:"),
        (&["list", "solver"], "error: invalid value 'solver' for '[WHAT]'"),
    ] {
        let said = silent_refusal(&place, arguments);
        assert_eq!(said.lines().next(), Some(first), "{said}");
        assert!(said.contains("--help"), "{said}");
    }
}
