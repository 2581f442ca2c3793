//! Definitions that call each other.

use super::{catalog, check_with, library, plan};
use crate::{
    load::{Syntax, load},
    plan::StepKind,
};

/// What is wrong with a definition with these steps, and with the files that it calls: file, code and message.
#[track_caller]
fn check(steps: &str, files: &[(&str, &str)], expected: &[&str]) {
    let text = format!(r#"{{"name":"top","version":"1.0.0","steps":[{steps}]}}"#);
    let definition = load(text.as_bytes(), Syntax::Json).expect("the text is JSON");
    let checked = check_with(&definition, &catalog(), &library(files));
    let mut told: Vec<_> =
        checked.diagnostics.iter().map(|found| format!("{} {}", found.code, found.message)).collect();
    for (index, diagnostics) in &checked.library {
        let name = files[*index].0;
        told.extend(diagnostics.iter().map(|found| format!("{name}: {} {}", found.code, found.message)));
    }
    assert_eq!(told, expected, "{steps}");
    assert_eq!(checked.plan.is_some(), expected.is_empty(), "{steps}");
}

fn call(id: &str, workflow: &str, inputs: &str) -> String {
    format!(r#"{{"id":"{id}","type":"workflow","workflow":"{workflow}","inputs":{{{inputs}}}}}"#)
}

/// A definition with one step.
fn file(step: &str) -> String {
    format!(r#"{{"name":"f","version":"1.0.0","steps":[{step}],"outputs":{{"v":1}}}}"#)
}

const ECHO: &str = r#"{"id":"e","type":"skill","skill":"echo"}"#;

#[test]
fn inputs_are_those_that_are_declared() {
    let greet = |inputs: &str| call("c", "greet.json", inputs);
    let file = [("greet.json", include_str!("greet.json"))];
    check(&greet(r#""who":"ann""#), &file, &[]);
    check(&greet(r#""who":"${run.id}","times":2"#), &file, &[]);
    check(&greet(""), &file, &["E065 the workflow in greet.json needs the input `who`"]);
    check(&greet(r#""who":1"#), &file, &["E065 the input `who` must be of type string"]);
    check(
        &greet(r#""who":"x","time":2"#),
        &file,
        &["E065 the workflow in greet.json declares no input `time`"],
    );
}

#[test]
fn outputs_are_those_that_it_gives() {
    let file = [("greet.json", include_str!("greet.json"))];
    let then = |value: &str| {
        let echo = format!(r#"{{"id":"z","type":"skill","skill":"echo","inputs":{{"v":"{value}"}}}}"#);
        format!("{},{echo}", call("c", "greet.json", r#""who":"x""#))
    };
    check(&then("c.line"), &file, &[]);
    check(&then("c.data"), &file, &[]);
    check(&then("c.other"), &file, &["E033 the step `c` has no output `other`"]);
    // What stands inside is not seen from outside.
    check(&then("${say.line}"), &file, &["E030 `say` is not known here"]);
}

#[test]
fn what_is_not_there_or_wrong_is_told_with_its_file() {
    check(&call("c", "none.json", ""), &[], &["E061 the workflow `none.json` does not exist"]);
    let wrong = file(r#"{"id":"e","type":"skill","skill":"ecko"}"#);
    check(
        &[call("a", "f", ""), call("b", "f", "")].join(","),
        &[("f", &wrong)],
        &[
            "E062 the workflow in f is not valid",
            "E062 the workflow in f is not valid",
            "f: E040 the skill `ecko` does not exist",
        ],
    );
    check(
        &call("a", "f", ""),
        &[("f", "{")],
        &["E062 the workflow in f is not valid", "f: E004 unterminated object"],
    );
}

#[test]
fn nothing_calls_itself() {
    check(&call("a", "top.json", ""), &[], &["E063 top.json calls itself"]);
    check(
        &call("a", "f", ""),
        &[("f", &file(&call("b", "top.json", "")))],
        &["E062 the workflow in f is not valid", "f: E063 top.json calls itself"],
    );
    check(
        &call("a", "f", ""),
        &[("f", &file(&call("b", "g", ""))), ("g", &file(&call("c", "f", "")))],
        &[
            "E062 the workflow in f is not valid",
            "f: E062 the workflow in g is not valid",
            "g: E063 f calls itself",
        ],
    );
}

/// A definition that calls the first of so many files, each of which calls the next, and what is wrong.
fn chain(length: usize) -> Vec<String> {
    let names: Vec<_> = (0..length).map(|index| format!("f{index}")).collect();
    let texts: Vec<_> = (1..=length)
        .map(|next| file(&names.get(next).map_or_else(|| ECHO.to_owned(), |next| call("c", next, ""))))
        .collect();
    let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let top = load(file(&call("c", "f0", "")).as_bytes(), Syntax::Json).expect("the text is JSON");
    let checked = check_with(&top, &catalog(), &library(&files));
    let all = checked.diagnostics.into_iter().chain(checked.library.into_values().flatten());
    all.map(|found| found.code.to_owned()).collect()
}

#[test]
fn depth_has_a_bound() {
    assert_eq!(chain(16), [""; 0]);
    let codes = chain(17);
    assert_eq!((codes.iter().filter(|code| *code == "E064").count(), codes.len()), (1, 17));
}

#[test]
fn calls_that_multiply_come_to_an_end() {
    let names: Vec<_> = (0..16).map(|index| format!("f{index}")).collect();
    let texts: Vec<_> = (1..=16)
        .map(|next| {
            let calls = |next: &String| (0..10).map(|n| call(&format!("c{n}"), next, "")).collect::<Vec<_>>();
            file(&names.get(next).map_or_else(|| ECHO.to_owned(), |next| calls(next).join(",")))
        })
        .collect();
    let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let top = load(file(&call("c", "f0", "")).as_bytes(), Syntax::Json).expect("the text is JSON");
    let checked = check_with(&top, &catalog(), &library(&files));
    assert!(checked.plan.is_none());
    assert!(checked.library.values().flatten().any(|found| found.code == "E064"));
}

#[test]
fn steps_of_all_have_numbers_and_names_of_their_own() {
    let greet = call("c", "greet.json", r#""who":"x""#);
    let group = format!(r#"{{"id":"g","type":"sequence","steps":[{greet}]}}"#);
    let second = call("d", "greet.json", r#""who":"y""#);
    let plan = plan(&format!(r#"{{"name":"t","version":"1.0.0","steps":[{group},{second}]}}"#));
    let told: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let parent = step.parent.map_or("-", |parent| plan.steps[parent.index()].name.as_str());
            format!("{} in {parent}", step.name)
        })
        .collect();
    assert_eq!(told, ["g in -", "c in g", "d in -", "c.say in c", "d.say in d"]);
    for step in &plan.steps {
        if let StepKind::Workflow(called) = &step.kind {
            let inner = &plan.steps[called.steps[0].index()];
            assert_eq!((inner.id(), inner.within()), ("say", Some(step.name.as_str())));
        }
    }
}

#[test]
fn limits_lie_inside_those_around() {
    let inner = r#"{"name":"f","version":"1.0.0","resource_limits":{"pids":20,"memory":"1GiB"},
        "steps":[{"id":"e","type":"skill","skill":"echo","resource_limits":{"pids":30}}]}"#;
    let text = format!(
        r#"{{"name":"top","version":"1.0.0","resource_limits":{{"memory":"64MiB"}},"steps":[{}]}}"#,
        call("c", "f", "")
    );
    let definition = load(text.as_bytes(), Syntax::Json).expect("the text is JSON");
    let plan = check_with(&definition, &catalog(), &library(&[("f", inner)])).plan.expect("nothing is wrong");
    let limits = &plan.steps[1].kind.skill().expect("it calls a skill").limits;
    assert_eq!((limits.pids, limits.memory), (Some(20), Some(crate::units::Bytes(64 << 20))));
}
