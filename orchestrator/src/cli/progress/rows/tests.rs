//! Pictures of runs, by their events.

use schemas::events::EVENT_VERSION;
use workflow_engine::{
    check::check,
    load::{Syntax, load},
};

use super::*;
use crate::{
    store::{home::Home, names::RunId},
    ui::style::plain,
};

const DEFINITION: &str = r#"{"name": "n", "version": "1.0.0", "steps": [
    {"id": "both", "type": "parallel", "steps": [
        {"id": "left", "type": "skill", "skill": "shell", "inputs": {"command": "true"}},
        {"id": "right", "type": "skill", "skill": "shell", "inputs": {"command": "true"}}]},
    {"id": "last", "type": "skill", "skill": "shell", "inputs": {"command": "true"}}]}"#;

fn rows() -> Rows {
    let definition = load(DEFINITION.as_bytes(), Syntax::Json).expect("it is JSON");
    let plan = check(&definition, &crate::catalog::discover(&definition, None, &home(), None).catalog).0;
    Rows::new(Arc::new(plan.expect("it is right")), home().run(RunId::generate()))
}

fn home() -> Home {
    Home::at("/home".into())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is in range")
}

fn event(second: i64, kind: EventType, step: Option<&str>) -> RunEvent {
    RunEvent {
        v: EVENT_VERSION,
        seq: 1,
        ts: at(second),
        kind,
        run_id: String::new(),
        step: step.map(str::to_owned),
        attempt: step.map(|_| 1),
        iteration: Vec::new(),
        status: None,
        error: None,
        duration_ms: None,
        delay_ms: None,
        level: None,
        text: None,
        progress: None,
        artifact: None,
        agent: None,
        tool: None,
        guardrail: None,
    }
}

fn picture(rows: &Rows, columns: usize, lines: usize, used: &HashMap<PathBuf, Use>) -> String {
    let lines = rows.render(&Screen { columns, lines, now: at(75), frame: 1 }, used);
    assert!(lines.iter().all(|line| crate::ui::text::width(&plain(line)) <= columns), "{lines:#?}");
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_runs_stands_in_the_tree_and_what_ended_is_gone() {
    let mut rows = rows();
    let nothing = HashMap::new();
    insta::assert_snapshot!(picture(&rows, 80, 24, &nothing), @"n starting: 0 done");
    rows.hear(&event(5, EventType::RunStarted, None));
    for step in ["both", "left", "right"] {
        rows.hear(&event(10, EventType::StepStarted, Some(step)));
    }
    let work = rows.rows[1].work.clone().expect("it has a directory");
    let used = HashMap::from([(work, Use { cpu_us: 1_500_000, memory_bytes: 3 << 20 })]);
    insta::assert_snapshot!(picture(&rows, 80, 24, &used), @r"
    ⠙ both  1m05s
    ⠙ ├ left  1m05s  3.0 MiB  1.5s CPU
    ⠙ └ right  1m05s
    n running: 0 done, 3 running, 1m10s
    ");
    let retry = RunEvent { delay_ms: Some(2000), ..event(70, EventType::StepRetrying, Some("left")) };
    rows.hear(&retry);
    rows.hear(&event(70, EventType::StepCompleted, Some("right")));
    insta::assert_snapshot!(picture(&rows, 80, 24, &used), @r"
    ⠙ both  1m05s
    · └ left  waiting 5.0s  3.0 MiB  1.5s CPU  next try in 2.0s
    n running: 1 done, 1 running, 1m10s
    ");
    rows.hear(&event(72, EventType::RunStopping, None));
    rows.hear(&event(73, EventType::StepCancelled, Some("left")));
    rows.hear(&event(73, EventType::StepCancelled, Some("both")));
    insta::assert_snapshot!(picture(&rows, 80, 24, &nothing), @"n stopping: 3 done, 1m10s");
}

#[test]
fn a_small_terminal_is_not_filled_beyond_its_edges() {
    let mut rows = rows();
    for step in ["both", "left", "right"] {
        rows.hear(&event(10, EventType::StepStarted, Some(step)));
    }
    insta::assert_snapshot!(picture(&rows, 12, 5, &HashMap::new()), @r"
    ⠙ both  1m0…
    ⠙ ├ left  1…
    n starting:…
    ");
    insta::assert_snapshot!(picture(&rows, 40, 1, &HashMap::new()), @r"
    ⠙ both  1m05s
    n starting: 0 done, 3 running (2 not sh…
    ");
}
