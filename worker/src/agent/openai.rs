//! Chat completions: the request, and the answer, streamed or whole.

use std::io::Read;

use schemas::agent::AgentTask;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    model::{Answer, Call, Message, Offer, Trouble},
    sse,
};

/// Most calls in one answer.
const CALLS_MAX: usize = 64;

pub(super) fn request(task: &AgentTask, messages: &[Message], offers: &[Offer]) -> Value {
    let mut sent = vec![json!({"role": "system", "content": task.system})];
    sent.extend(messages.iter().map(message));
    let tools: Vec<Value> = offers
        .iter()
        .map(|offer| {
            let Offer { name, description, schema } = offer;
            json!({"type": "function", "function": {"name": name, "description": description, "parameters": schema}})
        })
        .collect();
    json!({
        "model": task.model,
        "messages": sent,
        "tools": tools,
        "stream": true,
        "stream_options": {"include_usage": true},
    })
}

fn message(message: &Message) -> Value {
    match message {
        Message::User(text) => json!({"role": "user", "content": text}),
        Message::Tool { id, text } => json!({"role": "tool", "tool_call_id": id, "content": text}),
        Message::Model(answer) => {
            let mut sent = json!({"role": "assistant", "content": answer.text});
            if !answer.calls.is_empty() {
                let calls = answer.calls.iter().map(|call| {
                    json!({"id": call.id, "type": "function",
                           "function": {"name": call.name, "arguments": call.arguments}})
                });
                sent["tool_calls"] = calls.collect();
            }
            sent
        }
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, alias = "message")]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    tool_calls: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Part {
    index: Option<usize>,
    id: Option<String>,
    #[serde(default)]
    function: Function,
}

#[derive(Default, Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

/// Reads a streamed answer.
pub(super) fn streamed(from: impl Read) -> Result<Answer, Trouble> {
    let mut answer = Answer::default();
    let mut finished = false;
    let ended = sse::read(from, |data| {
        if data == "[DONE]" {
            return Ok(true);
        }
        let chunk = parse(data)?;
        finished |= take(&mut answer, chunk)?;
        Ok::<_, Trouble>(false)
    })?;
    if ended || finished { Ok(answer) } else { Err(Trouble::Half) }
}

/// Reads an answer that came at once.
pub(super) fn whole(text: &str) -> Result<Answer, Trouble> {
    let mut answer = Answer::default();
    let chunk = parse(text)?;
    if chunk.choices.is_empty() {
        return Err(Trouble::Nonsense("it has no choices".to_owned()));
    }
    take(&mut answer, chunk)?;
    Ok(answer)
}

fn parse(text: &str) -> Result<Chunk, Trouble> {
    serde_json::from_str(text).map_err(|error| Trouble::Nonsense(error.to_string()))
}

/// Adds a piece; says whether it is the last.
fn take(answer: &mut Answer, chunk: Chunk) -> Result<bool, Trouble> {
    let Some(choice) = chunk.choices.into_iter().next() else { return Ok(false) };
    answer.text.push_str(&choice.delta.content.unwrap_or_default());
    for (place, part) in choice.delta.tool_calls.into_iter().flatten().enumerate() {
        let index = part.index.unwrap_or(place);
        if index >= CALLS_MAX {
            return Err(Trouble::Nonsense(format!("it calls more than {CALLS_MAX} tools at once")));
        }
        if answer.calls.len() <= index {
            answer.calls.resize_with(index + 1, Call::default);
        }
        let call = &mut answer.calls[index];
        if let Some(id) = part.id.filter(|_| call.id.is_empty()) {
            call.id = id;
        }
        call.name.push_str(&part.function.name.unwrap_or_default());
        call.arguments.push_str(&part.function.arguments.unwrap_or_default());
    }
    Ok(choice.finish_reason.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_put_together_from_its_pieces() {
        let text = r#"data: {"choices":[{"delta":{"content":"Let me "}}]}

data: {"choices":[{"delta":{"content":"see","tool_calls":[{"index":0,"id":"c1","function":{"name":"fs_read","arguments":"{\"pa"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"th\":\"a\"}"}}]},"finish_reason":"tool_calls"}]}

data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}

data: [DONE]
"#;
        let answer = streamed(text.as_bytes()).expect("it is whole");
        let call =
            Call { id: "c1".to_owned(), name: "fs_read".to_owned(), arguments: r#"{"path":"a"}"#.to_owned() };
        assert_eq!(answer, Answer { text: "Let me see".to_owned(), calls: vec![call] });
        let half = text.split("data: {\"choices\":[{\"delta\":{\"tool_calls\"").next().expect("a part");
        assert!(matches!(streamed(half.as_bytes()), Err(Trouble::Half)));
        assert!(matches!(streamed(&b"data: {nope\n"[..]), Err(Trouble::Nonsense(_))));
        let many = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":99999999,"function":{}}]}}]}"#;
        assert!(matches!(streamed(many.as_bytes()), Err(Trouble::Nonsense(_))));
    }

    #[test]
    fn an_answer_may_come_at_once() {
        let answer =
            whole(r#"{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#);
        assert_eq!(answer.expect("it is right").text, "hi");
        assert!(whole("{}").is_err());
        assert!(whole("<html>").is_err());
    }
}
