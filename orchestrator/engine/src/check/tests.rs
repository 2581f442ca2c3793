//! Tests of the whole way from text to plan.

mod agents;
mod agreement;
mod assign;
mod broken;
mod control;
mod corpus;
mod generated;
mod hostile;
mod order;
mod pages;
mod places;
mod plans;
mod secrets;
mod skills;
mod spec;
mod strategies;
mod trust;
mod types;
mod words;
mod workflows;
mod yaml;

use std::{fmt::Write as _, sync::Arc};

use schemas::{json::Json, skill::Protocol};

use super::{AgentEntry, Agents, Catalog, Library, LibraryFile, Named, SkillEntry, check_with};
use crate::{
    diagnostic::{Diagnostic, LineIndex, Severity},
    load::{Syntax, load},
    plan::{ExternalSkill, Needs, Plan, SkillTarget},
};

/// A few skills with schemas as the built-in ones have them.
fn catalog() -> Catalog {
    let closed = r#"{"type":"object","additionalProperties":false,"properties":{"response":{},"status":{}}}"#;
    let http = r##"{"type":"object","additionalProperties":false,"required":["url"],"properties":{
        "url":{"type":"string"},"timeout":{"$ref":"#/$defs/time"},"headers":{"type":"object"}},
        "$defs":{"time":{"type":["integer","string"]}}}"##;
    let parse = r#"{"type":"object","additionalProperties":false,"required":["data"],"properties":{
        "data":{},"pointer":{"type":"string"}}}"#;
    let parsed = r#"{"type":"object","properties":{"parsed":{}}}"#;
    let path = r#"{"type":"object","properties":{"path":{"type":"string"}}}"#;
    let typed = r#"{"type":"object","required":["status","name"],"properties":{"status":{"type":"integer"},
        "name":{"type":"string"},"maybe":{"type":["boolean","null"]},"any":{}}}"#;
    let skills = [
        ("echo", None, None),
        ("set-context", None, None),
        ("http-get", Some(http), Some(closed)),
        ("json-parse", Some(parse), Some(parsed)),
        ("typed", None, Some(typed)),
        ("file-exists", Some(path), None),
        ("process-file", Some(path), None),
        ("process-a", None, None),
        ("process-b", None, None),
        ("log-error", None, None),
        ("deploy", None, None),
    ];
    let json = |text: Option<&str>| text.map(|text| Json::parse(text).unwrap());
    let entry = |inputs, outputs| SkillEntry {
        inputs: json(inputs),
        outputs: json(outputs),
        ..SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing })
    };
    let external = [("count-words", Protocol::JsonStdio1), ("say-text", Protocol::Text)];
    let external =
        external.map(|(name, protocol)| (name.to_owned(), SkillEntry::new(external_skill(name, protocol))));
    Catalog {
        skills: skills
            .into_iter()
            .map(|(name, inputs, outputs)| (name.to_owned(), entry(inputs, outputs)))
            .chain(external)
            .collect(),
        searched: vec!["./skills".to_owned(), "built in".to_owned()],
        broken: [("build", "./skills/build/skill.json: missing field `command`")].map(owned).into(),
        hidden: [("deploy", "./skills/deploy/skill.json is taken, and hides another")].map(owned).into(),
        only_text: [("review", "./skills/review")].map(owned).into(),
        agents: agents(),
    }
}

/// A skill with a manifest.
fn external_skill(name: &str, protocol: Protocol) -> SkillTarget {
    SkillTarget::External(ExternalSkill {
        description: Some("counts".to_owned()),
        folder: format!("/skills/{name}"),
        command: vec![format!("/skills/{name}/run")],
        protocol,
        parse_json: false,
        events: false,
        outputs: None,
        inputs: None,
        env: Vec::new(),
        idempotent: true,
    })
}

