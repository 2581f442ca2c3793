//! What a new run takes over from an old one: the results, in their order, and nothing else.

use std::sync::Arc;

use insta::assert_snapshot;
use schemas::{
    failure::Code,
    journal::{AttemptId, Event},
};

use super::{
    Driven, at, attempt, completed, created, definition, echo, ended, failed, id, isolation, plan, started,
    state, stop, told,
};
use crate::{
    plan::Plan,
    run::{Action, Run},
};

/// What a new run takes over after these events of the old one, what it then starts, and where it stands.
#[track_caller]
fn check(members: &str, events: impl IntoIterator<Item = Event>) -> String {
    taken_over(plan(&definition(members)), events)
}

/// The same, of a plan.
#[track_caller]
pub(super) fn taken_over(plan: Arc<Plan>, events: impl IntoIterator<Item = Event>) -> String {
    let old = Driven::new(plan.clone(), created()).apply_all(events).run;
    let mut new = Run::new(plan, created(), at(5000));
    let before = new.clone();
    let events = new.reuse(&old, isolation(), at(5000));
    assert_eq!(new, before, "it only says what would happen");
    let mut taken = Vec::new();
    let mut starts = Vec::new();
    for event in &events {
        if let Event::AttemptEnded(ended) = event {
            taken.push(attempt(&ended.id));
        }
        starts.extend(new.apply(event, at(5000)));
    }
    let is_taken = |id: &AttemptId| taken.contains(&attempt(id));
    starts.retain(|action| match action {
        Action::Spawn(spawn) => !is_taken(&spawn.id),
        Action::Terminate { id, .. } => !is_taken(id),
        Action::Finish { .. } => true,
        Action::ArmTimer { .. } | Action::Notice(_) => false,
    });
    let starts: Vec<_> = starts.iter().map(told).collect();
    if taken.is_empty() {
        taken.push("nothing".to_owned());
    }
    format!("takes {}\n{}\n{}", taken.join(" "), starts.join("; "), state(&new))
}

fn done(step: &str, result: &str) -> Event {
    ended(id(step, 1), completed(result))
}

fn broke(step: &str) -> Event {
    ended(id(step, 1), failed(step, Code::ExitCode))
}

#[test]
fn what_completed_is_taken_over_and_what_failed_starts() {
    let chain = format!(r#""steps":[{},{},{}]"#, echo("a", ""), echo("b", ""), echo("c", ""));
    assert_snapshot!(check(&chain, [started(), done("a", "1"), broke("b")]), @r"
    takes a#1
    spawn b#1
    running [a#1 completed 1, b#1 running]
    ");
    assert_snapshot!(check(&chain, [started(), broke("a")]), @r"
    takes nothing
    spawn a#1
    running [a#1 running]
    ");
    assert_snapshot!(check(&chain, [stop(false)]), @r"
    takes nothing
    spawn a#1
    running [a#1 running]
    ");
}

#[test]
fn results_of_a_group_come_in_the_order_of_the_old_run() {
    let group = format!(
        r#""context":{{"mutable":{{"last":""}}}},
           "steps":[{{"id":"g","type":"parallel","fail_fast":false,"steps":[{},{},{}]}}]"#,
        echo("a", r#""assign":{"last":"a"}"#),
        echo("b", r#""assign":{"last":"b"}"#),
        echo("c", "")
    );
    let events = [started(), done("b", "2"), done("a", "1"), broke("c")];
    assert_snapshot!(check(&group, events), @r"
    takes b#1 a#1
    spawn c#1
    running [g#1 running, a#1 completed 1, b#1 completed 2, c#1 running]
    ");
}

#[test]
fn losers_of_a_race_do_not_start_again() {
    let race = format!(
        r#""steps":[{{"id":"g","type":"parallel","wait_for":"any","steps":[{},{}]}},{}]"#,
        echo("a", ""),
        echo("b", ""),
        echo("c", "")
    );
    let lost = ended(id("a", 1), schemas::journal::Outcome::Cancelled);
    assert_snapshot!(check(&race, [started(), done("b", "2"), lost, broke("c")]), @r"
    takes b#1 a#1
    spawn c#1
    running [g#1 completed, a#1 cancelled, b#1 completed 2, c#1 running]
    ");
}

#[test]
fn every_turn_of_a_loop_is_taken_over() {
    let over =
        format!(r#""steps":[{{"id":"l","type":"loop","for_each":[7,8,9],"steps":[{}]}}]"#, echo("a", ""));
    let turn = |index: u32, outcome| ended(AttemptId { turn: vec![index], ..id("a", 1) }, outcome);
    let events =
        [started(), turn(0, completed("1")), turn(1, completed("2")), turn(2, failed("a", Code::Signal))];
    assert_snapshot!(check(&over, events), @r"
    takes a[0]#1 a[1]#1
    spawn a[2]#1
    running [l#1 running, a[0]#1 completed 1, a[1]#1 completed 2, a[2]#1 running]
    ");
}

#[test]
fn when_all_is_taken_over_the_run_ends() {
    let one = format!(r#""steps":[{}]"#, echo("a", ""));
    assert_snapshot!(check(&one, [started(), done("a", "1")]), @r"
    takes a#1
    finish completed
    completed [a#1 completed 1]
    ");
}
