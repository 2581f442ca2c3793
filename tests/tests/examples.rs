//! The workflows in `examples/`, each run as it stands, in place; what the guide says of them is what they do.
//! The plan's two are in `run.rs`: one needs a server.

use std::os::unix::fs::PermissionsExt;

use integration_tests::{
    Finished, Fixture,
    program::workspace,
    view::{attempt, never_ran, outputs, step},
};
use serde_json::{Value, json};

/// Runs an example in place, from a directory of its own.
#[track_caller]
fn run(fixture: &Fixture, name: &str, args: &[&str]) -> Finished {
    let path = workspace().join("examples").join(name);
    let path = path.to_str().expect("the path is text");
    fixture.workflow([&["run", path, "--json"], args].concat())
}

/// The outputs of an example that completes.
#[track_caller]
fn completed(name: &str, args: &[&str]) -> Value {
    let fixture = Fixture::new();
    let view = run(&fixture, name, args).exits(0).json();
    assert_eq!(view["status"], "completed");
    fixture.assert_nothing_left();
    view["outputs"].clone()
}

#[test]
fn getting_started_greets() {
    let name = "getting-started.json";
    assert_eq!(completed(name, &[]), json!({"greeting": "Hello, world!", "loud": "HELLO, WORLD!"}));
    let greeted = completed(name, &["--input", "name=Ann $(id)"]);
    assert_eq!(greeted["greeting"], "Hello, Ann $(id)!", "a value is data, not code");
}

#[test]
fn values_have_the_forms_of_the_guide() {
    let shown = completed("values.json", &["--context", "environment=prod"]);
    assert_eq!(
        shown,
        json!({
            "service": "web",
            "shown": {
                "literal": "https://api.example.com",
                "whole_value": {"name": "web", "ports": [80, 443]},
                "one_port": 443,
                "typed_input": 3,
                "template": "web in prod on alpha",
                "template_keeps_the_type": [80, 443],
                "object_in_text": "ports are [80,443]",
                "record": "completed",
                "mutable": "no step has written this yet",
                "escaped": "${this is text}",
                "forced_literal": "config.parsed",
            },
        })
    );
}

#[test]
fn yaml_says_the_same() {
    let greetings = |who: &str| json!([format!("Hello, {who}!"), "Hello, Bob!"]);
    let shown = completed("yaml.yaml", &[]);
    assert_eq!(shown, json!({"greetings": greetings("Ann"), "answer": "no", "lines": "3\n"}));
    assert_eq!(completed("yaml.yaml", &["--input", "who=Eve"])["greetings"], greetings("Eve"));
}

#[test]
fn expressions_decide_and_compute() {
    assert_eq!(
        completed("expressions.json", &[]),
        json!({"removed": ["a", "c"], "report": "3 entries, the first has 2.5 kB", "praised": false})
    );
    assert_eq!(
        completed("expressions.json", &["--input", "limit=3"]),
        json!({"removed": [], "report": "nothing to do", "praised": true})
    );
    let fixture = Fixture::new();
    let view = run(&fixture, "expressions.json", &[]).exits(0).json();
    let praise = step(&view, "praise");
    assert_eq!((&praise["status"], &praise["attempts"]), (&json!("skipped"), &json!([])));
    assert_eq!(praise["skip_reason"], "`when` was false");
    assert_eq!((&praise["started_at"], &praise["error"]), (&Value::Null, &Value::Null));
}

