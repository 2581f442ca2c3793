//! Hooks: commands of the agent's file that run at certain moments, in the sandbox of the agent. Each gets its moment as
//! JSON on its standard input. What one prints at the start becomes context; one before a tool can block it.

use std::time::Duration;

use schemas::agent::{AgentTask, Hook, canonical_tool, is_named};
use serde_json::{Value, json};

use super::{Tell, conversation::note, program, tools::shortened};

/// How long a hook may take where it does not say.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest output that becomes context where the hook does not say.
const OUTPUT_MAX: usize = 10 * 1024;
/// Exit code by which a hook blocks a tool.
const BLOCKS: i32 = 2;

/// What came of a hook.
enum Ran {
    /// It ended well, and printed this.
    Well(String),
    /// It blocks, and says why.
    Blocks(String),
    /// It failed, which is noted and no more.
    Failed,
}

/// The hooks of one agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hooks<'a> {
    task: &'a AgentTask,
    env: &'a [(String, String)],
}

impl<'a> Hooks<'a> {
    pub(super) fn new(task: &'a AgentTask, env: &'a [(String, String)]) -> Self {
        Self { task, env }
    }

    /// What the hooks of the start and of the prompt add to the conversation.
    pub(super) fn context(&self, tell: &mut Tell<'_>) -> String {
        let mut context = String::new();
        for (moment, more) in
            [("agentSpawn", json!({})), ("userPromptSubmit", json!({"prompt": self.task.prompt}))]
        {
            for hook in self.of(moment) {
                if let Ran::Well(text) = self.run(moment, hook, &more, tell)
                    && !text.trim().is_empty()
                {
                    context = format!("{context}\n\n{}", text.trim());
                }
            }
        }
        context
    }

    /// Asks the hooks before a tool; `Err`: it is blocked, and why.
    pub(super) fn before(&self, tool: &str, arguments: &str, tell: &mut Tell<'_>) -> Result<(), String> {
        let more = json!({"tool_name": tool, "tool_input": value(arguments)});
        for hook in self.of("preToolUse").filter(|hook| fits(hook, tool)) {
            if let Ran::Blocks(why) = self.run("preToolUse", hook, &more, tell) {
                return Err(format!("a hook blocks the tool `{tool}`: {}", why.trim()));
            }
        }
        Ok(())
    }

    /// Tells the hooks what came of a tool.
    pub(super) fn after(
        &self,
        tool: &str,
        arguments: &str,
        outcome: &Result<String, String>,
        tell: &mut Tell<'_>,
    ) {
        let (success, text) = match outcome {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        let response = json!({"success": success, "result": [shortened(text)]});
        let more = json!({"tool_name": tool, "tool_input": value(arguments), "tool_response": response});
        for hook in self.of("postToolUse").filter(|hook| fits(hook, tool)) {
            self.run("postToolUse", hook, &more, tell);
        }
    }

    /// Tells the hooks that the agent has come to its end.
    pub(super) fn stop(&self, tell: &mut Tell<'_>) {
        for hook in self.of("stop") {
            self.run("stop", hook, &json!({}), tell);
        }
    }

    fn of(&self, moment: &str) -> impl Iterator<Item = &'a Hook> {
        self.task.hooks.get(moment).into_iter().flatten()
    }

    fn run(&self, moment: &str, hook: &Hook, more: &Value, tell: &mut Tell<'_>) -> Ran {
        let mut event = json!({"hook_event_name": moment, "cwd": self.task.cwd});
        if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
            event.extend(more.clone());
        }
        let argv = ["sh".to_owned(), "-c".to_owned(), hook.command.clone()];
        let limit = hook.timeout_ms.map_or(TIMEOUT, Duration::from_millis);
        let printed = program::printed(&argv, (&self.task.cwd, self.env), Some(&event.to_string()), limit);
        let line = |outcome: Value| json!({"type": "hook", "moment": moment, "command": hook.command, "outcome": outcome});
        match printed {
            Ok(printed) => {
                note(tell, &line(json!({"exit_code": printed.code, "stderr": shortened(&printed.stderr)})));
                match printed.code {
                    Some(0) => Ran::Well(cut(&printed.stdout, hook.max_output_size.unwrap_or(OUTPUT_MAX))),
                    Some(BLOCKS) => Ran::Blocks(shortened(&printed.stderr)),
                    Some(_) | None => Ran::Failed,
                }
            }
            Err(why) => {
                note(tell, &line(json!({"error": why})));
                Ran::Failed
            }
        }
    }
}

/// Whether a hook is about a tool. Vendors have other names for some, which fit as well.
fn fits(hook: &Hook, tool: &str) -> bool {
    hook.matcher
        .as_deref()
        .is_none_or(|matcher| matcher.is_empty() || is_named(canonical_tool(matcher), tool))
}

fn value(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_default()
}

fn cut(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(matcher: Option<&str>, tool: &str, expected: bool) {
        let hook = Hook { matcher: matcher.map(str::to_owned), ..Hook::default() };
        assert_eq!(fits(&hook, tool), expected, "{matcher:?} {tool}");
    }

    #[test]
    fn a_matcher_says_which_tools_a_hook_is_about() {
        check(None, "fs_read", true);
        check(Some("*"), "@git/push", true);
        check(Some("fs_write"), "fs_write", true);
        check(Some("write"), "fs_write", true);
        check(Some("fs_*"), "fs_read", true);
        check(Some("@git"), "@git/push", true);
        check(Some("@git"), "fs_read", false);
        check(Some("@builtin"), "execute_bash", true);
        check(Some("shell"), "fs_read", false);
    }

    #[test]
    fn output_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("abc", 10), "abc");
    }
}
