//! The states of a run and of its steps. Times live in the variants.

use schemas::{
    failure::{Code, Details, Failure},
    journal::{AttemptEnded, AttemptId, Now, Outcome, Output},
    json::Json,
    view::{RunStatus, StopReason},
};

use super::action::{Action, Notice};
use crate::{
    plan::{Plan, Step, StepId},
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
}

impl Phase {
    /// The word for it.
    pub fn status(self) -> RunStatus {
        match self {
            Self::Queued => RunStatus::Queued,
            Self::Running { .. } => RunStatus::Running,
            Self::Stopping { .. } => RunStatus::Stopping,
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
        }
    }
}

/// One turn of a step that has started.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Which step.
    pub step: StepId,
    /// Indices of the loops around it, outermost first.
    pub turn: Vec<u32>,
    /// When its first attempt started.
    pub started: Now,
    /// Where it stands.
    pub state: StepState,
    /// Attempts that ended, oldest first.
    pub attempts: Vec<AttemptEnded>,
}

/// Where one turn of a step stands.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// An attempt runs.
    Running {
        /// Since when.
        since: Now,
    },
    /// The attempt is being ended.
    Stopping {
        /// When the attempt started.
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
    /// Badly.
    Failed(Box<Failure>),
    /// It was ended because the run stops.
    Cancelled,
    /// It did not run, and why.
    Skipped(String),
}

impl StepRun {
    /// Number of the attempt that runs, or of the last one.
    pub fn attempt(&self) -> u32 {
        let ended = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        if self.is_live() { ended.saturating_add(1) } else { ended.max(1) }
    }

    /// Why it was skipped.
    pub fn skip_reason(&self) -> Option<&str> {
        match &self.state {
            StepState::Ended { result: StepResult::Skipped(reason), .. } => Some(reason),
            StepState::Ended { .. } | StepState::Running { .. } | StepState::Stopping { .. } => None,
        }
    }

    /// The identity of that attempt.
    pub fn attempt_id(&self, plan: &Plan) -> AttemptId {
        AttemptId {
            step: plan.steps[self.step.index()].name.clone(),
            turn: self.turn.clone(),
            attempt: self.attempt(),
        }
    }

    /// Whether an attempt is in flight.
    pub fn is_live(&self) -> bool {
        match self.state {
            StepState::Running { .. } | StepState::Stopping { .. } => true,
            StepState::Ended { .. } => false,
        }
    }

    pub(super) fn is_attempt(&self, id: &AttemptId, plan: &Plan) -> bool {
        self.attempt() == id.attempt && self.turn == id.turn && plan.steps[self.step.index()].name == id.step
    }

    /// The result of a step that completed.
    pub fn completed(&self) -> Option<&Json> {
        match &self.state {
            StepState::Ended { result: StepResult::Completed(value), .. } => Some(value),
            StepState::Ended { .. } | StepState::Running { .. } | StepState::Stopping { .. } => None,
        }
    }

    pub(super) fn end_attempt(
        &mut self,
        ended: &AttemptEnded,
        now: Now,
        step: &Step,
        actions: &mut Vec<Action>,
    ) {
        let id = ended.id.clone();
        let duration_ms = now.millis_since(&self.started);
        let mut ended = ended.clone();
        let result = match std::mem::replace(&mut ended.outcome, Outcome::Cancelled) {
            Outcome::Completed(Output::Inline(value)) => match value::missing_output(&value, &step.outputs) {
                None => StepResult::Completed(value),
                Some(name) => StepResult::Failed(missing_output(&step.name, &name).into()),
            },
            // The shell hands in every value as text; a file that it could not read is not there.
            Outcome::Completed(Output::File { path, .. }) => {
                StepResult::Failed(unreadable_output(&step.name, &path).into())
            }
            Outcome::Failed(failure) => StepResult::Failed(failure),
            Outcome::Cancelled => StepResult::Cancelled,
        };
        let notice = match &result {
            StepResult::Completed(_) => Notice::StepCompleted { id, duration_ms },
            StepResult::Failed(error) => Notice::StepFailed { id, error: error.clone(), duration_ms },
            StepResult::Cancelled => Notice::StepCancelled { id, duration_ms },
            StepResult::Skipped(reason) => Notice::StepSkipped { id, reason: reason.clone() },
        };
        actions.push(Action::Notice(notice));
        // The value itself is kept once, in the state of the step.
        if let StepResult::Failed(failure) = &result {
            ended.outcome = Outcome::Failed(failure.clone());
        } else if let StepResult::Completed(_) = &result {
            ended.outcome = Outcome::Completed(Output::Inline(Json::null()));
        }
        self.attempts.push(ended);
        self.state = StepState::Ended { at: now, result };
    }
}

fn missing_output(step: &str, name: &str) -> Failure {
    Failure {
        step: Some(step.to_owned()),
        code: Code::MissingOutput,
        message: format!("the result has no output `{name}`, which the step names"),
        retryable: Code::MissingOutput.retryable(),
        details: Details::default(),
    }
}

fn unreadable_output(step: &str, path: &str) -> Failure {
    Failure {
        step: Some(step.to_owned()),
        code: Code::BadOutput,
        message: format!("the stored output {path} could not be read"),
        retryable: Code::BadOutput.retryable(),
        details: Details::default(),
    }
}
