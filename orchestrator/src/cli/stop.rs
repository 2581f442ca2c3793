//! `stop`: asks the owner of a run to end it, and waits until it has.

use schemas::{exit_code::ExitCode, view::RunStatus};

use crate::{
    control,
    errors::{CommandError, Result},
    fold, owner,
    store::{
        home::{Home, RunDir},
        index::{Filter, Index},
        lock,
    },
    ui,
};

/// Stop running workflows, whole process trees included.
#[derive(Debug, clap::Parser)]
#[command(
    after_help = "Examples:\n  q workflow stop @last\n  q workflow stop 0198 --now\n  q workflow stop --all"
)]
pub(super) struct Arguments {
    /// Ids of runs, or unique beginnings of them; `@last` is the newest.
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// Every run that has not ended.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Kill at once instead of SIGTERM and grace.
    #[arg(long)]
    now: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let runs = if arguments.all { active(home)? } else { named(&arguments.ids, home)? };
    for dir in &runs {
        let said = stop(home, dir, arguments.now)?;
        ui::print(&format!("{} {said}\n", dir.id()))
            .map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    }
    Ok(ExitCode::Done)
}

fn named(ids: &[String], home: &Home) -> Result<Vec<RunDir>> {
    ids.iter().map(|id| super::find_run(home, id)).collect()
}

fn active(home: &Home) -> Result<Vec<RunDir>> {
    let entries = Index::new(home)
        .list(
            usize::MAX,
            &Filter::default(),
            |entry| !entry.status.is_ended(),
            |dir| fold::current_view(dir).ok(),
        )
        .map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    Ok(entries.into_iter().map(|entry| home.run(entry.run_id)).collect())
}

/// Stops one run and says what came of it. Whoever owns it may change meanwhile: then the next one is asked.
fn stop(home: &Home, dir: &RunDir, at_once: bool) -> Result<String> {
    let view = fold::current_view(dir)?;
    if view.status.is_ended() {
        return Ok(format!("already ended: {}", view.status));
    }
    let mut status = view.status;
    while !status.is_ended() {
        if status == RunStatus::Interrupted
            && let Some(view) = owner::cancel_interrupted(home, dir)?
        {
            return Ok(view.status.to_string());
        }
        let asked = control::ask(dir, at_once);
        let _standing = asked.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
        // The kernel gives us the lock when its owner ends: nothing is polled.
        lock::wait_until_free(dir).map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
        status = fold::current_view(dir)?.status;
    }
    Ok(status.to_string())
}
