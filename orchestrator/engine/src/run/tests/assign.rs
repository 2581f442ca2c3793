//! The mutable context in the course of a run.

use insta::assert_snapshot;
use schemas::{
    failure::Code,
    journal::{Event, Outcome},
    view::StepStatus,
};

use super::{Driven, completed, created, definition, echo, ended, plan, started, state, told_all};
use crate::run::{Action, Run};

/// Runs steps over a context of `n` (0) and `s` ("a"); each step gives its own inputs as its result, as `echo` does.
/// Where the run stands in the end, and what `n` and `s` are then.
#[track_caller]
fn check(steps: &str, expected: &str) {
    let members = format!(
        r#""context":{{"mutable":{{"n":0,"s":"a"}}}},"outputs":{{"n":"context.n","s":"context.s"}},"steps":[{steps}]"#
    );
    let mut driven = Driven::new(plan(&definition(&members)), created());
    let mut events = vec![started()];
    while let Some(event) = events.pop() {
        for action in driven.apply(event) {
            if let Action::Spawn(spawn) = action {
                events.push(ended(spawn.id, completed(spawn.inputs.as_str())));
            }
        }
    }
    let view = driven.run.view();
    let told = match &view.error {
        Some(error) => format!("{} {}", error.step.as_deref().unwrap_or_default(), error.message),
        None => format!("{:?}", view.outputs),
    };
    assert_eq!(told, expected, "{}", state(&driven.run));
    let replayed = Run::replay(driven.run.plan.clone(), driven.journal);
    assert_eq!(replayed.as_ref(), Some(&driven.run), "replay gives the same state");
}

