//! That the checks of the harness can fail: a process that is left is seen, a wait ends, shapes are told apart.

use std::{process::Stdio, time::Duration};

use integration_tests::{
    Fixture, program,
    view::{is_timestamp, normalised},
    wait::holds_within,
};
use serde_json::json;

#[test]
fn process_that_is_left_is_seen() {
    let fixture = Fixture::new();
    assert_eq!(fixture.processes().len(), 0);
    // By its working directory, by its arguments, by its environment.
    let mut by_directory = fixture.command("sleep");
    by_directory.arg("60").env_clear();
    let mut by_argument = fixture.command("sh");
    by_argument.args(["-c", "sleep 60; true", fixture.marker()]).env_clear().current_dir("/");
    let mut by_environment = fixture.command("sleep");
    by_environment.arg("60").current_dir("/");
    for mut command in [by_directory, by_argument, by_environment] {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sleep is there");
        let seen = holds_within(Duration::from_secs(5), || {
            fixture.processes().iter().any(|process| process.pid == child.id())
        });
        for process in fixture.processes() {
            integration_tests::processes::send(process.pid, nix::sys::signal::Signal::SIGKILL);
        }
        child.wait().expect("the child is ours");
        assert!(seen, "{command:?} was not seen");
    }
    fixture.assert_nothing_left();
}

#[test]
fn processes_of_one_test_are_not_those_of_another() {
    let (one, other) = (Fixture::new(), Fixture::new());
    let mut child = one.command("sleep").arg("60").spawn().expect("sleep is there");
    let seen = holds_within(Duration::from_secs(5), || one.processes().len() == 1);
    let others = other.processes();
    child.kill().and_then(|()| child.wait()).expect("the child is ours");
    assert!(seen);
    assert_eq!(others.len(), 0);
}

#[test]
fn wait_is_bounded() {
    let started = std::time::Instant::now();
    assert!(!holds_within(Duration::from_millis(50), || false));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(holds_within(Duration::ZERO, || true));
}

#[test]
fn only_what_differs_is_replaced() {
    assert!(is_timestamp("2026-01-31T09:00:00Z") && is_timestamp("2026-01-31T09:00:00.123Z"));
    assert!(!is_timestamp("2026-01-31 09:00:00") && !is_timestamp("yesterday") && !is_timestamp(""));
    let document =
        json!({"run_id": "x", "started_at": "yesterday", "finished_at": null, "duration_ms": 5, "n": 5});
    let expected = json!({
        "run_id": "[id]", "started_at": "yesterday", "finished_at": null, "duration_ms": "[ms]", "n": 5,
    });
    assert_eq!(normalised(&document), format!("{expected:#}"));
}

#[test]
fn hostile_programs_are_there() {
    for path in [program!("ignore-term"), program!("three-deep"), program!("fork-many")] {
        assert!(std::path::Path::new(path).is_file(), "{path}");
    }
    assert!(program::workspace().join("Cargo.toml").is_file());
}
