//! The tools that an agent calls: which of the tools known here each is, what the policy says when the agent asks, and
//! the record of every call. What was refused is known from here, not from what the agent says in the end.

use std::{collections::BTreeMap, time::Instant};

use schemas::agent::{Decision, Guardrails, ToolCall, ToolDecision, canonical_tool};
use serde_json::{Value, json};

use super::super::tools::{hash, shortened};

/// Calls that are remembered at once.
const OPEN_MAX: usize = 4096;

/// The calls of one agent.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: BTreeMap<String, Open>,
    /// All calls so far.
    pub(super) count: u32,
    /// Tools that were refused, the last one last.
    pub(super) denied: Vec<String>,
}

#[derive(Debug)]
struct Open {
    tool: String,
    arguments_sha256: String,
    began: Instant,
    /// What was answered when the agent asked.
    decided: Option<(ToolDecision, String)>,
    /// Its record was handed out.
    told: bool,
}

impl Calls {
    /// Takes an update of a call; gives its record once it is over.
    pub(super) fn update(&mut self, update: &Value, rules: &Rules<'_>) -> Option<ToolCall> {
        let id = update["toolCallId"].as_str()?.to_owned();
        if update["sessionUpdate"] == "tool_call" {
            self.note(&id, update, rules);
        }
        let open = self.open.get_mut(&id)?;
        let error = match update["status"].as_str() {
            Some("completed") => None,
            Some("failed") => Some(content_text(update).unwrap_or_else(|| "it failed".to_owned())),
            Some(_) | None => return None,
        };
        open.record(rules, error)
    }

    /// Decides on a request for permission; gives the answer, and the record where it is refused.
    pub(super) fn permission(&mut self, params: &Value, rules: &Rules<'_>) -> (Value, Option<ToolCall>) {
        let call = &params["toolCall"];
        let id = call["toolCallId"].as_str().unwrap_or_default();
        self.note(id, call, rules);
        let Some(open) = self.open.get_mut(id) else { return (cancelled(), None) };
        let Decision { allowed, rule } = rules.decide(&open.tool);
        let rule = rule.to_owned();
        let Some(option) = option(&params["options"], allowed) else {
            return (cancelled(), None);
        };
        let decision = if allowed { ToolDecision::Allowed } else { ToolDecision::Denied };
        open.decided = Some((decision, rule.clone()));
        let record = if allowed {
            None
        } else {
            self.denied.push(open.tool.clone());
            let why = format!("the tool `{}` is not allowed (`{rule}`)", open.tool);
            open.record(rules, Some(why))
        };
        (json!({"outcome": {"outcome": "selected", "optionId": option}}), record)
    }

    /// The records of calls whose end was never told.
    pub(super) fn rest(&mut self, rules: &Rules<'_>) -> Vec<ToolCall> {
        self.open.values_mut().filter_map(|open| open.record(rules, None)).collect()
    }

    /// A call that was not heard of before counts.
    fn note(&mut self, id: &str, call: &Value, rules: &Rules<'_>) {
        if !self.open.contains_key(id) && self.open.len() < OPEN_MAX {
            self.count = self.count.saturating_add(1);
            let tool = rules.tool(call);
            let open = Open {
                tool,
                arguments_sha256: hash(&arguments(call)),
                began: Instant::now(),
                decided: None,
                told: false,
            };
            self.open.insert(id.to_owned(), open);
        } else if let Some(open) = self.open.get_mut(id)
            && call["rawInput"].is_object()
        {
            open.arguments_sha256 = hash(&arguments(call));
        }
    }
}

impl Open {
    fn record(&mut self, rules: &Rules<'_>, error: Option<String>) -> Option<ToolCall> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let (decision, rule) = self.decided.clone().unwrap_or_else(|| {
            let Decision { allowed, rule } = rules.decide(&self.tool);
            (if allowed { ToolDecision::Allowed } else { ToolDecision::Unasked }, rule.to_owned())
        });
        Some(ToolCall {
            tool: self.tool.clone(),
            arguments_sha256: self.arguments_sha256.clone(),
            decision,
            rule,
            duration_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            error: error.map(|error| shortened(&error)),
        })
    }
}

/// By what a call is judged.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) guardrails: &'a Guardrails,
    /// Names of the MCP servers that the agent was given.
    pub(super) servers: Vec<&'a str>,
}

impl Rules<'_> {
    /// The tool, by its name here. The protocol has kinds and titles, and names for none.
    fn tool(&self, call: &Value) -> String {
        let title = call["title"].as_str().unwrap_or_default();
        let of_server = self.servers.iter().find_map(|server| server_tool(server, title));
        let kind = call["kind"].as_str().unwrap_or("other");
        of_server.unwrap_or_else(|| canonical_tool(kind).chars().take(200).collect())
    }

    /// Whether a tool may be used. To search is to look for names or for text; to think does nothing.
    fn decide(&self, tool: &str) -> Decision<'_> {
        let rules = &self.guardrails.tools;
        match tool {
            "think" => Decision { allowed: true, rule: "always" },
            "grep" if !rules.decide("grep").allowed => rules.decide("glob"),
            tool => rules.decide(tool),
        }
    }
}

/// The tool of an MCP server that a title names, in one of the ways in which agents write that.
fn server_tool(server: &str, title: &str) -> Option<String> {
    [format!("{server}/"), format!("mcp__{server}__"), format!("{server}__"), format!("{server}.")]
        .iter()
        .find_map(|prefix| {
            let at = title.find(prefix.as_str())?;
            let before = title[..at].chars().next_back();
            let starts = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-');
            let rest = &title[at + prefix.len()..];
            let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
            let name: String = rest.chars().take_while(|c| is_name(*c)).take(200).collect();
            (starts && !name.is_empty()).then(|| format!("@{server}/{name}"))
        })
}

