//! The engine is killed at random instants, and goes on: the outputs are those of an undisturbed run, what has
//! completed is not done again, and no process is left. `KILLS=200` makes it longer.

use std::{collections::HashMap, time::Duration};

use integration_tests::{
    Fixture,
    definition::{echo, shell, with, workflow},
    wait,
};
use serde_json::{Value, json};

/// Kills where nobody says how many.
const KILLS: usize = 10;

/// A step that writes its name into the ledger, and takes a moment.
fn writes(id: &str, entry: &str) -> Value {
    shell(id, &format!("echo {entry} >> ledger; sleep 0.02; echo {entry}"))
}

/// A chain, a group, a loop, and a step that is tried again.
fn definition() -> Value {
    let group = json!({"id": "group", "type": "parallel", "steps": [writes("left", "left"), writes("right", "right")]});
    let turns = json!({"id": "turns", "type": "loop", "for_each": [1, 2, 3], "steps": [writes("turn", "turn${item}")]});
    let again = shell("again", "[ -e tried ] || { touch tried; exit 1; }; echo done");
    let again =
        with(again, json!({"error_handling": {"strategy": "retry", "delay": "10ms", "max_attempts": 9}}));
    let last = echo(
        "last",
        json!({"left": "group.left.stdout", "turns": "turns.iterations", "again": "again.stdout"}),
    );
    let outputs = json!({"outputs": {"last": "last.data", "turn": "turn.stdout", "first": "first.stdout"}});
    with(workflow(&[writes("first", "first"), group, turns, again, last]), outputs)
}

/// Numbers that look random, the same in every run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Attempts of each step that writes, by its entry in the ledger.
fn attempts(view: &Value) -> HashMap<String, usize> {
    let steps = view["steps"].as_array().expect("a view has steps");
    let entry = |step: &Value| {
        let id = step["id"].as_str().expect("an id is text");
        let turn = step["iteration"][0].as_u64().map(|turn| (turn + 1).to_string()).unwrap_or_default();
        (format!("{id}{turn}"), step["attempts"].as_array().map_or(0, Vec::len))
    };
    steps.iter().map(entry).collect()
}

/// Lets q run for at most so long, then kills it. Says whether it had ended by itself.
#[track_caller]
fn run_and_kill(fixture: &Fixture, args: &[&str], after: Duration) -> bool {
    let mut running = fixture.spawn(args.iter().copied());
    let ended = wait::holds_within(after, || running.has_ended());
    fixture.kill_engine_or_meet_its_end(running);
    fixture.assert_nothing_left();
    ended
}

#[test]
fn run_that_is_killed_anywhere_goes_on_as_if_nothing_had_been() {
    let undisturbed = Fixture::new();
    let quiet = undisturbed.run(&definition()).exits(0);
    let expected = quiet.json()["outputs"].clone();
    let span = u64::try_from(quiet.took.as_millis()).expect("it is short") + 20;
    let kills = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut random = Random(11);
    let mut done = 0;
    while done < kills {
        let fixture = Fixture::new();
        fixture.define(&definition());
        done += 1;
        if run_and_kill(&fixture, &["run", "workflow.json"], Duration::from_millis(random.below(span))) {
            continue;
        }
        let Some(id) = fixture.run_ids().pop() else { continue };
        // Before its first line is durable a run does not exist.
        if fixture.workflow(["status", &id]).code == 4 {
            continue;
        }
        while random.below(2) == 0 && fixture.view(&id)["status"] == "interrupted" {
            done += 1;
            run_and_kill(&fixture, &["resume", &id], Duration::from_millis(random.below(span)));
        }
        if fixture.view(&id)["status"] == "interrupted" {
            fixture.workflow(["resume", &id]).exits(0);
        }
        let view = fixture.view(&id);
        assert_eq!(view["outputs"], expected, "{view:#}");
        let ledger = fixture.read("ledger");
        for (entry, attempts) in attempts(&view) {
            let written = ledger.lines().filter(|line| *line == entry).count();
            let at_least = usize::from(!["group", "turns", "again", "last"].contains(&entry.as_str()));
            assert!((at_least..=attempts).contains(&written), "{entry}: {written} of {attempts}\n{view:#}");
        }
    }
}
