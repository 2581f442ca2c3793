//! Owning a run: it is created durably, its processes' host is set up, the dispatcher drives it, and what
//! follows from it (view, index) is written.

mod create;
mod hidden;
mod host;
mod interrupted;
mod signals;
mod watch;

use std::{path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use schemas::{
    exit_code::ExitCode,
    journal::{Event, RunCreated, StopSource},
    view::{RunStatus, RunView},
};
use tokio::sync::mpsc;
use workflow_engine::{plan::Plan, run::Run};

pub use self::{
    create::{Created, create},
    host::{Survey, refuse_unheld, survey},
    interrupted::cancel_interrupted,
};
use crate::{
    clock::Clock,
    control,
    dispatcher::{Dispatcher, Watcher},
    errors::{CommandError, Result},
    store::{
        home::{Home, RunDir},
        index::{Entry, Index},
        journal,
        run::OwnedRun,
        view,
    },
};

/// What a new run is made of.
#[derive(Debug)]
pub struct Order {
    /// The checked definition.
    pub plan: Arc<Plan>,
    /// Inputs, context and options.
    pub created: RunCreated,
    /// `--cgroup-base`.
    pub cgroup_base: Option<PathBuf>,
    /// Whether the run goes on when the terminal goes away.
    pub detached: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Its last state.
    pub run: Run,
    /// What the shell sees.
    pub exit: ExitCode,
}

/// Drives a created run to its end.
pub fn drive(home: &Home, created: Created, order: &Order, watcher: &mut dyn Watcher) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    tokio::task::LocalSet::new().block_on(&runtime, go(home, created, order, watcher))
}

async fn go(home: &Home, created: Created, order: &Order, watcher: &mut dyn Watcher) -> Result<Ended> {
    let Created { owned: OwnedRun { dir, journal, lock }, run } = created;
    let (host, launcher) = host::open(order, &dir)?;
    let host = Rc::new(host);
    let (sender, mut stops) = mpsc::unbounded_channel();
    signals::listen(&sender, order.detached)
        .map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    control::serve(&control::path(&dir), sender).map_err(|error| {
        CommandError::new(ExitCode::Engine, format!("the run's control fifo could not be made: {error}"))
    })?;
    let mut log = watch::Log::new(&dir);
    let clock = Clock::starting_at(Duration::ZERO);
    let first = Event::RunStarted { isolation: Box::new(host::isolation(&host)) };
    let dispatcher = Dispatcher::new(run, journal, clock, Rc::clone(&host), vec![watcher, &mut log]);
    let (run, journal, stopped_by) =
        dispatcher.drive(first, &mut stops).await.map_err(|error| interrupted(&error))?;
    let exit = settle(home, &dir, &run, journal, stopped_by)?;
    host::close(host, launcher).await;
    drop(lock);
    Ok(Ended { run, exit })
}

/// Writes what follows from an ended run.
fn settle(
    home: &Home,
    dir: &RunDir,
    run: &Run,
    journal: journal::Writer,
    stopped_by: Option<StopSource>,
) -> Result<ExitCode> {
    let whole = run.streamed_view();
    // The journal holds the end: whatever fails from here on is derived again.
    journal.finish().map_err(|error| CommandError::from_error(error.exit_code(), &error))?;
    derive(home, dir, &whole);
    Ok(exit_code(whole.status, stopped_by))
}

/// Writes the views of an ended run. What fails here is derived again by whoever needs it.
fn derive<Steps: serde::Serialize>(home: &Home, dir: &RunDir, whole: &RunView<Steps>) {
    let _derived_again = view::write(dir, whole);
    if let Some(entry) = Entry::of(whole) {
        let _derived_again = Index::new(home).changed(&entry);
    }
}

/// The exit code of a run that ended.
pub fn exit_code(status: RunStatus, stopped_by: Option<StopSource>) -> ExitCode {
    match status {
        RunStatus::Completed => ExitCode::Done,
        RunStatus::Failed => ExitCode::Failed,
        RunStatus::RolledBack => ExitCode::RolledBack,
        RunStatus::RollbackFailed => ExitCode::RollbackFailed,
        RunStatus::Cancelled => match stopped_by {
            Some(StopSource::SigInt) => ExitCode::SigInt,
            Some(StopSource::SigTerm) => ExitCode::SigTerm,
            Some(StopSource::Command) | None => ExitCode::Cancelled,
        },
        RunStatus::Queued | RunStatus::Running | RunStatus::Stopping | RunStatus::RollingBack => {
            ExitCode::Active
        }
        RunStatus::Interrupted => ExitCode::Interrupted,
    }
}

fn interrupted(error: &crate::dispatcher::Error) -> CommandError {
    CommandError::from_error(ExitCode::Engine, error)
        .hint("the run is left interrupted: what was recorded is safe; mend the cause and look at it with `q workflow status`")
}
