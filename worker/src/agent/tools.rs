//! The tools of an agent: which are offered to its model, and what comes of a call. What is not allowed is not
//! offered, and refused if it is asked for all the same.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use regex::Regex;
use schemas::agent::{AgentTask, Decision, ToolCall, ToolDecision};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Tell, files,
    hooks::Hooks,
    mcp::{self, Client},
    model::{Call, Offer},
    program, skills,
};

/// Longest answer of a tool that the model sees.
const SHOWN_MAX: usize = 64 * 1024;

/// The skill that is the tool `http`.
const HTTP: &str = "http-request";

/// The tools of one agent.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    task: &'a AgentTask,
    env: &'a [(String, String)],
    servers: BTreeMap<String, Client>,
    offers: Vec<Offer>,
    /// The name of each tool here, by the name that the model knows.
    names: BTreeMap<String, String>,
    /// What went wrong with servers.
    pub(super) troubles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BashArguments {
    command: String,
}

impl<'a> Tools<'a> {
    /// Starts the servers of which a tool may be allowed, and gathers what is offered.
    pub(super) fn new(task: &'a AgentTask, env: &'a [(String, String)]) -> Self {
        let mut tools = Self {
            task,
            env,
            servers: BTreeMap::new(),
            offers: Vec::new(),
            names: BTreeMap::new(),
            troubles: Vec::new(),
        };
        for (name, description, schema) in own_tools(task) {
            tools.offer(name, name, description, schema);
        }
        for (name, description, schema) in skills::described(task) {
            tools.offer(&format!("skill:{name}"), &format!("skill__{name}"), &description, schema);
        }
        tools.start_servers();
        tools
    }

    fn start_servers(&mut self) {
        for (name, server) in &self.task.servers {
            let wanted =
                self.task.guardrails.tools.allowed.iter().any(|pattern| pattern.starts_with(['@', '*']));
            if server.disabled == Some(true) || !wanted {
                continue;
            }
            let started = Client::start(server, &self.task.cwd, self.env)
                .and_then(|mut client| client.tools().map(|tools| (client, tools)));
            match started {
                Ok((client, tools)) => {
                    for mcp::Tool { name: tool, description, schema } in tools {
                        self.offer(
                            &format!("@{name}/{tool}"),
                            &format!("{name}__{tool}"),
                            &description,
                            schema,
                        );
                    }
                    self.servers.insert(name.clone(), client);
                }
                Err(why) => self.troubles.push(format!("the MCP server `{name}`: {why}")),
            }
        }
    }

    fn offer(&mut self, name: &str, known_as: &str, description: &str, schema: Value) {
        if !self.task.guardrails.tools.decide(name).allowed {
            return;
        }
        let known_as = self.task.aliases.get(name).map_or(known_as, String::as_str);
        let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let known_as: String = known_as.chars().map(fits).take(64).collect();
        self.names.insert(known_as.clone(), name.to_owned());
        self.offers.push(Offer { name: known_as, description: description.to_owned(), schema });
    }

    /// What the model is offered.
    pub(super) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// Calls a tool. What the model is told, and what is recorded of it.
    pub(super) fn call(&mut self, call: &Call, hooks: Hooks<'_>, tell: &mut Tell<'_>) -> (String, ToolCall) {
        let name = self.names.get(&call.name).cloned().unwrap_or_else(|| by_name(&call.name));
        let began = Instant::now();
        let Decision { allowed, rule } = self.task.guardrails.tools.decide(&name);
        let mut rule = rule.to_owned();
        let mut decision = if allowed { ToolDecision::Allowed } else { ToolDecision::Denied };
        let outcome = if !allowed {
            Err(format!("the tool `{name}` is not allowed (`{rule}`)"))
        } else if let Err(why) = hooks.before(&name, &call.arguments, tell) {
            decision = ToolDecision::Denied;
            "hooks.preToolUse".clone_into(&mut rule);
            Err(why)
        } else {
            let outcome = self.run(&name, &call.arguments);
            hooks.after(&name, &call.arguments, &outcome, tell);
            outcome
        };
        let (text, error) = match outcome {
            Ok(text) => (shortened(&text), None),
            Err(why) => (format!("error: {}", shortened(&why)), Some(shortened(&why))),
        };
        let record = ToolCall {
            tool: name.chars().take(200).collect(),
            arguments_sha256: hash(&call.arguments),
            decision,
            rule,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            error,
        };
        (text, record)
    }

    fn run(&mut self, name: &str, arguments: &str) -> Result<String, String> {
        match name {
            "fs_read" => files::read(self.task, arguments),
            "fs_write" => files::write(self.task, arguments),
            "glob" => files::glob(self.task, arguments),
            "grep" => files::grep(self.task, arguments),
            "execute_bash" => self.bash(arguments),
            "http" => skills::call(HTTP, arguments, (self.task, self.env)),
            _ => self.others(name, arguments),
        }
    }

