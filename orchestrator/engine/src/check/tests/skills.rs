//! Manifests of skills: what is said about them in a file of their own and inside a definition.

use insta::assert_snapshot;
use schemas::skill::{Parse, Protocol, Quantity};

use super::{problems, rendered};
use crate::{
    check::check_skill,
    load::{Syntax, load, load_skill},
};

#[track_caller]
fn manifest(text: &str) -> String {
    let (manifest, diagnostics) = match load_skill(text.as_bytes()) {
        Ok(file) => check_skill(&file),
        Err(diagnostics) => (None, diagnostics),
    };
    assert_eq!(manifest.is_some(), diagnostics.is_empty(), "a manifest exactly without problems");
    rendered(text, &diagnostics)
}

/// A definition that holds these skills and calls the first, `mine`.
#[track_caller]
fn inline(skills: &str) -> String {
    let text = format!(
        r#"{{"name":"t","version":"1.0.0","steps":[{{"id":"a","type":"skill","skill":"mine"}}],
"skills":{skills}}}"#
    );
    problems(&text, Syntax::Json)
}

#[test]
fn whole_manifests_are_read() {
    let text = r#"{"$schema":"s","x-owner":"me","name":"a","version":"1.0.0","description":"d",
        "command":["./run.sh","${inputs.n}"],"protocol":"text","parse":"json",
        "inputs":{"type":"object","properties":{"n":{"x-unit":"s"}},"additionalProperties":false},
        "outputs":true,"limits":{"timeout":"5s","memory":1024,"cpu":0.5,"x-why":"enough"},
        "sandbox":{"network":"host","env":["A"]},"env":{"N":"${inputs.n}"},"events":true,"idempotent":false}"#;
    let (read, diagnostics) = check_skill(&load_skill(text.as_bytes()).unwrap());
    assert_eq!(rendered(text, &diagnostics), "");
    let read = read.unwrap();
    assert_eq!((read.name.as_str(), read.protocol, read.parse), ("a", Protocol::Text, Some(Parse::Json)));
    assert_eq!(read.limits.unwrap().timeout, Some(Quantity::Text("5s".to_owned())));
    assert!(read.inputs.unwrap().as_str().contains("x-unit"), "schemas are taken as they are");
    assert_eq!((read.events, read.idempotent), (true, false));
}

