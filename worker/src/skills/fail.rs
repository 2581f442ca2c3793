//! `fail`: always fails, as it is told.

use serde::Deserialize;

use super::{
    catalog::{Builtin, Needs},
    input::{self, BadInput},
    run::{Context, Failure, Value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "fail",
    description: "Fails with a code and a message.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "message": {"type": "string", "default": "failed on purpose"},
            "code": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$", "default": "FAILED"},
            "retryable": {"type": "boolean", "default": false}
        },
        "additionalProperties": false
    }"#,
    outputs: r#"{"type": "object", "description": "It never gives one.", "maxProperties": 0}"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    message: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    code: Option<String>,
    #[serde(default)]
    retryable: bool,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let message = inputs.message.as_deref().unwrap_or("failed on purpose");
    let code = inputs.code.as_deref().unwrap_or("FAILED");
    if !is_code(code) {
        let message = "a code is 1 to 64 letters, digits, `_`, `.` and `-`";
        return Err(BadInput::new("/code", message).into());
    }
    Err(if inputs.retryable { Failure::passing(code, message) } else { Failure::permanent(code, message) })
}

fn is_code(code: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=64).contains(&code.len()) && code.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{bad_input, error};

    #[test]
    fn fails_as_told() {
        let plain = error("fail", "{}", "FAILED");
        assert_eq!((plain.message.as_str(), plain.retryable), ("failed on purpose", false));
        let told = error("fail", r#"{"code":"BUSY","message":"later","retryable":true}"#, "BUSY");
        assert_eq!((told.message.as_str(), told.retryable), ("later", true));
    }

    #[test]
    fn refuses_bad_inputs() {
        let message = "a code is 1 to 64 letters, digits, `_`, `.` and `-`";
        bad_input("fail", r#"{"code":""}"#, "/code", message);
        bad_input("fail", r#"{"code":"a b"}"#, "/code", message);
        bad_input(
            "fail",
            r#"{"retryable":"yes"}"#,
            "/retryable",
            "invalid type: string \"yes\", expected a boolean",
        );
    }
}
