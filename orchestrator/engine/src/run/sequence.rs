//! What starts next: the steps at the top, one after the other.

use schemas::{
    failure::{Details, Failure},
    journal::{AttemptEnded, AttemptId, Now, Outcome},
};

use super::{
    Run,
    action::{Action, Notice, Spawn},
    state::{End, Phase, StepResult, StepRun, StepState},
};
use crate::{
    plan::{StepId, StepKind},
    value::{self, FillError},
};

/// Why a step is skipped whose `when` is false.
const WHEN_FALSE: &str = "`when` was false";

impl Run {
    /// Starts whatever can start now, or ends the run when nothing is left to wait for.
    pub(super) fn advance(&mut self, now: Now, actions: &mut Vec<Action>) {
        loop {
            match self.phase {
                Phase::Queued | Phase::Ended { .. } => return,
                Phase::Stopping { since, end } => {
                    if !self.steps.iter().any(StepRun::is_live) {
                        self.finish(end, Some(since), now, actions);
                    }
                    return;
                }
                Phase::Running { since } => match self.next_at_top() {
                    Next::Wait => return,
                    Next::Start(step) => self.start_step(step, now, actions),
                    Next::Failed(failure) => {
                        self.fail(*failure);
                        self.phase = Phase::Stopping { since, end: End::Failed };
                    }
                    // A cancelled step without a stop of the run cannot be: only a stop cancels.
                    Next::Cancelled => self.phase = Phase::Stopping { since, end: End::Cancelled },
                    Next::Done => {
                        self.complete(since, now, actions);
                        return;
                    }
                },
            }
        }
    }

    fn next_at_top(&self) -> Next {
        // Steps run in order, so that the newest one decides.
        let Some(last) = self.steps.last() else {
            return self.plan.root.first().map_or(Next::Done, |first| Next::Start(*first));
        };
        match &last.state {
            StepState::Running { .. } | StepState::Stopping { .. } => Next::Wait,
            StepState::Ended { result: StepResult::Failed(failure), .. } => Next::Failed(failure.clone()),
            StepState::Ended { result: StepResult::Cancelled, .. } => Next::Cancelled,
            StepState::Ended { result: StepResult::Completed(_) | StepResult::Skipped(_), .. } => {
                self.plan.root.get(self.steps.len()).map_or(Next::Done, |next| Next::Start(*next))
            }
        }
    }

    fn start_step(&mut self, step: StepId, now: Now, actions: &mut Vec<Action>) {
        let spawn = self.start_of(step);
        let index = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        let run = StepRun {
            step,
            turn: Vec::new(),
            started: now,
            state: StepState::Running { since: now },
            // Nearly all steps have one; a vector that grows by itself starts with room for four.
            attempts: Vec::with_capacity(1),
        };
        let id = run.attempt_id(&self.plan);
        self.steps.push(run);
        self.newest[step.index()] = Some(index);
        match spawn {
            Ok(Some(spawn)) => {
                actions.push(Action::Notice(Notice::StepStarted { id }));
                actions.push(Action::Spawn(Box::new(spawn)));
            }
            Ok(None) => self.skip(id, now, actions),
            Err(error) => self.fail_unstarted(id, &error, now, actions),
        }
    }

    /// The start of a step, unless its `when` is false.
    fn start_of(&self, step: StepId) -> Result<Option<Spawn>, FillError> {
        if let Some(when) = &self.plan.steps[step.index()].when
            && !when.condition(&self.scope()).map_err(|error| FillError::of(when, error))?
        {
            return Ok(None);
        }
        self.spawn(step).map(Some)
    }

    fn skip(&mut self, id: AttemptId, now: Now, actions: &mut Vec<Action>) {
        let reason = WHEN_FALSE.to_owned();
        if let Some(step) = self.steps.last_mut() {
            step.state = StepState::Ended { at: now, result: StepResult::Skipped(reason.clone()) };
        }
        actions.push(Action::Notice(Notice::StepSkipped { id, reason }));
    }

    fn spawn(&self, step: StepId) -> Result<Spawn, FillError> {
        let plan = &self.plan.steps[step.index()];
        let StepKind::Skill(call) = &plan.kind;
        let scope = self.scope();
        Ok(Spawn {
            id: AttemptId { step: plan.name.clone(), turn: Vec::new(), attempt: 1 },
            step,
            inputs: call.inputs.fill(&scope)?,
            context: scope.context(),
            env: call
                .env
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.fill_text(&scope)?)))
                .collect::<Result<_, FillError>>()?,
            cwd: call.cwd.as_ref().map(|cwd| cwd.fill_text(&scope)).transpose()?,
        })
    }

    /// A step whose inputs cannot be filled in fails before anything of it starts.
    fn fail_unstarted(&mut self, id: AttemptId, error: &FillError, now: Now, actions: &mut Vec<Action>) {
        let failure = Failure {
            step: Some(id.step.clone()),
            code: error.code(),
            message: error.to_string(),
            retryable: error.code().retryable(),
            details: Details { started: Some(false), ..Details::default() },
        };
        let ended = AttemptEnded::new(id, Outcome::Failed(failure.into()));
        let plan = std::sync::Arc::clone(&self.plan);
        if let Some(step) = self.steps.last_mut() {
            step.end_attempt(&ended, now, &plan.steps[step.step.index()], actions);
        }
    }

    fn complete(&mut self, since: Now, now: Now, actions: &mut Vec<Action>) {
        let outputs: Result<Vec<_>, _> = {
            let scope = self.scope();
            let outputs = self.plan.outputs.iter();
            outputs.map(|(name, value)| Ok((name.as_str(), value.fill(&scope)?))).collect()
        };
        match outputs {
            Ok(outputs) => {
                self.outputs = Some(value::object(&outputs));
                self.finish(End::Completed, Some(since), now, actions);
            }
            Err(error) => {
                let error: FillError = error;
                self.fail(Failure {
                    step: None,
                    code: error.code(),
                    message: error.to_string(),
                    retryable: error.code().retryable(),
                    details: Details::default(),
                });
                self.finish(End::Failed, Some(since), now, actions);
            }
        }
    }
}

enum Next {
    Wait,
    Start(StepId),
    Failed(Box<Failure>),
    Cancelled,
    Done,
}
