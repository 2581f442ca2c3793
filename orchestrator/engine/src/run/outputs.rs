//! Results of steps that hold others. They are put together when somebody asks: nothing is kept twice.

use schemas::json::Json;

use super::{
    Run,
    group::{Group, Turn},
    state::{InstanceId, StepResult, StepState},
};
use crate::{
    plan::{StepKind, WaitFor},
    value,
};

impl Run {
    /// The result of a turn of a step that completed.
    pub(super) fn result(&self, id: InstanceId) -> Option<Json> {
        match &self.instances[id.index()].state {
            StepState::Ended { result: StepResult::Completed(value), .. } => Some(value.clone()),
            StepState::Ended { result: StepResult::Grouped, .. } => Some(self.whole(id)),
            StepState::Ended { .. }
            | StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => None,
        }
    }

    /// How many bytes the result of a turn of a step has, about.
    pub(super) fn weight(&self, id: InstanceId) -> usize {
        match &self.instances[id.index()].state {
            StepState::Ended { result: StepResult::Completed(value), .. } => value.len(),
            StepState::Ended { result: StepResult::Grouped, .. } => {
                let children = self.group(Some(id)).turns.iter().flat_map(|turn| &turn.children);
                children.map(|child| self.weight(*child)).sum()
            }
            StepState::Ended { .. }
            | StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => 0,
        }
    }

    /// All outputs of a turn of a step that completed, as one object.
    pub(super) fn outputs_of(&self, id: InstanceId) -> Option<Json> {
        let result = self.result(id)?;
        Some(value::outputs_object(&result, &self.step_of(id).outputs))
    }

    /// One output of a turn of a step that completed.
    pub(super) fn output(&self, id: InstanceId, name: &str) -> Option<Json> {
        let declared = &self.step_of(id).outputs;
        if let StepState::Ended { result: StepResult::Grouped, .. } = &self.instances[id.index()].state
            && !matches!(name, "data" | "text")
            && declared.is_empty()
        {
            return self.part(id, name);
        }
        value::output(&self.result(id)?, declared, name)
    }

    /// One part of the result of a step that holds others; the others are not put together for it.
    fn part(&self, id: InstanceId, name: &str) -> Option<Json> {
        let group = self.group(Some(id));
        match &self.step_of(id).kind {
            StepKind::Skill(_) | StepKind::Workflow(_) => None,
            StepKind::Loop(_) => match name {
                "iterations" => Some(number(group.count())),
                "results" => Some(self.results(id)),
                "last" => Some(self.last(group)),
                _ => None,
            },
            StepKind::Sequence(_) | StepKind::Parallel(_) | StepKind::Conditional(_) => {
                self.own_part(id, name).or_else(|| {
                    let children = group.turns.iter().flat_map(|turn| &turn.children);
                    let mut named = children.filter(|child| self.step_of(**child).id() == name);
                    named.next().and_then(|child| self.outputs_of(*child))
                })
            }
        }
    }

    /// What the result of a group has besides its children.
    fn own_part(&self, id: InstanceId, name: &str) -> Option<Json> {
        let group = self.group(Some(id));
        match &self.step_of(id).kind {
            StepKind::Parallel(parallel) if parallel.wait_for == WaitFor::Any && name == "winner" => {
                Some(group.winner.map_or_else(Json::null, |winner| text(self.step_of(winner).id())))
            }
            StepKind::Conditional(_) if name == "branch" => group.branch.map(|branch| text(branch.name())),
            StepKind::Skill(_)
            | StepKind::Sequence(_)
            | StepKind::Parallel(_)
            | StepKind::Conditional(_)
            | StepKind::Loop(_)
            | StepKind::Workflow(_) => None,
        }
    }

    pub(super) fn whole(&self, id: InstanceId) -> Json {
        let group = self.group(Some(id));
        if let StepKind::Loop(_) = self.step_of(id).kind {
            let last = self.last(group);
            let count = number(group.count());
            return value::object(&[("iterations", count), ("results", self.results(id)), ("last", last)]);
        }
        let own = ["winner", "branch"];
        let own = own.into_iter().filter_map(|name| Some((name, self.own_part(id, name)?)));
        let mut members: Vec<_> = group.turns.iter().flat_map(|turn| self.members(turn)).collect();
        members.extend(own);
        value::object(&members)
    }

    fn results(&self, id: InstanceId) -> Json {
        let turns: Vec<_> = self.group(Some(id)).turns.iter().map(|turn| self.turn_outputs(turn)).collect();
        value::array(&turns)
    }

    fn last(&self, group: &Group) -> Json {
        group.turns.last().map_or_else(Json::null, |turn| self.turn_outputs(turn))
    }

    fn turn_outputs(&self, turn: &Turn) -> Json {
        value::object(&self.members(turn).collect::<Vec<_>>())
    }

    /// Child id and outputs, of the children that completed.
    fn members<'a>(&'a self, turn: &'a Turn) -> impl Iterator<Item = (&'a str, Json)> {
        turn.children.iter().filter_map(|child| Some((self.step_of(*child).id(), self.outputs_of(*child)?)))
    }
}

fn number(number: u32) -> Json {
    Json::from_serialize(&number).unwrap_or_else(|_| Json::null())
}

fn text(text: &str) -> Json {
    Json::from_serialize(&text).unwrap_or_else(|_| Json::null())
}
