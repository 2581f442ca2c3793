//! `agents list --json` and `agents show --json`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::json::Json;

/// All agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentListing {
    /// Version of this shape.
    pub schema_version: u32,
    /// By name.
    pub agents: Vec<ListedAgent>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedAgent {
    /// Its name: that of the file.
    pub name: String,
    /// What it is good for.
    pub description: Option<String>,
    /// `builtin`, `acp` or `command`; `null` where its file is wrong.
    pub kind: Option<String>,
    /// Its model, where it names one.
    pub model: Option<String>,
    /// The file; `null`: it is built in.
    pub path: Option<String>,
    /// Files of the same name in later places, which it hides.
    pub hides: Vec<String>,
    /// Whether its file is right.
    pub valid: bool,
}

/// One agent, with what its file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownAgent {
    /// Version of this shape.
    pub schema_version: u32,
    /// What the list tells of it.
    pub agent: ListedAgent,
    /// Its file as it stands; `null` where it is no JSON.
    pub file: Option<Json>,
}
