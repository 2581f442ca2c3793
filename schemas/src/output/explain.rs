//! `explain --json`: why a run, or a step of it, ended as it did.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    failure::Failure,
    view::{RunStatus, StepStatus},
};

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// Version of this shape.
    pub schema_version: u32,
    /// The run.
    pub run_id: String,
    /// Its workflow.
    pub workflow: String,
    /// Where the run stands.
    pub status: RunStatus,
    /// What happened, in one sentence.
    pub summary: String,
    /// The failures, from the outermost to the first cause; empty where nothing failed.
    pub causes: Vec<Failure>,
    /// The attempts of the step that is explained.
    pub attempts: Vec<ExplainedAttempt>,
    /// What could be done now.
    pub next: NextMove,
}

/// One attempt of the step that is explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExplainedAttempt {
    /// Id of the step.
    pub step: String,
    /// 1-based number.
    pub attempt: u32,
    /// How it stands.
    pub status: StepStatus,
    /// Code of its failure.
    pub code: Option<String>,
    /// Highest memory use in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Wall time in milliseconds.
    pub wall_ms: Option<u64>,
}

/// What could be done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextMove {
    /// The command; `null` where there is nothing to do.
    pub command: Option<String>,
    /// Steps whose results would be taken over.
    pub kept: Vec<String>,
    /// Steps that would run again.
    pub again: Vec<String>,
}
