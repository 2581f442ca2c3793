//! What is on disk after a run, and who may read it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use integration_tests::{
    Fixture,
    definition::{echo, gate, shell, workflow},
    fixture::{read_file, write_file},
    wait,
};
use serde_json::{Value, json};

/// A finished run of a few steps; its view.
#[track_caller]
fn finished(fixture: &Fixture) -> Value {
    let steps =
        [echo("a", json!({"v": "x"})), shell("b", "echo out; echo err >&2"), echo("c", json!({"v": "a.v"}))];
    fixture.run(&workflow(&steps)).exits(0).json()
}

fn id(view: &Value) -> String {
    view["run_id"].as_str().expect("an id is text").to_owned()
}

/// Every path below a directory.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("it is ours").flatten() {
            if entry.file_type().expect("it is there").is_dir() {
                directories.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn layout_is_as_documented() {
    let fixture = Fixture::new();
    let run = fixture.run_dir(&id(&finished(&fixture)));
    for file in [
        "definition.json",
        "journal.jsonl",
        "state.json",
        "logs/run.log",
        "steps/b/1/stdout.log",
        "steps/b/1/stderr.log",
    ] {
        assert!(run.join(file).is_file(), "{file} is missing: {:#?}", walk(&run));
    }
    assert!(fixture.home().join("index.jsonl").is_file());
    assert_eq!(read_file(&run.join("steps/b/1/stdout.log")), "out\n");
    assert_eq!(read_file(&run.join("steps/b/1/stderr.log")), "err\n");
}

#[test]
fn large_result_is_a_file_of_the_run_and_only_named_in_journal_and_state() {
    let fixture = Fixture::new();
    let large = "x".repeat(2 << 20);
    let view = fixture.run(&workflow(&[echo("a", json!({"v": large}))])).exits(0).json();
    assert_eq!(integration_tests::view::outputs(&view, "a")["v"], large);
    let run = fixture.run_dir(&id(&view));
    let kept: Value =
        serde_json::from_str(&read_file(&run.join("steps/a/1/output.json"))).expect("it is JSON");
    assert_eq!(kept, json!({"v": large}));
    for file in ["journal.jsonl", "state.json"] {
        assert!(run.join(file).metadata().expect("it is there").len() < 64 * 1024, "{file}");
    }
    let state: Value = serde_json::from_str(&read_file(&run.join("state.json"))).expect("it is JSON");
    let named = json!({"bytes": kept.to_string().len(), "path": "steps/a/1/output.json"});
    assert_eq!(state["steps"][0]["large_outputs"], named);
    let status = fixture.workflow(["status", "--json"]).exits(0).json();
    assert_eq!(integration_tests::view::outputs(&status, "a")["v"], large);
}

#[test]
fn only_the_owner_may_look() {
    let fixture = Fixture::new();
    finished(&fixture);
    let mut paths = walk(&fixture.home());
    paths.push(fixture.home());
    for path in paths {
        let metadata = path.symlink_metadata().expect("it is there");
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        let mode = metadata.permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{} has mode {mode:o}", path.display());
    }
}

#[test]
fn umask_does_not_matter() {
    for umask in ["000", "077"] {
        let fixture = Fixture::new();
        fixture.define(&workflow(&[echo("a", json!({}))]));
        let mut command = fixture.command("/bin/sh");
        command.args(["-c", &format!("umask {umask}; exec \"$0\" workflow run workflow.json")]);
        command.arg(integration_tests::program::q());
        fixture.start(command).finish().exits(0);
        let journal = fixture.run_dir(&fixture.only_run()).join("journal.jsonl");
        let mode = journal.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "umask {umask}");
        let mode = fixture.home().metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "umask {umask}");
    }
}

#[test]
fn definition_is_a_frozen_copy() {
    let fixture = Fixture::new();
    let view = finished(&fixture);
    let copy = read_file(&fixture.run_dir(&id(&view)).join("definition.json"));
    assert_eq!(copy, fixture.read("workflow.json"));
    fixture.write("workflow.json", "changed");
    assert_eq!(fixture.view(&id(&view)), view);
}

