//! Finished runs of every kind, cut after each line of their journal: what stands there is a legal run, equal
//! to the one that lived until then, and names what should now be running.

use std::sync::Arc;

use schemas::{
    failure::Code,
    journal::{Event, Now, Outcome},
    view::{RunStatus, RunView, StepStatus, StopReason},
};

use super::{
    Driven, attempt, completed, created, definition, echo, ended, failed, id, plan, started, stop, stopping,
};
use crate::{plan::Plan, run::Run};

/// The journal as it lies on the disk: one text a line, without the store's frame.
fn lines(journal: &[(Now, Event)]) -> Vec<String> {
    journal.iter().map(|line| serde_json::to_string(line).unwrap()).collect()
}

fn replayed(plan: &Arc<Plan>, lines: &[String]) -> Option<Run> {
    let events = lines.iter().map(|line| serde_json::from_str::<(Now, Event)>(line).unwrap());
    Run::replay(Arc::clone(plan), events)
}

/// What a person sees of a run at this moment: read back from its text, and consistent in itself.
#[track_caller]
fn legal_view(run: &Run) -> RunView {
    let view = run.view();
    let text = serde_json::to_string(&view).unwrap();
    assert_eq!(serde_json::from_str::<RunView>(&text).unwrap(), view);
    let ended = view.status.is_ended();
    assert_eq!(view.finished_at.is_some(), ended, "{text}");
    // A run that is being stopped tells its error already.
    let failed = view.status == RunStatus::Failed;
    assert!(view.error.is_some() == failed || view.status == RunStatus::Stopping, "{text}");
    assert_eq!(view.started_at.is_none(), view.isolation.is_none(), "{text}");
    for step in &view.steps {
        let started = step.status != StepStatus::Pending;
        assert_eq!(step.started_at.is_some(), started, "{text}");
        assert_eq!(step.attempts.is_empty(), !started, "{text}");
        assert_eq!(step.outputs.is_some(), step.status == StepStatus::Completed, "{text}");
        assert_eq!(step.error.is_some(), step.status == StepStatus::Failed, "{text}");
        assert_eq!(step.finished_at.is_none(), !started || step.status == StepStatus::Running, "{text}");
        assert!(!(ended && step.status == StepStatus::Running), "{text}");
    }
    view
}

/// Cuts the journal of these events after each of its lines, and tells each run that comes of it.
#[track_caller]
fn check(members: &str, events: Vec<Event>) -> String {
    let plan = plan(&definition(members));
    let mut alive = Driven::new(Arc::clone(&plan), created());
    let mut story = Vec::new();
    let mut events = events.into_iter();
    loop {
        let lines = lines(&alive.journal);
        let run = replayed(&plan, &lines).expect("a journal begins with its creation");
        assert_eq!(run, alive.run, "after {} lines", lines.len());
        let view = legal_view(&run);
        assert_eq!(view, alive.run.view());
        let live = run.steps().filter(|step| step.is_live());
        let live: Vec<_> = live.map(|step| attempt(&step.attempt_id(&plan))).collect();
        let steps: Vec<_> = view.steps.iter().map(|step| step.status.as_str()).collect();
        story.push(format!("{} [{}] {}", view.status, steps.join(" "), live.join(" ")).trim_end().to_owned());
        let Some(event) = events.next() else { break };
        alive.apply(event);
    }
    assert!(alive.run.phase().status().is_ended(), "the run of the corpus is a finished one");
    story.join("\n")
}

