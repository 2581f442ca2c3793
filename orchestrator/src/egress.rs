//! The engine's proxy for steps that may reach a few hosts and no other: HTTP, with `CONNECT` for everything that
//! is not plain HTTP (RFC 9110, 9.3.6). It answers on a port of the step's own network; see [`crate::bridge`].

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpStream,
    time::timeout,
};
use workflow_engine::plan::Endpoint;

use crate::bridge::{Conversation, Service};

/// Port of the proxy in the step's network.
pub const PORT: u16 = 3128;
/// Longest head of a request.
const HEAD_MAX: usize = 64 * 1024;
/// How long a request may take to come, and a host to be reached.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many refused hosts are kept.
const REFUSED_MAX: usize = 16;

/// The proxy of one attempt.
#[derive(Debug)]
pub struct Egress {
    allowed: Vec<Endpoint>,
    refused: RefCell<Vec<String>>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    host: String,
    port: u16,
    /// The head to be sent on; `None`: only a way through.
    head: Option<String>,
}

impl Egress {
    /// A proxy to these hosts.
    pub fn new(allowed: Vec<Endpoint>) -> Self {
        Self { allowed, refused: RefCell::default() }
    }

    /// The first hosts that were asked for and refused, each once.
    pub fn refused(&self) -> Vec<String> {
        self.refused.borrow().clone()
    }

    fn allows(&self, request: &Request) -> bool {
        let allowed = self.allowed.iter().any(|endpoint| endpoint.fits(&request.host, request.port));
        if !allowed {
            let name = format!("{}:{}", request.host, request.port);
            let mut refused = self.refused.borrow_mut();
            if refused.len() < REFUSED_MAX && !refused.contains(&name) {
                refused.push(name);
            }
        }
        allowed
    }

    async fn converse(&self, mut client: TcpStream) -> io::Result<()> {
        let Ok(read) = timeout(PATIENCE, read_head(&mut client)).await else { return Ok(()) };
        let (head, rest) = read?;
        let Some(request) = parse(&head) else {
            return refuse(&mut client, "400 Bad Request", "this is no request to a proxy\n").await;
        };
        let name = format!("{}:{}", request.host, request.port);
        if !self.allows(&request) {
            let why = format!("q: {name} is not among what `sandbox.network.allow` of this step names\n");
            return refuse(&mut client, "403 Forbidden", &why).await;
        }
        let reached = timeout(PATIENCE, TcpStream::connect((request.host.as_str(), request.port))).await;
        let mut server = match reached {
            Ok(Ok(server)) => server,
            Ok(Err(error)) => {
                let why = format!("q: {name} cannot be reached: {error}\n");
                return refuse(&mut client, "502 Bad Gateway", &why).await;
            }
            Err(_) => {
                let why = format!("q: {name} does not answer\n");
                return refuse(&mut client, "504 Gateway Timeout", &why).await;
            }
        };
        match &request.head {
            Some(head) => server.write_all(head.as_bytes()).await?,
            None => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?,
        }
        server.write_all(&rest).await?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }
}

impl Service for Egress {
    fn answer(self: Rc<Self>, connection: TcpStream) -> Conversation {
        Box::pin(async move {
            // Whoever hangs up in the middle has his reasons.
            let _hung_up = self.converse(connection).await;
        })
    }
}

/// The head of a request, and what came behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = client.read(&mut part).await?;
        // The end may stand across two reads.
        let from = bytes.len().saturating_sub(3);
        bytes.extend_from_slice(&part[..count]);
        if let Some(at) = bytes[from..].windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(from + at + 4);
            let head = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
            return Ok((head, rest));
        }
        if count == 0 || bytes.len() > HEAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Reads `CONNECT host:port` or `GET http://host/path`.
