//! Records of old runs: which go, which stay, by hand and by themselves.

use integration_tests::{
    Fixture,
    definition::{echo, gate, workflow},
    fixture::write_file,
};
use serde_json::json;

#[track_caller]
fn run(fixture: &Fixture) -> String {
    let view = fixture.run(&workflow(&[echo("a", json!({"v": 1}))])).exits(0).json();
    view["run_id"].as_str().expect("an id is text").to_owned()
}

#[test]
fn old_records_go_and_others_stay() {
    let fixture = Fixture::new();
    let first = run(&fixture);
    let second = run(&fixture);
    let running = fixture.spawn_run(&workflow(&[gate("a")]));
    fixture.wait_for("a.started");
    fixture.workflow(["prune"]).exits(0);
    assert_eq!(fixture.run_ids().len(), 3, "all of them are young");
    let all = ["prune", "--older-than", "0", "--keep", "2"];
    let said = fixture.workflow([&all[..], &["--dry-run"]].concat()).exits(0).stdout;
    assert_eq!(said, format!("would remove {first} test (completed)\n"));
    assert_eq!(fixture.run_ids().len(), 3);
    let said = fixture.workflow(all).exits(0).stdout;
    assert_eq!(said, format!("removed {first} test (completed)\n"));
    let said = fixture.workflow(["prune", "--older-than", "0", "--keep", "0"]).exits(0).stdout;
    assert_eq!(said, format!("removed {second} test (completed)\n"), "a living run stays");
    let list = fixture.workflow(["list", "--json"]).exits(0).json();
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(1), "{list:#}");
    fixture.kill_engine(running);
    fixture.workflow(["prune", "--older-than", "0", "--keep", "0"]).exits(0);
    assert_eq!(fixture.run_ids().len(), 1, "an interrupted run stays");
    fixture.workflow(["prune", "--older-than", "0", "--keep", "0", "--interrupted"]).exits(0);
    assert!(fixture.run_ids().is_empty());
}

#[test]
fn retention_of_the_configuration_works_by_itself() {
    let fixture = Fixture::new();
    let config = json!({"retention": {"older_than": "0s", "keep": 2}});
    write_file(&fixture.home().join("config.json"), config.to_string().as_bytes());
    let ids: Vec<_> = (0..4).map(|_| run(&fixture)).collect();
    assert_eq!(fixture.run_ids(), ids[2..]);
}
