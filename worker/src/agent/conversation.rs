//! The loop: the model answers, its tools are called, until it finishes or something ends it.

use ipc::message::AgentUpdate;
use schemas::{agent::AgentTask, json::Json};
use serde_json::{Value, json};

use super::{
    Error, Said, Tell,
    hooks::Hooks,
    model::{self, Answer, Call, Message},
    outcome, resources,
    tools::{Tools, shortened},
};

/// Longest text of one line of the transcript.
const LINE_MAX: usize = 200 * 1024;

/// The tool that hands over the result.
const FINISH: &str = "finish";

/// Runs the conversation to its result.
pub(super) fn run(task: &AgentTask, env: &[(String, String)], tell: &mut Tell<'_>) -> Result<Json, Error> {
    let client = model::client();
    let hooks = Hooks::new(task, env);
    let context = hooks.context(tell);
    let resources = resources::context(task, tell);
    let task = &AgentTask { system: format!("{}{resources}{context}", task.system), ..task.clone() };
    let mut tools = Tools::new(task, env);
    for trouble in std::mem::take(&mut tools.troubles) {
        note(tell, &json!({"type": "trouble", "text": trouble}));
    }
    note(tell, &json!({"type": "system", "text": task.system}));
    note(tell, &json!({"type": "user", "text": task.prompt}));
    let mut messages = vec![Message::User(task.prompt.clone())];
    let mut called = 0;
    let mut repaired = false;
    loop {
        let answer = model::ask(task, &client, &messages, tools.offers())?;
        note(tell, &json!({"type": "model", "text": answer.text, "calls": calls(&answer)}));
        if !answer.text.trim().is_empty() {
            tell(Said::Update(AgentUpdate::Message(shortened(&answer.text))));
        }
        messages.push(Message::Model(answer.clone()));
        let mut result = answer.calls.is_empty().then(|| outcome::of_text(&answer.text));
        for call in &answer.calls {
            if let Some(finished) = finished(call) {
                result = Some(finished.map_err(Error::permanent)?);
                break;
            }
            called += 1;
            if let Some(most) = task.guardrails.max_tool_calls.filter(|most| called > *most) {
                return Err(Error::too_many_calls(most));
            }
            let (text, record) = tools.call(call, hooks, tell);
            note(
                tell,
                &json!({"type": "tool", "tool": record.tool, "arguments": call.arguments, "text": text}),
            );
            tell(Said::Tool(record));
            messages.push(Message::Tool { id: call.id.clone(), text });
        }
        let Some(result) = result else { continue };
        match outcome::check(task.output_schema.as_ref(), &result) {
            Ok(()) => {
                hooks.stop(tell);
                return Ok(result);
            }
            Err(Error::Output { pointer, message }) if !repaired => {
                repaired = true;
                repair(&answer, &mut messages, &outcome::complaint(&pointer, &message));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The result that a call of `finish` hands over.
fn finished(call: &Call) -> Option<Result<Json, String>> {
    if call.name != FINISH {
        return None;
    }
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    let result = arguments.get("result").cloned().unwrap_or(arguments);
    Some(Json::from_serialize(&result).map_err(|error| error.to_string()))
}

/// One more turn: every call needs an answer before the conversation can go on, that of `finish` and what came after
/// it too.
fn repair(answer: &Answer, messages: &mut Vec<Message>, why: &str) {
    if answer.calls.is_empty() {
        messages.push(Message::User(why.to_owned()));
    }
    for call in answer.calls.iter().skip_while(|call| call.name != FINISH) {
        messages.push(Message::Tool { id: call.id.clone(), text: why.to_owned() });
    }
}

fn calls(answer: &Answer) -> Vec<Value> {
    answer
        .calls
        .iter()
        .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.arguments}))
        .collect()
}

/// A line of the transcript; a long one is cut, and says so.
pub(super) fn note(tell: &mut Tell<'_>, line: &Value) {
    let text = line.to_string();
    let line = if text.len() > LINE_MAX {
        let start: String = text.chars().take(LINE_MAX / 4).collect();
        json!({"type": line["type"], "cut": true, "start": start}).to_string()
    } else {
        text
    };
    if let Ok(line) = Json::parse(&line) {
        tell(Said::Transcript(line));
    }
}
