//! `notify`: tells somebody: a web hook, a program, or, without either, the step's log.

use std::{
    io::{self, Write as _},
    process::{Child, Command, Stdio},
};

use serde::{Deserialize, Serialize};
use ureq::{Proxy, http};

use super::{
    catalog::{Builtin, Needs},
    duration::Span,
    http::{Request, send},
    http_inputs,
    input::{self, BadInput},
    program::check_argument,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "notify",
    description: "Posts a message to a URL, or gives it to a program; without either it goes to the step's log.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "message": {"type": "string", "default": "notified by a workflow"},
            "url": {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "description": "Gets `{\"text\": message, \"message\": message}` by POST; 200 to 299 is success."},
            "argv": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "A program and its arguments; the message is its stdin. No shell reads it."},
            "timeout": {"type": ["integer", "string"], "default": "30s", "description": "Of the request: whole seconds, or text like \"250ms\", \"1m30s\"."}
        },
        "not": {"required": ["url", "argv"]},
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"status": {"type": "integer", "description": "The status code of the answer; of a program its exit code: 0; of the log 0."}},
        "required": ["status"],
        "additionalProperties": false
    }"#,
    idempotent: false,
    needs: Needs::Network,
    execute: Some(execute),
};

const DEFAULT_MESSAGE: &str = "notified by a workflow";
/// Most of an answer's body that is read; nobody sees it.
const ANSWER_MAX: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    message: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    url: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    argv: Option<Vec<String>>,
    #[serde(default, deserialize_with = "input::present")]
    timeout: Option<Span>,
}

#[derive(Serialize)]
struct Notified {
    status: i32,
}

fn execute(inputs: &str, context: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let message = inputs.message.as_deref().unwrap_or(DEFAULT_MESSAGE);
    match (&inputs.url, &inputs.argv) {
        (Some(_), Some(_)) => Err(BadInput::new("/argv", "`url` and `argv` exclude each other").into()),
        (Some(url), None) => post(url, message, inputs.timeout, context.proxy()),
        (None, Some(argv)) => run(argv, message),
        (None, None) => {
            io::stderr().write_all(format!("{message}\n").as_bytes()).map_err(|error| {
                Failure::permanent("LOG", format!("the message could not be logged: {error}"))
            })?;
            value(&Notified { status: 0 })
        }
    }
}

/// The body of a web hook: the key that chat programs read, and the one that we call it by.
#[derive(Serialize)]
struct Hook<'a> {
    text: &'a str,
    message: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    status: i32,
}

fn post(url: &str, message: &str, timeout: Option<Span>, proxy: Option<Proxy>) -> Result<Value, Failure> {
    let body = serde_json::to_vec(&Hook { text: message, message })
        .map_err(|error| Failure::permanent("INTERNAL", error.to_string()))?;
    let mut head = http::Request::new(());
    *head.method_mut() = http::Method::POST;
    *head.uri_mut() = http_inputs::url(url)?;
    let json = http::HeaderValue::from_static("application/json");
    head.headers_mut().insert(http::header::CONTENT_TYPE, json);
    let request = Request {
        message: head,
        body: Some(body),
        timeout: http_inputs::timeout(timeout)?,
        accept: None,
        max_bytes: ANSWER_MAX,
    };
    let answer = send(&request, proxy)?;
    let answer: Answer = serde_json::from_str(answer.as_str())
        .map_err(|error| Failure::permanent("INTERNAL", error.to_string()))?;
    value(&Notified { status: answer.status })
}

fn run(argv: &[String], message: &str) -> Result<Value, Failure> {
    let [program, arguments @ ..] = argv else {
        return Err(BadInput::new("/argv", "it names no program").into());
    };
    for (index, argument) in argv.iter().enumerate() {
        check_argument(argument, || format!("/argv/{index}"))?;
    }
    let failed = |error: io::Error| {
        Failure::permanent("PROGRAM", format!("`{program}` could not be executed: {error}"))
    };
    let mut command = Command::new(program);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().map_err(failed)?;
    tell(&mut child, message);
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return value(&Notified { status: 0 });
    }
    Err(Failure::passing("PROGRAM_FAILED", format!("`{program}` did not succeed: {status}")))
}

/// A program that does not read the message is judged by how it ends.
fn tell(child: &mut Child, message: &str) {
    if let Some(mut stdin) = child.stdin.take() {
        let _not_read = stdin.write_all(message.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use crate::skills::{
        testing::{bad_input, error, value},
        testing_server::{Answer, Server},
    };

    #[test]
    fn hooks_get_the_message() {
        let server = Server::start([Answer::status(202, b"")]);
        let inputs = format!(r#"{{"url":"{}","message":"done"}}"#, server.url("/hook"));
        value("notify", &inputs, r#"{"status":202}"#);
        let request = server.requests().remove(0);
        assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with(r#"{"text":"done","message":"done"}"#), "{request}");
    }

    #[test]
    fn programs_read_the_message() {
        value("notify", r#"{"argv":["grep","-q","^done$"],"message":"done"}"#, r#"{"status":0}"#);
        error("notify", r#"{"argv":["grep","-q","other"],"message":"done"}"#, "PROGRAM_FAILED");
        error("notify", r#"{"argv":["/nowhere/program"]}"#, "PROGRAM");
    }

    #[test]
    fn without_an_address_it_is_logged() {
        value("notify", "{}", r#"{"status":0}"#);
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("notify", r#"{"argv":[]}"#, "/argv", "it names no program");
        bad_input(
            "notify",
            r#"{"argv":["x"],"url":"http://a"}"#,
            "/argv",
            "`url` and `argv` exclude each other",
        );
    }
}
