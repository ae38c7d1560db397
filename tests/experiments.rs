//! Every experiment that comes with the program is one: it resolves, is named after its file, and says what it shows.

mod place;

use std::fs;
use std::path::{Path, PathBuf};

use ornstein::experiment::{Document, Spec};
use place::Place;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every YAML file below a folder.
fn experiments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(experiments(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_experiment_resolves() {
    let all = experiments(&root().join("experiments"));
    assert!(!all.is_empty());
    for path in &all {
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        let text = fs::read_to_string(path).expect("a text");
        let document = Document::open(path).unwrap_or_else(|e| panic!("{e}"));
        let specs: Vec<Spec> = match document.sweep(&[]).unwrap_or_else(|e| panic!("{e}")) {
            Some(sweep) => sweep.cells.into_iter().map(|cell| cell.spec).collect(),
            None => vec![document.spec(&[]).unwrap_or_else(|e| panic!("{e}"))],
        };
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(header.len() >= 2, "{name}: the header should say what the experiment shows");
        for spec in specs {
            assert_eq!(Some(spec.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()), "{name}");
            // What `check` prints is the same experiment with everything written out.
            let resolved = Spec::parse(&spec.to_yaml(), "resolved", &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(resolved, spec, "{name}");
        }
    }
    let mut names: Vec<_> = all.iter().map(|path| path.file_stem()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len(), "two experiments share a name, and so the folder of their runs");
}

/// The one that everybody starts with, through the program itself.
#[test]
fn the_quickstart_checks() {
    let path = root().join("experiments/quickstart.yaml");
    let outcome = Place::new().run(&["check", path.to_str().expect("UTF-8"), "--json"]).ok();
    assert_eq!(outcome.json()["experiment"]["name"], "quickstart");
    assert_eq!(outcome.json()["warnings"], serde_json::json!([]));
}

/// The experiment in the README parses, and a slip in it gives the message that the README quotes.
#[test]
fn the_readme_tells_the_truth() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let block = |language: &str| {
        let start = readme.find(&format!("```{language}\n")).expect("a block") + language.len() + 4;
        &readme[start..start + readme[start..].find("```").expect("its end")]
    };
    let (yaml, message) = (block("yaml"), block("text"));
    Spec::parse(yaml, "moons.yaml", &[]).expect("the README's experiment is valid");
    let error = Spec::parse(&yaml.replace("{lr: ", "{lrr: "), "moons.yaml", &[]).expect_err("an unknown key");
    assert_eq!(format!("error: {error}\n"), message);
}
