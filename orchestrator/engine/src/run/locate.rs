//! Which turn of a step a reference means: the one that the reader's own place in the loops around it gives.

use super::{
    Run,
    aside::Aside,
    group::Group,
    state::{InstanceId, StepState},
};
use crate::plan::{StepId, StepKind, Turns};

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reader {
    /// The run itself, for its outputs.
    Run,
    /// A workflow that another one calls, for its outputs.
    Workflow(InstanceId),
    /// A step, for its own values.
    Step(InstanceId),
    /// A loop, for the condition of its next turn.
    Condition(InstanceId),
    /// A step that has completed, for what it assigns.
    After(InstanceId),
}

/// A place in a turn of a group.
#[derive(Debug, Clone, Copy)]
struct Standpoint {
    /// The group; `None`: the run.
    owner: Option<InstanceId>,
    turn: u32,
    position: u32,
}

impl Run {
    pub(super) fn group(&self, owner: Option<InstanceId>) -> &Group {
        match owner {
            // Only instances with steps inside hold any.
            Some(owner) => self.instances[owner.index()].group().unwrap_or(&self.root),
            None => &self.root,
        }
    }

    /// The turn of a step that a reader means, if it has come.
    pub(super) fn locate(&self, reader: Reader, step: StepId) -> Option<InstanceId> {
        self.way(reader, step).last().copied().filter(|last| self.instances[last.index()].step == step)
    }

    /// The first of `steps` that a reader must wait for, or what holds it: it, or something in the background
    /// below it, still runs.
    pub(super) fn unsettled(&self, reader: Reader, steps: &[StepId]) -> Option<InstanceId> {
        steps.iter().find_map(|step| {
            let mut last = None;
            for id in self.way(reader, *step) {
                if self.is_settled(id) {
                    return None;
                }
                last = Some(id);
                // Its last turn is known only when it is through.
                if let StepKind::Loop(_) = self.step_of(id).kind {
                    break;
                }
            }
            last
        })
    }

    /// The turn of a loop in which a reader stands.
    pub(super) fn turn_in(&self, reader: Reader, of: StepId) -> Option<(InstanceId, u32)> {
        let mut at = self.standpoint(reader);
        loop {
            let owner = at.owner?;
            if self.instances[owner.index()].step == of {
                return Some((owner, at.turn));
            }
            at = self.standpoint(Reader::Step(owner));
        }
    }

    /// From the first instance that does not hold the reader down to the step, as far as they have come.
    fn way(&self, reader: Reader, step: StepId) -> Vec<InstanceId> {
        let Some((owner, turn)) = self.start_of_way(reader, step) else { return Vec::new() };
        let holder = owner.map(|owner| self.instances[owner.index()].step);
        let mut down: Vec<StepId> = Vec::new();
        let mut next = Some(step);
        while next != holder
            && let Some(step) = next
        {
            down.push(step);
            next = self.plan.steps[step.index()].parent;
        }
        let mut way = Vec::with_capacity(down.len());
        let mut group = self.group(owner);
        let mut turn = turn;
        for step in down.into_iter().rev() {
            let position = self.plan.steps[step.index()].position as usize;
            let child = group.turn(turn).and_then(|turn| turn.children.get(position));
            let Some(child) = child.filter(|child| self.instances[child.index()].step == step) else { break };
            way.push(*child);
            let Some(inner) = self.instances[child.index()].group() else { break };
            group = inner;
            turn = group.count().saturating_sub(1);
        }
        way
    }

    /// The group, and the turn of it, in which the way to a step begins.
    fn start_of_way(&self, reader: Reader, step: StepId) -> Option<(Option<InstanceId>, u32)> {
        let mut at = self.standpoint(reader);
        let child = loop {
            match self.child_towards(at.owner, step) {
                Some(child) => break child,
                None => at = self.standpoint(Reader::Step(at.owner?)),
            }
        };
        if self.plan.steps[child.index()].position < at.position {
            return Some((at.owner, at.turn));
        }
        // It comes later in the body: its value is that of the turn before.
        loop {
            let owner = at.owner?;
            if let StepKind::Loop(_) = self.step_of(owner).kind {
                return Some((at.owner, at.turn.checked_sub(1)?));
            }
            at = self.standpoint(Reader::Step(owner));
        }
    }

