//! What follows a failure, with real processes: another try, another way, the way back, the last steps. The rules
//! are the engine's and are tested there; here is that they reach the world, in the right order and once.

use std::path::Path;

use integration_tests::{
    Fixture,
    definition::{echo, shell, with, workflow},
    journal::move_clock,
    program::{self, example},
    running::LONG,
    view::{outputs, step},
    wait::{eventually, skip},
};
use serde_json::{Value, json};

/// A step that writes a line into the ledger, and ends with this exit code.
fn entry(id: &str, exit_code: i32) -> Value {
    shell(id, &format!("echo {id} >> ledger; exit {exit_code}"))
}

fn ledger(fixture: &Fixture) -> Vec<String> {
    fixture.read("ledger").lines().map(str::to_owned).collect()
}

fn undone_by(step: Value, undo: &Value) -> Value {
    with(step, json!({"rollback": undo}))
}

fn handled(step: Value, handling: &Value) -> Value {
    with(step, json!({"error_handling": handling}))
}

/// The statuses of the rollback's steps, in the order in which they ran.
fn rollback(view: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let undos = view["rollback"].as_array().expect("a list");
    undos.iter().map(|undo| format!("{} {}", word(&undo["id"]), word(&undo["status"]))).collect()
}

/// As the plan writes it, but for the address, which is nobody's here.
#[test]
fn the_example_of_the_plan_tries_three_times() {
    let fixture = Fixture::new();
    let definition =
        example("error-handling-test.json").replace("https://api.example.com", "http://127.0.0.1:1");
    fixture.write("error-handling-test.json", definition);
    let view = fixture.workflow(["run", "error-handling-test.json", "--json"]).exits(1).json();
    assert_eq!(step(&view, "fetch")["attempts"].as_array().expect("a list").len(), 3, "{view:#}");
    assert_eq!(view["error"]["step"], "fetch");
}

#[test]
fn a_step_is_tried_again_until_it_works() {
    let fixture = Fixture::new();
    let third = shell("third", "echo try >> ledger; [ $(wc -l < ledger) -ge 3 ]");
    let retry = json!({"strategy": "retry", "max_attempts": 5, "delay": "10ms", "backoff": "fixed"});
    let run = fixture.run(&workflow(&[handled(third, &retry), echo("next", json!({}))])).exits(0);
    assert_eq!(ledger(&fixture).len(), 3);
    let view = run.json();
    let attempts: Vec<_> = step(&view, "third")["attempts"].as_array().expect("a list").iter().collect();
    let told: Vec<_> = attempts.iter().map(|attempt| attempt["status"].as_str().unwrap_or("-")).collect();
    assert_eq!(told, ["failed", "failed", "completed"]);
    let events = fixture.workflow(["logs", "@last", "--stream", "engine"]).exits(0).output();
    assert_eq!(events.matches("step.retrying").count(), 2, "{events}");
}

#[test]
fn stop_ends_a_wait_at_once() {
    let fixture = Fixture::new();
    let retry = json!({"strategy": "retry", "max_attempts": 2, "delay": "1h", "max_delay": "1h"});
    let running = fixture.spawn_run(&workflow(&[handled(entry("a", 1), &retry)]));
    fixture.wait_for("ledger");
    let run = fixture.only_run();
    eventually("the step waits", std::time::Duration::from_secs(20), || {
        fixture.view(&run)["steps"][0]["status"] == "waiting"
    });
    fixture.workflow(["stop", &run]).exits(0);
    running.finish().exits(8);
    assert_eq!(ledger(&fixture), ["a"]);
}

/// A run that is killed while it waits for the second try of a step; its id. The wait is of a second.
#[track_caller]
fn killed_in_a_wait(fixture: &Fixture) -> String {
    let step = shell("a", "echo a >> ledger; [ $(wc -l < ledger) -ge 2 ]");
    let retry = json!({"strategy": "retry", "max_attempts": 2, "delay": "1s"});
    let running = fixture.spawn_run(&workflow(&[handled(step, &retry)]));
    fixture.wait_for("ledger");
    let run = fixture.only_run();
    eventually("the step waits", LONG, || fixture.view(&run)["steps"][0]["status"] == "waiting");
    fixture.kill_engine(running);
    run
}

