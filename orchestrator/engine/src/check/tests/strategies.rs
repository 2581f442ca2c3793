//! `error_handling` in a file: what is wrong with it, and what the plan makes of it.

use insta::assert_snapshot;

use super::{checked, rendered};
use crate::{load::Syntax, plan::Plan};

fn text(members: &str, handling: &str) -> String {
    format!(
        r#"{{"name":"x","version":"1.0.0",
"steps":[{{"id":"fetch","type":"skill","skill":"echo"{members}}}],
"error_handling":{handling}}}"#
    )
}

#[track_caller]
fn problems(members: &str, handling: &str) -> String {
    let text = text(members, handling);
    let (_, problems) = checked(text.as_bytes(), Syntax::Json);
    rendered(&text, &problems)
}

#[track_caller]
fn plan(members: &str, handling: &str) -> Plan {
    let (plan, problems) = checked(text(members, handling).as_bytes(), Syntax::Json);
    assert!(problems.is_empty(), "{problems:?}");
    plan.expect("a definition without problems has a plan")
}

fn first(plan: &Plan) -> String {
    format!("{:?}", plan.steps[0].strategies)
}

#[test]
fn defaults_of_a_retry() {
    let plan = plan("", r#"{"per_step":{"fetch":"retry"}}"#);
    assert_snapshot!(first(&plan), @"[Strategy { on: None, act: Retry(Retry { max_attempts: 3, backoff: Exponential { multiplier: 2.0 }, delay: 1s, max_delay: 60s, jitter: None, max_duration: None, scale: None, then: None }), written: Step }]");
}

#[test]
fn everything_that_a_retry_can_say() {
    let plan = plan(
        r#","error_handling":{"strategy":"retry","max_attempts":7,"backoff":"linear","delay":"250ms",
            "max_delay":3,"jitter":"full","max_duration":"1h","on":["oom","skill_error:X"],
            "scale":{"memory":1.5,"max_memory":"2GiB"},"then":{"strategy":"skip"}}"#,
        r#"{"default":"skip"}"#,
    );
    assert_snapshot!(first(&plan), @r#"[Strategy { on: Some([Trigger { code: Oom, own: None }, Trigger { code: SkillError, own: Some("X") }]), act: Retry(Retry { max_attempts: 7, backoff: Linear, delay: 250ms, max_delay: 3s, jitter: Full, max_duration: Some(3600s), scale: Some(Scale { on: [Trigger { code: Oom, own: None }], memory: 1.5, max_memory: Some(Bytes(2147483648)) }), then: Some(Skip) }), written: Step }, Strategy { on: None, act: Final(Skip), written: Default }]"#);
    assert_snapshot!(format!("{:?}", plan.default_strategy), @"Some(Strategy { on: None, act: Final(Skip), written: Default })");
}

#[test]
fn a_list_keeps_its_order() {
    let plan = plan(r#","error_handling":[{"strategy":"skip","on":["timeout"]},{"strategy":"halt"}]"#, "{}");
    assert_snapshot!(first(&plan), @"[Strategy { on: Some([Trigger { code: Timeout, own: None }]), act: Final(Skip), written: Step }, Strategy { on: None, act: Final(Halt), written: Step }]");
}

#[test]
fn ids_that_no_step_has() {
    assert_snapshot!(problems("", r#"{"per_step":{"fetc":"skip","zzz":"skip"}}"#), @r#"
    E070 3:31-3:37 "/error_handling/per_step/fetc" there is no step `fetc`
      hint: did you mean `fetch`?
    E070 3:45-3:50 "/error_handling/per_step/zzz" there is no step `zzz`
      hint: `per_step` has ids of steps as its keys
    "#);
}

#[test]
fn two_strategies_for_one_step() {
    assert_snapshot!(problems(r#","error_handling":"skip""#, r#"{"per_step":{"fetch":"retry"}}"#), @r#"
    E073 2:54-2:70 "/steps/0/error_handling" the step `fetch` has two strategies
      hint: keep the one at the step, or the one in `per_step`
      note: 3:31 the other one is here
    "#);
}

#[test]
fn strategies_that_make_no_sense() {
    let own = r#","error_handling":[{"strategy":"retry","then":"retry"},{"strategy":"skip","delay":1,"on":["oom:x","skill_error:"]}]"#;
    assert_snapshot!(problems(own, "{}"), @r#"
    E071 2:72-2:73 "/steps/0/error_handling/0" a strategy that acts on all failures stands before another
      hint: give it `on`, or put it last: the first strategy that fits acts
    E073 2:99-2:106 "/steps/0/error_handling/0/then" `then` cannot be another `retry`
      hint: it says what happens when no try is left: skip, halt, rollback or custom
    W020 2:127-2:134 "/steps/0/error_handling/1/delay" `delay` says nothing to the strategy `skip`
      hint: it belongs to `retry`
    E073 2:143-2:150 "/steps/0/error_handling/1/on/0" `oom:x` is no failure code
      hint: only `skill_error:CODE` and `guardrail_exceeded:NAME` are more than a code
    E073 2:151-2:165 "/steps/0/error_handling/1/on/1" `skill_error:` is no failure code
      hint: only `skill_error:CODE` and `guardrail_exceeded:NAME` are more than a code
    "#);
}
