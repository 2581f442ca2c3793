//! How lives end, and that they end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;

use ipc::message::{FromWorker, SkillResult, VERSION, WaitStatus, Work};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Engine, Order, kill as kill_leaf, pids, standard, trial, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("exit_codes_round_trip", exit_codes_round_trip),
        trial("signals_round_trip", signals_round_trip),
        trial("no_core_is_written", no_core_is_written),
        trial("leftovers_are_counted_and_killed", leftovers_are_counted_and_killed),
        trial("orphans_are_reaped", orphans_are_reaped),
        trial("streams_end_with_the_program", streams_end_with_the_program),
        trial("term_reaches_the_program_and_not_the_init", term_reaches_the_program_and_not_the_init),
        trial("a_stopped_tree_goes_on", a_stopped_tree_goes_on),
        trial("a_killed_leaf_is_reported", a_killed_leaf_is_reported),
        trial("builtin_gives_its_result", builtin_gives_its_result),
        trial("builtin_takes_and_gives_large_values", builtin_takes_and_gives_large_values),
        trial("builtin_ends_by_term", builtin_ends_by_term),
        trial("builtin_whatever_holds_it", builtin_whatever_holds_it),
        trial("builtin_is_held_by_filters", builtin_is_held_by_filters),
        trial("usage_is_told", usage_is_told),
        trial("a_slow_engine_loses_nothing", a_slow_engine_loses_nothing),
        trial("two_hundred_at_once", two_hundred_at_once),
    ]
}

fn exit_codes_round_trip(engine: &mut Engine) {
    for code in [0, 1, 124, 125, 126, 127, 137, 255] {
        let line = format!("exit {code}");
        assert_eq!(engine.run(engine.shell(&line)).leader(), (WaitStatus::Exited(code), 0));
        let unconfined = engine.run(engine.shell(&line).unconfined());
        assert_eq!((unconfined.frames.len(), unconfined.status), (0, WaitStatus::Exited(code)));
    }
}

/// 40 is a real-time signal, which has no name.
fn signals_round_trip(engine: &mut Engine) {
    for signal in [1, 2, 9, 13, 15, 40] {
        let line = format!("kill -{signal} $$");
        let expected = WaitStatus::Signaled { signal, core_dumped: false };
        assert_eq!(engine.run(engine.shell(&line)).leader(), (expected, 0));
        assert_eq!(engine.run(engine.shell(&line).unconfined()).status, expected);
    }
}

fn no_core_is_written(engine: &mut Engine) {
    let outcome = engine.run(engine.shell("ulimit -c unlimited 2>/dev/null; kill -6 $$"));
    let status = WaitStatus::Signaled { signal: 6, core_dumped: false };
    assert_eq!(outcome.leader(), (status, 0));
}

fn leftovers_are_counted_and_killed(engine: &mut Engine) {
    let line = "(setsid sh -c 'sleep 600 & exec sleep 600' < /dev/null > /dev/null 2>&1 &) ; \
                until [ $(cat /proc/[0-9]*/comm | grep -c sleep) = 2 ]; do :; done";
    let attempt = engine.birth(engine.shell(line));
    let leaf = attempt.leaf.clone().expect("a leaf");
    let outcome = engine.finish(attempt);
    assert_eq!(outcome.leader(), (WaitStatus::Exited(0), 2));
    assert!(pids(&leaf).is_empty());
    fs::remove_dir(leaf).expect("nothing is in it");
}

/// The loop ends when the init and the shell are left.
fn orphans_are_reaped(engine: &mut Engine) {
    let line =
        "for number in 1 2 3 4 5; do (true &); done; until set -- /proc/[0-9]*; [ $# = 2 ]; do :; done";
    assert_eq!(engine.run(engine.shell(line)).output(), "");
}

/// The init keeps none of them open.
fn streams_end_with_the_program(engine: &mut Engine) {
    let mut attempt = engine.birth(engine.shell("exec > /dev/null 2>&1; sleep 600"));
    let mut text = String::new();
    attempt.stdout.read_to_string(&mut text).expect("it ends");
    assert_eq!(text, "");
    kill_leaf(attempt.leaf.as_deref().expect("a leaf"));
    assert!(attempt.dies());
}

