//! The end of a turn of a step, and what it means for what holds it.

use schemas::{
    failure::{Code, Details, Failure},
    view::StopReason,
};

use super::{
    Job, Moment, Place, Run,
    action::{Action, Notice},
    aside::Boundary,
    group::Closing,
    state::{End, InstanceId, Phase, StepResult, StepState, failure},
};
use crate::plan::{StepKind, WaitFor};

/// What a failure ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// What holds the step, by its own rules.
    Around,
    /// The whole run at once, or the whole workflow to whose steps it belongs.
    Whole(End),
}

impl Run {
    /// Ends a turn of a step.
    pub(super) fn end(&mut self, id: InstanceId, result: StepResult, moment: &mut Moment<'_>) {
        self.end_reaching(id, result, Reach::Around, moment);
    }

    /// Ends a turn of a step by a failure that may reach beyond what holds it.
    pub(super) fn end_by(
        &mut self,
        id: InstanceId,
        failure: Box<Failure>,
        reach: Reach,
        moment: &mut Moment<'_>,
    ) {
        self.end_reaching(id, StepResult::Failed(failure), reach, moment);
    }

    fn end_reaching(&mut self, id: InstanceId, result: StepResult, reach: Reach, moment: &mut Moment<'_>) {
        if let Some(aside) = self.instances[id.index()].aside {
            return self.row_ended(id, aside, result, moment);
        }
        let run = &mut self.instances[id.index()];
        if let StepState::Retrying { .. } = run.state {
            self.retrying.remove(&run.attempt_id(&self.plan));
        }
        let duration_ms = run.started.map_or(0, |started| moment.now.millis_since(&started));
        run.state = StepState::Ended { at: moment.now, result: result.clone() };
        let attempt = run.attempt_id(&self.plan);
        moment.actions.push(Action::Notice(match &result {
            StepResult::Completed(_) | StepResult::Grouped => {
                Notice::StepCompleted { id: attempt, duration_ms }
            }
            StepResult::Failed(error) => {
                Notice::StepFailed { id: attempt, error: error.clone(), duration_ms }
            }
            StepResult::Cancelled => Notice::StepCancelled { id: attempt, duration_ms },
            StepResult::Skipped(reason) => Notice::StepSkipped { id: attempt, reason: reason.clone() },
        }));
        let (owner, turn) = self.place_of(id);
        self.group_mut(owner).child_ends(turn);
        // Asked first: what it left in the background may be ended by what follows, and says so itself.
        let is_settled = self.is_settled(id);
        match result {
            StepResult::Completed(_) | StepResult::Grouped => self.child_completed(owner, id, moment),
            StepResult::Failed(failure) => match reach {
                Reach::Around => self.child_failed(id, *failure, moment),
                Reach::Whole(end) => self.end_whole(id, *failure, end, moment),
            },
            // Nobody asked for it: it is a stop all the same.
            StepResult::Cancelled if self.group(owner).closing.is_none() => {
                self.halt(End::Cancelled, None, moment);
            }
            StepResult::Cancelled | StepResult::Skipped(_) => {}
        }
        moment.todo.push_back(Job::Advance(Place { owner, turn }));
        if is_settled {
            self.settled(id, moment);
        }
    }

    /// A strategy ends the whole run, or the workflow to whose steps it belongs: that one is a run of its own.
    fn end_whole(&mut self, id: InstanceId, failure: Failure, end: End, moment: &mut Moment<'_>) {
        match self.boundary(id) {
            Boundary::Run => self.halt(end, Some(failure), moment),
            Boundary::Workflow(workflow) if self.runs(workflow) => {
                self.workflow_fails(workflow, failure, end, moment);
            }
            Boundary::Row | Boundary::Workflow(_) => {
                self.child_failed(id, failure, moment);
            }
        }
    }

    fn runs(&self, id: InstanceId) -> bool {
        matches!(self.instances[id.index()].state, StepState::Running { .. })
    }

