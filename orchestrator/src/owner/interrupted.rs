//! An interrupted run that somebody stops: what was in flight died with its engine, and the journal says so.

use schemas::{
    exit_code::ExitCode,
    journal::{Event, StopSource},
    view::RunView,
};

use super::leftovers;
use crate::{
    clock::Clock,
    errors::{CommandError, Result},
    fold::{self, Folded},
    inputs,
    store::{
        self,
        home::{Home, RunDir},
        lock,
        run::{self, OwnedRun},
    },
};

/// Takes the run over, ends what its engine left, and ends it as `cancelled`. `None`: somebody else has just taken it
/// over.
pub fn cancel_interrupted(home: &Home, dir: &RunDir) -> Result<Option<RunView>> {
    let engine_error = |error: &dyn std::error::Error| CommandError::from_error(ExitCode::Engine, error);
    let OwnedRun { mut journal, lock, .. } = match store::run::reopen(home, dir.id(), |_| ()) {
        Ok(owned) => owned,
        Err(run::Error::Lock(lock::Error::Owned(_))) => return Ok(None),
        Err(error) => return Err(engine_error(&error)),
    };
    leftovers::end(dir.id(), None)?;
    let Folded { mut run, last, .. } = fold::folded(dir, inputs::stand_ins)?;
    let clock = Clock::starting_at(last.up());
    let now = clock.now();
    // What was in flight died with the engine; the stop stands before that, so that nothing of it begins again.
    let events =
        [(now, Event::StopRequested { now: true, by: StopSource::Command }), (now, Event::RunResumed)];
    journal
        .append(&events)
        .and_then(|()| journal.commit().map(drop))
        .map_err(|error| engine_error(&error))?;
    for (now, event) in &events {
        run.apply(event, *now);
    }
    // The end is durable: padding that stays does no harm.
    let _padded = journal.finish();
    let _derived_again = super::derive(home, dir, &run.kept_view());
    drop(lock);
    Ok(Some(run.view()))
}
