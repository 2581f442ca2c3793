//! `list`: runs by the index, newest first, and stored definitions.

mod definitions;
mod table;

use jiff::{Timestamp, tz::TimeZone};
use schemas::{
    exit_code::ExitCode,
    output::{
        SCHEMA_VERSION,
        list::{ListedRun, Listing},
    },
    view::RunStatus,
};

use super::output;
use crate::{
    errors::{CommandError, Result},
    fold,
    store::{
        home::Home,
        index::{Entry, Filter, Index},
    },
    ui::terminal,
};

/// List runs, newest first, and stored definitions.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow list\n  \
    q workflow list --status failed --since 1d\n  \
    q workflow list --name deploy --limit 5 --json\n  \
    q workflow list --definitions")]
pub(super) struct Arguments {
    /// Only runs.
    #[arg(long)]
    runs: bool,
    /// Only stored definitions.
    #[arg(long)]
    definitions: bool,
    /// Only runs that stand so.
    #[arg(long, value_name = "STATUS", value_parser = statuses())]
    status: Option<RunStatus>,
    /// Only this workflow.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only runs created since then: how long ago (90, 10m, 2d), or a time by RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = output::moment)]
    since: Option<Timestamp>,
    /// Runs, at most.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn statuses() -> impl clap::builder::TypedValueParser<Value = RunStatus> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    let words = PossibleValuesParser::new(RunStatus::ALL.iter().map(|status| status.as_str()));
    words.try_map(|word| {
        RunStatus::ALL.iter().find(|status| status.as_str() == word).copied().ok_or("unknown")
    })
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    // Who asks for runs of a kind does not want to see definitions.
    let only_runs = arguments.runs || arguments.status.is_some() || arguments.since.is_some();
    let filter =
        Filter { workflow: arguments.name.clone(), status: arguments.status, since: arguments.since };
    let listing = Listing {
        schema_version: SCHEMA_VERSION,
        runs: if arguments.definitions && !arguments.runs {
            Vec::new()
        } else {
            runs_of(home, &filter, arguments.limit)?
        },
        definitions: if only_runs && !arguments.definitions {
            Vec::new()
        } else {
            definitions::list(home, arguments.name.as_deref())?
        },
    };
    if arguments.json {
        output::json(&listing)?;
    } else {
        output::text(&table::render(&listing, terminal::width(), &TimeZone::system()))?;
    }
    Ok(ExitCode::Done)
}

/// Runs that fit, newest first.
pub(super) fn runs_of(home: &Home, filter: &Filter, limit: u32) -> Result<Vec<ListedRun>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let keep = |entry: &mut Entry| {
        fold::correct(home, entry);
        filter.status.is_none_or(|wanted| wanted == entry.status)
    };
    let entries = Index::new(home).list(limit, filter, keep, |dir| fold::current_view(dir).ok());
    let entries = entries.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    Ok(entries.into_iter().map(listed).collect())
}

fn listed(entry: Entry) -> ListedRun {
    ListedRun {
        run_id: entry.run_id.to_string(),
        workflow: entry.workflow,
        version: entry.version,
        status: entry.status,
        trigger: entry.trigger,
        created_at: entry.created_at,
        started_at: entry.started_at,
        finished_at: entry.finished_at,
        duration_ms: entry.duration_ms,
    }
}
