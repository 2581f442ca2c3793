//! Agents that are programs and are run once: how each known one is called, and that what it makes of a refusal is no
//! success.

use std::time::Duration;

use integration_tests::{
    Fixture,
    definition::with,
    model::{Model, Turn},
    view::{outputs, step},
    wait,
};
use serde_json::{Value, json};

use super::{tools, workflow};

/// A program that prints how it was called, in the form that its preset reads: its arguments, and what it is asked.
#[track_caller]
fn check_preset(preset: &str, form: &str, arguments: &str) {
    let fixture = Fixture::new();
    let said = "$(printf '%s ' \"$@\")| $(cat)";
    let print = match form {
        "text" => format!("echo \"{said}\""),
        "json" => format!("printf '{{\"result\": \"%s\"}}' \"$(echo \"{said}\" | tr '\\n' ' ')\""),
        _ => format!(
            "printf '{{\"type\":\"item.completed\",\"item\":{{\"type\":\"agent_message\",\"text\":\"%s\"}}}}\\n' \
             \"$(echo \"{said}\" | tr '\\n' ' ')\""
        ),
    };
    fixture.write_program(format!("bin/{preset}"), format!("#!/bin/sh\n{print}\n"));
    fixture.define(&json!({"name": "t", "version": "1.0.0", "agents": {"mine": {"kind": "command", "preset": preset}},
        "steps": [{"id": "a", "type": "agent", "agent": "mine", "prompt": "do it", "guardrails": {"allowed_tools": ["fs_read", "grep"]}}]}));
    let path =
        format!("{}:{}", fixture.work().join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("PATH", path);
    let view = fixture.start(command).finish().exits(0).json();
    let data = outputs(&view, "a")["data"].as_str().expect("text").to_owned();
    assert!(data.starts_with(arguments), "{preset}: {data}");
    assert!(data.contains("do it"), "{preset}: {data}");
}

#[test]
fn known_programs_are_called_as_they_want_it() {
    check_preset("q", "text", "chat --no-interactive --trust-tools=fs_read,grep Your working directory");
    check_preset(
        "kiro-cli",
        "text",
        "chat --no-interactive --trust-tools=fs_read,grep Your working directory",
    );
    check_preset("claude", "json", "-p --output-format json | Your working directory");
    check_preset("codex", "jsonl", "exec --json --skip-git-repo-check - | Your working directory");
    check_preset("gemini", "json", "--output-format json -p Your working directory");
}

/// A program that asks its model until it is refused, and then says that all is well.
const STUBBORN: &str = r#"
import json, os, sys, urllib.error, urllib.request
url, body = sys.argv[1], {"model": "m", "stream": True, "messages": [{"role": "user", "content": "go on"}]}
key = os.environ["OPENAI_API_KEY"]
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
for _ in range(20):
    try:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read()
    except urllib.error.HTTPError as error:
        refused = json.load(error)["error"]["guardrail"]
print("all is well")
"#;

#[test]
fn a_program_that_swallows_the_refusal_has_no_success() {
    for (provider, path) in
        [("openai", "/v1/chat/completions"), ("openai", "/v1/responses"), ("anthropic", "/v1/messages")]
    {
        let fixture = Fixture::new();
        fixture.write("stubborn.py", STUBBORN);
        let url = format!("http://127.0.0.1:4141{path}");
        let agent =
            json!({"kind": "command", "provider": provider, "command": ["python3", "stubborn.py", url]});
        let model = Model::start(vec![Turn::Text("again")]);
        let guardrails = json!({"guardrails": {"max_iterations": 3}});
        let view = fixture.run(&workflow(&model, agent, guardrails)).exits(1).json();
        assert_eq!(view["error"]["code"], "guardrail_exceeded", "{:#}", view["error"]);
        assert_eq!(view["error"]["details"]["guardrail"], "max_iterations");
        assert_eq!(model.asked().len(), 3, "{path}");
        let used = &step(&view, "a")["agent"];
        assert_eq!(
            (&used["requests"], &used["input_tokens"], &used["counted"]),
            (&json!(3), &json!(30), &json!("proxy"))
        );
        fixture.assert_nothing_left();
    }
}

#[test]
fn an_agent_in_the_background_is_seen_in_status() {
    let fixture = Fixture::new();
    let model = Model::start(vec![Turn::Call("glob", json!({"pattern": "*"})), Turn::Hang]);
    let mut definition = workflow(&model, json!({}), with(tools(&["glob"]), json!({"async": true})));
    let beside = json!({"id": "beside", "type": "skill", "skill": "echo", "inputs": {"x": 1}});
    definition["steps"].as_array_mut().expect("a list").push(beside);
    let running = fixture.spawn_run(&definition);
    wait::eventually("the model is asked again", Duration::from_mins(1), || model.asked().len() == 2);
    let id = fixture.only_run();
    let seen = |view: &Value| {
        (step(view, "beside")["status"] == "completed") && step(view, "a")["agent"]["requests"] == 2
    };
    wait::eventually("the other step is done meanwhile", Duration::from_mins(1), || seen(&fixture.view(&id)));
    fixture.workflow(["status", &id]).exits(0).says(&["request 2", "last tool glob"]);
    fixture.workflow(["stop", &id]).exits(0);
    let view = running.finish().exits(8).json();
    assert_eq!(step(&view, "a")["status"], "cancelled");
    fixture.assert_nothing_left();
}
