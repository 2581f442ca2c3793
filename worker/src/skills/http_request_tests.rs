//! `http-request`: what goes over the wire. Answers are the business of `http-get`'s tests.

use serde_json::{Value as Tree, json};

use super::*;
use crate::skills::testing::{bad_input, fits};
use crate::skills::testing_server::{Answer, Server};

/// Sends to a server that gives these answers; the requests that it got and what the skill gave.
fn sent(mut inputs: Tree, answers: impl IntoIterator<Item = Answer>) -> (Vec<String>, Result<Tree, Failure>) {
    let server = Server::start(answers);
    inputs["url"] = json!(server.url("/path"));
    let inputs = inputs.to_string();
    fits(BUILTIN.inputs, &inputs);
    let value = request(&inputs).map_err(Failure::from).and_then(|request| send(&request, None));
    let tree = value.map(|value| {
        fits(BUILTIN.outputs, value.as_str());
        serde_json::from_str(value.as_str()).expect("a value is JSON")
    });
    (server.requests(), tree)
}

/// Sends one request, which must begin with `line`, hold `header` and end with `body`.
#[track_caller]
fn check(inputs: Tree, line: &str, header: &str, body: &str) {
    let (requests, result) = sent(inputs, [Answer::ok("application/json", b"{\"ok\":true}")]);
    let request = &requests[0];
    let (head, sent_body) = request.split_once("\r\n\r\n").expect("a whole request");
    assert!(head.starts_with(&format!("{line} /path HTTP/1.1\r\n")), "{request}");
    assert!(head.to_ascii_lowercase().contains(header), "{request}");
    assert_eq!(sent_body, body);
    if line != "HEAD" {
        assert_eq!(result.expect("an answer")["response"], json!({"ok": true}));
    }
}

#[test]
fn sends_method_and_body() {
    check(json!({}), "GET", "host: 127.0.0.1", "");
    check(json!({ "method": "delete" }), "DELETE", "host: 127.0.0.1", "");
    check(json!({ "method": "HEAD" }), "HEAD", "host: 127.0.0.1", "");
    check(json!({ "body": "a=1" }), "POST", "content-length: 3", "a=1");
    check(json!({ "method": "PUT", "body": "" }), "PUT", "content-length: 0", "");
    check(json!({ "method": "POST" }), "POST", "content-length: 0", "");
    check(json!({ "method": "DELETE", "body": "x" }), "DELETE", "content-length: 1", "x");
    check(json!({ "method": "GET", "body": "x" }), "GET", "content-length: 1", "x");
    check(json!({ "method": "PURGE" }), "PURGE", "host: 127.0.0.1", "");
    check(json!({ "json": {"a": [1, null]} }), "POST", "content-type: application/json", r#"{"a":[1,null]}"#);
    let own_type = json!({ "json": 1, "method": "PATCH", "headers": {"Content-Type": "text/x"} });
    check(own_type, "PATCH", "content-type: text/x", "1");
}

#[test]
fn the_body_of_a_head_is_empty() {
    let head = Answer::raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\nConnection: close\r\n\r\n");
    let (_, result) = sent(json!({ "method": "HEAD" }), [head]);
    assert_eq!(result.expect("an answer")["response"], "");
}

#[test]
fn a_body_is_never_sent_on() {
    let moved =
        Answer::raw(b"HTTP/1.1 307 X\r\nLocation: /next\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let (_, result) = sent(json!({ "body": "secret" }), [moved]);
    match result {
        Err(Failure::Skill(error)) => assert_eq!((error.code.as_str(), error.retryable), ("REDIRECT", false)),
        other => panic!("{other:?}"),
    }
    let answers = [Answer::redirect("/next"), Answer::ok("text/plain", b"seen")];
    let (requests, result) = sent(json!({ "json": "secret" }), answers);
    assert_eq!(result.expect("an answer")["response"], "seen");
    assert!(requests[1].starts_with("GET /next ") && !requests[1].contains("secret"), "{}", requests[1]);
}

#[track_caller]
fn check_bad(inputs: &Tree, pointer: &str, message: &str) {
    bad_input("http-request", &inputs.to_string(), pointer, message);
}

#[test]
fn refuses_bad_inputs() {
    let url = "http://localhost/";
    check_bad(&json!({}), "/url", "`url` is required");
    check_bad(&json!({ "url": url, "body": "", "json": null }), "", "both `body` and `json` are given");
    check_bad(&json!({ "url": url, "body": {} }), "/body", "invalid type: map, expected a string");
    for method in ["", "G T", "GET /x HTTP/1.1\r\nX: ", "connect"] {
        check_bad(
            &json!({ "url": url, "method": method }),
            "/method",
            "not the name of a method that can be sent",
        );
    }
}
