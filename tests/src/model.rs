//! A scripted model on loopback, in all three wire formats, streamed: it gives its answers in order and remembers what
//! it was asked.

mod formats;

use std::{
    io::{BufReader, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use self::formats::Format;
use crate::shell::{self, Shell};

/// One answer of the model.
#[derive(Debug, Clone)]
pub enum Turn {
    /// Words, and nothing more.
    Text(&'static str),
    /// A call of a tool.
    Call(&'static str, Value),
    /// Calls of several tools in one answer.
    Calls(Vec<(&'static str, Value)>),
    /// An HTTP status with a text.
    Status(u16),
    /// Half of an answer, then the connection is closed.
    Half,
    /// The connection is closed at once.
    Reset,
    /// No answer ever.
    Hang,
    /// So many bytes of one answer.
    Flood(usize),
    /// Something that is no answer.
    Nonsense,
}

/// The server; it ends when dropped.
#[derive(Debug)]
pub struct Model {
    shell: Shell,
    requests: Arc<Mutex<Vec<Asked>>>,
}

/// What the model was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The head of the request.
    pub head: String,
    /// Its body.
    pub body: Value,
}

impl Model {
    /// Gives the turns in order; the last one stays.
    #[track_caller]
    pub fn start(turns: Vec<Turn>) -> Self {
        let requests = Arc::<Mutex<Vec<Asked>>>::default();
        let asked = Arc::clone(&requests);
        let mut held = Vec::new();
        let shell = Shell::start(move |stream| {
            let number = asked.lock().unwrap_or_else(PoisonError::into_inner).len();
            let Some(turn) = turns.get(number).or(turns.last()) else { return };
            let Some((question, format)) = question(&stream) else { return };
            // Known before it is answered, so that whoever has the answer finds the question.
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(question);
            // Who hangs up before the end has had enough.
            drop(answer(&mut &stream, turn, format));
            if matches!(turn, Turn::Hang) {
                held.push(stream);
            }
        });
        Self { shell, requests }
    }

    /// Where it is, as `base_url` of an agent of the provider `openai`.
    pub fn url(&self) -> String {
        self.shell.url()
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What it is asked; anything without a body is no question.
fn question(stream: &TcpStream) -> Option<(Asked, Format)> {
    let mut reader = BufReader::new(stream);
    let head = shell::head(&mut reader)?;
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let format = Format::of(&head);
    Some((Asked { body: serde_json::from_slice(&body).ok()?, head }, format))
}

fn answer(stream: &mut impl Write, turn: &Turn, format: Format) -> std::io::Result<()> {
    let sse = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let (text, calls) = match turn {
        Turn::Text(text) => (*text, Vec::new()),
        Turn::Call(name, arguments) => ("", vec![(*name, arguments.to_string())]),
        Turn::Calls(calls) => {
            ("", calls.iter().map(|(name, arguments)| (*name, arguments.to_string())).collect())
        }
        Turn::Status(status) => {
            let body = r#"{"error":{"message":"scripted"}}"#;
            return write!(
                stream,
                "HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
        Turn::Half => {
            return write!(stream, "{sse}data: {}\n\n", format.piece("ha"));
        }
        Turn::Reset | Turn::Hang => return Ok(()),
        Turn::Nonsense => return write!(stream, "{sse}data: {{nope\n\n"),
        Turn::Flood(bytes) => {
            write!(stream, "{sse}")?;
            let line = format!("data: {}\n\n", format.piece(&"x".repeat(60_000)));
            for _ in 0..=bytes / line.len() {
                stream.write_all(line.as_bytes())?;
            }
            return Ok(());
        }
    };
    write!(stream, "{sse}")?;
    for event in format.events(text, &calls) {
        write!(stream, "data: {event}\n\n")?;
    }
    if format == Format::Completions { write!(stream, "data: [DONE]\n\n") } else { Ok(()) }
}
