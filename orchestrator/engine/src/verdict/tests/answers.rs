//! How an answer is read: what a program printed and how it ended, and what a built-in skill said.

use std::fmt::Write as _;

use schemas::failure::Code;

use super::{facts, failure, json, told};
use crate::verdict::{Death, Facts, OwnError, SkillAnswer, Speaks, judge};

/// Everything that this way of speaking makes of exit codes and outputs: a line each, `=` as above.
fn table(speaks: Speaks, codes: &[i32], outputs: &[&str]) -> String {
    let mut table = String::new();
    for code in codes {
        let mut above = String::new();
        for output in outputs {
            let facts = Facts {
                speaks,
                death: Death::Exited(*code),
                stdout: output.as_bytes(),
                stderr: b"E\n",
                ..facts()
            };
            let verdict = told(judge(&facts));
            let shown = if verdict == above { "=" } else { &verdict };
            writeln!(table, "{code} {output:?} -> {shown}").unwrap();
            above = verdict;
        }
    }
    table
}

#[test]
fn json_stdio_at_every_exit_code() {
    let outputs = [
        r#"{"n": 1}"#,
        r#"{"outputs": {"n": 1}}"#,
        r#"{"error": {"code": "GONE", "message": "no", "retryable": true, "details": [1]}}"#,
        "",
        "{} {}",
        "words",
    ];
    insta::assert_snapshot!(table(Speaks::JsonStdio, &[0, 1, 2, 75, 137], &outputs), @r#"
    0 "{\"n\": 1}" -> ok {"n":1}
    0 "{\"outputs\": {\"n\": 1}}" -> =
    0 "{\"error\": {\"code\": \"GONE\", \"message\": \"no\", \"retryable\": true, \"details\": [1]}}" -> skill_error!: no {"skill_code":"GONE","skill_details":[1]}
    0 "" -> protocol_error!: the program ended without a result on stdout {}
    0 "{} {}" -> protocol_error!: the program wrote more than one result on stdout (byte 2) {}
    0 "words" -> bad_output: the output is not JSON: expected value at line 1 column 1 {}
    1 "{\"n\": 1}" -> exit_code!: the program ended with exit code 1 {"exit_code":1}
    1 "{\"outputs\": {\"n\": 1}}" -> =
    1 "{\"error\": {\"code\": \"GONE\", \"message\": \"no\", \"retryable\": true, \"details\": [1]}}" -> skill_error!: no {"exit_code":1,"skill_code":"GONE","skill_details":[1]}
    1 "" -> exit_code!: the program ended with exit code 1 {"exit_code":1}
    1 "{} {}" -> =
    1 "words" -> =
    2 "{\"n\": 1}" -> exit_code: the program ended with exit code 2 {"exit_code":2}
    2 "{\"outputs\": {\"n\": 1}}" -> =
    2 "{\"error\": {\"code\": \"GONE\", \"message\": \"no\", \"retryable\": true, \"details\": [1]}}" -> =
    2 "" -> =
    2 "{} {}" -> =
    2 "words" -> =
    75 "{\"n\": 1}" -> exit_code!: the program ended with exit code 75 {"exit_code":75}
    75 "{\"outputs\": {\"n\": 1}}" -> =
    75 "{\"error\": {\"code\": \"GONE\", \"message\": \"no\", \"retryable\": true, \"details\": [1]}}" -> =
    75 "" -> =
    75 "{} {}" -> =
    75 "words" -> =
    137 "{\"n\": 1}" -> exit_code!: the program ended with exit code 137 {"exit_code":137}
    137 "{\"outputs\": {\"n\": 1}}" -> =
    137 "{\"error\": {\"code\": \"GONE\", \"message\": \"no\", \"retryable\": true, \"details\": [1]}}" -> skill_error!: no {"exit_code":137,"skill_code":"GONE","skill_details":[1]}
    137 "" -> exit_code!: the program ended with exit code 137 {"exit_code":137}
    137 "{} {}" -> =
    137 "words" -> =
    "#);
}

#[test]
fn text_at_every_exit_code() {
    let outputs = ["two\nlines\n", "", r#"{"error": {"message": "no"}}"#];
    insta::assert_snapshot!(table(Speaks::Text { parse_json: false }, &[0, 1, 2, 75], &outputs), @r#"
    0 "two\nlines\n" -> ok {"text":"two\nlines\n"}
    0 "" -> ok {"text":""}
    0 "{\"error\": {\"message\": \"no\"}}" -> ok {"text":"{\"error\": {\"message\": \"no\"}}"}
    1 "two\nlines\n" -> exit_code!: the program ended with exit code 1 {"exit_code":1}
    1 "" -> =
    1 "{\"error\": {\"message\": \"no\"}}" -> =
    2 "two\nlines\n" -> exit_code!: the program ended with exit code 2 {"exit_code":2}
    2 "" -> =
    2 "{\"error\": {\"message\": \"no\"}}" -> =
    75 "two\nlines\n" -> exit_code!: the program ended with exit code 75 {"exit_code":75}
    75 "" -> =
    75 "{\"error\": {\"message\": \"no\"}}" -> =
    "#);
}

#[test]
fn text_that_is_json_at_every_exit_code() {
    let outputs = [r#"{"n": 1}"#, r#"{"outputs": {"n": 1}}"#, "", "words"];
    insta::assert_snapshot!(table(Speaks::Text { parse_json: true }, &[0, 1, 2, 75], &outputs), @r#"
    0 "{\"n\": 1}" -> ok {"n":1}
    0 "{\"outputs\": {\"n\": 1}}" -> ok {"outputs":{"n":1}}
    0 "" -> protocol_error!: the program ended without a result on stdout {}
    0 "words" -> bad_output: the output is not JSON: expected value at line 1 column 1 {}
    1 "{\"n\": 1}" -> exit_code!: the program ended with exit code 1 {"exit_code":1}
    1 "{\"outputs\": {\"n\": 1}}" -> =
    1 "" -> =
    1 "words" -> =
    2 "{\"n\": 1}" -> exit_code!: the program ended with exit code 2 {"exit_code":2}
    2 "{\"outputs\": {\"n\": 1}}" -> =
    2 "" -> =
    2 "words" -> =
    75 "{\"n\": 1}" -> exit_code!: the program ended with exit code 75 {"exit_code":75}
    75 "{\"outputs\": {\"n\": 1}}" -> =
    75 "" -> =
    75 "words" -> =
    "#);
}

#[test]
fn programs_at_every_exit_code() {
    let codes = [0, 1, 2, 75];
    insta::assert_snapshot!(table(Speaks::Program { allow_failure: false }, &codes, &["out\n"]), @r#"
    0 "out\n" -> ok {"stdout":"out\n","stderr":"E\n","exit_code":0}
    1 "out\n" -> exit_code!: the program ended with exit code 1 {"exit_code":1}
    2 "out\n" -> exit_code!: the program ended with exit code 2 {"exit_code":2}
    75 "out\n" -> exit_code!: the program ended with exit code 75 {"exit_code":75}
    "#);
    insta::assert_snapshot!(table(Speaks::Program { allow_failure: true }, &codes, &["out\n"]), @r#"
    0 "out\n" -> ok {"stdout":"out\n","stderr":"E\n","exit_code":0}
    1 "out\n" -> ok {"stdout":"out\n","stderr":"E\n","exit_code":1}
    2 "out\n" -> ok {"stdout":"out\n","stderr":"E\n","exit_code":2}
    75 "out\n" -> ok {"stdout":"out\n","stderr":"E\n","exit_code":75}
    "#);
}

#[test]
fn allowed_failures_are_those_by_exit_code_only() {
    let allowed = Facts { speaks: Speaks::Program { allow_failure: true }, ..facts() };
    let code = |change: fn(&mut Facts<'_>)| {
        let mut facts = allowed.clone();
        change(&mut facts);
        failure(&facts).code
    };
    assert_eq!(code(|facts| facts.death = Death::Signaled(11)), Code::Signal);
    assert_eq!(code(|facts| facts.death = Death::Unknown), Code::EngineCrash);
    assert_eq!(code(|facts| facts.stdout_over = true), Code::OutputTooLarge);
    let refused = Facts { pids_denied: 1, death: Death::Exited(1), ..allowed };
    assert_eq!(told(judge(&refused)), r#"ok {"stdout":"7","stderr":"","exit_code":1}"#);
}

/// What a `json-stdio@1` program that ends well and prints this comes to.
#[track_caller]
fn printed(stdout: &str, expected: &str) {
    assert_eq!(told(judge(&Facts { stdout: stdout.as_bytes(), ..facts() })), expected);
}

#[test]
fn envelopes_are_those_of_a_single_key() {
    printed(r#"{"outputs":[1]}"#, "ok [1]");
    printed(r#"{"outputs":{"outputs":1}}"#, r#"ok {"outputs":1}"#);
    printed(r#"{"outputs":{"error":1}}"#, r#"ok {"error":1}"#);
    printed(r#"{"outputs":1,"more":2}"#, r#"ok {"outputs":1,"more":2}"#);
    printed(r#"{"error":1,"more":2}"#, r#"ok {"error":1,"more":2}"#);
    printed(r#"{"error":1,"outputs":2}"#, r#"ok {"error":1,"outputs":2}"#);
    printed(r#"[{"error":1}]"#, r#"ok [{"error":1}]"#);
    printed(r#""error""#, r#"ok "error""#);
}

#[test]
fn errors_of_every_shape_are_told() {
    printed(r#"{"error":{"code":"X","message":"m"}}"#, r#"skill_error: m {"skill_code":"X"}"#);
    printed(r#"{"error":{"message":"m"}}"#, r#"skill_error: m {"skill_code":"ERROR"}"#);
    printed(
        r#"{"error":{"message":"m","retryable":true,"details":{"a":1},"own":2}}"#,
        r#"skill_error!: m {"skill_code":"ERROR","skill_details":{"a":1}}"#,
    );
    printed(r#"{"error":"in words"}"#, r#"skill_error: in words {"skill_code":"ERROR"}"#);
    printed(r#"{"error":{"code":1}}"#, r#"skill_error: {"code":1} {"skill_code":"ERROR"}"#);
    printed(r#"{"error":[1]}"#, r#"skill_error: [1] {"skill_code":"ERROR"}"#);
}

#[test]
fn an_error_of_any_shape_is_cut() {
    let long = "ä".repeat(100_000);
    for text in [
        format!(r#"{{"error":["{long}"]}}"#),
        format!(r#"{{"error":{{"message":"{long}","details":"{long}"}}}}"#),
    ] {
        let failure = failure(&Facts { stdout: text.as_bytes(), ..facts() });
        assert_eq!(failure.message.chars().count(), 4000);
        assert_eq!(failure.details.skill_details, None);
    }
}

#[test]
fn bytes_that_are_no_text() {
    let bytes = |speaks| told(judge(&Facts { speaks, stdout: b"a\xff", stderr: b"\xfe", ..facts() }));
    assert_eq!(bytes(Speaks::JsonStdio), "bad_output: the output is not UTF-8 (byte 1) {}");
    assert_eq!(bytes(Speaks::Text { parse_json: true }), "bad_output: the output is not UTF-8 (byte 1) {}");
    assert_eq!(bytes(Speaks::Text { parse_json: false }), "ok {\"text\":\"a\u{fffd}\"}");
    assert_eq!(
        bytes(Speaks::Program { allow_failure: false }),
        "ok {\"stdout\":\"a\u{fffd}\",\"stderr\":\"\u{fffd}\",\"exit_code\":0}"
    );
}

#[test]
fn output_over_the_cap_is_never_a_result() {
    for speaks in [
        Speaks::JsonStdio,
        Speaks::Text { parse_json: true },
        Speaks::Text { parse_json: false },
        Speaks::Program { allow_failure: false },
    ] {
        // What was kept of it may be a value of its own.
        let cut = Facts { speaks, stdout: b"1234", stdout_over: true, ..facts() };
        assert_eq!(
            told(judge(&cut)),
            r#"output_too_large: the result is over the limit of 4 bytes {"limit":4}"#
        );
    }
}

/// What a built-in skill that said this comes to, with the exit code of its worker.
#[track_caller]
fn said(answer: Option<SkillAnswer>, code: i32, expected: &str) {
    let facts = Facts { speaks: Speaks::Builtin, skill: answer, death: Death::Exited(code), ..facts() };
    assert_eq!(told(judge(&facts)), expected);
}

#[test]
fn built_in_skills() {
    let value = || Some(SkillAnswer::Value(json(r#"{"error":1}"#)));
    said(value(), 0, r#"ok {"error":1}"#);
    said(value(), 101, r#"exit_code!: the program ended with exit code 101 {"exit_code":101}"#);
    let error = |retryable| {
        let details = Some(json("[1]"));
        Some(SkillAnswer::Error(OwnError {
            code: "GONE".to_owned(),
            message: "no".to_owned(),
            retryable,
            details,
        }))
    };
    said(error(false), 0, r#"skill_error: no {"skill_code":"GONE","skill_details":[1]}"#);
    said(error(true), 0, r#"skill_error!: no {"skill_code":"GONE","skill_details":[1]}"#);
    said(
        Some(SkillAnswer::BadInput { pointer: "/url".to_owned(), message: "is no URL".to_owned() }),
        0,
        r#"bad_input: is no URL {"pointer":"/url"}"#,
    );
    said(
        Some(SkillAnswer::TooLarge),
        0,
        r#"output_too_large: the result is over the limit of 4 bytes {"limit":4}"#,
    );
    said(None, 0, "protocol_error!: the worker ended without a result {}");
    said(None, 101, r#"exit_code!: the program ended with exit code 101 {"exit_code":101}"#);
}

#[test]
fn a_second_result_takes_the_first_one_back() {
    let facts = Facts {
        speaks: Speaks::Builtin,
        skill: Some(SkillAnswer::Value(json("7"))),
        protocol: Some("the worker gave a second result".to_owned()),
        ..facts()
    };
    assert_eq!(told(judge(&facts)), "protocol_error!: the worker gave a second result {}");
}

#[test]
fn a_built_in_skill_is_judged_by_its_words_and_not_by_its_stdout() {
    let facts = Facts { speaks: Speaks::Builtin, skill: None, stdout: br#"{"outputs":1}"#, ..facts() };
    assert_eq!(failure(&facts).code, Code::ProtocolError);
}
