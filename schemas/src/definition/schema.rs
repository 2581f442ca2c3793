//! Draws the JSON Schema (2020-12) of definitions from the table of keys.

use serde_json::{Map, Value, json};

use super::{
    Key, KindShape, MAX_NAME, MAX_STEP_ID, ObjectShape, RESERVED_IDS, Shape, TaggedShape, WORKFLOW, policy,
    skill,
};
use crate::failure::Code;

/// JSON Schema of a whole definition.
pub fn json_schema() -> Value {
    json_schema_of(&WORKFLOW)
}

/// JSON Schema of a file that holds an object of this shape.
pub fn json_schema_of(shape: &ObjectShape) -> Value {
    let mut definitions = Map::new();
    let mut root = object(shape.about, shape.keys.iter(), None, &mut definitions);
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".into(), shape.title.into());
    root.insert("$defs".into(), Value::Object(definitions));
    Value::Object(root)
}

/// Schema of one shape; named shapes go to `definitions` and are referred to.
fn schema(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match *shape {
        Shape::Any | Shape::Value => json!(true),
        Shape::Text | Shape::Template | Shape::Expression => json!({"type": "string"}),
        Shape::Name => {
            json!({"type": "string", "pattern": format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", MAX_NAME - 1)})
        }
        Shape::Version => json!({"type": "string", "pattern": SEMVER}),
        Shape::StepId => json!({
            "type": "string",
            "pattern": format!("^[A-Za-z0-9_][A-Za-z0-9_-]{{0,{}}}$", MAX_STEP_ID - 1),
            "not": {"enum": RESERVED_IDS},
        }),
        Shape::FailureCode => json!({"type": "string", "pattern": failure_codes()}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Integer { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Positive => json!({"type": "number", "exclusiveMinimum": 0}),
        Shape::Duration { zero } => text_or_number(DURATION, zero),
        Shape::Size { zero } => text_or_number(SIZE, zero),
        Shape::Word(words) => json!({"type": "string", "enum": words}),
        Shape::Object(shape) => {
            named(shape.title, definitions, |definitions| named_object(shape, definitions))
        }
        Shape::Tagged(shape) => named(shape.title, definitions, |definitions| tagged(shape, definitions)),
        Shape::Map(of) => json!({"type": "object", "additionalProperties": schema(of, definitions)}),
        Shape::List { of, least: 0 } => json!({"type": "array", "items": schema(of, definitions)}),
        Shape::List { of, least } => {
            json!({"type": "array", "items": schema(of, definitions), "minItems": least})
        }
        Shape::Either(shapes) => {
            let shapes: Vec<_> = shapes.iter().map(|shape| schema(shape, definitions)).collect();
            json!({"anyOf": shapes})
        }
        Shape::Nullable(of) => json!({"anyOf": [schema(of, definitions), {"type": "null"}]}),
    }
}

const DURATION: &str = "^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const SIZE: &str = r"^[0-9][0-9_ ]*(\.[0-9_ ]*)?([kKmMgGtTpPeE]i?)?[bB]?$";
/// As semver.org has it.
const SEMVER: &str = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$";

fn text_or_number(pattern: &str, zero: bool) -> Value {
    json!({"anyOf": [
        {"type": "integer", "minimum": i32::from(!zero)},
        {"type": "string", "minLength": 1, "pattern": pattern},
    ]})
}

fn failure_codes() -> String {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    format!("^({})(:.+)?$", codes.join("|"))
}

/// Puts a schema under its title, once, and refers to it. The entry is made before its content: shapes
/// may hold themselves.
fn named(
    title: &str,
    definitions: &mut Map<String, Value>,
    content: impl FnOnce(&mut Map<String, Value>) -> Value,
) -> Value {
    if !definitions.contains_key(title) {
        definitions.insert(title.into(), Value::Null);
        let content = content(definitions);
        definitions.insert(title.into(), content);
    }
    json!({"$ref": format!("#/$defs/{title}")})
}

fn named_object(shape: &ObjectShape, definitions: &mut Map<String, Value>) -> Value {
    let mut object = object(shape.about, shape.keys.iter(), None, definitions);
    if [&raw const policy::LIMITS, &raw const skill::LIMITS].contains(&std::ptr::from_ref(shape)) {
        let both = |first: &str, second: &str| json!({"not": {"required": [first, second]}});
        let rules = [both("max_memory_mb", "memory"), both("max_cpu_percent", "cpu")];
        object.insert("allOf".into(), json!(rules));
    }
    Value::Object(object)
}

fn tagged(shape: &TaggedShape, definitions: &mut Map<String, Value>) -> Value {
    let mut kinds = Vec::new();
    for kind in shape.kinds {
        kinds.push(named(kind.title, definitions, |definitions| one_kind(shape, kind, definitions)));
    }
    json!({"description": shape.about, "oneOf": kinds})
}

fn one_kind(shape: &TaggedShape, kind: &KindShape, definitions: &mut Map<String, Value>) -> Value {
    let mut object = object(kind.about, shape.common.iter().chain(kind.keys), Some(kind.word), definitions);
    if kind.word == "loop" {
        let one =
            |first: &str, second: &str| json!({"oneOf": [{"required": [first]}, {"required": [second]}]});
        object.insert("allOf".into(), json!([one("condition", "for_each"), one("steps", "body")]));
    }
    Value::Object(object)
}

/// Schema of an object; `tag` is the word that its `type` must be.
fn object<'a>(
    about: &str,
    keys: impl Iterator<Item = &'a Key>,
    tag: Option<&str>,
    definitions: &mut Map<String, Value>,
) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if let Some(tag) = tag {
        properties.insert("type".into(), json!({"const": tag}));
        required.push(Value::from("type"));
    }
    for key in keys {
        properties.insert(key.name.into(), described(schema(&key.shape, definitions), key.about));
        if key.required {
            required.push(Value::from(key.name));
        }
    }
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("description".into(), about.into());
    object.insert("properties".into(), Value::Object(properties));
    object.insert("required".into(), Value::Array(required));
    object.insert("patternProperties".into(), json!({"^(x-.*|\\$schema)$": true}));
    object.insert("additionalProperties".into(), false.into());
    object
}

fn described(schema: Value, about: &str) -> Value {
    match schema {
        Value::Object(mut map) => {
            map.insert("description".into(), about.into());
            Value::Object(map)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            json!({"description": about})
        }
    }
}