    /// The turn of a step whose record a reader may look up by a name that is only known now: it has ended, and it is one
    /// that the reader may name. In what runs at the same time nobody looks.
    pub(super) fn ended_before(&self, reader: Reader, step: StepId) -> Option<InstanceId> {
        let id = self.locate(reader, step)?;
        let is_ended = matches!(self.instances[id.index()].state, StepState::Ended { .. });
        (is_ended && !self.runs_beside(reader, step)).then_some(id)
    }

    /// Whether a step stands in another child of a parallel group around the reader, or in another of the turns of a loop
    /// that run at once.
    fn runs_beside(&self, mut reader: Reader, step: StepId) -> bool {
        let mut is_later = false;
        loop {
            let at = self.standpoint(reader);
            let Some(owner) = at.owner else { return false };
            let child = self.child_towards(at.owner, step);
            let position = child.map(|child| self.plan.steps[child.index()].position);
            is_later |= position.is_some_and(|position| position >= at.position);
            match &self.step_of(owner).kind {
                StepKind::Parallel(_)
                    if position.is_some()
                        && position != self.own_position(reader)
                        && !self.step_of(owner).is_row =>
                {
                    return true;
                }
                StepKind::Loop(turns) if is_later => {
                    return matches!(turns.turns, Turns::ForEach { max_concurrent: 2.., .. });
                }
                StepKind::Parallel(_)
                | StepKind::Loop(_)
                | StepKind::Skill(_)
                | StepKind::Sequence(_)
                | StepKind::Conditional(_)
                | StepKind::Workflow(_) => {}
            }
            if position.is_some() && !is_later {
                return false;
            }
            reader = Reader::Step(owner);
        }
    }

    /// The place of the reader's own step in its group.
    fn own_position(&self, reader: Reader) -> Option<u32> {
        match self.seen_from(reader) {
            Reader::Step(id) | Reader::After(id) => Some(self.step_of(id).position),
            Reader::Run | Reader::Workflow(_) | Reader::Condition(_) => None,
        }
    }

    /// The child of a group which is a step or holds it.
    fn child_towards(&self, owner: Option<InstanceId>, step: StepId) -> Option<StepId> {
        let holder = owner.map(|owner| self.instances[owner.index()].step);
        let mut at = step;
        loop {
            let parent = self.plan.steps[at.index()].parent;
            if parent == holder {
                return Some(at);
            }
            at = parent?;
        }
    }

    /// A row beside the run sees what the step sees for which it runs, and that step itself; else what the run sees, or the
    /// workflow after whose steps it runs.
    fn seen_from(&self, reader: Reader) -> Reader {
        match reader {
            Reader::Step(id) => match self.instances[id.index()].aside {
                Some(Aside::Handles(of) | Aside::Undoes(of)) => Reader::After(of),
                Some(Aside::AfterUndo(of) | Aside::Finally(of)) => of.map_or(Reader::Run, Reader::Workflow),
                None => reader,
            },
            Reader::Run | Reader::Workflow(_) | Reader::After(_) | Reader::Condition(_) => reader,
        }
    }

    fn standpoint(&self, reader: Reader) -> Standpoint {
        match self.seen_from(reader) {
            Reader::Run => Standpoint { owner: None, turn: 0, position: u32::MAX },
            Reader::Workflow(id) => Standpoint { owner: Some(id), turn: 0, position: u32::MAX },
            Reader::Step(id) => {
                let (owner, turn) = self.place_of(id);
                Standpoint { owner, turn, position: self.step_of(id).position }
            }
            Reader::After(id) => {
                let (owner, turn) = self.place_of(id);
                Standpoint { owner, turn, position: self.step_of(id).position.saturating_add(1) }
            }
            Reader::Condition(id) => {
                Standpoint { owner: Some(id), turn: self.group(Some(id)).count(), position: 0 }
            }
        }
    }
}
