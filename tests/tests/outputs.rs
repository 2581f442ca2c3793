//! Whole outputs, as people see them: what a command says when something is wrong and how it ends, and tables on a
//! narrow and on a wide terminal.

use insta::assert_snapshot;
use integration_tests::{
    Fixture,
    definition::{echo, shell, with, workflow},
    running::LONG,
    wait,
};
use serde_json::{Value, json};

/// A workflow with an input, stored and run once; a broken file; a schedule.
fn fixture() -> (Fixture, String) {
    let fixture = Fixture::new();
    let definition = with(
        workflow(&[echo("collect", json!({"n": "inputs.n"})), shell("report", "echo a; exit 3")]),
        json!({"name": "nightly", "inputs": {"n": {"type": "integer", "default": 1}},
            "context": {"readonly": {"place": "here"}}}),
    );
    fixture.define(&definition);
    fixture.write(
        "broken.json",
        r#"{"name": "broken", "version": "1.0.0", "steps": [{"id": "a", "type": "skill", "skil": "echo"}]}"#,
    );
    fixture.workflow(["schedule", "add", "workflow.json", "--cron", "@daily"]).exits(0);
    fixture.workflow(["run", "nightly"]).exits(1);
    let run = fixture.only_run();
    (fixture, run)
}

/// The exit code and all that is said, without what differs from run to run.
fn said(fixture: &Fixture, run: &str, args: &[&str], columns: &str) -> String {
    let mut command = fixture.q(args);
    command.env("COLUMNS", columns).env("TZ", "UTC");
    let finished = fixture.start(command).finish();
    let home = fixture.home().to_string_lossy().into_owned();
    let text = format!("{}{}", finished.stdout, finished.stderr)
        .replace(run, "RUN")
        .replace(&run[..18], "RUN-PREFIX");
    format!("{text}exit {}", finished.code).replace(&home, "HOME")
}

