//! `q workflow validate`: every problem at once, each with its place, and nothing written.

use std::fs;

use integration_tests::{
    Fixture,
    definition::{echo, skill, workflow},
    fixture::write_file,
    program::example,
};
use serde_json::{Value, json};

/// The diagnostics of a text, as `validate --json` gives them.
#[track_caller]
fn diagnostics(fixture: &Fixture, text: impl AsRef<[u8]>, code: i32) -> Vec<Value> {
    fixture.write("workflow.json", text);
    let report = fixture.workflow(["validate", "workflow.json", "--json"]).exits(code).json();
    assert_eq!(report["valid"], code == 0, "{report:#}");
    assert!(!fixture.home().exists(), "validate writes nothing");
    report["files"][0]["diagnostics"].as_array().expect("diagnostics are a list").clone()
}

/// The only diagnostic of a text: at this place, with these words in its message or hint.
#[track_caller]
fn check(text: impl AsRef<[u8]>, place: (u64, u64), pointer: &str, words: &[&str]) {
    let found = diagnostics(&Fixture::new(), text, 3);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_problem(&found[0], place, pointer, words);
}

#[track_caller]
fn assert_problem(found: &Value, (line, column): (u64, u64), pointer: &str, words: &[&str]) {
    assert_eq!((&found["line"], &found["column"]), (&json!(line), &json!(column)), "{found:#}");
    assert_eq!(found["pointer"], pointer, "{found:#}");
    assert_eq!(found["severity"], "error", "{found:#}");
    assert_code(found);
    let said = format!("{} {}", found["message"], found["hint"]);
    for word in words {
        assert!(said.contains(word), "`{word}` is not in {found:#}");
    }
}

#[track_caller]
fn assert_code(found: &Value) {
    let code = found["code"].as_str().expect("a code is text");
    let (letter, number) = code.split_at(1);
    let letters = if found["severity"] == "error" { "E" } else { "W" };
    assert!(letter == letters && number.len() == 3 && number.parse::<u32>().is_ok(), "{found:#}");
}

/// A definition on lines of their own, so that places are easy to count.
fn definition(steps: &str) -> String {
    format!("{{\n  \"name\": \"test\",\n  \"version\": \"1.0.0\",\n  \"steps\": [\n{steps}\n  ]\n}}\n")
}

