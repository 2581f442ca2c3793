//! What a step costs in counts that do not depend on the machine or its load: system calls, processes, durable
//! writes and bytes. Steps are run twice, once with as many more of them; the difference is theirs.
//!
//! The bounds are what was counted when they were last lowered, and a little more. A change that goes over one has made
//! every step dearer: mend it, or raise the bound and say why in the commit.

use std::{collections::BTreeMap, fs, path::Path};

use integration_tests::{
    Fixture,
    definition::{echo, exec, workflow},
    program,
};
use serde_json::{Value, json};

/// Steps of the short chain, and how many more the long one has.
const STEPS: u32 = 24;

/// Calls that an unoptimized build makes to check each descriptor that it closes.
const CHECKS: &str = "fcntl";

/// What steps are counted to take, each.
struct Counted {
    calls: BTreeMap<String, f64>,
    journal_bytes: f64,
    log_bytes: f64,
}

impl Counted {
    /// Calls of this name.
    fn of(&self, call: &str) -> f64 {
        self.calls.get(call).copied().unwrap_or_default()
    }

    fn any_of(&self, calls: &[&str]) -> f64 {
        calls.iter().map(|call| self.of(call)).sum()
    }

    fn all(&self) -> f64 {
        self.calls.values().sum::<f64>() - self.of(CHECKS)
    }
}

/// A chain with this many steps.
fn chain(step: &dyn Fn(&str) -> Value, steps: u32) -> Vec<Value> {
    (0..steps).map(|index| step(&format!("s{index}"))).collect()
}

/// Runs steps under strace; gives the calls by name, and the sizes of journal and log.
#[track_caller]
fn run(steps: &[Value]) -> (BTreeMap<String, u32>, u64, u64) {
    let fixture = Fixture::new();
    fixture.define(&workflow(steps));
    let counts = fixture.work().join("counts");
    let mut command = fixture.command("strace");
    command.args(["-f", "-qq", "-c", "-U", "calls,name", "-o"]).arg(&counts);
    command.arg(program::q()).args(["workflow", "run", "workflow.json", "--json"]);
    assert!(
        std::process::Command::new("strace").arg("-V").output().is_ok(),
        "strace is not installed: run tests/install-packages"
    );
    fixture.start(command).finish().exits(0);
    let run = fixture.run_dir(&fixture.only_run());
    let size = |name: &str| fs::metadata(run.join(name)).map_or(0, |file| file.len());
    (calls(&counts), size("journal.jsonl"), size("logs/run.log"))
}

/// Lines of `calls name` between two lines of dashes; the last is the total.
#[track_caller]
fn calls(file: &Path) -> BTreeMap<String, u32> {
    let text = fs::read_to_string(file).expect("strace wrote it");
    let line = |line: &str| {
        let (count, name) = line.trim().split_once(' ')?;
        Some((name.trim().to_owned(), count.parse().ok()?))
    };
    let calls: BTreeMap<_, _> = text.lines().filter_map(line).filter(|(name, _)| name != "total").collect();
    assert!(calls.contains_key("fdatasync"), "no table of calls: {text}");
    calls
}

#[track_caller]
fn count(steps: &dyn Fn(u32) -> Vec<Value>) -> Counted {
    let (few, few_journal, few_log) = run(&steps(STEPS));
    let (many, many_journal, many_log) = run(&steps(2 * STEPS));
    let each = |few: u64, many: u64| {
        let more = u32::try_from(many.saturating_sub(few)).expect("it is small");
        f64::from(more) / f64::from(STEPS)
    };
    let few_of = |name: &str| few.get(name).copied().unwrap_or_default();
    Counted {
        calls: many
            .iter()
            .map(|(name, count)| (name.clone(), each(few_of(name).into(), (*count).into())))
            .collect(),
        journal_bytes: each(few_journal, many_journal),
        log_bytes: each(few_log, many_log),
    }
}

#[track_caller]
fn check(counted: &Counted, what: &str, count: f64, at_most: f64) {
    assert!(count <= at_most, "{what}: {count:.1} a step, at most {at_most}: {:#?}", counted.calls);
}

fn hello(id: &str) -> Value {
    echo(id, json!({"message": "Hello"}))
}

#[test]
fn exec_step() {
    let counted = count(&|steps| chain(&|id| exec(id, &["/bin/true"]), steps));
    check(&counted, "system calls", counted.all(), 240.0);
    // The program, and the init of its namespace.
    check(&counted, "processes", counted.any_of(&["clone", "clone3", "fork", "vfork"]), 2.2);
    check(&counted, "programs", counted.of("execve"), 1.2);
    check(&counted, "mounts", counted.any_of(&["mount", "move_mount", "umount2"]), 18.0);
    check(&counted, "durable writes", counted.any_of(&["fdatasync", "fsync"]), 1.2);
    check(&counted, "bytes of the journal", counted.journal_bytes, 900.0);
    check(&counted, "bytes of the log", counted.log_bytes, 600.0);
}

#[test]
fn echo_step() {
    let counted = count(&|steps| chain(&hello, steps));
    check(&counted, "system calls", counted.all(), 92.0);
    check(&counted, "processes", counted.any_of(&["clone", "clone3", "fork", "vfork"]), 1.2);
    check(&counted, "programs", counted.of("execve"), 0.1);
    check(&counted, "mounts", counted.any_of(&["mount", "move_mount", "umount2"]), 0.1);
    check(&counted, "durable writes", counted.any_of(&["fdatasync", "fsync"]), 1.2);
    check(&counted, "bytes of the journal", counted.journal_bytes, 600.0);
    check(&counted, "bytes of the log", counted.log_bytes, 600.0);
}

#[test]
fn steps_abreast_share_their_durable_writes() {
    let group =
        |steps| json!({"id": "all", "type": "parallel", "max_concurrent": 16, "steps": chain(&hello, steps)});
    let counted = count(&|steps| vec![group(steps)]);
    check(&counted, "durable writes", counted.any_of(&["fdatasync", "fsync"]), 0.6);
}
