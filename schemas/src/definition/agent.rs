//! Inline agents, and their guardrails.

use super::{COUNT, Key, ObjectShape, Shape, TIMEOUT, key, list, policy::NETWORK};

const TEXTS: Shape = list(&Shape::Text);

/// Bounds within which an agent works.
pub static GUARDRAILS: ObjectShape = ObjectShape {
    title: "Guardrails",
    about: "Bounds within which an agent works.",
    keys: &[
        key("max_iterations", COUNT, "Requests to the model."),
        key("max_tool_calls", COUNT, "Calls of tools."),
        key("allowed_tools", TEXTS, "Tools that it may use."),
        key("denied_tools", TEXTS, "Tools that it may not use."),
        key("max_tokens", COUNT, "Tokens of prompts and answers together."),
        key("max_cost_usd", Shape::Positive, "Cost, by the agent's `price`."),
        key("timeout", TIMEOUT, "Wall-clock limit."),
        key("idle_timeout", TIMEOUT, "Longest silence."),
        key("tool_timeout", TIMEOUT, "Limit of one tool call."),
        key("network", Shape::Object(&NETWORK), "What it can reach."),
        key("filesystem", Shape::Object(&FILESYSTEM), "What it can read and write."),
    ],
};

static FILESYSTEM: ObjectShape = ObjectShape {
    title: "Filesystem",
    about: "Paths that an agent may read and write.",
    keys: &[key("read", TEXTS, "Paths that it may read."), key("write", TEXTS, "Paths that it may write.")],
};

/// An agent: a superset of the Amazon Q CLI agent file.
pub static AGENT: ObjectShape = ObjectShape { title: "Agent", about: "An inline agent.", keys: AGENT_KEYS };

/// Keys of the vendor's file are taken as they are: `null` stands for absent there.
const AGENT_KEYS: &[Key] = &[
    key("name", Shape::Any, "Its name."),
    key("description", Shape::Any, "What it is good for."),
    key("prompt", Shape::Any, "Its system prompt."),
    key("model", Shape::Any, "The model."),
    key("mcpServers", Shape::Any, "MCP servers by name."),
    key("tools", Shape::Any, "Tools that it knows."),
    key("toolAliases", Shape::Any, "Other names of tools."),
    key("allowedTools", Shape::Any, "Tools that it may use."),
    key("toolsSettings", Shape::Any, "Settings of tools."),
    key("resources", Shape::Any, "Files that it is given."),
    key("hooks", Shape::Any, "Commands at certain moments."),
    key("useLegacyMcpJson", Shape::Any, "Whether an old file of MCP servers is read."),
    key("includeMcpJson", Shape::Any, "Whether a file of MCP servers is read."),
    key("keyboardShortcut", Shape::Any, "For interactive programs."),
    key("welcomeMessage", Shape::Any, "For interactive programs."),
    key("kind", Shape::Word(&["builtin", "acp", "command"]), "How it runs; default builtin."),
    key("provider", Shape::Word(&["openai", "anthropic"]), "Whose protocol the model speaks."),
    key("base_url", Shape::Text, "Where the model is."),
    key("api_key_env", Shape::Text, "Variable that holds the key."),
    key("command", Shape::List { of: &Shape::Text, least: 1 }, "The program of an `acp` or `command` agent."),
    key("preset", Shape::Text, "A known agent program."),
    key("prompt_via", Shape::Word(&["arg", "stdin"]), "How the prompt is given; default stdin."),
    key("output", Shape::Word(&["text", "json", "jsonl"]), "What it prints."),
    key("env", Shape::Map(&Shape::Text), "Additional environment variables."),
    key("price", Shape::Any, "Price of tokens."),
    key("guardrails", Shape::Object(&GUARDRAILS), "Bounds within which it works."),
    key("output_schema", Shape::Any, "JSON Schema of its result."),
];
