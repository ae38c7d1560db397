//! What tells the score: the exact model, the empirical one, or a network to be trained.

use super::choice::{forms, two_of, unknown};
use super::spec::LearnedModel;
use crate::error::{Fault, Settings, at_least_one};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What tells the score.
#[derive(Clone, Debug, PartialEq)]
// There is one of them in an experiment.
#[allow(clippy::large_enum_variant)]
pub enum ModelSpec {
    /// The exact score, for data that have one in closed form.
    Exact,
    /// The exact score of finitely many points of the data.
    Empirical(EmpiricalModel),
    /// A network to be trained.
    Learned(LearnedModel),
}

/// The exact denoiser of the first points that training would draw. It needs no training, and its samples are those
/// points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmpiricalModel {
    /// How many points. The time of an evaluation grows in proportion.
    pub points: usize,
}

impl Default for EmpiricalModel {
    fn default() -> Self {
        EmpiricalModel { points: 4096 }
    }
}

impl Settings for EmpiricalModel {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("points", self.points)
    }
}

const EXACT: &str = "exact";
const EMPIRICAL: &str = "empirical";
const ABOUT_EXACT: &str = "The exact score, for data that have one in closed form.";
const ABOUT_EMPIRICAL: &str = "The exact score of finitely many points of the data.";

impl ModelSpec {
    /// The word for a model without a network; none for a network.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            ModelSpec::Exact => Some(EXACT),
            ModelSpec::Empirical(_) => Some(EMPIRICAL),
            ModelSpec::Learned(_) => None,
        }
    }
}

impl Serialize for ModelSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ModelSpec::Exact => serializer.serialize_str(EXACT),
            ModelSpec::Empirical(model) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(EMPIRICAL, model)?;
                map.end()
            }
            ModelSpec::Learned(model) => model.serialize(serializer),
        }
    }
}

impl schemars::JsonSchema for ModelSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ModelSpec".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let exact = schemars::json_schema!({ "const": EXACT, "description": ABOUT_EXACT });
        let [word, map] = forms(EMPIRICAL, ABOUT_EMPIRICAL, generator.subschema_for::<EmpiricalModel>());
        schemars::json_schema!({ "oneOf": [exact, word, map, generator.subschema_for::<LearnedModel>()] })
    }
}

impl<'de> Deserialize<'de> for ModelSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMap;

        impl<'de> Visitor<'de> for WordOrMap {
            type Value = ModelSpec;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a model; write `exact`, `empirical`, or a map such as {network: mlp, predict: noise}")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<ModelSpec, E> {
                match word {
                    EXACT => Ok(ModelSpec::Exact),
                    EMPIRICAL => Ok(ModelSpec::Empirical(EmpiricalModel::default())),
                    _ => Err(E::custom(unknown("model", word, &[EXACT, EMPIRICAL, "{network: …, predict: …}"]))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ModelSpec, A::Error> {
                let mut met = Met::default();
                let settings = UntilEmpirical { map: &mut map, met: &mut met };
                let learned = LearnedModel::deserialize(MapAccessDeserializer::new(settings));
                if !met.empirical {
                    return learned.map(ModelSpec::Learned);
                }
                let both = |other: &str| de::Error::custom(two_of("model", EMPIRICAL, other));
                if let Some(earlier) = met.earlier {
                    return Err(both(&earlier));
                }
                let model = map.next_value()?;
                match map.next_key::<String>()? {
                    Some(other) => Err(both(&other)),
                    None => Ok(ModelSpec::Empirical(model)),
                }
            }
        }

        deserializer.deserialize_any(WordOrMap)
    }
}

/// What a map of settings has said so far.
#[derive(Default)]
struct Met {
    /// The last of the keys before `empirical`.
    earlier: Option<String>,
    /// Whether `empirical` stood among the keys.
    empirical: bool,
}

/// The settings of a network, up to a key `empirical`, which none of them is called. Every other key is judged where it
/// stands, so that errors keep their place.
struct UntilEmpirical<'m, A> {
    map: &'m mut A,
    met: &'m mut Met,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for UntilEmpirical<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.map.next_key_seed(Watched { seed, met: self.met })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A key of [`UntilEmpirical`].
struct Watched<'m, K> {
    seed: K,
    met: &'m mut Met,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Watched<'_, K> {
    type Value = K::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for Watched<'_, K> {
    type Value = K::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a setting")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<K::Value, E> {
        if key == EMPIRICAL {
            self.met.empirical = true;
            return Err(E::custom("not a setting of a network"));
        }
        self.met.earlier = Some(key.to_owned());
        self.seed.deserialize(key.into_deserializer())
    }
}
