//! The beginning of a turn of a step: it waits for what it refers to and for a free place, then it starts.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use schemas::{
    failure::{Code, Details, Failure},
    journal::{AttemptEnded, Outcome},
    json::Json,
};

use super::{
    Job, Moment, Place, Run,
    action::{Action, Notice, Spawn, Timer},
    aside::Aside,
    group::{Closing, Group, Past, Turn},
    locate::Reader,
    rollback::Undone,
    state::{Body, InstanceId, StepResult, StepRun, StepState, failure},
};
use crate::{
    expr::{self, Program},
    plan::{Branch, Conditional, StepId, StepKind, Turns},
    value::{self, FillError, Template},
};

/// Why a step is skipped.
const WHEN_FALSE: &str = "`when` was false";

impl Run {
    /// The turn of a step has come.
    pub(super) fn begin_child(&mut self, place: Place, step: StepId, moment: &mut Moment<'_>) {
        let past = self.group_mut(place.owner).past.remove(&(place.turn, step));
        let id = match past {
            Some(past) => self.reborn(past),
            None => self.born(place, step),
        };
        self.group_mut(place.owner).child_begins(place.turn, id);
        self.tell_undo(place.owner, id, moment);
        self.begin(id, moment);
        if self.instances[id.index()].state == StepState::Waiting {
            let id = self.instances[id.index()].attempt_id(&self.plan);
            moment.actions.push(Action::Notice(Notice::StepWaiting { id }));
        }
    }

    /// A step of the rollback begins.
    fn tell_undo(&self, owner: Option<InstanceId>, id: InstanceId, moment: &mut Moment<'_>) {
        let of = match owner.and_then(|owner| self.instances[owner.index()].aside) {
            Some(Aside::Undoes(of)) => Some(self.step_of(of).name.clone()),
            Some(Aside::AfterUndo(_)) => None,
            Some(Aside::Handles(_) | Aside::Finally(_)) | None => return,
        };
        let id = self.instances[id.index()].attempt_id(&self.plan);
        moment.actions.push(Action::Notice(Notice::RollbackStep { id, of }));
    }

    fn born(&mut self, place: Place, step: StepId) -> InstanceId {
        let id = InstanceId::at(self.instances.len());
        let body = match &self.plan.steps[step.index()].kind {
            // Nearly all steps have one attempt; a vector that grows by itself starts with room for four.
            StepKind::Skill(_) => Body::Attempts(Vec::with_capacity(1)),
            StepKind::Sequence(_)
            | StepKind::Parallel(_)
            | StepKind::Conditional(_)
            | StepKind::Workflow(_) => Body::Group(Box::new(Group::with_turn())),
            StepKind::Loop(_) => Body::Group(Box::default()),
        };
        let turn = self.turn_path(place);
        let state = StepState::Waiting;
        self.instances.push(StepRun {
            step,
            parent: place.owner,
            turn,
            started: None,
            state,
            body,
            recovery: None,
            aside: None,
            undone: Undone::No,
        });
        id
    }

    /// A child of a step that is tried again begins again; its attempts go on counting.
    fn reborn(&mut self, past: Past) -> InstanceId {
        let id = past.child;
        // From now on it stands where it starts again.
        if let Some(place) = past.place {
            self.order[place] = None;
        }
        let run = &mut self.instances[id.index()];
        run.started = None;
        run.state = StepState::Waiting;
        run.recovery = None;
        run.undone = Undone::No;
        if run.group().is_some() {
            self.begin_again(id);
        }
        id
    }

    /// A step that holds others is to begin again: its children are of the past.
    pub(super) fn begin_again(&mut self, id: InstanceId) {
        let is_loop = matches!(self.step_of(id).kind, StepKind::Loop(_));
        let before = std::mem::take(self.group_mut(Some(id)));
        let places: HashMap<InstanceId, usize> =
            self.order.iter().enumerate().filter_map(|(place, id)| Some(((*id)?, place))).collect();
        let mut past = before.past;
        for (turn, number) in before.turns.iter().zip(0..) {
            for child in &turn.children {
                let step = self.instances[child.index()].step;
                let place = places.get(child).copied();
                past.insert((number, step), Past { child: *child, place });
            }
        }
        let fresh = if is_loop { Group::default() } else { Group::with_turn() };
        *self.group_mut(Some(id)) = Group { past, tries: before.tries, ..fresh };
    }

