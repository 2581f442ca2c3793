//! Skills with a manifest that are tools of an agent. Those that are built in need nothing from here.

use std::ops::Range;

use schemas::{
    agent::{Guardrails, named_skill},
    skill::Protocol,
};

use crate::{
    check::Check,
    diagnostic::codes::{HIDDEN_SKILL, UNKNOWN_TOOL},
    load::{Node, nearest, shortened},
    plan::{ExternalSkill, SkillTarget, SkillTool},
};

impl<'a> Check<'a, '_> {
    /// The skills that the agent of a step may call by their names. A pattern stands for those that are built in.
    pub(super) fn skill_tools(&mut self, step: &'a Node, guardrails: &Guardrails) -> Vec<SkillTool> {
        let rules = &guardrails.tools;
        let mut tools: Vec<SkillTool> = Vec::new();
        for tool in rules.allowed.iter().filter(|tool| rules.decide(tool).allowed) {
            let Some(name) = named_skill(tool) else { continue };
            if tools.iter().any(|known| known.name == name) {
                continue;
            }
            if let Some(which) = self.catalog.hidden.get(name) {
                self.problems.report(HIDDEN_SKILL, place(step, tool), which.clone());
            }
            let Some(entry) = self.catalog.skills.get(name) else {
                self.no_skill(place(step, tool), name);
                continue;
            };
            match entry.target.as_ref() {
                SkillTarget::External(ExternalSkill { protocol: Protocol::JsonStdio1, .. }) => {
                    let (target, timeout) = (entry.target.clone(), entry.timeout);
                    tools.push(SkillTool { name: name.to_owned(), target, timeout });
                }
                SkillTarget::External(ExternalSkill { protocol: Protocol::Text, .. }) => {
                    let message = format!("the skill `{name}` cannot be a tool: its protocol is `text`");
                    let report = self.problems.report(UNKNOWN_TOOL, place(step, tool), message);
                    report.hint("a skill that is a tool speaks `json-stdio@1`");
                }
                SkillTarget::Builtin { .. } | SkillTarget::Program { .. } | SkillTarget::Agent(_) => {}
            }
        }
        tools
    }

    fn no_skill(&mut self, place: Range<usize>, name: &str) {
        let why = match self.catalog.broken.get(name) {
            Some(why) => format!("the skill `{}` cannot be a tool: {why}", shortened(name)),
            None => format!("there is no skill `{}` that could be a tool", shortened(name)),
        };
        let near = nearest(name, self.catalog.skills.keys().map(String::as_str));
        let near = near.map(|near| format!("did you mean `skill:{near}`? ")).unwrap_or_default();
        let hint = format!("{near}searched: {}", self.catalog.searched.join(", "));
        self.problems.report(UNKNOWN_TOOL, place, why).hint(hint);
    }
}

/// Where a step allows a tool; else where it names the agent that does.
fn place(step: &Node, tool: &str) -> Range<usize> {
    let list = step.get("guardrails").and_then(|node| node.get("allowed_tools"));
    let entry = list.map_or(&[][..], Node::elements).iter().find(|entry| entry.as_text() == Some(tool));
    entry.or(step.get("agent")).map_or_else(|| step.opening(), |node| node.span.range())
}

/// The folders of skills, which the agent must see to start their programs.
pub(super) fn folders(skills: &[SkillTool]) -> impl Iterator<Item = String> + '_ {
    skills.iter().filter_map(|skill| match skill.target.as_ref() {
        SkillTarget::External(skill) => Some(skill.folder.clone()),
        SkillTarget::Builtin { .. } | SkillTarget::Program { .. } | SkillTarget::Agent(_) => None,
    })
}
