//! Owning a run: it is created durably, its processes' host is set up, the dispatcher drives it, and what
//! follows from it (view, index) is written.

mod create;
mod hidden;
mod host;
mod interrupted;
mod leftovers;
mod line;
mod resume;
mod retry;
mod signals;
mod watch;

use std::{path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use schemas::{
    events::{EventType, RunEvent},
    exit_code::ExitCode,
    journal::{Event, Now, RunCreated, StopSource},
    view::{Isolation, RunStatus, RunView},
};
use tokio::sync::mpsc;
use workflow_engine::{
    plan::Plan,
    run::{Phase, Run},
};

pub use self::{
    create::{Created, Start, create},
    host::{Survey, refuse_unheld, survey},
    interrupted::cancel_interrupted,
    resume::resume,
    retry::retry,
};
use crate::{
    clock::{self, Clock},
    config::Config,
    control,
    dispatcher::{Dispatcher, Watcher, run_event},
    errors::{CommandError, Result},
    prune::{self, Interrupted, Rule},
    secrets::Secrets,
    store::{
        home::{Home, RunDir},
        index::{Entry, Index},
        journal,
        queue::Turn,
        run::OwnedRun,
        view,
    },
};

/// What a run is made of.
#[derive(Debug)]
pub struct Order {
    /// The checked definition.
    pub plan: Arc<Plan>,
    /// Inputs, context and options.
    pub created: RunCreated,
    /// Its secrets: never written anywhere.
    pub secrets: Rc<Secrets>,
    /// How it is driven.
    pub driving: Driving,
}

/// How a run is driven, by whoever owns it now.
#[derive(Debug, Clone, Default)]
pub struct Driving {
    /// `--cgroup-base`.
    pub cgroup_base: Option<PathBuf>,
    /// Whether the run goes on when the terminal goes away.
    pub detached: bool,
    /// `--priority`: the higher goes first in the line.
    pub priority: i32,
    /// The settings of the home.
    pub config: Config,
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
    let Created { owned: OwnedRun { dir, journal, lock }, run, turn, control, start } = created;
    let engine_error = |error: std::io::Error| CommandError::from_error(ExitCode::Engine, &error);
    let (sender, mut stops) = mpsc::unbounded_channel();
    signals::listen(&sender, order.driving.detached).map_err(engine_error)?;
    control::serve(control, sender).map_err(engine_error)?;
    let mut log = watch::Log::new(&dir, order.driving.config.rotation);
    let clock = Clock::starting_at(start.lived());
    let mut audience = Audience { watchers: vec![watcher, &mut log], heard: 0 };
    audience.hear(&run, &clock, start.first_news(&run));
    let slot = match turn {
        Turn::Slot(slot) => slot,
        Turn::Waits(ticket) => {
            audience.hear(&run, &clock, EventType::RunQueued);
            match line::wait(ticket, &mut stops).await? {
                line::Waited::Slot(slot) => slot,
                line::Waited::Stopped(stop) => {
                    let stopped = line::Stopped { run, journal, clock, stop };
                    return stopped.end(home, &dir, &mut audience);
                }
            }
        }
    };
    let (host, launcher) = host::open(order, &dir)?;
    let host = Rc::new(host);
    note_start(home, &run, &clock);
    let first = start.events(&run, host::isolation(&host), clock.now());
    let Audience { watchers, heard } = audience;
    let dispatcher = Dispatcher::new(run, journal, clock, Rc::clone(&host), watchers, heard);
    let (run, journal, stopped_by) = match dispatcher.drive(first, &mut stops).await {
        Ok(driven) => driven,
        Err(error) => {
            host::close(host, launcher).await;
            return Err(interrupted(&error));
        }
    };
    let exit = settle(home, &dir, &run, journal, stopped_by)?;
    host::close(host, launcher).await;
    drop(slot);
    drop(lock);
    if let Some(retention) = order.driving.config.retention {
        let rule = Rule { retention, interrupted: Interrupted::Stay };
        // Whoever ends a run next tries again.
        let _best_effort = prune::prune(home, rule, clock::wall());
    }
    Ok(Ended { run, exit })
}

impl Start {
    /// How long the run has been alive.
    fn lived(&self) -> Duration {
        match self {
            Self::Fresh | Self::Reusing(_) => Duration::ZERO,
            Self::Resumed(lived) => *lived,
        }
    }

    /// What watchers hear first.
    fn first_news(&self, run: &Run) -> EventType {
        match self {
            Self::Resumed(_) if *run.phase() != Phase::Queued => EventType::RunStarted,
            Self::Fresh | Self::Reusing(_) | Self::Resumed(_) => EventType::RunCreated,
        }
    }

    /// The events with which the run begins or goes on.
    fn events(&self, run: &Run, isolation: Isolation, now: Now) -> Vec<Event> {
        match self {
            Self::Resumed(_) if *run.phase() != Phase::Queued => vec![Event::RunResumed],
            Self::Fresh | Self::Resumed(_) => vec![Event::RunStarted { isolation: Box::new(isolation) }],
            Self::Reusing(old) => run.reuse(old, isolation, now),
        }
    }
}

/// Tells the index that the run has its slot: who lists runs does not read journals.
fn note_start(home: &Home, run: &Run, clock: &Clock) {
    if let Some(entry) = Entry::of(&run.streamed_view()) {
        let started_at = entry.started_at.or(Some(clock.now().wall));
        let _derived_again =
            Index::new(home).changed(&Entry { status: RunStatus::Running, started_at, ..entry });
    }
}

/// Those who watch a run, before and after its loop.
struct Audience<'a> {
    watchers: Vec<&'a mut dyn Watcher>,
    /// How many events they have heard.
    heard: u64,
}

impl Audience<'_> {
    /// Tells of something that happened to the run as a whole.
    fn hear(&mut self, run: &Run, clock: &Clock, kind: EventType) {
        self.hear_event(&run_event(run, self.heard + 1, clock.now(), kind));
    }

    fn hear_event(&mut self, event: &RunEvent) {
        self.heard += 1;
        for watcher in &mut self.watchers {
            watcher.event(event);
        }
    }
}

/// Writes what follows from an ended run.
fn settle(
    home: &Home,
    dir: &RunDir,
    run: &Run,
    journal: journal::Writer,
    stopped_by: Option<StopSource>,
) -> Result<ExitCode> {
    let whole = run.kept_view();
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
        .hint("the run is left interrupted, and what was recorded is safe: mend the cause, then `q workflow resume` goes on")
}
