//! Things that an experiment names by their names or by their positions.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// Reads a name, or a position from 0; `nouns` is what is named, one of it and several.
pub(super) fn name_or_position<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    nouns: [&'static str; 2],
    name: fn(String) -> T,
    position: fn(usize) -> T,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(NameOrPosition { nouns, name, position })
}

struct NameOrPosition<T> {
    nouns: [&'static str; 2],
    name: fn(String) -> T,
    position: fn(usize) -> T,
}

impl<T> Visitor<'_> for NameOrPosition<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a {}; write its name, or its position from 0", self.nouns[0])
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        Ok((self.name)(name.to_owned()))
    }

    fn visit_u64<E: Error>(self, position: u64) -> Result<T, E> {
        Ok((self.position)(position as usize))
    }

    fn visit_i64<E: Error>(self, position: i64) -> Result<T, E> {
        let negative = |_| E::custom(format_args!("{position} is negative; count the {} from 0", self.nouns[1]));
        usize::try_from(position).map(self.position).map_err(negative)
    }
}
