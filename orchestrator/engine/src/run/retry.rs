//! A failure meets the strategies of its step: it is tried again after a wait, skipped, or ends what it must.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    failure::Failure,
    journal::{AttemptId, Now},
};

use super::{
    Moment, Run,
    action::{Action, Notice, Timer},
    aside::Boundary,
    end::Reach,
    state::{End, InstanceId, Recovery, StepResult, StepState},
};
use crate::{
    plan::{self, Act, Final, Retry, Step, StepKind, Strategy, Written},
    units,
};

impl Run {
    /// A turn of a step has this result. A failure first meets the strategies of the step.
    pub(super) fn take_result(&mut self, id: InstanceId, result: StepResult, moment: &mut Moment<'_>) {
        match result {
            StepResult::Failed(failure) => self.take_failure(id, failure, moment),
            StepResult::Completed(_) | StepResult::Grouped => self.end_well(id, result, moment),
            StepResult::Cancelled | StepResult::Skipped(_) => self.end(id, result, moment),
        }
    }

    /// A turn of a step failed: the first of its strategies that fits acts.
    pub(super) fn take_failure(&mut self, id: InstanceId, failure: Box<Failure>, moment: &mut Moment<'_>) {
        // Where nothing new starts nothing is tried again, and what a step says changes nothing any more.
        if !self.is_open(self.instances[id.index()].parent) {
            return self.end(id, StepResult::Failed(failure), moment);
        }
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[self.instances[id.index()].step.index()];
        match strategy(step, &failure) {
            None => self.end(id, StepResult::Failed(failure), moment),
            Some(Strategy { act: Act::Final(last), written, .. }) => {
                self.decide(id, failure, *last, *written, moment);
            }
            Some(strategy @ Strategy { act: Act::Retry(retry), written, .. }) => {
                let wait = self.next_wait(id, strategy, retry, &failure, moment.now);
                match wait {
                    Some(wait) => self.wait(id, retry, failure, wait, moment),
                    None => self.give_up(id, failure, retry, *written, moment),
                }
            }
        }
    }

    /// How long to wait for the next try, if there is one.
    fn next_wait(
        &self,
        id: InstanceId,
        strategy: &Strategy,
        retry: &Retry,
        failure: &Failure,
        now: Now,
    ) -> Option<Duration> {
        let run = &self.instances[id.index()];
        let failures = run.failures().saturating_add(1);
        if !strategy.repeats(failure) || failures >= retry.max_attempts {
            return None;
        }
        let turn: Vec<u8> = run.turn.iter().flat_map(|index| index.to_le_bytes()).collect();
        let number = failures.to_le_bytes();
        let name = self.step_of(id).name.as_bytes();
        let seed = plan::seed([self.created.run_id.as_bytes(), name, &turn, &number]);
        let wait = retry.wait(failures, seed);
        self.is_in_time(id, retry, later(now.wall, wait)).then_some(wait)
    }

    /// Whether a try at this moment is not too late. Time goes on while nobody owns the run.
    fn is_in_time(&self, id: InstanceId, retry: &Retry, at: Timestamp) -> bool {
        let Some((most, started)) = retry.max_duration.zip(self.instances[id.index()].started) else {
            return true;
        };
        at <= later(started.wall, most)
    }

    fn wait(
        &mut self,
        id: InstanceId,
        retry: &Retry,
        failure: Box<Failure>,
        wait: Duration,
        moment: &mut Moment<'_>,
    ) {
        let memory = self.next_memory(id, retry, &failure);
        let run = &mut self.instances[id.index()];
        let failures = run.failures().saturating_add(1);
        let failed = AttemptId { attempt: run.tried(), ..run.attempt_id(&self.plan) };
        run.recovery = Some(Box::new(Recovery { failures, memory, last: failure.clone() }));
        run.state = StepState::Retrying { due: later(moment.now.wall, wait), wait };
        let next = run.attempt_id(&self.plan);
        self.retrying.insert(next.clone(), id);
        let delay_ms = units::millis(wait);
        moment.actions.push(Action::Notice(Notice::StepRetrying { id: failed, error: failure, delay_ms }));
        moment.actions.push(Action::ArmTimer { timer: Timer::Retry(next), after: wait });
    }

    /// The memory of the next attempt, where it is another than that of the plan.
    fn next_memory(&self, id: InstanceId, retry: &Retry, failure: &Failure) -> Option<units::Bytes> {
        let before = self.instances[id.index()].memory();
        let Some(scale) = &retry.scale else { return before };
        let planned = self.step_of(id).kind.skill().and_then(|call| call.limits.memory);
        let next = scale.next(failure, before.or(planned)?);
        Some(self.plan.limits.memory.map_or(next, |most| next.min(most)))
    }

