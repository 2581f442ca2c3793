//! Agents that are programs and speak the Agent Client Protocol: a scripted one in all its moods.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use integration_tests::{
    Finished, Fixture,
    definition::with,
    model::{Model, Turn},
    program,
    view::{outputs, step},
};
use serde_json::{Value, json};

/// A workflow of one agent, the scripted program, with these words.
fn workflow(words: &[&str], agent: Value, guardrails: Value) -> Value {
    let path = Path::new(program!("acp-agent"));
    let folder = path.parent().expect("it lies in a folder");
    let command: Vec<_> = [program!("acp-agent")].iter().chain(words).collect();
    let agent = with(json!({"kind": "acp", "command": command}), agent);
    let files = json!({"read": [".", folder], "write": ["."]});
    let guardrails = with(json!({"filesystem": files, "timeout": "60s"}), guardrails);
    json!({"name": "t", "version": "1.0.0", "agents": {"mine": agent}, "steps": [
        {"id": "a", "type": "agent", "agent": "mine", "prompt": "do it", "grace": "2s", "guardrails": guardrails}]})
}

#[track_caller]
fn run(fixture: &Fixture, words: &[&str], guardrails: Value) -> Finished {
    fixture.run(&workflow(words, json!({}), guardrails))
}

/// An agent that asks for a tool: what it is answered, and what the run says of it.
#[track_caller]
fn check_asked(words: &[&str], allowed: &[&str], option: &str, denied: &Value) {
    let fixture = Fixture::new();
    let view = run(&fixture, words, json!({"allowed_tools": allowed})).exits(0).json();
    let outcome = &outputs(&view, "a")["outcome"];
    assert_eq!(outcome, &json!({"outcome": "selected", "optionId": option}), "{words:?}");
    let agent = &step(&view, "a")["agent"];
    assert_eq!((&agent["denied"], &agent["tool_calls"]), (denied, &json!(1)), "{agent:#}");
    assert_eq!(fixture.has("executed"), option == "yes");
    fixture.assert_nothing_left();
}

#[test]
fn permission_is_answered_by_the_guardrails() {
    check_asked(&["ask", "read"], &["fs_read"], "yes", &json!([]));
    let denied = json!([{"tool": "execute_bash", "rule": "allowed_tools"}]);
    check_asked(&["ask", "execute"], &["fs_read"], "no", &denied);
    check_asked(&["ask", "execute"], &["shell"], "yes", &json!([]));
}

#[test]
fn ids_as_text_and_lines_that_are_no_messages_are_borne() {
    check_asked(&["string-ids"], &["fs_read"], "yes", &json!([]));
    check_asked(&["garbage"], &["fs_read"], "yes", &json!([]));
}

#[test]
fn what_it_tells_are_events_and_stands_in_the_transcript() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&["ask", "execute"], json!({}), json!({"allowed_tools": []})));
    let events = fixture.workflow(["run", "workflow.json", "--events"]).exits(0).lines();
    let of = |kind: &str| {
        events.iter().find(|event| event["type"] == kind).unwrap_or_else(|| panic!("{kind}: {events:#?}"))
    };
    assert_eq!(of("agent.plan")["progress"], json!([{"content": "ask"}]));
    assert_eq!(of("agent.thought")["text"], "hm");
    assert_eq!(of("agent.message")["text"], "I shall ask.");
    let tool = &of("tool.called")["tool"];
    assert_eq!((&tool["tool"], &tool["decision"]), (&json!("execute_bash"), &json!("denied")));
    assert_eq!(tool["arguments_sha256"].as_str().map(str::len), Some(64));
    let id = fixture.only_run();
    let view = fixture.workflow(["status", &id, "--json"]).exits(0).json();
    let transcript = step(&view, "a")["agent"]["transcript"].as_str().expect("a path").to_owned();
    let transcript = integration_tests::fixture::read_file(&fixture.run_dir(&id).join(transcript));
    assert!(transcript.contains("of_the_future"), "{transcript}");
}

#[test]
fn a_tool_that_runs_without_asking_is_told_as_what_it_is() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&["unasked", "execute"], json!({}), json!({"allowed_tools": ["fs_read"]})));
    let events = fixture.workflow(["run", "workflow.json", "--events"]).exits(0).lines();
    let tool = events.iter().find(|event| event["type"] == "tool.called").expect("it is told");
    assert_eq!(tool["tool"]["decision"], "unasked", "{tool:#}");
}

