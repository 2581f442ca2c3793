//! What the definition says of types reaches expressions, and what follows from it is told where it stands.

use super::{LineIndex, checked};
use crate::load::Syntax;

/// Codes, places and messages of a definition with these members besides inputs and a context of each type.
#[track_caller]
fn check(members: &str, expected: &[&str]) {
    let text = format!(
        r#"{{"name":"t","version":"1.0.0","inputs":{{"s":{{"type":"string"}},"i":{{"type":"integer"}},"any":{{}}}},
"context":{{"readonly":{{"word":"a","number":5}},"mutable":{{"kept":"a","set":"a"}}}},
{members}}}"#
    );
    let (_, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    let lines = LineIndex::new(&text);
    let told: Vec<_> = diagnostics
        .iter()
        .map(|found| {
            let place = lines.position(found.span.start);
            let marked = &text[found.span.clone()];
            assert_eq!(place.line, 3);
            format!("{} {marked} {}", found.code, found.message)
        })
        .collect();
    assert_eq!(told, expected, "{members}");
}

/// The same of a condition, behind steps whose results are known.
#[track_caller]
fn check_when(when: &str, expected: &[&str]) {
    check(
        &format!(
            r#""steps":[{{"id":"get","type":"skill","skill":"typed"}},{{"id":"one","type":"skill","skill":"typed","outputs":["maybe"]}},
{{"id":"l","type":"loop","for_each":[1],"steps":[{{"id":"a","type":"skill","skill":"echo","assign":{{"set":5}}}}]}},
{{"id":"z","type":"skill","skill":"echo","when":"{when}"}}]"#
        )
        .replace('\n', " "),
        expected,
    );
}

#[test]
fn conditions_give_bools() {
    check_when("inputs.s", &["W006 i a condition gives a bool, this gives string"]);
    check_when("1 + 1", &["W006 + a condition gives a bool, this gives int"]);
    check_when("${ size(get.data) }", &["W006 s a condition gives a bool, this gives int"]);
    check_when("get.status", &["W006 g a condition gives a bool, this gives number"]);
    check_when("context.number", &["W006 c a condition gives a bool, this gives number"]);
    check_when("inputs.any", &[]);
    check_when("has(get.maybe) ? get.maybe : inputs.any", &[]);
    check(
        r#""steps":[{"id":"c","type":"conditional","condition":"'x'","then":[]}]"#,
        &["W006 ' a condition gives a bool, this gives string"],
    );
    check(
        r#""steps":[{"id":"l","type":"loop","condition":"index","steps":[{"id":"a","type":"skill","skill":"echo"}]}]"#,
        &["W006 i a condition gives a bool, this gives int"],
    );
}

#[test]
fn what_is_declared_is_known() {
    let text = "string and int";
    check_when("inputs.s + 1 == ''", &[&format!("E053 + `+` does not take {text}")]);
    check_when("word + 1 == ''", &[&format!("E053 + `+` does not take {text}")]);
    check_when("context.kept + 1 == ''", &[&format!("E053 + `+` does not take {text}")]);
    check_when("context.set + 1 == 2", &[]);
    check_when("context.number + 'a' == ''", &["W006 + `+` does not take number and string"]);
    check_when("inputs.i + 1.5 > 2.0", &["W006 + `+` does not take int and double"]);
    check_when("run.id + 1 == ''", &[&format!("E053 + `+` does not take {text}")]);
    check_when("steps.get.attempts + 'a' == ''", &["E053 + `+` does not take int and string"]);
    check_when("inputs.i == 'a'", &["W007 == `==` is always false here: number is never equal to string"]);
    check_when("context.number == 'a'", &[]);
}

#[test]
fn results_are_known_where_a_schema_says_them() {
    check_when("get.name + 1 == ''", &["E053 + `+` does not take string and int"]);
    check_when(
        "get.status == '200'",
        &["W007 == `==` is always false here: number is never equal to string"],
    );
    check_when("get.any == '200' && get.text == 'a' && get.data.name == 2", &[]);
    check_when("get.text == 2", &["W007 == `==` is always false here: string is never equal to int"]);
    check_when("one.maybe == 5", &[]);
    check_when("l.iterations == 'a'", &["W007 == `==` is always false here: int is never equal to string"]);
    check_when("l.results + 1 == []", &["E053 + `+` does not take list and int"]);
}

#[test]
fn loops_go_over_arrays() {
    let body = r#""steps":[{"id":"a","type":"skill","skill":"echo"}]"#;
    let each = |items: &str| format!(r#""steps":[{{"id":"l","type":"loop","for_each":"{items}",{body}}}]"#);
    check(&each("inputs.s"), &["E053 inputs.s `for_each` goes over an array, this gives string"]);
    check(&each("${inputs.i + 1}"), &["E053 + `for_each` goes over an array, this gives int"]);
    check(&each("context.number"), &["W006 context.number `for_each` goes over an array, this gives number"]);
    check(&each("inputs.any"), &[]);
    check(&each("[1, 2].map(x, x + 1)"), &[]);
}

#[test]
fn inputs_fit_the_skill() {
    let call = |inputs: &str| {
        format!(r#""steps":[{{"id":"a","type":"skill","skill":"http-get","inputs":{{"url":"u",{inputs}}}}}]"#)
    };
    check(
        &call(r#""headers":"inputs.s""#),
        &[r#"E042 "inputs.s" does not fit the skill: `headers` is map, this gives string"#],
    );
    check(
        &call(r#""headers":"${inputs.i + 1}""#),
        &[r#"E042 "${inputs.i + 1}" does not fit the skill: `headers` is map, this gives int"#],
    );
    check(
        &call(r#""headers":"a ${inputs.any}""#),
        &[r#"E042 "a ${inputs.any}" does not fit the skill: `headers` is map, this gives string"#],
    );
    check(&call(r#""headers":"inputs.any""#), &[]);
    check(&call(r#""headers":{"a":"inputs.s"}"#), &[]);
}

#[test]
fn inputs_fit_the_workflow() {
    let call = |times: &str| {
        format!(
            r#""steps":[{{"id":"w","type":"workflow","workflow":"greet.json","inputs":{{"who":"x","times":"{times}"}}}}]"#
        )
    };
    check(&call("inputs.s"), &[r#"E065 "inputs.s" the input `times` must be of type integer"#]);
    check(&call("inputs.i"), &[]);
    check(&call("inputs.any"), &[]);
}
