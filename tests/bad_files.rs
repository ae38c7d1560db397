//! Files that are not what they should be: experiments, their bases and sweeps, arrays, tables, and what stands in a
//! run folder. One sentence on standard error, exit code 2, nothing written.

mod place;

use place::{EXACT, LEARNED, Place, refuses};

#[test]
fn texts_that_are_none() {
    let place = Place::new();
    let check = ["check", "this.yaml"];
    place.write("this.yaml", [EXACT.as_bytes(), b"description: \xdcbung\n"].concat());
    refuses(&place, &check, "this.yaml:6:14: this is not text in UTF-8; save the file as UTF-8");
    // As some editors on Windows save it.
    let wide: Vec<u8> = EXACT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    place.write("this.yaml", [b"\xff\xfe", wide.as_slice()].concat());
    refuses(&place, &check, "this.yaml:1:1: this is not text in UTF-8; save the file as UTF-8");
    place.write("this.yaml", vec![b'#'; (4 << 20) + 1]);
    let large = "it has more than 4 MiB; give a YAML file, or the folder of a run";
    refuses(&place, &check, &format!("this.yaml: {large}"));
    #[cfg(unix)]
    refuses(&place, &["check", "/dev/zero"], &format!("/dev/zero: {large}"));
}

#[test]
fn bases_and_sweeps_that_cannot_be() {
    let place = Place::new();
    place.write("list.yaml", "[1, 2]\n");
    let many: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    let many = many.join(", ");
    let vast = format!("{LEARNED}sweep: {{seed: [{many}], sample.count: [{}]}}\n", many.replace("0, ", ""));
    let cells = format!("{LEARNED}sweep: [{}]\n", "{}, ".repeat(10_001));
    for (text, said) in [
        (
            "name: x\nbase: 3\n",
            "2: base: expected the path of an experiment file, found the number 3; \
             write one relative to this file, or remove the key",
        ),
        (
            "name: x\nbase: \"a\\0b\"\n",
            "2: base: the base a\\u{0}b cannot be read (file name contained an unexpected NUL byte); \
             give the path of a YAML file, relative to the file that names it",
        ),
        (
            &format!("{LEARNED}sweep: 3\n"),
            "7: sweep: expected a grid or a list of cells, found the number 3; \
             write a grid, such as {seed: [0, 1, 2]}, or a list of cells, or remove `sweep`",
        ),
        (
            &format!("{LEARNED}sweep: {{seed: 3}}\n"),
            "7: sweep.seed: expected a list of values, found the number 3; put them in brackets, as in `seed: [3]`",
        ),
        (
            &format!("{LEARNED}sweep: [3]\n"),
            "7: sweep[0]: expected a cell, found the number 3; write paths with their values, as in {sde: ve, seed: 1}",
        ),
        (
            &format!("{LEARNED}sweep: [{{label: 3}}]\n"),
            "7: sweep[0].label: expected a text, found the number 3; write one, in quotes if it looks like a number",
        ),
        (&vast, "7: sweep: the grid has more than 10000 cells; take fewer values, or write the cells out as a list"),
        (&cells, "7: sweep: the sweep has more than 10000 cells; write fewer"),
    ] {
        place.write("this.yaml", text);
        refuses(&place, &["check", "this.yaml"], &format!("this.yaml:{said}"));
    }
    place.write("this.yaml", "name: x\nbase: list.yaml\n");
    refuses(
        &place,
        &["check", "this.yaml"],
        "list.yaml: expected a map of settings, found a list; \
         write `key: value`, or remove `base` where this file is named",
    );
    place.write("this.yaml", format!("{LEARNED}sweep: [{{seed: 1}}]\n"));
    refuses(
        &place,
        &["check", "this.yaml", "--set", "sweep.seed=[1]"],
        "--set sweep.seed=[1]: the sweep is no grid; set `sweep` as a whole",
    );
    refuses(
        &place,
        &["compare", "this.yaml", "--checkpoint", "a.json"],
        "--checkpoint a.json: the cells of a sweep have their own; leave it away, or give the folder of one cell",
    );
    place.write("exact-sweep.yaml", format!("{EXACT}sweep: {{seed: [1, 2]}}\n"));
    let outcome = place.run(&["train", "exact-sweep.yaml"]);
    assert_eq!(
        outcome.stderr,
        "error: train: all cells have `model: exact`, which needs no training; \
         give `model` a network, or run sample or compare\n"
    );
}