/// An agent that comes to no good: the failure.
#[track_caller]
fn check_failure(words: &[&str], guardrails: Value, code: &str, says: &str) {
    let fixture = Fixture::new();
    let view = run(&fixture, words, guardrails).exits(1).json();
    let message = view["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(view["error"]["code"], code, "{words:?} {:#}", view["error"]);
    assert!(message.contains(says), "{words:?}: {message}");
    fixture.assert_nothing_left();
}

#[test]
fn only_the_end_of_a_turn_is_a_success() {
    for (reason, says) in [
        ("max_tokens", "limit of tokens"),
        ("max_turn_requests", "limit of requests"),
        ("refusal", "refused the task"),
        ("cancelled", "gave the task up"),
        ("unheard-of", "`unheard-of`"),
    ] {
        check_failure(&["stop", reason], json!({}), "agent_error", says);
    }
}

#[test]
fn an_agent_that_misbehaves_fails_and_leaves_nothing() {
    check_failure(
        &["early-exit"],
        json!({}),
        "agent_error",
        "ended before it answered `initialize`: exit status: 3",
    );
    check_failure(&["huge-line"], json!({}), "agent_error", "a line over 8 MiB");
    check_failure(&["noise"], json!({}), "agent_error", "lines that are no messages");
    check_failure(&["hang"], json!({"idle_timeout": "300ms"}), "guardrail_exceeded", "`idle_timeout`");
    check_failure(&["many", "9"], json!({"max_tool_calls": 3}), "guardrail_exceeded", "`max_tool_calls`");
}

#[test]
fn its_model_is_behind_the_proxy_which_counts() {
    let fixture = Fixture::new();
    let model = Model::start(vec![Turn::Text("hello")]);
    let agent = json!({"base_url": model.url(), "provider": "openai", "price": {"input": 1, "output": 2}});
    let view = fixture.run(&workflow(&["model", "2"], agent.clone(), json!({}))).exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"data": ["200", "200"]}), "{view:#}");
    let used = &step(&view, "a")["agent"];
    assert_eq!((&used["requests"], &used["input_tokens"]), (&json!(2), &json!(20)), "{used:#}");
    assert_eq!((&used["cost_usd"], &used["counted"]), (&json!(0.00004), &json!("proxy")));

    let view = fixture.run(&workflow(&["model", "9"], agent, json!({"max_iterations": 3}))).exits(1).json();
    assert_eq!(view["error"]["details"]["guardrail"], "max_iterations");
    assert_eq!(model.asked().len(), 2 + 3, "exactly as many as it may");
}

#[test]
fn what_it_reports_counts_where_it_reaches_its_model_by_itself() {
    let fixture = Fixture::new();
    let free = json!({"network": {"allow": ["model.invalid:443"]}});
    let view = run(&fixture, &["used"], free.clone()).exits(0).json();
    let agent = &step(&view, "a")["agent"];
    assert_eq!((&agent["counted"], &agent["cost_usd"]), (&json!("agent-reported"), &json!(1.5)), "{agent:#}");
    assert_eq!((&agent["requests"], &agent["input_tokens"]), (&Value::Null, &Value::Null));
    let price = json!({"price": {"input": 1, "output": 1}});
    let bounded = workflow(&["used"], price, with(free, json!({"max_cost_usd": 1.0})));
    let view = fixture.run(&bounded).exits(1).json();
    assert_eq!(view["error"]["details"]["guardrail"], "max_cost_usd", "{:#}", view["error"]);
}

#[test]
fn it_gets_its_working_directory_its_servers_and_its_prompt() {
    let fixture = Fixture::new();
    let servers = json!({"mcpServers": {"s": {"command": "server", "args": ["x"], "env": {"A": "b"}}}, "prompt": "Be brief."});
    let view = fixture.run(&workflow(&["echo"], servers, json!({}))).exits(0).json();
    let said = outputs(&view, "a");
    let session: Value = serde_json::from_str(said["session"].as_str().expect("text")).expect("json");
    assert!(Path::new(session["cwd"].as_str().expect("text")).is_absolute());
    let server =
        json!({"name": "s", "command": "server", "args": ["x"], "env": [{"name": "A", "value": "b"}]});
    assert_eq!(session["mcpServers"], json!([server]));
    let prompt = said["prompt"].as_str().expect("text");
    assert!(prompt.starts_with("Be brief.") && prompt.contains("do it"), "{prompt}");
}

#[test]
fn an_agent_that_wants_a_login_gets_the_key_of_the_environment() {
    let fixture = Fixture::new();
    run(&fixture, &["login"], json!({})).exits(0);
}

/// Stops an agent at work; gives the run's view.
#[track_caller]
fn stopped(fixture: &Fixture, words: &[&str]) -> Value {
    fixture.define(&workflow(words, json!({}), json!({"allowed_tools": ["shell"]})));
    let running = fixture.start(fixture.q(["run", "workflow.json", "--json"]));
    fixture.wait_for("grandchild.started");
    let id = fixture.only_run();
    fixture.workflow(["stop", &id]).exits(0);
    let view = running.finish().exits(8).json();
    assert_eq!((&view["status"], &step(&view, "a")["status"]), (&json!("cancelled"), &json!("cancelled")));
    fixture.assert_nothing_left();
    view
}

#[test]
fn cancel_is_told_what_is_asked_then_is_cancelled_and_a_grandchild_of_its_own_session_is_gone() {
    let fixture = Fixture::new();
    stopped(&fixture, &["cancel"]);
    let outcome: Value = serde_json::from_str(&fixture.read("cancelled.json")).expect("json");
    assert_eq!(outcome, json!({"outcome": "cancelled"}));
}

#[test]
fn an_agent_that_heeds_no_cancel_is_ended_after_its_grace() {
    let fixture = Fixture::new();
    let began = Instant::now();
    stopped(&fixture, &["deaf"]);
    assert!(fixture.has("cancel.heard"));
    assert!(began.elapsed() >= Duration::from_secs(1), "it had its grace");
}

#[test]
fn the_end_of_the_engine_is_the_end_of_the_agent() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&["cancel"], json!({}), json!({})));
    let running = fixture.start(fixture.q(["run", "workflow.json", "--json"]));
    fixture.wait_for("grandchild.started");
    fixture.kill_engine(running);
    fixture.assert_nothing_left();
}
