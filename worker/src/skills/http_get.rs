//! `http-get`: fetches a URL.

use std::collections::BTreeMap;

use serde::Deserialize;
use ureq::http;

use super::{
    catalog::{Builtin, Needs},
    duration::Span,
    http::{Request, send},
    http_inputs, http_response,
    input::{self, BadInput},
    run::{Context, Failure, Value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "http-get",
    description: "Fetches a URL with GET and follows redirects; JSON is parsed.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "url": {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "description": "An absolute http or https URL."},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "timeout": {"type": ["integer", "string"], "default": "30s", "description": "For the whole of it: whole seconds, or text like \"250ms\", \"1m30s\"."},
            "accept": {"type": "array", "items": {"type": "integer", "minimum": 100, "maximum": 599}, "minItems": 1, "description": "Status codes that are a result; 200 to 299 by default, all others fail. With a redirect's status here none is followed."},
            "max_bytes": {"type": "integer", "minimum": 1, "default": 8388608, "description": "Most bytes of the body."}
        },
        "required": ["url"],
        "additionalProperties": false
    }"#,
    outputs: http_response::OUTPUTS,
    idempotent: true,
    needs: Needs::Network,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "input::present")]
    timeout: Option<Span>,
    #[serde(default, deserialize_with = "input::present")]
    accept: Option<Vec<u16>>,
    #[serde(default, deserialize_with = "input::present")]
    max_bytes: Option<std::num::NonZeroU64>,
}

fn execute(inputs: &str, context: &Context) -> Result<Value, Failure> {
    let request = request(inputs)?;
    // The sandbox lets proxy variables through only where the step declares them.
    send(&request, context.proxy())
}

fn request(inputs: &str) -> Result<Request, BadInput> {
    let inputs: Inputs = input::parse(inputs)?;
    let mut message = http::Request::new(());
    *message.uri_mut() = http_inputs::url(&input::required(inputs.url, "url")?)?;
    *message.headers_mut() = http_inputs::headers(inputs.headers)?;
    Ok(Request {
        message,
        body: None,
        timeout: http_inputs::timeout(inputs.timeout)?,
        accept: http_inputs::accept(inputs.accept)?,
        max_bytes: inputs.max_bytes.map_or(http_inputs::DEFAULT_MAX_BYTES, std::num::NonZeroU64::get),
    })
}

#[cfg(test)]
#[path = "http_get_tests.rs"]
mod tests;
