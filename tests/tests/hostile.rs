//! Steps that do not behave: one program of `src/bin/` a behaviour. After each the verdict is exact, nothing is
//! left, and the next run works.

use std::{
    fs,
    time::{Duration, Instant},
};

use integration_tests::{
    Fixture,
    definition::{echo, exec, gate, shell, skill, with, workflow},
    processes, program,
    view::{attempt, outputs, step},
    wait::{eventually, holds_within},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Largest resident size of an engine that holds a few outputs of the largest size allowed, in KiB.
const ENGINE_KIB: u64 = 160 * 1024;

/// Short times for a step that has to be ended.
fn short() -> Value {
    json!({"timeout": "300ms", "grace": "200ms"})
}

/// What is known of a failed attempt.
#[derive(Debug, PartialEq)]
struct Verdict {
    code: &'static str,
    exit_code: Value,
    signal: Value,
    stop_reason: Value,
}

/// A verdict with a failure code only.
fn verdict(code: &'static str) -> Verdict {
    Verdict { code, exit_code: Value::Null, signal: Value::Null, stop_reason: Value::Null }
}

/// The verdict on a step that was killed for this reason.
fn killed(code: &'static str, signal: Signal) -> Verdict {
    Verdict { signal: json!(signal as i32), stop_reason: json!(code), ..verdict(code) }
}

/// Runs one step that fails, checks the verdict, and that the world is as before.
#[track_caller]
fn check(step: Value, expected: &Verdict) -> Value {
    let fixture = Fixture::new();
    let id = step["id"].as_str().expect("an id is text").to_owned();
    let view = fixture.run(&workflow(&[step])).exits(1).json();
    let attempt = attempt(&view, &id);
    let found = Verdict {
        code: expected.code,
        exit_code: attempt["exit_code"].clone(),
        signal: attempt["signal"].clone(),
        stop_reason: attempt["stop_reason"].clone(),
    };
    assert_eq!(view["error"]["code"], expected.code, "{:#}", view["error"]);
    assert_eq!(&found, expected);
    assert_eq!(attempt["started"], true);
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
    view
}

/// Another run in the same home completes.
#[track_caller]
fn assert_world_works(fixture: &Fixture) {
    fixture.run(&workflow(&[echo("after", json!({"v": 1})), exec("too", &["true"])])).exits(0);
}

#[test]
fn ignore_term_is_killed_after_the_grace() {
    let started = Instant::now();
    let view =
        check(with(exec("bad", &[program!("ignore-term")]), short()), &killed("timeout", Signal::SIGKILL));
    assert!(started.elapsed() < Duration::from_secs(10));
    let wall = attempt(&view, "bad")["usage"]["wall_ms"].as_u64().expect("wall time is known");
    assert!((500..4000).contains(&wall), "timeout and grace: {wall} ms");
}

#[test]
fn term_then_exit0_is_still_a_timeout() {
    let step = with(exec("bad", &[program!("term-then-exit0")]), json!({"timeout": "300ms"}));
    check(step, &Verdict { exit_code: json!(0), stop_reason: json!("timeout"), ..verdict("timeout") });
}

#[test]
fn stop_self_is_ended() {
    check(with(exec("bad", &[program!("stop-self")]), short()), &killed("timeout", Signal::SIGTERM));
}

#[test]
fn raise_kill_is_a_signal_and_never_oom() {
    let expected = Verdict { signal: json!(9), ..verdict("signal") };
    let view = check(exec("bad", &[program!("raise-kill")]), &expected);
    assert_eq!(view["error"]["retryable"], true);
}

#[test]
fn exit_137_is_an_exit_code_and_never_a_signal() {
    check(exec("bad", &[program!("exit-137")]), &Verdict { exit_code: json!(137), ..verdict("exit_code") });
}

#[test]
fn abort_leaves_no_core() {
    let fixture = Fixture::new();
    let view = fixture.run(&workflow(&[exec("bad", &[program!("abort-core")])])).exits(1).json();
    assert_eq!(view["error"]["code"], "signal", "{:#}", view["error"]);
    assert_eq!(attempt(&view, "bad")["signal"], 6);
    assert_ne!(attempt(&view, "bad")["core_dumped"], true);
    let files = fs::read_dir(fixture.work()).expect("it is there").flatten();
    assert_eq!(files.filter(|file| file.file_name().to_string_lossy().contains("core")).count(), 0);
}

/// Runs a step that completes and leaves processes behind, which are ended and counted.
#[track_caller]
fn check_leftovers(argv: &[&str], at_least: u64) {
    let fixture = Fixture::new();
    let run =
        fixture.run(&workflow(&[exec("bad", argv), echo("next", json!({"out": "bad.stdout"}))])).exits(0);
    assert!(run.took < Duration::from_secs(10), "{:?}", run.took);
    let view = run.json();
    assert_eq!(outputs(&view, "next")["out"], "done\n");
    let wall = attempt(&view, "bad")["usage"]["wall_ms"].as_u64().expect("wall time is known");
    assert!(wall < 2500, "the step ends with its leader: {wall} ms");
    let leftovers = attempt(&view, "bad")["leftovers_killed"].as_u64();
    assert!(leftovers >= Some(at_least), "{leftovers:?}");
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
}

#[test]
fn double_fork_setsid_is_ended_with_its_leader() {
    check_leftovers(&[program!("double-fork-setsid")], 1);
}

#[test]
fn hold_pipes_does_not_hold_the_step() {
    check_leftovers(&[program!("hold-pipes")], 1);
}

#[test]
fn background_job_of_a_shell_does_not_hold_the_step() {
    check_leftovers(&["sh", "-c", "setsid sleep 600 & echo done"], 1);
}

#[test]
fn step_without_leftovers_counts_none() {
    let fixture = Fixture::new();
    let view = fixture.run(&workflow(&[shell("good", "true | cat; sh -c true")])).exits(0).json();
    assert_eq!(attempt(&view, "good")["leftovers_killed"], 0);
}

#[test]
fn never_read_ends_in_a_failure_and_does_not_hang() {
    let fixture = Fixture::new();
    let manifest = json!({"command": [program!("never-read")]});
    fixture.write_skill("skills", "bad", manifest, "");
    let large = "x".repeat(2 << 20);
    let step = with(skill("bad", "bad", json!({"large": large})), json!({"timeout": "1s", "grace": "200ms"}));
    let run = fixture.run(&workflow(&[step])).exits(1);
    assert!(run.took < Duration::from_secs(15), "{:?}", run.took);
    let code = run.json()["error"]["code"].clone();
    assert!([json!("timeout"), json!("protocol_error")].contains(&code), "{code}");
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
}

#[test]
fn program_that_answers_without_reading_completes() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "hasty", json!({}), r#"exec 0<&-; printf '{"ok": true}'"#);
    let large = "x".repeat(2 << 20);
    let view = fixture.run(&workflow(&[skill("a", "hasty", json!({"large": large}))])).exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"ok": true}));
}

