//! Schedules as they are stored: `schedules.json`, and the lines of `fires.jsonl`, what became of their fires.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{json::Json, view::RunStatus, words};

/// Version of the shape of [`Schedules`].
pub const SCHEDULES_VERSION: u32 = 1;
/// Version of the shape of [`FireRecord`].
pub const FIRES_VERSION: u32 = 1;

words! {
    /// What happens to fires that were missed.
    CatchUp {
        /// They are gone.
        None = "none",
        /// The latest of them fires.
        Latest = "latest",
        /// All of them fire, one after another.
        All = "all",
    }
}

words! {
    /// What happens to a fire while a run of the schedule still runs.
    Overlap {
        /// It is skipped.
        Skip = "skip",
        /// It waits.
        Queue = "queue",
        /// It starts beside the other.
        Allow = "allow",
        /// The other is stopped, then it starts.
        Replace = "replace",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro writes the enum")]
impl Default for CatchUp {
    fn default() -> Self {
        Self::Latest
    }
}

#[expect(clippy::derivable_impls, reason = "the macro writes the enum")]
impl Default for Overlap {
    fn default() -> Self {
        Self::Skip
    }
}

/// `schedules.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedules {
    /// [`SCHEDULES_VERSION`].
    pub schema_version: u32,
    /// In the order in which they were added.
    pub schedules: Vec<Schedule>,
}

impl Default for Schedules {
    fn default() -> Self {
        Self { schema_version: SCHEDULES_VERSION, schedules: Vec::new() }
    }
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The name of its workflow, or that with a number.
    pub id: String,
    /// The name of its workflow: a stored definition, unless `path` is given.
    pub workflow: String,
    /// The file that is run where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Cron expression.
    pub cron: String,
    /// IANA time zone.
    #[serde(default = "utc")]
    pub timezone: String,
    /// What happens to fires that were missed.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// What happens to a fire while a run of the schedule still runs.
    #[serde(default)]
    pub overlap: Overlap,
    /// Whether it fires.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Since when it is enabled: what was due before is not missed.
    pub since: Timestamp,
    /// Inputs of the runs that it starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Json>,
    /// A delay of at most this, different for each fire, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter_ms: u64,
    /// A fire later than this counts as missed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag_ms: Option<u64>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One line of `fires.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FireRecord {
    /// [`FIRES_VERSION`].
    pub v: u32,
    /// When this was written.
    pub ts: Timestamp,
    /// The schedule.
    pub schedule: String,
    /// The moment for which the fire was meant.
    pub at: Timestamp,
    /// What became of it.
    pub fire: Fire,
}

/// What became of a fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fire {
    /// It waits for the run before it.
    Waiting,
    /// Its run is being started, with an id that is used for nothing else: whoever finds this and no such run
    /// starts it.
    Starting {
        /// The run.
        run: String,
    },
    /// Its run exists.
    Started {
        /// The run.
        run: String,
    },
    /// Its run has ended, or could not be started.
    Ended {
        /// The run.
        run: String,
        /// How it ended; none for one that never existed.
        status: Option<RunStatus>,
    },
    /// No run was started for it.
    Skipped {
        /// Why.
        why: String,
    },
}
