//! The examples of agents, each run in place with a scripted model where its environment says.

use std::os::unix::fs::PermissionsExt as _;

use integration_tests::{
    Finished, Fixture,
    model::{Model, Turn},
    program::workspace,
    view::step,
};
use serde_json::{Value, json};

use super::finish;

/// Runs an example.
#[track_caller]
fn example(fixture: &Fixture, name: &str, model: &Model) -> Finished {
    let path = workspace().join("examples").join(name);
    let mut command = fixture.q(["run", "--json"]);
    command.arg(path).env("OPENAI_BASE_URL", model.url()).env("OPENAI_API_KEY", "scripted-key");
    let finished = fixture.start(command).finish();
    fixture.assert_nothing_left();
    finished
}

/// What the model was asked at last.
fn last_prompt(model: &Model) -> String {
    let asked = model.asked();
    let messages = asked.last().expect("it was asked").body["messages"].clone();
    messages.as_array().and_then(|all| all.last()).expect("a message")["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_review_reads_a_file_and_gives_a_verdict() {
    let fixture = Fixture::new();
    fixture.write("README.md", "# Fine\n");
    let read = Turn::Call("fs_read", json!({"path": "README.md"}));
    let model = Model::start(vec![read, finish(&json!({"verdict": "good"}))]);
    let view = example(&fixture, "agent-review.json", &model).exits(0).json();
    assert_eq!(view["outputs"], json!({"verdict": "good"}));
    assert!(model.asked()[1].body.to_string().contains("# Fine"));
}

#[test]
fn guardrails_end_an_agent_that_goes_on() {
    let fixture = Fixture::new();
    let model = Model::start(vec![Turn::Call("glob", json!({"pattern": "*"}))]);
    let view = example(&fixture, "agent-guardrails.json", &model).exits(1).json();
    assert_eq!(step(&view, "look")["agent"]["guardrail"], "max_iterations");
    assert_eq!(model.asked().len(), 3);
    assert!(model.asked()[0].head.contains("Bearer scripted-key"));
}

#[test]
fn an_agent_of_the_protocol_writes_what_its_model_said() {
    let program = workspace().join("examples").join("acp/agent.py");
    let mode = program.metadata().expect("the program is there").permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "it can be executed");
    let fixture = Fixture::new();
    let model = Model::start(vec![Turn::Text("The sea is wide.")]);
    let view = example(&fixture, "agent-acp.json", &model).exits(0).json();
    assert_eq!(view["outputs"], json!({"said": "It is in poem.txt.", "poem": "The sea is wide.\n"}));
    assert_eq!(fixture.read("poem.txt"), "The sea is wide.\n");
    assert_eq!(step(&view, "write")["agent"]["requests"], 1);
    assert!(last_prompt(&model).contains("about the sea"), "{}", last_prompt(&model));
}

#[test]
fn issues_are_sorted_and_words_about_them_are_data() {
    let fixture = Fixture::new();
    let judged =
        |number: u32, label: &str| finish(&json!({"number": number, "label": label, "why": "it says so"}));
    let model = Model::start(vec![judged(7, "bug"), judged(8, "wish"), finish(&json!("one bug, one wish"))]);
    let view = example(&fixture, "issue-triage.json", &model).exits(0).json();
    assert_eq!(view["outputs"], json!({"labels": ["bug", "wish"], "report": "one bug, one wish"}));
    let prompt = last_prompt(&model);
    let (before, block) = prompt.split_once("<text-").expect("what the first agent said is between marks");
    assert!(before.contains("It is data") && before.contains("Sum up"), "{prompt}");
    assert!(block.contains(r#""label":"wish""#) && block.trim_end().ends_with('>'), "{prompt}");
}

#[test]
fn a_broken_program_is_mended_and_the_test_is_out_of_reach() {
    let fixture = Fixture::new();
    fixture.write("sum.sh", "echo $(($1 - $2))\n");
    fixture.write("test.sh", "test \"$(sh sum.sh 2 3)\" = 5 || { echo 'sum.sh 2 3 is not 5'; exit 1; }\n");
    let model = Model::start(vec![
        Turn::Call("fs_write", json!({"path": "test.sh", "content": "exit 0\n"})),
        Turn::Call("fs_read", json!({"path": "sum.sh"})),
        Turn::Call("fs_write", json!({"path": "sum.sh", "content": "echo $(($1 + $2))\n"})),
        finish(&json!("it subtracted")),
    ]);
    let view = example(&fixture, "ci-fix.json", &model).exits(0).json();
    assert_eq!(view["outputs"], json!({"was_broken": true}));
    assert!(model.asked()[0].body.to_string().contains("sum.sh 2 3 is not 5"));
    assert!(model.asked()[1].body.to_string().contains("deniedPaths"));
    assert_eq!(fixture.read("sum.sh"), "echo $(($1 + $2))\n");
    assert!(fixture.read("test.sh").contains("is not 5"));
    let again: Value = example(&fixture, "ci-fix.json", &model).exits(0).json();
    assert_eq!(again["outputs"], json!({"was_broken": false}));
    assert_eq!(model.asked().len(), 4, "a test that passes needs no agent");
}
