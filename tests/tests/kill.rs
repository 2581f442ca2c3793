//! The engine is killed at random instants, and goes on: the outputs are those of an undisturbed run, what has
//! completed is not done again, and no process is left. `KILLS=200` makes it longer.

use std::{collections::BTreeMap, time::Duration};

use integration_tests::{
    Fixture,
    definition::{echo, gate, shell, with, workflow},
    wait,
};
use serde_json::{Value, json};

/// Kills of each flow where nobody says how many.
const KILLS: usize = 6;

/// A step that writes its name into the ledger, and takes a moment.
fn writes(id: &str) -> Value {
    writes_as(id, id)
}

fn writes_as(id: &str, entry: &str) -> Value {
    shell(id, &format!("echo {entry} >> ledger; sleep 0.02; echo {entry}"))
}

/// A step that writes its name, and fails.
fn fails(id: &str) -> Value {
    shell(id, &format!("echo {id} >> ledger; sleep 0.02; exit 1"))
}

fn undone(step: Value) -> Value {
    let undo = format!("un{}", step["id"].as_str().expect("an id is text"));
    with(step, json!({"rollback": writes(&undo)}))
}

fn handled(step: Value, handling: &Value) -> Value {
    with(step, json!({"error_handling": handling}))
}

fn group(id: &str, steps: &[Value]) -> Value {
    json!({"id": id, "type": "parallel", "steps": steps})
}

/// Ends by its own rollback, and tidies up.
fn saga() -> Value {
    let rollback = json!({"default": "rollback", "rollback": {"steps": [writes("tell")]}});
    with(
        workflow(&[undone(writes("book")), undone(fails("charge"))]),
        json!({"name": "saga", "error_handling": rollback, "finally": [writes("tidy")]}),
    )
}

/// Everything that a run can do and end well by.
fn good() -> Value {
    let turn = writes_as("turn", "turn${item}");
    let turns =
        json!({"id": "turns", "type": "loop", "for_each": [1, 2, 3], "max_concurrent": 2, "steps": [turn]});
    let again = shell("again", "echo again >> ledger; [ -e tried ] || { touch tried; exit 1; }; echo done");
    let retry = json!({"strategy": "retry", "delay": "10ms", "max_attempts": 2});
    let custom = json!({"strategy": "custom", "custom_handler": "mend"});
    let steps = [
        with(writes("back"), json!({"async": true})),
        writes("first"),
        group("group", &[writes("left"), writes("right")]),
        turns,
        handled(again, &retry),
        handled(fails("broken"), &custom),
        handled(json!({"id": "c", "type": "workflow", "workflow": "saga.json"}), &json!("skip")),
        handled(with(writes("fragile"), json!({"on_crash": "fail"})), &json!("skip")),
        echo(
            "last",
            json!({"left": "group.left.stdout", "turns": "turns.iterations", "again": "again.stdout",
                "mended": "broken.stdout", "back": "back.stdout"}),
        ),
    ];
    let outputs = json!({"last": "last.data", "turn": "turn.stdout", "first": "first.stdout"});
    with(
        workflow(&steps),
        json!({"handlers": [writes("mend")], "finally": [writes("bye")], "outputs": outputs}),
    )
}

/// Ends by a rollback that undoes a chain, a group, a loop and a sub-workflow.
fn bad() -> Value {
    let turn =
        with(writes_as("turn", "turn${item}"), json!({"rollback": writes_as("unturn", "unturn${item}")}));
    let steps = [
        undone(writes("a")),
        group("group", &[undone(writes("b")), undone(writes("d"))]),
        json!({"id": "turns", "type": "loop", "for_each": [1, 2], "steps": [turn]}),
        json!({"id": "c", "type": "workflow", "workflow": "saga.json"}),
        writes("never"),
    ];
    let rollback = json!({"default": "rollback", "rollback": {"steps": [writes("told")]}});
    with(workflow(&steps), json!({"error_handling": rollback, "finally": [writes("bye")]}))
}

/// Numbers that look random, the same in every run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// How often each entry stands in the ledger.
fn ledger(fixture: &Fixture) -> BTreeMap<String, usize> {
    let mut entries = BTreeMap::new();
    for entry in fixture.read("ledger").lines() {
        *entries.entry(entry.to_owned()).or_default() += 1;
    }
    entries
}

/// Attempts that died with their engine, by entry of the ledger: of a loop's body all turns together.
fn crashes(view: &Value) -> BTreeMap<String, usize> {
    let mut crashes = BTreeMap::new();
    let steps = view["steps"].as_array().expect("a view has steps");
    for step in steps.iter().chain(view["rollback"].as_array().expect("a view has a rollback")) {
        let id = step["id"].as_str().expect("an id is text");
        let attempts = step["attempts"].as_array().expect("a step has attempts");
        let died = attempts.iter().filter(|attempt| attempt["error"]["code"] == "engine_crash").count();
        *crashes.entry(id.rsplit('.').next().unwrap_or(id).to_owned()).or_default() += died;
    }
    crashes
}

