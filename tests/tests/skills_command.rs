//! `q workflow skills`: what it lists, shows, refuses, runs and makes. What becomes of a skill in a run is in
//! `skills.rs`.

use integration_tests::{Fixture, definition::workflow, view::outputs};
use serde_json::{Value, json};

/// The entries of a list of `skills list --json` that have this name.
fn named<'a>(list: &'a Value, key: &str, name: &str) -> Vec<&'a Value> {
    let entries = list[key].as_array().unwrap_or_else(|| panic!("{key} is a list: {list:#}"));
    entries.iter().filter(|entry| entry["name"] == name).collect()
}

#[test]
fn list_tells_what_can_be_called_and_what_cannot() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "mine", json!({"description": "does it"}), "printf '{}'");
    fixture.write_skill("../state/skills", "mine", json!({}), "printf '{}'");
    fixture.write_skill("../state/skills", "echo", json!({}), "cat");
    fixture.write("skills/review/SKILL.md", "# Review\n");
    fixture.write("skills/broken/skill.json", r#"{"name": "broken"}"#);
    let list = fixture.workflow(["skills", "list", "--json"]).exits(0).json();
    assert_eq!(list["schema_version"], 1);
    let mine = named(&list, "skills", "mine");
    assert_eq!((mine.len(), &mine[0]["source"], &mine[0]["version"]), (1, &json!("beside"), &json!("1.0.0")));
    assert_eq!(mine[0]["description"], "does it");
    assert!(mine[0]["path"].as_str().is_some_and(|path| path.ends_with("work/skills/mine/skill.json")));
    assert_eq!(named(&list, "skills", "echo")[0]["source"], "home");
    let http = named(&list, "skills", "http-get");
    assert_eq!((&http[0]["source"], &http[0]["path"]), (&json!("built-in"), &Value::Null));
    for (name, reason) in
        [("mine", "hidden"), ("echo", "hidden"), ("review", "only-text"), ("broken", "broken")]
    {
        let warnings = named(&list, "warnings", name);
        assert_eq!((warnings.len(), &warnings[0]["reason"]), (1, &json!(reason)), "{list:#}");
    }
    let table = fixture.workflow(["skills", "list"]).exits(0);
    assert!(table.stdout.contains("mine") && !table.stdout.contains("warning"), "{}", table.stdout);
    assert_eq!(table.stderr.matches("warning: ").count(), 4, "{}", table.stderr);
}

#[test]
fn show_prints_the_schemas_of_every_skill() {
    let fixture = Fixture::new();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let manifest = json!({"inputs": schema, "limits": {"timeout": "5s"}, "idempotent": false});
    fixture.write_skill("skills", "mine", manifest, "printf '{}'");
    let shown = fixture.workflow(["skills", "show", "mine", "--json"]).exits(0).json();
    assert_eq!((&shown["inputs"], &shown["outputs"]), (&schema, &Value::Null));
    assert_eq!((&shown["limits"], &shown["idempotent"]), (&json!({"timeout": "5s"}), &json!(false)));
    assert_eq!((&shown["protocol"], &shown["command"]), (&json!("json-stdio@1"), &json!(["./run.sh"])));
    fixture.workflow(["skills", "show", "mine"]).exits(0).says(&["timeout", "\"integer\""]);
    for name in ["echo", "shell", "http-get"] {
        let shown = fixture.workflow(["skills", "show", name, "--json"]).exits(0).json();
        for schema in ["inputs", "outputs"] {
            assert_eq!(shown[schema]["type"], "object", "{name}: {shown:#}");
        }
    }
}

#[test]
fn unknown_skills_are_answered_with_places_and_near_names() {
    let fixture = Fixture::new();
    fixture.write("skills/review/SKILL.md", "# Review\n");
    for command in ["show", "run", "validate"] {
        fixture.workflow(["skills", command, "htp-get"]).exits(4).says(&[
            "`http-get`",
            "searched: ",
            "work/skills",
            ".agents/skills",
            "built in",
        ]);
        fixture.workflow(["skills", command, "review"]).exits(4).says(&["text for models"]);
    }
    assert_eq!(fixture.run_ids(), <[String; 0]>::default());
}

#[test]
fn validate_says_everything_with_its_place() {
    let fixture = Fixture::new();
    let manifest = "{\n  \"name\": \"other\",\n  \"command\": [\"./missing\"],\n  \"inputs\": {\"type\": 5},\n  \"extra\": 1\n}\n";
    fixture.write("skills/mine/skill.json", manifest);
    let report = fixture.workflow(["skills", "validate", "skills/mine", "--json"]).exits(3).json();
    let found = report["files"][0]["diagnostics"].as_array().expect("a list");
    let places: Vec<_> =
        found.iter().map(|one| (&one["code"], &one["line"], &one["column"], &one["pointer"])).collect();
    assert_eq!(
        places,
        [
            (&json!("E026"), &json!(4), &json!(22), &json!("/inputs/type")),
            (&json!("E012"), &json!(5), &json!(3), &json!("/extra")),
        ]
    );
    // What the folder tells is said of a manifest that is right by itself.
    fixture.write("skills/mine/skill.json", "{\"name\": \"other\",\n \"command\": [\"./missing\"]}");
    let report = fixture.workflow(["skills", "validate", "mine", "--json"]).exits(3).json();
    let found = report["files"][0]["diagnostics"].to_string();
    assert!(found.contains("W045") && found.contains("E028"), "{report:#}");
    fixture.write_program("skills/mine/missing", "#!/bin/sh\n");
    let drawn = fixture.workflow(["skills", "validate", "skills/mine/skill.json"]).exits(0);
    drawn.says(&["W045", "skills/mine/skill.json:1:"]);
    fixture.workflow(["skills", "validate", "skills/mine", "--strict"]).exits(3);
    fixture.workflow(["skills", "validate", "echo"]).exits(0);
    fixture.workflow(["skills", "validate", "."]).exits(4);
    fixture.workflow(["skills", "validate"]).exits(2);
}

