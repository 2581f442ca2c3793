//! Inline agents, and their guardrails.

use super::{COUNT, Key, ObjectShape, Shape, TIMEOUT, key, list, policy::NETWORK, required};

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
pub static AGENT: ObjectShape =
    ObjectShape { title: "Agent", about: "An agent: a file of its own, or inline.", keys: AGENT_KEYS };

const TEXT: Shape = Shape::Nullable(&Shape::Text);
const LIST: Shape = Shape::Nullable(&TEXTS);
const MAP: Shape = Shape::Nullable(&Shape::Map(&Shape::Any));
const FLAG: Shape = Shape::Nullable(&Shape::Boolean);

/// In the vendor's files `null` stands for absent.
const AGENT_KEYS: &[Key] = &[
    key("name", TEXT, "Its name; that of the file is what counts."),
    key("description", TEXT, "What it is good for."),
    key("prompt", TEXT, "Its system prompt, or `file://` and a path relative to the file."),
    key("model", TEXT, "The model."),
    key("mcpServers", MAP, "MCP servers by name."),
    key("tools", LIST, "Tools that it can see; absent: all."),
    key("toolAliases", Shape::Nullable(&Shape::Map(&Shape::Text)), "Other names of tools."),
    key("allowedTools", LIST, "Tools that it may use where the step says nothing."),
    key("toolsSettings", MAP, "Settings of tools by name."),
    key("resources", Shape::Nullable(&list(&Shape::Any)), "Files that it is given."),
    key("hooks", MAP, "Commands at certain moments."),
    key(
        "useLegacyMcpJson",
        FLAG,
        "Whether the servers of `.amazonq/mcp.json` are its servers too; in a file of an agent.",
    ),
    key(
        "includeMcpJson",
        FLAG,
        "Whether the servers of `.kiro/settings/mcp.json` are its servers too; in a file of an agent.",
    ),
    key("keyboardShortcut", Shape::Any, "For interactive programs."),
    key("welcomeMessage", Shape::Any, "For interactive programs."),
    key("kind", Shape::Word(&["builtin", "acp", "command"]), "How it runs; default builtin."),
    key("provider", Shape::Word(&["openai", "anthropic"]), "Whose protocol the model speaks."),
    key("base_url", Shape::Text, "Where the model is: ends before `/chat/completions` or `/v1/messages`."),
    key("api_key_env", Shape::Text, "Variable that holds the key."),
    key("command", Shape::List { of: &Shape::Text, least: 1 }, "The program of an `acp` or `command` agent."),
    key("preset", Shape::Text, "A known agent program."),
    key("prompt_via", Shape::Word(&["arg", "stdin"]), "How the prompt is given; default stdin."),
    key("output", Shape::Word(&["text", "json", "jsonl"]), "What it prints."),
    key("env", Shape::Map(&Shape::Text), "Additional environment variables."),
    key("price", Shape::Object(&PRICE), "Price of tokens."),
    key("guardrails", Shape::Object(&GUARDRAILS), "Bounds within which it works."),
    key("output_schema", Shape::Any, "JSON Schema of its result."),
];

static PRICE: ObjectShape = ObjectShape {
    title: "Price",
    about: "What tokens cost, in US dollars for a million.",
    keys: &[
        required("input", Shape::Positive, "Tokens of prompts."),
        required("output", Shape::Positive, "Tokens of answers."),
    ],
};
