//! `schema`: the JSON Schemas (2020-12) of everything that people write or programs read.

use clap::ValueEnum;
use schemars::{JsonSchema, generate::SchemaSettings};
use schemas::{
    config::Config,
    definition,
    events::RunEvent,
    exit_code::ExitCode,
    output::{
        agents::{AgentListing, ShownAgent},
        daemon::DaemonStatus,
        doctor::Doctor,
        eval::{Answer, AnswerLine},
        explain::Explanation,
        graph::Graph,
        history::History,
        list::Listing,
        log::LogLine,
        notice::Notice,
        plan::DryRun,
        schedules::{Fires, ScheduleListing},
        skills::{ShownSkill, SkillList},
        validate::Validation,
    },
    schedule::{FireRecord, Schedules},
    view::RunView,
};
use serde_json::Value;

use super::output;
use crate::errors::Result;

/// Print the JSON Schema of a file or of what a command prints.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow schema > workflow.schema.json\n  \
    q workflow schema state")]
pub(super) struct Arguments {
    /// Of what.
    #[arg(value_name = "NAME", value_enum, default_value_t = Name::Definition)]
    name: Name,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// A workflow definition.
    Definition,
    /// A skill's manifest, skill.json.
    Skill,
    /// The settings of a home, config.json.
    Config,
    /// The file of an agent.
    Agent,
    /// The run view: run --json, status --json, state.json.
    State,
    /// A line of run --events.
    Events,
    /// A line of logs --json.
    Logs,
    /// validate --json.
    Validate,
    /// list --json.
    List,
    /// skills list --json.
    Skills,
    /// skills show --json.
    SkillShow,
    /// schedules.json.
    Schedule,
    /// schedule list --json.
    Schedules,
    /// schedule next --json.
    Fires,
    /// What became of a fire: an event of the daemon's socket, a line of fires.jsonl.
    Fired,
    /// daemon status --json.
    Daemon,
    /// agents list --json.
    Agents,
    /// agents show --json.
    AgentShow,
    /// history --json.
    History,
    /// explain --json.
    Explain,
    /// graph --json.
    Graph,
    /// doctor --json.
    Doctor,
    /// eval --json.
    Eval,
    /// A line of eval --batch.
    EvalBatch,
    /// run --dry-run --json.
    Plan,
    /// What notify of config.json tells.
    Notice,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    output::json(&schema(arguments.name))?;
    Ok(ExitCode::Done)
}

fn schema(name: Name) -> Value {
    match name {
        Name::Definition => definition::json_schema(),
        Name::Skill => definition::json_schema_of(&definition::skill::MANIFEST),
        Name::Skills => printed::<SkillList>(),
        Name::SkillShow => printed::<ShownSkill>(),
        Name::Config => written::<Config>(),
        Name::Agent => definition::json_schema_of(&definition::agent::AGENT),
        Name::State => printed::<RunView>(),
        Name::Events => printed::<RunEvent>(),
        Name::Logs => printed::<LogLine>(),
        Name::Validate => printed::<Validation>(),
        Name::List => printed::<Listing>(),
        Name::Schedule => written::<Schedules>(),
        Name::Schedules => printed::<ScheduleListing>(),
        Name::Fires => printed::<Fires>(),
        Name::Fired => printed::<FireRecord>(),
        Name::Daemon => printed::<DaemonStatus>(),
        Name::Agents => printed::<AgentListing>(),
        Name::AgentShow => printed::<ShownAgent>(),
        Name::History => printed::<History>(),
        Name::Explain => printed::<Explanation>(),
        Name::Graph => printed::<Graph>(),
        Name::Doctor => printed::<Doctor>(),
        Name::Eval => printed::<Answer>(),
        Name::EvalBatch => printed::<AnswerLine>(),
        Name::Plan => printed::<DryRun<'_>>(),
        Name::Notice => printed::<Notice<'_>>(),
    }
}

/// The schema of what people write.
fn written<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>().into()
}

/// The schema of what q prints.
fn printed<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::reference::{check_fresh, page};

    #[test]
    fn the_schemas_of_the_repository_are_these() {
        for name in Name::value_variants() {
            let word = name.to_possible_value().expect("none is hidden").get_name().to_owned();
            let text = serde_json::to_string_pretty(&schema(*name)).unwrap() + "\n";
            check_fresh(&format!("schemas/json/{word}.json"), &text);
        }
    }

    #[test]
    fn the_page_for_programs_has_them_all() {
        let mut text = String::from(include_str!("schema/for-programs.md"));
        text.push_str("\n| name | of what |\n|---|---|\n");
        for name in Name::value_variants() {
            let value = name.to_possible_value().expect("none is hidden");
            let about = value.get_help().expect("each says of what").to_string();
            text.extend(["| `", value.get_name(), "` | ", &about, " |\n"]);
        }
        check_fresh("docs/reference/for-programs.md", &page("For programs", &text));
    }

    #[test]
    fn every_schema_is_one() {
        for name in Name::value_variants() {
            let schema = schema(*name);
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name:?}");
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        }
    }
}
