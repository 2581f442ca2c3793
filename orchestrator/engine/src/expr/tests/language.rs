//! The traps of numbers, names and missing values. The rest of the language is held by the public suite
//! (`tests/tests/conformance.rs`).

use schemas::failure::Code;

use super::{super::Program, Variables};

fn variables() -> Variables {
    Variables::new(
        r#"{"n": 3, "big": 9007199254740993, "huge": 18446744073709551615, "wide": 1e30, "d": 2.0,
            "fetch-data": {"status": 200, "items": [{"a": 1}, {"a": 2}]}, "a": 5, "b": 2, "a-b": 9,
            "check": {"exists": true, "none": null}, "s": "x-y", "list": [1, 2, 3], "map": {}}"#,
    )
}

#[track_caller]
fn check(expression: &str, expected: &str) {
    let found = variables().evaluate(expression);
    assert_eq!(found.as_ref().map(schemas::json::Json::as_str), Ok(expected), "{expression}");
}

/// The error at run time: its code, a part of its message, and where it is.
#[track_caller]
fn check_error(expression: &str, code: Code, part: &str, offset: usize) {
    let error = variables().evaluate(expression).unwrap_err();
    assert!(error.to_string().contains(part), "{expression}: {error}");
    assert_eq!((error.code(), error.offset()), (code, Some(offset)), "{expression}: {error}");
}

/// The error of a text that is no expression.
#[track_caller]
fn check_refused(expression: &str, part: &str, offset: usize) {
    let error = variables().compile(expression).unwrap_err();
    assert!(error.message.contains(part), "{expression}: {error}");
    assert_eq!(error.place.start, offset, "{expression}: {error}");
}

#[test]
fn the_conditions_of_the_plan() {
    check("check.exists == true", "true");
    check("fetch-data.status == 200", "true");
    check("n < 5", "true");
}

#[test]
fn whole_numbers_of_json_are_ints() {
    check("n + 1", "4");
    check("type(n) == int", "true");
    check("type(huge) == uint", "true");
    check("type(wide) == double", "true");
    check("type(d) == double", "true");
    check("-n", "-3");
}

#[test]
fn numbers_compare_by_exact_value() {
    check("big == 9007199254740992.0", "false");
    check("big > 9007199254740992.0", "true");
    check("9007199254740992.0 < big", "true");
    check("n == 3.0", "true");
    check("huge > 1.8446744073709550e19", "true");
    check("huge < 1.8446744073709552e19", "true");
    check("-1 < huge", "true");
    check("3 < 3.5 && 3.5 < 4 && -4 < -3.5 && -3.5 < -3", "true");
    check("n in [1.0, 3.0]", "true");
    check("[1, 2.0] == [1.0, 2]", "true");
    check("0.0/0.0 == 0.0/0.0 || 1 < 0.0/0.0 || 1 >= 0.0/0.0", "false");
}

#[test]
fn arithmetic_does_not_mix_types() {
    check_error("n + 2.5", Code::ExpressionError, "double(x)", 2);
    check_error("2.5 * n", Code::ExpressionError, "double(x)", 4);
    check_error("'n: ' + n", Code::ExpressionError, "string(x)", 6);
    check_error("1 + 1u", Code::ExpressionError, "int(x)", 2);
    check("double(n) + 2.5", "5.5");
    check_error("9223372036854775807 + 1", Code::ExpressionError, "out of the range", 20);
    check_error("n / 0", Code::ExpressionError, "zero", 2);
    check_error("n % 0", Code::ExpressionError, "zero", 2);
}

#[test]
fn a_declared_name_with_hyphens_is_one_name() {
    check("fetch-data.items[1].a", "2");
    check("fetch-data.status-n", "197");
    check("s == 'fetch-data'", "false");
    check("n-1", "2");
    check("a - b", "3");
    let program = Program::compile("n + a-b", &mut variables()).unwrap();
    assert_eq!(program.problems().len(), 1);
    assert_eq!(program.problems()[0].place, 4..7);
    assert!(program.problems()[0].message.contains("`a - b`"));
}