#[test]
fn frozen_copy_is_json_whatever_the_definition_was() {
    let yaml = "name: t\nversion: 1.0.0\nsteps: [{id: a, type: skill, skill: echo, inputs: {message: no}}]\n";
    let jsonc = r#"{"name":"t","version":"1.0.0", // mine
        "steps":[{"id":"a","type":"skill","skill":"echo","inputs":{"message":"no"}},]}"#;
    for (name, text) in [("workflow.yaml", yaml), ("workflow.jsonc", jsonc)] {
        let fixture = Fixture::new();
        fixture.write(name, text);
        let view = fixture.workflow(["run", name, "--json"]).exits(0).json();
        let run = fixture.run_dir(&id(&view));
        let copy: Value =
            serde_json::from_str(&read_file(&run.join("definition.json"))).expect("the copy is JSON");
        let step = json!({"id": "a", "type": "skill", "skill": "echo", "inputs": {"message": "no"}});
        assert_eq!(copy, json!({"name": "t", "version": "1.0.0", "steps": [step]}));
        fixture.write(name, "changed");
        std::fs::remove_file(run.join("state.json")).expect("it is there");
        assert_eq!(fixture.view(&id(&view)), view, "the journal is read back with the copy");
    }
}

#[test]
fn view_is_the_same_everywhere() {
    let fixture = Fixture::new();
    let view = finished(&fixture);
    assert_eq!(fixture.view(&id(&view)), view);
    let state = read_file(&fixture.run_dir(&id(&view)).join("state.json"));
    assert_eq!(serde_json::from_str::<Value>(&state).expect("it is JSON"), view);
}

#[test]
fn what_a_run_used_is_what_its_attempts_used() {
    let fixture = Fixture::new();
    let view = finished(&fixture);
    let steps = view["steps"].as_array().expect("a view has steps");
    let attempts = steps.iter().flat_map(|step| step["attempts"].as_array().expect("a step has attempts"));
    let known = |what: &str| attempts.clone().filter_map(|attempt| attempt["usage"][what].as_u64()).collect();
    let usage = &view["usage"];
    let (user, peaks): (Vec<u64>, Vec<u64>) = (known("cpu_user_us"), known("memory_peak_bytes"));
    assert!(!user.is_empty() && !peaks.is_empty(), "{view:#}");
    assert_eq!(usage["cpu_user_us"].as_u64(), Some(user.iter().sum()), "{usage:#}");
    assert_eq!(usage["memory_peak_bytes"].as_u64(), peaks.into_iter().max(), "{usage:#}");
    assert_eq!(usage["wall_ms"], view["duration_ms"], "{usage:#}");
    fixture.workflow(["status", &id(&view)]).exits(0).says(&["usage: cpu ", "memory peak "]);
}

#[test]
fn journal_is_checked_lines_that_begin_with_the_version() {
    let fixture = Fixture::new();
    let view = finished(&fixture);
    let journal = read_file(&fixture.run_dir(&id(&view)).join("journal.jsonl"));
    assert!(journal.ends_with('\n'), "the padding is cut when the run ends");
    let lines: Vec<Value> =
        journal.lines().map(|line| serde_json::from_str(line).expect("a line is one JSON object")).collect();
    assert_eq!(lines[0]["format_version"], 1);
    assert!(lines[0].to_string().contains(&id(&view)), "it is the journal of this run");
    for pair in lines.windows(2) {
        let (Some(before), Some(after)) = (pair[0]["seq"].as_u64(), pair[1]["seq"].as_u64()) else {
            panic!("every line has a number: {pair:#?}");
        };
        assert_eq!(after, before + 1);
    }
    assert!(lines.iter().all(|line| line.get("crc").is_some()), "every line has a checksum");
    assert!(lines.iter().skip(1).all(|line| line.get("format_version").is_none()));
}

#[test]
fn state_is_readable_while_the_run_goes_on() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[echo("first", json!({"v": 1})), gate("a")]));
    fixture.wait_for("a.started");
    let run = fixture.only_run();
    let view = fixture.view(&run);
    assert_eq!(view["status"], "running");
    assert_eq!(view["finished_at"], Value::Null);
    assert_eq!(view["duration_ms"], Value::Null);
    assert_eq!(integration_tests::view::step(&view, "first")["status"], "completed");
    let step = integration_tests::view::step(&view, "a");
    assert_eq!((&step["status"], &step["outputs"]), (&json!("running"), &Value::Null));
    // It may lag behind the journal or not be there yet, but it always parses.
    if let Ok(state) = fs::read_to_string(fixture.run_dir(&run).join("state.json")) {
        let state: Value = serde_json::from_str(&state).expect("state.json always parses");
        assert_eq!(state["run_id"], view["run_id"]);
    }
    fixture.write("a.go", "");
    running.finish().exits(0);
}

