//! `wait-for`: looks again and again until a file, a port or a URL is there.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    num::NonZeroU16,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use ureq::{Proxy, http};

use super::{
    catalog::{Builtin, Needs},
    duration::{Span, whole_milliseconds},
    files,
    http::{Request, send},
    http_inputs,
    input::{self, BadInput},
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "wait-for",
    description: "Waits until a path exists, a local port takes connections, or a URL answers with 200 to 299.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "Relative paths start at the step's cwd."},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "A TCP port of this machine."},
            "url": {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"},
            "timeout": {"type": ["integer", "string"], "default": "60s", "description": "Whole seconds, or text like \"250ms\", \"1m30s\"."},
            "interval": {"type": ["integer", "string"], "default": "500ms", "description": "Time between two looks."}
        },
        "oneOf": [{"required": ["path"]}, {"required": ["port"]}, {"required": ["url"]}],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"waited_ms": {"type": "integer", "minimum": 0}},
        "required": ["waited_ms"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Network,
    execute: Some(execute),
};

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);
/// A shorter interval would only burn CPU time.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);
/// A body is of no interest here; this much of it may come.
const MAX_BODY: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    path: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    port: Option<NonZeroU16>,
    #[serde(default, deserialize_with = "input::present")]
    url: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    timeout: Option<Span>,
    #[serde(default, deserialize_with = "input::present")]
    interval: Option<Span>,
}

#[derive(Serialize)]
struct Waited {
    waited_ms: u64,
}

/// What is waited for.
enum Target {
    Path(String),
    Port(u16),
    Url(http::Uri),
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    wait(inputs, Proxy::try_from_env().as_ref())
}

fn wait(inputs: &str, proxy: Option<&Proxy>) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let timeout = inputs.timeout.map_or(DEFAULT_TIMEOUT, |span| span.0);
    let interval = inputs.interval.map_or(DEFAULT_INTERVAL, |span| span.0).max(LEAST_INTERVAL);
    let target = target(inputs)?;
    let start = Instant::now();
    loop {
        // A look gets what is left, and never nothing: the last one is not cut to zero.
        let left = timeout.saturating_sub(start.elapsed()).max(LEAST_INTERVAL);
        if target.is_there(left, proxy) {
            return value(&Waited { waited_ms: whole_milliseconds(start.elapsed()) });
        }
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(Failure::passing("TIMEOUT", format!("it was not there within {timeout:?}")));
        }
        #[expect(clippy::disallowed_methods, reason = "what is waited for may tell nobody when it comes")]
        thread::sleep(interval.min(left));
    }
}

fn target(inputs: Inputs) -> Result<Target, BadInput> {
    match (inputs.path, inputs.port, inputs.url) {
        (Some(path), None, None) => {
            files::check_path(&path, "/path")?;
            Ok(Target::Path(path))
        }
        (None, Some(port), None) => Ok(Target::Port(port.get())),
        (None, None, Some(url)) => Ok(Target::Url(http_inputs::url(&url)?)),
        (None, None, None) => Err(BadInput::new("", "one of `path`, `port` and `url` is required")),
        (_, _, _) => Err(BadInput::new("", "more than one of `path`, `port` and `url` is given")),
    }
}

impl Target {
    fn is_there(&self, within: Duration, proxy: Option<&Proxy>) -> bool {
        match self {
            Self::Path(path) => fs::metadata(path).is_ok(),
            Self::Port(port) => {
                [SocketAddr::from((Ipv4Addr::LOCALHOST, *port)), (Ipv6Addr::LOCALHOST, *port).into()]
                    .iter()
                    .any(|address| TcpStream::connect_timeout(address, within).is_ok())
            }
            Self::Url(url) => answers(url, within, proxy),
        }
    }
}

fn answers(url: &http::Uri, within: Duration, proxy: Option<&Proxy>) -> bool {
    let mut message = http::Request::new(());
    *message.uri_mut() = url.clone();
    let request = Request { message, body: None, timeout: within, accept: None, max_bytes: MAX_BODY };
    match send(&request, proxy.cloned()) {
        Ok(_) => true,
        // The status was fine, only the body was not.
        Err(Failure::Skill(error)) => error.code == "TOO_LARGE",
        Err(Failure::BadInput(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::mpsc};

    use serde_json::{Value as Tree, json};

    use super::*;
    use crate::skills::testing::{Directory, bad_input, error, some_value};
    use crate::skills::testing_server::{Answer, NOBODY, Server};

    #[track_caller]
    fn check_there(inputs: &Tree) -> u64 {
        let value: Tree = serde_json::from_str(&some_value("wait-for", &inputs.to_string())).expect("JSON");
        value["waited_ms"].as_u64().expect("a number")
    }

    #[track_caller]
    fn check_absent(inputs: &Tree) {
        assert!(error("wait-for", &inputs.to_string(), "TIMEOUT").retryable);
    }

    #[test]
    fn finds_what_is_there() {
        let directory = Directory::new();
        check_there(&json!({ "path": directory.path("."), "timeout": 0 }));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        check_there(&json!({ "port": listener.local_addr().expect("an address").port() }));
    }

    /// With no proxy, whatever the environment of the tests says.
    #[test]
    fn waits_for_a_good_answer() {
        let busy = || Answer::status(503, b"later");
        let large = Answer::ok("text/plain", "x".repeat(2_000_000).as_bytes());
        let server = Server::start([busy(), busy(), large]);
        let inputs = json!({ "url": server.url("/"), "timeout": 60, "interval": "10ms" }).to_string();
        wait(&inputs, None).expect("the third answer is good");
        assert_eq!(server.requests().len(), 3);

        let nobody =
            json!({ "url": format!("http://127.0.0.1:{NOBODY}/"), "timeout": "30ms", "interval": "1h" });
        match wait(&nobody.to_string(), None) {
            Err(Failure::Skill(error)) => assert_eq!(error.code, "TIMEOUT"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn gives_up_in_time() {
        let directory = Directory::new();
        check_absent(&json!({ "path": directory.path("none"), "timeout": 0 }));
        check_absent(&json!({ "path": directory.path("none"), "timeout": "30ms", "interval": "10ms" }));
        check_absent(&json!({ "port": NOBODY, "timeout": "30ms", "interval": 0 }));
    }

    #[test]
    fn waits_for_what_comes_later() {
        let directory = Directory::new();
        let path = directory.path("later");
        let inputs = json!({ "path": path, "timeout": 60, "interval": "10ms" });
        let (begin, begun) = mpsc::channel();
        let waiting = thread::spawn(move || {
            begin.send(()).expect("the test waits");
            check_there(&inputs)
        });
        begun.recv().expect("the thread sends");
        directory.write("later", "");
        assert!(waiting.join().expect("no panic") < 60_000);
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("wait-for", "{}", "", "one of `path`, `port` and `url` is required");
        bad_input(
            "wait-for",
            r#"{"path":"a","port":1}"#,
            "",
            "more than one of `path`, `port` and `url` is given",
        );
        bad_input("wait-for", r#"{"port":0}"#, "/port", "invalid value: integer `0`, expected a nonzero u16");
        bad_input("wait-for", r#"{"url":"x"}"#, "/url", "it must begin with `http://` or `https://`");
    }
}
