//! The exit codes: the one table of all commands, each code by each way to it. What is said beside them is with the
//! commands.

use integration_tests::{
    Fixture,
    definition::{echo, gate, shell, with, workflow},
    fixture::{read_file, write_file},
    running::LONG,
    wait,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Runs `q workflow <command>`; the words of a command are separated by spaces.
#[track_caller]
fn check(fixture: &Fixture, code: i32, commands: &[&str]) {
    for command in commands {
        let finished = fixture.workflow(command.split(' '));
        assert_eq!(finished.code, code, "{command}\n{}{}", finished.stdout, finished.stderr);
    }
}

/// A step that fails, told how that is handled, after one that can be undone by a program with this exit code.
fn rolled_back(undo: i32) -> Value {
    let undo = shell("undo", &format!("exit {undo}"));
    let failing = with(shell("b", "exit 1"), json!({"error_handling": "rollback"}));
    workflow(&[with(echo("a", json!({})), json!({"rollback": undo})), failing])
}

/// A world with a stored workflow that ends with the exit code that it is given, and a schedule of it.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let inputs = json!({"name": "known", "inputs": {"n": {"type": "integer", "default": 0}}});
    fixture.define(&with(workflow(&[shell("a", "exit ${inputs.n}")]), inputs));
    fixture.workflow(["schedule", "add", "workflow.json", "--cron", "@yearly"]).exits(0);
    fixture
}

#[test]
fn each_command_by_each_way() {
    let fixture = fixture();
    check(
        &fixture,
        0,
        &["run known", "validate known", "stop @last", "doctor", "list", "schedule next known"],
    );
    check(&fixture, 1, &["run known --input n=3", "status @last --exit-code", "retry @last"]);
    fixture.write(
        "answers.json",
        with(workflow(&[echo("a", json!({}))]), json!({"name": "known", "save": true})).to_string(),
    );
    fixture.define(&with(workflow(&[shell("a", "sleep 60")]), json!({"name": "slow"})));
    let refused =
        ["delete known", "resume @last", "create --from answers.json", "run workflow.json --timeout 50ms"];
    check(&fixture, 1, &refused);
    check(
        &fixture,
        2,
        &["", "fly", "run", "run a b", "run --fly a", "run known --input n", "list --limit many", "stop"],
    );
    fixture.write("broken.json", "{");
    check(&fixture, 3, &["run broken.json", "validate broken.json", "eval 1+", "schedule next --cron x"]);
    check(&fixture, 3, &["schedule add known --cron 99", "schedule next --cron @daily --timezone Mars"]);
    check(&fixture, 3, &["run known --input n=x", "run known --input m=1", "run known --context k=1"]);
    // Nearly the name of a step: a warning.
    let steps = [echo("process", json!({"a": 1})), echo("b", json!({"v": "proces.value"}))];
    fixture.define(&workflow(&steps));
    check(&fixture, 0, &["validate workflow.json"]);
    check(&fixture, 3, &["validate workflow.json --strict"]);
    fixture.define(&workflow(&[with(echo("a", json!({})), json!({"secrets": ["MISSING"]}))]));
    check(&fixture, 3, &["run workflow.json"]);
    check(
        &fixture,
        4,
        &["run nothing", "run nothing.json", "validate nothing", "status zzz", "logs zzz", "stop zzz"],
    );
    check(
        &fixture,
        4,
        &["status 0", "resume zzz", "retry zzz", "explain zzz", "report zzz", "graph nothing"],
    );
    check(
        &fixture,
        4,
        &["delete nothing --yes", "delete --run zzz --yes", "history nothing", "logs @last --step b"],
    );
    check(&fixture, 4, &["schedule enable nothing", "schedule run-now nothing", "schedule next nothing"]);
    check(
        &fixture,
        4,
        &["skills show nothing", "skills run nothing", "agents show nothing", "daemon status", "daemon stop"],
    );
    write_file(&fixture.home().join("config.json"), b"{\"max_concurrent_runs\": 0}");
    check(&fixture, 3, &["run known"]);
    write_file(&fixture.home().join("schedules.json"), b"[]");
    check(&fixture, 3, &["schedule list", "daemon run"]);
}

