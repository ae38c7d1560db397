//! The JSON Schema of an experiment file, with which editors complete and check while one types.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, json_schema};
use serde_json::{Value, json};

use super::spec::Spec;

/// The JSON Schema (draft 2020-12) of an experiment file: names, types, defaults, descriptions and the least counts.
///
/// It refuses nothing that the program accepts. The converse does not hold: which values make sense together only the
/// program knows.
pub fn file_schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(as_read);
    let mut schema = settings.into_generator().into_root_schema_for::<Spec>();
    with_file_keys(&mut schema);
    schema
}

/// What schemars derives, as the reader of experiments takes it.
fn as_read(schema: &mut Schema) {
    // Settings that all have defaults may be left empty: `{heun: }`.
    let is_struct = schema.get("type") == Some(&json!("object")) && schema.contains_key("properties");
    if is_struct && !schema.contains_key("required") {
        schema.insert("type".into(), json!(["object", "null"]));
    }
    // JSON has no ∞, and writes null for it.
    if schema.get("default") == Some(&Value::Null) && schema.get("type") == Some(&json!("number")) {
        schema.remove("default");
    }
    // `uint` and `double` are Rust's formats and none of JSON Schema's.
    schema.remove("format");
    transform_subschemas(&mut as_read, schema);
}

/// Adds the keys of a file that are not settings of one experiment: `base`, the file whose settings this one changes,
/// and `sweep`, settings to vary.
///
/// With a base all keys but the name may be left to it.
fn with_file_keys(schema: &mut Schema) {
    let [required, of_compare] = [
        schema.insert("required".into(), json!(["name"])),
        schema.pointer_mut("/$defs/CompareSpec").and_then(Value::as_object_mut).and_then(|map| map.remove("required")),
    ]
    .map(|keys| keys.expect("an experiment has required keys, and so has a comparison"));
    let others: Vec<&Value> = required.as_array().expect("a list").iter().filter(|key| *key != "name").collect();
    schema.insert("title".into(), "An experiment of Ornstein".into());
    schema.insert("if".into(), json!({ "required": ["base"] }));
    schema.insert(
        "else".into(),
        json!({ "required": others, "properties": { "compare": { "required": of_compare } } }),
    );
    let base = json_schema!({
        "type": "string",
        "description": "Another experiment file, relative to this one, whose settings hold where this file says nothing.",
    });
    let sweep = json_schema!({
        "description": "Settings to vary: for each path a list of its values, all of which are combined; or a list of \
                        such settings, each of which is one variant.",
        "oneOf": [
            { "type": "object", "additionalProperties": { "type": "array", "minItems": 1 } },
            { "type": "array", "items": { "type": "object" }, "minItems": 1 },
        ],
    });
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut).expect("an experiment has keys");
    properties.insert("base".into(), base.into());
    properties.insert("sweep".into(), sweep.into());
}
