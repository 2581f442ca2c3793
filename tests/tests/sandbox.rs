//! What a step can see and reach: descriptors, environments, processes, files of others, privileges.

use std::{fs, process::Command};

use integration_tests::{
    Fixture,
    definition::{echo, exec, with, workflow},
    program,
    view::{attempt, outputs},
};
use serde_json::json;

#[test]
fn leak_fds_finds_only_its_own() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[exec("plain", &[program!("leak-fds")])]));
    // q itself is started with descriptors that nobody closes for it.
    let mut command = fixture.command("/bin/sh");
    command.args(["-c", "exec 7</dev/null 9</dev/null; exec \"$0\" workflow run workflow.json --json"]);
    command.arg(program::q());
    let view = fixture.start(command).finish().exits(0).json();
    let listing = outputs(&view, "plain")["stdout"].as_str().expect("stdout is text");
    let numbers: Vec<_> = listing.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{listing}");
}

#[test]
fn read_parent_environ_finds_nothing() {
    let fixture = Fixture::new();
    let secret = format!("secret-of-{}", fixture.marker());
    // Two arguments, so that the program's own arguments do not matter: it looks into environments.
    fixture.define(&workflow(&[exec("spy", &[program!("read-parent-environ"), &secret])]));
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("PRIVATE", &secret);
    let view = fixture.start(command).finish().exits(0).json();
    assert_eq!(outputs(&view, "spy")["stdout"], "");
}

#[test]
fn kill_all_reaches_nobody_outside() {
    let own = fs::read_link("/proc/self/ns/pid").expect("/proc is there");
    let fixture = Fixture::new();
    let view = fixture.run(&workflow(&[
        exec("bad", &[program!("kill-all"), &own.to_string_lossy()]),
        echo("next", json!({"out": "bad.stdout"})),
    ]));
    let view = view.exits(0).json();
    assert_eq!(outputs(&view, "next")["out"], "survived\n");
}

#[test]
fn step_has_no_new_privileges_and_clean_signals() {
    /// Signals 32 and 33: the C library keeps them for itself, and its posix_spawn(3) ignores them in every child.
    const RESERVED: u64 = 0b11 << 31;
    let fixture = Fixture::new();
    let command = "grep -E '^(NoNewPrivs|SigBlk|SigIgn):' /proc/self/status; ulimit -c";
    let view = fixture.run(&workflow(&[exec("a", &["sh", "-c", command])])).exits(0).json();
    let text = outputs(&view, "a")["stdout"].as_str().expect("stdout is text");
    let words: Vec<_> = text.split_whitespace().collect();
    let clean = "0000000000000000";
    assert_eq!(words[..3], ["SigBlk:", clean, "SigIgn:"]);
    assert_eq!(u64::from_str_radix(words[3], 16).expect("a mask") & !RESERVED, 0, "{text}");
    assert_eq!(words[4..], ["NoNewPrivs:", "1", "0"]);
}

#[test]
fn step_sees_only_its_own_processes_and_no_home() {
    let fixture = Fixture::new();
    let command = format!(
        "ls -d /proc/[0-9]* | wc -l; cat {}/runs/*/journal.jsonl 2>/dev/null | wc -c; ls /tmp | wc -l",
        fixture.home().display()
    );
    let view = fixture.run(&workflow(&[exec("a", &["sh", "-c", &command])])).exits(0).json();
    let text = outputs(&view, "a")["stdout"].as_str().expect("stdout is text");
    let counts: Vec<u32> = text.split_whitespace().map(|word| word.parse().expect("a count")).collect();
    assert!(counts[0] < 10, "processes: {text}");
    assert_eq!(counts[1], 0, "bytes of the journal");
    // What leads to the working directory stays visible there.
    assert!(counts[2] <= 1, "files of others in /tmp: {text}");
}

#[test]
fn private_tmp_is_empty_again_in_the_next_step() {
    let fixture = Fixture::new();
    let name = format!("/tmp/{}-file", fixture.marker());
    let steps = [
        exec("write", &["touch", &name]),
        exec("look", &["sh", "-c", &format!("test -e {name} && echo there || echo gone")]),
    ];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    assert_eq!(outputs(&view, "look")["stdout"], "gone\n");
    assert!(!std::path::Path::new(&name).exists());
}

#[test]
fn hostile_programs_are_harmless_without_a_sandbox() {
    // The one that could do harm says no outside a pid namespace.
    let own = fs::read_link("/proc/self/ns/pid").expect("/proc is there");
    let output = Command::new(program!("kill-all")).arg(own).output().expect("it can be executed");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "not held\n");
}

#[test]
fn profile_none_shares_namespaces_and_is_still_held() {
    let fixture = Fixture::new();
    let script =
        "readlink /proc/self/ns/pid; grep NoNewPrivs: /proc/self/status; ls /proc/self/fd | wc -l; ulimit -c";
    let free = json!({"sandbox": "none"});
    let steps = [
        with(exec("look", &["sh", "-c", script]), free.clone()),
        with(exec("leave", &[program!("double-fork-setsid")]), free),
    ];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    let text = outputs(&view, "look")["stdout"].as_str().expect("stdout is text");
    let lines: Vec<_> = text.lines().collect();
    let own = fs::read_link("/proc/self/ns/pid").expect("/proc is there");
    assert_eq!(lines[0], own.to_string_lossy());
    assert_eq!(lines[1].split_whitespace().last(), Some("1"), "no new privileges: {text}");
    // 0, 1, 2 and that of the listing.
    assert_eq!(&lines[2..], ["4", "0"], "{text}");
    assert!(attempt(&view, "leave")["leftovers_killed"].as_u64() >= Some(1));
    // What it does not hold is said.
    let notes = view["isolation"]["notes"].as_array().expect("notes are a list");
    assert!(
        notes
            .iter()
            .any(|note| note.as_str().is_some_and(|note| note.contains("processes of the same user"))),
        "{notes:#?}"
    );
    fixture.assert_nothing_left();
}

#[test]
fn profile_can_be_that_of_the_whole_definition() {
    let fixture = Fixture::new();
    let look = |id: &str| exec(id, &["readlink", "/proc/self/ns/pid"]);
    let inner = with(look("inner"), json!({"sandbox": "standard"}));
    let definition = with(workflow(&[look("outer"), inner]), json!({"sandbox": "none"}));
    let view = fixture.run(&definition).exits(0).json();
    let own = fs::read_link("/proc/self/ns/pid").expect("/proc is there");
    let line = format!("{}\n", own.display());
    assert_eq!(outputs(&view, "outer")["stdout"], line);
    assert_ne!(outputs(&view, "inner")["stdout"], line);
}

#[test]
fn example_of_isolation_shows_what_it_says() {
    let fixture = Fixture::new();
    fixture.write("isolation.json", program::example("isolation.json"));
    let mut command = fixture.q(["run", "isolation.json", "--json"]);
    command.env("SOME_SECRET", "leak");
    let view = fixture.start(command).finish().exits(0).json();
    let standard = view["outputs"]["standard"].as_str().expect("stdout is text");
    let lines: Vec<_> = standard.lines().collect();
    let processes = lines[0].strip_prefix("processes: ").and_then(|count| count.parse::<u32>().ok());
    assert!(processes < Some(10), "{standard}");
    assert_eq!(lines[1..], ["file: gone", "NoNewPrivs:\t1", "0"], "{standard}");
    assert_eq!(view["outputs"]["none"], "NoNewPrivs:\t1\n");
}