/// A few agents, as the orchestrator finds them.
fn agents() -> Agents {
    let entry = |(name, text): (&str, &str)| {
        let file = serde_json::from_str(text).unwrap();
        (name.to_owned(), AgentEntry { file: Arc::new(file), folder: Some("/agents".to_owned()) })
    };
    let known = [
        ("code-analyzer", r#"{"tools":["fs_read","glob","grep"],"allowedTools":["fs_read"]}"#),
        ("reviewer", r#"{"guardrails":{"max_iterations":5,"timeout":"60s","allowed_tools":["fs_read"]}}"#),
    ];
    Agents {
        known: known.map(entry).into(),
        searched: vec!["./agents".to_owned(), "built in".to_owned()],
        broken: [("torn", "./agents/torn.json: the file ends too early")].map(owned).into(),
        hidden: [("reviewer", "./agents/reviewer.json is taken, and hides another")].map(owned).into(),
    }
}

fn owned((name, text): (&str, &str)) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

/// Loads and checks. The skills that the definition holds itself take and give anything.
fn checked(text: &[u8], syntax: Syntax) -> (Option<Plan>, Vec<Diagnostic>) {
    match load(text, syntax) {
        Ok(definition) => {
            let mut catalog = catalog();
            let inline = definition.inline_skills().into_iter().filter(|(_, manifest)| manifest.is_some());
            catalog.skills.extend(inline.map(|(name, _)| {
                let entry = SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing });
                (name.to_owned(), entry)
            }));
            let greet = include_str!("tests/greet.json");
            let library = library(&[("greet.json", greet), ("broken.json", r#"{"name":"x"}"#)]);
            let checked = check_with(&definition, &catalog, &library);
            (checked.plan, checked.diagnostics)
        }
        Err(diagnostics) => (None, diagnostics),
    }
}

/// Files that may call each other, and the definition at the top as `top.json`.
fn library(files: &[(&str, &str)]) -> Library {
    let names = || {
        let files = files.iter().zip(0..).map(|((name, _), index)| ((*name).to_owned(), Named::File(index)));
        files.chain([("top.json".to_owned(), Named::Top)]).collect()
    };
    let file = |(name, text): &(&str, &str)| {
        Arc::new(LibraryFile {
            name: (*name).to_owned(),
            definition: load(text.as_bytes(), Syntax::Json),
            catalog: catalog(),
            names: names(),
        })
    };
    Library { names: names(), files: files.iter().map(file).collect() }
}

/// Diagnostics as text, one a line and its hint, note and suggestion below it.
fn rendered(text: &str, diagnostics: &[Diagnostic]) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let lines = LineIndex::new(text);
    let at = |offset| {
        let position = lines.position(offset);
        format!("{}:{}", position.line, position.column)
    };
    let mut out = String::new();
    for diagnostic in diagnostics {
        let Diagnostic { code, span, pointer, message, .. } = diagnostic;
        writeln!(out, "{code} {}-{} {pointer:?} {message}", at(span.start), at(span.end)).unwrap();
        if let Some(hint) = &diagnostic.hint {
            writeln!(out, "  hint: {hint}").unwrap();
        }
        if let Some((span, note)) = &diagnostic.note {
            writeln!(out, "  note: {} {note}", at(span.start)).unwrap();
        }
        if let Some(suggestion) = &diagnostic.suggestion {
            let old = &text[suggestion.span.clone()];
            writeln!(out, "  suggestion: {} {old} -> {}", at(suggestion.span.start), suggestion.replacement)
                .unwrap();
        }
    }
    out
}

/// What is wrong with a text; a plan is there exactly when no error is.
#[track_caller]
fn problems(text: &str, syntax: Syntax) -> String {
    let (plan, diagnostics) = checked(text.as_bytes(), syntax);
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    assert_eq!(plan.is_some(), errors == 0, "a plan exactly without errors: {diagnostics:?}");
    rendered(text, &diagnostics)
}

/// The plan of a text that is right.
#[track_caller]
fn plan(text: &str) -> Plan {
    let (plan, diagnostics) = checked(text.as_bytes(), Syntax::Jsonc);
    assert_eq!(rendered(text, &diagnostics), "");
    plan.unwrap()
}

/// A definition with these steps and one step before them: `first`, a `json-parse`.
fn with_steps(steps: &str) -> String {
    format!(
        r#"{{"name":"t","version":"1.0.0","context":{{"readonly":{{"env":"dev"}},"mutable":{{"count":0}}}},
"inputs":{{"who":{{"type":"string","default":"you"}}}},
"steps":[{{"id":"first","type":"skill","skill":"json-parse","inputs":{{"data":"1"}}}},
{steps}]}}"#
    )
}
