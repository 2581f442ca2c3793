//! What starts next: in a row one after the other, in a parallel group at once, in a loop turn by turn.

use std::sync::Arc;

use schemas::failure::{Code, Details, Failure};

use super::{
    Job, Moment, Place, Run,
    begin::no_answer,
    group::Closing,
    locate::Reader,
    state::{InstanceId, Phase, StepResult, StepState, failure, missing_output},
};
use crate::{
    expr::Program,
    plan::{Loop, Parallel, StepId, StepKind, Turns, WaitFor},
    value,
};

/// Most turns of all loops together that begin in one go: the engine answers to nobody meanwhile.
const MAX_TURNS_AT_ONCE: u32 = 100_000;

impl Run {
    /// Does what is to be done, and what follows from it, until nothing does; then looks whether the run is over.
    pub(super) fn advance(&mut self, moment: &mut Moment<'_>) {
        loop {
            while let Some(job) = moment.todo.pop_front() {
                match job {
                    Job::Advance(place) => self.advance_at(place, moment),
                    Job::Wake(id) => self.wake(id, moment),
                }
            }
            if !self.take_places(moment) && !self.conclude(moment) {
                return;
            }
        }
    }

    /// What it waited for has settled.
    fn wake(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        match self.instances[id.index()].state {
            StepState::Waiting => self.begin(id, moment),
            // A loop that waited for what its condition refers to.
            StepState::Running { .. } => {
                let turn = self.group(Some(id)).count();
                self.advance_at(Place { owner: Some(id), turn }, moment);
            }
            StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Stopping { .. }
            | StepState::Ended { .. } => {}
        }
    }