#[test]
fn run_prints_the_result_of_one_skill() {
    let fixture = Fixture::new();
    let inputs = r#"{"message": "${not.a.template}", "other": "skill.data"}"#;
    let result = fixture.workflow(["skills", "run", "echo", "--input", inputs]).exits(0).json();
    assert_eq!(result, json!({"message": "${not.a.template}", "other": "skill.data"}), "inputs are data");
    let read = fixture.workflow_with_stdin(&["skills", "run", "echo", "--input", "@-"], "{\"a\": 1}");
    assert_eq!(read.exits(0).json(), json!({"a": 1}));
    fixture.write("inputs.json", "{\"a\": 2}");
    assert_eq!(
        fixture.workflow(["skills", "run", "echo", "--input", "@inputs.json"]).exits(0).json(),
        json!({"a": 2})
    );
    let view = fixture.workflow(["skills", "run", "echo", "--json"]).exits(0).json();
    assert_eq!((&view["status"], outputs(&view, "skill")), (&json!("completed"), &json!({})));
}

#[test]
fn run_has_the_exit_codes_of_a_run() {
    let fixture = Fixture::new();
    fixture.workflow(["skills", "run", "fail", "--input", r#"{"message": "no"}"#]).exits(1).says(&["no"]);
    fixture.workflow(["skills", "run", "hash", "--input", r#"{"algorithm": 1}"#]).exits(3);
    fixture.workflow(["skills", "run", "echo", "--input", "[]"]).exits(3).says(&["one JSON object"]);
    fixture.workflow(["skills", "run", "echo", "--input", "{"]).exits(3);
    fixture.workflow(["skills", "run", "echo", "--input", "@missing.json"]).exits(4);
    fixture.workflow(["skills", "run", "echo", "--inputs", "{}"]).exits(2);
    fixture
        .workflow(["skills", "run", "sleep", "--input", r#"{"duration": "1m"}"#, "--timeout", "100ms"])
        .exits(1)
        .says(&["timeout"]);
}

#[test]
fn new_skills_work_as_they_stand_and_nothing_is_written_over() {
    for (language, expected) in
        [("python", json!({"greeting": "Hello, Ann!"})), ("sh", json!({"text": "Hello, Ann!"}))]
    {
        let fixture = Fixture::new();
        let made = fixture.workflow(["skills", "new", "greet", "--language", language]).exits(0);
        assert_eq!(made.stdout, "skills/greet\n");
        fixture.workflow(["skills", "validate", "skills/greet", "--strict"]).exits(0);
        let run = |args: &[&str]| fixture.workflow([&["skills", "run"], args].concat()).exits(0).json();
        assert_eq!(run(&["skills/greet", "--input", r#"{"name": "Ann"}"#]), expected);
        assert!(run(&["greet"]).to_string().contains("Hello, world!"));
        let manifest = fixture.read("skills/greet/skill.json");
        fixture.workflow(["skills", "new", "greet"]).exits(1).says(&["exists already"]);
        assert_eq!(fixture.read("skills/greet/skill.json"), manifest);
    }
    let fixture = Fixture::new();
    fixture.workflow(["skills", "new", "../out"]).exits(2);
    fixture.workflow(["skills", "new", "greet", "--in", "deep/er"]).exits(0);
    assert!(fixture.has("deep/er/greet/run.py"));
}

#[test]
fn definitions_hold_skills_of_their_own() {
    let fixture = Fixture::new();
    // It stands before one of the same name in a folder, which is a warning; its program starts at the definition.
    fixture.write_skill("below/skills", "greet", json!({}), "printf '{\"text\": \"wrong\"}'");
    fixture.write_program("below/greet.sh", "#!/bin/sh\nprintf 'Hello, %s' \"$1\"\n");
    let mut definition =
        workflow(&[integration_tests::definition::skill("a", "greet", json!({"name": "Ann"}))]);
    definition["skills"] = json!({"greet": {
        "command": ["./greet.sh", "${inputs.name}"], "protocol": "text",
        "inputs": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    }});
    fixture.write("below/workflow.json", definition.to_string());
    let view = fixture.workflow(["run", "below/workflow.json", "--json"]).exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"text": "Hello, Ann"}));
    fixture.workflow(["validate", "below/workflow.json"]).exits(0).says(&["W004"]);
    definition["steps"][0]["inputs"] = json!({"name": 5});
    fixture.write("below/workflow.json", definition.to_string());
    fixture.workflow(["run", "below/workflow.json"]).exits(3).says(&["E042", "skills show greet"]);
}
