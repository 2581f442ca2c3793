//! How far programs are trusted: what comes with it, and who says it.

use std::fmt::Write as _;

use super::plan;
use crate::plan::StepKind;

/// Of each program of a definition: profile, limit in seconds, memory in MiB, and `no fork`.
#[track_caller]
fn check(steps: &str, expected: &str) {
    let plan = plan(&format!(r#"{{"name":"x","version":"1.0.0","steps":[{steps}]}}"#));
    let mut told = String::new();
    for step in &plan.steps {
        let StepKind::Skill(call) = &step.kind else {
            assert_eq!(step.timeout, None, "only programs have the limit of their trust");
            continue;
        };
        let memory = call.limits.memory.map_or(0, |memory| memory.0 >> 20);
        let seconds = step.timeout.map_or(0, |timeout| timeout.as_secs());
        let fork = if call.sandbox.no_fork { " no fork" } else { "" };
        write!(told, "{} {:?} {seconds}s {memory}MiB{fork}; ", step.name, call.sandbox.profile).unwrap();
    }
    assert_eq!(told.trim_end_matches("; "), expected, "{steps}");
}

const CHILD: &str = r#"{"id":"a","type":"skill","skill":"echo"}"#;

#[test]
fn a_step_says_it_itself() {
    let step = |trust: &str| format!(r#"{{"id":"a","type":"skill","skill":"echo","trust":"{trust}"}}"#);
    check(CHILD, "a Standard 0s 0MiB");
    check(&step("trusted"), "a Standard 0s 0MiB");
    check(&step("verified"), "a Standard 60s 256MiB");
    check(&step("untrusted"), "a Strict 10s 64MiB no fork");
}

#[test]
fn what_holds_a_step_says_it_where_the_step_does_not() {
    let group = |trust: &str, child: &str| {
        format!(r#"{{"id":"g","type":"sequence","trust":"{trust}","steps":[{child}]}}"#)
    };
    check(&group("untrusted", CHILD), "a Strict 10s 64MiB no fork");
    check(&group("verified", CHILD), "a Standard 60s 256MiB");
    let trusted = r#"{"id":"a","type":"skill","skill":"echo","trust":"trusted"}"#;
    check(&group("untrusted", trusted), "a Standard 0s 0MiB");
    let inner = format!(r#"{{"id":"h","type":"sequence","trust":"verified","steps":[{CHILD}]}}"#);
    check(&group("untrusted", &inner), "a Standard 60s 256MiB");
    let inner = format!(r#"{{"id":"h","type":"sequence","sandbox":"none","steps":[{CHILD}]}}"#);
    check(&group("untrusted", &inner), "a None 10s 64MiB no fork");
}

#[test]
fn a_workflow_that_is_called_is_trusted_as_its_step() {
    let call =
        r#"{"id":"w","type":"workflow","workflow":"greet.json","trust":"untrusted","inputs":{"who":"x"}}"#;
    check(call, "w.say Strict 10s 64MiB no fork");
}