    fn others(&mut self, name: &str, arguments: &str) -> Result<String, String> {
        if let Some(name) = name.strip_prefix("skill:") {
            return skills::call(name, arguments, (self.task, self.env));
        }
        let there = name.strip_prefix('@').and_then(|name| name.split_once('/'));
        let client = there.and_then(|(server, tool)| Some((self.servers.get_mut(server)?, tool)));
        let (client, tool) = client.ok_or_else(|| format!("there is no tool `{name}`"))?;
        let arguments: Value = files::arguments(arguments)?;
        client.call(tool, &arguments, Duration::from_millis(self.task.guardrails.tool_timeout_ms))
    }

    fn bash(&self, arguments: &str) -> Result<String, String> {
        let BashArguments { command } = files::arguments(arguments)?;
        self.obeys(&command)?;
        let argv = ["sh".to_owned(), "-c".to_owned(), command];
        let limit = Duration::from_millis(self.task.guardrails.tool_timeout_ms);
        let printed = program::printed(&argv, (&self.task.cwd, self.env), None, limit)?;
        let code = printed.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let stderr = printed.stderr;
        let stderr = if stderr.is_empty() { stderr } else { format!("\n[stderr]\n{stderr}") };
        let ending = if code == "0" { String::new() } else { format!("\n[exit code {code}]") };
        Ok(printed.stdout + &stderr + &ending)
    }

    /// The vendor's settings of commands: what is denied is looked at first.
    fn obeys(&self, command: &str) -> Result<(), String> {
        let Some(settings) = self.task.tools_settings.get("execute_bash") else { return Ok(()) };
        let fits = |patterns: &Option<Vec<String>>| {
            let anchored = patterns.iter().flatten().map(|pattern| format!("^(?:{pattern})$"));
            anchored.filter_map(|pattern| Regex::new(&pattern).ok()).any(|regex| regex.is_match(command))
        };
        if fits(&settings.denied_commands) {
            return Err("the command is not allowed: `toolsSettings.execute_bash.deniedCommands`".to_owned());
        }
        let listed = settings.allowed_commands.is_some() || settings.deny_by_default == Some(true);
        if listed && !fits(&settings.allowed_commands) {
            return Err("the command is not allowed: `toolsSettings.execute_bash.allowedCommands`".to_owned());
        }
        Ok(())
    }
}

/// The name here of a tool that was not offered, as far as it can be told from the model's.
fn by_name(name: &str) -> String {
    match name.split_once("__") {
        Some(("skill", skill)) => format!("skill:{skill}"),
        Some((server, tool)) => format!("@{server}/{tool}"),
        None => schemas::agent::canonical_tool(name).to_owned(),
    }
}

/// The tools of this program, with their arguments.
fn own_tools(task: &AgentTask) -> [(&'static str, &'static str, Value); 7] {
    let text = |about: &str| json!({"type": "string", "description": about});
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let result = match &task.output_schema {
        Some(schema) => serde_json::from_str(schema.as_str()).unwrap_or_default(),
        None => json!({"description": "The result: any JSON value."}),
    };
    let whole = json!({"type": "integer", "minimum": 0});
    [
        (
            "fs_read",
            "Reads a file, or lists a directory.",
            object(
                json!({"path": text("The file or directory."), "offset": whole, "limit": whole}),
                &["path"],
            ),
        ),
        (
            "fs_write",
            "Writes a file.",
            object(
                json!({"path": text("The file."), "content": text("Its content."), "append": {"type": "boolean"}}),
                &["path", "content"],
            ),
        ),
        (
            "glob",
            "Finds files by a pattern such as `**/*.rs`.",
            object(
                json!({"pattern": text("The pattern."), "path": text("Where to look; default: here.")}),
                &["pattern"],
            ),
        ),
        (
            "grep",
            "Finds lines by a regular expression.",
            object(
                json!({"pattern": text("The regular expression."), "path": text("Where to look; default: here."), "glob": text("Only files whose path fits.")}),
                &["pattern"],
            ),
        ),
        (
            "execute_bash",
            "Runs a shell command.",
            object(json!({"command": text("The command line.")}), &["command"]),
        ),
        (
            "http",
            "Sends an HTTP request.",
            serde_json::from_str(crate::skills::find(HTTP).map_or("{}", |skill| skill.inputs))
                .unwrap_or_default(),
        ),
        (
            "finish",
            "Hands over the result and ends the work.",
            object(json!({"result": result}), &["result"]),
        ),
    ]
}

/// A text, cut where it is too long, which it then says.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= SHOWN_MAX {
        return text.to_owned();
    }
    let end = (0..=SHOWN_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}\n[{} bytes more]", &text[..end], text.len() - end)
}

/// SHA-256 in hex.
pub(super) fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    })
}
