//! `q workflow run`: the plan's examples, what it prints, its flags and exit codes. How values flow between steps
//! is in `values.rs`, how skills are called in `skills.rs`.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, time::Duration};

use integration_tests::{
    Fixture,
    definition::{echo, exec, gate, shell, with, workflow},
    fixture::write_file,
    processes,
    program::example,
    server::{Answer, Server},
    view::{attempt, never_ran, normalised, outputs, step},
    wait::eventually,
};
use nix::unistd::{Pid, getsid};
use serde_json::{Value, json};

#[test]
fn simple_test_runs_as_written() {
    let fixture = Fixture::new();
    fixture.write("simple-test.json", example("simple-test.json"));
    let run = fixture.workflow(["run", "simple-test.json", "--json"]).exits(0);
    insta::assert_snapshot!(normalised(&run.json()), @r#"
    {
      "created_at": "[time]",
      "duration_ms": "[ms]",
      "error": null,
      "finished_at": "[time]",
      "isolation": "[isolation]",
      "outputs": {},
      "rollback": [],
      "run_id": "[id]",
      "scheduled_at": null,
      "schema_version": 1,
      "started_at": "[time]",
      "status": "completed",
      "steps": [
        {
          "attempts": [
            {
              "attempt": 1,
              "core_dumped": "[known or null]",
              "error": null,
              "exit_code": 0,
              "isolation": "[isolation]",
              "leftovers_killed": "[known or null]",
              "limits": "[limits]",
              "pids_denied": "[known or null]",
              "signal": null,
              "started": true,
              "status": "completed",
              "stop_reason": null,
              "usage": {
                "cpu_system_us": "[known or null]",
                "cpu_user_us": "[known or null]",
                "io_read_bytes": "[known or null]",
                "io_write_bytes": "[known or null]",
                "memory_peak_bytes": "[known or null]",
                "oom_kills": "[known or null]",
                "pids_peak": "[known or null]",
                "throttled_us": "[known or null]",
                "wall_ms": "[ms]"
              }
            }
          ],
          "duration_ms": "[ms]",
          "error": null,
          "finished_at": "[time]",
          "id": "step1",
          "iteration": [],
          "outputs": {
            "message": "Hello"
          },
          "parent": null,
          "skip_reason": null,
          "started_at": "[time]",
          "status": "completed",
          "type": "skill"
        },
        {
          "attempts": [
            {
              "attempt": 1,
              "core_dumped": "[known or null]",
              "error": null,
              "exit_code": 0,
              "isolation": "[isolation]",
              "leftovers_killed": "[known or null]",
              "limits": "[limits]",
              "pids_denied": "[known or null]",
              "signal": null,
              "started": true,
              "status": "completed",
              "stop_reason": null,
              "usage": {
                "cpu_system_us": "[known or null]",
                "cpu_user_us": "[known or null]",
                "io_read_bytes": "[known or null]",
                "io_write_bytes": "[known or null]",
                "memory_peak_bytes": "[known or null]",
                "oom_kills": "[known or null]",
                "pids_peak": "[known or null]",
                "throttled_us": "[known or null]",
                "wall_ms": "[ms]"
              }
            }
          ],
          "duration_ms": "[ms]",
          "error": null,
          "finished_at": "[time]",
          "id": "step2",
          "iteration": [],
          "outputs": {
            "message": "World"
          },
          "parent": null,
          "skip_reason": null,
          "started_at": "[time]",
          "status": "completed",
          "type": "skill"
        }
      ],
      "trigger": "manual",
      "usage": {
        "cpu_system_us": "[known or null]",
        "cpu_user_us": "[known or null]",
        "io_read_bytes": "[known or null]",
        "io_write_bytes": "[known or null]",
        "memory_peak_bytes": "[known or null]",
        "oom_kills": "[known or null]",
        "pids_peak": "[known or null]",
        "throttled_us": "[known or null]",
        "wall_ms": "[ms]"
      },
      "version": "1.0.0",
      "workflow": "simple-test"
    }
    "#);
}

#[test]
fn isolation_speaks_in_closed_words() {
    let fixture = Fixture::new();
    let view = fixture.run(&workflow(&[echo("a", json!({}))])).exits(0).json();
    let isolation = &view["isolation"];
    for (part, words) in [
        ("memory", &["cgroup-v2", "monitor", "rlimit", "none"][..]),
        ("cpu", &["cgroup-v2", "none"]),
        ("pids", &["cgroup-v2", "rlimit", "none"]),
        ("io", &["cgroup-v2", "none"]),
        ("kill", &["cgroup.kill", "pidns", "walk"]),
        ("network", &["netns", "proxy", "host"]),
        ("filesystem", &["landlock", "mount", "none"]),
    ] {
        let word = isolation[part].as_str().unwrap_or_else(|| panic!("{part} is a word: {isolation:#}"));
        assert!(words.contains(&word), "{part}: {word}");
    }
    assert!(isolation["notes"].is_array(), "{isolation:#}");
}

#[test]
fn data_flow_test_runs_as_written_but_for_the_server() {
    let body = r#"{"user":"Ann","count":1.5}"#;
    for answer in [Answer::json(body), Answer::text(200, body)] {
        let server = Server::start(vec![answer]);
        let fixture = Fixture::new();
        let text = example("data-flow-test.json").replace("https://api.example.com", &server.url());
        fixture.write("data-flow-test.json", text);
        let view = fixture.workflow(["run", "data-flow-test.json", "--json"]).exits(0).json();
        assert_eq!(outputs(&view, "process")["parsed"], json!({"user": "Ann", "count": 1.5}));
        assert_eq!(server.requests().len(), 1);
        assert!(server.requests()[0].starts_with("GET / HTTP/1.1\r\n"), "{:?}", server.requests());
    }
}

#[test]
fn server_that_answers_badly_fails_the_step() {
    let server = Server::start(vec![Answer::text(503, "not now")]);
    let fixture = Fixture::new();
    let text = example("data-flow-test.json").replace("https://api.example.com", &server.url());
    fixture.write("data-flow-test.json", text);
    let view = fixture.workflow(["run", "data-flow-test.json", "--json"]).exits(1).json();
    assert_eq!(view["status"], "failed");
    assert_eq!(view["error"]["code"], "skill_error", "{view:#}");
    assert_eq!(view["error"]["step"], "fetch");
    assert!(never_ran(&view, "process"));
}

#[test]
fn without_json_progress_is_lines_without_colour() {
    let fixture = Fixture::new();
    fixture.write("simple-test.json", example("simple-test.json"));
    let run = fixture.workflow(["run", "simple-test.json"]).exits(0);
    let output = run.output();
    assert!(!output.contains('\u{1b}'), "{output:?}");
    let run = run.says(&["step1", "step2", "completed"]);
    assert!(!run.stdout.trim_start().starts_with('{'), "{}", run.stdout);
}

#[test]
fn events_are_a_closed_set_in_order() {
    const TYPES: &[&str] = &[
        "run.created",
        "run.queued",
        "run.started",
        "run.stopping",
        "run.ended",
        "step.waiting",
        "step.started",
        "step.progress",
        "step.log",
        "step.completed",
        "step.failed",
        "step.skipped",
        "step.cancelled",
        "step.retrying",
    ];
    let fixture = Fixture::new();
    fixture.define(&workflow(&[echo("a", json!({})), shell("b", "echo out; exit 3"), echo("c", json!({}))]));
    let events = fixture.workflow(["run", "workflow.json", "--events"]).exits(1).lines();
    let mut seq = None;
    for event in &events {
        assert_eq!(event["v"], 1, "{event}");
        let kind = event["type"].as_str().expect("a type is a word");
        assert!(TYPES.contains(&kind), "{event}");
        assert!(integration_tests::view::is_timestamp(event["ts"].as_str().unwrap_or("")), "{event}");
        assert!(event["seq"].as_u64() > seq || seq.is_none(), "seq rises: {events:#?}");
        seq = event["seq"].as_u64();
        for key in ["step", "attempt", "iteration"] {
            assert!(event.get(key).is_some() || !kind.starts_with("step."), "{key} is missing: {event}");
        }
    }
    let told: Vec<String> = events
        .iter()
        .filter(|event| !["run.queued", "step.waiting", "step.log"].map(Value::from).contains(&event["type"]))
        .map(|event| {
            format!("{} {}", event["type"].as_str().unwrap_or(""), event["step"].as_str().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "run.created -",
            "run.started -",
            "step.started a",
            "step.completed a",
            "step.started b",
            "step.failed b",
            "run.ended -",
        ]
    );
}

#[test]
fn dry_run_starts_nothing() {
    let fixture = Fixture::new();
    let marks = shell("marks", "touch started");
    fixture.define(&workflow(&[with(marks, json!({"resource_limits": {"memory": "64MiB"}}))]));
    fixture.workflow(["run", "workflow.json", "--dry-run"]).exits(0).says(&["marks", "memory"]);
    assert!(!fixture.has("started"));
    assert_eq!(fixture.run_ids(), <[String; 0]>::default());
}

#[test]
fn failed_step_halts_the_run() {
    let fixture = Fixture::new();
    let steps =
        [echo("first", json!({})), shell("second", "echo oops >&2; exit 3"), echo("third", json!({}))];
    let view = fixture.run(&workflow(&steps)).exits(1).json();
    assert_eq!(view["status"], "failed");
    assert_eq!(view["error"], step(&view, "second")["error"]);
    assert_eq!(view["error"]["step"], "second");
    assert_eq!(view["error"]["code"], "exit_code");
    assert_eq!(view["error"]["retryable"], true);
    assert!(view["error"]["details"].to_string().contains("oops"), "{:#}", view["error"]);
    assert!(view["error"]["message"].as_str().is_some_and(|message| message.contains('3')));
    assert_eq!(attempt(&view, "second")["exit_code"], 3);
    assert_eq!(attempt(&view, "second")["status"], "failed");
    assert_eq!(step(&view, "first")["status"], "completed");
    assert!(never_ran(&view, "third"));
}

#[track_caller]
fn check_inputs(args: &[&str], code: i32, expected: &Value) {
    let fixture = Fixture::new();
    fixture.write("in.json", r#"{"name": "filed", "count": 9}"#);
    fixture.write("broken.json", r#"{"name": "#);
    let mut definition = workflow(&[echo("a", json!({"name": "inputs.name", "count": "inputs.count"}))]);
    definition["inputs"] = json!({
        "name": {"type": "string", "required": true},
        "count": {"type": "integer", "default": 3},
    });
    fixture.define(&definition);
    let run = fixture.workflow([&["run", "workflow.json", "--json"], args].concat()).exits(code);
    if code == 0 {
        assert_eq!(outputs(&run.json(), "a"), expected);
    } else {
        assert_eq!(fixture.run_ids(), <[String; 0]>::default(), "nothing is begun");
        assert!(!run.stderr.is_empty(), "it says why");
    }
}

#[test]
fn inputs_are_typed_and_checked_before_anything_runs() {
    let filed = json!({"name": "filed", "count": 9});
    check_inputs(&["--input", "name=x"], 0, &json!({"name": "x", "count": 3}));
    check_inputs(&["--input", "name=a=b", "--input", "count=5"], 0, &json!({"name": "a=b", "count": 5}));
    check_inputs(&["--input", "name=5"], 0, &json!({"name": "5", "count": 3}));
    check_inputs(&["--input", "name=x", "--input", "count=1e3"], 0, &json!({"name": "x", "count": 1000}));
    check_inputs(&["--inputs", "in.json"], 0, &filed);
    check_inputs(&["--inputs", "in.json", "--input", "count=1"], 0, &json!({"name": "filed", "count": 1}));
}

#[test]
fn wrong_inputs_are_refused() {
    let nothing = Value::Null;
    check_inputs(&[], 3, &nothing);
    check_inputs(&["--input", "name=x", "--input", "count=five"], 3, &nothing);
    check_inputs(&["--input", "name=x", "--input", "other=1"], 3, &nothing);
    check_inputs(&["--input", "novalue"], 2, &nothing);
    check_inputs(&["--inputs", "broken.json"], 3, &nothing);
    check_inputs(&["--inputs", "missing.json"], 4, &nothing);
}

#[test]
fn context_can_be_overridden() {
    let fixture = Fixture::new();
    let mut definition = workflow(&[echo("a", json!({"where": "context.environment"}))]);
    definition["context"] = json!({"readonly": {"environment": "dev"}});
    let view = fixture.run(&definition).exits(0).json();
    assert_eq!(outputs(&view, "a"), &json!({"where": "dev"}));
    let args = ["run", "workflow.json", "--json", "--context", "environment=prod"];
    assert_eq!(outputs(&fixture.workflow(args).exits(0).json(), "a"), &json!({"where": "prod"}));
    fixture.workflow(["run", "workflow.json", "--context", "environmet=prod"]).exits(3);
    fixture.workflow(["run", "workflow.json", "--context", "environment"]).exits(2);
}

#[test]
fn step_over_its_timeout_is_ended() {
    for timeout in [json!("300ms"), json!(1)] {
        let fixture = Fixture::new();
        let slow = with(exec("slow", &["sleep", "60"]), json!({"timeout": timeout}));
        let run = fixture.run(&workflow(&[slow])).exits(1);
        assert!(run.took < Duration::from_secs(6), "{:?}", run.took);
        let view = run.json();
        assert_eq!(view["error"]["code"], "timeout");
        assert_eq!(view["error"]["step"], "slow");
        assert_eq!(view["error"]["retryable"], true);
        assert_eq!(attempt(&view, "slow")["stop_reason"], "timeout");
        assert_eq!(attempt(&view, "slow")["signal"], 15);
    }
}

#[test]
fn run_over_its_timeout_is_ended() {
    for (args, limits) in [
        (&["--timeout", "300ms"][..], json!({})),
        (&[], json!({"max_execution_time": 1})),
        (&["--timeout", "300ms"], json!({"max_execution_time": 60})),
    ] {
        let fixture = Fixture::new();
        let steps = [exec("slow", &["sleep", "60"]), echo("next", json!({}))];
        let definition = with(workflow(&steps), json!({"resource_limits": limits}));
        fixture.define(&definition);
        let run = fixture.workflow([&["run", "workflow.json", "--json"], args].concat()).exits(1);
        assert!(run.took < Duration::from_secs(6), "{:?}", run.took);
        let view = run.json();
        assert_eq!(view["status"], "failed");
        assert_eq!(view["error"]["code"], "timeout", "{view:#}");
        assert!(never_ran(&view, "next"));
    }
}

#[test]
fn detached_run_goes_on_in_its_own_session() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[gate("a"), echo("b", json!({"got": "a.exit_code"}))]));
    let run = fixture.workflow(["run", "workflow.json", "--detach"]).exits(0);
    let id = run.stdout.strip_suffix('\n').expect("the id and a newline").to_owned();
    assert_eq!(fixture.run_ids(), [id.as_str()]);

    fixture.wait_for("a.started");
    assert_eq!(fixture.view(&id)["status"], "running");
    let own = getsid(None).expect("every process has a session");
    let processes = fixture.processes();
    for process in &processes {
        let pid = Pid::from_raw(i32::try_from(process.pid).expect("a pid fits"));
        assert_ne!(getsid(Some(pid)).ok(), Some(own), "{process:?} is in the session of the caller");
    }
    // The terminal that started it goes away: the engine is the process whose parent is none of the run's.
    let is_root = |parent: u32| processes.iter().all(|process| process.pid != parent);
    for engine in processes.iter().filter(|process| is_root(process.parent)) {
        processes::send(engine.pid, nix::sys::signal::Signal::SIGHUP);
    }
    fixture.write("a.go", "");
    eventually("the run ends", Duration::from_secs(10), || fixture.view(&id)["status"] != "running");
    let view = fixture.view(&id);
    assert_eq!(view["status"], "completed", "{view:#}");
    assert_eq!(outputs(&view, "b"), &json!({"got": 0}));
}

#[test]
fn wrong_definition_is_not_detached() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[]));
    let run = fixture.workflow(["run", "workflow.json", "--detach"]).exits(3);
    assert_eq!(run.stdout, "");
    fixture.workflow(["run", "missing.json", "--detach"]).exits(4);
}

