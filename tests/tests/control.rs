//! Steps that hold others, with real processes: the plan's examples, groups, background steps, loops.

use integration_tests::{
    Fixture,
    definition::{echo, exec, gate, shell, with, workflow},
    program::example,
    view::{attempt, never_ran, outputs, step},
};
use serde_json::{Value, json};

fn parallel(id: &str, wait_for: &str, steps: &[Value]) -> Value {
    json!({"id": id, "type": "parallel", "wait_for": wait_for, "steps": steps})
}

fn sequence(id: &str, steps: &[Value]) -> Value {
    json!({"id": id, "type": "sequence", "steps": steps})
}

/// `id status` of each step, in the order of the view, children behind their parent's id.
fn told(view: &Value) -> Vec<String> {
    let steps = view["steps"].as_array().expect("a view has steps");
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |step: &Value| {
        let iteration = step["iteration"].as_array().expect("a list").iter().map(|turn| format!("[{turn}]"));
        let turn: String = iteration.collect();
        format!("{} {}{turn} {}", word(&step["parent"]), word(&step["id"]), word(&step["status"]))
    };
    steps.iter().map(line).collect()
}

#[test]
fn parallel_test_runs_as_written() {
    let fixture = Fixture::new();
    fixture.write("parallel-test.json", example("parallel-test.json"));
    let view = fixture.workflow(["run", "parallel-test.json", "--json"]).exits(0).json();
    assert_eq!(
        told(&view),
        ["- parallel-tasks completed", "parallel-tasks task1 completed", "parallel-tasks task2 completed"]
    );
    let group = outputs(&view, "parallel-tasks").as_object().expect("outputs are an object");
    assert_eq!(group["task1"], *outputs(&view, "task1"));
    assert_eq!(group["task2"], *outputs(&view, "task2"));
    let status = fixture.workflow(["status"]).exits(0).output();
    assert!(status.contains("parallel-tasks") && status.contains("task2"), "{status}");
}

#[test]
fn control_flow_test_runs_as_written() {
    let fixture = Fixture::new();
    fixture.write("control-flow-test.json", example("control-flow-test.json"));
    let view = fixture.workflow(["run", "control-flow-test.json", "--json"]).json();
    assert_eq!(outputs(&view, "check")["exists"], false);
    assert_eq!(step(&view, "error")["parent"], "conditional");
    assert!(never_ran(&view, "process"), "{view:#}");
    fixture.write("data.json", "{}");
    let view = fixture.workflow(["run", "control-flow-test.json", "--json"]).json();
    assert_eq!(outputs(&view, "check")["exists"], true);
    assert_eq!(step(&view, "process")["parent"], "conditional");
    assert!(never_ran(&view, "error"), "{view:#}");
}

#[test]
fn children_run_at_the_same_time() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[parallel("both", "all", &[gate("a"), gate("b")])]));
    fixture.wait_for("a.started");
    fixture.wait_for("b.started");
    fixture.write("b.go", "");
    fixture.write("a.go", "");
    running.finish().exits(0);
}

#[test]
fn any_stops_the_losers_with_their_trees() {
    let fixture = Fixture::new();
    let tree = shell("slow", "touch slow.started; sleep 60 & sleep 60 & wait");
    let losers = sequence("long", &[tree, echo("never", json!({}))]);
    let quick = shell("quick", "until [ -e slow.started ]; do sleep 0.02; done; echo done");
    let group = parallel("race", "any", &[losers, quick]);
    let next = echo("next", json!({"won": "race.winner"}));
    let view = fixture.run(&workflow(&[group, next])).exits(0).json();
    assert_eq!(outputs(&view, "next")["won"], "quick");
    for loser in ["long", "slow"] {
        assert_eq!(step(&view, loser)["status"], "cancelled", "{view:#}");
    }
    assert_eq!(attempt(&view, "slow")["stop_reason"], "sibling");
    assert!(never_ran(&view, "never"));
    fixture.assert_nothing_left();
}

#[test]
fn the_first_failure_stops_the_others() {
    let fixture = Fixture::new();
    let slow = shell("slow", "touch slow.started; sleep 60");
    let bad = shell("bad", "until [ -e slow.started ]; do sleep 0.02; done; exit 3");
    let group = parallel("both", "all", &[slow, bad]);
    let view = fixture.run(&workflow(&[group, echo("next", json!({}))])).exits(1).json();
    assert_eq!(view["status"], "failed");
    assert_eq!(view["error"]["code"], "child_failed");
    assert_eq!(view["error"]["step"], "both");
    assert_eq!(view["error"]["details"]["causes"][0]["step"], "bad");
    assert_eq!(view["error"]["details"]["causes"][0]["code"], "exit_code");
    assert_eq!(step(&view, "slow")["status"], "cancelled");
    assert!(never_ran(&view, "next"));
    fixture.assert_nothing_left();
}