    /// A workflow that another one calls fails, and is rolled back if `end` says so.
    fn workflow_fails(&mut self, id: InstanceId, failure: Failure, end: End, moment: &mut Moment<'_>) {
        let rolls_back = end == End::RolledBack && self.rollback_of(Some(id)).enabled;
        if let Some(frame) = &mut self.group_mut(Some(id)).frame {
            frame.rolls_back = rolls_back;
        }
        self.fails_by(id, failure, moment);
    }

    fn child_completed(&mut self, owner: Option<InstanceId>, child: InstanceId, moment: &mut Moment<'_>) {
        let Some(owner) = owner else { return };
        if let StepKind::Parallel(parallel) = &self.step_of(owner).kind
            && parallel.wait_for == WaitFor::Any
            && self.is_open(Some(owner))
        {
            self.group_mut(Some(owner)).winner = Some(child);
            self.close(owner, Closing::Won, moment);
        }
    }

    /// A failure goes to the nearest step around that is not over, at last to the run.
    fn child_failed(&mut self, child: InstanceId, failure: Failure, moment: &mut Moment<'_>) {
        let mut below = child;
        let mut at = self.place_of(child).0;
        while let Some(id) = at {
            let parent = self.instances[id.index()].parent;
            let from = std::mem::replace(&mut below, id);
            match self.instances[id.index()].state {
                StepState::Running { .. } => match &self.step_of(id).kind {
                    StepKind::Parallel(parallel) => match parallel.wait_for {
                        WaitFor::None => at = parent,
                        WaitFor::All if parallel.fail_fast => {
                            return self.fails_by(id, failure, moment);
                        }
                        WaitFor::All | WaitFor::Any => {
                            self.group_mut(at).causes.push(failure);
                            return;
                        }
                    },
                    StepKind::Workflow(_) => {
                        let end = self.last_resort(at, &failure);
                        return self.workflow_fails(id, failure, end, moment);
                    }
                    StepKind::Skill(_)
                    | StepKind::Sequence(_)
                    | StepKind::Conditional(_)
                    | StepKind::Loop(_) => return self.fails_by(id, failure, moment),
                },
                StepState::Stopping { .. } => match self.group(at).closing {
                    Some(Closing::Failed) => {
                        self.group_mut(at).causes.push(failure);
                        return;
                    }
                    // Of a group that was won only what the winner left in the background counts.
                    Some(Closing::Won) if self.group(at).winner == Some(from) => at = parent,
                    Some(Closing::Won | Closing::Completed | Closing::Cancelled) | None => return,
                },
                StepState::Waiting
                | StepState::Retrying { .. }
                | StepState::Handled { .. }
                | StepState::Ended { .. } => at = parent,
            }
        }
        self.halt(self.last_resort(None, &failure), Some(failure), moment);
    }

    fn fails_by(&mut self, id: InstanceId, cause: Failure, moment: &mut Moment<'_>) {
        self.group_mut(Some(id)).causes.push(cause);
        self.close(id, Closing::Failed, moment);
    }

    /// Nothing more starts in a group; what still runs in it is ended. It ends when that has.
    pub(super) fn close(&mut self, id: InstanceId, closing: Closing, moment: &mut Moment<'_>) {
        self.group_mut(Some(id)).closing = Some(closing);
        self.instances[id.index()].stops(StopReason::Sibling, moment.now);
        let winner = self.group(Some(id)).winner;
        self.end_below(Some(id), winner, StopReason::Sibling, moment);
        self.closed(id, moment);
    }