fn term_reaches_the_program_and_not_the_init(engine: &mut Engine) {
    let line = "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let mut attempt = engine.birth(engine.shell(line));
    attempt.says("ready");
    let pids = pids(attempt.leaf.as_deref().expect("a leaf"));
    assert!(pids.contains(&attempt.pid) && pids.len() >= 2, "{pids:?}");
    for pid in pids {
        // A short-lived child of the shell may be gone.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let outcome = engine.finish(attempt);
    assert_eq!((outcome.leader().0, outcome.stdout.as_str()), (WaitStatus::Exited(7), "got it\n"));
}

fn a_stopped_tree_goes_on(engine: &mut Engine) {
    let mut attempt = engine.birth(engine.shell("echo ready; read line; exit 3"));
    attempt.says("ready");
    let pids = pids(attempt.leaf.as_deref().expect("a leaf"));
    for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
        for &pid in &pids {
            kill(Pid::from_raw(pid), signal).expect("it lives");
        }
    }
    assert_eq!(engine.finish(attempt).leader(), (WaitStatus::Exited(3), 0));
}

fn a_killed_leaf_is_reported(engine: &mut Engine) {
    let mut attempt = engine.birth(engine.shell("echo ready; sleep 600"));
    assert!(matches!(attempt.next_frame(), Some(FromWorker::Started { .. })));
    attempt.says("ready");
    kill_leaf(attempt.leaf.as_deref().expect("a leaf"));
    let outcome = engine.finish(attempt);
    assert!(outcome.frames.is_empty(), "{:?}", outcome.frames);
    assert_eq!(outcome.status, WaitStatus::Signaled { signal: 9, core_dumped: false });
    // The next one in a fresh leaf is not harmed.
    assert_eq!(engine.run(engine.shell("echo next")).output(), "next\n");
}

#[track_caller]
fn result(frames: &[FromWorker]) -> &SkillResult {
    match frames {
        [
            FromWorker::Started { version: VERSION },
            FromWorker::Result(result),
            FromWorker::LeaderExited { status: WaitStatus::Exited(0), leftovers: 0, .. },
        ] => result,
        other => panic!("{other:?}"),
    }
}