#[test]
fn errors_point_at_the_original_text() {
    check_error("fetch-data.status + n.x", Code::MissingReference, "`n.x`", 20);
    check_error("'ä' + fetch-data.status", Code::ExpressionError, "string(x)", 5);
    check_error("true && nothing", Code::ExpressionError, "`nothing`", 8);
    check_error("list.map(x, x / 0)", Code::ExpressionError, "zero", 14);
    check_refused("fetch-data.status = 1", "`=`", 18);
    check_refused("'ä' + ", "too early", 7);
    check_refused("1 +\n * 2", "`*`", 5);
    check_refused("has(n)", "`has(a.b)`", 4);
    check_refused("as.b", "steps[\"as\"]", 0);
    check_refused("", "too early", 0);
}

#[test]
fn what_is_missing_can_be_asked_for() {
    check("has(check.exists)", "true");
    check("has(check.none)", "true");
    check("has(check.other)", "false");
    check("has(check.other.deep)", "false");
    check("has(map.x) && map.x == 1", "false");
    check("has(fetch-data.items)", "true");
    check("fetch-data.items.exists(i, has(i.b))", "false");
    check_error("check.other == 1", Code::MissingReference, "`check.other`", 0);
    check_error("fetch-data.items[7]", Code::MissingReference, "`fetch-data.items[7]`", 0);
    check_error("fetch-data.items[n]", Code::MissingReference, "no such element", 16);
    check_error("{'a': 1}.b", Code::MissingReference, "`b`", 8);
}

#[test]
fn values_keep_their_text_where_nothing_looks_inside() {
    check("fetch-data.items", r#"[{"a": 1}, {"a": 2}]"#);
    check("n == 3 ? fetch-data.items[0] : map", r#"{"a": 1}"#);
    check("[n, d, null, 'q\"']", r#"[3,2.0,null,"q\""]"#);
    check("{'k': list}", r#"{"k":[1, 2, 3]}"#);
    check("list + [4]", "[1,2,3,4]");
    check("b'ab'", r#""YWI=""#);
    check("duration('1.5s')", r#""1.5s""#);
    check_error("{1: 2}", Code::ExpressionError, "no JSON form", 0);
    check_error("1.0 / 0.0", Code::ExpressionError, "no JSON form", 4);
}

#[test]
fn a_condition_gives_a_bool() {
    let condition = |text: &str| variables().compile(text).unwrap().condition(&variables());
    assert_eq!(condition("n < 5"), Ok(true));
    assert_eq!(condition("n > 5"), Ok(false));
    let error = condition("n").unwrap_err();
    assert_eq!(error.code(), Code::ExpressionError);
    assert!(error.to_string().contains("bool, this gives int"));
}

#[test]
fn names_that_there_are_not_are_problems_and_can_be_absorbed() {
    let program = variables().compile("nothing || foo(1) || startsWith('a', 'b') || true").unwrap();
    let problems: Vec<_> = program.problems().iter().map(|problem| problem.place.clone()).collect();
    assert_eq!(problems, [0..7, 11..14, 21..31]);
    assert_eq!(program.evaluate(&variables()).unwrap().as_str(), "true");
    let program = variables().compile("sise(list) > 0 && s.matches('(')").unwrap();
    assert!(program.problems()[0].message.contains("did you mean `size`?"));
    assert!(program.problems()[1].message.contains("unclosed group"));
}

#[test]
fn moments_and_spans() {
    check("timestamp('2024-02-29T12:00:00Z').getDayOfYear()", "59");
    check("timestamp('2024-07-01T00:00:00+02:00').getHours('Europe/Berlin')", "0");
    check("string(timestamp('2024-02-29T12:00:00.5Z') + duration('1h30m'))", r#""2024-02-29T13:30:00.5Z""#);
    check("duration('-1.5ms') < duration('0s')", "true");
    check_error("timestamp('2024-02-30T00:00:00Z')", Code::ExpressionError, "cannot be made", 0);
    check_error("timestamp('2024-02-29T00:00:00')", Code::ExpressionError, "cannot be made", 0);
    check_error("duration('1 s')", Code::ExpressionError, "cannot be made", 0);
    check_error("timestamp(0).getHours('Nowhere')", Code::ExpressionError, "time zone", 13);
}
