//! A tiny HTTP server on the loopback for tests: it answers the connections one after another with bytes
//! that were prepared, valid or not.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A port at which nobody listens. A free port of the kernel's choice may be another test's the next moment;
/// this one is for root only and long out of use.
pub(super) const NOBODY: u16 = 1;

/// What one connection gets.
pub(super) struct Answer {
    bytes: Vec<u8>,
    then: Then,
    /// Whether the request is read before.
    reads: bool,
}

enum Then {
    Close,
    /// Waits until the client goes.
    Stall,
    /// Writes the last bytes again until the client goes.
    Repeat,
}

impl Answer {
    /// These bytes, then the end.
    pub(super) fn raw(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), then: Then::Close, reads: true }
    }

    /// These bytes without reading a request, then the end.
    pub(super) fn immediately(bytes: &[u8]) -> Self {
        Self { reads: false, ..Self::raw(bytes) }
    }

    /// These bytes, then nothing more, and no end.
    pub(super) fn stalling(bytes: &[u8]) -> Self {
        Self { then: Then::Stall, ..Self::raw(bytes) }
    }

    /// A body of unknown length without end.
    pub(super) fn endless() -> Self {
        let bytes = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(64 * 1024));
        Self { then: Then::Repeat, ..Self::raw(bytes.as_bytes()) }
    }

    /// Status 200 with a body.
    pub(super) fn ok(content_type: &str, body: &[u8]) -> Self {
        Self::response(200, &format!("Content-Type: {content_type}\r\n"), body)
    }

    /// A status with a body.
    pub(super) fn status(status: u16, body: &[u8]) -> Self {
        Self::response(status, "", body)
    }

    /// Status 302 with that location.
    pub(super) fn redirect(location: &str) -> Self {
        Self::response(302, &format!("Location: {location}\r\n"), b"")
    }

    fn response(status: u16, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
        Self::raw(&[head.as_bytes(), body].concat())
    }

    fn give(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.write_all(&self.bytes)?;
        match self.then {
            Then::Close => {
                stream.shutdown(std::net::Shutdown::Write)?;
                // Closing with unread bytes would reset the connection under the answer.
                std::io::copy(stream, &mut std::io::sink()).map(drop)
            }
            Then::Stall => std::io::copy(stream, &mut std::io::sink()).map(drop),
            Then::Repeat => loop {
                stream.write_all(&self.bytes)?;
            },
        }
    }
}

/// The server; its thread ends with its last answer.
pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server that gives these answers, one a connection.
    pub(super) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (answers.into_iter().collect::<Vec<_>>(), Arc::clone(&requests));
        thread::spawn(move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                if answer.reads {
                    let head = read_request(&mut stream);
                    seen.lock().expect("no test thread panics with the lock").push(head);
                }
                // The client may go first: that is its right.
                answer.give(&mut stream).ok();
            }
        });
        Self { address, requests }
    }

    /// A URL at this server.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that were answered so far, with their bodies.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test thread panics with the lock").clone()
    }
}

/// Reads head and body, as far as the head tells of one.
fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !is_whole(&request) && matches!(stream.read(&mut byte), Ok(1)) {
        request.push(byte[0]);
    }
    String::from_utf8_lossy(&request).into_owned()
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}
