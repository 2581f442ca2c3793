//! An interrupted run that somebody stops: what was in flight died with its engine, and the journal says so.

use schemas::{
    exit_code::ExitCode,
    journal::{AttemptEnded, Event, Now, Outcome, StopSource},
    view::RunView,
};
use workflow_engine::run::StepRun;

use crate::{
    cgroup,
    clock::Clock,
    errors::{CommandError, Result},
    fold,
    store::{
        self,
        home::{Home, RunDir},
        run::OwnedRun,
    },
};

/// Takes the run over, sweeps what its engine left, and ends it as `cancelled`.
pub fn cancel_interrupted(home: &Home, dir: &RunDir) -> Result<RunView> {
    let engine_error = |error: &dyn std::error::Error| CommandError::from_error(ExitCode::Engine, error);
    if let Ok((Some(base), _)) = cgroup::find(None) {
        cgroup::sweep(&base);
    }
    let mut last = None;
    let owned = store::run::reopen(home, dir.id(), |record| last = Some(record.now));
    let OwnedRun { mut journal, lock, .. } = owned.map_err(|error| engine_error(&error))?;
    let mut run = fold::fold(dir)?;
    let clock = Clock::starting_at(last.map(|now: Now| now.up()).unwrap_or_default());
    let mut events = vec![Event::StopRequested { now: true, by: StopSource::Command }];
    let plan = run.plan().clone();
    let live = run.steps().filter(|step| step.is_live());
    events.extend(live.map(|step: &StepRun| died(step.attempt_id(&plan))));
    let now = clock.now();
    let events: Vec<_> = events.into_iter().map(|event| (now, event)).collect();
    journal
        .append(&events)
        .and_then(|()| journal.commit().map(drop))
        .map_err(|error| engine_error(&error))?;
    for (now, event) in &events {
        run.apply(event, *now);
    }
    journal.finish().map_err(|error| engine_error(&error))?;
    let whole = run.view();
    super::derive(home, dir, &whole);
    drop(lock);
    Ok(whole)
}

fn died(id: schemas::journal::AttemptId) -> Event {
    let ended = AttemptEnded { started: true, ..AttemptEnded::new(id, Outcome::Cancelled) };
    Event::AttemptEnded(Box::new(ended))
}
