//! `process-b`: its inputs with all text reversed.

use super::{
    catalog::{Builtin, Needs},
    process_a,
    run::{Context, Failure, Value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "process-b",
    description: "Gives its inputs with all text reversed, character by character.",
    inputs: r#"{"type":"object"}"#,
    outputs: r#"{
        "type": "object",
        "properties": {
            "result": {"type": "object", "description": "The inputs, their text reversed; keys are untouched."},
            "from": {"const": "process-b"}
        },
        "required": ["result", "from"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    process_a::process(inputs, BUILTIN.name, reversed)
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::value;

    #[test]
    fn reverses_all_text() {
        value("process-b", "{}", r#"{"result":{},"from":"process-b"}"#);
        value(
            "process-b",
            r#"{"name":"ada l","list":["xy",{"deep":"né\n"}],"n":12}"#,
            r#"{"result":{"name":"l ada","list":["yx",{"deep":"\nén"}],"n":12},"from":"process-b"}"#,
        );
    }
}
