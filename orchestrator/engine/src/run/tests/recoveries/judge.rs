//! [`Judge`]: the rules of everything that can follow a failure, over what can be seen from outside: events go in,
//! actions come out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemas::journal::{AttemptId, Event};

use crate::{
    plan::{Plan, StepId, StepKind, Turns},
    run::{Action, Notice, Timer},
};

/// A turn of a step: its name, and the indices of the loops around it.
type Turn = (String, Vec<u32>);

/// Who watches a run.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    plan: Arc<Plan>,
    by_name: Arc<BTreeMap<String, StepId>>,
    /// What holds each step, and what the row in which it stands is for, from the inside out.
    around: Arc<Vec<Vec<StepId>>>,
    /// Counts what was seen.
    clock: u64,
    live: BTreeSet<AttemptId>,
    asked: BTreeSet<AttemptId>,
    /// Every attempt that ever started.
    spawned: BTreeSet<AttemptId>,
    /// Waits and limits that are armed.
    timers: Vec<Timer>,
    /// Turns that have started or wait, and have not ended.
    open: BTreeSet<Turn>,
    /// The last start of each turn, tries of its own not counted.
    started: BTreeMap<Turn, u64>,
    /// The last beginning of each turn, tries counted.
    begun: BTreeMap<Turn, u64>,
    /// When each turn completed last.
    completed: BTreeMap<Turn, u64>,
    /// When each step of a rollback began last.
    undone: BTreeMap<Turn, u64>,
    /// Rollbacks that go on, by the workflow step, with the start of what was undone last.
    rollbacks: BTreeMap<Option<Turn>, u64>,
    /// Nothing new starts but what undoes and what comes last.
    over: bool,
    at_once: bool,
    finished: bool,
}

