//! Compares the folders of two runs of one experiment, byte by byte, but for what clocks say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::place::Place;

/// The event file of a run.
pub const EVENTS: &str = "events.out.tfevents.ornstein";

/// Asserts that the training in the folder `other` left the same as that in `run`: checkpoints with parameters, moments
/// and averages, the best one, snapshots, logs, events. Losses follow the data, so that their order is compared too.
#[track_caller]
pub fn same_course(place: &Place, run: &str, other: &str) {
    let [a, b] = [run, other].map(|run| course(&place.path(run)));
    let names = a.keys().chain(b.keys()).collect::<BTreeSet<&String>>();
    let differ: Vec<&String> = names.into_iter().filter(|&name| a.get(name) != b.get(name)).collect();
    assert!(differ.is_empty(), "{run} and {other} differ in {differ:?}");
}

/// What a training has left, by name, without what clocks have said.
fn course(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |name: &str| fs::read(run.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let text = |name: &str| String::from_utf8(read(name)).expect("text");
    let mut found = BTreeMap::new();
    let metrics = text("metrics.csv");
    assert!(metrics.ends_with('\n'), "{metrics}");
    let metrics = metrics.lines().map(|line| line.rsplit_once(',').expect("five columns").0.to_owned() + "\n");
    found.insert("metrics.csv".to_owned(), metrics.collect::<String>().into_bytes());
    for name in ["validation.csv", "levels.csv", "experiment.yaml"] {
        if run.join(name).is_file() {
            found.insert(name.to_owned(), read(name));
        }
    }
    found.insert(EVENTS.to_owned(), events(&read(EVENTS)).concat());
    for path in files(&run.join("checkpoints")) {
        let name = path.strip_prefix(run).expect("in the run").display().to_string();
        let contents = fs::read(&path).expect("a file");
        found.insert(name.clone(), if name.ends_with(".json") { manifest(&contents) } else { contents });
    }
    found
}

/// A manifest without seconds, and without what depends on how many digits they have.
fn manifest(contents: &[u8]) -> Vec<u8> {
    let mut manifest: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(contents).expect("a manifest");
    assert!(manifest.remove("seconds").is_some() && manifest.remove("seal").is_some());
    // Snapshots know of no logs.
    manifest["logs"].as_object_mut().expect("lengths").remove("metrics.csv");
    serde_json::to_vec(&manifest).expect("JSON")
}

/// The data of the records of an event file, whose checksums must be right, without wall times and rates.
fn events(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let masked = |data: &[u8]| crc32c::crc32c(data).rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_at(8);
        let n = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
        assert_eq!(after[..4], masked(length), "the checksum of a length");
        let data = &after[4..][..n];
        assert_eq!(after[4 + n..][..4], masked(data), "the checksum of a record");
        rest = &after[4 + n + 4..];
        let mut data = data.to_vec();
        // Field 1, the wall time, comes first.
        assert_eq!(data[0], 0x09);
        data[1..9].fill(0);
        let rate = b"train/examples_per_second";
        if let Some(at) = data.windows(rate.len()).position(|window| window == rate) {
            // Field 2, a float.
            let value = &mut data[at + rate.len()..][..5];
            assert_eq!(value[0], 0x15);
            assert!(f32::from_le_bytes(value[1..].try_into().expect("four bytes")) > 0.0);
            value[1..].fill(0);
        }
        found.push(data);
    }
    found
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
