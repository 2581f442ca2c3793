//! Traps of the kernel into which an engine like this one falls, where the machine itself can show them. The others are
//! in `docs/developing/traps.md`, with their tests.

use std::{fs, path::Path, process::Command};

use integration_tests::{
    Fixture, cgroups,
    definition::{exec, shell, with, workflow},
    fixture::write_file,
    program,
    running::LONG,
    view::{attempt, outputs, step},
    wait,
};
use serde_json::json;

/// A process in a cgroup, there by its own hand.
fn inside(cgroup: &Path, fixture: &Fixture, rest: &[&str]) -> Command {
    let mut command = fixture.command("/bin/sh");
    command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]).arg(cgroup).args(rest);
    command
}

/// Linux 6.18 kills at birth what `clone3` puts into a cgroup that was killed once, or below one.
#[test]
fn an_engine_in_a_cgroup_that_was_killed_once_runs_steps() {
    let fixture = Fixture::new();
    let Some(own) = cgroups::mount().map(|mount| mount.join(fixture.marker())) else {
        return wait::skip("no cgroup v2 hierarchy is mounted");
    };
    if let Err(error) = fs::create_dir(&own) {
        return wait::skip(&format!("no cgroup can be made: {error}"));
    }
    let killed = fixture.start(inside(&own, &fixture, &["sleep", "600"]));
    wait::eventually("it is in there", LONG, || {
        fs::read_to_string(own.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty())
    });
    write_file(&own.join("cgroup.kill"), b"1");
    killed.finish().exits(-9);

    let alive = |id: &str| shell(id, "sh -c 'echo alive'");
    fixture.define(&workflow(&[alive("a"), with(alive("b"), json!({"sandbox": "none"}))]));
    let q = program::q().to_str().expect("it is text");
    let engine = inside(&own, &fixture, &[q, "workflow", "run", "workflow.json", "--json"]);
    let view = fixture.start(engine).finish().exits(0).json();
    for id in ["a", "b"] {
        assert_eq!(outputs(&view, id)["stdout"], "alive\n", "{view:#}");
    }
    cgroups::remove(&own);
    assert!(!own.exists(), "something lives in {}", own.display());
}

/// The leaf of a step that was killed is not used again, and its tree not killed as a whole.
#[test]
fn undo_steps_are_born_after_a_kill() {
    let fixture = Fixture::new();
    let made =
        with(shell("made", "echo made"), json!({"rollback": [shell("unmake", "sh -c 'echo unmade'")]}));
    let stuck =
        with(shell("stuck", "trap '' TERM; sleep 600"), json!({"timeout": "300ms", "grace": "100ms"}));
    let definition = with(workflow(&[made, stuck]), json!({"error_handling": {"default": "rollback"}}));
    let view = fixture.run(&definition).exits(5).json();
    assert_eq!(step(&view, "stuck")["error"]["code"], "timeout", "{view:#}");
    assert_eq!(attempt(&view, "stuck")["signal"], 9, "{view:#}");
    assert_eq!(view["rollback"][0]["status"], "completed", "{view:#}");
}

/// `pids.current` counts it; nobody waits for it, and it is no leftover.
#[test]
fn a_zombie_does_not_hold_its_leaf() {
    for sandbox in ["none", "standard"] {
        let fixture = Fixture::new();
        // The program that the shell becomes does not know its child, and does not reap it.
        let zombie = exec("zombie", &["/bin/sh", "-c", "true & exec sleep 0.3"]);
        let view = fixture.run(&workflow(&[with(zombie, json!({"sandbox": sandbox}))])).exits(0).json();
        assert_eq!(attempt(&view, "zombie")["leftovers_killed"], 0, "{sandbox}: {view:#}");
        fixture.assert_nothing_left();
    }
}

/// Programs that compile as they run reserve a hundred gigabytes and use a few.
#[test]
fn a_limit_on_memory_is_none_on_addresses() {
    let fixture = Fixture::new();
    let asks = with(shell("asks", "ulimit -v"), json!({"resource_limits": {"memory": "64MiB"}}));
    let view = fixture.run(&workflow(&[asks])).exits(0).json();
    assert_eq!(outputs(&view, "asks")["stdout"], "unlimited\n", "{view:#}");
}