fn builtin_gives_its_result(engine: &mut Engine) {
    let order = engine.builtin("json-parse", r#"{"data":"[1, 2]"}"#);
    let outcome = engine.run(order);
    let SkillResult::Value { value: Some(_) } = result(&outcome.frames) else { panic!("{outcome:?}") };
    assert_eq!(outcome.status, WaitStatus::Exited(0));

    let outcome = engine.run(engine.builtin("json-parse", r#"{"text":5}"#));
    assert!(matches!(result(&outcome.frames), SkillResult::BadInput { .. }), "{outcome:?}");
    let outcome = engine.run(engine.builtin("no-such-skill", "{}"));
    assert!(matches!(result(&outcome.frames), SkillResult::Error(_)), "{outcome:?}");
}

fn builtin_takes_and_gives_large_values(engine: &mut Engine) {
    let long = "x".repeat(3 << 20);
    let mut file = tempfile::tempfile().expect("a file");
    write!(file, "{{\"data\":\"\\\"{long}\\\"\"}}").expect("a file");
    let mut order = engine.builtin("json-parse", "{}").with(|birth| {
        birth.work = Work::Builtin { skill: "json-parse".into(), inputs: None, work_dir: "/".into() };
    });
    order.1 = Some(file);
    let mut attempt = engine.birth(order);
    assert!(matches!(attempt.next_frame(), Some(FromWorker::Started { .. })));
    let (frame, mut descriptors) = attempt.next_frame_with_descriptors().expect("a result");
    assert!(matches!(frame, FromWorker::Result(SkillResult::Value { value: None })), "{frame:?}");
    let mut text = String::new();
    File::from(descriptors.pop().expect("one")).read_to_string(&mut text).expect("a file");
    assert!(text.contains(&long), "{} bytes", text.len());
    assert_eq!(engine.finish(attempt).status, WaitStatus::Exited(0));
}

/// A skill that waits for stdin stands for any that takes long.
fn builtin_ends_by_term(engine: &mut Engine) {
    for (change, expected) in [
        (in_namespaces as fn(Order) -> Order, WaitStatus::Exited(143)),
        (as_is, WaitStatus::Signaled { signal: 15, core_dumped: false }),
        (Order::unconfined, WaitStatus::Signaled { signal: 15, core_dumped: false }),
    ] {
        let order = engine.builtin("json-parse", "{}").with(|birth| {
            birth.work = Work::Builtin { skill: "json-parse".into(), inputs: None, work_dir: "/".into() };
        });
        let attempt = engine.birth(change(order));
        // Until the handler is there, the kernel keeps the signal from a process 1.
        let died = until(|| {
            // The launcher may have reaped it in between.
            let _gone = kill(Pid::from_raw(attempt.pid), Signal::SIGTERM);
            nix::poll::poll(
                &mut [nix::poll::PollFd::new(attempt.pidfd.as_fd(), nix::poll::PollFlags::POLLIN)],
                nix::poll::PollTimeout::ZERO,
            ) == Ok(1)
        });
        assert!(died);
        assert_eq!(engine.finish(attempt).status, expected);
    }
}

fn as_is(order: Order) -> Order {
    order
}

/// But for that of mounts.
fn in_namespaces(order: Order) -> Order {
    order.with(|birth| {
        birth.sandbox.namespaces = true;
        birth.sandbox.user_namespace = standard().user_namespace;
    })
}

fn builtin_whatever_holds_it(engine: &mut Engine) {
    for change in [as_is as fn(Order) -> Order, in_namespaces, Order::unconfined] {
        let outcome = engine.run(change(engine.builtin("json-parse", r#"{"data":"1"}"#)));
        assert!(matches!(result(&outcome.frames), SkillResult::Value { .. }), "{outcome:?}");
        // This one makes a thread.
        let outcome = engine.run(change(engine.builtin("json-query", r#"{"data":[1, 2],"query":"add"}"#)));
        assert!(matches!(result(&outcome.frames), SkillResult::Value { .. }), "{outcome:?}");
    }
}

fn builtin_is_held_by_filters(engine: &mut Engine) {
    let order = engine.builtin("json-parse", "{}").with(|birth| {
        birth.work = Work::Builtin { skill: "json-parse".into(), inputs: None, work_dir: "/".into() };
    });
    // It waits for stdin.
    let attempt = engine.birth(order);
    let wanted = ["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"];
    assert!(until(|| {
        let status = fs::read_to_string(format!("/proc/{}/status", attempt.pid)).expect("it lives");
        wanted.iter().all(|wanted| status.lines().any(|line| line == *wanted))
    }));
    engine.finish(attempt);
}

/// Of the whole tree, the init's own included.
fn usage_is_told(engine: &mut Engine) {
    let outcome = engine.run(engine.shell("head -c 300000000 /dev/zero | cat > /dev/null"));
    assert_eq!(outcome.output(), "");
    assert!(outcome.usage.user_us + outcome.usage.system_us > 1_000, "{:?}", outcome.usage);
    assert!(outcome.usage.max_rss_bytes > 500_000, "{:?}", outcome.usage);
}

fn two_hundred_at_once(engine: &mut Engine) {
    let descriptors = engine.descriptors_of_launcher();
    let attempts: Vec<_> =
        (0..200).map(|number| engine.birth(engine.shell(&format!("read line; echo {number}")))).collect();
    for (number, attempt) in attempts.into_iter().enumerate() {
        assert_eq!(engine.finish(attempt).output(), format!("{number}\n"));
    }
    assert_eq!(engine.children_of_launcher(), "");
    assert!(until(|| engine.descriptors_of_launcher() == descriptors));
}

/// Far more is to be told than the socket holds, while the engine only writes.
fn a_slow_engine_loses_nothing(engine: &mut Engine) {
    let order = |engine: &Engine| engine.builtin("echo", "{}").unconfined().with(|birth| birth.leaf = None);
    let silent: Vec<u64> = (0..1_500).map(|_| engine.order_only(order(engine))).collect();
    for ticket in silent {
        assert!(matches!(engine.exited_ticket(ticket).0, WaitStatus::Exited(_)));
    }
    assert_eq!(engine.children_of_launcher(), "");
}