#[test]
fn close_ipc_is_a_protocol_error_at_once() {
    let fixture = Fixture::new();
    let manifest = json!({"command": [program!("close-ipc")], "events": true});
    fixture.write_skill("skills", "bad", manifest, "");
    let step = with(skill("bad", "bad", json!({})), json!({"timeout": "30s", "grace": "200ms"}));
    let run = fixture.run(&workflow(&[step])).exits(1);
    assert!(run.took < Duration::from_secs(10), "{:?}", run.took);
    // Not at its timeout.
    assert_eq!(run.json()["error"]["code"], "protocol_error");
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
}

/// Runs a definition and gives its view and the highest resident size of its engine.
#[track_caller]
fn run_measured(fixture: &Fixture, definition: &Value, code: i32) -> (Value, u64) {
    let mut running = fixture.spawn_run(definition);
    let mut peak = 0;
    eventually("the run ends", Duration::from_mins(1), || {
        peak = processes::peak_kib(running.pid()).unwrap_or(0).max(peak);
        running.has_ended()
    });
    (running.finish().exits(code).json(), peak)
}

#[test]
fn huge_frame_is_passed_over_and_costs_the_engine_nothing() {
    let fixture = Fixture::new();
    // Descriptor 3 becomes the stdout of the program.
    let script = format!("'{}' >&3; printf '{{\"v\": 1}}'", program!("huge-frame"));
    fixture.write_skill("skills", "bad", json!({"events": true}), &script);
    let (view, peak) = run_measured(&fixture, &workflow(&[skill("bad", "bad", json!({}))]), 0);
    assert_eq!(outputs(&view, "bad"), &json!({"v": 1}));
    assert!(peak < ENGINE_KIB / 2, "{peak} KiB");
    let id = view["run_id"].as_str().expect("an id is text");
    let lines = fixture.workflow(["logs", id, "--json"]).exits(0).lines();
    assert!(lines.iter().any(|line| line["level"] == "warn" && line["step"] == "bad"), "{lines:#?}");
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
}

