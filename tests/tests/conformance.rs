//! The public conformance suite of the expression language, through `q workflow eval --batch`. The data is not part
//! of the project: it is read from `$Q_CONFORMANCE`, or from `../shared/conformance` beside the checkout.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use integration_tests::program::{q, workspace};
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

/// The folder with the data, if it is there.
fn data() -> Option<PathBuf> {
    let folder = match std::env::var_os("Q_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().parent()?.join("shared/conformance"),
    };
    folder.join("cel.json").exists().then_some(folder)
}

#[test]
fn every_case_of_the_language_passes() {
    let Some(folder) = data() else {
        // Straight to the descriptor: the test runner captures the macros, and a skip must be seen.
        writeln!(std::io::stderr(), "SKIPPED: no conformance data: set Q_CONFORMANCE to its folder")
            .expect("stderr takes a line");
        return;
    };
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
