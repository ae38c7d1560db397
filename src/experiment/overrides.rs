//! Overrides: `train.steps=100` and the like, put into the tree of an experiment.

use super::locate::{Step, path, steps};
use super::syntax;
use super::tree::{Tree, short, words};
use crate::error::Fault;

/// One `path=value`.
#[derive(Clone, Debug)]
pub(super) struct Override {
    /// Where to.
    pub steps: Vec<Step>,
    /// What.
    pub value: Tree,
}

impl Override {
    /// Takes `path=value` apart.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Some((place, value)) = text.split_once('=') else {
            return Err(Fault::new("", "there is no `=`", "write path=value, such as train.steps=100"));
        };
        let steps = setting(place)?;
        let value = syntax::parse(value).map_err(|broken| {
            let problem = format!("the value is not YAML: {}", broken.fault.problem);
            Fault { problem, ..broken.fault }
        })?;
        Ok(Override { steps, value })
    }

    /// Puts the value into the tree. Maps that are missing on the way are made; a bare word gives way to a map with that
    /// one key where the path goes inside it.
    pub fn apply(&self, tree: &mut Tree) -> Result<(), Fault> {
        let mut node = tree;
        for (taken, step) in self.steps.iter().enumerate() {
            match (&*node, step) {
                (Tree::Null, Step::Key(_)) => *node = Tree::Map(Vec::new()),
                (Tree::Text(word), Step::Key(key)) if word == key => *node = Tree::Map(vec![(key.clone(), Tree::Null)]),
                _ => {}
            }
            node = child(node, step).map_err(|problem| {
                let parent = path(&self.steps[..taken]);
                Fault::new(
                    "",
                    format!("`{parent}` {problem}"),
                    format!("shorten the path, or set `{parent}` as a whole"),
                )
            })?;
        }
        *node = self.value.clone();
        Ok(())
    }
}

/// The longest path. Trees are dropped and read by recursion.
const DEEPEST: usize = 32;

/// The steps to a setting: a path that starts with a key.
pub(super) fn setting(place: &str) -> Result<Vec<Step>, Fault> {
    let steps = steps(place.trim()).filter(|steps| matches!(steps.first(), Some(Step::Key(_)))).ok_or_else(|| {
        let problem = format!("`{}` is not a path", short(place));
        Fault::new("", problem, "write keys with dots between them, such as compare.entries[0].solver")
    })?;
    if steps.len() > DEEPEST {
        let problem = format!("a path of {} steps, deeper than any setting", steps.len());
        return Err(Fault::new("", problem, format!("write at most {DEEPEST}")));
    }
    Ok(steps)
}

/// The child to which a step leads, made if it is the missing key of a map; or what is wrong with its parent.
fn child<'a>(node: &'a mut Tree, step: &Step) -> Result<&'a mut Tree, String> {
    match (node, step) {
        (Tree::Map(entries), Step::Key(key)) => {
            let position = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
                entries.push((key.clone(), Tree::Null));
                entries.len() - 1
            });
            Ok(&mut entries[position].1)
        }
        (Tree::List(items), Step::Index(index)) => {
            let count = items.len();
            items.get_mut(*index).ok_or_else(|| match count {
                0 => "is an empty list".to_owned(),
                count => format!("ends at [{}], before {step}", count - 1),
            })
        }
        (other, step) => Err(format!("is {}, which has no {step}", words(other.found()))),
    }
}
