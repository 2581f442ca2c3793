//! The inputs that the HTTP skills share, checked.

use std::{collections::BTreeMap, time::Duration};

use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, Uri, uri};

use super::{duration::Span, input::BadInput, pointer};

/// How long a request may take unless told otherwise.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How large a body may be unless told otherwise.
pub(super) const DEFAULT_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Headers that frame the message: whoever could set them could smuggle a second request.
const OWN_HEADERS: [HeaderName; 5] = [
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::CONNECTION,
    http::header::UPGRADE,
    http::header::EXPECT,
];

/// An absolute `http` or `https` URL.
pub(super) fn url(text: &str) -> Result<Uri, BadInput> {
    let bad = |message: String| BadInput::new("/url", message);
    let uri: Uri = text.parse().map_err(|error: uri::InvalidUri| bad(format!("not a URL: {error}")))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => return Err(bad(format!("the scheme is `{other}`; it must be `http` or `https`"))),
        None => return Err(bad("it must begin with `http://` or `https://`".to_owned())),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(bad("it names no host".to_owned()));
    }
    if !has_valid_port(&uri) {
        return Err(bad("the port is not one from 0 to 65535".to_owned()));
    }
    Ok(uri)
}

/// The parser takes any text after the colon; the client would then go to the default port.
fn has_valid_port(uri: &Uri) -> bool {
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else { return false };
    let without_user = authority.as_str().rsplit('@').next().unwrap_or_default();
    without_user == host || authority.port_u16().is_some()
}

/// Headers by name.
pub(super) fn headers(given: BTreeMap<String, String>) -> Result<HeaderMap, BadInput> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let bad = |message: &str| {
            let mut at = "/headers".to_owned();
            pointer::push(&mut at, &name);
            BadInput::new(at, message)
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("not the name of a header"))?;
        if OWN_HEADERS.contains(&header) {
            return Err(bad("this header is set by the client itself"));
        }
        let value = HeaderValue::from_str(&value).map_err(|_| bad("not the value of a header"))?;
        if headers.insert(header, value).is_some() {
            return Err(bad("the header is given twice"));
        }
    }
    Ok(headers)
}

/// The time for the whole request.
pub(super) fn timeout(given: Option<Span>) -> Result<Duration, BadInput> {
    let timeout = given.map_or(DEFAULT_TIMEOUT, |span| span.0);
    if timeout.is_zero() {
        return Err(BadInput::new("/timeout", "it must be more than 0"));
    }
    Ok(timeout)
}

/// Status codes that are a result.
pub(super) fn accept(given: Option<Vec<u16>>) -> Result<Option<Vec<u16>>, BadInput> {
    let Some(codes) = &given else { return Ok(None) };
    if codes.is_empty() {
        return Err(BadInput::new("/accept", "it names no status code"));
    }
    match codes.iter().position(|code| !(100..=599).contains(code)) {
        Some(index) => Err(BadInput::new(format!("/accept/{index}"), "a status code is from 100 to 599")),
        None => Ok(given),
    }
}
