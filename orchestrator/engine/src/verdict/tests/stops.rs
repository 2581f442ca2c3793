//! Attempts that the engine ended: the reason that was durable before the first signal stands, whatever the
//! process then did.

use std::fmt::Write as _;

use schemas::view::StopReason;

use super::{facts, failure, told};
use crate::verdict::{Bounds, Death, Facts, judge};

#[test]
fn every_reason_has_its_verdict() {
    let mut table = String::new();
    for reason in StopReason::ALL {
        let facts = Facts { reason: Some(*reason), death: Death::Signaled(9), ..facts() };
        writeln!(table, "{reason} -> {}", told(judge(&facts))).unwrap();
    }
    insta::assert_snapshot!(table, @r#"
    timeout -> timeout!: the step took longer than its timeout of 1 ms {"limit":1,"signal":9}
    run_timeout -> cancelled
    idle_timeout -> idle_timeout!: the step was silent for 2 ms {"limit":2,"signal":9}
    cpu_time -> cpu_time_exceeded!: the step used more than 3 ms of CPU time {"limit":3,"signal":9}
    output -> output_too_large: the step wrote more than 4 bytes on stdout {"limit":4,"signal":9}
    memory -> oom!: the step used more than 5 bytes of memory {"limit":5,"signal":9}
    scratch -> file_size_exceeded: the step wrote more than 8 bytes to its directory for scratch {"limit":8,"signal":9}
    protocol -> protocol_error!: it broke its protocol {}
    guardrail -> guardrail_exceeded: the agent reached a guardrail {"signal":9,"guardrail":"unknown"}
    stop -> cancelled
    sibling -> cancelled
    shutdown -> cancelled
    "#);
}

#[test]
fn without_a_known_limit_the_reason_is_told_all_the_same() {
    let mut table = String::new();
    for reason in StopReason::ALL {
        let facts = Facts { reason: Some(*reason), bounds: Bounds::default(), ..facts() };
        writeln!(table, "{reason} -> {}", told(judge(&facts))).unwrap();
    }
    insta::assert_snapshot!(table, @r#"
    timeout -> timeout!: the step took longer than its timeout of ? ms {}
    run_timeout -> cancelled
    idle_timeout -> idle_timeout!: the step was silent for ? ms {}
    cpu_time -> cpu_time_exceeded!: the step used more than ? ms of CPU time {}
    output -> output_too_large: the step wrote more than ? bytes on stdout {}
    memory -> oom!: the step used more than ? bytes of memory {}
    scratch -> file_size_exceeded: the step wrote more than ? bytes to its directory for scratch {}
    protocol -> protocol_error!: it broke its protocol {}
    guardrail -> guardrail_exceeded: the agent reached a guardrail {"guardrail":"unknown"}
    stop -> cancelled
    sibling -> cancelled
    shutdown -> cancelled
    "#);
}

#[test]
fn whatever_the_process_did_then_the_reason_stands() {
    let deaths = [
        Death::Exited(0),
        Death::Exited(1),
        Death::Exited(2),
        Death::Exited(75),
        Death::Exited(143),
        Death::Signaled(9),
        Death::Signaled(15),
        Death::Signaled(31),
        Death::Unknown,
    ];
    for reason in StopReason::ALL {
        let verdict = |death, stdout| {
            let protocol = Some("it lied".to_owned());
            let facts = Facts { reason: Some(*reason), death, stdout, protocol, pids_denied: 1, ..facts() };
            // The signal is told, too; everything else is the same.
            told(judge(&facts)).split(" {").next().unwrap_or_default().to_owned()
        };
        let expected = verdict(Death::Exited(0), b"7");
        assert!(!expected.starts_with("ok"), "exit 0 after our SIGTERM is no success: {expected}");
        for death in deaths {
            for stdout in [&b"7"[..], b"", br#"{"error":"mine"}"#, b"\xff"] {
                assert_eq!(verdict(death, stdout), expected, "{reason} {death:?}");
            }
        }
    }
}

#[test]
fn what_broke_the_protocol_is_told() {
    let protocol = Some("the worker gave a second result".to_owned());
    let facts = Facts { reason: Some(StopReason::Protocol), protocol, ..facts() };
    assert_eq!(failure(&facts).message, "the worker gave a second result");
}
