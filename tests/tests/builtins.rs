//! The skills that are part of q, as far as a linear workflow shows them.

use std::os::unix::net::UnixListener;

use integration_tests::{
    Fixture,
    definition::{skill, with, workflow},
    server::{Answer, Server},
    view::{attempt, outputs},
};
use serde_json::{Value, json};

/// The outputs of one step of a skill that completes.
#[track_caller]
fn gives(fixture: &Fixture, name: &str, inputs: Value) -> Value {
    let view = fixture.run(&workflow(&[skill("a", name, inputs)])).exits(0).json();
    outputs(&view, "a").clone()
}

/// The failure of one step of a skill.
#[track_caller]
fn fails(fixture: &Fixture, name: &str, inputs: Value) -> Value {
    let view = fixture.run(&workflow(&[skill("a", name, inputs)])).exits(1).json();
    view["error"].clone()
}

#[test]
fn echo_hands_on_anything() {
    let inputs =
        json!({"text": "ü\n", "null": null, "big": 9_007_199_254_740_993_u64, "deep": [[{"a": -1.5}]]});
    assert_eq!(gives(&Fixture::new(), "echo", inputs.clone()), inputs);
}

#[test]
fn set_context_hands_on_what_it_assigns() {
    let fixture = Fixture::new();
    let step = skill("a", "set-context", json!({"n": 2}));
    let members = json!({"context": {"mutable": {"n": 1}}, "outputs": {"n": "context.n"}});
    let view = fixture.run(&with(workflow(&[step]), members)).exits(0).json();
    assert_eq!((outputs(&view, "a"), &view["outputs"]), (&json!({"n": 2}), &json!({"n": 2})));
}

#[test]
fn shell_and_exec_give_what_the_program_wrote() {
    let fixture = Fixture::new();
    let expected = json!({"stdout": "out\n", "stderr": "err\n", "exit_code": 0});
    let command = "echo out; echo err >&2";
    assert_eq!(gives(&fixture, "shell", json!({"command": command})), expected);
    assert_eq!(gives(&fixture, "exec", json!({"argv": ["sh", "-c", command]})), expected);
}

#[test]
fn shell_and_exec_take_stdin() {
    let fixture = Fixture::new();
    assert_eq!(gives(&fixture, "shell", json!({"command": "cat", "stdin": "in"}))["stdout"], "in");
    assert_eq!(gives(&fixture, "exec", json!({"argv": ["cat"], "stdin": "in"}))["stdout"], "in");
    assert_eq!(gives(&fixture, "exec", json!({"argv": ["cat"]}))["stdout"], "");
}

#[test]
fn failure_can_be_allowed() {
    let fixture = Fixture::new();
    let expected = json!({"stdout": "", "stderr": "no\n", "exit_code": 3});
    let command = "echo no >&2; exit 3";
    assert_eq!(gives(&fixture, "shell", json!({"command": command, "allow_failure": true})), expected);
    assert_eq!(
        gives(&fixture, "exec", json!({"argv": ["sh", "-c", command], "allow_failure": true})),
        expected
    );
    assert_eq!(fails(&fixture, "shell", json!({"command": command}))["code"], "exit_code");
    assert_eq!(fails(&fixture, "exec", json!({"argv": ["sh", "-c", command]}))["code"], "exit_code");
}

#[test]
fn exit_codes_come_through_unchanged() {
    for code in [0, 1, 2, 75, 124, 126, 127, 128, 137, 143, 255] {
        let fixture = Fixture::new();
        let inputs = json!({"command": format!("exit {code}"), "allow_failure": true});
        let view = fixture.run(&workflow(&[skill("a", "shell", inputs)])).exits(0).json();
        assert_eq!(outputs(&view, "a")["exit_code"], code);
        assert_eq!(attempt(&view, "a")["exit_code"], code);
    }
}

#[test]
fn exec_of_nothing_executable_never_started() {
    for (argv, errno) in
        [(json!(["/nowhere/program"]), 2), (json!(["no-such-program-anywhere"]), 2), (json!(["/etc"]), 13)]
    {
        let error = fails(&Fixture::new(), "exec", json!({"argv": argv}));
        assert_eq!(error["code"], "sandbox_error", "{error:#}");
        assert_eq!(error["details"]["stage"], "exec");
        assert_eq!(error["details"]["errno"], errno);
        assert_eq!(error["retryable"], false);
    }
}