#[test]
fn limits_are_seen_by_the_step_and_all_of_them_recorded() {
    let fixture = Fixture::new();
    let view = run(&fixture, "limits.json", &[]).exits(0).json();
    // Descriptors, 512-byte blocks of a file, KiB of the private /tmp.
    assert_eq!(view["outputs"]["seen"], "64\n2048\n8192\n");
    let limits = attempt(&view, "bounded")["limits"].as_array().expect("limits are a list");
    for (name, value, by) in [
        ("open_files", 64, &["rlimit"][..]),
        ("file_size", 1 << 20, &["rlimit"]),
        ("scratch", 8 << 20, &["tmpfs"]),
        ("output", 64 << 10, &["engine"]),
        ("memory", 64 << 20, &["cgroup-v2", "monitor"]),
        ("cpu", 500, &["cgroup-v2", "none"]),
        ("pids", 32, &["cgroup-v2", "none"]),
    ] {
        let limit = limits.iter().find(|limit| limit["name"] == name);
        let limit = limit.unwrap_or_else(|| panic!("{name} is missing: {limits:#?}"));
        assert_eq!(limit["value"], value, "{limit}");
        assert!(by.contains(&limit["by"].as_str().unwrap_or_default()), "{limit}");
        assert_eq!(limit["held"], limit["by"] != "none", "{limit}");
        let by_kernel = !["none", "monitor"].contains(&limit["by"].as_str().unwrap_or_default());
        assert_eq!(limit["why"].is_string(), !by_kernel, "what the kernel does not hold says why: {limit}");
    }
}

#[test]
fn isolation_shows_what_a_step_sees() {
    let fixture = Fixture::new();
    let mut command = fixture.q(["run", "--json"]);
    command.arg(workspace().join("examples/isolation.json")).env("SECRET", "hidden");
    let view = fixture.start(command).finish().exits(0).json();
    let seen = view["outputs"]["standard"].as_str().expect("stdout is text");
    let lines: Vec<_> = seen.lines().collect();
    let processes = lines[0].strip_prefix("processes: ").and_then(|count| count.parse::<u32>().ok());
    assert!(processes.is_some_and(|count| count < 10), "{seen}");
    assert_eq!(&lines[1..], ["file: gone", "NoNewPrivs:\t1", "0"], "{seen}");
    assert_eq!(view["outputs"]["none"], "NoNewPrivs:\t1\n");
}

#[test]
fn counter_counts_in_the_context() {
    let fixture = Fixture::new();
    let view = run(&fixture, "counter.json", &[]).exits(0).json();
    let greeting = "counting to 5: done in 5 turns";
    assert_eq!(view["outputs"], json!({"counter": 5, "squares": [0, 1, 4, 9, 16], "greeting": greeting}));
    // What the journal tells is the same.
    let run_id = view["run_id"].as_str().expect("a run has an id");
    std::fs::remove_file(fixture.run_dir(run_id).join("state.json")).expect("it was written");
    assert_eq!(fixture.view(run_id)["outputs"], view["outputs"]);
}

#[test]
fn sub_workflows_greet() {
    let greet = |line: &str| json!({"greet": {"line": line, "words": 2}});
    assert_eq!(
        completed("sub-workflows.json", &[]),
        json!({"first": "good morning ann", "words": 2, "others": [greet("hello bob"), greet("hello eve")]})
    );
    let fixture = Fixture::new();
    let view = run(&fixture, "called/greet.json", &["--input", "who=you"]).exits(0).json();
    assert_eq!(view["outputs"]["line"], "hello you");
}

#[test]
fn control_flow_has_the_forms_of_the_guide() {
    let shown = completed("control-flow.json", &[]);
    let greeting = |index: u32, name: &str| json!({"greet": {"line": format!("{index}: hello {name}")}});
    assert_eq!(
        shown,
        json!({
            "winner": "near",
            "greetings": [greeting(0, "ann"), greeting(1, "bob"), greeting(2, "eve")],
            "last": "2: hello eve",
            "branch": "then",
            "note": "in the background",
        })
    );
}

#[test]
fn timeout_ends_a_stubborn_tree() {
    let fixture = Fixture::new();
    let view = run(&fixture, "timeout.json", &[]).exits(1).json();
    assert_eq!(view["error"]["code"], "timeout");
    assert_eq!(attempt(&view, "stubborn")["signal"], 9);
    assert_eq!(attempt(&view, "stubborn")["stop_reason"], "timeout");
    assert!(never_ran(&view, "never"));
    fixture.assert_nothing_left();
}

