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
    /// What a rollback would do if every step had started, in order: the last that starts is undone first.
    pub rollback: Vec<PlannedUndo<'a>>,
    /// Whether the strategy `rollback` undoes anything; else it acts as `halt`.
    pub rollback_enabled: bool,
    /// The steps that run at the end, in order.
    pub finally: Vec<&'a str>,
}

/// A step of a rollback.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannedUndo<'a> {
    /// Its id.
    pub id: &'a str,
    /// The step that it undoes; `null` for what comes after the undo steps.
    pub of: Option<&'a str>,
}

/// Why a step stands beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It handles failures.
    Handler,
    /// It undoes a step.
    Undo,
    /// It comes after the undo steps.
    Rollback,
    /// It comes at the end.
    Finally,
}

/// What a step does with its failures.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannedStrategy<'a> {
    /// `retry`, `skip`, `halt`, `rollback` or `custom`.
    pub strategy: &'a str,
    /// The failures for which it acts; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
    /// Whether it is the default of the workflow.
    pub is_default: bool,
    /// The handler of `custom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_handler: Option<&'a str>,
    /// How `retry` tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<PlannedRetry<'a>>,
}

/// How a step is tried again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannedRetry<'a> {
    /// Tries in all.
    pub max_attempts: u32,
    /// `exponential`, `linear` or `fixed`.
    pub backoff: &'a str,
    /// The first waits between tries, at most ten.
    pub waits_ms: Vec<u64>,
    /// `none`, or `full`: anything up to the whole wait.
    pub jitter: &'a str,
    /// No try begins later than this after the first.
    pub max_duration_ms: Option<u64>,
    /// What follows when no try is left.
    pub then: &'a str,
    /// The handler of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_handler: Option<&'a str>,
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
    /// Why it stands beside the others; absent for a step of the run itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What it does with its failures: the first that fits acts.
    pub strategies: Vec<PlannedStrategy<'a>>,
    /// The steps that undo it, in order.
    pub undo: Vec<&'a str>,
}
