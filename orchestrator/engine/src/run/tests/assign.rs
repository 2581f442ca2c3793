//! The mutable context in the course of a run.

use schemas::failure::Code;

use super::{Driven, completed, created, definition, echo, ended, plan, started, state};
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
