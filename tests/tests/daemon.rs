//! The daemon: it starts and ends, fires, sleeps, and is killed at any moment without losing or doubling a fire.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use integration_tests::{
    Fixture, Running,
    definition::{echo, skill, workflow},
    fixture::write_file,
    model::{Model, Turn},
    processes, wait,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_mins(1);

/// A schedule of a workflow with this step.
#[track_caller]
fn schedule(fixture: &Fixture, step: Value, more: &[&str]) {
    let mut definition = workflow(&[step]);
    definition["name"] = json!("often");
    fixture.define(&definition);
    fixture.workflow(["schedule", "add", "workflow.json"].iter().chain(more)).exits(0);
}

fn said(daemon: &Running, words: &str) {
    wait::eventually(words, LONG, || daemon.stderr().contains(words));
}

/// A daemon in the foreground, at work.
#[track_caller]
fn daemon(fixture: &Fixture, drain: &str) -> Running {
    let daemon = fixture.spawn(["daemon", "run", "--drain", drain]);
    wait::eventually("the daemon answers", LONG, || {
        fixture.workflow(["daemon", "status", "--json"]).json()["pid"] == daemon.pid()
    });
    daemon
}

/// The moments for which runs exist, by the records of the runs.
fn scheduled(fixture: &Fixture) -> Vec<String> {
    let views = fixture.run_ids().into_iter().map(|run| fixture.ended(&run));
    let mut moments: Vec<_> =
        views.map(|view| view["scheduled_at"].as_str().unwrap_or("none").to_owned()).collect();
    moments.sort();
    moments
}

#[test]
fn it_starts_once_tells_how_it_is_and_ends() {
    let fixture = Fixture::new();
    fixture.workflow(["daemon", "status"]).exits(4).says(&["not running"]);
    fixture.workflow(["daemon", "stop"]).exits(4);
    fixture.workflow(["daemon", "start"]).exits(0);
    fixture.workflow(["daemon", "start"]).exits(1).says(&["runs for this home already"]);
    let status = fixture.workflow(["daemon", "status", "--json"]).exits(0).json();
    assert_eq!(
        (&status["running"], &status["schedules"], &status["next"]),
        (&json!(true), &json!(0), &json!(null))
    );
    schedule(&fixture, echo("a", json!({})), &["--cron", "@yearly"]);
    wait::eventually("the change is noticed", LONG, || {
        fixture.workflow(["daemon", "status", "--json"]).exits(0).json()["schedules"] == 1
    });
    fixture.workflow(["daemon", "stop"]).exits(0);
    fixture.workflow(["daemon", "status"]).exits(4);
}

#[test]
fn it_fires_and_the_run_says_by_what() {
    let fixture = Fixture::new();
    let daemon = daemon(&fixture, "10s");
    schedule(&fixture, echo("a", json!({"at": "run.scheduled_at"})), &["--cron", "* * * * * *"]);
    wait::eventually("there are runs", LONG, || fixture.run_ids().len() >= 2);
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0).says(&["often fires for", "completed", "the daemon ends"]);
    let moments = scheduled(&fixture);
    assert_eq!(moments.iter().collect::<BTreeSet<_>>().len(), moments.len(), "each moment once: {moments:?}");
    let view = fixture.view(&fixture.run_ids()[0]);
    assert_eq!((&view["trigger"], &view["status"]), (&json!("schedule:often"), &json!("completed")));
    let listed = fixture.workflow(["schedule", "list", "--json"]).exits(0).json();
    assert_eq!(listed["schedules"][0]["last"], json!(moments.last()));
}

#[test]
fn it_holds_keys_of_models_for_its_runs_and_not_in_its_environment() {
    let fixture = Fixture::new();
    let model = Model::start(vec![Turn::Call("finish", json!({"result": "done"}))]);
    fixture.define(&json!({"name": "often", "version": "1.0.0",
        "agents": {"mine": {"base_url": model.url(), "provider": "openai", "api_key_env": "MODEL_KEY"}},
        "steps": [{"id": "a", "type": "agent", "agent": "mine", "prompt": "do it"}]}));
    fixture.workflow(["schedule", "add", "workflow.json", "--cron", "* * * * * *"]).exits(0);
    let mut command = fixture.q(["daemon", "run", "--drain", "10s"]);
    command.env("MODEL_KEY", "hunter2-secret").env("SOME_TOKEN", "hunter2-too");
    let daemon = fixture.start(command);
    wait::eventually("a run has asked its model", LONG, || !model.asked().is_empty());
    let environ = fs::read(format!("/proc/{}/environ", daemon.pid())).expect("it is ours");
    let environ = String::from_utf8_lossy(&environ);
    assert!(environ.contains("MODEL_KEY=") && environ.contains("PATH=/"), "{environ}");
    assert!(!environ.contains("hunter2"), "{environ}");
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0);
    assert!(model.asked()[0].head.contains("Bearer hunter2-secret"), "{}", model.asked()[0].head);
}

