//! Agents: the file that people write (a superset of the Amazon Q CLI agent file), the guardrails as they hold for
//! one step, and the task that the agent's worker gets. Shapes only; who reads, merges and obeys them is elsewhere.

mod presets;
mod task;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{
    presets::{PRESETS, Preset, preset},
    task::{AgentTask, SkillTask},
};
use crate::{json::Json, skill::Quantity, words};

/// How the name of an agent's file ends.
pub const EXTENSION: &str = "json";

words! {
    /// How an agent runs.
    Kind {
        /// The loop of model and tools inside the worker.
        Builtin = "builtin",
        /// A program that speaks the Agent Client Protocol.
        Acp = "acp",
        /// A program that is run once.
        Command = "command",
    }
}

words! {
    /// Whose protocol the model speaks.
    Provider {
        /// Chat completions.
        OpenAi = "openai",
        /// Messages.
        Anthropic = "anthropic",
    }
}

words! {
    /// How a program gets its prompt.
    PromptVia {
        /// As its last argument.
        Arg = "arg",
        /// On its standard input.
        Stdin = "stdin",
    }
}

words! {
    /// What a program prints.
    OutputForm {
        /// Text: the last JSON block in it, else all of it.
        Text = "text",
        /// One JSON value.
        Json = "json",
        /// One JSON value a line; the last one that holds a result counts.
        Jsonl = "jsonl",
    }
}

/// An agent as its file describes it. `null` stands for absent, as in the vendor's files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentFile {
    /// Its name; the file's name is what counts.
    pub name: Option<String>,
    /// What it is good for.
    pub description: Option<String>,
    /// Its system prompt, or `file://` and a path.
    pub prompt: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// MCP servers by name.
    #[serde(rename = "mcpServers")]
    pub mcp_servers: Option<BTreeMap<String, McpServer>>,
    /// The tools that it can see.
    pub tools: Option<Vec<String>>,
    /// Other names of tools.
    #[serde(rename = "toolAliases")]
    pub tool_aliases: Option<BTreeMap<String, String>>,
    /// The tools that it may use where the step says nothing.
    #[serde(rename = "allowedTools")]
    pub allowed_tools: Option<Vec<String>>,
    /// Settings of tools.
    #[serde(rename = "toolsSettings")]
    pub tools_settings: Option<BTreeMap<String, ToolSettings>>,
    /// Files whose content it is given.
    pub resources: Option<Vec<Json>>,
    /// Commands at certain moments.
    pub hooks: Option<BTreeMap<String, Vec<Hook>>>,
    /// Whether servers of the vendor's own file of MCP servers are its servers too.
    #[serde(rename = "useLegacyMcpJson")]
    pub use_legacy_mcp_json: Option<bool>,
    /// The same of the other vendor's.
    #[serde(rename = "includeMcpJson")]
    pub include_mcp_json: Option<bool>,
    /// How it runs.
    pub kind: Option<Kind>,
    /// Whose protocol the model speaks.
    pub provider: Option<Provider>,
    /// Where the model is; ends before `/chat/completions` or `/v1/messages`.
    pub base_url: Option<String>,
    /// The variable that holds the model's key.
    pub api_key_env: Option<String>,
    /// The program of an `acp` or `command` agent.
    pub command: Option<Vec<String>>,
    /// A known agent program.
    pub preset: Option<String>,
    /// How the program gets its prompt.
    pub prompt_via: Option<PromptVia>,
    /// What the program prints.
    pub output: Option<OutputForm>,
    /// Additional environment of the program.
    pub env: Option<BTreeMap<String, String>>,
    /// Price of tokens.
    pub price: Option<Price>,
    /// Its own guardrails.
    pub guardrails: Option<GuardrailsFile>,
    /// JSON Schema of its result.
    pub output_schema: Option<Json>,
}

/// A vendor's files of MCP servers: below the working directory, and below the user's home.
pub type McpFiles = [&'static str; 2];
/// Those of `useLegacyMcpJson`.
pub const LEGACY_MCP_FILES: McpFiles = [".amazonq/mcp.json", ".aws/amazonq/mcp.json"];
/// Those of `includeMcpJson`.
pub const KIRO_MCP_FILES: McpFiles = [".kiro/settings/mcp.json", ".kiro/settings/mcp.json"];

/// A file of MCP servers, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct McpFile {
    /// The servers by name.
    #[serde(rename = "mcpServers")]
    pub servers: BTreeMap<String, McpServer>,
}