#[test]
fn what_is_wrong_is_said_with_a_way_out() {
    let (fixture, run) = fixture();
    let say = |args: &[&str]| said(&fixture, &run, args, "100");
    assert_snapshot!(say(&["status", "nightly"]), @r"
    error: no run `nightly` here
    hint: the newest run of nightly is RUN
    exit 4
    ");
    let slip = format!("{}x", &run[..35]);
    assert_snapshot!(say(&["status", &slip]).replace(&slip[18..], ""), @r"
    error: no run `RUN-PREFIX` here
    hint: did you mean RUN?
    exit 4
    ");
    assert_snapshot!(say(&["status", "@lasst"]), @r"
    error: no run `@lasst` here
    hint: the newest run is `@last`
    exit 4
    ");
    assert_snapshot!(say(&["run", "nightly", "--timeout", "soon"]), @r"
    error: invalid value 'soon' for '--timeout <DURATION>': is not a duration (use whole seconds, or 250ms, 30s, 10m, 1h30m)

    For more information, try '--help'.
    exit 2
    ");
    assert_snapshot!(say(&["report", &run, "-o", "no/such/place.html"]), @r"
    error: no/such/place.html cannot be written: No such file or directory (os error 2)
    exit 9
    ");
    assert_snapshot!(say(&["run", "nightli"]), @r"
    error: nightli: no such file, and no stored definition of that name in HOME/definitions
    hint: did you mean `nightly`?
    exit 4
    ");
    assert_snapshot!(say(&["run", "nightly", "--input", "m=1"]), @r"
    error: the definition declares no input `m`
    hint: give inputs by --input name=value or --inputs file.json; declared: n
    exit 3
    ");
    assert_snapshot!(say(&["run", "nightly", "--input", "n=x"]), @r"
    error: the input `n` must be of type integer, and `x` is not JSON
    hint: give inputs by --input name=value or --inputs file.json; declared: n
    exit 3
    ");
    assert_snapshot!(say(&["run", "nightly", "--input", "n=x", "--input", "m=1"]), @r"
    error: the input `n` must be of type integer, and `x` is not JSON; the definition declares no input `m`
    hint: give inputs by --input name=value or --inputs file.json; declared: n
    exit 3
    ");
    assert_snapshot!(say(&["run", "nightly", "--context", "plac=x"]), @r"
    error: the definition has no readonly context key `plac`
    hint: it has: place
    exit 3
    ");
    assert_snapshot!(say(&["run", "nightly", "--input", "n"]), @r"
    error: `--input n` is not of the form name=value
    exit 2
    ");
    assert_snapshot!(say(&["logs", &run, "--step", "colect"]), @r#"
    error: run RUN has no step "colect"
    hint: did you mean `collect`?
    exit 4
    "#);
    assert_snapshot!(say(&["resume", &run]), @r"
    error: nothing to resume: run RUN is failed
    hint: `q workflow retry RUN` starts a new run from what failed
    exit 1
    ");
    assert_snapshot!(say(&["delete", "nightly", "--yes"]), @r"
    error: the definition nightly is used by a schedule: nightly
    hint: `q workflow schedule remove nightly` first, or say --force
    exit 1
    ");
    assert_snapshot!(say(&["schedule", "enable", "nightl"]), @r#"
    error: there is no schedule "nightl"
    hint: did you mean `nightly`?
    exit 4
    "#);
    assert_snapshot!(say(&["schedule", "next", "--cron", "* *"]), @r#"
    error: the cron expression "* *" is not valid: an expression has 5 fields (6 with seconds, 7 with years), not 2
    hint: minute, hour, day of month, month, day of week: '0 9 * * 1-5' is at nine on workdays
    exit 3
    "#);
    assert_snapshot!(say(&["statsu"]), @r"
    error: unrecognized subcommand 'statsu'

      tip: a similar subcommand exists: 'status'

    Usage: q workflow [OPTIONS] <COMMAND>

    For more information, try '--help'.
    exit 2
    ");
    assert_snapshot!(say(&["run", "broken.json"]), @r#"
    error[E012]: the key `skil` is not known here
     --> broken.json:1:79
      |
    1 | {"name": "broken", "version": "1.0.0", "steps": [{"id": "a", "type": "skill", "skil": "echo"}]}
      |                                                                               ^^^^^^
      |
      = hint: did you mean `skill`?

    exit 3
    "#);
}

#[test]
fn a_home_without_runs_says_so() {
    let fixture = Fixture::new();
    let say = |args: &[&str]| said(&fixture, "00000000-0000-7000-8000-000000000000", args, "100");
    assert_snapshot!(say(&["status"]), @r"
    error: there is no run yet
    hint: `q workflow run` starts one
    exit 4
    ");
    assert_snapshot!(say(&["daemon", "status"]), @r"
    not running
    exit 4
    ");
    assert_snapshot!(say(&["daemon", "stop"]), @r"
    error: no daemon runs for this home
    hint: `q workflow daemon start` starts one
    exit 4
    ");
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let (fixture, run) = fixture();
    let far = "skills/in-a-folder-with-a-rather-long-name";
    fixture.write_skill(
        "skills",
        "in-a-folder-with-a-rather-long-name",
        json!({"version": "10.20.30"}),
        "true",
    );
    assert!(fixture.has(far));
    fixture.write(
        "agents/with-a-rather-long-name.json",
        json!({"description": "An agent of which there is much to tell", "model": "m"}).to_string(),
    );
    let zone = ["--cron", "0 9 1-7,15-21 * 1-5", "--timezone", "America/Argentina/ComodRivadavia"];
    fixture.workflow(["schedule", "add", "workflow.json"].iter().chain(&zone)).exits(0);
    for args in [
        vec!["list"],
        vec!["list", "--runs"],
        vec!["list", "--definitions"],
        vec!["skills", "list"],
        vec!["agents", "list"],
        vec!["schedule", "next", "nightly"],
        vec!["history", "nightly"],
        vec!["graph", &run],
        vec!["eval", "1 + 1"],
        vec!["stop", &run],
        vec!["prune", "--dry-run"],
        vec!["--help"],
        vec!["run", "--help"],
        vec!["schedule", "add", "--help"],
        vec!["doctor", "--help"],
        vec!["status", &run],
        vec!["explain", &run],
        vec!["history"],
        vec!["schedule", "list"],
        vec!["graph", "nightly"],
    ] {
        for columns in ["40", "60", "100"] {
            let mut command = fixture.q(&args);
            command.env("COLUMNS", columns);
            let text = fixture.start(command).finish().exits(0).stdout;
            let most: usize = columns.parse().expect("it is a number");
            // A whole id is there to be copied: it is never cut.
            // Nor is the one line that says how a command is called.
            let lines = text.lines().filter(|line| !line.contains(&run) && !line.starts_with("Usage:"));
            let wide: Vec<_> = lines.filter(|line| line.chars().count() > most).collect();
            assert!(wide.is_empty(), "{args:?} at {columns} columns: {wide:#?}");
        }
    }
}

#[test]
fn everything_that_is_read_as_json_fits_its_schema() {
    let (fixture, run) = fixture();
    fixture.write(
        "skills/mine/skill.json",
        json!({"name": "mine", "version": "1.0.0", "description": "", "command": ["true"]}).to_string(),
    );
    for (schema, args) in [
        ("state", vec!["status", &run]),
        ("list", vec!["list"]),
        ("list", vec!["list", "--definitions"]),
        ("history", vec!["history"]),
        ("explain", vec!["explain", &run]),
        ("explain", vec!["explain", &run, "collect"]),
        ("graph", vec!["graph", &run]),
        ("graph", vec!["graph", "nightly"]),
        ("schedules", vec!["schedule", "list"]),
        ("fires", vec!["schedule", "next", "nightly"]),
        (
            "fires",
            vec![
                "schedule",
                "next",
                "--cron",
                "30 2 * * *",
                "--timezone",
                "Europe/Berlin",
                "--from",
                "2026-03-28T12:00:00Z",
            ],
        ),
        ("skills", vec!["skills", "list"]),
        ("skill-show", vec!["skills", "show", "echo"]),
        ("skill-show", vec!["skills", "show", "mine"]),
        ("agents", vec!["agents", "list"]),
        ("agent-show", vec!["agents", "show", "code-analyzer"]),
        ("validate", vec!["agents", "validate"]),
        ("validate", vec!["skills", "validate", "mine"]),
        ("state", vec!["skills", "run", "echo", "--input", "{\"v\":1}"]),
        ("eval", vec!["eval", "1 + 1"]),
        ("doctor", vec!["doctor"]),
        ("plan", vec!["run", "nightly", "--dry-run"]),
        ("validate", vec!["validate", "nightly"]),
    ] {
        let printed = fixture.workflow(args.iter().copied().chain(["--json"])).exits(0).json();
        assert_fits(&fixture, schema, &printed, &args);
    }
    let asked = "{\"expr\": \"1 + 1\"}\n{\"expr\": \"1 +\"}\n";
    for line in fixture.workflow_with_stdin(&["eval", "--batch"], asked).lines() {
        assert_fits(&fixture, "eval-batch", &line, &["eval", "--batch"]);
    }
    let status = fixture.workflow(["daemon", "status", "--json"]).exits(4).json();
    assert_fits(&fixture, "daemon", &status, &["daemon", "status"]);
    let daemon = fixture.spawn(["daemon", "run"]);
    wait::eventually("the daemon answers", LONG, || {
        fixture.workflow(["daemon", "status", "--json"]).json()["pid"] == daemon.pid()
    });
    let status = fixture.workflow(["daemon", "status", "--json"]).exits(0).json();
    assert_fits(&fixture, "daemon", &status, &["daemon", "status"]);
    fixture.workflow(["daemon", "stop"]).exits(0);
    daemon.finish().exits(0);
    for line in fixture.workflow(["logs", &run, "--json"]).exits(0).lines() {
        assert_fits(&fixture, "logs", &line, &["logs"]);
    }
}

#[track_caller]
fn assert_fits(fixture: &Fixture, schema: &str, printed: &Value, args: &[&str]) {
    let schema = fixture.workflow(["schema", schema]).exits(0).json();
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let wrong: Vec<_> = validator.iter_errors(printed).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{args:?}: {wrong:#?}\n{printed:#}");
}
