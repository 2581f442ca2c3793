//! `assert`: fails unless a value is `true`. The expression behind the value is the engine's.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    catalog::{Builtin, Needs},
    input,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "assert",
    description: "Fails unless a value is `true`.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "that": {"description": "A value, of which only `true` holds."},
            "message": {"type": "string", "default": "the assertion does not hold"}
        },
        "required": ["that"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"ok": {"const": true}},
        "required": ["ok"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs<'a> {
    #[serde(borrow, default, deserialize_with = "input::present")]
    that: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "input::present")]
    message: Option<String>,
}

#[derive(Serialize)]
struct Holds {
    ok: bool,
}

#[derive(Serialize)]
struct Given<'a> {
    that: &'a RawValue,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs<'_> = input::parse(inputs)?;
    let that = input::required(inputs.that, "that")?;
    if that.get() == "true" {
        return value(&Holds { ok: true });
    }
    let message = inputs.message.unwrap_or_else(|| "the assertion does not hold".to_owned());
    Err(Failure::permanent("ASSERTION_FAILED", message).with_details(&Given { that }))
}

#[cfg(test)]
mod tests {
    use schemas::json::Json;

    use crate::skills::testing::{bad_input, error, value};

    #[track_caller]
    fn check_fails(inputs: &str, message: &str, details: &str) {
        let error = error("assert", inputs, "ASSERTION_FAILED");
        assert_eq!((error.message.as_str(), error.retryable), (message, false));
        assert_eq!(error.details.as_ref().map(Json::as_str), Some(details));
    }

    #[test]
    fn only_true_holds() {
        value("assert", r#"{"that":true}"#, r#"{"ok":true}"#);
        value("assert", r#"{"that": true ,"message":"unused"}"#, r#"{"ok":true}"#);
        check_fails(r#"{"that":false}"#, "the assertion does not hold", r#"{"that":false}"#);
        check_fails(r#"{"that":null,"message":"no data"}"#, "no data", r#"{"that":null}"#);
        check_fails(r#"{"that":"true"}"#, "the assertion does not hold", r#"{"that":"true"}"#);
        check_fails(r#"{"that":1}"#, "the assertion does not hold", r#"{"that":1}"#);
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("assert", "{}", "/that", "`that` is required");
        bad_input(
            "assert",
            r#"{"that":true,"message":1}"#,
            "/message",
            "invalid type: integer `1`, expected a string",
        );
    }
}
