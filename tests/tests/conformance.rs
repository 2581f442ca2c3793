//! The public conformance suite of the expression language, through `q workflow eval --batch`. The data is not part
//! of the project: it is read from `$Q_CONFORMANCE`, or from `../shared/conformance` beside the checkout.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use integration_tests::program::{q, workspace};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Suite {
    files: BTreeMap<String, Vec<Case>>,
}

/// One case, in the short words of the data.
#[derive(Deserialize)]
struct Case {
    /// Section and name.
    n: String,
    /// The expression.
    e: String,
    /// What is bound.
    #[serde(default)]
    b: Option<Value>,
    /// The value wanted; `null` is one.
    #[serde(default)]
    v: Value,
    /// Any number equal to the value will do.
    #[serde(default)]
    num: u8,
    /// An error is wanted.
    #[serde(default)]
    err: u8,
}

impl Case {
    fn passes(&self, answer: &Value) -> bool {
        if self.err == 1 {
            return answer["error"]["message"].is_string();
        }
        let Some(value) = answer.get("value") else { return false };
        if self.num == 1 { value.as_f64() == self.v.as_f64() } else { *value == self.v }
    }
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
    let suite: Suite = serde_json::from_str(&text).expect("the data is of its own form");
    let cases: Vec<_> =
        suite.files.iter().flat_map(|(file, cases)| cases.iter().map(move |case| (file, case))).collect();

    let mut requests = String::new();
    for (_, case) in &cases {
        requests.push_str(&json!({"expr": case.e, "vars": case.b}).to_string());
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
        .filter(|((_, case), answer)| answer["v"] != 1 || !case.passes(answer))
        .map(|((file, case), answer)| format!("{file}/{}: {} gave {answer}", case.n, case.e))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
