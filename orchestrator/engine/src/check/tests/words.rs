//! Prompts of agents: which pieces of them hold words of other agents, whatever way these came.

use schemas::json::Json;

use super::{library, plan, with_steps};
use crate::{
    check::check_with,
    load::{Syntax, load},
    plan::{Plan, StepKind},
    value::{Part, Template},
};

/// The pieces of a prompt that are data, as they are written; `None`: the prompt is not in parts.
fn data(plan: &Plan, name: &str) -> Option<Vec<String>> {
    let step = plan.steps.iter().find(|step| step.name == name).expect("there is such a step");
    let StepKind::Skill(call) = &step.kind else { panic!("{name} is no agent") };
    let Template::Object(members) = &call.inputs else { panic!("the inputs are an object") };
    let (_, parts) = members.iter().find(|(name, _)| name == "parts")?;
    let Template::Array(parts) = parts else { panic!("the parts are a list") };
    let pieces = parts.iter().filter_map(|part| {
        let Template::Object(members) = part else { panic!("a part is an object") };
        members.first().filter(|(name, _)| name == "data")
    });
    Some(pieces.map(|(_, piece)| written(piece)).collect())
}

fn written(template: &Template) -> String {
    match template {
        Template::Reference(reference) => reference.text.clone(),
        Template::Literal(value) => Json::as_str(value).to_owned(),
        Template::Text(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Value(reference) => reference.text.clone(),
                Part::Expression(_) => "an expression".to_owned(),
            })
            .collect(),
        Template::Expression(program) => {
            program.references().iter().map(|reference| reference.text.as_str()).collect()
        }
        Template::Object(_) | Template::Array(_) => "a value".to_owned(),
    }
}

/// Steps between two agents, `a` and `b`; of the second prompt these pieces are data.
#[track_caller]
fn check(between: &str, prompt: &str, expected: &[&str]) {
    let agent = |id: &str, prompt: &str| {
        format!(r#"{{"id":"{id}","type":"agent","agent":"code-analyzer","prompt":{prompt:?}}}"#)
    };
    let plan = plan(&with_steps(&format!("{},{between}{}", agent("a", "Look."), agent("b", prompt))));
    let expected: Vec<_> = expected.iter().map(|piece| (*piece).to_owned()).collect();
    assert_eq!(data(&plan, "b").unwrap_or_default(), expected, "{between} {prompt}");
}

fn skill(id: &str, inputs: &str) -> String {
    format!(r#"{{"id":"{id}","type":"skill","skill":"echo","inputs":{inputs}}},"#)
}

#[test]
fn what_is_not_of_an_agent_is_text() {
    check("", "Be brief.", &[]);
    check("", "${inputs.who} ${context.env} ${first.parsed} ${run.id}", &[]);
    check(&skill("s", r#"{"x":"first.parsed"}"#), "${s.x}", &[]);
}

#[test]
fn outputs_of_agents_are_data() {
    check("", "Judge: ${a.data}, ${first.parsed}.", &["a.data"]);
    check("", r#"${steps["a"].outputs}"#, &[r#"steps["a"].outputs"#]);
    check("", "${a.data.size() > 3 ? 'long' : 'short'}", &["a.data"]);
}

#[test]
fn skills_hand_on_what_they_are_given() {
    check(&skill("s", r#"{"x":"a.data"}"#), "${s.x}", &["s.x"]);
    check(&skill("s", r#"{"x":["so ${a.data}"]}"#), "${s.x}", &["s.x"]);
    let by_env = r#"{"id":"s","type":"skill","skill":"echo","env":{"X":"${a.data}"}},"#;
    check(by_env, "${s.x}", &["s.x"]);
    check(&(skill("s", r#"{"x":"a.data"}"#) + &skill("t", r#"{"x":"s.x"}"#)), "${t.x}", &["t.x"]);
}

#[test]
fn groups_and_loops_hand_on_what_is_in_them() {
    let within = |kind: &str, key: &str, more: &str| {
        let inner = skill("s", r#"{"x":"a.data"}"#) + &skill("other", "{}");
        format!(r#"{{"id":"g","type":"{kind}",{more}"{key}":[{}]}},"#, inner.trim_end_matches(','))
    };
    check(&within("sequence", "steps", ""), "${g.s.x}", &["g.s.x"]);
    check(&within("parallel", "steps", ""), "${g.s}", &["g.s"]);
    check(&within("conditional", "then", r#""condition":"true","#), "${g.data}", &["g.data"]);
    check(&within("loop", "steps", r#""for_each":[1],"#), "${g.last}", &["g.last"]);
    let inside = r#"{"id":"g","type":"loop","for_each":"a.data","steps":[
        {"id":"c","type":"agent","agent":"code-analyzer","prompt":"${item} ${index}"}]},"#;
    let plan = plan(&with_steps(&format!(
        r#"{{"id":"a","type":"agent","agent":"code-analyzer","prompt":"x"}},{}"#,
        inside.trim_end_matches(',')
    )));
    assert_eq!(data(&plan, "c"), Some(vec!["item".to_owned()]));
}

#[test]
fn the_context_keeps_what_it_is_given() {
    let assign = r#"{"id":"s","type":"skill","skill":"echo","assign":{"count":"a.data"}},"#;
    check(assign, "${context.count} ${context.env}", &["context.count"]);
    check(assign, "${context}", &["context"]);
    let set = r#"{"id":"s","type":"skill","skill":"set-context","inputs":{"count":"${a.data}"}},"#;
    check(set, "${context.count} ${context.env}", &["context.count"]);
    // What a later step assigns is there in the next turn.
    let turns = r#"{"id":"l","type":"loop","condition":"first.parsed != 2","max_iterations":2,"steps":[
        {"id":"c","type":"agent","agent":"code-analyzer","prompt":"${context.count}"},
        {"id":"d","type":"skill","skill":"echo","inputs":{"x":"c.data"},"assign":{"count":"d.x"}}]}"#;
    assert_eq!(data(&plan(&with_steps(turns)), "c"), Some(vec!["context.count".to_owned()]));
}

#[test]
fn called_workflows_take_and_give_words() {
    let called = r#"{"name":"ask","version":"1.0.0","inputs":{"of":{"type":"string"},"by":{"type":"string"}},
        "steps":[{"id":"c","type":"agent","agent":"code-analyzer","prompt":"${inputs.of} ${inputs.by}"},
                 {"id":"d","type":"skill","skill":"echo","inputs":{"x":"inputs.by"}}],
        "outputs":{"plain":"d.x"}}"#;
    let top = with_steps(
        r#"{"id":"a","type":"agent","agent":"code-analyzer","prompt":"x"},
        {"id":"w","type":"workflow","workflow":"ask.json","inputs":{"of":"${a.data}","by":"inputs.who"}},
        {"id":"b","type":"agent","agent":"code-analyzer","prompt":"${w.plain} ${a.data}"}"#,
    );
    let definition = load(top.as_bytes(), Syntax::Json).expect("it is JSON");
    let checked = check_with(&definition, &super::catalog(), &library(&[("ask.json", called)]));
    let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    assert_eq!(data(&plan, "w.c"), Some(vec!["inputs.of".to_owned()]));
    assert_eq!(data(&plan, "b"), Some(vec!["a.data".to_owned()]));
}
