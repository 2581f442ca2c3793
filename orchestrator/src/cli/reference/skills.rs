//! `docs/reference/built-in-skills.md`: every built-in skill with its inputs and its result, from the schemas that it
//! publishes. What they mean together is on the page of the guide, which is written by hand and has a row for each.

use std::fmt::Write as _;

use serde_json::Value;
use worker::skills::{self, Builtin};

const TAKES_EVERYTHING: &str = "a string takes everything";

#[test]
fn built_in_skills() {
    let mut text = String::from(
        "What each skill says of itself, as `q workflow skills show` does. [The guide](../guide/built-in-skills.md) \
         tells what they have in common.\n",
    );
    for skill in skills::catalog() {
        add(skill, &mut text);
    }
    super::check_fresh(
        "docs/reference/built-in-skills.md",
        &super::page("Inputs and results of built-in skills", &text),
    );
}

#[test]
fn the_guide_has_a_row_for_each() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/built-in-skills.md");
    let guide = std::fs::read_to_string(guide).expect("the page is there");
    let rows =
        guide.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name);
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    let mut names: Vec<_> = skills::catalog().iter().map(|skill| skill.name).collect();
    names.sort_unstable();
    assert_eq!(rows, names);
}

fn add(skill: &Builtin, text: &mut String) {
    let again = if skill.idempotent { "" } else { " It does not run again by itself when the engine died." };
    writeln!(text, "\n## `{}`\n\n{}{again}", skill.name, skill.description).expect(TAKES_EVERYTHING);
    for (what, schema) in [("input", skill.inputs), ("result", skill.outputs)] {
        let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
        match schema["properties"].as_object().filter(|properties| !properties.is_empty()) {
            Some(properties) => {
                writeln!(text, "\n| {what} | type | |\n|---|---|---|").expect(TAKES_EVERYTHING);
                for (name, property) in properties {
                    let about = about(property, is_required(&schema, name) && what == "input");
                    writeln!(text, "| `{name}` | {} | {about} |", kind(property)).expect(TAKES_EVERYTHING);
                }
            }
            None => writeln!(text, "\nThe {what} is any object.").expect(TAKES_EVERYTHING),
        }
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().into_iter().flatten().any(|required| required == name)
}

/// The types that a value may have, or the values.
fn kind(property: &Value) -> String {
    let words = |list: &Value| {
        let words = list
            .as_array()
            .into_iter()
            .flatten()
            .map(|word| word.as_str().map_or(word.to_string(), str::to_owned));
        words.collect::<Vec<_>>().join(" or ")
    };
    if let Some(kind) = property["type"].as_str() {
        return kind.to_owned();
    }
    if let Some(only) = property.get("const") {
        return format!("`{only}`");
    }
    for key in ["type", "enum"] {
        if property[key].is_array() {
            return words(&property[key]);
        }
    }
    let kinds: Vec<_> = property["anyOf"].as_array().into_iter().flatten().map(kind).collect();
    if kinds.is_empty() { "any".to_owned() } else { kinds.join(" or ") }
}

fn about(property: &Value, is_required: bool) -> String {
    let mut about: Vec<String> = Vec::new();
    if is_required {
        about.push("Required.".to_owned());
    }
    about.extend(property["description"].as_str().map(|text| text.replace('|', "\\|")));
    about.extend(property.get("default").map(|value| format!("Default: `{value}`.")));
    about.join(" ")
}
