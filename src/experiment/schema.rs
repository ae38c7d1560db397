//! What an experiment file may say, as JSON Schema; and from the same source, which of its maps are choices.

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::locate::Step;
use super::spec::Spec;
use super::tree::Tree;

/// The JSON Schema (draft 2020-12) of an experiment *file*: every key of [`Spec`], and `base` and `sweep`, which belong
/// to the file and not to the experiment that it resolves to. Editors complete and check by it.
///
/// It knows names, types, defaults, descriptions and least counts, and refuses nothing that the program accepts. Which
/// values make sense together only the program knows.
///
/// In a file with a `base`, or where a sweep gives them, even required keys may be missing; so the schema asks for
/// them in files that have neither, items of lists excepted. The program itself checks the resolved experiment.
pub fn schema() -> Value {
    let mut schema = of::<Spec>();
    let required = schema["required"].take();
    let of_compare = schema["$defs"]["CompareSpec"]["required"].take();
    relax(&mut schema);
    let properties = schema["properties"].as_object_mut().expect("an experiment has properties");
    properties.insert("base".to_owned(), base());
    properties.insert("sweep".to_owned(), sweep());
    schema["title"] = json!("Ornstein experiment");
    schema["required"] = json!(["name"]);
    schema["if"] = json!({ "not": { "anyOf": [{ "required": ["base"] }, { "required": ["sweep"] }] } });
    schema["then"] = json!({ "required": required, "properties": { "compare": { "required": of_compare } } });
    schema
}

fn base() -> Value {
    json!({
        "type": "string",
        "description": "Another experiment file, relative to this one, over which this one is laid: maps merge key by \
                        key; everything else, another choice and an empty value included, replaces. `name`, \
                        `description` and `sweep` are not taken from the base.",
    })
}

fn sweep() -> Value {
    let cell = json!({
        "type": "object",
        "description": "A cell: paths such as train.steps with their values, and a `label` if wanted.",
        "properties": { "label": { "type": "string", "description": "The name of the cell in figures and tables." } },
    });
    json!({
        "description": "The experiment many times, with other settings.",
        "oneOf": [
            {
                "type": "object",
                "description": "A grid: paths such as train.steps, each with its values; every combination is a cell.",
                "minProperties": 1,
                "additionalProperties": { "type": "array", "minItems": 1 },
            },
            { "type": "array", "description": "The cells written out.", "minItems": 1, "items": cell },
        ],
    })
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(as_read);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// What schemars derives, as the reader of experiments takes it.
fn as_read(schema: &mut Schema) {
    // Settings that all have defaults may be left empty: `{heun: }`.
    let is_struct = schema.get("type") == Some(&json!("object")) && schema.get("properties").is_some();
    if is_struct && schema.get("required").is_none() {
        schema.insert("type".into(), json!(["object", "null"]));
    }
    // JSON has no ∞, and writes null for it.
    if schema.get("default") == Some(&Value::Null) && schema.get("type") == Some(&json!("number")) {
        schema.remove("default");
    }
    // `uint` and `double` are formats of Rust and none of JSON Schema.
    schema.remove("format");
    transform_subschemas(&mut as_read, schema);
}

/// Takes `required` from every map that a file may leave to its base: all that is reached without passing a list. The
/// one key of a choice stays.
fn relax(schema: &mut Value) {
    fn pointers(root: &Value, at: String, found: &mut Vec<String>) {
        if found.contains(&at) {
            return;
        }
        let node = root.pointer(&at).expect("a pointer that was built from what is there");
        found.push(at.clone());
        if let Some(target) = reference(node) {
            pointers(root, target.to_owned(), found);
        }
        for (key, _) in node["properties"].as_object().into_iter().flatten() {
            pointers(root, format!("{at}/properties/{key}"), found);
        }
        for kind in ALTERNATIVES {
            for index in 0..node[kind].as_array().map_or(0, Vec::len) {
                pointers(root, format!("{at}/{kind}/{index}"), found);
            }
        }
    }
    let mut found = Vec::new();
    pointers(schema, String::new(), &mut found);
    for at in found {
        let node = schema.pointer_mut(&at).expect("it was just found");
        if chosen(node).is_none()
            && let Some(map) = node.as_object_mut()
        {
            map.remove("required");
        }
    }
}

/// What stands for one of several schemas.
const ALTERNATIVES: [&str; 2] = ["oneOf", "anyOf"];

/// Where a reference points, as a JSON pointer.
fn reference(node: &Value) -> Option<&str> {
    node["$ref"].as_str()?.strip_prefix('#')
}

/// The name that a map with exactly one key chooses.
fn chosen(form: &Value) -> Option<&str> {
    let properties = form["properties"].as_object()?;
    match form["required"].as_array()?.as_slice() {
        [Value::String(name)] if properties.len() == 1 && properties.contains_key(name) => Some(name.as_str()),
        _ => None,
    }
}

/// What may stand at a place of an experiment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    root: &'a Value,
    /// None where nothing is known to be allowed.
    node: Option<&'a Value>,
}