/// A header may promise what it likes: nothing is allocated before the file is known to hold it.
#[test]
fn arrays_whose_header_lies() {
    let place = Place::new();
    let npy = |header: &str, data: &[u8]| {
        let length = (header.len() as u32).to_le_bytes();
        [b"\x93NUMPY\x02\x00", &length[..], header.as_bytes(), data].concat()
    };
    let shaped = |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
    let save = "save a float64 or float32 array with numpy.save";
    for (bytes, said) in [
        (npy(&shaped("(1000000000000000000, 2)"), &[]), "its header promises more numbers than the file holds"),
        (npy(&shaped("(0, 9223372036854775807, 9)"), &[]), "its header promises more numbers than the file holds"),
        (
            npy(&shaped("(1,)").replace("'<f8'", &"[".repeat(9000)), &[0; 8]),
            "its header is not that of an array of plain numbers",
        ),
        (npy(&" ".repeat(20_000), &[]), "its header is longer than any that numpy writes"),
        (npy("{'shape': 3}", &[]), "its header is not one that numpy writes"),
    ] {
        place.write("x.npy", bytes);
        for flag in ["--init", "--noise"] {
            refuses(&place, &["sample", "exact.yaml", flag, "x.npy"], &format!("x.npy: {said}; {save}"));
        }
    }
    refuses(&place, &["sample", "exact.yaml", "--init", "."], &format!(".: Is a directory (os error 21); {save}"));
}

#[test]
fn tables_whose_settings_do_not_fit() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder.csv")).expect("a folder");
    place.write("a.csv", "x,y\n".to_owned() + &(0..20).map(|i| format!("{i},{}\n", i % 7)).collect::<String>());
    place.write("few.csv", "x,y\n1,2\n3,5\n5,4\n2,7\n9,9\n");
    let swapped = "{'descr': '>f8', 'fortran_order': False, 'shape': (2, 2), }\n";
    let swapped = [b"\x93NUMPY\x01\x00", &(swapped.len() as u16).to_le_bytes()[..], swapped.as_bytes(), &[0; 32]];
    place.write("swapped.npy", swapped.concat());
    let deep = format!("{{'descr': {}, 'fortran_order': False, 'shape': (2, 2), }}\n", "[".repeat(5000));
    let deep = [b"\x93NUMPY\x01\x00", &(deep.len() as u16).to_le_bytes()[..], deep.as_bytes()].concat();
    place.write("deep.npy", deep);
    for (table, said) in [
        ("table", "file: no file is named; write one, such as `file: points.csv`"),
        (
            "{table: {file: a.csv, columns: []}}",
            "columns: the list is empty; name at least one, or leave `columns` out for all",
        ),
        (
            "{table: {file: a.csv, array: x}}",
            "array: a.csv holds one array; remove `array`: it chooses among the arrays of an .npz file",
        ),
        (
            "{table: {file: a.csv, sphere: [x, x]}}",
            "sphere: column `x` stands here twice; \
             name the latitudes first, then the longitudes, as in `[latitude, longitude]`",
        ),
        ("{table: {file: a.csv, where: {x: 1, y: 2}}}", "where: it leaves no column to learn; name some in `columns`"),
        (
            "{table: {file: a.csv, columns: [x], sphere: [x, y]}}",
            "sphere[1]: column `y` is not among `columns`; name it there too",
        ),
        (
            "{table: {file: a.csv, columns: [x], where: {x: 1, y: 2}}}",
            "where: no row meets all of these conditions; leave some of them out",
        ),
        (
            "{table: {file: folder.csv}}",
            "file: ./folder.csv cannot be read: Is a directory (os error 21); make it a readable file",
        ),
        (
            "{table: {file: swapped.npy}}",
            "file: ./swapped.npy: its numbers have the bytes in the other order; \
             save a.astype(a.dtype.newbyteorder('='))",
        ),
        (
            "{table: {file: deep.npy}}",
            "file: ./deep.npy: its header is not that of an array of plain numbers; save it with numpy.save",
        ),
    ] {
        place.write("this.yaml", LEARNED.replace("data: two_moons", &format!("data: {table}")));
        refuses(&place, &["check", "this.yaml", "--data", "."], &format!("this.yaml:2: data.table.{said}"));
    }
    let compare = "compare: {entries: [{solver: heun}], nfe: [4], count: 8}\n";
    for (validation, said) in [
        (
            "0.2",
            "1 rows held out are too few to compare with, at least 4; hold out more, or none to compare with the training rows",
        ),
        ("0.8", "1 rows left to train are too few to compare with, at least 4; take more rows, or hold out fewer"),
    ] {
        let table = format!("data: {{table: {{file: few.csv, validation: {validation}, standardise: false}}}}");
        place.write("this.yaml", LEARNED.replace("data: two_moons", &table) + compare);
        refuses(&place, &["check", "this.yaml", "--data", "."], &format!("this.yaml:2: data.table: {said}"));
    }
}

