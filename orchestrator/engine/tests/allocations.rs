//! How often the core asks for memory: for a step that is checked, and for one that begins and ends. These counts depend
//! on no machine. A bound is what was counted when it was last lowered, and a little more: a change that goes over it
//! has made every step dearer.

use std::{alloc::System, collections::BTreeMap, sync::Arc};

use schemas::journal::{Event, Now, RunCreated};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use workflow_engine::{
    check::{Catalog, SkillEntry, check},
    load::{Syntax, load},
    plan::{Needs, Plan, SkillTarget},
    run::{Action, Run},
};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const STEPS: usize = 100;

const CREATED: &str = r#"{"format_version": 1, "q": "0.1.0", "run_id": "r1", "workflow": "chain",
    "version": "1.0.0", "trigger": "manual", "base": "/base", "source": "/base/chain.json", "inputs": {}, "context": {}}"#;

const STARTED: &str = r#"{"run_started": {"isolation": {"memory": "cgroup-v2", "cpu": "cgroup-v2", "pids": "cgroup-v2",
    "io": "none", "kill": "cgroup.kill", "network": "netns", "filesystem": "mount", "notes": []}}}"#;

fn chain(steps: usize) -> String {
    let step = |index| {
        format!(r#"{{"id": "s{index}", "type": "skill", "skill": "echo", "inputs": {{"message": "Hello"}}}}"#)
    };
    let steps: Vec<_> = (0..steps).map(step).collect();
    format!(r#"{{"name": "chain", "version": "1.0.0", "steps": [{}]}}"#, steps.join(","))
}

/// As the journal has it.
fn ended(step: usize) -> Event {
    let text = format!(
        r#"{{"attempt_ended": {{"id": {{"step": "s{step}", "attempt": 1}}, "started": true, "exit_code": 0,
            "outcome": {{"completed": {{"inline": {{"message": "Hello"}}}}}}, "usage": {{}}}}}}"#
    );
    serde_json::from_str(&text).expect("an event")
}

/// Counts how often an act asks for memory.
fn count<T>(act: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(COUNTED);
    let made = act();
    let change = region.change();
    (made, change.allocations + change.reallocations)
}

fn checked(steps: usize) -> (Arc<Plan>, usize) {
    let echo = SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing });
    let catalog = Catalog { skills: BTreeMap::from([("echo".to_owned(), echo)]), ..Catalog::default() };
    let text = chain(steps);
    let (plan, asked) = count(|| check(&load(text.as_bytes(), Syntax::Json).expect("JSON"), &catalog).0);
    (Arc::new(plan.expect("a plan")), asked)
}

fn driven(plan: &Arc<Plan>) -> usize {
    let now = Now { wall: jiff::Timestamp::UNIX_EPOCH, up_us: 0 };
    let created: RunCreated = serde_json::from_str(CREATED).expect("a record");
    let started: Event = serde_json::from_str(STARTED).expect("an event");
    let events: Vec<_> = [started].into_iter().chain((0..plan.steps.len()).map(ended)).collect();
    let mut run = Run::new(Arc::clone(plan), created, now);
    let (last, asked) = count(|| events.iter().fold(Vec::new(), |_, event| run.apply(event, now)));
    assert!(last.iter().any(|action| matches!(action, Action::Finish { .. })), "{last:?}");
    asked
}

#[track_caller]
fn check_bound(what: &str, few: usize, many: usize, most: usize) {
    let each = (many - few) / STEPS;
    assert!((1..=most).contains(&each), "{what}: {each} a step, at most {most}");
}

// One test: what another thread asks for would be counted too.
#[test]
fn a_step_asks_seldom() {
    let ((few, few_checked), (many, many_checked)) = (checked(STEPS), checked(2 * STEPS));
    check_bound("checked", few_checked, many_checked, 25);
    check_bound("begun and ended", driven(&few), driven(&many), 14);
}
