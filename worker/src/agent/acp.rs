//! Agents that speak the Agent Client Protocol, version 1, over stdio: one session, one prompt, and what the agent
//! tells meanwhile. It is offered nothing of this side, neither files nor a terminal: what it does it does itself, in
//! the sandbox. Its requests for permission are answered by the guardrails; they serve the record, and the sandbox is
//! what holds.

mod calls;
mod peer;
mod wire;

use std::{
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use ipc::message::{AgentUpdate, Reported};
use schemas::{agent::AgentTask, json::Json};
use serde_json::{Value, json};

use self::{
    calls::{Calls, Rules},
    peer::{News, Peer},
    wire::{answer_to, by_key, mcp_server, refused},
};
use super::{Error, Said, Tell, conversation::note, outcome};

/// How long the handshake may take: some agents start slowly.
const HANDSHAKE: Duration = Duration::from_mins(2);
/// How long an agent that is done may take to end by itself.
const POLITE: Duration = Duration::from_secs(1);
/// Lines that are no messages, in all.
const GARBAGE_MAX: u32 = 1000;
/// Longest text that is kept of one turn.
const TEXT_MAX: usize = 8 * 1024 * 1024;
/// Longest piece of text that is told at once.
const PIECE_MAX: usize = 16 * 1024;
/// JSON-RPC code of an agent that wants a login first.
const AUTH_REQUIRED: i64 = -32000;

/// Runs the agent. `told` is readable once the engine wants the end.
pub(super) fn run(
    task: &AgentTask,
    env: &[(String, String)],
    told: Option<UnixStream>,
    tell: &mut Tell<'_>,
) -> Result<Json, Error> {
    note(tell, &json!({"type": "program", "command": task.command}));
    note(tell, &json!({"type": "user", "text": task.prompt}));
    let peer = Peer::start(&task.command, (&task.cwd, env), told).map_err(Error::permanent)?;
    let rules =
        Rules { guardrails: &task.guardrails, servers: task.servers.keys().map(String::as_str).collect() };
    let mut session = Session {
        task,
        rules,
        peer,
        tell,
        id: None,
        calls: Calls::default(),
        words: Words::default(),
        garbage: 0,
        is_asked: false,
    };
    let result = session.converse();
    session.close(result.is_ok());
    result
}

/// One conversation.
struct Session<'a, 'b> {
    task: &'a AgentTask,
    rules: Rules<'a>,
    peer: Peer,
    tell: &'a mut Tell<'b>,
    id: Option<Value>,
    calls: Calls,
    words: Words,
    garbage: u32,
    /// A prompt is being worked on.
    is_asked: bool,
}

/// What an agent said in one turn.
#[derive(Debug, Default)]
struct Words {
    /// What came before the last call of a tool.
    before: String,
    /// What came after it.
    last: String,
}

impl Words {
    fn push(&mut self, text: &str) {
        if self.before.len() + self.last.len() + text.len() <= TEXT_MAX {
            self.last.push_str(text);
        }
    }

    /// A tool was called: what follows is the last word.
    fn pause(&mut self) {
        self.before.push_str(&std::mem::take(&mut self.last));
    }

    /// The last words, if there are any, else all.
    fn text(&self) -> &str {
        if self.last.trim().is_empty() { &self.before } else { &self.last }
    }
}

impl Session<'_, '_> {
    fn converse(&mut self) -> Result<Json, Error> {
        self.shake_hands()?;
        let mut prompt = self.task.prompt.clone();
        let mut repaired = false;
        loop {
            self.words = Words::default();
            self.turn(&prompt)?;
            let value = outcome::of_text(self.words.text());
            match outcome::check(self.task.output_schema.as_ref(), &value) {
                Ok(()) => return Ok(value),
                Err(Error::Output { pointer, message }) if !repaired => {
                    repaired = true;
                    prompt = outcome::complaint(&pointer, &message);
                    note(self.tell, &json!({"type": "user", "text": prompt}));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn shake_hands(&mut self) -> Result<(), Error> {
        let hello = json!({
            "protocolVersion": 1,
            "clientCapabilities": {"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false},
            "clientInfo": {"name": "q", "title": "q workflow", "version": env!("CARGO_PKG_VERSION")},
        });
        let hello = self.ask("initialize", &hello)?.map_err(|error| refused("initialize", &error))?;
        if hello["protocolVersion"] != 1 {
            let version = &hello["protocolVersion"];
            return Err(Error::permanent(format!(
                "the agent speaks version {version} of the protocol, not 1"
            )));
        }
        let servers: Vec<Value> =
            self.task.servers.iter().filter_map(|(name, server)| mcp_server(name, server)).collect();
        let session = json!({"cwd": self.task.cwd, "mcpServers": servers});
        let answer = match self.ask("session/new", &session)? {
            Err(error) if error["code"] == AUTH_REQUIRED => {
                let method = by_key(&hello["authMethods"]).ok_or_else(|| {
                    Error::permanent(
                        "the agent wants a login, and none of its ways to log in takes an API key",
                    )
                })?;
                self.ask("authenticate", &json!({"methodId": method}))?
                    .map_err(|error| refused("authenticate", &error))?;
                self.ask("session/new", &session)?
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| refused("session/new", &error))?;
        self.id = Some(answer["sessionId"].clone());
        Ok(())
    }

    /// One prompt, to the end of its turn.
    fn turn(&mut self, prompt: &str) -> Result<(), Error> {
        let prompt = json!({"sessionId": self.id, "prompt": [{"type": "text", "text": prompt}]});
        self.is_asked = true;
        let answer = self.wait_for("session/prompt", &prompt, None)?;
        self.is_asked = false;
        let answer = answer.map_err(|error| refused("session/prompt", &error))?;
        note(self.tell, &json!({"type": "stop", "answer": answer}));
        self.used(&answer["usage"]);
        let reason = answer["stopReason"].as_str().unwrap_or_default();
        let after = match self.calls.denied.last() {
            Some(tool) => format!(", after its tool `{tool}` was refused"),
            None => String::new(),
        };
        match reason {
            "end_turn" => Ok(()),
            "max_tokens" => Err(Error::permanent(format!("the model reached its limit of tokens{after}"))),
            "max_turn_requests" => {
                Err(Error::permanent(format!("the agent reached its own limit of requests{after}")))
            }
            "refusal" => Err(Error::permanent(format!("the agent refused the task{after}"))),
            "cancelled" => Err(Error::permanent(format!("the agent gave the task up{after}"))),
            other => {
                let other: String = other.chars().take(100).collect();
                Err(Error::permanent(format!("the agent stopped with `{other}`{after}")))
            }
        }
    }

    /// A request of the handshake.
    fn ask(&mut self, method: &str, params: &Value) -> Result<Result<Value, Value>, Error> {
        self.wait_for(method, params, Some(Instant::now() + HANDSHAKE))
    }

    /// Sends a request and hears what comes until its answer is there: a result, or an error of the agent.
    fn wait_for(
        &mut self,
        method: &str,
        params: &Value,
        until: Option<Instant>,
    ) -> Result<Result<Value, Value>, Error> {
        // Why a program does not listen is told by what it says, or by its end.
        let id = self.peer.request(method, params).ok();
        loop {
            match self.peer.next(until) {
                Some(News::Message(message)) => {
                    if let Some(answer) = answer_to(id, &message) {
                        return Ok(answer);
                    }
                    self.heard(&message)?;
                }
                Some(News::Garbage(line)) => self.strange(&line)?,
                Some(News::TooLong) => {
                    return Err(Error::permanent("the agent wrote a line over 8 MiB"));
                }
                Some(News::Exited(_)) => {}
                Some(News::Told) => return Err(Error::permanent("the agent was told to end")),
                Some(News::Closed) => return Err(self.gone(method)),
                None if self.peer.exited().is_some() => return Err(self.gone(method)),
                None => {
                    let limit = HANDSHAKE.as_secs();
                    return Err(Error::passing(format!(
                        "the agent did not answer `{method}` within {limit} s"
                    )));
                }
            }
        }
    }

    /// Its stdout is closed, or its process is gone: which of them is told, as far as it comes out soon.
    fn gone(&mut self, method: &str) -> Error {
        let until = Instant::now() + POLITE;
        while self.peer.exited().is_none() && Instant::now() < until {
            self.peer.next(Some(until));
        }
        let program = self.task.command.first().map_or("", String::as_str);
        Error::passing(match self.peer.exited() {
            Some(status) => format!("`{program}` ended before it answered `{method}`: {status}"),
            None => format!("`{program}` closed its stdout before it answered `{method}`"),
        })
    }

    fn strange(&mut self, line: &str) -> Result<(), Error> {
        note(self.tell, &json!({"type": "garbage", "text": line}));
        self.garbage += 1;
        if self.garbage > GARBAGE_MAX {
            return Err(Error::permanent(format!(
                "the agent wrote {GARBAGE_MAX} lines that are no messages"
            )));
        }
        Ok(())
    }

    /// A request or a notification of the agent. Answers that nobody waits for are passed over.
    fn heard(&mut self, message: &Value) -> Result<(), Error> {
        let Some(method) = message["method"].as_str() else { return Ok(()) };
        let params = &message["params"];
        match (method, message.get("id")) {
            ("session/request_permission", Some(id)) => {
                note(self.tell, &json!({"type": "permission", "asked": params}));
                let (answer, record) = self.calls.permission(params, &self.rules);
                note(self.tell, &json!({"type": "permission", "answer": answer}));
                self.words.pause();
                if let Some(record) = record {
                    (self.tell)(Said::Tool(record));
                }
                let _deaf = self.peer.answer(id, &answer);
                self.within_calls()
            }
            ("session/update", _) => {
                note(self.tell, &json!({"type": "update", "update": params["update"]}));
                self.update(&params["update"])
            }
            (_, Some(id)) => {
                let _deaf = self.peer.refuse(id, "not supported");
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// What the agent tells. Kinds that are not known stand in the transcript only.
    fn update(&mut self, update: &Value) -> Result<(), Error> {
        let text = || update["content"]["text"].as_str().filter(|text| !text.is_empty());
        match update["sessionUpdate"].as_str().unwrap_or_default() {
            "agent_message_chunk" => {
                if let Some(text) = text() {
                    self.words.push(text);
                    self.say(AgentUpdate::Message(piece(text)));
                }
            }
            "agent_thought_chunk" => {
                if let Some(text) = text() {
                    self.say(AgentUpdate::Thought(piece(text)));
                }
            }
            "plan" => {
                if let Some(plan) =
                    Json::from_serialize(&update["entries"]).ok().filter(|plan| plan.len() <= PIECE_MAX)
                {
                    self.say(AgentUpdate::Plan(plan));
                }
            }
            "usage_update" => self.used(update),
            "tool_call" | "tool_call_update" => {
                self.words.pause();
                if let Some(record) = self.calls.update(update, &self.rules) {
                    (self.tell)(Said::Tool(record));
                }
                return self.within_calls();
            }
            _ => {}
        }
        Ok(())
    }

    fn say(&mut self, update: AgentUpdate) {
        (self.tell)(Said::Update(update));
    }

    /// What it says it used. A context window that is filled is no count of tokens.
    fn used(&mut self, usage: &Value) {
        let cost = &usage["cost"];
        let in_dollars = cost["currency"].as_str().is_none_or(|currency| currency == "USD");
        let reported = Reported {
            requests: None,
            input_tokens: usage["inputTokens"].as_u64(),
            output_tokens: usage["outputTokens"].as_u64(),
            cost_usd: cost["amount"].as_f64().filter(|_| in_dollars),
        };
        if reported != Reported::default() {
            self.say(AgentUpdate::Used(reported));
        }
    }

    fn within_calls(&self) -> Result<(), Error> {
        match self.task.guardrails.max_tool_calls {
            Some(most) if self.calls.count > most => Err(Error::too_many_calls(most)),
            Some(_) | None => Ok(()),
        }
    }

    /// Ends the agent: one that still works is asked to cancel, and what it asks meanwhile is answered so.
    fn close(mut self, is_done: bool) {
        let half = Duration::from_millis(self.task.grace_ms) / 2;
        if self.is_asked {
            let _deaf = self.peer.notify("session/cancel", &json!({"sessionId": self.id}));
            self.until_cancelled(Instant::now() + half);
        }
        for record in self.calls.rest(&self.rules) {
            (self.tell)(Said::Tool(record));
        }
        // Who has cancelled, or failed, has had its time.
        let polite = if is_done { POLITE } else { Duration::ZERO };
        self.peer.end(polite, half);
    }

    fn until_cancelled(&mut self, until: Instant) {
        while Instant::now() < until {
            match self.peer.next(Some(until)) {
                Some(News::Message(message)) => match (message["method"].as_str(), message.get("id")) {
                    (Some("session/request_permission"), Some(id)) => {
                        let _deaf = self.peer.answer(id, &calls::cancelled());
                    }
                    (Some("session/update"), _) => {
                        note(self.tell, &json!({"type": "update", "update": message["params"]["update"]}));
                    }
                    (Some(_), Some(id)) => {
                        let _deaf = self.peer.refuse(id, "cancelled");
                    }
                    (Some(_), None) => {}
                    // The only request that is open is the prompt.
                    (None, _) => {
                        note(self.tell, &json!({"type": "stop", "answer": message["result"]}));
                        return;
                    }
                },
                Some(News::Garbage(_) | News::Told) => {}
                Some(News::TooLong | News::Closed | News::Exited(_)) | None => return,
            }
        }
    }
}

fn piece(text: &str) -> String {
    text.chars().take(PIECE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_count() {
        let mut words = Words::default();
        words.push("I shall look. ");
        words.pause();
        assert_eq!(words.text(), "I shall look. ");
        words.push("done");
        assert_eq!(words.text(), "done");
    }
}
