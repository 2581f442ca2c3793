//! The files of agents: where they are found, what is shown of them, and what is wrong with them.

use integration_tests::{Fixture, program::workspace};
use serde_json::{Value, json};

#[test]
fn the_example_of_the_plan_is_valid_as_it_is_written() {
    let fixture = Fixture::new();
    let path = workspace().join("examples").join("agent-test.json");
    fixture.workflow(["validate", &path.to_string_lossy(), "--strict"]).exits(0).says(&["no problems"]);
}

fn agent_step(agent: &str) -> Value {
    json!({"name": "t", "version": "1.0.0", "steps": [{"id": "a", "type": "agent", "agent": agent}]})
}

#[test]
fn agents_are_found_in_the_stated_order_and_a_collision_is_a_warning() {
    let fixture = Fixture::new();
    fixture.define(&agent_step("mine"));
    let home = fixture.home().join("agents/mine.json");
    let places = [
        ("agents/mine.json", "beside"),
        (".amazonq/cli-agents/mine.json", "amazonq"),
        (".kiro/agents/mine.json", "kiro"),
    ];
    integration_tests::fixture::write_file(&home, br#"{"description": "home"}"#);
    let user = fixture.user_home().join(".kiro/agents/mine.json");
    integration_tests::fixture::write_file(&user, br#"{"description": "user"}"#);
    for (path, description) in places {
        fixture.write(path, json!({"description": description}).to_string());
    }
    for expected in ["beside", "amazonq", "kiro", "home", "user"] {
        let shown = fixture.workflow(["agents", "show", "mine", "--json"]).exits(0).json();
        assert_eq!(shown["agent"]["description"], expected);
        let path = shown["agent"]["path"].as_str().expect("it is a file").to_owned();
        let hidden = shown["agent"]["hides"].as_array().expect("a list").len();
        let validated = fixture.workflow(["validate", "workflow.json", "--json"]).exits(0).json();
        let codes: Vec<_> = validated["files"][0]["diagnostics"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|problem| problem["code"].clone())
            .collect();
        assert_eq!(codes, vec![json!("W035"); usize::from(hidden > 0)], "{validated:#}");
        std::fs::remove_file(path).expect("it is ours");
    }
    fixture.workflow(["validate", "workflow.json"]).exits(3).says(&[
        "E080",
        "the agent `mine` does not exist",
        "searched: ",
        ".kiro/agents",
        "built in",
    ]);
    fixture.workflow(["agents", "show", "mine"]).exits(4).says(&["there is no agent `mine`"]);
}

#[test]
fn inline_agents_come_first_and_a_broken_file_is_no_other_agent() {
    let fixture = Fixture::new();
    fixture.write("agents/torn.json", "{\"model\": ");
    fixture.define(&agent_step("torn"));
    fixture.workflow(["validate", "workflow.json"]).exits(3).says(&["E081", "torn.json:1:"]);
    let mut inline = agent_step("torn");
    inline["agents"] = json!({"torn": {"model": "m"}});
    fixture.define(&inline);
    fixture.workflow(["validate", "workflow.json", "--strict"]).exits(0);
}

#[test]
fn files_of_agents_are_listed_and_validated() {
    let fixture = Fixture::new();
    fixture.write("agents/good.json", r#"{"description": "it is", "kind": "acp", "preset": "codex"}"#);
    fixture.write("agents/bad.json", "{\n  \"modle\": \"m\"\n}");
    let listed = fixture.workflow(["agents", "list", "--json"]).exits(0).json();
    let names: Vec<_> = listed["agents"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|agent| (agent["name"].as_str().expect("text"), agent["valid"].as_bool().expect("a flag")))
        .collect();
    assert_eq!(names, [("bad", false), ("code-analyzer", true), ("good", true)]);
    fixture.workflow(["agents", "list"]).exits(0).says(&["good", "acp", "it is", "(not valid)", "built in"]);
    fixture.workflow(["agents", "validate", "agents/good.json", "code-analyzer"]).exits(0);
    fixture.workflow(["agents", "validate"]).exits(3).says(&[
        "E012",
        "bad.json:2:3",
        "did you mean `model`?",
    ]);
    let found = fixture.workflow(["agents", "validate", "bad", "--json"]).exits(3).json();
    assert_eq!(found["valid"], false);
    assert_eq!(found["files"][0]["diagnostics"][0]["code"], "E012");
    fixture.workflow(["agents", "validate", "goood"]).exits(4).says(&["did you mean `good`?"]);
}
