//! The table for runs with more in them than a row of steps: groups, branches, loops, workflows in workflows, waits for
//! a try, handlers, undo steps and last steps.

use std::{collections::BTreeSet, fmt::Write as _};

use schemas::{
    failure::Code,
    journal::{AttemptId, Event, Outcome, RunCreated, StopSource},
    view::StopReason,
};

use super::{kind, pair, place};
use crate::run::{
    Run,
    tests::{Driven, completed, created, echo, ended, failed, id, started, state, stop, stopping, workflows},
};

/// A run at one moment, and attempts about which something may be said then.
struct Scene {
    name: &'static str,
    before: Driven,
    attempts: Vec<AttemptId>,
}

fn done(step: &str, attempt: u32) -> Event {
    ended(id(step, attempt), completed(r#"{"x":1}"#))
}

fn fails(step: &str, attempt: u32) -> Event {
    ended(id(step, attempt), failed(step, Code::Signal))
}

/// A run of these members after these events, its start before them.
fn scene(
    name: &'static str,
    members: &str,
    events: impl IntoIterator<Item = Event>,
    attempts: &[AttemptId],
) -> Scene {
    scene_of(name, created(), members, events, attempts)
}

fn scene_of(
    name: &'static str,
    created: RunCreated,
    members: &str,
    events: impl IntoIterator<Item = Event>,
    attempts: &[AttemptId],
) -> Scene {
    let plan = workflows::plan(members, CALLED);
    let before = Driven::new(plan, created).apply_all([started()]).apply_all(events);
    Scene { name, before, attempts: attempts.to_vec() }
}

/// What `workflow` steps call.
const CALLED: &str = r#""steps":[{"id":"p","type":"skill","skill":"echo","rollback":{"id":"up","type":"skill","skill":"echo"}}],
    "error_handling":{"default":"rollback","rollback":{"steps":[{"id":"tell","type":"skill","skill":"echo"}]}},
    "finally":[{"id":"last","type":"skill","skill":"echo"}]"#;

fn steps(steps: &[String]) -> String {
    format!(r#""steps":[{}]"#, steps.join(","))
}

fn holder(id: &str, kind: &str, members: &str, children: &[String]) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"id":"{id}","type":"{kind}"{comma}{members},"steps":[{}]}}"#, children.join(","))
}

fn pair_of(members: &str) -> Vec<String> {
    vec![echo("a", members), echo("b", "")]
}

