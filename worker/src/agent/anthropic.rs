//! Messages: the request, and the answer, streamed or whole.

use std::io::Read;

use schemas::agent::AgentTask;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    model::{Answer, Call, Message, Offer, Trouble},
    sse,
};

/// The longest answer that is asked for, in tokens; the protocol wants one.
const MAX_TOKENS: u32 = 8192;
/// Most blocks in one answer.
const BLOCKS_MAX: usize = 256;

pub(super) fn request(task: &AgentTask, messages: &[Message], offers: &[Offer]) -> Value {
    let mut sent: Vec<Value> = Vec::new();
    for message in messages {
        let (role, mut blocks) = blocks(message);
        // Turns of one side are one message: all results of tools come together.
        match sent.last_mut() {
            Some(last) if last["role"] == role => {
                if let Some(content) = last["content"].as_array_mut() {
                    content.append(&mut blocks);
                }
            }
            Some(_) | None => sent.push(json!({"role": role, "content": blocks})),
        }
    }
    let tools: Vec<Value> = offers
        .iter()
        .map(|offer| json!({"name": offer.name, "description": offer.description, "input_schema": offer.schema}))
        .collect();
    json!({
        "model": task.model,
        "system": task.system,
        "messages": sent,
        "tools": tools,
        "max_tokens": MAX_TOKENS,
        "stream": true,
    })
}

fn blocks(message: &Message) -> (&'static str, Vec<Value>) {
    match message {
        Message::User(text) => ("user", vec![json!({"type": "text", "text": text})]),
        Message::Tool { id, text } => {
            ("user", vec![json!({"type": "tool_result", "tool_use_id": id, "content": text})])
        }
        Message::Model(answer) => {
            let mut blocks = Vec::new();
            if !answer.text.is_empty() {
                blocks.push(json!({"type": "text", "text": answer.text}));
            }
            for call in &answer.calls {
                let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
                blocks.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
            }
            ("assistant", blocks)
        }
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    index: Option<usize>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    input: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Delta {
    text: Option<String>,
    partial_json: Option<String>,
}

#[derive(Deserialize)]
struct Whole {
    content: Vec<Block>,
}

/// Reads a streamed answer.
pub(super) fn streamed(from: impl Read) -> Result<Answer, Trouble> {
    let mut answer = Answer::default();
    // Which call stands in which block.
    let mut blocks: Vec<Option<usize>> = Vec::new();
    let ended = sse::read(from, |data| {
        let event: Event =
            serde_json::from_str(data).map_err(|error| Trouble::Nonsense(error.to_string()))?;
        match event.kind.as_str() {
            "message_stop" => return Ok(true),
            "error" => return Err(Trouble::Nonsense(event.error.unwrap_or_default().to_string())),
            "content_block_start" => {
                let index = event.index.unwrap_or(blocks.len());
                if index >= BLOCKS_MAX {
                    return Err(Trouble::Nonsense(format!("it has more than {BLOCKS_MAX} blocks")));
                }
                blocks.resize(blocks.len().max(index + 1), None);
                if let Some(block) = event.content_block {
                    blocks[index] = begin(&mut answer, block);
                }
            }
            "content_block_delta" => {
                let delta = event.delta.unwrap_or_default();
                answer.text.push_str(&delta.text.unwrap_or_default());
                let call = event.index.and_then(|index| blocks.get(index).copied().flatten());
                if let (Some(call), Some(json)) = (call, delta.partial_json) {
                    answer.calls[call].arguments.push_str(&json);
                }
            }
            // Whatever else there is tells of nothing that we need.
            _ => {}
        }
        Ok::<_, Trouble>(false)
    })?;
    if ended { Ok(answer) } else { Err(Trouble::Half) }
}

/// A block begins; where it is a call, its number.
fn begin(answer: &mut Answer, block: Block) -> Option<usize> {
    match block.kind.as_str() {
        "text" => {
            answer.text.push_str(&block.text);
            None
        }
        "tool_use" => {
            answer.calls.push(Call { id: block.id, name: block.name, arguments: String::new() });
            Some(answer.calls.len() - 1)
        }
        _ => None,
    }
}

/// Reads an answer that came at once.
pub(super) fn whole(text: &str) -> Result<Answer, Trouble> {
    let whole: Whole = serde_json::from_str(text).map_err(|error| Trouble::Nonsense(error.to_string()))?;
    let mut answer = Answer::default();
    for mut block in whole.content {
        let input = block.input.take();
        if let Some(call) = begin(&mut answer, block) {
            answer.calls[call].arguments = input.unwrap_or_else(|| json!({})).to_string();
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_put_together_from_its_blocks() {
        let text = r#"event: message_start
data: {"type":"message_start","message":{"usage":{"input_tokens":5}}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hm."}}

data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"grep","input":{}}}

data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"pattern\":"}}

data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"\"x\"}"}}

data: {"type":"ping"}

data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}

data: {"type":"message_stop"}
"#;
        let answer = streamed(text.as_bytes()).expect("it is whole");
        let call =
            Call { id: "t1".to_owned(), name: "grep".to_owned(), arguments: r#"{"pattern":"x"}"#.to_owned() };
        assert_eq!(answer, Answer { text: "Hm.".to_owned(), calls: vec![call] });
        let half = text.split("data: {\"type\":\"message_stop\"").next().expect("a part");
        assert!(matches!(streamed(half.as_bytes()), Err(Trouble::Half)));
    }

    #[test]
    fn an_answer_may_come_at_once() {
        let text = r#"{"content":[{"type":"text","text":"a"},{"type":"tool_use","id":"t","name":"glob","input":{"p":1}}]}"#;
        let answer = whole(text).expect("it is right");
        assert_eq!((answer.text.as_str(), answer.calls[0].arguments.as_str()), ("a", r#"{"p":1}"#));
    }
}
