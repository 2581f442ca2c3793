//! What a person at a terminal sees of a run: `run` in place, `status --watch` on the whole screen, and lines where
//! there is no terminal.

use std::process::Stdio;

use integration_tests::{
    Fixture, Running,
    definition::{echo, shell, with, workflow},
    processes,
    running::LONG,
    terminal::{Streams, Terminal},
    wait,
};
use nix::sys::signal::Signal;
use serde_json::json;

/// Says that it works, waits for the file `go`, and exits as that says.
const UNTIL_GO: &str = "echo working; until [ -e go ]; do sleep 0.02; done; exit $(cat go)";

/// A workflow of a quick step and one that waits for the test.
fn define(fixture: &Fixture) {
    let definition = workflow(&[echo("first", json!({"v": 1})), shell("second", UNTIL_GO)]);
    fixture.define(&with(definition, json!({"name": "seen", "outputs": {"v": "first.v"}})));
}

fn go(fixture: &Fixture, exit: u8) {
    fixture.write("go.part", exit.to_string());
    std::fs::rename(fixture.work().join("go.part"), fixture.work().join("go")).expect("it is ours");
}

fn started(fixture: &Fixture) -> Running {
    define(fixture);
    let run = fixture.spawn(["run", "workflow.json"]);
    wait::eventually("it has begun", LONG, || run.stderr().contains("first completed"));
    run
}

fn watch(fixture: &Fixture) -> Terminal {
    let watch = Terminal::start(fixture.q(["status", "@last", "--watch"]), 100, Streams::All);
    watch.shows("seen 1.0.0: running");
    watch
}

#[test]
fn a_run_is_drawn_in_place_and_stdout_is_data() {
    let fixture = Fixture::new();
    define(&fixture);
    let mut command = fixture.q(["run", "workflow.json"]);
    let data = fixture.work().join("stdout");
    command.stdout(Stdio::from(std::fs::File::create(&data).expect("it is ours")));
    let mut terminal = Terminal::start(command, 80, Streams::AllButStdout);
    terminal.shows("first completed");
    terminal.shows("seen running: 1 done, 1 running");
    // The program's memory, which is looked at once a second.
    terminal.shows("CPU");
    go(&fixture, 0);
    assert!(terminal.ends().success());
    terminal.shows("completed (");
    let screen = terminal.screen();
    assert!(!screen.contains("running:") && !screen.contains('⠋'), "what was in place is gone\n{screen}");
    assert!(terminal.is_whole());
    assert_eq!(fixture.read("stdout"), "{\"v\":1}\n");
}

#[test]
fn ctrl_c_leaves_the_terminal_whole() {
    let fixture = Fixture::new();
    define(&fixture);
    let terminal = Terminal::start(fixture.q(["run", "workflow.json"]), 60, Streams::All);
    terminal.shows("1 running");
    // The kernel sends it to the whole group when somebody types it; here nobody controls the terminal.
    assert!(processes::send(terminal.pid(), Signal::SIGINT));
    let mut terminal = terminal;
    assert_eq!(terminal.ends().code(), Some(130));
    terminal.shows("cancelled");
    assert!(terminal.is_whole() && !terminal.screen().contains("running:"), "{}", terminal.screen());
}

#[test]
fn colours_and_pictures_are_left_out_where_nobody_wants_them() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[echo("a", json!({}))]));
    let mut command = fixture.q(["run", "workflow.json"]);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command, 80, Streams::All);
    assert!(terminal.ends().success());
    terminal.shows("completed (");
    assert!(!terminal.raw().contains("\u{1b}[3"), "{:?}", terminal.raw());
}

#[test]
fn watching_shows_steps_and_logs_until_the_run_ends() {
    let fixture = Fixture::new();
    let run = started(&fixture);
    let mut watch = watch(&fixture);
    watch.shows("| working");
    watch.shows("> second");
    assert!(watch.screen().contains("first") && watch.screen().contains('━'), "{}", watch.screen());
    assert!(!watch.is_whole(), "it fills the screen");
    go(&fixture, 0);
    assert!(watch.ends().success());
    assert!(watch.is_whole());
    watch.shows("outputs {\"v\":1}");
    run.finish().exits(0);
}

#[test]
fn the_picture_follows_the_size_of_the_terminal() {
    let fixture = Fixture::new();
    let run = started(&fixture);
    let mut watch = watch(&fixture);
    watch.shows("> second");
    let widest = |watch: &Terminal| {
        watch.screen().lines().map(|line| line.trim_end().chars().count()).max().unwrap_or_default()
    };
    for columns in [40, 120] {
        watch.resize(columns);
        let fits = || {
            let width = widest(&watch);
            width <= columns.into()
                && width > usize::from(columns) - 10
                && watch.screen().contains("> second")
        };
        assert!(wait::holds_within(LONG, fits), "{columns} columns\n{}", watch.screen());
    }
    go(&fixture, 0);
    assert!(watch.ends().success());
    run.finish().exits(0);
}

#[test]
fn keys_open_a_log_stop_the_run_and_leave() {
    let fixture = Fixture::new();
    let run = started(&fixture);
    let mut watching = watch(&fixture);
    watching.types("\r");
    watching.shows("esc back");
    watching.types("\u{1b}[A\r");
    watching.shows("q quit  s stop");
    watching.types("q");
    assert!(watching.ends().success());
    assert!(watching.is_whole());
    let mut watching = watch(&fixture);
    watching.types("s");
    watching.answer("stop the run?", "n");
    watching.shows("q quit  s stop");
    watching.types("s");
    watching.answer("stop the run?", "y");
    run.finish().exits(8);
    watching.ends();
    watching.has_said("cancelled");
    assert!(watching.is_whole());
}

#[test]
fn a_watcher_that_is_ended_gives_the_terminal_back() {
    let fixture = Fixture::new();
    let run = started(&fixture);
    let mut watching = watch(&fixture);
    assert!(processes::send(watching.pid(), Signal::SIGTERM));
    assert_eq!(watching.ends().code(), Some(143));
    assert!(watching.is_whole());
    let mut watching = watch(&fixture);
    watching.types("\u{3}");
    assert_eq!(watching.ends().code(), Some(130));
    assert!(watching.is_whole());
    go(&fixture, 0);
    run.finish().exits(0);
}

#[test]
fn an_engine_that_dies_is_noticed() {
    let fixture = Fixture::new();
    let run = started(&fixture);
    let mut watching = watch(&fixture);
    let lines = fixture.spawn(["status", "@last", "--watch"]);
    wait::eventually("it watches", LONG, || lines.stdout().contains("second running"));
    fixture.kill_engine(run);
    watching.ends();
    watching.has_said("goes on with it");
    lines.finish().exits(0).says(&["interrupted"]);
    fixture.workflow(["stop", "@last"]).exits(0);
}

#[test]
fn without_a_terminal_changes_are_lines() {
    let fixture = Fixture::new();
    let run = started(&fixture);
    let lines = fixture.spawn(["status", "@last", "--watch", "--exit-code"]);
    wait::eventually("it watches", LONG, || lines.stdout().contains("second running"));
    go(&fixture, 7);
    run.finish().exits(1);
    let seen =
        lines.finish().exits(1).says(&["  first completed", "  second failed", "exit_code", "\nfailed ("]);
    assert!(!seen.stdout.contains('\u{1b}'), "{}", seen.stdout);
    fixture.workflow(["status", "--watch"]).exits(0).says(&["failed"]);
    fixture.workflow(["status", "--watch", "--json"]).exits(2);
}
