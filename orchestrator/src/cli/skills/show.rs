//! `skills show`: one skill, with the schemas of its inputs and of its result.

use std::{fmt::Write as _, path::PathBuf};

use schemas::{
    exit_code::ExitCode,
    json::Json,
    output::{SCHEMA_VERSION, skills::ShownSkill},
    skill::Manifest,
};
use serde::Serialize;

use crate::{
    catalog::list::{Callable, What},
    cli::output,
    errors::Result,
    store::home::Home,
    ui,
};

/// Show a skill: what it does, what it takes and what it gives.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow skills show http-get\n  \
    q workflow skills show http-get --json")]
pub(super) struct Arguments {
    /// Name of the skill.
    #[arg(value_name = "NAME")]
    name: String,
    /// A folder of skills that is searched first.
    #[arg(long, value_name = "DIR")]
    skills_dir: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let all = super::all(home, arguments.skills_dir.as_deref())?;
    let skill = super::find(&all, &arguments.name)?;
    let shown = describe(skill);
    if arguments.json {
        output::json(&shown)?;
    } else {
        output::text(&drawn(&shown))?;
    }
    Ok(ExitCode::Done)
}

/// The version of a skill; of a built-in one that of q.
pub(super) fn version(what: &What) -> Option<String> {
    match what {
        What::BuiltIn(_) => Some(env!("CARGO_PKG_VERSION").to_owned()),
        What::External { manifest, .. } => manifest.version.clone(),
    }
}

/// What a skill does.
pub(super) fn description(what: &What) -> Option<String> {
    match what {
        What::BuiltIn(skill) => Some(skill.description.to_owned()),
        What::External { manifest, .. } => manifest.description.clone(),
    }
}

fn describe(skill: &Callable) -> ShownSkill {
    let whole = ShownSkill {
        schema_version: SCHEMA_VERSION,
        name: skill.name.clone(),
        version: version(&skill.what),
        description: description(&skill.what),
        source: skill.source,
        path: None,
        command: None,
        protocol: None,
        parse: None,
        inputs: None,
        outputs: None,
        limits: None,
        sandbox: None,
        env: std::collections::BTreeMap::new(),
        events: false,
        idempotent: true,
    };
    match &skill.what {
        What::BuiltIn(builtin) => ShownSkill {
            inputs: Json::parse(builtin.inputs).ok(),
            outputs: Json::parse(builtin.outputs).ok(),
            idempotent: builtin.idempotent,
            ..whole
        },
        What::External { path, manifest } => {
            let path = Some(path.to_string_lossy().into_owned());
            ShownSkill { path, ..of_manifest(manifest, whole) }
        }
    }
}

fn of_manifest(manifest: &Manifest, whole: ShownSkill) -> ShownSkill {
    ShownSkill {
        command: Some(manifest.command.clone()),
        protocol: word(&manifest.protocol),
        parse: manifest.parse.as_ref().and_then(word),
        inputs: manifest.inputs.clone(),
        outputs: manifest.outputs.clone(),
        limits: manifest.limits.as_ref().and_then(|limits| Json::from_serialize(limits).ok()),
        sandbox: manifest.sandbox.clone(),
        env: manifest.env.clone(),
        events: manifest.events,
        idempotent: manifest.idempotent,
        ..whole
    }
}

/// The word of an enum in files.
fn word(value: &impl Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// The skill for people: what is said first, then the two schemas.
fn drawn(skill: &ShownSkill) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let mut line = |name: &str, value: &str| {
        let _infallible = writeln!(text, "{name:<12}{}", ui::text::escape(value));
    };
    line("skill", &skill.name);
    for (name, value) in
        [("version", &skill.version), ("does", &skill.description), ("manifest", &skill.path)]
    {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("from", skill.source.as_str());
    if let Some(command) = &skill.command {
        line("command", &serde_json::to_string(command).unwrap_or_default());
    }
    for (name, value) in [("protocol", &skill.protocol), ("parse", &skill.parse)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    for (name, value) in [("limits", &skill.limits), ("sandbox", &skill.sandbox)] {
        if let Some(value) = value {
            line(name, value.as_str());
        }
    }
    if skill.events {
        line("events", "on descriptor 3");
    }
    if !skill.idempotent {
        line("idempotent", "no: after a crash of the engine it is not run again");
    }
    for (name, schema) in [("inputs", &skill.inputs), ("result", &skill.outputs)] {
        let schema = schema.as_ref().map_or_else(|| "any".to_owned(), pretty);
        let _infallible = write!(text, "\n{name}\n{schema}\n");
    }
    text
}

fn pretty(schema: &Json) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(schema.as_str()).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_default()
}