fn parse(head: &str) -> Option<Request> {
    let (line, fields) = head.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = authority(target, None)?;
        return Some(Request { host, port, head: None });
    }
    let after = target.strip_prefix("http://")?;
    let (place, path) = after.find(['/', '?']).map_or((after, ""), |at| after.split_at(at));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let (host, port) = authority(place, Some(80))?;
    // One request for a connection: what follows would go to the same host, whatever it names.
    let own = ["proxy-connection", "proxy-authorization", "connection", "keep-alive"];
    let kept = fields.split_terminator("\r\n").filter(|field| {
        let name = field.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        !field.is_empty() && !own.contains(&name.as_str())
    });
    let line = format!("{method} {slash}{path} {version}");
    let lines: Vec<&str> = [line.as_str()].into_iter().chain(kept).chain(["Connection: close"]).collect();
    let head = lines.join("\r\n") + "\r\n\r\n";
    Some(Request { host, port, head: Some(head) })
}

fn authority(text: &str, port: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match (text.strip_prefix('['), port) {
        (Some(rest), _) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':').map_or(port, |port| port.parse().ok()))
        }
        (None, _) => match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (text, port),
        },
    };
    let fits = !host.is_empty() && !host.contains(['@', '/', ' ']);
    fits.then_some((host.to_owned(), port?))
}

async fn refuse(client: &mut TcpStream, status: &str, why: &str) -> io::Result<()> {
    let length = why.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}"
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Option<(&str, u16, Option<&str>)>) {
        let expected = expected.map(|(host, port, head)| Request {
            host: host.to_owned(),
            port,
            head: head.map(str::to_owned),
        });
        assert_eq!(parse(head), expected, "{head:?}");
    }

    #[test]
    fn requests_are_read() {
        check("CONNECT a.com:443 HTTP/1.1\r\n\r\n", Some(("a.com", 443, None)));
        check("CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n", Some(("::1", 443, None)));
        let sent = "GET /b?c HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n";
        check(
            "GET http://a.com/b?c HTTP/1.1\r\nHost: a.com\r\nProxy-Connection: x\r\nconnection: keep-alive\r\n\r\n",
            Some(("a.com", 80, Some(sent))),
        );
        let sent = "GET / HTTP/1.0\r\nConnection: close\r\n\r\n";
        check("GET http://a.com:81 HTTP/1.0\r\n\r\n", Some(("a.com", 81, Some(sent))));
    }

    #[test]
    fn what_is_no_request_to_a_proxy_is_refused() {
        check("GET / HTTP/1.1\r\n\r\n", None);
        check("CONNECT a.com HTTP/1.1\r\n\r\n", None);
        check("CONNECT a.com:x HTTP/1.1\r\n\r\n", None);
        check("CONNECT a.com:443\r\n\r\n", None);
        check("CONNECT a.com:443 HTTP/1.1 x\r\n\r\n", None);
        check("GET http://u@a.com/ HTTP/1.1\r\n\r\n", None);
        check("GET https://a.com/ HTTP/1.1\r\n\r\n", None);
        check("GET http://:80/ HTTP/1.1\r\n\r\n", None);
        check("\r\n\r\n", None);
    }

    async fn ask(proxy: &Rc<Egress>, request: &str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (served, _) = listener.accept().await.unwrap();
        tokio::task::spawn_local(Rc::clone(proxy).answer(served));
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[test]
    fn only_what_is_listed_is_reached() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = server.local_addr().unwrap().port();
            tokio::task::spawn_local(async move {
                while let Ok((mut connection, _)) = server.accept().await {
                    let mut said = [0; 4];
                    connection.read_exact(&mut said).await.unwrap();
                    connection.write_all(b"hello ").await.unwrap();
                    connection.write_all(&said).await.unwrap();
                }
            });
            let endpoint = Endpoint::parse(&format!("127.0.0.1:{port}")).unwrap();
            let proxy = Rc::new(Egress::new(vec![endpoint]));
            let through = ask(&proxy, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nping")).await;
            assert_eq!(through, "HTTP/1.1 200 Connection established\r\n\r\nhello ping");
            let plain = ask(&proxy, &format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n")).await;
            assert_eq!(plain, "hello GET ");
            assert!(proxy.refused().is_empty());
            let other = ask(&proxy, "CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n").await;
            assert!(other.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{other}");
            assert_eq!(proxy.refused(), ["127.0.0.1:1"]);
            assert!(ask(&proxy, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
        });
    }
}
