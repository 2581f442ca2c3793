//! Secrets: who gets them, who sees them, and what is masked.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use integration_tests::{
    Finished, Fixture, Running,
    definition::{echo, gate, shell, skill, with, workflow},
    fixture::write_file,
    model::{Model, Turn},
    program::example,
    view::{outputs, step},
};
use serde_json::{Value, json};

const TOKEN: &str = "tok/en+5ecret ü";

/// `q workflow <args>` with `TOKEN` in its environment.
#[track_caller]
fn start(fixture: &Fixture, args: &[&str]) -> Running {
    let mut command = fixture.q(args);
    command.env("TOKEN", TOKEN);
    fixture.start(command)
}

#[track_caller]
fn run(fixture: &Fixture, definition: &Value) -> Finished {
    fixture.define(definition);
    start(fixture, &["run", "workflow.json", "--json"]).finish()
}

/// A step that has the secret.
fn secretive(id: &str, command: &str) -> Value {
    with(shell(id, command), json!({"secrets": ["TOKEN"]}))
}

/// Fails if a file below the directory holds the text.
#[track_caller]
fn assert_nowhere(directory: &Path, text: &str) {
    for entry in fs::read_dir(directory).expect("it is ours").flatten() {
        let path = entry.path();
        if entry.file_type().expect("it is there").is_dir() {
            assert_nowhere(&path, text);
        } else if entry.file_type().expect("it is there").is_file() {
            let bytes = fs::read(&path).expect("it is ours");
            let found = String::from_utf8_lossy(&bytes).contains(text);
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

#[test]
fn only_the_step_that_names_it_has_it() {
    let fixture = Fixture::new();
    let has = "[ \"$TOKEN\" = 'tok/en+5ecret ü' ] && echo yes || echo no";
    let view = run(&fixture, &workflow(&[secretive("a", has), shell("b", has)])).exits(0).json();
    assert_eq!(outputs(&view, "a")["stdout"], "yes\n");
    assert_eq!(outputs(&view, "b")["stdout"], "no\n");
}

#[test]
fn whatever_a_step_does_with_it_is_masked() {
    let fixture = Fixture::new();
    let steps = [
        secretive("prints", "printf %s \"$TOKEN\"; printf '%s\\n' \"$TOKEN\" >&2"),
        secretive("slowly", "printf 'tok/en+5ec'; sleep 0.1; printf 'ret ü|'"),
        secretive("encodes", "printf %s \"$TOKEN\" | base64; printf 'x%s' \"$TOKEN\" | base64"),
        echo("next", json!({"v": "prints.stdout"})),
    ];
    let view = run(&fixture, &workflow(&steps)).exits(0).json();
    assert_eq!(outputs(&view, "prints")["stdout"], "***");
    assert_eq!(outputs(&view, "prints")["stderr"], "***\n");
    assert_eq!(outputs(&view, "slowly")["stdout"], "***|");
    assert_eq!(outputs(&view, "next")["v"], "***", "and so it is handed on");
    let encoded = outputs(&view, "encodes")["stdout"].as_str().expect("it is text").to_owned();
    assert_eq!(encoded.matches("***").count(), 2, "{encoded}");
    let run = fixture.run_dir(view["run_id"].as_str().expect("an id is text"));
    assert_eq!(fs::read_to_string(run.join("steps/prints/1/stdout.log")).expect("it is there"), "***");
    assert_eq!(fs::read_to_string(run.join("steps/slowly/1/stdout.log")).expect("it is there"), "***|");
    assert_nowhere(&fixture.home(), "5ecret");
}

#[test]
fn failures_do_not_tell_it() {
    let fixture = Fixture::new();
    let finished = run(&fixture, &workflow(&[secretive("a", "echo \"bad $TOKEN\" >&2; exit 3")])).exits(1);
    let view = finished.json();
    assert_eq!(view["error"]["details"]["stderr"], json!(["bad ***"]));
    assert!(!finished.stderr.contains("5ecret"), "{}", finished.stderr);
    assert_nowhere(&fixture.home(), "5ecret");
}

#[test]
fn environment_of_the_engine_does_not_show_it() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[with(gate("gate"), json!({"secrets": ["TOKEN"]}))]));
    let running = start(&fixture, &["run", "workflow.json"]);
    fixture.wait_for("gate.started");
    let environ = |pid: u32| fs::read(format!("/proc/{pid}/environ")).expect("it is ours");
    let engine = String::from_utf8_lossy(&environ(running.pid())).into_owned();
    assert!(engine.contains("PATH=") && !engine.contains("5ecret"), "{engine:?}");
    for process in fixture.processes() {
        assert!(!process.command.contains("5ecret"), "an argument: {process:?}");
    }
    fixture.write("gate.go", "");
    running.finish().exits(0);
}

