//! A new owner goes on: what was in flight died with the engine before it. Everything that must run now comes
//! out of this one event: attempts that run again, and timers with the rest of their time.

use schemas::{
    failure::Code,
    journal::{AttemptEnded, Outcome},
};

use super::{
    Moment, Run,
    action::{Action, Timer},
    state::{Body, InstanceId, Phase, StepState},
};
use crate::{
    plan::{OnCrash, Step},
    units,
    verdict::{self, Bounds},
};

impl Run {
    pub(super) fn resumed(&mut self, moment: &mut Moment<'_>) {
        match self.phase {
            // Nothing of it ran.
            Phase::Queued | Phase::Ended { .. } => return,
            Phase::Running { since } => {
                if let Some(limit) = self.time_limit() {
                    let after = limit.saturating_sub(moment.now.up().saturating_sub(since.up()));
                    moment.actions.push(Action::ArmTimer { timer: Timer::Run, after });
                }
            }
            Phase::Stopping { .. } | Phase::RollingBack { .. } | Phase::Finalizing { .. } => {}
        }
        self.arm_retries(moment);
        self.arm_timeouts(moment);
        let in_flight: Vec<_> =
            self.order.iter().copied().flatten().filter(|id| self.instances[id.index()].is_live()).collect();
        self.live.clear();
        let mut ends = Vec::new();
        for id in in_flight.into_iter().rev() {
            let ended = self.died(id);
            // A stop that was durable before the crash stands after it.
            if self.step_of(id).on_crash == OnCrash::Rerun && is_crash(&ended.outcome) {
                self.begins_again(id, ended);
            } else {
                ends.push((id, ended));
            }
        }
        for (id, ended) in ends.iter().rev() {
            self.take_end(*id, ended, moment);
        }
    }

    /// What is to be told of an attempt whose engine died.
    fn died(&self, id: InstanceId) -> AttemptEnded {
        let run = &self.instances[id.index()];
        let reason = match run.state {
            StepState::Stopping { reason, .. } => Some(reason),
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Ended { .. } => None,
        };
        let step = self.step_of(id);
        let outcome = verdict::died(&step.name, reason, bounds(step));
        let ended = AttemptEnded::new(run.attempt_id(&self.plan), outcome);
        AttemptEnded { started: true, stop_reason: reason, ..ended }
    }

    /// The attempt is kept, and the next one takes its place: it had one, so it comes before those that wait.
    fn begins_again(&mut self, id: InstanceId, ended: AttemptEnded) {
        let run = &mut self.instances[id.index()];
        if let Body::Attempts(attempts) = &mut run.body {
            attempts.push(ended);
        }
        run.state = StepState::Waiting;
        self.places.push_front(id);
    }
}

fn is_crash(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Failed(failure) => failure.code == Code::EngineCrash,
        Outcome::Completed(_) | Outcome::Cancelled => false,
    }
}

/// What a verdict on a step names, as far as the plan knows it.
fn bounds(step: &Step) -> Bounds {
    let limits = step.kind.skill().map(|call| &call.limits);
    Bounds {
        timeout_ms: step.timeout.map(units::millis),
        idle_timeout_ms: step.idle_timeout.map(units::millis),
        cpu_time_ms: limits.and_then(|limits| limits.cpu_time).map(units::millis),
        output: limits.and_then(|limits| limits.output).map(|bytes| bytes.0),
        scratch: limits.and_then(|limits| limits.scratch).map(|bytes| bytes.0),
        memory: limits.and_then(|limits| limits.memory).map(|bytes| bytes.0),
        ..Bounds::default()
    }
}
