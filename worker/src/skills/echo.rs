//! `echo`: gives its inputs as they are.

use super::{
    catalog::{Builtin, Needs},
    input::{self, BadInput},
    json_text,
    run::{Context, Failure, Value, value},
};
use serde_json::value::RawValue;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "echo",
    description: "Gives its inputs as they are.",
    inputs: r#"{"type":"object"}"#,
    outputs: r#"{"type":"object"}"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    value(&any_object(inputs)?)
}

/// Inputs of the skills that take whatever they are given.
pub(super) fn any_object(inputs: &str) -> Result<Box<RawValue>, BadInput> {
    let object: &RawValue = input::parse(inputs)?;
    json_text::checked(object.get()).map_err(|error| BadInput::new("", error.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{bad_input, value};

    #[test]
    fn gives_back_what_it_was_given() {
        value("echo", r#"{"message":"Hello"}"#, r#"{"message":"Hello"}"#);
        value("echo", "{}", "{}");
        value(
            "echo",
            r#" { "n" : 1.50, "big":123456789012345678901 } "#,
            r#"{"n":1.50,"big":123456789012345678901}"#,
        );
    }

    #[test]
    fn wants_an_object() {
        bad_input("echo", "[]", "", "the inputs are not an object");
        bad_input("echo", "", "", "the inputs are not an object");
    }
}
