//! `http-get` against a loopback server, well-behaved and not.

use std::time::{Duration, Instant};

use ipc::message::SkillError;
use serde_json::{Value as Tree, json};

use super::*;
use crate::skills::testing::{bad_input, fits};
use crate::skills::testing_server::{Answer, NOBODY, Server};

/// Runs the skill with no proxy, whatever the environment of the tests says.
fn get(inputs: &Tree) -> Result<Tree, Failure> {
    let inputs = inputs.to_string();
    fits(BUILTIN.inputs, &inputs);
    let value = send(&request(&inputs)?, None)?;
    fits(BUILTIN.outputs, value.as_str());
    Ok(serde_json::from_str(value.as_str()).expect("a value is JSON"))
}

#[track_caller]
fn error(inputs: &Tree, code: &str) -> SkillError {
    match get(inputs) {
        Err(Failure::Skill(error)) => {
            assert_eq!(error.code, code, "{error:?}");
            error
        }
        other => panic!("{other:?}"),
    }
}

fn details(error: &SkillError) -> Tree {
    let details = error.details.as_ref().expect("the error has details");
    serde_json::from_str(details.as_str()).expect("details are JSON")
}

/// One answer with a body of that type must give `response` (and `encoding`, if any).
#[track_caller]
fn check_body(content_type: &str, body: &[u8], response: &Tree, encoding: Option<&str>) {
    let server = Server::start([Answer::ok(content_type, body)]);
    let value = get(&json!({ "url": server.url("/") })).expect("an answer");
    assert_eq!(value["status"], 200);
    assert_eq!(value["response"], *response, "{content_type}");
    assert_eq!(value.get("encoding").and_then(Tree::as_str), encoding, "{content_type}");
}

#[test]
fn parses_what_says_it_is_json() {
    check_body("application/json", b" {\"a\": [1, 2.5]}\n", &json!({"a": [1, 2.5]}), None);
    check_body("Application/JSON; charset=utf-8", b"\"x\"", &json!("x"), None);
    check_body("application/problem+json", b"null", &json!(null), None);
    check_body("text/plain", b"{\"a\":1}", &json!("{\"a\":1}"), None);
    check_body("application/json", b"", &json!(""), None);
    check_body("application/json", b"{oops", &json!("{oops"), None);
    check_body("application/json", b"[1e999]", &json!("[1e999]"), None);
    check_body("text/plain", "naïve\r\n".as_bytes(), &json!("naïve\r\n"), None);
    check_body("application/octet-stream", b"\xff\x00\x01", &json!("/wAB"), Some("base64"));
    check_body("application/json", b"{\"a\":\"\xff\"}", &json!("eyJhIjoi/yJ9"), Some("base64"));
}

#[test]
fn nested_json_beyond_measure_stays_text() {
    let bomb = "[".repeat(100_000);
    check_body("application/json", bomb.as_bytes(), &json!(bomb), None);
}

#[test]
fn tells_status_and_headers() {
    let server = Server::start([Answer::raw(
        b"HTTP/1.1 203 Whatever\r\nX-One: 1\r\nx-many: a\r\nX-Many: b\r\nX-Odd: \xff\r\nContent-Length: 0\r\n\r\n",
    )]);
    let value = get(&json!({ "url": server.url("/") })).expect("an answer");
    assert_eq!(value["status"], 203);
    let headers = json!({ "x-one": "1", "x-many": "a, b", "x-odd": "\u{fffd}", "content-length": "0" });
    assert_eq!(value["headers"], headers);
}

#[test]
fn sends_what_it_is_told() {
    let server = Server::start([Answer::ok("text/plain", b"ok")]);
    let url = server.url("/a%20b?q=1#part");
    get(&json!({ "url": url, "headers": {"X-Token": "secret", "Accept": "text/plain"} })).expect("an answer");
    let requests = server.requests();
    let head = requests[0].to_ascii_lowercase();
    assert!(head.starts_with("get /a%20b?q=1 http/1.1\r\n"), "{head}");
    for line in ["x-token: secret\r\n", "accept: text/plain\r\n", "user-agent: q-workflow/"] {
        assert_eq!(head.matches(line).count(), 1, "{line} in {head}");
    }
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
}

#[test]
fn a_user_in_the_url_becomes_a_header() {
    let server = Server::start([Answer::ok("text/plain", b"ok")]);
    let url = server.url("/").replace("http://", "http://ada:pass@");
    get(&json!({ "url": url })).expect("an answer");
    assert!(server.requests()[0].to_ascii_lowercase().contains("authorization: basic ywrhonbhc3m=\r\n"));
}

/// A status that is no result; what it says of itself.
#[track_caller]
fn check_status(status: u16, retryable: bool) {
    let server = Server::start([Answer::status(status, b"it is \xff not so")]);
    let error = error(&json!({ "url": server.url("/private?token=1") }), "HTTP_STATUS");
    assert_eq!(error.retryable, retryable, "{status}");
    assert_eq!(details(&error), json!({ "status": status, "body": "it is \u{fffd} not so" }));
    assert!(!error.message.contains("token"), "{}", error.message);
}

