//! A request of an agent to the proxy: read with caps and in time. The agent is not trusted.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longest head.
const HEAD_MAX: usize = 64 * 1024;
/// Longest body.
const BODY_MAX: usize = 32 * 1024 * 1024;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, without its query.
    pub(super) path: String,
    /// Names in lower case.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether it shows the token where a key would be.
    pub(super) fn shows(&self, token: &str) -> bool {
        let bearer = self.field("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer == Some(token) || self.field("x-api-key") == Some(token)
    }
}

/// Reads a request; the inner error is what is wrong with it.
pub(super) async fn read(client: &mut TcpStream) -> io::Result<Result<Request, &'static str>> {
    timeout(PATIENCE, whole(client)).await.unwrap_or(Ok(Err("the request did not come to its end")))
}

async fn whole(client: &mut TcpStream) -> io::Result<Result<Request, &'static str>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD_MAX {
            return Ok(Err("the head is too long"));
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let rest = bytes.split_off(end + 4);
    let Some(mut request) = head(&bytes) else { return Ok(Err("this is no HTTP request")) };
    if request.field("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let chunked =
        request.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body = if chunked {
        chunks(client, rest).await?
    } else {
        let length = request.field("content-length").map_or(Ok(0), str::parse::<usize>);
        match length {
            Ok(length) if length <= BODY_MAX => {
                let mut body = rest;
                while body.len() < length {
                    if client.read_buf(&mut body).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                body.truncate(length);
                Ok(body)
            }
            Ok(_) => Err("the body is too long"),
            Err(_) => Err("the length is no number"),
        }
    };
    Ok(body.map(|body| {
        request.body = body;
        request
    }))
}

async fn chunks(client: &mut TcpStream, mut rest: Vec<u8>) -> io::Result<Result<Vec<u8>, &'static str>> {
    let mut body = Vec::new();
    loop {
        if let Some(at) = find(&rest, b"\r\n") {
            let line = String::from_utf8_lossy(&rest[..at]).into_owned();
            let Ok(length) = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            else {
                return Ok(Err("a chunk has no length"));
            };
            if body.len().saturating_add(length) > BODY_MAX {
                return Ok(Err("the body is too long"));
            }
            let whole = at + 2 + length + 2;
            if rest.len() >= whole {
                body.extend_from_slice(&rest[at + 2..at + 2 + length]);
                rest.drain(..whole);
                if length == 0 {
                    return Ok(Ok(body));
                }
                continue;
            }
        } else if rest.len() > HEAD_MAX {
            return Ok(Err("a chunk has no length"));
        }
        if client.read_buf(&mut rest).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

fn head(bytes: &[u8]) -> Option<Request> {
    let text = str::from_utf8(bytes).ok()?;
    let (line, fields) = text.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') {
        return None;
    }
    let path = target.split('?').next().unwrap_or_default();
    let fields = fields.split("\r\n").filter_map(|field| field.split_once(':'));
    let fields = fields.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        fields: fields.collect(),
        body: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: &[u8], expected: Result<(&str, &str, &[u8]), &str>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            client.write_all(sent).await.unwrap();
            client.shutdown().await.unwrap();
            read(&mut server).await
        });
        match expected {
            Ok((method, path, body)) => {
                let request = found.unwrap().unwrap();
                assert_eq!((request.method.as_str(), request.path.as_str()), (method, path));
                assert_eq!(request.body, body);
            }
            Err(why) => assert_eq!(found.unwrap().unwrap_err(), why),
        }
    }

    #[test]
    fn requests_are_read() {
        check(
            b"POST /v1/messages?x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi!",
            Ok(("POST", "/v1/messages", b"hi")),
        );
        check(b"GET / HTTP/1.0\r\n\r\n", Ok(("GET", "/", b"")));
        let chunked =
            b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x\r\n!\r\n0\r\n\r\n";
        check(chunked, Ok(("POST", "/a", b"hi!")));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        check(b"hello\r\n\r\n", Err("this is no HTTP request"));
        check(b"POST /a HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", Err("the body is too long"));
        check(b"POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n", Err("the length is no number"));
        check(
            b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
            Err("the body is too long"),
        );
        check(&vec![b'x'; HEAD_MAX + 1000], Err("the head is too long"));
    }
}
