//! A new owner takes a run over: what was in flight, what waits, which timers go on.

use insta::assert_snapshot;
use schemas::{
    failure::Code,
    journal::{Event, Outcome, RunCreated},
    view::{RunView, StopReason},
};

use super::{
    Driven, completed, created, definition, echo, ended, failed, id, plan, started, state, stop, stopping,
    told_all,
};

/// What the new owner is told to do after these events, and where the run stands then.
#[track_caller]
fn check(members: &str, events: impl IntoIterator<Item = Event>) -> (String, RunView) {
    let (told, driven) = resumed(members, created(), events);
    (told, driven.run.view())
}

fn resumed(members: &str, created: RunCreated, events: impl IntoIterator<Item = Event>) -> (String, Driven) {
    let mut driven = Driven::new(plan(&definition(members)), created).apply_all(events);
    let told = told_all(&driven.apply(Event::RunResumed));
    (format!("{told}\n{}", state(&driven.run)), driven)
}

fn attempts(view: &RunView, step: &str) -> String {
    let step = view.steps.iter().find(|view| view.id == step).expect("the step is shown");
    let told = step.attempts.iter().map(|attempt| {
        let code = attempt.error.as_ref().map_or("-", |error| error.code.as_str());
        format!("{} {} {code} {:?}", attempt.attempt, attempt.status, attempt.started)
    });
    told.collect::<Vec<_>>().join(", ")
}

fn one(members: &str) -> String {
    format!(r#""steps":[{}]"#, echo("a", members))
}

fn both() -> String {
    format!(r#""steps":[{{"id":"g","type":"parallel","steps":[{},{}]}}]"#, echo("a", ""), echo("b", ""))
}

#[test]
fn what_was_in_flight_runs_again() {
    let (told, view) = check(&one(""), [started()]);
    assert_snapshot!(told, @"
    (a#2 started); spawn a#2
    running [a#2 running]
    ");
    assert_snapshot!(attempts(&view, "a"), @"1 failed engine_crash None, 2 running - None");
    assert_eq!(view.steps[0].started_at, Some(super::at(10).wall), "it started once");
}

#[test]
fn or_fails() {
    let (told, view) = check(&one(r#""on_crash":"fail""#), [started()]);
    assert_snapshot!(told, @"
    (a#1 failed engine_crash 10ms); (run ended failed engine_crash 10ms); finish failed
    failed error:engine_crash [a#1 failed:engine_crash]
    ");
    assert_snapshot!(attempts(&view, "a"), @"1 failed engine_crash None");
}

#[test]
fn what_was_not_in_flight_does_not_run_again() {
    let (told, _) = check(&both(), [started(), ended(id("b", 1), completed("1"))]);
    assert_snapshot!(told, @"
    (a#2 started); spawn a#2
    running [g#1 running, a#2 running, b#1 completed 1]
    ");
}

#[test]
fn all_go_on_in_the_order_of_their_start() {
    let (told, _) = check(&both(), [started(), Event::RunResumed]);
    assert_snapshot!(told, @"
    (a#3 started); spawn a#3; (b#3 started); spawn b#3
    running [g#1 running, a#3 running, b#3 running]
    ");
}

#[test]
fn places_are_kept() {
    let created = RunCreated { max_concurrent_steps: Some(1), ..created() };
    let (told, _) = resumed(&both(), created, [started()]);
    assert_snapshot!(told, @"
    (a#2 started); spawn a#2
    running [g#1 running, a#2 running, b#1 waiting]
    ");
}

#[test]
fn what_fails_ends_nothing_that_died_too() {
    let steps = ["a", "b"].map(|id| echo(id, r#""on_crash":"fail""#)).join(",");
    let (told, _) =
        check(&format!(r#""steps":[{{"id":"g","type":"parallel","steps":[{steps}]}}]"#), [started()]);
    assert_snapshot!(told, @"
    (a#1 failed engine_crash 10ms); (b#1 failed engine_crash 10ms); (g#1 failed child_failed 10ms); (run ended failed child_failed 10ms); finish failed
    failed error:child_failed [g#1 failed:child_failed, a#1 failed:engine_crash, b#1 failed:engine_crash]
    ");
}

#[test]
fn what_fails_ends_what_would_run_again() {
    let steps = [echo("a", ""), echo("b", r#""on_crash":"fail""#)].join(",");
    let (told, view) =
        check(&format!(r#""steps":[{{"id":"g","type":"parallel","steps":[{steps}]}}]"#), [started()]);
    assert_snapshot!(told, @"
    (b#1 failed engine_crash 10ms); (a#1 cancelled 10ms); (g#1 failed child_failed 10ms); (run ended failed child_failed 10ms); finish failed
    failed error:child_failed [g#1 failed:child_failed, a#1 cancelled, b#1 failed:engine_crash]
    ");
    assert_snapshot!(attempts(&view, "a"), @"1 failed engine_crash None");
}

#[test]
fn a_stop_that_was_durable_stands() {
    let (told, _) = check(&one(""), [started(), stopping(id("a", 1), StopReason::Timeout)]);
    assert_snapshot!(told, @"
    (a#1 failed timeout 20ms); (run ended failed timeout 20ms); finish failed
    failed error:timeout [a#1 failed:timeout]
    ");
    let (told, _) = check(&one(""), [started(), stop(false)]);
    assert_snapshot!(told, @"
    (a#1 cancelled 20ms); (run ended cancelled 20ms); finish cancelled
    cancelled [a#1 cancelled]
    ");
    let lost = [started(), ended(id("a", 1), failed("a", Code::Signal))];
    let (told, _) = check(&both(), lost);
    assert_snapshot!(told, @"
    (b#1 cancelled 20ms); (g#1 failed child_failed 20ms); (run ended failed child_failed 20ms); finish failed
    failed error:child_failed [g#1 failed:child_failed, a#1 failed:signal, b#1 cancelled]
    ");
}

#[test]
fn the_dead_attempt_says_nothing_more() {
    let (_, mut driven) = resumed(&one(""), created(), [started()]);
    let before = driven.run.clone();
    for outcome in [completed("1"), failed("a", Code::Signal), Outcome::Cancelled] {
        assert!(driven.apply(ended(id("a", 1), outcome)).is_empty());
    }
    assert_eq!(driven.run, before);
    assert_snapshot!(told_all(&driven.apply(ended(id("a", 2), completed("1")))), @"(a#2 completed 50ms); (run ended completed 50ms); finish completed");
}

#[test]
fn the_rest_of_the_run_s_time_is_left() {
    let created = RunCreated { timeout_ms: Some(1000), ..created() };
    let (told, _) = resumed(&one(""), created, [started()]);
    assert_snapshot!(told, @"
    arm run 990ms; (a#2 started); spawn a#2
    running [a#2 running]
    ");
}

#[test]
fn nothing_comes_of_it_before_the_start_or_after_the_end() {
    for events in [vec![], vec![started(), ended(id("a", 1), completed("1"))], vec![stop(false)]] {
        let mut driven = Driven::new(plan(&definition(&one(""))), created()).apply_all(events);
        let before = driven.run.clone();
        assert!(driven.apply(Event::RunResumed).is_empty());
        assert_eq!(driven.run, before);
    }
}
