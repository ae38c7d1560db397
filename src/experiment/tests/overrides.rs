//! What overrides change, and what is said of those that cannot be, word for word.

use super::{TWO_MOONS, parse, with};
use crate::experiment::locate::{Step, path};
use crate::experiment::tree::Tree;
use crate::experiment::{ModelSpec, SdeSpec, SolverSpec};

/// Asserts what is said of the example with overrides.
#[track_caller]
fn says(overrides: &[&str], message: &str) {
    assert_eq!(parse(TWO_MOONS, overrides).unwrap_err(), message);
}

#[test]
fn overrides_change_what_they_name() {
    let spec =
        parse(TWO_MOONS, &["train.steps=100", "sde={ve: {}}", "compare.entries[0].solver=ddim", "seed = 7"]).unwrap();
    assert_eq!((spec.train.unwrap().steps, spec.seed), (100, 7));
    assert_eq!(spec.sde, SdeSpec::Ve(Default::default()));
    assert_eq!(spec.compare.unwrap().entries[0].solver, SolverSpec::Ddim(Default::default()));

    let bare = with("{vp: {beta_min: 0.1, beta_max: 20}}", "vp");
    let SdeSpec::Vp(vp) = parse(&bare, &["sde.vp.beta_max=10"]).unwrap().sde else { panic!("vp") };
    assert_eq!((vp.beta_min, vp.beta_max), (0.1, 10.0));

    let small = "{name: x, data: checkerboard, sde: vp, model: {}}";
    let spec = parse(small, &["train.optimizer.adamw.lr=1e-4", "sample.solver.ddim.eta=1"]).unwrap();
    assert_eq!(spec.sample.solver, SolverSpec::Ddim(crate::solve::Ddim { eta: 1.0 }));
    assert_eq!(
        parse(TWO_MOONS, &["compare.entries.0.denoise=true", "compare.entries.0.denoise=null"]),
        parse(TWO_MOONS, &[])
    );
}

/// Every setting of a resolved experiment can be set: to its own value, which changes nothing, and to null or to a map
/// or list as a whole.
#[test]
fn every_setting_can_be_set() {
    fn leaves(tree: &Tree, way: &mut Vec<Step>, found: &mut Vec<(String, String)>) {
        let text = serde_json::to_string(tree).expect("a tree is JSON");
        if !way.is_empty() {
            found.push((path(way), text));
        }
        let below: Vec<(Step, &Tree)> = match tree {
            Tree::Map(entries) => entries.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect(),
            Tree::List(items) => items.iter().enumerate().map(|(i, item)| (Step::Index(i), item)).collect(),
            _ => Vec::new(),
        };
        for (step, value) in below {
            way.push(step);
            leaves(value, way, found);
            way.pop();
        }
    }
    let spec = parse(TWO_MOONS, &[]).unwrap();
    let tree: Tree = serde_yaml::from_str(&spec.to_yaml()).unwrap();
    let mut found = Vec::new();
    leaves(&tree, &mut Vec::new(), &mut found);
    assert!(found.len() > 60, "{}", found.len());
    for (path, value) in found {
        assert_eq!(parse(&spec.to_yaml(), &[&format!("{path}={value}")]).as_ref(), Ok(&spec), "{path}={value}");
    }
}

#[test]
fn lists_null_and_choices_inside_lists() {
    let set = |overrides: &[&str]| parse(TWO_MOONS, overrides).unwrap();
    let compare = set(&[
        "compare.entries[0].solver=heun",
        "compare.entries[1].solver.predictor_corrector.corrector=annealed_langevin",
        "compare.entries[2].solver.heun=null",
        "compare.entries[3].label=null",
        "compare.nfe=[7]",
        "compare.entries[0].label=first",
        "compare.metrics[0].sliced_wasserstein.projections=7",
        "compare.metrics[1]=energy_distance",
        "compare.metrics[2]={mmd: {bandwidth: 0.5}}",
        "compare.count=",
    ])
    .compare
    .unwrap();
    assert_eq!(compare.entries[0].solver, SolverSpec::Heun(Default::default()));
    assert_eq!(compare.entries[3].label(), "dpmpp_2m (log_snr)");
    assert_eq!((compare.nfe, compare.count), (vec![7], None));
    let names: Vec<&str> = compare.metrics.iter().map(|metric| metric.name()).collect();
    assert_eq!(names, ["sliced_wasserstein", "energy_distance", "mmd"]);
    assert_eq!(set(&["train.clip=null"]).train.unwrap().clip, None);
    assert_eq!(set(&["train=null"]).train, Some(Default::default()));
    assert_eq!(set(&["compare=null"]).compare, None);
    assert_eq!(set(&["description='a = b: c'"]).description.as_deref(), Some("a = b: c"));
}

#[test]
fn overrides_that_make_sense_together() {
    let overrides = ["model=exact", "train=null", "data=gaussian", "data.gaussian={mean: [0], spectrum: [1]}"];
    assert_eq!(parse(TWO_MOONS, &overrides).unwrap().model, ModelSpec::Exact);
}

#[test]
fn overrides_that_cannot_be() {
    says(
        &["sde.vp.beta=3"],
        "--set sde.vp.beta=3: unknown key `beta`; did you mean `beta_min`? \
         allowed: beta_min, beta_max, t_min, t_train, t_max",
    );
    says(
        &["train.steps=many", "seed=3"],
        "--set train.steps=many: expected a whole number, found the text \"many\"; write digits only, such as 100",
    );
    says(
        &["train.optimizer={adamw: {lrr: 1}}"],
        "--set train.optimizer={adamw: {lrr: 1}}: train.optimizer.adamw: unknown key `lrr`; did you mean `lr`? \
         allowed: lr, beta1, beta2, eps, weight_decay",
    );
    says(
        &["seed=1", "model=exact", "seed=2"],
        "--set model=exact: train: there is nothing to train with `model: exact`; \
         remove `train`, or give `model` a network",
    );
    says(
        &["sde.ve.sigma_max=3"],
        "--set sde.ve.sigma_max=3: sde: both `vp` and `ve` where one SDE belongs; keep one of them",
    );
    says(
        &["train.steps.x=3"],
        "--set train.steps.x=3: `train.steps` is the number 5000, which has no x; \
         shorten the path, or set `train.steps` as a whole",
    );
    says(
        &["compare.entries[9].solver=rk4"],
        "--set compare.entries[9].solver=rk4: `compare.entries` ends at [4], before [9]; \
         shorten the path, or set `compare.entries` as a whole",
    );
    says(&["train.steps"], "--set train.steps: there is no `=`; write path=value, such as train.steps=100");
    for path in ["", "a..b", "a[", "a[x]", "a[0]b", "[0]", "0"] {
        says(
            &[&format!("{path}=3")],
            &format!(
                "--set {path}=3: `{path}` is not a path; \
                 write keys with dots between them, such as compare.entries[0].solver"
            ),
        );
    }
    says(
        &["train.steps=[1"],
        "--set train.steps=[1: the value is not YAML: the list that starts with `[` on line 1 is not closed; \
         add the missing `,` or `]`",
    );
}

#[test]
fn a_broken_file_is_not_mended_by_an_override() {
    let broken = with("steps: 5000", "steps: many");
    assert!(parse(&broken, &["train.steps=100"]).unwrap_err().starts_with("moons.yaml:9: train.steps: "));
}
