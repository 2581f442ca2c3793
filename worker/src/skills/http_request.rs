//! `http-request`: any method, with a body.

use std::{collections::BTreeMap, num::NonZeroU64};

use serde::Deserialize;
use serde_json::value::RawValue;
use ureq::http::{self, HeaderValue, Method, header::CONTENT_TYPE};

use super::{
    catalog::{Builtin, Needs},
    duration::Span,
    http::{Request, send},
    http_inputs, http_response,
    input::{self, BadInput},
    run::{Context, Failure, Value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "http-request",
    description: "Sends an HTTP request with any method and a body; JSON answers are parsed.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "url": {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "description": "An absolute http or https URL."},
            "method": {"type": "string", "pattern": "^[A-Za-z]{1,32}$", "description": "By default POST with a body, else GET."},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": {"type": "string", "description": "Sent as it is."},
            "json": {"description": "Sent as JSON, with the content type unless `headers` has one."},
            "timeout": {"type": ["integer", "string"], "default": "30s", "description": "For the whole of it: whole seconds, or text like \"250ms\", \"1m30s\"."},
            "accept": {"type": "array", "items": {"type": "integer", "minimum": 100, "maximum": 599}, "minItems": 1, "description": "Status codes that are a result; 200 to 299 by default, all others fail. With a redirect's status here none is followed."},
            "max_bytes": {"type": "integer", "minimum": 1, "default": 8388608, "description": "Most bytes of the answer's body."}
        },
        "required": ["url"],
        "not": {"required": ["body", "json"]},
        "additionalProperties": false
    }"#,
    outputs: http_response::OUTPUTS,
    idempotent: false,
    needs: Needs::Network,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs<'a> {
    #[serde(default, deserialize_with = "input::present")]
    url: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "input::present")]
    body: Option<String>,
    #[serde(borrow, default, deserialize_with = "input::present")]
    json: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "input::present")]
    timeout: Option<Span>,
    #[serde(default, deserialize_with = "input::present")]
    accept: Option<Vec<u16>>,
    #[serde(default, deserialize_with = "input::present")]
    max_bytes: Option<NonZeroU64>,
}

fn execute(inputs: &str, context: &Context) -> Result<Value, Failure> {
    // The sandbox lets proxy variables through only where the step declares them.
    send(&request(inputs)?, context.proxy())
}

fn request(inputs: &str) -> Result<Request, BadInput> {
    let inputs: Inputs<'_> = input::parse(inputs)?;
    let mut headers = http_inputs::headers(inputs.headers)?;
    let body = match (inputs.body, inputs.json) {
        (Some(_), Some(_)) => return Err(BadInput::new("", "both `body` and `json` are given")),
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(json)) => {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            Some(json.get().as_bytes().to_vec())
        }
        (None, None) => None,
    };
    let method = method(inputs.method.as_deref(), body.is_some())?;
    // These must have one, be it empty; without it the client announces one of unknown length.
    let needs_body = [Method::POST, Method::PUT, Method::PATCH].contains(&method);
    let body = body.or_else(|| needs_body.then(Vec::new));
    let mut message = http::Request::new(());
    *message.method_mut() = method;
    *message.uri_mut() = http_inputs::url(&input::required(inputs.url, "url")?)?;
    *message.headers_mut() = headers;
    Ok(Request {
        message,
        body,
        timeout: http_inputs::timeout(inputs.timeout)?,
        accept: http_inputs::accept(inputs.accept)?,
        max_bytes: inputs.max_bytes.map_or(http_inputs::DEFAULT_MAX_BYTES, NonZeroU64::get),
    })
}

/// A method by its name in any case. CONNECT turns the connection into something else.
fn method(given: Option<&str>, has_body: bool) -> Result<Method, BadInput> {
    let Some(name) = given else { return Ok(if has_body { Method::POST } else { Method::GET }) };
    let is_word = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    match Method::from_bytes(name.to_ascii_uppercase().as_bytes()) {
        Ok(method) if is_word && method != Method::CONNECT => Ok(method),
        Ok(_) | Err(_) => Err(BadInput::new("/method", "not the name of a method that can be sent")),
    }
}

#[cfg(test)]
#[path = "http_request_tests.rs"]
mod tests;
