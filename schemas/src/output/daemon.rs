//! `daemon status --json`, and what the daemon answers to `GET /status` and `POST /stop` on its socket.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the daemon of a home is. What is not known, because none runs or it does not answer yet, is `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStatus {
    /// Version of this shape.
    pub schema_version: u32,
    /// Whether it runs.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when it runs.
    pub started_at: Option<Timestamp>,
    /// Schedules that fire.
    pub schedules: Option<usize>,
    /// When it will look at the next of them; `null` also where none fires.
    pub next: Option<Timestamp>,
    /// Its runs that have not ended.
    pub runs: Option<Vec<String>>,
    /// Whether it starts nothing more, and ends with its last run.
    pub draining: Option<bool>,
}