#[test]
fn json_bomb_stays_text() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "bomb", json!({"command": [program!("json-bomb")]}), "");
    let bomb = with(skill("bomb", "bomb", json!({})), json!({"outputs": ["list"]}));
    let next = skill("size", "exec", json!({"argv": ["wc", "-c"], "stdin": "bomb.text"}));
    let (view, peak) = run_measured(&fixture, &workflow(&[bomb, next]), 0);
    let size = outputs(&view, "size")["stdout"].as_str().expect("stdout is text").trim().to_owned();
    assert_eq!(size, (3 * 1024 * 1024 + 1).to_string());
    assert!(peak < ENGINE_KIB, "{peak} KiB");
}

#[test]
fn spew_output_is_stopped_at_the_cap() {
    let limits = json!({"resource_limits": {"output": "1MiB"}, "grace": "200ms"});
    let fixture = Fixture::new();
    let step = with(exec("bad", &[program!("spew-output")]), limits);
    let (view, peak) = run_measured(&fixture, &workflow(&[step]), 1);
    assert_eq!(view["error"]["code"], "output_too_large", "{:#}", view["error"]);
    assert_eq!(view["error"]["retryable"], false);
    assert_eq!(view["error"]["details"]["limit"], 1 << 20);
    assert_eq!(attempt(&view, "bad")["stop_reason"], "output");
    assert!(peak < ENGINE_KIB / 2, "{peak} KiB");
    let run = fixture.run_dir(view["run_id"].as_str().expect("an id is text"));
    let log = run.join("steps/bad/1/stdout.log").metadata().expect("the log is kept").len();
    assert!(log <= (1 << 20) + 4096, "{log}");
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
}

#[test]
fn spew_on_stderr_is_cut_and_does_not_fail_the_step() {
    let fixture = Fixture::new();
    let skill_step = skill("noisy", "noisy", json!({}));
    let script = "head -c 5000000 /dev/zero | tr '\\0' 'x' | fold -w 100 >&2; printf '{\"ok\": true}'";
    fixture.write_skill("skills", "noisy", json!({"limits": {"output": "1MiB"}}), script);
    let (view, peak) = run_measured(&fixture, &workflow(&[skill_step]), 0);
    assert_eq!(outputs(&view, "noisy"), &json!({"ok": true}));
    assert!(peak < ENGINE_KIB / 2, "{peak} KiB");
    let run = fixture.run_dir(view["run_id"].as_str().expect("an id is text"));
    let log = run.join("steps/noisy/1/stderr.log").metadata().expect("the log is kept").len();
    assert!((1..=(1 << 20) + 4096).contains(&log), "{log}");
}

#[test]
fn fork_many_is_ended_whole() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[exec("bad", &[program!("fork-many")])]));
    fixture.wait_for("fork-many.started");
    let began = Instant::now();
    fixture.workflow(["stop", &fixture.only_run(), "--now"]).exits(0);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(running.finish().exits(8).json()["status"], "cancelled");
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
}

