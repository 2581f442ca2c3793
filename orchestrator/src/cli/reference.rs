//! The generated part of the reference: `docs/reference/` and `schemas/json/`. The tests fail when a page is not
//! what the program says; with `UPDATE_DOCS=1` they write it.

mod definition;
mod environment;
mod skills;

use std::{fmt::Write as _, io::Write as _, path::Path};

use clap::{Command, CommandFactory as _};
use schemas::{
    events::EventType,
    exit_code::ExitCode,
    failure::Code,
    view::{RunStatus, StepStatus},
};

/// Fails unless the file of the repository holds this text.
#[track_caller]
pub(super) fn check_fresh(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("the repository is writable");
        let mut page = std::fs::File::create(&path).expect("the repository is writable");
        page.write_all(text.as_bytes()).expect("the repository is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{file} is not up to date: run the tests of `orchestrator` with UPDATE_DOCS=1");
}

/// A page says first that nobody should write it by hand.
pub(super) fn page(title: &str, content: &str) -> String {
    format!(
        "# {title}\n\n<!-- Generated: run the tests of `orchestrator` with UPDATE_DOCS=1 to write it anew. -->\n\n{content}"
    )
}

#[test]
fn command_line() {
    let mut whole = super::Arguments::command();
    whole.build();
    let workflow = whole.find_subcommand("workflow").expect("it is there").clone();
    let mut text = String::from("The help of every command, as `--help` prints it.\n");
    helps(&workflow, &mut text);
    check_fresh("docs/reference/cli.md", &page("Command line", &text));
}

/// The help of a command, and of those below it.
fn helps(command: &Command, text: &mut String) {
    text.push_str(&help(command.clone()));
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set())
    {
        helps(below, text);
    }
}

fn help(command: Command) -> String {
    let mut command = command.term_width(100);
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n"))
}

#[test]
fn exit_codes() {
    let mut text = String::from("One table for every command.\n\n| code | meaning |\n|---:|---|\n");
    for (code, meaning) in ExitCode::TABLE {
        writeln!(text, "| {} | {meaning} |", code.code()).expect("a string takes everything");
    }
    check_fresh("docs/reference/exit-codes.md", &page("Exit codes", &text));
}

#[test]
fn failure_codes() {
    let mut text = String::from(
        "Why a step or a run failed: `error.code` in the run view, in logs and in `retry.on`.\n\n\
         | code | meaning | retried unless told otherwise |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let retried = if code.retryable() { "yes" } else { "no" };
        writeln!(text, "| `{}` | {} | {retried} |", code.as_str(), code.meaning().trim())
            .expect("a string takes everything");
    }
    check_fresh("docs/reference/failure-codes.md", &page("Failure codes", &text));
}

#[test]
fn events() {
    let mut text = String::from(
        "What `q workflow run --events` prints: one JSON object a line, while it happens. Each has `v`, `seq`, `ts`, \
         `type`, `run_id`, `step`, `attempt` and `iteration`; `q workflow schema events` is the whole shape. An event is \
         told after what it tells is durable; `step.log` and `step.progress` come from the step and are not kept.\n\n\
         | type | meaning |\n|---|---|\n",
    );
    for kind in EventType::ALL {
        writeln!(text, "| `{kind}` | {} |", kind.meaning().trim()).expect("a string takes everything");
    }
    check_fresh("docs/reference/events.md", &page("Events", &text));
}

#[test]
fn statuses() {
    let mut text = String::from("How a run or a step stands: `status` in the run view.\n");
    for (title, words) in [
        ("Of a run", RunStatus::ALL.iter().map(|word| (word.as_str(), word.meaning())).collect::<Vec<_>>()),
        ("Of a step", StepStatus::ALL.iter().map(|word| (word.as_str(), word.meaning())).collect()),
    ] {
        write!(text, "\n## {title}\n\n| status | meaning |\n|---|---|\n").expect("a string takes everything");
        for (word, meaning) in words {
            writeln!(text, "| `{word}` | {} |", meaning.trim()).expect("a string takes everything");
        }
    }
    check_fresh("docs/reference/statuses.md", &page("Statuses", &text));
}
