//! Laying one tree over another, with a memory of who said what.

use super::locate::Step;
use super::schema::Shape;
use super::tree::Tree;

/// A tree that several files made together.
#[derive(Clone, Debug)]
pub(super) struct Layered {
    /// The values.
    pub tree: Tree,
    /// Which file said what stands at a path and below it, by its number; the longest path decides.
    owners: Vec<(Vec<Step>, usize)>,
}

impl Layered {
    /// The tree of the file with this number.
    pub fn new(tree: Tree, owner: usize) -> Self {
        Layered { tree, owners: vec![(Vec::new(), owner)] }
    }

    /// Lays the tree of another file over this one: maps merge key by key, everything else replaces. A choice of
    /// another thing replaces too, since a map with two keys would choose two things.
    pub fn under(self, over: Tree, owner: usize, shape: Shape) -> Self {
        let mut owners = vec![(Vec::new(), owner)];
        let tree = merge(&self, self.tree.clone(), over, shape, &mut Vec::new(), &mut owners);
        Layered { tree, owners }
    }

    /// The number of the file that said what stands at the end of a way, or nearest to it.
    pub fn owner(&self, way: &[Step]) -> usize {
        let known = self.owners.iter().filter(|(path, _)| way.starts_with(path));
        known.max_by_key(|(path, _)| path.len()).expect("the empty path has an owner").1
    }
}

fn merge(
    below: &Layered,
    under: Tree,
    over: Tree,
    shape: Shape,
    way: &mut Vec<Step>,
    owners: &mut Vec<(Vec<Step>, usize)>,
) -> Tree {
    let (mut under, over) = match (under, over) {
        (Tree::Map(under), Tree::Map(over)) if shape.choice(&under) == shape.choice(&over) => (under, over),
        (_, over) => return over,
    };
    let count = under.len();
    let mut taken = vec![false; count];
    for (key, value) in over {
        // A key that stands twice stays so, for the reader to complain of.
        let free = under[..count].iter().zip(&taken).position(|((name, _), taken)| *name == key && !taken);
        way.push(Step::Key(key.clone()));
        match free {
            Some(position) => {
                taken[position] = true;
                let below_here = std::mem::replace(&mut under[position].1, Tree::Null);
                under[position].1 = merge(below, below_here, value, shape.key(&key), way, owners);
            }
            None => under.push((key, value)),
        }
        way.pop();
    }
    for ((key, _), _) in under.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        way.push(Step::Key(key.clone()));
        owners.push((way.clone(), below.owner(way)));
        owners.extend(below.owners.iter().filter(|(path, _)| path.starts_with(way) && path.len() > way.len()).cloned());
        way.pop();
    }
    Tree::Map(under)
}

#[cfg(test)]
mod tests {
    use super::super::locate::steps;
    use super::super::schema::Shapes;
    use super::*;

    fn tree(text: &str) -> Tree {
        serde_yaml::from_str(text).unwrap()
    }

    #[track_caller]
    fn gives(under: &str, over: &str, wanted: &str) {
        let shapes = Shapes::new();
        assert_eq!(Layered::new(tree(under), 1).under(tree(over), 0, shapes.whole()).tree, tree(wanted));
    }

    #[test]
    fn maps_merge_and_the_rest_replaces() {
        gives(
            "{seed: 1, train: {steps: 5, batch: 7}}",
            "{train: {steps: 6}}",
            "{seed: 1, train: {steps: 6, batch: 7}}",
        );
        gives("{compare: {nfe: [1, 2]}}", "{compare: {nfe: [3]}}", "{compare: {nfe: [3]}}");
        gives("{train: {steps: 5}}", "{train: }", "{train: }");
        gives("{model: exact}", "{model: {network: mlp}}", "{model: {network: mlp}}");
        gives("{model: {network: mlp, predict: edm}}", "{model: exact}", "{model: exact}");
        gives("{seed: 1}", "{seed: 2, seed: 3}", "{seed: 2, seed: 3}");
    }

    #[test]
    fn another_choice_replaces_and_the_same_one_merges() {
        gives("{sde: {vp: {beta_max: 10}}}", "{sde: {ve: {sigma_max: 5}}}", "{sde: {ve: {sigma_max: 5}}}");
        gives("{sde: {vp: {beta_max: 10}}}", "{sde: {vp: {beta_min: 1}}}", "{sde: {vp: {beta_max: 10, beta_min: 1}}}");
        gives("{sde: {vp: {beta_max: 10}}}", "{sde: vp}", "{sde: vp}");
        gives("{sde: vp}", "{sde: {vp: {beta_max: 10}}}", "{sde: {vp: {beta_max: 10}}}");
        gives(
            "{train: {optimizer: {adamw: {lr: 1}}, time: {uniform: {}}}}",
            "{train: {optimizer: {adamw: {eps: 2}}, time: {log_normal: {std: 1}}}}",
            "{train: {optimizer: {adamw: {lr: 1, eps: 2}}, time: {log_normal: {std: 1}}}}",
        );
        gives(
            "{sample: {solver: {predictor_corrector: {predictor: {ddim: {eta: 1}}, corrector: langevin}}}}",
            "{sample: {solver: {predictor_corrector: {predictor: {edm_heun: {s_churn: 1}}}}}}",
            "{sample: {solver: {predictor_corrector: {predictor: {edm_heun: {s_churn: 1}}, corrector: langevin}}}}",
        );
        // Maps with one key that are no choices.
        gives("{train: {ema: {half_life: 5}}}", "{train: {batch: 3}}", "{train: {ema: {half_life: 5}, batch: 3}}");
    }

    #[test]
    fn every_value_remembers_its_file() {
        let shapes = Shapes::new();
        let oldest = Layered::new(tree("{seed: 1, sde: {vp: {beta_max: 1}}, train: {steps: 1, batch: 1}}"), 2);
        let middle = oldest.under(tree("{sde: {vp: {beta_min: 1}}, train: {batch: 2, clip: 2}}"), 1, shapes.whole());
        let whole = middle.under(tree("{name: x, train: {clip: 3}}"), 0, shapes.whole());
        for (path, owner) in [
            ("name", 0),
            ("seed", 2),
            ("sde", 1),
            ("sde.vp.beta_min", 1),
            ("sde.vp.beta_max", 2),
            ("sde.vp.nowhere", 1),
            ("train", 0),
            ("train.steps", 2),
            ("train.batch", 1),
            ("train.clip", 0),
            ("", 0),
        ] {
            assert_eq!(whole.owner(&steps(path).unwrap()), owner, "{path}");
        }
    }
}
