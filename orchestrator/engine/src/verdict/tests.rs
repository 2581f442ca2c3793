//! Tests of the verdict: which fact counts before which, and what a failure then tells.

mod answers;
mod hostile;
mod order;
mod stops;

use schemas::{
    failure::Failure,
    journal::{Outcome, Output},
    json::Json,
};

use super::{Bounds, Death, Facts, Speaks, judge};

/// A `json-stdio@1` program that printed 7 and ended well.
fn facts() -> Facts<'static> {
    Facts {
        step: "s",
        setup: None,
        reason: None,
        protocol: None,
        oom: None,
        memory_peak: None,
        guardrail: None,
        pids_denied: 0,
        hosts_denied: Vec::new(),
        death: Death::Exited(0),
        bounds: Bounds {
            timeout_ms: Some(1),
            idle_timeout_ms: Some(2),
            cpu_time_ms: Some(3),
            output: Some(4),
            memory: Some(5),
            file_size: Some(6),
            pids: Some(7),
            scratch: Some(8),
        },
        speaks: Speaks::JsonStdio,
        skill: None,
        stdout: b"7",
        stdout_over: false,
        stderr: b"",
        stderr_tail: Vec::new(),
    }
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// The failure of facts that are one.
#[track_caller]
fn failure(facts: &Facts<'_>) -> Failure {
    match judge(facts) {
        Outcome::Failed(failure) => *failure,
        other @ (Outcome::Completed(_) | Outcome::Cancelled) => panic!("no failure: {other:?}"),
    }
}

/// A verdict in one line: the result; or code, `!` if another try may help, message, and what else is known.
fn told(outcome: Outcome) -> String {
    match outcome {
        Outcome::Completed(Output::Inline(value)) => format!("ok {value:?}"),
        Outcome::Completed(Output::File { path, .. }) => format!("ok in {path}"),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::Failed(failure) => {
            let again = if failure.retryable { "!" } else { "" };
            let details = serde_json::to_string(&failure.details).unwrap();
            format!("{}{again}: {} {details}", failure.code.as_str(), failure.message)
        }
    }
}
