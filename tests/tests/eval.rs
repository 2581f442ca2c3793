//! `q workflow eval`: what it prints and how it ends. What expressions give is held by the engine's tests and by
//! `conformance.rs`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use integration_tests::{
    Fixture,
    definition::workflow,
    processes::{peak_kib, worked},
    program::q,
};
use serde_json::{Value, json};

/// The most memory that the program may take, whatever it is asked.
const MOST_MEMORY_KIB: u64 = 64 << 10;
/// The longest that the processor may work on an answer.
const LONGEST: Duration = Duration::from_secs(1);

#[track_caller]
fn check(expression: &str, vars: &str, expected: &Value) {
    let fixture = Fixture::new();
    fixture.write("vars.json", vars);
    let code = if expected.get("value").is_some() { 0 } else { 3 };
    let answer = fixture.workflow(["eval", expression, "--vars", "vars.json", "--json"]).exits(code).json();
    assert_eq!(answer, *expected);
    assert!(!fixture.home().exists(), "nothing is written");
}

#[track_caller]
fn check_error(expression: &str, vars: &str, code: &str, column: u64, part: &str) {
    let fixture = Fixture::new();
    fixture.write("vars.json", vars);
    let answer = fixture.workflow(["eval", expression, "--vars", "vars.json", "--json"]).exits(3).json();
    let error = &answer["error"];
    assert_eq!((&error["code"], &error["column"]), (&json!(code), &json!(column)), "{answer}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(part)), "{answer}");
}

#[test]
fn values_are_printed_as_json() {
    check("n < 5", r#"{"n": 3}"#, &json!({"value": true}));
    check("fetch-data.status + 1", r#"{"fetch-data": {"status": 200}}"#, &json!({"value": 201}));
    check("s + '!'", r#"{"s": "ä"}"#, &json!({"value": "ä!"}));
    let plain = Fixture::new().workflow(["eval", "[1, 2].map(n, n * 2)"]).exits(0);
    assert_eq!(plain.stdout, "[2,4]\n");
}

#[test]
fn errors_have_a_code_and_a_column_of_the_original() {
    check_error(
        "fetch-data.status + 1.5",
        r#"{"fetch-data": {"status": 200}}"#,
        "expression_error",
        19,
        "double",
    );
    check_error("'ä' == s && nope", r#"{"s": "ä"}"#, "expression_error", 13, "nope");
    check_error("a.b == 1", r#"{"a": {}}"#, "missing_reference", 1, "`a.b`");
    check_error("1 +", "{}", "expression_error", 4, "too early");
    let drawn = Fixture::new().workflow(["eval", "true && 1"]).exits(3);
    assert_eq!(drawn.stderr, "error: `&&` does not take int\n  true && 1\n          ^\n");
    assert_eq!(drawn.stdout, "");
}

#[test]
fn files_and_flags_that_are_wrong() {
    let fixture = Fixture::new();
    fixture.write("list.json", "[1]");
    fixture.workflow(["eval", "1", "--vars", "list.json"]).exits(3);
    fixture.workflow(["eval", "1", "--vars", "none.json"]).exits(4);
    fixture.workflow(["eval"]).exits(2);
    fixture.workflow(["eval", "1", "--batch"]).exits(2);
}

#[test]
fn conditions_decide_in_a_run() {
    let fixture = Fixture::new();
    let say = |id: &str, when: &str| json!({"id": id, "type": "skill", "skill": "echo", "when": when});
    fixture.define(&workflow(&[say("yes", "1 < 2"), say("no", "1 > 2"), say("after", "!has(no.data)")]));
    let events = fixture.workflow(["run", "workflow.json", "--events"]).exits(0).lines();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event["step"].is_string())
        .map(|event| {
            format!("{} {}", event["step"].as_str().unwrap_or(""), event["type"].as_str().unwrap_or(""))
        })
        .collect();
    assert_eq!(
        told,
        [
            "yes step.started",
            "yes step.completed",
            "no step.skipped",
            "after step.started",
            "after step.completed"
        ]
    );
    let status = fixture.workflow(["status", "@last"]).exits(0);
    assert!(status.stdout.contains("no: skipped: `when` was false"), "{}", status.stdout);
}

/// Texts that would be too much for a parser or an evaluation without bounds.
fn hostile() -> Vec<String> {
    let mut texts: Vec<_> = [
        "l.all(a, l.all(b, l.all(c, l.all(d, a + b + c + d >= 0))))",
        "l.map(a, l.map(b, l.map(c, l.map(d, [a, b, c, d]))))",
        "l.map(x, s + s + s + s)",
        "l.map(x, l + l).map(x, x + x).map(x, x + x)",
        "l.map(x, {'k': l, 'j': [l, l, l]}).map(y, [y, y, y]) == l",
        "l.all(a, s.matches('(x+x+)+y') || true)",
        "s.matches('(x{1000}){1000}')",
        "l.all(a, 'a'.matches('(a{90}){' + string(a) + '}') || true)",
        "l.filter(x, (l.map(y, s + string(y)) + l) != l)",
    ]
    .map(str::to_owned)
    .to_vec();
    for part in [
        "(", "[", "{", "!", "-", "1+", "a.", "a?a:", "a&&", "f(", "[1,", "x.map(x,", "'", "\\", "é", "a<",
        "a[",
    ] {
        texts.push(part.repeat(4096 / part.len()));
        texts.push(part.repeat(30));
    }
    texts.push(format!("{}1{}", "(".repeat(40), ")".repeat(40)));
    texts.push(vec!["s"; 800].join(" + "));
    texts.push(vec!["1 + 1"; 80].join(" + "));
    texts
}

#[test]
fn hostile_expressions_end_soon_and_take_little() {
    let mut program = Command::new(q())
        .args(["workflow", "eval", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("q starts");
    let mut stdin = program.stdin.take().expect("it is a pipe");
    let mut answers = BufReader::new(program.stdout.take().expect("it is a pipe")).lines();
    let numbers: Vec<u32> = (0..300).collect();
    let vars = json!({"l": numbers, "s": "x".repeat(200_000), "a": true});
    for text in hostile() {
        let before = worked(program.id()).expect("q runs");
        writeln!(stdin, "{}", json!({"expr": text, "vars": vars})).expect("q reads");
        let answer = answers.next().expect("q answers").expect("the answer is text");
        let took = worked(program.id()).expect("q runs").saturating_sub(before);
        assert!(took < LONGEST, "{took:?}: {text:.60}");
        assert!(answer.starts_with(r#"{"v":1,"#), "{answer:.200}");
    }
    let peak = peak_kib(program.id()).expect("q still runs");
    assert!(peak <= MOST_MEMORY_KIB, "{peak} KiB");
    drop(stdin);
    assert!(program.wait().expect("q ends").success());
}
