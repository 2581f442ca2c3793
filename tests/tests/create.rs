//! `create`: from a file of answers, and from a person at a terminal.

use integration_tests::{
    Fixture,
    definition::{echo, with, workflow},
    fixture::read_file,
    terminal::{Streams, Terminal},
};
use serde_json::{Value, json};

/// Answers about a workflow named `made`.
fn answers(more: Value) -> String {
    let mut definition = workflow(&[echo("a", json!({"v": 1}))]);
    definition["name"] = json!("made");
    definition["outputs"] = json!({"v": "a.v"});
    with(definition, more).to_string()
}

#[test]
fn answers_are_saved_once() {
    let fixture = Fixture::new();
    fixture.write("a.json", answers(json!({"save": true})));
    fixture.workflow(["create", "--from", "a.json"]).exits(0).says(&["definitions/made.json"]);
    fixture.workflow(["validate", "made"]).exits(0);
    let stored = fixture.home().join("definitions/made.json");
    let first = read_file(&stored);
    assert!(!first.contains("save"), "{first}");
    fixture.workflow(["create", "--from", "a.json"]).exits(1).says(&["the name is taken", "overwrite"]);
    let other = answers(json!({"save": true, "overwrite": true, "description": "anew"}));
    fixture.write("a.json", other);
    fixture.workflow(["create", "--from", "a.json"]).exits(0);
    assert!(read_file(&stored).contains("anew"));
}

#[test]
fn answers_are_saved_in_a_file_and_run() {
    let fixture = Fixture::new();
    fixture.write("a.json", answers(json!({"save": "out.json", "run": true})));
    fixture.workflow(["create", "--from", "a.json"]).exits(0).says(&["out.json\n", "\"v\":1"]);
    assert_eq!(fixture.run_ids().len(), 1);
    fixture.workflow(["create", "--from", "a.json"]).exits(1).says(&["out.json is there already"]);
    assert_eq!(fixture.run_ids().len(), 1, "what is refused is not run");
}

#[test]
fn without_a_place_the_definition_is_printed() {
    let fixture = Fixture::new();
    fixture.write("a.json", answers(json!({})));
    let printed = fixture.workflow(["create", "--from", "a.json"]).exits(0).json();
    assert_eq!(printed["name"], "made");
    fixture.write("a.json", answers(json!({"run": true})));
    fixture.workflow(["create", "--from", "a.json"]).exits(0).says(&["completed", "\"v\":1"]);
}

#[test]
fn what_is_wrong_is_not_saved() {
    let fixture = Fixture::new();
    let check = |text: &str, exit: i32, words: &str| {
        fixture.write("a.json", text);
        fixture.workflow(["create", "--from", "a.json"]).exits(exit).says(&[words]);
        assert!(!fixture.home().join("definitions").exists() && !fixture.has("out.json"), "{text}");
    };
    check(&answers(json!({"save": true, "steps": []})), 3, "E0");
    check(&answers(json!({"save": "out.json", "stepz": []})), 3, "E012");
    check(&answers(json!({"save": 7})), 3, "`save` must be");
    check("{", 3, "a.json");
    fixture.workflow(["create", "--from", "missing.json"]).exits(4);
    fixture.workflow(["create"]).exits(1).says(&["--from answers.json"]);
}

fn wizard(fixture: &Fixture) -> Terminal {
    Terminal::start(fixture.q(["create"]), 100, Streams::All)
}

const DOWN: &str = "\u{1b}[B";

/// The questions in their order, and what is typed: two steps, of which the second takes what the first gives.
fn conversation() -> Vec<(&'static str, String)> {
    let fields = |skill: &str, inputs: &[(&'static str, String)]| {
        let mut fields = vec![
            ("Id of the step", "\r".to_owned()),
            ("What does it call?", "\r".to_owned()),
            ("Which skill?", skill.to_owned()),
        ];
        fields.extend_from_slice(inputs);
        fields.extend([
            ("If it fails?", format!("{DOWN}\r")),
            ("Time limit", "30s\r".to_owned()),
            ("Memory limit", "256MiB\r".to_owned()),
            ("CPU limit", "\r".to_owned()),
            ("Which sandbox?", "\r".to_owned()),
        ]);
        fields
    };
    let mut all =
        vec![("Name of the workflow", "wizardry\r".to_owned()), ("What it does", "two steps\r".to_owned())];
    all.extend(fields(
        &to("json-parse"),
        &[("Value of `data`", "[1]\r".to_owned()), ("Input `pointer`", "\r".to_owned())],
    ));
    all.push(("Another step?", "y".to_owned()));
    all.extend(fields(
        &to("json-parse"),
        &[("Input `data`", format!("{DOWN}\r")), ("Input `pointer`", "\r".to_owned())],
    ));
    all.push(("Another step?", "n".to_owned()));
    all.push(("Where shall it be saved?", "\r".to_owned()));
    all
}

/// The keys that choose a skill in the list of all.
fn to(skill: &str) -> String {
    let fixture = Fixture::new();
    let listed = fixture.workflow(["skills", "list", "--json"]).exits(0).json();
    let mut names =
        listed["skills"].as_array().expect("skills are a list").iter().map(|skill| &skill["name"]);
    let place = names.position(|name| name == skill).expect("it is built in");
    format!("{}\r", DOWN.repeat(place))
}

#[test]
fn a_conversation_is_saved_and_run() {
    let fixture = Fixture::new();
    let mut wizard = wizard(&fixture);
    for (question, keys) in conversation() {
        wizard.asks_next(question, &keys);
    }
    wizard.asks_next("Run it now?", "y");
    assert!(wizard.ends().success(), "{}", wizard.screen());
    assert!(wizard.is_whole());
    let stored: Value = serde_json::from_str(&read_file(&fixture.home().join("definitions/wizardry.json")))
        .expect("it is JSON");
    assert_eq!(
        (&stored["description"], &stored["steps"][1]["inputs"]),
        (&json!("two steps"), &json!({"data": "step1.parsed"}))
    );
    assert_eq!(stored["steps"][0]["error_handling"], json!({"strategy": "retry", "max_attempts": 3}));
    let view = fixture.view(&fixture.only_run());
    assert_eq!(
        (&view["status"], &view["steps"][1]["outputs"]),
        (&json!("completed"), &json!({"parsed": [1]}))
    );
}

#[test]
fn ctrl_c_at_any_question_leaves_nothing() {
    let fixture = Fixture::new();
    let conversation = conversation();
    // Each kind of question, and the last before something is written.
    for stop in [0, 2, 3, 4, 5, 6, 7, 9, 11, 12, conversation.len() - 1, conversation.len()] {
        let mut wizard = wizard(&fixture);
        for (question, keys) in &conversation[..stop] {
            wizard.asks_next(question, keys);
        }
        let (question, _) = conversation.get(stop).cloned().unwrap_or(("Run it now?", String::new()));
        wizard.asks_next(question, "\u{3}");
        assert_eq!(wizard.ends().code(), Some(130), "at {question:?}: {}", wizard.screen());
        assert!(wizard.is_whole(), "at {question:?}");
        assert!(!fixture.home().join("definitions").exists(), "at {question:?}");
    }
}
