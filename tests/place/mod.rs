//! Runs the program itself, in a folder of its own, and looks at all that it leaves behind.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ndarray::ArrayD;
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use tempfile::TempDir;

/// A small exact experiment: no training, so that a test of sampling takes a fraction of a second.
pub const EXACT: &str = "\
name: exact
data: {gaussian: {mean: [0.5, -1.0], spectrum: [1.0, 0.25]}}
sde: edm
model: exact
sample: {count: 8, solver: euler_maruyama, grid: karras, steps: 5}
";

/// A small experiment that learns something in about a second.
pub const LEARNED: &str = "\
name: tiny
data: two_moons
sde: vp
model: {network: {mlp: {width: 16, depth: 2}}, predict: noise}
train: {steps: 40, batch: 32, warmup: 5, ema: {half_life: 10}, log_every: 5, checkpoint_every: 10}
sample: {count: 64, solver: dpmpp_2m, grid: karras, steps: 5, chunk: 16}
";

/// The folder with the 200 images of Fashion-MNIST that are shipped, for `--data`.
pub fn fixtures() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").display().to_string()
}

/// What the program did.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote for programs.
    pub stdout: String,
    /// What it wrote for people.
    pub stderr: String,
}

impl Outcome {
    /// Asserts that all went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// The JSON on standard output.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {:?}", self.stdout))
    }
}

/// A folder to work in.
#[derive(Debug)]
pub struct Place(TempDir);

impl Place {
    /// A fresh folder with `exact.yaml` and `tiny.yaml`.
    pub fn new() -> Self {
        let place = Place(tempfile::tempdir().expect("a temporary folder"));
        place.write("exact.yaml", EXACT);
        place.write("tiny.yaml", LEARNED);
        place
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).expect("a writable file");
    }

    /// The bytes of a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The text of a file.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// The program with these arguments, to be started in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("ornstein"));
        command.current_dir(self.0.path()).args(arguments).stdin(Stdio::null());
        // Tests run side by side; OpenMP threads that spin while they wait make that several times slower.
        command.env("OMP_WAIT_POLICY", "PASSIVE");
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Everything in the folder: files with their contents, folders without. The lock of a run names its last process.
    pub fn listing(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        list(self.0.path(), &mut found);
        found
    }

    /// Writes a float64 `.npy` file.
    pub fn write_npy(&self, name: &str, array: &ArrayD<f64>) {
        let mut data = Vec::new();
        array.write_npy(&mut data).expect("memory can be written");
        self.write(name, data);
    }

    /// Reads a float64 `.npy` file.
    #[track_caller]
    pub fn read_npy(&self, name: &str) -> ArrayD<f64> {
        ArrayD::read_npy(self.read(name).as_slice()).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

/// Asserts the whole of what the program says of wrong input, and that it leaves no trace.
#[track_caller]
pub fn refuses(place: &Place, arguments: &[&str], message: &str) {
    let said = silent_refusal(place, arguments);
    assert_eq!(said, format!("error: {message}\n"), "{arguments:?}");
}

/// Asserts that the program refuses and leaves no trace; what it says.
#[track_caller]
pub fn silent_refusal(place: &Place, arguments: &[&str]) -> String {
    let before = place.listing();
    let outcome = place.run(arguments);
    assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
    assert_eq!(outcome.stdout, "", "{arguments:?}");
    // Contents too, so that a file that is there may not be touched either.
    assert!(place.listing() == before, "{arguments:?} left something behind");
    outcome.stderr
}

fn list(folder: &Path, found: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with(".lock") {
            continue;
        }
        if path.is_dir() {
            list(&path, found);
            found.insert(path, None);
        } else {
            let contents = fs::read(&path).expect("a file");
            found.insert(path, Some(contents));
        }
    }
}