#[test]
fn other_statuses_are_errors() {
    for status in [400, 401, 403, 404, 409, 418] {
        check_status(status, false);
    }
    for status in [408, 425, 429, 500, 502, 503, 599] {
        check_status(status, true);
    }
}

#[test]
fn redirects_to_nowhere_are_errors() {
    let answers =
        [Answer::status(302, b""), Answer::status(300, b"choose"), Answer::redirect("gopher://127.0.0.1/")];
    for answer in answers {
        let server = Server::start([answer]);
        error(&json!({ "url": server.url("/") }), "PROTOCOL");
    }
}

/// What looks like a file's URL is a relative reference to the client: it stays at the server.
#[test]
fn a_redirect_never_leads_to_a_file() {
    let server = Server::start([Answer::redirect("file:///etc/passwd"), Answer::ok("text/plain", b"mine")]);
    let value = get(&json!({ "url": server.url("/") })).expect("an answer");
    assert_eq!(value["response"], "mine");
}

#[test]
fn the_body_of_an_error_is_cut() {
    let server = Server::start([Answer::status(500, "x".repeat(100_000).as_bytes())]);
    let error = error(&json!({ "url": server.url("/") }), "HTTP_STATUS");
    assert_eq!(details(&error)["body"].as_str().map(str::len), Some(1024));
}

#[test]
fn accepted_statuses_are_results() {
    let server = Server::start([Answer::status(404, b"none")]);
    let value = get(&json!({ "url": server.url("/"), "accept": [200, 404] })).expect("an answer");
    assert_eq!((&value["status"], &value["response"]), (&json!(404), &json!("none")));
    let server = Server::start([Answer::ok("text/plain", b"fine")]);
    error(&json!({ "url": server.url("/"), "accept": [404] }), "HTTP_STATUS");
}

#[test]
fn redirects_are_followed() {
    let server = Server::start([
        Answer::redirect("/second"),
        Answer::redirect("third?x=1"),
        Answer::ok("application/json", b"3"),
    ]);
    let value = get(&json!({ "url": server.url("/first/") })).expect("an answer");
    assert_eq!(value["response"], 3);
    let requests = server.requests();
    let lines: Vec<_> = requests.iter().filter_map(|request| request.lines().next()).collect();
    assert_eq!(lines, ["GET /first/ HTTP/1.1", "GET /second HTTP/1.1", "GET /third?x=1 HTTP/1.1"]);
}

#[test]
fn secrets_do_not_follow_to_another_host() {
    let second = Server::start([Answer::ok("text/plain", b"ok")]);
    let elsewhere = second.url("/").replace("127.0.0.1", "localhost");
    let first = Server::start([Answer::redirect(&elsewhere)]);
    let headers = json!({ "Authorization": "Bearer secret", "Cookie": "secret" });
    get(&json!({ "url": first.url("/"), "headers": headers })).expect("an answer");
    assert_eq!(first.requests()[0].matches("secret").count(), 2);
    assert_eq!(second.requests()[0].matches("secret").count(), 0);
}

#[test]
fn redirects_end() {
    let server = Server::start((0..11).map(|_| Answer::redirect("/again")));
    assert!(!error(&json!({ "url": server.url("/") }), "TOO_MANY_REDIRECTS").retryable);
}

#[test]
fn an_accepted_redirect_is_shown() {
    let server = Server::start([Answer::redirect("/second")]);
    let value = get(&json!({ "url": server.url("/"), "accept": [302] })).expect("an answer");
    assert_eq!((&value["status"], &value["headers"]["location"]), (&json!(302), &json!("/second")));
}

#[test]
fn not_modified_is_no_redirect() {
    let server = Server::start([Answer::raw(b"HTTP/1.1 304 Not Modified\r\n\r\n")]);
    error(&json!({ "url": server.url("/") }), "HTTP_STATUS");
    let server =
        Server::start([Answer::redirect("/second"), Answer::raw(b"HTTP/1.1 304 Not Modified\r\n\r\n")]);
    let value = get(&json!({ "url": server.url("/"), "accept": [200, 304] })).expect("an answer");
    assert_eq!((&value["status"], &value["response"]), (&json!(304), &json!("")));
}

#[test]
fn the_body_is_capped() {
    let fits = Server::start([Answer::ok("text/plain", b"12345678")]);
    get(&json!({ "url": fits.url("/"), "max_bytes": 8 })).expect("an answer");
    let announced = Server::start([Answer::ok("text/plain", b"123456789")]);
    let error_announced = error(&json!({ "url": announced.url("/"), "max_bytes": 8 }), "TOO_LARGE");
    assert_eq!(details(&error_announced), json!({ "max_bytes": 8 }));
    let endless = Server::start([Answer::endless()]);
    assert!(!error(&json!({ "url": endless.url("/") }), "TOO_LARGE").retryable);
}

