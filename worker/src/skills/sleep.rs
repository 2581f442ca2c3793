//! `sleep`: waits.

use std::{thread, time::Instant};

use serde::{Deserialize, Serialize};

use super::{
    catalog::{Builtin, Needs},
    duration::{Span, whole_milliseconds},
    input,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "sleep",
    description: "Waits.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "duration": {"type": ["integer", "string"], "minimum": 0, "description": "Whole seconds, or text like \"250ms\", \"1m30s\"."}
        },
        "required": ["duration"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"slept_ms": {"type": "integer", "minimum": 0}},
        "required": ["slept_ms"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    duration: Option<Span>,
}

#[derive(Serialize)]
struct Slept {
    slept_ms: u64,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let duration = input::required(inputs.duration, "duration")?.0;
    let start = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "to sleep is what this skill is for")]
    thread::sleep(duration);
    value(&Slept { slept_ms: whole_milliseconds(start.elapsed()) })
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Tree;

    use crate::skills::testing::{bad_input, some_value};

    #[track_caller]
    fn check(inputs: &str, at_least_ms: u64) {
        let value: Tree = serde_json::from_str(&some_value("sleep", inputs)).expect("JSON");
        let slept = value["slept_ms"].as_u64().expect("a number");
        assert!((at_least_ms..at_least_ms + 20_000).contains(&slept), "{slept}");
    }

    #[test]
    fn waits_as_long_as_told() {
        check(r#"{"duration":0}"#, 0);
        check(r#"{"duration":"30ms"}"#, 30);
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("sleep", "{}", "/duration", "`duration` is required");
        bad_input(
            "sleep",
            r#"{"duration":-1}"#,
            "/duration",
            "invalid type: integer `-1`, expected a whole number of seconds or text like \"250ms\"",
        );
    }
}
