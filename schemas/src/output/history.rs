//! `history --json`.

use schemars::JsonSchema;
use serde::Serialize;

use super::list::ListedRun;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct History {
    /// Version of this shape.
    pub schema_version: u32,
    /// Runs, newest first.
    pub runs: Vec<ListedRun>,
    /// The part of the runs that completed, of those that have ended; `null` where none has.
    pub success_rate: Option<f64>,
}
