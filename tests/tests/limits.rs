//! Limits end to end, on whatever machine this is: with controllers the kernel holds them, without them q looks, and
//! what nobody holds is said. And sub-trees of steps. What only controllers can show is in `vm.rs`.

use std::time::Duration;

use integration_tests::{
    Fixture,
    definition::{echo, shell, with, workflow},
    fixture::write_file,
    processes,
    view::{attempt, outputs, step},
    wait,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Who holds a limit of an attempt, and whether.
#[track_caller]
fn held(view: &Value, id: &str, name: &str) -> (String, bool) {
    let limits = attempt(view, id)["limits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let limit = limits.iter().find(|limit| limit["name"] == name);
    let limit = limit.unwrap_or_else(|| panic!("no limit {name} of {id}: {view:#}"));
    (limit["by"].as_str().expect("a word").to_owned(), limit["held"] == true)
}

fn limited(step: Value, limits: &Value) -> Value {
    with(step, json!({"resource_limits": limits}))
}

/// A step that takes 200 MiB and keeps them.
fn hungry() -> Value {
    shell("hungry", "data=$(head -c 200m /dev/zero | tr '\\0' x); sleep 60; :")
}

#[test]
fn memory_over_its_limit_is_oom_with_and_without_a_controller() {
    let fixture = Fixture::new();
    let limits = json!({"memory": "48MiB"});
    let steps = [limited(hungry(), &limits), echo("never", json!({}))];
    let finished = fixture.run(&workflow(&steps)).exits(1);
    assert!(finished.took < Duration::from_secs(20), "{:?}", finished.took);
    let view = finished.json();
    let error = &step(&view, "hungry")["error"];
    assert_eq!((&error["code"], &error["retryable"]), (&json!("oom"), &json!(true)), "{error:#}");
    assert_eq!(error["details"]["limit"], 48 << 20, "{error:#}");
    assert!(error["details"]["peak"].as_u64() > Some(40 << 20), "{error:#}");
    let (by, held) = held(&view, "hungry", "memory");
    assert_eq!((view["isolation"]["memory"].as_str(), held), (Some(by.as_str()), true), "{view:#}");
    let attempt = attempt(&view, "hungry");
    assert!(attempt["usage"]["memory_peak_bytes"].as_u64() > Some(40 << 20), "{attempt:#}");
    match by.as_str() {
        "monitor" => assert_eq!(attempt["stop_reason"], "memory", "{attempt:#}"),
        "cgroup-v2" => assert_eq!(attempt["stop_reason"], Value::Null, "{attempt:#}"),
        other => panic!("held by {other}"),
    }
    fixture.assert_nothing_left();
}

#[test]
fn memory_of_a_tree_counts_together_and_shared_pages_once() {
    let fixture = Fixture::new();
    // Eight processes that are copies of one: together they have hardly more than that one.
    let shared = "data=$(head -c 20m /dev/zero | tr '\\0' x); for i in 1 2 3 4 5 6 7 8; do (sleep 0.5; :) & done; wait";
    // Four that have 40 MiB each, and keep them.
    let own = "for i in 1 2 3 4; do (data=$(head -c 40m /dev/zero | tr '\\0' x); sleep 60; :) & done; wait";
    let limits = json!({"memory": "128MiB"});
    let fine = limited(shell("shared", shared), &limits);
    let view = fixture.run(&workflow(&[fine, limited(shell("own", own), &limits)])).exits(1).json();
    assert_eq!(step(&view, "shared")["status"], "completed", "{view:#}");
    assert_eq!(step(&view, "own")["error"]["code"], "oom", "{view:#}");
}

#[test]
fn cpu_time_is_watched_whoever_counts_it() {
    let fixture = Fixture::new();
    let limits = json!({"cpu_time": "300ms"});
    let busy = "sh -c 'while :; do :; done' & while :; do :; done";
    for sandbox in ["standard", "none"] {
        let step_of =
            with(limited(shell("busy", busy), &limits), json!({"sandbox": sandbox, "grace": "100ms"}));
        let view = fixture.run(&workflow(&[step_of])).exits(1).json();
        let error = &step(&view, "busy")["error"];
        assert_eq!(error["code"], "cpu_time_exceeded", "{view:#}");
        assert_eq!(error["details"]["limit"], 300, "{error:#}");
        assert_eq!(held(&view, "busy", "cpu_time"), ("engine".to_owned(), true));
        assert_eq!(attempt(&view, "busy")["stop_reason"], "cpu_time");
    }
    fixture.assert_nothing_left();
}

#[test]
fn scratch_without_a_private_tmp_is_a_directory_that_is_looked_at() {
    let fixture = Fixture::new();
    let limits = json!({"scratch": "1MiB"});
    let none = |id: &str, command: &str| {
        with(limited(shell(id, command), &limits), json!({"sandbox": "none", "grace": "100ms"}))
    };
    let little = none("little", "echo x >$TMPDIR/x; cat $TMPDIR/x; echo $TMPDIR");
    let much = none("much", "head -c 8m /dev/zero >$TMPDIR/big; sleep 60");
    let view = fixture.run(&workflow(&[little, much])).exits(1).json();
    let stdout = outputs(&view, "little")["stdout"].as_str().expect("text");
    let directory = stdout.strip_prefix("x\n").expect("what was written is there").trim();
    assert!(!std::path::Path::new(directory).exists(), "{directory} is gone with its attempt");
    let error = &step(&view, "much")["error"];
    assert_eq!(error["code"], "file_size_exceeded", "{error:#}");
    assert_eq!(
        (&error["details"]["limit"], &error["retryable"]),
        (&json!(1 << 20), &json!(false)),
        "{error:#}"
    );
    assert_eq!(attempt(&view, "much")["stop_reason"], "scratch");
    assert_eq!(held(&view, "much", "scratch"), ("monitor".to_owned(), true));
    // With a private `/tmp` it is that of the kernel.
    let private = limited(shell("private", "echo $TMPDIR"), &limits);
    let view = fixture.run(&workflow(&[private])).exits(0).json();
    assert_eq!(outputs(&view, "private")["stdout"], "/tmp\n");
    assert_eq!(held(&view, "private", "scratch"), ("tmpfs".to_owned(), true));
}

#[test]
fn what_q_only_looks_at_is_not_held_where_that_is_required() {
    let fixture = Fixture::new();
    let doctor = fixture.workflow(["doctor", "--json"]).exits(0).json();
    let steps = [
        ("memory", limited(echo("a", json!({})), &json!({"memory": "64MiB", "enforcement": "required"}))),
        (
            "scratch",
            with(
                limited(shell("a", "true"), &json!({"scratch": "1MiB", "enforcement": "required"})),
                json!({"sandbox": "none"}),
            ),
        ),
    ];
    for (name, step) in steps {
        fixture.define(&workflow(&[step]));
        let finished = fixture.workflow(["run", "workflow.json"]);
        if name == "memory" && doctor["limits"]["memory"]["by"] == "cgroup-v2" {
            finished.exits(0);
            continue;
        }
        finished.exits(7).says(&[&format!("{name} of step `a`"), "doctor"]);
        assert_eq!(fixture.run_ids(), <[String; 0]>::default(), "nothing is begun");
    }
    assert_eq!(fixture.workflow(["doctor", "--require"]).code, {
        let by_kernel = |name: &str| doctor["limits"][name]["by"] == "cgroup-v2";
        if ["memory", "cpu", "pids"].into_iter().all(by_kernel) { 0 } else { 7 }
    });
}

#[test]
fn doctor_and_the_record_say_the_same() {
    let fixture = Fixture::new();
    let doctor = fixture.workflow(["doctor", "--json"]).exits(0).json();
    let limits = json!({"memory": "512MiB", "cpu": 1.0, "pids": 64, "io_write_bps": "100MiB", "cpu_time": "1m",
                        "open_files": 64, "file_size": "1MiB", "scratch": "1MiB", "output": "1MiB"});
    let view = fixture.run(&workflow(&[limited(shell("a", "true"), &limits)])).exits(0).json();
    for name in ["memory", "cpu", "pids", "cpu_time", "open_files", "file_size", "scratch", "output"] {
        let told = &doctor["limits"][name];
        let told = (told["by"].as_str().expect("a word").to_owned(), told["held"] == true);
        assert_eq!(held(&view, "a", name), told, "{name}");
    }
    for name in ["memory", "cpu", "pids", "io"] {
        assert_eq!(view["isolation"][name], doctor["limits"][name]["by"], "{name}: {view:#}");
    }
    // What is not held says why.
    for limit in attempt(&view, "a")["limits"].as_array().expect("a list") {
        let by_kernel = limit["held"] == true && limit["by"] != "monitor";
        assert_eq!(limit["why"].is_string(), !by_kernel, "{limit:#}");
    }
}

#[test]
fn ceiling_of_the_run_is_held_or_said_to_be_missing() {
    let fixture = Fixture::new();
    let limits = json!({"memory": "512MiB", "cpu": 1.5, "pids": 100});
    let view = fixture.run(&limited(workflow(&[echo("a", json!({}))]), &limits)).exits(0).json();
    let notes = view["isolation"]["notes"].to_string();
    for (word, part) in [("memory", "memory"), ("CPU share", "cpu"), ("processes", "pids")] {
        let missing = view["isolation"][part] != "cgroup-v2";
        let told = notes.split("all of its steps together (").nth(1).and_then(|rest| rest.split(')').next());
        assert_eq!(told.is_some_and(|told| told.contains(word)), missing, "{part}: {notes}");
    }
}

#[test]
fn a_run_without_limits_of_its_own_is_held_to_its_share_of_the_home() {
    let fixture = Fixture::new();
    let config = json!({"max_concurrent_runs": 2, "resources": {"memory": "96MiB", "cpu": 3.0}});
    write_file(&fixture.home().join("config.json"), config.to_string().as_bytes());
    let free = workflow(&[hungry()]);
    let view = fixture.run(&free).exits(1).json();
    let error = &step(&view, "hungry")["error"];
    assert_eq!((&error["code"], &error["details"]["limit"]), (&json!("oom"), &json!(48 << 20)), "{error:#}");
    let limits = attempt(&view, "hungry")["limits"].as_array().expect("a list");
    let value = |name: &str| limits.iter().find(|limit| limit["name"] == name).map(|limit| &limit["value"]);
    assert_eq!((value("memory"), value("cpu")), (Some(&json!(48 << 20)), Some(&json!(1500))), "{limits:#?}");
    let notes = view["isolation"]["notes"].to_string();
    assert!(notes.contains("held to its share (memory 48 MiB, CPU 1.5 cores)"), "{notes}");
    let dry = fixture.workflow(["run", "workflow.json", "--dry-run"]).exits(0).stdout;
    assert!(dry.contains("memory 50331648 ("), "{dry}");

    // What the definition says itself is not a share, and is not made tighter.
    let own = limited(workflow(&[echo("a", json!({}))]), &json!({"memory": "90MiB", "cpu": 2.5}));
    let view = fixture.run(&own).exits(0).json();
    let limits = attempt(&view, "a")["limits"].to_string();
    assert!(limits.contains("94371840") && limits.contains("2500"), "{limits}");
    assert!(!view["isolation"]["notes"].to_string().contains("share ("), "{view:#}");

    // The home's share asks for nothing that the definition does not: a run that requires its own limits starts.
    let required = json!({"open_files": 64, "enforcement": "required"});
    fixture.run(&limited(workflow(&[echo("a", json!({}))]), &required)).exits(0);
}

/// A step that makes cgroups below its own.
fn delegating(id: &str, command: &str) -> Value {
    with(shell(id, command), json!({"sandbox": {"delegate": true}}))
}

#[test]
fn a_step_gets_a_sub_tree_of_its_own_and_nobody_else_does() {
    let fixture = Fixture::new();
    let make = "cd /sys/fs/cgroup && mkdir own own/deep && sh -c 'echo $$ >own/deep/cgroup.procs; \
                setsid sleep 600 & sleep 0.1; sed -n s/^0:://p /proc/self/cgroup'; cat own/cgroup.events | head -n 1; \
                ls -d ../cgroup/*/ | tr -d '\\n'";
    let refused = "mkdir /sys/fs/cgroup/own 2>/dev/null || mkdir /sys/fs/cgroup/unified/own 2>/dev/null || echo refused";
    let view = fixture
        .run(&workflow(&[delegating("own", make), shell("other", refused), echo("after", json!({}))]))
        .exits(0)
        .json();
    let notes = view["isolation"]["notes"].to_string();
    if view["isolation"]["kill"] == "cgroup.kill" {
        let stdout = outputs(&view, "own")["stdout"].as_str().expect("text");
        assert_eq!(stdout, "/own/deep\npopulated 1\n../cgroup/own/", "{view:#}");
        assert!(attempt(&view, "own")["leftovers_killed"].as_u64() >= Some(1), "{view:#}");
    } else {
        wait::skip("no usable cgroup v2 tree: steps get no sub-tree of it");
        assert!(attempt(&view, "own")["isolation"]["notes"].to_string().contains("given a part"), "{notes}");
    }
    assert_eq!(outputs(&view, "other")["stdout"], "refused\n");
    fixture.assert_nothing_left();
}

#[test]
fn a_sub_tree_that_was_shut_is_removed_all_the_same() {
    let fixture = Fixture::new();
    let shut = "cd /sys/fs/cgroup && mkdir -p own/deep && echo $$ >own/deep/cgroup.procs && (setsid sleep 600 &) ; \
                chmod 000 own/deep/* own/* own/deep own; echo 1 >/dev/null; kill -9 $$";
    let view = fixture.run(&workflow(&[delegating("shut", shut)])).exits(1).json();
    assert_eq!(step(&view, "shut")["error"]["code"], "signal", "{view:#}");
    assert_eq!(attempt(&view, "shut")["signal"], 9, "{view:#}");
    fixture.assert_nothing_left();
}

/// The launcher of an engine: its child.
#[track_caller]
fn launcher_of(engine: u32) -> u32 {
    let children = || {
        let mut children = processes::below(engine);
        children.retain(|process| process.parent == engine && process.state != 'Z');
        children
    };
    wait::eventually("the engine has one child", Duration::from_secs(20), || children().len() == 1);
    children()[0].pid
}

#[test]
fn a_launcher_that_dies_is_started_again_once() {
    let fixture = Fixture::new();
    let waits = |id: &str| {
        let command = format!("touch {id}.started; exec sleep 600");
        with(shell(id, &command), json!({"error_handling": {"strategy": "skip"}}))
    };
    let mut definition = workflow(&[waits("first"), echo("between", json!({"a": 1})), waits("second")]);
    definition["outputs"] = json!({"a": "between.a"});
    let running = fixture.spawn_run(&definition);
    fixture.wait_for("first.started");
    let dead = launcher_of(running.pid());
    assert!(processes::send(dead, Signal::SIGKILL));
    // The attempt in flight has failed, and what comes after it is born by another launcher.
    fixture.wait_for("second.started");
    let again = launcher_of(running.pid());
    assert_ne!(again, dead);
    let id = fixture.only_run();
    let view = fixture.view(&id);
    assert_eq!(attempt(&view, "first")["error"]["code"], "engine_crash", "{view:#}");
    assert_eq!(step(&view, "first")["status"], "skipped", "{view:#}");
    assert_eq!(step(&view, "between")["status"], "completed", "{view:#}");
    assert!(processes::send(again, Signal::SIGKILL));
    running.finish().exits(9).says(&["launcher", "resume"]);
    assert_eq!(fixture.view(&id)["status"], "interrupted");
    fixture.assert_nothing_left();
    // What was completed is not run again.
    std::fs::remove_file(fixture.work().join("second.started")).expect("it is there");
    let resumed = fixture.spawn(["resume", &id, "--json"]);
    fixture.wait_for("second.started");
    fixture.workflow(["stop", &id, "--now"]).exits(0);
    let view = resumed.finish().exits(8).json();
    assert_eq!(step(&view, "between")["attempts"].as_array().map(Vec::len), Some(1), "{view:#}");
}