#[test]
fn json_parse_takes_text_values_and_pointers() {
    let fixture = Fixture::new();
    assert_eq!(gives(&fixture, "json-parse", json!({"data": "{\"a\": [1]}"})), json!({"parsed": {"a": [1]}}));
    assert_eq!(gives(&fixture, "json-parse", json!({"data": {"a": 1}})), json!({"parsed": {"a": 1}}));
    let pointed =
        gives(&fixture, "json-parse", json!({"data": "{\"a\": [1, {\"b/c\": 2}]}", "pointer": "/a/1/b~1c"}));
    assert_eq!(pointed, json!({"parsed": 2}));
    assert_eq!(fails(&fixture, "json-parse", json!({"data": "{"}))["code"], "skill_error");
    assert_eq!(fails(&fixture, "json-parse", json!({"data": {}, "pointer": "/a"}))["code"], "skill_error");
}

#[test]
fn json_query_and_template_work_on_values_of_steps() {
    let fixture = Fixture::new();
    let steps = [
        skill("fetch", "echo", json!({"items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]})),
        skill("sum", "json-query", json!({"data": "fetch.items", "query": "(map(.n) | add), .[].name"})),
        skill(
            "say",
            "template",
            json!({
                "template": "{{sum}} of {{items[1].name}}, not $${sum}",
                "values": {"sum": "sum.result", "items": "fetch.items"},
            }),
        ),
    ];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    assert_eq!(outputs(&view, "sum"), &json!({"result": 3, "results": [3, "a", "b"]}));
    assert_eq!(outputs(&view, "say"), &json!({"text": "3 of b, not 3"}));
}

#[test]
fn notify_tells_a_hook_a_program_or_the_log() {
    let server = Server::start(vec![Answer::text(200, "ok")]);
    let fixture = Fixture::new();
    let sent = gives(&fixture, "notify", json!({"url": server.url() + "/hook", "message": "done"}));
    assert_eq!(sent, json!({"status": 200}));
    assert!(server.requests()[0].starts_with("POST /hook "), "{:?}", server.requests());
    let told = gives(&fixture, "notify", json!({"argv": ["tee", "told"], "message": "done"}));
    assert_eq!((told, fixture.read("told")), (json!({"status": 0}), "done".to_owned()));
    let view = fixture.run(&workflow(&[skill("a", "notify", json!({"message": "logged"}))])).exits(0).json();
    let id = view["run_id"].as_str().expect("an id is text");
    fixture.workflow(["logs", id]).exits(0).says(&["logged"]);
}

#[test]
fn mcp_call_gives_what_a_tool_of_a_server_gave() {
    let fixture = Fixture::new();
    // A server in shell: it answers the handshake and one call, by the numbers of the questions.
    let server = r#"#!/bin/sh
read -r hello; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}'
read -r initialized; read -r call
case $call in *'"name":"greet"'*'Ann'* | *'Ann'*'"name":"greet"'*) ;; *) exit 1 ;; esac
echo '{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"hi"}],"structuredContent":{"n":1}}}'
"#;
    fixture.write_program("server.sh", server);
    let entry = json!({"mcpServers": {"greeter": {"command": "./server.sh"}}});
    fixture.write(".amazonq/mcp.json", entry.to_string());
    for server in [json!(["./server.sh"]), json!("./server.sh"), json!("greeter")] {
        let inputs = json!({"server": server, "tool": "greet", "arguments": {"name": "Ann"}});
        let given = gives(&fixture, "mcp-call", inputs);
        assert_eq!(given, json!({"content": [{"type": "text", "text": "hi"}], "structured": {"n": 1}}));
    }
    let refused = fails(&fixture, "mcp-call", json!({"server": "greeter", "tool": "other"}));
    assert_eq!(
        (&refused["code"], &refused["details"]["skill_code"]),
        (&json!("skill_error"), &json!("CALL_FAILED"))
    );
}

#[test]
fn file_exists_tells_files_from_folders() {
    let fixture = Fixture::new();
    fixture.write("data.json", "12345");
    fixture.write("folder/x", "");
    let file = gives(&fixture, "file-exists", json!({"path": "./data.json"}));
    assert_eq!((&file["exists"], &file["type"], &file["size"]), (&json!(true), &json!("file"), &json!(5)));
    let folder = gives(&fixture, "file-exists", json!({"path": "folder"}));
    assert_eq!((&folder["exists"], &folder["type"]), (&json!(true), &json!("directory")));
    assert_eq!(gives(&fixture, "file-exists", json!({"path": "missing"}))["exists"], false);
}

