//! Reading a tree into typed settings: a serde deserializer whose errors are faults, each with its path.

use super::choice::unknown;
use super::locate::Step;
use super::spec::EXAMPLES;
use super::tree::{Tree, short, words};
use crate::error::Fault;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, Error, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use std::collections::HashSet;
use std::fmt::{self, Display};

/// Reads settings from a tree.
pub(super) fn read<'a, T: Deserialize<'a>>(tree: &'a Tree) -> Result<T, Invalid> {
    T::deserialize(Node { tree, step: None })
}

/// Something in an experiment that cannot be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Invalid {
    /// What, and under which path.
    pub fault: Fault,
    /// The key at fault, where the path is that of the map which holds it.
    pub key: Option<String>,
}

impl From<Fault> for Invalid {
    fn from(fault: Fault) -> Self {
        Invalid { fault, key: None }
    }
}

/// The errors of serde in plain words. A message may carry its remedy, as `problem; remedy`; so may the description of
/// what was expected.
impl Error for Invalid {
    fn custom<T: Display>(message: T) -> Self {
        let message = message.to_string();
        let (problem, remedy) = message.split_once("; ").unwrap_or((&message, "correct it"));
        Fault::new("", problem, remedy).into()
    }

    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let (what, remedy) = expected.split_once("; ").unwrap_or((&expected, "write one, or remove the key"));
        Fault::new("", format!("expected {what}, found {}", words(found)), remedy).into()
    }

    fn unknown_field(key: &str, allowed: &'static [&'static str]) -> Self {
        Self::custom(unknown("key", key, allowed))
    }

    fn unknown_variant(word: &str, allowed: &'static [&'static str]) -> Self {
        Self::custom(unknown("word", word, allowed))
    }

    fn missing_field(key: &'static str) -> Self {
        let example = EXAMPLES.iter().find(|(name, _)| *name == key);
        let remedy = example.map_or(format!("add `{key}: …`"), |(_, example)| format!("add it, such as `{example}`"));
        Fault::new("", format!("missing key `{key}`"), remedy).into()
    }
}

impl std::error::Error for Invalid {}

impl Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}; {}", self.fault.key, self.fault.problem, self.fault.remedy)
    }
}

/// A node of a tree and the step that led to it.
struct Node<'a> {
    tree: &'a Tree,
    step: Option<Step>,
}

impl<'a> Node<'a> {
    /// Looks at the tree, and puts the step before the path of whatever is wrong there.
    fn look<T>(self, at: impl FnOnce(&'a Tree) -> Result<T, Invalid>) -> Result<T, Invalid> {
        at(self.tree).map_err(|invalid| match self.step {
            Some(step) => Invalid { fault: invalid.fault.under(&step.to_string()), ..invalid },
            None => invalid,
        })
    }
}

impl IntoDeserializer<'_, Invalid> for Node<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Whole(number) => match i64::try_from(*number) {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => visitor.visit_f64(*number as f64),
            },
            Tree::Real(number) => visitor.visit_f64(*number),
            Tree::Text(text) => visitor.visit_str(text),
            Tree::List(items) => visit_list(items, visitor),
            Tree::Map(entries) => visit_map(entries, visitor),
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::Bool(value) => visitor.visit_bool(*value),
            other => Err(Invalid::invalid_type(other.found(), &"`true` or `false`; write one of these words")),
        })
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::Whole(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) if *number < 0 => {
                    Err(Invalid::custom(format_args!("{number} is negative; write a whole number of at least 0")))
                }
                Err(_) => Err(Invalid::custom(format_args!("{number} is too large; write at most {}", u64::MAX))),
            },
            other => {
                let expected = format!("a whole number; {}", whole_number_remedy(other));
                Err(Invalid::invalid_type(other.found(), &expected.as_str()))
            }
        })
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::Whole(number) => visitor.visit_f64(*number as f64),
            Tree::Real(number) => visitor.visit_f64(*number),
            other => {
                let remedy = number_meant(other).map_or("write a number, such as 0.5".to_owned(), |number| {
                    format!("write {number}, without quotes, commas or underscores")
                });
                Err(Invalid::invalid_type(other.found(), &format!("a number; {remedy}").as_str()))
            }
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::Text(text) => visitor.visit_str(text),
            other => {
                Err(Invalid::invalid_type(other.found(), &"a text; write one, in quotes if it looks like a number"))
            }
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self.tree {
            Tree::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::List(items) => visit_list(items, visitor),
            other => Err(Invalid::invalid_type(other.found(), &"a list; put the values in brackets, as in [1, 2]")),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::Null => visit_map(&[], visitor),
            Tree::Map(entries) => visit_map(entries, visitor),
            other => {
                let expected = match keys {
                    [] => "no settings; remove the value".to_owned(),
                    keys => format!("a map of settings; write `key: value` with any of: {}", keys.join(", ")),
                };
                Err(Invalid::invalid_type(other.found(), &expected.as_str()))
            }
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        allowed: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        self.look(|tree| match tree {
            Tree::Text(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            other => {
                let expected = format!("a word; allowed: {}", allowed.join(", "));
                Err(Invalid::invalid_type(other.found(), &expected.as_str()))
            }
        })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct map identifier
        ignored_any
    }
}

fn visit_list<'de, V: Visitor<'de>>(items: &[Tree], visitor: V) -> Result<V::Value, Invalid> {
    let nodes = items.iter().enumerate().map(|(i, tree)| Node { tree, step: Some(Step::Index(i)) });
    visitor.visit_seq(SeqDeserializer::new(nodes))
}

fn visit_map<'de, V: Visitor<'de>>(entries: &[(String, Tree)], visitor: V) -> Result<V::Value, Invalid> {
    if let Some(invalid) = twice(entries) {
        return Err(invalid);
    }
    let nodes = entries.iter().map(|(key, tree)| (Key(key), Node { tree, step: Some(Step::Key(key.clone())) }));
    visitor.visit_map(MapDeserializer::new(nodes))
}

/// What is wrong with a map in which a key stands twice, if one does.
pub(super) fn twice(entries: &[(String, Tree)]) -> Option<Invalid> {
    let mut seen = HashSet::new();
    let (key, _) = entries.iter().find(|(key, _)| !seen.insert(key))?;
    let fault = Fault::new("", format!("the key `{}` stands here twice", short(key)), "keep one of them");
    Some(Invalid { fault, key: Some(key.clone()) })
}

/// A key, which whatever is wrong with it names as the culprit.
struct Key<'a>(&'a str);

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_str(self.0).map_err(|invalid| Invalid { key: Some(self.0.to_owned()), ..invalid })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, Invalid> for Key<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The number that was meant by something that YAML does not read as one: `"1e-3"`, `5_000`, `1,000`.
fn number_meant(tree: &Tree) -> Option<f64> {
    match tree {
        Tree::Text(text) => text.replace(['_', ','], "").trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Tree::Real(number) => Some(*number),
        _ => None,
    }
}

/// The largest magnitude up to which every whole number is exact as a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn whole_number_remedy(tree: &Tree) -> String {
    match number_meant(tree) {
        Some(number) if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) => format!("write {number}"),
        Some(number) if (0.0..=EXACT).contains(&number) => format!("write {} or {}", number.floor(), number.ceil()),
        _ => "write digits only, such as 100".to_owned(),
    }
}