#[test]
fn killed_at_any_moment_it_loses_and_doubles_nothing() {
    let fixture = Fixture::new();
    let often = ["--cron", "* * * * * *", "--catch-up", "all", "--overlap", "queue"];
    schedule(&fixture, echo("a", json!({})), &often);
    for round in 1..=5_usize {
        let daemon = fixture.spawn(["daemon", "run"]);
        // Each time a little further: the first run of a round exists, or is about to.
        wait::eventually("it fires", LONG, || {
            daemon.stderr().matches("fires for").count() >= round.div_ceil(2)
        });
        fixture.kill_engine(daemon);
    }
    fixture.workflow(["schedule", "disable", "often"]).exits(0);
    let daemon = daemon(&fixture, "30s");
    wait::eventually("what was begun has ended", LONG, || {
        fixture.workflow(["daemon", "status", "--json"]).json()["runs"] == json!([])
    });
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0);
    let moments = scheduled(&fixture);
    let seconds: Vec<_> = moments.iter().map(|moment| second(moment)).collect();
    assert!(seconds.len() >= 5, "{moments:?}");
    let expected: Vec<_> = (0..seconds.len()).map(|later| (seconds[0] + later) % 86_400).collect();
    assert_eq!(seconds, expected, "one run for each second");
}

/// The second of its day.
fn second(moment: &str) -> usize {
    let time = moment.split_once('T').map_or("", |(_, time)| time.trim_end_matches('Z'));
    time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<usize>().unwrap_or_default())
}

#[test]
fn a_run_whose_engine_died_is_resumed() {
    let fixture = Fixture::new();
    let script =
        json!({"command": "touch began; test -e go || { while ! test -e go; do sleep 0.05; done; }"});
    schedule(&fixture, skill("a", "shell", script), &["--cron", "@yearly"]);
    let folder = fixture.home().join("definitions");
    let run = fixture.workflow(["schedule", "run-now", "often"]).exits(0).stdout.trim().to_owned();
    wait::eventually("the step runs", LONG, || folder.join("began").exists());
    // As a daemon would have recorded it.
    let fire = |fire: Value| json!({"v": 1, "ts": "2026-01-01T00:00:00Z", "schedule": "often", "at": "2026-01-01T00:00:00Z", "fire": fire});
    let records = [fire(json!({"starting": {"run": run}})), fire(json!({"started": {"run": run}}))];
    let lines: Vec<_> = records.iter().map(Value::to_string).collect();
    write_file(&fixture.home().join("fires.jsonl"), (lines.join("\n") + "\n").as_bytes());
    let engine = fixture.processes().into_iter().find(|process| process.command.contains(&run));
    fixture.kill_process(engine.expect("the engine names its run").pid);
    assert_eq!(fixture.view(&run)["status"], "interrupted");
    write_file(&folder.join("go"), b"");
    let daemon = daemon(&fixture, "10s");
    said(&daemon, "completed");
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0);
    assert_eq!(fixture.view(&run)["status"], "completed");
}

#[test]
fn between_fires_it_sleeps() {
    let fixture = Fixture::new();
    schedule(&fixture, echo("a", json!({})), &["--cron", "@yearly"]);
    let daemon = daemon(&fixture, "1s");
    let switches = || {
        let status = integration_tests::fixture::read_file(format!("/proc/{}/status", daemon.pid()).as_ref());
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u32>().ok()).expect("the kernel counts")
    };
    // The threads that answered go to sleep first.
    let mut before = switches();
    wait::eventually("it is quiet for two seconds", LONG, || {
        let quiet = !wait::holds_within(Duration::from_secs(2), || switches() > before + 1);
        before = switches();
        quiet
    });
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0);
}

