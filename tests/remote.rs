//! The script that runs an experiment on another machine, which here is another folder.
#![cfg(target_os = "linux")]

mod place;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use place::Place;

const BASE: &str = "\
data: two_moons
sde: vp
model: {network: {mlp: {width: 8, depth: 2}}}
train: {steps: 20, batch: 16, checkpoint_every: 10, validate: null}
sample: {count: 6, steps: 3}
";

/// A folder with an experiment, and a command that reaches the folder `far` as ssh would reach a host.
fn place() -> Place {
    let place = Place::new();
    for folder in ["near/shared", "far", "box", "old/lib"] {
        std::fs::create_dir_all(place.path(folder)).expect("a folder");
    }
    place.write("near/shared/base.yaml", BASE);
    place.write("near/tiny.yaml", "name: tiny\nbase: shared/base.yaml\n");
    let far = place.path("far").display().to_string();
    place.write("reach", format!("#!/bin/sh\n[ \"$1\" = box ] || exit 255\nshift\ncd {far} && exec sh -c \"$*\"\n"));
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path("reach"), executable).expect("a script");
    place
}

fn remote(place: &Place, arguments: &[&str], torch: &Path) -> Output {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/remote"));
    command.args(arguments).current_dir(place.path("near")).env("BINARY", env!("CARGO_BIN_EXE_ornstein"));
    command.env("SSH", place.path("reach")).env("TORCH_LIB", torch).env_remove("WITH_DATA").output().expect("bash")
}

fn libtorch() -> std::path::PathBuf {
    let folder = std::env::var_os("LIBTORCH").map_or(".libtorch".into(), std::path::PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("lib")
}

#[test]
fn a_run_goes_there_and_comes_back() {
    let place = place();
    let output = remote(&place, &["box", "tiny.yaml", "--device", "cpu", "-q", "--set", "sample.steps=4"], &libtorch());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let runs = place.path("near/runs/tiny");
    let run = std::fs::read_dir(runs).expect("a run").flatten().next().expect("a run").path();
    assert!(run.join("samples.npy").is_file() && run.join("report.html").is_file(), "{said}");
    assert!(std::fs::read_to_string(run.join("experiment.yaml")).expect("a text").contains("steps: 4"));
    // What came back is a run like any other.
    place.run(&["sample", &run.display().to_string(), "-q", "--output", "again.npy", "--set", "sample.steps=4"]).ok();
    assert_eq!(place.read("again.npy"), std::fs::read(run.join("samples.npy")).expect("samples"));
}

#[test]
fn a_parcel_stands_alone_and_wrong_libraries_are_refused() {
    let place = place();
    let output = remote(&place, &["--pack", "x.tar.gz", "tiny.yaml"], &libtorch());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let unpack = Command::new("tar").args(["-xzf", "../near/x.tar.gz"]).current_dir(place.path("box")).status();
    assert!(unpack.expect("tar").success());
    place.write("old/version.py", "__version__ = '2.4.1+cu121'\n");
    let start = |torch: &Path| {
        let mut start = Command::new(place.path("box/start"));
        start.args(["--device", "cpu", "-q"]).env("TORCH_LIB", torch).output().expect("bash")
    };
    let old = start(&place.path("old/lib"));
    let said = String::from_utf8_lossy(&old.stderr).into_owned();
    assert!(
        old.status.code() == Some(2) && said.contains("is of torch 2.4.1, and this program is made for 2.11"),
        "{said}"
    );
    let output = start(&libtorch());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.path("box/run/report.html").is_file());

    let output = remote(&place, &["box", "huge.yaml"], &libtorch());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no file huge.yaml"));
}
