//! Writes a `Node` as compact JSON.

use schemas::json::Json;

use super::{Node, NodeKind};

impl Node {
    /// The value as compact JSON; numbers keep their text.
    pub fn to_json(&self) -> Json {
        let mut text = String::new();
        write(self, &mut text);
        Json::parse(&text).expect("a tree is written as valid JSON: each number was checked when it was read")
    }
}

fn write(node: &Node, out: &mut String) {
    match &node.kind {
        NodeKind::Null => out.push_str("null"),
        NodeKind::Bool(true) => out.push_str("true"),
        NodeKind::Bool(false) => out.push_str("false"),
        NodeKind::Number(text) => out.push_str(text),
        NodeKind::Text(text) => write_text(text, out),
        NodeKind::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(element, out);
            }
            out.push(']');
        }
        NodeKind::Object(members) => {
            out.push('{');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(&member.key, out);
                out.push(':');
                write(&member.value, out);
            }
            out.push('}');
        }
    }
}

/// Appends a string with its quotes.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a string has a JSON form"));
}
