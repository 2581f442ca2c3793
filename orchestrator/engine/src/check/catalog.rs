//! [`Catalog`]: the skills and agents that there are. The orchestrator looks for them and fills it in.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use schemas::{agent::AgentFile, json::Json};

use crate::plan::{Limits, SandboxChoice, SkillTarget};

/// The skills that a definition may call.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// By name.
    pub skills: BTreeMap<String, SkillEntry>,
    /// Where they were looked for, for messages.
    pub searched: Vec<String>,
    /// Skills whose manifest cannot be used: name to the reason, which names the file. They are in `skills`
    /// no more than one that does not exist: what stands behind them is not taken instead.
    pub broken: BTreeMap<String, String>,
    /// Skills that stand in two places: name to the sentence that says which is taken.
    pub hidden: BTreeMap<String, String>,
    /// Folders that have a text for models and no manifest: name to the folder.
    pub only_text: BTreeMap<String, String>,
    /// The agents.
    pub agents: Agents,
}

/// The agents that a definition may call, besides those that it holds itself.
#[derive(Debug, Clone, Default)]
pub struct Agents {
    /// By name.
    pub known: BTreeMap<String, AgentEntry>,
    /// Where they were looked for, for messages.
    pub searched: Vec<String>,
    /// Agents whose file cannot be used: name to the reason, which names the file.
    pub broken: BTreeMap<String, String>,
    /// Agents that stand in two places: name to the sentence that says which is taken.
    pub hidden: BTreeMap<String, String>,
}

/// An agent as its file describes it.
#[derive(Debug, Clone)]
pub struct AgentEntry {
    /// What the file says.
    pub file: Arc<AgentFile>,
    /// Where paths in it start; `None`: the folder of the definition.
    pub folder: Option<String>,
}

/// A skill as its manifest describes it.
#[derive(Debug, Clone)]
pub struct SkillEntry {
    /// What it is.
    pub target: Arc<SkillTarget>,
    /// JSON Schema of its inputs; `None` takes anything.
    pub inputs: Option<Json>,
    /// JSON Schema of its result.
    pub outputs: Option<Json>,
    /// Its own limits.
    pub limits: Limits,
    /// Its own wall-clock limit.
    pub timeout: Option<Duration>,
    /// Its own limit on silence.
    pub idle_timeout: Option<Duration>,
    /// Time between SIGTERM and kill, where the step gives none.
    pub grace: Option<Duration>,
    /// What of a sandbox it chose.
    pub sandbox: SandboxChoice,
    /// Whether it may run again after a crash.
    pub idempotent: bool,
}

impl SkillEntry {
    /// A skill that takes and gives anything, and sets nothing itself.
    pub fn new(target: SkillTarget) -> Self {
        Self {
            target: Arc::new(target),
            inputs: None,
            outputs: None,
            limits: Limits::default(),
            timeout: None,
            idle_timeout: None,
            grace: None,
            sandbox: SandboxChoice::default(),
            idempotent: true,
        }
    }
}
