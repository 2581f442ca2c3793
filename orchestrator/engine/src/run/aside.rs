//! Rows of steps beside the run: handlers, undo steps and final steps. A row stands for itself: no step holds it, and
//! when it ends, whoever started it goes on.

use std::{collections::BTreeMap, sync::Arc};

use schemas::{failure::Failure, json::Json, view::StopReason};

use super::{
    Job, Moment, Place, Run,
    end::Reach,
    group::{Closing, Group},
    locate::Reader,
    rollback::Undone,
    state::{Body, End, InstanceId, StepResult, StepRun, StepState, missing_output},
};
use crate::{
    plan::{StepId, StepKind},
    value,
};

/// Why a row runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// It handles the failure of a step.
    Handles(InstanceId),
    /// It undoes a step.
    Undoes(InstanceId),
    /// It comes after all undo steps of a workflow; `None`: of the run.
    AfterUndo(Option<InstanceId>),
    /// It comes at the end of a workflow; `None`: of the run.
    Finally(Option<InstanceId>),
}

impl Aside {
    /// The step for which it runs.
    pub(super) fn of(self) -> Option<InstanceId> {
        match self {
            Self::Handles(of) | Self::Undoes(of) => Some(of),
            Self::AfterUndo(of) | Self::Finally(of) => of,
        }
    }
}

/// What bounds what a step can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// The whole run.
    Run,
    /// The row beside the run in which it stands.
    Row,
    /// The workflow to whose steps it belongs.
    Workflow(InstanceId),
}

/// Rows that may run more than once in a turn: the same instance each time, so that attempts go on counting.
pub(super) type Rows = BTreeMap<(StepId, Arc<[u32]>), InstanceId>;

impl Run {
    /// Starts a row.
    pub(super) fn begin_row(&mut self, row: StepId, aside: Aside, moment: &mut Moment<'_>) -> InstanceId {
        let of = aside.of().map(|of| Arc::clone(&self.instances[of.index()].turn));
        let turn = of.unwrap_or_else(|| Arc::clone(&self.no_turn));
        let state = StepState::Running { since: moment.now };
        let id = if let Some(id) = self.rows.get(&(row, Arc::clone(&turn))).copied() {
            self.begin_again(id);
            let run = &mut self.instances[id.index()];
            (run.state, run.aside) = (state, Some(aside));
            id
        } else {
            let id = InstanceId::at(self.instances.len());
            self.rows.insert((row, Arc::clone(&turn)), id);
            self.instances.push(StepRun {
                step: row,
                parent: None,
                turn,
                started: Some(moment.now),
                state,
                body: Body::Group(Box::new(Group::with_turn())),
                recovery: None,
                aside: Some(aside),
                undone: Undone::No,
            });
            id
        };
        moment.todo.push_back(Job::Advance(Place { owner: Some(id), turn: 0 }));
        id
    }

    /// The row in which a step stands, and why it runs.
    pub(super) fn row_around(&self, id: InstanceId) -> Option<Aside> {
        let mut around = std::iter::successors(Some(id), |id| self.instances[id.index()].parent);
        around.find_map(|id| self.instances[id.index()].aside)
    }

    /// The innermost thing around a step that its strategies can end as a whole.
    pub(super) fn boundary(&self, id: InstanceId) -> Boundary {
        let mut at = id;
        while let Some(parent) = self.instances[at.index()].parent {
            if let StepKind::Workflow(_) = self.step_of(parent).kind {
                return Boundary::Workflow(parent);
            }
            at = parent;
        }
        if self.instances[at.index()].aside.is_some() { Boundary::Row } else { Boundary::Run }
    }

    /// Whether a step of a workflow (`None`: of the run) belongs to what undoes, or to its last steps: that is never
    /// undone.
    pub(super) fn is_afterwards(&self, id: InstanceId, owner: Option<InstanceId>) -> bool {
        let mut at = id;
        while Some(at) != owner {
            let run = &self.instances[at.index()];
            at = match (run.parent, run.aside) {
                (Some(parent), _) => parent,
                (None, Some(Aside::Handles(of))) => of,
                (None, Some(Aside::Undoes(_) | Aside::AfterUndo(_) | Aside::Finally(_))) => return true,
                (None, None) => return false,
            };
        }
        false
    }

    /// Whether every step of a row that ended is done with, and well.
    pub(super) fn went_well(&self, row: InstanceId) -> bool {
        let is_well = |child: &InstanceId| match &self.instances[child.index()].state {
            StepState::Ended { result, .. } => match result {
                StepResult::Completed(_) | StepResult::Grouped | StepResult::Skipped(_) => true,
                StepResult::Failed(_) | StepResult::Cancelled => false,
            },
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => false,
        };
        let result = match &self.instances[row.index()].state {
            StepState::Ended { result, .. } => *result == StepResult::Grouped,
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => false,
        };
        result && self.group(Some(row)).turns.iter().flat_map(|turn| &turn.children).all(is_well)
    }

