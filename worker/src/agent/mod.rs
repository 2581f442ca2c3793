//! The loop of a model and its tools, in the worker. The model is reached through the engine's proxy alone, which
//! counts and holds the key; the tools work inside the sandbox in which this process already is. What is refused here
//! is refused for the model's sake: it is told why.

mod acp;
mod anthropic;
mod conversation;
mod files;
mod hooks;
pub(crate) mod mcp;
mod model;
mod openai;
mod outcome;
mod program;
mod reported;
mod resources;
mod skills;
mod sse;
mod tools;

use std::os::unix::net::UnixStream;

use ipc::message::{AgentFailure, AgentFailureKind, AgentUpdate, SkillResult};
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
    /// It says something.
    Update(AgentUpdate),
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

    /// The guardrail on calls of tools.
    fn too_many_calls(most: u32) -> Self {
        let message = format!("the agent called more than {most} tools (`max_tool_calls`)");
        Self::Guardrail { name: "max_tool_calls".to_owned(), message }
    }

    /// A failure that may be gone at another try.
    fn passing(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), retryable: true }
    }
}

/// Runs an agent to its end. `env` is what its programs see; `told` is readable once the engine wants the end.
pub(crate) fn run(
    task: &AgentTask,
    env: &[(String, String)],
    told: Option<UnixStream>,
    tell: &mut Tell<'_>,
) -> SkillResult {
    let outcome = match task.kind {
        Kind::Builtin => conversation::run(task, env, tell),
        Kind::Command => program::run(task, env, tell),
        Kind::Acp => acp::run(task, env, told, tell),
    };
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
