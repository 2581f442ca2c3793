//! What a step that holds others means for those: its time, its environment, its limits. And loops without end.

use insta::assert_snapshot;
use schemas::{journal::Outcome, view::StopReason};

use super::{Driven, created, definition, echo, ended, id, plan, started, state, stopping, told_all};
use crate::{
    plan::Profile,
    run::{Action, Run},
};

fn run(steps: &str) -> Driven {
    Driven::new(plan(&definition(&format!(r#""steps":[{steps}]"#))), created())
}

#[test]
fn time_that_is_up_ends_all_that_runs_inside() {
    let inner = [echo("a", ""), echo("b", "")].join(",");
    let group = format!(r#"{{"id":"g","type":"parallel","timeout":"2s","steps":[{inner}]}}"#);
    let mut driven = run(&format!("{group},{}", echo("z", "")));
    assert_snapshot!(told_all(&driven.apply(started())), @"(run started); (g#1 started); arm g#1 2s; (a#1 started); spawn a#1; (b#1 started); spawn b#1");
    assert_snapshot!(told_all(&driven.apply(stopping(id("g", 1), StopReason::Timeout))), @"terminate a#1 sibling; terminate b#1 sibling");
    driven.apply(ended(id("a", 1), Outcome::Cancelled));
    driven.apply(ended(id("b", 1), Outcome::Cancelled));
    assert_snapshot!(state(&driven.run), @"failed error:timeout [g#1 failed:timeout, a#1 cancelled, b#1 cancelled]");
    let error = driven.run.error().expect("it failed");
    assert_eq!((error.step.as_deref(), error.details.limit), (Some("g"), Some(2000)));
    let replayed = Run::replay(driven.run.plan.clone(), driven.journal.clone());
    assert_eq!(replayed.as_ref(), Some(&driven.run));
    // What comes too late moves nothing.
    assert_eq!(told_all(&driven.apply(stopping(id("g", 1), StopReason::Timeout))), "-");
}

#[test]
fn a_new_owner_gives_the_rest_of_the_time() {
    let group = format!(r#"{{"id":"g","type":"sequence","timeout":"2s","steps":[{}]}}"#, echo("a", ""));
    let mut driven = run(&group);
    driven.apply(started());
    let actions = driven.apply(schemas::journal::Event::RunResumed);
    let armed = actions.iter().find(|action| matches!(action, Action::ArmTimer { .. }));
    assert_snapshot!(told_all(armed.map(std::slice::from_ref).unwrap_or_default()), @"arm g#1 1.99s");
}

/// Environment and directory of the first step that starts.
#[track_caller]
fn surroundings(steps: &str, expected: &str) {
    let mut driven = run(steps);
    let spawn = driven.apply(started()).into_iter().find_map(|action| match action {
        Action::Spawn(spawn) => Some(spawn),
        Action::Terminate { .. } | Action::ArmTimer { .. } | Action::Notice(_) | Action::Finish { .. } => {
            None
        }
    });
    let spawn = spawn.expect("a step starts");
    assert_eq!(format!("{:?} {:?}", spawn.env, spawn.cwd), expected);
}

#[test]
fn environment_and_directory_are_those_around_unless_there_are_own() {
    let around = |inner: &str| {
        format!(
            r#"{{"id":"o","type":"sequence","env":{{"A":"1","B":"1"}},"cwd":"outer","steps":[
               {{"id":"i","type":"loop","for_each":["x"],"env":{{"B":"${{run.id}}"}},"steps":[{inner}]}}]}}"#
        )
    };
    surroundings(&around(&echo("a", "")), r#"[("A", "1"), ("B", "r1")] Some("outer")"#);
    surroundings(
        &around(&echo("a", r#""env":{"A":"item"},"cwd":"own""#)),
        r#"[("B", "r1"), ("A", "x")] Some("own")"#,
    );
}

#[test]
fn limits_and_habits_are_those_around_unless_there_are_own() {
    let inner = echo("a", r#""grace":"1s","resource_limits":{"pids":50}"#);
    let group = format!(
        r#"{{"id":"g","type":"sequence","grace":"9s","idle_timeout":"3s","kill_mode":"leader","on_crash":"fail",
           "resource_limits":{{"pids":7,"memory":"1MiB"}},"steps":[{inner}]}}"#
    );
    let plan = plan(&definition(&format!(r#""steps":[{group}]"#)));
    let step = &plan.steps[1];
    let limits = &step.kind.skill().expect("it calls a skill").limits;
    assert_snapshot!(
        format!("{:?} {:?} {:?} {:?}", step.grace, step.idle_timeout, step.kill_mode, step.on_crash),
        @"1s Some(3s) Leader Fail"
    );
    assert_eq!((limits.pids, limits.memory), (Some(7), Some(crate::units::Bytes(1 << 20))));
}

#[test]
fn a_sandbox_is_that_of_the_nearest_around() {
    let inner = [echo("a", ""), echo("b", r#""sandbox":"none""#)].join(",");
    let group = format!(r#"{{"id":"g","type":"sequence","sandbox":"strict","steps":[{inner}]}}"#);
    let plan = plan(&definition(&format!(r#""sandbox":"standard","steps":[{group},{}]"#, echo("c", ""))));
    let profiles: Vec<_> =
        plan.steps.iter().filter_map(|step| Some(step.kind.skill()?.sandbox.profile)).collect();
    assert_eq!(profiles, [Profile::Strict, Profile::None, Profile::Standard]);
}

#[test]
fn loops_in_which_nothing_runs_come_to_an_end() {
    let many = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30]";
    let mut steps = echo("a", r#""when":"false""#);
    for depth in 0..4 {
        steps = format!(r#"{{"id":"l{depth}","type":"loop","for_each":{many},"steps":[{steps}]}}"#);
    }
    let mut driven = run(&steps);
    driven.apply(started());
    let mut error = driven.run.error().expect("it failed");
    while let Some(cause) = error.details.causes.first() {
        error = cause;
    }
    assert_eq!(error.code, schemas::failure::Code::MaxIterationsExceeded);
}
