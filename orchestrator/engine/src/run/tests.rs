//! Tests of `Run::apply`: what they share. Runs are made from definitions as people write them, moved by
//! events, and told as text.

mod assign;
mod control;
mod crash_points;
mod data;
mod endings;
mod inside;
mod pairs;
mod properties;
mod recoveries;
mod resume;
mod retry;
mod reuse;
mod rollback;
mod shape;
mod trees;
mod view;
mod workflows;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use schemas::{
    failure::{Code, Details, Failure},
    journal::{AttemptEnded, AttemptId, Event, FORMAT_VERSION, Now, Outcome, Output, RunCreated, StopSource},
    json::Json,
    view::{Enforcer, FilesystemBy, Isolation, KillBy, NetworkBy, StopReason},
};

use super::{Action, Notice, Run, StepState, state::StepResult};
use crate::{
    check::{Catalog, SkillEntry, check},
    load::{Syntax, load},
    plan::{Needs, Plan, SkillTarget},
};

/// The plan of a definition; its steps may call `echo` and `set-context`, which take anything.
#[track_caller]
fn plan(definition: &str) -> Arc<Plan> {
    let echo = SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing });
    let skills = ["echo", "set-context"].map(|name| (name.to_owned(), echo.clone()));
    let catalog = Catalog { skills: BTreeMap::from(skills), ..Catalog::default() };
    let definition = load(definition.as_bytes(), Syntax::Json).unwrap();
    let (plan, problems) = check(&definition, &catalog);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(plan.expect("a definition without problems has a plan"))
}

/// A definition with these members beside name and version.
fn definition(members: &str) -> String {
    format!(r#"{{"name":"flow","version":"1.2.3",{members}}}"#)
}

/// A step that calls `echo`, with these further members.
fn echo(id: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"id":"{id}","type":"skill","skill":"echo"{comma}{members}}}"#)
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// A moment by both clocks, which do not go together: half the wall's time the run was not alive.
fn at(up_ms: u64) -> Now {
    let wall = Timestamp::from_millisecond(1_700_000_000_000 + 2 * i64::try_from(up_ms).unwrap()).unwrap();
    Now { wall, up_us: up_ms * 1000 }
}

fn created() -> RunCreated {
    RunCreated {
        format_version: FORMAT_VERSION,
        q: "0.1.0".to_owned(),
        run_id: "r1".to_owned(),
        workflow: "flow".to_owned(),
        version: "1.2.3".to_owned(),
        trigger: "manual".to_owned(),
        scheduled_at: None,
        base: "/base".to_owned(),
        source: "/base/flow.json".to_owned(),
        inputs: BTreeMap::new(),
        context: BTreeMap::new(),
        timeout_ms: None,
        max_concurrent_steps: None,
        skills: BTreeMap::new(),
        called: schemas::journal::Called::default(),
    }
}

fn isolation() -> Isolation {
    Isolation {
        memory: Enforcer::CgroupV2,
        cpu: Enforcer::CgroupV2,
        pids: Enforcer::CgroupV2,
        io: Enforcer::None,
        kill: KillBy::CgroupKill,
        network: NetworkBy::Host,
        filesystem: FilesystemBy::Mount,
        notes: Vec::new(),
    }
}

fn id(step: &str, attempt: u32) -> AttemptId {
    AttemptId { step: step.to_owned(), turn: Vec::new(), attempt }
}

fn started() -> Event {
    Event::RunStarted { isolation: Box::new(isolation()) }
}

fn stop(now: bool) -> Event {
    Event::StopRequested { now, by: StopSource::Command }
}

fn stopping(id: AttemptId, reason: StopReason) -> Event {
    Event::AttemptStopping { id, reason }
}

fn ended(id: AttemptId, outcome: Outcome) -> Event {
    Event::AttemptEnded(Box::new(report(id, outcome)))
}

/// The report on an attempt of which little is known.
fn report(id: AttemptId, outcome: Outcome) -> AttemptEnded {
    AttemptEnded { started: true, exit_code: Some(0), ..AttemptEnded::new(id, outcome) }
}

fn completed(result: &str) -> Outcome {
    Outcome::Completed(Output::Inline(json(result)))
}

fn failed(step: &str, code: Code) -> Outcome {
    let failure = Failure {
        step: Some(step.to_owned()),
        code,
        message: format!("{} happened", code.as_str()),
        retryable: code.retryable(),
        details: Details::default(),
    };
    Outcome::Failed(failure.into())
}

/// A run together with its journal, a fixed time between two events.
#[derive(Debug, Clone)]
struct Driven {
    run: Run,
    journal: Vec<(Now, Event)>,
}

/// Milliseconds from one event to the next.
const PACE: u64 = 10;

