//! [`Observer`]: what starts and ends in a run, by its events and actions alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemas::journal::{AttemptId, Event};

use crate::{
    plan::{Plan, StepId, StepKind, Turns},
    run::{Action, Notice},
};

/// A turn of a step.
type Turn = (String, Vec<u32>);

/// Who watches a run.
#[derive(Debug)]
pub(super) struct Observer {
    plan: Arc<Plan>,
    /// Leaves that refer to leaves, by their numbers.
    references: Vec<(usize, usize)>,
    most: Option<u32>,
    live: BTreeSet<AttemptId>,
    /// Attempts that were asked to end.
    asked: BTreeSet<AttemptId>,
    /// Turns that have started or wait, and have not ended.
    open: BTreeSet<Turn>,
    started: BTreeSet<Turn>,
    ended: BTreeMap<Turn, &'static str>,
    over: bool,
    finished: bool,
}

impl Observer {
    pub(super) fn new(plan: &Arc<Plan>, references: Vec<(usize, usize)>, most: Option<u32>) -> Self {
        Self {
            plan: Arc::clone(plan),
            references,
            most,
            live: BTreeSet::new(),
            asked: BTreeSet::new(),
            open: BTreeSet::new(),
            started: BTreeSet::new(),
            ended: BTreeMap::new(),
            over: false,
            finished: false,
        }
    }

    pub(super) fn live(&self) -> Vec<AttemptId> {
        self.live.iter().cloned().collect()
    }

    pub(super) fn is_asked(&self, id: &AttemptId) -> bool {
        self.asked.contains(id)
    }

    pub(super) fn has_finished(&self) -> bool {
        self.finished
    }

    #[track_caller]
    pub(super) fn every_start_has_an_end(&self) {
        assert!(self.live.is_empty(), "{:?}", self.live);
        assert!(self.open.is_empty(), "{:?}", self.open);
    }

    #[track_caller]
    pub(super) fn sees(&mut self, event: &Event, actions: &[Action]) {
        assert!(!self.finished || actions.is_empty(), "after the end: {actions:?}");
        match event {
            Event::AttemptEnded(ended) => {
                self.live.remove(&ended.id);
                self.asked.remove(&ended.id);
            }
            Event::RunTimedOut | Event::StopRequested { .. } => self.over = true,
            Event::RunCreated(_)
            | Event::RunStarted { .. }
            | Event::AttemptStopping { .. }
            | Event::RetryDue { .. }
            | Event::RunResumed => {}
        }
        for action in actions {
            assert!(!self.finished, "nothing comes after Finish: {actions:?}");
            self.judges(action);
        }
    }

    #[track_caller]
    fn judges(&mut self, action: &Action) {
        match action {
            Action::Spawn(spawn) => {
                assert!(!self.over, "{:?} starts after the stop", spawn.id);
                assert!(self.live.insert(spawn.id.clone()), "{:?} starts twice", spawn.id);
                let most = self.most.map_or(usize::MAX, |most| most as usize);
                assert!(self.live.len() <= most, "more than {most}: {:?}", self.live);
                self.has_what_it_reads(&spawn.id);
            }
            Action::Terminate { id, .. } => {
                assert!(self.live.contains(id), "{id:?} does not run");
                self.asked.insert(id.clone());
            }
            Action::ArmTimer { .. } => {}
            Action::Notice(notice) => self.hears(notice),
            Action::Finish { .. } => {
                self.every_start_has_an_end();
                self.finished = true;
            }
        }
    }

    #[track_caller]
    fn hears(&mut self, notice: &Notice) {
        match notice {
            Notice::StepWaiting { id } => {
                assert!(self.open.insert(turn(id)), "{id:?} waits twice");
            }
            Notice::StepStarted { id } => {
                assert!(self.started.insert(turn(id)), "{id:?} starts twice");
                self.open.insert(turn(id));
                self.is_within_bounds(id);
            }
            Notice::StepCompleted { id, .. } => self.ends(id, "completed"),
            Notice::StepFailed { id, .. } => self.ends(id, "failed"),
            Notice::StepCancelled { id, .. } => self.ends(id, "cancelled"),
            Notice::StepSkipped { id, .. } => self.ends(id, "skipped"),
            Notice::RunStopping => self.over = true,
            Notice::RunStarted
            | Notice::StepRetrying { .. }
            | Notice::RollbackStarted { .. }
            | Notice::RollbackStep { .. }
            | Notice::RollbackEnded { .. }
            | Notice::RunEnded { .. } => {}
        }
    }

    #[track_caller]
    fn ends(&mut self, id: &AttemptId, how: &'static str) {
        let turn = turn(id);
        self.open.remove(&turn);
        let before = self.ended.insert(turn, how);
        assert_eq!(before, None, "{id:?} ends a second time: {how}");
    }

    fn step(&self, name: &str) -> StepId {
        let index = self.plan.steps.iter().position(|step| step.name == name).expect("a step of the plan");
        StepId(u32::try_from(index).expect("plans are short"))
    }

    /// Those around a step, from the inside out.
    fn around(&self, step: StepId) -> Vec<StepId> {
        std::iter::successors(self.plan.steps[step.index()].parent, |step| {
            self.plan.steps[step.index()].parent
        })
        .collect()
    }

    fn loops(&self, step: StepId) -> Vec<StepId> {
        let mut around = self.around(step);
        around.retain(|step| matches!(self.plan.steps[step.index()].kind, StepKind::Loop(_)));
        around.reverse();
        around
    }

    /// No more children of a group, and no more turns of a loop, are open than may be.
    #[track_caller]
    fn is_within_bounds(&self, id: &AttemptId) {
        let Some(holder) = self.plan.steps[self.step(&id.step).index()].parent else { return };
        let open = || {
            self.open.iter().filter(|(name, _)| {
                let step = &self.plan.steps[self.step(name).index()];
                step.parent == Some(holder)
            })
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
            StepKind::Skill(_) | StepKind::Sequence(_) | StepKind::Conditional(_) | StepKind::Workflow(_) => {
            }
        }
    }

    /// What a leaf refers to does not run any more.
    #[track_caller]
    fn has_what_it_reads(&self, id: &AttemptId) {
        let reader = self.loops(self.step(&id.step));
        for (_, to) in self.references.iter().filter(|(from, _)| format!("s{from}") == id.step) {
            let source = format!("s{to}");
            let shared = self.loops(self.step(&source));
            let common = reader.iter().zip(&shared).take_while(|(a, b)| a == b).count();
            let running = self.live.iter().find(|live| {
                **live != *id && live.step == source && live.turn[..common] == id.turn[..common]
            });
            assert_eq!(running, None, "{id:?} starts before what it reads has ended");
        }
    }
}

fn turn(id: &AttemptId) -> Turn {
    (id.step.clone(), id.turn.clone())
}