#[test]
fn plans_examples_are_valid() {
    let fixture = Fixture::new();
    for name in ["simple-test.json", "data-flow-test.json"] {
        fixture.write(name, example(name));
    }
    let args = ["validate", "simple-test.json", "data-flow-test.json", "--strict", "--json"];
    let report = fixture.workflow(args).exits(0).json();
    insta::assert_snapshot!(format!("{report:#}"), @r#"
    {
      "files": [
        {
          "diagnostics": [],
          "file": "simple-test.json"
        },
        {
          "diagnostics": [],
          "file": "data-flow-test.json"
        }
      ],
      "schema_version": 1,
      "valid": true
    }
    "#);
    assert!(!fixture.home().exists(), "validate writes nothing");
}

#[test]
fn unknown_key_has_the_whole_shape() {
    let fixture = Fixture::new();
    let step = r#"    {"id": "a", "type": "skill", "skill": "echo", "inptus": {}}"#;
    fixture.write("workflow.json", definition(step));
    let mut report = fixture.workflow(["validate", "workflow.json", "--json"]).exits(3).json();
    for key in ["code", "message", "hint"] {
        let text = &mut report["files"][0]["diagnostics"][0][key];
        assert!(text.is_string(), "{key} is text: {text}");
        *text = json!("[text]");
    }
    insta::assert_snapshot!(format!("{report:#}"), @r#"
    {
      "files": [
        {
          "diagnostics": [
            {
              "code": "[text]",
              "column": 51,
              "end_column": 59,
              "end_line": 5,
              "hint": "[text]",
              "line": 5,
              "message": "[text]",
              "pointer": "/steps/0/inptus",
              "severity": "error",
              "suggestion": {
                "column": 52,
                "end_column": 58,
                "line": 5,
                "replacement": "inputs"
              }
            }
          ],
          "file": "workflow.json"
        }
      ],
      "schema_version": 1,
      "valid": false
    }
    "#);
}

#[test]
fn unknown_keys_ask_did_you_mean() {
    let step = r#"    {"id": "a", "type": "skill", "skill": "echo", "inptus": {}}"#;
    check(definition(step), (5, 51), "/steps/0/inptus", &["inptus", "inputs"]);
    check(
        "{\"name\": \"t\", \"version\": \"1.0.0\",\n \"stepz\": [],\n\"steps\": [{\"id\": \"a\", \"type\": \"skill\", \"skill\": \"echo\"}]}",
        (2, 2),
        "/stepz",
        &["steps"],
    );
}

#[test]
fn own_keys_are_allowed() {
    let mut definition = workflow(&[echo("a", json!({}))]);
    definition["x-team"] = json!({"anything": 1});
    definition["$schema"] = json!("https://example.com/schema.json");
    definition["steps"][0]["x-note"] = json!("mine");
    assert_eq!(diagnostics(&Fixture::new(), definition.to_string(), 0), Vec::<Value>::new());
}

#[test]
fn broken_json_has_its_position() {
    check("{\"name\": \"t\",\n  \"version\": }", (2, 14), "", &[]);
    check("", (1, 1), "", &[]);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let found = diagnostics(&Fixture::new(), deep, 3);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["line"], 1);
}

#[test]
fn columns_count_characters_and_a_bom_is_not_one() {
    let step = r#"    {"id": "a", "name": "äöü😀", "skil": 1, "type": "skill", "skill": "echo"}"#;
    check(definition(step), (5, 33), "/steps/0/skil", &["skil"]);
    let with_bom = format!(
        "\u{feff}{}",
        "{\"nam\": 1, \"name\": \"t\", \"version\": \"1.0.0\", \"steps\": [{\"id\": \"a\", \"type\": \"skill\", \"skill\": \"echo\"}]}"
    );
    check(with_bom, (1, 2), "/nam", &["name"]);
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let fixture = Fixture::new();
    let found = diagnostics(&fixture, b"{\"name\":\n \"\xff\"}", 3);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].to_string().contains("UTF-8"), "{found:#?}");
    assert_eq!((&found[0]["line"], &found[0]["column"]), (&json!(2), &json!(3)));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["UTF-8"]);
}

