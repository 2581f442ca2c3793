//! Ending a run from outside: `q workflow stop`, Ctrl-C, SIGTERM.

use std::time::{Duration, Instant};

use integration_tests::{
    Draw, Finished, Fixture, Running,
    definition::{echo, exec, shell, with, workflow},
    program,
    view::{attempt, never_ran, step},
    wait,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A step that ends by itself on SIGTERM, after saying so.
fn polite(id: &str) -> Value {
    let script =
        format!("trap 'touch {id}.bye; exit 0' TERM; touch {id}.started; while :; do sleep 0.02; done");
    shell(id, &script)
}

/// A step that only SIGKILL ends, with this grace.
fn stubborn(grace: &str) -> Value {
    with(exec("stubborn", &[program!("ignore-term")]), json!({ "grace": grace }))
}

/// Starts a run of this step and one that must never start, and waits until the first stands.
#[track_caller]
fn start(fixture: &Fixture, first: Value, started: &str) -> (Running, String) {
    let running = fixture.spawn_run(&workflow(&[first, echo("next", json!({}))]));
    fixture.wait_for(started);
    (running, fixture.only_run())
}

/// The run and its first step were cancelled and the next one never ran.
#[track_caller]
fn assert_cancelled(run: &Finished, id: &str) {
    let view = run.json();
    assert_eq!(view["status"], "cancelled", "{view:#}");
    assert_eq!(step(&view, id)["status"], "cancelled");
    assert_eq!(attempt(&view, id)["stop_reason"], "stop");
    assert!(never_ran(&view, "next"));
    assert_ne!(view["finished_at"], Value::Null);
}

#[test]
fn stop_from_another_process_is_graceful() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, polite("a"), "a.started");
    fixture.workflow(["stop", &id]).exits(0);
    // stop waits until the run has ended.
    assert_eq!(fixture.view(&id)["status"], "cancelled");
    let run = running.finish().exits(8);
    assert_cancelled(&run, "a");
    assert!(fixture.has("a.bye"), "the step got SIGTERM and ended by itself");
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 8);
}

#[test]
fn step_that_ignores_the_stop_is_killed_after_its_grace() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, stubborn("300ms"), "ignore-term.started");
    let began = Instant::now();
    fixture.workflow(["stop", &id]).exits(0);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    let run = running.finish().exits(8);
    assert_cancelled(&run, "stubborn");
    assert_eq!(attempt(&run.json(), "stubborn")["signal"], 9);
}

#[test]
fn stop_now_does_not_wait_for_the_grace() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, stubborn("60s"), "ignore-term.started");
    let began = Instant::now();
    fixture.workflow(["stop", &id, "--now"]).exits(0);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_cancelled(&running.finish().exits(8), "stubborn");
}

#[test]
fn stop_now_hurries_a_graceful_stop() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, stubborn("60s"), "ignore-term.started");
    let graceful = fixture.spawn(["stop", &id]);
    integration_tests::wait::eventually("the run is stopping", Duration::from_secs(5), || {
        fixture.view(&id)["status"] == "stopping"
    });
    fixture.workflow(["stop", &id, "--now"]).exits(0);
    graceful.finish_within(Duration::from_secs(5)).exits(0);
    assert_cancelled(&running.finish().exits(8), "stubborn");
}

#[test]
fn stop_of_an_ended_run_says_so() {
    let fixture = Fixture::new();
    let view = fixture.run(&workflow(&[echo("a", json!({}))])).exits(0).json();
    let id = view["run_id"].as_str().expect("an id is text");
    fixture.workflow(["stop", id]).exits(0).says(&["already ended"]);
    assert_eq!(fixture.view(id), view);
}

#[test]
fn stop_of_nothing() {
    let fixture = Fixture::new();
    fixture.workflow(["stop", "01234567"]).exits(4).says(&["01234567"]);
    fixture.workflow(["stop"]).exits(2);
    fixture.workflow(["stop", "--all"]).exits(0);
}