/// Two steps, the second of which wants `a.x`.
fn two() -> String {
    format!(r#""steps":[{},{}]"#, echo("a", ""), echo("b", r#""inputs":{"v":"a.x"}"#))
}

fn a_done() -> Event {
    ended(id("a", 1), completed(r#"{"x":[1,{"y":"ä"}]}"#))
}

#[test]
fn a_run_that_completed() {
    let story = check(&two(), vec![started(), a_done(), ended(id("b", 1), completed("7"))]);
    insta::assert_snapshot!(story, @"
    queued [pending pending]
    running [running pending] a#1
    running [completed running] b#1
    completed [completed completed]
    ");
}

#[test]
fn a_run_that_failed() {
    let story = check(&two(), vec![started(), ended(id("a", 1), failed("a", Code::ExitCode))]);
    insta::assert_snapshot!(story, @"
    queued [pending pending]
    running [running pending] a#1
    failed [failed pending]
    ");
}

#[test]
fn a_run_whose_step_ran_out_of_time() {
    let events = vec![
        started(),
        a_done(),
        stopping(id("b", 1), StopReason::Timeout),
        ended(id("b", 1), failed("b", Code::Timeout)),
    ];
    insta::assert_snapshot!(check(&two(), events), @"
    queued [pending pending]
    running [running pending] a#1
    running [completed running] b#1
    running [completed running] b#1
    failed [completed failed]
    ");
}

#[test]
fn a_run_that_was_stopped_while_a_step_ran() {
    let events = vec![started(), stop(false), stop(true), ended(id("a", 1), Outcome::Cancelled)];
    insta::assert_snapshot!(check(&two(), events), @"
    queued [pending pending]
    running [running pending] a#1
    stopping [running pending] a#1
    stopping [running pending] a#1
    cancelled [cancelled pending]
    ");
}

#[test]
fn a_run_whose_step_completed_in_spite_of_the_stop() {
    insta::assert_snapshot!(check(&two(), vec![started(), stop(false), a_done()]), @"
    queued [pending pending]
    running [running pending] a#1
    stopping [running pending] a#1
    cancelled [completed pending]
    ");
}

#[test]
fn a_run_that_was_stopped_while_it_waited() {
    insta::assert_snapshot!(check(&two(), vec![stop(false)]), @"
    queued [pending pending]
    cancelled [pending pending]
    ");
}

#[test]
fn a_run_that_ran_out_of_time() {
    let events = vec![started(), Event::RunTimedOut, stop(false), ended(id("a", 1), Outcome::Cancelled)];
    insta::assert_snapshot!(check(&two(), events), @"
    queued [pending pending]
    running [running pending] a#1
    stopping [running pending] a#1
    stopping [running pending] a#1
    failed [cancelled pending]
    ");
}

#[test]
fn a_run_whose_reference_led_nowhere() {
    insta::assert_snapshot!(check(&two(), vec![started(), ended(id("a", 1), completed("{}"))]), @"
    queued [pending pending]
    running [running pending] a#1
    failed [completed failed]
    ");
}

#[test]
fn a_run_whose_first_reference_led_nowhere() {
    let members = format!(
        r#""inputs":{{"who":{{"type":"string"}}}},"steps":[{}]"#,
        echo("a", r#""inputs":{"v":"inputs.who"}"#)
    );
    insta::assert_snapshot!(check(&members, vec![started()]), @"
    queued [pending]
    failed [failed]
    ");
}

#[test]
fn a_run_whose_step_gave_too_few_outputs() {
    let members = format!(r#""steps":[{}]"#, echo("a", r#""outputs":["x","y"]"#));
    let events = vec![started(), ended(id("a", 1), completed(r#"{"x":1}"#))];
    insta::assert_snapshot!(check(&members, events), @"
    queued [pending]
    running [running] a#1
    failed [failed]
    ");
}

#[test]
fn a_run_whose_outputs_led_nowhere() {
    let members = format!(r#""steps":[{}],"outputs":{{"x":"a.x"}}"#, echo("a", ""));
    let events = vec![started(), ended(id("a", 1), completed("{}"))];
    insta::assert_snapshot!(check(&members, events), @"
    queued [pending]
    running [running] a#1
    failed [completed]
    ");
}

#[test]
fn a_run_that_was_taken_over() {
    let a_done = ended(id("a", 2), completed(r#"{"x":1}"#));
    let events = vec![started(), Event::RunResumed, a_done, Event::RunResumed, stop(true)];
    let events = events.into_iter().chain([ended(id("b", 2), Outcome::Cancelled), Event::RunResumed]);
    insta::assert_snapshot!(check(&two(), events.collect()), @"
    queued [pending pending]
    running [running pending] a#1
    running [running pending] a#2
    running [completed running] b#1
    running [completed running] b#2
    stopping [completed running] b#2
    cancelled [completed cancelled]
    cancelled [completed cancelled]
    ");
}

#[test]
fn a_journal_without_its_first_line_is_none() {
    let plan = plan(&definition(&two()));
    let run = Driven::new(Arc::clone(&plan), created()).apply_all([started(), a_done()]);
    let lines = lines(&run.journal);
    assert!(replayed(&plan, &[]).is_none());
    assert!(replayed(&plan, &lines[1..]).is_none());
    assert_eq!(replayed(&plan, &lines), Some(run.run));
}
