//! The task that the worker of an agent gets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Guardrails, Hook, Kind, McpServer, OutputForm, PromptVia, Provider, ToolSettings};
use crate::json::Json;

/// What the worker of an agent gets: everything is decided, and nothing of it is looked up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentTask {
    /// How it runs.
    pub kind: Kind,
    /// Whose protocol the model speaks.
    pub provider: Provider,
    /// The model.
    pub model: String,
    /// Where the engine's proxy to the model is: `http://host:port`.
    pub model_url: String,
    /// What the proxy wants to see in place of a key.
    pub token: String,
    /// The system prompt.
    pub system: String,
    /// What it is asked to do.
    pub prompt: String,
    /// What holds for it.
    pub guardrails: Guardrails,
    /// Settings of tools by name.
    pub tools_settings: BTreeMap<String, ToolSettings>,
    /// MCP servers by name.
    pub servers: BTreeMap<String, McpServer>,
    /// Skills with a manifest that are tools, by name.
    pub skills: BTreeMap<String, SkillTask>,
    /// What such a skill reads, but for its inputs: an object.
    pub envelope: Json,
    /// Other names of tools: what the model knows each by.
    pub aliases: BTreeMap<String, String>,
    /// Files whose content the model is given: `file://` and a path or a pattern.
    pub resources: Vec<String>,
    /// Commands at certain moments, by the vendor's names of these.
    pub hooks: BTreeMap<String, Vec<Hook>>,
    /// JSON Schema of its result.
    pub output_schema: Option<Json>,
    /// Where relative paths start, absolute.
    pub cwd: String,
    /// Directories and files that it may read, absolute.
    pub read: Vec<String>,
    /// Directories and files that it may write, absolute.
    pub write: Vec<String>,
    /// The program of an `acp` or `command` agent.
    pub command: Vec<String>,
    /// How that gets its prompt.
    pub prompt_via: PromptVia,
    /// What it prints.
    pub output: OutputForm,
    /// How long it has to end once it is told to, in milliseconds.
    pub grace_ms: u64,
}

/// A skill of the protocol `json-stdio@1` that is a tool of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SkillTask {
    /// What it does.
    pub description: String,
    /// JSON Schema of its inputs.
    pub inputs: Option<Json>,
    /// JSON Schema of its result.
    pub outputs: Option<Json>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables of the program, besides those of the agent.
    pub env: Vec<(String, String)>,
    /// Its own limit, in milliseconds.
    pub timeout_ms: Option<u64>,
}
