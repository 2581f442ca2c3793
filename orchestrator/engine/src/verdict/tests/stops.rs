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
    insta::assert_snapshot!(table, @"");
}

#[test]
fn without_a_known_limit_the_reason_is_told_all_the_same() {
    let mut table = String::new();
    for reason in StopReason::ALL {
        let facts = Facts { reason: Some(*reason), bounds: Bounds::default(), ..facts() };
        writeln!(table, "{reason} -> {}", told(judge(&facts))).unwrap();
    }
    insta::assert_snapshot!(table, @"");
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
