//! Workflows that others call, in the course of a run.

use std::{collections::BTreeMap, sync::Arc};

use schemas::journal::{Event, Outcome};

use super::{Driven, completed, created, definition, echo, ended, failed, json, started, state, told_all};
use crate::{
    check::{Catalog, Library, LibraryFile, Named, SkillEntry, check_with},
    load::{Syntax, load},
    plan::{Needs, Plan, SkillTarget},
    run::{Action, Run, Spawn},
};

/// The plan of these members, which may call the workflow `f` with those.
#[track_caller]
pub(super) fn plan(top: &str, called: &str) -> Arc<Plan> {
    let echo = SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing });
    let catalog = Catalog { skills: BTreeMap::from([("echo".to_owned(), echo)]), ..Catalog::default() };
    let file = LibraryFile {
        name: "f".to_owned(),
        definition: load(definition(called).as_bytes(), Syntax::Json),
        catalog: catalog.clone(),
        names: BTreeMap::new(),
    };
    let names = BTreeMap::from([("f".to_owned(), Named::File(0))]);
    let library = Library { names, files: vec![Arc::new(file)] };
    let top = load(definition(top).as_bytes(), Syntax::Json).expect("the text is JSON");
    let checked = check_with(&top, &catalog, &library);
    assert!(checked.diagnostics.is_empty(), "{:?} {:?}", checked.diagnostics, checked.library);
    Arc::new(checked.plan.expect("a definition without problems has a plan"))
}

/// Runs it, each step giving its inputs as its result, and replays it.
fn run(plan: &Arc<Plan>) -> Driven {
    let mut driven = Driven::new(plan.clone(), created());
    let mut events = vec![started()];
    while let Some(event) = events.pop() {
        for action in driven.apply(event) {
            if let Action::Spawn(spawn) = action {
                events.push(gives(&spawn));
            }
        }
    }
    for cut in 1..=driven.journal.len() {
        let replayed = Run::replay(plan.clone(), driven.journal[..cut].to_vec()).expect("it has a beginning");
        assert_eq!(replayed.view().steps.len(), replayed.steps().count().max(plan.root.len()), "{cut}");
    }
    let replayed = Run::replay(plan.clone(), driven.journal.clone());
    assert_eq!(replayed.as_ref(), Some(&driven.run), "replay gives the same state");
    driven
}

fn gives(spawn: &Spawn) -> Event {
    ended(spawn.id.clone(), completed(spawn.inputs.as_str()))
}

/// Status and outputs of the run, or its error.
#[track_caller]
fn check(top: &str, called: &str, expected: &str) {
    let driven = run(&plan(top, called));
    let view = driven.run.view();
    let told = match &view.error {
        Some(error) => {
            format!("{} {} {}", error.step.as_deref().unwrap_or_default(), error.code.as_str(), error.message)
        }
        None => format!("{} {:?}", view.status, view.outputs),
    };
    assert_eq!(told, expected, "{}", state(&driven.run));
}

const CALLED: &str = r#""inputs":{"who":{"type":"string","required":true},"n":{"type":"integer","default":7}},
    "context":{"readonly":{"env":"inner"},"mutable":{"count":1}},
    "steps":[{"id":"a","type":"skill","skill":"echo",
        "inputs":{"line":"${inputs.who} ${inputs.n} ${context.env} ${context.count}"},
        "assign":{"count":"${context.count + 1}"}}],
    "outputs":{"line":"a.line","count":"context.count"}"#;

fn top(call: &str) -> String {
    format!(
        r#""context":{{"readonly":{{"env":"outer"}},"mutable":{{"count":100}}}},
        "steps":[{{"id":"c","type":"workflow","workflow":"f",{call}}}],
        "outputs":{{"line":"c.line","count":"c.count","own":"context.count","env":"context.env"}}"#
    )
}