impl Judge {
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        let ids = || (0..).map(StepId).take(plan.steps.len());
        let by_name = ids().map(|id| (plan.steps[id.index()].name.clone(), id)).collect();
        let around = ids().map(|id| around(plan, &by_name, id)).collect();
        Self {
            plan: Arc::clone(plan),
            around: Arc::new(around),
            by_name: Arc::new(by_name),
            clock: 0,
            live: BTreeSet::new(),
            asked: BTreeSet::new(),
            spawned: BTreeSet::new(),
            timers: Vec::new(),
            open: BTreeSet::new(),
            started: BTreeMap::new(),
            begun: BTreeMap::new(),
            completed: BTreeMap::new(),
            undone: BTreeMap::new(),
            rollbacks: BTreeMap::new(),
            over: false,
            at_once: false,
            finished: false,
        }
    }

    pub(super) fn live(&self) -> Vec<AttemptId> {
        self.live.iter().cloned().collect()
    }

    pub(super) fn is_asked(&self, id: &AttemptId) -> bool {
        self.asked.contains(id)
    }

    pub(super) fn timers(&self) -> &[Timer] {
        &self.timers
    }

    pub(super) fn has_finished(&self) -> bool {
        self.finished
    }

    #[track_caller]
    pub(super) fn sees(&mut self, event: &Event, actions: &[Action]) {
        assert!(!self.finished || actions.is_empty(), "after the end: {actions:?}");
        match event {
            Event::AttemptEnded(ended) => {
                self.live.remove(&ended.id);
                self.asked.remove(&ended.id);
            }
            Event::StopRequested { now, .. } => {
                self.over = true;
                self.at_once |= *now;
            }
            Event::RunTimedOut => self.over = true,
            Event::RetryDue { id } => self.timers.retain(|timer| *timer != Timer::Retry(id.clone())),
            Event::AttemptStopping { id, .. } => {
                self.timers.retain(|timer| *timer != Timer::Step(id.clone()));
            }
            // What ran died with its engine, and timers with it.
            Event::RunResumed => {
                self.live.clear();
                self.asked.clear();
                self.timers.clear();
            }
            Event::RunCreated(_) | Event::RunStarted { .. } => {}
        }
        for action in actions {
            assert!(!self.finished, "nothing comes after Finish: {actions:?}");
            self.clock += 1;
            self.judges(action);
        }
    }

    #[track_caller]
    fn judges(&mut self, action: &Action) {
        match action {
            Action::Spawn(spawn) => self.starts(&spawn.id),
            Action::Terminate { id, .. } => {
                assert!(self.live.contains(id), "{id:?} does not run");
                self.asked.insert(id.clone());
            }
            Action::ArmTimer { timer, .. } => self.timers.push(timer.clone()),
            Action::Notice(notice) => self.hears(notice),
            Action::Finish { .. } => {
                assert!(self.live.is_empty(), "{:?} still run", self.live);
                assert!(self.open.is_empty(), "{:?} have not ended", self.open);
                self.finished = true;
            }
        }
    }

    #[track_caller]
    fn starts(&mut self, id: &AttemptId) {
        let is_after = self.is_in_row(id, &["undo", "rollback", "finally"]);
        // A rollback may name handlers as its steps.
        let is_after = is_after || (self.is_in_row(id, &["handler"]) && !self.rollbacks.is_empty());
        assert!(!self.over || is_after, "{id:?} starts after the stop");
        assert!(!self.at_once, "{id:?} starts after a stop at once");
        assert!(self.spawned.insert(id.clone()), "{id:?} starts twice");
        let further = self
            .spawned
            .iter()
            .any(|known| known.step == id.step && known.turn == id.turn && known.attempt > id.attempt);
        assert!(!further, "{id:?} starts after a later attempt");
        let twin = self.live.iter().find(|live| live.step == id.step && live.turn == id.turn);
        assert_eq!(twin, None, "{id:?} starts beside another attempt of its step");
        self.may_run_again(id);
        self.live.insert(id.clone());
    }

    /// What completed runs again only where something around it began again since then.
    #[track_caller]
    fn may_run_again(&self, id: &AttemptId) {
        let Some(completed) = self.completed.get(&turn(id)) else { return };
        // A handler sees to one failure after the other.
        let is_asked_again = self.is_in_row(id, &["handler"]) || self.begins_around(id) > *completed;
        assert!(is_asked_again, "{id:?} starts, and its step has completed");
    }

    /// The last beginning of anything around a step.
    fn begins_around(&self, id: &AttemptId) -> u64 {
        let around = self.around[self.step(&id.step).index()].iter();
        let begun = around.flat_map(|step| {
            let name = &self.plan.steps[step.index()].name;
            self.begun.iter().filter(move |((of, turn), _)| of == name && id.turn.starts_with(turn))
        });
        begun.map(|(_, at)| *at).max().unwrap_or(0)
    }

    #[track_caller]
    fn hears(&mut self, notice: &Notice) {
        match notice {
            Notice::StepWaiting { id } => {
                assert!(self.open.insert(turn(id)), "{id:?} waits twice");
            }
            Notice::StepStarted { id } => self.begins(id),
            Notice::StepCompleted { id, .. } => {
                self.ends(id);
                self.completed.insert(turn(id), self.clock);
            }
            Notice::StepFailed { id, .. }
            | Notice::StepCancelled { id, .. }
            | Notice::StepSkipped { id, .. } => self.ends(id),
            Notice::StepRetrying { id, .. } => {
                assert!(self.open.contains(&turn(id)), "{id:?} is to be tried again and has ended");
            }
            Notice::RunStopping => self.over = true,
            Notice::RollbackStarted { id } => {
                let of = id.as_ref().map(turn);
                self.over |= of.is_none();
                assert_eq!(self.rollbacks.insert(of, u64::MAX), None, "{id:?} is being rolled back");
            }
            Notice::RollbackStep { id, of } => self.undoes(id, of.as_deref()),
            Notice::RollbackEnded { id, .. } => {
                let going = self.rollbacks.remove(&id.as_ref().map(turn));
                assert!(going.is_some(), "no rollback of {id:?} goes on");
            }
            Notice::RunStarted | Notice::RunEnded { .. } => {}
        }
    }

    #[track_caller]
    fn begins(&mut self, id: &AttemptId) {
        let turn = turn(id);
        // It waits for its next try, or begins anew.
        let is_try = self.open.contains(&turn) && id.attempt > 1 && self.started.contains_key(&turn);
        let was_ended = self.open.insert(turn.clone());
        if was_ended || !is_try || !self.begun.contains_key(&turn) {
            self.started.insert(turn.clone(), self.clock);
        }
        self.begun.insert(turn, self.clock);
        self.is_within_bounds(id);
    }

    #[track_caller]
    fn ends(&mut self, id: &AttemptId) {
        let turn = turn(id);
        let is_live = self.live.iter().any(|live| (&live.step, &live.turn) == (&turn.0, &turn.1));
        assert!(!is_live, "{id:?} ends before its attempt");
        // What is skipped at once was never open.
        self.open.remove(&turn);
    }

    /// The last that started is undone first, and nothing twice.
    #[track_caller]
    fn undoes(&mut self, id: &AttemptId, of: Option<&str>) {
        let own = turn(id);
        if let Some(before) = self.undone.insert(own.clone(), self.clock) {
            let again = of.and_then(|of| self.started.get(&(of.to_owned(), id.turn.clone()))).copied();
            let again = again.unwrap_or(0).max(self.begins_around(id));
            assert!(again > before || self.is_in_row(id, &["handler"]), "{id:?} undoes a second time");
        }
        let Some(of) = of else { return };
        let started = self.started.get(&(of.to_owned(), id.turn.clone())).copied();
        let started = started.unwrap_or_else(|| panic!("{of} {:?} never started", id.turn));
        let holders: Vec<_> = self.around[self.step(of).index()].clone();
        let is_holder = |owner: &Option<Turn>| {
            owner
                .as_ref()
                .is_none_or(|(name, turn)| holders.contains(&self.step(name)) && id.turn.starts_with(turn))
        };
        // The innermost rollback around it undoes it.
        let owner = self.rollbacks.keys().filter(|owner| is_holder(owner));
        let owner = owner.max_by_key(|owner| owner.as_ref().map_or(0, |(name, _)| name.len())).cloned();
        let owner = owner.unwrap_or_else(|| panic!("{id:?} undoes {of}, and nothing is rolled back"));
        let last = self.rollbacks.insert(owner, started).unwrap_or(u64::MAX);
        assert!(started <= last, "{of} is undone after what started before it");
    }

    fn step(&self, name: &str) -> StepId {
        self.by_name[name]
    }

    /// Whether a step stands in a row of one of these kinds, however deep.
    fn is_in_row(&self, id: &AttemptId, kinds: &[&str]) -> bool {
        let around = self.around[self.step(&id.step).index()].iter();
        let mut rows = around.map(|step| &self.plan.steps[step.index()]).filter(|step| step.is_row);
        rows.any(|row| kinds.contains(&row.name.as_str()))
    }

    /// No more children of a group, and no more turns of a loop, are open than may be.
    #[track_caller]
    fn is_within_bounds(&self, id: &AttemptId) {
        let Some(holder) = self.plan.steps[self.step(&id.step).index()].parent else { return };
        let open = || {
            let child = |name: &str| self.plan.steps[self.step(name).index()].parent == Some(holder);
            self.open.iter().filter(move |(name, _)| child(name))
        };
        match &self.plan.steps[holder.index()].kind {
            StepKind::Parallel(parallel) => {
                let same = open().filter(|(_, turn)| *turn == id.turn).count();
                let most = parallel.max_concurrent.map_or(usize::MAX, |most| most as usize);
                assert!(same <= most, "{same} children of {holder:?} are open, {most} may be");
            }
            StepKind::Loop(over) => {
                let around = id.turn.len() - 1;
                let waited = open().filter(|(name, turn)| {
                    !self.plan.steps[self.step(name).index()].background
                        && turn[..around] == id.turn[..around]
                });
                let turns: BTreeSet<_> = waited.map(|(_, turn)| turn[around]).collect();
                let most = match over.turns {
                    Turns::While { .. } => 1,
                    Turns::ForEach { max_concurrent, .. } => max_concurrent as usize,
                };
                assert!(turns.len() <= most, "turns {turns:?} of {holder:?} are open, {most} may be");
            }
            StepKind::Sequence(_) | StepKind::Conditional(_) | StepKind::Workflow(_) => {
                let is_waited = |name: &str| !self.plan.steps[self.step(name).index()].background;
                let same = open().filter(|(name, turn)| *turn == id.turn && is_waited(name)).count();
                assert!(same <= 1, "{same} steps of the row {holder:?} are open");
            }
            StepKind::Skill(_) => panic!("{holder:?} holds nothing"),
        }
    }
}

/// What holds a step, and what the rows around it are for, from the inside out.
fn around(plan: &Plan, by_name: &BTreeMap<String, StepId>, step: StepId) -> Vec<StepId> {
    let mut around = Vec::new();
    let mut at = step;
    loop {
        let holder = plan.steps[at.index()].parent.or_else(|| {
            let undone = || plan.steps.iter().position(|step| step.undo == Some(at));
            let undone = undone().map(|index| StepId(u32::try_from(index).expect("plans are short")));
            let child = plan.steps.iter().find(|step| step.parent == Some(at));
            let workflow = || child.and_then(|child| by_name.get(child.within()?)).copied();
            if plan.steps[at.index()].is_row { undone.or_else(workflow) } else { None }
        });
        let Some(holder) = holder else { return around };
        around.push(holder);
        at = holder;
    }
}

fn turn(id: &AttemptId) -> Turn {
    (id.step.clone(), id.turn.clone())
}
