//! What may refer to what in groups, branches and loops, and the rules of loops.

use super::checked;
use crate::load::Syntax;

/// Codes and messages of a definition with these steps; a step is `id:reference`, what holds others is JSON.
#[track_caller]
fn check(steps: &str, expected: &[&str]) {
    let text = format!(r#"{{"name":"x","version":"1.0.0","steps":[{steps}]}}"#);
    let (plan, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    let told: Vec<_> =
        diagnostics.iter().map(|diagnostic| format!("{} {}", diagnostic.code, diagnostic.message)).collect();
    assert_eq!(told, expected, "{steps}");
    assert_eq!(plan.is_some(), expected.is_empty(), "{steps}");
}

fn echo(id: &str, value: &str) -> String {
    format!(r#"{{"id":"{id}","type":"skill","skill":"echo","inputs":{{"v":"{value}"}}}}"#)
}

fn parallel(id: &str, steps: &[String]) -> String {
    format!(r#"{{"id":"{id}","type":"parallel","steps":[{}]}}"#, steps.join(","))
}

fn sequence(id: &str, steps: &[String]) -> String {
    format!(r#"{{"id":"{id}","type":"sequence","steps":[{}]}}"#, steps.join(","))
}

fn conditional(condition: &str, then: &str, otherwise: &str) -> String {
    format!(
        r#"{{"id":"c","type":"conditional","condition":"{condition}","then":[{then}],"else":[{otherwise}]}}"#
    )
}

fn each(members: &str, steps: &[String]) -> String {
    format!(r#"{{"id":"l","type":"loop",{members},"steps":[{}]}}"#, steps.join(","))
}

#[test]
fn groups() {
    let group = parallel("g", &[echo("a", "x"), echo("b", "x")]);
    check(&format!("{group},{}", echo("z", "a.v")), &[]);
    check(&format!("{group},{}", echo("z", "g.b.v")), &[]);
    check(&format!("{group},{}", echo("z", "g.q")), &["E033 the step `g` has no output `q`"]);
    let siblings = parallel("g", &[echo("a", "x"), sequence("s", &[echo("b", "x"), echo("c", "a.v")])]);
    check(&siblings, &["E038 the step `a` runs at the same time"]);
    let inner = parallel("g", &[echo("a", "x"), sequence("s", &[echo("b", "x"), echo("c", "b.v")])]);
    check(&inner, &[]);
    check(&sequence("s", &[echo("a", "s.data")]), &["E038 the step `s` holds this one, and ends after it"]);
    check(&sequence("s", &[echo("a", "b.v"), echo("b", "x")]), &["E031 the step `b` comes later"]);
    check(
        &format!("{},{}", echo("z", "a.v"), sequence("s", &[echo("a", "x")])),
        &["E031 the step `a` comes later"],
    );
}

#[test]
fn branches() {
    let (a, b) = (echo("a", "x"), echo("b", "x"));
    let both = conditional("true", &a, &b);
    check(&format!("{both},{}", echo("z", "c.branch")), &[]);
    check(&format!("{both},{}", echo("z", "c.a.v")), &[]);
    let may_not = "E039 the step `a` may not have run: it stands in a branch";
    check(&format!("{both},{}", echo("z", "a.v")), &[may_not]);
    check(&format!("{both},{}", echo("z", "${a.v}")), &[may_not]);
    check(&format!("{both},{}", echo("z", "${has(a.v) ? a.v : 0}")), &[]);
    check(&format!("{both},{}", echo("z", "${has(b.v) ? a.v : 0}")), &[may_not]);
    check(&format!("{both},{}", echo("z", "${has(steps['a'].status) ? 1 : 0}")), &[]);
    check(&conditional("true", &a, &echo("b", "a.v")), &["E038 the step `a` stands in the other branch"]);
    check(&conditional("true", &format!("{a},{}", echo("d", "a.v")), &b), &[]);
    check(&conditional("a.v == 1", &a, &b), &["E031 the step `a` comes later"]);
}

#[test]
fn loops() {
    let items = r#""for_each":[1,2]"#;
    check(&each(items, &[echo("a", "item"), echo("b", "index"), echo("c", "a.v")]), &[]);
    check(&each(items, &[echo("a", "b.v"), echo("b", "b.v")]), &[]);
    check(
        &each(r#""for_each":[1,2],"max_concurrent":2"#, &[echo("a", "b.v"), echo("b", "a.v")]),
        &["E038 there is no turn before for `b`: several turns run at once"],
    );
    check(&each(r#""condition":"!has(a.v) || a.v < 5""#, &[echo("a", "${index}")]), &[]);
    check(&format!("{},{}", each(items, &[echo("a", "x")]), echo("z", "a.v")), &[]);
    check(&each(r#""for_each":"a.v""#, &[echo("a", "x")]), &["E031 the step `a` comes later"]);
    check(&echo("z", "${item}"), &["E030 `item` is not known here"]);
    let named = r#""for_each":["x"],"as":"file""#;
    check(&each(named, &[echo("a", "${file} ${file_index} ${index}")]), &[]);
    check(&each(named, &[echo("a", "${item}")]), &["E030 `item` is not known here"]);
    check(
        &each(r#""for_each":["x"],"as":"a""#, &[echo("a", "x")]),
        &["E013 `a` cannot be the name of an item"],
    );
    check(
        &each(r#""for_each":["x"],"as":"run""#, &[echo("a", "x")]),
        &["E013 `run` cannot be the name of an item"],
    );
    check(
        &each(r#""condition":"false","max_concurrent":2"#, &[echo("a", "x")]),
        &["E024 `max_concurrent` has no meaning in a loop with a condition"],
    );
}

#[test]
fn outputs_of_what_holds_others_are_known() {
    let listed = r#"{"id":"s","type":"sequence","outputs":["a","b"],"steps":[{"id":"a","type":"skill","skill":"echo"}]}"#;
    check(listed, &["E033 the step gives no `b`"]);
    check(&format!("{},{}", each(r#""for_each":[]"#, &[echo("a", "x")]), echo("z", "l.results")), &[]);
}
