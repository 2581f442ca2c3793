//! What a new run takes over from an old one of the same plan: results of steps, as the events by which it would
//! have got them itself. So its journal needs no other, and there is no second way to a state.

use std::collections::BTreeMap;

use schemas::{
    journal::{AttemptEnded, AttemptId, Event, Now, Outcome, Output},
    view::Isolation,
};

use super::{
    Run,
    action::Action,
    aside::Aside,
    rollback::Undone,
    state::{InstanceId, StepResult, StepState},
};
use crate::plan::StepId;

/// A turn of a step, whichever run it is of.
type Turn = (StepId, Vec<u32>);

/// What an old run completed: when, and how.
type Completed = BTreeMap<Turn, (u64, AttemptEnded)>;

impl Run {
    /// The events with which this run, which is queued, starts and takes over whatever `old` has completed. What
    /// they ask for is to be done when all of them are durable; attempts that end among them never start.
    pub fn reuse(&self, old: &Self, isolation: Isolation, now: Now) -> Vec<Event> {
        let mut completed = old.completed();
        let mut run = self.clone();
        let mut events = Vec::new();
        let mut pending: Vec<(AttemptId, Turn)> = Vec::new();
        let mut stopped: Vec<AttemptId> = Vec::new();
        let mut next = Some(Event::RunStarted { isolation: Box::new(isolation) });
        while let Some(event) = next {
            let actions = run.apply(&event, now);
            events.push(event);
            for action in actions {
                match action {
                    Action::Spawn(spawn) => {
                        pending.push((spawn.id.clone(), (spawn.step, spawn.id.turn.clone())));
                    }
                    Action::Terminate { id, .. } => stopped.push(id),
                    Action::ArmTimer { .. } | Action::Notice(_) | Action::Finish { .. } => {}
                }
            }
            next = match stopped.pop() {
                // It lost, or the run ends without it: it never starts.
                Some(id) => Some(AttemptEnded::new(id, Outcome::Cancelled)),
                None => earliest(&pending, &mut completed),
            }
            .map(|ended| {
                pending.retain(|(id, _)| *id != ended.id);
                Event::AttemptEnded(Box::new(ended))
            });
        }
        events
    }

    /// The steps that ran and completed; of a step that was begun again, the last time counts.
    fn completed(&self) -> Completed {
        let mut completed = Completed::new();
        for (index, step) in self.instances.iter().enumerate() {
            // What was undone is to be done again; what stands beside a run belongs to that run.
            if step.undone == Undone::Done || !self.is_kept(InstanceId::at(index)) {
                continue;
            }
            let turn = (step.step, step.turn.to_vec());
            completed.remove(&turn);
            let StepState::Ended { at, result: StepResult::Completed(value) } = &step.state else { continue };
            if step.group().is_none() {
                let id = step.attempt_id(&self.plan);
                let outcome = Outcome::Completed(Output::Inline(value.clone()));
                let last = step.attempts().last().cloned();
                let last = last.unwrap_or_else(|| AttemptEnded::new(id, outcome.clone()));
                completed.insert(turn, (at.up_us, AttemptEnded { outcome, ..last }));
            }
        }
        completed
    }

    /// Whether a step belongs to the run itself: the last steps of a workflow that completed do.
    fn is_kept(&self, id: InstanceId) -> bool {
        match self.row_around(id) {
            None => true,
            Some(Aside::Finally(Some(workflow))) => {
                let state = &self.instances[workflow.index()].state;
                let is_well = matches!(state, StepState::Ended { result: StepResult::Completed(_), .. });
                is_well && self.is_kept(workflow)
            }
            Some(Aside::Handles(_) | Aside::Undoes(_) | Aside::AfterUndo(_) | Aside::Finally(None)) => false,
        }
    }
}

/// Of what is to start, the one that completed first in the old run: steps see each other's results in the order
/// in which they came.
fn earliest(pending: &[(AttemptId, Turn)], completed: &mut Completed) -> Option<AttemptEnded> {
    let found = pending.iter().filter_map(|(id, turn)| Some((completed.get(turn)?.0, id, turn)));
    let (_, id, turn) = found.min_by_key(|(at, id, _)| (*at, *id))?;
    let (_, ended) = completed.remove(turn)?;
    Some(AttemptEnded { id: id.clone(), ..ended })
}
