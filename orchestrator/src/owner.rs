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

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

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
    line::demand,
    resume::resume,
    retry::retry,
};
use crate::{
    clock::{self, Clock},
    config::Config,
    control,
    dispatcher::{Dispatcher, Watcher, run_event},
    errors::{self, CommandError, Result},
    prune::{self, Interrupted, Rule},
    secrets::Secrets,
    store::{
        home::{Home, RunDir},
        index::{self, Entry, Index},
        journal,
        names::RunId,
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

impl Order {
    /// The folder of the definition's file; without one, where relative paths start.
    pub fn folder(&self) -> PathBuf {
        let folder = Path::new(&self.created.source).parent().and_then(|folder| folder.canonicalize().ok());
        folder.unwrap_or_else(|| PathBuf::from(&self.created.base))
    }
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
    /// What could not be written of that which follows from the run, and why: it is derived again.
    pub unwritten: Vec<String>,
}

/// Drives a created run to its end.
pub fn drive(home: &Home, created: Created, order: &Order, watcher: &mut dyn Watcher) -> Result<Ended> {
    let id = created.owned.dir.id();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::from_error(ExitCode::Engine, &error));
    let ended = runtime.and_then(|runtime| {
        tokio::task::LocalSet::new().block_on(&runtime, go(home, created, order, watcher))
    });
    ended.map_err(|error| left_interrupted(error, id))
}

/// What a command says that could not bring a run to its end.
fn left_interrupted(error: CommandError, run: RunId) -> CommandError {
    let goes_on = format!(
        "run {run} is left interrupted, and what was recorded is safe: `q workflow resume {run}` goes on"
    );
    let hint = match &error.hint {
        Some(hint) => format!("{hint}; {goes_on}"),
        None => goes_on,
    };
    error.hint(hint)
}

async fn go(home: &Home, created: Created, order: &Order, watcher: &mut dyn Watcher) -> Result<Ended> {
    let Created { owned: OwnedRun { dir, journal, lock }, run, turn, control, start, mut unwritten } =
        created;
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
                    let stopped = line::Stopped { run, journal, clock, stop, unwritten };
                    return stopped.end(home, &dir, &mut audience);
                }
            }
        }
    };
    let (host, launcher) = host::open(order, &dir)?;
    let host = Rc::new(host);
    note(&mut unwritten, note_start(home, &run, &clock));
    let first = start.events(&run, host::isolation(&host), clock.now());
    let Audience { watchers, heard } = audience;
    let dispatcher = Dispatcher::new(run, journal, clock, Rc::clone(&host), watchers, heard);
    let driven = dispatcher.drive(first, &mut stops).await;
    let settled = driven.map(|(run, journal, stopped_by)| {
        let exit = settle(home, &dir, &run, journal, stopped_by, &mut unwritten);
        (run, exit)
    });
    host::close(host, launcher).await;
    let (run, exit) = settled.map_err(|error| unable(&error))?;
    note(&mut unwritten, log.into_failure().map_or(Ok(()), Err));
    drop(slot);
    drop(lock);
    if let Some(retention) = order.driving.config.retention {
        let rule = Rule { retention, interrupted: Interrupted::Stay };
        // Whoever ends a run next tries again.
        let _best_effort = prune::prune(home, rule, clock::wall());
    }
    Ok(Ended { run, exit, unwritten })
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
fn note_start(home: &Home, run: &Run, clock: &Clock) -> std::result::Result<(), index::Error> {
    let Some(entry) = Entry::of(&run.streamed_view()) else { return Ok(()) };
    let started_at = entry.started_at.or(Some(clock.now().wall));
    Index::new(home).changed(&Entry { status: RunStatus::Running, started_at, ..entry })
}

/// Keeps in mind what could not be written.
fn note<E: std::error::Error>(unwritten: &mut Vec<String>, written: std::result::Result<(), E>) {
    unwritten.extend(written.err().map(|error| errors::in_one_line(&error)));
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
    unwritten: &mut Vec<String>,
) -> ExitCode {
    let whole = run.kept_view();
    // The journal holds the end: whatever fails from here on is derived again, or padding that readers pass over.
    note(unwritten, journal.finish());
    unwritten.extend(derive(home, dir, &whole));
    exit_code(whole.status, stopped_by)
}

/// Writes the views of an ended run. What fails here is derived again by whoever needs it.
fn derive<Steps: serde::Serialize>(home: &Home, dir: &RunDir, whole: &RunView<Steps>) -> Vec<String> {
    let mut unwritten = Vec::new();
    note(&mut unwritten, view::write(dir, whole));
    if let Some(entry) = Entry::of(whole) {
        note(&mut unwritten, Index::new(home).changed(&entry));
    }
    unwritten
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

fn unable(error: &crate::dispatcher::Error) -> CommandError {
    let told = CommandError::from_error(ExitCode::Engine, error);
    match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
