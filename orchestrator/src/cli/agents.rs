//! `agents`: the agents that can be found from here, one of them as it stands, and what is wrong with their files.

use std::path::{Path, PathBuf};

use schemas::{
    agent::Kind,
    exit_code::ExitCode,
    json::Json,
    output::{
        SCHEMA_VERSION,
        agents::{AgentListing, ListedAgent, ShownAgent},
        validate::Validation,
    },
};
use workflow_engine::{
    diagnostic::Severity,
    load::{self, nearest},
};

use super::{output, validate};
use crate::{
    agents::{self, BUILT_IN, Found},
    errors::{CommandError, Result},
    store::{home::Home, names::SafeName},
    ui::{
        self, diagnostics,
        table::{Cell, Table},
        terminal,
    },
};

/// List, show and validate agents.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow agents list\n  \
    q workflow agents show code-analyzer\n  \
    q workflow agents validate agents/reviewer.json")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the agents that can be found from here.
    #[command(after_help = "Example:\n  q workflow agents list --json")]
    List {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show the agent that a name stands for.
    #[command(after_help = "Example:\n  q workflow agents show code-analyzer")]
    Show {
        /// Its name.
        name: String,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show everything that is wrong with the files of agents.
    #[command(after_help = "Example:\n  q workflow agents validate agents/reviewer.json")]
    Validate {
        /// Files, or names of agents; all that can be found where none is given.
        #[arg(value_name = "FILE|NAME")]
        agents: Vec<String>,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let here = std::env::current_dir().map_err(|error| output::engine_error(&error))?;
    let places = agents::places(Some(&here), home);
    match &arguments.command {
        Command::List { json } => list(&places, *json),
        Command::Show { name, json } => show(name, &places, *json),
        Command::Validate { agents, json } => check(agents, &places, *json),
    }
}

fn list(places: &[PathBuf], json: bool) -> Result {
    let names = agents::all_names(places);
    let agents: Vec<_> =
        names.iter().filter_map(|name| Some(listed(name, places, &agents::find(name, places)?))).collect();
    if json {
        output::json(&AgentListing { schema_version: SCHEMA_VERSION, agents })?;
        return Ok(ExitCode::Done);
    }
    let mut table = Table::new(vec!["AGENT", "KIND", "WHERE", "DESCRIPTION"], 3);
    for agent in agents {
        let kind = agent.kind.unwrap_or_else(|| "(not valid)".to_owned());
        let place = agent.path.unwrap_or_else(|| BUILT_IN.to_owned());
        let description = agent.description.unwrap_or_default();
        table.row([agent.name, kind, place, description].iter().map(|text| Cell::new(text)).collect());
    }
    output::text(&table.render(terminal::width()))?;
    Ok(ExitCode::Done)
}

fn listed(name: &SafeName, places: &[PathBuf], found: &Found) -> ListedAgent {
    let file = found.file.as_ref();
    ListedAgent {
        name: name.to_string(),
        description: file.and_then(|file| file.description.clone()),
        kind: file.map(|file| file.kind.unwrap_or(Kind::Builtin).to_string()),
        model: file.and_then(|file| file.model.clone()),
        path: found.path.as_deref().map(output::shown),
        hides: agents::standing(name, places).iter().skip(1).map(|path| output::shown(path)).collect(),
        valid: file.is_some(),
    }
}

fn show(name: &str, places: &[PathBuf], json: bool) -> Result {
    let (name, found) = named(name, places)?;
    let text = String::from_utf8_lossy(&found.text).into_owned();
    let agent = listed(&name, places, &found);
    if json {
        let file = Json::parse(&text).ok();
        output::json(&ShownAgent { schema_version: SCHEMA_VERSION, agent, file })?;
    } else {
        ui::say(&format!("{}\n", agent.path.as_deref().unwrap_or(BUILT_IN)));
        let lines: Vec<_> = text.trim_end().lines().map(ui::text::escape).collect();
        output::text(&(lines.join("\n") + "\n"))?;
    }
    Ok(if found.file.is_some() { ExitCode::Done } else { ExitCode::Invalid })
}

fn named(name: &str, places: &[PathBuf]) -> Result<(SafeName, Found)> {
    let safe = name.parse::<SafeName>().ok();
    let found = safe.and_then(|safe| Some((safe.clone(), agents::find(&safe, places)?)));
    found.ok_or_else(|| {
        let searched: Vec<_> = places.iter().map(|place| output::shown(place)).collect();
        let known = agents::all_names(places);
        let near = nearest(name, known.iter().map(SafeName::as_str));
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        CommandError::new(ExitCode::NotFound, format!("there is no agent `{name}`"))
            .hint(format!("{near}searched: {}, {BUILT_IN}", searched.join(", ")))
    })
}

fn check(given: &[String], places: &[PathBuf], json: bool) -> Result {
    let mut found = Vec::new();
    for name in given {
        let path = Path::new(name);
        found.push(if path.is_file() { agents::read(path.to_owned()) } else { named(name, places)?.1 });
    }
    if given.is_empty() {
        found.extend(agents::all_names(places).iter().filter_map(|name| agents::find(name, places)));
    }
    let has_errors =
        |found: &Found| found.diagnostics.iter().any(|problem| problem.severity == Severity::Error);
    let valid = !found.iter().any(has_errors);
    if json {
        let file = |found: &Found| validate::described(shown(found), &found.text, &found.diagnostics);
        let files = found.iter().map(file).collect();
        output::json(&Validation { schema_version: SCHEMA_VERSION, valid, files })?;
    } else {
        for found in &found {
            let (file, text) = (shown(found), load::display_text(&found.text));
            let drawn = diagnostics::render(&file, &text, &found.diagnostics);
            let count = diagnostics::count(&found.diagnostics).unwrap_or_else(|| "no problems".to_owned());
            output::text(&format!("{drawn}{file}: {count}\n"))?;
        }
    }
    Ok(if valid { ExitCode::Done } else { ExitCode::Invalid })
}

fn shown(found: &Found) -> String {
    found.path.as_deref().map_or_else(|| BUILT_IN.to_owned(), output::shown)
}
