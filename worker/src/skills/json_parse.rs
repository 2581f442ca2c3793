//! `json-parse`: text into a JSON value, or a part of a value.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    catalog::{Builtin, Needs},
    input::{self, BadInput},
    json_text, pointer,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "json-parse",
    description: "Parses text as JSON; a value that is no text is taken as it is. `pointer` selects a part.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "data": {"description": "JSON text, or any value."},
            "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) of the part to give.", "pattern": "^(/([^~]|~[01])*)?$"}
        },
        "required": ["data"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"parsed": {"description": "The value."}},
        "required": ["parsed"],
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
    data: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "input::present")]
    pointer: Option<String>,
}

#[derive(Serialize)]
struct Parsed<'a> {
    parsed: &'a RawValue,
}

#[derive(Serialize)]
struct Position {
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Missing<'a> {
    pointer: &'a str,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs<'_> = input::parse(inputs)?;
    let data = document(input::required(inputs.data, "data")?)?;
    let parsed = pointer::resolve(&data, inputs.pointer.as_deref().unwrap_or_default()).map_err(not_there)?;
    value(&Parsed { parsed })
}

/// The JSON document that `data` is or, as text, holds.
fn document(data: &RawValue) -> Result<Box<RawValue>, Failure> {
    if !data.get().starts_with('"') {
        return json_text::checked(data.get()).map_err(|error| invalid(&error));
    }
    let text: String =
        serde_json::from_str(data.get()).map_err(|error| BadInput::new("/data", error.to_string()))?;
    json_text::checked(&text).map_err(|error| invalid(&error))
}

fn invalid(error: &serde_json::Error) -> Failure {
    let position = Position { line: error.line(), column: error.column() };
    Failure::permanent("INVALID_JSON", format!("the data is not JSON: {error}")).with_details(&position)
}

fn not_there(error: pointer::Error) -> Failure {
    let message = error.to_string();
    match error {
        pointer::Error::Syntax => BadInput::new("/pointer", message).into(),
        pointer::Error::NotFound(at) => {
            Failure::permanent("NOT_FOUND", message).with_details(&Missing { pointer: &at })
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{bad_input, error, value};

    #[test]
    fn parses_text() {
        value("json-parse", r#"{"data":" {\"a\" : [1, 2]} "}"#, r#"{"parsed":{"a":[1,2]}}"#);
        value("json-parse", r#"{"data":"\"x\""}"#, r#"{"parsed":"x"}"#);
        value("json-parse", r#"{"data":"null"}"#, r#"{"parsed":null}"#);
        value("json-parse", r#"{"data":"1.10"}"#, r#"{"parsed":1.10}"#);
    }

    #[test]
    fn takes_values_as_they_are() {
        value("json-parse", r#"{"data":{"a":1}}"#, r#"{"parsed":{"a":1}}"#);
        value("json-parse", r#"{"data":null}"#, r#"{"parsed":null}"#);
        value("json-parse", r#"{"data":12}"#, r#"{"parsed":12}"#);
    }

    #[test]
    fn selects_a_part() {
        value("json-parse", r#"{"data":"{\"a\":[{\"b\":true}]}","pointer":"/a/0/b"}"#, r#"{"parsed":true}"#);
        value("json-parse", r#"{"data":{"a":1},"pointer":""}"#, r#"{"parsed":{"a":1}}"#);
        let missing = error("json-parse", r#"{"data":{"a":[]},"pointer":"/a/0/b"}"#, "NOT_FOUND");
        assert_eq!(missing.details.as_ref().map(schemas::json::Json::as_str), Some(r#"{"pointer":"/a/0"}"#));
        assert!(!missing.retryable);
    }

    #[test]
    fn says_where_text_is_no_json() {
        let invalid = error("json-parse", r#"{"data":"{\n  \"a\": nope}"}"#, "INVALID_JSON");
        assert_eq!(
            invalid.details.as_ref().map(schemas::json::Json::as_str),
            Some(r#"{"line":2,"column":9}"#)
        );
        for data in ["", "<html>", "{} {}", "[1e999]", "[\\\"\\\\ud800\\\"]"] {
            error("json-parse", &format!("{{\"data\":\"{data}\"}}"), "INVALID_JSON");
        }
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("json-parse", "{}", "/data", "`data` is required");
        bad_input(
            "json-parse",
            r#"{"data":1,"pointer":2}"#,
            "/pointer",
            "invalid type: integer `2`, expected a string",
        );
        bad_input(
            "json-parse",
            r#"{"data":1,"path":""}"#,
            "/path",
            "unknown field `path`, expected `data` or `pointer`",
        );
        bad_input(
            "json-parse",
            r#"{"data":1,"pointer":"a"}"#,
            "/pointer",
            "not a JSON pointer: it is empty or begins with `/`, and `~` stands before `0` or `1` only",
        );
    }
}
