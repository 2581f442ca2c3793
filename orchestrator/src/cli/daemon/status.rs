//! `daemon status`: whether it runs, and what it is about.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use schemas::{
    exit_code::ExitCode,
    output::{SCHEMA_VERSION, daemon::DaemonStatus},
};

use crate::{
    cli::output::{self, engine_error},
    daemon::client,
    errors::Result,
    store::{home::Home, lock},
    ui::quantity,
};

/// Show whether the daemon runs: exit code 0 if it does, 4 if not.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  q workflow daemon status --json")]
pub(super) struct Arguments {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let runs = lock::is_held(&home.daemon_lock()).map_err(|error| engine_error(&error))?;
    // Its lock is held, so it runs: one that does not answer starts, or is about to end.
    let silent = DaemonStatus { schema_version: SCHEMA_VERSION, running: runs, ..DaemonStatus::default() };
    let status = if runs { client::status(home).unwrap_or(silent) } else { silent };
    if arguments.json {
        output::json(&status)?;
    } else {
        output::text(&told(&status, &TimeZone::system()))?;
    }
    Ok(if runs { ExitCode::Done } else { ExitCode::NotFound })
}

fn told(status: &DaemonStatus, zone: &TimeZone) -> String {
    let DaemonStatus { running: true, pid: Some(pid), started_at: Some(started_at), .. } = status else {
        return if status.running { "running, and does not answer yet\n" } else { "not running\n" }
            .to_owned();
    };
    let moment = |moment: Timestamp| quantity::moment(moment, zone);
    let next = status.next.map_or_else(|| "none".to_owned(), moment);
    let state = if status.draining == Some(true) { "running, and about to end" } else { "running" };
    let runs = status.runs.as_deref().unwrap_or_default();
    let mut text = format!(
        "{state}: process {pid}, since {}\nschedules that fire: {}\nnext fire: {next}\nruns: {}\n",
        moment(*started_at),
        status.schedules.unwrap_or_default(),
        runs.len()
    );
    for run in runs {
        let _infallible = writeln!(text, "  {run}");
    }
    text
}