/// An MCP server; keys that are not known here are the business of other programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct McpServer {
    /// `stdio` or `http`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The program.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Option<Vec<String>>,
    /// Its additional environment.
    pub env: Option<BTreeMap<String, String>>,
    /// Longest answer, in milliseconds.
    pub timeout: Option<u64>,
    /// Where a server of the type `http` is.
    pub url: Option<String>,
    /// What is sent to it.
    pub headers: Option<BTreeMap<String, String>>,
    /// Whether it is switched off.
    pub disabled: Option<bool>,
}

/// Settings of one tool; what a tool has no use for is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ToolSettings {
    /// Paths that it may touch: globs.
    pub allowed_paths: Option<Vec<String>>,
    /// Paths that it may not touch: globs, looked at first.
    pub denied_paths: Option<Vec<String>>,
    /// Commands that it may run: anchored regular expressions.
    pub allowed_commands: Option<Vec<String>>,
    /// Commands that it may not run, looked at first.
    pub denied_commands: Option<Vec<String>>,
    /// Whether a command that no list names is refused.
    pub deny_by_default: Option<bool>,
}

/// A command at a certain moment of an agent's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// A command line for `sh -c`.
    pub command: String,
    /// The tools that it is about: a pattern; absent: all.
    pub matcher: Option<String>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Longest output that becomes context.
    pub max_output_size: Option<usize>,
}

/// What tokens cost, in US dollars for a million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Of prompts.
    pub input: f64,
    /// Of answers.
    pub output: f64,
}

/// Guardrails as people write them, at an agent or at a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuardrailsFile {
    /// Requests to the model.
    pub max_iterations: Option<u32>,
    /// Calls of tools.
    pub max_tool_calls: Option<u32>,
    /// Tools that it may use.
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that it may not use.
    pub denied_tools: Option<Vec<String>>,
    /// Tokens of prompts and answers together.
    pub max_tokens: Option<u64>,
    /// Cost, by the agent's price.
    pub max_cost_usd: Option<f64>,
    /// Wall-clock limit.
    pub timeout: Option<Quantity>,
    /// Longest silence.
    pub idle_timeout: Option<Quantity>,
    /// Limit of one tool call.
    pub tool_timeout: Option<Quantity>,
    /// What it can reach.
    pub network: Option<NetworkFile>,
    /// What it can read and write.
    pub filesystem: Option<FilesystemFile>,
}

/// What an agent can reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkFile {
    /// `host:port` each.
    pub allow: Option<Vec<String>>,
}

/// Paths that an agent may read and write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilesystemFile {
    /// Paths that it may read.
    pub read: Option<Vec<String>>,
    /// Paths that it may write.
    pub write: Option<Vec<String>>,
}

/// Guardrails as they hold for one step: those of the agent, tightened by those of the step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Guardrails {
    /// Requests to the model, retries included.
    pub max_iterations: u32,
    /// Calls of tools.
    pub max_tool_calls: Option<u32>,
    /// Tokens of prompts and answers together.
    pub max_tokens: Option<u64>,
    /// Cost in US dollars.
    pub max_cost_usd: Option<f64>,
    /// Wall-clock limit, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Longest silence, in milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// Limit of one tool call, in milliseconds.
    pub tool_timeout_ms: u64,
    /// The tools that it may use.
    pub tools: ToolRules,
    /// What it can reach besides its model: `host:port` each.
    pub network: Vec<String>,
    /// Paths that it may read, besides its working directory; absent: only that.
    pub read: Option<Vec<String>>,
    /// Paths that it may write; absent: its work directory, if it has a tool that writes.
    pub write: Option<Vec<String>>,
}

