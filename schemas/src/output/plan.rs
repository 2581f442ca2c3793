//! What `run --dry-run --json` prints: the resolved plan. It borrows from the plan that it shows.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    json::Json,
    view::{Isolation, Limit},
};

/// A workflow as it would run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DryRun<'a> {
    /// Version of this shape.
    pub schema_version: u32,
    /// Name of the workflow.
    pub workflow: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Who would hold what on this machine.
    pub isolation: &'a Isolation,
    /// The steps, those that hold others before those that they hold.
    pub steps: Vec<PlannedStep<'a>>,
}

/// A step as it would run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannedStep<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The step that holds it.
    pub parent: Option<&'a str>,
    /// The skill that it calls.
    pub skill: Option<&'a str>,
    /// Its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<&'a str>,
    /// Its inputs, references as they are written.
    pub inputs: Option<Json>,
    /// Wall-clock limit of an attempt.
    pub timeout_ms: Option<u64>,
    /// Its limits, with who would hold them.
    pub limits: &'a [Limit],
}
