//! How an experiment names a class.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::data::named::name_or_position;
use crate::error::{Fault, suggestion};

/// A class, by its name or by its position from 0; a number that is the name of a class is that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Class {
    /// The name.
    Name(String),
    /// The position from 0, or a name that is a number.
    Position(usize),
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Class::Name(name) => write!(f, "class `{name}`"),
            Class::Position(position) => write!(f, "class {position}"),
        }
    }
}

impl Class {
    /// Its place among the classes of a data set.
    ///
    /// # Errors
    /// A class that is not there.
    pub fn place(&self, names: &[String]) -> Result<usize, Fault> {
        let (text, position) = match self {
            Class::Name(name) => (name.clone(), None),
            Class::Position(position) => (position.to_string(), Some(*position)),
        };
        let named = names.iter().position(|name| *name == text);
        named.or(position.filter(|&position| position < names.len())).ok_or_else(|| {
            Fault::new("", format!("the images have no {self}"), suggestion(&text, "their classes", names))
        })
    }
}

impl<'de> Deserialize<'de> for Class {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        name_or_position(deserializer, ["class", "classes"], Class::Name, Class::Position)
    }
}