/// Each entry as often as in a run that nobody killed, and at most once more for each attempt that died; what is not
/// to run again after a crash, once at most.
#[track_caller]
fn assert_each_once(quiet: &BTreeMap<String, usize>, fixture: &Fixture, view: &Value) {
    let (written, crashes) = (ledger(fixture), crashes(view));
    for entry in written.keys() {
        assert!(quiet.contains_key(entry), "`{entry}` is not written by a run that nobody kills\n{view:#}");
    }
    for (entry, once) in quiet {
        let count = written.get(entry).copied().unwrap_or(0);
        let died = crashes.get(entry.trim_end_matches(|c: char| c.is_ascii_digit())).copied().unwrap_or(0);
        let (least, most) = if entry == "fragile" { (0, 1) } else { (*once, once + died) };
        assert!(
            (least..=most).contains(&count),
            "`{entry}`: {count} times, {died} died\n{written:?}\n{view:#}"
        );
    }
}

/// What is undone comes in the order of the undisturbed run, where nothing ran at once.
#[track_caller]
fn assert_in_order(fixture: &Fixture, order: &[&str]) {
    let text = fixture.read("ledger");
    let place = |entry: &&str| text.lines().position(|line| line == *entry);
    let places: Vec<_> = order.iter().map(place).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{order:?} in\n{text}");
}

/// Lets q run for at most so long, then kills it. Says whether it had ended by itself.
#[track_caller]
fn run_and_kill(fixture: &Fixture, args: &[&str], after: Duration, code: i32) -> bool {
    let mut running = fixture.spawn(args.iter().copied());
    let ended = wait::holds_within(after, || running.has_ended());
    fixture.kill_engine_or_meet_its_end(running, code);
    fixture.assert_nothing_left();
    ended
}

/// What is the same however often the engine was killed.
fn told(view: &Value) -> Value {
    let words = |key: &str| -> Vec<Value> {
        let all = view[key].as_array().expect("a list").iter();
        let mut words: Vec<_> =
            all.map(|step| json!([step["id"], step["iteration"], step["status"]])).collect();
        // Steps that run at once start in any order; what is not to run again may have been skipped.
        words.sort_by_key(Value::to_string);
        words.retain(|word| word[0] != "fragile");
        words
    };
    json!({"status": view["status"], "outputs": view["outputs"], "steps": words("steps"),
        "rollback": words("rollback"), "error": view["error"]["step"]})
}

/// Kills runs of a flow, which ends with this code, until there were enough kills.
fn check(flow: &Value, code: i32, order: &[&str]) {
    let fresh = || {
        let fixture = Fixture::new();
        fixture.write("saga.json", saga().to_string());
        fixture.define(flow);
        fixture
    };
    let undisturbed = fresh();
    let finished = undisturbed.workflow(["run", "workflow.json", "--json"]).exits(code);
    let (quiet, expected) = (ledger(&undisturbed), told(&finished.json()));
    let span = u64::try_from(finished.took.as_millis()).expect("it is short") + 20;
    let kills = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut random = Random(11);
    let mut done = 0;
    while done < kills {
        let fixture = fresh();
        done += 1;
        if run_and_kill(&fixture, &["run", "workflow.json"], Duration::from_millis(random.below(span)), code)
        {
            continue;
        }
        let Some(id) = fixture.run_ids().pop() else { continue };
        // Before its first line is durable a run does not exist.
        if fixture.workflow(["status", &id]).code == 4 {
            continue;
        }
        while random.below(2) == 0 && fixture.view(&id)["status"] == "interrupted" {
            done += 1;
            let after = Duration::from_millis(random.below(span));
            run_and_kill(&fixture, &["resume", &id], after, code);
        }
        if fixture.view(&id)["status"] == "interrupted" {
            fixture.workflow(["resume", &id]).exits(code);
        }
        let view = fixture.view(&id);
        assert_eq!(told(&view), expected, "{view:#}");
        assert_each_once(&quiet, &fixture, &view);
        assert_in_order(&fixture, order);
    }
}

#[test]
fn run_that_is_killed_anywhere_goes_on_as_if_nothing_had_been() {
    check(
        &good(),
        0,
        &["first", "again", "broken", "mend", "book", "charge", "uncharge", "unbook", "tell", "tidy", "bye"],
    );
}

#[test]
fn rollback_that_is_killed_anywhere_undoes_everything_once() {
    let order = ["a", "turn1", "turn2", "book", "charge", "uncharge", "unbook", "tell", "tidy"];
    let undone = ["unturn2", "unturn1", "una", "told", "bye"];
    check(&bad(), 5, &[&order[..], &undone[..]].concat());
}

#[test]
fn what_must_not_run_again_is_never_run_twice() {
    let fixture = Fixture::new();
    let held = with(gate("held"), json!({"on_crash": "fail"}));
    let running = fixture.spawn_run(&workflow(&[undone(writes("a")), handled(held, &json!("rollback"))]));
    fixture.wait_for("held.started");
    let id = fixture.only_run();
    fixture.kill_engine(running);
    let view = fixture.workflow(["resume", &id, "--json"]).exits(5).json();
    assert_eq!(view["error"]["code"], "engine_crash", "{view:#}");
    assert_eq!(ledger(&fixture), BTreeMap::from([("a".to_owned(), 1), ("una".to_owned(), 1)]));
}
