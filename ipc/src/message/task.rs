//! Engine to worker: what one attempt does.

use schemas::json::Json;
use serde::{Deserialize, Serialize};

use super::Message;
use crate::limits::ProcessLimits;

/// Engine to worker, over the control socket of one attempt.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorker {
    /// What it does: exactly one, and nothing of the step runs before. A worker whose socket ends without it goes, and
    /// nobody hears of it. The descriptors of the [`Streams`] come with the frame, in their order.
    Task(Box<Task>),
}

impl Message for ToWorker {
    fn descriptors(&self) -> usize {
        match self {
            Self::Task(task) => task.streams.descriptors(),
        }
    }
}

/// What one attempt is, resolved: the worker decides nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// The attempt's own directory, below [`super::Sandbox::work`]: it stays visible in spite of hiding, and can be
    /// written.
    pub work_dir: Option<String>,
    /// Resource limits of the process.
    pub limits: ProcessLimits,
    /// The whole environment of a program. A built-in skill is told what it needs of one.
    pub env: Vec<(String, String)>,
    /// Working directory, absolute; `None` for a skill that touches no file ([`super::Seccomp::Memory`]).
    pub cwd: Option<String>,
    /// The streams that come along; all others lead to `/dev/null`.
    pub streams: Streams,
    /// What it does.
    pub work: Work,
}

/// The streams of an attempt, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// stdin.
    pub input: bool,
    /// stdout and stderr.
    pub outputs: bool,
    /// The program's descriptor 3.
    pub events: bool,
}

impl Streams {
    /// How many descriptors they are.
    pub fn descriptors(self) -> usize {
        usize::from(self.input) + 2 * usize::from(self.outputs) + usize::from(self.events)
    }
}

/// What a worker does.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Runs a skill that is part of this program; its result comes as [`super::FromWorker::Result`].
    Builtin {
        /// Name of the skill.
        skill: String,
        /// The inputs: a JSON object. `None`: they are too large for a frame and are the whole content of
        /// stdin (a sealed memory file).
        inputs: Option<Json>,
        /// The private directory of the attempt, absolute: what the skill is told of it.
        work_dir: String,
    },
    /// Runs an agent: its task ([`schemas::agent::AgentTask`], as JSON) is the whole content of stdin.
    Agent,
    /// Executes a program, looked up in `PATH` when its name has no slash.
    Program {
        /// The program and its arguments; at least one.
        argv: Vec<String>,
    },
}
