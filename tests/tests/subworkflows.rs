//! Workflows that call workflows: where the files are found, what is shown of them, and what a run keeps.

use std::{fs, process::Command};

use integration_tests::{
    Fixture,
    definition::{echo, gate, shell, with, workflow},
    fixture::write_file,
    view::step,
};
use serde_json::{Value, json};

fn call(id: &str, workflow: &str, inputs: &Value) -> Value {
    json!({"id": id, "type": "workflow", "workflow": workflow, "inputs": inputs})
}

/// A definition that gives what it is told.
fn greet() -> Value {
    let said = echo("say", json!({"line": "hello ${inputs.who}"}));
    let members = json!({
        "name": "greet",
        "inputs": {"who": {"type": "string", "required": true}},
        "outputs": {"line": "say.line"}
    });
    with(workflow(&[said]), members)
}

#[test]
fn paths_start_at_the_file_that_names_them() {
    let fixture = Fixture::new();
    let inner = with(
        workflow(&[call("inner", "greet.json", &json!({"who": "inputs.who"}))]),
        json!({
            "inputs": {"who": {}}, "outputs": {"line": "inner.line"}
        }),
    );
    fixture.write("parts/inner.json", inner.to_string());
    fixture.write("parts/greet.json", greet().to_string());
    let top = workflow(&[call("outer", "parts/inner.json", &json!({"who": "ann"}))]);
    let top = with(top, json!({"outputs": {"line": "outer.line"}}));
    let view = fixture.run(&top).exits(0).json();
    assert_eq!(view["outputs"], json!({"line": "hello ann"}));
    let say = step(&view, "say");
    assert_eq!((&say["parent"], &say["within"]), (&json!("inner"), &json!("outer.inner")));
    assert_eq!(step(&view, "inner")["parent"], "outer");
    // What people see.
    let status = fixture.workflow(["status"]).exits(0).output();
    let order: Vec<_> = ["outer", "inner", "say"].iter().map(|id| status.find(id)).collect();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{status}");
    let run_id = view["run_id"].as_str().expect("a run has an id");
    for name in ["say", "outer.inner.say"] {
        let lines = fixture.workflow(["logs", run_id, "--step", name, "--json"]).exits(0).lines();
        assert!(lines.iter().any(|line| line["step"] == "outer.inner.say"), "{name}: {lines:?}");
    }
}

#[test]
fn stored_definitions_are_called_by_name() {
    let fixture = Fixture::new();
    let folder = fixture.home().join("definitions");
    write_file(&folder.join("greet.json"), greet().to_string().as_bytes());
    let top =
        with(workflow(&[call("c", "greet", &json!({"who": "bob"}))]), json!({"outputs": {"l": "c.line"}}));
    assert_eq!(fixture.run(&top).exits(0).json()["outputs"]["l"], "hello bob");
}

