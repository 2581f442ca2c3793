//! Every state of a run against every event: what moves, what is asked for, and that nothing else does.
//!
//! The matches below have no wildcard: a new event, phase or state of a step does not compile until it has
//! its place in the table.

mod holders;

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use schemas::{
    failure::Code,
    journal::{AttemptId, Event, Outcome, Output, StopSource},
    view::StopReason,
};

use super::{
    Driven, completed, created, definition, echo, ended, failed, id, plan, started, state, stop, stopping,
    told_all,
};
use crate::run::{End, Phase, Run, StepState};

/// A run of two steps in every state that it can have.
fn states() -> Vec<(&'static str, Driven)> {
    let steps = format!(
        r#""steps":[{},{}]"#,
        echo(
            "a",
            r#""outputs":["x","y"],"error_handling":{"strategy":"retry","max_attempts":2,"on":["exit_code"]}"#
        ),
        echo("b", r#""inputs":{"v":"a.x"}"#)
    );
    let plan = plan(&definition(&steps));
    let fresh = || Driven::new(Arc::clone(&plan), created());
    let running = || fresh().apply_all([started()]);
    let a_done = || ended(id("a", 1), completed(r#"{"x":1,"y":2}"#));
    let retrying = || running().apply_all([ended(id("a", 1), failed("a", Code::ExitCode))]);
    let due = |step, attempt| Event::RetryDue { id: id(step, attempt) };
    let second = || running().apply_all([a_done()]);
    vec![
        ("queued", fresh()),
        ("first runs", running()),
        ("first is stopping", running().apply_all([stopping(id("a", 1), StopReason::Timeout)])),
        ("second runs", second()),
        ("second is stopping", second().apply_all([stopping(id("b", 1), StopReason::IdleTimeout)])),
        ("first waits for a try", retrying()),
        ("first is tried again", retrying().apply_all([due("a", 2)])),
        ("run is stopped", running().apply_all([stop(false)])),
        ("run timed out", running().apply_all([Event::RunTimedOut])),
        ("completed", second().apply_all([ended(id("b", 1), completed("1"))])),
        ("failed", running().apply_all([ended(id("a", 1), failed("a", Code::Signal))])),
        ("cancelled", running().apply_all([stop(false), ended(id("a", 1), Outcome::Cancelled)])),
        ("cancelled while queued", fresh().apply_all([stop(false)])),
    ]
}

/// Every event; those about an attempt for the first attempt of either step, of which one lives at most.
fn events() -> Vec<(String, Event)> {
    let mut events = vec![
        ("run_created".to_owned(), Event::RunCreated(Box::new(created()))),
        ("run_started".to_owned(), started()),
        ("run_timed_out".to_owned(), Event::RunTimedOut),
        ("run_resumed".to_owned(), Event::RunResumed),
    ];
    let stops = [(StopSource::SigTerm, false), (StopSource::SigInt, true), (StopSource::Command, false)];
    for (by, now) in stops.into_iter().chain([(StopSource::Command, true)]) {
        events.push((format!("stop by {by:?} now={now}"), Event::StopRequested { now, by }));
    }
    for attempt in [id("a", 1), id("a", 2), id("b", 1)] {
        events.extend(events_of(&attempt));
    }
    events
}

/// Every event about one attempt.
fn events_of(attempt: &AttemptId) -> Vec<(String, Event)> {
    let name = super::attempt(attempt);
    let mut events = Vec::new();
    for (word, outcome) in outcomes(&attempt.step) {
        events.push((format!("{name} ended {word}"), ended(attempt.clone(), outcome)));
    }
    events.push((format!("{name} due"), Event::RetryDue { id: attempt.clone() }));
    for reason in [StopReason::Timeout, StopReason::Stop] {
        events.push((format!("{name} stopping {reason}"), stopping(attempt.clone(), reason)));
    }
    events
}

/// Attempts that never are: what they say moves nothing, in any state.
fn strangers() -> Vec<AttemptId> {
    let turn = AttemptId { turn: vec![0], ..id("a", 1) };
    vec![id("a", 0), id("a", 3), id("b", u32::MAX), turn, id("stranger", 1)]
}

fn outcomes(step: &str) -> Vec<(&'static str, Outcome)> {
    let file = Output::File { path: "steps/a/1/output.json".to_owned(), bytes: 2_000_000, value: None };
    vec![
        ("completed", completed(r#"{"x":1,"y":2}"#)),
        ("without an output", completed(r#"{"x":1}"#)),
        ("in a file", Outcome::Completed(file)),
        ("failed", failed(step, Code::Oom)),
        ("cancelled", Outcome::Cancelled),
    ]
}

/// The word for the kind of an event.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::RunCreated(_) => "run_created",
        Event::RunStarted { .. } => "run_started",
        Event::AttemptEnded(_) => "attempt_ended",
        Event::AttemptStopping { .. } => "attempt_stopping",
        Event::RetryDue { .. } => "retry_due",
        Event::RunTimedOut => "run_timed_out",
        Event::StopRequested { .. } => "stop_requested",
        Event::RunResumed => "run_resumed",
    }
}

/// The word for where a run and its newest step stand.
fn place(run: &Run) -> String {
    let phase = match run.phase() {
        Phase::Queued => "queued",
        Phase::Running { .. } => "running",
        Phase::Stopping { end, .. } => return format!("stopping, then {}", end.status()),
        Phase::RollingBack { .. } => "rolling back",
        Phase::Finalizing { end, .. } => return format!("at the last steps, then {}", end.status()),
        Phase::Ended {
            end: End::Completed | End::Failed | End::Cancelled | End::RolledBack | End::RollbackFailed,
            ..
        } => {
            return format!("ended: {}", run.phase().status());
        }
    };
    let step = run.steps().last().map_or("no step", |step| match step.state {
        StepState::Waiting => "step waits",
        StepState::Retrying { .. } => "step waits for a try",
        StepState::Handled { .. } => "step is handled",
        StepState::Running { .. } => "step runs",
        StepState::Stopping { .. } => "step stops",
        StepState::Ended { .. } => "step ended",
    });
    format!("{phase}, {step}")
}

#[test]
fn all_events_and_all_places_are_in_the_table() {
    let kinds: BTreeSet<_> = events().iter().map(|(_, event)| kind(event)).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    let places: BTreeSet<_> = states().iter().map(|(_, driven)| place(&driven.run)).collect();
    insta::assert_debug_snapshot!(places, @r#"
    {
        "ended: cancelled",
        "ended: completed",
        "ended: failed",
        "queued, no step",
        "running, step runs",
        "running, step stops",
        "running, step waits for a try",
        "stopping, then cancelled",
        "stopping, then failed",
    }
    "#);
}

/// Applies one event, and gives the run that comes of it with its line of the table.
fn pair(before: &Driven, event: &Event) -> (Run, String) {
    let mut after = before.clone();
    let actions = after.apply(event.clone());
    if after.run == before.run && actions.is_empty() {
        return (after.run, "-".to_owned());
    }
    let line = format!("{} | {}", state(&after.run), told_all(&actions));
    (after.run, line)
}

#[test]
fn every_pair_of_state_and_event() {
    let mut table = String::new();
    for (name, before) in states() {
        writeln!(table, "{name}: {}", state(&before.run)).unwrap();
        let mut nothing = Vec::new();
        for (event_name, event) in events() {
            let (_, line) = pair(&before, &event);
            if line == "-" {
                nothing.push(event_name);
            } else {
                writeln!(table, "  {event_name}: {line}").unwrap();
            }
        }
        writeln!(table, "  nothing: {}", nothing.join(", ")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn strangers_move_nothing() {
    let events: Vec<_> = strangers().iter().flat_map(events_of).collect();
    for (name, before) in states() {
        for (event_name, event) in &events {
            let (after, line) = pair(&before, event);
            assert_eq!(line, "-", "{name}: {event_name}");
            assert_eq!(after, before.run, "{name}: {event_name}");
        }
    }
}

#[test]
fn nothing_moves_a_run_that_ended() {
    for (name, before) in states() {
        for (event_name, event) in events() {
            let (after, line) = pair(&before, &event);
            let ended = before.run.phase().status().is_ended();
            assert!(!ended || (line == "-" && after == before.run), "{name}: {event_name}: {line}");
        }
    }
}

#[test]
fn every_event_twice_moves_once() {
    for (name, before) in states() {
        for (event_name, event) in events() {
            let once = before.clone().apply_all([event.clone()]);
            let (twice, line) = pair(&once, &event);
            assert!(twice == once.run || event_name == "run_resumed", "{name}: {event_name}");
            // Only a stop at once says again what it says; and an engine can die as often as it likes.
            let repeats = event_name.ends_with("now=true") || event_name == "run_resumed";
            assert!(repeats || line == "-", "{name}: {event_name}: {line}");
        }
    }
}
