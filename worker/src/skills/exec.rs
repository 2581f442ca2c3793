//! `exec`: a program and its arguments, with no shell between. The engine runs it; here is what to run.

use serde::Deserialize;

use super::{
    catalog::{Builtin, Needs},
    input::{self, BadInput},
    program::{self, Program},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "exec",
    description: "Runs a program with its arguments; no shell reads them.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "argv": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "The program, looked up in PATH unless it has a slash, and its arguments."},
            "stdin": {"type": "string", "description": "What the program reads; nothing by default."},
            "allow_failure": {"type": "boolean", "default": false, "description": "An exit code other than 0 is a result, no failure."}
        },
        "required": ["argv"],
        "additionalProperties": false
    }"#,
    outputs: program::OUTPUTS,
    idempotent: true,
    needs: Needs::Program,
    execute: None,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    argv: Option<Vec<String>>,
    #[serde(default, deserialize_with = "input::present")]
    stdin: Option<String>,
    #[serde(default)]
    allow_failure: bool,
}

pub(super) fn program(inputs: &str) -> Result<Program, BadInput> {
    let inputs: Inputs = input::parse(inputs)?;
    let argv = input::required(inputs.argv, "argv")?;
    match argv.first() {
        None => return Err(BadInput::new("/argv", "it names no program")),
        Some(program) if program.is_empty() => return Err(BadInput::new("/argv/0", "it names no program")),
        Some(_) => {}
    }
    for (index, argument) in argv.iter().enumerate() {
        program::check_argument(argument, || format!("/argv/{index}"))?;
    }
    Ok(Program { argv, stdin: inputs.stdin, allow_failure: inputs.allow_failure })
}