words! {
    /// What became of a call of a tool.
    ToolDecision {
        /// It was allowed, and ran.
        Allowed = "allowed",
        /// It was refused.
        Denied = "denied",
        /// An agent that is a program ran it without asking although it is not allowed: only the sandbox held it.
        Unasked = "unasked",
    }
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ToolCall {
    /// Its name: `fs_read`, `@server/tool`, `skill:name`.
    pub tool: String,
    /// SHA-256 of its arguments.
    pub arguments_sha256: String,
    /// What became of it.
    pub decision: ToolDecision,
    /// The key that decided.
    pub rule: String,
    /// How long it took.
    pub duration_ms: u64,
    /// What the model was told, where it failed.
    pub error: Option<String>,
}

/// Which tools an agent may use: what `allowed` names, within all lists of `within`, and none of `denied`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRules {
    /// Patterns, of the step or of the agent.
    pub allowed: Vec<String>,
    /// Lists of the agent that the step cannot go beyond, each with the name of the key.
    pub within: Vec<(String, Vec<String>)>,
    /// Patterns of tools that are refused.
    pub denied: Vec<String>,
}

/// The names of the built-in tools of an agent.
pub const TOOLS: [&str; 7] = ["fs_read", "fs_write", "glob", "grep", "execute_bash", "http", "finish"];

/// Tools of the vendor's programs that this one does not have: known, and never there.
pub const FOREIGN_TOOLS: [&str; 10] = [
    "use_aws",
    "gh_issue",
    "knowledge",
    "thinking",
    "todo_list",
    "delegate",
    "introspect",
    "report_issue",
    "subagent",
    "web_search",
];

/// The name by which a tool is known here: some have others in the vendor's programs, and those of the Agent Client
/// Protocol have kinds in place of names.
pub fn canonical_tool(name: &str) -> &str {
    match name {
        "shell" | "bash" | "execute" => "execute_bash",
        "read" => "fs_read",
        "write" | "edit" | "delete" | "move" => "fs_write",
        "search" => "grep",
        "fetch" => "http",
        other => other,
    }
}

/// The skill that a tool is, where it is named in full: no pattern.
pub fn named_skill(tool: &str) -> Option<&str> {
    tool.strip_prefix("skill:").filter(|name| !name.contains(['*', '?']))
}

/// Which rule decided on a tool, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it may be used.
    pub allowed: bool,
    /// The key that says so.
    pub rule: &'a str,
}

impl ToolRules {
    /// Whether a tool, by its name here (`fs_read`, `@server/tool`, `skill:name`), may be used, and by which rule.
    pub fn decide(&self, tool: &str) -> Decision<'_> {
        let denied = |rule| Decision { allowed: false, rule };
        if tool == "finish" {
            return Decision { allowed: true, rule: "always" };
        }
        if names(&self.denied, tool) {
            return denied("denied_tools");
        }
        if let Some((rule, _)) = self.within.iter().find(|(_, list)| !names(list, tool)) {
            return denied(rule);
        }
        Decision { allowed: names(&self.allowed, tool), rule: "allowed_tools" }
    }

    /// Whether any tool that writes may be used: then, and only then, is there a place to write.
    pub fn can_write(&self) -> bool {
        ["fs_write", "execute_bash"].iter().any(|tool| self.decide(tool).allowed)
    }
}

/// Whether one of the patterns names a tool.
fn names(patterns: &[String], tool: &str) -> bool {
    patterns.iter().any(|pattern| is_named(pattern, tool))
}

/// Whether a pattern names a tool: `fs_read`, `@server` (all of its tools), `@server/read_*`, `@builtin`, `*`.
pub fn is_named(pattern: &str, tool: &str) -> bool {
    match pattern {
        "*" => true,
        "@builtin" => TOOLS.contains(&tool),
        _ => match pattern.strip_prefix('@') {
            Some(server) if !server.contains('/') => {
                let own = tool.strip_prefix('@').and_then(|tool| tool.split_once('/'));
                own.is_some_and(|(name, _)| glob(server.as_bytes(), name.as_bytes()))
            }
            Some(_) | None => glob(canonical_tool(pattern).as_bytes(), tool.as_bytes()),
        },
    }
}

/// `*` is any text, `?` any character; case matters. Linear but for a star, which is tried once a place.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[from] => {
                at += 1;
                from += 1;
            }
            Some(_) | None => {
                let Some((place, begun)) = star else { return false };
                star = Some((place, begun + 1));
                at = place + 1;
                from = begun + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
