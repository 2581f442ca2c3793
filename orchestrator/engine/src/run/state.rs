//! The states of a run and of its steps. Times live in the variants.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use jiff::Timestamp;
use schemas::{
    failure::{Code, Details, Failure},
    journal::{AttemptEnded, AttemptId, Now, Outcome, Output},
    json::Json,
    view::{RunStatus, StopReason},
};

use super::{aside::Aside, group::Group, rollback::Undone};
use crate::{
    plan::{Plan, Step, StepId},
    units::Bytes,
    value,
};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for its slot.
    Queued,
    /// Steps run.
    Running {
        /// When it got its slot.
        since: Now,
    },
    /// Nothing new starts; what runs is being ended.
    Stopping {
        /// When it got its slot.
        since: Now,
        /// How it will end.
        end: End,
    },
    /// What was done is undone.
    RollingBack {
        /// When it got its slot.
        since: Now,
    },
    /// The last steps run.
    Finalizing {
        /// When it got its slot.
        since: Now,
        /// How it will end.
        end: End,
        /// Their row.
        row: InstanceId,
    },
    /// Nothing more happens.
    Ended {
        /// When it got its slot, if ever.
        since: Option<Now>,
        /// When it ended.
        at: Now,
        /// How.
        end: End,
    },
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every step ended well.
    Completed,
    /// A step failed, or the run's time was up.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// A step failed, and everything was undone.
    RolledBack,
    /// A step failed, and not everything could be undone.
    RollbackFailed,
}

impl Phase {
    /// The word for it.
    pub fn status(self) -> RunStatus {
        match self {
            Self::Queued => RunStatus::Queued,
            Self::Running { .. } => RunStatus::Running,
            Self::Stopping { .. } => RunStatus::Stopping,
            Self::RollingBack { .. } => RunStatus::RollingBack,
            Self::Finalizing { end, .. } => match end {
                End::Completed => RunStatus::Running,
                End::Failed | End::Cancelled => RunStatus::Stopping,
                End::RolledBack | End::RollbackFailed => RunStatus::RollingBack,
            },
            Self::Ended { end, .. } => end.status(),
        }
    }
}

impl End {
    /// The word for it.
    pub fn status(self) -> RunStatus {
        match self {
            Self::Completed => RunStatus::Completed,
            Self::Failed => RunStatus::Failed,
            Self::Cancelled => RunStatus::Cancelled,
            Self::RolledBack => RunStatus::RolledBack,
            Self::RollbackFailed => RunStatus::RollbackFailed,
        }
    }
}

/// Number of one turn of a step in its run, in the order in which their turns came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(NonZeroU32);

impl InstanceId {
    /// The one at an index of the run's list.
    pub(super) fn at(index: usize) -> Self {
        let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        Self(NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX))
    }

    /// Its index in the run's list.
    pub(super) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// One turn of a step whose turn has come.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Which step.
    pub step: StepId,
    /// What holds it; `None`: the run.
    pub(super) parent: Option<InstanceId>,
    /// Indices of the loops around it, outermost first.
    pub turn: Arc<[u32]>,
    /// When it started.
    pub started: Option<Now>,
    /// Where it stands.
    pub state: StepState,
    pub(super) body: Body,
    /// Absent as long as nothing failed.
    pub(super) recovery: Option<Box<Recovery>>,
    /// Why it runs, if it is a row beside the run.
    pub(super) aside: Option<Aside>,
    /// Whether it was undone since it last started.
    pub(super) undone: Undone,
}

/// What a turn of a step keeps of its failures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recovery {
    /// Tries that failed; attempts that died with their engine and ran again are not among them.
    pub(super) failures: u32,
    /// Memory of the next attempt, where it is not that of the plan.
    pub(super) memory: Option<Bytes>,
    /// The last failure.
    pub(super) last: Box<Failure>,
}

/// What a turn of a step consists of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// Attempts that ended, oldest first.
    Attempts(Vec<AttemptEnded>),
    /// Steps inside.
    Group(Box<Group>),
}

/// Where one turn of a step stands.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// It waits for what it refers to, or for a free place.
    Waiting,
    /// It failed, and waits for its next try.
    Retrying {
        /// The moment of the next try.
        due: Timestamp,
        /// The whole wait.
        wait: Duration,
    },
    /// It failed, and a handler sees to it.
    Handled {
        /// The row with the handler.
        row: StepId,
        /// Its instance; absent as long as it is busy with another failure.
        instance: Option<InstanceId>,
        /// Why it failed.
        failure: Box<Failure>,
    },
    /// An attempt runs, or the steps inside do.
    Running {
        /// Since when.
        since: Now,
    },
    /// The attempt, or what runs inside, is being ended.
    Stopping {
        /// When it started.
        since: Now,
        /// Why it is ended.
        reason: StopReason,
        /// When that was decided.
        asked: Now,
    },
    /// It is over.
    Ended {
        /// When.
        at: Now,
        /// How.
        result: StepResult,
    },
}

/// How one turn of a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StepResult {
    /// Well, with this result.
    Completed(Json),
    /// Well; the result is put together from the steps inside.
    Grouped,
    /// Badly.
    Failed(Box<Failure>),
    /// It was ended because the run stops, or a group around it does without it.
    Cancelled,
    /// It did not run, and why.
    Skipped(String),
}

impl StepRun {
    /// Attempts that ended, oldest first; a step that holds others has none.
    pub fn attempts(&self) -> &[AttemptEnded] {
        match &self.body {
            Body::Attempts(attempts) => attempts,
            Body::Group(_) => &[],
        }
    }

