//! How the other commands ask a daemon: one request over its socket.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use schemas::output::daemon::DaemonStatus;

use super::api::address;
use crate::store::home::Home;

/// A daemon that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer is longer.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// Asks how it is.
pub fn status(home: &Home) -> io::Result<DaemonStatus> {
    ask(home, "GET /status")
}

/// Asks it to end. It takes its time: whoever wants to wait, waits for the process.
pub fn stop(home: &Home) -> io::Result<DaemonStatus> {
    ask(home, "POST /stop")
}

fn ask(home: &Home, request: &str) -> io::Result<DaemonStatus> {
    let (_folder, path) = address(home)?;
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request} HTTP/1.1\r\nHost: q\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    body(&answer).ok_or_else(|| io::Error::other("the daemon's answer is not understood"))
}

fn body(answer: &[u8]) -> Option<DaemonStatus> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| serde_json::from_str(body).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_good_answer_is_one() {
        let json = r#"{"schema_version":1,"running":true,"pid":7,"started_at":"2026-01-01T00:00:00Z","schedules":1,"next":null,"runs":[],"draining":false}"#;
        let answer = |status: &str, body: &str| body_of(&format!("HTTP/1.1 {status}\r\nx: y\r\n\r\n{body}"));
        assert_eq!(answer("200 OK", json).and_then(|answer| answer.pid), Some(7));
        assert_eq!(answer("503 Service Unavailable", json), None);
        assert_eq!(answer("200 OK", "{}"), None);
        assert_eq!(body_of("garbage"), None);
    }

    fn body_of(text: &str) -> Option<DaemonStatus> {
        body(text.as_bytes())
    }
}
