//! What engine, launcher and worker say to each other: one enum per direction.
//!
//! The enums are tagged from outside (`{"born": {…}}`): a tag inside would make serde gather each frame
//! into a tree first, which amplifies memory and cannot carry [`Json`] as raw text.

mod task;

use schemas::{agent::ToolCall, json::Json};
use serde::{Deserialize, Serialize};

pub use self::task::{Streams, Task, ToWorker, Work};
use crate::limits::Bytes;

/// A message that can travel over a socket, perhaps with descriptors.
pub trait Message: Serialize + serde::de::DeserializeOwned {
    /// How many descriptors come with it; never more and never fewer.
    fn descriptors(&self) -> usize;
}

/// Version of these messages; both sides say it first and must agree (they are the same file).
pub const VERSION: u32 = 2;

/// Engine to launcher, over the launcher's socket (its descriptor 0).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToLauncher {
    /// The first frame. Answered by [`FromLauncher::Ready`].
    Setup {
        /// [`VERSION`] of the engine.
        version: u32,
        /// A fresh, empty cgroup v2 leaf in which the launcher tries a birth; the engine removes it.
        probe: Option<String>,
        /// The most that any birth will keep. The launcher gives up the rest of its bounding set here, once,
        /// which is a good part of the cost of a birth; a birth that asks for more is refused.
        capabilities: Capabilities,
        /// Whether every birth will be filtered ([`Sandbox::seccomp`]): then the launcher takes the part of the
        /// filter that it can live with itself, once, and all inherit it.
        filtered: bool,
        /// Whether the launcher also tries what only the profile `strict` needs.
        strict: bool,
        /// Files, directories and sockets that no birth with [`Sandbox::mounts`] sees: absolute, existing,
        /// without symbolic links.
        hidden: Vec<String>,
        /// The program that no such birth may replace: absolute, without symbolic links.
        guarded: Vec<String>,
    },
    /// Make the process of one attempt. With the frame comes the worker's end of its control socket (a stream
    /// socket), on which it waits for its [`ToWorker::Task`].
    Birth(Box<Birth>),
}

impl Message for ToLauncher {
    fn descriptors(&self) -> usize {
        match self {
            Self::Setup { .. } => 0,
            Self::Birth(_) => 1,
        }
    }
}

/// All that is known of a process before it is known what it does: so it can be made ahead of its task.
#[derive(Debug, Serialize, Deserialize)]
pub struct Birth {
    /// The engine's number of this birth, unique in the life of the launcher.
    pub ticket: u64,
    /// The fresh cgroup v2 leaf, an absolute path; `None` where no tree is usable.
    pub leaf: Option<String>,
    /// What the child is shut into.
    pub sandbox: Sandbox,
}

/// What the child is shut into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Own pid, ipc, uts and cgroup namespaces; `false` is the profile `none`, and a built-in in a leaf that
    /// [`Seccomp::Memory`] holds, which leaves it nothing to see of the host.
    pub namespaces: bool,
    /// Also an own mount namespace with a fresh `/proc`, a minimal `/dev` and private `/tmp` and `/dev/shm`,
    /// in which [`ToLauncher::Setup::hidden`] is hidden. Only with `namespaces`, and always with them for
    /// [`Work::Program`]; a built-in that needs no file does without.
    pub mounts: bool,
    /// Whether and when it gets a user namespace. Only with `namespaces`.
    pub user_namespace: UserNamespace,
    /// The network that it sees. All but [`Network::Host`] only with `namespaces`.
    pub network: Network,
    /// What the child may still do of what only root may.
    pub capabilities: Capabilities,
    /// Size of the private `/tmp` and of `/dev/shm`, each.
    pub tmp_size: Bytes,
    /// Paths that stay visible in spite of hiding: the step's cwd, the skill's folder. Absolute, existing, without
    /// symbolic links. Those that nothing hides cost nothing.
    pub keep_visible: Vec<String>,
    /// The folder below which [`Task::work_dir`] will lie, which is not known yet: as the above. Where it is hidden,
    /// nothing else of it is seen.
    pub work: Option<String>,
    /// A file system of its own, in which only this is: the profile `strict`. Only with `mounts`.
    pub root: Option<Root>,
    /// Which system calls are refused.
    pub seccomp: Seccomp,
    /// Whether the program may start no other process, only threads.
    pub no_fork: bool,
    /// Whom it runs as, where that is not the engine's own user.
    pub user: Option<Identity>,
    /// Whether the leaf is shown at `/sys/fs/cgroup`, writable: the step makes cgroups of its own there.
    pub delegate: bool,
}

/// When a child gets a user namespace, in which its uid and gid are mapped to themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserNamespace {
    /// Never.
    None,
    /// At its birth: all other namespaces belong to it. For an engine that is not root.
    First,
    /// When all else stands: nothing that was made before belongs to it. For `strict` under root.
    Last,
}

/// The network of a child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// That of the engine.
    Host,
    /// None at all.
    None,
    /// Its own, with nothing but itself.
    Loopback,
    /// As `Loopback`, and the engine answers on these ports of 127.0.0.1: the child makes the listening
    /// sockets inside and hands them out by [`FromWorker::Listening`].
    Bridge(Vec<u16>),
}

