//! The reading commands and the small ones: `status`, `list`, `logs`, `delete`, `schema`, `doctor`, `completions`,
//! `man`, help and usage errors.

use std::time::Duration;

use integration_tests::{
    Fixture,
    definition::{echo, gate, shell, with, workflow},
    fixture::write_file,
    program::{self, example},
    view::normalised,
    wait::eventually,
};
use serde_json::{Value, json};

/// The commands of this version.
const COMMANDS: &[&str] = &[
    "run",
    "status",
    "list",
    "logs",
    "stop",
    "validate",
    "delete",
    "schema",
    "doctor",
    "completions",
    "man",
];

/// Runs one step that completes; the id of the run.
#[track_caller]
fn run_one(fixture: &Fixture) -> String {
    run_named(fixture, "test", echo("a", json!({})), 0)
}

#[track_caller]
fn run_named(fixture: &Fixture, name: &str, step: Value, code: i32) -> String {
    let definition = with(workflow(&[step]), json!({"name": name}));
    let view = fixture.run(&definition).exits(code).json();
    view["run_id"].as_str().expect("an id is text").to_owned()
}

/// The ids that `list` shows with these flags.
#[track_caller]
fn listed(fixture: &Fixture, flags: &[&str]) -> Vec<String> {
    let list = fixture.workflow([&["list", "--json"], flags].concat()).exits(0).json();
    let runs = list["runs"].as_array().expect("runs are a list");
    runs.iter().map(|run| run["run_id"].as_str().expect("an id is text").to_owned()).collect()
}

/// Fails the test unless the document fits the schema that `q workflow schema <name>` prints.
#[track_caller]
fn assert_fits(fixture: &Fixture, name: &str, document: &Value) {
    let schema = fixture.workflow(["schema", name]).exits(0).json();
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let errors: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}\n{document:#}");
}

#[test]
fn status_takes_ids_prefixes_and_last() {
    let fixture = Fixture::new();
    let first = run_one(&fixture);
    let second = run_one(&fixture);
    assert_eq!(fixture.view("@last")["run_id"], second);
    let newest = fixture.workflow(["status", "--json"]).exits(0).json();
    assert_eq!(newest["run_id"], second);
    let common = first.chars().zip(second.chars()).take_while(|(a, b)| a == b).count();
    assert_eq!(fixture.view(&first[..=common])["run_id"], first);
    let ambiguous = fixture.workflow(["status", &first[..1]]).exits(4);
    assert!(ambiguous.stderr.contains(&first) && ambiguous.stderr.contains(&second), "{}", ambiguous.stderr);
    fixture.workflow(["status", &first]).exits(0).says(&[&first, "completed", "a"]);
}

#[test]
fn status_says_why_it_failed() {
    let fixture = Fixture::new();
    let id = run_named(&fixture, "test", shell("broken", "echo complaint >&2; exit 3"), 1);
    fixture.workflow(["status", &id]).exits(0).says(&["failed", "broken", "exit_code", "3", "complaint"]);
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 1);
}

