//! `process-a`: its inputs with all text in upper case.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    catalog::{Builtin, Needs},
    echo,
    input::BadInput,
    json_text,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "process-a",
    description: "Gives its inputs with all text in upper case.",
    inputs: r#"{"type":"object"}"#,
    outputs: r#"{
        "type": "object",
        "properties": {
            "result": {"type": "object", "description": "The inputs, their text in upper case; keys are untouched."},
            "from": {"const": "process-a"}
        },
        "required": ["result", "from"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

#[derive(Serialize)]
struct Processed<'a> {
    result: &'a RawValue,
    from: &'a str,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    process(inputs, BUILTIN.name, str::to_uppercase)
}

/// Changes all text of the inputs; what `process-a` and `process-b` share.
pub(super) fn process(inputs: &str, from: &str, change: fn(&str) -> String) -> Result<Value, Failure> {
    let inputs = echo::any_object(inputs)?;
    let result =
        json_text::map_strings(inputs.get(), change).map_err(|error| BadInput::new("", error.to_string()))?;
    value(&Processed { result: &result, from })
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{bad_input, value};

    #[test]
    fn puts_all_text_into_upper_case() {
        value("process-a", "{}", r#"{"result":{},"from":"process-a"}"#);
        value(
            "process-a",
            r#"{"name":"ada","list":["x",{"deep":"straße"}],"n":1,"none":null}"#,
            r#"{"result":{"name":"ADA","list":["X",{"deep":"STRASSE"}],"n":1,"none":null},"from":"process-a"}"#,
        );
    }

    #[test]
    fn wants_an_object() {
        bad_input("process-a", "\"text\"", "", "the inputs are not an object");
    }
}