    /// Ends a group that is being ended, if nothing holds it any more.
    pub(super) fn closed(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        if !matches!(self.instances[id.index()].state, StepState::Stopping { .. }) {
            return;
        }
        let group = self.group(Some(id));
        // What the winner left in the background goes on.
        let kept = group.winner.is_some_and(|winner| !self.is_settled(winner));
        if group.unsettled > u32::from(kept) || self.winds_up(id, moment) {
            return;
        }
        match self.group(Some(id)).closing {
            Some(Closing::Won) => self.complete_group(id, moment),
            Some(Closing::Completed) => self.complete_called(id, moment),
            Some(Closing::Failed) => {
                let failure = self.failure_of(id);
                self.take_result(id, StepResult::Failed(failure.into()), moment);
            }
            Some(Closing::Cancelled) | None => self.end(id, StepResult::Cancelled, moment),
        }
    }

    fn failure_of(&mut self, id: InstanceId) -> Failure {
        let name = self.step_of(id).name.clone();
        let group = self.group_mut(Some(id));
        let mut causes = std::mem::take(&mut group.causes);
        if let Some(failure) = group.failure.take() {
            return *failure;
        }
        let names: Vec<_> = causes.iter().take(3).filter_map(|cause| cause.step.as_deref()).collect();
        let named = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = match causes.len() {
            0 | 1 => format!("the step {named} failed"),
            count @ 2..=3 => format!("{count} steps failed: {named}"),
            count => format!("{count} steps failed: {named}, …"),
        };
        let (message, failures) = self.with_rollback(id, message);
        causes.extend(failures);
        let details = Details { causes, ..Details::default() };
        Failure { details, ..failure(&name, Code::ChildFailed, message) }
    }

    /// Whether it is over together with everything that it left in the background.
    pub(super) fn is_settled(&self, id: InstanceId) -> bool {
        let run = &self.instances[id.index()];
        run.is_over()
            && run.group().is_none_or(|group| {
                let has_more = match &self.step_of(id).kind {
                    StepKind::Parallel(parallel) => self.begun(id) < parallel.steps.len(),
                    StepKind::Skill(_)
                    | StepKind::Sequence(_)
                    | StepKind::Conditional(_)
                    | StepKind::Loop(_)
                    | StepKind::Workflow(_) => false,
                };
                // One that was skipped never opened.
                let is_open = matches!(run.state, StepState::Ended { result: StepResult::Grouped, .. });
                let starts_more = is_open && has_more && group.closing.is_none();
                group.unsettled == 0 && !starts_more
            })
    }

    /// It has settled: those that wait for it go on, and what holds it may settle too.
    fn settled(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        let mut id = id;
        loop {
            moment.todo.extend(self.waiters.remove(&id).unwrap_or_default().into_iter().map(Job::Wake));
            let (owner, turn) = self.place_of(id);
            self.group_mut(owner).child_settles(turn);
            let Some(owner) = owner else { return };
            if self.instances[owner.index()].aside.is_some() {
                moment.todo.push_back(Job::Advance(Place { owner: Some(owner), turn: 0 }));
                return self.closed(owner, moment);
            }
            if !self.is_settled(owner) {
                if let StepKind::Workflow(_) = self.step_of(owner).kind {
                    // Its outputs may be those of what it left in the background.
                    moment.todo.push_back(Job::Advance(Place { owner: Some(owner), turn: 0 }));
                }
                return self.closed(owner, moment);
            }
            id = owner;
        }
    }

    /// Nothing more starts, and what runs is ended: a failure at the top, or a stop that nobody asked for.
    pub(super) fn halt(&mut self, end: End, failure: Option<Failure>, moment: &mut Moment<'_>) {
        let Phase::Running { since } = self.phase else { return };
        let end = if end == End::RolledBack && !self.plan.rollback.enabled { End::Failed } else { end };
        if let Some(failure) = failure {
            self.fail(failure);
        }
        self.phase = Phase::Stopping { since, end };
        self.root.closing = Some(Closing::Cancelled);
        if !self.live.is_empty() {
            moment.actions.push(Action::Notice(Notice::RunStopping));
        }
        self.end_below(None, None, StopReason::Sibling, moment);
    }
}
