//! The wire formats of models: an answer as the events of a stream.

use serde_json::{Value, json};

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Completions,
    Messages,
    Responses,
}

impl Format {
    /// The format of a request, by its path.
    pub(super) fn of(head: &str) -> Self {
        match head.split(' ').nth(1).unwrap_or_default() {
            path if path.ends_with("/messages") => Self::Messages,
            path if path.ends_with("/responses") => Self::Responses,
            _ => Self::Completions,
        }
    }

    /// A piece of text, as it comes in the middle of an answer.
    pub(super) fn piece(self, text: &str) -> Value {
        match self {
            Self::Completions => json!({"choices": [{"delta": {"content": text}}]}),
            Self::Messages => json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": text}}),
            Self::Responses => {
                json!({"type": "response.output_text.delta", "item_id": "item-1", "output_index": 0,
                "content_index": 0, "delta": text})
            }
        }
    }

    /// An answer of 10 tokens for one of 5.
    pub(super) fn events(self, text: &str, calls: &[(&str, String)]) -> Vec<Value> {
        match self {
            Self::Completions => completions(text, calls),
            Self::Messages => messages(text, calls),
            Self::Responses => responses(text, calls),
        }
    }
}

/// Chat completions; the arguments come in two pieces.
fn completions(text: &str, calls: &[(&str, String)]) -> Vec<Value> {
    let mut events = vec![json!({"choices": [{"delta": {"role": "assistant", "content": text}}]})];
    for (index, (name, arguments)) in calls.iter().enumerate() {
        let (first, second) = arguments.split_at(arguments.len() / 2);
        events.push(json!({"choices": [{"delta": {"tool_calls": [
            {"index": index, "id": format!("call-{}", index + 1), "function": {"name": name, "arguments": first}}]}}]}));
        events.push(json!({"choices": [{"delta": {"tool_calls": [
            {"index": index, "function": {"arguments": second}}]}}]}));
    }
    let reason = if calls.is_empty() { "stop" } else { "tool_calls" };
    events.push(json!({"choices": [{"delta": {}, "finish_reason": reason}]}));
    events.push(json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}));
    events
}

/// Messages.
fn messages(text: &str, calls: &[(&str, String)]) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
    ];
    for (index, (name, arguments)) in (1..).zip(calls) {
        events.push(json!({"type": "content_block_start", "index": index,
            "content_block": {"type": "tool_use", "id": format!("call-{index}"), "name": name, "input": {}}}));
        events.push(json!({"type": "content_block_delta", "index": index,
            "delta": {"type": "input_json_delta", "partial_json": arguments}}));
    }
    events.push(json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    events
}

/// Responses; the arguments come in two pieces, and whole at their end.
fn responses(text: &str, calls: &[(&str, String)]) -> Vec<Value> {
    let mut events = vec![json!({"type": "response.created", "response": {"id": "response-1"}})];
    let item =
        |content: Value| json!({"type": "message", "id": "item-1", "role": "assistant", "content": content});
    if !text.is_empty() {
        events
            .push(json!({"type": "response.output_item.added", "output_index": 0, "item": item(json!([]))}));
        events.push(json!({"type": "response.output_text.delta", "item_id": "item-1", "output_index": 0,
            "content_index": 0, "delta": text}));
        let whole = item(json!([{"type": "output_text", "text": text, "annotations": []}]));
        events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": whole}));
    }
    for (index, (name, arguments)) in (1..).zip(calls) {
        let id = format!("item-{}", index + 1);
        let item = |arguments: &str| {
            json!({"type": "function_call", "id": id, "call_id": format!("call-{index}"), "name": name,
                "arguments": arguments})
        };
        events.push(json!({"type": "response.output_item.added", "output_index": index, "item": item("")}));
        let (first, second) = arguments.split_at(arguments.len() / 2);
        for delta in [first, second] {
            events.push(json!({"type": "response.function_call_arguments.delta", "item_id": id,
                "output_index": index, "delta": delta}));
        }
        let done = item(arguments);
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": done}));
    }
    events.push(json!({"type": "response.completed", "response": {"id": "response-1", "usage": {
        "input_tokens": 10, "input_tokens_details": null, "output_tokens": 5,
        "output_tokens_details": null, "total_tokens": 15}}}));
    events
}
