//! Where the words of agents flow: through the skills that are given them, the groups and the called workflows that
//! hand them on, the context that they are assigned to. A prompt that they come to has them apart from its own text.
//! Files are not followed: what an agent writes there and another step reads has no mark.

use std::collections::{HashMap, HashSet};

use super::prompt;
use crate::{
    plan::{Plan, Step, StepId, StepKind, Turns},
    value::{Part, Reference, Root, Segment, Template},
};

/// Inputs that a handler has besides those of its definition: they tell of a step that failed, in its words.
const OF_A_FAILURE: [&str; 2] = ["error", "step"];

/// Puts the words of agents apart in every prompt of a plan that is whole.
pub(in crate::check) fn put_apart(plan: &mut Plan) {
    let marked: Vec<(usize, Template)> = {
        let words = Words::spread(plan);
        let prompts = plan.steps.iter().enumerate().filter_map(|(index, step)| {
            let prompt = prompt_of(step)?;
            let of = words.around[index];
            Some((index, prompt::parts(prompt, |found| words.are_in_reference(found, of))?))
        });
        prompts.collect()
    };
    for (index, parts) in marked {
        if let StepKind::Skill(call) = &mut plan.steps[index].kind
            && let Template::Object(members) = &mut call.inputs
            && let Some(member) = members.iter_mut().find(|(name, _)| name == prompt::WHOLE)
        {
            *member = (prompt::IN_PARTS.to_owned(), parts);
        }
    }
}

/// The prompt of an agent step.
fn prompt_of(step: &Step) -> Option<&Template> {
    let call = step.kind.skill()?;
    let (Some(_), Template::Object(members)) = (call.agent(), &call.inputs) else { return None };
    members.iter().find(|(name, _)| name == prompt::WHOLE).map(|(_, prompt)| prompt)
}