fn assigns(id: &str, assign: &str) -> String {
    echo(id, &format!(r#""inputs":{{"v":5}},"assign":{{{assign}}}"#))
}

#[test]
fn a_value_is_stored_when_the_step_completes() {
    check(&assigns("a", r#""n":"a.v""#), r#"{"n":5,"s":"a"}"#);
    check(&assigns("a", r#""n":"${a.v + context.n}","s":"${context.n}!""#), r#"{"n":5,"s":"0!"}"#);
    check(&[assigns("a", r#""n":1"#), assigns("b", r#""n":"${n + 1}""#)].join(","), r#"{"n":2,"s":"a"}"#);
}

#[test]
fn values_see_the_context_as_it_was() {
    check(&assigns("a", r#""n":7,"s":"context.n""#), r#"{"n":7,"s":0}"#);
}

#[test]
fn a_step_that_does_not_complete_stores_nothing() {
    check(&echo("a", r#""when":"false","assign":{"n":1}"#), r#"{"n":0,"s":"a"}"#);
    check(&assigns("a", r#""n":1,"s":"a.none""#), "a `assign.s`: `a.none` has no value");
}

/// The actions of each event of a run over the same context, and where it stands then.
#[track_caller]
fn told(handlers: &str, step: &str, events: impl IntoIterator<Item = Event>) -> String {
    let members = format!(r#""context":{{"mutable":{{"n":0}}}},"handlers":[{handlers}],"steps":[{step}]"#);
    let mut driven = Driven::new(plan(&definition(&members)), created());
    let mut lines: Vec<_> = events.into_iter().map(|event| told_all(&driven.apply(event))).collect();
    lines.push(state(&driven.run));
    let replayed = Run::replay(driven.run.plan.clone(), driven.journal);
    assert_eq!(replayed.as_ref(), Some(&driven.run), "replay gives the same state");
    lines.join("\n")
}

/// A step that can only assign what it gave under `v`.
fn wants(handling: &str) -> String {
    echo("a", &format!(r#""assign":{{"n":"a.v"}},"error_handling":{handling}"#))
}

fn gives(step: &str, attempt: u32, result: &str) -> Event {
    ended(super::id(step, attempt), completed(result))
}

#[test]
fn what_cannot_be_assigned_is_a_failure_that_meets_the_strategies() {
    assert_snapshot!(told("", &wants(r#""skip""#), [started(), gives("a", 1, "{}")]), @"
    (run started); (a#1 started); spawn a#1
    (a#1 skipped: missing_reference: `assign.n`: `a.v` has no value); (run ended completed 10ms); finish completed
    completed [a#1 skipped missing_reference: `assign.n`: `a.v` has no value]
    ");
    let retry = r#"{"strategy":"retry","on":["missing_reference"],"max_attempts":2}"#;
    let due = Event::RetryDue { id: super::id("a", 2) };
    let events = [started(), gives("a", 1, "{}"), due, gives("a", 2, r#"{"v":1}"#)];
    assert_snapshot!(told("", &wants(retry), events), @r#"
    (run started); (a#1 started); spawn a#1
    (a#1 retrying missing_reference 1000ms); arm a#2 1s
    (a#2 started); spawn a#2
    (a#2 completed 30ms); (run ended completed 30ms); finish completed
    completed [a#2 completed {"v":1}]
    "#);
    // By itself it is not worth another try.
    let events = [started(), gives("a", 1, "{}")];
    assert_snapshot!(told("", &wants(r#""retry""#), events), @"
    (run started); (a#1 started); spawn a#1
    (a#1 failed missing_reference 10ms); (run ended failed missing_reference 10ms); finish failed
    failed error:missing_reference [a#1 failed:missing_reference]
    ");
    let custom = r#"{"strategy":"custom","custom_handler":"fix"}"#;
    let events = [started(), gives("a", 1, "{}"), gives("fix", 1, r#"{"v":2}"#)];
    assert_snapshot!(told(&echo("fix", ""), &wants(custom), events), @r#"
    (run started); (a#1 started); spawn a#1
    (fix#1 started); spawn fix#1
    (fix#1 completed 10ms); (a#1 completed 20ms); (run ended completed 20ms); finish completed
    completed [a#1 completed {"v":2}, fix#1 completed {"v":2}]
    "#);
    // What the handler gave cannot be assigned either: no handler sees that again.
    let events = [started(), gives("a", 1, "{}"), gives("fix", 1, "{}")];
    assert_snapshot!(told(&echo("fix", ""), &wants(custom), events), @"
    (run started); (a#1 started); spawn a#1
    (fix#1 started); spawn fix#1
    (fix#1 completed 10ms); (a#1 failed missing_reference 20ms); (run ended failed missing_reference 20ms); finish failed
    failed error:missing_reference [a#1 failed:missing_reference, fix#1 completed {}]
    ");
}

#[test]
fn a_group_that_cannot_assign_is_tried_again_too() {
    let group = format!(
        r#"{{"id":"g","type":"sequence","steps":[{}],"assign":{{"n":"${{a.v / 0}}"}},
           "error_handling":{{"strategy":"retry","on":["expression_error"],"max_attempts":2,"then":"skip"}}}}"#,
        echo("a", "")
    );
    let due = Event::RetryDue { id: super::id("g", 2) };
    let events = [started(), gives("a", 1, r#"{"v":1}"#), due, gives("a", 2, r#"{"v":1}"#)];
    assert_snapshot!(told("", &group, events), @r#"
    (run started); (g#1 started); (a#1 started); spawn a#1
    (a#1 completed 10ms); (g#1 retrying expression_error 1000ms); arm g#2 1s
    (g#2 started); (a#2 started); spawn a#2
    (a#2 completed 10ms); (g#2 skipped: expression_error: `assign.n`: division by zero, in `a.v / 0`); (run ended completed 30ms); finish completed
    completed [g#2 skipped expression_error: `assign.n`: division by zero, in `a.v / 0`, a#2 completed {"v":1}]
    "#);
    // What it left in the background is ended first.
    let group = format!(
        r#"{{"id":"g","type":"parallel","wait_for":"none","steps":[{},{}],"assign":{{"n":"${{context.n / 0}}"}}}}"#,
        echo("a", ""),
        echo("b", "")
    );
    let cancelled = |step| ended(super::id(step, 1), Outcome::Cancelled);
    assert_snapshot!(told("", &group, [started(), cancelled("a"), cancelled("b")]), @"
    (run started); (g#1 started); (a#1 started); spawn a#1; (b#1 started); spawn b#1; terminate a#1 sibling; terminate b#1 sibling
    (a#1 cancelled 10ms)
    (b#1 cancelled 20ms); (g#1 failed expression_error 20ms); (run ended failed expression_error 20ms); finish failed
    failed error:expression_error [g#1 failed:expression_error, a#1 cancelled, b#1 cancelled]
    ");
}

#[test]
fn an_attempt_whose_values_could_not_be_assigned_is_shown_as_failed() {
    let members = format!(r#""context":{{"mutable":{{"n":0}}}},"steps":[{}]"#, wants(r#""halt""#));
    let driven = Driven::new(plan(&definition(&members)), created());
    let view = driven.apply_all([started(), gives("a", 1, "{}")]).run.view();
    let attempt = &view.steps[0].attempts[0];
    let code = attempt.error.as_ref().map(|error| error.code);
    assert_eq!((attempt.status, code), (StepStatus::Failed, Some(Code::MissingReference)));
}

#[test]
fn loops_count() {
    let counting = |assign: &str| {
        format!(
            r#"{{"id":"l","type":"loop","condition":"n < 5","steps":[{}]{assign}}}"#,
            assigns("a", r#""n":"${context.n + 1}""#)
        )
    };
    check(&counting(""), r#"{"n":5,"s":"a"}"#);
    check(&counting(r#","assign":{"s":"l.iterations"}"#), r#"{"n":5,"s":5}"#);
}

#[test]
fn groups_and_branches_assign_what_they_hold() {
    let sequence =
        format!(r#"{{"id":"g","type":"sequence","steps":[{}],"assign":{{"n":"a.v"}}}}"#, assigns("a", ""));
    check(&sequence, r#"{"n":5,"s":"a"}"#);
    let branch = format!(
        r#"{{"id":"c","type":"conditional","condition":"n > 0","then":[{}],"else":[],
           "assign":{{"n":"${{has(a.v) ? 1 : 2}}","s":"c.branch"}}}}"#,
        assigns("a", "")
    );
    check(&branch, r#"{"n":2,"s":"else"}"#);
}

#[test]
fn inputs_of_set_context_are_stored() {
    let set = r#"{"id":"s","type":"skill","skill":"set-context","inputs":{"n":"${context.n + 3}"}}"#;
    check(set, r#"{"n":3,"s":"a"}"#);
}

#[test]
fn a_text_that_doubles_comes_to_an_end() {
    let doubling = format!(
        r#"{{"id":"l","type":"loop","condition":"true","steps":[{}]}}"#,
        echo("a", r#""assign":{"s":"${context.s}${context.s}${context.s}${context.s}"}"#)
    );
    let plan = plan(&definition(&format!(r#""context":{{"mutable":{{"s":"a"}}}},"steps":[{doubling}]"#)));
    let mut driven = Driven::new(plan, created());
    let mut event = Some(started());
    while let Some(next) = event.take() {
        for action in driven.apply(next) {
            if let Action::Spawn(spawn) = action {
                event = Some(ended(spawn.id, completed("{}")));
            }
        }
    }
    let error = driven.run.error().expect("a key that is too large is a failure");
    assert_eq!(error.details.causes[0].code, Code::OutputTooLarge);
}
