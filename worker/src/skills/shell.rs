//! `shell`: a command line for `sh -c`. The engine runs it; here is what to run.

use serde::Deserialize;

use super::{
    catalog::{Builtin, Needs},
    input::{self, BadInput},
    program::{self, Program},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "shell",
    description: "Runs a command line with `sh -c`.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "stdin": {"type": "string", "description": "What the command reads; nothing by default."},
            "allow_failure": {"type": "boolean", "default": false, "description": "An exit code other than 0 is a result, no failure."}
        },
        "required": ["command"],
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
    command: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    stdin: Option<String>,
    #[serde(default)]
    allow_failure: bool,
}

pub(super) fn program(inputs: &str) -> Result<Program, BadInput> {
    let inputs: Inputs = input::parse(inputs)?;
    let command = input::required(inputs.command, "command")?;
    program::check_argument(&command, || "/command".to_owned())?;
    let argv = vec!["sh".to_owned(), "-c".to_owned(), command];
    Ok(Program { argv, stdin: inputs.stdin, allow_failure: inputs.allow_failure })
}
