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

    /// An answer of 10 tokens for one of 5.
    pub(super) fn events(self, text: &str, call: Option<(&str, String)>) -> Vec<Value> {
        match self {
            Self::Completions => completions(text, call),
            Self::Messages => messages(text, call),
            Self::Responses => responses(text, call),
        }
    }
}

/// Chat completions; the arguments come in two pieces.
fn completions(text: &str, call: Option<(&str, String)>) -> Vec<Value> {
    let mut events = vec![json!({"choices": [{"delta": {"role": "assistant", "content": text}}]})];
    let reason = if let Some((name, arguments)) = call {
        let (first, second) = arguments.split_at(arguments.len() / 2);
        events.push(json!({"choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": "call-1", "function": {"name": name, "arguments": first}}]}}]}));
        events.push(json!({"choices": [{"delta": {"tool_calls": [
            {"index": 0, "function": {"arguments": second}}]}}]}));
        "tool_calls"
    } else {
        "stop"
    };
    events.push(json!({"choices": [{"delta": {}, "finish_reason": reason}]}));
    events.push(json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}));
    events
}

/// Messages.
fn messages(text: &str, call: Option<(&str, String)>) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
    ];
    if let Some((name, arguments)) = call {
        events.push(json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "call-1", "name": name, "input": {}}}));
        events.push(json!({"type": "content_block_delta", "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": arguments}}));
    }
    events.push(json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    events
}

/// Responses; the arguments come in two pieces, and whole at their end.
fn responses(text: &str, call: Option<(&str, String)>) -> Vec<Value> {
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
    if let Some((name, arguments)) = call {
        let item = |arguments: &str| {
            json!({"type": "function_call", "id": "item-2", "call_id": "call-1", "name": name,
                "arguments": arguments})
        };
        events.push(json!({"type": "response.output_item.added", "output_index": 1, "item": item("")}));
        let (first, second) = arguments.split_at(arguments.len() / 2);
        for delta in [first, second] {
            events.push(json!({"type": "response.function_call_arguments.delta", "item_id": "item-2",
                "output_index": 1, "delta": delta}));
        }
        events
            .push(json!({"type": "response.output_item.done", "output_index": 1, "item": item(&arguments)}));
    }
    events.push(json!({"type": "response.completed", "response": {"id": "response-1", "usage": {
        "input_tokens": 10, "input_tokens_details": null, "output_tokens": 5,
        "output_tokens_details": null, "total_tokens": 15}}}));
    events
}
