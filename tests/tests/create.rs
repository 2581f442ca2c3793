//! `create`: from a file of answers, and from a person at a terminal.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use integration_tests::{
    Fixture,
    definition::{echo, with, workflow},
    fixture::read_file,
    program, wait,
};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_mins(1);

/// Answers about a workflow named `made`.
fn answers(more: Value) -> String {
    let mut definition = workflow(&[echo("a", json!({"v": 1}))]);
    definition["name"] = json!("made");
    definition["outputs"] = json!({"v": "a.v"});
    with(definition, more).to_string()
}

#[test]
fn answers_are_saved_once() {
    let fixture = Fixture::new();
    fixture.write("a.json", answers(json!({"save": true})));
    fixture.workflow(["create", "--from", "a.json"]).exits(0).says(&["definitions/made.json"]);
    fixture.workflow(["validate", "made"]).exits(0);
    let stored = fixture.home().join("definitions/made.json");
    let first = read_file(&stored);
    assert!(!first.contains("save"), "{first}");
    fixture.workflow(["create", "--from", "a.json"]).exits(1).says(&["the name is taken", "overwrite"]);
    let other = answers(json!({"save": true, "overwrite": true, "description": "anew"}));
    fixture.write("a.json", other);
    fixture.workflow(["create", "--from", "a.json"]).exits(0);
    assert!(read_file(&stored).contains("anew"));
}

#[test]
fn answers_are_saved_in_a_file_and_run() {
    let fixture = Fixture::new();
    fixture.write("a.json", answers(json!({"save": "out.json", "run": true})));
    fixture.workflow(["create", "--from", "a.json"]).exits(0).says(&["out.json\n", "\"v\":1"]);
    assert_eq!(fixture.run_ids().len(), 1);
    fixture.workflow(["create", "--from", "a.json"]).exits(1).says(&["out.json is there already"]);
    assert_eq!(fixture.run_ids().len(), 1, "what is refused is not run");
}

#[test]
fn without_a_place_the_definition_is_printed() {
    let fixture = Fixture::new();
    fixture.write("a.json", answers(json!({})));
    let printed = fixture.workflow(["create", "--from", "a.json"]).exits(0).json();
    assert_eq!(printed["name"], "made");
    fixture.write("a.json", answers(json!({"run": true})));
    fixture.workflow(["create", "--from", "a.json"]).exits(0).says(&["completed", "\"v\":1"]);
}

#[test]
fn what_is_wrong_is_not_saved() {
    let fixture = Fixture::new();
    let check = |text: &str, exit: i32, words: &str| {
        fixture.write("a.json", text);
        fixture.workflow(["create", "--from", "a.json"]).exits(exit).says(&[words]);
        assert!(!fixture.home().join("definitions").exists() && !fixture.has("out.json"), "{text}");
    };
    check(&answers(json!({"save": true, "steps": []})), 3, "E0");
    check(&answers(json!({"save": "out.json", "stepz": []})), 3, "E012");
    check(&answers(json!({"save": 7})), 3, "`save` must be");
    check("{", 3, "a.json");
    fixture.workflow(["create", "--from", "missing.json"]).exits(4);
    fixture.workflow(["create"]).exits(1).says(&["--from answers.json"]);
}

/// A `q` at a terminal.
struct Terminal {
    keys: File,
    screen: Arc<Mutex<String>>,
    child: std::process::Child,
}

impl Terminal {
    fn start(fixture: &Fixture, args: &[&str]) -> Self {
        let pty = nix::pty::openpty(None, None).expect("there are terminals");
        let mut command = fixture.command(program::q());
        let side = || Stdio::from(pty.slave.try_clone().expect("a descriptor is free"));
        command.args(["workflow"]).args(args).env("TERM", "xterm");
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("q starts");
        drop((command, pty.slave));
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut output, written) =
            (File::from(pty.master.try_clone().expect("a descriptor is free")), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            // The terminal ends with an error when its last program has gone (EIO).
            while let Ok(length) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]);
                written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Self { keys: File::from(pty.master), screen, child }
    }

    /// Waits for a question and types the answer.
    fn answer(&mut self, question: &str, keys: &str) {
        let screen = || self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let asked = wait::holds_within(LONG, || screen().contains(question));
        assert!(asked, "{question:?} is not asked\n{}", screen());
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }
}

#[test]
fn ctrl_c_leaves_nothing() {
    let fixture = Fixture::new();
    let mut terminal = Terminal::start(&fixture, &["create"]);
    terminal.answer("Name of the workflow", "wizardry\r");
    terminal.answer("What it does", "\r");
    terminal.answer("Id of the step", "\r");
    terminal.answer("What does it call?", "\u{3}");
    let mut ended = None;
    wait::eventually("it ends", LONG, || {
        ended = terminal.child.try_wait().expect("it is ours");
        ended.is_some()
    });
    assert!(!ended.is_some_and(|status| status.success()));
    assert!(!fixture.home().join("definitions").exists());
}
