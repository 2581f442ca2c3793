//! Guardrails of an agent and of a step made into those that hold: a step tightens, it never loosens.

use std::time::Duration;

use schemas::{
    agent::{AgentFile, FOREIGN_TOOLS, Guardrails, GuardrailsFile, TOOLS, ToolRules, canonical_tool},
    skill::Quantity,
};

use crate::{
    check::limits::least,
    diagnostic::{
        Problems,
        codes::{LOOSER_GUARDRAIL, UNKNOWN_TOOL},
    },
    load::{Node, nearest, shortened},
    units,
};

/// Requests to the model where nobody says how many.
pub(super) const DEFAULT_ITERATIONS: u32 = 50;
/// How long one call of a tool may take where nobody says.
const DEFAULT_TOOL_TIMEOUT: Duration = Duration::from_mins(2);

/// What holds: of each bound the tighter one.
pub(super) fn merged(file: &AgentFile, theirs: &GuardrailsFile, own: &GuardrailsFile) -> Guardrails {
    let time =
        |pick: fn(&GuardrailsFile) -> Option<&Quantity>| least(millis(pick(theirs)), millis(pick(own)));
    let cost = match (theirs.max_cost_usd, own.max_cost_usd) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    };
    let paths = |pick: fn(&GuardrailsFile) -> Option<&Vec<String>>| match (pick(theirs), pick(own)) {
        (Some(theirs), Some(own)) => {
            Some(own.iter().filter(|path| is_within(path, theirs)).cloned().collect())
        }
        (one, None) | (None, one) => one.cloned(),
    };
    let network = |file: &GuardrailsFile| file.network.as_ref().and_then(|network| network.allow.clone());
    Guardrails {
        max_iterations: least(theirs.max_iterations, own.max_iterations).unwrap_or(DEFAULT_ITERATIONS),
        max_tool_calls: least(theirs.max_tool_calls, own.max_tool_calls),
        max_tokens: least(theirs.max_tokens, own.max_tokens),
        max_cost_usd: cost,
        timeout_ms: time(|file| file.timeout.as_ref()),
        idle_timeout_ms: time(|file| file.idle_timeout.as_ref()),
        tool_timeout_ms: time(|file| file.tool_timeout.as_ref())
            .unwrap_or_else(|| units::millis(DEFAULT_TOOL_TIMEOUT)),
        tools: tools(file, theirs, own),
        network: match (network(theirs), network(own)) {
            (Some(theirs), Some(own)) => own.into_iter().filter(|host| theirs.contains(host)).collect(),
            (one, None) | (None, one) => one.unwrap_or_default(),
        },
        read: paths(|file| file.filesystem.as_ref().and_then(|paths| paths.read.as_ref())),
        write: paths(|file| file.filesystem.as_ref().and_then(|paths| paths.write.as_ref())),
    }
}

fn tools(file: &AgentFile, theirs: &GuardrailsFile, own: &GuardrailsFile) -> ToolRules {
    let named = |list: &Vec<String>| list.iter().map(|tool| by_alias(file, tool)).collect::<Vec<_>>();
    let chosen = own.allowed_tools.as_ref().or(theirs.allowed_tools.as_ref()).or(file.allowed_tools.as_ref());
    let bounds = [("guardrails.allowed_tools", &theirs.allowed_tools), ("tools", &file.tools)];
    let denied = theirs.denied_tools.iter().chain(&own.denied_tools).flatten();
    ToolRules {
        allowed: chosen.map(named).unwrap_or_default(),
        within: bounds
            .into_iter()
            .filter_map(|(rule, list)| Some((rule.to_owned(), named(list.as_ref()?))))
            .collect(),
        denied: denied.map(|tool| by_alias(file, tool)).collect(),
    }
}

/// The tool that a name is another name of, or the name.
fn by_alias(file: &AgentFile, name: &str) -> String {
    let aliases = file.tool_aliases.iter().flatten();
    aliases.into_iter().find(|(_, alias)| *alias == name).map_or(name, |(tool, _)| tool).to_owned()
}

