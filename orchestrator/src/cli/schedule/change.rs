//! `schedule enable`, `disable` and `remove`.

use schemas::{exit_code::ExitCode, schedule::Schedules};

use super::find;
use crate::{
    cli::output,
    clock,
    errors::{CommandError, Result},
    store::{home::Home, schedules},
};

/// Let schedules fire again. What was due meanwhile is not missed.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  q workflow schedule enable nightly")]
pub(in crate::cli) struct Enable {
    /// Ids of schedules.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Keep schedules from firing. A run that runs goes on.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  q workflow schedule disable nightly")]
pub(in crate::cli) struct Disable {
    /// Ids of schedules.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Remove schedules. Their definitions and runs stay.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  q workflow schedule remove nightly")]
pub(in crate::cli) struct Remove {
    /// Ids of schedules.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

pub(super) fn enable(arguments: &Enable, home: &Home) -> Result {
    each(home, &arguments.ids, "enabled", |all, place| {
        let schedule = &mut all.schedules[place];
        if !schedule.enabled {
            schedule.enabled = true;
            schedule.since = clock::wall();
        }
    })
}

pub(super) fn disable(arguments: &Disable, home: &Home) -> Result {
    each(home, &arguments.ids, "disabled", |all, place| all.schedules[place].enabled = false)
}

pub(super) fn remove(arguments: &Remove, home: &Home) -> Result {
    each(home, &arguments.ids, "removed", |all, place| drop(all.schedules.remove(place)))
}

/// Changes all of them, or none.
fn each(home: &Home, ids: &[String], done: &str, change: impl Fn(&mut Schedules, usize)) -> Result {
    schedules::change(home, |all| {
        for id in ids {
            let place = find(all, id)?;
            change(all, place);
        }
        Ok::<_, CommandError>(())
    })?;
    for id in ids {
        output::text(&format!("{done} {id}\n"))?;
    }
    Ok(ExitCode::Done)
}
