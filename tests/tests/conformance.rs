//! Public conformance data: the suite of the expression language, through `q workflow eval --batch`, and state machines
//! with the executions that were recorded of them. The data is not part of the project: it is read from
//! `$Q_CONFORMANCE`, or from `../shared/conformance` beside the checkout.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use integration_tests::{
    Fixture,
    program::{q, workspace},
    wait,
};
use serde_json::{Value, json};

/// Whether an answer is what a case wants. The data has short words: `err` an error, `v` the value, `num` any number
/// equal to it.
fn passes(case: &Value, answer: &Value) -> bool {
    if case["err"] == 1 {
        return answer["error"]["message"].is_string();
    }
    let Some(value) = answer.get("value") else { return false };
    if case["num"] == 1 { value.as_f64() == case["v"].as_f64() } else { *value == case["v"] }
}

/// The folder with the data, if it is there; if not, that is said.
fn data() -> Option<PathBuf> {
    let folder = match std::env::var_os("Q_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().parent()?.join("shared/conformance"),
    };
    let found = folder.join("cel.json").exists() && folder.join("replay.json").exists();
    if !found {
        wait::skip("no conformance data: set Q_CONFORMANCE to its folder");
    }
    found.then_some(folder)
}

#[test]
fn every_case_of_the_language_passes() {
    let Some(folder) = data() else { return };
    let text = fs::read_to_string(folder.join("cel.json")).expect("the data is readable");
    let suite: Value = serde_json::from_str(&text).expect("the data is JSON");
    let files = suite["files"].as_object().expect("cases stand by file");
    let cases: Vec<_> = files.values().flat_map(|cases| cases.as_array().expect("a list")).collect();

    let mut requests = String::new();
    for case in &cases {
        requests.push_str(&json!({"expr": case["e"], "vars": case["b"]}).to_string());
        requests.push('\n');
    }
    let mut program = Command::new(q())
        .args(["workflow", "eval", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("q starts");
    let mut stdin = program.stdin.take().expect("it is a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(requests.as_bytes()));
    let output = program.wait_with_output().expect("q ends");
    writer.join().expect("the writer ends").expect("q reads every line");
    assert_eq!(output.status.code(), Some(0), "every line is a request");

    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .expect("answers are text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an answer is JSON"))
        .collect();
    assert_eq!(answers.len(), cases.len(), "one answer a line");
    let failed: Vec<_> = cases
        .iter()
        .zip(&answers)
        .filter(|(case, answer)| answer["v"] != 1 || !passes(case, answer))
        .map(|(case, answer)| format!("{}: {} gave {answer}", case["n"], case["e"]))
        .collect();
    assert!(cases.len() >= 468, "the data is whole");
    assert!(failed.is_empty(), "{} of {} cases fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// Runs at once: most of their time is spent waiting.
const AT_ONCE: usize = 3;

#[test]
fn recorded_executions_are_repeated() {
    let Some(folder) = data() else { return };
    let text = fs::read_to_string(folder.join("replay.json")).expect("the data is readable");
    let suite: Value = serde_json::from_str(&text).expect("the data is JSON");
    let machines = suite["machines"].as_array().expect("machines are a list");
    assert!(machines.len() >= 53, "the data is whole");
    let program = folder.join("asl-state.py");
    let failed: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|first| {
                let mine = machines.iter().skip(first).step_by(AT_ONCE);
                let program = &program;
                scope.spawn(move || mine.filter_map(|machine| differs(machine, program)).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no run panics")).collect()
    });
    assert!(failed.is_empty(), "{} of {} differ:\n{}", failed.len(), machines.len(), failed.join("\n"));
}

/// In what a run differs from the execution that was recorded.
fn differs(machine: &Value, program: &Path) -> Option<String> {
    let fixture = Fixture::new();
    let command = json!(["python3", program]);
    fixture.write_skill("skills", "asl-state", json!({"command": command}), "");
    fixture.define(&machine["definition"]);
    let trace = fixture.write("trace", "");
    let inputs = json!({"input": machine["input"], "trace": trace});
    fixture.write("inputs.json", inputs.to_string());
    let run = fixture.workflow(["run", "workflow.json", "--inputs", "inputs.json", "--json"]);
    let view = run.json();
    let mut order: Vec<String> = fixture.read("trace").lines().map(traced).collect();
    order.retain(|name| name != "-");
    let mut expected: Vec<String> =
        machine["expected"]["order"].as_array().expect("a list").iter().map(word).collect();
    if machine["expected"]["ordered"] == false {
        order.sort();
        expected.sort();
    }
    let seen = json!({"status": view["status"], "order": order, "told": told(&view, &machine["expected"])});
    let wanted = json!({
        "status": machine["expected"]["status"],
        "order": expected,
        "told": machine["expected"].get("output").or_else(|| machine["expected"].get("error")),
    });
    (seen != wanted)
        .then(|| format!("{}: {seen} is not {wanted}: {}", machine["source"]["test"], view["error"]))
}

/// The name in a line of the trace.
fn traced(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("a line of the trace is JSON");
    word(&line["name"])
}

fn word(value: &Value) -> String {
    value.as_str().expect("a name").to_owned()
}

/// What the recording has of a result: the output, or the error of the state that failed.
fn told<'v>(view: &'v Value, expected: &Value) -> Option<&'v Value> {
    if expected.get("output").is_some() {
        return view["outputs"].get("result");
    }
    // A state may fail without a name for it.
    expected.get("error").filter(|error| !error.is_null())?;
    let mut error = &view["error"];
    while let Some(cause) = error["details"]["causes"].get(0) {
        error = cause;
    }
    error["details"].get("skill_code")
}