#[test]
fn stored_definition_runs_by_its_name() {
    let fixture = Fixture::new();
    let definition = workflow(&[echo("a", json!({"b": 1}))]);
    write_file(&fixture.home().join("definitions/test.json"), definition.to_string().as_bytes());
    let view = fixture.workflow(["run", "test", "--json"]).exits(0).json();
    assert_eq!(view["workflow"], "test");
    assert_eq!(outputs(&view, "a"), &json!({"b": 1}));
    fixture.workflow(["run", "tset"]).exits(4).says(&["tset"]);
}

#[test]
fn home_is_a_flag_too() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[echo("a", json!({}))]));
    let other = fixture.work().join("other-home");
    let args = ["run", "workflow.json", "--json", "--home", &other.to_string_lossy()];
    let view = fixture.workflow(args).exits(0).json();
    let id = view["run_id"].as_str().expect("an id is text");
    assert!(other.join("runs").join(id).join("journal.jsonl").is_file());
    assert!(!fixture.home().exists());
    let mode = other.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn runs_side_by_side_do_not_meet() {
    let fixture = Fixture::new();
    fixture.define(&with(
        workflow(&[shell("a", "echo $WORKFLOW_RUN_ID"), echo("b", json!({"out": "a.stdout"}))]),
        json!({"outputs": {"out": "${b.out}"}}),
    ));
    let running: Vec<_> = (0..4).map(|_| fixture.spawn(["run", "workflow.json", "--json"])).collect();
    let mut ids = BTreeSet::new();
    for run in running {
        let view = run.finish().exits(0).json();
        let id = view["run_id"].as_str().expect("an id is text").to_owned();
        assert_eq!(view["outputs"]["out"], format!("{id}\n"));
        ids.insert(id);
    }
    assert_eq!(ids.len(), 4);
}

