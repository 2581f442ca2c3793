//! The time that a step which holds others may take: when it is up, what runs inside is ended, and it fails.

use schemas::{
    failure::{Code, Details, Failure},
    journal::AttemptId,
    view::StopReason,
};

use super::{
    Moment, Run,
    action::{Action, Timer},
    state::{InstanceId, StepState, failure},
};
use crate::units;

impl Run {
    /// A step that holds others must be ended, and why.
    pub(super) fn group_stopping(&mut self, id: &AttemptId, reason: StopReason, moment: &mut Moment<'_>) {
        let found = self.timed().find(|found| self.instances[found.index()].attempt_id(&self.plan) == *id);
        if let (Some(found), StopReason::Timeout) = (found, reason) {
            let step = self.step_of(found);
            let limit = step.timeout.map(units::millis);
            let message = match limit {
                Some(limit) => format!("it took longer than its limit of {limit} ms"),
                None => "it took longer than its limit".to_owned(),
            };
            let details = Details { limit, ..Details::default() };
            let failure = Failure { details, ..failure(&step.name, Code::Timeout, message) };
            self.fail_group(found, failure, moment);
        }
    }

    /// Timers of such steps, for a new owner. Time without an owner does not count.
    pub(super) fn arm_timeouts(&self, moment: &mut Moment<'_>) {
        for id in self.timed() {
            let run = &self.instances[id.index()];
            if let (StepState::Running { since }, Some(limit)) = (&run.state, self.step_of(id).timeout) {
                let after = limit.saturating_sub(moment.now.up().saturating_sub(since.up()));
                let timer = Timer::Step(run.attempt_id(&self.plan));
                moment.actions.push(Action::ArmTimer { timer, after });
            }
        }
    }

    /// Steps that hold others, run, and have a limit on their time.
    fn timed(&self) -> impl Iterator<Item = InstanceId> {
        (0..self.instances.len()).map(InstanceId::at).filter(|id| {
            let run = &self.instances[id.index()];
            let runs = matches!(run.state, StepState::Running { .. }) && run.group().is_some();
            runs && self.step_of(*id).timeout.is_some()
        })
    }
}