    /// Nothing more of a row starts, and what runs is ended.
    pub(super) fn end_row(&mut self, row: InstanceId, moment: &mut Moment<'_>) {
        self.group_mut(Some(row)).closing = Some(Closing::Cancelled);
        self.instances[row.index()].stops(StopReason::Stop, moment.now);
        self.end_below(Some(row), None, StopReason::Stop, moment);
        self.closed(row, moment);
    }

    /// A step failed, and a handler is to see to it. One handler does one thing at a time in a turn.
    pub(super) fn handle(
        &mut self,
        id: InstanceId,
        row: StepId,
        failure: Box<Failure>,
        moment: &mut Moment<'_>,
    ) {
        let turn = Arc::clone(&self.instances[id.index()].turn);
        let busy = self.rows.get(&(row, turn)).is_some_and(|row| !self.instances[row.index()].is_over());
        let state = StepState::Handled { row, instance: None, failure };
        self.instances[id.index()].state = state;
        if busy {
            self.unhandled.push_back(id);
        } else {
            self.begin_handler(id, row, moment);
        }
    }

    fn begin_handler(&mut self, id: InstanceId, row: StepId, moment: &mut Moment<'_>) {
        let handler = self.begin_row(row, Aside::Handles(id), moment);
        if let StepState::Handled { instance, .. } = &mut self.instances[id.index()].state {
            *instance = Some(handler);
        }
    }

    /// A row has ended.
    pub(super) fn row_ended(
        &mut self,
        row: InstanceId,
        aside: Aside,
        result: StepResult,
        moment: &mut Moment<'_>,
    ) {
        self.instances[row.index()].state = StepState::Ended { at: moment.now, result };
        let of = match aside {
            Aside::Handles(of) => of,
            Aside::Finally(Some(workflow)) => return self.closed(workflow, moment),
            Aside::Undoes(_) | Aside::AfterUndo(_) => {
                if let Some(workflow) = self.rolling_back(row) {
                    self.closed(workflow, moment);
                }
                return;
            }
            Aside::Finally(None) => return,
        };
        self.handled(of, row, moment);
        let (step, turn) = (self.instances[row.index()].step, &self.instances[row.index()].turn);
        let next = self.unhandled.iter().position(|waiting| {
            let run = &self.instances[waiting.index()];
            run.handler() == Some(step) && run.turn == *turn
        });
        if let Some(next) = next.and_then(|next| self.unhandled.remove(next)) {
            self.begin_handler(next, step, moment);
        }
    }

    /// The handler of a step has ended: its result is that of the step, else the failure stands.
    fn handled(&mut self, id: InstanceId, row: InstanceId, moment: &mut Moment<'_>) {
        let StepState::Handled { failure, .. } = &self.instances[id.index()].state else { return };
        let mut failure = failure.clone();
        let parent = self.instances[id.index()].parent;
        if !self.is_open(parent) {
            return self.end(id, StepResult::Cancelled, moment);
        }
        let handler = self.group(Some(row)).turn(0).and_then(|turn| turn.children.first().copied());
        if let Some(value) = handler.and_then(|handler| self.result(handler)) {
            let step = self.step_of(id);
            let result = match value::missing_output(&value, &step.outputs) {
                None => StepResult::Completed(value),
                Some(name) => StepResult::Failed(missing_output(&step.name, &name).into()),
            };
            return self.end_handled(id, result, moment);
        }
        if let StepState::Ended { result: StepResult::Failed(why), .. } = &self.instances[row.index()].state {
            failure.details.causes.extend(why.details.causes.iter().cloned());
        }
        self.fail_handled(id, failure, moment);
    }

    /// A handler stands in for a step. What the step cannot assign then is a failure that no handler sees again.
    fn end_handled(&mut self, id: InstanceId, result: StepResult, moment: &mut Moment<'_>) {
        match self.assign(id, &result, moment.now) {
            Ok(()) => self.end(id, result, moment),
            Err(failure) => self.fail_handled(id, failure, moment),
        }
    }

    fn fail_handled(&mut self, id: InstanceId, failure: Box<Failure>, moment: &mut Moment<'_>) {
        if self.is_at_top(id) {
            self.end_by(id, failure, Reach::Whole(End::Failed), moment);
        } else {
            self.end(id, StepResult::Failed(failure), moment);
        }
    }

    /// What is bound in the inputs that a reader sees besides those of the run: the failure for which its row runs.
    pub(super) fn bound_input(&self, reader: Reader, name: &str) -> Option<Json> {
        let (Reader::Step(id) | Reader::Condition(id) | Reader::After(id)) = reader else { return None };
        let failure = match self.row_around(id)? {
            Aside::Handles(of) => match &self.instances[of.index()].state {
                StepState::Handled { failure, .. } => &**failure,
                StepState::Waiting
                | StepState::Retrying { .. }
                | StepState::Running { .. }
                | StepState::Stopping { .. }
                | StepState::Ended { .. } => return None,
            },
            Aside::AfterUndo(owner) => self.undone_for(owner)?,
            Aside::Undoes(_) | Aside::Finally(_) => return None,
        };
        match name {
            "error" => Json::from_serialize(failure).ok(),
            "step" => Json::from_serialize(&failure.step).ok(),
            _ => None,
        }
    }
}