#[test]
fn process_file_counts_and_hashes() {
    let fixture = Fixture::new();
    fixture.write("data.json", "a\nb\n");
    let expected = json!({
        "exists": true, "lines": 2, "bytes": 4,
        "sha256": "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2",
    });
    assert_eq!(gives(&fixture, "process-file", json!({})), expected);
    assert_eq!(gives(&fixture, "process-file", json!({"path": "data.json"})), expected);
}

#[test]
fn process_file_does_not_wait_for_what_is_no_file() {
    let fixture = Fixture::new();
    let _listener = UnixListener::bind(fixture.work().join("socket")).expect("the directory is ours");
    assert_eq!(fails(&fixture, "process-file", json!({"path": "socket"}))["code"], "skill_error");
    assert_eq!(fails(&fixture, "process-file", json!({"path": "."}))["code"], "skill_error");
}

#[test]
fn process_a_and_b_change_text_at_any_depth() {
    let fixture = Fixture::new();
    let inputs = json!({"t": "Straße", "n": 1, "deep": ["ab"]});
    let upper = json!({"result": {"t": "STRASSE", "n": 1, "deep": ["AB"]}, "from": "process-a"});
    assert_eq!(gives(&fixture, "process-a", inputs.clone()), upper);
    let reversed = json!({"result": {"t": "eßartS", "n": 1, "deep": ["ba"]}, "from": "process-b"});
    assert_eq!(gives(&fixture, "process-b", inputs), reversed);
}

#[test]
fn log_error_is_in_the_log_with_its_level() {
    let fixture = Fixture::new();
    let inputs = json!({"message": "it broke", "level": "warn"});
    let view = fixture.run(&workflow(&[skill("a", "log-error", inputs)])).exits(0).json();
    assert_ne!(outputs(&view, "a").get("logged"), None);
    let id = view["run_id"].as_str().expect("an id is text");
    let lines = fixture.workflow(["logs", id, "--json"]).exits(0).lines();
    let texts: Vec<_> = lines.iter().filter(|line| line["step"] == "a").map(|line| &line["text"]).collect();
    assert!(texts.contains(&&json!("warn: it broke")), "{texts:#?}");
}

#[test]
fn http_get_tells_json_from_text() {
    let server = Server::start(vec![
        Answer::json("{\"a\":1}"),
        Answer::text(200, "{\"a\":1}"),
        Answer::text(404, "no"),
    ]);
    let fixture = Fixture::new();
    let get =
        |more: Value| integration_tests::definition::with(json!({"url": server.url() + "/x?y=1"}), more);
    let json = gives(&fixture, "http-get", get(json!({"headers": {"X-Mine": "yes"}})));
    assert_eq!((&json["status"], &json["response"]), (&json!(200), &json!({"a": 1})));
    assert!(json["headers"].to_string().to_lowercase().contains("application/json"), "{json:#}");
    assert_eq!(gives(&fixture, "http-get", get(json!({})))["response"], "{\"a\":1}");
    let accepted = gives(&fixture, "http-get", get(json!({"accept": [404]})));
    assert_eq!((&accepted["status"], &accepted["response"]), (&json!(404), &json!("no")));
    assert_eq!(fails(&fixture, "http-get", get(json!({})))["code"], "skill_error");
    let request = server.requests()[0].to_lowercase();
    assert!(
        request.starts_with("get /x?y=1 http/1.1\r\n") && request.contains("x-mine: yes\r\n"),
        "{request}"
    );
}

#[test]
fn http_get_fails_clearly() {
    let fixture = Fixture::new();
    let server = Server::start(vec![Answer::text(200, &"x".repeat(10_000))]);
    let over = json!({"url": server.url(), "max_bytes": 1000});
    assert_eq!(fails(&fixture, "http-get", over)["code"], "skill_error");
    // Port 1 of loopback: nobody listens there.
    assert_eq!(fails(&fixture, "http-get", json!({"url": "http://127.0.0.1:1/"}))["code"], "skill_error");
    fixture.define(&workflow(&[skill("a", "http-get", json!({}))]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["url"]);
}

#[test]
fn http_get_gives_bytes_as_base64() {
    let binary =
        Answer { status: 200, content_type: "application/octet-stream", body: vec![0xff, 0xfe, 0x00] };
    let server = Server::start(vec![binary]);
    let got = gives(&Fixture::new(), "http-get", json!({"url": server.url()}));
    assert_eq!((&got["response"], &got["encoding"]), (&json!("//4A"), &json!("base64")));
}
