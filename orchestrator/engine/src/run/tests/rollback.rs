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
    let mut driven = run(&three(
        r#","rollback":{"steps":["tell",{"id":"then","type":"skill","skill":"echo"}]}"#,
    )
    .replace(r#""steps":[{"id":"a""#, &format!(r#""handlers":[{}],"steps":[{{"id":"a""#, echo("tell", ""))));
    let events =
        [started(), done("a"), done("b"), fails("c"), done("uc"), done("ub"), done("ua"), done("tell")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 completed 10ms); (c#1 started); spawn c#1
    (c#1 failed exit_code 10ms); (rollback started); (uc#1 undoes c); (uc#1 started); spawn uc#1
    (uc#1 completed 10ms); (ub#1 undoes b); (ub#1 started); spawn ub#1
    (ub#1 completed 10ms); (ua#1 undoes a); (ua#1 started); spawn ua#1
    (ua#1 completed 10ms); (tell#1 after the undo); (tell#1 started); spawn tell#1
    (tell#1 completed 10ms); (then#1 after the undo); (then#1 started); spawn then#1
    rolling_back error:exit_code [a#1 completed {"x":1}, b#1 completed {"x":1}, c#1 failed:exit_code, uc#1 completed {"x":1}, ub#1 completed {"x":1}, ua#1 completed {"x":1}, tell#1 completed {"x":1}, then#1 running]
    "#);
    assert_snapshot!(told(&mut driven, [done("then")]), @r#"
    (then#1 completed 10ms); (rollback ended rolled_back); (run ended rolled_back exit_code 80ms); finish rolled_back
    rolled_back error:exit_code [a#1 completed {"x":1}, b#1 completed {"x":1}, c#1 failed:exit_code, uc#1 completed {"x":1}, ub#1 completed {"x":1}, ua#1 completed {"x":1}, tell#1 completed {"x":1}, then#1 completed {"x":1}]
    "#);
    assert_snapshot!(rollback(&driven.run), @"rolled_back [a rolled_back, b rolled_back, c rolled_back] [uc of c completed 1, ub of b completed 1, ua of a completed 1, tell of - completed 1, then of - completed 1]");
}

#[test]
fn an_undo_that_fails_does_not_keep_the_rest_from_running() {
    let mut driven = run(&three(""));
    let events = [started(), done("a"), done("b"), fails("c"), done("uc"), fails("ub"), done("ua")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 completed 10ms); (c#1 started); spawn c#1
    (c#1 failed exit_code 10ms); (rollback started); (uc#1 undoes c); (uc#1 started); spawn uc#1
    (uc#1 completed 10ms); (ub#1 undoes b); (ub#1 started); spawn ub#1
    (ub#1 failed exit_code 10ms); (ua#1 undoes a); (ua#1 started); spawn ua#1
    (ua#1 completed 10ms); (rollback ended rollback_failed); (run ended rollback_failed exit_code 60ms); finish rollback_failed
    rollback_failed error:exit_code [a#1 completed {"x":1}, b#1 completed {"x":1}, c#1 failed:exit_code, uc#1 completed {"x":1}, ub#1 failed:exit_code, ua#1 completed {"x":1}]
    "#);
    assert_snapshot!(rollback(&driven.run), @"rollback_failed [a rolled_back, b completed, c rolled_back] [uc of c completed 1, ub of b failed 1, ua of a completed 1]");
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
    assert_snapshot!(drained(&mut driven, started()), @"
    a#1 {}
    ua#1 {}
    rolled_back
    ");
    assert_snapshot!(rollback(&driven.run), @"rolled_back [a rolled_back, b skipped, c failed, d pending] [ua of a completed 1]");
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
    assert_snapshot!(told(&mut driven, [started(), fails("b"), cancelled, done("ua"), done("ug")]), @r#"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (b#1 failed exit_code 10ms); (run stopping); terminate a#1 sibling
    (a#1 cancelled 20ms); (g#1 cancelled 20ms); (rollback started); (ua#1 undoes a); (ua#1 started); spawn ua#1
    (ua#1 completed 10ms); (ug#1 undoes g); (ug#1 started); spawn ug#1
    (ug#1 completed 10ms); (rollback ended rolled_back); (run ended rolled_back exit_code 40ms); finish rolled_back
    rolled_back error:exit_code [g#1 cancelled, a#1 cancelled, b#1 failed:exit_code, ua#1 completed {"x":1}, ug#1 completed {"x":1}]
    "#);
    assert_snapshot!(rollback(&driven.run), @"rolled_back [g rolled_back, a rolled_back, b failed] [ua of a completed 1, ug of g completed 1]");
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
    assert_snapshot!(drained(&mut driven, started()), @r#"
    a[0]#1 {"v":10}
    a[1]#1 {"v":20}
    u[1]#1 {"item":20,"at":1,"x":1}
    u[0]#1 {"item":10,"at":0,"x":1}
    rolled_back
    "#);
    assert_snapshot!(rollback(&driven.run), @"rolled_back [l completed, a rolled_back, a rolled_back, z failed] [u of a completed 1, u of a completed 1]");
}

#[test]
fn an_undo_of_several_steps_runs_in_order() {
    let undo = format!("[{},{}]", echo("u1", ""), echo("u2", r#""inputs":{"v":"u1.x"},"when":"a.x == 1""#));
    let mut driven =
        run(&format!(r#""steps":[{},{}]"#, undone("a", &undo), echo("b", r#""error_handling":"rollback""#)));
    let retry = [started(), done("a"), fails("b"), done("u1"), done("u2")];
    assert_snapshot!(told(&mut driven, retry), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 failed exit_code 10ms); (rollback started); (u1#1 undoes a); (u1#1 started); spawn u1#1
    (u1#1 completed 10ms); (u2#1 undoes a); (u2#1 started); spawn u2#1
    (u2#1 completed 10ms); (rollback ended rolled_back); (run ended rolled_back exit_code 40ms); finish rolled_back
    rolled_back error:exit_code [a#1 completed {"x":1}, b#1 failed:exit_code, u1#1 completed {"x":1}, u2#1 completed {"x":1}]
    "#);
}

#[test]
fn an_undo_has_its_own_retry() {
    let undo = echo("u", r#""error_handling":{"strategy":"retry","max_attempts":2}"#);
    let mut driven =
        run(&format!(r#""steps":[{}],"error_handling":{{"default":"rollback"}}"#, undone("a", &undo)));
    let again = Event::RetryDue { id: id("u", 2) };
    let last = ended(id("u", 2), completed("1"));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), fails("u"), again, last]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 failed exit_code 10ms); (rollback started); (u#1 undoes a); (u#1 started); spawn u#1
    (u#1 retrying exit_code 1000ms); arm u#2 1s
    (u#2 started); spawn u#2
    (u#2 completed 30ms); (rollback ended rolled_back); (run ended rolled_back exit_code 40ms); finish rolled_back
    rolled_back error:exit_code [a#1 failed:exit_code, u#2 completed 1]
    ");
}

#[test]
fn a_rollback_that_is_switched_off_is_a_halt() {
    let mut driven = run(&three(r#","rollback":{"enabled":false}"#));
    assert_snapshot!(told(&mut driven, [started(), fails("a")]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 failed exit_code 10ms); (run ended failed exit_code 10ms); finish failed
    failed error:exit_code [a#1 failed:exit_code]
    ");
}

#[test]
fn a_crash_in_the_middle_repeats_nothing_that_completed() {
    let mut driven = run(&three(""));
    let events = [started(), done("a"), done("b"), fails("c"), done("uc"), Event::RunResumed];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 completed 10ms); (c#1 started); spawn c#1
    (c#1 failed exit_code 10ms); (rollback started); (uc#1 undoes c); (uc#1 started); spawn uc#1
    (uc#1 completed 10ms); (ub#1 undoes b); (ub#1 started); spawn ub#1
    (ub#2 started); spawn ub#2
    rolling_back error:exit_code [a#1 completed {"x":1}, b#1 completed {"x":1}, c#1 failed:exit_code, uc#1 completed {"x":1}, ub#2 running]
    "#);
    let rest = [ended(id("ub", 2), completed("1")), Event::RunResumed, ended(id("ua", 2), completed("1"))];
    assert_snapshot!(told(&mut driven, rest), @r#"
    (ub#2 completed 20ms); (ua#1 undoes a); (ua#1 started); spawn ua#1
    (ua#2 started); spawn ua#2
    (ua#2 completed 20ms); (rollback ended rolled_back); (run ended rolled_back exit_code 80ms); finish rolled_back
    rolled_back error:exit_code [a#1 completed {"x":1}, b#1 completed {"x":1}, c#1 failed:exit_code, uc#1 completed {"x":1}, ub#2 completed 1, ua#2 completed 1]
    "#);
}

#[test]
fn only_a_stop_at_once_ends_a_rollback() {
    let mut driven = run(&three(""));
    let events = [started(), done("a"), done("b"), fails("c"), stop(false), stop(true)];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 completed 10ms); (c#1 started); spawn c#1
    (c#1 failed exit_code 10ms); (rollback started); (uc#1 undoes c); (uc#1 started); spawn uc#1
    -
    terminate uc#1 stop now
    rolling_back error:exit_code [a#1 completed {"x":1}, b#1 completed {"x":1}, c#1 failed:exit_code, uc#1 stopping:stop]
    "#);
    assert_snapshot!(told(&mut driven, [ended(id("uc", 1), Outcome::Cancelled)]), @r#"
    (uc#1 cancelled 30ms); (rollback ended rollback_failed); (run ended rollback_failed exit_code 60ms); finish rollback_failed
    rollback_failed error:exit_code [a#1 completed {"x":1}, b#1 completed {"x":1}, c#1 failed:exit_code, uc#1 cancelled]
    "#);
    assert_snapshot!(rollback(&driven.run), @"rollback_failed [a completed, b completed, c failed] [uc of c cancelled 1, ub of b pending 0, ua of a pending 0]");
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
    assert_snapshot!(drained(&mut driven, fails("a")), @r#"
    fix#1 {"code":"exit_code","step":"a","text":"a!"}
    b#1 {"v":{"x":1}}
    completed
    "#);
    assert_snapshot!(state(&driven.run), @r#"completed [a#1 completed {"x":1}, fix#1 completed {"x":1}, b#1 completed {"x":1}]"#);
    assert_snapshot!(rollback(&driven.run), @"completed [a completed, fix completed, b completed] []");
}

#[test]
fn a_handler_that_fails_leaves_the_failure_as_it_was() {
    let mut driven = run(&handled(""));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), fails("fix")]), @"
    (run started); (a#1 started); spawn a#1
    (fix#1 started); spawn fix#1
    (fix#1 failed exit_code 10ms); (a#1 failed exit_code 20ms); (run ended failed exit_code 20ms); finish failed
    failed error:exit_code [a#1 failed:exit_code, fix#1 failed:exit_code]
    ");
    let error = driven.run.error().expect("it failed");
    assert_eq!((error.step.as_deref(), error.details.causes.len()), (Some("a"), 1));
}

#[test]
fn a_stop_ends_a_handler() {
    let mut driven = run(&handled(""));
    let cancelled = ended(id("fix", 1), Outcome::Cancelled);
    assert_snapshot!(told(&mut driven, [started(), fails("a"), stop(false), cancelled]), @"
    (run started); (a#1 started); spawn a#1
    (fix#1 started); spawn fix#1
    (run stopping); terminate fix#1 stop
    (fix#1 cancelled 20ms); (a#1 cancelled 30ms); (run ended cancelled 30ms); finish cancelled
    cancelled [a#1 cancelled, fix#1 cancelled]
    ");
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
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (fix#1 started); spawn fix#1
    -
    (fix#1 completed 20ms); (a#1 completed 30ms); (fix#2 started); spawn fix#2
    (fix#2 completed 10ms); (b#1 completed 40ms); (g#1 completed 40ms); (run ended completed 40ms); finish completed
    completed [g#1 completed, a#1 completed {"x":1}, b#1 completed 2, fix#2 completed 2]
    "#);
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
    assert_snapshot!(told(&mut driven, [started(), fails(1), fails(0), done(0), done(1)]), @"
    (run started); (l#1 started); (a[0]#1 started); spawn a[0]#1; (a[1]#1 started); spawn a[1]#1
    (fix[1]#1 started); spawn fix[1]#1
    (fix[0]#1 started); spawn fix[0]#1
    (fix[0]#1 completed 10ms); (a[0]#1 completed 30ms)
    (fix[1]#1 completed 30ms); (a[1]#1 completed 40ms); (l#1 completed 40ms); (run ended completed 40ms); finish completed
    completed [l#1 completed, a[0]#1 completed 7, a[1]#1 completed 7, fix[1]#1 completed 7, fix[0]#1 completed 7]
    ");
}

fn finally(members: &str) -> String {
    let last = [echo("f1", ""), echo("f2", r#""inputs":{"v":"${has(a.x)}"}"#)].join(",");
    format!(r#""steps":[{}{members}],"finally":[{last}]"#, echo("a", ""))
}

#[test]
fn the_last_steps_run_whatever_happened() {
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), done("a"), done("f1"), done("f2")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (f1#1 started); spawn f1#1
    (f1#1 completed 10ms); (f2#1 started); spawn f2#1
    (f2#1 completed 10ms); (run ended completed 30ms); finish completed
    completed [a#1 completed {"x":1}, f1#1 completed {"x":1}, f2#1 completed {"x":1}]
    "#);
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), done("f1"), done("f2")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 failed exit_code 10ms); (f1#1 started); spawn f1#1
    (f1#1 completed 10ms); (f2#1 started); spawn f2#1
    (f2#1 completed 10ms); (run ended failed exit_code 30ms); finish failed
    failed error:exit_code [a#1 failed:exit_code, f1#1 completed {"x":1}, f2#1 completed {"x":1}]
    "#);
    let mut driven = run(&finally(""));
    let cancelled = || ended(id("a", 1), Outcome::Cancelled);
    assert_snapshot!(told(&mut driven, [started(), stop(false), cancelled(), done("f1"), done("f2")]), @r#"
    (run started); (a#1 started); spawn a#1
    (run stopping); terminate a#1 stop
    (a#1 cancelled 20ms); (f1#1 started); spawn f1#1
    (f1#1 completed 10ms); (f2#1 started); spawn f2#1
    (f2#1 completed 10ms); (run ended cancelled 40ms); finish cancelled
    cancelled [a#1 cancelled, f1#1 completed {"x":1}, f2#1 completed {"x":1}]
    "#);
    let mut driven = run(&finally(""));
    let events = [started(), Event::RunTimedOut, cancelled(), done("f1"), done("f2")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (run stopping); terminate a#1 run_timeout
    (a#1 cancelled 20ms); (f1#1 started); spawn f1#1
    (f1#1 completed 10ms); (f2#1 started); spawn f2#1
    (f2#1 completed 10ms); (run ended failed timeout 40ms); finish failed
    failed error:timeout [a#1 cancelled, f1#1 completed {"x":1}, f2#1 completed {"x":1}]
    "#);
    let mut driven = run(&finally(&format!(",{}", undone("b", &echo("u", ""))))
        .replace(r#""finally""#, r#""error_handling":{"default":"rollback"},"finally""#));
    assert_snapshot!(told(&mut driven, [started(), done("a"), fails("b"), done("u"), done("f1"), done("f2")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 failed exit_code 10ms); (rollback started); (u#1 undoes b); (u#1 started); spawn u#1
    (u#1 completed 10ms); (rollback ended rolled_back); (f1#1 started); spawn f1#1
    (f1#1 completed 10ms); (f2#1 started); spawn f2#1
    (f2#1 completed 10ms); (run ended rolled_back exit_code 50ms); finish rolled_back
    rolled_back error:exit_code [a#1 completed {"x":1}, b#1 failed:exit_code, u#1 completed {"x":1}, f1#1 completed {"x":1}, f2#1 completed {"x":1}]
    "#);
}

#[test]
fn a_stop_at_once_leaves_the_last_steps_out_or_ends_them() {
    let mut driven = run(&finally(""));
    let cancelled = |step| ended(id(step, 1), Outcome::Cancelled);
    assert_snapshot!(told(&mut driven, [started(), stop(false), stop(true), cancelled("a")]), @"
    (run started); (a#1 started); spawn a#1
    (run stopping); terminate a#1 stop
    terminate a#1 stop now
    (a#1 cancelled 30ms); (run ended cancelled 30ms); finish cancelled
    cancelled [a#1 cancelled]
    ");
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), done("a"), stop(false), stop(true), cancelled("f1")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (f1#1 started); spawn f1#1
    -
    terminate f1#1 stop now
    (f1#1 cancelled 30ms); (run ended cancelled 40ms); finish cancelled
    cancelled [a#1 completed {"x":1}, f1#1 cancelled]
    "#);
}

#[test]
fn a_failure_of_the_last_steps_fails_a_run_that_completed() {
    let mut driven = run(&finally(""));
    assert_snapshot!(told(&mut driven, [started(), done("a"), fails("f1"), done("f2")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (f1#1 started); spawn f1#1
    (f1#1 failed exit_code 10ms); (f2#1 started); spawn f2#1
    (f2#1 completed 10ms); (run ended failed exit_code 30ms); finish failed
    failed error:exit_code [a#1 completed {"x":1}, f1#1 failed:exit_code, f2#1 completed {"x":1}]
    "#);
    // Else the first error stands.
    let mut driven = run(&finally(""));
    driven.apply(started());
    driven.apply(ended(id("a", 1), failed("a", Code::Oom)));
    assert_snapshot!(told(&mut driven, [fails("f1"), done("f2")]), @r#"
    (f1#1 failed exit_code 10ms); (f2#1 started); spawn f2#1
    (f2#1 completed 10ms); (run ended failed oom 30ms); finish failed
    failed error:oom [a#1 failed:oom, f1#1 failed:exit_code, f2#1 completed {"x":1}]
    "#);
}

#[test]
fn last_steps_go_on_after_a_crash() {
    let mut driven = run(&finally(""));
    let events = [started(), done("a"), done("f1"), Event::RunResumed, ended(id("f2", 2), completed("1"))];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (f1#1 started); spawn f1#1
    (f1#1 completed 10ms); (f2#1 started); spawn f2#1
    (f2#2 started); spawn f2#2
    (f2#2 completed 20ms); (run ended completed 40ms); finish completed
    completed [a#1 completed {"x":1}, f1#1 completed {"x":1}, f2#2 completed 1]
    "#);
}
