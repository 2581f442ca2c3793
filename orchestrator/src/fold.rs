//! The view of a run for readers: what its owner left, or, where that is not the last word, the journal folded
//! by the same core. Readers never write.

use std::{collections::BTreeMap, sync::Arc};

use schemas::{
    exit_code::ExitCode,
    journal::{AttemptEnded, AttemptId, Event, Now, Outcome, Output, RunCreated},
    json::Json,
    view::{AgentView, RunStatus, RunView, StepView},
};
use workflow_engine::{check::check_with, load, plan::Plan, run::Run};

use crate::{
    catalog,
    errors::{CommandError, Result},
    inputs, library,
    store::{
        files,
        home::{Home, RunDir},
        index::Entry,
        journal::{self, Reader, Record},
        lock, output, view,
    },
};

/// Longest `agent.json` that is read.
const AGENT_MAX: u64 = 1024 * 1024;

/// The run as it stands now; one that has not ended and has no owner is `interrupted`.
pub fn current_view(dir: &RunDir) -> Result<RunView> {
    // The order matters: an owner that ends between the two has written its last event before.
    let owned = lock::is_owned(dir).map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    let stored = view::read(dir).map_err(|fault| CommandError::from_error(ExitCode::Engine, &fault))?;
    if let Some(view) = stored.filter(|view| view.status.is_ended()) {
        return Ok(view);
    }
    let mut view = fold(dir)?.view();
    if !owned && !view.status.is_ended() {
        view.status = RunStatus::Interrupted;
    }
    for step in view.steps.iter_mut().filter(|step| step.kind == "agent" && step.agent.is_none()) {
        step.agent = live_agent(dir, step);
    }
    Ok(view)
}

/// What an agent that has not ended did and used so far: its owner leaves it beside its transcript.
fn live_agent(dir: &RunDir, step: &StepView) -> Option<AgentView> {
    let attempt = step.attempts.last()?.attempt;
    let id = AttemptId { step: step.full_name(), turn: step.iteration.clone(), attempt };
    let bytes = files::read_capped(&dir.attempt(&id).ok()?.agent(), AGENT_MAX).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// As [`current_view()`], with the outputs that the kept view only names.
pub fn whole_view(dir: &RunDir) -> Result<RunView> {
    let view = current_view(dir)?;
    let names = view.steps.iter().any(|step| step.large_outputs.is_some());
    if names { Ok(fold(dir)?.view()) } else { Ok(view) }
}

/// The run as its journal tells it.
pub fn fold(dir: &RunDir) -> Result<Run> {
    Ok(folded(dir, inputs::stand_ins)?.run)
}

/// A run as its journal tells it.
#[derive(Debug)]
pub struct Folded {
    /// What it follows.
    pub plan: Arc<Plan>,
    /// Where it stands.
    pub run: Run,
    /// The moment of its last event.
    pub last: Now,
    /// Values of its secret inputs, which the journal does not hold.
    pub secret: BTreeMap<String, Json>,
}

/// As [`fold()`], for whoever goes on with it. `secret` gives the values of secret inputs.
pub fn folded(dir: &RunDir, secret: impl FnOnce(&Plan) -> Result<BTreeMap<String, Json>>) -> Result<Folded> {
    let mut reader = Reader::open(dir).map_err(|error| told(&error))?;
    let first = reader.next().transpose().map_err(|error| told(&error))?;
    let Some(Record { now, event: Event::RunCreated(mut created), .. }) = first else {
        return Err(CommandError::new(
            ExitCode::Engine,
            format!("the journal of run {} has no beginning", dir.id()),
        ));
    };
    let plan = frozen_plan(dir, &created)?;
    let secret = secret(&plan)?;
    created.inputs.extend(secret.clone());
    let mut folded = Folded { run: Run::new(Arc::clone(&plan), *created, now), plan, last: now, secret };
    for record in reader {
        let Record { now, event, .. } = record.map_err(|error| told(&error))?;
        apply(dir, &mut folded.run, event, now);
        folded.last = now;
    }
    Ok(folded)
}

/// A run that has not ended by its line, and that nobody owns, has ended a moment ago or is interrupted.
pub fn correct(home: &Home, entry: &mut Entry) {
    let dir = home.run(entry.run_id);
    if entry.status.is_ended() || lock::is_owned(&dir).unwrap_or(false) {
        return;
    }
    // Its last line may be lost, and its view too: the journal has the last word.
    let ended = current_view(&dir).ok().filter(|view| view.status.is_ended());
    match ended.as_ref().and_then(Entry::of) {
        Some(ended) => *entry = ended,
        None => entry.status = RunStatus::Interrupted,
    }
}

/// What is wrong with a journal, as a command says it.
pub fn told(error: &journal::Error) -> CommandError {
    let shown = CommandError::from_error(error.exit_code(), error);
    match error.hint() {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}

/// The core wants values, not files.
fn apply(dir: &RunDir, run: &mut Run, event: Event, now: Now) {
    let event = match event {
        Event::AttemptEnded(ended) => Event::AttemptEnded(Box::new(loaded(dir, *ended))),
        event @ (Event::RunCreated(_)
        | Event::RunStarted { .. }
        | Event::AttemptStopping { .. }
        | Event::RetryDue { .. }
        | Event::RunTimedOut
        | Event::StopRequested { .. }
        | Event::RunResumed) => event,
    };
    run.apply(&event, now);
}

/// A value that cannot be loaded any more stays a path: the core makes a failure of it.
fn loaded(dir: &RunDir, mut ended: AttemptEnded) -> AttemptEnded {
    if let Outcome::Completed(stored) = &mut ended.outcome
        && let Ok(read) = output::load(dir, stored)
        && let Output::File { value, .. } = stored
    {
        *value = Some(read);
    }
    ended
}

/// The plan of the frozen definition, with the frozen manifests of its skills.
fn frozen_plan(dir: &RunDir, created: &RunCreated) -> Result<Arc<Plan>> {
    let path = dir.definition();
    let text = files::read_capped(&path, load::MAX_BYTES as u64)
        .map_err(|fault| CommandError::from_error(ExitCode::Engine, &fault))?;
    let bad = || {
        CommandError::new(
            ExitCode::Engine,
            format!("the frozen definition {} cannot be read any more", path.display()),
        )
    };
    // It is JSON; the copy of a definition with comments was once kept as it stood.
    let definition = load::load(&text, load::Syntax::Jsonc).map_err(|_| bad())?;
    let catalog = catalog::frozen(&definition, dir.path(), &created.source, &created.skills);
    let library = library::frozen(dir, created)?;
    check_with(&definition, &catalog, &library).plan.map(Arc::new).ok_or_else(bad)
}