#[test]
fn failure_keeps_the_last_words() {
    let fixture = Fixture::new();
    let view = run(&fixture, "failure.json", &[]).exits(1).json();
    assert_eq!(view["error"]["code"], "exit_code");
    assert_eq!(
        step(&view, "build")["error"]["details"],
        json!({"exit_code": 4, "stderr": ["main.c:3: no such header"]})
    );
    assert!(never_ran(&view, "deploy"));
}

#[test]
fn skills_beside_the_definition_are_called() {
    let fixture = Fixture::new();
    let view = run(&fixture, "skills.json", &[]).exits(0).json();
    assert_eq!(view["outputs"]["greeting"], "Good morning, Ann!");
    assert_eq!(view["outputs"]["words"], 3);
    assert_eq!(outputs(&view, "count"), &json!({"words": 3, "lines": 1}));
    assert!(view["outputs"]["free_kib"].as_u64().is_some(), "{view:#}");
    let events = Fixture::new();
    let path = workspace().join("examples/skills.json");
    let events = events.workflow(["run", &path.to_string_lossy(), "--events"]).exits(0).lines();
    assert!(
        events.iter().any(|event| event["type"] == "step.log" && event["text"] == "asking df"),
        "{events:#?}"
    );
    let view = run(&fixture, "skills.json", &["--input", "text= "]).exits(1).json();
    assert_eq!(view["error"]["code"], "skill_error");
    assert!(view["error"].to_string().contains("EMPTY"), "{:#}", view["error"]);
}

#[test]
fn programs_of_the_example_skills_are_executable() {
    for (manifest, program) in [
        ("skills/greet/skill.json", "skills/greet/greet.sh"),
        ("skills/disk-free/skill.json", "skills/disk-free/run.sh"),
        ("skills/word-count/skill.json", "skills/word-count/run.py"),
    ] {
        let examples = workspace().join("examples");
        assert!(examples.join(manifest).is_file(), "{manifest}");
        let mode = examples.join(program).metadata().expect("the program is there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{program}");
    }
}

#[test]
fn a_rollback_undoes_what_was_done() {
    let fixture = Fixture::new();
    let view = run(&fixture, "rollback.json", &[]).exits(5).json();
    let undone: Vec<_> =
        view["rollback"].as_array().expect("a list").iter().map(|undo| &undo["id"]).collect();
    assert_eq!(undone, ["release", "tell"]);
    assert_eq!(view["error"]["message"], "the card was refused", "{view:#}");
    fixture.assert_nothing_left();
}

#[test]
fn skills_of_every_origin_are_called() {
    let sum = "f356dd09cf75da1ba3a0f976c4a6f8a099981ba46052ca7f8cddc343d55aece1";
    assert_eq!(
        completed("skill-steps.json", &[]),
        json!({"report": "sorted with exit code 0: Eve\nBob\nAnn\n", "sum": sum})
    );
}

#[test]
fn a_sequence_is_one_branch() {
    assert_eq!(completed("sequence.json", &[]), json!({"docs": "A GUIDE", "code": "margorp a"}));
}

#[test]
fn groups_wait_for_all_or_for_the_first() {
    assert_eq!(
        completed("parallel.json", &[]),
        json!({
            "checks": {"format": {"ok": true}, "lint": {"ok": true}},
            "winner": "near",
            "file": "from the near one",
        })
    );
}

#[test]
fn what_needs_no_background_step_does_not_wait_for_it() {
    let fixture = Fixture::new();
    let path = workspace().join("examples/background.json");
    let events = fixture.workflow(["run", &path.to_string_lossy(), "--events"]).exits(0).lines();
    let at = |kind: &str, step: &str| {
        let place = events.iter().position(|event| event["type"] == kind && event["step"] == step);
        place.unwrap_or_else(|| panic!("no {kind} of {step}: {events:#?}"))
    };
    assert!(at("step.started", "meanwhile") < at("step.completed", "slow"), "{events:#?}");
    assert!(at("step.completed", "slow") < at("step.started", "joined"), "{events:#?}");
    assert_eq!(completed("background.json", &[]), json!({"joined": "done", "logged": "it has begun"}));
    fixture.assert_nothing_left();
}