#[test]
fn missing_secret_is_refused_before_anything_runs() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[shell("first", "touch first"), secretive("a", "true")]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["`TOKEN` is missing"]);
    assert!(fixture.run_ids().is_empty() && !fixture.has("first"));
    let mut short = fixture.q(["run", "workflow.json"]);
    short.env("TOKEN", "12345");
    fixture.start(short).finish().exits(3).says(&["fewer than 6 bytes"]);
}

#[test]
fn sources_are_those_of_the_configuration() {
    let fixture = Fixture::new();
    let secrets =
        json!({"A": {"env": "TOKEN"}, "B": {"file": "keys/b"}, "C": {"command": ["echo", "from program"]}});
    write_file(&fixture.home().join("config.json"), json!({ "secrets": secrets }).to_string().as_bytes());
    write_file(&fixture.home().join("keys/b"), b"from file\n");
    fs::set_permissions(fixture.home().join("keys"), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let check = "[ \"$A\" = 'tok/en+5ecret ü' ] && [ \"$B\" = 'from file' ] && [ \"$C\" = 'from program' ] \
                 && [ -z \"$TOKEN\" ]";
    let step = with(shell("a", check), json!({"secrets": ["A", "B", "C"]}));
    run(&fixture, &workflow(&[step])).exits(0);
}

/// A workflow with a secret input that waits in between.
fn with_secret_input() -> Value {
    let inputs = json!({"inputs": {"pin": {"type": "integer", "secret": true}, "plain": {"type": "string"}}});
    let reads = with(shell("reads", "cat; echo \"$PIN\""), json!({"env": {"PIN": "x${inputs.pin}"}}));
    with(workflow(&[skill("first", "echo", json!({"pin": "inputs.pin"})), gate("gate"), reads]), inputs)
}

#[test]
fn secret_inputs_are_asked_for_again() {
    let fixture = Fixture::new();
    fixture.define(&with_secret_input());
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["`pin` is required"]);
    let running = fixture.spawn(["run", "workflow.json", "--input", "pin=998877665", "--input", "plain=p"]);
    fixture.wait_for("gate.started");
    let id = fixture.only_run();
    fixture.kill_engine(running);
    assert_eq!(fixture.view(&id)["status"], "interrupted");
    fixture.write("gate.go", "");
    fixture.workflow(["resume", &id]).exits(3).says(&["`pin` is required"]);
    assert_eq!(fixture.view(&id)["status"], "interrupted");
    fixture.workflow(["resume", &id, "--input", "plain=q"]).exits(3);
    fixture.write("pin.txt", "998877665\n");
    let view = fixture.workflow(["resume", &id, "--input", "pin=@pin.txt", "--json"]).exits(0).json();
    assert_eq!(outputs(&view, "first")["pin"], "***");
    assert_eq!(outputs(&view, "reads")["stdout"], "x***\n");
    assert_nowhere(&fixture.home(), "998877665");
    // The journal alone gives the same.
    fs::remove_file(fixture.run_dir(&id).join("state.json")).expect("it is there");
    assert_eq!(fixture.view(&id), view);
}

#[test]
fn values_of_inputs_come_from_variables_files_and_standard_input() {
    let fixture = Fixture::new();
    let inputs =
        json!({"inputs": {"a": {"type": "string"}, "b": {"type": "array"}, "c": {"type": "string"}}});
    let step = echo("a", json!({"a": "inputs.a", "b": "inputs.b", "c": "inputs.c"}));
    fixture.define(&with(workflow(&[step]), inputs));
    fixture.write("b.json", "[1, 2]\n");
    let mut command =
        fixture.q(["run", "workflow.json", "--json", "--input", "a=env:TOKEN", "--input", "b=@b.json"]);
    command.args(["--input", "c=@-"]).env("TOKEN", TOKEN).stdin(Stdio::piped());
    let mut child = command.spawn().expect("q is there");
    child.stdin.take().expect("it is piped").write_all(b"from\nstdin\n").expect("q reads it");
    let view = Running::new(child).finish().exits(0).json();
    assert_eq!(step_outputs(&view), json!({"a": TOKEN, "b": [1, 2], "c": "from\nstdin"}));
    fixture.workflow(["run", "workflow.json", "--input", "a=env:NO_SUCH_VARIABLE"]).exits(3);
    fixture.workflow(["run", "workflow.json", "--input", "a=@no-such-file"]).exits(4);
}

fn step_outputs(view: &Value) -> Value {
    step(view, "a")["outputs"].clone()
}

