//! The run view: what `run --json`, `status --json` and `runs/<id>/state.json` show. Always derived from
//! the journal, never read back by the engine.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{failure::Failure, json::Json, words};

/// Version of the shape of [`RunView`].
pub const SCHEMA_VERSION: u32 = 1;

words! {
    /// Where a run stands.
    RunStatus {
        /// Waits for a slot.
        Queued = "queued",
        /// Steps run or are about to.
        Running = "running",
        /// A stop was asked for; steps are being ended.
        Stopping = "stopping",
        /// Every step ended well.
        Completed = "completed",
        /// A step failed and ended the run.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
        /// Undo steps run.
        RollingBack = "rolling_back",
        /// Every undo step ended well.
        RolledBack = "rolled_back",
        /// An undo step failed for good.
        RollbackFailed = "rollback_failed",
        /// Its owner died; never stored, it follows from a free lock.
        Interrupted = "interrupted",
    }
}

impl RunStatus {
    /// Whether nothing more can happen to the run.
    pub fn is_ended(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled | Self::RolledBack | Self::RollbackFailed => {
                true
            }
            Self::Queued | Self::Running | Self::Stopping | Self::RollingBack | Self::Interrupted => false,
        }
    }
}

words! {
    /// Where a step stands.
    StepStatus {
        /// Not reached yet.
        Pending = "pending",
        /// Backoff, queue or dependency.
        Waiting = "waiting",
        /// An attempt runs.
        Running = "running",
        /// Ended well.
        Completed = "completed",
        /// Ended badly, for good.
        Failed = "failed",
        /// Did not run, or its failure was skipped.
        Skipped = "skipped",
        /// Stopped on request, or because a sibling won or failed.
        Cancelled = "cancelled",
        /// Its undo completed.
        RolledBack = "rolled_back",
    }
}

words! {
    /// Why the engine ended an attempt: the reason that was durable before the first signal.
    StopReason {
        /// The step's timeout.
        Timeout = "timeout",
        /// The run's timeout.
        RunTimeout = "run_timeout",
        /// Nothing was written for too long.
        IdleTimeout = "idle_timeout",
        /// More CPU time than allowed.
        CpuTime = "cpu_time",
        /// More output than allowed.
        Output = "output",
        /// More resident memory than allowed, seen by the monitor.
        Memory = "memory",
        /// More scratch than allowed, seen by the monitor.
        Scratch = "scratch",
        /// The worker broke its protocol.
        Protocol = "protocol",
        /// An agent reached a guardrail.
        Guardrail = "guardrail",
        /// Somebody asked for the run to stop.
        Stop = "stop",
        /// Another step ended the run or won.
        Sibling = "sibling",
        /// The engine shuts down.
        Shutdown = "shutdown",
    }
}

words! {
    /// Who holds a limit.
    Enforcer {
        /// The kernel, by a cgroup v2 controller.
        CgroupV2 = "cgroup-v2",
        /// The engine, by sampling.
        Monitor = "monitor",
        /// The kernel, by a resource limit of the process.
        Rlimit = "rlimit",
        /// The kernel, by the size of a private file system.
        Tmpfs = "tmpfs",
        /// The engine, which holds the pipes and the timers.
        Engine = "engine",
        /// Nobody.
        None = "none",
    }
}

words! {
    /// How a step's whole tree is ended.
    KillBy {
        /// By writing `cgroup.kill`.
        CgroupKill = "cgroup.kill",
        /// By killing the init of its pid namespace.
        PidNamespace = "pidns",
        /// By walking the process tree.
        Walk = "walk",
    }
}

words! {
    /// What a step sees of the network.
    NetworkBy {
        /// An own, empty network namespace.
        Namespace = "netns",
        /// An own namespace with the engine's proxy.
        Proxy = "proxy",
        /// The network of the host.
        Host = "host",
    }
}