/// What stands in the folder of a run may have been changed by others.
#[test]
fn runs_that_were_changed() {
    let place = Place::new();
    place.run(&["sample", "exact.yaml", "--out", "run", "-q"]).ok();
    let report = ["report", "run", "-q"];
    let again = |name: &str, bad: &[u8], said: &str| {
        let good = std::fs::read(place.path(&format!("run/{name}"))).ok();
        place.write(&format!("run/{name}"), bad);
        let outcome = place.run(&report);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(2), format!("error: {said}\n").as_str()), "{name}");
        match good {
            Some(good) => place.write(&format!("run/{name}"), good),
            None => std::fs::remove_file(place.path(&format!("run/{name}"))).expect("a file"),
        }
    };
    again(
        "run.json",
        b"{",
        "run/run.json: EOF while parsing an object at line 1 column 1; \
         the folder is not one that `ornstein run` made",
    );
    again(
        "compare.csv",
        b"entry,budget\nx,\n",
        "run/compare.csv: CSV deserialize error: record 1 (line: 2, byte: 13): missing field `repeat`; run `ornstein compare` again",
    );
    place.run(&report).ok();
}

#[test]
fn averages_without_snapshots() {
    let place = Place::new();
    let power = "train.ema={power: {std: 0.1}}";
    place.run(&["train", "tiny.yaml", "--out", "run", "-q", "--set", power]).ok();
    refuses(
        &place,
        &["sample", "run", "--set", "train.snapshot_every=10", "--set", "sample.ema={power: {std: 0.2}}"],
        "run/checkpoints/snapshots: there are no snapshots up to step 40; \
         train with `train.snapshot_every` and a power average in `train.ema`",
    );
}

#[test]
fn tolerances_that_cannot_be_met() {
    let place = Place::new();
    let solver = "sample.solver={dopri5: {rtol: 1.0e-300, atol: 1.0e-300}}";
    let outcome = place.run(&["sample", "exact.yaml", "--output", "y.npy", "-q", "--set", solver]);
    assert_eq!(outcome.code, Some(1));
    let said = "error: error control stopped at t = 8.000000e1: ";
    let remedy = "; loosen rtol and atol, or use --precision float64\n";
    assert!(outcome.stderr.starts_with(said) && outcome.stderr.ends_with(remedy), "{}", outcome.stderr);
    assert!(!place.path("y.npy").exists());
}

#[test]
#[cfg(not(target_os = "macos"))]
fn there_is_no_metal_here() {
    refuses(
        &Place::new(),
        &["run", "exact.yaml", "--device", "mps"],
        "--device mps: this LibTorch has no Metal support; use --device cpu, or run on a Mac with Apple silicon",
    );
}
