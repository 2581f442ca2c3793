//! `status`: one run on one screen, or its view as JSON; with `--watch` until it ends.

mod watch;

use jiff::{Timestamp, tz::TimeZone};
use schemas::{exit_code::ExitCode, view::RunStatus};

use self::watch::Ended;
use super::output;
use crate::{
    errors::Result,
    fold,
    store::home::Home,
    ui::{self, status::Reader, terminal},
};

/// Show a run: its steps, what they used, who held their limits, and why it failed.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow status\n  \
    q workflow status 01997b1c --json\n  \
    q workflow status @last --watch\n  \
    q workflow status @last --exit-code")]
pub(super) struct Arguments {
    /// Id of a run, or a unique beginning of one; `@last` is the newest.
    #[arg(value_name = "ID", default_value = "@last")]
    id: String,
    /// Print the run view as JSON.
    #[arg(long)]
    json: bool,
    /// Show it until it ends: on a terminal the steps, their log and what they use now, with keys to move, to stop the
    /// run (s) and to leave (q); elsewhere a line for each change.
    #[arg(long, short, conflicts_with = "json")]
    watch: bool,
    /// Exit as the run did: 10 while it is queued or running, 11 when it is interrupted.
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let dir = super::find_run(home, &arguments.id)?;
    let view = if arguments.watch {
        match watch::watch(&dir)? {
            Ended::Run(view) => *view,
            Ended::Left(exit) => return Ok(exit),
        }
    } else if arguments.json {
        fold::whole_view(&dir)?
    } else {
        fold::current_view(&dir)?
    };
    if arguments.json {
        output::json(&view)?;
    } else if !arguments.watch || terminal::can_fill() {
        let reader = Reader { columns: terminal::width(), zone: TimeZone::system(), now: Timestamp::now() };
        let text = ui::status::render(&view, &reader);
        if arguments.watch {
            // Whoever has watched it has the end before his eyes.
            ui::print(&text).map_err(|error| output::engine_error(&error))?;
        } else {
            output::text(&text)?;
        }
    }
    Ok(if arguments.exit_code { exit_code(view.status) } else { ExitCode::Done })
}

/// What `--exit-code` says of a run.
fn exit_code(status: RunStatus) -> ExitCode {
    match status {
        RunStatus::Completed => ExitCode::Done,
        RunStatus::Failed => ExitCode::Failed,
        RunStatus::RolledBack => ExitCode::RolledBack,
        RunStatus::RollbackFailed => ExitCode::RollbackFailed,
        RunStatus::Cancelled => ExitCode::Cancelled,
        RunStatus::Queued | RunStatus::Running | RunStatus::Stopping | RunStatus::RollingBack => {
            ExitCode::Active
        }
        RunStatus::Interrupted => ExitCode::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_exit_code() {
        let codes: Vec<_> =
            RunStatus::ALL.iter().map(|status| format!("{status} {}", exit_code(*status).code())).collect();
        insta::assert_snapshot!(codes.join("\n"), @r"
        queued 10
        running 10
        stopping 10
        completed 0
        failed 1
        cancelled 8
        rolling_back 10
        rolled_back 5
        rollback_failed 6
        interrupted 11
        ");
    }
}