words! {
    /// What keeps a step from files.
    FilesystemBy {
        /// Landlock rules, and mounts where the profile has them.
        Landlock = "landlock",
        /// A mount namespace of its own.
        Mount = "mount",
        /// Nothing.
        None = "none",
    }
}

/// Who enforces what, on this host: for a run, the weakest of its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Isolation {
    /// Memory limit.
    pub memory: Enforcer,
    /// CPU share.
    pub cpu: Enforcer,
    /// Number of processes.
    pub pids: Enforcer,
    /// Disk bandwidth.
    pub io: Enforcer,
    /// How a tree is ended.
    pub kill: KillBy,
    /// Network.
    pub network: NetworkBy,
    /// File system.
    pub filesystem: FilesystemBy,
    /// What is not held, and why.
    pub notes: Vec<String>,
}

/// One limit of an attempt and who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// The key of `resource_limits`.
    pub name: Cow<'static, str>,
    /// Bytes, milliseconds, thousandths of a core, or a count, as the name says.
    pub value: u64,
    /// Who holds it.
    pub by: Enforcer,
    /// Whether it is held.
    pub held: bool,
    /// Why it is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'static, str>>,
}

/// What an attempt, or a run with all its attempts, used, as the kernel counted; `null` where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Wall time by the monotonic clock, in milliseconds.
    pub wall_ms: Option<u64>,
    /// CPU time in user mode, in microseconds.
    pub cpu_user_us: Option<u64>,
    /// CPU time in the kernel, in microseconds.
    pub cpu_system_us: Option<u64>,
    /// Highest memory use in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Highest number of processes at once.
    pub pids_peak: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Time in which the tree was held back by its CPU limit, in microseconds.
    pub throttled_us: Option<u64>,
    /// Time in which some of it waited for memory, in microseconds; only where its memory is held by the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_pressure_us: Option<u64>,
    /// Bytes read from disks.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to disks.
    pub io_write_bytes: Option<u64>,
}

/// US dollars, to the millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars {
    /// Millionths.
    pub micros: u64,
}

impl Serialize for Dollars {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "no agent spends nine billion dollars")]
        serializer.serialize_f64(self.micros as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::new)
    }
}

impl Dollars {
    /// From a number of dollars; what is none is nothing.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    pub fn new(dollars: f64) -> Self {
        Self { micros: (dollars * 1e6).round() as u64 }
    }
}

impl JsonSchema for Dollars {
    fn schema_name() -> Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number", "minimum": 0})
    }

    fn inline_schema() -> bool {
        true
    }
}

words! {
    /// Who counted what an agent used.
    CountedBy {
        /// The engine's proxy to the model.
        Proxy = "proxy",
        /// The agent, which reaches its model by itself: it is believed.
        AgentReported = "agent-reported",
    }
}

/// What an agent did and used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentView {
    /// Who counted requests, tokens and cost.
    #[serde(default = "CountedBy::proxy")]
    pub counted: CountedBy,
    /// Requests to the model, retries included; `null` where the agent does not report them.
    pub requests: Option<u32>,
    /// Tokens of prompts; `null` where nobody says.
    pub input_tokens: Option<u64>,
    /// Tokens of answers; `null` where nobody says.
    pub output_tokens: Option<u64>,
    /// Whether some tokens are estimated, since the model did not say.
    pub estimated: bool,
    /// What they cost; `null` without a price.
    pub cost_usd: Option<Dollars>,
    /// Calls of tools, those that were refused included.
    pub tool_calls: u32,
    /// The tool that it called last.
    #[serde(default)]
    pub last_tool: Option<String>,
    /// Tools that were refused, each once.
    pub denied: Vec<DeniedTool>,
    /// The guardrail that was reached.
    pub guardrail: Option<String>,
    /// The transcript, relative to the run's directory.
    pub transcript: Option<String>,
}

impl CountedBy {
    fn proxy() -> Self {
        Self::Proxy
    }
}

