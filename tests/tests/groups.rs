//! Keys of steps that hold others, with real processes.

use integration_tests::{
    Fixture,
    definition::{shell, with, workflow},
    view::{outputs, step},
};
use serde_json::json;

#[test]
fn a_group_has_a_time_of_its_own() {
    let fixture = Fixture::new();
    let slow = shell("slow", "touch slow.started; sleep 60 & sleep 60");
    let group = json!({"id": "g", "type": "sequence", "timeout": "300ms", "steps": [slow]});
    let view = fixture.run(&workflow(&[group])).exits(1).json();
    assert_eq!((&view["error"]["code"], &view["error"]["step"]), (&json!("timeout"), &json!("g")));
    assert_eq!(step(&view, "slow")["status"], "cancelled");
    fixture.assert_nothing_left();
}

#[test]
fn a_called_workflow_has_a_time_of_its_own() {
    let fixture = Fixture::new();
    let slow = with(
        workflow(&[shell("slow", "sleep 60")]),
        json!({
            "resource_limits": {"max_execution_time": "300ms"}
        }),
    );
    fixture.write("slow.json", slow.to_string());
    let call = json!({"id": "c", "type": "workflow", "workflow": "slow.json"});
    let view = fixture.run(&workflow(&[call])).exits(1).json();
    assert_eq!((&view["error"]["code"], &view["error"]["step"]), (&json!("timeout"), &json!("c")));
    fixture.assert_nothing_left();
}

#[test]
fn environment_and_directory_reach_inside() {
    let fixture = Fixture::new();
    fixture.write("there/file", "");
    fixture.write(
        "inner.json",
        with(workflow(&[shell("deep", "echo $A $B; ls")]), json!({"outputs": {"o": "deep.stdout"}}))
            .to_string(),
    );
    let steps = json!([
        shell("say", "echo $A $B; ls"),
        {"id": "c", "type": "workflow", "workflow": "inner.json", "env": {"B": "three"}}
    ]);
    let group = json!({
        "id": "g", "type": "sequence", "env": {"A": "one", "B": "two"}, "cwd": "there", "steps": steps
    });
    let view = fixture.run(&workflow(&[group])).exits(0).json();
    assert_eq!(outputs(&view, "say")["stdout"], "one two\nfile\n");
    assert_eq!(outputs(&view, "c")["o"], "one three\nfile\n");
}

/// SIGTERM reaches a program wherever its birth stands: nobody has to wait for the end of the grace.
#[test]
fn losers_that_are_just_being_born_are_told_to_end() {
    let fixture = Fixture::new();
    let loser =
        |number: usize| with(shell(&format!("loser-{number}"), "exec sleep 60"), json!({"grace": "40s"}));
    let mut children: Vec<_> = (0..16).map(loser).collect();
    children.insert(8, json!({"id": "quick", "type": "skill", "skill": "echo"}));
    let group = json!({"id": "g", "type": "parallel", "wait_for": "any", "steps": children});
    let view = fixture.run(&workflow(&[group])).exits(0).json();
    assert_eq!(outputs(&view, "g")["winner"], "quick");
    let took = view["duration_ms"].as_u64().expect("it has ended");
    assert!(took < 30_000, "nobody waited for the grace: {took} ms");
    fixture.assert_nothing_left();
}