    fn turn_path(&self, place: Place) -> Arc<[u32]> {
        let Some(owner) = place.owner else { return Arc::clone(&self.no_turn) };
        let around = &self.instances[owner.index()].turn;
        if let StepKind::Loop(_) = self.step_of(owner).kind {
            around.iter().copied().chain([place.turn]).collect()
        } else {
            Arc::clone(around)
        }
    }

    /// Starts a step that waits, if it can start.
    pub(super) fn begin(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        if self.instances[id.index()].state != StepState::Waiting {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[self.instances[id.index()].step.index()];
        if let Some(source) = self.unsettled(Reader::Step(id), &step.awaits) {
            self.waiters.entry(source).or_default().push(id);
            return;
        }
        let runs = step.when.as_ref().map_or(Ok(true), |when| {
            when.condition(&self.scope(Reader::Step(id))).map_err(|error| FillError::of(when, error))
        });
        match runs {
            Ok(true) => {}
            Ok(false) => return self.skip(id, moment),
            Err(error) => return self.refuse(id, &error, moment),
        }
        self.enter(id, moment);
    }

    /// Starts a step whose turn it is, or lets it wait for a place.
    pub(super) fn enter(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[self.instances[id.index()].step.index()];
        match &step.kind {
            StepKind::Skill(_) if self.places.is_empty() && self.has_place() && self.may_start(id) => {
                self.launch(id, moment);
            }
            StepKind::Skill(_) => self.places.push_back(id),
            StepKind::Sequence(_) | StepKind::Parallel(_) => self.open(id, moment),
            StepKind::Conditional(conditional) => self.open_conditional(id, conditional, moment),
            StepKind::Loop(over) => self.open_loop(id, &over.turns, moment),
            StepKind::Workflow(called) => self.open_workflow(id, called, moment),
        }
    }

    /// Its `when` is false.
    fn skip(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        self.order.push(Some(id));
        self.end(id, StepResult::Skipped(WHEN_FALSE.to_owned()), moment);
    }

    /// Its `when` has no answer.
    fn refuse(&mut self, id: InstanceId, error: &FillError, moment: &mut Moment<'_>) {
        if self.instances[id.index()].group().is_none() {
            self.start_instance(id, moment);
            self.fail_unstarted(id, error, moment);
        } else {
            self.open(id, moment);
            self.fail_group(id, failure(&self.step_of(id).name, error.code(), error.to_string()), moment);
        }
    }

    /// Starts the steps that wait for a place, as far as there is one. Says whether there was any.
    pub(super) fn take_places(&mut self, moment: &mut Moment<'_>) -> bool {
        let mut any = false;
        // Those that wait for a place among the steps of their own workflow let others pass.
        let mut held = VecDeque::new();
        while self.has_place()
            && let Some(id) = self.places.pop_front()
        {
            if self.instances[id.index()].state != StepState::Waiting {
                any = true;
            } else if self.may_start(id) {
                any = true;
                self.launch(id, moment);
            } else {
                held.push_back(id);
            }
        }
        held.append(&mut self.places);
        self.places = held;
        any
    }

    fn has_place(&self) -> bool {
        let most = [self.created.max_concurrent_steps, self.plan.limits.max_concurrent_steps];
        most.into_iter().flatten().min().is_none_or(|most| self.live.len() < most as usize)
    }

    fn start_instance(&mut self, id: InstanceId, moment: &Moment<'_>) {
        let run = &mut self.instances[id.index()];
        run.state = StepState::Running { since: moment.now };
        // A later attempt is no later start of the step.
        if run.started.is_none() {
            run.started = Some(moment.now);
            self.order.push(Some(id));
        }
    }

    fn launch(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        let spawn = self.spawn(id);
        self.start_instance(id, moment);
        match spawn {
            Ok(spawn) => {
                self.live.insert(spawn.id.clone(), id);
                moment.actions.push(Action::Notice(Notice::StepStarted { id: spawn.id.clone() }));
                moment.actions.push(Action::Spawn(Box::new(spawn)));
            }
            Err(error) => self.fail_unstarted(id, &error, moment),
        }
    }

    fn spawn(&self, id: InstanceId) -> Result<Spawn, FillError> {
        let run = &self.instances[id.index()];
        let scope = self.scope(Reader::Step(id));
        let call = self.plan.steps[run.step.index()].kind.skill();
        let own = call.map_or(&[][..], |call| &call.env);
        let (env, cwd) = self.environment(id, own, call.and_then(|call| call.cwd.as_ref()))?;
        Ok(Spawn {
            id: run.attempt_id(&self.plan),
            step: run.step,
            inputs: call.map_or_else(|| Ok(value::object(&[])), |call| call.inputs.fill(&scope))?,
            memory: run.memory(),
            context: scope.context(),
            env,
            cwd,
        })
    }

    /// A step whose inputs cannot be filled in fails before anything of it starts.
    fn fail_unstarted(&mut self, id: InstanceId, error: &FillError, moment: &mut Moment<'_>) {
        let attempt = self.instances[id.index()].attempt_id(&self.plan);
        let failure = Failure {
            details: Details { started: Some(false), ..Details::default() },
            ..failure(&attempt.step, error.code(), error.to_string())
        };
        let ended = AttemptEnded::new(attempt, Outcome::Failed(failure.into()));
        self.take_end(id, &ended, moment);
    }

    /// A step that holds others starts.
    pub(super) fn open(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        self.start_instance(id, moment);
        self.group_mut(Some(id)).tries += 1;
        let attempt = self.instances[id.index()].attempt_id(&self.plan);
        moment.actions.push(Action::Notice(Notice::StepStarted { id: attempt.clone() }));
        if let Some(after) = self.step_of(id).timeout {
            moment.actions.push(Action::ArmTimer { timer: Timer::Step(attempt), after });
        }
        moment.todo.push_back(Job::Advance(Place { owner: Some(id), turn: 0 }));
    }

    fn open_conditional(&mut self, id: InstanceId, conditional: &Conditional, moment: &mut Moment<'_>) {
        let holds = conditional.condition.condition(&self.scope(Reader::Step(id)));
        self.open(id, moment);
        match holds {
            Ok(holds) => {
                let branch = match (holds, conditional.has_else) {
                    (true, _) => Branch::Then,
                    (false, true) => Branch::Else,
                    (false, false) => Branch::None,
                };
                self.group_mut(Some(id)).branch = Some(branch);
            }
            Err(error) => {
                let failure = no_answer(&self.step_of(id).name, &conditional.condition, error);
                self.fail_group(id, failure, moment);
            }
        }
    }

    fn open_loop(&mut self, id: InstanceId, turns: &Turns, moment: &mut Moment<'_>) {
        let items = match turns {
            Turns::While { .. } => Ok(VecDeque::new()),
            Turns::ForEach { items, most, .. } => self.items(id, items, *most),
        };
        self.open(id, moment);
        match items {
            Ok(items) => self.group_mut(Some(id)).items = items,
            Err(failure) => self.fail_group(id, *failure, moment),
        }
    }

    fn items(&self, id: InstanceId, items: &Template, most: u32) -> Result<VecDeque<Json>, Box<Failure>> {
        let step = &self.step_of(id).name;
        let scope = self.scope(Reader::Step(id));
        let value = items.fill(&scope).map_err(|error| failure(step, error.code(), error.to_string()))?;
        let Some(items) = value::elements(&value) else {
            return Err(failure(step, Code::ExpressionError, "`for_each` is no array".to_owned()).into());
        };
        if items.len() > most as usize {
            let message =
                format!("{} items are more than the {most} turns that the loop may have", items.len());
            let details =
                Details { limit: Some(most.into()), peak: Some(items.len() as u64), ..Details::default() };
            let failure = failure(step, Code::MaxIterationsExceeded, message);
            return Err(Failure { details, ..failure }.into());
        }
        Ok(items.into())
    }

    /// A step that holds others cannot go on.
    pub(super) fn fail_group(&mut self, id: InstanceId, failure: Failure, moment: &mut Moment<'_>) {
        let group = self.group_mut(Some(id));
        group.failure = Some(failure.into());
        group.winner = None;
        self.close(id, Closing::Failed, moment);
    }

    /// A further turn of a loop.
    pub(super) fn new_turn(&mut self, id: InstanceId, item: Option<Json>) -> Place {
        let keeps_item = self.keeps_items;
        let group = self.group_mut(Some(id));
        let turn = group.count();
        group.turns.push(Turn { item, keeps_item, ..Turn::default() });
        group.open_turns += 1;
        Place { owner: Some(id), turn }
    }
}

/// What comes of a condition without an answer.
pub(super) fn no_answer(step: &str, condition: &Program, error: expr::Error) -> Failure {
    let error = FillError::of(condition, error);
    failure(step, error.code(), error.to_string())
}

impl Run {
    /// Takes the report on an attempt in.
    pub(super) fn take_end(&mut self, id: InstanceId, ended: &AttemptEnded, moment: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let run = &mut self.instances[id.index()];
        let result: StepResult = run.takes(ended, &plan.steps[run.step.index()]);
        self.take_result(id, result, moment);
    }
}
