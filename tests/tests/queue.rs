//! Many q processes at one home: slots, the line of those that wait, priorities, deaths in the line, and what all
//! may use together.

use std::{fs, time::Duration};

use integration_tests::{
    Fixture, Running,
    definition::{echo, gate, shell, with, workflow},
    fixture::write_file,
    wait,
};
use serde_json::{Value, json};

/// A world with this `config.json`.
#[track_caller]
fn configured(config: &Value) -> Fixture {
    let fixture = Fixture::new();
    write_file(&fixture.home().join("config.json"), config.to_string().as_bytes());
    fixture
}

/// Starts a run that holds its slot until `<name>.go` is there; when it does, its id.
#[track_caller]
fn hold(fixture: &Fixture, name: &str) -> (Running, String) {
    let (running, id) = queue(fixture, name, &gate(name), &[]);
    fixture.wait_for(&format!("{name}.started"));
    (running, id)
}

/// Starts a run of one step, and waits until it exists: then it holds a slot or stands in the line.
#[track_caller]
fn queue(fixture: &Fixture, name: &str, step: &Value, options: &[&str]) -> (Running, String) {
    let before = fixture.run_ids();
    let file = format!("{name}.json");
    fixture.write(&file, workflow(std::slice::from_ref(step)).to_string());
    let running = fixture.spawn([&["run", &file, "--json"], options].concat());
    let mut new = Vec::new();
    wait::eventually("the run exists", Duration::from_secs(30), || {
        new = fixture.run_ids().into_iter().filter(|id| !before.contains(id)).collect();
        new.iter().any(|id| fixture.run_dir(id).join("control").exists())
    });
    (running, new.remove(0))
}

/// A step that writes its name into `order`.
fn writes(name: &str) -> Value {
    shell(name, &format!("echo {name} >> order"))
}

#[test]
fn run_without_a_slot_is_queued_and_goes_on_when_one_is_free() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    let (second, id) = queue(&fixture, "second", &echo("a", json!({"v": 1})), &[]);
    let view = fixture.view(&id);
    assert_eq!((&view["status"], &view["started_at"]), (&json!("queued"), &Value::Null), "{view:#}");
    assert!(fs::metadata(fixture.run_dir(&id).join("journal.jsonl")).is_ok_and(|file| file.len() > 0));
    let list = fixture.workflow(["list", "--json", "--status", "queued"]).exits(0).json();
    assert_eq!(list["runs"][0]["run_id"], json!(id), "{list:#}");
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 10);
    fixture.write("first.go", "");
    first.finish().exits(0);
    assert_eq!(second.finish().exits(0).json()["status"], "completed");
}

#[test]
fn line_is_kept_by_priority_and_then_by_arrival() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    let mut others = Vec::new();
    for (name, options) in
        [("b", &[][..]), ("c", &[]), ("low", &["--priority", "-1"]), ("urgent", &["--priority", "5"])]
    {
        others.push(queue(&fixture, name, &writes(name), options).0);
    }
    fixture.write("first.go", "");
    first.finish().exits(0);
    for other in others {
        other.finish().exits(0);
    }
    assert_eq!(fixture.read("order"), "urgent\nb\nc\nlow\n");
}

#[test]
fn deaths_in_the_line_and_in_a_slot_block_nobody() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, first_id) = hold(&fixture, "first");
    let (second, second_id) = queue(&fixture, "second", &writes("second"), &[]);
    let (third, _) = queue(&fixture, "third", &writes("third"), &[]);
    fixture.kill_engine(second);
    assert_eq!(fixture.view(&second_id)["status"], "interrupted");
    fixture.kill_engine(first);
    third.finish().exits(0);
    assert_eq!(fixture.read("order"), "third\n");
    assert_eq!(fixture.view(&first_id)["status"], "interrupted");
    assert_eq!(fs::read_dir(fixture.home().join("queue/line")).expect("it is there").count(), 0);
    assert_eq!(fs::read_dir(fixture.home().join("queue/running")).expect("it is there").count(), 0);
}

