//! What [`super::Run::apply`] asks for: effects as values.

use std::time::Duration;

use schemas::{
    failure::Failure,
    journal::AttemptId,
    json::Json,
    view::{RunStatus, StopReason},
};

use crate::{plan::StepId, units::Bytes};

/// One effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start an attempt.
    Spawn(Box<Spawn>),
    /// End an attempt: SIGTERM, grace, kill of the whole tree; `now` leaves out the first two. Asked again
    /// with `now`, it hurries.
    Terminate {
        /// Which attempt.
        id: AttemptId,
        /// Why; durable already.
        reason: StopReason,
        /// Kill at once.
        now: bool,
    },
    /// Wake the run up after a while.
    ArmTimer {
        /// What for.
        timer: Timer,
        /// How long, from now, by the monotonic clock.
        after: Duration,
    },
    /// Tell the watchers.
    Notice(Notice),
    /// Nothing more will happen. At most one in the life of a run, and the last action.
    Finish {
        /// How it ended.
        status: RunStatus,
    },
}

/// What a timer is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The run's own limit: `Event::RunTimedOut`.
    Run,
    /// The limit of a step that holds others: `Event::AttemptStopping`, by its timeout.
    Step(AttemptId),
    /// The wait for an attempt: `Event::RetryDue`.
    Retry(AttemptId),
}

/// Everything about an attempt that depends on the state of the run; the rest is in the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Spawn {
    /// Which attempt.
    pub id: AttemptId,
    /// Its step in the plan.
    pub step: StepId,
    /// The inputs, filled in: a JSON object.
    pub inputs: Json,
    /// Its limit on memory, where it is not that of the plan.
    pub memory: Option<Bytes>,
    /// The context that the skill sees: a JSON object.
    pub context: Json,
    /// The step's own environment, filled in.
    pub env: Vec<(String, String)>,
    /// The step's own working directory, filled in.
    pub cwd: Option<String>,
}

/// What watchers hear: the event stream and the run's log.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The run has its slot.
    RunStarted,
    /// The run is being stopped.
    RunStopping,
    /// The run ended.
    RunEnded {
        /// How.
        status: RunStatus,
        /// Why, if not well.
        error: Option<Box<Failure>>,
        /// By the run's own clock; absent when it never started.
        duration_ms: Option<u64>,
    },
    /// What was done is being undone.
    RollbackStarted {
        /// The workflow step; absent for the run itself.
        id: Option<AttemptId>,
    },
    /// A step of the rollback begins.
    RollbackStep {
        /// Its first attempt.
        id: AttemptId,
        /// The step that it undoes.
        of: Option<String>,
    },
    /// The rollback ended.
    RollbackEnded {
        /// The workflow step; absent for the run itself.
        id: Option<AttemptId>,
        /// Whether everything was undone.
        status: RunStatus,
    },
    /// A step's turn has come, but it waits: for what it refers to, or for a free place.
    StepWaiting {
        /// Its first attempt.
        id: AttemptId,
    },
    /// An attempt starts, or a step that holds others does.
    StepStarted {
        /// Which.
        id: AttemptId,
    },
    /// A step did not run.
    StepSkipped {
        /// The attempt that it would have been.
        id: AttemptId,
        /// Why.
        reason: String,
    },
    /// A step ended well.
    StepCompleted {
        /// Its last attempt.
        id: AttemptId,
        /// From the start of its first attempt.
        duration_ms: u64,
    },
    /// A try failed, and another one will follow.
    StepRetrying {
        /// The attempt that failed.
        id: AttemptId,
        /// Why.
        error: Box<Failure>,
        /// How long the step waits for the next.
        delay_ms: u64,
    },
    /// A step failed for good.
    StepFailed {
        /// Its last attempt.
        id: AttemptId,
        /// Why.
        error: Box<Failure>,
        /// From the start of its first attempt.
        duration_ms: u64,
    },
    /// A step was ended because the run stops, or a group around it goes on without it.
    StepCancelled {
        /// Its last attempt.
        id: AttemptId,
        /// From the start of its first attempt.
        duration_ms: u64,
    },
}
