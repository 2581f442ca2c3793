//! The loop of a model and its tools, in the worker. The model is reached through the engine's proxy alone, which
//! counts and holds the key; the tools work inside the sandbox in which this process already is. What is refused here
//! is refused for the model's sake: it is told why.

mod anthropic;
mod conversation;
mod files;
pub(crate) mod mcp;
mod model;
mod openai;
mod outcome;
mod program;
mod sse;
mod tools;

use ipc::message::{AgentFailure, AgentFailureKind, SkillResult};
use schemas::{
    agent::{AgentTask, Kind, ToolCall},
    json::Json,
};

/// What an agent tells while it works.
#[derive(Debug)]
pub(crate) enum Said {
    /// It called a tool.
    Tool(ToolCall),
    /// A line for the transcript.
    Transcript(Json),
}

/// Who hears it.
pub(crate) type Tell<'a> = dyn FnMut(Said) + 'a;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The model, or what stands between.
    #[error("{message}")]
    Failed {
        /// What happened.
        message: String,
        /// Whether another try may help.
        retryable: bool,
    },
    /// A guardrail, by its name.
    #[error("{message}")]
    Guardrail {
        /// Its name.
        name: String,
        /// What was reached.
        message: String,
    },
    /// The result does not fit.
    #[error("{message}")]
    Output {
        /// JSON pointer into it.
        pointer: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// A failure that another try would only repeat.
    fn permanent(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), retryable: false }
    }

    /// A failure that may be gone at another try.
    fn passing(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), retryable: true }
    }
}

/// Runs an agent to its end. `task` is an [`AgentTask`] as JSON, `env` what its programs see.
pub(crate) fn run(task: &str, env: &[(String, String)], tell: &mut Tell<'_>) -> SkillResult {
    let outcome = serde_json::from_str::<AgentTask>(task)
        .map_err(|error| Error::permanent(format!("the agent's task cannot be read: {error}")))
        .and_then(|task| match task.kind {
            Kind::Builtin => conversation::run(&task, env, tell),
            Kind::Command => program::run(&task, env, tell),
            Kind::Acp => {
                Err(Error::permanent("agents of the kind `acp` are checked, and not run, by this version"))
            }
        });
    match outcome {
        Ok(value) => SkillResult::Value { value: Some(value) },
        Err(error) => {
            let message = error.to_string();
            let (kind, retryable) = match error {
                Error::Failed { retryable, .. } => (AgentFailureKind::Agent, retryable),
                Error::Guardrail { name, .. } => (AgentFailureKind::Guardrail(name), false),
                Error::Output { pointer, .. } => (AgentFailureKind::Output { pointer }, false),
            };
            SkillResult::Agent(AgentFailure { message, retryable, kind })
        }
    }
}
