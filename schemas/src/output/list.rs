//! `list --json`: runs and stored definitions.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::view::RunStatus;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listing {
    /// Version of this shape.
    pub schema_version: u32,
    /// Runs, newest first; empty when only definitions were asked for.
    pub runs: Vec<ListedRun>,
    /// Stored definitions by name; empty when only runs were asked for.
    pub definitions: Vec<ListedDefinition>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedRun {
    /// Id of the run.
    pub run_id: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Version of the workflow.
    pub version: String,
    /// Where the run stands.
    pub status: RunStatus,
    /// `manual`, `schedule:<id>` or `workflow:<run>`.
    pub trigger: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first step could start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Time from start to end by the monotonic clock.
    pub duration_ms: Option<u64>,
}

/// One stored definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedDefinition {
    /// Its name: that of the file.
    pub name: String,
    /// Version of the workflow; `null` where the file cannot be read.
    pub version: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The file.
    pub path: String,
}
