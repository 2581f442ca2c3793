//! [`Run`]: the state of one run and the one function that moves it. An event comes in, actions go out;
//! the journal is the list of events, so that a crash is mended by the same function.
//!
//! It never waits, never reads a clock and never fails: every pair of state and event is defined, and what
//! does not fit (an attempt that is long dead, a second start) moves nothing.

mod action;
mod finish;
mod scope;
mod sequence;
mod state;
mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemas::{
    failure::{Code, Details, Failure},
    journal::{AttemptEnded, AttemptId, Event, Now, RunCreated},
    view::{Isolation, StopReason},
};

pub use self::{
    action::{Action, Notice, Spawn, Timer},
    state::{End, Phase, StepRun, StepState},
    view::StreamedSteps,
};
use crate::plan::{Plan, StepId};

/// The state of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    plan: Arc<Plan>,
    created: Arc<RunCreated>,
    created_at: Now,
    phase: Phase,
    /// Steps in start order.
    steps: Vec<StepRun>,
    /// Index into `steps` by step of the plan: its newest turn.
    newest: Vec<Option<u32>>,
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
        let newest = vec![None; plan.steps.len()];
        Self {
            plan,
            created: Arc::new(created),
            created_at: now,
            phase: Phase::Queued,
            steps: Vec::new(),
            newest,
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
        match event {
            Event::RunCreated(_) | Event::RunResumed => {}
            Event::RunStarted { isolation } => self.start(isolation, now, &mut actions),
            Event::AttemptEnded(ended) => self.attempt_ended(ended, now, &mut actions),
            Event::AttemptStopping { id, reason } => self.attempt_stopping(id, *reason, now, &mut actions),
            Event::RunTimedOut => self.timed_out(now, &mut actions),
            Event::StopRequested { now: at_once, .. } => self.stop(*at_once, now, &mut actions),
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

    /// Its steps, in start order.
    pub fn steps(&self) -> &[StepRun] {
        &self.steps
    }

    fn start(&mut self, isolation: &Isolation, now: Now, actions: &mut Vec<Action>) {
        if self.phase != Phase::Queued {
            return;
        }
        self.isolation = Some(Arc::new(isolation.clone()));
        self.phase = Phase::Running { since: now };
        actions.push(Action::Notice(Notice::RunStarted));
        let own = self.created.timeout_ms.map(std::time::Duration::from_millis);
        if let Some(after) = [own, self.plan.timeout].into_iter().flatten().min() {
            actions.push(Action::ArmTimer { timer: Timer::Run, after });
        }
        self.advance(now, actions);
    }

    fn attempt_stopping(&mut self, id: &AttemptId, reason: StopReason, now: Now, actions: &mut Vec<Action>) {
        let Some(step) = self.live_step(id) else { return };
        // The first reason wins.
        if let StepState::Running { since } = step.state {
            step.state = StepState::Stopping { since, reason, asked: now };
            actions.push(Action::Terminate { id: id.clone(), reason, now: false });
        }
    }

    fn attempt_ended(&mut self, ended: &AttemptEnded, now: Now, actions: &mut Vec<Action>) {
        let plan = Arc::clone(&self.plan);
        let Some(step) = self.live_step(&ended.id) else { return };
        let index = step.step;
        step.end_attempt(ended, now, &plan.steps[index.index()], actions);
        self.advance(now, actions);
    }

    fn timed_out(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Phase::Running { since } = self.phase else { return };
        let limit = [self.created.timeout_ms, self.plan.timeout.map(crate::units::millis)];
        let limit = limit.into_iter().flatten().min();
        self.fail(Failure {
            step: None,
            code: Code::Timeout,
            message: match limit {
                Some(limit) => format!("the run took longer than its limit of {limit} ms"),
                None => "the run took longer than its limit".to_owned(),
            },
            retryable: Code::Timeout.retryable(),
            details: Details { limit, ..Details::default() },
        });
        self.phase = Phase::Stopping { since, end: End::Failed };
        actions.push(Action::Notice(Notice::RunStopping));
        self.terminate_all(StopReason::RunTimeout, false, now, actions);
        self.advance(now, actions);
    }

    fn stop(&mut self, at_once: bool, now: Now, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Queued => self.finish(End::Cancelled, None, now, actions),
            Phase::Running { since } => {
                self.phase = Phase::Stopping { since, end: End::Cancelled };
                actions.push(Action::Notice(Notice::RunStopping));
                self.terminate_all(StopReason::Stop, at_once, now, actions);
                self.advance(now, actions);
            }
            Phase::Stopping { .. } => self.terminate_all(StopReason::Stop, at_once, now, actions),
            Phase::Ended { .. } => {}
        }
    }

    /// Ends every live attempt. One that is being ended already keeps its reason; it is only hurried.
    fn terminate_all(&mut self, reason: StopReason, at_once: bool, now: Now, actions: &mut Vec<Action>) {
        for step in &mut self.steps {
            let reason = match step.state {
                StepState::Running { since } => {
                    step.state = StepState::Stopping { since, reason, asked: now };
                    reason
                }
                StepState::Stopping { reason, .. } if at_once => reason,
                StepState::Stopping { .. } | StepState::Ended { .. } => continue,
            };
            actions.push(Action::Terminate { id: step.attempt_id(&self.plan), reason, now: at_once });
        }
    }

    fn live_step(&mut self, id: &AttemptId) -> Option<&mut StepRun> {
        let plan = &self.plan;
        self.steps.iter_mut().rev().find(|step| step.is_live() && step.is_attempt(id, plan))
    }

    fn fail(&mut self, failure: Failure) {
        self.error.get_or_insert(failure);
    }

    fn newest(&self, step: StepId) -> Option<&StepRun> {
        self.newest[step.index()].map(|index| &self.steps[index as usize])
    }
}