#[test]
fn engine_holds_no_zombies_and_no_more_descriptors_than_before() {
    let fixture = Fixture::new();
    // What the engine opens once for the whole run (its log) is open when the second step starts.
    let mut steps = vec![echo("before", json!({})), gate("first")];
    for number in 0..10 {
        steps.push(exec(&format!("leaves{number}"), &[program!("double-fork-setsid")]));
    }
    steps.push(gate("last"));
    let running = fixture.spawn_run(&workflow(&steps));
    fixture.wait_for("first.started");
    let before = processes::open_files(running.pid());
    fixture.write("first.go", "");
    fixture.wait_for("last.started");
    let zombies = || {
        let mut below = processes::below(running.pid());
        below.retain(|process| process.state == 'Z');
        below
    };
    assert!(holds_within(Duration::from_secs(2), || zombies().is_empty()), "{:#?}", zombies());
    let after = processes::open_files(running.pid());
    assert!(after <= before, "{before} descriptors, then {after}");
    fixture.write("last.go", "");
    running.finish().exits(0);
}

#[test]
fn engine_death_ends_a_three_deep_tree() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[exec("deep", &[program!("three-deep")])]));
    for depth in 1..=3 {
        fixture.wait_for(&format!("three-deep.{depth}"));
    }
    let id = fixture.only_run();
    // The launcher and the whole tree hold nothing of q's output either, or the output would not end.
    let killed = Instant::now();
    fixture.kill_engine(running);
    let gone = holds_within(Duration::from_secs(2), || fixture.processes().is_empty());
    assert!(gone, "left after {:?}: {:#?}", killed.elapsed(), fixture.processes());
    let view = fixture.view(&id);
    assert_eq!(view["status"], "interrupted", "{view:#}");
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 11);
    // The next start sweeps what the dead engine could not remove.
    assert_world_works(&fixture);
    assert_eq!(fixture.cgroups_of_killed(), <[std::path::PathBuf; 0]>::default());
}

#[test]
fn launcher_death_fails_the_step_and_not_the_engine() {
    let fixture = Fixture::new();
    let mut running = fixture.spawn_run(&workflow(&[exec("deep", &[program!("three-deep")])]));
    fixture.wait_for("three-deep.1");
    let launchers = processes::below(running.pid());
    let launcher = launchers.iter().find(|process| process.parent == running.pid()).expect("q has a child");
    assert!(processes::send(launcher.pid, Signal::SIGKILL));
    eventually("the run ends", Duration::from_secs(10), || running.has_ended());
    let view = running.finish().exits(1).json();
    assert_eq!(step(&view, "deep")["error"]["code"], "engine_crash", "{view:#}");
    fixture.assert_nothing_left();
    assert_world_works(&fixture);
}

#[test]
fn text_that_forges_the_log_is_escaped() {
    let fixture = Fixture::new();
    let forged = r#"{"v":1,"stream":"engine","level":"error","text":"forged"}"#;
    let command = format!("printf '\\033[31mred\\033]0;title\\007\\n%s\\n' '{forged}'");
    let view = fixture.run(&workflow(&[shell("a", &command)])).exits(0).json();
    let id = view["run_id"].as_str().expect("an id is text").to_owned();
    for args in [vec!["logs", &id], vec!["status", &id], vec!["status", &id, "--json"]] {
        let output = fixture.workflow(args).exits(0).output();
        assert!(!output.contains(['\u{1b}', '\u{7}']), "{output:?}");
    }
    let lines = fixture.workflow(["logs", &id, "--json"]).exits(0).lines();
    let engine: Vec<_> =
        lines.iter().filter(|line| line["stream"] == "engine" && line["text"] == "forged").collect();
    assert!(engine.is_empty(), "{engine:#?}");
    assert!(lines.iter().any(|line| line["stream"] == "stdout" && line["text"] == forged), "{lines:#?}");
}