#[test]
fn background_steps_are_joined() {
    let fixture = Fixture::new();
    let steps = [
        parallel("aside", "none", &[gate("first"), gate("second")]),
        with(gate("third"), json!({"async": true})),
        // It ends what it would have to wait for, if it had to.
        shell("next", "touch first.go"),
        echo("reader", json!({"out": "first.stdout"})),
        shell("after", "touch second.go third.go"),
    ];
    let view = fixture.run(&workflow(&steps)).exits(0).json();
    assert_eq!(outputs(&view, "reader")["out"], "waiting\n");
    for joined in ["aside", "first", "second", "third"] {
        assert_eq!(step(&view, joined)["status"], "completed", "{view:#}");
    }
    let all = outputs(&view, "aside").as_object().expect("outputs are an object");
    assert_eq!(all.keys().collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn for_each_runs_so_many_turns_at_once() {
    let fixture = Fixture::new();
    // The first two wait for each other; no turn ever sees a third beside it and itself.
    let script = "n=$1; mkdir turn.$n; touch started.$n; \
        case $n in n0) other=n1;; n1) other=n0;; *) other=$n;; esac; \
        until [ -e started.$other ]; do sleep 0.02; done; \
        [ $(ls -d turn.* | wc -l) -le 2 ] || exit 9; \
        rmdir turn.$n; echo $n";
    let body = exec("turn", &["sh", "-c", script, "sh", "n${index}"]);
    let each = json!({"id": "each", "type": "loop", "for_each": [10, 20, 30, 40], "max_concurrent": 2,
        "steps": [body, echo("double", json!({"item": "item", "index": "index"}))]});
    let last = echo("last", json!({"n": "each.iterations", "all": "each.results"}));
    let view = fixture.run(&workflow(&[each, last])).exits(0).json();
    assert_eq!(outputs(&view, "last")["n"], 4);
    let all = outputs(&view, "last")["all"].as_array().expect("results are a list");
    let items: Vec<_> = all.iter().map(|turn| turn["double"].clone()).collect();
    let expected =
        [(10, 0), (20, 1), (30, 2), (40, 3)].map(|(item, index)| json!({"item": item, "index": index}));
    assert_eq!(items, expected);
    let turns = view["steps"].as_array().expect("a view has steps").iter();
    let mut turns: Vec<_> =
        turns.filter(|step| step["id"] == "turn").map(|step| step["iteration"].clone()).collect();
    turns.sort_by_key(|turn| turn[0].as_u64());
    assert_eq!(turns, [json!([0]), json!([1]), json!([2]), json!([3])]);
}

#[test]
fn a_stop_in_the_middle_of_a_group_ends_all_of_it() {
    let fixture = Fixture::new();
    let sleep = |id: &str| shell(id, &format!("touch {id}.started; sleep 60"));
    let group = parallel("both", "all", &[sleep("a"), sequence("row", &[sleep("b"), echo("c", json!({}))])]);
    let running = fixture.spawn_run(&workflow(&[group, echo("next", json!({}))]));
    fixture.wait_for("a.started");
    fixture.wait_for("b.started");
    fixture.workflow(["stop", &fixture.only_run()]).exits(0);
    let view = running.finish().exits(8).json();
    assert_eq!(
        told(&view),
        ["- both cancelled", "both a cancelled", "both row cancelled", "row b cancelled", "- next pending",]
    );
    fixture.assert_nothing_left();
}

#[test]
fn the_run_has_so_many_places() {
    let fixture = Fixture::new();
    let steps: Vec<_> = ["a", "b", "c"].map(|id| echo(id, json!({}))).into();
    fixture.define(&workflow(&[parallel("all", "all", &steps)]));
    let path = fixture.define(&workflow(&[parallel("all", "all", &steps)]));
    let path = path.to_str().expect("the path is text");
    let events = fixture.workflow(["run", path, "--events", "--max-concurrent-steps", "1"]).exits(0).lines();
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| Some((event["type"].as_str()?, event["step"].as_str()?)))
        .filter(|(kind, _)| !matches!(*kind, "step.log" | "step.progress"))
        .map(|(kind, step)| format!("{step} {}", kind.trim_start_matches("step.")))
        .collect();
    assert_eq!(
        told,
        [
            "all started",
            "a started",
            "b waiting",
            "c waiting",
            "a completed",
            "b started",
            "b completed",
            "c started",
            "c completed",
            "all completed",
        ]
    );
}

#[test]
fn dry_run_shows_the_tree() {
    let fixture = Fixture::new();
    fixture.write("control-flow.json", example("control-flow.json"));
    let shown = fixture.workflow(["run", "control-flow.json", "--dry-run"]).exits(0).output();
    assert!(shown.contains("mirrors (parallel)") && shown.contains("    travel (skill exec)"), "{shown}");
}

#[test]
fn dry_run_shows_what_follows_a_failure() {
    let fixture = Fixture::new();
    let undone =
        |id: &str| with(echo(id, json!({})), json!({"rollback": echo(&format!("un{id}"), json!({}))}));
    let retry = json!({"strategy": "retry", "on": ["oom", "skill_error:BUSY"], "backoff": "linear", "delay": "2s",
        "max_attempts": 4, "max_duration": "1m", "then": {"strategy": "custom", "custom_handler": "mend"}});
    let tried = with(undone("b"), json!({"error_handling": [retry, {"strategy": "skip"}]}));
    let definition = with(
        workflow(&[undone("a"), tried]),
        json!({
            "error_handling": {"default": "rollback", "rollback": {"steps": ["tell"]}},
            "handlers": [echo("mend", json!({})), echo("tell", json!({}))],
            "finally": [echo("last", json!({}))]
        }),
    );
    fixture.define(&definition);
    fixture.workflow(["run", "workflow.json", "--dry-run"]).exits(0).says(&[
        "on failure: rollback (default)",
        "on oom, skill_error:BUSY: retry, 4 attempts, linear backoff 2.0s, 4.0s, 6.0s, within 1m00s, then custom mend",
        "on failure: skip",
        "undone by unb",
        "tell (skill echo): a handler",
        "rollback, if every step has started: unb undoes b, then una undoes a, then tell",
        "at the end: last",
    ]);
    let plan = fixture.workflow(["run", "workflow.json", "--dry-run", "--json"]).exits(0).json();
    let b =
        plan["steps"].as_array().expect("a list").iter().find(|step| step["id"] == "b").expect("it is there");
    assert_eq!(b["strategies"][0]["retry"]["waits_ms"], json!([2000, 4000, 6000]));
    assert_eq!(plan["rollback"][0], json!({"id": "unb", "of": "b"}));
}
