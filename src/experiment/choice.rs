//! Choices: one of several named things, each with settings of its own, written `heun` or `{heun: {…}}`.

use super::tree::short;
use crate::error::nearest;
use serde::de::{Deserializer, Error, Visitor};
use std::fmt;

/// Defines a choice from a list of `name => Variant(Settings)`: the enum, how it is read and written, and its check.
///
/// A bare word takes the default settings of the named thing; a map with that one key gives them. No tagging
/// attribute of serde is involved, so the errors of the settings keep their own paths. With `as dyn Trait`, the settings
/// are at hand as that trait, so that one line is all that a further thing takes.
macro_rules! choice {
    (
        $(#[$about:meta])*
        pub enum $Choice:ident ($kind:literal) $(as dyn $Trait:path)? {
            $(#[doc = $doc:literal] $name:ident => $Variant:ident($Settings:ty)),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $Choice {
            $(#[doc = $doc] $Variant($Settings)),+
        }

        impl $Choice {
            /// Every name that may be chosen, in the order of the documentation.
            pub const NAMES: &[&str] = &[$(stringify!($name)),+];

            /// Every name with a line on it.
            pub const LIST: &[(&str, &str)] = &[$((stringify!($name), $doc.trim_ascii())),+];

            /// The name under which this is chosen.
            pub fn name(&self) -> &'static str {
                match self {
                    $($Choice::$Variant(_) => stringify!($name)),+
                }
            }
        }

        $crate::experiment::choice::at_hand!($Choice [$($Variant)+] $($Trait)?);

        impl $crate::error::Settings for $Choice {
            fn check(&self) -> Result<(), $crate::error::Fault> {
                match self {
                    $($Choice::$Variant(settings) => settings.check()),+
                }
                .map_err(|fault| fault.under(self.name()))
            }
        }

        impl serde::Serialize for $Choice {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(Some(1))?;
                match self {
                    $($Choice::$Variant(settings) => map.serialize_entry(self.name(), settings)?),+
                }
                map.end()
            }
        }

        impl schemars::JsonSchema for $Choice {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Choice).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut forms = Vec::new();
                $(forms.extend($crate::experiment::choice::forms(
                    stringify!($name),
                    $doc.trim_ascii(),
                    generator.subschema_for::<$Settings>(),
                ));)+
                schemars::json_schema!({ "oneOf": forms })
            }
        }

        impl<'de> serde::Deserialize<'de> for $Choice {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use $crate::experiment::choice::{Pick, none_of, two_of};
                use serde::de::{Error, IgnoredAny, MapAccess, Visitor};

                struct OneOf;

                impl<'de> Visitor<'de> for OneOf {
                    type Value = $Choice;

                    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                        write!(f, "a choice of {}; allowed: {}", $kind, $Choice::NAMES.join(", "))
                    }

                    fn visit_str<E: Error>(self, word: &str) -> Result<$Choice, E> {
                        let among: &[(&str, fn() -> $Choice)] =
                            &[$((stringify!($name), || $Choice::$Variant(Default::default()))),+];
                        let by_default = Pick { kind: $kind, among }.visit_str(word)?;
                        Ok(by_default())
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$Choice, A::Error> {
                        let among: &[(&str, fn(&mut A) -> Result<$Choice, A::Error>)] =
                            &[$((stringify!($name), |map| map.next_value().map($Choice::$Variant))),+];
                        let Some(read) = map.next_key_seed(Pick { kind: $kind, among })? else {
                            return Err(A::Error::custom(none_of($kind, $Choice::NAMES)));
                        };
                        let choice = read(&mut map)?;
                        match map.next_entry::<String, IgnoredAny>()? {
                            Some((other, _)) => Err(A::Error::custom(two_of($kind, choice.name(), &other))),
                            None => Ok(choice),
                        }
                    }
                }

                deserializer.deserialize_any(OneOf)
            }
        }
    };
}
pub(super) use choice;

/// The settings of a choice as a trait, where one is given.
macro_rules! at_hand {
    ($Choice:ident [$($Variant:ident)+]) => {};
    ($Choice:ident [$($Variant:ident)+] $Trait:path) => {
        impl $Choice {
            /// What is chosen.
            pub fn chosen(&self) -> &dyn $Trait {
                match self {
                    $($Choice::$Variant(settings) => settings),+
                }
            }
        }
    };
}
pub(super) use at_hand;

/// How a choice may be written, for an editor: the bare word, or a map with that one key.
pub(super) fn forms(name: &str, about: &str, mut settings: schemars::Schema) -> [schemars::Schema; 2] {
    settings.insert("description".into(), about.into());
    [
        schemars::json_schema!({ "const": name, "description": about }),
        schemars::json_schema!({
            "type": "object",
            "properties": { name: settings },
            "required": [name],
            "additionalProperties": false,
            "description": about,
        }),
    ]
}

/// Reads a name and gives what stands beside it in a list.
pub(super) struct Pick<'a, T> {
    /// What the names are names of.
    pub kind: &'static str,
    /// The names, each with what it stands for.
    pub among: &'a [(&'static str, T)],
}

impl<'de, T: Copy> serde::de::DeserializeSeed<'de> for Pick<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T: Copy> Visitor<'_> for Pick<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the name of a {}", self.kind)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        match self.among.iter().find(|(name, _)| *name == word) {
            Some(&(_, meaning)) => Ok(meaning),
            None => {
                let names: Vec<_> = self.among.iter().map(|&(name, _)| name).collect();
                Err(E::custom(unknown(self.kind, word, &names)))
            }
        }
    }
}

/// What is said, as `problem; remedy`, of a name that is none of those allowed.
pub(super) fn unknown(kind: &str, given: &str, allowed: &[&str]) -> String {
    let given = &short(given);
    if allowed.is_empty() {
        return format!("unknown {kind} `{given}`; remove it, for nothing can be set here");
    }
    let list = allowed.join(", ");
    match nearest(given, allowed) {
        Some(name) => format!("unknown {kind} `{given}`; did you mean `{name}`? allowed: {list}"),
        None => format!("unknown {kind} `{given}`; allowed: {list}"),
    }
}

/// What is said, as `problem; remedy`, of a choice that is an empty map.
pub(super) fn none_of(kind: &str, allowed: &[&str]) -> String {
    format!("an empty map where one {kind} belongs; allowed: {}", allowed.join(", "))
}

/// What is said, as `problem; remedy`, of a choice with more than one key.
pub(super) fn two_of(kind: &str, first: &str, second: &str) -> String {
    let second = short(second);
    format!("both `{first}` and `{second}` where one {kind} belongs; keep one of them")
}
