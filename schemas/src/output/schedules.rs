//! `schedule list --json` and `schedule next --json`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::schedule::{CatchUp, Overlap};

/// The whole answer of `schedule list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScheduleListing {
    /// Version of this shape.
    pub schema_version: u32,
    /// The schedules in the order in which they were added.
    pub schedules: Vec<ListedSchedule>,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedSchedule {
    /// Its id.
    pub id: String,
    /// The workflow that it runs.
    pub workflow: String,
    /// Cron expression.
    pub cron: String,
    /// IANA time zone.
    pub timezone: String,
    /// What happens to fires that were missed.
    pub catch_up: CatchUp,
    /// What happens to a fire while a run of the schedule still runs.
    pub overlap: Overlap,
    /// Whether it fires.
    pub enabled: bool,
    /// The next fire; `null` for one that is disabled or never fires again.
    pub next: Option<Timestamp>,
    /// The fire that was last recorded.
    pub last: Option<Timestamp>,
}

/// The whole answer of `schedule next`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fires {
    /// Version of this shape.
    pub schema_version: u32,
    /// The next fires in order.
    pub fires: Vec<NextFire>,
}

/// One fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextFire {
    /// RFC 3339, with the offset of the schedule's zone.
    pub at: String,
    /// What is special about it, where clocks are moved.
    pub note: Option<String>,
    /// The schedule; `null` for an expression that was given by hand.
    pub schedule: Option<String>,
}