#[test]
fn one_branch_is_taken() {
    let few = json!({"branch": "else", "line": "1 from the printer next door"});
    assert_eq!(completed("conditional.json", &[]), few);
    let many = json!({"branch": "then", "line": "500 from the printing house"});
    assert_eq!(completed("conditional.json", &["--input", "copies=500"]), many);
}

#[test]
fn loops_go_over_lists_and_until_something_holds() {
    let first = json!({
        "greetings": ["1. hello ann", "2. hello bob", "3. hello eve"],
        "last": "3. hello eve",
        "images": [["debian-12", "debian-13"], ["alpine-12", "alpine-13"]],
        "turns": 3,
        "tries": 3,
    });
    assert_eq!(completed("loops.json", &[]), first);
    assert_eq!(
        completed("loops.json", &["--input", "guests=[\"you\"]"])["greetings"],
        json!(["1. hello you"])
    );
}

#[test]
fn steps_run_when_they_are_wanted() {
    assert_eq!(completed("when.json", &[]), json!({"published": false, "line": "nothing was published"}));
    let published = completed("when.json", &["--input", "environment=staging"]);
    assert_eq!(published["line"], "published at https://staging.example.com/app-1.0.tar");
}

#[test]
fn inputs_are_checked_and_outputs_given() {
    let given = completed("inputs-and-outputs.json", &["--input", "city=Bern", "--input", "tags=[\"a\"]"]);
    assert_eq!(given["question"], "Bern, 3 days, in celsius");
    assert_eq!((&given["tags"], &given["hours"]), (&json!(["a"]), &json!(72)));
    assert_eq!((&given["run"]["attempt"], &given["note"]), (&json!(1), &json!("a literal")));
    let fixture = Fixture::new();
    for (args, words) in [
        (&[][..], "the input `city` is required"),
        (&["--input", "city=Bern", "--input", "days=many"], "`days` must be of type integer"),
        (&["--input", "city=Bern", "--input", "dayz=3"], "dayz"),
    ] {
        run(&fixture, "inputs-and-outputs.json", args).exits(3).says(&[words]);
    }
}

#[test]
fn failures_are_tried_again_skipped_and_handled() {
    let fixture = Fixture::new();
    let view = run(&fixture, "retry.json", &[]).exits(0).json();
    assert_eq!(
        view["outputs"],
        json!({
            "flaky": "ready",
            "attempts": 3,
            "cached": false,
            "price": {"euro": 12, "because": "price: the shop is closed"},
        })
    );
    assert_eq!(step(&view, "flaky")["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!(step(&view, "optional")["status"], "skipped");
}

#[test]
fn the_last_steps_run_after_a_failure() {
    let fixture = Fixture::new();
    let view = run(&fixture, "finally.json", &[]).exits(1).json();
    assert_eq!((&view["error"]["step"], &view["error"]["code"]), (&json!("work"), &json!("skill_error")));
    assert_eq!(outputs(&view, "give-back"), &json!({"key": "room 7", "work": "failed", "never": false}));
    assert!(never_ran(&view, "never"));
}

/// What the tutorial tells, in its order.
#[test]
fn the_tutorial_fails_once_and_goes_on() {
    let fixture = Fixture::new();
    let view = run(&fixture, "watch.json", &[]).exits(1).json();
    assert_eq!((&view["error"]["step"], &view["error"]["code"]), (&json!("measure"), &json!("exit_code")));
    fixture.workflow(["explain", "@last"]).exits(0).says(&["app.log", "run again: measure, warn"]);
    fixture.write("app.log", "started\n");
    let view = fixture.workflow(["retry", "@last", "--json"]).exits(0).json();
    assert_eq!(view["outputs"], json!({"bytes": 8, "warned": false}));
    let view = run(&fixture, "watch.json", &["--input", "limit=5"]).exits(0).json();
    assert_eq!(view["outputs"], json!({"bytes": 8, "warned": true}));
}