#[test]
fn every_problem_of_a_manifest_has_its_place() {
    assert_snapshot!(manifest("[]"), @r#"E010 1:1-1:3 "" a manifest is an object, this is an array"#);
    assert_snapshot!(manifest(r#"{"name":"a","comand":["x"],"limits":{"timeout":0,"max_concurrent_steps":1},
"protocol":"xml","version":"1","env":{"LD_PRELOAD":"x"},"inputs":5}"#), @r#"
    E012 1:13-1:21 "/comand" the key `comand` is not known here
      hint: did you mean `command`?
      suggestion: 1:14 comand -> command
    E018 1:48-1:49 "/limits/timeout" `timeout` must be longer than 0
    E012 1:50-1:72 "/limits/max_concurrent_steps" the key `max_concurrent_steps` is not known here
      hint: known keys: `cpu`, `cpu_time`, `enforcement`, `file_size`, `grace`, `idle_timeout`, `io_read_bps`, `io_write_bps`, `max_cpu_percent`, `max_execution_time`, `max_memory_mb`, `memory`, `open_files`, `output`, `pids`, `scratch`, `timeout`; keys that begin with `x-` are free
    E013 2:12-2:17 "/protocol" `xml` is not a value of `protocol`
      hint: one of `json-stdio@1`, `text`
    E015 2:28-2:31 "/version" `1` is no semantic version: unexpected end of input while parsing major version number
      hint: three numbers, as in `1.0.0`
    E022 2:39-2:51 "/env/LD_PRELOAD" `LD_PRELOAD` cannot be set
      hint: variables of the dynamic loader are never passed on
    E010 2:66-2:67 "/inputs" `inputs` must be an object, or `true` or `false`, this is a number
    "#);
    assert_snapshot!(manifest(r#"{"name":"a","command":["","a\u0000b"],"parse":"json"}"#), @r#"
    E028 1:24-1:26 "/command/0" the program has no name
    E028 1:27-1:37 "/command/1" no argument can hold a NUL character
    E024 1:39-1:46 "/parse" `parse` has no meaning with the protocol `json-stdio@1`
      hint: what such a program prints is JSON; `parse` belongs to `"protocol": "text"`
    "#);
}

#[test]
fn schemas_must_be_schemas() {
    assert_snapshot!(manifest(r#"{"name":"a","command":["x"],"inputs":{"type":"objekt"},
"outputs":{"properties":{"n":{"minimum":"0"}}}}"#), @r#"
    E026 1:46-1:54 "/inputs/type" `inputs` is no JSON Schema: the value is not valid under any of the schemas listed in the 'anyOf' keyword
      hint: a schema is checked by JSON Schema 2020-12, and can refer to nothing outside itself
    E026 2:41-2:44 "/outputs/properties/n/minimum" `outputs` is no JSON Schema: the value is not of type "number"
      hint: a schema is checked by JSON Schema 2020-12, and can refer to nothing outside itself
    "#);
    let elsewhere = manifest(r#"{"name":"a","command":["x"],"inputs":{"$ref":"file:///etc/hostname"}}"#);
    assert!(elsewhere.starts_with("E026 1:38-"), "{elsewhere}");
}

#[test]
fn templates_name_inputs_that_there_are() {
    assert_snapshot!(manifest(r#"{"name":"a","protocol":"text","command":["x","${inputs.nmae}","${context.x}","${inputs"],
"env":{"A":"inputs.other"},
"inputs":{"type":"object","properties":{"name":{}},"additionalProperties":false}}"#), @r#"
    E027 1:46-1:62 "/command/1" the skill has no input `nmae`
      hint: did you mean `inputs.name`?
    E027 1:63-1:77 "/command/2" `context.x` is no reference to `inputs`
      hint: a template names inputs, as in `${inputs.name}`; `$${` is a literal `${`
    E027 1:78-1:88 "/command/3" `${` is never closed in `${inputs`
      hint: a template names inputs, as in `${inputs.name}`; `$${` is a literal `${`
    E027 2:12-2:26 "/env/A" the skill has no input `other`
      hint: its inputs: `name`
    "#);
    let open = r#"{"name":"a","protocol":"text","command":["x","${inputs.any}"],"inputs":{"type":"object"}}"#;
    assert_eq!(manifest(open), "");
    let plain = r#"{"name":"a","command":["x","${inputs.nmae}"],"inputs":{"additionalProperties":false}}"#;
    assert_eq!(manifest(plain), "", "with json-stdio@1 arguments are no templates");
}

#[test]
fn definitions_hold_skills() {
    assert_snapshot!(inline(r#"{"mine":{"command":["./x"]}}"#), @"");
    assert_snapshot!(inline(r#"{"mine":{"command":["./x"],"name":"other"}}"#), @r#"
    W045 2:44-2:51 "/skills/mine/name" steps call this skill `mine`
      hint: the key under which it stands is its name: `name` can be left out
    "#);
    assert_snapshot!(inline(r#"{"mine":{"comand":["./x"]},"second":{"command":["x"],"outputs":{"type":1}}}"#), @r#"
    E012 2:19-2:27 "/skills/mine/comand" the key `comand` is not known here
      hint: did you mean `command`?
      suggestion: 2:20 comand -> command
    E026 2:81-2:82 "/skills/second/outputs/type" `outputs` is no JSON Schema: the value is not valid under any of the schemas listed in the 'anyOf' keyword
      hint: a schema is checked by JSON Schema 2020-12, and can refer to nothing outside itself
    "#);
}

#[test]
fn inline_skills_have_the_name_of_their_key() {
    let text = r#"{"name":"t","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"b"}],
        "skills":{"b":{"command":["x"],"name":"other"},"c":{"command":5}}}"#;
    let definition = load(text.as_bytes(), Syntax::Json).unwrap();
    let skills = definition.inline_skills();
    let names: Vec<_> =
        skills.iter().map(|(key, read)| (*key, read.as_ref().map(|read| read.name.as_str()))).collect();
    assert_eq!(names, [("b", Some("b")), ("c", None)]);
}

#[test]
fn texts_for_models_cannot_be_called() {
    let text = r#"{"name":"t","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"review"}]}"#;
    assert_snapshot!(problems(text, Syntax::Json), @r#"
    E040 1:73-1:81 "/steps/0/skill" the skill `review` cannot be called: ./skills/review has only a SKILL.md
      hint: a SKILL.md is a text for models; a skill that steps can call has a skill.json
    "#);
}
