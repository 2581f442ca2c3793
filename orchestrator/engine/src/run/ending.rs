//! What follows the steps: of a run, and of a workflow that another one calls. First a rollback, if there is one, then
//! the last steps, whatever happened.

use schemas::journal::Now;

use super::{
    Moment, Run,
    aside::Aside,
    group::{Closing, Stage},
    rollback::Progress,
    state::{End, InstanceId, Phase, StepResult, StepState},
};

impl Run {
    /// The rollback of the run goes on. Says whether anything began.
    pub(super) fn roll_back(&mut self, since: Now, moment: &mut Moment<'_>) -> bool {
        match self.undo_next(None, moment) {
            Progress::Waits => false,
            Progress::Began => true,
            Progress::Over => self.wind_up(self.end_of_rollback(None), since, moment),
        }
    }

    /// The last steps begin, whatever happened; a stop at once leaves them out. Says whether anything began.
    pub(super) fn wind_up(&mut self, end: End, since: Now, moment: &mut Moment<'_>) -> bool {
        let Some(last) = self.plan.last.filter(|_| !self.at_once) else {
            self.finish(end, Some(since), moment);
            return false;
        };
        let row = self.begin_row(last, Aside::Finally(None), moment);
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

    /// The steps of a workflow are over: what follows them goes on. Says whether anything of that still runs.
    pub(super) fn winds_up(&mut self, id: InstanceId, moment: &mut Moment<'_>) -> bool {
        // Without values of its own it never began.
        let Some(frame) = self.group(Some(id)).frame.as_deref() else { return false };
        match frame.stage {
            Stage::Steps if frame.rolls_back && !self.at_once => {
                self.set_stage(id, Stage::RollingBack);
                self.begin_rollback(Some(id), moment);
                self.rolls_back_or_ends(id, moment)
            }
            Stage::Steps => self.begin_last(id, moment),
            Stage::RollingBack => self.rolls_back_or_ends(id, moment),
            Stage::Last(row) => {
                let StepState::Ended { result, .. } = &self.instances[row.index()].state else { return true };
                let result = result.clone();
                self.set_stage(id, Stage::Over);
                self.last_ended(id, row, result);
                false
            }
            Stage::Over => false,
        }
    }

    fn rolls_back_or_ends(&mut self, id: InstanceId, moment: &mut Moment<'_>) -> bool {
        match self.undo_next(Some(id), moment) {
            Progress::Waits | Progress::Began => true,
            Progress::Over => self.begin_last(id, moment),
        }
    }

    fn begin_last(&mut self, id: InstanceId, moment: &mut Moment<'_>) -> bool {
        let last = self.called(Some(id)).and_then(|called| called.last).filter(|_| !self.at_once);
        let stage = match last {
            Some(last) => Stage::Last(self.begin_row(last, Aside::Finally(Some(id)), moment)),
            None => Stage::Over,
        };
        self.set_stage(id, stage);
        last.is_some()
    }

    fn set_stage(&mut self, id: InstanceId, stage: Stage) {
        if let Some(frame) = &mut self.group_mut(Some(id)).frame {
            frame.stage = stage;
        }
    }

    /// The last steps of a workflow have ended. Their failure hides no other.
    fn last_ended(&mut self, id: InstanceId, row: InstanceId, result: StepResult) {
        let is_well = self.went_well(row);
        let group = self.group_mut(Some(id));
        if group.closing != Some(Closing::Completed) {
            return;
        }
        if let StepResult::Failed(failure) = result {
            group.causes = failure.details.causes;
            group.closing = Some(Closing::Failed);
        } else if !is_well {
            group.closing = Some(Closing::Cancelled);
        }
    }
}
