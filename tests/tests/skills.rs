//! External skills: where they are found, what they get, and what becomes of what they say. The skills that are
//! part of q are in `builtins.rs`.

use integration_tests::{
    Fixture,
    definition::{echo, skill, with, workflow},
    view::{attempt, outputs, step},
};
use serde_json::{Value, json};

/// Runs one step of a skill with this manifest and script; its view.
#[track_caller]
fn run_skill(manifest: Value, script: &str, inputs: Value, code: i32) -> Value {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "mine", manifest, script);
    fixture.run(&workflow(&[skill("a", "mine", inputs)])).exits(code).json()
}

#[test]
fn first_place_of_the_list_wins() {
    let fixture = Fixture::new();
    let places = [
        ("flagged", "the flag"),
        ("below/skills", "beside the definition"),
        (".amazonq/workflows/skills", "up from the working directory"),
        ("../state/skills", "the home"),
        (".agents/skills", "agents of the project"),
        ("../user/.agents/skills", "agents of the user"),
    ];
    for (folder, place) in places {
        let script = format!(r#"printf '{{"from": "{place}"}}'"#);
        fixture.write_skill(folder, "echo", json!({}), &script);
    }
    fixture.write("below/workflow.json", workflow(&[echo("a", json!({"from": "built in"}))]).to_string());
    let mut seen = Vec::new();
    let expected = places.map(|(_, place)| place.to_owned()).into_iter().chain(["built in".to_owned()]);
    for (folder, _) in places.iter().copied().chain([("", "")]) {
        let args = ["run", "below/workflow.json", "--json", "--skills-dir", "flagged"];
        let view = fixture.workflow(args).exits(0).json();
        seen.push(outputs(&view, "a")["from"].as_str().unwrap_or("nothing").to_owned());
        if !folder.is_empty() {
            let place = fixture.work().join(folder);
            std::fs::remove_dir_all(place.join("echo")).expect("the skill is ours");
        }
    }
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[test]
fn working_directory_is_searched_upwards() {
    let fixture = Fixture::new();
    fixture.write_skill(".amazonq/workflows/skills", "mine", json!({}), r#"printf '{"found": true}'"#);
    fixture.write("deep/er/workflow.json", workflow(&[skill("a", "mine", json!({}))]).to_string());
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.current_dir(fixture.work().join("deep/er"));
    let view = fixture.start(command).finish().exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"found": true}));
}

#[test]
fn same_name_in_two_places_is_a_warning() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "echo", json!({}), "cat");
    fixture.define(&workflow(&[echo("a", json!({}))]));
    fixture.workflow(["validate", "workflow.json"]).exits(0).says(&["warning", "echo"]);
    fixture.workflow(["validate", "workflow.json", "--strict"]).exits(3);
}

