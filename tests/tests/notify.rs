//! `notify` of config.json: a program and an address are told of runs that did not end well, and change nothing of the
//! run.

use integration_tests::{
    Fixture,
    definition::{echo, shell, with, workflow},
    fixture::{read_file, write_file},
    running::LONG,
    server::{Answer, Server},
    wait,
};
use serde_json::{Value, json};

fn fixture(notify: &Value) -> Fixture {
    let fixture = Fixture::new();
    write_file(&fixture.home().join("config.json"), json!({"notify": notify}).to_string().as_bytes());
    fixture
}

/// Keeps what it is told as a whole.
fn keep(fixture: &Fixture) -> Value {
    let file = fixture.work().join("told");
    let script = format!("cat > {0}.part; echo $RUN_STATUS >> {0}.status; mv {0}.part {0}", file.display());
    json!(["sh", "-c", script])
}

fn told(fixture: &Fixture) -> Value {
    wait::eventually("it is told", LONG, || fixture.has("told"));
    serde_json::from_str(&fixture.read("told")).expect("it is one JSON object")
}

/// The only run's lines of what came of telling, once there are so many.
fn log(fixture: &Fixture, lines: usize) -> String {
    let path = fixture.run_dir(&fixture.only_run()).join("logs/notify.log");
    wait::eventually("it is logged", LONG, || {
        std::fs::read_to_string(&path).is_ok_and(|text| text.lines().count() >= lines)
    });
    read_file(&path)
}

#[test]
fn a_program_is_told_of_a_failure_and_of_nothing_else() {
    let fixture = Fixture::new();
    let notify = json!({"notify": {"command": keep(&fixture)}});
    write_file(&fixture.home().join("config.json"), notify.to_string().as_bytes());
    fixture.run(&workflow(&[echo("a", json!({}))])).exits(0);
    let secretive = with(shell("b", "echo \"bad $TOKEN\" >&2; exit 3"), json!({"secrets": ["TOKEN"]}));
    fixture.define(&workflow(&[secretive]));
    let mut run = fixture.q(["run", "workflow.json"]);
    run.env("TOKEN", "very-secret-value");
    fixture.start(run).finish().exits(1);
    let told = told(&fixture);
    let schema = fixture.workflow(["schema", "notice"]).exits(0).json();
    assert!(jsonschema::is_valid(&schema, &told), "{told:#}");
    assert_eq!((&told["schema_version"], &told["status"]), (&json!(1), &json!("failed")));
    assert_eq!((&told["error"]["step"], &told["error"]["code"]), (&json!("b"), &json!("exit_code")));
    assert_eq!(told["error"]["details"]["stderr"], json!(["bad ***"]), "secrets are masked");
    assert_eq!(fixture.read("told.status"), "failed\n", "of the run that completed nobody was told");
}

#[test]
fn an_address_is_told_and_its_answer_is_a_line() {
    let server = Server::start(vec![Answer::text(500, "no")]);
    let fixture = fixture(&json!({"webhook": format!("{}/hook?key=1", server.url()), "on": ["completed"]}));
    fixture.run(&workflow(&[echo("a", json!({}))])).exits(0);
    let log = log(&fixture, 1);
    assert!(log.contains(" webhook: 500") && !log.contains("key=1"), "{log}");
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /hook?key=1 "), "{request}");
}

#[test]
fn who_cannot_be_told_changes_nothing() {
    let fixture = fixture(&json!({"command": ["/no/such/program"], "webhook": "http://127.0.0.1:1/"}));
    fixture.run(&workflow(&[shell("a", "exit 3")])).exits(1);
    let log = log(&fixture, 2);
    assert!(log.contains(" command: No such file"), "{log}");
    wait::eventually("the notifier ends", LONG, || fixture.processes().is_empty());
}

#[test]
fn a_wrong_setting_is_refused_before_anything_runs() {
    let fixture = fixture(&json!({"webhook": "ftp://x"}));
    fixture.run(&workflow(&[echo("a", json!({}))])).exits(3).says(&["config.json", "notify.webhook"]);
    assert!(fixture.run_ids().is_empty());
}