#[test]
fn nothing_to_show_is_not_found() {
    let fixture = Fixture::new();
    for args in [
        &["status", "0123abc"][..],
        &["status", "@last"],
        &["status"],
        &["logs", "0123abc"],
        &["logs", "@last"],
        &["delete", "nothing", "--yes"],
        &["delete", "--run", "0123abc", "--yes"],
        &["stop", "0123abc"],
        &["run", "nothing"],
        &["validate", "nothing"],
    ] {
        let run = fixture.workflow(args).exits(4);
        assert_eq!(run.stdout, "", "{args:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
    assert_eq!(fixture.workflow(["list", "--json"]).exits(0).json()["runs"], json!([]));
    assert!(!fixture.home().exists(), "readers never write");
}

#[test]
fn hostile_ids_are_only_ids() {
    let fixture = Fixture::new();
    run_one(&fixture);
    for id in ["..", "../runs", "/etc/passwd", "*", "%", "\u{1b}[31m", &"x".repeat(5000)] {
        let run = fixture.workflow(["status", id]).exits(4);
        assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
        fixture.workflow(["delete", "--yes", "--run", id]).exits(4);
    }
    assert_eq!(fixture.run_ids().len(), 1);
}

#[test]
fn list_has_the_documented_shape() {
    let fixture = Fixture::new();
    run_one(&fixture);
    let list = fixture.workflow(["list", "--json"]).exits(0).json();
    insta::assert_snapshot!(normalised(&json!({"schema_version": list["schema_version"], "runs": list["runs"]})), @r#"
    {
      "runs": [
        {
          "created_at": "[time]",
          "duration_ms": "[ms]",
          "finished_at": "[time]",
          "run_id": "[id]",
          "started_at": "[time]",
          "status": "completed",
          "trigger": "manual",
          "version": "1.0.0",
          "workflow": "test"
        }
      ],
      "schema_version": 1
    }
    "#);
    assert!(list["definitions"].is_array(), "{list:#}");
    assert_fits(&fixture, "list", &list);
}

#[test]
fn list_is_newest_first_and_filters() {
    let fixture = Fixture::new();
    let first = run_named(&fixture, "one", echo("a", json!({})), 0);
    let second = run_named(&fixture, "two", shell("a", "exit 1"), 1);
    let third = run_named(&fixture, "one", echo("a", json!({})), 0);
    let all = [third.clone(), second.clone(), first.clone()];
    assert_eq!(listed(&fixture, &[]), all);
    assert_eq!(listed(&fixture, &["--runs"]), all);
    assert_eq!(listed(&fixture, &["--limit", "2"]), all[..2]);
    assert_eq!(listed(&fixture, &["--status", "failed"]), [second.as_str()]);
    assert_eq!(listed(&fixture, &["--name", "one"]), [third.clone(), first.clone()]);
    assert_eq!(listed(&fixture, &["--name", "one", "--limit", "1"]), [third]);
    assert_eq!(listed(&fixture, &["--since", "1h"]), all);
    assert_eq!(listed(&fixture, &["--name", "three"]), <[String; 0]>::default());
    fixture.workflow(["list"]).exits(0).says(&["one", "two", "completed", "failed"]);
    fixture.workflow(["list", "--status", "flying"]).exits(2);
}

#[test]
fn list_shows_the_newest_twenty() {
    let fixture = Fixture::new();
    let ids: Vec<_> = (0..22).map(|_| run_one(&fixture)).collect();
    let newest: Vec<_> = ids.into_iter().rev().take(20).collect();
    assert_eq!(listed(&fixture, &[]), newest);
    assert_eq!(listed(&fixture, &["--limit", "100"]).len(), 22);
}

#[test]
fn list_shows_definitions() {
    let fixture = Fixture::new();
    let definition = with(workflow(&[echo("a", json!({}))]), json!({"name": "stored"}));
    write_file(&fixture.home().join("definitions/stored.json"), definition.to_string().as_bytes());
    let list = fixture.workflow(["list", "--definitions", "--json"]).exits(0).json();
    assert!(list["definitions"].to_string().contains("stored"), "{list:#}");
    fixture.workflow(["list", "--definitions"]).exits(0).says(&["stored"]);
}

#[test]
fn logs_are_the_lines_of_the_steps() {
    let fixture = Fixture::new();
    let steps = [shell("one", "echo out1; echo err1 >&2"), shell("two", "echo out2; printf unfinished")];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    let id = view["run_id"].as_str().expect("an id is text");
    fixture.workflow(["logs", id]).exits(0).says(&["out1", "err1", "out2", "unfinished"]);

    let texts = |flags: &[&str]| -> Vec<String> {
        let lines = fixture.workflow([&["logs", id, "--json"], flags].concat()).exits(0).lines();
        let told = lines.iter().filter(|line| line["stream"] != "engine");
        told.map(|line| line["text"].as_str().expect("a line is text").to_owned()).collect()
    };
    assert_eq!(texts(&["--step", "two"]), ["out2", "unfinished"]);
    assert_eq!(texts(&["--step", "one", "--stream", "stderr"]), ["err1"]);
    assert_eq!(texts(&["--stream", "stdout"]), ["out1", "out2", "unfinished"]);
    assert_eq!(texts(&["--step", "one", "--attempt", "1", "--stream", "stdout"]), ["out1"]);
    fixture.workflow(["logs", id, "--step", "three"]).exits(4);
    fixture.workflow(["logs", id, "--stream", "sideways"]).exits(2);
}

#[test]
fn lines_of_the_log_have_the_documented_shape() {
    let fixture = Fixture::new();
    let id = run_named(&fixture, "test", shell("one", "echo out1"), 0);
    let lines = fixture.workflow(["logs", &id, "--stream", "stdout", "--json"]).exits(0).lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    insta::assert_snapshot!(normalised(&lines[0]), @r#"
    {
      "attempt": 1,
      "level": "info",
      "run_id": "[id]",
      "step": "one",
      "stream": "stdout",
      "text": "out1",
      "ts": "[time]",
      "v": 1
    }
    "#);
    let engine = fixture.workflow(["logs", &id, "--stream", "engine", "--json"]).exits(0).lines();
    assert!(!engine.is_empty());
    for line in engine {
        for key in ["v", "ts", "run_id", "step", "attempt", "stream", "level", "text"] {
            assert!(line.get(key).is_some(), "{key}: {line}");
        }
    }
}

#[test]
fn logs_follow_until_the_run_ends() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[gate("a"), shell("b", "echo last words")]));
    fixture.wait_for("a.started");
    let mut following = fixture.spawn(["logs", "@last", "--follow"]);
    eventually("the line that is there is shown", Duration::from_secs(5), || {
        following.stdout().contains("waiting")
    });
    assert!(!following.has_ended(), "the run goes on");
    fixture.write("a.go", "");
    running.finish().exits(0);
    following.finish_within(Duration::from_secs(5)).exits(0).says(&["waiting", "last words"]);
}

#[test]
fn logs_follow_of_a_dead_engine_ends() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[gate("a")]));
    fixture.wait_for("a.started");
    let following = fixture.spawn(["logs", "@last", "--follow"]);
    eventually("the line that is there is shown", Duration::from_secs(5), || {
        following.stdout().contains("waiting")
    });
    fixture.kill_engine(running);
    following.finish_within(Duration::from_secs(10)).exits(0);
}