#[test]
fn folder_with_only_a_text_for_models_cannot_be_called() {
    let fixture = Fixture::new();
    fixture.write("skills/mine/SKILL.md", "# Mine\n");
    fixture.define(&workflow(&[skill("a", "mine", json!({}))]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["mine"]);
}

#[test]
fn wrong_manifest_is_named() {
    for manifest in [r#"{"name": "mine", "#, r#"{"name": "mine", "version": "1.0.0", "comand": ["x"]}"#] {
        let fixture = Fixture::new();
        fixture.write("skills/mine/skill.json", manifest);
        fixture.define(&workflow(&[skill("a", "mine", json!({}))]));
        fixture.workflow(["validate", "workflow.json"]).exits(3).says(&["skills/mine/skill.json"]);
    }
}

#[test]
fn program_gets_one_object_and_the_end_of_stdin() {
    let fixture = Fixture::new();
    // cat ends only with its stdin.
    fixture.write_skill("skills", "mine", json!({}), r#"printf '{"got": %s}' "$(cat)""#);
    let mut definition = workflow(&[skill("a", "mine", json!({"n": 1, "deep": {"x": ["run.id"]}}))]);
    definition["context"] = json!({"readonly": {"environment": "dev"}, "mutable": {"count": 2}});
    let view = fixture.run(&definition).exits(0).json();
    let id = view["run_id"].as_str().expect("an id is text");
    let work_dir = fixture.run_dir(id).canonicalize().expect("it is there").join("work/a/1");
    assert_eq!(
        outputs(&view, "a")["got"],
        json!({
            "v": 1,
            "run_id": id,
            "step_id": "a",
            "attempt": 1,
            "inputs": {"n": 1, "deep": {"x": [id]}},
            "context": {"environment": "dev", "count": 2},
            "work_dir": work_dir,
        })
    );
}

/// What a program prints, and the outputs of its step.
#[track_caller]
fn check_result(printed: &str, expected: &Value) {
    let view = run_skill(json!({}), &format!("cat <<'END'\n{printed}\nEND"), json!({}), 0);
    assert_eq!(outputs(&view, "a"), expected, "{printed}");
}

#[test]
fn results_are_plain_or_in_an_envelope() {
    check_result(r#"{"a": 1, "b": [2]}"#, &json!({"a": 1, "b": [2]}));
    check_result(r#"{"outputs": {"a": 1}}"#, &json!({"a": 1}));
    check_result(r#"{"outputs": {"a": 1}, "more": 2}"#, &json!({"outputs": {"a": 1}, "more": 2}));
    check_result(r#"{"error": "none", "more": 2}"#, &json!({"error": "none", "more": 2}));
    check_result(" \n {}", &json!({}));
    check_result(r#"{"a": 1, "a": 2}"#, &json!({"a": 2}));
}

#[test]
fn result_that_is_no_object_is_bound_to_the_one_output() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "mine", json!({}), "printf '[1, 2]'");
    let first = with(skill("a", "mine", json!({})), json!({"outputs": ["list"]}));
    let second = echo("b", json!({"list": "a.list", "data": "a.data", "one": "a.list[1]"}));
    let view = fixture.run(&workflow(&[first, second])).exits(0).json();
    assert_eq!(outputs(&view, "b"), &json!({"list": [1, 2], "data": [1, 2], "one": 2}));
}

#[test]
fn error_envelope_is_the_skills_own_error() {
    let printed = r#"printf '{"error": {"code": "NOT_FOUND", "message": "no such thing",
        "retryable": true, "details": {"looked": 3}}}'"#;
    for exit in ["", "; exit 1", "; exit 40"] {
        let view = run_skill(json!({}), &format!("{printed}{exit}"), json!({}), 1);
        let error = &view["error"];
        assert_eq!(error["code"], "skill_error", "{exit}: {error:#}");
        assert_eq!(error["retryable"], true);
        assert!(error["message"].as_str().is_some_and(|message| message.contains("no such thing")));
        let text = error.to_string();
        assert!(text.contains("NOT_FOUND") && text.contains(r#""looked":3"#), "{error:#}");
    }
}

/// How a program that ends with this code without a result is judged.
#[track_caller]
fn check_exit(exit: i32, code: &str, retryable: bool) {
    let view = run_skill(json!({}), &format!("echo complaint >&2; exit {exit}"), json!({}), 1);
    let error = &view["error"];
    assert_eq!(error["code"], code, "{error:#}");
    assert_eq!(error["retryable"], retryable, "{error:#}");
    assert_eq!(attempt(&view, "a")["exit_code"], exit);
    assert!(error["details"].to_string().contains("complaint"), "{error:#}");
}

#[test]
fn exit_codes_have_meanings() {
    check_exit(1, "exit_code", true);
    check_exit(2, "exit_code", false);
    check_exit(75, "exit_code", true);
    check_exit(124, "exit_code", true);
    check_exit(126, "exit_code", true);
    check_exit(127, "exit_code", true);
    check_exit(255, "exit_code", true);
}

/// How a program that ends well and prints this is judged.
#[track_caller]
fn check_bad(script: &str, code: &str) {
    let view = run_skill(json!({}), script, json!({}), 1);
    assert_eq!(view["error"]["code"], code, "{script}: {:#}", view["error"]);
    assert_eq!(step(&view, "a")["outputs"], Value::Null);
}

#[test]
fn what_is_not_json_is_bad_output() {
    check_bad("echo words", "bad_output");
    check_bad("echo '{} words'", "bad_output");
    check_bad("echo '{\"a\": 1'", "bad_output");
    check_bad("echo '{\"a\": NaN}'", "bad_output");
    check_bad("echo '{\"a\": 1e999}'", "bad_output");
    check_bad(r#"printf '%s' '{"a": "\ud800"}'"#, "bad_output");
    check_bad(r"printf '\377\376'", "bad_output");
    check_bad("head -c 100000 /dev/zero | tr '\\0' '['", "bad_output");
}

#[test]
fn missing_or_second_result_breaks_the_protocol() {
    check_bad("true", "protocol_error");
    check_bad("echo; echo", "protocol_error");
    check_bad("echo '{} {}'", "protocol_error");
}

#[test]
fn result_is_checked_against_the_schema() {
    let manifest = json!({"outputs": {
        "type": "object", "required": ["n"], "properties": {"n": {"type": "array", "items": {"type": "integer"}}},
    }});
    let view = run_skill(manifest.clone(), r#"printf '{"n": [1, "two"]}'"#, json!({}), 1);
    assert_eq!(view["error"]["code"], "bad_output");
    assert!(view["error"].to_string().contains("/n/1"), "{:#}", view["error"]);
    let view = run_skill(manifest, r#"printf '{"n": [1, 2]}'"#, json!({}), 0);
    assert_eq!(outputs(&view, "a"), &json!({"n": [1, 2]}));
}

#[test]
fn inputs_are_checked_against_the_schema() {
    let manifest = json!({"inputs": {
        "type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}},
    }});
    let fixture = Fixture::new();
    fixture.write_skill("skills", "mine", manifest, "touch started; printf '{}'");
    // Known before the run: refused by it and by validate.
    fixture.define(&workflow(&[skill("a", "mine", json!({"n": "five"}))]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["n"]);
    fixture.define(&workflow(&[skill("a", "mine", json!({}))]));
    fixture.workflow(["validate", "workflow.json"]).exits(3);
    assert_eq!(fixture.run_ids(), <[String; 0]>::default());
    // Known only when the step starts.
    let steps = [echo("first", json!({"v": "five"})), skill("a", "mine", json!({"n": "first.v"}))];
    let view = fixture.run(&workflow(&steps)).exits(1).json();
    assert_eq!(view["error"]["code"], "bad_input", "{view:#}");
    assert_eq!(view["error"]["retryable"], false);
    assert!(view["error"].to_string().contains("/n"), "{:#}", view["error"]);
    assert!(!fixture.has("started"));
}

#[test]
fn text_protocol_fills_in_arguments_and_environment() {
    let manifest = json!({
        "protocol": "text",
        "command": ["/bin/sh", "-c", "printf '%s|%s' \"$1\" \"$GREETING\"", "sh", "to ${inputs.name}"],
        "env": {"GREETING": "hello ${inputs.name}"},
    });
    let view = run_skill(manifest, "", json!({"name": "Ann; rm -rf x"}), 0);
    assert_eq!(outputs(&view, "a"), &json!({"text": "to Ann; rm -rf x|hello Ann; rm -rf x"}));
}

#[test]
fn text_protocol_can_parse_json() {
    let manifest = json!({"protocol": "text", "parse": "json"});
    let view = run_skill(manifest.clone(), r#"printf '{"n": 1}'"#, json!({}), 0);
    assert_eq!(outputs(&view, "a"), &json!({"n": 1}));
    let view = run_skill(manifest, "echo words", json!({}), 1);
    assert_eq!(view["error"]["code"], "bad_output");
}

#[test]
fn text_result_keeps_every_byte_of_text() {
    let view = run_skill(json!({"protocol": "text"}), r"printf 'two\nlines\n'", json!({}), 0);
    assert_eq!(outputs(&view, "a"), &json!({"text": "two\nlines\n"}));
}

#[test]
fn events_come_over_descriptor_three_when_asked_for() {
    let fixture = Fixture::new();
    let script = r#"echo '{"type": "progress", "percent": 40, "message": "nearly"}' >&3
        echo '{"type": "log", "level": "warn", "message": "look here"}' >&3
        echo '{"type": "artifact", "path": "report.html", "mime": "text/html"}' >&3
        printf '{}'"#;
    fixture.write_skill("skills", "mine", json!({"events": true}), script);
    fixture.define(&workflow(&[skill("a", "mine", json!({}))]));
    let events = fixture.workflow(["run", "workflow.json", "--events"]).exits(0).lines();
    let of = |kind: &str| {
        events.iter().filter(|event| event["type"] == kind).map(Value::to_string).collect::<String>()
    };
    assert!(of("step.progress").contains("40"), "{events:#?}");
    assert!(of("step.log").contains("look here"), "{events:#?}");
    let artifact = events.iter().find_map(|event| event.get("artifact")).expect("it is told");
    assert_eq!(artifact["path"], "report.html");
    assert!(events.iter().all(|event| event.get("progress").is_none_or(|said| said["path"].is_null())));
}

#[test]
fn a_nul_byte_in_an_argument_of_a_text_skill_is_bad_input() {
    for manifest in
        [json!({"command": ["./run.sh", "${inputs.word}"]}), json!({"env": {"WORD": "${inputs.word}"}})]
    {
        let manifest = with(json!({"protocol": "text"}), manifest);
        let view = run_skill(manifest, "echo never", json!({"word": "a\u{0}b"}), 1);
        assert_eq!(view["error"]["code"], "bad_input", "{:#}", view["error"]);
    }
}

#[test]
fn descriptor_three_is_closed_unless_asked_for() {
    let script =
        r#"if (echo hello >&3) 2>/dev/null; then printf '{"open": true}'; else printf '{"open": false}'; fi"#;
    let view = run_skill(json!({}), script, json!({}), 0);
    assert_eq!(outputs(&view, "a"), &json!({"open": false}));
}

#[test]
fn line_on_descriptor_three_that_is_no_event_is_passed_over_with_a_warning() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "mine", json!({"events": true}), r#"echo words >&3; printf '{"v": 1}'"#);
    let view = fixture.run(&workflow(&[skill("a", "mine", json!({}))])).exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"v": 1}));
    let id = view["run_id"].as_str().expect("an id is text");
    let lines = fixture.workflow(["logs", id, "--json"]).exits(0).lines();
    assert!(lines.iter().any(|line| line["level"] == "warn" && line["step"] == "a"), "{lines:#?}");
}

#[test]
fn stderr_is_the_log() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "mine", json!({}), "echo one >&2; echo two >&2; printf '{}'");
    let view = fixture.run(&workflow(&[skill("a", "mine", json!({}))])).exits(0).json();
    let id = view["run_id"].as_str().expect("an id is text");
    let lines =
        fixture.workflow(["logs", id, "--step", "a", "--stream", "stderr", "--json"]).exits(0).lines();
    let texts: Vec<_> = lines.iter().map(|line| line["text"].as_str().unwrap_or("")).collect();
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn manifest_limits_hold() {
    let view = run_skill(json!({"limits": {"timeout": "300ms"}}), "exec sleep 60", json!({}), 1);
    assert_eq!(view["error"]["code"], "timeout");
    let view = run_skill(json!({"limits": {"idle_timeout": "300ms"}}), "exec sleep 60", json!({}), 1);
    assert_eq!(view["error"]["code"], "idle_timeout");
    let view = run_skill(
        json!({"limits": {"output": "64KiB"}}),
        "head -c 1000000 /dev/zero; sleep 60",
        json!({}),
        1,
    );
    assert_eq!(view["error"]["code"], "output_too_large");
}

#[test]
fn manifest_passes_named_variables_through() {
    let fixture = Fixture::new();
    let script = r#"printf '{"named": "%s", "other": "%s"}' "$NAMED" "$OTHER""#;
    fixture.write_skill("skills", "mine", json!({"sandbox": {"env": ["NAMED"]}}), script);
    fixture.define(&workflow(&[skill("a", "mine", json!({}))]));
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("NAMED", "yes").env("OTHER", "leak");
    let view = fixture.start(command).finish().exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"named": "yes", "other": ""}));
}

#[test]
fn program_stands_in_the_base_and_sees_its_folder() {
    let fixture = Fixture::new();
    let script = r#"printf '{"cwd": "%s", "beside": "%s"}' "$(pwd)" "$(cat "$(dirname "$0")/data")""#;
    fixture.write_skill("../state/skills", "mine", json!({}), script);
    fixture.write("../state/skills/mine/data", "beside");
    let view = fixture.run(&workflow(&[skill("a", "mine", json!({}))])).exits(0).json();
    let work = fixture.work().canonicalize().expect("it is there");
    assert_eq!(outputs(&view, "a"), &json!({"cwd": work, "beside": "beside"}));
}

/// How a command that cannot be executed is reported.
#[track_caller]
fn check_exec_failure(command: &str, errno: i32) {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "mine", json!({"command": [command]}), "");
    fixture.write("skills/mine/plain", "no program");
    fixture.write_program("skills/mine/garbage", "\u{7f}ELF garbage");
    let view = fixture.run(&workflow(&[skill("a", "mine", json!({}))])).exits(1).json();
    let error = &view["error"];
    assert_eq!(error["code"], "sandbox_error", "{error:#}");
    assert_eq!(error["retryable"], false);
    assert_eq!(error["details"]["stage"], "exec");
    assert_eq!(error["details"]["errno"], errno);
    assert_eq!(attempt(&view, "a")["started"], false);
    assert_eq!(attempt(&view, "a")["exit_code"], Value::Null);
}

#[test]
fn program_that_cannot_be_executed_never_started() {
    check_exec_failure("./missing", 2);
    check_exec_failure("./plain", 13);
    check_exec_failure("./garbage", 8);
}
