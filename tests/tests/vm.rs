//! What only a real cgroup v2 hierarchy can show, end to end through `q`: each limit held by the kernel, and a
//! tree that is ended for certain.
//!
//! Runs inside the virtual machine of `tests/vm/run`, as root and as an ordinary user. Elsewhere each test says
//! that it was skipped. A test prints its `PROOF` line once its assertions have held;
//! `tests/vm/required-proofs.txt` lists the lines that must be seen for both users.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use integration_tests::{
    Fixture,
    definition::{shell, with, workflow},
    processes,
    view::{attempt, outputs, step},
};
use serde_json::{Value, json};

const REQUIRED_PROOFS: &str = include_str!("../vm/required-proofs.txt");
const MIB: u64 = 1024 * 1024;

#[test]
fn memory_over_its_limit_is_oom() {
    let Some(guest) = Guest::enter("memory.max") else { return };
    let view = guest.run(&[hungry()], 1);

    assert_eq!(view["status"], "failed", "{view:#}");
    let error = &step(&view, "hungry")["error"];
    assert_eq!(error["code"], "oom", "{view:#}");
    assert_eq!(error["details"]["limit"], 32 * MIB, "{view:#}");
    let peak = error["details"]["peak"].as_u64();
    assert!(peak.is_some_and(|peak| (16 * MIB..=32 * MIB).contains(&peak)), "{view:#}");
    assert_held(&view, "hungry", "memory", 32 * MIB);
    assert_eq!(view["isolation"]["memory"], "cgroup-v2", "{view:#}");
    guest.prove();
}

#[test]
fn sibling_under_its_limit_completes() {
    let Some(guest) = Guest::enter("memory.sibling") else { return };
    let modest = with(
        shell("modest", "head -c 4m /dev/zero | tail | wc -c"),
        json!({"resource_limits": {"memory": "32MiB"}}),
    );
    let pair = json!({"id": "pair", "type": "parallel", "fail_fast": false, "steps": [hungry(), modest]});
    let view = guest.run(&[pair], 1);

    assert_eq!(view["status"], "failed", "{view:#}");
    assert_eq!(step(&view, "hungry")["error"]["code"], "oom", "{view:#}");
    assert_eq!(step(&view, "modest")["status"], "completed", "{view:#}");
    let counted = outputs(&view, "modest")["stdout"].as_str().map(str::trim);
    assert_eq!(counted, Some("4194304"), "{view:#}");
    assert_eq!(attempt(&view, "modest")["usage"]["oom_kills"], 0, "{view:#}");
    guest.prove();
}

#[test]
fn oom_of_a_child_takes_the_whole_tree() {
    let Some(guest) = Guest::enter("memory.oom.group") else { return };
    // Without memory.oom.group only `tail` is killed, and the shell goes on to exit with 0.
    let parent = with(
        shell("parent", "head -c 200m /dev/zero | tail | wc -c; : >survived"),
        json!({"resource_limits": {"memory": "32MiB"}}),
    );
    let view = guest.run(&[parent], 1);

    assert_eq!(step(&view, "parent")["error"]["code"], "oom", "{view:#}");
    assert_eq!(attempt(&view, "parent")["signal"], 9, "{view:#}");
    assert!(!guest.fixture.has("survived"), "the shell outlived its child: {view:#}");
    guest.prove();
}

#[test]
fn busy_loop_gets_its_share_of_a_core() {
    let Some(guest) = Guest::enter("cpu.max") else { return };
    let busy = with(
        shell("busy", "timeout 4 sh -c 'while :; do :; done'; :"),
        json!({"resource_limits": {"cpu": 0.2}}),
    );
    let view = guest.run(&[busy], 0);

    assert_held(&view, "busy", "cpu", 200);
    assert_eq!(view["isolation"]["cpu"], "cgroup-v2", "{view:#}");
    let usage = &attempt(&view, "busy")["usage"];
    assert!(usage["throttled_us"].as_u64() > Some(0), "{view:#}");
    let used = usage["cpu_user_us"]
        .as_u64()
        .zip(usage["cpu_system_us"].as_u64())
        .map(|(user, system)| user + system);
    // A fifth of a core for 4 s is 0.8 s; a whole core would have been 4 s.
    assert!(used.is_some_and(|us| (200_000..1_600_000).contains(&us)), "{view:#}");
    guest.prove();
}

#[test]
fn forks_over_the_limit_are_refused() {
    let Some(guest) = Guest::enter("pids.max") else { return };
    let forking = with(
        shell("forking", "i=0; while [ $i -lt 64 ]; do sleep 60 & i=$((i + 1)); done; wait"),
        json!({"resource_limits": {"pids": 16}}),
    );
    let view = guest.run(&[forking], 1);

    assert_eq!(step(&view, "forking")["error"]["code"], "pids_exceeded", "{view:#}");
    assert!(attempt(&view, "forking")["pids_denied"].as_u64() > Some(0), "{view:#}");
    assert_held(&view, "forking", "pids", 16);
    assert_eq!(view["isolation"]["pids"], "cgroup-v2", "{view:#}");
    guest.prove();
}