fn millis(quantity: Option<&Quantity>) -> Option<u64> {
    let duration = match quantity? {
        Quantity::Number(seconds) => units::duration_from_number(&seconds.to_string()),
        Quantity::Text(text) => units::duration_from_text(text),
    };
    duration.ok().map(units::millis)
}

/// Whether a path is one of the list or lies below one.
fn is_within(path: &str, list: &[String]) -> bool {
    let below = |folder: &String| {
        let folder = folder.trim_end_matches('/');
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !path.split('/').any(|part| part == "..") && list.iter().any(below)
}

/// Bounds of a step that are wider than those of its agent have no effect, and are reported.
pub(super) fn report_looser(
    node: &Node,
    own: &GuardrailsFile,
    theirs: &GuardrailsFile,
    problems: &mut Problems,
) {
    let whole = |pick: fn(&GuardrailsFile) -> Option<u64>| {
        pick(own).zip(pick(theirs)).filter(|(own, theirs)| own > theirs).map(|(_, theirs)| theirs.to_string())
    };
    let time = |pick: fn(&GuardrailsFile) -> Option<&Quantity>| {
        let longer = millis(pick(own)).zip(millis(pick(theirs))).filter(|(own, theirs)| own > theirs);
        longer.map(|(_, theirs)| format!("{theirs} ms"))
    };
    let cost = own.max_cost_usd.zip(theirs.max_cost_usd).filter(|(own, theirs)| own > theirs);
    let looser = [
        ("max_iterations", whole(|file| file.max_iterations.map(u64::from))),
        ("max_tool_calls", whole(|file| file.max_tool_calls.map(u64::from))),
        ("max_tokens", whole(|file| file.max_tokens)),
        ("max_cost_usd", cost.map(|(_, theirs)| theirs.to_string())),
        ("timeout", time(|file| file.timeout.as_ref())),
        ("idle_timeout", time(|file| file.idle_timeout.as_ref())),
        ("tool_timeout", time(|file| file.tool_timeout.as_ref())),
    ];
    for (key, bound) in looser {
        if let (Some(bound), Some(value)) = (bound, node.get(key)) {
            problems
                .report(
                    LOOSER_GUARDRAIL,
                    value.span.range(),
                    format!("`{key}` of the agent is tighter: {bound} holds"),
                )
                .hint("a step may tighten the guardrails of its agent, never loosen them");
        }
    }
}

/// Names of tools that are none: a tool that is misspelled is one that the agent does not have.
pub(super) fn report_unknown_tools(node: &Node, file: &AgentFile, problems: &mut Problems) {
    for key in ["allowed_tools", "denied_tools"] {
        for tool in node.get(key).map_or(&[][..], Node::elements) {
            let Some(name) = tool.as_text() else { continue };
            if is_known(name, file) {
                continue;
            }
            let report = problems.report(
                UNKNOWN_TOOL,
                tool.span.range(),
                format!("there is no tool `{}`", shortened(name)),
            );
            match nearest(name, TOOLS) {
                Some(near) => report.hint(format!("did you mean `{near}`?")),
                None => report.hint(
                    "tools are `fs_read`, `fs_write`, `glob`, `grep`, `execute_bash`, `http`, `skill:<name>` and `@server/tool`",
                ),
            };
        }
    }
}

fn is_known(name: &str, file: &AgentFile) -> bool {
    let servers = || file.mcp_servers.iter().flat_map(|servers| servers.keys());
    let own = canonical_tool(name);
    TOOLS.contains(&own)
        || FOREIGN_TOOLS.contains(&own)
        || matches!(name, "@builtin" | "think" | "other")
        || name.starts_with("skill:")
        || name.contains(['*', '?'])
        || file.tool_aliases.iter().flatten().any(|(_, alias)| alias == name)
        || name
            .strip_prefix('@')
            .is_some_and(|rest| servers().any(|server| rest.split('/').next() == Some(server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, list: &[&str], expected: bool) {
        let list: Vec<_> = list.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(is_within(path, &list), expected, "{path}");
    }

    #[test]
    fn paths_of_a_step_lie_below_those_of_the_agent() {
        check("src", &["src"], true);
        check("src/a", &["src/"], true);
        check("srcs", &["src"], false);
        check("src/../etc", &["src"], false);
        check("/", &["src"], false);
    }
}
