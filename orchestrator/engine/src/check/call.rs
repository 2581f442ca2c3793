//! A `skill` step: the skill that it calls, and everything that its start needs.

use std::{sync::Arc, time::Duration};

use super::{
    Check, SkillEntry, duration,
    inherit::Surroundings,
    limits,
    order::Reader,
    outline::Spot,
    sandbox::{self, Choices, Trust},
};
use crate::{
    diagnostic::codes::{BAD_MANIFEST, BAD_VALUE, HIDDEN_SKILL, UNKNOWN_OUTPUT, UNKNOWN_SKILL},
    expr::Program,
    load::{Node, nearest},
    plan::{Limits, OnCrash, Sandbox, SandboxChoice, SkillCall, Step, StepKind},
    value::Template,
};

/// Time between SIGTERM and kill.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// The parts of a step that hold references.
struct Made {
    kind: StepKind,
    when: Option<Program>,
    assign: Vec<(String, Template)>,
}

impl<'a> Check<'a, '_> {
    /// A step that runs, as far as it can be planned.
    pub(super) fn step(&mut self, root: &'a Node, node: &'a Node, spot: Spot) -> Option<Step> {
        self.awaits.clear();
        let when = node.get("when").map(|when| self.condition(when, Reader::Step(spot.step)));
        let word = node.get("type").and_then(Node::as_text);
        if word == Some("agent") {
            let call = self.agent_call(root, node, spot);
            let assign = self.assignments(node, spot);
            let kind = StepKind::Skill(Box::new(call?));
            return self.planned(node, spot, Made { kind, when: when.flatten(), assign }, None);
        }
        if word != Some("skill") {
            self.surround(node, spot);
            let kind = self.composite(root, node, spot);
            self.impossible_parts(node);
            self.hidden_output(node);
            let assign = self.assignments(node, spot);
            return self.planned(node, spot, Made { kind: kind?, when: when.flatten(), assign }, None);
        }
        let reader = Reader::Step(spot.step);
        let entry = self.skill_of(node);
        let inputs = self.handing_on(|check| check.inputs(node, entry, reader));
        let Surroundings { env, cwd } = self.surroundings(node, spot);
        let secrets = self.secrets(node);
        self.impossible_outputs(node);
        let assign = self.assignments(node, spot);

        let entry = entry?;
        let call = SkillCall {
            skill: node.get("skill")?.as_text()?.to_owned(),
            target: entry.target.clone(),
            inputs,
            env,
            secrets,
            cwd,
            limits: self.shared(limits::tightest(
                &limits::tightest(&self.limits_around(root, node, spot), &self.trust_limits(node, spot)),
                &entry.limits,
            )),
            sandbox: self.sandbox((root, node), spot, &entry.sandbox),
        };
        let kind = StepKind::Skill(Box::new(call));
        self.planned(node, spot, Made { kind, when: when.flatten(), assign }, Some(entry))
    }

    /// The variables that a step sets.
    pub(super) fn environment(&mut self, node: &'a Node, reader: Reader) -> Vec<(String, Template)> {
        let members = node.get("env").map_or(&[][..], Node::members);
        members.iter().map(|member| (member.key.to_string(), self.template(&member.value, reader))).collect()
    }

    /// What steps of all kinds have.
    fn planned(&self, node: &Node, spot: Spot, made: Made, entry: Option<&SkillEntry>) -> Option<Step> {
        let inherited = self.inherited(node, spot);
        let own = node.get("resource_limits");
        let own_timeout =
            limits::least(duration(node, "timeout"), own.and_then(|own| duration(own, "max_execution_time")));
        let outputs = node.get("outputs").map_or(&[][..], Node::elements);
        let is_program = matches!(made.kind, StepKind::Skill(_));
        Some(Step {
            name: format!("{}{}", self.standing.prefix, node.get("id")?.as_text()?),
            parent: spot
                .parent
                .or_else(|| spot.row.map(|row| self.outline.row_id(row)))
                .or(self.standing.holder),
            position: spot.position,
            background: spot.background,
            awaits: self.awaits.as_slice().into(),
            when: made.when,
            outputs: outputs.iter().filter_map(Node::as_text).map(str::to_owned).collect(),
            timeout: limits::least(
                limits::least(
                    limits::least(own_timeout, inner_timeout(&made.kind)),
                    // It is for programs: what holds several has the time that they take together.
                    self.trust(node, spot).filter(|_| is_program).and_then(Trust::timeout),
                ),
                entry.and_then(|entry| entry.timeout),
            )
            .or_else(|| self.last_timeout(node, spot)),
            idle_timeout: limits::least(inherited.idle_timeout, entry.and_then(|entry| entry.idle_timeout)),
            grace: inherited.grace.or_else(|| entry.and_then(|entry| entry.grace)).unwrap_or(DEFAULT_GRACE),
            strategies: Box::default(),
            undo: None,
            is_row: false,
            assign: made.assign,
            kind: made.kind,
            on_crash: inherited.on_crash.unwrap_or_else(|| on_crash(node, entry)),
            kill_mode: inherited.kill_mode.unwrap_or_default(),
        })
    }

    /// The limits that come with how far a step is trusted.
    pub(super) fn trust_limits(&self, node: &Node, spot: Spot) -> Limits {
        self.trust(node, spot).map(Trust::limits).unwrap_or_default()
    }

    /// Limits that are those of the step before are kept once.
    pub(super) fn shared(&mut self, limits: Limits) -> Arc<Limits> {
        if self.limits.as_deref() != Some(&limits) {
            self.limits = Some(Arc::new(limits));
        }
        self.limits.get_or_insert_default().clone()
    }

    /// A sandbox that is that of the step before is kept once.
    pub(super) fn sandbox(
        &mut self,
        (root, node): (&Node, &Node),
        spot: Spot,
        manifest: &SandboxChoice,
    ) -> Arc<Sandbox> {
        let own = self.own_sandbox(node, spot);
        let choices = Choices { own, manifest, outside: self.standing.sandbox.clone() };
        let trust = self.trust(node, spot).unwrap_or(Trust::Trusted);
        let sandbox = sandbox::of_step(root, node, (choices, trust), self.problems);
        if self.sandbox.as_deref() != Some(&sandbox) {
            self.sandbox = Some(Arc::new(sandbox));
        }
        self.sandbox.get_or_insert_default().clone()
    }

    /// The skill that a step names; one that does not exist is reported.
    pub(super) fn skill_of(&mut self, step: &'a Node) -> Option<&'a SkillEntry> {
        if step.get("type").and_then(Node::as_text) != Some("skill") {
            return None;
        }
        let node = step.get("skill")?;
        let name = node.as_text()?;
        let catalog = self.catalog;
        let entry = catalog.skills.get(name);
        if let Some(why) = catalog.broken.get(name) {
            let message = format!("the manifest of the skill `{name}` cannot be used: {why}");
            self.problems.report(BAD_MANIFEST, node.span.range(), message);
        } else if entry.is_none() && !self.is_inline(name) {
            self.unknown_skill(node, name);
        }
        if let Some(which) = catalog.hidden.get(name) {
            self.problems.report(HIDDEN_SKILL, node.span.range(), which.clone());
        }
        entry
    }

    /// Whether the definition holds a skill of that name; what is wrong with it was reported there.
    fn is_inline(&self, name: &str) -> bool {
        self.definition.root.get("skills").is_some_and(|skills| skills.get(name).is_some())
    }

    fn unknown_skill(&mut self, node: &Node, name: &str) {
        let span = node.span.range();
        if let Some(folder) = self.catalog.only_text.get(name) {
            let message = format!("the skill `{name}` cannot be called: {folder} has only a SKILL.md");
            self.problems
                .report(UNKNOWN_SKILL, span, message)
                .hint("a SKILL.md is a text for models; a skill that steps can call has a skill.json");
            return;
        }
        let near = nearest(name, self.catalog.skills.keys().map(String::as_str));
        let mut hint = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        hint.push_str("searched: ");
        hint.push_str(&self.catalog.searched.join(", "));
        let report =
            self.problems.report(UNKNOWN_SKILL, span.clone(), format!("the skill `{name}` does not exist"));
        report.hint(hint);
        if let Some(near) = near {
            report.suggest(span, near);
        }
    }

    /// The inputs as an object template, checked against the skill's schema where they are known.
    fn inputs(&mut self, step: &'a Node, entry: Option<&'a SkillEntry>, reader: Reader) -> Template {
        let node = step.get("inputs");
        let template = match node {
            Some(node) => self.template(node, reader),
            None => Template::Object(Vec::new()),
        };
        if let (Some(node), Template::Literal(value)) = (node, &template)
            && node.is_object()
            && !value.as_str().starts_with('{')
        {
            self.problems.report(BAD_VALUE, node.span.range(), "the inputs of a skill are an object");
            return template;
        }
        if let (Some(entry), Some(name)) = (entry, step.get("skill").and_then(Node::as_text)) {
            self.schemas.judge(name, entry, step, &template, self.problems);
            if let Some(node) = node {
                self.judge_types(name, node, &template, reader);
            }
        }
        template
    }

    fn impossible_outputs(&mut self, step: &Node) {
        for output in self.names.impossible(step) {
            let (Some(name), Some(skill)) = (output.as_text(), step.get("skill").and_then(Node::as_text))
            else {
                continue;
            };
            self.problems
                .report(UNKNOWN_OUTPUT, output.span.range(), format!("the skill `{skill}` gives no `{name}`"))
                .hint("take what the skill gives, or leave `outputs` out to take every key");
        }
    }
}

impl Check<'_, '_> {
    /// Outputs that a step which holds others lists but does not have.
    fn impossible_parts(&mut self, node: &Node) {
        for output in super::names::impossible_parts(node) {
            let name = output.as_text().unwrap_or_default();
            self.problems
                .report(UNKNOWN_OUTPUT, output.span.range(), format!("the step gives no `{name}`"))
                .hint("leave `outputs` out to take all that it gives");
        }
    }
}

/// The time that a workflow gives itself.
fn inner_timeout(kind: &StepKind) -> Option<Duration> {
    match kind {
        StepKind::Workflow(called) => called.timeout,
        StepKind::Skill(_)
        | StepKind::Sequence(_)
        | StepKind::Parallel(_)
        | StepKind::Conditional(_)
        | StepKind::Loop(_) => None,
    }
}

/// What happens to a step whose engine died, where nobody says: an agent does not do the same thing twice.
fn on_crash(step: &Node, entry: Option<&SkillEntry>) -> OnCrash {
    let is_agent = step.get("type").and_then(Node::as_text) == Some("agent");
    if is_agent || entry.is_some_and(|entry| !entry.idempotent) { OnCrash::Fail } else { OnCrash::Rerun }
}
