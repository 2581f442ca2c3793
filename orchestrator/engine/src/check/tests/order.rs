//! What may be named where: each kind of place with each kind of source. A reference is legal exactly when its source has
//! ended on every path to the reader, or is in the background, and is waited for.

use super::{checked, rendered};
use crate::load::Syntax;

/// What stands before the reader, each source in its own way, and what comes after it.
const SOURCES: [&str; 11] =
    ["before", "maybe", "asked", "inner", "both", "winner", "left", "taken", "turn", "later", "reader"];

const BEFORE: &str = r#"
    {"id":"before",~},
    {"id":"maybe",~,"when":"before.v == 1"},
    {"id":"asked",~,"async":true},
    {"id":"s","type":"sequence","steps":[{"id":"inner",~}]},
    {"id":"p","type":"parallel","steps":[{"id":"both",~},{"id":"x1",~}]},
    {"id":"q","type":"parallel","wait_for":"any","steps":[{"id":"winner",~},{"id":"x2",~}]},
    {"id":"n","type":"parallel","wait_for":"none","steps":[{"id":"left",~},{"id":"x3",~}]},
    {"id":"c","type":"conditional","condition":"before.v == 1","then":[{"id":"taken",~}],"else":[{"id":"other",~}]},
    {"id":"l","type":"loop","for_each":[1,2],"steps":[{"id":"turn",~}]}"#;
const AFTER: &str = r#"{"id":"later",~}"#;

/// What stands for `~`.
const ECHO: &str = r#""type":"skill","skill":"echo""#;

/// What a definition says where a place, with `@` for an expression, reads a source: `.` nothing, `?` that the source must
/// be asked for with `has()`, `>` that it comes later, `o` that it is the reader, `x` that it is not there, `!` another thing.
fn said(place: &Place<'_>, expression: &str) -> char {
    let fill = |text: &str| text.replace('@', expression).replace('~', ECHO);
    let text = format!(
        r#"{{"name":"t","version":"1.0.0","context":{{"mutable":{{"k":0}}}},"steps":[{},{},{}]{}}}"#,
        fill(BEFORE),
        fill(place.step),
        fill(AFTER),
        fill(place.top)
    );
    let (_, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    // What types say of it is not the matter here; an `any` group hides an id.
    match diagnostics.iter().map(|found| found.code).find(|code| code.starts_with('E')) {
        None => '.',
        Some("E039") => '?',
        Some("E031") => '>',
        Some("E032") => 'o',
        Some("E038") => 'x',
        Some(_) => panic!("{text}\n{}", rendered(&text, &diagnostics)),
    }
}

/// A step, and what stands beside the steps.
struct Place<'a> {
    step: &'a str,
    top: &'a str,
}

const READER: &str = r#"{"id":"reader",~}"#;

/// Each source in a place as it stands; `has()` before it mends what is `?`, and nothing else.
#[track_caller]
fn check(step: &str, top: &str, expected: &str) {
    let place = Place { step, top };
    let plain: String = SOURCES.iter().map(|source| said(&place, &format!("{source}.data"))).collect();
    assert_eq!(plain, expected, "of {}", SOURCES.join(" "));
    let asked = |source: &&str| said(&place, &format!("(has({source}.data) ? {source}.data : 1)"));
    let guarded: String = SOURCES.iter().map(asked).collect();
    assert_eq!(guarded, expected.replace('?', "."), "with `has()`, of {}", SOURCES.join(" "));
}

