//! One request to the model, by way of the engine's proxy, and what is done when it fails: it is sent again a few
//! times, and each time counts.

use std::{sync::mpsc, time::Duration};

use schemas::agent::{AgentTask, Provider};
use serde_json::Value;
use ureq::Agent;

use super::{Error, anthropic, openai, sse};

/// How often a request is sent at most.
const TRIES: u32 = 3;
/// The pause before the second try; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a model may be silent; guardrails are tighter.
const SILENCE: Duration = Duration::from_mins(10);

/// One turn of a conversation.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// What the agent is told.
    User(String),
    /// What the model answered.
    Model(Answer),
    /// What came of a call of a tool.
    Tool {
        /// The call.
        id: String,
        /// The result, or what went wrong.
        text: String,
    },
}

/// An answer of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its words.
    pub(super) text: String,
    /// The tools that it calls.
    pub(super) calls: Vec<Call>,
}

/// One call that a model asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// The model's name for the call.
    pub(super) id: String,
    /// The tool, by the name that the model knows.
    pub(super) name: String,
    /// Its arguments: JSON text, as the model wrote it.
    pub(super) arguments: String,
}

/// A tool as the model sees it.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// Its name: letters, digits, `_` and `-`.
    pub(super) name: String,
    /// What it does.
    pub(super) description: String,
    /// JSON Schema of its arguments.
    pub(super) schema: Value,
}

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The stream.
    #[error(transparent)]
    Stream(#[from] sse::Error),
    /// It came, and is no answer.
    #[error("the model's answer cannot be understood: {0}")]
    Nonsense(String),
    /// It ended in the middle.
    #[error("the model's answer ended in the middle")]
    Half,
    /// The connection.
    #[error("the model cannot be reached: {0}")]
    Unreachable(String),
    /// A status that may pass.
    #[error("the model answered with status {0}: {1}")]
    Status(u16, String),
}

/// Asks the model.
pub(super) fn ask(
    task: &AgentTask,
    client: &Agent,
    messages: &[Message],
    offers: &[Offer],
) -> Result<Answer, Error> {
    let (path, body) = match task.provider {
        Provider::OpenAi => ("/v1/chat/completions", openai::request(task, messages, offers)),
        Provider::Anthropic => ("/v1/messages", anthropic::request(task, messages, offers)),
    };
    let url = format!("{}{path}", task.model_url);
    let body = body.to_string();
    let mut pause = PAUSE;
    for tried in 1..=TRIES {
        match send(task, client, &url, &body)? {
            Ok(answer) => return Ok(answer),
            Err(trouble) if tried == TRIES => return Err(Error::passing(trouble.to_string())),
            Err(_) => wait(pause),
        }
        pause *= 2;
    }
    Err(Error::passing("the model did not answer"))
}

/// The client for the model.
pub(super) fn client() -> Agent {
    let config = Agent::config_builder()
        .timeout_recv_response(Some(SILENCE))
        .timeout_recv_body(Some(SILENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None);
    Agent::new_with_config(config.build())
}

/// Waits on a channel on which nothing comes.
fn wait(pause: Duration) {
    let (silent, nothing) = mpsc::channel::<()>();
    let _elapsed = nothing.recv_timeout(pause);
    drop(silent);
}

/// One try. The outer error is final.
fn send(task: &AgentTask, client: &Agent, url: &str, body: &str) -> Result<Result<Answer, Trouble>, Error> {
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", task.token));
    let mut response = match request.send(body) {
        Ok(response) => response,
        Err(error) => return Ok(Err(Trouble::Unreachable(error.to_string()))),
    };
    let status = response.status().as_u16();
    if status != 200 {
        let text = response.body_mut().with_config().limit(64 * 1024).read_to_string().unwrap_or_default();
        return refused(status, &text).map(Err);
    }
    let json = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if json {
        let read = response.body_mut().with_config().limit(sse::ANSWER_MAX).read_to_string();
        let text = match read {
            Ok(text) => text,
            Err(error) => return Ok(Err(Trouble::Unreachable(error.to_string()))),
        };
        return Ok(match task.provider {
            Provider::OpenAi => openai::whole(&text),
            Provider::Anthropic => anthropic::whole(&text),
        });
    }
    let reader = response.body_mut().as_reader();
    Ok(match task.provider {
        Provider::OpenAi => openai::streamed(reader),
        Provider::Anthropic => anthropic::streamed(reader),
    })
}

/// What a refusal means: the engine's guardrails and a wrong request are final, the rest may pass.
fn refused(status: u16, text: &str) -> Result<Trouble, Error> {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let error = &body["error"];
    let said = error["message"].as_str().unwrap_or(text);
    let message: String = said.chars().take(500).collect();
    if let Some(name) = error["guardrail"].as_str() {
        return Err(Error::Guardrail { name: name.to_owned(), message });
    }
    match status {
        408 | 409 | 425 | 429 | 500..=599 => Ok(Trouble::Status(status, message)),
        _ => Err(Error::permanent(format!("the model answered with status {status}: {message}"))),
    }
}
