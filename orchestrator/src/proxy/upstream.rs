//! The way from the proxy to the model: a blocking client on a thread of its own, since TLS is there. The thread ends
//! with its request; nobody waits for it when the step has ended.

use std::{io::Read as _, time::Duration};

use tokio::sync::mpsc;
use ureq::Agent;

use super::{Place, request::Request};

/// Bytes that are passed on at once.
const CHUNK: usize = 16 * 1024;
/// Pieces that wait to be passed on.
const PIECES: usize = 16;
/// How long a model may be silent; guardrails are tighter.
const SILENCE: Duration = Duration::from_mins(10);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(30);

/// A piece of an answer.
#[derive(Debug)]
pub(super) enum Part {
    /// It begins.
    Head { status: u16, content_type: String },
    /// Some of its body.
    Bytes(Vec<u8>),
    /// It is whole.
    End,
    /// There is none.
    Failed(String),
}

/// An answer on its way. It ends without [`Part::End`] when it broke off.
#[derive(Debug)]
pub(super) struct Upstream(mpsc::Receiver<Part>);

impl Upstream {
    /// Sends a request.
    pub(super) fn send(place: &Place, request: Request, path: &str) -> Self {
        let (tell, told) = mpsc::channel(PIECES);
        let url = format!("{}{path}", place.base_url.trim_end_matches('/'));
        let mut fields: Vec<(String, String)> =
            ["content-type", "accept", "anthropic-version", "anthropic-beta"]
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), request.field(name)?.to_owned())))
                .collect();
        match (path.ends_with("/messages"), &place.key) {
            (true, key) => {
                fields.extend(key.clone().map(|key| ("x-api-key".to_owned(), key)));
                if request.field("anthropic-version").is_none() {
                    fields.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
                }
            }
            (false, key) => {
                fields.extend(key.as_ref().map(|key| ("authorization".to_owned(), format!("Bearer {key}"))));
            }
        }
        std::thread::spawn(move || talk(&url, &request, &fields, &tell));
        Self(told)
    }

    /// The next piece.
    pub(super) async fn next(&mut self) -> Option<Part> {
        self.0.recv().await
    }
}

/// Where a path of the proxy leads behind the base; `None`: nowhere.
pub(super) fn path(request: &Request) -> Option<&'static str> {
    let path = request.path.strip_prefix("/v1").unwrap_or(&request.path);
    match (request.method.as_str(), path) {
        ("POST", "/chat/completions") => Some("/chat/completions"),
        ("POST", "/responses") => Some("/responses"),
        ("POST", "/messages") => Some("/v1/messages"),
        ("GET", "/models") => Some("/models"),
        _ => None,
    }
}

fn talk(url: &str, request: &Request, fields: &[(String, String)], tell: &mpsc::Sender<Part>) {
    // Nobody hears it when the step has ended.
    let say = |part| tell.blocking_send(part).is_ok();
    let client = Agent::new_with_config(
        Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_recv_body(Some(SILENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .build(),
    );
    let mut message = ureq::http::Request::builder().method(request.method.as_str()).uri(url);
    for (name, value) in fields {
        message = message.header(name, value);
    }
    let answer = match message.body(request.body.as_slice()) {
        Ok(message) => client.run(message).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            say(Part::Failed(format!("the model cannot be reached: {why}")));
            return;
        }
    };
    let kind = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = kind.unwrap_or("application/octet-stream").to_owned();
    if !say(Part::Head { status: answer.status().as_u16(), content_type }) {
        return;
    }
    let mut body = answer.body_mut().as_reader();
    let mut piece = vec![0; CHUNK];
    loop {
        match body.read(&mut piece) {
            Ok(0) => {
                say(Part::End);
                return;
            }
            Ok(length) if say(Part::Bytes(piece[..length].to_vec())) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
