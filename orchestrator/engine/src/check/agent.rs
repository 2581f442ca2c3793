//! `agent` steps: the agent that each names, and the guardrails that hold for it there.

mod guardrails;
mod prompt;
mod read;
mod skills;
mod words;

use std::sync::Arc;

use schemas::agent::{AgentFile, Guardrails, GuardrailsFile, Kind};

pub use self::read::read_agent;
use self::read::report_incomplete;
pub(super) use self::words::put_apart;
use super::{AgentEntry, Check, inherit::Surroundings, limits, order::Reader, outline::Spot};
use crate::{
    diagnostic::codes::{
        ALL_TOOLS, BAD_AGENT, BAD_OUTPUT_SCHEMA, BAD_STEP_ID, HIDDEN_AGENT, MISSING_PRICE, UNKNOWN_AGENT,
    },
    load::{Node, nearest, shortened},
    plan::{
        AgentTarget, Endpoint, Limits, Network, Profile, SandboxChoice, Seccomp, SkillCall, SkillTarget,
        SkillTool,
    },
    value::Template,
};

impl<'a> Check<'a, '_> {
    /// Takes in the agents that the definition holds itself.
    pub(super) fn inline_agents(&mut self, root: &'a Node) {
        for member in root.get("agents").map_or(&[][..], Node::members) {
            if !is_agent_name(&member.key) {
                self.problems
                    .report(
                        BAD_STEP_ID,
                        member.key_span.range(),
                        format!("`{}` is not a name of an agent", shortened(&member.key)),
                    )
                    .hint("letters, digits, `_` and `-`, no `-` first, at most 64");
            }
            report_incomplete(&member.value, self.problems);
            if let Ok(file) = read::file(&member.value) {
                let file = Arc::new(file);
                self.inline.insert(&member.key, AgentEntry { file, folder: None });
            }
        }
    }

    /// An agent that does not exist is reported.
    pub(super) fn agent_of(&mut self, root: &'a Node, step: &'a Node) -> Option<AgentEntry> {
        if step.get("type").and_then(Node::as_text) != Some("agent") {
            return None;
        }
        let node = step.get("agent")?;
        let name = node.as_text()?;
        if root.get("agents").is_some_and(|agents| agents.get(name).is_some()) {
            return self.inline.get(name).cloned();
        }
        let agents = &self.catalog.agents;
        if let Some(which) = agents.hidden.get(name) {
            self.problems.report(HIDDEN_AGENT, node.span.range(), which.clone());
        }
        if let Some(why) = agents.broken.get(name) {
            let message = format!("the file of the agent `{name}` cannot be used: {why}");
            self.problems
                .report(BAD_AGENT, node.span.range(), message)
                .hint("`q workflow agents validate` shows all that is wrong with it");
            return None;
        }
        let entry = agents.known.get(name);
        if entry.is_none() {
            self.unknown_agent(node, name);
        }
        entry.cloned()
    }

    fn unknown_agent(&mut self, node: &Node, name: &str) {
        let agents = &self.catalog.agents;
        let known = self.inline.keys().copied().chain(agents.known.keys().map(String::as_str));
        let near = nearest(name, known);
        let mut hint = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        hint.push_str("searched: `agents` of the definition, ");
        hint.push_str(&agents.searched.join(", "));
        let span = node.span.range();
        let message = format!("the agent `{}` does not exist", shortened(name));
        let report = self.problems.report(UNKNOWN_AGENT, span.clone(), message);
        report.hint(hint);
        if let Some(near) = near {
            report.suggest(span, near);
        }
    }

    /// The call of the agent that a step names, as far as it can be planned.
    pub(super) fn agent_call(&mut self, root: &'a Node, node: &'a Node, spot: Spot) -> Option<SkillCall> {
        let reader = Reader::Step(spot.step);
        let entry = self.agent_of(root, node);
        let inputs = node.get("inputs").map(|inputs| self.template(inputs, reader));
        let prompt = node.get("prompt").map(|prompt| self.template(prompt, reader));
        let Surroundings { env, cwd } = self.surroundings(node, spot);
        let secrets = self.secrets(node);
        let own_schema = node.get("output_schema");
        if let Some(schema) = own_schema {
            self.output_schema(schema);
        }
        let AgentEntry { file, folder } = entry?;
        let guardrails = self.guardrails(node, &file);
        let skills = self.skill_tools(node, &guardrails);
        let choice = sandbox_choice(&file, &guardrails, &skills);
        let whole = self.limits_around(root, node, spot);
        let own = node.get("resource_limits").map(limits::read).unwrap_or_default();
        let own = limits::tightest(&own, &self.trust_limits(node, spot));
        let limits = Limits { max_concurrent_steps: None, ..limits::tightest(&own, &whole) };
        let nothing = || Template::Literal(schemas::json::Json::null());
        let prompt = prompt.unwrap_or_else(nothing);
        let members = [
            (prompt::WHOLE.to_owned(), prompt),
            ("inputs".to_owned(), inputs.unwrap_or_else(|| Template::Object(Vec::new()))),
        ];
        Some(SkillCall {
            skill: node.get("agent")?.as_text()?.to_owned(),
            target: Arc::new(SkillTarget::Agent(Box::new(AgentTarget {
                output_schema: own_schema.map(Node::to_json).or_else(|| file.output_schema.clone()),
                file,
                folder,
                guardrails,
                skills,
            }))),
            inputs: Template::Object(members.into()),
            env,
            secrets,
            cwd,
            limits: self.shared(limits),
            sandbox: self.sandbox((root, node), spot, &choice),
        })
    }

    fn output_schema(&mut self, node: &Node) {
        let schema = serde_json::from_str(node.to_json().as_str()).unwrap_or_default();
        if let Err(error) = jsonschema::meta::validate(&schema) {
            let message = format!("this is no JSON Schema: {}", error.masked_with("the value"));
            self.problems.report(BAD_OUTPUT_SCHEMA, node.span.range(), message);
        }
    }

    /// What holds for the step; what it asks for in vain is reported.
    fn guardrails(&mut self, step: &'a Node, file: &AgentFile) -> Guardrails {
        let node = step.get("guardrails");
        let own: GuardrailsFile =
            node.and_then(|node| serde_json::from_str(node.to_json().as_str()).ok()).unwrap_or_default();
        let theirs = file.guardrails.clone().unwrap_or_default();
        if let Some(node) = node {
            guardrails::report_looser(node, &own, &theirs, self.problems);
            guardrails::report_unknown_tools(node, file, self.problems);
        }
        let place = |key: &str| node.and_then(|node| node.get(key)).or(step.get("agent"));
        let held = guardrails::merged(file, &theirs, &own);
        if held.max_cost_usd.is_some() && file.price.is_none() {
            let span = place("max_cost_usd").map_or_else(|| step.opening(), |node| node.span.range());
            self.problems
                .report(MISSING_PRICE, span, "`max_cost_usd` cannot be counted: the agent has no `price`")
                .hint("give the agent `\"price\": {\"input\": …, \"output\": …}`, in US dollars for a million tokens");
        }
        if held.tools.allowed.iter().any(|tool| tool == "*") {
            let span = place("allowed_tools").map_or_else(|| step.opening(), |node| node.span.range());
            self.problems
                .report(ALL_TOOLS, span, "the agent may use every tool that it knows")
                .hint("name the tools that it needs");
        }
        held
    }
}

/// What an agent can see and do where the step says nothing: its files, and no network but its model.
fn sandbox_choice(file: &AgentFile, guardrails: &Guardrails, skills: &[SkillTool]) -> SandboxChoice {
    let hosts: Vec<_> = guardrails.network.iter().filter_map(|text| Endpoint::parse(text)).collect();
    let is_program = matches!(file.kind, Some(Kind::Acp | Kind::Command));
    SandboxChoice {
        profile: Some(Profile::Strict),
        network: Some(if hosts.is_empty() { Network::None } else { Network::Allow(hosts) }),
        read: (guardrails.read.is_some() || !skills.is_empty())
            .then(|| guardrails.read.iter().flatten().cloned().chain(skills::folders(skills)).collect()),
        write: guardrails.write.clone().filter(|_| is_program || guardrails.tools.can_write()),
        // Agent programs bring sandboxes of their own, which need user namespaces.
        seccomp: is_program.then_some(Seccomp::AllowUserns),
        ..SandboxChoice::default()
    }
}

/// Agents are named as steps are.
fn is_agent_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= schemas::definition::MAX_STEP_ID
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}