#[test]
fn delete_asks_first() {
    let fixture = Fixture::new();
    let stored = fixture.home().join("definitions/mine.json");
    write_file(&stored, workflow(&[echo("a", json!({}))]).to_string().as_bytes());
    fixture.workflow(["delete", "mine"]).exits(1).says(&["--yes"]);
    assert!(stored.is_file());
    fixture.workflow(["delete", "mine", "--yes"]).exits(0);
    assert!(!stored.exists());
    fixture.workflow(["delete", "mine", "--yes"]).exits(4);
    fixture.workflow(["delete"]).exits(2);
}

#[test]
fn delete_of_a_run_takes_only_ended_ones() {
    let fixture = Fixture::new();
    let ended = run_one(&fixture);
    let running = fixture.spawn_run(&workflow(&[gate("a")]));
    fixture.wait_for("a.started");
    let living = fixture.run_ids().into_iter().find(|id| *id != ended).expect("there are two");
    fixture.workflow(["delete", "--run", &living, "--yes"]).exits(1);
    fixture.workflow(["delete", "--run", &ended, "--yes"]).exits(0);
    assert_eq!(fixture.run_ids(), [living.as_str()]);
    assert_eq!(listed(&fixture, &[]), [living.as_str()]);
    fixture.workflow(["status", &ended]).exits(4);
    fixture.write("a.go", "");
    running.finish().exits(0);
}

#[test]
fn schema_of_definitions_accepts_examples_and_refuses_broken_ones() {
    let fixture = Fixture::new();
    let schema = fixture.workflow(["schema"]).exits(0).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(fixture.workflow(["schema", "definition"]).exits(0).json(), schema);
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    for name in ["simple-test.json", "data-flow-test.json"] {
        let example: Value = serde_json::from_str(&example(name)).expect("an example is JSON");
        assert!(
            validator.is_valid(&example),
            "{name}: {:?}",
            validator.validate(&example).map_err(|e| e.to_string())
        );
    }
    let good = workflow(&[echo("a", json!({}))]);
    for broken in [
        json!({}),
        with(good.clone(), json!({"name": 5})),
        with(good.clone(), json!({"steps": []})),
        with(good.clone(), json!({"stepz": []})),
        workflow(&[json!({"id": "a"})]),
        workflow(&[with(echo("a", json!({})), json!({"type": "flying"}))]),
        workflow(&[with(echo("a", json!({})), json!({"skil": "x"}))]),
        workflow(&[with(echo("a", json!({})), json!({"inputs": []}))]),
    ] {
        assert!(!validator.is_valid(&broken), "accepted: {broken}");
    }
    assert!(!fixture.home().exists(), "schema writes nothing");
    fixture.workflow(["schema", "nothing"]).exits(2);
}

