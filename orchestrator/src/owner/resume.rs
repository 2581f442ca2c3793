//! Taking over a run whose owner died: its journal is the state, what it left is ended, and it goes on.

use std::rc::Rc;

use schemas::exit_code::ExitCode;
use workflow_engine::run::Phase;

use super::{Created, Driving, Order, Start, create::open_control, leftovers, line};
use crate::{
    errors::{CommandError, Result},
    fold::{self, Folded},
    inputs::{self, Given},
    secrets::Secrets,
    store::{
        self,
        home::{Home, RunDir},
        lock,
        run::Error,
    },
};

/// Takes an interrupted run over; its secret inputs are `given` again. One that has ended, or is owned, is refused.
pub fn resume(home: &Home, dir: &RunDir, given: &Given, driving: Driving) -> Result<(Order, Created)> {
    let owned = store::run::reopen(home, dir.id(), |_| ()).map_err(|error| refusal(&error))?;
    let Folded { plan, run, last, secret } = fold::folded(dir, |plan| inputs::again(plan, given))?;
    if let Phase::Ended { .. } = run.phase() {
        // Its owner died after its end: what follows from it may be missing.
        owned.journal.finish().map_err(|error| fold::told(&error))?;
        let _derived_again = super::derive(home, dir, &run.kept_view());
        return Err(nothing(dir, run.phase().status()));
    }
    // Before what may take its time: a stop that finds nobody here waits for the end of the run.
    let control = open_control(dir)?;
    let secrets = Secrets::gather(home, &driving.config, &plan, secret)?;
    leftovers::end(dir.id(), driving.cgroup_base.as_deref())?;
    let order = Order { plan, created: run.created().clone(), secrets: Rc::new(secrets), driving };
    let turn = line::enter(home, &order)?;
    let start = Start::Resumed(last.up());
    Ok((order, Created { owned, run, turn, control, start, unwritten: Vec::new() }))
}

/// A run that has ended needs no owner.
pub(super) fn nothing(dir: &RunDir, status: schemas::view::RunStatus) -> CommandError {
    CommandError::new(ExitCode::Failed, format!("nothing to resume: run {} is {status}", dir.id()))
        .hint(format!("`q workflow retry {}` starts a new run from what failed", dir.id()))
}

fn refusal(error: &Error) -> CommandError {
    match error {
        Error::Journal(error) => fold::told(error),
        Error::Lock(lock::Error::NoRun(_)) => CommandError::from_error(ExitCode::NotFound, error),
        Error::Lock(lock::Error::Owned(run)) => CommandError::from_error(ExitCode::Engine, error)
            .hint(format!("it goes on: `q workflow status {run}` shows it")),
        Error::Lock(_) | Error::Id(_) | Error::Index(_) | Error::Fault(_) => {
            CommandError::from_error(ExitCode::Engine, error)
        }
    }
}
