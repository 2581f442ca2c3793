//! What may refer to what in groups, branches and loops, and the rules of loops.

use super::checked;
use crate::load::Syntax;

/// Codes and messages of a definition with these steps; a step is `id:reference`, what holds others is JSON.
#[track_caller]
fn check(steps: &str, expected: &[&str]) {
    assert_eq!(told(steps, expected), expected.is_empty(), "{steps}");
}

/// As [`check`], where warnings are all.
#[track_caller]
fn check_warned(steps: &str, expected: &[&str]) {
    assert!(told(steps, expected), "{steps}");
}

/// Whether there is a plan.
#[track_caller]
fn told(steps: &str, expected: &[&str]) -> bool {
    let text = format!(r#"{{"name":"x","version":"1.0.0","steps":[{steps}]}}"#);
    let (plan, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    let told: Vec<_> =
        diagnostics.iter().map(|diagnostic| format!("{} {}", diagnostic.code, diagnostic.message)).collect();
    assert_eq!(told, expected, "{steps}");
    plan.is_some()
}

fn echo(id: &str, value: &str) -> String {
    format!(r#"{{"id":"{id}","type":"skill","skill":"echo","inputs":{{"v":"{value}"}}}}"#)
}

fn when(id: &str, condition: &str) -> String {
    format!(r#"{{"id":"{id}","type":"skill","skill":"echo","when":"{condition}"}}"#)
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
    for guarded in [
        "has(a.v) && a.v > 1",
        "a.v > 1 && has(a.v)",
        "has(a.w) && (a.v > 1 || a.v < 0)",
        "!has(a.v) || a.v > 1",
        "!(has(a.v) && b.v == 1) || has(b.v)",
        "!has(a.v) ? true : a.v > 1",
        "has(a.v) == true ? a.v > 1 : false",
        "[1].exists(x, has(a.v) && a.v > x)",
        "has(steps['a'].outputs) && a.v > 1",
        "has(a.v) && steps.a.attempts > 1",
        "has(a.v) && has(b.v) && a.v == b.v",
    ] {
        // `b` is only named where that is the point.
        let left: &[&str] = if guarded.contains("b.v == 1)") {
            &["E039 the step `b` may not have run: it stands in a branch"]
        } else {
            &[]
        };
        check(&format!("{both},{}", when("z", guarded)), left);
    }
    for unguarded in [
        "has(b.v) && a.v > 1",
        "'has(a.v)' == '' && a.v > 1",
        "has(a.v) || a.v > 1",
        "!has(a.v) && a.v > 1",
        "has(a.v) ? true : a.v > 1",
        "(has(a.v) ? true : false) && a.v > 1",
        "has(a.v) == (a.v > 1)",
        "has(a.v) != true && a.v > 1",
        "has({'a': 1}.a) && a.v > 1",
        "[{'v': 1}].all(a, has(a.v)) && a.v > 1",
        "has(a.items[steps.b.attempts].x) || true",
    ] {
        let text = format!("{both},{}", when("z", unguarded));
        let (_, diagnostics) =
            checked(format!(r#"{{"name":"x","version":"1.0.0","steps":[{text}]}}"#).as_bytes(), Syntax::Json);
        assert!(diagnostics.iter().any(|found| found.code == "E039"), "{unguarded}");
    }
    check(&conditional("true", &a, &echo("b", "a.v")), &["E038 the step `a` stands in the other branch"]);
    check(&conditional("true", &format!("{a},{}", echo("d", "a.v")), &b), &[]);
    check(&conditional("a.v == 1", &a, &b), &["E031 the step `a` comes later"]);
}

/// What a step runs under holds for its own values, and for those inside it.
#[test]
fn branches_that_conditions_around_ask_for() {
    let both = conditional("true", &echo("a", "x"), &echo("b", "x"));
    let may_not = "E039 the step `a` may not have run: it stands in a branch";
    let with = |condition: &str, value: &str| {
        let step = format!(
            r#"{{"id":"z","type":"skill","skill":"echo","when":"{condition}","inputs":{{"v":"{value}"}}}}"#
        );
        format!("{both},{step}")
    };
    check(&with("has(a.v)", "a.v"), &[]);
    check(&with("${ has(a.v) && true }", "${a.v}"), &[]);
    check(&with("has(b.v)", "a.v"), &[may_not]);
    check(&with("!has(a.v)", "a.v"), &[may_not]);
    let inside = |list: &str, condition: &str| {
        let step = sequence("q", &[echo("z", "a.v")]);
        let other = if list == "else" { r#""then":[],"# } else { "" };
        format!(
            r#"{both},{{"id":"d","type":"conditional","condition":"{condition}",{other}"{list}":[{step}]}}"#
        )
    };
    check(&inside("then", "has(a.v)"), &[]);
    check(&inside("else", "!has(a.v)"), &[]);
    check(&inside("then", "!has(a.v)"), &[may_not]);
    check(&inside("else", "has(a.v)"), &[may_not]);
    check(&format!("{both},{}", when("z", "a.v == 1 || has(a.v)")), &[may_not]);
}

#[test]
fn ids_that_a_group_has_for_itself() {
    let (winner, branch) = (echo("winner", "x"), echo("branch", "x"));
    let any = format!(r#"{{"id":"g","type":"parallel","wait_for":"any","steps":[{winner},{branch}]}}"#);
    let hidden = |own: &str| format!("W005 `{own}` of the group hides the outputs of this step");
    check_warned(&any, &[&hidden("winner")]);
    check(&parallel("g", &[winner.clone(), branch.clone()]), &[]);
    check_warned(&conditional("true", &winner, &branch), &[&hidden("branch")]);
    check(&sequence("s", &[winner, branch]), &[]);
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