#[test]
fn tree_over_its_timeout_is_gone() {
    let Some(guest) = Guest::enter("cgroup.kill") else { return };
    // The argument makes these two known among the processes of the guest.
    let command = "trap '' TERM
        setsid sh -c ': >grandchild; exec sleep 31415' &
        sleep 31415";
    let stubborn = with(shell("stubborn", command), json!({"timeout": "5s", "grace": "1s"}));
    let view = guest.run(&[stubborn], 1);

    assert_eq!(view["status"], "failed", "{view:#}");
    assert_eq!(step(&view, "stubborn")["error"]["code"], "timeout", "{view:#}");
    assert_eq!(attempt(&view, "stubborn")["signal"], 9, "{view:#}");
    assert_eq!(attempt(&view, "stubborn")["stop_reason"], "timeout", "{view:#}");
    assert_eq!(view["isolation"]["kill"], "cgroup.kill", "{view:#}");
    assert!(guest.fixture.has("grandchild"), "the grandchild never ran: {view:#}");
    let mut left = processes::all();
    left.retain(|process| process.command.contains("sleep 31415"));
    assert!(left.is_empty(), "{left:#?}\n{view:#}");
    guest.prove();
}

/// A step that wants 200 MiB and may have 32: `tail` keeps the whole of a line that does not end.
fn hungry() -> Value {
    with(
        shell("hungry", "head -c 200m /dev/zero | tail | wc -c"),
        json!({"resource_limits": {"memory": "32MiB"}}),
    )
}

/// The last attempt of the step names the limit as held by the kernel, with this value.
#[track_caller]
fn assert_held(view: &Value, id: &str, name: &str, value: u64) {
    let limits = attempt(view, id)["limits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let limit = limits.iter().find(|limit| limit["name"] == name);
    let limit = limit.unwrap_or_else(|| panic!("no limit {name} in the attempt of {id}: {view:#}"));
    assert_eq!(limit["by"], "cgroup-v2", "{view:#}");
    assert_eq!(limit["held"], true, "{view:#}");
    assert_eq!(limit["value"], value, "{view:#}");
}

/// The virtual machine as one test sees it.
#[derive(Debug)]
struct Guest {
    proof: &'static str,
    cgroup_base: PathBuf,
    cgroups_before: BTreeSet<PathBuf>,
    fixture: Fixture,
}

impl Guest {
    /// `None` outside the virtual machine, which is said on stderr.
    #[track_caller]
    fn enter(proof: &'static str) -> Option<Self> {
        assert!(
            REQUIRED_PROOFS.lines().any(|required| required == proof),
            "{proof} is not in tests/vm/required-proofs.txt: nobody would miss it"
        );
        if env::var("Q_VM").as_deref() != Ok("1") {
            say(&format!("SKIPPED outside the virtual machine: {proof}"));
            return None;
        }
        let cgroup_base = PathBuf::from(env::var_os("Q_CGROUP_BASE").expect("tests/vm/run sets it"));
        let cgroups_before = directories(&cgroup_base);
        Some(Self { proof, cgroup_base, cgroups_before, fixture: Fixture::new() })
    }

    /// The view of a run of these steps, which ends with this exit code.
    #[track_caller]
    fn run(&self, steps: &[Value], exit_code: i32) -> Value {
        self.fixture.define(&workflow(steps));
        let base = self.cgroup_base.to_str().expect("the guest's paths are text");
        let finished = self.fixture.workflow(["run", "workflow.json", "--json", "--cgroup-base", base]);
        finished.exits(exit_code).json()
    }

    /// The last act of a test: nothing is left in the cgroup base, and the proof is printed.
    #[track_caller]
    fn prove(self) {
        let left: Vec<_> = directories(&self.cgroup_base).difference(&self.cgroups_before).cloned().collect();
        assert!(left.is_empty(), "cgroups were left behind: {left:?}");
        self.fixture.assert_nothing_left();
        let uid = fs::metadata("/proc/self").expect("/proc is mounted").uid();
        say(&format!("PROOF {} uid={uid}", self.proof));
    }
}

/// The directories in `parent`.
#[track_caller]
fn directories(parent: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    entries.map(|entry| entry.expect("an entry can be read").path()).filter(|path| path.is_dir()).collect()
}

/// A line on stderr, past the capture of the test runner, which may have left the cursor behind the test's name.
fn say(line: &str) {
    io::stderr().write_all(format!("\n{line}\n").as_bytes()).expect("stderr can be written");
}
