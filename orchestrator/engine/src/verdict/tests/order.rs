//! The order of the facts: in every mixture of them the strongest decides.

use schemas::{failure::Code, journal::Outcome, view::StopReason};

use super::{facts, failure, json, told};
use crate::verdict::{Death, Facts, Oom, OutOf, SetupFailure, SkillAnswer, Speaks, judge};

/// One thing that may be known, and the code that it leads to.
struct Fact {
    code: Code,
    add: fn(&mut Facts<'_>),
}

/// From the strongest to the weakest.
const ORDER: [Fact; 10] = [
    Fact { code: Code::SandboxError, add: |facts| facts.setup = Some(setup()) },
    Fact { code: Code::IdleTimeout, add: |facts| facts.reason = Some(StopReason::IdleTimeout) },
    Fact { code: Code::Oom, add: |facts| facts.oom = Some(Oom { by: OutOf::Step(1), peak: None }) },
    Fact { code: Code::SandboxDenied, add: |facts| facts.death = Death::Signaled(31) },
    Fact { code: Code::FileSizeExceeded, add: |facts| facts.death = Death::Signaled(25) },
    Fact { code: Code::CpuTimeExceeded, add: |facts| facts.death = Death::Signaled(24) },
    Fact { code: Code::Signal, add: |facts| facts.death = Death::Signaled(11) },
    Fact { code: Code::ExitCode, add: |facts| facts.death = Death::Exited(1) },
    Fact { code: Code::OutputTooLarge, add: |facts| facts.stdout_over = true },
    Fact { code: Code::ProtocolError, add: |facts| facts.protocol = Some("it lied".to_owned()) },
];

fn setup() -> SetupFailure {
    SetupFailure { stage: "exec".to_owned(), errno: 2, message: "no such program".to_owned() }
}

/// Every way in which an answer is read and an exit code other than 0 is a failure.
fn speakers() -> Vec<Facts<'static>> {
    let speaks = [
        Speaks::JsonStdio,
        Speaks::Text { parse_json: true },
        Speaks::Text { parse_json: false },
        Speaks::Program { allow_failure: false },
    ];
    let builtin = Facts { speaks: Speaks::Builtin, skill: Some(SkillAnswer::Value(json("7"))), ..facts() };
    speaks.into_iter().map(|speaks| Facts { speaks, ..facts() }).chain([builtin]).collect()
}

#[test]
fn a_refused_host_explains_an_exit_code_and_nothing_else() {
    let hosts_denied = vec!["b.com:443".to_owned()];
    let denied = |death| Facts { hosts_denied: hosts_denied.clone(), death, ..facts() };
    assert_eq!(
        told(judge(&denied(Death::Exited(1)))),
        "sandbox_denied: the program ended with exit code 1; it was refused b.com:443, which \
         `sandbox.network.allow` does not name {\"exit_code\":1}"
    );
    assert_eq!(told(judge(&denied(Death::Exited(0)))), "ok 7");
    assert_eq!(failure(&denied(Death::Exited(75))).code, Code::ExitCode);
    assert_eq!(failure(&denied(Death::Signaled(11))).code, Code::Signal);
}

#[test]
fn the_strongest_fact_decides() {
    for speaker in speakers() {
        for mixture in 0..1_u32 << ORDER.len() {
            let mut facts = speaker.clone();
            let present: Vec<_> = (0..ORDER.len()).filter(|index| mixture & (1 << index) != 0).collect();
            // The weakest first: a process dies once, of the strongest.
            for index in present.iter().rev() {
                (ORDER[*index].add)(&mut facts);
            }
            let code = match judge(&facts) {
                Outcome::Completed(_) => None,
                Outcome::Failed(failure) => Some(failure.code),
                Outcome::Cancelled => panic!("nothing here cancels: {facts:?}"),
            };
            assert_eq!(code, present.first().map(|index| ORDER[*index].code), "{facts:?}");
        }
    }
}

#[test]
fn refused_processes_explain_a_failure_and_nothing_stronger() {
    for speaker in speakers() {
        for fact in ORDER {
            let mut facts = Facts { pids_denied: 3, ..speaker.clone() };
            (fact.add)(&mut facts);
            let explained = [Code::Signal, Code::ExitCode, Code::ProtocolError].contains(&fact.code);
            let failure = failure(&facts);
            let expected = if explained { Code::PidsExceeded } else { fact.code };
            assert_eq!(failure.code, expected, "{facts:?}");
            assert_eq!(failure.details.limit == Some(7), explained, "{failure:?}");
        }
        let facts = Facts { pids_denied: 3, ..speaker };
        assert!(matches!(judge(&facts), Outcome::Completed(_)), "refused and completed: {facts:?}");
    }
}

