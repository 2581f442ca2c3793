//! The rollback (a saga) of a run, or of a workflow that another one calls: everything that started is undone, the last
//! first, each by its own row of steps; then come the steps of the definition.

use schemas::{failure::Failure, view::StepStatus};

use super::{
    Moment, Run,
    action::{Action, Notice},
    aside::Aside,
    state::{End, InstanceId, StepResult, StepState},
};
use crate::plan::{self, StepId, StepKind};

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rollback {
    /// The workflow that is rolled back; `None`: the run.
    owner: Option<InstanceId>,
    pub(super) undos: Vec<Undo>,
    /// How many of them began.
    begun: usize,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undo {
    pub(super) row: StepId,
    /// What it is for.
    pub(super) aside: Aside,
    /// Its instance, once it began.
    pub(super) instance: Option<InstanceId>,
}

/// Whether a turn of a step was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// Nobody tried.
    No,
    /// Its undo steps ran, but not well, or none of them had anything to do.
    Tried,
    /// They did what they are for.
    Done,
}

/// How a rollback goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// A row still runs.
    Waits,
    /// The next one began.
    Began,
    /// Nothing is left to do.
    Over,
}

impl Rollback {
    /// The row that runs now, or the last one that ran.
    fn current(&self) -> Option<InstanceId> {
        self.undos.get(self.begun.checked_sub(1)?)?.instance
    }
}

impl Run {
    /// What the definition of a workflow (`None`: of the run) says of its rollback.
    pub(super) fn rollback_of(&self, owner: Option<InstanceId>) -> &plan::Rollback {
        self.called(owner).map_or(&self.plan.rollback, |called| &called.rollback)
    }

    /// Lists what is to be undone. What has been undone already is not.
    pub(super) fn begin_rollback(&mut self, owner: Option<InstanceId>, moment: &mut Moment<'_>) {
        let started = self.order.iter().rev().copied().flatten();
        let acted = started.filter(|id| self.has_acted(*id) && !self.is_afterwards(*id, owner));
        let own = acted.filter(|id| owner.is_none_or(|owner| self.is_inside(*id, owner)));
        let mut undos: Vec<(StepId, Aside)> = own.flat_map(|id| self.undos_of(id)).collect();
        undos.extend(self.rows_after(owner));
        let undos = undos.into_iter().map(|(row, aside)| Undo { row, aside, instance: None }).collect();
        self.rollbacks.push(Rollback { owner, undos, begun: 0 });
        let id = owner.map(|owner| self.instances[owner.index()].attempt_id(&self.plan));
        moment.actions.push(Action::Notice(Notice::RollbackStarted { id }));
    }

    /// What undoes one step. A workflow comes after all that was inside it: first its own steps for that, then the undo
    /// of the step that called it.
    fn undos_of(&self, id: InstanceId) -> Vec<(StepId, Aside)> {
        let frame = self.group(Some(id)).frame.as_deref();
        let has_own = frame.is_some_and(|frame| !frame.rolls_back) && self.rollback_of(Some(id)).enabled;
        let is_workflow = matches!(self.step_of(id).kind, StepKind::Workflow(_));
        let mut undos = if is_workflow && has_own { self.rows_after(Some(id)) } else { Vec::new() };
        let is_untouched = self.instances[id.index()].undone == Undone::No;
        undos.extend(self.step_of(id).undo.filter(|_| is_untouched).map(|row| (row, Aside::Undoes(id))));
        undos
    }

    fn rows_after(&self, owner: Option<InstanceId>) -> Vec<(StepId, Aside)> {
        self.rollback_of(owner).rows.iter().map(|row| (*row, Aside::AfterUndo(owner))).collect()
    }

    /// Whether a step has started so far that it may have done something: some attempt of it began to run.
    fn has_acted(&self, id: InstanceId) -> bool {
        let run = &self.instances[id.index()];
        run.started.is_some()
            && (run.group().is_some() || run.attempts().iter().any(|attempt| attempt.started))
    }

    /// The newest rollback of a workflow, or of the run.
    fn newest_rollback(&self, owner: Option<InstanceId>) -> Option<usize> {
        self.rollbacks.iter().rposition(|rollback| rollback.owner == owner)
    }

