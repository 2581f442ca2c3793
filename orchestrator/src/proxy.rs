//! The engine's proxy to the model of one attempt: the only way there. It holds the key, counts requests and tokens,
//! and refuses what would go beyond a guardrail. HTTP/1.1, one request a connection; the answer is passed on as it
//! comes, and read on its way for what it says of tokens.

mod ledger;
mod request;
mod upstream;

use std::{cell::RefCell, io, rc::Rc};

use ipc::message::Reported;
use schemas::agent::Provider;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Notify};

pub use self::ledger::{Ledger, Tally, Trip};
use self::{
    request::Request,
    upstream::{Part, Upstream},
};
use crate::bridge::{Conversation, Service};

/// Port of the proxy in the step's network.
pub const PORT: u16 = 4141;
/// Longest answer that is passed on.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// Where the model is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose protocol it speaks.
    pub provider: Provider,
    /// Ends before `/chat/completions` or `/v1/messages`.
    pub base_url: String,
    /// The key; `None`: none is sent.
    pub key: Option<String>,
}

/// The proxy of one attempt.
#[derive(Debug)]
pub struct ModelProxy {
    place: Place,
    /// What a client must show in place of a key.
    token: String,
    ledger: RefCell<Ledger>,
    changed: Notify,
}

impl ModelProxy {
    /// A proxy within these bounds.
    pub fn new(place: Place, token: String, ledger: Ledger) -> Self {
        Self { place, token, ledger: RefCell::new(ledger), changed: Notify::new() }
    }

    /// Waits until a request was counted, answered or refused.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.ledger.borrow().tally()
    }

    /// The guardrail that was reached, if one was.
    pub fn trip(&self) -> Option<Trip> {
        self.ledger.borrow().trip()
    }

    /// Takes what the agent says it used; it counts only while nothing came by here.
    pub fn report(&self, reported: Reported) {
        self.ledger.borrow_mut().report(reported);
    }

    /// What the agent said it used.
    pub fn reported(&self) -> Option<Reported> {
        self.ledger.borrow().reported()
    }

    async fn converse(&self, mut client: TcpStream) -> io::Result<()> {
        let request = match request::read(&mut client).await? {
            Ok(request) => request,
            Err(why) => return refuse(&mut client, "400 Bad Request", &error(why, None)).await,
        };
        if !request.shows(&self.token) {
            return refuse(
                &mut client,
                "401 Unauthorized",
                &error("this proxy belongs to another step", None),
            )
            .await;
        }
        let Some(path) = upstream::path(&request) else {
            return refuse(&mut client, "404 Not Found", &error("this proxy leads to a model only", None))
                .await;
        };
        if request.method == "POST" {
            let admitted = self.ledger.borrow_mut().admit();
            self.changed.notify_one();
            if let Err(trip) = admitted {
                return refuse(&mut client, "403 Forbidden", &error(&trip.message(), Some(trip.name))).await;
            }
        }
        self.pass(&mut client, request, path).await
    }

    /// Sends the request on, and the answer back.
    async fn pass(&self, client: &mut TcpStream, request: Request, path: &str) -> io::Result<()> {
        let counts = request.method == "POST";
        let asked = request.body.len() as u64;
        let mut answer = Upstream::send(&self.place, request, path);
        let mut reader = ledger::Reader::default();
        let mut length = 0;
        let mut sent: io::Result<()> = Ok(());
        while let Some(part) = answer.next().await {
            match part {
                Part::Head { status, content_type } => {
                    let head = format!(
                        "HTTP/1.1 {status} \r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                    );
                    sent = client.write_all(head.as_bytes()).await;
                }
                Part::Bytes(bytes) => {
                    length += bytes.len() as u64;
                    reader.take(&bytes);
                    if counts {
                        self.ledger.borrow_mut().count(reader.news());
                    }
                    if length > ANSWER_MAX {
                        break;
                    }
                    sent = chunk(client, &bytes).await;
                }
                Part::End => {
                    self.settle(counts, &mut reader, asked, length);
                    return match sent {
                        Ok(()) => client.write_all(b"0\r\n\r\n").await,
                        Err(error) => Err(error),
                    };
                }
                Part::Failed(why) => {
                    self.settle(counts, &mut reader, asked, length);
                    return refuse(client, "502 Bad Gateway", &error(&why, None)).await;
                }
            }
            if sent.is_err() {
                break;
            }
        }
        // It broke off, or is too long: the connection ends in the middle, which the client sees.
        self.settle(counts, &mut reader, asked, length);
        sent
    }

    fn settle(&self, counts: bool, reader: &mut ledger::Reader, asked: u64, length: u64) {
        if counts {
            let said = reader.finish();
            let mut ledger = self.ledger.borrow_mut();
            ledger.count(reader.news());
            ledger.settle(said, asked, length);
            self.changed.notify_one();
        }
    }
}

impl Service for ModelProxy {
    fn answer(self: Rc<Self>, connection: TcpStream) -> Conversation {
        Box::pin(async move {
            // Whoever hangs up in the middle has his reasons.
            let _hung_up = self.converse(connection).await;
        })
    }
}

async fn chunk(client: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    client.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
    client.write_all(bytes).await?;
    client.write_all(b"\r\n").await
}

/// An error in the form that both protocols have.
fn error(message: &str, guardrail: Option<&str>) -> String {
    let kind = if guardrail.is_some() { "guardrail_exceeded" } else { "proxy_error" };
    serde_json::json!({"type": "error", "error": {"type": kind, "message": message, "guardrail": guardrail}})
        .to_string()
}

async fn refuse(client: &mut TcpStream, status: &str, why: &str) -> io::Result<()> {
    let length = why.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}"
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
