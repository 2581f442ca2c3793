//! Going on after a crash of the engine, and starting again from what failed.

use std::{fs, io::Write as _, time::Duration};

use integration_tests::{
    Fixture, Running,
    definition::{echo, gate, shell, skill, with, workflow},
    view::step,
    wait,
};
use serde_json::{Value, json};

/// A run whose engine is killed while the step `gate` waits; its id.
#[track_caller]
fn interrupted(fixture: &Fixture, definition: &Value) -> String {
    let running = fixture.spawn_run(definition);
    fixture.wait_for("gate.started");
    let id = fixture.only_run();
    fixture.kill_engine(running);
    id
}

/// A chain: a step that counts itself, a gate, a step that reads the first.
fn chain() -> Value {
    let first = shell("first", "echo first >> ledger; echo out");
    workflow(&[first, gate("gate"), echo("last", json!({"v": "first.stdout"}))])
}

/// Numbers, codes and states of a step's attempts.
fn attempts(view: &Value, id: &str) -> Vec<String> {
    let attempts = step(view, id)["attempts"].as_array().expect("a step has attempts").clone();
    let shown = |attempt: &Value| {
        let code = attempt["error"]["code"].as_str().unwrap_or("-").to_owned();
        format!("{} {} {code}", attempt["attempt"], attempt["status"].as_str().unwrap_or_default())
    };
    attempts.iter().map(shown).collect()
}

#[test]
fn resume_goes_on_where_the_engine_died() {
    let fixture = Fixture::new();
    let id = interrupted(&fixture, &chain());
    fixture.write("gate.go", "");
    let view = fixture.workflow(["resume", &id, "--json"]).exits(0).json();
    assert_eq!((&view["status"], &view["run_id"]), (&json!("completed"), &json!(id)));
    assert_eq!(step(&view, "last")["outputs"]["v"], "out\n");
    assert_eq!(attempts(&view, "first"), ["1 completed -"]);
    assert_eq!(attempts(&view, "gate"), ["1 failed engine_crash", "2 completed -"]);
    assert_eq!(fixture.read("ledger"), "first\n", "what has completed does not run again");
    assert_eq!(fixture.view(&id), view);
    fixture.workflow(["resume", &id]).exits(1).says(&["nothing to resume", "completed"]);
}

#[test]
fn processes_of_the_dead_engine_are_gone_before_the_run_goes_on() {
    let fixture = Fixture::new();
    // Two at once would both hold the lock's directory.
    let alone = "mkdir alone || exit 9; touch gate.started; until [ -e gate.go ]; do sleep 0.02; done";
    let id = interrupted(&fixture, &workflow(&[shell("gate", alone)]));
    fs::remove_dir(fixture.work().join("alone")).expect("the step made it");
    fs::remove_file(fixture.work().join("gate.started")).expect("the step made it");
    let resumed = fixture.spawn(["resume", &id]);
    fixture.wait_for("gate.started");
    let others = fixture.processes().into_iter().filter(|process| process.command.contains("mkdir alone"));
    assert!(others.count() <= 2, "one shell and the init above it: {:#?}", fixture.processes());
    fixture.write("gate.go", "");
    resumed.finish().exits(0);
}

#[test]
fn run_that_cannot_be_resumed_says_why() {
    let fixture = Fixture::new();
    let living = fixture.spawn_run(&chain());
    fixture.wait_for("gate.started");
    let id = fixture.only_run();
    fixture.workflow(["resume", &id]).exits(9).says(&["another q owns it"]);
    fixture.workflow(["resume", "0123abcd"]).exits(4);
    fixture.workflow(["resume"]).exits(2);
    fixture.write("gate.go", "");
    living.finish().exits(0);
}