#[test]
fn what_still_runs_is_stopped_after_the_drain() {
    let fixture = Fixture::new();
    let script = json!({"command": "touch began; sleep 600"});
    schedule(&fixture, skill("a", "shell", script), &["--cron", "@yearly"]);
    let due = json!({"schema_version": 1, "schedules": [{"id": "often", "workflow": "often", "cron": "@yearly",
        "since": "2020-01-01T00:00:00Z"}]});
    write_file(&fixture.home().join("schedules.json"), due.to_string().as_bytes());
    let daemon = daemon(&fixture, "0s");
    let began = fixture.home().join("definitions/began");
    wait::eventually("the missed fire is made up for", LONG, || began.exists());
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0).says(&["cancelled"]);
    let view = fixture.ended(&fixture.only_run());
    assert_eq!(view["status"], "cancelled");
    assert!(view["scheduled_at"].as_str().is_some_and(|at| at.ends_with("-01-01T00:00:00Z")), "{view}");
}

#[test]
fn schedules_that_are_wrong_are_refused_and_later_ignored() {
    let fixture = Fixture::new();
    let file = fixture.home().join("schedules.json");
    write_file(&file, b"{");
    fixture.workflow(["daemon", "run"]).exits(3).says(&["schedules.json"]);
    fixture.workflow(["daemon", "start"]).exits(3).says(&["schedules.json"]);
    write_file(&file, b"{\"schema_version\": 1, \"schedules\": []}");
    let daemon = daemon(&fixture, "1s");
    write_file(&file, b"[]");
    said(&daemon, "the schedules stay as they were");
    daemon.signal(Signal::SIGINT);
    daemon.finish().exits(0);
}

#[test]
fn ten_thousand_schedules_are_no_burden() {
    let fixture = Fixture::new();
    let one = |number: u32| {
        json!({"id": format!("s{number}"), "workflow": "often", "since": "2099-01-01T00:00:00Z",
            "cron": format!("{} {} * * *", number % 60, number / 60 % 24), "timezone": "Europe/Berlin"})
    };
    let all: Vec<_> = (0..10_000).map(one).collect();
    let file = json!({"schema_version": 1, "schedules": all}).to_string();
    write_file(&fixture.home().join("schedules.json"), file.as_bytes());
    let daemon = daemon(&fixture, "1s");
    let status = fixture.workflow(["daemon", "status", "--json"]).exits(0).json();
    assert_eq!(status["schedules"], 10_000);
    assert!(processes::send(daemon.pid(), Signal::SIGTERM));
    daemon.finish().exits(0);
}

fn socket(fixture: &Fixture) -> PathBuf {
    fixture.home().join("daemon.sock")
}

#[test]
fn its_socket_tells_what_fires_while_it_fires() {
    let fixture = Fixture::new();
    let daemon = daemon(&fixture, "10s");
    let mode = fs::metadata(socket(&fixture)).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(socket(&fixture)).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("it is a socket");
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: q\r\n\r\n").expect("it listens");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("it goes on"));
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    let head: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    schedule(&fixture, echo("a", json!({})), &["--cron", "* * * * * *"]);
    let mut events =
        lines.filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let started = events.next().expect("it fires");
    let run = started["fire"]["starting"]["run"].as_str().expect("a fire begins with its run").to_owned();
    assert_eq!(started["schedule"], "often");
    let ended = events.find(|event| event["fire"]["ended"]["run"] == run.as_str()).expect("the run ends");
    assert_eq!(ended["fire"]["ended"]["status"], "completed");
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0);
}

#[test]
fn its_socket_answers_nobody_else() {
    if !nix::unistd::geteuid().is_root() {
        return wait::skip("another user can be played by root only");
    }
    let fixture = Fixture::new();
    let daemon = daemon(&fixture, "1s");
    // Even where the file would let them.
    let world = fixture.home().parent().expect("a home is in a folder").to_owned();
    for (path, mode) in [(world, 0o711), (fixture.home(), 0o711), (socket(&fixture), 0o666)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }
    let ask = |user: u32| {
        let script = "import os,socket,sys\nos.setgroups([]); os.setuid(int(sys.argv[1]))\n\
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[2])\n\
            s.sendall(b'GET /status HTTP/1.1\\r\\nHost: q\\r\\nConnection: close\\r\\n\\r\\n')\n\
            print(s.recv(12).decode())\n";
        let mut python = Command::new("python3");
        python.args(["-c", script, &user.to_string()]).arg(socket(&fixture));
        String::from_utf8_lossy(&python.output().expect("python is there").stdout).trim().to_owned()
    };
    assert_eq!((ask(0).as_str(), ask(65_534).as_str()), ("HTTP/1.1 200", ""));
    daemon.signal(Signal::SIGTERM);
    daemon.finish().exits(0);
}
