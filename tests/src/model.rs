//! A scripted model on loopback, in both wire formats, streamed: it gives its answers in order and remembers what it
//! was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};

/// One answer of the model.
#[derive(Debug, Clone)]
pub enum Turn {
    /// Words, and nothing more.
    Text(&'static str),
    /// A call of a tool.
    Call(&'static str, Value),
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
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Asked>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
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
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let requests = Arc::<Mutex<Vec<Asked>>>::default();
        let ending = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (requests, ending) = (Arc::clone(&requests), Arc::clone(&ending));
            move || serve(&listener, &turns, &requests, &ending)
        });
        Self { address, requests, ending, thread: Some(thread) }
    }

    /// Where it is, as `base_url` of an agent of the provider `openai`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes accept(2); if it fails the thread has ended already.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(listener: &TcpListener, turns: &[Turn], requests: &Mutex<Vec<Asked>>, ending: &AtomicBool) {
    let mut held = Vec::new();
    for (number, stream) in listener.incoming().enumerate() {
        if ending.load(Ordering::SeqCst) {
            return;
        }
        let Some(turn) = turns.get(number).or(turns.last()) else { return };
        let Ok(stream) = stream else { continue };
        // A client that goes away is the client's affair.
        if let Some(asked) = talk(&stream, turn) {
            requests.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        }
        if matches!(turn, Turn::Hang) {
            held.push(stream);
        }
    }
}

fn talk(mut stream: &TcpStream, turn: &Turn) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let asked = Asked { body: serde_json::from_slice(&body).ok()?, head };
    let anthropic = asked.head.contains("/messages");
    // Who hangs up before the end has had enough.
    drop(answer(&mut stream, turn, anthropic));
    Some(asked)
}

fn answer(stream: &mut impl Write, turn: &Turn, anthropic: bool) -> std::io::Result<()> {
    let sse = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let (text, call) = match turn {
        Turn::Text(text) => (*text, None),
        Turn::Call(name, arguments) => ("", Some((*name, arguments.to_string()))),
        Turn::Status(status) => {
            let body = r#"{"error":{"message":"scripted"}}"#;
            return write!(
                stream,
                "HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
        Turn::Half => {
            return write!(stream, "{sse}data: {{\"choices\":[{{\"delta\":{{\"content\":\"ha\"}}}}]}}\n\n");
        }
        Turn::Reset | Turn::Hang => return Ok(()),
        Turn::Nonsense => return write!(stream, "{sse}data: {{nope\n\n"),
        Turn::Flood(bytes) => {
            write!(stream, "{sse}")?;
            let line =
                format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "x".repeat(60_000)}}]}));
            for _ in 0..=bytes / line.len() {
                stream.write_all(line.as_bytes())?;
            }
            return Ok(());
        }
    };
    write!(stream, "{sse}")?;
    let events = if anthropic { messages(text, call) } else { completions(text, call) };
    for event in events {
        write!(stream, "data: {event}\n\n")?;
    }
    if anthropic { Ok(()) } else { write!(stream, "data: [DONE]\n\n") }
}

/// Chat completions; the arguments come in two pieces.
fn completions(text: &str, call: Option<(&str, String)>) -> Vec<Value> {
    let mut events = vec![json!({"choices": [{"delta": {"role": "assistant", "content": text}}]})];
    let reason = if let Some((name, arguments)) = call {
        let (first, second) = arguments.split_at(arguments.len() / 2);
        events.push(json!({"choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": "call-1", "function": {"name": name, "arguments": first}}]}}]}));
        events.push(json!({"choices": [{"delta": {"tool_calls": [
            {"index": 0, "function": {"arguments": second}}]}}]}));
        "tool_calls"
    } else {
        "stop"
    };
    events.push(json!({"choices": [{"delta": {}, "finish_reason": reason}]}));
    events.push(json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}));
    events
}

/// Messages.
fn messages(text: &str, call: Option<(&str, String)>) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
    ];
    if let Some((name, arguments)) = call {
        events.push(json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "call-1", "name": name, "input": {}}}));
        events.push(json!({"type": "content_block_delta", "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": arguments}}));
    }
    events.push(json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    events
}