#[test]
fn example_masks_what_it_prints() {
    let fixture = Fixture::new();
    fixture.write("secrets.json", example("secrets.json"));
    let mut command = fixture.q(["run", "secrets.json", "--json", "--input", "password=env:PASSWORD"]);
    command.env("EXAMPLE_TOKEN", "a token of an example").env("PASSWORD", "correct horse");
    let view = fixture.start(command).finish().exits(0).json();
    let said = view["outputs"]["said"].as_str().expect("it is text").to_owned();
    assert!(said.starts_with("token ***, password ***\n***"), "{said}");
}

#[test]
fn no_place_shows_it_in_any_form() {
    let fixture = Fixture::new();
    let secret = "first line of it\nsec/ond \"line\" ü";
    // The value, a line of it, escaped for JSON, percent-encoded, and in base64 at three alignments and in both alphabets.
    let forms = [
        "first line of it",
        "sec/ond",
        "sec\\/ond",
        "it\\nsec",
        "first%20line",
        "sec%2Fond",
        "Zmlyc3QgbGluZSBv",
        "ZpcnN0IGxpbmUgb2",
        "maXJzdCBsaW5lIG9m",
    ];
    let manifest = json!({"name": "leaky", "version": "1.0.0", "description": "d", "command": ["./leaky.sh"], "events": true,
        "inputs": {"type": "object"}, "outputs": {"type": "object"}});
    write_file(&fixture.work().join("skills/leaky/skill.json"), manifest.to_string().as_bytes());
    let program = fixture.work().join("skills/leaky/leaky.sh");
    let leaks = "#!/bin/sh\njson='first line of it\\nsec\\/ond \\\"line\\\" \\u00fc'\n\
        printf '{\"type\":\"log\",\"level\":\"info\",\"text\":\"%s\"}\\n' \"$json\" >&3\n\
        printf '{\"at\":\"%s\"}\\n' \"$json\" >&3\nprintf '%s\\n' \"$TOKEN\" >&2\n\
        for before in '' a ab; do printf '%s%s' \"$before\" \"$TOKEN\" | base64 -w0 >&2; echo >&2; done\n\
        printf 'first%%20line%%20of%%20it%%0Asec%%2Fond%%20%%22line%%22%%20%%C3%%BC\\n' >&2\n\
        printf '{\"v\":\"%s\"}' \"$json\"\n";
    write_file(&program, leaks.as_bytes());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");

    let model = Model::start(vec![
        Turn::Call("execute_bash", json!({"command": "echo \"$TOKEN\"; echo \"$TOKEN\" | base64 -w0"})),
        Turn::Call("finish", json!({"result": {"said": secret}})),
    ]);
    let agent = json!({"model": "scripted", "base_url": model.url(), "provider": "openai"});
    let secrets = json!({"secrets": ["TOKEN"]});
    let steps = [
        with(skill("leaks", "leaky", json!({})), secrets.clone()),
        with(
            json!({"id": "agent", "type": "agent", "agent": "mine", "prompt": "go",
                "guardrails": {"allowed_tools": ["execute_bash"]}}),
            secrets.clone(),
        ),
        skill("tells", "notify", json!({"message": "${leaks.v} ${agent.said}"})),
        with(shell("fails", "echo \"$TOKEN\" | tee /dev/stderr; exit 3"), secrets),
    ];
    fixture.define(&with(workflow(&steps), json!({"agents": {"mine": agent}})));
    let mut command = fixture.q(["run", "workflow.json", "--events"]);
    command.env("TOKEN", secret);
    let finished = fixture.start(command).finish().exits(1);
    let mut said = vec![finished.stdout.clone(), finished.stderr.clone()];
    assert!(
        finished.stdout.contains("step.progress") && finished.stdout.contains("tool."),
        "{}",
        finished.stdout
    );
    for arguments in [
        &["status", "@last"][..],
        &["status", "@last", "--json"],
        &["logs", "@last"],
        &["logs", "@last", "--json"],
        &["explain", "@last"],
        &["report", "@last"],
        &["graph", "@last"],
        &["history"],
    ] {
        let shown = fixture.workflow(arguments);
        said.extend([shown.stdout, shown.stderr]);
    }
    for form in forms {
        for text in &said {
            assert!(!text.contains(form), "{form}: {text}");
        }
        assert_nowhere(&fixture.home(), form);
    }
    let view = fixture.view("@last");
    assert_eq!(
        (&outputs(&view, "leaks")["v"], &outputs(&view, "agent")["said"]),
        (&json!("***"), &json!("***"))
    );
    let run = fixture.run_dir(view["run_id"].as_str().expect("an id is text"));
    for place in ["steps/leaks/1/stderr.log", "steps/tells/1/stderr.log", "steps/agent/1/transcript.jsonl"] {
        let text = fs::read_to_string(run.join(place)).unwrap_or_default();
        assert!(text.contains("***"), "{place}: {text}");
    }
}
