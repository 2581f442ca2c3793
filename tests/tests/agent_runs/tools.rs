//! Tools of agents: those that are offered, those that are refused, and what comes of a call.

use integration_tests::{
    Fixture,
    definition::with,
    model::{Model, Turn},
    view::step,
};
use serde_json::{Value, json};

use super::{finish, run, tools};

#[test]
fn a_tool_that_is_not_allowed_is_not_offered_and_refused() {
    let fixture = Fixture::new();
    let turns = vec![
        Turn::Call("execute_bash", json!({"command": "touch broken-out"})),
        Turn::Call("fs_write", json!({"path": "broken-out", "content": "x"})),
        Turn::Call("git__push", json!({})),
        finish(&json!("gave up")),
    ];
    let (finished, model) = run(&fixture, turns, json!({}), tools(&["fs_read"]));
    let view = finished.exits(0).json();
    let asked = model.asked();
    let offered: Vec<_> = asked[0].body["tools"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tool| tool["function"]["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(offered, ["fs_read", "finish"]);
    let agent = &step(&view, "a")["agent"];
    let denied = json!([
        {"tool": "execute_bash", "rule": "allowed_tools"},
        {"tool": "fs_write", "rule": "allowed_tools"},
        {"tool": "@git/push", "rule": "allowed_tools"},
    ]);
    assert_eq!(agent["denied"], denied);
    assert!(!fixture.has("broken-out"));
    assert!(asked[1].body.to_string().contains("is not allowed"));
}

/// What the model is told of one call.
#[track_caller]
fn told(fixture: &Fixture, call: Turn, agent: Value, guardrails: &Value) -> String {
    let (finished, model) =
        run(fixture, vec![call, finish(&json!(1))], agent, json!({"guardrails": guardrails}));
    finished.exits(0);
    let body = model.asked()[1].body.clone();
    let last = body["messages"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default();
    last["content"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_tool_that_takes_too_long_is_an_error_that_the_model_is_told() {
    let slow = r#"
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m.get("method") == "tools/call" or "id" not in m: continue
    r = {"tools": [{"name": "wait", "inputSchema": {}}]} if m["method"] == "tools/list" else {"protocolVersion": "2025-06-18"}
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)
"#;
    let fixture = Fixture::new();
    fixture.write("server.py", slow);
    let agent = json!({"mcpServers": {"slow": {"command": "python3", "args": ["server.py"]}}});
    for (tool, call) in [
        ("execute_bash", Turn::Call("execute_bash", json!({"command": "sleep 600"}))),
        ("skill:sleep", Turn::Call("skill__sleep", json!({"duration": "10m"}))),
        ("skill:shell", Turn::Call("skill__shell", json!({"command": "sleep 600"}))),
        ("@slow/wait", Turn::Call("slow__wait", json!({}))),
    ] {
        let guardrails = json!({"allowed_tools": [tool], "tool_timeout": "200ms"});
        let told = told(&fixture, call, agent.clone(), &guardrails);
        assert!(told.starts_with("error:") && told.contains("200 ms"), "{tool}: {told}");
        fixture.assert_nothing_left();
    }
}

#[test]
fn skills_are_tools() {
    let program = "#!/usr/bin/env python3\nimport json, sys\nr = json.load(sys.stdin)\nprint(json.dumps({'outputs': \
                   {'words': len(r['inputs']['text'].split()), 'run': r['run_id'], 'step': r['step_id']}}))\n";
    let fixture = Fixture::new();
    fixture.write_program("skills/count-words/run.py", program);
    fixture.write(
        "skills/count-words/skill.json",
        json!({"name": "count-words", "version": "1.0.0", "description": "Counts words.", "command": ["./run.py"],
            "inputs": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}})
        .to_string(),
    );
    let allowed = json!({"allowed_tools": ["skill:count-words", "skill:json-query", "skill:exec"]});
    let check = |call: Turn, expected: &str| {
        let told = told(&fixture, call, json!({}), &allowed);
        assert!(told.contains(expected), "{told}");
    };
    check(Turn::Call("skill__count-words", json!({"text": "one two three"})), r#""words":3"#);
    check(Turn::Call("skill__count-words", json!({"text": "one"})), r#""step":"a""#);
    check(Turn::Call("skill__count-words", json!({})), "error: bad input at ``");
    check(Turn::Call("skill__json-query", json!({"data": [1, 2], "query": "add"})), r#""result":3"#);
    check(Turn::Call("skill__exec", json!({"argv": ["echo", "hi"]})), r#""stdout":"hi\n""#);
    check(
        Turn::Call("skill__exec", json!({"argv": ["sh", "-c", "touch made; test -e made"]})),
        "error: exit code 1",
    );
    check(Turn::Call("skill__echo", json!({})), "is not allowed");
    assert!(!fixture.has("made"));
}

/// An MCP server with the tools `add` and `drop`.
const SERVER: &str = r#"
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m: continue
    r = {"initialize": {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "t", "version": "1"}},
         "tools/list": {"tools": [{"name": "add", "inputSchema": {"type": "object"}}, {"name": "drop", "inputSchema": {"type": "object"}}]},
         "tools/call": {"content": [{"type": "text", "text": "sum " + str(sum(m.get("params", {}).get("arguments", {}).values()))}]}}[m["method"]]
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)
"#;

#[test]
fn an_mcp_server_is_started_in_the_sandbox_and_its_tools_are_called() {
    let fixture = Fixture::new();
    fixture.write("server.py", SERVER);
    let agent = json!({"mcpServers": {"math": {"command": "python3", "args": ["server.py"]}}});
    let turns = vec![
        Turn::Call("math__add", json!({"a": 2, "b": 3})),
        Turn::Call("math__drop", json!({})),
        finish(&json!(1)),
    ];
    let (finished, model) = run(&fixture, turns, agent, tools(&["@math/add"]));
    let view = finished.exits(0).json();
    let asked = model.asked();
    assert!(asked[1].body.to_string().contains("sum 5"), "{:#}", asked[1].body);
    assert_eq!(step(&view, "a")["agent"]["denied"], json!([{"tool": "@math/drop", "rule": "allowed_tools"}]));
    fixture.assert_nothing_left();
}

#[test]
fn hooks_add_context_watch_tools_and_block_them() {
    let fixture = Fixture::new();
    fixture.write("RULES.md", "Always be kind.");
    let log = "cat >> hooks.log; echo >> hooks.log";
    let block = "cat >/dev/null; echo 'not in this house' >&2; exit 2";
    let agent = json!({
        "resources": ["file://*.md"],
        "toolAliases": {"fs_read": "look"},
        "guardrails": {"filesystem": {"read": ["."], "write": ["."]}},
        "hooks": {
            "agentSpawn": [{"command": "echo the weather is fine"}],
            "userPromptSubmit": [{"command": "grep -o 'do it'"}],
            "preToolUse": [{"matcher": "execute_bash", "command": block}, {"matcher": "fs_read", "command": log}],
            "postToolUse": [{"matcher": "look*", "command": "touch never"}, {"matcher": "fs_read", "command": log}],
            "stop": [{"command": log}]
        }
    });
    let turns = vec![
        Turn::Call("execute_bash", json!({"command": "touch made"})),
        Turn::Call("look", json!({"path": "RULES.md"})),
        finish(&json!(1)),
    ];
    let (finished, model) = run(&fixture, turns, agent, tools(&["execute_bash", "look"]));
    let view = finished.exits(0).json();
    let asked = model.asked();
    let system = asked[0].body["messages"][0]["content"].as_str().expect("text").to_owned();
    for part in ["Always be kind.", "RULES.md", "the weather is fine", "do it"] {
        assert!(system.contains(part), "{part}: {system}");
    }
    assert!(asked[1].body.to_string().contains("not in this house"));
    assert!(asked[2].body.to_string().contains("Always be kind."));
    assert!(!fixture.has("made") && !fixture.has("never"));
    let denied = json!([{"tool": "execute_bash", "rule": "hooks.preToolUse"}]);
    assert_eq!(step(&view, "a")["agent"]["denied"], denied);
    let moments: Vec<Value> =
        fixture.read("hooks.log").lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let names: Vec<_> =
        moments.iter().map(|moment| moment["hook_event_name"].as_str().expect("text")).collect();
    assert_eq!(names, ["preToolUse", "postToolUse", "stop"]);
    assert_eq!(moments[0]["tool_input"], json!({"path": "RULES.md"}));
    assert_eq!(
        (&moments[1]["tool_name"], &moments[1]["tool_response"]["success"]),
        (&json!("fs_read"), &json!(true))
    );
}

#[test]
fn servers_of_the_vendors_file_are_those_of_an_agent_that_says_so() {
    let fixture = Fixture::new();
    fixture.write("server.py", SERVER);
    let servers = json!({"mcpServers": {"math": {"command": "python3", "args": ["server.py"]}}});
    fixture.write(".amazonq/mcp.json", servers.to_string());
    let check = |agent: Value, offered: bool| {
        let model = Model::start(vec![finish(&json!(1))]);
        let agent = with(json!({"model": "m", "provider": "openai", "base_url": model.url()}), agent);
        fixture.write(".amazonq/cli-agents/mine.json", agent.to_string());
        let guardrails = json!({"allowed_tools": ["@math/add"]});
        let step =
            json!({"id": "a", "type": "agent", "agent": "mine", "prompt": "do it", "guardrails": guardrails});
        fixture.run(&json!({"name": "t", "version": "1.0.0", "steps": [step]})).exits(0);
        let asked = model.asked()[0].body["tools"].to_string();
        assert_eq!(asked.contains("math__add"), offered, "{agent}: {asked}");
    };
    check(json!({"useLegacyMcpJson": true}), true);
    check(json!({"useLegacyMcpJson": false}), false);
    check(json!({}), false);
}

#[test]
fn settings_of_tools_and_denied_tools_refuse_calls() {
    let fixture = Fixture::new();
    fixture.write("notes.txt", "the answer is 42\n");
    let settings = json!({"toolsSettings": {
        "execute_bash": {"allowedCommands": ["echo .*"], "deniedCommands": [".*secret.*"]},
        "fs_read": {"deniedPaths": ["*.key"]}}});
    let allowed = json!({"allowed_tools": ["execute_bash", "fs_read", "glob"], "denied_tools": ["glob"]});
    fixture.write("my.key", "hunter2");
    let bash = |command: &str| Turn::Call("execute_bash", json!({"command": command}));
    let read = |path: &str| Turn::Call("fs_read", json!({"path": path}));
    for (call, expected) in [
        (bash("echo hi"), "hi\n"),
        (
            bash("echo secret"),
            "error: the command is not allowed: `toolsSettings.execute_bash.deniedCommands`",
        ),
        (
            bash("date; echo hi"),
            "error: the command is not allowed: `toolsSettings.execute_bash.allowedCommands`",
        ),
        (read("notes.txt"), "the answer is 42\n"),
        (read("my.key"), "error: `my.key` may not be used: `toolsSettings.fs_read.deniedPaths`"),
        (
            read("/etc/hostname"),
            "error: `/etc/hostname` may not be read: it is outside of what this agent may see",
        ),
        (
            Turn::Call("glob", json!({"pattern": "*"})),
            "error: the tool `glob` is not allowed (`denied_tools`)",
        ),
    ] {
        assert_eq!(told(&fixture, call, settings.clone(), &allowed), expected);
    }
}
