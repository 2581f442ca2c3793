//! What `notify` of config.json tells of the end of a run: on stdin of its command, and to its webhook.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{failure::Failure, view::RunStatus};

/// The end of a run. Whatever came from a step has been masked before it was recorded.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Notice<'a> {
    /// Version of this shape.
    pub schema_version: u32,
    /// The run.
    pub run_id: &'a str,
    /// The name of its workflow.
    pub workflow: &'a str,
    /// The version of its workflow.
    pub version: &'a str,
    /// How it ended.
    pub status: RunStatus,
    /// `manual`, `schedule:<id>` or `workflow:<run>`.
    pub trigger: &'a str,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// From start to end, by the monotonic clock.
    pub duration_ms: Option<u64>,
    /// Why it failed.
    pub error: Option<&'a Failure>,
}
