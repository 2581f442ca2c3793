//! `prune`: removes the records of runs that ended long ago.

use std::time::Duration;

use schemas::exit_code::ExitCode;
use workflow_engine::units;

use super::output;
use crate::{
    clock,
    config::{self, Retention},
    errors::Result,
    prune::{self, Interrupted, Rule},
    store::{home::Home, index::Entry},
    ui::text::escape,
};

/// Records younger than this stay, where nobody says anything else.
const OLDER_THAN: Duration = Duration::from_hours(30 * 24);
/// So many of the newest stay, where nobody says anything else.
const KEEP: u32 = 100;

/// Remove the records of runs that ended long ago and are not among the newest.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow prune --older-than 30d --keep 100 --dry-run\n  \
    q workflow prune --older-than 0 --keep 0")]
pub(super) struct Arguments {
    /// Only runs that ended longer ago than this [default: `retention` of config.json, else 30d].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    older_than: Option<Duration>,
    /// So many of the newest runs stay, however old [default: `retention` of config.json, else 100].
    #[arg(long, value_name = "N")]
    keep: Option<u32>,
    /// Interrupted runs too: they cannot be resumed any more.
    #[arg(long)]
    interrupted: bool,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let configured = config::read(home)?.retention;
    let configured = configured.unwrap_or(Retention { older_than: OLDER_THAN, keep: KEEP });
    let retention = Retention {
        older_than: arguments.older_than.unwrap_or(configured.older_than),
        keep: arguments.keep.unwrap_or(configured.keep),
    };
    let interrupted = if arguments.interrupted { Interrupted::Go } else { Interrupted::Stay };
    let rule = Rule { retention, interrupted };
    let (done, runs) = if arguments.dry_run {
        ("would remove", prune::doomed(home, rule, clock::wall())?)
    } else {
        ("removed", prune::prune(home, rule, clock::wall())?)
    };
    let line = |run: &Entry| format!("{done} {} {} ({})\n", run.run_id, escape(&run.workflow), run.status);
    output::text(&runs.iter().map(line).collect::<Vec<_>>().concat())?;
    Ok(ExitCode::Done)
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    let parsed = if number { units::duration_from_number(text) } else { units::duration_from_text(text) };
    parsed.map_err(|error| error.to_string())
}