#[test]
fn a_refused_process_explains_output_that_is_no_answer() {
    for stdout in [&b""[..], b"1 2", b"words", b"\xff"] {
        let failure = failure(&Facts { pids_denied: 1, stdout, ..facts() });
        assert_eq!(failure.code, Code::PidsExceeded);
        assert!(failure.retryable && failure.message.starts_with("no more processes were allowed; "));
    }
    // What the skill itself says of its failure is more.
    let own = Facts { pids_denied: 1, stdout: br#"{"error":"cannot fork"}"#, ..facts() };
    assert_eq!(failure(&own).code, Code::SkillError);
}

/// What an attempt of which the death is all that is known comes to.
#[track_caller]
fn death(death: Death, expected: &str) {
    assert_eq!(told(judge(&Facts { death, ..facts() })), expected);
}

#[test]
fn signals() {
    death(Death::Signaled(31), r#"sandbox_denied: the sandbox refused a system call {"signal":31}"#);
    death(Death::Signaled(25), r#"file_size_exceeded: a file grew beyond its limit {"limit":6,"signal":25}"#);
    death(Death::Signaled(24), r#"cpu_time_exceeded!: the CPU time was used up {"limit":3,"signal":24}"#);
    death(Death::Signaled(9), r#"signal!: ended by signal 9 (SIGKILL) {"signal":9}"#);
    death(Death::Signaled(15), r#"signal!: ended by signal 15 (SIGTERM) {"signal":15}"#);
    death(Death::Signaled(6), r#"signal!: ended by signal 6 (SIGABRT) {"signal":6}"#);
    death(Death::Signaled(40), r#"signal!: ended by signal 40 {"signal":40}"#);
}

#[test]
fn exit_codes_that_look_like_signals_are_exit_codes() {
    for code in [128, 134, 137, 139, 143] {
        let message = format!("the program ended with exit code {code}");
        death(Death::Exited(code), &format!(r#"exit_code!: {message} {{"exit_code":{code}}}"#));
    }
}

#[test]
fn a_death_that_nobody_saw_is_a_crash_unless_more_is_known() {
    let unknown = Facts { death: Death::Unknown, ..facts() };
    assert_eq!(told(judge(&unknown)), "engine_crash: the launcher died while it ran {}");
    for (index, expected) in [(0, Code::SandboxError), (1, Code::IdleTimeout), (2, Code::Oom)] {
        let mut facts = unknown.clone();
        (ORDER[index].add)(&mut facts);
        assert_eq!(failure(&facts).code, expected);
    }
    for weaker in [8, 9] {
        let mut facts = unknown.clone();
        (ORDER[weaker].add)(&mut facts);
        assert_eq!(failure(&facts).code, Code::EngineCrash);
    }
}

#[test]
fn oom_tells_limit_and_peak() {
    let oom = |by, peak| Facts { oom: Some(Oom { by, peak }), death: Death::Signaled(9), ..facts() };
    assert_eq!(
        told(judge(&oom(OutOf::Step(100), Some(99)))),
        r#"oom!: the kernel killed it: more memory than its limit of 100 bytes {"limit":100,"peak":99,"signal":9}"#
    );
    assert_eq!(
        told(judge(&oom(OutOf::Run(100), Some(60)))),
        r#"oom!: the kernel killed it: the steps of the run together had more memory than their limit of 100 bytes {"limit":100,"peak":60,"signal":9}"#
    );
    let host = Facts { death: Death::Exited(0), ..oom(OutOf::Machine, None) };
    assert_eq!(told(judge(&host)), "oom!: the kernel killed it for want of memory {}");
}

#[test]
fn memory_that_the_engine_saw_is_oom_too() {
    let seen = Facts {
        reason: Some(StopReason::Memory),
        memory_peak: Some(9),
        death: Death::Signaled(9),
        ..facts()
    };
    assert_eq!(
        told(judge(&seen)),
        r#"oom!: the step used more than 5 bytes of memory {"limit":5,"peak":9,"signal":9}"#
    );
    let scratch = Facts { reason: Some(StopReason::Scratch), death: Death::Signaled(15), ..seen };
    assert_eq!(
        told(judge(&scratch)),
        r#"file_size_exceeded: the step wrote more than 8 bytes to its directory for scratch {"limit":8,"signal":15}"#
    );
}

#[test]
fn a_failed_birth_tells_where() {
    let unborn = Facts { setup: Some(setup()), death: Death::Exited(125), ..facts() };
    let failure = failure(&unborn);
    assert_eq!(failure.details.stage.as_deref(), Some("exec"));
    assert_eq!(failure.details.errno, Some(2));
    assert_eq!(failure.details.started, Some(false));
    // It is no exit code of the program.
    assert_eq!(failure.details.exit_code, None);
    assert!(!failure.retryable);
    assert_eq!(failure.message, "no such program");
}

#[test]
fn every_failure_names_its_step_and_keeps_the_last_lines() {
    let tail = vec!["one".to_owned(), "two".to_owned()];
    for fact in ORDER {
        let mut facts = Facts { stderr_tail: tail.clone(), ..facts() };
        (fact.add)(&mut facts);
        let failure = failure(&facts);
        assert_eq!(failure.step.as_deref(), Some("s"), "{failure:?}");
        assert_eq!(failure.details.stderr, tail, "{failure:?}");
        assert_eq!(failure.retryable, fact.code.retryable(), "{failure:?}");
    }
}

#[test]
fn codes_that_another_try_may_help() {
    let retryable: Vec<_> =
        Code::ALL.iter().filter(|code| code.retryable()).map(|code| code.as_str()).collect();
    assert_eq!(
        retryable,
        [
            "exit_code",
            "signal",
            "oom",
            "timeout",
            "idle_timeout",
            "cpu_time_exceeded",
            "pids_exceeded",
            "protocol_error",
            "agent_error",
        ]
    );
}