#[test]
fn inputs_context_and_outputs_are_its_own() {
    let expected = r#"completed {"line":"x 7 inner 1","count":2,"own":100,"env":"outer"}"#;
    check(&top(r#""inputs":{"who":"x"}"#), CALLED, expected);
    let expected = r#"completed {"line":"outer 2 inner 1","count":2,"own":2,"env":"outer"}"#;
    check(&top(r#""inputs":{"who":"context.env","n":2},"assign":{"count":"c.count"}"#), CALLED, expected);
}

#[test]
fn records_of_steps_are_of_its_own_steps() {
    let named = |id: &str| echo(id, r#""inputs":{"v":"${steps.map(k, k)}"}"#);
    let called = format!(r#""steps":[{},{}],"outputs":{{"v":"b.v"}}"#, echo("a", ""), named("b"));
    let calls = r#"{"id":"c","type":"workflow","workflow":"f"}"#;
    let top = format!(r#""steps":[{calls}],"outputs":{{"c":"c.v","all":"${{steps.map(k, k)}}"}}"#);
    check(&top, &called, r#"completed {"c":["a"],"all":["c"]}"#);
}

#[test]
fn what_it_is_given_must_fit() {
    check(
        &top(r#""inputs":{"who":"${dyn(1 + 1)}"}"#),
        CALLED,
        "c bad_input the input `who` must be of type string",
    );
}

#[test]
fn each_call_begins_anew() {
    let looped = r#""steps":[{"id":"l","type":"loop","for_each":["x","y"],"max_concurrent":2,"steps":[
        {"id":"c","type":"workflow","workflow":"f","inputs":{"who":"item"}}]}],
        "outputs":{"all":"l.results"}"#;
    let expected = r#"completed {"all":[{"c":{"line":"x 7 inner 1","count":2}},{"c":{"line":"y 7 inner 1","count":2}}]}"#;
    check(looped, CALLED, expected);
}

#[test]
fn its_steps_are_seen_behind_it() {
    let driven = run(&plan(&top(r#""inputs":{"who":"x"}"#), CALLED));
    let view = driven.run.view();
    let steps: Vec<_> = view
        .steps
        .iter()
        .map(|step| (step.id.as_str(), step.kind.as_str(), step.parent.as_deref(), step.within.as_deref()))
        .collect();
    assert_eq!(steps, [("c", "workflow", None, None), ("a", "skill", Some("c"), Some("c"))]);
    assert_eq!(view.steps[0].outputs, Some(json(r#"{"line":"x 7 inner 1","count":2}"#)));
}

#[test]
fn a_failure_inside_is_that_of_the_call() {
    let plan = plan(&top(r#""inputs":{"who":"x"}"#), CALLED);
    let mut driven = Driven::new(plan, created());
    let actions = driven.apply(started());
    insta::assert_snapshot!(told_all(&actions), @"(run started); (c#1 started); (c.a#1 started); spawn c.a#1");
    let spawned = super::id("c.a", 1);
    driven.apply(ended(spawned, failed("c.a", schemas::failure::Code::ExitCode)));
    insta::assert_snapshot!(state(&driven.run), @"failed error:child_failed [c#1 failed:child_failed, c.a#1 failed:exit_code]");
}

#[test]
fn it_completes_when_its_background_has_ended() {
    let called = format!(
        r#""steps":[{},{}],"outputs":{{"slow":"slow.v"}}"#,
        echo("slow", r#""async":true,"inputs":{"v":1}"#),
        echo("quick", "")
    );
    let top = r#""steps":[{"id":"c","type":"workflow","workflow":"f"},
        {"id":"z","type":"skill","skill":"echo","inputs":{"v":"c.slow"}}]"#;
    let mut driven = Driven::new(plan(top, &called), created());
    driven.apply(started());
    driven.apply(ended(super::id("c.quick", 1), completed("{}")));
    insta::assert_snapshot!(state(&driven.run), @"running [c#1 running, c.slow#1 running, c.quick#1 completed {}]");
    let actions = driven.apply(ended(super::id("c.slow", 1), completed(r#"{"v":1}"#)));
    insta::assert_snapshot!(told_all(&actions), @"(c.slow#1 completed 20ms); (c#1 completed 20ms); (z#1 started); spawn z#1");
}

#[test]
fn a_stop_reaches_inside() {
    let mut driven = Driven::new(plan(&top(r#""inputs":{"who":"x"}"#), CALLED), created());
    driven.apply(started());
    let actions = driven.apply(super::stop(false));
    insta::assert_snapshot!(told_all(&actions), @"(run stopping); terminate c.a#1 stop");
    driven.apply(ended(super::id("c.a", 1), Outcome::Cancelled));
    insta::assert_snapshot!(state(&driven.run), @"cancelled [c#1 cancelled, c.a#1 cancelled]");
}

#[test]
fn its_own_bound_on_steps_holds_inside() {
    let steps: Vec<_> = (0..4).map(|n| echo(&format!("s{n}"), "")).collect();
    let group = format!(r#"{{"id":"g","type":"parallel","steps":[{}]}}"#, steps.join(","));
    let called = format!(r#""resource_limits":{{"max_concurrent_steps":2}},"steps":[{group}]"#);
    let top = format!(
        r#""steps":[{{"id":"p","type":"parallel","steps":[{{"id":"c","type":"workflow","workflow":"f"}},{}]}}]"#,
        echo("other", "")
    );
    let mut driven = Driven::new(plan(&top, &called), created());
    let actions = driven.apply(started());
    let spawned = |actions: &[Action]| {
        let spawned = actions.iter().filter_map(|action| match action {
            Action::Spawn(spawn) => Some(spawn.id.step.clone()),
            Action::Terminate { .. }
            | Action::ArmTimer { .. }
            | Action::Notice(_)
            | Action::Finish { .. } => None,
        });
        spawned.collect::<Vec<_>>()
    };
    assert_eq!(spawned(&actions), ["other", "c.s0", "c.s1"]);
    let actions = driven.apply(ended(super::id("c.s1", 1), completed("{}")));
    assert_eq!(spawned(&actions), ["c.s2"]);
    let actions = driven.apply(ended(super::id("other", 1), completed("{}")));
    assert_eq!(spawned(&actions), [""; 0]);
}
