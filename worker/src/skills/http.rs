//! The HTTP client of the skills: one request, its redirects, and an answer that is either acceptable or
//! the skill's own error. How a body becomes JSON is in `http_response`.

use std::{
    io::{self, Read},
    time::Duration,
};

use serde::Serialize;
use ureq::{
    Agent, Body, Proxy,
    config::{Config, RedirectAuthHeaders},
    http,
};

use super::{
    http_response,
    run::{Failure, Value},
};

/// A request whose parts were all checked.
#[derive(Debug)]
pub(super) struct Request {
    /// Method, URL and headers.
    pub(super) message: http::Request<()>,
    /// `None`: not even an empty one.
    pub(super) body: Option<Vec<u8>>,
    /// For the whole of it: name look-up, redirects and body included.
    pub(super) timeout: Duration,
    /// The status codes that are a result; `None`: 200 to 299.
    pub(super) accept: Option<Vec<u16>>,
    /// Most bytes that the body may have.
    pub(super) max_bytes: u64,
}

impl Request {
    fn accepts(&self, status: u16) -> bool {
        match &self.accept {
            Some(accepted) => accepted.contains(&status),
            None => (200..=299).contains(&status),
        }
    }

    /// Whoever accepts a redirect wants to see it; everybody else wants to get where it leads.
    fn follows_redirects(&self) -> bool {
        !self.accept.iter().flatten().any(|status| (300..=399).contains(status) && *status != 304)
    }

    /// Scheme, host and port: what a message may show. A user name, a password or a token in the path or
    /// query may not.
    fn target(&self) -> String {
        let uri = self.message.uri();
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
    }
}

const MAX_REDIRECTS: u32 = 10;
const USER_AGENT: &str = concat!("q-workflow/", env!("CARGO_PKG_VERSION"));
/// Most bytes of a refused answer's body that its error shows.
const EXCERPT_BYTES: u64 = 1024;

/// Sends the request, by way of the proxy if there is one.
pub(super) fn send(request: &Request, proxy: Option<Proxy>) -> Result<Value, Failure> {
    let agent = Agent::new_with_config(config(request, proxy));
    let message = request.message.clone();
    let answer = match &request.body {
        Some(body) => agent.run(message.map(|()| body.as_slice())),
        None => agent.run(message),
    };
    let answer = answer.map_err(|error| failed(request, error))?;
    let status = answer.status().as_u16();
    let (parts, mut body) = answer.into_parts();
    if !request.accepts(status) {
        return Err(refused(request, status, &mut body));
    }
    let bytes = read_body(request, &mut body)?;
    http_response::value(status, &parts.headers, bytes)
}

fn config(request: &Request, proxy: Option<Proxy>) -> Config {
    Agent::config_builder()
        .timeout_global(Some(request.timeout))
        .max_redirects(if request.follows_redirects() { MAX_REDIRECTS } else { 0 })
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .user_agent(USER_AGENT)
        .proxy(proxy)
        .build()
}

fn read_body(request: &Request, body: &mut Body) -> Result<Vec<u8>, Failure> {
    if body.content_length().is_some_and(|length| length > request.max_bytes) {
        return Err(too_large(request));
    }
    let mut bytes = Vec::new();
    body.as_reader()
        .take(request.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| failed(request, error.into()))?;
    if bytes.len() as u64 > request.max_bytes {
        return Err(too_large(request));
    }
    Ok(bytes)
}

#[derive(Serialize)]
struct Limit {
    max_bytes: u64,
}

fn too_large(request: &Request) -> Failure {
    let message = format!("the answer of {} is larger than {} bytes", request.target(), request.max_bytes);
    Failure::permanent("TOO_LARGE", message).with_details(&Limit { max_bytes: request.max_bytes })
}

#[derive(Serialize)]
struct Refused<'a> {
    status: u16,
    body: &'a str,
}

fn refused(request: &Request, status: u16, body: &mut Body) -> Failure {
    let mut bytes = Vec::new();
    // As much of the body as comes: the status is the news, a broken body adds nothing to it.
    body.as_reader().take(EXCERPT_BYTES).read_to_end(&mut bytes).ok();
    let message = format!("{} answered with status {status}", request.target());
    let failure = match status {
        408 | 425 | 429 | 500..=599 => Failure::passing("HTTP_STATUS", message),
        _ => Failure::permanent("HTTP_STATUS", message),
    };
    failure.with_details(&Refused { status, body: &String::from_utf8_lossy(&bytes) })
}

/// A request that got no whole answer.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign, open enum; the rest is about the answer's form"
)]
fn failed(request: &Request, error: ureq::Error) -> Failure {
    use ureq::Error;

    let target = request.target();
    match error {
        Error::Timeout(_) => timed_out(request),
        Error::HostNotFound => Failure::passing("DNS", format!("the host of {target} was not found")),
        Error::Io(error) => failed_io(request, &error),
        Error::ConnectionFailed | Error::ConnectProxyFailed(_) => {
            Failure::passing("CONNECT", format!("failed to connect to {target}: {error}"))
        }
        Error::Tls(_) | Error::Rustls(_) | Error::TlsRequired => {
            Failure::passing("TLS", format!("no secure connection to {target}: {error}"))
        }
        Error::TooManyRedirects => Failure::permanent(
            "TOO_MANY_REDIRECTS",
            format!("{target} led to more than {MAX_REDIRECTS} redirects"),
        ),
        Error::RedirectFailed => Failure::permanent(
            "REDIRECT",
            format!("{target} redirects a request whose body is not sent twice"),
        ),
        other => Failure::passing("PROTOCOL", format!("the answer of {target} is not valid HTTP: {other}")),
    }
}

fn failed_io(request: &Request, error: &io::Error) -> Failure {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, TimedOut, UnexpectedEof, WouldBlock,
    };

    let target = request.target();
    let kind = error.kind();
    if matches!(kind, TimedOut | WouldBlock) {
        return timed_out(request);
    }
    if matches!(kind, UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe) {
        let message = format!("{target} closed the connection before its answer was whole");
        return Failure::passing("DISCONNECTED", message);
    }
    // So the TLS library tells of what it could not read or not trust.
    if kind == InvalidData {
        return Failure::passing("TLS", format!("no secure connection to {target}: {error}"));
    }
    // The standard library gives the errors of getaddrinfo(3) no kind of their own, only this text.
    if error.to_string().starts_with("failed to lookup address") {
        return Failure::passing("DNS", format!("the host of {target} was not found: {error}"));
    }
    Failure::passing("CONNECT", format!("failed to connect to {target}: {error}"))
}

fn timed_out(request: &Request) -> Failure {
    Failure::passing("TIMEOUT", format!("{} took longer than {:?}", request.target(), request.timeout))
}
