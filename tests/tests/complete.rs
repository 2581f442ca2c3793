//! Completion: what each shell is told, by the protocol of its registration and in a real bash.

use integration_tests::{
    Fixture,
    definition::{echo, workflow},
    program,
    terminal::{Streams, Terminal},
};
use serde_json::json;

/// A world with a stored definition that has run once, and a schedule.
fn fixture() -> (Fixture, String) {
    let fixture = Fixture::new();
    let mut definition = workflow(&[echo("collect", json!({})), echo("report", json!({}))]);
    definition["name"] = json!("nightly");
    fixture.define(&definition);
    fixture.workflow(["schedule", "add", "workflow.json", "--cron", "@daily"]).exits(0);
    fixture.workflow(["run", "nightly"]).exits(0);
    let run = fixture.only_run();
    (fixture, run)
}

/// What a shell offers for the last of the words, as the function that is registered for it asks.
#[track_caller]
fn offered(fixture: &Fixture, shell: &str, words: &[&str]) -> Vec<String> {
    let mut command = fixture.command(program::q());
    command.env("Q_WORKFLOW_COMPLETE", shell).env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", (words.len() + 1).to_string());
    command.args(["--", "q", "workflow"]).args(words);
    let answer = fixture.start(command).finish().exits(0);
    assert_eq!(answer.stderr, "");
    answer.stdout.lines().map(str::to_owned).collect()
}

#[track_caller]
fn check(fixture: &Fixture, words: &[&str], expected: &[&str]) {
    let mut found = offered(fixture, "bash", words);
    // Of an empty word a flag may be the beginning, too.
    found.retain(|word| words.last() != Some(&"") || !word.starts_with('-'));
    assert_eq!(found, expected, "{words:?}");
}

#[test]
fn each_argument_has_its_candidates() {
    let (fixture, run) = fixture();
    check(&fixture, &["stat"], &["status"]);
    check(&fixture, &["status", "--wa"], &["--watch"]);
    for command in ["status", "logs", "stop", "resume", "retry", "explain", "report"] {
        check(&fixture, &[command, &run[..6]], &[&run]);
    }
    check(&fixture, &["status", "@"], &["@last"]);
    check(&fixture, &["stop", "zz"], &[]);
    check(&fixture, &["delete", "--run", &run[..6]], &[&run]);
    check(&fixture, &["delete", "n"], &["nightly"]);
    check(&fixture, &["history", "n"], &["nightly"]);
    check(&fixture, &["run", "n"], &["nightly"]);
    check(&fixture, &["run", "work"], &["workflow.json"]);
    check(&fixture, &["graph", &run[..6]], &[&run]);
    check(&fixture, &["logs", &run, "--step", "co"], &["collect"]);
    check(&fixture, &["explain", &run, ""], &["collect", "report"]);
    check(&fixture, &["schedule", "enable", ""], &["nightly"]);
    check(&fixture, &["skills", "show", "json-p"], &["json-parse"]);
    check(&fixture, &["list", "--status", "comp"], &["completed"]);
    check(&fixture, &["completions", "ba"], &["bash"]);
}

#[test]
fn the_home_is_the_one_that_was_typed() {
    let (fixture, run) = fixture();
    let other = Fixture::new();
    let home = fixture.home().to_string_lossy().into_owned();
    check(&other, &["status", ""], &[]);
    check(&other, &["--home", &home, "status", &run[..6]], &[&run]);
    check(&other, &["status", &format!("--home={home}"), &run[..6]], &[&run]);
}

#[test]
fn shells_that_show_help_get_it() {
    let (fixture, run) = fixture();
    let mut expected = [format!("{run}\tnightly, completed"), "@last\tthe newest run".to_owned()];
    let mut told = offered(&fixture, "fish", &["status", ""]);
    told.retain(|line| !line.starts_with('-'));
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    let zsh = offered(&fixture, "zsh", &["status", &run[..6]]);
    assert_eq!(zsh, [format!("{run}:nightly, completed")]);
}

#[test]
fn every_shell_has_its_registration() {
    let fixture = Fixture::new();
    for (shell, word) in [
        ("bash", "complete -o nospace"),
        ("zsh", "#compdef q"),
        ("fish", "complete --keep-order"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let printed = fixture.workflow(["completions", shell]).exits(0).stdout;
        assert!(printed.contains(word) && printed.contains("Q_WORKFLOW_COMPLETE"), "{shell}: {printed}");
    }
    fixture.workflow(["completions", "tcsh"]).exits(2);
}

#[test]
fn a_real_bash_completes() {
    let (fixture, run) = fixture();
    let mut bash = fixture.command("bash");
    let folder = program::q().parent().expect("a program is in a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    bash.args(["--norc", "--noprofile", "-i"]).env("PATH", path).env("PS1", "ready> ");
    let mut bash = Terminal::start(bash, 120, Streams::All);
    bash.answer("ready>", "source <(q workflow completions bash) && echo regis\"\"tered\r");
    bash.answer("registered", "q workflow stat\t");
    bash.answer("q workflow status ", "0\t");
    bash.answer(&run, "\r");
    bash.answer("nightly 1.0.0: completed", "exit\r");
    bash.ends();
}
