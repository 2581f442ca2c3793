//! `schedule`: what fires when. The commands change `schedules.json`; a daemon that runs sees it by itself.

mod add;
mod backfill;
mod change;
mod list;
mod next;
mod run_now;

use schemas::{
    exit_code::ExitCode,
    schedule::{Schedule, Schedules},
};
use workflow_engine::{
    cron::{Expression, Timetable},
    load, zone,
};

use crate::{
    errors::{CommandError, Result},
    store::{home::Home, schedules},
};

/// Start workflows by the clock.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow schedule add nightly.json --cron '30 2 * * *' --timezone Europe/Berlin\n  \
    q workflow schedule list\n  \
    q workflow schedule next nightly -n 3\n\n\
    Schedules fire while a daemon runs: q workflow daemon start")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Add(add::Arguments),
    List(list::Arguments),
    Enable(change::Enable),
    Disable(change::Disable),
    Remove(change::Remove),
    Next(next::Arguments),
    RunNow(run_now::Arguments),
    Backfill(backfill::Arguments),
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    match &arguments.command {
        Command::Add(arguments) => add::run(arguments, home),
        Command::List(arguments) => list::run(arguments, home),
        Command::Enable(arguments) => change::enable(arguments, home),
        Command::Disable(arguments) => change::disable(arguments, home),
        Command::Remove(arguments) => change::remove(arguments, home),
        Command::Next(arguments) => next::run(arguments, home),
        Command::RunNow(arguments) => run_now::run(arguments, home),
        Command::Backfill(arguments) => backfill::run(arguments, home),
    }
}

/// What a command says when the schedules could not be read or written.
impl From<schedules::Error> for CommandError {
    fn from(error: schedules::Error) -> Self {
        let exit = error.exit_code();
        let shown = Self::from_error(exit, &error);
        if exit == ExitCode::Invalid {
            shown.hint("mend the file by hand, or move it away: nothing was changed")
        } else {
            shown
        }
    }
}

/// The place of a schedule by its id.
fn find(schedules: &Schedules, id: &str) -> Result<usize> {
    let place = schedules.schedules.iter().position(|schedule| schedule.id == id);
    place.ok_or_else(|| {
        let shown: String = id.chars().take(100).collect();
        let error = CommandError::new(ExitCode::NotFound, format!("there is no schedule {shown:?}"));
        match load::nearest(&shown, schedules.schedules.iter().map(|schedule| schedule.id.as_str())) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`q workflow schedule list` shows the schedules that there are"),
        }
    })
}

/// When an expression in a zone fires; what is wrong with either is exit code 3.
fn timetable(cron: &str, timezone: &str) -> Result<Timetable> {
    let expression = Expression::parse(cron).map_err(|error| {
        CommandError::new(ExitCode::Invalid, format!("the cron expression {cron:?} is not valid: {error}"))
            .hint("minute, hour, day of month, month, day of week: '0 9 * * 1-5' is at nine on workdays")
    })?;
    let zone = zone::by_name(timezone).ok_or_else(|| {
        let error = CommandError::new(ExitCode::Invalid, format!("there is no time zone {timezone:?}"));
        match zone::nearest(timezone) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("names are those of the IANA table, such as UTC or Europe/Berlin"),
        }
    })?;
    Ok(Timetable::new(expression, zone))
}

/// When a stored schedule fires.
fn timetable_of(schedule: &Schedule) -> Result<Timetable> {
    timetable(&schedule.cron, &schedule.timezone)
}