fn groups() -> Vec<Scene> {
    let both = [id("a", 1), id("b", 1), id("g", 1)];
    let group = |members: &str| steps(&[holder("g", "parallel", members, &pair_of("")), echo("z", "")]);
    let held = RunCreated { max_concurrent_steps: Some(1), ..created() };
    let reads = echo("z", r#""inputs":{"v":"a.x"}"#);
    vec![
        scene("all of a group run", &group(r#""timeout":"1s""#), [], &both),
        scene("a group of which one ended", &group(""), [done("a", 1)], &both),
        scene("a group that fails", &group(""), [fails("a", 1)], &both),
        scene(
            "a group that waits in spite of a failure",
            &group(r#""fail_fast":false"#),
            [fails("a", 1)],
            &both,
        ),
        scene(
            "a group out of time",
            &group(r#""timeout":"1s""#),
            [stopping(id("g", 1), StopReason::Timeout)],
            &both,
        ),
        scene("the first of a group wins", &group(r#""wait_for":"any""#), [], &both),
        scene("the others of a group lose", &group(r#""wait_for":"any""#), [done("b", 1)], &both),
        scene("a group in the background", &group(r#""wait_for":"none""#), [], &[id("a", 1), id("z", 1)]),
        scene_of("one waits for a place", held, &group(""), [], &both),
        scene(
            "one waits for what it reads",
            &steps(&[echo("a", r#""async":true"#), reads]),
            [],
            &[id("a", 1), id("z", 1)],
        ),
    ]
}

fn branches_and_loops() -> Vec<Scene> {
    let turn = |step: &str, at: u32| AttemptId { turn: vec![at], ..id(step, 1) };
    let retried = r#""error_handling":{"strategy":"retry","max_attempts":2}"#;
    let branch = r#"{"id":"c","type":"conditional","condition":"1 < 2","then":[{"id":"t","type":"skill","skill":"echo"}],
        "else":[{"id":"f","type":"skill","skill":"echo"}]}"#;
    let at_once = r#""for_each":[1,2,3],"max_concurrent":2"#;
    let turns = [turn("a", 0), turn("a", 1), turn("a", 2), id("l", 1)];
    let while_less = holder("l", "loop", r#""condition":"index < 2""#, &[echo("a", "")]);
    let sequence = |members: &str| steps(&[holder("q", "sequence", members, &pair_of(""))]);
    vec![
        scene("a branch runs", &steps(&[branch.to_owned()]), [], &[id("t", 1), id("f", 1)]),
        scene("a sequence runs", &sequence(""), [done("a", 1)], &[id("a", 1), id("b", 1)]),
        scene("turns run at once", &steps(&[holder("l", "loop", at_once, &[echo("a", "")])]), [], &turns),
        scene("turns follow each other", &steps(&[while_less]), [], &turns[..2]),
        scene(
            "a sequence waits for its next try",
            &sequence(retried),
            [done("a", 1), fails("b", 1)],
            &[id("q", 1), id("q", 2), id("a", 2), id("b", 1)],
        ),
        scene(
            "a sequence is tried again",
            &sequence(retried),
            [done("a", 1), fails("b", 1), Event::RetryDue { id: id("q", 2) }],
            &[id("q", 2), id("a", 1), id("a", 2), id("b", 2)],
        ),
    ]
}

fn workflows_inside() -> Vec<Scene> {
    let call = |members: &str| steps(&[format!(r#"{{"id":"c","type":"workflow","workflow":"f"{members}}}"#)]);
    let all = [id("c", 1), id("c.p", 1), id("c.up", 1), id("c.tell", 1), id("c.last", 1)];
    let own_time = r#","timeout":"1s""#;
    vec![
        scene("a workflow inside runs", &call(own_time), [], &all),
        scene("its last steps run", &call(own_time), [done("c.p", 1)], &all),
        scene("it is rolled back", &call(""), [fails("c.p", 1)], &all),
        scene("its rollback is nearly through", &call(""), [fails("c.p", 1), done("c.up", 1)], &all),
        scene(
            "its last steps run after a stop",
            &call(""),
            [stop(false), ended(id("c.p", 1), Outcome::Cancelled)],
            &all,
        ),
    ]
}

fn recoveries() -> Vec<Scene> {
    let custom = r#""error_handling":{"strategy":"custom","custom_handler":"fix"}"#;
    let handlers = format!(r#","handlers":[{}]"#, echo("fix", ""));
    let handled = steps(&[holder("g", "parallel", "", &[echo("a", custom), echo("b", custom)])]) + &handlers;
    let undo = echo("ua", r#""error_handling":{"strategy":"retry","max_attempts":2}"#);
    let undone = format!(
        r#"{},"error_handling":{{"default":"rollback","rollback":{{"steps":[{}]}}}},"finally":[{}]"#,
        steps(&[echo("a", &format!(r#""rollback":{undo}"#)), echo("b", "")]),
        echo("then", ""),
        echo("last", "")
    );
    let saga = [id("a", 1), id("ua", 1), id("ua", 2), id("then", 1), id("last", 1)];
    let rolled = || [done("a", 1), fails("b", 1)];
    let after = |more: &[Event]| [&rolled()[..], more].concat();
    let fixing = [id("a", 1), id("b", 1), id("fix", 1), id("fix", 2)];
    vec![
        scene("a handler runs", &handled, [fails("a", 1)], &fixing),
        scene("a failure waits for its handler", &handled, [fails("a", 1), fails("b", 1)], &fixing),
        scene("what was done is undone", &undone, rolled(), &saga),
        scene("an undo step waits for its next try", &undone, after(&[fails("ua", 1)]), &saga),
        scene("steps after the undo run", &undone, after(&[done("ua", 1)]), &saga),
        scene("last steps run", &undone, after(&[done("ua", 1), done("then", 1)]), &saga),
        scene(
            "last steps are ended at once",
            &undone,
            after(&[done("ua", 1), done("then", 1), stop(true)]),
            &saga,
        ),
        scene("all is undone", &undone, after(&[done("ua", 1), done("then", 1), done("last", 1)]), &saga),
        scene(
            "not all is undone",
            &undone,
            after(&[
                fails("ua", 1),
                Event::RetryDue { id: id("ua", 2) },
                fails("ua", 2),
                done("then", 1),
                done("last", 1),
            ]),
            &saga,
        ),
    ]
}

fn scenes() -> Vec<Scene> {
    [groups(), branches_and_loops(), workflows_inside(), recoveries()].into_iter().flatten().collect()
}

/// Every event about one attempt.
fn events_of(attempt: &AttemptId) -> Vec<(String, Event)> {
    let name = super::super::attempt(attempt);
    vec![
        (format!("{name} completed"), ended(attempt.clone(), completed(r#"{"x":1}"#))),
        (format!("{name} failed"), ended(attempt.clone(), failed(&attempt.step, Code::Signal))),
        (format!("{name} cancelled"), ended(attempt.clone(), Outcome::Cancelled)),
        (format!("{name} due"), Event::RetryDue { id: attempt.clone() }),
        (format!("{name} stopping"), stopping(attempt.clone(), StopReason::Timeout)),
    ]
}

fn events(scene: &Scene) -> Vec<(String, Event)> {
    let mut events = vec![
        ("run_created".to_owned(), Event::RunCreated(Box::new(created()))),
        ("run_started".to_owned(), started()),
        ("run_timed_out".to_owned(), Event::RunTimedOut),
        ("run_resumed".to_owned(), Event::RunResumed),
    ];
    for now in [false, true] {
        let by = StopSource::Command;
        events.push((format!("stop now={now}"), Event::StopRequested { now, by }));
    }
    events.extend(scene.attempts.iter().flat_map(events_of));
    events
}

/// The attempts that live, and those that something waits for or has a limit on.
fn is_known(run: &Run, attempt: &AttemptId) -> bool {
    let of_a_step = |step: &crate::run::StepRun| {
        !matches!(step.state, crate::run::StepState::Ended { .. }) && step.attempt_id(run.plan()) == *attempt
    };
    run.steps().any(of_a_step)
}

#[test]
fn every_pair_of_scene_and_event() {
    let mut table = String::new();
    for scene in scenes() {
        writeln!(table, "{}: {}", scene.name, state(&scene.before.run)).unwrap();
        let mut nothing = Vec::new();
        for (name, event) in events(&scene) {
            let (_, line) = pair(&scene.before, &event);
            if line == "-" {
                nothing.push(name);
            } else {
                writeln!(table, "  {name}: {line}").unwrap();
            }
        }
        writeln!(table, "  nothing: {}", nothing.join(", ")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_scenes_show_all_kinds_of_events_and_all_places() {
    let kinds: BTreeSet<_> = scenes().iter().flat_map(events).map(|(_, event)| kind(&event)).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    let places: BTreeSet<_> = scenes().iter().map(|scene| place(&scene.before.run)).collect();
    insta::assert_debug_snapshot!(places, @r#"
    {
        "at the last steps, then rolled_back",
        "ended: rollback_failed",
        "ended: rolled_back",
        "rolling back, step runs",
        "rolling back, step waits for a try",
        "running, step ended",
        "running, step runs",
        "running, step stops",
        "running, step waits",
        "stopping, then cancelled",
    }
    "#);
}

#[test]
fn a_stale_attempt_moves_nothing() {
    for scene in scenes() {
        let run = &scene.before.run;
        let around = |known: &AttemptId| {
            let numbered = |attempt| AttemptId { attempt, ..known.clone() };
            let turned = AttemptId { turn: [&known.turn[..], &[7]].concat(), ..known.clone() };
            [numbered(0), known.clone(), numbered(known.attempt + 1), numbered(u32::MAX), turned]
        };
        let stale = scene.attempts.iter().flat_map(around).filter(|attempt| !is_known(run, attempt));
        for (name, event) in stale.chain([id("stranger", 1)]).flat_map(|attempt| events_of(&attempt)) {
            let (after, line) = pair(&scene.before, &event);
            assert_eq!(line, "-", "{}: {name}", scene.name);
            assert_eq!(after, *run, "{}: {name}", scene.name);
        }
    }
}

#[test]
fn every_event_of_a_scene_twice_moves_once() {
    for scene in scenes() {
        for (name, event) in events(&scene) {
            let once = scene.before.clone().apply_all([event.clone()]);
            let (twice, line) = pair(&once, &event);
            let is_crash = name == "run_resumed";
            assert!(twice == once.run || is_crash, "{}: {name}: {line}", scene.name);
            // Only a stop at once says again what it says; and an engine can die as often as it likes.
            assert!(line == "-" || is_crash || name == "stop now=true", "{}: {name}: {line}", scene.name);
        }
    }
}

#[test]
fn what_a_scene_became_is_what_its_journal_tells() {
    for scene in scenes() {
        for (name, event) in events(&scene) {
            let after = scene.before.clone().apply_all([event]);
            let again = Run::replay(after.run.plan.clone(), after.journal.iter().cloned());
            assert_eq!(again.as_ref(), Some(&after.run), "{}: {name}", scene.name);
        }
    }
}
