//! The house keeps its layers: imports go down only, the experiment's text is read without LibTorch, files stay short.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module with its layer; `lib.rs` lists them in this order.
const LAYERS: &[(&str, u32)] = &[
    ("autocast", 0),
    ("differentiable", 0),
    ("error", 0),
    ("file", 0),
    ("named_tensors", 0),
    ("npy", 0),
    ("rng", 0),
    ("tensor", 0),
    ("threads", 0),
    ("sde", 1),
    ("statistics", 1),
    ("score", 2),
    ("data", 3),
    ("model", 3),
    ("solve", 3),
    ("likelihood", 4),
    ("metric", 4),
    ("order", 4),
    ("train", 4),
    ("feature", 5),
    ("grids", 5),
    ("report", 5),
    ("experiment", 6),
    ("cli", 7),
];

/// What a module may not know although it lies lower.
const STRANGERS: &[(&str, &[&str])] = &[
    // A trainer never sees a solver.
    ("train", &["solve"]),
    // A likelihood is of any model, as sampling is.
    ("likelihood", &["model"]),
    // Distances are between arrays of points, figures are of numbers: neither knows a model or a process.
    ("metric", &["sde", "score", "data", "model", "solve"]),
    // A network that looks at images knows no diffusion of them.
    ("feature", &["sde", "score", "solve"]),
    ("report", &["sde", "score", "data", "model", "solve", "metric", "order", "train"]),
];

/// What reads an experiment without LibTorch.
const WITHOUT_TORCH: &[&str] = &[
    "around.rs",
    "check.rs",
    "choice.rs",
    "choices.rs",
    "class_spec.rs",
    "differences.rs",
    "document.rs",
    "hash.rs",
    "likelihood_spec.rs",
    "locate.rs",
    "merge.rs",
    "model_spec.rs",
    "overrides.rs",
    "read.rs",
    "schema.rs",
    "spec.rs",
    "sweep.rs",
    "syntax.rs",
    "text.rs",
    "train_spec.rs",
    "tree.rs",
];

/// The most lines that a file may have, and those that may have some more.
const LONGEST: usize = 400;
const OTHERWISE: &[(&str, usize)] = &[("solve/mod.rs", 250)];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file: its path below `src`, and its text.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(sources()).expect("below src").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    let mut found = Vec::new();
    walk(&sources(), &mut found);
    found.sort();
    found
}

/// The code of a text: comments go, since documentation may point upwards.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The module that a file belongs to: `solve` for `solve/ddim.rs`, `error` for `error.rs`.
fn module(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The modules of this crate that a text names, whether as `crate::x`, `crate::{x, y::z}` or `$crate::x`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(rest.split(|c| !is_word(c)).next().unwrap_or_default().to_owned());
            continue;
        };
        // The names at depth one of the braces, each after `{` or `,`.
        let (mut depth, mut name, mut fresh) = (1, String::new(), true);
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && fresh && is_word(c) {
                name.push(c);
            } else if !name.is_empty() {
                found.push(std::mem::take(&mut name));
                fresh = false;
            }
            fresh |= depth == 1 && c == ',';
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn layer(module: &str) -> Option<u32> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|&(_, layer)| layer)
}

/// What is wrong with the imports of a file, if anything is.
fn offences(path: &str, text: &str) -> Vec<String> {
    let own = module(path);
    if own == "lib" || own == "main" {
        return Vec::new();
    }
    let Some(mine) = layer(own) else { return vec![format!("{path}: the module {own} has no layer yet")] };
    let strangers = STRANGERS.iter().find(|(name, _)| *name == own).map_or(&[][..], |&(_, strangers)| strangers);
    let wrong = |name: &String| match layer(name) {
        _ if name == own => None,
        None => Some(format!("{path}: crate::{name} has no layer yet")),
        // Modules of the lowest layer may lean on one another; above, equals do not know one another.
        Some(theirs) if theirs > mine || (theirs == mine && mine > 0) => {
            Some(format!("{path}: {own} (layer {mine}) may not know {name} (layer {theirs})"))
        }
        Some(_) if strangers.contains(&name.as_str()) => Some(format!("{path}: {own} may not know {name}")),
        Some(_) => None,
    };
    imports(&code(text)).iter().filter_map(wrong).collect()
}

#[test]
fn imports_go_down_only() {
    let offences: Vec<String> = files().iter().flat_map(|(path, text)| offences(path, text)).collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// The check itself finds what it is there to find.
#[test]
fn offences_are_found() {
    let found = |path: &str, text: &str| offences(path, text).len();
    assert_eq!(found("solve/ddim.rs", "use crate::score::Eval;\nuse crate::{error::Fault, sde::{Sde, Span}};"), 0);
    assert_eq!(found("solve/ddim.rs", "use crate::model::Network;"), 1);
    assert_eq!(found("solve/ddim.rs", "use crate::{sde::{Sde, Span}, model::Network, data};"), 2);
    assert_eq!(found("solve/ddim.rs", "let x = crate::experiment::Spec::parse;"), 1);
    assert_eq!(found("solve/ddim.rs", "/// See [`crate::cli`]."), 0);
    assert_eq!(found("train/trainer.rs", "use crate::solve::Solver;"), 1);
    assert_eq!(found("report/page.rs", "use crate::sde::Sde;"), 1);
    assert_eq!(found("tensor.rs", "use crate::error::Error;"), 0);
    assert_eq!(found("error.rs", "pub(crate) fn f() {}"), 0);
    assert_eq!(found("likelihoods.rs", ""), 1);
}

#[test]
fn the_library_lists_its_modules_in_order_of_layer() {
    let text = fs::read_to_string(sources().join("lib.rs")).expect("a text");
    let listed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let layers: Vec<u32> =
        listed.iter().map(|name| layer(name).unwrap_or_else(|| panic!("{name}: no layer"))).collect();
    assert!(layers.is_sorted(), "{listed:?}");
    assert_eq!(listed.len(), LAYERS.len(), "{listed:?}");
}

#[test]
fn experiments_are_read_without_torch() {
    for name in WITHOUT_TORCH {
        let text = fs::read_to_string(sources().join("experiment").join(name)).expect("a text");
        let code = code(&text);
        let words = || code.split(|c| !is_word(c));
        assert!(!words().any(|word| word == "tch" || word == "Tensor"), "experiment/{name} mentions tch");
    }
}

#[test]
fn files_stay_short() {
    let too_long = files().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        let most = OTHERWISE.iter().find(|(name, _)| *name == path).map_or(LONGEST, |&(_, most)| most);
        (lines > most).then(|| format!("{path} has {lines} lines, more than {most}: split it by what changes together"))
    });
    let too_long: Vec<String> = too_long.collect();
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}
