//! An HTTP server on loopback that gives scripted answers and remembers what it was asked.

use std::{
    io::{BufReader, Read as _, Write},
    net::TcpStream,
    sync::{Arc, Mutex, PoisonError},
};

use crate::shell::{self, Shell};

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// 200 with a JSON body.
    pub fn json(body: &str) -> Self {
        Self { status: 200, content_type: "application/json", body: body.into() }
    }

    /// A text body.
    pub fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain", body: body.into() }
    }
}

/// The server; it ends when dropped.
#[derive(Debug)]
pub struct Server {
    shell: Shell,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers the first request with the first answer and so on; the last answer stays.
    #[track_caller]
    pub fn start(answers: Vec<Answer>) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let heads = Arc::clone(&requests);
        let shell = Shell::start(move |stream| {
            let mut heads = heads.lock().unwrap_or_else(PoisonError::into_inner);
            // A client that goes away is the client's affair.
            if let Some(answer) = answers.get(heads.len()).or(answers.last())
                && let Some(head) = talk(&stream, answer)
            {
                heads.push(head);
            }
        });
        Self { shell, requests }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        self.shell.url()
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn talk(mut stream: &TcpStream, answer: &Answer) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let head = shell::head(&mut reader)?;
    // A body that is not read would reset the connection, and the answer with it.
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    std::io::copy(&mut reader.take(length.unwrap_or(0)), &mut std::io::sink()).ok()?;
    let Answer { status, content_type, body } = answer;
    write!(
        stream,
        "HTTP/1.1 {status} Scripted\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .ok()?;
    stream.write_all(body).ok()?;
    Some(head)
}