impl Driven {
    fn new(plan: Arc<Plan>, created: RunCreated) -> Self {
        let journal = vec![(at(0), Event::RunCreated(Box::new(created.clone())))];
        Self { run: Run::new(plan, created, at(0)), journal }
    }

    fn apply(&mut self, event: Event) -> Vec<Action> {
        let now = at(PACE * u64::try_from(self.journal.len()).unwrap());
        let actions = self.run.apply(&event, now);
        self.journal.push((now, event));
        actions
    }

    fn apply_all(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        for event in events {
            self.apply(event);
        }
        self
    }
}

/// Phase and steps, in one line.
fn state(run: &Run) -> String {
    let mut steps = Vec::new();
    for step in run.steps() {
        let word = match &step.state {
            StepState::Waiting => "waiting".to_owned(),
            StepState::Retrying { wait, .. } => format!("retrying in {wait:?}"),
            StepState::Handled { .. } => "handled".to_owned(),
            StepState::Running { .. } => "running".to_owned(),
            StepState::Stopping { reason, .. } => format!("stopping:{reason}"),
            StepState::Ended { result: StepResult::Completed(value), .. } => format!("completed {value:?}"),
            StepState::Ended { result: StepResult::Failed(failure), .. } => {
                format!("failed:{}", failure.code.as_str())
            }
            StepState::Ended { result: StepResult::Grouped, .. } => "completed".to_owned(),
            StepState::Ended { result: StepResult::Cancelled, .. } => "cancelled".to_owned(),
            StepState::Ended { result: StepResult::Skipped(reason), .. } => format!("skipped {reason}"),
        };
        steps.push(format!("{} {word}", attempt(&step.attempt_id(run.plan()))));
    }
    let error = run.error().map_or_else(String::new, |error| format!(" error:{}", error.code.as_str()));
    format!("{}{error} [{}]", run.phase().status(), steps.join(", "))
}

fn attempt(id: &AttemptId) -> String {
    let turn: Vec<_> = id.turn.iter().map(|index| format!("[{index}]")).collect();
    format!("{}{}#{}", id.step, turn.concat(), id.attempt)
}

/// One action, in a few words.
fn told(action: &Action) -> String {
    match action {
        Action::Spawn(spawn) => format!("spawn {}", attempt(&spawn.id)),
        Action::Terminate { id, reason, now } => {
            format!("terminate {} {reason}{}", attempt(id), if *now { " now" } else { "" })
        }
        Action::ArmTimer { timer: super::Timer::Run, after } => format!("arm run {after:?}"),
        Action::ArmTimer { timer: super::Timer::Step(id) | super::Timer::Retry(id), after } => {
            format!("arm {} {after:?}", attempt(id))
        }
        Action::Notice(notice) => told_notice(notice),
        Action::Finish { status } => format!("finish {status}"),
    }
}

/// What is rolled back, if it is not the run.
fn of(id: Option<&AttemptId>) -> String {
    id.map(|id| format!(" of {}", attempt(id))).unwrap_or_default()
}

fn told_notice(notice: &Notice) -> String {
    match notice {
        Notice::RunStarted => "(run started)".to_owned(),
        Notice::RunStopping => "(run stopping)".to_owned(),
        Notice::RunEnded { status, error, duration_ms } => {
            let error = error.as_ref().map_or("", |error| error.code.as_str());
            let duration = duration_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms"));
            format!("(run ended {status} {error} {duration})").replace("  ", " ")
        }
        Notice::RollbackStarted { id } => format!("(rollback{} started)", of(id.as_ref())),
        Notice::RollbackStep { id, of } => match of {
            Some(of) => format!("({} undoes {of})", attempt(id)),
            None => format!("({} after the undo)", attempt(id)),
        },
        Notice::RollbackEnded { id, status } => format!("(rollback{} ended {status})", of(id.as_ref())),
        Notice::StepWaiting { id } => format!("({} waiting)", attempt(id)),
        Notice::StepStarted { id } => format!("({} started)", attempt(id)),
        Notice::StepSkipped { id, reason } => format!("({} skipped: {reason})", attempt(id)),
        Notice::StepCompleted { id, duration_ms } => format!("({} completed {duration_ms}ms)", attempt(id)),
        Notice::StepRetrying { id, error, delay_ms } => {
            format!("({} retrying {} {delay_ms}ms)", attempt(id), error.code.as_str())
        }
        Notice::StepFailed { id, error, duration_ms } => {
            format!("({} failed {} {duration_ms}ms)", attempt(id), error.code.as_str())
        }
        Notice::StepCancelled { id, duration_ms } => format!("({} cancelled {duration_ms}ms)", attempt(id)),
    }
}

fn told_all(actions: &[Action]) -> String {
    let told: Vec<_> = actions.iter().map(told).collect();
    if told.is_empty() { "-".to_owned() } else { told.join("; ") }
}
