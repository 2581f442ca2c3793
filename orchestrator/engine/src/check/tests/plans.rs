//! What a right definition becomes.

use std::time::Duration;

use super::{plan, with_steps};
use crate::{
    plan::{Enforcement, InputType, KillMode, Limits, OnCrash, Profile, SkillCall, Step, StepId, StepKind},
    units::Bytes,
    value::{Part, Reference, Root, Segment, Template},
};

fn second(steps: &str) -> Step {
    plan(&with_steps(steps)).steps.remove(1)
}

fn call(step: &Step) -> &SkillCall {
    let StepKind::Skill(call) = &step.kind else { panic!("{step:?}") };
    call
}

/// The template of `inputs.v` of a step.
#[track_caller]
fn value(json: &str) -> Template {
    let step = second(&format!(r#"{{"id":"s","type":"skill","skill":"echo","inputs":{{"v":{json}}}}}"#));
    match &call(&step).inputs {
        Template::Object(members) => members[0].1.clone(),
        Template::Literal(whole) => Template::Literal(
            crate::value::select(whole, &[Segment::Key("v".to_owned())])
                .expect("the inputs have the key `v`"),
        ),
        Template::Reference(_) | Template::Expression(_) | Template::Text(_) | Template::Array(_) => {
            panic!("inputs are an object")
        }
    }
}

#[track_caller]
fn literal(json: &str, expected: &str) {
    let value = value(json);
    let Template::Literal(value) = &value else { panic!("{json} is a literal: {value:?}") };
    assert_eq!(value.as_str(), expected);
}

fn reference(root: Root, path: &[&str], text: &str) -> Reference {
    let path = path.iter().map(|name| Segment::Key((*name).to_owned())).collect();
    Reference { root, path, text: text.to_owned() }
}

fn first() -> Root {
    Root::Step(StepId(0))
}

#[test]
fn literals_stay_byte_for_byte() {
    literal(r#""https://api.example.com""#, r#""https://api.example.com""#);
    literal(r#""api.example.com""#, r#""api.example.com""#);
    literal(r#""first""#, r#""first""#);
    literal(r#""first.data ""#, r#""first.data ""#);
    literal(r#""a $ b $$ {}""#, r#""a $ b $$ {}""#);
    literal(r#""$${first.data} $${""#, r#""${first.data} ${""#);
    literal(
        r#"{ "b" : [1.50, -0, 1E2, null, true] , "a" : "\u00e4\n" }"#,
        r#"{"b":[1.50,-0,1E2,null,true],"a":"ä\n"}"#,
    );
    literal("18446744073709551615", "18446744073709551615");
}

#[test]
fn forced_literals_are_not_read() {
    literal(r#"{"$literal": "first.data"}"#, r#""first.data""#);
    literal(r#"{"$literal": {"$literal": "${x}"}}"#, r#"{"$literal":"${x}"}"#);
}

#[test]
fn references_are_resolved() {
    let check = |text: &str, root: Root, path: &[&str]| {
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(value(&json), Template::Reference(reference(root, path, text)));
    };
    check("first.parsed", first(), &["parsed"]);
    check("first.data", first(), &["data"]);
    check(r#"first["data"].x"#, first(), &["data", "x"]);
    check("context.env", Root::Context, &["env"]);
    check("context.count", Root::Context, &["count"]);
    check("inputs.who", Root::Inputs, &["who"]);
    check("run.id", Root::Run, &["id"]);
    check(r#"steps["first"].outputs.parsed"#, Root::StepRecord(StepId(0)), &["outputs", "parsed"]);
    check("steps.first.status", Root::StepRecord(StepId(0)), &["status"]);
}

#[test]
fn templates_keep_the_type_of_a_single_reference() {
    assert_eq!(
        value(r#""${ first.parsed }""#),
        Template::Reference(reference(first(), &["parsed"], "first.parsed"))
    );
    assert_eq!(value(r#""${env}""#), Template::Reference(reference(Root::Context, &["env"], "env")));
    assert_eq!(value(r#""${inputs}""#), Template::Reference(reference(Root::Inputs, &[], "inputs")));
    let text = |text: &str| Part::Text(text.to_owned());
    let part = |path: &[&str], text: &str| Part::Value(reference(first(), path, text));
    assert_eq!(
        value(r#""a${first.data}b$${c} ${steps['first'].status}""#),
        Template::Text(vec![
            text("a"),
            part(&["data"], "first.data"),
            text("b${c} "),
            Part::Value(reference(Root::StepRecord(StepId(0)), &["status"], "steps['first'].status")),
        ])
    );
    assert_eq!(
        value(r#""${first.data}${first.text}""#),
        Template::Text(vec![part(&["data"], "first.data"), part(&["text"], "first.text")])
    );
}

#[test]
fn references_are_found_below_arrays_and_objects() {
    let Template::Array(elements) = value(r#"[1, {"k": "first.data", "l": 2}]"#) else { panic!("an array") };
    assert!(matches!(&elements[0], Template::Literal(value) if value.as_str() == "1"));
    let Template::Object(members) = &elements[1] else { panic!("an object") };
    assert!(matches!(&members[0].1, Template::Reference(_)));
    assert!(matches!(&members[1].1, Template::Literal(_)));
}

#[test]
fn an_id_with_a_hyphen_is_one_name() {
    let steps = r#"{"id":"a-b","type":"skill","skill":"echo"},
        {"id":"s","type":"skill","skill":"echo","inputs":{"v":"${a-b.data}","w":"a-b.data"}}"#;
    let step = plan(&with_steps(steps)).steps.remove(2);
    let Template::Object(members) = &call(&step).inputs else { panic!("an object") };
    for (_, member) in members {
        assert_eq!(*member, Template::Reference(reference(Root::Step(StepId(1)), &["data"], "a-b.data")));
    }
}

#[test]
fn a_step_has_its_defaults() {
    let step = second(r#"{"id":"s","type":"skill","skill":"echo"}"#);
    assert_eq!((step.timeout, step.idle_timeout, step.grace), (None, None, Duration::from_secs(5)));
    assert_eq!((step.on_crash, step.kill_mode), (OnCrash::Rerun, KillMode::Group));
    assert_eq!(call(&step).sandbox.profile, Profile::Standard);
    assert_eq!(call(&step).inputs, Template::Object(Vec::new()));
}

#[test]
fn the_keys_of_a_step_are_read() {
    let step = second(
        r#"{"id":"s","type":"skill","skill":"echo","name":"S","outputs":["a","b"],"timeout":"1m","idle_timeout":5,
        "grace":"0s","on_crash":"fail","kill_mode":"leader","sandbox":"none","cwd":"${first.text}/x","x-note":1,
        "env":{"A":"first.text","B":"plain"},"async":false,"error_handling":"halt","secrets":[],"trust":"trusted",
        "resource_limits":{"max_memory_mb":2,"max_cpu_percent":50,"max_execution_time":30,"cpu_time":"10s","pids":7,
        "open_files":8,"file_size":"1KiB","scratch":"1MB","output":0,"io_read_bps":1,"io_write_bps":2,
        "enforcement":"required"}}"#,
    );
    assert_eq!(step.outputs, ["a", "b"]);
    assert_eq!(
        step.timeout,
        Some(Duration::from_secs(30)),
        "the tighter of `timeout` and `max_execution_time`"
    );
    assert_eq!((step.idle_timeout, step.grace), (Some(Duration::from_secs(5)), Duration::ZERO));
    assert_eq!((step.on_crash, step.kill_mode), (OnCrash::Fail, KillMode::Leader));
    let call = call(&step);
    assert_eq!(call.sandbox.profile, Profile::None);
    assert_eq!(call.env.len(), 2);
    assert!(matches!(call.cwd, Some(Template::Text(_))));
    let limits = &call.limits;
    assert_eq!((limits.memory, limits.cpu_millis), (Some(Bytes(2 << 20)), Some(500)));
    assert_eq!(
        (limits.cpu_time, limits.pids, limits.open_files),
        (Some(Duration::from_secs(10)), Some(7), Some(8))
    );
    assert_eq!((limits.file_size, limits.scratch), (Some(Bytes(1024)), Some(Bytes(1_000_000))));
    assert_eq!(
        (limits.output, limits.io_read_bps, limits.io_write_bps),
        (Some(Bytes(0)), Some(Bytes(1)), Some(Bytes(2)))
    );
    assert_eq!(limits.enforcement, Enforcement::Required);
}

#[test]
fn the_top_level_is_read() {
    let plan = plan(
        r#"{
        // a comment
        "$schema": "x", "x-team": {}, "name": "all.of-it_1", "version": "1.2.3-rc.1+b", "description": "d",
        "inputs": {"who": {"type": "string", "default": "you", "required": true, "description": "w"}, "any": {}},
        "context": {"readonly": {"a": [1, 2]}, "mutable": {"n": 0}},
        "steps": [{"id": "1st", "type": "skill", "skill": "echo", "inputs": {"v": "inputs.who"}}],
        "outputs": {"b": "1st.v", "a": 1},
        "error_handling": {"default": "halt"}, "sandbox": "none",
        "resource_limits": {"memory": "1GiB", "cpu": 1.5, "max_execution_time": "1h", "max_concurrent_steps": 3},
        "triggers": [{"type": "manual"}, {"type": "schedule", "cron": "0 9 * * *", "timezone": "UTC", "catch_up": "none",
            "overlap": "skip", "enabled": false, "inputs": {}}],
        }"#,
    );
    assert_eq!((plan.name.as_str(), plan.version.as_str()), ("all.of-it_1", "1.2.3-rc.1+b"));
    assert_eq!(plan.root, [StepId(0)]);
    let who = &plan.inputs["who"];
    assert_eq!((who.kind, who.required, who.secret), (Some(InputType::String), true, false));
    assert_eq!(who.default.as_ref().map(schemas::json::Json::as_str), Some("\"you\""));
    assert_eq!(plan.inputs["any"].kind, None);
    assert_eq!(plan.readonly["a"].as_str(), "[1,2]");
    assert_eq!(plan.mutable["n"].as_str(), "0");
    let names: Vec<_> = plan.outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b", "a"], "outputs keep the order of the file");
    assert_eq!(plan.outputs[0].1, Template::Reference(reference(first(), &["v"], "1st.v")));
    assert_eq!((plan.limits.memory, plan.limits.cpu_millis), (Some(Bytes(1 << 30)), Some(1500)));
    assert_eq!(plan.limits.max_concurrent_steps, Some(3));
    assert_eq!(plan.timeout, Some(Duration::from_hours(1)));
    assert_eq!(call(&plan.steps[0]).sandbox.profile, Profile::None);
}

#[test]
fn the_tightest_of_step_and_manifest_wins() {
    let mut catalog = super::catalog();
    let entry = catalog.skills.get_mut("echo").unwrap();
    entry.limits = crate::plan::Limits { memory: Some(Bytes(100)), pids: Some(9), ..Default::default() };
    entry.timeout = Some(Duration::from_secs(10));
    entry.idle_timeout = Some(Duration::from_secs(3));
    entry.grace = Some(Duration::from_secs(2));
    entry.sandbox.profile = Some(Profile::None);
    entry.idempotent = false;
    let text = with_steps(
        r#"{"id":"s","type":"skill","skill":"echo","timeout":"20s","idle_timeout":"4s","resource_limits":{"memory":200,"pids":3}},
        {"id":"t","type":"skill","skill":"echo","timeout":"5s","idle_timeout":"1s","grace":"9s","sandbox":"standard","on_crash":"rerun"}"#,
    );
    let definition = crate::load::load(text.as_bytes(), crate::load::Syntax::Json).unwrap();
    let plan = crate::check::check(&definition, &catalog).0.unwrap();
    let (s, t) = (&plan.steps[1], &plan.steps[2]);
    assert_eq!((call(s).limits.memory, call(s).limits.pids), (Some(Bytes(100)), Some(3)));
    assert_eq!((s.timeout, t.timeout), (Some(Duration::from_secs(10)), Some(Duration::from_secs(5))));
    assert_eq!(
        (s.idle_timeout, t.idle_timeout),
        (Some(Duration::from_secs(3)), Some(Duration::from_secs(1)))
    );
    assert_eq!(
        (s.grace, t.grace),
        (Duration::from_secs(2), Duration::from_secs(9)),
        "the step's own, if any"
    );
    assert_eq!((call(s).sandbox.profile, call(t).sandbox.profile), (Profile::None, Profile::Standard));
    assert_eq!((s.on_crash, t.on_crash), (OnCrash::Fail, OnCrash::Rerun));
}

#[test]
fn a_mark_at_the_start_is_not_counted() {
    let text = format!("\u{feff}{}", with_steps(r#"{"id":"s","type":"skill","skill":"echo"}"#));
    assert_eq!(plan(&text).steps.len(), 2);
    let text = "\u{feff}{\"nam\": 1}";
    assert!(super::problems(text, crate::load::Syntax::Json).contains("E012 1:2-1:7 \"/nam\""));
}

#[test]
fn the_skills_of_all_steps_are_listed() {
    let text =
        with_steps(r#"{"id":"p","type":"parallel","steps":[{"id":"c","type":"skill","skill":"process-a"}]}"#);
    let definition = crate::load::load(text.as_bytes(), crate::load::Syntax::Json).unwrap();
    assert_eq!(definition.skills(), ["json-parse", "process-a"]);
    assert_eq!(definition.name(), Some("t"));
}

#[test]
fn a_plan_within_a_ceiling_is_held_to_what_is_tighter() {
    let limited =
        |limits: &str| format!(r#"{{"id":"s","type":"skill","skill":"echo","resource_limits":{limits}}}"#);
    let ceiling = Limits { memory: Some(Bytes(64 << 20)), cpu_millis: Some(500), ..Limits::default() };
    let check = |limits: &str, memory: u64, cpu_millis: u32| {
        let held = plan(&with_steps(&limited(limits))).within(&ceiling);
        let step = &call(&held.steps[1]).limits;
        assert_eq!((step.memory, step.cpu_millis), (Some(Bytes(memory << 20)), Some(cpu_millis)), "{limits}");
        assert_eq!((held.limits.memory, held.limits.cpu_millis), (Some(Bytes(64 << 20)), Some(500)));
    };
    check("{}", 64, 500);
    check(r#"{"memory":"32MiB","cpu":2.0}"#, 32, 500);
    check(r#"{"memory":"1GiB","cpu":0.25}"#, 64, 250);
    let free = plan(&with_steps(&limited(r#"{"pids":7}"#)));
    assert_eq!(free.within(&Limits::default()), free, "no ceiling changes nothing");
}
