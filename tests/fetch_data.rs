//! The script that fetches public data sets, against a server on this machine: `tests/fetch_data.py`.

use std::process::Command;

#[test]
fn downloads_are_whole_and_right_or_not_there() {
    let root = env!("CARGO_MANIFEST_DIR");
    let arguments = [format!("{root}/tests/fetch_data.py"), format!("{root}/scripts/fetch-data")];
    let output = Command::new("python3").args(arguments).env_remove("ORNSTEIN_MIRROR").output().expect("Python 3");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{wrong}");
    assert_eq!(said.lines().count(), 8, "{said}");
}

#[test]
fn a_set_that_nobody_knows_is_refused() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/fetch-data");
    let output = Command::new("python3").args([script, "fashion-minst"]).output().expect("Python 3");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("invalid choice: 'fashion-minst'") && said.contains("cifar-10"), "{said}");
}