#[test]
fn queued_run_can_be_stopped() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    let (second, id) = queue(&fixture, "second", &writes("second"), &[]);
    let (third, _) = queue(&fixture, "third", &writes("third"), &[]);
    fixture.workflow(["stop", &id]).exits(0).says(&["cancelled"]);
    let view = second.finish().exits(8).json();
    assert_eq!((&view["status"], &view["started_at"]), (&json!("cancelled"), &Value::Null));
    fixture.write("first.go", "");
    first.finish().exits(0);
    third.finish().exits(0);
    assert_eq!(fixture.read("order"), "third\n");
}

#[test]
fn detached_run_returns_while_it_is_queued() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    fixture.define(&workflow(&[writes("second")]));
    let id = fixture.workflow(["run", "workflow.json", "--detach"]).exits(0).stdout.trim().to_owned();
    assert_eq!(fixture.view(&id)["status"], "queued");
    fixture.write("first.go", "");
    first.finish().exits(0);
    wait::eventually("it has ended", Duration::from_secs(30), || {
        fixture.workflow(["status", &id, "--exit-code"]).code == 0
    });
    assert_eq!(fixture.read("order"), "second\n");
}

#[test]
fn events_tell_of_the_line() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    fixture.write("second.json", workflow(&[writes("second")]).to_string());
    let second = fixture.spawn(["run", "second.json", "--events"]);
    wait::eventually("it is queued", Duration::from_secs(30), || second.stdout().contains("run.queued"));
    fixture.write("first.go", "");
    first.finish().exits(0);
    let events = second.finish().exits(0).stdout;
    let lines = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let (numbers, types): (Vec<_>, Vec<_>) =
        lines.map(|event| (event["seq"].as_u64(), event["type"].clone())).unzip();
    assert_eq!(types[..3], ["run.created", "run.queued", "run.started"]);
    assert_eq!(numbers, (1..=numbers.len() as u64).map(Some).collect::<Vec<_>>());
}

#[test]
fn wrong_configuration_is_refused_and_named() {
    let fixture = configured(&json!({"max_concurrent_runs": "many"}));
    fixture.define(&workflow(&[writes("a")]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["config.json", "max_concurrent_runs"]);
    assert!(fixture.run_ids().is_empty());
}

#[test]
fn memory_of_all_runs_together_is_bounded() {
    let fixture = configured(&json!({"resources": {"memory": "1GiB"}}));
    let limited =
        |step: Value, memory: &str| with(workflow(&[step]), json!({"resource_limits": {"memory": memory}}));
    fixture.write("large.json", limited(writes("large"), "2GiB").to_string());
    fixture.workflow(["run", "large.json"]).exits(1).says(&["can never start", "resources"]);
    assert!(fixture.run_ids().is_empty());

    fixture.write("first.json", limited(gate("first"), "700MiB").to_string());
    let first = fixture.spawn(["run", "first.json"]);
    fixture.wait_for("first.started");
    fixture.write("second.json", limited(writes("second"), "400MiB").to_string());
    let id = fixture.workflow(["run", "second.json", "--detach"]).exits(0).stdout.trim().to_owned();
    assert_eq!(fixture.view(&id)["status"], "queued");
    fixture.write("small.json", limited(writes("small"), "100MiB").to_string());
    // It would fit, but nobody overtakes.
    let small = fixture.workflow(["run", "small.json", "--detach"]).exits(0).stdout.trim().to_owned();
    assert_eq!(fixture.view(&small)["status"], "queued");
    fixture.write("first.go", "");
    first.finish().exits(0);
    wait::eventually("both have ended", Duration::from_secs(30), || {
        [&id, &small].iter().all(|id| fixture.workflow(["status", id, "--exit-code"]).code == 0)
    });
}

#[test]
fn never_more_run_than_there_are_slots() {
    let fixture = configured(&json!({"max_concurrent_runs": 3}));
    let step = shell(
        "a",
        "touch in.$WORKFLOW_RUN_ID; ls | grep -c '^in[.]' >> counts; sleep 0.05; rm in.$WORKFLOW_RUN_ID",
    );
    fixture.define(&workflow(&[step]));
    let running: Vec<_> = (0..14).map(|_| fixture.spawn(["run", "workflow.json"])).collect();
    for run in running {
        run.finish().exits(0);
    }
    let counts: Vec<u32> =
        fixture.read("counts").lines().map(|line| line.parse().expect("it is a number")).collect();
    assert_eq!(counts.len(), 14);
    assert!(counts.iter().all(|count| (1..=3).contains(count)), "{counts:?}");
}