/// A tool that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeniedTool {
    /// Its name.
    pub tool: String,
    /// The key that refused it.
    pub rule: String,
}

/// One attempt of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// 1-based number.
    pub attempt: u32,
    /// Where it stands.
    pub status: StepStatus,
    /// Whether its program or skill had started.
    pub started: Option<bool>,
    /// Exit code, if it ended by one.
    pub exit_code: Option<i32>,
    /// Signal, if it ended by one.
    pub signal: Option<i32>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Why the engine ended it.
    pub stop_reason: Option<StopReason>,
    /// Processes that were left over when its leader ended.
    pub leftovers_killed: Option<u64>,
    /// Processes that were refused by the limit.
    pub pids_denied: Option<u64>,
    /// Whether a core file was written.
    pub core_dumped: Option<bool>,
    /// Some of it did not end within the time that a killed tree is given: it hangs in the kernel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unkillable: bool,
    /// What it used.
    pub usage: Usage,
    /// Its limits.
    pub limits: Vec<Limit>,
    /// Who enforced what.
    // Shared, since it is the same for nearly all attempts of a run.
    pub isolation: Option<Arc<Isolation>>,
}

/// One step, as often as it ran (a loop's body: once per turn).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Its id in the definition.
    pub id: String,
    /// Its type: `skill`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it stands.
    pub status: StepStatus,
    /// Indices of the loops around it, outermost first.
    pub iteration: Vec<u32>,
    /// Id of the step that holds it.
    pub parent: Option<String>,
    /// Of a step of a sub-workflow: the ids of the workflow steps around it, with dots between them. With it the id is
    /// unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Time from start to end by the monotonic clock.
    pub duration_ms: Option<u64>,
    /// Its outputs, an object by name, once completed.
    pub outputs: Option<Json>,
    /// Only in `state.json`, instead of outputs over 1 MiB: how much and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_outputs: Option<LargeOutputs>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// The moment of its next try, while it waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Of an agent: what it did and used in its last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentView>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// Outputs that do not stand in the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LargeOutputs {
    /// Length of their JSON text in bytes.
    pub bytes: u64,
    /// The file with the step's whole result, relative to the run's directory; `null` for a step that holds others.
    pub path: Option<String>,
}

impl StepView {
    /// Its id behind those of the workflow steps around it: unique in the run but for turns of loops.
    pub fn full_name(&self) -> String {
        let within = self.within.as_ref().map(|within| format!("{within}.")).unwrap_or_default();
        format!("{within}{}", self.id)
    }
}

/// One undo step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RollbackView {
    /// Id of the undo step.
    pub id: String,
    /// Id of the step that it undoes.
    pub of: Option<String>,
    /// Where it stands.
    pub status: StepStatus,
    /// Its attempts.
    pub attempts: Vec<AttemptView>,
}

/// The whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunView<Steps = Vec<StepView>> {
    /// Version of this shape.
    pub schema_version: u32,
    /// Id of the run.
    pub run_id: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Version of the workflow.
    pub version: String,
    /// Where the run stands.
    pub status: RunStatus,
    /// The moment for which a schedule meant it.
    pub scheduled_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first step could start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Time from start to end by the monotonic clock.
    pub duration_ms: Option<u64>,
    /// `manual`, `schedule:<id>` or `workflow:<run>`.
    pub trigger: String,
    /// The run's outputs, an object by name; empty before it completed.
    pub outputs: Json,
    /// The first failure.
    pub error: Option<Failure>,
    /// Who enforced what; `null` before the first attempt.
    pub isolation: Option<Isolation>,
    /// What all its attempts used together, those of undo steps, handlers and `finally` too: sums, and the highest peak
    /// of one attempt; `wall_ms` is its duration.
    pub usage: Usage,
    /// The steps in start order.
    // A writer may give something that makes them one by one.
    pub steps: Steps,
    /// The undo steps in the order in which they ran.
    pub rollback: Vec<RollbackView>,
}