#[test]
fn stop_takes_several_ids_and_all() {
    for by_id in [true, false] {
        let fixture = Fixture::new();
        fixture.write("one.json", workflow(&[polite("one")]).to_string());
        fixture.write("two.json", workflow(&[polite("two")]).to_string());
        let first = fixture.spawn(["run", "one.json"]);
        let second = fixture.spawn(["run", "two.json"]);
        fixture.wait_for("one.started");
        fixture.wait_for("two.started");
        let ids = fixture.run_ids();
        let args = if by_id { vec!["stop", &ids[0], &ids[1]] } else { vec!["stop", "--all"] };
        fixture.workflow(args).exits(0);
        first.finish().exits(8);
        second.finish().exits(8);
    }
}

#[test]
fn ctrl_c_stops_gracefully() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, polite("a"), "a.started");
    running.signal(Signal::SIGINT);
    assert_cancelled(&running.finish().exits(130), "a");
    assert!(fixture.has("a.bye"));
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 8);
}

#[test]
fn second_ctrl_c_kills_at_once() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, stubborn("60s"), "ignore-term.started");
    running.signal(Signal::SIGINT);
    integration_tests::wait::eventually("the run is stopping", Duration::from_secs(5), || {
        fixture.view(&id)["status"] == "stopping"
    });
    running.signal(Signal::SIGINT);
    assert_cancelled(&running.finish_within(Duration::from_secs(5)).exits(130), "stubborn");
}

#[test]
fn sigterm_stops_gracefully() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, polite("a"), "a.started");
    running.signal(Signal::SIGTERM);
    assert_cancelled(&running.finish().exits(143), "a");
    assert!(fixture.has("a.bye"));
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 8);
}

#[test]
fn detached_run_can_be_stopped() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[polite("a"), echo("next", json!({}))]));
    let id = fixture.workflow(["run", "workflow.json", "--detach"]).exits(0).stdout.trim().to_owned();
    fixture.wait_for("a.started");
    fixture.workflow(["stop", &id]).exits(0);
    assert!(fixture.has("a.bye"));
    assert_eq!(fixture.view(&id)["status"], "cancelled");
}

#[test]
fn stop_of_an_interrupted_run_cancels_it() {
    let fixture = Fixture::new();
    let (running, id) = start(&fixture, polite("a"), "a.started");
    fixture.kill_engine(running);
    fixture.assert_nothing_left();
    assert_eq!(fixture.view(&id)["status"], "interrupted");
    fixture.workflow(["stop", &id]).exits(0);
    assert_eq!(fixture.view(&id)["status"], "cancelled");
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 8);
}

#[test]
fn stop_of_a_run_that_is_just_being_resumed_is_heard() {
    let mut draw = Draw(4);
    for round in 0..8 {
        let fixture = Fixture::new();
        let (running, id) = start(&fixture, polite("a"), "a.started");
        fixture.kill_engine(running);
        let mut resumed = fixture.spawn(["resume", &id]);
        // Before it has the lock, before it listens, and while it runs already.
        let after = Duration::from_millis(u64::try_from(draw.below(60)).expect("it is small"));
        wait::holds_within(after, || resumed.has_ended());
        fixture.spawn(["stop", &id, "--now"]).finish_within(Duration::from_secs(20)).exits(0);
        assert_eq!(fixture.view(&id)["status"], "cancelled", "round {round}, after {after:?}");
        let resumed = resumed.finish_within(Duration::from_secs(20));
        // It had nothing to resume any more where the stop came first, or met its lock.
        assert!([8, 1, 9].contains(&resumed.code), "round {round}: {resumed:?}");
        fixture.assert_nothing_left();
    }
}

#[test]
fn step_that_completes_while_the_run_stops_does_not_start_the_next() {
    let fixture = Fixture::new();
    // It ends well before SIGTERM can matter: it answers the signal with its own end.
    let (running, id) = start(&fixture, polite("a"), "a.started");
    fixture.workflow(["stop", &id]).exits(0);
    let view = running.finish().exits(8).json();
    assert_eq!(view["error"], Value::Null, "a stop is no failure: {view:#}");
    assert!(never_ran(&view, "next"));
}