/// The option to choose: once rather than always. Without one of the wanted kind there is none.
fn option(options: &Value, allowed: bool) -> Option<Value> {
    let wanted = if allowed { ["allow_once", "allow_always"] } else { ["reject_once", "reject_always"] };
    let offered = options.as_array()?;
    let of = |kind: &&str| offered.iter().find(|option| option["kind"] == **kind);
    wanted.iter().find_map(of).map(|option| option["optionId"].clone())
}

/// The answer to a request for permission that nobody will give.
pub(super) fn cancelled() -> Value {
    json!({"outcome": {"outcome": "cancelled"}})
}

fn arguments(call: &Value) -> String {
    let input = &call["rawInput"];
    if input.is_null() { call["title"].as_str().unwrap_or_default().to_owned() } else { input.to_string() }
}

/// The text of what a call gave.
fn content_text(update: &Value) -> Option<String> {
    let parts = update["content"].as_array()?;
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["content"]["text"].as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use schemas::agent::ToolRules;

    use super::*;

    fn guardrails(allowed: &[&str], denied: &[&str]) -> Guardrails {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let tools = ToolRules { allowed: list(allowed), within: Vec::new(), denied: list(denied) };
        Guardrails { tools, ..Guardrails::default() }
    }

    /// What a request for permission comes to: the tool, the chosen option, the rule of the record if one is made.
    #[track_caller]
    fn check(allowed: &[&str], call: &Value, expected: (&str, &str, Option<&str>)) {
        let guardrails = guardrails(allowed, &["@git/push"]);
        let rules = Rules { guardrails: &guardrails, servers: vec!["git"] };
        let mut calls = Calls::default();
        let options =
            json!([{"optionId": "y", "kind": "allow_once"}, {"optionId": "n", "kind": "reject_once"}]);
        let (answer, record) = calls.permission(&json!({"toolCall": call, "options": options}), &rules);
        let tool = rules.tool(call);
        let chosen = answer["outcome"]["optionId"].as_str().unwrap_or("cancelled").to_owned();
        let rule = record.map(|record| record.rule);
        assert_eq!((tool.as_str(), chosen.as_str(), rule.as_deref()), expected, "{call}");
    }

    #[test]
    fn permission_follows_the_kind_and_the_list() {
        let call = |kind: &str| json!({"toolCallId": "1", "kind": kind, "title": "x"});
        check(&["fs_read"], &call("read"), ("fs_read", "y", None));
        check(&["fs_read"], &call("execute"), ("execute_bash", "n", Some("allowed_tools")));
        check(&["write"], &call("delete"), ("fs_write", "y", None));
        check(&["glob"], &call("search"), ("grep", "y", None));
        check(&["http"], &call("fetch"), ("http", "y", None));
        check(&[], &call("think"), ("think", "y", None));
        check(&[], &json!({"toolCallId": "1"}), ("other", "n", Some("allowed_tools")));
        check(&["*"], &call("switch_mode"), ("switch_mode", "y", None));
    }

    #[test]
    fn tools_of_servers_are_known_by_their_titles() {
        let call = |title: &str| json!({"toolCallId": "1", "kind": "other", "title": title});
        check(&["@git"], &call("Tool: git/status"), ("@git/status", "y", None));
        check(&["@git/*"], &call("mcp__git__status"), ("@git/status", "y", None));
        check(&["@git"], &call("git/push to origin"), ("@git/push", "n", Some("denied_tools")));
        check(&["@git"], &call("legit/status"), ("other", "n", Some("allowed_tools")));
    }

    #[test]
    fn options_that_do_not_fit_are_never_chosen() {
        let only = |kind: &str| json!([{"optionId": "o", "kind": kind}]);
        assert_eq!(option(&only("allow_always"), true), Some(json!("o")));
        assert_eq!(option(&only("allow_once"), false), None);
        assert_eq!(option(&only("reject_once"), true), None);
        assert_eq!(option(&Value::Null, false), None);
    }

    #[test]
    fn each_call_has_one_record_and_what_was_not_asked_for_says_so() {
        let guardrails = guardrails(&["fs_read"], &[]);
        let rules = Rules { guardrails: &guardrails, servers: Vec::new() };
        let mut calls = Calls::default();
        let begins =
            |id: &str, kind: &str| json!({"sessionUpdate": "tool_call", "toolCallId": id, "kind": kind});
        let ends = |id: &str, status: &str| json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status});
        assert_eq!(calls.update(&begins("1", "read"), &rules), None);
        let record = calls.update(&ends("1", "completed"), &rules).expect("it is over");
        assert_eq!((record.tool.as_str(), record.decision), ("fs_read", ToolDecision::Allowed));
        assert_eq!(calls.update(&ends("1", "completed"), &rules), None, "told once");
        calls.update(&begins("2", "execute"), &rules);
        let record = calls.update(&ends("2", "failed"), &rules).expect("it is over");
        assert_eq!((record.decision, record.error.as_deref()), (ToolDecision::Unasked, Some("it failed")));
        calls.update(&begins("3", "read"), &rules);
        assert_eq!(calls.rest(&rules).len(), 1);
        assert_eq!(calls.count, 3);
        assert_eq!(calls.update(&ends("unknown", "completed"), &rules), None);
    }
}
