//! In which settings several experiments differ.

use super::locate::{Step, path};
use super::schema::{Shape, Shapes};
use super::spec::Spec;
use super::sweep::short_names;
use super::tree::Tree;

/// A setting that is not the same in all experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its path, such as `train.optimizer.adamw.lr`.
    pub path: String,
    /// The end of the path that tells it from other differences, such as `lr`.
    pub name: String,
    /// Its value in each experiment, in their order; a choice of different things by their names.
    pub values: Vec<String>,
}

/// What stands for a setting that an experiment does not have.
const ABSENT: &str = "–";

/// The settings in which experiments differ, `name` and `description` aside, in the order of the files.
pub fn differences(specs: &[&Spec]) -> Vec<Difference> {
    let trees: Vec<Tree> = specs
        .iter()
        .map(|spec| {
            let mut tree = serde_yaml::from_str(&spec.to_yaml()).expect("a resolved experiment is YAML");
            Tree::take(&mut tree, "name");
            Tree::take(&mut tree, "description");
            tree
        })
        .collect();
    let (shapes, mut found) = (Shapes::new(), Vec::new());
    let roots: Vec<Option<&Tree>> = trees.iter().map(Some).collect();
    differ(&roots, shapes.whole(), &mut Vec::new(), &mut found);
    let names = short_names(found.iter().map(|(way, _)| way));
    found
        .into_iter()
        .map(|(way, values)| Difference { path: path(&way), name: names[&path(&way)].clone(), values })
        .collect()
}

fn differ(trees: &[Option<&Tree>], shape: Shape, way: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, Vec<String>)>) {
    if trees.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let maps: Option<Vec<&Vec<(String, Tree)>>> = trees
        .iter()
        .map(|tree| match tree {
            Some(Tree::Map(entries)) => Some(entries),
            _ => None,
        })
        .collect();
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in maps.iter().flatten().copied().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let names = shape.names();
    let chosen = keys.iter().any(|key| names.contains(&key.as_str()));
    if maps.is_none() || (chosen && keys.len() > 1) {
        // The name of a choice says it all if nobody else has chosen it with other settings.
        let alone = |name: &str, settings: &Tree| {
            trees.iter().flatten().filter_map(|tree| tree.get(name)).all(|others| others == settings)
        };
        let word = |tree: &Option<&Tree>| match tree {
            None | Some(Tree::Null) => ABSENT.to_owned(),
            Some(Tree::Map(entries)) => match entries.as_slice() {
                [(name, settings)] if shape.choice(entries).is_some() && alone(name, settings) => name.clone(),
                _ => Tree::Map(entries.clone()).to_string(),
            },
            Some(other) => other.to_string(),
        };
        found.push((way.clone(), trees.iter().map(word).collect()));
        return;
    }
    for key in keys {
        let below: Vec<Option<&Tree>> = trees.iter().map(|tree| tree.and_then(|tree| tree.get(key))).collect();
        way.push(Step::Key(key.clone()));
        differ(&below, shape.key(key), way, found);
        way.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_are_found() {
        let base = "{name: x, data: checkerboard, sde: vp, model: {}, train: {steps: 5}}";
        let spec = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|text| text.to_string()).collect();
            Spec::parse(base, "x.yaml", &settings).unwrap()
        };
        let specs = [
            spec(&[]),
            spec(&["sde=ve", "name=y", "train.optimizer.adamw.lr=0.5"]),
            spec(&["seed=3", "train.clip=null", "sample.count=7"]),
        ];
        let found = differences(&specs.iter().collect::<Vec<_>>());
        let lines: Vec<String> =
            found.iter().map(|d| format!("{} {}: {}", d.path, d.name, d.values.join(" "))).collect();
        assert_eq!(
            lines,
            [
                "seed seed: 0 0 3",
                "sde sde: vp ve vp",
                "train.optimizer.adamw.lr lr: 0.001 0.5 0.001",
                "train.clip clip: 1.0 1.0 –",
                "sample.count count: 10000 10000 7",
            ]
        );
        assert_eq!(differences(&[&specs[0], &specs[0]]), []);
        // Within one choice its settings are compared.
        let (wide, narrow) = (spec(&["sde={vp: {beta_max: 30}}"]), spec(&[]));
        assert_eq!(differences(&[&wide, &narrow])[0].path, "sde.vp.beta_max");
        let other = spec(&["sde=flow"]);
        let values = differences(&[&wide, &narrow, &other]).remove(0).values;
        assert!(values[0].starts_with("{vp: {beta_min: 0.1, beta_max: 30.0") && values[2] == "flow", "{values:?}");
    }
}
