//! How an answer is read: result, envelope or error of a program that ended by `exit`, and what a built-in
//! skill said.

use schemas::{
    failure::{Code, Failure},
    json::Json,
};

use super::{
    Death, Facts, failure,
    output::{OutputError, parse_output},
    program_result,
};
use crate::value;

/// Exit code with which a skill says that its inputs are wrong.
const BAD_INPUT: i32 = 2;
/// `EX_TEMPFAIL` of sysexits.h: try again later.
const TEMPORARY: i32 = 75;

/// Characters kept of a skill's own message.
const MESSAGE_MAX: usize = 4000;
/// Characters kept of a skill's own code.
const CODE_MAX: usize = 100;
/// Longest details of a skill that are kept, in bytes; longer ones are left out.
const DETAILS_MAX: usize = 64 * 1024;

/// How the answer of an attempt is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// A built-in skill, over its control socket.
    Builtin,
    /// `shell` and `exec`: whatever the program wrote is the result.
    Program {
        /// Whether an exit code other than 0 is a result, too.
        allow_failure: bool,
    },
    /// `json-stdio@1`.
    JsonStdio,
    /// `text`.
    Text {
        /// Whether stdout is JSON.
        parse_json: bool,
    },
}

/// What a built-in skill said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkillAnswer {
    /// Its result.
    Value(Json),
    /// Its result is over the cap on output.
    TooLarge,
    /// Its own error.
    Error(OwnError),
    /// The inputs do not fit.
    BadInput {
        /// JSON pointer into the inputs.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// An agent came to no result.
    Failed {
        /// The kind of failure.
        code: Code,
        /// What happened.
        message: String,
        /// Whether another try may help.
        retryable: bool,
        /// JSON pointer into its result.
        pointer: Option<String>,
        /// The guardrail that it reached.
        guardrail: Option<String>,
    },
}

/// A skill's own error: `{"error": …}`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct OwnError {
    /// The skill's word for it.
    #[serde(default = "OwnError::no_code")]
    pub code: String,
    /// What happened.
    pub message: String,
    /// Whether another try may help.
    #[serde(default)]
    pub retryable: bool,
    /// More, as the skill likes.
    #[serde(default)]
    pub details: Option<Json>,
}

impl OwnError {
    fn no_code() -> String {
        "ERROR".to_owned()
    }
}

/// Reads the answer of an attempt that ended by `exit`.
pub(super) fn read(facts: &Facts<'_>, code: i32) -> Result<Json, Box<Failure>> {
    match facts.speaks {
        Speaks::Builtin => builtin(facts, code),
        Speaks::JsonStdio => json_stdio(facts, code),
        Speaks::Program { allow_failure: false } | Speaks::Text { .. } if code != 0 => {
            Err(exit_failure(facts, code))
        }
        Speaks::Program { .. } => {
            whole(facts)?;
            Ok(program_result(facts.stdout, facts.stderr, code))
        }
        Speaks::Text { parse_json: true } => parsed(facts),
        Speaks::Text { parse_json: false } => {
            whole(facts)?;
            let text = Json::from_serialize(&String::from_utf8_lossy(facts.stdout));
            Ok(value::object(&[("text", text.unwrap_or_else(|_| Json::null()))]))
        }
    }
}

fn builtin(facts: &Facts<'_>, code: i32) -> Result<Json, Box<Failure>> {
    match &facts.skill {
        Some(SkillAnswer::TooLarge) => Err(too_large(facts).into()),
        Some(SkillAnswer::Error(error)) => Err(own_error(facts, error).into()),
        Some(SkillAnswer::BadInput { pointer, message }) => {
            let mut failure = failure(facts, Code::BadInput, message.clone());
            failure.details.pointer = Some(pointer.clone());
            Err(failure.into())
        }
        Some(SkillAnswer::Failed { code, message, retryable, pointer, guardrail }) => {
            let mut failure = failure(facts, *code, message.chars().take(MESSAGE_MAX).collect());
            failure.retryable = *retryable;
            failure.details.pointer.clone_from(pointer);
            failure.details.guardrail.clone_from(guardrail);
            Err(failure.into())
        }
        Some(SkillAnswer::Value(_)) | None if code != 0 => Err(exit_failure(facts, code)),
        Some(SkillAnswer::Value(value)) => {
            whole(facts)?;
            Ok(value.clone())
        }
        None => {
            whole(facts)?;
            Err(unless_refused(facts, Code::ProtocolError, "the worker ended without a result".to_owned()))
        }
    }
}

