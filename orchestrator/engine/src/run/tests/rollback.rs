//! Handlers, the rollback and the last steps: what runs in which order, and how the run ends by it.

use insta::assert_snapshot;
use schemas::{
    failure::Code,
    journal::{AttemptId, Event, Outcome},
};

use super::{
    Driven, completed, created, definition, echo, ended, failed, id, plan, started, state, stop, told_all,
};
use crate::run::{Action, Run};

#[track_caller]
fn run(members: &str) -> Driven {
    Driven::new(plan(&definition(members)), created())
}

/// The actions of each event, one line each, and where the run stands after them.
#[track_caller]
fn told(driven: &mut Driven, events: impl IntoIterator<Item = Event>) -> String {
    let mut lines: Vec<_> = events.into_iter().map(|event| told_all(&driven.apply(event))).collect();
    lines.push(state(&driven.run));
    lines.join("\n")
}

/// Everything goes on well, as far as it can; what each step got.
#[track_caller]
fn drained(driven: &mut Driven, event: Event) -> String {
    let mut told = Vec::new();
    let mut events = vec![event];
    while !events.is_empty() {
        let event = events.remove(0);
        for action in driven.apply(event) {
            if let Action::Spawn(spawn) = action {
                told.push(format!("{} {:?}", super::attempt(&spawn.id), spawn.inputs));
                events.push(ended(spawn.id, completed(r#"{"x":1}"#)));
            }
        }
    }
    told.push(driven.run.phase().status().to_string());
    told.join("\n")
}

fn rollback(run: &Run) -> String {
    let view = run.view();
    let undos = view.rollback.iter().map(|undo| {
        let of = undo.of.as_deref().unwrap_or("-");
        format!("{} of {of} {} {}", undo.id, undo.status, undo.attempts.len())
    });
    let steps = view.steps.iter().map(|step| format!("{} {}", step.id, step.status));
    format!(
        "{} [{}] [{}]",
        view.status,
        steps.collect::<Vec<_>>().join(", "),
        undos.collect::<Vec<_>>().join(", ")
    )
}

fn fails(step: &str) -> Event {
    ended(id(step, 1), failed(step, Code::ExitCode))
}

fn done(step: &str) -> Event {
    ended(id(step, 1), completed(r#"{"x":1}"#))
}

fn undone(step: &str, undo: &str) -> String {
    echo(step, &format!(r#""rollback":{undo}"#))
}

/// Three steps with an undo each; the third may fail.
fn three(more: &str) -> String {
    let undo = |of: &str| echo(&format!("u{of}"), &format!(r#""inputs":{{"v":"{of}.x"}}"#));
    let steps = [undone("a", &undo("a")), undone("b", &undo("b")), undone("c", &echo("uc", ""))];
    format!(r#""steps":[{}],"error_handling":{{"default":"rollback"{more}}}"#, steps.join(","))
}

#[test]
fn what_started_is_undone_the_last_first() {
    let mut driven =
        run(&three(r#","rollback":{"steps":["tell",{"id":"then","type":"skill","skill":"echo"}]}"#.trim())
            .replace(
                r#""steps":[{"id":"a""#,
                &format!(r#""handlers":[{}],"steps":[{{"id":"a""#, echo("tell", "")),
            ));
    let events =
        [started(), done("a"), done("b"), fails("c"), done("uc"), done("ub"), done("ua"), done("tell")];
    assert_snapshot!(told(&mut driven, events), @"");
    assert_snapshot!(told(&mut driven, [done("then")]), @"");
    assert_snapshot!(rollback(&driven.run), @"");
}

#[test]
fn an_undo_that_fails_does_not_keep_the_rest_from_running() {
    let mut driven = run(&three(""));
    let events = [started(), done("a"), done("b"), fails("c"), done("uc"), fails("ub"), done("ua")];
    assert_snapshot!(told(&mut driven, events), @"");
    assert_snapshot!(rollback(&driven.run), @"");
}

#[test]
fn what_never_ran_is_not_undone() {
    let steps = [
        undone("a", &echo("ua", "")),
        format!(r#"{{"id":"b","type":"skill","skill":"echo","when":"false","rollback":{}}}"#, echo("ub", "")),
        format!(
            r#"{{"id":"c","type":"skill","skill":"echo","inputs":{{"v":"a.nothing"}},"rollback":{}}}"#,
            echo("uc", "")
        ),
        undone("d", &echo("ud", "")),
    ];
    let mut driven =
        run(&format!(r#""steps":[{}],"error_handling":{{"default":"rollback"}}"#, steps.join(",")));
    assert_snapshot!(drained(&mut driven, started()), @"");
    assert_snapshot!(rollback(&driven.run), @"");
}

#[test]
fn what_still_runs_is_ended_first() {
    let group = format!(
        r#"{{"id":"g","type":"parallel","rollback":{},"steps":[{},{}]}}"#,
        echo("ug", ""),
        undone("a", &echo("ua", "")),
        echo("b", r#""error_handling":"rollback""#)
    );
    let mut driven = run(&format!(r#""steps":[{group}]"#));
    let cancelled = ended(id("a", 1), Outcome::Cancelled);
    assert_snapshot!(told(&mut driven, [started(), fails("b"), cancelled, done("ua"), done("ug")]), @"");
    assert_snapshot!(rollback(&driven.run), @"");
}

#[test]
fn the_undo_of_a_body_runs_once_a_turn_with_the_values_of_the_turn() {
    let body = echo(
        "a",
        &format!(
            r#""inputs":{{"v":"item"}},"rollback":{}"#,
            echo("u", r#""inputs":{"item":"item","at":"index","x":"a.x"}"#)
        ),
    );
    let steps = format!(
        r#"{{"id":"l","type":"loop","for_each":[10,20],"steps":[{body}]}},{}"#,
        echo("z", r#""inputs":{"v":"l.last.a.nothing.at.all"},"error_handling":"rollback""#)
    );
    let mut driven = run(&format!(r#""steps":[{steps}]"#));
    assert_snapshot!(drained(&mut driven, started()), @"");
    assert_snapshot!(rollback(&driven.run), @"");
}

#[test]
fn an_undo_of_several_steps_runs_in_order() {
    let undo = format!("[{},{}]", echo("u1", ""), echo("u2", r#""inputs":{"v":"u1.x"},"when":"a.x == 1""#));
    let mut driven =
        run(&format!(r#""steps":[{},{}]"#, undone("a", &undo), echo("b", r#""error_handling":"rollback""#)));
    let retry = [started(), done("a"), fails("b"), done("u1"), done("u2")];
    assert_snapshot!(told(&mut driven, retry), @"");
}

#[test]
fn an_undo_has_its_own_retry() {
    let undo = echo("u", r#""error_handling":{"strategy":"retry","max_attempts":2}"#);
    let mut driven =
        run(&format!(r#""steps":[{}],"error_handling":{{"default":"rollback"}}"#, undone("a", &undo)));
    let again = Event::RetryDue { id: id("u", 2) };
    let last = ended(id("u", 2), completed("1"));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), fails("u"), again, last]), @"");
}

#[test]
fn a_rollback_that_is_switched_off_is_a_halt() {
    let mut driven = run(&three(r#","rollback":{"enabled":false}"#));
    assert_snapshot!(told(&mut driven, [started(), fails("a")]), @"");
}

#[test]
fn a_crash_in_the_middle_repeats_nothing_that_completed() {
    let mut driven = run(&three(""));
    let events = [started(), done("a"), done("b"), fails("c"), done("uc"), Event::RunResumed];
    assert_snapshot!(told(&mut driven, events), @"");
    let rest = [ended(id("ub", 2), completed("1")), Event::RunResumed, ended(id("ua", 2), completed("1"))];
    assert_snapshot!(told(&mut driven, rest), @"");
}

#[test]
fn only_a_stop_at_once_ends_a_rollback() {
    let mut driven = run(&three(""));
    let events = [started(), done("a"), fails("b"), stop(false), stop(true)];
    assert_snapshot!(told(&mut driven, events), @"");
    assert_snapshot!(told(&mut driven, [ended(id("ub", 1), Outcome::Cancelled)]), @"");
    assert_snapshot!(rollback(&driven.run), @"");
}

/// A step with a handler.
fn handled(members: &str) -> String {
    let handler =
        echo("fix", r#""inputs":{"code":"inputs.error.code","step":"inputs.step","text":"${inputs.step}!"}"#);
    let custom = r#""error_handling":{"strategy":"custom","custom_handler":"fix"}"#;
    format!(
        r#""handlers":[{handler}],"steps":[{},{}]{members}"#,
        echo("a", custom),
        echo("b", r#""inputs":{"v":"a.data"}"#)
    )
}

#[test]
fn the_result_of_a_handler_is_that_of_the_step() {
    let mut driven = run(&handled(""));
    driven.apply(started());
    assert_snapshot!(drained(&mut driven, fails("a")), @"");
    assert_snapshot!(state(&driven.run), @"");
    assert_snapshot!(rollback(&driven.run), @"");
}

#[test]
fn a_handler_that_fails_leaves_the_failure_as_it_was() {
    let mut driven = run(&handled(""));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), fails("fix")]), @"");
    let error = driven.run.error().expect("it failed");
    assert_eq!((error.step.as_deref(), error.details.causes.len()), (Some("a"), 1));
}

#[test]
fn a_stop_ends_a_handler() {
    let mut driven = run(&handled(""));
    let cancelled = ended(id("fix", 1), Outcome::Cancelled);
    assert_snapshot!(told(&mut driven, [started(), fails("a"), stop(false), cancelled]), @"");
}

#[test]
fn a_handler_sees_to_one_failure_after_the_other() {
    let custom = r#""error_handling":{"strategy":"custom","custom_handler":"fix"}"#;
    let members = format!(
        r#""handlers":[{}],"steps":[{{"id":"g","type":"parallel","steps":[{},{}]}}]"#,
        echo("fix", r#""inputs":{"v":"inputs.step"}"#),
        echo("a", custom),
        echo("b", custom)
    );
    let mut driven = run(&members);
    let events = [started(), fails("a"), fails("b"), done("fix"), ended(id("fix", 2), completed("2"))];
    assert_snapshot!(told(&mut driven, events), @"");
}

#[test]
fn a_handler_of_turns_that_run_at_once() {
    let body = echo("a", r#""error_handling":{"strategy":"custom","custom_handler":"fix"}"#);
    let members = format!(
        r#""handlers":[{}],"steps":[{{"id":"l","type":"loop","for_each":[1,2],"max_concurrent":2,"steps":[{body}]}}]"#,
        echo("fix", "")
    );
    let mut driven = run(&members);
    let turn = |step: &str, turn: u32| AttemptId { turn: vec![turn], ..id(step, 1) };
    let fails = |at| ended(turn("a", at), failed("a", Code::Signal));
    let done = |at| ended(turn("fix", at), completed("7"));
    assert_snapshot!(told(&mut driven, [started(), fails(1), fails(0), done(0), done(1)]), @"");
}

fn finally(members: &str) -> String {
    let last = [echo("f1", ""), echo("f2", r#""inputs":{"v":"${has(a.x)}"}"#)].join(",");
    format!(r#""steps":[{}{members}],"finally":[{last}]"#, echo("a", ""))
}

#[test]
fn the_last_steps_run_whatever_happened() {
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), done("a"), done("f1"), done("f2")]), @"");
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), done("f1"), done("f2")]), @"");
    let mut driven = run(&finally(""));
    let cancelled = || ended(id("a", 1), Outcome::Cancelled);
    assert_snapshot!(told(&mut driven, [started(), stop(false), cancelled(), done("f1"), done("f2")]), @"");
    let mut driven = run(&finally(""));
    let events = [started(), Event::RunTimedOut, cancelled(), done("f1"), done("f2")];
    assert_snapshot!(told(&mut driven, events), @"");
    let mut driven = run(&finally(&format!(",{}", undone("b", &echo("u", ""))))
        .replace(r#""finally""#, r#""error_handling":{"default":"rollback"},"finally""#));
    assert_snapshot!(told(&mut driven, [started(), done("a"), fails("b"), done("u"), done("f1"), done("f2")]), @"");
}

#[test]
fn a_stop_at_once_leaves_the_last_steps_out_or_ends_them() {
    let mut driven = run(&finally(""));
    let cancelled = |step| ended(id(step, 1), Outcome::Cancelled);
    assert_snapshot!(told(&mut driven, [started(), stop(false), stop(true), cancelled("a")]), @"");
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), done("a"), stop(false), stop(true), cancelled("f1")]), @"");
}

#[test]
fn a_failure_of_the_last_steps_fails_a_run_that_completed() {
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), done("a"), fails("f1"), done("f2")]), @"");
    // Else the first error stands.
    let mut driven = run(&finally(""));
    driven.apply(started());
    driven.apply(ended(id("a", 1), failed("a", Code::Oom)));
    assert_snapshot!(told(&mut driven, [fails("f1"), done("f2")]), @"");
}

#[test]
fn last_steps_go_on_after_a_crash() {
    let mut driven = run(&finally(""));
    let events = [started(), done("a"), done("f1"), Event::RunResumed, ended(id("f2", 2), completed("1"))];
    assert_snapshot!(told(&mut driven, events), @"");
}
