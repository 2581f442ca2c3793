//! What follows the steps of a workflow that another one calls: its own rollback, and its last steps.

use std::sync::Arc;

use insta::assert_snapshot;
use schemas::{
    failure::Code,
    journal::{Event, Outcome},
    view::StopReason,
};

use super::{
    Driven, completed, created, echo, ended, failed, id, reuse::taken_over, started, state, stop, stopping,
    told_all, workflows::plan,
};
use crate::run::Run;

/// The actions of each event, one line each, and where the run stands after them. A replay gives the same.
#[track_caller]
fn told(driven: &mut Driven, events: impl IntoIterator<Item = Event>) -> String {
    let mut lines: Vec<_> = events.into_iter().map(|event| told_all(&driven.apply(event))).collect();
    let replayed = Run::replay(Arc::clone(&driven.run.plan), driven.journal.iter().cloned());
    assert_eq!(replayed.as_ref(), Some(&driven.run), "a replay gives the same");
    lines.push(state(&driven.run));
    lines.join("\n")
}

fn fails(step: &str) -> Event {
    ended(id(step, 1), failed(step, Code::ExitCode))
}

fn done(step: &str) -> Event {
    ended(id(step, 1), completed(r#"{"x":1}"#))
}

fn cancelled(step: &str) -> Event {
    ended(id(step, 1), Outcome::Cancelled)
}

fn undone(step: &str, members: &str) -> String {
    echo(step, &format!(r#""rollback":{}{members}"#, echo(&format!("u{step}"), "")))
}

/// A step of the caller, the call with these members, and a step behind it.
fn run(call: &str, more: &str, called: &str) -> Driven {
    let steps = [
        undone("a", ""),
        format!(r#"{{"id":"c","type":"workflow","workflow":"f"{call}}}"#),
        undone("z", r#","inputs":{"v":"${has(c.v)}"}"#),
    ];
    Driven::new(plan(&format!(r#""steps":[{}]{more}"#, steps.join(",")), called), created())
}

/// Two steps with an undo each, one more step for the rollback, and one for the end.
fn called(strategy: &str) -> String {
    let row = echo("tell", r#""inputs":{"of":"inputs.step","code":"${inputs.error.code}"}"#);
    format!(
        r#""steps":[{},{}],"outputs":{{"v":"p.x"}},"finally":[{}],
        "error_handling":{{"default":"{strategy}","rollback":{{"steps":[{row}]}}}}"#,
        undone("p", ""),
        undone("q", ""),
        echo("last", r#""inputs":{"v":"${has(q.x)}"}"#)
    )
}

fn rollback(run: &Run) -> String {
    let view = run.view();
    let undos = view.rollback.iter().map(|undo| {
        let of = undo.of.as_deref().unwrap_or("-");
        format!("{} of {of} {} {}", undo.id, undo.status, undo.attempts.len())
    });
    let steps = view.steps.iter().map(|step| {
        let parent = step.parent.as_deref().map(|parent| format!("{parent}/")).unwrap_or_default();
        format!("{parent}{} {}", step.id, step.status)
    });
    format!(
        "{} [{}] [{}]",
        view.status,
        steps.collect::<Vec<_>>().join(", "),
        undos.collect::<Vec<_>>().join(", ")
    )
}

#[test]
fn its_last_steps_run_before_it_ends() {
    let mut driven = run("", "", &called("halt"));
    let events = [started(), done("a"), done("c.p"), done("c.q"), done("c.last"), done("z")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (c.p#1 completed 10ms); (c.q#1 started); spawn c.q#1
    (c.q#1 completed 10ms); (c.last#1 started); spawn c.last#1
    (c.last#1 completed 10ms); (c#1 completed 30ms); (z#1 started); spawn z#1
    (z#1 completed 10ms); (run ended completed 50ms); finish completed
    completed [a#1 completed {"x":1}, c#1 completed {"v":1}, c.p#1 completed {"x":1}, c.q#1 completed {"x":1}, c.last#1 completed {"x":1}, z#1 completed {"x":1}]
    "#);
    assert_snapshot!(rollback(&driven.run), @"completed [a completed, c completed, c/p completed, c/q completed, c/last completed, z completed] []");
}

#[test]
fn its_last_steps_run_after_a_failure_which_stands() {
    let mut driven = run("", "", &called("halt"));
    assert_snapshot!(told(&mut driven, [started(), done("a"), fails("c.p"), fails("c.last")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (c.p#1 failed exit_code 10ms); (c.last#1 started); spawn c.last#1
    (c.last#1 failed exit_code 10ms); (c#1 failed child_failed 20ms); (run ended failed child_failed 30ms); finish failed
    failed error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 failed:exit_code, c.last#1 failed:exit_code]
    "#);
    let error = driven.run.error().expect("it failed");
    assert_snapshot!(error.message, @"the step `c.p` failed");
    assert_eq!(error.details.causes[0].step.as_deref(), Some("c.p"));
}

#[test]
fn a_failure_of_its_last_steps_is_its_own() {
    let mut driven = run("", "", &called("halt"));
    let events = [started(), done("a"), done("c.p"), done("c.q"), fails("c.last")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (c.p#1 completed 10ms); (c.q#1 started); spawn c.q#1
    (c.q#1 completed 10ms); (c.last#1 started); spawn c.last#1
    (c.last#1 failed exit_code 10ms); (c#1 failed child_failed 30ms); (run ended failed child_failed 40ms); finish failed
    failed error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 completed {"x":1}, c.q#1 completed {"x":1}, c.last#1 failed:exit_code]
    "#);
    assert_eq!(driven.run.error().expect("it failed").details.causes[0].step.as_deref(), Some("c.last"));
}

#[test]
fn its_own_rollback_undoes_what_is_its_own() {
    let mut driven = run(r#","error_handling":"skip""#, "", &called("rollback"));
    let events =
        [started(), done("a"), done("c.p"), fails("c.q"), done("c.uq"), done("c.up"), done("c.tell")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (c.p#1 completed 10ms); (c.q#1 started); spawn c.q#1
    (c.q#1 failed exit_code 10ms); (rollback of c#1 started); (c.uq#1 undoes c.q); (c.uq#1 started); spawn c.uq#1
    (c.uq#1 completed 10ms); (c.up#1 undoes c.p); (c.up#1 started); spawn c.up#1
    (c.up#1 completed 10ms); (c.tell#1 after the undo); (c.tell#1 started); spawn c.tell#1
    (c.tell#1 completed 10ms); (rollback of c#1 ended rolled_back); (c.last#1 started); spawn c.last#1
    running [a#1 completed {"x":1}, c#1 stopping:sibling, c.p#1 completed {"x":1}, c.q#1 failed:exit_code, c.uq#1 completed {"x":1}, c.up#1 completed {"x":1}, c.tell#1 completed {"x":1}, c.last#1 running]
    "#);
    assert_snapshot!(told(&mut driven, [done("c.last"), done("z")]), @r#"
    (c.last#1 completed 10ms); (c#1 skipped: child_failed: the step `c.q` failed; what was done is undone); (z#1 started); spawn z#1
    (z#1 completed 10ms); (run ended completed 80ms); finish completed
    completed [a#1 completed {"x":1}, c#1 skipped child_failed: the step `c.q` failed; what was done is undone, c.p#1 completed {"x":1}, c.q#1 failed:exit_code, c.uq#1 completed {"x":1}, c.up#1 completed {"x":1}, c.tell#1 completed {"x":1}, c.last#1 completed {"x":1}, z#1 completed {"x":1}]
    "#);
    assert_snapshot!(rollback(&driven.run), @"completed [a completed, c skipped, c/p rolled_back, c/q rolled_back, c/last completed, z completed] [c.uq of c.q completed 1, c.up of c.p completed 1, c.tell of - completed 1]");
}

#[test]
fn written_at_a_step_inside_it_ends_no_more_than_the_workflow() {
    let inner = format!(
        r#""steps":[{{"id":"g","type":"parallel","steps":[{},{}]}}]"#,
        undone("p", ""),
        echo("q", r#""error_handling":"rollback""#)
    ) + r#","outputs":{"v":1}"#;
    let mut driven = run("", "", &inner);
    let events = [started(), done("a"), fails("c.q"), cancelled("c.p"), done("c.up")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.g#1 started); (c.p#1 started); spawn c.p#1; (c.q#1 started); spawn c.q#1
    (c.q#1 failed exit_code 10ms); terminate c.p#1 sibling
    (c.p#1 cancelled 20ms); (c.g#1 cancelled 20ms); (rollback of c#1 started); (c.up#1 undoes c.p); (c.up#1 started); spawn c.up#1
    (c.up#1 completed 10ms); (rollback of c#1 ended rolled_back); (c#1 failed child_failed 30ms); (run ended failed child_failed 40ms); finish failed
    failed error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.g#1 cancelled, c.p#1 cancelled, c.q#1 failed:exit_code, c.up#1 completed {"x":1}]
    "#);
    assert_snapshot!(driven.run.error().expect("it failed").message, @"the step `c.q` failed; what was done is undone");
}

#[test]
fn a_rollback_around_undoes_what_was_inside_and_nothing_twice() {
    let more = r#","error_handling":{"default":"rollback"}"#;
    // What completed is undone where it stands in the order of starts.
    let mut driven = run(&format!(r#","rollback":{}"#, echo("uc", "")), more, &called("halt"));
    let events = [started(), done("a"), done("c.p"), done("c.q"), done("c.last"), fails("z")];
    driven = driven.apply_all(events);
    let events = [done("uz"), done("c.uq"), done("c.up"), done("c.tell"), done("uc"), done("ua")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (uz#1 completed 10ms); (c.uq#1 undoes c.q); (c.uq#1 started); spawn c.uq#1
    (c.uq#1 completed 10ms); (c.up#1 undoes c.p); (c.up#1 started); spawn c.up#1
    (c.up#1 completed 10ms); (c.tell#1 after the undo); (c.tell#1 started); spawn c.tell#1
    (c.tell#1 completed 10ms); (uc#1 undoes c); (uc#1 started); spawn uc#1
    (uc#1 completed 10ms); (ua#1 undoes a); (ua#1 started); spawn ua#1
    (ua#1 completed 10ms); (rollback ended rolled_back); (run ended rolled_back exit_code 110ms); finish rolled_back
    rolled_back error:exit_code [a#1 completed {"x":1}, c#1 completed {"v":1}, c.p#1 completed {"x":1}, c.q#1 completed {"x":1}, c.last#1 completed {"x":1}, z#1 failed:exit_code, uz#1 completed {"x":1}, c.uq#1 completed {"x":1}, c.up#1 completed {"x":1}, c.tell#1 completed {"x":1}, uc#1 completed {"x":1}, ua#1 completed {"x":1}]
    "#);
    // What undid itself is not undone again.
    let mut driven = run("", more, &called("rollback"));
    let events =
        [started(), done("a"), done("c.p"), fails("c.q"), done("c.uq"), done("c.up"), done("c.tell")];
    driven = driven.apply_all(events);
    assert_snapshot!(told(&mut driven, [done("c.last"), done("ua")]), @r#"
    (c.last#1 completed 10ms); (c#1 failed child_failed 60ms); (rollback started); (ua#1 undoes a); (ua#1 started); spawn ua#1
    (ua#1 completed 10ms); (rollback ended rolled_back); (run ended rolled_back child_failed 80ms); finish rolled_back
    rolled_back error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 completed {"x":1}, c.q#1 failed:exit_code, c.uq#1 completed {"x":1}, c.up#1 completed {"x":1}, c.tell#1 completed {"x":1}, c.last#1 completed {"x":1}, ua#1 completed {"x":1}]
    "#);
    assert_snapshot!(rollback(&driven.run), @"rolled_back [a rolled_back, c failed, c/p rolled_back, c/q rolled_back, c/last completed, z pending] [c.uq of c.q completed 1, c.up of c.p completed 1, c.tell of - completed 1, ua of a completed 1]");
}

#[test]
fn what_it_could_not_undo_is_not_undone_for_the_run_either() {
    let mut driven = run("", r#","error_handling":{"default":"rollback"}"#, &called("rollback"));
    let events =
        [started(), done("a"), done("c.p"), fails("c.q"), fails("c.uq"), done("c.up"), done("c.tell")];
    driven = driven.apply_all(events);
    assert_snapshot!(told(&mut driven, [done("c.last"), done("ua")]), @r#"
    (c.last#1 completed 10ms); (c#1 failed child_failed 60ms); (rollback started); (ua#1 undoes a); (ua#1 started); spawn ua#1
    (ua#1 completed 10ms); (rollback ended rollback_failed); (run ended rollback_failed child_failed 80ms); finish rollback_failed
    rollback_failed error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 completed {"x":1}, c.q#1 failed:exit_code, c.uq#1 failed:exit_code, c.up#1 completed {"x":1}, c.tell#1 completed {"x":1}, c.last#1 completed {"x":1}, ua#1 completed {"x":1}]
    "#);
    assert_snapshot!(rollback(&driven.run), @"rollback_failed [a rolled_back, c failed, c/p rolled_back, c/q failed, c/last completed, z pending] [c.uq of c.q failed 1, c.up of c.p completed 1, c.tell of - completed 1, ua of a completed 1]");
    let error = driven.run.error().expect("it failed");
    assert_snapshot!(error.message, @"the step `c.q` failed; not everything could be undone");
    assert_eq!(
        error.details.causes.iter().filter_map(|cause| cause.step.as_deref()).collect::<Vec<_>>(),
        ["c.q", "c.uq"]
    );
}

#[test]
fn it_is_tried_again_as_a_whole() {
    let retry = r#","error_handling":{"strategy":"retry","max_attempts":2}"#;
    let mut driven = run(retry, "", &called("rollback"));
    let events = [started(), done("a"), fails("c.p"), done("c.up"), done("c.tell"), done("c.last")];
    driven = driven.apply_all(events);
    let again = |step| ended(id(step, 2), completed(r#"{"x":2}"#));
    let events = [Event::RetryDue { id: id("c", 2) }, again("c.p"), done("c.q"), again("c.last"), fails("z")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (c#2 started); (c.p#2 started); spawn c.p#2
    (c.p#2 completed 10ms); (c.q#1 started); spawn c.q#1
    (c.q#1 completed 10ms); (c.last#2 started); spawn c.last#2
    (c.last#2 completed 10ms); (c#2 completed 80ms); (z#1 started); spawn z#1
    (z#1 failed exit_code 10ms); (run ended failed exit_code 100ms); finish failed
    failed error:exit_code [a#1 completed {"x":1}, c#2 completed {"v":2}, c.up#1 completed {"x":1}, c.tell#1 completed {"x":1}, c.p#2 completed {"x":2}, c.q#1 completed {"x":1}, c.last#2 completed {"x":2}, z#1 failed:exit_code]
    "#);
    assert_snapshot!(rollback(&driven.run), @"failed [a completed, c completed, c/p completed, c/q completed, c/last completed, z failed] [c.up of c.p completed 1, c.tell of - completed 1]");
}

#[test]
fn a_rollback_that_is_switched_off_is_a_halt() {
    let inner =
        called("rollback").replace(r#""rollback":{"steps""#, r#""rollback":{"enabled":false,"steps""#);
    let mut driven = run("", "", &inner);
    assert_snapshot!(told(&mut driven, [started(), done("a"), fails("c.p"), done("c.last")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (c.p#1 failed exit_code 10ms); (c.last#1 started); spawn c.last#1
    (c.last#1 completed 10ms); (c#1 failed child_failed 20ms); (run ended failed child_failed 30ms); finish failed
    failed error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 failed:exit_code, c.last#1 completed {"x":1}]
    "#);
}

#[test]
fn a_stop_lets_its_last_steps_run_and_one_at_once_does_not() {
    let mut driven = run("", "", &called("halt"));
    let events = [started(), done("a"), stop(false), cancelled("c.p"), done("c.last")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (run stopping); terminate c.p#1 stop
    (c.p#1 cancelled 20ms); (c.last#1 started); spawn c.last#1
    (c.last#1 completed 10ms); (c#1 cancelled 30ms); (run ended cancelled 40ms); finish cancelled
    cancelled [a#1 completed {"x":1}, c#1 cancelled, c.p#1 cancelled, c.last#1 completed {"x":1}]
    "#);
    let mut driven = run("", "", &called("halt"));
    let events = [started(), done("a"), stop(false), stop(true), cancelled("c.p")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (run stopping); terminate c.p#1 stop
    terminate c.p#1 stop now
    (c.p#1 cancelled 30ms); (c#1 cancelled 30ms); (run ended cancelled 40ms); finish cancelled
    cancelled [a#1 completed {"x":1}, c#1 cancelled, c.p#1 cancelled]
    "#);
    // Also while they run, or wait for a try of their own.
    let mut driven = run("", "", &called("halt"));
    driven = driven.apply_all([started(), done("a"), done("c.p"), done("c.q")]);
    assert_snapshot!(told(&mut driven, [stop(false), stop(true), cancelled("c.last")]), @r#"
    (run stopping)
    terminate c.last#1 stop now
    (c.last#1 cancelled 30ms); (c#1 cancelled 50ms); (run ended cancelled 60ms); finish cancelled
    cancelled [a#1 completed {"x":1}, c#1 cancelled, c.p#1 completed {"x":1}, c.q#1 completed {"x":1}, c.last#1 cancelled]
    "#);
    let tries = r#""error_handling":{"strategy":"retry"}"#;
    let inner =
        format!(r#""steps":[{}],"outputs":{{"v":1}},"finally":[{}]"#, echo("p", ""), echo("last", tries));
    let mut driven = run("", "", &inner).apply_all([started(), done("a"), done("c.p"), fails("c.last")]);
    assert_snapshot!(told(&mut driven, [stop(false), stop(true)]), @r#"
    (run stopping)
    (c.last#1 cancelled 30ms); (c#1 cancelled 40ms); (run ended cancelled 50ms); finish cancelled
    cancelled [a#1 completed {"x":1}, c#1 cancelled, c.p#1 completed {"x":1}, c.last#1 cancelled]
    "#);
    // And a rollback that a stop at once ends.
    let mut driven = run("", "", &called("rollback"));
    driven = driven.apply_all([started(), done("a"), done("c.p"), fails("c.q")]);
    assert_snapshot!(told(&mut driven, [stop(false), stop(true), cancelled("c.uq")]), @r#"
    (run stopping)
    terminate c.uq#1 stop now
    (c.uq#1 cancelled 30ms); (rollback of c#1 ended rollback_failed); (c#1 failed child_failed 50ms); (run ended cancelled 60ms); finish cancelled
    cancelled [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 completed {"x":1}, c.q#1 failed:exit_code, c.uq#1 cancelled]
    "#);
}

#[test]
fn it_ends_for_others_with_its_last_steps() {
    // It loses against another child of a group, and a failure beside it ends it.
    let group = |wait_for: &str| {
        format!(
            r#""steps":[{{"id":"g","type":"parallel","wait_for":"{wait_for}","steps":[
            {{"id":"c","type":"workflow","workflow":"f"}},{}]}}]"#,
            echo("b", "")
        )
    };
    let mut driven = Driven::new(plan(&group("any"), &called("halt")), created());
    let events = [started(), done("b"), cancelled("c.p"), done("c.last")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (g#1 started); (c#1 started); (b#1 started); spawn b#1; (c.p#1 started); spawn c.p#1
    (b#1 completed 10ms); terminate c.p#1 sibling
    (c.p#1 cancelled 20ms); (c.last#1 started); spawn c.last#1
    (c.last#1 completed 10ms); (c#1 cancelled 30ms); (g#1 completed 30ms); (run ended completed 30ms); finish completed
    completed [g#1 completed, c#1 cancelled, b#1 completed {"x":1}, c.p#1 cancelled, c.last#1 completed {"x":1}]
    "#);
    let mut driven = Driven::new(plan(&group("all"), &called("halt")), created());
    let events = [started(), fails("b"), cancelled("c.p"), done("c.last")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (g#1 started); (c#1 started); (b#1 started); spawn b#1; (c.p#1 started); spawn c.p#1
    (b#1 failed exit_code 10ms); terminate c.p#1 sibling
    (c.p#1 cancelled 20ms); (c.last#1 started); spawn c.last#1
    (c.last#1 completed 10ms); (c#1 cancelled 30ms); (g#1 failed child_failed 30ms); (run ended failed child_failed 30ms); finish failed
    failed error:child_failed [g#1 failed:child_failed, c#1 cancelled, b#1 failed:exit_code, c.p#1 cancelled, c.last#1 completed {"x":1}]
    "#);
}

#[test]
fn its_time_does_not_count_for_its_last_steps() {
    let mut driven = run(r#","timeout":"5s""#, "", &called("rollback"));
    let due = || stopping(id("c", 1), StopReason::Timeout);
    let events = [started(), done("a"), due(), cancelled("c.p"), due(), done("c.last")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); arm c#1 5s; (c.p#1 started); spawn c.p#1
    terminate c.p#1 sibling
    (c.p#1 cancelled 20ms); (c.last#1 started); spawn c.last#1
    -
    (c.last#1 completed 20ms); (c#1 failed timeout 40ms); (run ended failed timeout 50ms); finish failed
    failed error:timeout [a#1 completed {"x":1}, c#1 failed:timeout, c.p#1 cancelled, c.last#1 completed {"x":1}]
    "#);
}

#[test]
fn a_crash_repeats_nothing_of_its_end_that_completed() {
    let mut driven = run("", "", &called("rollback"));
    driven = driven.apply_all([started(), done("a"), done("c.p"), fails("c.q"), done("c.uq")]);
    let again = |step| ended(id(step, 2), completed("1"));
    let events = [Event::RunResumed, again("c.up"), done("c.tell"), Event::RunResumed, again("c.last")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (c.up#2 started); spawn c.up#2
    (c.up#2 completed 20ms); (c.tell#1 after the undo); (c.tell#1 started); spawn c.tell#1
    (c.tell#1 completed 10ms); (rollback of c#1 ended rolled_back); (c.last#1 started); spawn c.last#1
    (c.last#2 started); spawn c.last#2
    (c.last#2 completed 20ms); (c#1 failed child_failed 80ms); (run ended failed child_failed 90ms); finish failed
    failed error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 completed {"x":1}, c.q#1 failed:exit_code, c.uq#1 completed {"x":1}, c.up#2 completed 1, c.tell#1 completed {"x":1}, c.last#2 completed 1]
    "#);
}

#[test]
fn one_that_never_began_has_no_end_of_its_own() {
    let inner = format!(r#""inputs":{{"n":{{"type":"integer"}}}},{}"#, called("rollback"));
    let mut driven = run(r#","inputs":{"n":"${dyn('x')}"}"#, "", &inner);
    assert_snapshot!(told(&mut driven, [started(), done("a")]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c#1 failed bad_input 0ms); (run ended failed bad_input 10ms); finish failed
    failed error:bad_input [a#1 completed {"x":1}, c#1 failed:bad_input]
    "#);
}

#[test]
fn beside_the_run_it_is_a_run_of_its_own_too() {
    let top =
        format!(r#""steps":[{}],"finally":[{{"id":"c","type":"workflow","workflow":"f"}}]"#, echo("a", ""));
    let mut driven = Driven::new(plan(&top, &called("rollback")), created());
    let events = [started(), done("a"), fails("c.p"), done("c.up"), done("c.tell"), done("c.last")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c.p#1 started); spawn c.p#1
    (c.p#1 failed exit_code 10ms); (rollback of c#1 started); (c.up#1 undoes c.p); (c.up#1 started); spawn c.up#1
    (c.up#1 completed 10ms); (c.tell#1 after the undo); (c.tell#1 started); spawn c.tell#1
    (c.tell#1 completed 10ms); (rollback of c#1 ended rolled_back); (c.last#1 started); spawn c.last#1
    (c.last#1 completed 10ms); (c#1 failed child_failed 40ms); (run ended failed child_failed 50ms); finish failed
    failed error:child_failed [a#1 completed {"x":1}, c#1 failed:child_failed, c.p#1 failed:exit_code, c.up#1 completed {"x":1}, c.tell#1 completed {"x":1}, c.last#1 completed {"x":1}]
    "#);
}

#[test]
fn a_new_run_takes_its_last_steps_over_with_it() {
    let top = format!(r#""steps":[{{"id":"c","type":"workflow","workflow":"f"}},{}]"#, echo("z", ""));
    let plan = || plan(&top, &called("halt"));
    let events = [started(), done("c.p"), done("c.q"), done("c.last"), fails("z")];
    assert_snapshot!(taken_over(plan(), events), @r#"
    takes c.p#1 c.q#1 c.last#1
    spawn z#1
    running [c#1 completed {"v":1}, c.p#1 completed {"x":1}, c.q#1 completed {"x":1}, c.last#1 completed {"x":1}, z#1 running]
    "#);
    // Where it failed they run again.
    let events = [started(), done("c.p"), fails("c.q"), done("c.last")];
    assert_snapshot!(taken_over(plan(), events), @r#"
    takes c.p#1
    spawn c.q#1
    running [c#1 running, c.p#1 completed {"x":1}, c.q#1 running]
    "#);
}
