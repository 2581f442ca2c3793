//! The journal: the truth of a run. One JSON object a line; each is an input of `Run::apply`.
//!
//! How lines are framed and checked (`seq`, `crc`) is the store's; here are only the shapes.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    json::Json,
    view::{AgentView, Isolation, Limit, StopReason, Usage},
};

/// Version of the format; the first line of a journal holds it.
pub const FORMAT_VERSION: u32 = 1;

/// The moment of an event, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Now {
    /// Wall clock, to the millisecond.
    #[serde(rename = "ts")]
    pub wall: Timestamp,
    /// Microseconds for which the run has been alive, by the monotonic clock: time while it was
    /// interrupted is not in it.
    #[serde(rename = "up_us")]
    pub up_us: u64,
}

impl Now {
    /// Milliseconds of the run's own clock from `earlier` to this moment.
    pub fn millis_since(&self, earlier: &Self) -> u64 {
        self.up_us.saturating_sub(earlier.up_us) / 1000
    }

    /// The run's own clock as a duration.
    pub fn up(&self) -> Duration {
        Duration::from_micros(self.up_us)
    }
}

/// One attempt of one turn of one step. A later attempt of the same step has a higher number: what a
/// dead attempt still says moves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct AttemptId {
    /// Id of the step in the definition.
    pub step: String,
    /// Indices of the loops around it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turn: Vec<u32>,
    /// 1-based number of the attempt.
    pub attempt: u32,
}

/// One thing that happened to a run.
///
/// Tagged from outside (`{"attempt_ended": {…}}`): a tag inside would make serde gather the whole event into
/// a tree first, which cannot carry [`Json`] as raw text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first line.
    RunCreated(Box<RunCreated>),
    /// The run has a slot: its steps may start.
    RunStarted {
        /// What this host gives to a step with the default sandbox.
        isolation: Box<Isolation>,
    },
    /// An attempt ended, with everything that is known of it.
    AttemptEnded(Box<AttemptEnded>),
    /// An attempt must be ended, and why. Durable before the first signal.
    AttemptStopping {
        /// Which attempt.
        id: AttemptId,
        /// Why.
        reason: StopReason,
    },
    /// The wait for an attempt is over: it may start.
    RetryDue {
        /// Which attempt.
        id: AttemptId,
    },
    /// The run's own time is up.
    RunTimedOut,
    /// Somebody asked for the run to stop.
    StopRequested {
        /// Kill at once instead of SIGTERM and grace.
        now: bool,
        /// Who asked.
        by: StopSource,
    },
    /// A new owner goes on with the run after its last owner died.
    RunResumed,
}

/// Who asked for a run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopSource {
    /// `q workflow stop`.
    Command,
    /// SIGINT to the engine.
    SigInt,
    /// SIGTERM or SIGHUP to the engine.
    SigTerm,
}

/// What a run was created from. Together with the frozen definition it determines everything that the
/// engine decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCreated {
    /// [`FORMAT_VERSION`] of the whole journal.
    pub format_version: u32,
    /// Version of the program that wrote it.
    pub q: String,
    /// Id of the run.
    pub run_id: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Version of the workflow.
    pub version: String,
    /// `manual`, `schedule:<id>` or `workflow:<run>`.
    pub trigger: String,
    /// The moment for which a schedule meant it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// The directory in which relative paths start.
    pub base: String,
    /// The file from which the definition came, as an absolute path; the frozen copy is the run's.
    pub source: String,
    /// Values of the declared inputs, defaults filled in.
    pub inputs: BTreeMap<String, Json>,
    /// Values of `--context`, which override the definition's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, Json>,
    /// `--timeout`, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// `--max-concurrent-steps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_steps: Option<u32>,
    /// The external skills that the steps name, as they were found: name to absolute path of the manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, String>,
    /// The definitions that the definition calls, directly or by others.
    #[serde(default, skip_serializing_if = "Called::is_empty")]
    pub called: Called,
}

/// The definitions that a definition calls, directly or by others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Called {
    /// The name that a step gives to the index in `files`.
    pub names: BTreeMap<String, usize>,
    /// All of them; the frozen copy of each lies in the run's directory under its index.
    pub files: Vec<CalledFile>,
}

impl Called {
    /// Whether it calls none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// A definition that another one calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CalledFile {
    /// The file from which it came, as an absolute path.
    pub source: String,
    /// The definitions that it calls itself, likewise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, usize>,
    /// The external skills that its steps name, as they were found: name to absolute path of the manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, String>,
}

/// How an attempt ended, and what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptEnded {
    /// Which attempt.
    pub id: AttemptId,
    /// The verdict.
    pub outcome: Outcome,
    /// Whether its program or skill had started.
    pub started: bool,
    /// Exit code, if it ended by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Signal, if it ended by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Why the engine ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// Processes that were left over when its leader ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leftovers_killed: Option<u64>,
    /// Processes that were refused by the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids_denied: Option<u64>,
    /// Whether a core file was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_dumped: Option<bool>,
    /// Some of it did not end within the time that a killed tree is given: it hangs in the kernel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unkillable: bool,
    /// What it used.
    #[serde(serialize_with = "RecordedUsage::serialize")]
    #[schemars(with = "Usage")]
    pub usage: Usage,
    /// Its limits, as they were held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Who enforced what, where it differs from the run's (`RunStarted`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Of an agent: what it did and used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<AgentView>>,
}

impl AttemptEnded {
    /// The end of an attempt that never started, or of which nothing more is known.
    pub fn new(id: AttemptId, outcome: Outcome) -> Self {
        Self {
            id,
            outcome,
            started: false,
            exit_code: None,
            signal: None,
            stop_reason: None,
            leftovers_killed: None,
            pids_denied: None,
            core_dumped: None,
            unkillable: false,
            usage: Usage::default(),
            limits: Vec::new(),
            isolation: None,
            agent: None,
        }
    }
}

/// How [`Usage`] is written: what the first journals did not have is left out where it is not known.
#[derive(Serialize)]
#[serde(remote = "Usage")]
struct RecordedUsage {
    wall_ms: Option<u64>,
    cpu_user_us: Option<u64>,
    cpu_system_us: Option<u64>,
    memory_peak_bytes: Option<u64>,
    pids_peak: Option<u64>,
    oom_kills: Option<u64>,
    throttled_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_pressure_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    io_read_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    io_write_bytes: Option<u64>,
}

/// The verdict on an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gave a result.
    Completed(Output),
    /// It failed.
    Failed(Box<Failure>),
    /// It was ended because the run stops or another step decided so.
    Cancelled,
}

/// A result: in the journal, or in a file of the run beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The value itself.
    Inline(Json),
    /// A value over 1 MiB: a path below the run's directory, and its length in bytes.
    File {
        /// Relative path.
        path: String,
        /// Length in bytes.
        bytes: u64,
        /// The value, where the file was read; the journal does not hold it.
        #[serde(skip)]
        value: Option<Json>,
    },
}

impl Output {
    /// The longest value that goes into the journal and the run view, in bytes.
    pub const INLINE_MAX: usize = 1024 * 1024;
}
