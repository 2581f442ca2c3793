//! The birth of a run on disk. Durable as a whole before anything happens.

use std::{fs::File, time::Duration};

use schemas::exit_code::ExitCode;
use workflow_engine::run::Run;

use super::{Order, line};
use crate::{
    control,
    errors::{CommandError, Result},
    store::{
        files::Fault,
        home::{Home, RunDir},
        index::{Entry, Index},
        journal, lock,
        queue::Turn,
        run::{self, Frozen, OwnedRun},
    },
};

/// A run that exists durably, and is ours.
#[derive(Debug)]
pub struct Created {
    /// Its directory, journal and ownership.
    pub owned: OwnedRun,
    /// Its state: queued.
    pub run: Run,
    /// Its slot, or its place in the line.
    pub turn: Turn,
    /// Where it hears of stops.
    pub control: File,
    /// How it goes on.
    pub start: Start,
    /// What could not be written of that which follows from it, and why.
    pub unwritten: Vec<String>,
}

/// How a run that is ours goes on once it has its slot.
#[derive(Debug)]
pub enum Start {
    /// From its first step.
    Fresh,
    /// From its first step; what this run of the same plan has completed is taken over.
    Reusing(Box<Run>),
    /// From where its last owner died. The run had lived so long by then.
    Resumed(Duration),
}

/// Creates the run that `order` describes, with what is frozen with it. It stands in the line
/// before anybody can know of it, so that runs start in the order in which their ids were told.
pub fn create(home: &Home, order: &Order, frozen: &Frozen) -> Result<Created> {
    let now = schemas::journal::Now { wall: crate::clock::wall(), up_us: 0 };
    home.ensure().map_err(|fault| unusable(home, &fault))?;
    let turn = line::enter(home, order)?;
    let owned = run::create(home, frozen, now, order.created.clone());
    let owned = owned.map_err(|error| match &error {
        run::Error::Fault(fault)
        | run::Error::Lock(lock::Error::Fault(fault))
        | run::Error::Journal(journal::Error::Fault(fault)) => unusable(home, fault),
        run::Error::Id(_) | run::Error::Lock(_) | run::Error::Journal(_) | run::Error::Index(_) => {
            CommandError::from_error(ExitCode::Engine, &error)
        }
    })?;
    let mut known = order.created.clone();
    known.inputs.extend(order.secrets.inputs().clone());
    let run = Run::new(order.plan.clone(), known, now);
    let mut unwritten = Vec::new();
    if let Some(entry) = Entry::of(&run.streamed_view()) {
        super::note(&mut unwritten, Index::new(home).created(&entry));
    }
    let id = owned.dir.id();
    let control = open_control(&owned.dir).map_err(|error| super::left_interrupted(error, id))?;
    Ok(Created { owned, run, turn, control, start: Start::Fresh, unwritten })
}

/// Where the run hears of stops.
pub(super) fn open_control(dir: &RunDir) -> Result<File> {
    control::open(&control::path(dir)).map_err(|fault| CommandError::from_error(ExitCode::Engine, &fault))
}

/// Where nothing of a run is there yet, another home may do.
pub(super) fn unusable(home: &Home, fault: &Fault) -> CommandError {
    let error = CommandError::from_error(ExitCode::Engine, fault);
    match error.hint {
        Some(_) => error,
        None => error.hint(format!(
            "the state lives in {}; choose another place with --home or $Q_WORKFLOW_HOME",
            home.path().display()
        )),
    }
}