#[test]
fn a_half_answer_is_none() {
    let half_body = Answer::raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    let half_chunk = Answer::raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123");
    let half_head = Answer::raw(b"HTTP/1.1 200 OK\r\nContent-Le");
    for answer in [half_body, half_chunk, half_head, Answer::raw(b"")] {
        let server = Server::start([answer]);
        assert!(error(&json!({ "url": server.url("/") }), "DISCONNECTED").retryable);
    }
}

#[test]
fn what_is_no_http_is_an_error() {
    let long_line = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(200_000));
    let answers = [
        Answer::raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        Answer::raw(b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n"),
        Answer::raw(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n"),
        Answer::raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Answer::raw(long_line.as_bytes()),
    ];
    for answer in answers {
        let server = Server::start([answer]);
        error(&json!({ "url": server.url("/") }), "PROTOCOL");
    }
}

#[test]
fn waits_no_longer_than_told() {
    let stall = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345";
    for answer in [Answer::stalling(b""), Answer::stalling(stall)] {
        let server = Server::start([answer]);
        let start = Instant::now();
        let error = error(&json!({ "url": server.url("/"), "timeout": "250ms" }), "TIMEOUT");
        assert!(error.retryable);
        assert!((Duration::from_millis(200)..Duration::from_secs(20)).contains(&start.elapsed()));
    }
}

#[test]
fn nobody_there_is_an_error() {
    let refused = error(&json!({ "url": format!("http://127.0.0.1:{NOBODY}/") }), "CONNECT");
    assert!(refused.retryable);
    let unknown = error(&json!({ "url": "http://no-such-host.invalid/", "timeout": 20 }), "DNS");
    assert!(unknown.retryable);
}

#[test]
fn plain_text_is_no_secure_connection() {
    let server = Server::start([Answer::immediately(b"HTTP/1.1 400 Bad Request\r\n\r\n")]);
    let url = server.url("/").replace("http://", "https://");
    error(&json!({ "url": url, "timeout": 20 }), "TLS");
}

#[track_caller]
fn check_bad(inputs: &Tree, pointer: &str, message: &str) {
    bad_input("http-get", &inputs.to_string(), pointer, message);
}

#[test]
fn refuses_bad_urls() {
    let check_url = |url: &str, message: &str| check_bad(&json!({ "url": url }), "/url", message);
    check_bad(&json!({}), "/url", "`url` is required");
    check_url("", "not a URL: empty string");
    check_url("/relative", "it must begin with `http://` or `https://`");
    check_url("example.com", "it must begin with `http://` or `https://`");
    check_url("file:///etc/passwd", "not a URL: invalid format");
    check_url("ftp://example.com/", "the scheme is `ftp`; it must be `http` or `https`");
    check_url("http://", "not a URL: empty string");
    check_url("http://a b/", "not a URL: invalid uri character");
    check_url("http://example.com/\r\nX: 1", "not a URL: invalid uri character");
    check_url("http://example.com:99999/", "the port is not one from 0 to 65535");
    check_url("http://u:p@example.com:8o/", "the port is not one from 0 to 65535");
}

#[test]
fn refuses_bad_headers() {
    let check_header = |name: &str, value: &str, pointer: &str, message: &str| {
        check_bad(&json!({ "url": "http://localhost/", "headers": {name: value} }), pointer, message);
    };
    check_header("x", "a\r\nx-evil: 1", "/headers/x", "not the value of a header");
    check_header("x\r\ny", "1", "/headers/x\r\ny", "not the name of a header");
    check_header("a/b", "1", "/headers/a~1b", "not the name of a header");
    check_header("", "1", "/headers/", "not the name of a header");
    check_header("Content-Length", "5", "/headers/Content-Length", "this header is set by the client itself");
    check_header(
        "transfer-encoding",
        "chunked",
        "/headers/transfer-encoding",
        "this header is set by the client itself",
    );
    let twice = json!({ "url": "http://localhost/", "headers": {"X-A": "1", "x-a": "2"} });
    check_bad(&twice, "/headers/x-a", "the header is given twice");
}

#[test]
fn refuses_other_bad_inputs() {
    let url = "http://localhost/";
    check_bad(&json!({ "url": url, "timeout": 0 }), "/timeout", "it must be more than 0");
    check_bad(
        &json!({ "url": url, "timeout": "soon" }),
        "/timeout",
        "expected a whole number of seconds or text like \"250ms\", \"30s\", \"1m30s\", at most 366 days",
    );
    check_bad(&json!({ "url": url, "accept": [] }), "/accept", "it names no status code");
    check_bad(&json!({ "url": url, "accept": [200, 99] }), "/accept/1", "a status code is from 100 to 599");
    check_bad(
        &json!({ "url": url, "max_bytes": 0 }),
        "/max_bytes",
        "invalid value: integer `0`, expected a nonzero u64",
    );
    check_bad(
        &json!({ "url": url, "method": "POST" }),
        "/method",
        "unknown field `method`, expected one of `url`, `headers`, `timeout`, `accept`, `max_bytes`",
    );
}