#[test]
fn of_two_at_once_one_wins() {
    let fixture = Fixture::new();
    let id = interrupted(&fixture, &chain());
    fs::remove_file(fixture.work().join("gate.started")).expect("the step made it");
    let mut both: Vec<Running> = (0..2).map(|_| fixture.spawn(["resume", &id])).collect();
    fixture.wait_for("gate.started");
    wait::eventually("one gives up", Duration::from_secs(20), || both.iter_mut().any(Running::has_ended));
    fixture.write("gate.go", "");
    let mut codes: Vec<_> = both.into_iter().map(|running| running.finish().code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 9]);
    assert_eq!(fixture.view(&id)["status"], "completed");
    assert_eq!(fixture.read("ledger"), "first\n");
}

#[test]
fn torn_line_is_cut() {
    let fixture = Fixture::new();
    let id = interrupted(&fixture, &chain());
    let path = fixture.run_dir(&id).join("journal.jsonl");
    let journal = fs::read(&path).expect("it is there");
    let end = journal.iter().rposition(|byte| *byte == b'\n').expect("it has lines") + 1;
    let mut torn = fs::File::create(&path).expect("it is ours");
    torn.write_all(&journal[..end]).and_then(|()| torn.write_all(b"{\"seq\":4,\"ts\":")).expect("it is ours");
    fixture.write("gate.go", "");
    fixture.workflow(["resume", &id]).exits(0);
    assert_eq!(fixture.view(&id)["status"], "completed");
    let whole = fs::read_to_string(&path).expect("it is text");
    assert!(whole.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{whole}");
}

#[test]
fn damaged_journal_is_not_gone_on_with() {
    let fixture = Fixture::new();
    let id = interrupted(&fixture, &chain());
    let path = fixture.run_dir(&id).join("journal.jsonl");
    let mut journal = fs::read(&path).expect("it is there");
    journal[20] ^= 1;
    fs::File::create(&path).and_then(|mut file| file.write_all(&journal)).expect("it is ours");
    fixture.workflow(["resume", &id]).exits(9).says(&["journal.jsonl:1"]);
    assert_eq!(fs::read(&path).expect("it is there"), journal, "nothing was changed");
}

#[test]
fn step_that_must_not_run_twice_fails() {
    let fixture = Fixture::new();
    let definition = workflow(&[with(gate("gate"), json!({"on_crash": "fail"})), echo("last", json!({}))]);
    let id = interrupted(&fixture, &definition);
    let view = fixture.workflow(["resume", &id, "--json"]).exits(1).json();
    assert_eq!((&view["status"], &view["error"]["code"]), (&json!("failed"), &json!("engine_crash")));
    assert_eq!(attempts(&view, "gate"), ["1 failed engine_crash"]);
}

#[test]
fn skills_are_frozen_with_the_run() {
    let fixture = Fixture::new();
    let script = "touch gate.started; until [ -e gate.go ]; do sleep 0.02; done; echo '{}'";
    fixture.write_skill("skills", "mine", json!({"idempotent": false}), script);
    let id = interrupted(&fixture, &workflow(&[skill("gate", "mine", json!({}))]));
    // Whatever becomes of the manifest, the run was made with a skill that must not run twice.
    fixture.write("skills/mine/skill.json", "{}");
    let view = fixture.workflow(["resume", &id, "--json"]).exits(1).json();
    assert_eq!(attempts(&view, "gate"), ["1 failed engine_crash"]);
    fs::remove_file(fixture.run_dir(&id).join("state.json")).expect("it is there");
    assert_eq!(fixture.view(&id), view);
}

#[test]
fn queued_run_whose_engine_died_starts_from_its_beginning() {
    let fixture = Fixture::new();
    integration_tests::fixture::write_file(
        &fixture.home().join("config.json"),
        br#"{"max_concurrent_runs": 1}"#,
    );
    let first = fixture.spawn_run(&workflow(&[gate("gate")]));
    fixture.wait_for("gate.started");
    fixture.write("second.json", workflow(&[echo("a", json!({"v": 1}))]).to_string());
    let second = fixture.spawn(["run", "second.json"]);
    wait::eventually("it is queued", Duration::from_secs(20), || second.stderr().contains("queued"));
    let id = fixture.run_ids().remove(1);
    fixture.kill_engine(second);
    // It takes a slot like any other.
    let resumed = fixture.spawn(["resume", &id, "--json"]);
    wait::eventually("it is queued again", Duration::from_secs(20), || {
        fs::read_dir(fixture.home().join("queue/line")).is_ok_and(|line| line.count() == 1)
    });
    fixture.write("gate.go", "");
    first.finish().exits(0);
    assert_eq!(resumed.finish().exits(0).json()["status"], "completed");
}

#[test]
fn resumed_run_can_be_detached_and_stopped() {
    let fixture = Fixture::new();
    let id = interrupted(&fixture, &chain());
    fs::remove_file(fixture.work().join("gate.started")).expect("the step made it");
    let said = fixture.workflow(["resume", &id, "--detach"]).exits(0).stdout;
    assert_eq!(said, format!("{id}\n"));
    fixture.wait_for("gate.started");
    assert_eq!(fixture.view(&id)["status"], "running");
    fixture.workflow(["stop", &id]).exits(0);
    let view = fixture.view(&id);
    assert_eq!(view["status"], "cancelled");
    assert_eq!(attempts(&view, "gate"), ["1 failed engine_crash", "2 cancelled -"]);
}

#[test]
fn time_while_interrupted_does_not_count() {
    let fixture = Fixture::new();
    let definition =
        with(workflow(&[gate("gate")]), json!({"resource_limits": {"max_execution_time": "3s"}}));
    let id = interrupted(&fixture, &definition);
    let lived = fixture.view(&id)["started_at"].clone();
    assert_ne!(lived, Value::Null);
    // Longer than the limit, on the wall.
    let waited = fixture.command("sleep").arg("3.1").status().expect("sleep is there");
    assert!(waited.success());
    fixture.write("gate.go", "");
    let view = fixture.workflow(["resume", &id, "--json"]).exits(0).json();
    assert!(view["duration_ms"].as_u64().is_some_and(|ms| ms < 3000), "{view:#}");
}

/// A run whose second step fails until `fixed` is there.
#[track_caller]
fn failed(fixture: &Fixture) -> String {
    let first = shell("first", "echo first >> ledger; echo out");
    let second = shell("second", "echo second >> ledger; [ -e fixed ]");
    let view = fixture.run(&workflow(&[first, second, echo("last", json!({"v": "first.stdout"}))])).exits(1);
    view.json()["run_id"].as_str().expect("an id is text").to_owned()
}

#[test]
fn retry_takes_over_what_completed() {
    let fixture = Fixture::new();
    let old = failed(&fixture);
    fixture.write("fixed", "");
    let view = fixture.workflow(["retry", &old, "--json"]).exits(0).json();
    let new = view["run_id"].as_str().expect("an id is text");
    assert_ne!(new, old);
    assert_eq!(view["status"], "completed");
    assert_eq!(step(&view, "last")["outputs"]["v"], "out\n");
    assert_eq!(fixture.read("ledger"), "first\nsecond\nsecond\n");
    // It needs nothing of the old one.
    fixture.workflow(["delete", "--run", &old, "--yes"]).exits(0);
    fs::remove_file(fixture.run_dir(new).join("state.json")).expect("it is there");
    assert_eq!(fixture.view(new), view);
}

#[test]
fn retry_that_fails_again_can_be_retried() {
    let fixture = Fixture::new();
    let old = failed(&fixture);
    let again = fixture.workflow(["retry", &old, "--json"]).exits(1).json();
    let again = again["run_id"].as_str().expect("an id is text");
    fixture.write("fixed", "");
    fixture.workflow(["retry", again]).exits(0);
    assert_eq!(fixture.read("ledger"), "first\nsecond\nsecond\nsecond\n");
}

#[test]
fn run_that_cannot_be_retried_says_why() {
    let fixture = Fixture::new();
    let id = interrupted(&fixture, &chain());
    fixture.workflow(["retry", &id]).exits(1).says(&["interrupted", "resume"]);
    fixture.write("gate.go", "");
    fixture.workflow(["resume", &id]).exits(0);
    fixture.workflow(["retry", &id]).exits(1).says(&["nothing to retry"]);
    fixture.workflow(["retry", "0123abcd"]).exits(4);
}