#[test]
fn problems_are_told_with_the_name_of_their_file() {
    let fixture = Fixture::new();
    fixture
        .write("wrong.json", workflow(&[json!({"id": "a", "type": "skill", "skill": "ecko"})]).to_string());
    fixture.define(&workflow(&[call("c", "wrong.json", &json!({}))]));
    let told = fixture.workflow(["validate", "workflow.json", "--json"]).exits(3).json();
    let codes: Vec<_> = told["files"]
        .as_array()
        .expect("files are a list")
        .iter()
        .map(|file| (file["file"].as_str().unwrap_or_default(), file["diagnostics"][0]["code"].clone()))
        .collect();
    assert_eq!(codes, [("workflow.json", json!("E062")), ("wrong.json", json!("E040"))]);
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["wrong.json:", "E040", "did you mean `echo`"]);

    fixture.define(&workflow(&[call("c", "wrnog.json", &json!({}))]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["E061", "did you mean `wrong.json`"]);
    fixture.define(&workflow(&[call("c", "./workflow.json", &json!({}))]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["E063"]);
    // What is no file holds nothing up.
    let made = Command::new("mkfifo").arg(fixture.work().join("pipe.json")).status().expect("mkfifo starts");
    assert!(made.success(), "the directory is ours");
    fixture.define(&workflow(&[call("c", "pipe.json", &json!({}))]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["E061"]);
}

#[test]
fn a_run_keeps_what_it_calls() {
    let fixture = Fixture::new();
    fixture.write("greet.json", greet().to_string());
    let called = with(workflow(&[gate("wait")]), json!({"name": "gate"}));
    fixture.write("gate.json", called.to_string());
    let steps = [call("held", "gate.json", &json!({})), call("c", "greet.json", &json!({"who": "ann"}))];
    let top = with(workflow(&steps), json!({"outputs": {"l": "c.line"}}));
    let running = fixture.spawn_run(&top);
    fixture.wait_for("wait.started");
    for name in ["greet.json", "gate.json", "workflow.json"] {
        fs::remove_file(fixture.work().join(name)).expect("it was written");
    }
    // Readers fold the journal of a living run.
    let view = fixture.view(&fixture.only_run());
    assert_eq!(step(&view, "wait")["within"], "held");
    fixture.write("wait.go", "");
    let view = running.finish().exits(0).json();
    assert_eq!(view["outputs"]["l"], "hello ann");
    let run_id = view["run_id"].as_str().expect("a run has an id");
    fs::remove_file(fixture.run_dir(run_id).join("state.json")).expect("it was written");
    assert_eq!(fixture.view(run_id)["outputs"], view["outputs"]);
}

#[test]
fn skills_beside_a_called_file_are_its_own() {
    let fixture = Fixture::new();
    fixture.write_skill("skills", "who", json!({}), r#"printf '{"who": "top"}'"#);
    fixture.write_skill("parts/skills", "who", json!({}), r#"printf '{"who": "part"}'"#);
    let who = json!({"id": "ask", "type": "skill", "skill": "who"});
    let part = with(workflow(std::slice::from_ref(&who)), json!({"outputs": {"who": "ask.who"}}));
    fixture.write("parts/part.json", part.to_string());
    let top = workflow(&[call("c", "parts/part.json", &json!({})), who]);
    let top = with(top, json!({"outputs": {"inner": "c.who", "own": "ask.who"}}));
    let view = fixture.run(&top).exits(0).json();
    assert_eq!(view["outputs"], json!({"inner": "part", "own": "top"}));
}

#[test]
fn a_step_inside_knows_its_own_id() {
    let fixture = Fixture::new();
    let part =
        with(workflow(&[shell("say", "echo $WORKFLOW_STEP_ID")]), json!({"outputs": {"o": "say.stdout"}}));
    fixture.write("part.json", part.to_string());
    let top = with(workflow(&[call("c", "part.json", &json!({}))]), json!({"outputs": {"o": "c.o"}}));
    assert_eq!(fixture.run(&top).exits(0).json()["outputs"]["o"], "say\n");
}

/// A step that writes a line into the ledger, and ends with this exit code.
fn entry(id: &str, exit_code: i32) -> Value {
    shell(id, &format!("echo {id} >> ledger; exit {exit_code}"))
}

/// Two steps with an undo each, the second of which fails, a step of the rollback, and a final one.
fn saga() -> Value {
    let undone =
        |id: &str, exit_code| with(entry(id, exit_code), json!({"rollback": entry(&format!("un{id}"), 0)}));
    with(
        workflow(&[undone("book", 0), undone("charge", 1)]),
        json!({
            "name": "saga",
            "error_handling": {"default": "rollback", "rollback": {"steps": [entry("tell", 0)]}},
            "finally": [entry("tidy", 0)]
        }),
    )
}

#[test]
fn it_undoes_itself_and_tidies_up() {
    let fixture = Fixture::new();
    fixture.write("saga.json", saga().to_string());
    let called = with(call("c", "saga.json", &json!({})), json!({"error_handling": "skip"}));
    let view = fixture.run(&workflow(&[called, entry("next", 0)])).exits(0).json();
    assert_eq!(fixture.read("ledger"), "book\ncharge\nuncharge\nunbook\ntell\ntidy\nnext\n");
    assert_eq!(step(&view, "book")["status"], "rolled_back");
    assert_eq!(step(&view, "tidy")["parent"], "c");
    assert!(
        step(&view, "c")["skip_reason"].as_str().expect("a reason").contains("what was done is undone"),
        "{view:#}"
    );
    let undos: Vec<_> = view["rollback"].as_array().expect("a list").iter().map(|undo| &undo["id"]).collect();
    assert_eq!(undos, ["c.uncharge", "c.unbook", "c.tell"]);
    let events = fixture.workflow(["logs", "@last", "--stream", "engine"]).exits(0).output();
    assert!(events.contains("rollback.ended"), "{events}");
}

#[test]
fn a_stop_lets_its_final_steps_run() {
    let fixture = Fixture::new();
    let inner = with(workflow(&[gate("wait")]), json!({"finally": [entry("tidy", 0)]}));
    fixture.write("inner.json", inner.to_string());
    let top = with(workflow(&[call("c", "inner.json", &json!({}))]), json!({"finally": [entry("last", 0)]}));
    let running = fixture.spawn_run(&top);
    fixture.wait_for("wait.started");
    fixture.workflow(["stop", "@last"]).exits(0);
    running.finish().exits(8);
    assert_eq!(fixture.read("ledger"), "tidy\nlast\n");
}

#[test]
fn a_crash_inside_goes_on_inside_and_repeats_nothing() {
    let fixture = Fixture::new();
    let held = shell(
        "held",
        "echo held >> ledger; touch held.started; until [ -e held.go ]; do sleep 0.02; done; exit 1",
    );
    let undo =
        shell("undo", "echo undo >> ledger; touch undo.started; until [ -e undo.go ]; do sleep 0.02; done");
    let inner = with(
        workflow(&[with(entry("first", 0), json!({"rollback": undo})), held]),
        json!({"error_handling": {"default": "rollback"}, "finally": [entry("tidy", 0)]}),
    );
    fixture.write("inner.json", inner.to_string());
    let top = workflow(&[
        with(call("c", "inner.json", &json!({})), json!({"error_handling": "skip"})),
        entry("next", 0),
    ]);
    let running = fixture.spawn_run(&top);
    fixture.wait_for("held.started");
    let run = fixture.only_run();
    fixture.kill_engine(running);
    // Once more while what it did is undone.
    fixture.write("held.go", "");
    let running = fixture.spawn(["resume", &run]);
    fixture.wait_for("undo.started");
    fixture.kill_engine(running);
    fixture.write("undo.go", "");
    let view = fixture.workflow(["resume", &run, "--json"]).exits(0).json();
    assert_eq!(fixture.read("ledger"), "first\nheld\nheld\nundo\nundo\ntidy\nnext\n");
    assert_eq!(step(&view, "first")["attempts"].as_array().expect("a list").len(), 1, "{view:#}");
    assert_eq!(view["status"], "completed");
}
