//! Programs of others at work: a real agent that speaks the Agent Client Protocol, and real MCP servers, driven by a
//! scripted model. `tests/install-packages` installs them.

use std::{path::Path, time::Duration};

use integration_tests::{
    Fixture,
    model::{Model, Turn},
    peers,
    view::{outputs, step},
    wait,
};
use serde_json::{Value, json};

/// How long a real agent may take to start and to ask.
const LONG: Duration = Duration::from_mins(1);

/// A workflow of Codex by its preset, with the model as its model.
fn codex(packages: &Path, model: &Model, allowed: &[&str]) -> Value {
    let agent = json!({"kind": "acp", "preset": "codex", "model": "gpt-4.1", "base_url": model.url(), "provider": "openai"});
    let files = json!({"read": [".", packages], "write": ["."]});
    let guardrails =
        json!({"timeout": "2m", "allowed_tools": allowed, "filesystem": files, "max_iterations": 9});
    let step = json!({"id": "a", "type": "agent", "agent": "codex", "prompt": "Make a file.", "guardrails": guardrails});
    json!({"name": "t", "version": "1.0.0", "agents": {"codex": agent}, "steps": [step]})
}

/// A run of it, with the program in its path.
fn start(fixture: &Fixture, packages: &Path, definition: &Value) -> integration_tests::Running {
    fixture.define(definition);
    let programs = packages.join("@zed-industries/codex-acp-linux-x64/bin");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("PATH", path).env("OPENAI_API_KEY", "the-real-key").env("OTHER_SECRET", "hunter2");
    fixture.start(command)
}

fn shell(command: &str) -> Turn {
    Turn::Call("exec_command", json!({"cmd": command}))
}

#[test]
fn codex_runs_a_command_that_is_allowed() {
    let Some(packages) = peers::folder() else { return };
    let fixture = Fixture::new();
    let script = "touch made; env | grep -c hunter2; env | grep -c the-real-key; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c -e hunter2 -e the-real-key";
    let model = Model::start(vec![shell(script), Turn::Text("made it")]);
    let view = start(&fixture, &packages, &codex(&packages, &model, &["shell"])).finish().exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"data": "made it"}));
    assert!(fixture.has("made"));
    let agent = &step(&view, "a")["agent"];
    assert_eq!(
        (&agent["requests"], &agent["tool_calls"], &agent["denied"]),
        (&json!(2), &json!(1), &json!([]))
    );
    assert_eq!((&agent["input_tokens"], &agent["counted"]), (&json!(20), &json!("proxy")));
    let asked = model.asked();
    assert!(asked[0].head.contains("Bearer the-real-key"), "the proxy has the key");
    let told = asked[1].body.to_string();
    assert!(told.contains("0\\n0\\n0"), "neither environment nor /proc has a secret");
    fixture.assert_nothing_left();
}

#[test]
fn codex_is_refused_a_command_that_is_not_allowed() {
    let Some(packages) = peers::folder() else { return };
    let fixture = Fixture::new();
    let model = Model::start(vec![shell("touch made"), Turn::Text("I may not")]);
    let finished = start(&fixture, &packages, &codex(&packages, &model, &["fs_read"])).finish();
    // Whether it goes on after a refusal is the agent's affair; what was refused is known here.
    let view: Value = finished.json();
    let denied = json!([{"tool": "execute_bash", "rule": "allowed_tools"}]);
    assert_eq!(step(&view, "a")["agent"]["denied"], denied, "{view:#}");
    assert!(!fixture.has("made"));
    fixture.assert_nothing_left();
}

#[test]
fn codex_is_cancelled_with_all_that_it_started() {
    let Some(packages) = peers::folder() else { return };
    let fixture = Fixture::new();
    let script = "setsid -f sleep 600; touch started; sleep 600";
    let model = Model::start(vec![shell(script), Turn::Text("done")]);
    let running = start(&fixture, &packages, &codex(&packages, &model, &["shell"]));
    wait::eventually("the command runs", LONG, || fixture.has("started"));
    let id = fixture.only_run();
    fixture.workflow(["stop", &id]).exits(0);
    let view = running.finish().exits(8).json();
    assert_eq!(step(&view, "a")["status"], "cancelled");
    fixture.assert_nothing_left();
}

/// An agent of the built-in kind with one MCP server; gives what its model was told of each call.
#[track_caller]
fn told(fixture: &Fixture, server: &Value, turns: Vec<Turn>) -> Option<Vec<String>> {
    let packages = peers::folder()?;
    let calls = turns.len();
    let model = Model::start(turns.into_iter().chain([Turn::Call("finish", json!({"result": 1}))]).collect());
    let agent = json!({"model": "scripted", "provider": "openai", "base_url": model.url(), "mcpServers": {"s": server}});
    let guardrails =
        json!({"allowed_tools": ["@s"], "filesystem": {"read": [".", packages]}, "timeout": "2m"});
    let step =
        json!({"id": "a", "type": "agent", "agent": "mine", "prompt": "do it", "guardrails": guardrails});
    let definition = json!({"name": "t", "version": "1.0.0", "agents": {"mine": agent}, "steps": [step]});
    fixture.define(&definition);
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("OTHER_SECRET", "hunter2").env("OPENAI_API_KEY", "the-real-key");
    fixture.start(command).finish().exits(0);
    let last =
        |body: &Value| body["messages"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default();
    let asked = model.asked();
    assert_eq!(asked.len(), calls + 1);
    fixture.assert_nothing_left();
    Some(
        asked[1..]
            .iter()
            .map(|asked| last(&asked.body)["content"].as_str().unwrap_or_default().to_owned())
            .collect(),
    )
}

fn node(packages: &Path, script: &str, arguments: &[&str]) -> Value {
    let script = packages.join("@modelcontextprotocol").join(script).join("dist/index.js");
    let arguments: Vec<_> = [script.to_str().expect("text")]
        .into_iter()
        .chain(arguments.iter().copied())
        .map(str::to_owned)
        .collect();
    json!({"command": "node", "args": arguments})
}

#[test]
fn a_server_of_files_reads_within_its_root_and_writes_nowhere() {
    let Some(packages) = peers::folder() else { return };
    let fixture = Fixture::new();
    fixture.write("notes.txt", "the answer is 42\n");
    let work = fixture.work().canonicalize().expect("it is there");
    let root = work.to_str().expect("text");
    let turns = vec![
        Turn::Call("s__read_text_file", json!({"path": format!("{root}/notes.txt")})),
        Turn::Call("s__read_text_file", json!({"path": "/etc/passwd"})),
        Turn::Call("s__write_file", json!({"path": format!("{root}/made.txt"), "content": "x"})),
    ];
    let Some(told) = told(&fixture, &node(&packages, "server-filesystem", &[root]), turns) else { return };
    assert!(told[0].contains("the answer is 42"), "{told:?}");
    assert!(told[1].contains("error:") && told[2].contains("error:"), "{told:?}");
    assert!(!fixture.has("made.txt"));
}

#[test]
fn a_server_sees_no_secret_of_the_engine() {
    let Some(packages) = peers::folder() else { return };
    let fixture = Fixture::new();
    let turns = vec![Turn::Call("s__echo", json!({"message": "hello"})), Turn::Call("s__get-env", json!({}))];
    let Some(told) = told(&fixture, &node(&packages, "server-everything", &["stdio"]), turns) else { return };
    assert!(told[0].contains("hello"), "{told:?}");
    assert!(told[1].contains("WORKFLOW_STEP_ID"), "{told:?}");
    assert!(!told[1].contains("hunter2") && !told[1].contains("the-real-key"), "{told:?}");
}