    fn advance_at(&mut self, place: Place, moment: &mut Moment<'_>) {
        if !self.is_open(place.owner) {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let Some(id) = place.owner else {
            self.advance_row(place, &plan.root, moment);
            return;
        };
        let run = &self.instances[id.index()];
        let ended = run.is_over();
        match &plan.steps[run.step.index()].kind {
            StepKind::Parallel(parallel) => self.advance_parallel(id, parallel, moment),
            StepKind::Sequence(steps) if !ended => {
                if self.advance_row(place, steps, moment) {
                    self.complete_group(id, moment);
                }
            }
            StepKind::Conditional(conditional) if !ended => {
                let branch = self.group(Some(id)).branch;
                let steps = branch.map_or(&[][..], |branch| conditional.steps(branch));
                if self.advance_row(place, steps, moment) {
                    self.complete_group(id, moment);
                }
            }
            StepKind::Loop(over) if !ended => self.advance_loop(id, place.turn, over, moment),
            StepKind::Workflow(called) if !ended => {
                if self.advance_row(place, &called.steps, moment) {
                    self.complete_workflow(id, called, moment);
                }
            }
            // It holds nothing, or its own part is over: what still runs in the background needs nobody.
            StepKind::Skill(_)
            | StepKind::Sequence(_)
            | StepKind::Conditional(_)
            | StepKind::Loop(_)
            | StepKind::Workflow(_) => {}
        }
    }

    /// Whether something may start in a group.
    pub(super) fn is_open(&self, owner: Option<InstanceId>) -> bool {
        let is_active = match self.phase {
            Phase::Running { .. } => true,
            // The groups of the run are closed then; those of rows beside it are not.
            Phase::Stopping { .. } | Phase::RollingBack { .. } | Phase::Finalizing { .. } => owner.is_some(),
            Phase::Queued | Phase::Ended { .. } => false,
        };
        is_active && self.group(owner).closing.is_none()
    }

    /// Steps one after the other. Says whether all have had their turn, and whom the row waits for has ended.
    fn advance_row(&mut self, place: Place, steps: &[StepId], moment: &mut Moment<'_>) -> bool {
        loop {
            if !self.is_open(place.owner) {
                return false;
            }
            let begun = self.group(place.owner).turn(place.turn).map_or(&[][..], |turn| &turn.children);
            if let Some(last) = begun.last()
                && !self.step_of(*last).background
                && !self.instances[last.index()].is_over()
            {
                return false;
            }
            let Some(next) = steps.get(begun.len()) else { return true };
            self.begin_child(place, *next, moment);
        }
    }

    fn advance_parallel(&mut self, id: InstanceId, parallel: &Parallel, moment: &mut Moment<'_>) {
        let place = Place { owner: Some(id), turn: 0 };
        let most = parallel.max_concurrent.unwrap_or(u32::MAX);
        while self.is_open(place.owner)
            && self.group(place.owner).active(0) < most
            && let Some(next) = parallel.steps.get(self.begun(id))
        {
            self.begin_child(place, *next, moment);
        }
        if !self.is_open(place.owner) || self.instances[id.index()].is_over() {
            return;
        }
        let group = self.group(place.owner);
        // A row beside the run leaves nothing in the background.
        let is_settled = self.instances[id.index()].aside.is_none() || group.unsettled == 0;
        let all_ended = is_settled && self.begun(id) == parallel.steps.len() && group.active(0) == 0;
        match parallel.wait_for {
            WaitFor::None => self.complete_group(id, moment),
            WaitFor::All | WaitFor::Any if !all_ended => {}
            WaitFor::All | WaitFor::Any if self.group(place.owner).causes.is_empty() => {
                self.complete_group(id, moment);
            }
            WaitFor::All | WaitFor::Any => self.close(id, Closing::Failed, moment),
        }
    }

    /// How many children of a group with one turn have begun.
    pub(super) fn begun(&self, id: InstanceId) -> usize {
        self.group(Some(id)).turn(0).map_or(0, |turn| turn.children.len())
    }

    fn advance_loop(&mut self, id: InstanceId, turn: u32, over: &Loop, moment: &mut Moment<'_>) {
        let is_under_way = self.group(Some(id)).turn(turn).is_some_and(|turn| !turn.over);
        if is_under_way && !self.advance_turn(Place { owner: Some(id), turn }, over, moment) {
            return;
        }
        while self.is_open(Some(id)) {
            let next = match &over.turns {
                Turns::ForEach { max_concurrent, .. } => self.next_item(id, *max_concurrent, moment),
                Turns::While { condition, most } => self.next_while(id, condition, *most, moment),
            };
            let Some(next) = next else { return };
            moment.turns += 1;
            if moment.turns > MAX_TURNS_AT_ONCE {
                return self.fail_group(id, too_busy(&self.step_of(id).name), moment);
            }
            self.advance_turn(next, over, moment);
        }
    }

    /// One turn of a loop goes on. Says whether it is through.
    fn advance_turn(&mut self, place: Place, over: &Loop, moment: &mut Moment<'_>) -> bool {
        let through = self.advance_row(place, &over.steps, moment);
        if through {
            self.group_mut(place.owner).turn_over(place.turn);
        }
        through
    }

    /// The turn of the next item, if it may start. Ends the loop after the last.
    fn next_item(&mut self, id: InstanceId, most: u32, moment: &mut Moment<'_>) -> Option<Place> {
        let group = self.group_mut(Some(id));
        if group.open_turns >= most {
            return None;
        }
        match group.items.pop_front() {
            Some(item) => Some(self.new_turn(id, Some(item))),
            None if group.open_turns == 0 => {
                self.complete_group(id, moment);
                None
            }
            None => None,
        }
    }

    /// The next turn of a loop with a condition, if it is true. Ends the loop if not.
    fn next_while(
        &mut self,
        id: InstanceId,
        condition: &Program,
        most: u32,
        moment: &mut Moment<'_>,
    ) -> Option<Place> {
        if self.group(Some(id)).open_turns > 0 {
            return None;
        }
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[self.instances[id.index()].step.index()];
        if let Some(source) = self.unsettled(Reader::Condition(id), &step.awaits) {
            self.waiters.entry(source).or_default().push(id);
            return None;
        }
        match condition.condition(&self.scope(Reader::Condition(id))) {
            Ok(false) => self.complete_group(id, moment),
            Ok(true) if self.group(Some(id)).count() < most => return Some(self.new_turn(id, None)),
            Ok(true) => self.fail_group(id, too_often(&step.name, most), moment),
            Err(error) => self.fail_group(id, no_answer(&step.name, condition, error), moment),
        }
        None
    }

    /// The group's own part is over, and well.
    pub(super) fn complete_group(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        let step = self.step_of(id);
        // Put together only where somebody wants to know now.
        let missing = (!step.outputs.is_empty()).then(|| self.lacking(id)).flatten();
        match missing {
            // What it left in the background is ended first.
            Some(name) => self.fail_group(id, missing_output(&self.step_of(id).name, &name), moment),
            None => self.end_well(id, StepResult::Grouped, moment),
        }
    }

    fn lacking(&self, id: InstanceId) -> Option<String> {
        value::missing_output(&self.whole(id), &self.step_of(id).outputs)
    }
}

/// What loops do that turn and turn while nothing in them runs.
fn too_busy(step: &str) -> Failure {
    let limit = u64::from(MAX_TURNS_AT_ONCE);
    let message = format!("loops made {limit} turns in a row in which no step ran");
    let details = Details { limit: Some(limit), ..Details::default() };
    Failure { details, ..failure(step, Code::MaxIterationsExceeded, message) }
}

fn too_often(step: &str, most: u32) -> Failure {
    let message = format!("the condition is still true after {most} turns");
    let details = Details { limit: Some(most.into()), ..Details::default() };
    Failure { details, ..failure(step, Code::MaxIterationsExceeded, message) }
}