#[test]
fn what_is_printed_fits_its_schema() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[echo("a", json!({"v": 1})), shell("b", "echo x; exit 3")]));
    let view = fixture.workflow(["run", "workflow.json", "--json"]).exits(1).json();
    assert_fits(&fixture, "state", &view);
    for event in fixture.workflow(["run", "workflow.json", "--events"]).exits(1).lines() {
        assert_fits(&fixture, "events", &event);
    }
    fixture.write("bad.json", "{\"nam\": 1}");
    let report = fixture.workflow(["validate", "bad.json", "workflow.json", "--json"]).exits(3).json();
    assert_fits(&fixture, "validate", &report);
    assert_fits(&fixture, "doctor", &fixture.workflow(["doctor", "--json"]).exits(0).json());
    let plan = fixture.workflow(["run", "workflow.json", "--dry-run", "--json"]).exits(0).json();
    assert_fits(&fixture, "plan", &plan);
    for (expression, code) in [("[1, 'a']", 0), ("1 +", 3), ("1 / 0", 3)] {
        let answer = fixture.workflow(["eval", expression, "--json"]).exits(code).json();
        assert_fits(&fixture, "eval", &answer);
    }
    let manifest = json!({"name": "mine", "version": "1.0.0", "description": "", "command": ["./run.sh"]});
    assert_fits(&fixture, "skill", &manifest);
}

#[test]
fn doctor_says_what_this_machine_can_enforce() {
    let fixture = Fixture::new();
    let report = fixture.workflow(["doctor", "--json"]).exits(0).json();
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().cloned().collect()
    };
    assert_eq!(
        keys(&report),
        [
            "cgroup",
            "gaps",
            "isolation",
            "kernel",
            "landlock",
            "limits",
            "namespaces",
            "schema_version",
            "seccomp",
            "uid"
        ]
    );
    assert_eq!(
        keys(&report["cgroup"]),
        ["base", "controllers", "delegated", "freeze", "kill", "mode", "mount"],
        "{report:#}"
    );
    assert_eq!(keys(&report["namespaces"]), ["ipc", "mnt", "net", "pid", "user", "uts"]);
    assert!(report["limits"]["memory"]["held"].is_boolean(), "{report:#}");
    assert!(report["limits"]["memory"]["by"].is_string(), "{report:#}");
    for gap in report["gaps"].as_array().expect("gaps are a list") {
        assert_eq!(keys(gap), ["fix", "what", "why"]);
    }
    assert_eq!(report["schema_version"], 1);
    fixture.workflow(["doctor"]).exits(0).says(&["cgroup"]);
    assert!(!fixture.home().exists(), "doctor writes nothing");
}

#[test]
fn manual_is_generated() {
    let fixture = Fixture::new();
    let manual = fixture.workflow(["man"]).exits(0).stdout;
    assert!(manual.contains(".TH") && manual.contains("validate"), "{manual}");
}

#[test]
fn every_command_has_help_with_an_example() {
    let fixture = Fixture::new();
    let overview = fixture.workflow(["--help"]).exits(0).stdout;
    for command in COMMANDS {
        assert!(overview.contains(command), "{command} is not in {overview}");
        let help = fixture.workflow([command, "--help"]).exits(0).stdout;
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(help.contains(&format!("q workflow {command}")), "{command}: {help}");
        assert!(!help.contains('\u{1b}'), "{command}");
    }
}

#[test]
fn usage_errors_are_two() {
    let fixture = Fixture::new();
    for args in [
        &[][..],
        &["fly"],
        &["run"],
        &["run", "a", "b"],
        &["run", "--fly", "a"],
        &["status", "a", "b"],
        &["logs"],
        &["list", "--limit", "many"],
        &["run", "workflow.json", "--timeout", "soon"],
        &["run", "workflow.json", "--json", "--events"],
    ] {
        let run = fixture.workflow(args).exits(2);
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
    assert!(!fixture.home().exists());
}

#[test]
fn version_is_printed() {
    let fixture = Fixture::new();
    let mut command = fixture.command(program::q());
    command.arg("--version");
    fixture.start(command).finish().exits(0).says(&["q "]);
}

#[test]
fn closed_stdout_is_no_panic() {
    let fixture = Fixture::new();
    let mut command = fixture.command("/bin/sh");
    // The reader ends before anything is written.
    command.args(["-c", "{ \"$0\" workflow schema; echo $? >&2; } | true"]).arg(program::q());
    let run = fixture.start(command).finish().exits(0);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}