    /// No try is left.
    fn give_up(
        &mut self,
        id: InstanceId,
        failure: Box<Failure>,
        retry: &Retry,
        written: Written,
        moment: &mut Moment<'_>,
    ) {
        match retry.then {
            Some(last) => self.decide(id, failure, last, written, moment),
            None if self.is_at_top(id) => self.end_by(id, failure, Reach::Whole(End::Failed), moment),
            None => self.end(id, StepResult::Failed(failure), moment),
        }
    }

    /// Whether a step stands at the top of the run, or of a workflow that another one calls.
    pub(super) fn is_at_top(&self, id: InstanceId) -> bool {
        let parent = self.instances[id.index()].parent;
        parent.is_none_or(|parent| matches!(self.step_of(parent).kind, StepKind::Workflow(_)))
    }

    /// The last word of a strategy.
    fn decide(
        &mut self,
        id: InstanceId,
        failure: Box<Failure>,
        last: Final,
        written: Written,
        moment: &mut Moment<'_>,
    ) {
        match (last, written) {
            (Final::Skip, _) => {
                let reason = format!("{}: {}", failure.code.as_str(), failure.message);
                self.end(id, StepResult::Skipped(reason), moment);
            }
            // The default ends the run only at the top: what encloses the step comes first.
            (Final::Halt | Final::Rollback, Written::Default) => {
                self.end(id, StepResult::Failed(failure), moment);
            }
            // What is beside the run ends nothing but its own row.
            (Final::Halt | Final::Rollback, Written::Step) if self.boundary(id) == Boundary::Row => {
                self.end(id, StepResult::Failed(failure), moment);
            }
            (Final::Halt, Written::Step) => self.end_by(id, failure, Reach::Whole(End::Failed), moment),
            (Final::Rollback, Written::Step) => {
                self.end_by(id, failure, Reach::Whole(End::RolledBack), moment);
            }
            (Final::Custom(row), _) => self.handle(id, row, failure, moment),
        }
    }

    /// How a failure at the top ends the run (`None`), or a workflow: its default is asked once more.
    pub(super) fn last_resort(&self, of: Option<InstanceId>, failure: &Failure) -> End {
        let default = match self.called(of) {
            Some(called) => called.default_strategy.as_ref(),
            None => self.plan.default_strategy.as_ref(),
        };
        let default = default.filter(|default| default.fits(failure));
        let last = default.and_then(|default| match &default.act {
            Act::Final(last) => Some(*last),
            Act::Retry(retry) => retry.then,
        });
        match last {
            Some(Final::Rollback) => End::RolledBack,
            Some(Final::Halt | Final::Skip | Final::Custom(_)) | None => End::Failed,
        }
    }

    /// The wait for an attempt is over.
    pub(super) fn retry_due(&mut self, attempt: &AttemptId, moment: &mut Moment<'_>) {
        let Some(id) = self.retrying.remove(attempt) else { return };
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[self.instances[id.index()].step.index()];
        let Some(recovery) = &self.instances[id.index()].recovery else { return };
        let last = recovery.last.clone();
        // Its owner may have been away for long.
        if let Some(Strategy { act: Act::Retry(retry), written, .. }) = strategy(step, &last)
            && !self.is_in_time(id, retry, moment.now.wall)
        {
            return self.give_up(id, last, retry, *written, moment);
        }
        self.instances[id.index()].state = StepState::Waiting;
        if self.instances[id.index()].group().is_some() {
            self.begin_again(id);
        }
        self.enter(id, moment);
    }

    /// Timers of waits, for a new owner: the rest of each, and never more than the whole.
    pub(super) fn arm_retries(&self, moment: &mut Moment<'_>) {
        for (attempt, id) in &self.retrying {
            if let StepState::Retrying { due, wait } = self.instances[id.index()].state {
                let rest = due.duration_since(moment.now.wall);
                let after = Duration::try_from(rest).unwrap_or(Duration::ZERO).min(wait);
                let timer = Timer::Retry(attempt.clone());
                moment.actions.push(Action::ArmTimer { timer, after });
            }
        }
    }
}

/// The first strategy that fits.
fn strategy<'p>(step: &'p Step, failure: &Failure) -> Option<&'p Strategy> {
    step.strategies.iter().find(|strategy| strategy.fits(failure))
}

/// A moment so much later.
fn later(moment: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}
