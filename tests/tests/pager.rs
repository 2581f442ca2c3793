//! Long output at a terminal goes through a pager; nothing else does.

use std::process::Stdio;

use integration_tests::{
    Fixture,
    definition::{shell, workflow},
    terminal::{Streams, Terminal},
};

/// `q` at a terminal whose pager keeps what it is given in the file `paged`.
fn terminal(fixture: &Fixture, args: &[&str]) -> Terminal {
    let mut command = fixture.q(args);
    command.env("PAGER", "cat > paged");
    Terminal::start(command, 80, Streams::All)
}

/// What was given to the pager; empty: nothing.
#[track_caller]
fn paged(fixture: &Fixture, args: &[&str], exit: i32) -> String {
    let mut terminal = terminal(fixture, args);
    assert_eq!(terminal.ends().code(), Some(exit), "{}", terminal.screen());
    if !fixture.has("paged") {
        return String::new();
    }
    let text = fixture.read("paged");
    std::fs::remove_file(fixture.work().join("paged")).expect("it is ours");
    text
}

#[test]
fn only_what_is_longer_than_the_terminal_is_paged() {
    let fixture = Fixture::new();
    let whole = fixture.workflow(["schema", "definition"]).exits(0).stdout;
    assert!(whole.lines().count() > 100);
    assert_eq!(paged(&fixture, &["schema", "definition"], 0), whole);
    assert_eq!(paged(&fixture, &["schema", "definition", "--no-pager"], 0), "");
    assert_eq!(paged(&fixture, &["--no-pager", "schema", "definition"], 0), "");
    assert_eq!(paged(&fixture, &["list"], 0), "");
    fixture.define(&workflow(&[shell("a", "seq 100")]));
    fixture.workflow(["run", "workflow.json"]).exits(0);
    let logs = paged(&fixture, &["logs", "@last"], 0);
    assert!(logs.contains("a | 1\n") && logs.contains("a | 100\n"), "{logs}");
    assert_eq!(paged(&fixture, &["logs", "@last", "--follow"], 0), "", "what goes on is not paged");
}

#[test]
fn a_pager_that_is_not_there_or_not_wanted_loses_nothing() {
    let fixture = Fixture::new();
    for pager in ["cat", "", "no-such-pager", "true"] {
        let mut command = fixture.q(["schema", "definition"]);
        command.env("PAGER", pager);
        let mut terminal = Terminal::start(command, 80, Streams::All);
        assert_eq!(terminal.ends().code(), Some(0), "{pager:?}: {}", terminal.screen());
    }
    let mut command = fixture.q(["schema", "definition"]);
    let file = std::fs::File::create(fixture.work().join("data")).expect("it is ours");
    command.env("PAGER", "cat > paged").stdout(Stdio::from(file));
    let mut terminal = Terminal::start(command, 80, Streams::AllButStdout);
    assert!(terminal.ends().success() && !fixture.has("paged"));
    assert!(fixture.read("data").ends_with("}\n"));
}

#[test]
fn less_shows_the_beginning_and_leaves_a_whole_terminal() {
    let fixture = Fixture::new();
    let mut command = fixture.q(["schema", "definition"]);
    command.env_remove("PAGER").env_remove("LESS");
    let mut terminal = Terminal::start(command, 80, Streams::All);
    terminal.shows("$schema");
    // Ctrl-C is the pager's.
    terminal.types("\u{3}");
    terminal.types("q");
    assert!(terminal.ends().success());
    assert!(terminal.is_whole());
}
