//! How values flow: references, templates and literals in inputs, the rules of `outputs`, context and inputs, and
//! where a step stands (directory, environment).

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{
    Fixture,
    definition::{echo, exec, shell, skill, with, workflow},
    view::{attempt, outputs},
};
use serde_json::{Value, json};

/// Runs a first step with known outputs and a second one that gets `value`, and compares what that saw.
#[track_caller]
fn check(value: &Value, expected: &Value) {
    let fixture = Fixture::new();
    let first = json!({"n": 5, "list": [1, 2], "obj": {"k": "v"}, "text-1": "hi"});
    let mut definition = workflow(&[echo("first", first), echo("second", json!({ "value": value }))]);
    definition["context"] = json!({
        "readonly": {"environment": "dev", "list": [1, {"deep": true}]},
        "mutable": {"counter": 7},
    });
    definition["inputs"] = json!({
        "who": {"type": "string", "default": "Ann"},
        "step": {"type": "string", "default": "first"},
    });
    let view = fixture.run(&definition).exits(0).json();
    assert_eq!(&outputs(&view, "second")["value"], expected);
}

#[test]
fn bare_references_keep_their_type() {
    check(&json!("first.n"), &json!(5));
    check(&json!("first.list[1]"), &json!(2));
    check(&json!("first.obj.k"), &json!("v"));
    check(&json!(r#"first.obj["k"]"#), &json!("v"));
    check(&json!("first.text-1"), &json!("hi"));
    check(&json!("first.obj"), &json!({"k": "v"}));
    check(&json!("first.data.n"), &json!(5));
    check(&json!(r#"steps["first"].outputs.n"#), &json!(5));
    check(&json!("steps.first.status"), &json!("completed"));
    check(&json!("steps.first.attempts"), &json!(1));
    check(&json!("context.environment"), &json!("dev"));
    check(&json!("context.list[1].deep"), &json!(true));
    check(&json!("context.counter"), &json!(7));
    check(&json!("inputs.who"), &json!("Ann"));
}

#[test]
fn steps_and_their_records_are_values_as_a_whole() {
    let all = json!({"n": 5, "list": [1, 2], "obj": {"k": "v"}, "text-1": "hi"});
    check(&json!("${first}"), &all);
    check(&json!("${has(first.n) ? size(first) : 0}"), &json!(4));
    check(&json!("${steps[inputs.step].outputs.n}"), &json!(5));
    check(&json!("${steps.map(k, [k, steps[k].status])}"), &json!([["first", "completed"]]));
    check(&json!("${inputs.step in steps && !('second' in steps) && has(steps.first)}"), &json!(true));
}

#[test]
fn templates_join_as_text_and_alone_keep_their_type() {
    check(&json!("n=${first.n}, k=${ first.obj.k }"), &json!("n=5, k=v"));
    check(&json!("${first.list}"), &json!([1, 2]));
    check(&json!("${first.obj}!"), &json!(r#"{"k":"v"}!"#));
    check(&json!("$${first.n}"), &json!("${first.n}"));
    check(&json!("a $${b} ${first.n}"), &json!("a ${b} 5"));
    check(&json!("${context.environment}-${inputs.who}"), &json!("dev-Ann"));
}

#[test]
fn everything_else_is_a_literal() {
    check(&json!("https://api.example.com"), &json!("https://api.example.com"));
    check(&json!("first.n is a number"), &json!("first.n is a number"));
    check(&json!("other.thing"), &json!("other.thing"));
    check(&json!("first"), &json!("first"));
    check(&json!("$5 {first.n} $first.n"), &json!("$5 {first.n} $first.n"));
    check(&json!(""), &json!(""));
    check(&json!({"$literal": "first.n"}), &json!("first.n"));
    check(&json!({"$literal": {"a": ["${first.n}"]}}), &json!({"a": ["${first.n}"]}));
    check(&json!([1, null, true, 1.5, {}]), &json!([1, null, true, 1.5, {}]));
}

#[test]
fn values_are_found_at_any_depth() {
    check(
        &json!(["first.n", {"x": "${first.n}", "y": [["first.list"]]}]),
        &json!([5, {"x": 5, "y": [[[1, 2]]]}]),
    );
}

#[test]
fn text_form_parses_back_to_the_whole_result() {
    let fixture = Fixture::new();
    let first = echo("first", json!({"n": 5, "list": [1, 2]}));
    let second = skill("second", "json-parse", json!({"data": "first.text"}));
    let view = fixture.run(&workflow(&[first, second])).exits(0).json();
    assert_eq!(outputs(&view, "second")["parsed"], json!({"n": 5, "list": [1, 2]}));
}

#[test]
fn data_is_never_evaluated_again() {
    let fixture = Fixture::new();
    let hostile = r#"{"a": "${run.id}", "b": "first.parsed", "c": {"$literal": 1}}"#;
    let first = skill("first", "json-parse", json!({"data": {"$literal": hostile}}));
    let second = echo("second", json!({"whole": "first.parsed", "joined": "${first.parsed.a}"}));
    let view = fixture.run(&workflow(&[first, second])).exits(0).json();
    let whole: Value = serde_json::from_str(hostile).expect("it is JSON");
    assert_eq!(outputs(&view, "second"), &json!({"whole": whole, "joined": "${run.id}"}));
}

#[test]
fn run_id_is_the_runs() {
    let fixture = Fixture::new();
    let view = fixture.run(&workflow(&[echo("a", json!({"id": "run.id"}))])).exits(0).json();
    assert_eq!(outputs(&view, "a")["id"], view["run_id"]);
}

#[test]
fn outputs_of_the_workflow_hold_references() {
    let fixture = Fixture::new();
    let mut definition = workflow(&[echo("first", json!({"n": 5, "s": "x"}))]);
    definition["outputs"] =
        json!({"n": "first.n", "text": "s is ${first.s}", "fixed": [1], "deep": {"all": "first.data"}});
    let view = fixture.run(&definition).exits(0).json();
    let expected = json!({"n": 5, "text": "s is x", "fixed": [1], "deep": {"all": {"n": 5, "s": "x"}}});
    assert_eq!(view["outputs"], expected);
}

#[test]
fn one_named_output_takes_the_whole_result() {
    let fixture = Fixture::new();
    let first = with(echo("first", json!({"n": 5})), json!({"outputs": ["all"]}));
    let second = echo("second", json!({"all": "first.all", "n": "first.all.n", "data": "first.data"}));
    let view = fixture.run(&workflow(&[first, second])).exits(0).json();
    assert_eq!(outputs(&view, "second"), &json!({"all": {"n": 5}, "n": 5, "data": {"n": 5}}));
}

#[test]
fn one_named_output_that_is_a_key_is_that_key() {
    let fixture = Fixture::new();
    let first = with(echo("first", json!({"n": 5, "m": 6})), json!({"outputs": ["n"]}));
    let second = echo("second", json!({"n": "first.n", "data": "first.data"}));
    let view = fixture.run(&workflow(&[first, second])).exits(0).json();
    assert_eq!(outputs(&view, "second"), &json!({"n": 5, "data": {"n": 5, "m": 6}}));
}

#[test]
fn named_output_that_is_missing_fails_the_step() {
    let fixture = Fixture::new();
    let first = with(echo("first", json!({"n": 5})), json!({"outputs": ["n", "m"]}));
    let view = fixture.run(&workflow(&[first])).exits(1).json();
    assert_eq!(view["error"]["code"], "missing_output", "{view:#}");
    assert_eq!(view["error"]["step"], "first");
    assert_eq!(view["error"]["retryable"], false);
    assert!(view["error"]["message"].as_str().is_some_and(|message| message.contains('m')));
}

#[test]
fn value_that_is_not_there_fails_the_step_that_reads_it() {
    let fixture = Fixture::new();
    let steps = [echo("first", json!({"a": {}})), echo("second", json!({"v": "first.a.b"}))];
    let view = fixture.run(&workflow(&steps)).exits(1).json();
    assert_eq!(view["error"]["code"], "missing_reference", "{view:#}");
    assert_eq!(view["error"]["step"], "second");
}

#[test]
fn large_values_are_handed_on() {
    let fixture = Fixture::new();
    let steps = [
        shell("make", "head -c 3000000 /dev/zero | tr '\\0' x"),
        skill("count", "exec", json!({"argv": ["wc", "-c"], "stdin": "make.stdout"})),
    ];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    let counted = outputs(&view, "count")["stdout"].as_str().expect("stdout is text");
    assert_eq!(counted.trim(), "3000000");
}

#[test]
fn arguments_are_never_a_shell_line() {
    let fixture = Fixture::new();
    let hostile = "a b; touch owned $(touch owned) 'q' \"d\"";
    let view = fixture.run(&workflow(&[exec("a", &["printf", "%s", hostile])])).exits(0).json();
    assert_eq!(outputs(&view, "a")["stdout"], hostile);
    assert!(!fixture.has("owned"));
}

#[test]
fn step_stands_where_run_was_called_or_in_its_cwd() {
    let fixture = Fixture::new();
    fixture.write("sub/here.txt", "");
    let mut definition = workflow(&[
        exec("base", &["pwd"]),
        with(exec("below", &["pwd"]), json!({"cwd": "sub"})),
        with(exec("made", &["pwd"]), json!({"cwd": "context.where"})),
        skill("path", "file-exists", json!({"path": "sub/here.txt"})),
    ]);
    definition["context"] = json!({"readonly": {"where": "sub"}});
    let view = fixture.run(&definition).exits(0).json();
    let work = fixture.work().canonicalize().expect("it is there");
    let line = |path: &std::path::Path| format!("{}\n", path.display());
    assert_eq!(outputs(&view, "base")["stdout"], line(&work));
    assert_eq!(outputs(&view, "below")["stdout"], line(&work.join("sub")));
    assert_eq!(outputs(&view, "made")["stdout"], line(&work.join("sub")));
    assert_eq!(outputs(&view, "path")["exists"], true);
}

/// The environment that a step with these keys sees, when q itself has more than it should hand on.
fn environment_of(keys: Value) -> BTreeMap<String, String> {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[with(exec("show", &["env", "-0"]), keys)]));
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("AWS_SECRET_ACCESS_KEY", "leak").env("BASH_ENV", "leak").env("SOME_TOKEN", "leak");
    command.env("LD_LIBRARY_PATH", "/leak").env("LANG", "C.UTF-8").env("LC_ALL", "C");
    let view = fixture.start(command).finish().exits(0).json();
    let text = outputs(&view, "show")["stdout"].as_str().expect("stdout is text");
    text.split_terminator('\0')
        .filter_map(|line| line.split_once('='))
        .map(|(k, v)| (k.into(), v.into()))
        .collect()
}

#[test]
fn environment_is_an_allow_list() {
    const ALLOWED: &[&str] = &[
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "TZ",
        "TERM",
        "TMPDIR",
        "WORKFLOW_RUN_ID",
        "WORKFLOW_STEP_ID",
        "WORKFLOW_ATTEMPT",
        "WORKFLOW_WORK_DIR",
        "WORKFLOW_MEMORY_LIMIT",
        "WORKFLOW_CPUS",
    ];
    let environment = environment_of(json!({}));
    let names: BTreeSet<&str> = environment.keys().map(String::as_str).collect();
    let foreign: Vec<_> = names.iter().filter(|name| !ALLOWED.contains(name)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert_eq!(environment["TERM"], "dumb");
    assert_eq!(environment["TMPDIR"], "/tmp");
    assert_eq!(environment["LANG"], "C.UTF-8");
    assert_eq!(environment["WORKFLOW_STEP_ID"], "show");
    assert_eq!(environment["WORKFLOW_ATTEMPT"], "1");
}

#[test]
fn environment_of_the_step_is_added() {
    let environment = environment_of(json!({"env": {"MODE": "fast", "TZ": "Asia/Tokyo"}}));
    assert_eq!(environment["MODE"], "fast");
    assert_eq!(environment["TZ"], "Asia/Tokyo");
}

#[test]
fn work_dir_is_private_to_the_attempt() {
    let fixture = Fixture::new();
    let command = "cd \"$WORKFLOW_WORK_DIR\" && pwd && stat -c %a . && touch mine && ls";
    let view = fixture.run(&workflow(&[shell("a", command)])).exits(0).json();
    let run_dir = fixture.run_dir(view["run_id"].as_str().expect("an id is text"));
    let directory = run_dir.canonicalize().expect("it is there").join("work/a/1");
    assert_eq!(outputs(&view, "a")["stdout"], format!("{}\n700\nmine\n", directory.display()));
    assert!(directory.join("mine").is_file());
}

#[test]
fn plans_skills_do_not_fail_for_want_of_inputs() {
    let fixture = Fixture::new();
    let bare = |id: &str| json!({"id": id, "type": "skill", "skill": id});
    let view = fixture
        .run(&workflow(&[
            bare("process-a"),
            bare("process-b"),
            bare("process-file"),
            bare("log-error"),
            bare("echo"),
        ]))
        .exits(0)
        .json();
    assert_eq!(outputs(&view, "process-file")["exists"], false);
    assert_eq!(outputs(&view, "process-a")["from"], "process-a");
    assert_eq!(outputs(&view, "process-b")["from"], "process-b");
    assert_eq!(outputs(&view, "echo"), &json!({}));
    assert_eq!(attempt(&view, "log-error")["status"], "completed");
}
