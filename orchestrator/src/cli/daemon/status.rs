//! `daemon status`: whether it runs, and what it is about.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use schemas::exit_code::ExitCode;
use serde::Serialize;

use crate::{
    cli::output::{self, engine_error},
    daemon::client::{self, Answer},
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

#[derive(Serialize)]
struct Absent {
    schema_version: u32,
    running: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    if !lock::is_held(&home.daemon_lock()).map_err(|error| engine_error(&error))? {
        if arguments.json {
            output::json(&Absent { schema_version: 1, running: false })?;
        } else {
            output::text("not running\n")?;
        }
        return Ok(ExitCode::NotFound);
    }
    match client::status(home) {
        Ok(answer) if arguments.json => output::json(&answer)?,
        Ok(answer) => output::text(&told(&answer, &TimeZone::system()))?,
        // Its lock is held, so it runs: it starts, or is about to end.
        Err(_) if arguments.json => output::json(&Absent { schema_version: 1, running: true })?,
        Err(_) => output::text("running, and does not answer yet\n")?,
    }
    Ok(ExitCode::Done)
}

fn told(answer: &Answer, zone: &TimeZone) -> String {
    let moment = |moment: Timestamp| quantity::moment(moment, zone);
    let next = answer.next.map_or_else(|| "none".to_owned(), moment);
    let state = if answer.draining { "running, and about to end" } else { "running" };
    let mut text = format!(
        "{state}: process {}, since {}\nschedules that fire: {}\nnext fire: {next}\nruns: {}\n",
        answer.pid,
        moment(answer.started_at),
        answer.schedules,
        answer.runs.len()
    );
    for run in &answer.runs {
        let _infallible = writeln!(text, "  {run}");
    }
    text
}