    /// The workflow in whose rollback a row runs.
    pub(super) fn rolling_back(&self, row: InstanceId) -> Option<InstanceId> {
        self.rollbacks.iter().rev().find(|rollback| rollback.current() == Some(row))?.owner
    }

    /// Goes on with the next row once the one before has ended.
    pub(super) fn undo_next(&mut self, owner: Option<InstanceId>, moment: &mut Moment<'_>) -> Progress {
        let Some(index) = self.newest_rollback(owner) else { return Progress::Over };
        if let Some(current) = self.rollbacks[index].current() {
            if !self.instances[current.index()].is_over() {
                return Progress::Waits;
            }
            self.note_undone(current);
        }
        let begun = self.rollbacks[index].begun;
        let Some(undo) = self.rollbacks[index].undos.get(begun).copied().filter(|_| !self.at_once) else {
            let id = owner.map(|owner| self.instances[owner.index()].attempt_id(&self.plan));
            let status = self.end_of_rollback(owner).status();
            moment.actions.push(Action::Notice(Notice::RollbackEnded { id, status }));
            return Progress::Over;
        };
        if let Aside::AfterUndo(Some(workflow)) = undo.aside
            && let Some(frame) = &mut self.group_mut(Some(workflow)).frame
        {
            frame.rolls_back = true;
        }
        let instance = self.begin_row(undo.row, undo.aside, moment);
        let rollback = &mut self.rollbacks[index];
        rollback.undos[begun].instance = Some(instance);
        rollback.begun = begun + 1;
        Progress::Began
    }

    /// What a row that went well undid counts as rolled back, if it did anything.
    fn note_undone(&mut self, row: InstanceId) {
        let Some(Aside::Undoes(of)) = self.instances[row.index()].aside else { return };
        let mut children = self.group(Some(row)).turns.iter().flat_map(|turn| &turn.children);
        let any =
            children.any(|child| Self::step_status(&self.instances[child.index()]) == StepStatus::Completed);
        let is_done = any && self.went_well(row);
        self.instances[of.index()].undone = if is_done { Undone::Done } else { Undone::Tried };
    }

    /// How a rollback ended: what workflows inside could not undo is not undone.
    pub(super) fn end_of_rollback(&self, owner: Option<InstanceId>) -> End {
        let is_own = |of: Option<InstanceId>| {
            of == owner || owner.is_none_or(|owner| of.is_some_and(|of| self.is_inside(of, owner)))
        };
        let own = self.rollbacks.iter().filter(|rollback| is_own(rollback.owner));
        let is_well = own
            .flat_map(|rollback| &rollback.undos)
            .all(|undo| undo.instance.is_some_and(|row| self.went_well(row)));
        if is_well { End::RolledBack } else { End::RollbackFailed }
    }

    /// The failure for which the steps of a definition run that come after the undo steps.
    pub(super) fn undone_for(&self, owner: Option<InstanceId>) -> Option<&Failure> {
        let around = std::iter::successors(owner, |id| self.workflow_around(*id));
        let mut causes = around.filter_map(|id| self.group(Some(id)).causes.first());
        causes.next().or(self.error.as_ref())
    }

    /// What the failure of a workflow says of its rollback: the message, and the failures of undo steps.
    pub(super) fn with_rollback(&self, id: InstanceId, message: String) -> (String, Vec<Failure>) {
        let rolled_back = self.group(Some(id)).frame.as_deref().is_some_and(|frame| frame.rolls_back);
        let Some(index) = self.newest_rollback(Some(id)).filter(|_| rolled_back) else {
            return (message, Vec::new());
        };
        let rows = self.rollbacks[index].undos.iter().filter_map(|undo| undo.instance);
        let failures = rows.filter_map(|row| match &self.instances[row.index()].state {
            StepState::Ended { result: StepResult::Failed(failure), .. } => Some(&failure.details.causes),
            StepState::Ended { .. }
            | StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => None,
        });
        let failures = failures.flatten().cloned().collect();
        let is_well = self.end_of_rollback(Some(id)) == End::RolledBack;
        let how = if is_well { "what was done is undone" } else { "not everything could be undone" };
        (format!("{message}; {how}"), failures)
    }
}
