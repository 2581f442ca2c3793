//! Agent programs that are known by name: how each is called. A table; who fills in the arguments is elsewhere.

use super::{Kind, OutputForm, PromptVia};

/// An agent program and how it is called. In its arguments `{prompt}`, `{model}`, `{tools}` (the allowed tools,
/// with commas) and `{model_url}` (the engine's proxy) are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The word in `preset`.
    pub name: &'static str,
    /// How it runs.
    pub kind: Kind,
    /// The program and its arguments.
    pub command: &'static [&'static str],
    /// How it gets its prompt.
    pub prompt_via: PromptVia,
    /// What it prints.
    pub output: OutputForm,
}

const fn command(
    name: &'static str,
    command: &'static [&'static str],
    prompt_via: PromptVia,
    output: OutputForm,
) -> Preset {
    Preset { name, kind: Kind::Command, command, prompt_via, output }
}

const fn acp(name: &'static str, command: &'static [&'static str]) -> Preset {
    Preset { name, kind: Kind::Acp, command, prompt_via: PromptVia::Stdin, output: OutputForm::Text }
}

/// Every preset.
pub const PRESETS: &[Preset] = &[
    command(
        "q",
        &["q", "chat", "--no-interactive", "--trust-tools={tools}", "{prompt}"],
        PromptVia::Arg,
        OutputForm::Text,
    ),
    command(
        "kiro-cli",
        &["kiro-cli", "chat", "--no-interactive", "--trust-tools={tools}", "{prompt}"],
        PromptVia::Arg,
        OutputForm::Text,
    ),
    command("claude", &["claude", "-p", "--output-format", "json"], PromptVia::Stdin, OutputForm::Json),
    command(
        "codex",
        &["codex", "exec", "--json", "--skip-git-repo-check", "-"],
        PromptVia::Stdin,
        OutputForm::Jsonl,
    ),
    command(
        "gemini",
        &["gemini", "--output-format", "json", "-p", "{prompt}"],
        PromptVia::Arg,
        OutputForm::Json,
    ),
    acp("kiro-cli", &["kiro-cli", "acp"]),
    acp("claude", &["claude-code-acp"]),
    acp(
        "codex",
        &[
            "codex-acp",
            "-c",
            "model=\"{model}\"",
            "-c",
            "model_provider=\"q\"",
            "-c",
            "model_providers.q={name=\"q\",base_url=\"{model_url}/v1\",env_key=\"OPENAI_API_KEY\",wire_api=\"responses\"}",
            // Whether a command may run is asked for, and what holds it is the sandbox in which it all is.
            "-c",
            "approval_policy=\"untrusted\"",
            "-c",
            "sandbox_mode=\"danger-full-access\"",
        ],
    ),
    acp("gemini", &["gemini", "--experimental-acp"]),
    acp("opencode", &["opencode", "acp"]),
    acp("goose", &["goose", "acp"]),
];

/// The preset of that name and kind.
pub fn preset(name: &str, kind: Kind) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name && preset.kind == kind)
}