#[test]
fn missing_keys_point_at_the_opening_brace() {
    check(
        "{\"version\": \"1.0.0\", \"steps\": [{\"id\": \"a\", \"type\": \"skill\", \"skill\": \"echo\"}]}",
        (1, 1),
        "",
        &["name"],
    );
    check(definition(r#"    {"id": "a", "type": "skill"}"#), (5, 5), "/steps/0", &["skill"]);
    check(definition(r#"    {"type": "skill", "skill": "echo"}"#), (5, 5), "/steps/0", &["id"]);
    check("{\"name\": \"t\", \"version\": \"1.0.0\",\n\"steps\": []}", (2, 10), "/steps", &["step"]);
}

#[test]
fn bad_values_point_at_the_value() {
    let step = |key: &str, value: &str| {
        definition(&format!(
            "    {{\"id\": \"a\", \"type\": \"skill\", \"skill\": \"echo\",\n\"{key}\": {value}}}"
        ))
    };
    check(step("timeout", "\"soon\""), (6, 12), "/steps/0/timeout", &["timeout", "duration"]);
    check(step("timeout", "-1"), (6, 12), "/steps/0/timeout", &[]);
    check(step("inputs", "[]"), (6, 11), "/steps/0/inputs", &["object"]);
    check(step("outputs", "\"a\""), (6, 12), "/steps/0/outputs", &["array"]);
    check(
        step("resource_limits", "{\"memory\": \"much\"}"),
        (6, 31),
        "/steps/0/resource_limits/memory",
        &["memory", "size"],
    );
    let kind = r#"    {"id": "a", "type": "skll", "skill": "echo"}"#;
    check(definition(kind), (5, 25), "/steps/0/type", &["skll", "skill"]);
    let id = r#"    {"id": "a b", "type": "skill", "skill": "echo"}"#;
    check(definition(id), (5, 12), "/steps/0/id", &["a b"]);
    let reserved = r#"    {"id": "context", "type": "skill", "skill": "echo"}"#;
    check(definition(reserved), (5, 12), "/steps/0/id", &["context"]);
    let version = definition(r#"    {"id": "a", "type": "skill", "skill": "echo"}"#).replace("1.0.0", "one");
    check(version, (3, 14), "/version", &["one"]);
    let name = definition(r#"    {"id": "a", "type": "skill", "skill": "echo"}"#).replace("test", "a/b");
    check(name, (2, 11), "/name", &["a/b"]);
}

#[test]
fn duplicates_point_at_the_second_with_a_note_at_the_first() {
    let steps = "    {\"id\": \"a\", \"type\": \"skill\", \"skill\": \"echo\"},\n    {\"id\": \"a\", \"type\": \"skill\", \"skill\": \"echo\"}";
    check(definition(steps), (6, 12), "/steps/1/id", &["a"]);
    let fixture = Fixture::new();
    fixture.write("workflow.json", definition(steps));
    // The drawn form shows both lines.
    fixture.workflow(["validate", "workflow.json"]).exits(3).says(&["workflow.json:6:12", "5 |", "6 |"]);
    let keys = r#"    {"id": "a", "type": "skill", "skill": "echo", "skill": "echo"}"#;
    check(definition(keys), (5, 51), "/steps/0/skill", &["skill"]);
}

#[test]
fn unknown_skill_has_nearest_names_and_places() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[skill("a", "ecko", json!({}))]));
    let report = fixture.workflow(["validate", "workflow.json"]).exits(3);
    let home_skills = fixture.home().join("skills");
    report.says(&["ecko", "echo", &home_skills.to_string_lossy(), ".agents/skills"]);
    check(
        definition(r#"    {"id": "a", "type": "skill", "skill": "ecko"}"#),
        (5, 43),
        "/steps/0/skill",
        &["echo"],
    );
}

#[test]
fn references_are_checked() {
    let with_input = |value: &str| {
        definition(&format!(
            "    {{\"id\": \"fetch\", \"type\": \"skill\", \"skill\": \"echo\", \"inputs\": {{\"a\": 1}}}},\n    {{\"id\": \"b\", \"type\": \"skill\", \"skill\": \"echo\", \"inputs\": {{\"v\":\n\"{value}\"}}}},\n    {{\"id\": \"later\", \"type\": \"skill\", \"skill\": \"file-exists\", \"inputs\": {{\"path\": \"x\"}}}}"
        ))
    };
    let pointer = "/steps/1/inputs/v";
    check(with_input("later.exists"), (7, 2), pointer, &["later"]);
    check(with_input("b.data"), (7, 2), pointer, &["b"]);
    check(with_input("fetc.data"), (7, 2), pointer, &["fetch"]);
    check(with_input("context.missing"), (7, 10), pointer, &["missing"]);
    check(with_input("inputs.missing"), (7, 9), pointer, &["missing"]);
    assert_eq!(diagnostics(&Fixture::new(), with_input("unrelated.data"), 0), Vec::<Value>::new());
    assert_eq!(diagnostics(&Fixture::new(), with_input("fetch.a"), 0), Vec::<Value>::new());
}

#[test]
fn references_in_templates_are_checked() {
    let step = |value: &str| {
        let first = echo("first", json!({}));
        workflow(&[first, echo("a", json!({"v": value})), echo("later", json!({}))]).to_string()
    };
    for value in ["x ${later.data}", "${a.data}", "${nowhere.data}", "${context.missing}", "${first.", "${}"]
    {
        let found = diagnostics(&Fixture::new(), step(value), 3);
        assert_eq!(found.len(), 1, "{value}: {found:#?}");
        assert_eq!(found[0]["pointer"], "/steps/1/inputs/v", "{value}");
    }
}

#[test]
fn output_that_a_step_cannot_have_is_refused() {
    let listed =
        json!({"id": "a", "type": "skill", "skill": "echo", "inputs": {"x": 1, "y": 2}, "outputs": ["x"]});
    let text = workflow(&[listed, echo("b", json!({"v": "a.y"}))]).to_string();
    let found = diagnostics(&Fixture::new(), text, 3);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["pointer"], "/steps/1/inputs/v");
}

#[test]
fn inputs_that_do_not_fit_the_skill_are_refused() {
    for (inputs, pointer) in [
        (json!({}), "/steps/0/inputs"),
        (json!({"path": 5}), "/steps/0/inputs/path"),
        (json!({"path": "x", "pth": "y"}), "/steps/0/inputs/pth"),
    ] {
        let text = workflow(&[skill("a", "file-exists", inputs)]).to_string();
        let found = diagnostics(&Fixture::new(), text, 3);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["pointer"], pointer);
    }
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let steps = r#"    {"id": "a", "type": "skill", "skill": "ecko"},
    {"id": "a", "type": "skill", "skill": "echo", "inptus": {}},
    {"id": "b", "type": "skill", "skill": "echo", "timeout": "soon", "inputs": {"v": "later.data"}},
    {"id": "later", "type": "skill"}"#;
    let text = definition(steps).replace("1.0.0", "one");
    let found = diagnostics(&Fixture::new(), text, 3);
    let pointers: Vec<_> = found.iter().map(|found| found["pointer"].as_str().unwrap_or("")).collect();
    assert_eq!(
        pointers,
        [
            "/version",
            "/steps/0/skill",
            "/steps/1/id",
            "/steps/1/inptus",
            "/steps/2/timeout",
            "/steps/2/inputs/v",
            "/steps/3",
        ]
    );
    found.iter().for_each(assert_code);
}

#[test]
fn drawn_form_marks_the_source_line() {
    let fixture = Fixture::new();
    let step = r#"    {"id": "a", "type": "skill", "skil": "echo", "skill": "echo"}"#;
    fixture.write("workflow.json", definition(step));
    let report = fixture.workflow(["validate", "workflow.json"]).exits(3);
    assert!(!report.output().contains('\u{1b}'), "no colour without a terminal");
    report.says(&["error", "workflow.json:5:34", step.trim(), "^^^^^^", "E0"]);
}

#[test]
fn run_refuses_what_validate_refuses() {
    let fixture = Fixture::new();
    fixture.write("workflow.json", definition(r#"    {"id": "a", "type": "skill", "skill": "ecko"}"#));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["workflow.json:5:43", "ecko"]);
    let run = fixture.workflow(["run", "workflow.json", "--json"]).exits(3);
    assert!(run.stderr.contains("ecko"), "{}", run.stderr);
    assert!(!fixture.home().exists(), "nothing is begun");
}

#[test]
fn files_that_are_none() {
    let fixture = Fixture::new();
    fixture.write("folder/x", "");
    for command in ["validate", "run"] {
        fixture.workflow([command, "missing.json"]).exits(4).says(&["missing.json"]);
        fixture.workflow([command, "folder"]).exits(3).says(&["folder", "directory"]);
        fixture.workflow([command, "./folder/"]).exits(3).says(&["directory"]);
    }
    assert!(!fixture.home().exists());
}

#[test]
fn several_files_are_reported_in_the_order_given() {
    let fixture = Fixture::new();
    fixture.write("good.json", workflow(&[echo("a", json!({}))]).to_string());
    fixture.write("bad.json", "{");
    let report = fixture.workflow(["validate", "bad.json", "good.json", "--json"]).exits(3).json();
    assert_eq!(report["valid"], false);
    let files: Vec<_> =
        report["files"].as_array().expect("files are a list").iter().map(|f| &f["file"]).collect();
    assert_eq!(files, ["bad.json", "good.json"]);
    fixture.workflow(["validate"]).exits(2);
}

#[test]
fn dash_is_stdin() {
    let fixture = Fixture::new();
    let report = fixture.workflow_with_stdin(&["validate", "-", "--json"], "{\"name\": ").exits(3).json();
    assert_eq!(report["files"][0]["diagnostics"][0]["line"], 1);
    let good = workflow(&[echo("a", json!({}))]).to_string();
    fixture.workflow_with_stdin(&["validate", "-"], &good).exits(0);
}

#[test]
fn yaml_has_its_own_places() {
    let fixture = Fixture::new();
    let text = "name: t\nversion: 1.0.0\nsteps:\n- id: é\n  type: skill\n  skill: >-\n    echo\n  inputs:\n    a: 'it''s ${nobody.x}'\n";
    for name in ["workflow.yaml", "workflow.yml"] {
        fixture.write(name, text);
        let report = fixture.workflow(["validate", name, "--json"]).exits(3).json();
        let found = report["files"][0]["diagnostics"].as_array().expect("diagnostics are a list").clone();
        assert_eq!(found.len(), 2, "{found:#?}");
        assert_problem(&found[0], (4, 7), "/steps/0/id", &["é"]);
        assert_problem(&found[1], (9, 17), "/steps/0/inputs/a", &["nobody"]);
    }
    fixture.write("workflow.json", text);
    fixture.workflow(["validate", "workflow.json"]).exits(3).says(&["E004"]);
    let good = "# mine\nname: t\nversion: 1.0.0\nsteps: [{id: a, type: skill, skill: echo}]\n";
    fixture.workflow_with_stdin(&["validate", "-"], good).exits(0);
}

#[test]
fn stored_definition_is_found_by_its_name() {
    let fixture = Fixture::new();
    let stored = fixture.home().join("definitions/mine.json");
    write_file(&stored, workflow(&[echo("a", json!({}))]).to_string().as_bytes());
    fixture.workflow(["validate", "mine"]).exits(0);
    write_file(&stored, b"{");
    fixture.workflow(["validate", "mine"]).exits(3).says(&["definitions/mine.json"]);
}

#[test]
fn schedules_are_checked() {
    let fixture = Fixture::new();
    let mut definition = workflow(&[echo("a", json!({"v": 1}))]);
    definition["triggers"] = json!([{"type": "manual"}, {"type": "schedule", "cron": "0 9 * * *"}]);
    fixture.define(&definition);
    fixture.workflow(["validate", "workflow.json", "--strict"]).exits(0);
    let view = fixture.workflow(["run", "workflow.json", "--json"]).exits(0).json();
    assert_eq!(view["trigger"], "manual");
    definition["triggers"][1]["cron"] = json!("0 25 * * *");
    fixture.define(&definition);
    fixture.workflow(["validate", "workflow.json"]).exits(3).says(&["E044", "`25` (hour)"]);
}

#[test]
fn warnings_fail_only_when_strict() {
    let fixture = Fixture::new();
    // Nearly a step id, but no output of it: probably a reference that was mistyped.
    let steps = [echo("process", json!({"a": 1})), echo("b", json!({"v": "proces.value"}))];
    fixture.define(&workflow(&steps));
    let report = fixture.workflow(["validate", "workflow.json", "--json"]).exits(0).json();
    assert_eq!(report["valid"], true, "{report:#}");
    let found = &report["files"][0]["diagnostics"][0];
    assert_eq!(found["severity"], "warning", "{report:#}");
    assert_code(found);
    fixture.workflow(["validate", "workflow.json", "--strict"]).exits(3);
    fixture.workflow(["run", "workflow.json"]).exits(0);
}

#[test]
fn file_over_the_cap_is_refused_without_being_read_whole() {
    let fixture = Fixture::new();
    let path = fixture.write("workflow.json", "");
    // Sparse: 1 GiB that costs nothing.
    let file = fs::File::options().write(true).open(&path).expect("it is ours");
    file.set_len(1 << 30).expect("the file system has sparse files");
    let run = fixture.workflow(["validate", "workflow.json"]).exits(3).says(&["16"]);
    assert!(run.took.as_secs() < 5, "{:?}", run.took);
}

/// Blocks of JSON and YAML in the guide that are definitions: with a name, a version and steps. Other blocks are
/// pieces, answers for `create` (with `save`), or what other programs read.
#[test]
fn whole_definitions_of_the_guide_are_valid() {
    let fixture = Fixture::new();
    let mut names = Vec::new();
    for entry in
        fs::read_dir(integration_tests::program::workspace().join("docs/guide")).expect("it is there")
    {
        let path = entry.expect("it is readable").path();
        let page = fs::read_to_string(&path).expect("a page is text");
        for (index, block) in page.split("```").enumerate().filter(|(index, _)| index % 2 == 1) {
            let Some((syntax @ ("json" | "yaml"), text)) = block.split_once('\n') else { continue };
            let keys =
                if syntax == "json" { ["\n  \"name\"", "\n  \"steps\""] } else { ["name:", "\nsteps:"] };
            let is_answers = text.contains("\n  \"save\"");
            if keys.iter().all(|key| text.contains(key))
                && !is_answers
                && (syntax == "json" || text.starts_with(keys[0]))
            {
                let stem = path.file_stem().expect("a page has a name").to_string_lossy();
                let name = format!("{stem}-{index}.{syntax}");
                fixture.write(&name, text);
                names.push(name);
            }
        }
    }
    assert!(names.len() >= 4, "the definitions are found: {names:?}");
    let arguments: Vec<&str> =
        ["validate", "--strict"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let report = fixture.workflow(arguments);
    assert!(report.stdout.matches(": no problems").count() == names.len(), "{}", report.stdout);
    report.exits(0);
}