#[test]
fn steps_of_the_run() {
    let read = ".......?.>o";
    check(r#"{"id":"reader",~,"inputs":{"v":"${@}"}}"#, "", read);
    check(r#"{"id":"reader",~,"inputs":{"v":[{"w":"a ${@}"}]}}"#, "", read);
    check(r#"{"id":"reader",~,"env":{"V":"${@}"}}"#, "", read);
    check(r#"{"id":"reader",~,"cwd":"${@}"}"#, "", read);
    check(r#"{"id":"reader",~,"when":"@ == 1"}"#, "", read);
    check(r#"{"id":"reader",~,"async":true,"inputs":{"v":"${@}"}}"#, "", read);
    check(r#"{"id":"reader","type":"agent","agent":"code-analyzer","prompt":"${@}"}"#, "", read);
    check(r#"{"id":"reader","type":"workflow","workflow":"greet.json","inputs":{"who":"${@}"}}"#, "", read);
    check(r#"{"id":"reader","type":"conditional","condition":"@ == 1","then":[]}"#, "", read);
    check(r#"{"id":"reader","type":"loop","for_each":"@","steps":[{"id":"z",~}]}"#, "", read);
    check(r#"{"id":"reader","type":"loop","for_each":[1,"${@}"],"steps":[{"id":"z",~}]}"#, "", read);
    // What has completed may name itself.
    check(r#"{"id":"reader",~,"assign":{"k":"${@}"}}"#, "", ".......?.>.");
    check(
        r#"{"id":"reader","type":"sequence","assign":{"k":"${@}"},"steps":[{"id":"z",~}]}"#,
        "",
        ".......?.>.",
    );
}

#[test]
fn steps_inside_others() {
    let inside = ".......?.>x";
    for around in [
        r#"{"id":"reader","type":"sequence","steps":[{"id":"z",~,"inputs":{"v":"${@}"}}]}"#,
        r#"{"id":"reader","type":"parallel","steps":[{"id":"y",~},{"id":"z",~,"inputs":{"v":"${@}"}}]}"#,
        r#"{"id":"reader","type":"parallel","wait_for":"none","steps":[{"id":"y",~},{"id":"z",~,"inputs":{"v":"${@}"}}]}"#,
        r#"{"id":"reader","type":"conditional","condition":"before.v == 1","then":[{"id":"z",~,"inputs":{"v":"${@}"}}]}"#,
        r#"{"id":"reader","type":"conditional","condition":"before.v == 1","then":[],"else":[{"id":"z",~,"inputs":{"v":"${@}"}}]}"#,
        r#"{"id":"reader","type":"loop","for_each":[1],"steps":[{"id":"z",~,"inputs":{"v":"${@}"}}]}"#,
        r#"{"id":"reader","type":"loop","condition":"@ == 1","steps":[{"id":"z",~}]}"#,
    ] {
        check(around, "", inside);
    }
}

#[test]
fn what_stands_beside_the_run() {
    // All of the run has ended; what has not run is missing.
    let after_all = ".......?...";
    check(READER, r#","outputs":{"o":"${@}"}"#, after_all);
    check(READER, r#","finally":[{"id":"f",~,"inputs":{"v":"${@}"}}]"#, after_all);
    check(
        READER,
        r#","error_handling":{"rollback":{"steps":[{"id":"f",~,"inputs":{"v":"${@}"}}]}}"#,
        after_all,
    );
    check(
        READER,
        r#","handlers":[{"id":"h",~,"inputs":{"v":"${@}"}}],"error_handling":{"rollback":{"steps":["h"]}}"#,
        after_all,
    );
    // An undo step sees what its step saw, and that step.
    check(r#"{"id":"reader",~,"rollback":{"id":"u",~,"inputs":{"v":"${@}"}}}"#, "", ".......?.>.");
    check(r#"{"id":"reader",~,"rollback":[{"id":"t",~},{"id":"u",~,"when":"@ == 1"}]}"#, "", ".......?.>.");
}

#[test]
fn handlers() {
    let handler = r#","handlers":[{"id":"h",~,"inputs":{"v":"${@}"}}]"#;
    let seen = ".......?.>?";
    check(r#"{"id":"reader",~,"error_handling":{"strategy":"custom","custom_handler":"h"}}"#, handler, seen);
    check(
        r#"{"id":"reader",~,"error_handling":[{"strategy":"skip","on":["oom"]},{"strategy":"retry","then":{"strategy":"custom","custom_handler":"h"}}]}"#,
        handler,
        seen,
    );
    check(
        READER,
        r#","error_handling":{"per_step":{"reader":{"strategy":"custom","custom_handler":"h"}}},"handlers":[{"id":"h","type":"sequence","steps":[{"id":"i",~,"when":"@ == 1"}]}]"#,
        seen,
    );
    // Two steps have it: what is between them is there for one.
    check(
        READER,
        r#","error_handling":{"per_step":{"reader":{"strategy":"custom","custom_handler":"h"},"maybe":{"strategy":"custom","custom_handler":"h"}}},"handlers":[{"id":"h",~,"inputs":{"v":"${@}"}}]"#,
        ".????????>?",
    );
    // The default is for every leaf step that has no other; some of them run beside each other.
    check(
        r#"{"id":"reader",~,"error_handling":"skip"}"#,
        r#","error_handling":{"default":{"strategy":"custom","custom_handler":"h"}},"handlers":[{"id":"h",~,"inputs":{"v":"${@}"}}]"#,
        "????xxx????",
    );
    // Nobody has it.
    check(READER, handler, ".......?...");
}

/// The code that a definition with these steps gives, where `@` is an expression.
#[track_caller]
fn check_structure(steps: &str, top: &str, expression: &str, expected: char) {
    let place = Place { step: steps, top };
    assert_eq!(said(&place, expression), expected, "{steps} {top} {expression}");
}

#[test]
fn handlers_of_steps_inside_others() {
    let handler = r#","handlers":[{"id":"h",~,"inputs":{"v":"${@}"}}],"error_handling":{"per_step":{"a":{"strategy":"custom","custom_handler":"h"}}}"#;
    let beside = r#"{"id":"g","type":"parallel","steps":[{"id":"a",~},{"id":"b",~}]}"#;
    check_structure(beside, handler, "b.v", 'x');
    check_structure(beside, handler, "has(b.v)", 'x');
    check_structure(beside, handler, "g.data", 'x');
    let body = r#"{"id":"g","type":"loop","for_each":[1,2],"steps":[{"id":"a",~},{"id":"b",~}]}"#;
    check_structure(body, handler, "b.v", '.');
    let at_once =
        r#"{"id":"g","type":"loop","for_each":[1,2],"max_concurrent":2,"steps":[{"id":"a",~},{"id":"b",~}]}"#;
    check_structure(at_once, handler, "b.v", 'x');
    // What it holds has ended with it.
    let holder = r#"{"id":"a","type":"sequence","steps":[{"id":"b",~},{"id":"d","type":"conditional","condition":"true","then":[{"id":"e",~}]}]}"#;
    check_structure(holder, handler, "b.v", '.');
    check_structure(holder, handler, "e.v", '?');
    // Its record says how it failed.
    check_structure(holder, handler, "steps.a.attempts", '.');
    check_structure(holder, handler, "steps.later.attempts", '>');
    // A handler may be for an undo step too, and sees what that sees.
    let undo = r#"{"id":"b",~,"rollback":{"id":"a",~}}"#;
    check_structure(undo, handler, "b.v", '.');
    check_structure(undo, handler, "later.v", '>');
    check_structure(undo, handler, "a.v", 'x');
}

#[test]
fn undo_steps_of_what_holds_others() {
    let holder = r#"{"id":"a","type":"sequence","rollback":{"id":"u",~,"inputs":{"v":"${@}"}},
        "steps":[{"id":"b",~},{"id":"d","type":"conditional","condition":"true","then":[{"id":"e",~}]}]}"#;
    check_structure(holder, "", "b.v", '.');
    check_structure(holder, "", "e.v", '?');
    check_structure(holder, "", "a.b.v", '.');
}

#[test]
fn lists_beside_the_run_are_closed() {
    let top = r#","handlers":[{"id":"h",~}],"finally":[{"id":"f",~},{"id":"g",~,"inputs":{"v":"${@}"}}],
        "error_handling":{"rollback":{"steps":[{"id":"t",~}]}}"#;
    let step = r#"{"id":"reader",~,"rollback":{"id":"u",~}}"#;
    check_structure(step, top, "f.v", '.');
    check_structure(step, top, "g.v", 'o');
    for aside in ["h.v", "t.v", "u.v", "has(u.v)"] {
        check_structure(step, top, aside, 'x');
    }
    check_structure(r#"{"id":"reader",~,"inputs":{"v":"${@}"}}"#, r#","finally":[{"id":"f",~}]"#, "f.v", 'x');
}

/// Of two branches one runs: where a step of one has not, those of the other have.
#[test]
fn branches_exclude_each_other() {
    let step = r#"{"id":"reader",~,"inputs":{"v":"${@}"}}"#;
    let check = |expression: &str, expected| check_structure(step, "", expression, expected);
    check("has(taken.v) ? taken.v : other.v", '.');
    check("has(other.v) ? other.v : taken.v", '.');
    check("!has(taken.v) ? other.v : taken.v", '.');
    check("has(taken.v) == false ? other.v : 1", '.');
    check("has(steps.taken.status) ? 1 : other.v", '.');
    check("has(taken.v) || other.v == 1", '.');
    check("has(taken.v) ? other.v : taken.v", '?');
    check("has(before.v) ? 1 : other.v", '?');
    check("has(taken.v) && other.v == 1", '?');
    check("has(maybe.v) ? 1 : other.v", '?');
    let around = r#"{"id":"reader",~,"when":"!has(taken.v)","inputs":{"v":"${@}"}}"#;
    check_structure(around, "", "other.v", '.');
    check_structure(around, "", "taken.v", '?');
    // A chain of conditionals, as `else if` makes it.
    let chain = r#"{"id":"c1","type":"conditional","condition":"true","then":[{"id":"a",~}],"else":[
        {"id":"c2","type":"conditional","condition":"true","then":[{"id":"b",~}],"else":[{"id":"d",~}]}]},
        {"id":"reader",~,"inputs":{"v":"${@}"}}"#;
    check_structure(chain, "", "has(a.v) ? a.v : has(b.v) ? b.v : d.v", '.');
    check_structure(chain, "", "has(b.v) ? b.v : d.v", '?');
    check_structure(chain, "", "has(a.v) ? a.v : d.v", '?');
    // A step that may be skipped, or is held by what may leave it out, says nothing of its branch.
    let unsure = r#"{"id":"c1","type":"conditional","condition":"true","then":[{"id":"a",~,"when":"before.v == 1"},
        {"id":"g","type":"parallel","wait_for":"any","steps":[{"id":"b",~},{"id":"b2",~}]}],"else":[{"id":"d",~}]},
        {"id":"reader",~,"inputs":{"v":"${@}"}}"#;
    check_structure(unsure, "", "has(a.v) ? a.v : d.v", '?');
    check_structure(unsure, "", "has(b.v) ? b.v : d.v", '?');
    check_structure(unsure, "", "has(d.v) ? d.v : g.data", '.');
}
