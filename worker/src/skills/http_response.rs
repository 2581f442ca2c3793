//! An HTTP answer as a skill's result: JSON where it says so and is, else text, else base64.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use ureq::http::{HeaderMap, header::CONTENT_TYPE};

use super::{
    json_text,
    run::{Failure, Value, value as result},
};

/// The JSON Schema of [`value`].
pub(super) const OUTPUTS: &str = r#"{
    "type": "object",
    "properties": {
        "status": {"type": "integer", "minimum": 100, "maximum": 999},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Names in lower case; the values of a repeated one are joined by a comma."},
        "response": {"description": "The parsed value when the type is JSON, else text, else base64."},
        "encoding": {"const": "base64", "description": "There only when `response` is base64."}
    },
    "required": ["status", "headers", "response"],
    "additionalProperties": false
}"#;

#[derive(Serialize)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    response: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

/// The result of the skill.
pub(super) fn value(status: u16, headers: &HeaderMap, body: Vec<u8>) -> Result<Value, Failure> {
    let (response, encoding) = match String::from_utf8(body) {
        Ok(text) => (json_or_text(headers, &text), None),
        Err(error) => (to_raw_value(&STANDARD.encode(error.as_bytes())), Some("base64")),
    };
    let response = response
        .map_err(|error| Failure::permanent("INTERNAL", format!("failed to write the result: {error}")))?;
    result(&Answer { status, headers: joined(headers), response, encoding })
}

fn json_or_text(headers: &HeaderMap, text: &str) -> Result<Box<RawValue>, serde_json::Error> {
    if says_json(headers)
        && let Ok(parsed) = json_text::checked(text)
    {
        return Ok(parsed);
    }
    to_raw_value(text)
}

/// `application/json`, or any type with the suffix `+json` (RFC 6839).
fn says_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    joined
}
