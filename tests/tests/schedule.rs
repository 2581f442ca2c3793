//! `schedule`: what is stored, when it fires, and runs that are started for a moment.

use integration_tests::{
    Fixture,
    definition::{echo, with, workflow},
    fixture::write_file,
};
use serde_json::{Value, json};

/// A workflow that gives back the moment for which it runs.
fn scheduled() -> Value {
    let mut definition = workflow(&[echo("a", json!({"at": "run.scheduled_at"}))]);
    definition["name"] = json!("nightly");
    definition["outputs"] = json!({"at": "a.at"});
    definition
}

fn list(fixture: &Fixture) -> Value {
    fixture.workflow(["schedule", "list", "--json"]).exits(0).json()["schedules"].clone()
}

#[track_caller]
fn check_next(args: &[&str], expected: &[&str]) {
    let fixture = Fixture::new();
    let all = ["schedule", "next", "--json"].iter().chain(args).copied();
    let answer = fixture.workflow(all).exits(0).json();
    assert_eq!(answer["schema_version"], 1);
    let fires: Vec<_> =
        answer["fires"].as_array().expect("a list").iter().map(|fire| fire["at"].clone()).collect();
    assert_eq!(fires, expected);
}

#[test]
fn next_needs_no_schedule() {
    let berlin =
        ["--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-03-28T00:00:00Z", "-n", "3"];
    check_next(
        &berlin,
        &["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
    );
    check_next(
        &["--cron", "0 9 * * 1-5", "--from", "2026-01-02T09:00:00Z", "-n", "2"],
        &["2026-01-05T09:00:00+00:00", "2026-01-06T09:00:00+00:00"],
    );
    // Without an offset, a time is that of the zone.
    check_next(
        &["--cron", "@daily", "--timezone", "America/New_York", "--from", "2026-01-02T00:00", "-n", "1"],
        &["2026-01-03T00:00:00-05:00"],
    );
    let fixture = Fixture::new();
    let told = fixture.workflow([
        "schedule",
        "next",
        "--cron",
        "30 2 * * *",
        "--timezone",
        "Europe/Berlin",
        "-n",
        "1",
        "--from",
        "2026-03-29T00:00:00Z",
    ]);
    assert!(told.exits(0).stdout.starts_with("2026-03-29T03:00:00+02:00  02:30:00 does not exist"));
}

#[test]
fn what_is_wrong_has_its_exit_code() {
    let fixture = Fixture::new();
    fixture.workflow(["schedule", "next", "--cron", "61 * * * *"]).exits(3).says(&["`61` (minute)"]);
    fixture
        .workflow(["schedule", "next", "--cron", "* * * * *", "--timezone", "Europe/Berln"])
        .exits(3)
        .says(&["hint: did you mean `Europe/Berlin`?"]);
    fixture.workflow(["schedule", "next", "--cron", "* * * * *", "--from", "soon"]).exits(2);
    for command in ["next", "enable", "disable", "remove", "run-now"] {
        fixture.workflow(["schedule", command, "nightly"]).exits(4).says(&["no schedule \"nightly\""]);
    }
    fixture.define(&scheduled());
    fixture.workflow(["schedule", "add", "workflow.json"]).exits(2).says(&["no trigger", "--cron"]);
    fixture.workflow(["schedule", "add", "missing.json", "--cron", "@daily"]).exits(4);
    fixture.workflow(["schedule", "add", "workflow.json", "--cron", "never"]).exits(3);
    fixture.write("broken.json", "{");
    fixture.workflow(["schedule", "add", "broken.json", "--cron", "@daily"]).exits(3).says(&["E004"]);
    assert_eq!(list(&fixture), json!([]));
    write_file(&fixture.home().join("schedules.json"), b"{\"schema_version\": 1}");
    for command in [&["schedule", "list"][..], &["schedule", "add", "workflow.json", "--cron", "@daily"]] {
        fixture.workflow(command).exits(3).says(&["schedules.json", "missing field `schedules`"]);
    }
}

#[test]
fn schedules_are_added_changed_and_removed() {
    let fixture = Fixture::new();
    fixture.define(&scheduled());
    let add = ["schedule", "add", "workflow.json", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin"];
    assert_eq!(fixture.workflow(add).exits(0).stdout, "nightly\n");
    assert_eq!(fixture.workflow(add.iter().chain(&["--overlap", "queue"])).exits(0).stdout, "nightly-2\n");
    assert!(fixture.home().join("definitions/nightly.json").is_file(), "the file was copied");
    let listed = list(&fixture);
    assert_eq!(listed[1]["id"], "nightly-2");
    assert_eq!(listed[1]["overlap"], "queue");
    let mut first = listed[0].clone();
    assert!(first["next"].as_str().expect("a time").ends_with(":30:00Z"), "{first}");
    first["next"] = json!(null);
    assert_eq!(
        first,
        json!({"id": "nightly", "workflow": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin",
            "catch_up": "latest", "overlap": "skip", "enabled": true, "next": null, "last": null})
    );
    fixture.workflow(["schedule", "disable", "nightly"]).exits(0);
    assert_eq!((&list(&fixture)[0]["enabled"], &list(&fixture)[0]["next"]), (&json!(false), &json!(null)));
    fixture.workflow(["schedule", "enable", "nightly", "nowhere"]).exits(4);
    assert_eq!(list(&fixture)[0]["enabled"], false, "all of them, or none");
    fixture.workflow(["schedule", "enable", "nightly"]).exits(0);
    assert_eq!(list(&fixture)[0]["enabled"], true);

    fixture.workflow(["delete", "nightly", "--yes"]).exits(1).says(&["nightly, nightly-2", "--force"]);
    fixture.workflow(["schedule", "remove", "nightly", "nightly-2"]).exits(0);
    assert_eq!(list(&fixture), json!([]));
    fixture.workflow(["delete", "nightly", "--yes"]).exits(0);
}

#[test]
fn a_stored_definition_is_not_replaced_unasked() {
    let fixture = Fixture::new();
    write_file(&fixture.home().join("definitions/nightly.json"), b"{}");
    fixture.define(&scheduled());
    let add = ["schedule", "add", "workflow.json", "--cron", "@daily"];
    fixture.workflow(add).exits(1).says(&["--force", "--in-place"]);
    assert_eq!(list(&fixture), json!([]));
    fixture.workflow(add.iter().chain(&["--in-place"])).exits(0);
    fixture.workflow(["delete", "nightly", "--yes"]).exits(0);
    fixture.workflow(add.iter().chain(&["--force"])).exits(0);
    assert_eq!(list(&fixture)[1]["id"], "nightly-2");
}

#[test]
fn triggers_of_the_definition_become_schedules() {
    let fixture = Fixture::new();
    let mut definition = scheduled();
    definition["inputs"] = json!({"who": {"type": "string"}});
    definition["triggers"] = json!([
        {"type": "manual"},
        {"type": "schedule", "cron": "0 9 * * 1-5", "timezone": "Asia/Tokyo", "overlap": "replace", "inputs": {"who": "x"}},
        {"type": "schedule", "cron": "@hourly", "catch_up": "none", "enabled": false},
    ]);
    fixture.define(&definition);
    assert_eq!(
        fixture.workflow(["schedule", "add", "workflow.json"]).exits(0).stdout,
        "nightly\nnightly-2\n"
    );
    let listed = list(&fixture);
    assert_eq!((&listed[0]["timezone"], &listed[0]["overlap"]), (&json!("Asia/Tokyo"), &json!("replace")));
    assert_eq!((&listed[1]["catch_up"], &listed[1]["enabled"]), (&json!("none"), &json!(false)));
}

#[test]
fn a_schedule_is_run_at_once() {
    let fixture = Fixture::new();
    let mut definition = scheduled();
    definition["inputs"] = json!({"who": {"type": "string", "required": true}});
    definition["outputs"]["who"] = json!("inputs.who");
    fixture.define(&definition);
    let add = ["schedule", "add", "workflow.json", "--cron", "@yearly"];
    fixture.workflow(add).exits(3).says(&["the input `who` is required"]);
    fixture.workflow(add.iter().chain(&["--input", "who=me"])).exits(0);
    let run = fixture.workflow(["schedule", "run-now", "nightly"]).exits(0).stdout;
    let view = fixture.ended(run.trim());
    assert_eq!((&view["status"], &view["trigger"]), (&json!("completed"), &json!("schedule:nightly")));
    assert_eq!(view["outputs"]["who"], "me");
    assert_eq!(view["outputs"]["at"], view["scheduled_at"]);
    assert!(view["scheduled_at"].is_string());
}

#[test]
fn a_run_that_is_refused_says_why() {
    let fixture = Fixture::new();
    fixture.define(&scheduled());
    fixture.workflow(["schedule", "add", "workflow.json", "--cron", "@yearly"]).exits(0);
    write_file(&fixture.home().join("definitions/nightly.json"), b"{");
    fixture.workflow(["schedule", "run-now", "nightly"]).exits(3).says(&["schedule nightly", "E004"]);
    assert_eq!(fixture.run_ids(), [""; 0]);
}

#[test]
fn a_schedule_whose_runs_can_never_start_is_refused() {
    let fixture = Fixture::new();
    let large = with(scheduled(), json!({"resource_limits": {"memory": "2GiB", "cpu": 1.5}}));
    fixture.define(&large);
    let add = ["schedule", "add", "workflow.json", "--cron", "@yearly"];
    for (resources, word) in [(json!({"memory": "1GiB"}), "memory"), (json!({"cpu": 1.0}), "CPU")] {
        let config = json!({"resources": resources});
        write_file(&fixture.home().join("config.json"), config.to_string().as_bytes());
        fixture.workflow(add).exits(1).says(&["can never start", word, "resource_limits", "config.json"]);
    }
    assert_eq!(list(&fixture), json!([]));
    assert!(!fixture.home().join("definitions/nightly.json").exists(), "nothing of it is stored");
    // As large as all runs together may be.
    let config = json!({"resources": {"memory": "2GiB", "cpu": 1.5}});
    write_file(&fixture.home().join("config.json"), config.to_string().as_bytes());
    fixture.workflow(add).exits(0);
}

#[test]
fn a_span_of_the_past_is_filled_in_order() {
    let fixture = Fixture::new();
    fixture.define(&scheduled());
    fixture.workflow(["schedule", "add", "workflow.json", "--cron", "0 0 * * *"]).exits(0);
    let span =
        ["schedule", "backfill", "nightly", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z"];
    let moments = "2026-01-01T00:00:00Z\n2026-01-02T00:00:00Z\n";
    assert_eq!(fixture.workflow(span.iter().chain(&["--dry-run"])).exits(0).stdout, moments);
    let told = fixture.workflow(span).exits(0).stdout;
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.lines().all(|line| line.ends_with(" completed")), "{told}");
    let moments =
        fixture.run_ids().iter().map(|run| fixture.view(run)["outputs"]["at"].clone()).collect::<Vec<_>>();
    assert_eq!(moments, ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]);
    let long = ["schedule", "backfill", "nightly", "--from", "2000-01-01T00:00:00Z"];
    fixture.workflow(long).exits(1).says(&["more than 1000 fires"]);
}

#[test]
fn the_example_has_a_schedule_of_its_own() {
    let fixture = Fixture::new();
    fixture.write("scheduled.json", integration_tests::program::example("scheduled.json"));
    assert_eq!(fixture.workflow(["schedule", "add", "scheduled.json"]).exits(0).stdout, "scheduled\n");
    let run = fixture.workflow(["schedule", "run-now", "scheduled"]).exits(0).stdout;
    let view = fixture.ended(run.trim());
    assert_eq!((&view["status"], &view["outputs"]["moment"]), (&json!("completed"), &view["scheduled_at"]));
}