/// A file system in which only this is, besides `/proc`, `/dev`, `/tmp` and the programs and libraries of the
/// host. Absolute paths, existing, without symbolic links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// What can be read.
    pub read: Vec<String>,
    /// What can be written as well.
    pub write: Vec<String>,
    /// What is not seen although it lies in that; nor is what [`ToLauncher::Setup`] hides.
    pub hidden: Vec<String>,
    /// Directories that are there and empty.
    pub empty: Vec<String>,
}

/// Which system calls are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// Those that the kernel itself refuses.
    None,
    /// Those by which one gets at other processes, at the kernel and into namespaces.
    Default,
    /// The same but namespaces and mounts inside them, for programs that bring a sandbox of their own.
    AllowUserns,
    /// All but what works on memory and on what is open already: for built-in skills that need no file, no network and
    /// no other program.
    Memory,
}

/// A user and his group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// His group's.
    pub gid: u32,
}

/// What stays of the capabilities (capabilities(7)) of the engine, from least to most. Nothing is ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capabilities {
    /// None: the profile `strict`, and built-ins that need nothing.
    Dropped,
    /// `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `SETUID`, `SETGID` and `KILL`: the profile `standard`.
    Standard,
    /// All: the profile `none`.
    Kept,
}

/// Launcher to engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromLauncher {
    /// The answer to [`ToLauncher::Setup`].
    Ready {
        /// [`VERSION`] of the launcher.
        version: u32,
        /// How children get into their leaf.
        birth: BirthKind,
        /// Whether pid, ipc, uts and mount namespaces can be made (with a user namespace when the
        /// launcher is not root).
        namespaces: bool,
        /// Whether all parts of the profile `strict` can be had; `None`: it was not asked for.
        strict: Option<bool>,
        /// Whether children can have a network namespace; `None`: it was not asked for.
        network: Option<bool>,
        /// Whether system calls can be filtered.
        seccomp: bool,
        /// What was found missing, for the run's record.
        notes: Vec<String>,
    },
    /// The process exists. Its pidfd comes with the frame.
    Born {
        /// Number of the birth.
        ticket: u64,
        /// Its pid in the engine's namespace.
        pid: i32,
    },
    /// The process could not be made.
    NotBorn {
        /// Number of the birth.
        ticket: u64,
        /// Where it failed.
        stage: Stage,
        /// The kernel's error number.
        errno: i32,
    },
    /// The process ended and was reaped.
    Exited {
        /// Number of the birth.
        ticket: u64,
        /// How.
        status: WaitStatus,
        /// What it and all its reaped descendants used.
        usage: ProcessUsage,
    },
}

/// How children get into their leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BirthKind {
    /// Born inside it: clone3(2) with `CLONE_INTO_CGROUP`.
    IntoCgroup,
    /// Moved in before their first instruction of their own: fork, `cgroup.procs`, then a gate opens.
    Gated,
    /// There is no leaf.
    Plain,
}

/// How a process ended: wait(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStatus {
    /// By `exit`, with this code.
    Exited(i32),
    /// By a signal.
    Signaled {
        /// Its number.
        signal: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
}

/// `struct rusage` of wait4(2), as far as the kernel fills it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessUsage {
    /// CPU time in user mode, microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub system_us: u64,
    /// Resident size of the largest process, bytes.
    pub max_rss_bytes: u64,
}

impl Message for FromLauncher {
    fn descriptors(&self) -> usize {
        match self {
            Self::Born { .. } => 1,
            Self::Ready { .. } | Self::NotBorn { .. } | Self::Exited { .. } => 0,
        }
    }
}

/// Worker to engine, over the control socket of one attempt.
///
/// A program with namespaces is looked after by its namespace's init, which sends [`Started`],
/// then [`LeaderExited`]. A program without them (profile `none`) replaces the worker, so nobody is left to
/// speak: the control socket closes when its exec succeeds, so the end of the stream without
/// [`SetupFailed`] is the news that it started, and [`FromLauncher::Exited`] tells how the program ended.
/// (A SIGKILL in the instant before exec looks the same, and is one to the engine: the process was
/// killed by a signal.)
///
/// When the whole tree is killed, the stream ends wherever it is: even before [`Started`] though the program
/// had begun to run. And [`LeaderExited`] comes before the kernel has taken the namespaces down, so
/// [`FromLauncher::Exited`] can come milliseconds later.
///
/// [`Started`]: FromWorker::Started
/// [`LeaderExited`]: FromWorker::LeaderExited
/// [`SetupFailed`]: FromWorker::SetupFailed
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWorker {
    /// The first frame, once the sandbox stands and, for [`Work::Program`], exec succeeded. Not sent by
    /// a program without namespaces.
    Started {
        /// [`VERSION`] of the worker.
        version: u32,
    },
    /// The sandbox could not be set up or the program not be executed; nothing of the step ran. The only
    /// frame; the process then ends with a code that means nothing.
    SetupFailed {
        /// Where it failed.
        stage: Stage,
        /// The kernel's error number.
        errno: i32,
    },
    /// The listening sockets of [`Network::Bridge`], one for each port; before anything of the step runs.
    Listening {
        /// The ports, in the order of the descriptors.
        ports: Vec<u16>,
    },
    /// A line for the step's log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// The line.
        text: String,
    },
    /// An agent called a tool.
    Tool(ToolCall),
    /// A line for the transcript of an agent: a JSON object.
    Transcript(Json),
    /// An agent says something.
    Agent(AgentUpdate),
    /// The result of a built-in skill or an agent; exactly one.
    Result(SkillResult),
    /// The program's leader ended ([`Work::Program`] in namespaces), or a built-in skill has said its result
    /// and only its process is left to end; exactly one, the last frame.
    LeaderExited {
        /// How.
        status: WaitStatus,
        /// Processes of the step that were still alive then; they are killed.
        leftovers: u64,
        /// What it and its reaped descendants used.
        usage: ProcessUsage,
    },
}

