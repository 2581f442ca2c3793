//! Why a step or a run failed: the closed set of codes and the record that carries one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::json::Json;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $retryable:literal;)+) => {
        /// The failure codes, used in state, logs, `retry.on` and messages.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word used in files and messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Whether a retry without `on` repeats it.
            pub fn retryable(self) -> bool {
                match self { $(Self::$variant => $retryable),+ }
            }

            /// What the code means, in one line.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

codes! {
    /// The program ended with an exit code other than 0.
    ExitCode = "exit_code", true;
    /// The program was ended by a signal that the engine did not send.
    Signal = "signal", true;
    /// The kernel killed a process of the step because it was over its memory limit.
    Oom = "oom", true;
    /// The step or the run took longer than its timeout.
    Timeout = "timeout", true;
    /// The step wrote nothing for longer than its idle timeout.
    IdleTimeout = "idle_timeout", true;
    /// The step used more CPU time than it may.
    CpuTimeExceeded = "cpu_time_exceeded", true;
    /// The step was refused a process because it was at its limit, and failed.
    PidsExceeded = "pids_exceeded", true;
    /// The step wrote more output than it may.
    OutputTooLarge = "output_too_large", false;
    /// The step wrote a file larger than it may.
    FileSizeExceeded = "file_size_exceeded", false;
    /// The sandbox refused an act of the step, and the step ended because of it.
    SandboxDenied = "sandbox_denied", false;
    /// The step could not be set up; its program never started.
    SandboxError = "sandbox_error", false;
    /// What the worker or program said does not follow its protocol.
    ProtocolError = "protocol_error", true;
    /// The inputs do not fit the schema of the skill.
    BadInput = "bad_input", false;
    /// The output does not fit the schema of the skill, or is not JSON where it must be.
    BadOutput = "bad_output", false;
    /// The result lacks an output that the step names.
    MissingOutput = "missing_output", false;
    /// A value refers to an output that is not there.
    MissingReference = "missing_reference", false;
    /// An expression could not be evaluated, or a condition gave no bool.
    ExpressionError = "expression_error", false;
    /// A loop reached its bound with its condition still true.
    MaxIterationsExceeded = "max_iterations_exceeded", false;
    /// A step inside this one failed.
    ChildFailed = "child_failed", false;
    /// An agent went beyond a guardrail.
    GuardrailExceeded = "guardrail_exceeded", false;
    /// The agent or its model failed.
    AgentError = "agent_error", true;
    /// The skill is not there any more.
    SkillNotFound = "skill_not_found", false;
    /// The skill itself reported an error.
    SkillError = "skill_error", false;
    /// The engine died while the step ran.
    EngineCrash = "engine_crash", false;
    /// The step was stopped on request.
    Cancelled = "cancelled", false;
}

/// A failure: of an attempt, a step, or (the first one) a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Id of the step that failed; absent when it is the run itself.
    pub step: Option<String>,
    /// The kind of failure.
    pub code: Code,
    /// What happened, for a person.
    pub message: String,
    /// Whether a retry without `on` would repeat it.
    pub retryable: bool,
    /// What is known beyond the message.
    pub details: Details,
}

/// Facts of a failure, as far as they apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Details {
    /// The limit that was hit: bytes, milliseconds or a count, as its name in the definition says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The highest value seen, in the unit of `limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// Number of the signal that ended the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Exit code of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Where the birth of the process failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The kernel's error number at that place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Whether the program had started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<bool>,
    /// The skill's own error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_code: Option<String>,
    /// The skill's own details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_details: Option<Json>,
    /// The guardrail that was exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<String>,
    /// JSON pointer into the inputs or the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The failures of the steps inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Failure>,
    /// The last lines that the program wrote on stderr, at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stderr: Vec<String>,
}
