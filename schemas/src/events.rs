//! The event stream: one line of `run --events` each. For watchers; the journal is the truth.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    agent::ToolCall,
    failure::Failure,
    json::Json,
    view::{AgentView, RunStatus},
    words,
};

/// Version of the shape of [`RunEvent`].
pub const EVENT_VERSION: u32 = 1;

words! {
    /// What happened.
    EventType {
        /// The run exists durably.
        RunCreated = "run.created",
        /// The run waits for a slot.
        RunQueued = "run.queued",
        /// A schedule started the run: `text` is the schedule, and the moment for which it was meant.
        ScheduleFired = "schedule.fired",
        /// The run has its slot.
        RunStarted = "run.started",
        /// The run is being stopped.
        RunStopping = "run.stopping",
        /// The run ended.
        RunEnded = "run.ended",
        /// The step waits: backoff, queue or dependency.
        StepWaiting = "step.waiting",
        /// An attempt starts.
        StepStarted = "step.started",
        /// The step says how far it is.
        StepProgress = "step.progress",
        /// The step logs a line.
        StepLog = "step.log",
        /// The step ended well.
        StepCompleted = "step.completed",
        /// The step failed for good.
        StepFailed = "step.failed",
        /// The step did not run, or its failure was skipped.
        StepSkipped = "step.skipped",
        /// The step was ended because the run stops.
        StepCancelled = "step.cancelled",
        /// The step failed and will be tried again.
        StepRetrying = "step.retrying",
        /// An agent sent a request to its model, got its answer, or reported what it used.
        AgentRequest = "agent.request",
        /// An agent, or its model, said something.
        AgentMessage = "agent.message",
        /// An agent thought aloud.
        AgentThought = "agent.thought",
        /// An agent told its plan.
        AgentPlan = "agent.plan",
        /// An agent called a tool.
        ToolCalled = "tool.called",
        /// An agent reached a guardrail.
        GuardrailExceeded = "guardrail.exceeded",
        /// What was done is being undone.
        RollbackStarted = "rollback.started",
        /// A step of the rollback begins.
        RollbackStep = "rollback.step",
        /// The rollback ended.
        RollbackEnded = "rollback.ended",
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunEvent {
    /// [`EVENT_VERSION`].
    pub v: u32,
    /// Number in the stream, from 1, without gaps.
    pub seq: u64,
    /// When, by the wall clock.
    pub ts: Timestamp,
    /// What.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Which run.
    pub run_id: String,
    /// Which step; `null` for the run itself.
    pub step: Option<String>,
    /// Which attempt.
    pub attempt: Option<u32>,
    /// Indices of the loops around the step, outermost first.
    pub iteration: Vec<u32>,
    /// How the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// From start to end, by the monotonic clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long the step waits for its next try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Level of a log line: `debug`, `info`, `warn`, `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// A log line, what an agent says, why a step was skipped, the step that a step of the rollback undoes, or the
    /// schedule that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What the step says of its progress, or the plan of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Json>,
    /// A file or another thing that a skill made, as it tells on descriptor 3: in an event of the type
    /// `step.progress`, in place of `progress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Json>,
    /// What an agent did and used so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<AgentView>>,
    /// The call of a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Box<ToolCall>>,
    /// The name of a guardrail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<String>,
}
