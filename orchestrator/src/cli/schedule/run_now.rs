//! `schedule run-now`: a run as the schedule would start it, at once and whatever else runs.

use schemas::exit_code::ExitCode;

use super::find;
use crate::{
    cli::output,
    clock,
    daemon::start,
    errors::Result,
    store::{home::Home, names::RunId, schedules},
};

/// Start a run of a schedule at once. It goes on in the background.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  q workflow schedule run-now nightly")]
pub(in crate::cli) struct Arguments {
    /// Id of a schedule.
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let stored = schedules::read(home)?;
    let schedule = &stored.schedules[find(&stored, &arguments.id)?];
    let run = RunId::generate();
    start::start(home, schedule, run, clock::wall(), &start::Surroundings::default())?;
    output::text(&format!("{run}\n"))?;
    Ok(ExitCode::Done)
}
