//! Groups, branches and loops: which events give which order of actions. What holds for all plans is in
//! `trees`.

use insta::assert_snapshot;
use schemas::{failure::Code, journal::Event};

use super::{
    Driven, completed, created, definition, echo, ended, failed, id, json, plan, started, state, stop,
    told_all,
};
use crate::run::Run;

/// A run of these steps, started.
#[track_caller]
fn run(steps: &str) -> Driven {
    Driven::new(plan(&definition(&format!(r#""steps":[{steps}]"#))), created())
}

/// The actions of each event, one line each, and where the run stands after them.
#[track_caller]
fn told(driven: &mut Driven, events: impl IntoIterator<Item = Event>) -> String {
    let mut lines: Vec<_> = events.into_iter().map(|event| told_all(&driven.apply(event))).collect();
    lines.push(state(&driven.run));
    lines.join("\n")
}

fn done(step: &str, result: &str) -> Event {
    ended(id(step, 1), completed(result))
}

/// The end of a turn of a step.
fn turn(step: &str, turn: &[u32], result: &str) -> Event {
    let id = schemas::journal::AttemptId { turn: turn.to_vec(), ..id(step, 1) };
    ended(id, completed(result))
}

fn fails(step: &str) -> Event {
    ended(id(step, 1), failed(step, Code::ExitCode))
}

fn stopped(step: &str) -> Event {
    ended(id(step, 1), schemas::journal::Outcome::Cancelled)
}

fn outputs(run: &Run, step: &str) -> String {
    let view = run.view();
    let found = view.steps.iter().rev().find(|view| view.id == step).expect("the step has started");
    format!("{:?}", found.outputs)
}

fn group(id: &str, members: &str, children: &[&str]) -> String {
    let children: Vec<_> = children.iter().map(|child| echo(child, "")).collect();
    format!(r#"{{"id":"{id}","type":"parallel"{members},"steps":[{}]}}"#, children.join(","))
}

#[test]
fn all_waits_for_every_child() {
    let mut driven = run(&[group("g", "", &["a", "b"]), echo("z", r#""inputs":{"v":"g.b.x"}"#)].join(","));
    assert_snapshot!(told(&mut driven, [started(), done("b", r#"{"x":2}"#), done("a", r#"{"x":1}"#)]), @r#"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (b#1 completed 10ms)
    (a#1 completed 20ms); (g#1 completed 20ms); (z#1 started); spawn z#1
    running [g#1 completed, a#1 completed {"x":1}, b#1 completed {"x":2}, z#1 running]
    "#);
    assert_snapshot!(outputs(&driven.run, "g"), @r#"Some({"a":{"x":1},"b":{"x":2}})"#);
    assert_snapshot!(told(&mut driven, [done("z", "1")]), @r#"
    (z#1 completed 10ms); (run ended completed 30ms); finish completed
    completed [g#1 completed, a#1 completed {"x":1}, b#1 completed {"x":2}, z#1 completed 1]
    "#);
}

#[test]
fn the_first_failure_stops_the_others() {
    let mut driven = run(&[group("g", "", &["a", "b"]), echo("z", "")].join(","));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), stopped("b")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (a#1 failed exit_code 10ms); terminate b#1 sibling
    (b#1 cancelled 20ms); (g#1 failed child_failed 20ms); (run ended failed child_failed 20ms); finish failed
    failed error:child_failed [g#1 failed:child_failed, a#1 failed:exit_code, b#1 cancelled]
    ");
    let error = driven.run.error().expect("a failed run has an error").clone();
    assert_eq!((error.step.as_deref(), error.code), (Some("g"), Code::ChildFailed));
    assert_eq!(error.details.causes[0].step.as_deref(), Some("a"));
}

#[test]
fn without_fail_fast_the_rest_finish_first() {
    let mut driven = run(&group("g", r#","fail_fast":false"#, &["a", "b", "c"]));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), done("b", "1"), fails("c")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1; (c#1 started); spawn c#1
    (a#1 failed exit_code 10ms)
    (b#1 completed 20ms)
    (c#1 failed exit_code 30ms); (g#1 failed child_failed 30ms); (run ended failed child_failed 30ms); finish failed
    failed error:child_failed [g#1 failed:child_failed, a#1 failed:exit_code, b#1 completed 1, c#1 failed:exit_code]
    ");
    let causes = &driven.run.error().expect("a failed run has an error").details.causes;
    let causes: Vec<_> = causes.iter().filter_map(|cause| cause.step.as_deref()).collect();
    assert_eq!(causes, ["a", "c"]);
}

#[test]
fn any_takes_the_first_that_completes() {
    let mut driven = run(&group("g", r#","wait_for":"any""#, &["a", "b", "c"]));
    let events = [started(), fails("a"), done("c", r#"{"x":1}"#), done("b", "1")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1; (c#1 started); spawn c#1
    (a#1 failed exit_code 10ms)
    (c#1 completed 20ms); terminate b#1 sibling
    (b#1 cancelled 30ms); (g#1 completed 30ms); (run ended completed 30ms); finish completed
    completed [g#1 completed, a#1 failed:exit_code, b#1 cancelled, c#1 completed {"x":1}]
    "#);
    assert_snapshot!(outputs(&driven.run, "g"), @r#"Some({"c":{"x":1},"winner":"c"})"#);
}

#[test]
fn any_fails_only_if_all_fail() {
    let mut driven = run(&group("g", r#","wait_for":"any""#, &["a", "b"]));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), fails("b")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (a#1 failed exit_code 10ms)
    (b#1 failed exit_code 20ms); (g#1 failed child_failed 20ms); (run ended failed child_failed 20ms); finish failed
    failed error:child_failed [g#1 failed:child_failed, a#1 failed:exit_code, b#1 failed:exit_code]
    ");
}

#[test]
fn any_stops_whole_trees() {
    let tree = format!(
        r#"{{"id":"g","type":"parallel","wait_for":"any","steps":[{},{{"id":"s","type":"sequence","steps":[{},{}]}}]}}"#,
        echo("a", ""),
        group("h", "", &["b", "c"]),
        echo("d", "")
    );
    let mut driven = run(&tree);
    assert_snapshot!(told(&mut driven, [started(), done("a", "1"), stopped("b"), stopped("c")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1; (s#1 started); (h#1 started); (b#1 started); spawn b#1; (c#1 started); spawn c#1
    (a#1 completed 10ms); terminate b#1 sibling; terminate c#1 sibling
    (b#1 cancelled 20ms)
    (c#1 cancelled 30ms); (h#1 cancelled 30ms); (s#1 cancelled 30ms); (g#1 completed 30ms); (run ended completed 30ms); finish completed
    completed [g#1 completed, a#1 completed 1, s#1 cancelled, h#1 cancelled, b#1 cancelled, c#1 cancelled]
    ");
}

#[test]
fn none_goes_on_at_once_and_is_joined_at_the_end() {
    let mut driven = run(&[group("g", r#","wait_for":"none""#, &["a", "b"]), echo("z", "")].join(","));
    assert_snapshot!(told(&mut driven, [started(), done("z", "1"), done("a", "1"), done("b", "1")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1; (g#1 completed 0ms); (z#1 started); spawn z#1
    (z#1 completed 10ms)
    (a#1 completed 20ms)
    (b#1 completed 30ms); (run ended completed 30ms); finish completed
    completed [g#1 completed, a#1 completed 1, b#1 completed 1, z#1 completed 1]
    ");
}

#[test]
fn a_reference_waits_for_a_background_step() {
    let steps =
        [echo("a", r#""async":true"#), echo("b", ""), echo("c", r#""inputs":{"v":"a.x"}"#), echo("d", "")];
    let mut driven = run(&steps.join(","));
    let events = [started(), done("b", "1"), done("a", r#"{"x":7}"#), done("c", "1"), done("d", "1")];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (b#1 completed 10ms); (c#1 waiting)
    (a#1 completed 20ms); (c#1 started); spawn c#1
    (c#1 completed 10ms); (d#1 started); spawn d#1
    (d#1 completed 10ms); (run ended completed 40ms); finish completed
    completed [a#1 completed {"x":7}, b#1 completed 1, c#1 completed 1, d#1 completed 1]
    "#);
}

#[test]
fn a_failure_in_the_background_halts_the_run() {
    let mut driven = run(&[echo("a", r#""async":true"#), echo("b", "")].join(","));
    assert_snapshot!(told(&mut driven, [started(), fails("a"), stopped("b")]), @r"
    (run started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (a#1 failed exit_code 10ms); (run stopping); terminate b#1 sibling
    (b#1 cancelled 20ms); (run ended failed exit_code 20ms); finish failed
    failed error:exit_code [a#1 failed:exit_code, b#1 cancelled]
    ");
}

#[test]
fn places_are_given_in_order() {
    let limits = r#","resource_limits":{"max_concurrent_steps":2}"#;
    let steps = format!(r#""steps":[{}]{limits}"#, group("g", "", &["a", "b", "c", "d"]));
    let mut driven = Driven::new(plan(&definition(&steps)), created());
    assert_snapshot!(told(&mut driven, [started(), done("b", "1"), done("a", "1")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1; (c#1 waiting); (d#1 waiting)
    (b#1 completed 10ms); (c#1 started); spawn c#1
    (a#1 completed 20ms); (d#1 started); spawn d#1
    running [g#1 running, a#1 completed 1, b#1 completed 1, c#1 running, d#1 running]
    ");
    assert_snapshot!(told(&mut driven, [stop(false), stopped("c"), stopped("d")]), @r"
    (run stopping); terminate c#1 stop; terminate d#1 stop
    (c#1 cancelled 30ms)
    (d#1 cancelled 30ms); (g#1 cancelled 50ms); (run ended cancelled 50ms); finish cancelled
    cancelled [g#1 cancelled, a#1 completed 1, b#1 completed 1, c#1 cancelled, d#1 cancelled]
    ");
}

#[test]
fn max_concurrent_holds_children_back() {
    let mut driven = run(&group("g", r#","max_concurrent":1"#, &["a", "b"]));
    assert_snapshot!(told(&mut driven, [started(), done("a", "1"), done("b", "1")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (b#1 started); spawn b#1
    (b#1 completed 10ms); (g#1 completed 20ms); (run ended completed 20ms); finish completed
    completed [g#1 completed, a#1 completed 1, b#1 completed 1]
    ");
}

#[test]
fn a_stop_ends_a_group_that_waits() {
    let mut driven = run(&[group("g", "", &["a", "b"]), echo("z", "")].join(","));
    assert_snapshot!(told(&mut driven, [started(), stop(false), stop(true), stopped("a"), done("b", "1")]), @r"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (run stopping); terminate a#1 stop; terminate b#1 stop
    terminate a#1 stop now; terminate b#1 stop now
    (a#1 cancelled 30ms)
    (b#1 completed 40ms); (g#1 cancelled 40ms); (run ended cancelled 40ms); finish cancelled
    cancelled [g#1 cancelled, a#1 cancelled, b#1 completed 1]
    ");
}

#[test]
fn one_branch_runs() {
    let choose = |expected: &str| {
        format!(
            r#"{},{{"id":"c","type":"conditional","condition":"a.x == {expected}","then":[{}],"else":[{}]}}"#,
            echo("a", ""),
            echo("t", ""),
            echo("e", "")
        )
    };
    let mut driven = run(&choose("true"));
    assert_snapshot!(told(&mut driven, [started(), done("a", r#"{"x":true}"#), done("t", r#"{"y":1}"#)]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (t#1 started); spawn t#1
    (t#1 completed 10ms); (c#1 completed 10ms); (run ended completed 20ms); finish completed
    completed [a#1 completed {"x":true}, c#1 completed, t#1 completed {"y":1}]
    "#);
    assert_snapshot!(outputs(&driven.run, "c"), @r#"Some({"t":{"y":1},"branch":"then"})"#);
    let mut driven = run(&choose("'no'"));
    assert_snapshot!(told(&mut driven, [started(), done("a", r#"{"x":true}"#)]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (e#1 started); spawn e#1
    running [a#1 completed {"x":true}, c#1 running, e#1 running]
    "#);
    let mut driven = run(&choose("1"));
    assert_snapshot!(told(&mut driven, [started(), done("a", "{}")]), @r"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (c#1 started); (c#1 failed missing_reference 0ms); (run ended failed missing_reference 10ms); finish failed
    failed error:missing_reference [a#1 completed {}, c#1 failed:missing_reference]
    ");
}

#[test]
fn a_branch_that_is_not_there_is_none() {
    let mut driven =
        run(&format!(r#"{{"id":"c","type":"conditional","condition":"false","then":[{}]}}"#, echo("t", "")));
    assert_snapshot!(told(&mut driven, [started()]), @r"
    (run started); (c#1 started); (c#1 completed 0ms); (run ended completed 0ms); finish completed
    completed [c#1 completed]
    ");
    assert_snapshot!(outputs(&driven.run, "c"), @r#"Some({"branch":"none"})"#);
}

#[test]
fn items_come_one_after_the_other() {
    let body = [echo("b", r#""inputs":{"i":"index","v":"item.n","old":"c.x"}"#), echo("c", "")].join(",");
    let mut driven =
        run(&format!(r#"{{"id":"l","type":"loop","for_each":[{{"n":5}},{{"n":6}}],"steps":[{body}]}}"#));
    // The first turn has no turn before.
    assert_snapshot!(told(&mut driven, [started()]), @r"
    (run started); (l#1 started); (b[0]#1 failed missing_reference 0ms); (l#1 failed child_failed 0ms); (run ended failed child_failed 0ms); finish failed
    failed error:child_failed [l#1 failed:child_failed, b[0]#1 failed:missing_reference]
    ");
    let body =
        [echo("b", r#""inputs":{"i":"index","v":"item.n"}"#), echo("c", r#""inputs":{"v":"b.x"}"#)].join(",");
    let mut driven = run(&format!(
        r#"{{"id":"l","type":"loop","for_each":[{{"n":5}},{{"n":6}}],"steps":[{body}]}},{}"#,
        echo("z", r#""inputs":{"last":"b.x","all":"l.results","n":"l.iterations"}"#)
    ));
    let events =
        [started(), turn("b", &[0], r#"{"x":1}"#), turn("c", &[0], "{}"), turn("b", &[1], r#"{"x":2}"#)];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (l#1 started); (b[0]#1 started); spawn b[0]#1
    (b[0]#1 completed 10ms); (c[0]#1 started); spawn c[0]#1
    (c[0]#1 completed 10ms); (b[1]#1 started); spawn b[1]#1
    (b[1]#1 completed 10ms); (c[1]#1 started); spawn c[1]#1
    running [l#1 running, b[0]#1 completed {"x":1}, c[0]#1 completed {}, b[1]#1 completed {"x":2}, c[1]#1 running]
    "#);
    let actions = driven.apply(turn("c", &[1], "{}"));
    let inputs = actions.iter().find_map(|action| match action {
        crate::run::Action::Spawn(spawn) => Some(spawn.inputs.clone()),
        crate::run::Action::Terminate { .. }
        | crate::run::Action::ArmTimer { .. }
        | crate::run::Action::Notice(_)
        | crate::run::Action::Finish { .. } => None,
    });
    assert_eq!(inputs, Some(json(r#"{"last":2,"all":[{"b":{"x":1},"c":{}},{"b":{"x":2},"c":{}}],"n":2}"#)));
}

#[test]
fn turns_run_at_once_up_to_a_number() {
    let mut driven = run(&format!(
        r#"{{"id":"l","type":"loop","for_each":[1,2,3],"max_concurrent":2,"steps":[{}]}}"#,
        echo("b", "")
    ));
    let events = [started(), turn("b", &[1], "1"), turn("b", &[2], "1"), turn("b", &[0], "0")];
    assert_snapshot!(told(&mut driven, events), @r"
    (run started); (l#1 started); (b[0]#1 started); spawn b[0]#1; (b[1]#1 started); spawn b[1]#1
    (b[1]#1 completed 10ms); (b[2]#1 started); spawn b[2]#1
    (b[2]#1 completed 10ms)
    (b[0]#1 completed 30ms); (l#1 completed 30ms); (run ended completed 30ms); finish completed
    completed [l#1 completed, b[0]#1 completed 0, b[1]#1 completed 1, b[2]#1 completed 1]
    ");
    assert_snapshot!(outputs(&driven.run, "l"), @r#"Some({"iterations":3,"results":[{"b":{"data":0}},{"b":{"data":1}},{"b":{"data":1}}],"last":{"b":{"data":1}}})"#);
}

#[test]
fn a_loop_without_items_completes() {
    let mut driven = run(&format!(r#"{{"id":"l","type":"loop","for_each":[],"steps":[{}]}}"#, echo("b", "")));
    assert_snapshot!(told(&mut driven, [started()]), @r"
    (run started); (l#1 started); (l#1 completed 0ms); (run ended completed 0ms); finish completed
    completed [l#1 completed]
    ");
    assert_snapshot!(outputs(&driven.run, "l"), @r#"Some({"iterations":0,"results":[],"last":null})"#);
}

#[test]
fn items_must_be_an_array_and_not_too_many() {
    let over = |more: &str| {
        format!(
            r#"{},{{"id":"l","type":"loop","for_each":"a.x"{more},"steps":[{}]}}"#,
            echo("a", ""),
            echo("b", "")
        )
    };
    let mut driven = run(&over(""));
    assert_snapshot!(told(&mut driven, [started(), done("a", r#"{"x":{}}"#)]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (l#1 started); (l#1 failed expression_error 0ms); (run ended failed expression_error 10ms); finish failed
    failed error:expression_error [a#1 completed {"x":{}}, l#1 failed:expression_error]
    "#);
    let mut driven = run(&over(r#","max_iterations":1"#));
    assert_snapshot!(told(&mut driven, [started(), done("a", r#"{"x":[1,2]}"#)]), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (l#1 started); (l#1 failed max_iterations_exceeded 0ms); (run ended failed max_iterations_exceeded 10ms); finish failed
    failed error:max_iterations_exceeded [a#1 completed {"x":[1,2]}, l#1 failed:max_iterations_exceeded]
    "#);
}

#[test]
fn a_condition_is_checked_before_each_turn() {
    let steps = |condition: &str, more: &str| {
        format!(r#"{{"id":"l","type":"loop","condition":"{condition}"{more},"steps":[{}]}}"#, echo("b", ""))
    };
    let mut driven = run(&steps("index != 2", ""));
    assert_snapshot!(told(&mut driven, [started(), turn("b", &[0], "1"), turn("b", &[1], "1")]), @r"
    (run started); (l#1 started); (b[0]#1 started); spawn b[0]#1
    (b[0]#1 completed 10ms); (b[1]#1 started); spawn b[1]#1
    (b[1]#1 completed 10ms); (l#1 completed 20ms); (run ended completed 20ms); finish completed
    completed [l#1 completed, b[0]#1 completed 1, b[1]#1 completed 1]
    ");
    let mut driven = run(&steps("true", r#","max_iterations":1"#));
    assert_snapshot!(told(&mut driven, [started(), turn("b", &[0], "1")]), @r"
    (run started); (l#1 started); (b[0]#1 started); spawn b[0]#1
    (b[0]#1 completed 10ms); (l#1 failed max_iterations_exceeded 10ms); (run ended failed max_iterations_exceeded 10ms); finish failed
    failed error:max_iterations_exceeded [l#1 failed:max_iterations_exceeded, b[0]#1 completed 1]
    ");
}

#[test]
fn a_condition_reads_the_turn_before() {
    let inner = echo("b", "");
    let mut driven = run(&format!(
        r#"{},{{"id":"o","type":"loop","for_each":[1,2],"steps":[{},{{"id":"l","type":"loop","condition":"b.more == true","steps":[{inner}]}}]}}"#,
        echo("a", ""),
        echo("p", "")
    ));
    // Without a turn before, there is no value.
    assert_snapshot!(told(&mut driven, [started(), done("a", "1"), turn("p", &[0], "1")]), @r"
    (run started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (o#1 started); (p[0]#1 started); spawn p[0]#1
    (p[0]#1 completed 10ms); (l[0]#1 started); (l[0]#1 failed missing_reference 0ms); (o#1 failed child_failed 10ms); (run ended failed child_failed 20ms); finish failed
    failed error:child_failed [a#1 completed 1, o#1 failed:child_failed, p[0]#1 completed 1, l[0]#1 failed:missing_reference]
    ");
}

#[test]
fn a_loop_counts_with_the_turn_before() {
    let mut driven = run(&format!(
        r#"{{"id":"l","type":"loop","condition":"!has(b.n) || b.n < 2","steps":[{}]}}"#,
        echo("b", r#""inputs":{"n":"${has(b.n) ? b.n + 1 : 1}"}"#)
    ));
    let events = [started(), turn("b", &[0], r#"{"n":1}"#), turn("b", &[1], r#"{"n":2}"#)];
    assert_snapshot!(told(&mut driven, events), @r#"
    (run started); (l#1 started); (b[0]#1 started); spawn b[0]#1
    (b[0]#1 completed 10ms); (b[1]#1 started); spawn b[1]#1
    (b[1]#1 completed 10ms); (l#1 completed 20ms); (run ended completed 20ms); finish completed
    completed [l#1 completed, b[0]#1 completed {"n":1}, b[1]#1 completed {"n":2}]
    "#);
    let mut driven = run(&format!(
        r#"{{"id":"l","type":"loop","condition":"dyn(index + 1)","steps":[{}]}}"#,
        echo("b", "")
    ));
    assert_snapshot!(told(&mut driven, [started()]), @r"
    (run started); (l#1 started); (l#1 failed expression_error 0ms); (run ended failed expression_error 0ms); finish failed
    failed error:expression_error [l#1 failed:expression_error]
    ");
}

#[test]
fn a_step_of_a_branch_can_be_asked_for() {
    let mut driven = run(&format!(
        r#"{{"id":"c","type":"conditional","condition":"1 > 2","then":[{}]}},{}"#,
        echo("t", ""),
        echo("z", r#""inputs":{"v":"${has(t.x) ? t.x : 'none'}"}"#)
    ));
    let actions = driven.apply(started());
    let spawned = actions.iter().any(|action| matches!(action, crate::run::Action::Spawn(spawn) if spawn.inputs == json(r#"{"v":"none"}"#)));
    assert!(spawned, "{actions:?}");
}

#[test]
fn a_loser_that_fails_by_itself_is_a_loser_all_the_same() {
    let children = [echo("a", ""), echo("b", "")].join(",");
    let group = format!(r#"{{"id":"g","type":"parallel","wait_for":"any","steps":[{children}]}}"#);
    let mut driven = run(&group);
    let fails = ended(id("b", 1), failed("b", Code::ExitCode));
    assert_snapshot!(told(&mut driven, [started(), done("a", "1"), fails]), @"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1
    (a#1 completed 10ms); terminate b#1 sibling
    (b#1 failed exit_code 20ms); (g#1 completed 20ms); (run ended completed 20ms); finish completed
    completed [g#1 completed, a#1 completed 1, b#1 failed:exit_code]
    ");
    // What the winner left in the background is no loser.
    let children = [echo("q", r#""async":true"#), echo("w", "")].join(",");
    let group = format!(
        r#"{{"id":"g","type":"parallel","wait_for":"any","steps":[{{"id":"s","type":"sequence","steps":[{children}]}},{}]}}"#,
        echo("b", "")
    );
    let mut driven = run(&group);
    let fails = ended(id("q", 1), failed("q", Code::ExitCode));
    assert_snapshot!(told(&mut driven, [started(), done("w", "1"), fails]), @"
    (run started); (g#1 started); (s#1 started); (b#1 started); spawn b#1; (q#1 started); spawn q#1; (w#1 started); spawn w#1
    (w#1 completed 10ms); (s#1 completed 10ms); terminate b#1 sibling
    (q#1 failed exit_code 20ms); (run stopping)
    stopping error:exit_code [g#1 stopping:sibling, s#1 completed, b#1 stopping:sibling, q#1 failed:exit_code, w#1 completed 1]
    ");
}

#[test]
fn skipped_steps_neither_win_nor_have_outputs() {
    let skipped = |id: &str| echo(id, r#""when":"false""#);
    let group = |wait_for: &str, children: &[String]| {
        let children = children.join(",");
        format!(r#"{{"id":"g","type":"parallel","wait_for":"{wait_for}","steps":[{children}]}}"#)
    };
    let mut driven = run(&group("any", &[skipped("a"), skipped("b")]));
    assert_snapshot!(told(&mut driven, [started()]), @r"
    (run started); (g#1 started); (a#1 skipped: `when` was false); (b#1 skipped: `when` was false); (g#1 completed 0ms); (run ended completed 0ms); finish completed
    completed [g#1 completed, a#1 skipped `when` was false, b#1 skipped `when` was false]
    ");
    assert_snapshot!(outputs(&driven.run, "g"), @r#"Some({"winner":null})"#);
    let mut driven = run(&group("all", &[skipped("a"), echo("b", "")]));
    assert_snapshot!(told(&mut driven, [started(), done("b", "{}")]), @r"
    (run started); (g#1 started); (a#1 skipped: `when` was false); (b#1 started); spawn b#1
    (b#1 completed 10ms); (g#1 completed 10ms); (run ended completed 10ms); finish completed
    completed [g#1 completed, a#1 skipped `when` was false, b#1 completed {}]
    ");
    assert_snapshot!(outputs(&driven.run, "g"), @r#"Some({"b":{}})"#);
    let whole = format!(r#"{{"id":"q","type":"sequence","when":"false","steps":[{}]}}"#, echo("a", ""));
    assert_snapshot!(told(&mut run(&whole), [started()]), @r"
    (run started); (q#1 skipped: `when` was false); (run ended completed 0ms); finish completed
    completed [q#1 skipped `when` was false]
    ");
    // A group that was skipped starts nothing, and nobody waits for it.
    let whole = format!(
        r#"{{"id":"q","type":"parallel","when":"false","steps":[{},{}]}},{}"#,
        echo("a", ""),
        echo("b", ""),
        echo("z", r#""inputs":{"v":"${has(q.a)}"}"#)
    );
    assert_snapshot!(told(&mut run(&whole), [started(), done("z", "1")]), @"
    (run started); (q#1 skipped: `when` was false); (z#1 started); spawn z#1
    (z#1 completed 10ms); (run ended completed 10ms); finish completed
    completed [q#1 skipped `when` was false, z#1 completed 1]
    ");
    let whole = format!(r#"{{"id":"q","type":"sequence","when":"dyn(1)","steps":[{}]}}"#, echo("a", ""));
    assert_snapshot!(told(&mut run(&whole), [started()]), @r"
    (run started); (q#1 started); (q#1 failed expression_error 0ms); (run ended failed expression_error 0ms); finish failed
    failed error:expression_error [q#1 failed:expression_error]
    ");
}