/// The schema of [`Spec`], for [`Shape`].
#[derive(Debug)]
pub(super) struct Shapes(Value);

impl Shapes {
    pub fn new() -> Self {
        Shapes(of::<Spec>())
    }

    /// The shape of a whole experiment.
    pub fn whole(&self) -> Shape<'_> {
        Shape { root: &self.0, node: Some(&self.0) }
    }
}

impl<'a> Shape<'a> {
    /// Every schema that may describe what stands here; with those of which exactly one applies, whether this is one.
    fn forms(self) -> Vec<(bool, &'a Value)> {
        fn collect<'a>(root: &'a Value, node: &'a Value, one_of: bool, found: &mut Vec<(bool, &'a Value)>) {
            found.push((one_of, node));
            if let Some(target) = reference(node).and_then(|at| root.pointer(at)) {
                collect(root, target, false, found);
            }
            for kind in ALTERNATIVES {
                for form in node[kind].as_array().into_iter().flatten() {
                    collect(root, form, kind == "oneOf", found);
                }
            }
        }
        let mut found = Vec::new();
        if let Some(node) = self.node {
            collect(self.root, node, false, &mut found);
        }
        found
    }

    /// The names of which a map here may choose one, by its one key.
    pub fn names(self) -> Vec<&'a str> {
        self.forms().into_iter().filter(|(one_of, _)| *one_of).filter_map(|(_, form)| chosen(form)).collect()
    }

    /// The name that a map here chooses, if it chooses one.
    pub fn choice(self, map: &[(String, Tree)]) -> Option<&str> {
        match map {
            [(name, _)] if self.names().contains(&name.as_str()) => Some(name),
            _ => None,
        }
    }

    /// The shape of the value of a key.
    pub fn key(self, key: &str) -> Self {
        let node = self.forms().into_iter().find_map(|(_, form)| form["properties"].get(key));
        Shape { root: self.root, node }
    }

    /// The shape of what stands at the end of a way.
    pub fn at(self, way: &[Step]) -> Self {
        way.iter().fold(self, |shape, step| match step {
            Step::Key(key) => shape.key(key),
            Step::Index(_) => {
                let node = shape.forms().into_iter().find_map(|(_, form)| form.get("items"));
                Shape { root: shape.root, node }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::locate::steps;
    use super::*;

    fn names(path: &str) -> Vec<String> {
        let shapes = Shapes::new();
        let shape = shapes.whole().at(&steps(path).unwrap());
        assert!(shape.node.is_some(), "{path} is nothing");
        shape.names().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn choices_are_known_by_their_schema() {
        for path in [
            "data",
            "sde",
            "model.network",
            "train.time",
            "train.ema",
            "train.optimizer",
            "sample.solver",
            "sample.grid",
            "compare.entries[0].solver",
            "compare.metrics[1]",
            "sample.solver.predictor_corrector.predictor",
            "sample.solver.predictor_corrector.predictor.predictor_corrector.corrector",
        ] {
            assert!(!names(path).is_empty(), "{path} is a choice");
        }
        for path in [
            "name",
            "seed",
            "train",
            "train.optimizer.adamw",
            "sample",
            "sample.noise",
            "compare",
            "compare.entries",
            "sample.solver.ddim",
        ] {
            assert!(names(path).is_empty(), "{path} is no choice");
        }
        assert!(Shapes::new().whole().key("nowhere").key("x").names().is_empty());
        // A model is chosen by name, or it is a map with settings of its own.
        assert_eq!(names("model"), ["empirical"]);
    }

    #[test]
    fn the_schema_of_a_file_knows_base_and_sweep() {
        let schema = schema();
        let names = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
        assert_eq!(names(&schema["required"]), ["name"]);
        assert_eq!(names(&schema["then"]["required"]), ["name", "data", "sde", "model"]);
        for key in ["base", "sweep", "name", "train", "compare"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
        assert_eq!(schema["additionalProperties"], json!(false));
        let definitions = &schema["$defs"];
        // A derived file may say `compare: {repeats: 10}`, but an item of a list is whole.
        assert!(definitions["CompareSpec"]["required"].is_null());
        assert_eq!(names(&definitions["Entry"]["required"]), ["solver"]);
        // The one key of a choice is what makes it one.
        assert_eq!(names(&definitions["SdeSpec"]["oneOf"][1]["required"]), ["vp"]);
    }
}
