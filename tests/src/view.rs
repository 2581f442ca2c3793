//! Run views: reading them, and making them the same on every run and every host.

use serde_json::{Value, json};

/// The step with this id.
#[track_caller]
pub fn step<'a>(view: &'a Value, id: &str) -> &'a Value {
    let steps = view["steps"].as_array().expect("a view has steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id} in {view:#}"))
}

/// The last attempt of the step with this id.
#[track_caller]
pub fn attempt<'a>(view: &'a Value, id: &str) -> &'a Value {
    let attempts = step(view, id)["attempts"].as_array().expect("a step has attempts");
    attempts.last().unwrap_or_else(|| panic!("step {id} was never tried: {view:#}"))
}

/// The outputs of the step with this id.
#[track_caller]
pub fn outputs<'a>(view: &'a Value, id: &str) -> &'a Value {
    &step(view, id)["outputs"]
}

/// Whether no attempt of the step was made: it is absent, or there without an attempt.
pub fn never_ran(view: &Value, id: &str) -> bool {
    let steps = view["steps"].as_array().expect("a view has steps");
    let ran =
        |step: &Value| step["id"] == id && step["attempts"].as_array().is_some_and(|all| !all.is_empty());
    !steps.iter().any(ran)
}

/// The document as text, with a word in place of what differs from run to run and from host to host: ids, times,
/// durations, counts of the kernel, and who enforces what.
pub fn normalised(document: &Value) -> String {
    let mut document = document.clone();
    normalise(&mut document);
    format!("{document:#}")
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match placeholder(key, value) {
                    Some(word) => *value = json!(word),
                    None => normalise(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The word for what differs, if the value has the right shape; else it stays as it is and is seen.
fn placeholder(key: &str, value: &Value) -> Option<&'static str> {
    match (key, value) {
        ("run_id", Value::String(_)) => Some("[id]"),
        ("created_at" | "started_at" | "finished_at" | "ts", Value::String(text)) if is_timestamp(text) => {
            Some("[time]")
        }
        ("duration_ms" | "wall_ms", Value::Number(_)) => Some("[ms]"),
        (
            "cpu_user_us" | "cpu_system_us" | "memory_peak_bytes" | "pids_peak" | "oom_kills"
            | "throttled_us" | "io_read_bytes" | "io_write_bytes" | "pids_denied" | "leftovers_killed"
            | "core_dumped",
            Value::Number(_) | Value::Bool(_) | Value::Null,
        ) => Some("[known or null]"),
        ("isolation", Value::Object(_) | Value::Null) => Some("[isolation]"),
        ("limits", Value::Array(_)) => Some("[limits]"),
        _ => None,
    }
}

/// Whether the text is a moment of RFC 3339 in UTC: `2026-01-31T09:00:00Z`, with or without a fraction.
pub fn is_timestamp(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let fraction = rest.strip_suffix('Z').or_else(|| rest.strip_suffix("+00:00"));
    fraction.is_some_and(|fraction| fraction.is_empty() || fraction.starts_with('.'))
}