/// Whatever became of the wall clock while nobody owned the run: its rest of the wait is never more than the whole.
#[track_caller]
fn check_moved_clock(years: i32) {
    let fixture = Fixture::new();
    let run = killed_in_a_wait(&fixture);
    move_clock(&fixture.run_dir(&run).join("journal.jsonl"), years);
    let resumed = fixture.workflow(["resume", &run, "--json"]).exits(0);
    assert!(resumed.took < LONG, "{:?}", resumed.took);
    let view = resumed.json();
    assert_eq!(ledger(&fixture), ["a", "a"]);
    // What it lived is counted by no wall clock.
    assert!(view["duration_ms"].as_u64().is_some_and(|ms| ms < 60_000), "{view:#}");
}

#[test]
fn a_wait_survives_a_crash_and_a_wall_clock_that_is_moved_forward() {
    check_moved_clock(-4);
}

#[test]
fn a_wait_survives_a_crash_and_a_wall_clock_that_is_moved_back() {
    check_moved_clock(4);
}

#[test]
fn a_run_goes_on_where_the_monotonic_clock_is_another() {
    let fixture = Fixture::new();
    let run = killed_in_a_wait(&fixture);
    // As after a reboot, or on a machine that was asleep: time_namespaces(7).
    let elsewhere = |program: &Path, args: &[&str]| {
        let mut command = fixture.command("unshare");
        command.args(["--time", "--fork", "--monotonic", "10000000", "--boottime", "10000000"]);
        command.arg(program).args(args);
        command
    };
    if !elsewhere(Path::new("true"), &[]).status().is_ok_and(|status| status.success()) {
        skip("no own time namespace here: another monotonic clock is not tried");
        return;
    }
    let resumed = fixture.start(elsewhere(program::q(), &["workflow", "resume", &run, "--json"])).finish();
    let view = resumed.exits(0).json();
    assert_eq!(ledger(&fixture), ["a", "a"]);
    assert!(view["duration_ms"].as_u64().is_some_and(|ms| ms < 60_000), "{view:#}");
}

#[test]
fn a_skipped_failure_is_kept_and_the_run_goes_on() {
    let fixture = Fixture::new();
    let steps = [handled(entry("a", 1), &json!("skip")), entry("b", 0)];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    assert_eq!(step(&view, "a")["status"], "skipped");
    assert!(step(&view, "a")["skip_reason"].as_str().expect("a reason").contains("exit code 1"), "{view:#}");
    assert_eq!(ledger(&fixture), ["a", "b"]);
}

#[test]
fn a_handler_stands_in_for_its_step() {
    let fixture = Fixture::new();
    let handler = echo("mend", json!({"code": "${inputs.error.code}", "of": "inputs.step"}));
    let failing = handled(entry("a", 4), &json!({"strategy": "custom", "custom_handler": "mend"}));
    let definition =
        with(workflow(&[failing, echo("next", json!({"v": "${a.code}"}))]), json!({"handlers": [handler]}));
    let view = fixture.run(&definition).exits(0).json();
    assert_eq!(step(&view, "a")["status"], "completed", "{view:#}");
    assert_eq!(outputs(&view, "next")["v"], "exit_code");
    assert_eq!(outputs(&view, "a")["of"], "a");
}