/// An answer counts only if all of it came, and by the rules: the engine may see what is wrong when it is too
/// late for a stop.
fn whole(facts: &Facts<'_>) -> Result<(), Box<Failure>> {
    if facts.stdout_over {
        return Err(too_large(facts).into());
    }
    match &facts.protocol {
        Some(what) => Err(unless_refused(facts, Code::ProtocolError, what.clone())),
        None => Ok(()),
    }
}

/// A failure that the refusal of a process explains, where there was one.
fn unless_refused(facts: &Facts<'_>, code: Code, what: String) -> Box<Failure> {
    if facts.pids_denied == 0 {
        return failure(facts, code, what).into();
    }
    let mut failure = failure(facts, Code::PidsExceeded, format!("no more processes were allowed; {what}"));
    failure.details.limit = facts.bounds.pids;
    failure.into()
}

fn too_large(facts: &Facts<'_>) -> Failure {
    let limit = facts.bounds.output;
    let of = limit.map_or_else(String::new, |limit| format!(" of {limit} bytes"));
    let mut failure = failure(facts, Code::OutputTooLarge, format!("the result is over the limit{of}"));
    failure.details.limit = limit;
    failure
}

fn json_stdio(facts: &Facts<'_>, code: i32) -> Result<Json, Box<Failure>> {
    if code == BAD_INPUT || code == TEMPORARY {
        return Err(exit_failure(facts, code));
    }
    let answer = parsed(facts);
    if let Ok(value) = &answer
        && let Some(error) = value::single_member(value, "error")
    {
        return Err(error_envelope(facts, &error).into());
    }
    if code != 0 {
        return Err(exit_failure(facts, code));
    }
    let value = answer?;
    Ok(value::single_member(&value, "outputs").unwrap_or(value))
}

fn parsed(facts: &Facts<'_>) -> Result<Json, Box<Failure>> {
    whole(facts)?;
    parse_output(facts.stdout).map_err(|error| {
        let code = match error {
            OutputError::Empty | OutputError::Second { .. } => Code::ProtocolError,
            OutputError::NotUtf8 { .. } | OutputError::NotJson { .. } => Code::BadOutput,
        };
        unless_refused(facts, code, error.to_string())
    })
}

fn error_envelope(facts: &Facts<'_>, error: &Json) -> Failure {
    if let Ok(error) = serde_json::from_str::<OwnError>(error.as_str()) {
        return own_error(facts, &error);
    }
    let text = serde_json::from_str::<String>(error.as_str());
    let message = text.unwrap_or_else(|_| error.as_str().chars().take(MESSAGE_MAX).collect());
    own_error(facts, &OwnError { code: OwnError::no_code(), message, retryable: false, details: None })
}

fn own_error(facts: &Facts<'_>, error: &OwnError) -> Failure {
    let mut failure = failure(facts, Code::SkillError, error.message.chars().take(MESSAGE_MAX).collect());
    failure.retryable = error.retryable;
    failure.details.skill_code = Some(error.code.chars().take(CODE_MAX).collect());
    // What a failure carries goes into the journal and every view of the run.
    failure.details.skill_details = error.details.clone().filter(|details| details.len() <= DETAILS_MAX);
    if let Death::Exited(code) = facts.death
        && code != 0
    {
        failure.details.exit_code = Some(code);
    }
    failure
}

fn exit_failure(facts: &Facts<'_>, code: i32) -> Box<Failure> {
    let ended = format!("the program ended with exit code {code}");
    let mut failure = match facts.hosts_denied.first() {
        Some(host) if code != TEMPORARY => {
            let message =
                format!("{ended}; it was refused {host}, which `sandbox.network.allow` does not name");
            Box::new(super::failure(facts, Code::SandboxDenied, message))
        }
        Some(_) | None => unless_refused(facts, Code::ExitCode, ended),
    };
    failure.details.exit_code = Some(code);
    if code == TEMPORARY {
        failure.retryable = true;
    }
    if code == BAD_INPUT && facts.speaks == Speaks::JsonStdio {
        failure.retryable = false;
    }
    failure
}