    /// Number of the attempt that runs, or of the last one.
    pub fn attempt(&self) -> u32 {
        match (&self.state, &self.body) {
            (StepState::Ended { .. } | StepState::Handled { .. }, _)
            | (StepState::Running { .. } | StepState::Stopping { .. }, Body::Group(_)) => self.tried().max(1),
            (StepState::Running { .. } | StepState::Stopping { .. }, Body::Attempts(_))
            | (StepState::Waiting | StepState::Retrying { .. }, _) => self.tried().saturating_add(1),
        }
    }

    /// Attempts that ended; of a step that holds others those that began.
    pub(super) fn tried(&self) -> u32 {
        match &self.body {
            Body::Attempts(attempts) => u32::try_from(attempts.len()).unwrap_or(u32::MAX),
            Body::Group(group) => group.tries,
        }
    }

    /// Tries that failed and count.
    pub(super) fn failures(&self) -> u32 {
        self.recovery.as_ref().map_or(0, |recovery| recovery.failures)
    }

    /// Memory of its attempt, where it is not that of the plan.
    pub(super) fn memory(&self) -> Option<Bytes> {
        self.recovery.as_ref().and_then(|recovery| recovery.memory)
    }

    /// The row of the handler for which it waits.
    pub(super) fn handler(&self) -> Option<StepId> {
        match self.state {
            StepState::Handled { row, instance: None, .. } => Some(row),
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. }
            | StepState::Ended { .. } => None,
        }
    }

    /// The moment of its next try.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self.state {
            StepState::Retrying { due, .. } => Some(due),
            StepState::Waiting
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. }
            | StepState::Ended { .. } => None,
        }
    }

    /// Why it was skipped.
    pub fn skip_reason(&self) -> Option<&str> {
        match &self.state {
            StepState::Ended { result: StepResult::Skipped(reason), .. } => Some(reason),
            StepState::Ended { .. }
            | StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => None,
        }
    }

    /// The identity of that attempt.
    pub fn attempt_id(&self, plan: &Plan) -> AttemptId {
        AttemptId {
            step: plan.steps[self.step.index()].name.clone(),
            turn: self.turn.to_vec(),
            attempt: self.attempt(),
        }
    }

    /// Whether an attempt is in flight.
    pub fn is_live(&self) -> bool {
        match self.state {
            StepState::Running { .. } | StepState::Stopping { .. } => self.group().is_none(),
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Ended { .. } => false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self.state {
            StepState::Ended { .. } => true,
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => false,
        }
    }

    pub(super) fn group(&self) -> Option<&Group> {
        match &self.body {
            Body::Group(group) => Some(group),
            Body::Attempts(_) => None,
        }
    }

    pub(super) fn group_mut(&mut self) -> Option<&mut Group> {
        match &mut self.body {
            Body::Group(group) => Some(group),
            Body::Attempts(_) => None,
        }
    }

    /// It is to be ended. Says whether it was running until now: the first reason wins.
    pub(super) fn stops(&mut self, reason: StopReason, now: Now) -> bool {
        match self.state {
            StepState::Running { since } => {
                self.state = StepState::Stopping { since, reason, asked: now };
                true
            }
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Stopping { .. }
            | StepState::Ended { .. } => false,
        }
    }

    /// Takes the report on its attempt in; how the step ends by it.
    pub(super) fn takes(&mut self, ended: &AttemptEnded, step: &Step) -> StepResult {
        let mut ended = ended.clone();
        let result = match std::mem::replace(&mut ended.outcome, Outcome::Cancelled) {
            // What was ended for the sake of another step is not wanted any more, whatever it still said.
            Outcome::Completed(_) if self.lost() => StepResult::Cancelled,
            // The value itself is kept once, in the state of the step.
            Outcome::Completed(Output::Inline(value)) => {
                ended.outcome = Outcome::Completed(Output::Inline(Json::null()));
                completed(value, step)
            }
            Outcome::Completed(Output::File { path, bytes, value: Some(value) }) => {
                ended.outcome = Outcome::Completed(Output::File { path, bytes, value: None });
                completed(value, step)
            }
            // The shell hands in every value as text; a file that it could not read is not there.
            Outcome::Completed(Output::File { path, value: None, .. }) => {
                StepResult::Failed(unreadable_output(&step.name, &path).into())
            }
            Outcome::Failed(failure) => StepResult::Failed(failure),
            Outcome::Cancelled => StepResult::Cancelled,
        };
        if let StepResult::Failed(failure) = &result {
            ended.outcome = Outcome::Failed(failure.clone());
        }
        if let Body::Attempts(attempts) = &mut self.body {
            attempts.push(ended);
        }
        result
    }

    fn lost(&self) -> bool {
        matches!(self.state, StepState::Stopping { reason: StopReason::Sibling, .. })
    }
}

fn completed(value: Json, step: &Step) -> StepResult {
    match value::missing_output(&value, &step.outputs) {
        None => StepResult::Completed(value),
        Some(name) => StepResult::Failed(missing_output(&step.name, &name).into()),
    }
}

pub(super) fn missing_output(step: &str, name: &str) -> Failure {
    failure(step, Code::MissingOutput, format!("the result has no output `{name}`, which the step names"))
}

fn unreadable_output(step: &str, path: &str) -> Failure {
    failure(step, Code::BadOutput, format!("the stored output {path} could not be read"))
}

/// A failure of a step of which there is no more to say.
pub(super) fn failure(step: &str, code: Code, message: String) -> Failure {
    let details = Details::default();
    Failure { step: Some(step.to_owned()), code, message, retryable: code.retryable(), details }
}