impl Message for FromWorker {
    fn descriptors(&self) -> usize {
        match self {
            Self::Result(SkillResult::Value { value: None }) => 1,
            Self::Listening { ports } => ports.len(),
            Self::Result(
                SkillResult::Value { value: Some(_) }
                | SkillResult::Error(_)
                | SkillResult::BadInput { .. }
                | SkillResult::Agent(_),
            )
            | Self::Started { .. }
            | Self::SetupFailed { .. }
            | Self::Log { .. }
            | Self::Tool(_)
            | Self::Transcript(_)
            | Self::Agent(_)
            | Self::LeaderExited { .. } => 0,
        }
    }
}

/// What an agent says while it works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentUpdate {
    /// Words of the agent or its model.
    Message(String),
    /// What it thinks.
    Thought(String),
    /// What it is going to do, in its own form.
    Plan(Json),
    /// What it used in all so far, as it says.
    Used(Reported),
}

/// What an agent that reaches its model by itself says it used; what it does not say is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// Requests to the model.
    pub requests: Option<u32>,
    /// Tokens of prompts.
    pub input_tokens: Option<u64>,
    /// Tokens of answers.
    pub output_tokens: Option<u64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
}

/// What a built-in skill gave.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkillResult {
    /// A value. A large one comes as a descriptor with the frame (a memory file, read from its start).
    Value {
        /// The value; `None`: it comes as a descriptor.
        value: Option<Json>,
    },
    /// The skill's own error.
    Error(SkillError),
    /// The inputs do not fit.
    BadInput {
        /// JSON pointer into the inputs.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// An agent came to no result.
    Agent(AgentFailure),
}

/// Why an agent came to no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFailure {
    /// What happened.
    pub message: String,
    /// Whether another try may help.
    pub retryable: bool,
    /// What kind of failure it is.
    pub kind: AgentFailureKind,
}

/// What can become of an agent in place of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentFailureKind {
    /// The model or the program failed.
    Agent,
    /// The result does not fit its schema.
    Output {
        /// JSON pointer into the result.
        pointer: String,
    },
    /// A guardrail was reached, by its name.
    Guardrail(String),
}

/// A skill's own error: `{"error": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkillError {
    /// The skill's word for it, `NOT_FOUND` say.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Whether another try may help.
    #[serde(default)]
    pub retryable: bool,
    /// More, as the skill likes.
    #[serde(default)]
    pub details: Option<Json>,
}

/// Where the birth of a process failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The frame or its descriptors did not fit.
    Request,
    /// Opening the leaf.
    Leaf,
    /// clone3(2) or fork(2).
    Clone,
    /// Moving into the leaf.
    Gate,
    /// Writing uid and gid maps.
    UserNamespace,
    /// setsid(2).
    Session,
    /// Signal mask and dispositions.
    Signals,
    /// Arranging descriptors.
    Descriptors,
    /// setrlimit(2).
    Limits,
    /// Mounts.
    Mounts,
    /// The fresh `/proc`.
    Proc,
    /// The network.
    Network,
    /// Working directory.
    Cwd,
    /// Dropping capabilities.
    Capabilities,
    /// prctl(2): parent death signal, dumpable, no_new_privs.
    Privileges,
    /// Becoming another user.
    User,
    /// landlock(7).
    Landlock,
    /// seccomp(2).
    Seccomp,
    /// The inner fork below the namespace's init.
    Fork,
    /// execve(2).
    Exec,
}

impl Stage {
    /// The word used in failures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Leaf => "leaf",
            Self::Clone => "clone",
            Self::Gate => "gate",
            Self::UserNamespace => "user_namespace",
            Self::Session => "session",
            Self::Signals => "signals",
            Self::Descriptors => "descriptors",
            Self::Limits => "limits",
            Self::Mounts => "mounts",
            Self::Proc => "proc",
            Self::Network => "network",
            Self::Cwd => "cwd",
            Self::Capabilities => "capabilities",
            Self::Privileges => "privileges",
            Self::User => "user",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Fork => "fork",
            Self::Exec => "exec",
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