#[test]
fn limit_that_is_not_held_is_named() {
    let fixture = Fixture::new();
    let limited = with(echo("a", json!({})), json!({"resource_limits": {"memory": "64MiB", "pids": 50}}));
    let view = fixture.run(&workflow(&[limited])).exits(0).json();
    let limits = attempt(&view, "a")["limits"].as_array().expect("limits are a list");
    for name in ["memory", "pids"] {
        let limit = limits.iter().find(|limit| limit["name"] == name);
        let limit = limit.unwrap_or_else(|| panic!("no limit {name}: {limits:#?}"));
        if limit["held"] == true {
            assert_ne!(limit["by"], "none", "{limit}");
        } else {
            assert!(limit["why"].as_str().is_some_and(|why| !why.is_empty()), "{limit}");
            let notes = view["isolation"]["notes"].to_string();
            assert!(notes.contains(name), "the run names what is not held: {notes}");
        }
    }
}

#[test]
fn required_limit_that_cannot_be_held_refuses_the_run() {
    let fixture = Fixture::new();
    let doctor = fixture.workflow(["doctor", "--json"]).exits(0).json();
    if doctor["limits"]["cpu"]["held"] == true {
        // Nothing is missing here; the virtual machine proves the limits themselves.
        return integration_tests::wait::skip("this host holds every limit: none can be refused");
    }
    let limits = json!({"cpu": 0.5, "enforcement": "required"});
    let limited = with(shell("a", "touch started"), json!({"resource_limits": limits}));
    fixture.define(&workflow(&[limited]));
    fixture.workflow(["run", "workflow.json"]).exits(7).says(&["cpu"]);
    assert!(!fixture.has("started"));
}