#[test]
fn what_was_done_is_undone_in_reverse_order() {
    let fixture = Fixture::new();
    let steps = [
        undone_by(entry("book", 0), &entry("unbook", 0)),
        undone_by(handled(entry("charge", 1), &json!("rollback")), &entry("refund", 0)),
        undone_by(entry("never", 0), &entry("unnever", 0)),
    ];
    let definition = with(
        workflow(&steps),
        json!({
            "error_handling": {"default": "halt", "rollback": {"steps": [entry("tell", 0)]}},
            "finally": [entry("last", 0)],
        }),
    );
    let view = fixture.run(&definition).exits(5).json();
    assert_eq!(ledger(&fixture), ["book", "charge", "refund", "unbook", "tell", "last"]);
    assert_eq!(view["status"], "rolled_back");
    assert_eq!(rollback(&view), ["refund completed", "unbook completed", "tell completed"]);
    assert_eq!(view["error"]["step"], "charge", "the first error stands: {view:#}");
    assert_eq!(step(&view, "book")["status"], "rolled_back");
}

#[test]
fn an_undo_that_fails_does_not_keep_the_others_from_running() {
    let fixture = Fixture::new();
    let steps = [
        undone_by(entry("book", 0), &entry("unbook", 0)),
        undone_by(entry("pay", 0), &entry("refund", 7)),
        handled(entry("ship", 1), &json!("rollback")),
    ];
    let view = fixture.run(&workflow(&steps)).exits(6).json();
    assert_eq!(ledger(&fixture), ["book", "pay", "ship", "refund", "unbook"]);
    assert_eq!(view["status"], "rollback_failed");
    assert_eq!(rollback(&view), ["refund failed", "unbook completed"]);
}

#[test]
fn a_rollback_goes_on_after_a_crash_and_repeats_nothing() {
    let fixture = Fixture::new();
    let held = shell("hold", "echo hold >> ledger; touch held; until [ -e go ]; do sleep 0.02; done");
    let steps = [
        undone_by(entry("a", 0), &entry("undo-a", 0)),
        undone_by(entry("b", 0), &held),
        undone_by(entry("c", 0), &entry("undo-c", 0)),
        handled(entry("d", 1), &json!("rollback")),
    ];
    let running = fixture.spawn_run(&workflow(&steps));
    fixture.wait_for("held");
    let run = fixture.only_run();
    fixture.kill_engine(running);
    assert_eq!(fixture.view(&run)["status"], "interrupted");
    fixture.write("go", "");
    fixture.workflow(["resume", &run]).exits(5);
    // The one in flight ran twice, what had ended once.
    assert_eq!(ledger(&fixture), ["a", "b", "c", "d", "undo-c", "hold", "hold", "undo-a"]);
}

#[test]
fn the_last_steps_run_after_a_stop() {
    let fixture = Fixture::new();
    let long = shell("long", "touch long.started; sleep 600");
    let definition = with(workflow(&[long]), json!({"finally": [entry("last", 0)]}));
    let running = fixture.spawn_run(&definition);
    fixture.wait_for("long.started");
    fixture.workflow(["stop", "@last"]).exits(0);
    running.finish().exits(8);
    assert_eq!(ledger(&fixture), ["last"]);
}

#[test]
fn a_last_step_that_fails_fails_the_run() {
    let fixture = Fixture::new();
    let definition = with(workflow(&[entry("a", 0)]), json!({"finally": [entry("last", 9)]}));
    let view = fixture.run(&definition).exits(1).json();
    assert_eq!(view["error"]["step"], "last");
}

#[test]
fn more_memory_after_an_attempt_ran_out_of_it_is_only_given_where_it_did() {
    let fixture = Fixture::new();
    let scale = json!({"strategy": "retry", "max_attempts": 2, "delay": "10ms",
        "scale": {"on": ["oom"], "memory": 2.0, "max_memory": "1GiB"}});
    let shown = shell("a", "echo $WORKFLOW_MEMORY_LIMIT >> ledger; exit 1");
    let limited = with(handled(shown, &scale), json!({"resource_limits": {"memory": "256MiB"}}));
    fixture.run(&workflow(&[limited])).exits(1);
    assert_eq!(ledger(&fixture), ["268435456", "268435456"]);
}
