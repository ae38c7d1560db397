//! The typed form of `sample.class`.

use std::fmt;

use serde::de::value::{I64Deserializer, SeqAccessDeserializer, StrDeserializer, U64Deserializer};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::data::Class;
use crate::error::{Fault, Settings};

/// The classes that samples are drawn of, in turn: written as one, or as a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes(pub Vec<Class>);

impl Classes {
    /// The place of each among the classes of the data.
    ///
    /// # Errors
    /// A class that is not there.
    pub fn places(&self, names: &[String]) -> Result<Vec<usize>, Fault> {
        let place = |(i, class): (usize, &Class)| {
            class.place(names).map_err(|fault| if self.0.len() == 1 { fault } else { fault.under(&format!("[{i}]")) })
        };
        self.0.iter().enumerate().map(place).collect()
    }
}

impl Settings for Classes {
    fn check(&self) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Err(Fault::new("", "the list is empty", "name at least one, as in `class: [0, 1]`"));
        }
        Ok(())
    }
}

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Classes;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a class, or a list of them; write names, or positions from 0")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Classes, E> {
                Class::deserialize(StrDeserializer::new(name)).map(|one| Classes(vec![one]))
            }

            fn visit_u64<E: Error>(self, position: u64) -> Result<Classes, E> {
                Class::deserialize(U64Deserializer::new(position)).map(|one| Classes(vec![one]))
            }

            fn visit_i64<E: Error>(self, position: i64) -> Result<Classes, E> {
                Class::deserialize(I64Deserializer::new(position)).map(|one| Classes(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Classes, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Classes)
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

impl schemars::JsonSchema for Classes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Classes".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<Class>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}
