//! `schedule backfill`: a run for each fire of a span of the past, one after another.

use jiff::Timestamp;
use schemas::{exit_code::ExitCode, view::RunStatus};
use workflow_engine::cron::CATCH_UP_MAX;

use super::{find, next, timetable_of};
use crate::{
    cli::output,
    clock,
    daemon::start,
    errors::{CommandError, Result},
    fold,
    store::{home::Home, lock, names::RunId, schedules},
};

/// Run a schedule for every fire between two moments, one run after another.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  \
    q workflow schedule backfill nightly --from 2026-01-01T00:00 --to 2026-01-08T00:00")]
pub(in crate::cli) struct Arguments {
    /// Id of a schedule.
    #[arg(value_name = "ID")]
    id: String,
    /// From this moment on: a time by RFC 3339, or one without offset in the zone of the schedule.
    #[arg(long, value_name = "TIME", value_parser = next::from)]
    from: next::From,
    /// Up to, not including, this moment [default: now].
    #[arg(long, value_name = "TIME", value_parser = next::from)]
    to: Option<next::From>,
    /// Show the fires, and run nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let stored = schedules::read(home)?;
    let schedule = &stored.schedules[find(&stored, &arguments.id)?];
    let table = timetable_of(schedule)?;
    let from = arguments.from.moment(table.zone())?;
    let to = arguments.to.map_or_else(|| Ok(clock::wall()), |to| to.moment(table.zone()))?;
    let before = from.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(from);
    let fires: Vec<_> =
        table.after(before).map(|fire| fire.at).take_while(|at| *at < to).take(CATCH_UP_MAX + 1).collect();
    if fires.len() > CATCH_UP_MAX {
        return Err(CommandError::new(
            ExitCode::Failed,
            format!("there are more than {CATCH_UP_MAX} fires between {from} and {to}"),
        )
        .hint("fill a shorter span"));
    }
    let mut all_done = true;
    for at in fires {
        if arguments.dry_run {
            output::text(&format!("{at}\n"))?;
        } else {
            all_done &= one(home, schedule, at)?;
        }
    }
    Ok(if all_done { ExitCode::Done } else { ExitCode::Failed })
}

/// Runs one fire to its end; whether it completed.
fn one(home: &Home, schedule: &schemas::schedule::Schedule, at: Timestamp) -> Result<bool> {
    let run = RunId::generate();
    start::start(home, schedule, run, at, &start::Surroundings::default())?;
    let dir = home.run(run);
    lock::wait_until_free(&dir).map_err(|error| output::engine_error(&error))?;
    let status = fold::current_view(&dir)?.status;
    output::text(&format!("{at} {run} {status}\n"))?;
    Ok(status == RunStatus::Completed)
}