/// What holds words of agents.
struct Words<'a> {
    plan: &'a Plan,
    /// The workflow step to whose definition each step belongs; `None`: the definition at the top.
    around: Vec<Option<StepId>>,
    /// Whether the outputs of each step do.
    steps: Vec<bool>,
    /// Keys of the context of each definition that do.
    context: HashSet<(Option<StepId>, &'a str)>,
    /// Inputs of each definition that do.
    inputs: HashSet<(Option<StepId>, &'a str)>,
}

impl<'a> Words<'a> {
    /// Follows them until nothing new holds any: a loop may hand something back to a step that comes before.
    fn spread(plan: &'a Plan) -> Self {
        let workflows: HashMap<&str, StepId> = plan
            .steps
            .iter()
            .zip((0..).map(StepId))
            .filter(|(step, _)| matches!(step.kind, StepKind::Workflow(_)))
            .map(|(step, id)| (step.name.as_str(), id))
            .collect();
        let around = |step: &Step| workflows.get(step.within()?).copied();
        let mut words = Self {
            plan,
            around: plan.steps.iter().map(around).collect(),
            steps: plan
                .steps
                .iter()
                .map(|step| step.kind.skill().is_some_and(|call| call.agent().is_some()))
                .collect(),
            context: HashSet::new(),
            inputs: HashSet::new(),
        };
        let mut known = 0;
        while words.count() > known {
            known = words.count();
            for (step, id) in plan.steps.iter().zip((0..).map(StepId)) {
                words.follow(step, id);
            }
        }
        words
    }

    fn count(&self) -> usize {
        self.steps.iter().filter(|held| **held).count() + self.context.len() + self.inputs.len()
    }

    fn follow(&mut self, step: &'a Step, id: StepId) {
        let of = self.around[id.index()];
        self.steps[id.index()] |= match &step.kind {
            StepKind::Skill(call) => {
                self.are_in(&call.inputs, of) || self.are_in_any(&call.env, of) || self.are_in_env(of)
            }
            StepKind::Workflow(called) => self.are_in_any(&called.outputs, Some(id)),
            // Its children say so, below.
            StepKind::Sequence(_) | StepKind::Parallel(_) | StepKind::Conditional(_) | StepKind::Loop(_) => {
                false
            }
        };
        if let (true, Some(parent)) = (self.steps[id.index()], step.parent)
            && !matches!(self.plan.steps[parent.index()].kind, StepKind::Workflow(_))
        {
            self.steps[parent.index()] = true;
        }
        for (key, value) in &step.assign {
            if self.are_in(value, of) {
                self.context.insert((of, key));
            }
        }
        if let StepKind::Workflow(called) = &step.kind {
            let given = |name: &str| {
                let Template::Object(members) = &called.given else { return self.are_in(&called.given, of) };
                members.iter().any(|(known, value)| known == name && self.are_in(value, of))
            };
            let given: Vec<&'a str> =
                called.inputs.keys().map(String::as_str).filter(|name| given(name)).collect();
            self.inputs.extend(given.into_iter().map(|name| (Some(id), name)));
        }
    }

    /// Whether the variables that called workflows give all of their steps hold any.
    fn are_in_env(&self, of: Option<StepId>) -> bool {
        let Some(id) = of else { return false };
        let around = self.around[id.index()];
        let StepKind::Workflow(called) = &self.plan.steps[id.index()].kind else { return false };
        self.are_in_any(&called.env, around) || self.are_in_env(around)
    }

    fn are_in_any(&self, values: &[(String, Template)], of: Option<StepId>) -> bool {
        values.iter().any(|(_, value)| self.are_in(value, of))
    }

    /// Whether a value of the definition that the step `of` calls holds any.
    fn are_in(&self, value: &Template, of: Option<StepId>) -> bool {
        let in_any =
            |references: &[Reference]| references.iter().any(|found| self.are_in_reference(found, of));
        match value {
            Template::Literal(_) => false,
            Template::Reference(reference) => self.are_in_reference(reference, of),
            Template::Expression(program) => in_any(program.references()),
            Template::Text(parts) => parts.iter().any(|part| match part {
                Part::Text(_) => false,
                Part::Value(reference) => self.are_in_reference(reference, of),
                Part::Expression(program) => in_any(program.references()),
            }),
            Template::Object(members) => self.are_in_any(members, of),
            Template::Array(elements) => elements.iter().any(|element| self.are_in(element, of)),
        }
    }

    fn are_in_reference(&self, reference: &Reference, of: Option<StepId>) -> bool {
        let key = match reference.path.first() {
            Some(Segment::Key(key)) => Some(key.as_str()),
            Some(Segment::Index(_)) | None => None,
        };
        let held = |all: &HashSet<(Option<StepId>, &str)>| match key {
            Some(key) => all.contains(&(of, key)),
            None => all.iter().any(|(whose, _)| *whose == of),
        };
        match &reference.root {
            Root::Step(step) | Root::StepRecord(step) => self.steps[step.index()],
            Root::Steps(steps) => match key {
                Some(key) => steps.get(key).is_some_and(|step| self.steps[step.index()]),
                None => steps.values().any(|step| self.steps[step.index()]),
            },
            Root::Context => held(&self.context),
            Root::Inputs => {
                let of_a_failure = key.is_none_or(|key| OF_A_FAILURE.contains(&key));
                held(&self.inputs) || (of_a_failure && self.steps.contains(&true))
            }
            Root::Item(step) => match &self.plan.steps[step.index()].kind {
                StepKind::Loop(held) => match &held.turns {
                    Turns::ForEach { items, .. } => self.are_in(items, self.around[step.index()]),
                    Turns::While { .. } => false,
                },
                StepKind::Skill(_)
                | StepKind::Sequence(_)
                | StepKind::Parallel(_)
                | StepKind::Conditional(_)
                | StepKind::Workflow(_) => false,
            },
            Root::StepIds(_) | Root::Run | Root::Index(_) => false,
        }
    }
}
