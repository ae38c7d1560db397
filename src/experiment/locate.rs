//! Places: paths such as `compare.entries[0].solver`, and the lines of a YAML text on which they stand.

use super::tree::Tree;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list, counted from 0.
    Index(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// The steps of a dotted path, with indices as `[0]` or `.0`; `None` for what is no path. The empty path has no steps.
pub(super) fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|_| !path.is_empty()) {
        let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        match name.parse() {
            Ok(index) => steps.push(Step::Index(index)),
            Err(_) if !name.is_empty() => steps.push(Step::Key(name.to_owned())),
            Err(_) => return None,
        }
        for index in indices.split_inclusive(']') {
            let index = index.strip_prefix('[')?.strip_suffix(']')?;
            steps.push(Step::Index(index.parse().ok()?));
        }
    }
    Some(steps)
}

/// The dotted path of some steps.
pub(super) fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        if matches!(step, Step::Key(_)) && !path.is_empty() {
            path.push('.');
        }
        path.push_str(&step.to_string());
    }
    path
}

/// The line, counted from 1, of the node to which the steps lead, or of its nearest parent that exists; for a key that
/// stands twice, the second. `None` if not even the first step can be taken.
pub(super) fn line(text: &str, tree: &Tree, steps: &[Step]) -> Option<usize> {
    let mut node = tree;
    let mut positions = Vec::new();
    for step in steps {
        let found = match (node, step) {
            (Tree::Map(entries), Step::Key(key)) => {
                entries.iter().rposition(|(name, _)| name == key).map(|last| (last, &entries[last].1))
            }
            (Tree::List(items), Step::Index(index)) => items.get(*index).map(|item| (*index, item)),
            _ => None,
        };
        let Some((position, child)) = found else { break };
        positions.push(position);
        node = child;
    }
    if positions.is_empty() {
        return None;
    }
    let stop = Seek(&positions).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    stop.location().map(|location| location.line())
}

/// Reads YAML up to a node and fails there, because serde_yaml tells the line of a failure and of nothing else. The
/// way leads through the entries and items at these positions.
struct Seek<'a>(&'a [usize]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.is_empty() {
            // A visitor that visits nothing: whatever stands here is of the wrong type.
            return deserializer.deserialize_str(self);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("to stop")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((&position, rest)) = self.0.split_first() else { return Ok(()) };
        for _ in 0..position {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if rest.is_empty() {
            return map.next_key_seed(Seek(rest)).map(drop);
        }
        map.next_key::<IgnoredAny>()?;
        map.next_value_seed(Seek(rest))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((&position, rest)) = self.0.split_first() else { return Ok(()) };
        for _ in 0..position {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Seek(rest)).map(drop)
    }
}
