//! Ending what runs: in the whole run, or below one step.

use schemas::{
    failure::{Code, Details, Failure},
    view::StopReason,
};

use super::{
    Moment, Run,
    action::{Action, Notice},
    group::Closing,
    state::{End, InstanceId, Phase, StepResult, StepState},
};

impl Run {
    pub(super) fn timed_out(&mut self, moment: &mut Moment<'_>) {
        let Phase::Running { since } = self.phase else { return };
        let limit = self.time_limit().map(crate::units::millis);
        self.fail(Failure {
            step: None,
            code: Code::Timeout,
            message: match limit {
                Some(limit) => format!("the run took longer than its limit of {limit} ms"),
                None => "the run took longer than its limit".to_owned(),
            },
            retryable: Code::Timeout.retryable(),
            details: Details { limit, ..Details::default() },
        });
        self.phase = Phase::Stopping { since, end: End::Failed };
        moment.actions.push(Action::Notice(Notice::RunStopping));
        self.end_all(StopReason::RunTimeout, moment);
    }

    pub(super) fn stop(&mut self, at_once: bool, moment: &mut Moment<'_>) {
        self.at_once |= at_once && !matches!(self.phase, Phase::Ended { .. });
        match self.phase {
            Phase::Queued => self.finish(End::Cancelled, None, moment),
            Phase::Running { since } => {
                self.phase = Phase::Stopping { since, end: End::Cancelled };
                moment.actions.push(Action::Notice(Notice::RunStopping));
                if at_once {
                    self.hurry(StopReason::Stop, moment);
                }
                self.end_all(StopReason::Stop, moment);
                if at_once {
                    self.end_rows(moment);
                }
            }
            // Half an undo is worse than a whole one, and last steps are there to clean up: only a stop at once ends
            // them.
            Phase::Stopping { .. } | Phase::RollingBack { .. } | Phase::Finalizing { .. } if at_once => {
                self.hurry(StopReason::Stop, moment);
                self.end_rows(moment);
            }
            Phase::Stopping { .. }
            | Phase::RollingBack { .. }
            | Phase::Finalizing { .. }
            | Phase::Ended { .. } => {}
        }
    }

    /// Ends the rows beside the run.
    fn end_rows(&mut self, moment: &mut Moment<'_>) {
        let rows: Vec<_> = self.rows.values().copied().collect();
        for row in rows {
            if !self.instances[row.index()].is_over() {
                self.end_row(row, moment);
            }
        }
    }

    fn end_all(&mut self, reason: StopReason, moment: &mut Moment<'_>) {
        self.root.closing = Some(Closing::Cancelled);
        self.end_below(None, None, reason, moment);
    }

    /// Kills every live attempt. One that is being ended already keeps its reason.
    fn hurry(&mut self, reason: StopReason, moment: &mut Moment<'_>) {
        let mut live: Vec<_> = self.live.values().copied().collect();
        live.sort_unstable();
        for id in live {
            let run = &mut self.instances[id.index()];
            run.stops(reason, moment.now);
            if let StepState::Stopping { reason, .. } = run.state {
                let id = run.attempt_id(&self.plan);
                moment.actions.push(Action::Terminate { id, reason, now: true });
            }
        }
    }

    /// Ends everything below a step (`None`: in the run), but nothing in the tree of `except`.
    pub(super) fn end_below(
        &mut self,
        owner: Option<InstanceId>,
        except: Option<InstanceId>,
        reason: StopReason,
        moment: &mut Moment<'_>,
    ) {
        let below = self.unsettled_below(owner, except);
        // First nothing may start any more, then the ends may come.
        for id in &below {
            let run = &mut self.instances[id.index()];
            let was_running = run.stops(reason, moment.now);
            if run.group().is_some() {
                self.group_mut(Some(*id)).closing.get_or_insert(Closing::Cancelled);
            } else if was_running {
                let id = run.attempt_id(&self.plan);
                // One that died with its engine has nothing to end.
                if self.live.contains_key(&id) {
                    moment.actions.push(Action::Terminate { id, reason, now: false });
                }
            }
        }
        for id in below.into_iter().rev() {
            match self.instances[id.index()].state {
                StepState::Waiting | StepState::Retrying { .. } => {
                    self.end(id, StepResult::Cancelled, moment);
                }
                StepState::Stopping { .. } if self.instances[id.index()].group().is_some() => {
                    self.closed(id, moment);
                }
                StepState::Handled { instance: None, .. } => self.end(id, StepResult::Cancelled, moment),
                StepState::Handled { .. }
                | StepState::Running { .. }
                | StepState::Stopping { .. }
                | StepState::Ended { .. } => {}
            }
        }
    }

    /// What is not settled below a step, each before what it holds.
    fn unsettled_below(&self, owner: Option<InstanceId>, except: Option<InstanceId>) -> Vec<InstanceId> {
        let mut below = Vec::new();
        let mut groups = vec![owner];
        while let Some(owner) = groups.pop() {
            let turns = self.group(owner).turns.iter().filter(|turn| turn.unsettled > 0);
            for id in turns.flat_map(|turn| &turn.children) {
                if Some(*id) != except && !self.is_settled(*id) {
                    below.push(*id);
                    if let StepState::Handled { instance: Some(row), .. } = self.instances[id.index()].state {
                        below.push(row);
                        groups.push(Some(row));
                    }
                    if self.instances[id.index()].group().is_some() {
                        groups.push(Some(*id));
                    }
                }
            }
        }
        below
    }
}