#[test]
fn derived_view_is_never_trusted_over_the_journal() {
    let fixture = Fixture::new();
    let view = finished(&fixture);
    let state = fixture.run_dir(&id(&view)).join("state.json");
    let newer = json!({"schema_version": 999, "status": "flying"}).to_string();
    for garbage in [None, Some("garbage"), Some(""), Some("{}"), Some(newer.as_str())] {
        match garbage {
            Some(text) => write_file(&state, text.as_bytes()),
            None => fs::remove_file(&state).expect("it is there"),
        }
        assert_eq!(fixture.view(&id(&view)), view, "state.json was {garbage:?}");
        // Readers never write.
        assert_eq!(fs::read_to_string(&state).ok().as_deref(), garbage);
    }
}

#[test]
fn index_can_be_rebuilt() {
    let fixture = Fixture::new();
    for _ in 0..3 {
        finished(&fixture);
    }
    let index = fixture.home().join("index.jsonl");
    let list = || fixture.workflow(["list", "--json"]).exits(0).json();
    let expected = list();
    assert_eq!(expected["runs"].as_array().map(Vec::len), Some(3));
    fs::remove_file(&index).expect("it is there");
    assert_eq!(list(), expected, "without an index");
    finished(&fixture);
    fixture.workflow(["delete", "--run", "@last", "--yes"]).exits(0);
    assert_eq!(list(), expected, "after another run");
    let text = if index.exists() { read_file(&index) } else { String::new() };
    write_file(&index, format!("garbage\n{text}").as_bytes());
    assert_eq!(list(), expected, "with a line that does not parse");
}

#[test]
fn log_of_the_run_is_structured() {
    let fixture = Fixture::new();
    let view = finished(&fixture);
    let log = read_file(&fixture.run_dir(&id(&view)).join("logs/run.log"));
    assert!(!log.is_empty());
    for line in log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

/// `q workflow <args>` as the user with the id 1000.
#[track_caller]
fn as_another(fixture: &Fixture, args: &[&str]) -> integration_tests::Finished {
    let mut command = fixture.command("setpriv");
    command.args(["--reuid", "1000", "--regid", "1000", "--clear-groups"]);
    command.arg(integration_tests::program::q()).arg("workflow").args(args);
    fixture.start(command).finish()
}

#[test]
fn home_belongs_to_one_user() {
    let fixture = Fixture::new();
    if !fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        wait::skip("not root: a home of two users is not tried");
        return;
    }
    finished(&fixture);
    // What is private cannot be read, and that is said with what to do.
    for args in
        [&["list", "--runs"][..], &["status", "@last"], &["run", "workflow.json"], &["resume", "@last"]]
    {
        as_another(&fixture, args).exits(9).says(&["Permission denied", "--home"]);
    }
    // A home of the other one, in which root may do what it likes: it reads, and writes nothing.
    let home = fixture.home();
    let output = std::process::Command::new("chown").args(["-R", "1000:1000"]).arg(&home).output();
    assert!(output.is_ok_and(|output| output.status.success()));
    let before = walk(&home).len();
    fixture.workflow(["list", "--runs"]).exits(0).says(&["completed"]);
    fixture.workflow(["status", "@last"]).exits(0);
    for args in [
        &["run", "workflow.json"][..],
        &["retry", "@last"],
        &["delete", "--run", "@last", "--yes"],
        &["schedule", "add", "workflow.json", "--cron", "@daily"],
    ] {
        let refused = fixture.workflow(args);
        assert_ne!(refused.code, 0, "{args:?}");
    }
    fixture
        .workflow(["run", "workflow.json"])
        .exits(9)
        .says(&["belong to the user with the id 1000", "--home"]);
    assert_eq!(walk(&home).len(), before, "nothing was written");
}
