//! The rollback of a run (a saga): everything that started is undone, the last first, each by its own row of steps;
//! then come the steps of the definition.

use schemas::{journal::Now, view::StepStatus};

use super::{
    Moment, Run,
    action::{Action, Notice},
    aside::Aside,
    state::{End, InstanceId, Phase, StepResult, StepState},
};
use crate::plan::StepId;

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rollback {
    pub(super) undos: Vec<Undo>,
    /// How many of them began.
    begun: usize,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undo {
    pub(super) row: StepId,
    /// What it undoes.
    pub(super) of: Option<InstanceId>,
    /// Its instance, once it began.
    pub(super) instance: Option<InstanceId>,
}

impl Run {
    pub(super) fn begin_rollback(&mut self, since: Now, moment: &mut Moment<'_>) {
        let started = self.order.iter().rev().copied().flatten().filter(|id| self.has_acted(*id));
        let undo = started.filter_map(|id| Some((self.step_of(id).undo?, Some(id))));
        let after = self.plan.rollback.rows.iter().map(|row| (*row, None));
        let undos = undo.chain(after).map(|(row, of)| Undo { row, of, instance: None }).collect();
        self.rollback = Some(Rollback { undos, begun: 0 });
        self.phase = Phase::RollingBack { since };
        moment.actions.push(Action::Notice(Notice::RollbackStarted));
    }

    /// Whether a step has started so far that it may have done something: some attempt of it began to run.
    fn has_acted(&self, id: InstanceId) -> bool {
        let run = &self.instances[id.index()];
        run.started.is_some()
            && (run.group().is_some() || run.attempts().iter().any(|attempt| attempt.started))
    }

    /// The row that runs now, or the last one that ran.
    pub(super) fn current_undo(&self) -> Option<InstanceId> {
        let rollback = self.rollback.as_ref()?;
        rollback.undos.get(rollback.begun.checked_sub(1)?)?.instance
    }

    /// Goes on with the next row once the one before has ended. Says whether anything began.
    pub(super) fn roll_back(&mut self, since: Now, moment: &mut Moment<'_>) -> bool {
        if let Some(current) = self.current_undo() {
            if !self.instances[current.index()].is_over() {
                return false;
            }
            self.note_undone(current);
        }
        let next = self.rollback.as_ref().and_then(|rollback| {
            let next = rollback.undos.get(rollback.begun).copied()?;
            (!self.at_once).then_some((rollback.begun, next))
        });
        let Some((index, undo)) = next else {
            let end = self.end_of_rollback();
            moment.actions.push(Action::Notice(Notice::RollbackEnded { status: end.status() }));
            return self.wind_up(end, since, moment);
        };
        let aside = undo.of.map_or(Aside::AfterUndo, Aside::Undoes);
        let instance = self.begin_row(undo.row, aside, moment);
        if let Some(rollback) = &mut self.rollback {
            rollback.undos[index].instance = Some(instance);
            rollback.begun = index + 1;
        }
        true
    }

    /// What a row that went well undid counts as rolled back, if it did anything.
    fn note_undone(&mut self, row: InstanceId) {
        let Some(Aside::Undoes(of)) = self.instances[row.index()].aside else { return };
        let mut children = self.group(Some(row)).turns.iter().flat_map(|turn| &turn.children);
        let any =
            children.any(|child| Self::step_status(&self.instances[child.index()]) == StepStatus::Completed);
        self.instances[of.index()].undone = any && self.went_well(row);
    }

    fn end_of_rollback(&self) -> End {
        let mut undos = self.rollback.iter().flat_map(|rollback| &rollback.undos);
        let is_well = undos.all(|undo| undo.instance.is_some_and(|row| self.went_well(row)));
        if is_well { End::RolledBack } else { End::RollbackFailed }
    }

    /// The last steps begin, whatever happened; a stop at once leaves them out. Says whether anything began.
    pub(super) fn wind_up(&mut self, end: End, since: Now, moment: &mut Moment<'_>) -> bool {
        let Some(last) = self.plan.last.filter(|_| !self.at_once) else {
            self.finish(end, Some(since), moment);
            return false;
        };
        let row = self.begin_row(last, Aside::Finally, moment);
        self.phase = Phase::Finalizing { since, end, row };
        true
    }

    /// Ends the run when its last steps have ended. Their failure hides no other.
    pub(super) fn finalize(&mut self, end: End, since: Now, row: InstanceId, moment: &mut Moment<'_>) {
        let StepState::Ended { result, .. } = &self.instances[row.index()].state else { return };
        let result = result.clone();
        let end = match (end, result) {
            (End::Completed, StepResult::Failed(failure)) => {
                let first = failure.details.causes.first().cloned();
                self.fail(first.unwrap_or(*failure));
                self.outputs = None;
                End::Failed
            }
            (End::Completed, _) if !self.went_well(row) => {
                self.outputs = None;
                End::Cancelled
            }
            (end, _) => end,
        };
        self.finish(end, Some(since), moment);
    }
}
