//! What a step may assign, and what its values may refer to.

use super::checked;
use crate::load::Syntax;

/// Codes and messages of a definition with these steps and a context.
#[track_caller]
fn check(steps: &str, expected: &[&str]) {
    let context = r#"{"mutable":{"count":0,"list":[]},"readonly":{"env":"dev"}}"#;
    let text = format!(r#"{{"name":"x","version":"1.0.0","context":{context},"steps":[{steps}]}}"#);
    let (plan, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    let told: Vec<_> =
        diagnostics.iter().map(|diagnostic| format!("{} {}", diagnostic.code, diagnostic.message)).collect();
    assert_eq!(told, expected, "{steps}");
    assert_eq!(plan.is_some(), expected.is_empty(), "{steps}");
}

fn echo(id: &str, assign: &str) -> String {
    format!(r#"{{"id":"{id}","type":"skill","skill":"echo","assign":{{{assign}}}}}"#)
}

#[test]
fn keys_are_those_of_the_mutable_context() {
    check(&echo("a", r#""count":1,"list":["${context.env}"]"#), &[]);
    check(&echo("a", r#""env":1"#), &["E060 `env` stands in `context.readonly`"]);
    check(&echo("a", r#""conut":1"#), &["E034 the context has no key `conut`"]);
}

#[test]
fn values_see_what_the_step_gave() {
    check(&echo("a", r#""count":"${a.n + context.count}""#), &[]);
    check(&echo("a", r#""count":"a.n""#), &[]);
    check(&echo("a", r#""count":"steps[\"a\"].outputs.n""#), &[]);
    check(
        &format!("{},{}", echo("a", r#""count":"b.n""#), echo("b", "")),
        &["E031 the step `b` comes later"],
    );
}

#[test]
fn values_see_what_a_step_holds() {
    let holding =
        |kind: &str, assign: &str| format!(r#"{{"id":"g",{kind},"assign":{{"count":"{assign}"}}}}"#);
    let (a, b) = (echo("a", ""), echo("b", ""));
    let sequence = format!(r#""type":"sequence","steps":[{a},{b}]"#);
    check(&holding(&sequence, "b.n"), &[]);
    check(&holding(&sequence, "g.b.n"), &[]);
    let branches = format!(r#""type":"conditional","condition":"true","then":[{a}],"else":[{b}]"#);
    check(&holding(&branches, "a.n"), &["E039 the step `a` may not have run: it stands in a branch"]);
    check(&holding(&branches, "${has(a.n) ? a.n : 0}"), &[]);
    let loop_over = format!(r#""type":"loop","for_each":[1],"steps":[{a}]"#);
    check(&holding(&loop_over, "a.n"), &[]);
    check(&holding(&loop_over, "${item}"), &["E030 `item` is not known here"]);
    let background = format!(r#""type":"parallel","wait_for":"none","steps":[{a},{b}]"#);
    check(&holding(&background, "a.n"), &["E038 the step `a` runs at the same time"]);
}

#[test]
fn inputs_of_set_context_are_assigned() {
    let set =
        |inputs: &str| format!(r#"{{"id":"s","type":"skill","skill":"set-context","inputs":{inputs}}}"#);
    check(&set(r#"{"count":2}"#), &[]);
    check(&set(r#"{"$literal":{"count":2}}"#), &[]);
    check(&set(r#"{"env":2}"#), &["E060 `env` stands in `context.readonly`"]);
    check(&set(r#"{"other":2}"#), &["E034 the context has no key `other`"]);
}
