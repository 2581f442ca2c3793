//! `doctor --run ID --truncate-at LINE`: the way back from a damaged journal. What is cut off stays beside it.

use schemas::{exit_code::ExitCode, view::RunStatus};

use crate::{
    cli::{
        find_run,
        output::{self, engine_error, shown},
    },
    errors::{CommandError, Result},
    fold,
    store::{
        home::Home,
        index::{Entry, Index},
        journal::{self, Lost},
        lock::{self, RunLock},
        names::RunId,
    },
};

/// Cuts the journal of a run before the line, and says what is lost by it.
pub(super) fn run(home: &Home, id: &str, line: u64) -> Result {
    let dir = find_run(home, id)?;
    let lock = RunLock::try_take(&dir).map_err(|error| locked(&error))?;
    let lost = journal::truncate_at(&dir, &lock, line).map_err(|error| fold::told(&error))?;
    output::text(&said(dir.id(), line, &lost))?;
    // The run is what its journal tells now.
    let view = fold::fold(&dir)?.view();
    if let Some(entry) = Entry::of(&view) {
        Index::new(home).changed(&entry).map_err(|error| engine_error(&error))?;
    }
    drop(lock);
    let status = if view.status.is_ended() { view.status } else { RunStatus::Interrupted };
    output::text(&format!("the run is {status}\n"))?;
    Ok(ExitCode::Done)
}

fn locked(error: &lock::Error) -> CommandError {
    match error {
        lock::Error::Owned(id) => {
            CommandError::from_error(ExitCode::Engine, error).hint(format!("`q workflow stop {id}` ends it"))
        }
        lock::Error::NoRun(_) => CommandError::from_error(ExitCode::NotFound, error),
        lock::Error::Unsupported(_) | lock::Error::Fault(_) => engine_error(error),
    }
}

fn said(run: RunId, line: u64, lost: &Lost) -> String {
    let Lost { lines, bytes, kept } = lost;
    match kept {
        None => format!("run {run}: the journal ends before line {line}, and nothing is lost\n"),
        Some(kept) => {
            let lines = match lines {
                0 => "a line that was never whole".to_owned(),
                1 => "1 line".to_owned(),
                more => format!("{more} lines"),
            };
            format!(
                "run {run}: the journal was cut before line {line}\n\
                 lost: {lines} ({bytes} bytes), kept in {}\n",
                shown(kept)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_said() {
        let run: RunId = "01997b1c-7a2e-7f00-8000-000000000001".parse().unwrap();
        let kept = || Some("/h/journal.cut-6".into());
        let all = [
            Lost { lines: 0, bytes: 0, kept: None },
            Lost { lines: 0, bytes: 4, kept: kept() },
            Lost { lines: 1, bytes: 30, kept: kept() },
            Lost { lines: 2, bytes: 64, kept: kept() },
        ];
        let all: String = all.iter().map(|lost| said(run, 6, lost)).collect();
        insta::assert_snapshot!(all, @r"
        run 01997b1c-7a2e-7f00-8000-000000000001: the journal ends before line 6, and nothing is lost
        run 01997b1c-7a2e-7f00-8000-000000000001: the journal was cut before line 6
        lost: a line that was never whole (4 bytes), kept in /h/journal.cut-6
        run 01997b1c-7a2e-7f00-8000-000000000001: the journal was cut before line 6
        lost: 1 line (30 bytes), kept in /h/journal.cut-6
        run 01997b1c-7a2e-7f00-8000-000000000001: the journal was cut before line 6
        lost: 2 lines (64 bytes), kept in /h/journal.cut-6
        ");
    }
}
