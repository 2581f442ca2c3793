//! Agent steps: which agent, and which guardrails hold.

use schemas::agent::{Guardrails, ToolRules};

use super::{plan, problems};
use crate::load::Syntax;

fn workflow(agents: &str, step: &str) -> String {
    format!(
        r#"{{"name":"t","version":"1.0.0","agents":{agents},"steps":[{{"id":"a","type":"agent",{step}}}]}}"#
    )
}

#[track_caller]
fn check(agents: &str, step: &str, expected: &str) {
    let found = problems(&workflow(agents, step), Syntax::Json);
    let codes: Vec<_> =
        found.lines().map(|line| line.split_once('-').map_or(line, |(start, _)| start)).collect();
    let first: Vec<_> = codes.iter().filter(|line| !line.starts_with("  ")).map(|line| &line[..4]).collect();
    assert_eq!(first.join(" "), expected, "{found}");
}

#[test]
fn an_agent_is_found_or_said_to_be_missing() {
    check("{}", r#""agent":"code-analyzer""#, "");
    check(r#"{"mine":{}}"#, r#""agent":"mine""#, "");
    check("{}", r#""agent":"code-analyser""#, "E080");
    check("{}", r#""agent":"torn""#, "E081");
    check("{}", r#""agent":"reviewer""#, "W035");
    check(r#"{"reviewer":{}}"#, r#""agent":"reviewer""#, "");
    check(r#"{"-bad":{}}"#, r#""agent":"code-analyzer""#, "E016");
}

#[test]
fn a_missing_agent_is_told_with_places_and_the_nearest_name() {
    let text = workflow(r#"{"helper":{}}"#, r#""agent":"code-analyser""#);
    insta::assert_snapshot!(problems(&text, Syntax::Json), @r#"
    E080 1:96-1:111 "/steps/0/agent" the agent `code-analyser` does not exist
      hint: did you mean `code-analyzer`? searched: `agents` of the definition, ./agents, built in
      suggestion: 1:97 code-analyser -> code-analyzer
    "#);
}

#[test]
fn an_agent_has_what_its_kind_needs() {
    check(r#"{"x":{"kind":"acp"}}"#, r#""agent":"x""#, "E083");
    check(r#"{"x":{"kind":"acp","preset":"codex"}}"#, r#""agent":"x""#, "");
    check(r#"{"x":{"kind":"command","preset":"opencode"}}"#, r#""agent":"x""#, "E083");
    check(r#"{"x":{"kind":"command","command":["cat"]}}"#, r#""agent":"x""#, "");
    check(r#"{"x":{"command":["cat"]}}"#, r#""agent":"x""#, "E083");
    check(r#"{"x":{"kind":"robot"}}"#, r#""agent":"x""#, "E013");
    check(r#"{"x":{"modle":"m"}}"#, r#""agent":"x""#, "E012");
    check(r#"{"x":{"model":null,"tools":null,"hooks":null}}"#, r#""agent":"x""#, "");
}

#[test]
fn guardrails_are_checked() {
    let x = r#"{"x":{"guardrails":{"max_iterations":5,"max_tokens":100,"timeout":"1m"}}}"#;
    check(x, r#""agent":"x","guardrails":{"max_iterations":5,"max_tokens":99,"timeout":60}"#, "");
    check(x, r#""agent":"x","guardrails":{"max_iterations":6}"#, "W036");
    check(x, r#""agent":"x","guardrails":{"timeout":61}"#, "W036");
    check(x, r#""agent":"x","guardrails":{"max_cost_usd":0.5}"#, "E082");
    let priced = r#"{"x":{"price":{"input":3,"output":15}}}"#;
    check(priced, r#""agent":"x","guardrails":{"max_cost_usd":0.5}"#, "");
    check(x, r#""agent":"x","guardrails":{"allowed_tools":["*"]}"#, "W038");
    check(x, r#""agent":"x","guardrails":{"allowed_tools":["fs_raed"]}"#, "W037");
    check(x, r#""agent":"x","guardrails":{"allowed_tools":["shell","@git/log","skill:echo"]}"#, "W037");
    check(x, r#""agent":"x","guardrails":{"max_iterations":0}"#, "E013");
    check(x, r#""agent":"x","output_schema":{"type":"strin"}"#, "E084");
}

#[test]
fn skills_that_are_tools_are_known() {
    let allowed = |tool: &str| format!(r#""agent":"x","guardrails":{{"allowed_tools":["{tool}"]}}"#);
    for (tool, expected) in [
        ("skill:count-words", ""),
        ("skill:echo", ""),
        ("skill:*", ""),
        ("skill:say-text", "W037"),
        ("skill:none", "W037"),
    ] {
        check(r#"{"x":{}}"#, &allowed(tool), expected);
    }
    let text = workflow(r#"{"x":{}}"#, &allowed("skill:count-word"));
    insta::assert_snapshot!(problems(&text, Syntax::Json), @r#"
    W037 1:126-1:144 "/steps/0/guardrails/allowed_tools/0" there is no skill `count-word` that could be a tool
      hint: did you mean `skill:count-words`? searched: ./skills, built in
    "#);
    let plan =
        plan(&workflow(r#"{"x":{"allowedTools":["skill:count-words","skill:echo"]}}"#, r#""agent":"x""#));
    let call = plan.steps[0].kind.skill().expect("it runs as processes");
    let tools: Vec<_> =
        call.agent().expect("an agent").skills.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!(tools, ["count-words"]);
    assert_eq!(call.sandbox.read, list(&["/skills/count-words"]));
}

#[track_caller]
fn guardrails(agents: &str, step: &str) -> Guardrails {
    let plan = plan(&workflow(agents, step));
    let call = plan.steps[0].kind.skill().expect("it runs as processes");
    assert_eq!(plan.steps[0].kind.name(), "agent");
    call.agent().expect("it is an agent").guardrails.clone()
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_tighter_bound_holds() {
    let agent = r#"{"x":{"allowedTools":["fs_read"],"tools":["fs_read","grep","shell"],"guardrails":{
        "max_iterations":9,"max_tool_calls":3,"timeout":"60s","denied_tools":["grep"],
        "network":{"allow":["a:443","b:443"]},"filesystem":{"read":["src","docs"]}}}}"#;
    let held = guardrails(agent, r#""agent":"x""#);
    assert_eq!((held.max_iterations, held.max_tool_calls, held.timeout_ms), (9, Some(3), Some(60_000)));
    assert_eq!(held.tools.allowed, list(&["fs_read"]));
    assert_eq!(held.network, list(&["a:443", "b:443"]));

    let step = r#""agent":"x","guardrails":{"max_iterations":2,"timeout":"2s","idle_timeout":1,"tool_timeout":"5s",
        "allowed_tools":["grep","shell"],"denied_tools":["fs_write"],
        "network":{"allow":["b:443"]},"filesystem":{"read":["src/a"],"write":["out"]}}"#;
    let held = guardrails(agent, step);
    assert_eq!((held.max_iterations, held.max_tool_calls, held.timeout_ms), (2, Some(3), Some(2000)));
    assert_eq!((held.idle_timeout_ms, held.tool_timeout_ms), (Some(1000), 5000));
    assert_eq!(held.network, list(&["b:443"]));
    assert_eq!((held.read, held.write), (Some(list(&["src/a"])), Some(list(&["out"]))));
    let tools = ToolRules {
        allowed: list(&["grep", "shell"]),
        within: vec![("tools".to_owned(), list(&["fs_read", "grep", "shell"]))],
        denied: list(&["grep", "fs_write"]),
    };
    assert_eq!(held.tools, tools);
}

#[test]
fn there_is_always_a_bound_on_requests_and_no_tool_by_default() {
    let held = guardrails(r#"{"x":{}}"#, r#""agent":"x""#);
    assert_eq!((held.max_iterations, held.tool_timeout_ms), (50, 120_000));
    assert_eq!(held.tools, ToolRules::default());
    assert_eq!((held.max_tokens, held.read, held.write), (None, None, None));
}
