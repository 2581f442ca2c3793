//! [`Witness`]: the rules of a run of steps in a row, written down a second time over what can be seen from
//! outside.

use schemas::{
    journal::{AttemptId, Event},
    view::{RunStatus, StepStatus, StopReason},
};

use crate::{
    plan::Plan,
    run::{Action, Notice, Run},
};

/// What was seen.
#[derive(Debug)]
pub(super) struct Witness {
    steps: Vec<String>,
    /// Steps that ended, in the order of the plan, and how.
    ended: Vec<StepStatus>,
    live: Option<AttemptId>,
    /// Why the live attempt must end: the first reason.
    reason: Option<StopReason>,
    /// Attempts of the step whose turn it is that died with their engine.
    crashed: u32,
    started: bool,
    /// A stop, a timeout or a failure: nothing new starts.
    over: bool,
    finished: Option<RunStatus>,
}

impl Witness {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            steps: plan.steps.iter().map(|step| step.name.clone()).collect(),
            ended: Vec::new(),
            live: None,
            reason: None,
            crashed: 0,
            started: false,
            over: false,
            finished: None,
        }
    }

    pub(super) fn live(&self) -> Option<&AttemptId> {
        self.live.as_ref()
    }

    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    pub(super) fn has_finished(&self) -> bool {
        self.finished.is_some()
    }

    #[track_caller]
    pub(super) fn sees(&mut self, event: &Event, actions: &[Action]) {
        let silent = self.finished.is_some();
        let live_before = self.live.clone();
        self.takes(event);
        assert!(!silent || actions.is_empty(), "{event:?} after the end: {actions:?}");
        for (index, action) in actions.iter().enumerate() {
            assert!(self.finished.is_none(), "nothing comes after Finish: {actions:?}");
            self.judges(action);
            let last = index + 1 == actions.len();
            assert!(last || !matches!(action, Action::Finish { .. }), "Finish is the last: {actions:?}");
        }
        let moved_on = live_before != self.live;
        let idle = self.live.is_none() && self.finished.is_none() && self.started;
        assert!(!idle, "a run that started waits for an attempt or is finished");
        assert!(!moved_on || !actions.is_empty(), "{event:?} moved the run in silence");
    }

    /// What the event itself makes of the state, before any action.
    fn takes(&mut self, event: &Event) {
        let going = self.finished.is_none();
        match event {
            // Nothing of these plans is tried again.
            Event::RunCreated(_) | Event::RetryDue { .. } => {}
            Event::RunResumed => self.crashes(),
            Event::RunStarted { .. } => self.started |= going,
            Event::AttemptEnded(ended) => {
                if self.live.as_ref() == Some(&ended.id) {
                    self.live = None;
                    self.reason = None;
                }
            }
            Event::AttemptStopping { id, reason } => {
                if self.live.as_ref() == Some(id) {
                    self.reason.get_or_insert(*reason);
                }
            }
            Event::RunTimedOut => {
                if self.started && going {
                    self.must_end(StopReason::RunTimeout);
                }
            }
            Event::StopRequested { .. } => {
                if going {
                    self.must_end(StopReason::Stop);
                }
            }
        }
    }

    /// What was in flight died; it runs again, unless a stop was on its way.
    fn crashes(&mut self) {
        if self.live.take().is_some() && self.reason.take().is_none() {
            self.crashed += 1;
        }
    }

    fn must_end(&mut self, reason: StopReason) {
        self.over = true;
        if self.live.is_some() {
            self.reason.get_or_insert(reason);
        }
    }

    #[track_caller]
    fn judges(&mut self, action: &Action) {
        match action {
            Action::Spawn(spawn) => {
                assert!(self.started && !self.over, "no start before the slot or after a stop: {spawn:?}");
                assert!(self.live.is_none(), "one live attempt at most: {:?} and {spawn:?}", self.live);
                assert!(self.ended.iter().all(|status| *status == StepStatus::Completed), "{:?}", self.ended);
                assert_eq!(spawn.step.index(), self.ended.len(), "steps start in order");
                assert_eq!(
                    (&spawn.id.step, spawn.id.attempt),
                    (&self.steps[self.ended.len()], 1 + self.crashed)
                );
                self.live = Some(spawn.id.clone());
            }
            Action::Terminate { id, reason, .. } => {
                assert_eq!(Some(id), self.live.as_ref(), "only what lives is ended");
                assert_eq!(Some(*reason), self.reason, "the first reason stands");
            }
            Action::ArmTimer { .. } => assert!(self.live.is_none(), "armed at the start, or by a new owner"),
            Action::Notice(notice) => self.hears(notice),
            Action::Finish { status } => {
                assert!(self.live.is_none(), "the run ends after its attempts: {:?}", self.live);
                assert!(status.is_ended());
                self.finished = Some(*status);
            }
        }
    }

    #[track_caller]
    fn hears(&mut self, notice: &Notice) {
        match notice {
            Notice::RunStarted => assert!(self.live.is_none() && self.ended.is_empty(), "a run starts once"),
            Notice::RunStopping => assert!(self.over, "a run stops when something stops it"),
            Notice::StepWaiting { id } => panic!("{id:?} waits, but nothing runs beside it"),
            Notice::StepStarted { id } => assert_eq!(id.step, self.steps[self.ended.len()]),
            Notice::RollbackStarted { .. } | Notice::RollbackStep { .. } | Notice::RollbackEnded { .. } => {
                panic!("nothing of these plans is undone: {notice:?}")
            }
            Notice::StepRetrying { id, .. } => panic!("no step of these plans has a strategy: {id:?}"),
            Notice::StepSkipped { id, .. } => panic!("no step of these plans has a `when`: {id:?}"),
            Notice::StepCompleted { id, .. } => self.step_ends(id, StepStatus::Completed),
            Notice::StepFailed { id, .. } => self.step_ends(id, StepStatus::Failed),
            Notice::StepCancelled { id, .. } => self.step_ends(id, StepStatus::Cancelled),
            Notice::RunEnded { status, error, .. } => {
                assert_eq!(error.is_some(), *status == RunStatus::Failed, "{status}: {error:?}");
            }
        }
    }

    /// Each step ends once: the next one in the order of the plan.
    #[track_caller]
    fn step_ends(&mut self, id: &AttemptId, status: StepStatus) {
        assert_eq!(id.step, self.steps[self.ended.len()], "steps end in order, each once");
        assert!(self.live.is_none(), "a step ends after its attempt");
        self.ended.push(status);
        self.crashed = 0;
        self.over |= status != StepStatus::Completed;
    }

    /// Whether the run says of itself what was seen.
    #[track_caller]
    pub(super) fn agrees(&self, run: &Run) {
        let view = run.view();
        let live = self.live.as_ref().map(|_| StepStatus::Running);
        let known: Vec<_> = self.ended.iter().copied().chain(live).collect();
        let rest = self.steps.len() - known.len();
        let expected: Vec<_> =
            known.into_iter().chain(std::iter::repeat_n(StepStatus::Pending, rest)).collect();
        let shown: Vec<_> = view.steps.iter().map(|step| step.status).collect();
        assert_eq!(shown, expected);
        let status = match self.finished {
            Some(status) => status,
            None if !self.started => RunStatus::Queued,
            None if self.over => RunStatus::Stopping,
            None => RunStatus::Running,
        };
        assert_eq!(view.status, status);
        if status == RunStatus::Completed {
            assert!(self.ended.iter().all(|ended| *ended == StepStatus::Completed), "{:?}", self.ended);
        }
        let stopping = run.steps().last().and_then(|step| match step.state {
            crate::run::StepState::Stopping { reason, .. } => Some(reason),
            crate::run::StepState::Waiting
            | crate::run::StepState::Retrying { .. }
            | crate::run::StepState::Handled { .. }
            | crate::run::StepState::Running { .. }
            | crate::run::StepState::Ended { .. } => None,
        });
        assert_eq!(stopping, self.reason);
    }
}
