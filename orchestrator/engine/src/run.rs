//! [`Run`]: the state of one run and the one function that moves it. An event comes in, actions go out;
//! the journal is the list of events, so that a crash is mended by the same function.
//!
//! It never waits, never reads a clock and never fails: every pair of state and event is defined, and what
//! does not fit (an attempt that is long dead, a second start) moves nothing.

mod action;
mod advance;
mod aside;
mod assign;
mod begin;
mod end;
mod ending;
mod finish;
mod group;
mod locate;
mod outputs;
mod resume;
mod retry;
mod reuse;
mod rollback;
mod scope;
mod state;
mod stop;
mod timeout;
mod view;
mod workflow;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use schemas::{
    failure::Failure,
    journal::{AttemptEnded, AttemptId, Event, Now, RunCreated},
    json::Json,
    view::{Isolation, StopReason},
};

use self::group::Group;
pub use self::{
    action::{Action, Notice, Spawn, Timer},
    state::{End, InstanceId, Phase, StepResult, StepRun, StepState},
    view::StreamedSteps,
};
use crate::plan::{Plan, Step, StepKind, Subworkflow};

/// One call of [`Run::apply`].
struct Moment<'a> {
    now: Now,
    actions: &'a mut Vec<Action>,
    /// What is to be looked at before the call ends.
    todo: VecDeque<Job>,
    /// Turns of loops that began in it.
    turns: u32,
}

/// Something that may go on.
#[derive(Debug, Clone, Copy)]
enum Job {
    /// A group.
    Advance(Place),
    /// A step that waited for another.
    Wake(InstanceId),
}

/// A turn of a group; `None` is the run itself.
#[derive(Debug, Clone, Copy)]
struct Place {
    owner: Option<InstanceId>,
    turn: u32,
}

/// The state of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    plan: Arc<Plan>,
    created: Arc<RunCreated>,
    created_at: Now,
    phase: Phase,
    /// Turns of steps, in the order in which their turn came: each after the one that holds it.
    instances: Vec<StepRun>,
    /// Those that started, in start order; a gap where one began again later.
    order: Vec<Option<InstanceId>>,
    /// The mutable context: what it holds now.
    mutable: BTreeMap<String, Json>,
    /// The steps at the top.
    root: Group,
    /// Attempts in flight.
    live: HashMap<AttemptId, InstanceId>,
    /// Steps that only wait for a place, first come first.
    places: VecDeque<InstanceId>,
    /// Steps that wait for their next try, by its number.
    retrying: BTreeMap<AttemptId, InstanceId>,
    /// Rows beside the run.
    rows: aside::Rows,
    /// Steps that wait for a handler that is busy.
    unhandled: VecDeque<InstanceId>,
    /// What is undone, once that begins: of workflows that others call, and of the run.
    rollbacks: Vec<rollback::Rollback>,
    /// Whether items of loops are kept to the end: undo steps may read them.
    keeps_items: bool,
    /// Whether a stop at once was asked for.
    at_once: bool,
    /// Who waits for whom to settle.
    waiters: BTreeMap<InstanceId, Vec<InstanceId>>,
    /// The way to a step outside all loops, shared by all of them.
    no_turn: Arc<[u32]>,
    /// The first failure.
    error: Option<Failure>,
    /// What the host gives by default.
    isolation: Option<Arc<Isolation>>,
    /// Filled in when the run completed.
    outputs: Option<schemas::json::Json>,
}

impl Run {
    /// A run that waits for its slot. `now` is the moment of its creation.
    pub fn new(plan: Arc<Plan>, created: RunCreated, now: Now) -> Self {
        let mutable = plan.mutable.clone();
        let keeps_items = plan.steps.iter().any(|step| step.undo.is_some());
        Self {
            keeps_items,
            plan,
            mutable,
            created: Arc::new(created),
            created_at: now,
            phase: Phase::Queued,
            instances: Vec::new(),
            order: Vec::new(),
            root: Group::with_turn(),
            live: HashMap::new(),
            places: VecDeque::new(),
            retrying: BTreeMap::new(),
            rows: aside::Rows::new(),
            unhandled: VecDeque::new(),
            rollbacks: Vec::new(),
            at_once: false,
            waiters: BTreeMap::new(),
            no_turn: Arc::from([]),
            error: None,
            isolation: None,
            outputs: None,
        }
    }

    /// The run as its journal tells it: the same [`Run::apply`], the actions dropped. The first event must
    /// be `RunCreated`; `None` without it.
    pub fn replay(plan: Arc<Plan>, events: impl IntoIterator<Item = (Now, Event)>) -> Option<Self> {
        let mut events = events.into_iter();
        let (now, Event::RunCreated(created)) = events.next()? else { return None };
        let mut run = Self::new(plan, *created, now);
        for (now, event) in events {
            run.apply(&event, now);
        }
        Some(run)
    }

