//! The JSON Schema of definitions agrees with the reading pass: both are drawn from one table.

use jsonschema::Validator;
use schemas::definition::{Key, ObjectShape, Shape, TaggedShape, WORKFLOW, json_schema};
use serde_json::{Value, json};

use super::{checked, with_steps};
use crate::load::Syntax;

/// Codes of problems that the schema sees as well.
const SHAPE_CODES: [&str; 4] = ["E010", "E011", "E012", "E013"];

fn validator() -> Validator {
    let schema = json_schema();
    assert!(jsonschema::meta::is_valid(&schema), "the schema is a schema of draft 2020-12");
    jsonschema::validator_for(&schema).expect("the schema compiles")
}

#[track_caller]
fn check(validator: &Validator, text: &str) {
    let (_, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    let wrong: Vec<_> = diagnostics.iter().filter(|found| SHAPE_CODES.contains(&found.code)).collect();
    let value: Value = serde_json::from_str(text).expect("the test's text is JSON");
    assert_eq!(validator.is_valid(&value), wrong.is_empty(), "{text}\n{wrong:?}");
}

#[test]
fn both_judge_alike() {
    let validator = validator();
    for steps in [
        r#"{"id":"s","type":"skill","skill":"echo"}"#,
        r#"{"id":"s","type":"skill","skill":"echo","x-a":1,"$schema":"s","timeout":"1h30m","grace":0}"#,
        r#"{"id":"s","type":"skill","skil":"echo"}"#,
        r#"{"id":"s","type":"skill"}"#,
        r#"{"id":"s"}"#,
        r#"{"id":"s","type":"python"}"#,
        r#"{"id":"s","type":"skill","skill":"echo","kill_mode":"all"}"#,
        r#"{"id":"s","type":"skill","skill":"echo","env":{"A":1}}"#,
        r#"{"id":"s","type":"skill","skill":"echo","resource_limits":{"pids":0}}"#,
        r#"{"id":"s","type":"skill","skill":"echo","resource_limits":{"cpu":0.5,"memory":"2GB","output":0}}"#,
        r#"{"id":"s","type":"skill","skill":"echo","resource_limits":{"cpus":0.5}}"#,
        r#"{"id":"s","type":"skill","skill":"echo","error_handling":[{"strategy":"retry","then":"skip"}]}"#,
        r#"{"id":"s","type":"skill","skill":"echo","error_handling":{"strategy":"retry","then":"skipp"}}"#,
        r#"{"id":"s","type":"skill","skill":"echo","rollback":[{"id":"u","type":"skill","skill":"echo"}]}"#,
        r#"{"id":"s","type":"skill","skill":"echo","rollback":[{"id":"u","type":"skill"}]}"#,
        r#"{"id":"s","type":"skill","skill":"echo","sandbox":{"network":{"allow":["a:1"]},"user":"nobody"}}"#,
        r#"{"id":"s","type":"skill","skill":"echo","sandbox":{"network":"no"}}"#,
        r#"{"id":"s","type":"agent","agent":"a","async":true,"guardrails":{"max_iterations":10,"allowed_tools":["x"]}}"#,
        r#"{"id":"s","type":"agent","agent":"a","guardrails":{"iterations":10}}"#,
        r#"{"id":"s","type":"conditional","condition":"a","then":[],"else":[{"id":"t","type":"skill","skill":"echo"}]}"#,
        r#"{"id":"s","type":"loop","for_each":[1,"a"],"steps":[{"id":"t","type":"skill","skill":"echo"}]}"#,
        r#"{"id":"s","type":"loop","for_each":{},"steps":[{"id":"t","type":"skill","skill":"echo"}]}"#,
        r#"{"id":"s","type":"workflow","workflow":"w"}"#,
        r#"{"id":"s","type":"sequence","steps":[]}"#,
    ] {
        check(&validator, &with_steps(steps));
    }
    check(&validator, "{}");
    check(&validator, "[]");
    check(&validator, r#"{"name":"a","version":"1.0.0","steps":[]}"#);
}

#[test]
fn the_schema_refuses_bad_names_ids_and_units() {
    let validator = validator();
    let with = |step: Value, name: &str, version: &str| {
        validator.is_valid(&json!({"name": name, "version": version, "steps": [step]}))
    };
    let step = |key: &str, value: Value| {
        let mut step = json!({"id": "s", "type": "skill", "skill": "echo"});
        step[key] = value;
        step
    };
    assert!(with(step("timeout", json!("250ms")), "a", "1.2.3-rc.1+b"));
    assert!(!with(step("timeout", json!("5 minutes")), "a", "1.0.0"));
    assert!(!with(step("timeout", json!("")), "a", "1.0.0"));
    assert!(!with(step("timeout", json!(0)), "a", "1.0.0"));
    assert!(!with(step("timeout", json!(1.5)), "a", "1.0.0"));
    assert!(!with(step("id", json!("a.b")), "a", "1.0.0"));
    assert!(!with(step("name", json!("s")), "-a", "1.0.0"));
    assert!(!with(step("name", json!("s")), "a", "1.0"));
}

/// Walks the table once and calls `visit` for the keys of every object in it.
fn objects(visit: &mut impl FnMut(&str, &[&'static [Key]])) {
    let mut seen = std::collections::BTreeSet::new();
    object(&WORKFLOW, &mut seen, visit);
}

type Seen = std::collections::BTreeSet<&'static str>;

fn object(shape: &'static ObjectShape, seen: &mut Seen, visit: &mut impl FnMut(&str, &[&'static [Key]])) {
    if seen.insert(shape.title) {
        visit(shape.title, &[shape.keys]);
        shape.keys.iter().for_each(|key| below(&key.shape, seen, visit));
    }
}

fn tagged(shape: &'static TaggedShape, seen: &mut Seen, visit: &mut impl FnMut(&str, &[&'static [Key]])) {
    if seen.insert(shape.title) {
        for kind in shape.kinds {
            visit(kind.title, &[shape.common, kind.keys]);
            shape.common.iter().chain(kind.keys).for_each(|key| below(&key.shape, seen, visit));
        }
    }
}

fn below(shape: &'static Shape, seen: &mut Seen, visit: &mut impl FnMut(&str, &[&'static [Key]])) {
    match shape {
        Shape::Object(shape) => object(shape, seen, visit),
        Shape::Tagged(shape) => tagged(shape, seen, visit),
        Shape::Map(of) | Shape::List { of, .. } | Shape::Nullable(of) => below(of, seen, visit),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| below(shape, seen, visit)),
        Shape::Any
        | Shape::Value
        | Shape::Text
        | Shape::Template
        | Shape::Expression
        | Shape::Name
        | Shape::Version
        | Shape::StepId
        | Shape::FailureCode
        | Shape::Boolean
        | Shape::Integer { .. }
        | Shape::Positive
        | Shape::Duration { .. }
        | Shape::Size { .. }
        | Shape::Word(_) => {}
    }
}

#[test]
fn no_object_has_a_key_twice() {
    let mut count = 0;
    objects(&mut |title, keys| {
        let mut names: Vec<_> = keys.iter().flat_map(|keys| keys.iter()).map(|key| key.name).collect();
        count += names.len();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{title}: {names:?}");
    });
    assert!(count > 200, "the walk has seen the table: {count}");
}
