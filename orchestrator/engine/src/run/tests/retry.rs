//! Strategies: what follows from a failure, in which order, and how long it takes.

use std::time::Duration;

use insta::assert_snapshot;
use jiff::Timestamp;
use schemas::{
    failure::{Code, Details, Failure},
    journal::{AttemptId, Event, Now, Outcome},
    view::StopReason,
};

use super::{
    Driven, completed, created, definition, echo, ended, failed, id, plan, started, state, stop, stopping,
    told_all,
};
use crate::{
    plan::{Backoff, Jitter, Retry, seed},
    run::{Action, Timer},
};

#[track_caller]
fn run(members: &str) -> Driven {
    Driven::new(plan(&definition(members)), created())
}

/// A run of one step with this strategy.
#[track_caller]
fn one(handling: &str) -> Driven {
    run(&format!(r#""steps":[{}]"#, echo("a", &format!(r#""error_handling":{handling}"#))))
}

/// The actions of each event, one line each, and where the run stands after them.
#[track_caller]
fn told(driven: &mut Driven, events: impl IntoIterator<Item = Event>) -> String {
    let mut lines: Vec<_> = events.into_iter().map(|event| told_all(&driven.apply(event))).collect();
    lines.push(state(&driven.run));
    lines.join("\n")
}

fn fails(step: &str, attempt: u32) -> Event {
    fails_by(step, attempt, Code::ExitCode)
}

fn fails_by(step: &str, attempt: u32, code: Code) -> Event {
    ended(id(step, attempt), failed(step, code))
}

fn done(step: &str, attempt: u32) -> Event {
    ended(id(step, attempt), completed(r#"{"x":1}"#))
}

fn due(step: &str, attempt: u32) -> Event {
    Event::RetryDue { id: id(step, attempt) }
}

#[test]
fn it_is_tried_again_until_it_completes() {
    let mut driven = one(r#"{"strategy":"retry","max_attempts":3}"#);
    let events =
        [started(), fails("a", 1), due("a", 2), fails_by("a", 2, Code::Timeout), due("a", 3), done("a", 3)];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying exit_code 1000ms); arm a#2 1s
    (a#2 started); spawn a#2
    (a#2 retrying timeout 2000ms); arm a#3 2s
    (a#3 started); spawn a#3
    (a#3 completed 50ms); (run ended completed 50ms); finish completed
    completed [a#3 completed {"x":1}]
    "#);
}

#[test]
fn or_until_no_try_is_left() {
    let mut driven = one(r#"{"strategy":"retry","max_attempts":2,"delay":"250ms"}"#);
    assert_snapshot!(told(&mut driven, [started(), fails("a", 1), due("a", 2), fails("a", 2)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying exit_code 250ms); arm a#2 250ms
    (a#2 started); spawn a#2
    (a#2 failed exit_code 30ms); (run ended failed exit_code 30ms); finish failed
    failed error:exit_code [a#2 failed:exit_code]
    ");
}

#[test]
fn then_says_what_follows() {
    let mut driven = one(r#"{"strategy":"retry","max_attempts":1,"then":"skip"}"#);
    assert_snapshot!(told(&mut driven, [started(), fails("a", 1)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 skipped: exit_code: exit_code happened); (run ended completed 10ms); finish completed
    completed [a#1 skipped exit_code: exit_code happened]
    ");
    // What is not worth another try goes straight there.
    let mut driven = one(r#"{"strategy":"retry","then":"skip"}"#);
    assert_snapshot!(told(&mut driven, [started(), fails_by("a", 1, Code::BadInput)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 skipped: bad_input: bad_input happened); (run ended completed 10ms); finish completed
    completed [a#1 skipped bad_input: bad_input happened]
    ");
}

#[test]
fn on_names_what_is_tried_again() {
    let mut driven = one(r#"{"strategy":"retry","on":["bad_output"],"then":"skip"}"#);
    assert_snapshot!(told(&mut driven, [started(), fails_by("a", 1, Code::BadOutput)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying bad_output 1000ms); arm a#2 1s
    running [a#2 retrying in 1s]
    ");
    // Another failure does not concern it at all.
    let mut driven = one(r#"{"strategy":"retry","on":["bad_output"],"then":"skip"}"#);
    assert_snapshot!(told(&mut driven, [started(), fails("a", 1)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 failed exit_code 10ms); (run ended failed exit_code 10ms); finish failed
    failed error:exit_code [a#1 failed:exit_code]
    ");
}

#[test]
fn the_first_that_fits_acts() {
    let list =
        r#"[{"strategy":"retry","on":["timeout"]},{"strategy":"skip","on":["oom"]},{"strategy":"halt"}]"#;
    let mut driven = one(list);
    assert_snapshot!(told(&mut driven, [started(), fails_by("a", 1, Code::Oom)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 skipped: oom: oom happened); (run ended completed 10ms); finish completed
    completed [a#1 skipped oom: oom happened]
    ");
    let mut driven = one(list);
    assert_snapshot!(told(&mut driven, [started(), fails_by("a", 1, Code::Timeout)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying timeout 1000ms); arm a#2 1s
    running [a#2 retrying in 1s]
    ");
    let mut driven = one(list);
    assert_snapshot!(told(&mut driven, [started(), fails_by("a", 1, Code::Signal)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 failed signal 10ms); (run ended failed signal 10ms); finish failed
    failed error:signal [a#1 failed:signal]
    ");
}

#[test]
fn a_skipped_step_is_passed_over() {
    let mut driven = run(&format!(
        r#""steps":[{},{}],"error_handling":{{"default":"skip"}}"#,
        echo("a", ""),
        echo("b", r#""inputs":{"v":"${has(a.x)}"}"#)
    ));
    assert_snapshot!(told(&mut driven, [started(), fails("a", 1), done("b", 1)]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 skipped: exit_code: exit_code happened); (b#1 started); spawn b#1
    (b#1 completed 10ms); (run ended completed 20ms); finish completed
    completed [a#1 skipped exit_code: exit_code happened, b#1 completed {"x":1}]
    "#);
    let step = &driven.run.view().steps[0];
    assert_eq!(
        (step.attempts.len(), step.skip_reason.as_deref()),
        (1, Some("exit_code: exit_code happened"))
    );
}

/// A group with a child of its own strategy.
fn inner(own: &str, members: &str) -> String {
    let child = echo("a", own);
    format!(
        r#""steps":[{{"id":"g","type":"parallel"{members},"steps":[{child},{}]}},{}]"#,
        echo("b", ""),
        echo("z", "")
    )
}

#[test]
fn a_failure_without_a_strategy_goes_to_the_group() {
    let mut driven = run(&inner("", r#","error_handling":"skip""#));
    let events = [started(), fails("a", 1), ended(id("b", 1), Outcome::Cancelled)];
    assert_snapshot!(told(&mut driven, events), @"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (a#1 failed exit_code 10ms); terminate b#1 sibling
    (b#1 cancelled 20ms); (g#1 skipped: child_failed: the step `a` failed); (z#1 started); spawn z#1
    running [g#1 skipped child_failed: the step `a` failed, a#1 failed:exit_code, b#1 cancelled, z#1 running]
    ");
}

#[test]
fn halt_at_an_inner_step_ends_the_whole_run() {
    let mut driven = run(&inner(r#""error_handling":"halt""#, r#","error_handling":"skip""#));
    let events = [started(), fails("a", 1), ended(id("b", 1), Outcome::Cancelled)];
    assert_snapshot!(told(&mut driven, events), @"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (a#1 failed exit_code 10ms); (run stopping); terminate b#1 sibling
    (b#1 cancelled 20ms); (g#1 cancelled 20ms); (run ended failed exit_code 20ms); finish failed
    failed error:exit_code [g#1 cancelled, a#1 failed:exit_code, b#1 cancelled]
    ");
}

#[test]
fn the_default_acts_on_leaves_and_ends_the_run_only_at_the_top() {
    let mut driven =
        run(&format!(r#"{},"error_handling":{{"default":"halt"}}"#, inner("", r#","wait_for":"any""#)));
    assert_snapshot!(told(&mut driven, [started(), fails("a", 1), done("b", 1)]), @r#"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (a#1 failed exit_code 10ms)
    (b#1 completed 20ms); (g#1 completed 20ms); (z#1 started); spawn z#1
    running [g#1 completed, a#1 failed:exit_code, b#1 completed {"x":1}, z#1 running]
    "#);
}

#[test]
fn a_group_is_run_again_from_its_first_child() {
    let mut driven = run(&format!(
        r#""steps":[{{"id":"g","type":"sequence","error_handling":"retry","steps":[{},{}]}}]"#,
        echo("a", ""),
        echo("b", r#""inputs":{"v":"a.x"}"#)
    ));
    let events = [
        started(),
        done("a", 1),
        fails("b", 1),
        // What the dead attempts say moves nothing.
        done("b", 1),
        due("g", 2),
        done("a", 1),
        done("a", 2),
        fails("b", 2),
        due("g", 3),
        done("a", 3),
        done("b", 3),
    ];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (g#1 started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 failed exit_code 10ms); (g#1 retrying child_failed 1000ms); arm g#2 1s
    -
    (g#2 started); (a#2 started); spawn a#2
    -
    (a#2 completed 20ms); (b#2 started); spawn b#2
    (b#2 failed exit_code 10ms); (g#2 retrying child_failed 2000ms); arm g#3 2s
    (g#3 started); (a#3 started); spawn a#3
    (a#3 completed 10ms); (b#3 started); spawn b#3
    (b#3 completed 10ms); (g#3 completed 100ms); (run ended completed 100ms); finish completed
    completed [g#3 completed, a#3 completed {"x":1}, b#3 completed {"x":1}]
    "#);
    let view = driven.run.view();
    let shown: Vec<_> = view.steps.iter().map(|step| (step.id.as_str(), step.attempts.len())).collect();
    assert_eq!(shown, [("g", 0), ("a", 3), ("b", 3)]);
}

#[test]
fn a_loop_begins_again_with_its_first_turn() {
    let mut driven = run(&format!(
        r#""steps":[{{"id":"l","type":"loop","for_each":[1,2],"error_handling":"retry","steps":[{}]}}]"#,
        echo("a", r#""inputs":{"v":"item"}"#)
    ));
    let turn = |turn: u32, attempt| AttemptId { turn: vec![turn], ..id("a", attempt) };
    let good = |at, attempt| ended(turn(at, attempt), completed("1"));
    let bad = |at, attempt| ended(turn(at, attempt), failed("a", Code::Signal));
    let events = [started(), good(0, 1), bad(1, 1), due("l", 2), good(0, 2), good(1, 2)];
    assert_snapshot!(told(&mut driven, events), @"
    (run started); (l#1 started); (a[0]#1 started); spawn a[0]#1
    (a[0]#1 completed 10ms); (a[1]#1 started); spawn a[1]#1
    (a[1]#1 failed signal 10ms); (l#1 retrying child_failed 1000ms); arm l#2 1s
    (l#2 started); (a[0]#2 started); spawn a[0]#2
    (a[0]#2 completed 10ms); (a[1]#2 started); spawn a[1]#2
    (a[1]#2 completed 10ms); (l#2 completed 50ms); (run ended completed 50ms); finish completed
    completed [l#2 completed, a[0]#2 completed 1, a[1]#2 completed 1]
    ");
}

#[test]
fn a_stop_ends_a_wait_at_once() {
    let mut driven = one(r#""retry""#);
    assert_snapshot!(told(&mut driven, [started(), fails("a", 1), stop(false), due("a", 2)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying exit_code 1000ms); arm a#2 1s
    (run stopping); (a#1 cancelled 20ms); (run ended cancelled 20ms); finish cancelled
    -
    cancelled [a#1 cancelled]
    ");
}

#[test]
fn a_run_that_is_being_stopped_tries_nothing_again() {
    let mut driven = one(r#""retry""#);
    assert_snapshot!(told(&mut driven, [started(), stop(false), fails("a", 1)]), @"
    (run started); (a#1 started); spawn a#1
    (run stopping); terminate a#1 stop
    (a#1 failed exit_code 20ms); (run ended cancelled 20ms); finish cancelled
    cancelled [a#1 failed:exit_code]
    ");
}

#[test]
fn its_own_timeout_is_a_failure_like_any_other() {
    let mut driven = one(r#""retry""#);
    let events = [started(), stopping(id("a", 1), StopReason::Timeout), fails_by("a", 1, Code::Timeout)];
    assert_snapshot!(told(&mut driven, events), @"
    (run started); (a#1 started); spawn a#1
    terminate a#1 timeout
    (a#1 retrying timeout 1000ms); arm a#2 1s
    running [a#2 retrying in 1s]
    ");
}

#[test]
fn an_engine_that_died_is_no_try() {
    let mut driven = one(r#"{"strategy":"retry","max_attempts":2}"#);
    let events = [started(), Event::RunResumed, fails("a", 2), Event::RunResumed, due("a", 3), fails("a", 3)];
    assert_snapshot!(told(&mut driven, events), @"
    (run started); (a#1 started); spawn a#1
    (a#2 started); spawn a#2
    (a#2 retrying exit_code 1000ms); arm a#3 1s
    arm a#3 980ms
    (a#3 started); spawn a#3
    (a#3 failed exit_code 50ms); (run ended failed exit_code 50ms); finish failed
    failed error:exit_code [a#3 failed:exit_code]
    ");
    // Unless that is a failure like any other.
    let mut driven = run(&format!(
        r#""steps":[{}]"#,
        echo(
            "a",
            r#""on_crash":"fail","error_handling":{"strategy":"retry","on":["engine_crash"],"max_attempts":2}"#
        )
    ));
    let events = [started(), Event::RunResumed, due("a", 2), Event::RunResumed];
    assert_snapshot!(told(&mut driven, events), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying engine_crash 1000ms); arm a#2 1s
    (a#2 started); spawn a#2
    (a#2 failed engine_crash 30ms); (run ended failed engine_crash 30ms); finish failed
    failed error:engine_crash [a#2 failed:engine_crash]
    ");
}

#[test]
fn no_try_begins_after_the_longest_time() {
    // The wall clock of these tests goes twice as fast as the run's own.
    let strategy = |most: &str| {
        format!(r#"{{"strategy":"retry","backoff":"fixed","delay":"50ms","max_duration":"{most}"}}"#)
    };
    assert_snapshot!(told(&mut one(&strategy("60ms")), [started(), fails("a", 1)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 failed exit_code 10ms); (run ended failed exit_code 10ms); finish failed
    failed error:exit_code [a#1 failed:exit_code]
    ");
    assert_snapshot!(told(&mut one(&strategy("70ms")), [started(), fails("a", 1)]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying exit_code 50ms); arm a#2 50ms
    running [a#2 retrying in 50ms]
    ");
    // Nobody owned the run for a while.
    let stranger = || due("b", 1);
    let late = [started(), fails("a", 1), stranger(), stranger(), stranger(), stranger(), due("a", 2)];
    assert_snapshot!(told(&mut one(&strategy("70ms")), late), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying exit_code 50ms); arm a#2 50ms
    -
    -
    -
    -
    (a#1 failed exit_code 60ms); (run ended failed exit_code 60ms); finish failed
    failed error:exit_code [a#1 failed:exit_code]
    ");
}

/// How long a new owner waits with a backoff of 10 s, of which 4 s were over, when its wall clock has moved so far.
#[track_caller]
fn check_rest(moved_ms: i64, expected_ms: u64) {
    let mut run = one(r#"{"strategy":"retry","backoff":"fixed","delay":"10s"}"#).run;
    let wall =
        |ms: i64| Now { wall: Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap(), up_us: 1000 };
    run.apply(&started(), wall(0));
    run.apply(&fails("a", 1), wall(0));
    let actions = run.apply(&Event::RunResumed, wall(4_000 + moved_ms));
    let wait = |action: &Action| {
        let Action::ArmTimer { timer: Timer::Retry(_), after } = action else { return None };
        Some(after.as_millis())
    };
    let waits: Vec<_> = actions.iter().filter_map(wait).collect();
    assert_eq!(waits, [u128::from(expected_ms)], "moved by {moved_ms} ms");
}

#[test]
fn a_clock_that_jumped_makes_no_wait_longer_than_the_whole() {
    const DAY: i64 = 86_400_000;
    check_rest(0, 6_000);
    check_rest(1_000, 5_000);
    check_rest(DAY, 0);
    check_rest(-1_000, 7_000);
    check_rest(-4_000, 10_000);
    check_rest(-DAY, 10_000);
}

#[test]
fn more_memory_on_the_next_attempt() {
    let handling = r#"{"strategy":"retry","max_attempts":9,"scale":{"memory":2.0,"max_memory":"300MiB"}}"#;
    let step = echo("a", &format!(r#""resource_limits":{{"memory":"100MiB"}},"error_handling":{handling}"#));
    let mut driven = run(&format!(r#""steps":[{step}]"#));
    driven.apply(started());
    let mut given = Vec::new();
    for (attempt, code) in [Code::ExitCode, Code::Oom, Code::Oom, Code::Oom].into_iter().enumerate() {
        let attempt = u32::try_from(attempt).unwrap() + 1;
        driven.apply(fails_by("a", attempt, code));
        let actions = driven.apply(due("a", attempt + 1));
        given.extend(actions.iter().filter_map(|action| match action {
            crate::run::Action::Spawn(spawn) => Some(spawn.memory.map(|memory| memory.0 >> 20)),
            crate::run::Action::Terminate { .. }
            | crate::run::Action::ArmTimer { .. }
            | crate::run::Action::Notice(_)
            | crate::run::Action::Finish { .. } => None,
        }));
    }
    assert_eq!(given, [Some(100), Some(200), Some(300), Some(300)]);
}

#[test]
fn exit_code_2_of_a_skill_that_speaks_json_is_never_tried_again() {
    let exits = |retryable| {
        let failure = Failure {
            step: Some("a".to_owned()),
            code: Code::ExitCode,
            message: "no".to_owned(),
            retryable,
            details: Details { exit_code: Some(2), ..Details::default() },
        };
        [started(), ended(id("a", 1), Outcome::Failed(failure.into()))]
    };
    let mut driven = one(r#"{"strategy":"retry","on":["exit_code"]}"#);
    assert_snapshot!(told(&mut driven, exits(false)), @"
    (run started); (a#1 started); spawn a#1
    (a#1 failed exit_code 10ms); (run ended failed exit_code 10ms); finish failed
    failed error:exit_code [a#1 failed:exit_code]
    ");
    // That of another program is.
    let mut driven = one(r#"{"strategy":"retry","on":["exit_code"]}"#);
    assert_snapshot!(told(&mut driven, exits(true)), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying exit_code 1000ms); arm a#2 1s
    running [a#2 retrying in 1s]
    ");
}

#[test]
fn a_skill_s_own_code_is_told_apart() {
    let own = |code: &str| {
        let details = Details { skill_code: Some(code.to_owned()), ..Details::default() };
        let (step, message) = (Some("a".to_owned()), "no".to_owned());
        let failure = Failure { step, code: Code::SkillError, message, retryable: true, details };
        ended(id("a", 1), Outcome::Failed(failure.into()))
    };
    let handling =
        r#"[{"strategy":"skip","on":["skill_error:NOT_FOUND"]},{"strategy":"retry","on":["skill_error"]}]"#;
    assert_snapshot!(told(&mut one(handling), [started(), own("NOT_FOUND")]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 skipped: skill_error: no); (run ended completed 10ms); finish completed
    completed [a#1 skipped skill_error: no]
    ");
    assert_snapshot!(told(&mut one(handling), [started(), own("BUSY")]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying skill_error 1000ms); arm a#2 1s
    running [a#2 retrying in 1s]
    ");
}

fn waits(backoff: Backoff, jitter: Jitter) -> Vec<u128> {
    let retry = Retry {
        max_attempts: 9,
        backoff,
        delay: Duration::from_millis(100),
        max_delay: Duration::from_millis(450),
        jitter,
        max_duration: None,
        scale: None,
        then: None,
    };
    let of = |failures: u32| retry.wait(failures, seed([&failures.to_le_bytes()[..]])).as_millis();
    [1, 2, 3, 4, 5, u32::MAX].map(of).to_vec()
}

#[test]
fn waits_grow_up_to_the_longest() {
    assert_eq!(waits(Backoff::Fixed, Jitter::None), [100, 100, 100, 100, 100, 100]);
    assert_eq!(waits(Backoff::Linear, Jitter::None), [100, 200, 300, 400, 450, 450]);
    let exponential = |multiplier| waits(Backoff::Exponential { multiplier }, Jitter::None);
    assert_eq!(exponential(2.0), [100, 200, 400, 450, 450, 450]);
    assert_eq!(exponential(0.5), [100, 50, 25, 12, 6, 0]);
}

#[test]
fn jitter_is_the_same_whenever_the_journal_is_read() {
    let waits = || waits(Backoff::Fixed, Jitter::Full);
    assert_eq!(waits(), waits());
    assert!(waits().iter().all(|wait| *wait <= 100), "{:?}", waits());
    assert_snapshot!(format!("{:?}", waits()), @"[97, 2, 96, 76, 65, 92]");
}