    /// Moves the run by one event, which the journal holds already, and says what is to be done now.
    pub fn apply(&mut self, event: &Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut moment = Moment { now, actions: &mut actions, todo: VecDeque::new(), turns: 0 };
        match event {
            Event::RunCreated(_) => {}
            Event::RunStarted { isolation } => self.start(isolation, &mut moment),
            Event::AttemptEnded(ended) => self.attempt_ended(ended, &mut moment),
            Event::AttemptStopping { id, reason } => self.attempt_stopping(id, *reason, &mut moment),
            Event::RetryDue { id } => self.retry_due(id, &mut moment),
            Event::RunTimedOut => self.timed_out(&mut moment),
            Event::RunResumed => self.resumed(&mut moment),
            Event::StopRequested { now: at_once, .. } => self.stop(*at_once, &mut moment),
        }
        match self.phase {
            Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::RollingBack { .. }
            | Phase::Finalizing { .. } => self.advance(&mut moment),
            Phase::Queued | Phase::Ended { .. } => {}
        }
        actions
    }

    /// The plan that it follows.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What it was created from.
    pub fn created(&self) -> &RunCreated {
        &self.created
    }

    /// Where it stands.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The first failure.
    pub fn error(&self) -> Option<&Failure> {
        self.error.as_ref()
    }

    /// Its steps: those that started, in start order, then those that wait or never started.
    pub fn steps(&self) -> impl Iterator<Item = &StepRun> {
        self.ids().map(|id| &self.instances[id.index()])
    }

    fn ids(&self) -> impl Iterator<Item = InstanceId> {
        let others = self
            .instances
            .iter()
            .enumerate()
            .filter(|(_, run)| run.started.is_none() && run.skip_reason().is_none());
        self.order.iter().copied().flatten().chain(others.map(|(index, _)| InstanceId::at(index)))
    }

    fn start(&mut self, isolation: &Isolation, moment: &mut Moment<'_>) {
        if self.phase != Phase::Queued {
            return;
        }
        self.isolation = Some(Arc::new(isolation.clone()));
        self.phase = Phase::Running { since: moment.now };
        moment.actions.push(Action::Notice(Notice::RunStarted));
        if let Some(after) = self.time_limit() {
            moment.actions.push(Action::ArmTimer { timer: Timer::Run, after });
        }
        moment.todo.push_back(Job::Advance(Place { owner: None, turn: 0 }));
    }

    /// How long the whole run may take.
    fn time_limit(&self) -> Option<Duration> {
        let own = self.created.timeout_ms.map(Duration::from_millis);
        [own, self.plan.timeout].into_iter().flatten().min()
    }

    fn attempt_stopping(&mut self, id: &AttemptId, reason: StopReason, moment: &mut Moment<'_>) {
        let Some(live) = self.live.get(id) else { return self.group_stopping(id, reason, moment) };
        // The first reason wins.
        if self.instances[live.index()].stops(reason, moment.now) {
            moment.actions.push(Action::Terminate { id: id.clone(), reason, now: false });
        }
    }

    fn attempt_ended(&mut self, ended: &AttemptEnded, moment: &mut Moment<'_>) {
        if let Some(id) = self.live.remove(&ended.id) {
            self.take_end(id, ended, moment);
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.error.get_or_insert(failure);
    }

    /// The workflow that a step calls; `None`: the step is none, or the run itself is meant.
    fn called(&self, of: Option<InstanceId>) -> Option<&Subworkflow> {
        match &self.step_of(of?).kind {
            StepKind::Workflow(called) => Some(called),
            StepKind::Skill(_)
            | StepKind::Sequence(_)
            | StepKind::Parallel(_)
            | StepKind::Conditional(_)
            | StepKind::Loop(_) => None,
        }
    }

    fn step_of(&self, id: InstanceId) -> &Step {
        &self.plan.steps[self.instances[id.index()].step.index()]
    }

    /// The turn of the group that holds an instance.
    fn place_of(&self, id: InstanceId) -> (Option<InstanceId>, u32) {
        let run = &self.instances[id.index()];
        let is_loop = run.parent.is_some_and(|parent| matches!(self.step_of(parent).kind, StepKind::Loop(_)));
        (run.parent, if is_loop { run.turn.last().copied().unwrap_or(0) } else { 0 })
    }

    fn group_mut(&mut self, owner: Option<InstanceId>) -> &mut Group {
        let inner = owner.and_then(|owner| self.instances[owner.index()].group_mut());
        // Only instances with steps inside hold any.
        inner.unwrap_or(&mut self.root)
    }
}