#[test]
fn rollbacks() {
    let fixture = Fixture::new();
    fixture.run(&rolled_back(0)).exits(5);
    check(&fixture, 5, &["status @last --exit-code"]);
    fixture.run(&rolled_back(1)).exits(6);
    check(&fixture, 6, &["status @last --exit-code"]);
}

#[test]
fn isolation_that_is_not_there() {
    let fixture = Fixture::new();
    let limits = json!({"scratch": "1MiB", "enforcement": "required"});
    let open = with(shell("a", "true"), json!({"resource_limits": limits, "sandbox": "none"}));
    fixture.define(&workflow(&[open]));
    check(&fixture, 7, &["run workflow.json"]);
    let doctor = fixture.workflow(["doctor", "--json"]).exits(0).json();
    let held =
        |name: &str| doctor["limits"][name]["held"] == true && doctor["limits"][name]["by"] != "monitor";
    let all = ["memory", "cpu", "pids"].into_iter().all(held);
    check(&fixture, if all { 0 } else { 7 }, &["doctor --require"]);
}

#[test]
fn runs_that_go_on_and_are_ended() {
    let fixture = Fixture::new();
    write_file(&fixture.home().join("config.json"), b"{\"max_concurrent_runs\": 1}");
    fixture.define(&workflow(&[gate("a")]));
    let first = fixture.spawn(["run", "workflow.json"]);
    fixture.wait_for("a.started");
    let run = fixture.only_run();
    let of = |command: &str| command.replace("RUN", &run);
    check(&fixture, 10, &[&of("status RUN --exit-code")]);
    check(&fixture, 0, &[&of("status RUN")]);
    check(&fixture, 1, &[&of("delete --run RUN --yes"), &of("retry RUN")]);
    check(&fixture, 9, &[&of("resume RUN")]);
    let queued = fixture.workflow(["run", "workflow.json", "--detach"]).exits(0).stdout;
    check(&fixture, 10, &[&format!("status {} --exit-code", queued.trim())]);
    check(&fixture, 0, &[&format!("stop {}", queued.trim()), &of("stop RUN")]);
    first.finish().exits(8);
    check(&fixture, 8, &[&of("status RUN --exit-code"), "status @last --exit-code"]);
}

#[test]
fn signals_and_death() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[gate("a")]));
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let running = fixture.spawn(["run", "workflow.json"]);
        fixture.wait_for("a.started");
        running.signal(signal);
        running.finish().exits(code);
        check(&fixture, 8, &["status @last --exit-code"]);
        std::fs::remove_file(fixture.work().join("a.started")).expect("a step made it");
    }
    let running = fixture.spawn(["run", "workflow.json"]);
    fixture.wait_for("a.started");
    fixture.kill_engine(running);
    check(&fixture, 11, &["status @last --exit-code"]);
    check(&fixture, 0, &["stop @last"]);
    check(&fixture, 8, &["status @last --exit-code"]);
}

#[test]
fn state_that_is_broken() {
    let fixture = Fixture::new();
    fixture.run(&workflow(&[echo("a", json!({}))])).exits(0);
    let dir = fixture.run_dir(&fixture.only_run());
    let journal = read_file(&dir.join("journal.jsonl"));
    write_file(&dir.join("journal.jsonl"), journal.replacen("\"seq\"", "\"sek\"", 3).as_bytes());
    std::fs::remove_file(dir.join("state.json")).expect("it is derived");
    check(&fixture, 9, &["status @last", "resume @last", "retry @last"]);
    write_file(&fixture.work().join("file"), b"");
    check(&fixture, 9, &["run workflow.json --home file/home"]);
    let daemon = fixture.spawn(["daemon", "run"]);
    wait::eventually("it runs", LONG, || fixture.workflow(["daemon", "status"]).code == 0);
    check(&fixture, 1, &["daemon run", "daemon start"]);
    check(&fixture, 0, &["daemon status", "daemon stop"]);
    daemon.finish().exits(0);
}
