//! The run as people see it: a projection of the state, always recomputed, never read back.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use schemas::{
    failure::Code,
    journal::{AttemptEnded, Outcome, Output},
    json::Json,
    view::{
        AttemptView, Isolation, LargeOutputs, RollbackView, RunView, SCHEMA_VERSION, StepStatus, StepView,
        StopReason, Usage,
    },
};

use super::{
    Run,
    aside::Aside,
    rollback::Undo,
    state::{InstanceId, Phase, StepResult, StepRun, StepState},
};
use crate::{
    plan::{Step, StepId, StepKind},
    value,
};

/// The steps of a run, each made when it is written: the view of a long run is larger than its state.
#[derive(Debug, Clone, Copy)]
pub struct StreamedSteps<'a>(&'a Run, Large);

/// What becomes of outputs over [`Output::INLINE_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Large {
    Shown,
    Named,
}

impl Serialize for StreamedSteps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.step_views(self.1))
    }
}

impl Run {
    /// The whole run.
    pub fn view(&self) -> RunView {
        self.view_with(self.step_views(Large::Shown).collect())
    }

    /// The whole run, to be written.
    pub fn streamed_view(&self) -> RunView<StreamedSteps<'_>> {
        self.view_with(StreamedSteps(self, Large::Shown))
    }

    /// The whole run, to be kept beside its journal: outputs that have a file of their own are only named.
    pub fn kept_view(&self) -> RunView<StreamedSteps<'_>> {
        self.view_with(StreamedSteps(self, Large::Named))
    }

    fn view_with<Steps>(&self, steps: Steps) -> RunView<Steps> {
        let (started, finished) = match self.phase {
            Phase::Queued => (None, None),
            Phase::Running { since }
            | Phase::Stopping { since, .. }
            | Phase::RollingBack { since }
            | Phase::Finalizing { since, .. } => (Some(since), None),
            Phase::Ended { since, at, .. } => (since, Some(at)),
        };
        let duration_ms = started.zip(finished).map(|(start, end)| end.millis_since(&start));
        RunView {
            schema_version: SCHEMA_VERSION,
            run_id: self.created.run_id.clone(),
            workflow: self.created.workflow.clone(),
            version: self.created.version.clone(),
            status: self.phase.status(),
            scheduled_at: self.created.scheduled_at,
            created_at: self.created_at.wall,
            started_at: started.map(|now| now.wall),
            finished_at: finished.map(|now| now.wall),
            duration_ms,
            trigger: self.created.trigger.clone(),
            outputs: self.outputs.clone().unwrap_or_else(|| value::object(&[])),
            error: self.error.clone(),
            isolation: self.weakest_isolation(),
            usage: self.usage(duration_ms),
            steps,
            rollback: self.undo_views(),
        }
    }

    /// Steps that started, in start order, then those that wait, then those at the top that are still to come.
    fn step_views(&self, large: Large) -> impl Iterator<Item = StepView> {
        let begun = self.root.turn(0).map_or(0, |turn| turn.children.len());
        let pending = self.plan.root.iter().skip(begun).map(move |step| self.step_view(*step, None, large));
        let shown = self.ids().filter(|id| self.rollbacks.is_empty() || !self.is_undo(*id));
        shown.map(move |id| self.step_view(self.instances[id.index()].step, Some(id), large)).chain(pending)
    }

    /// Whether a step belongs to the rollback, which is shown by itself.
    fn is_undo(&self, id: InstanceId) -> bool {
        match self.row_around(id) {
            Some(Aside::Undoes(_) | Aside::AfterUndo(_)) => true,
            Some(Aside::Handles(_) | Aside::Finally(_)) | None => false,
        }
    }

    /// The undo steps in the order in which they run, those that are still to come included. What a workflow undid that
    /// was then tried again, and undone again, is shown once.
    fn undo_views(&self) -> Vec<RollbackView> {
        let all: Vec<_> = self.rollbacks.iter().flat_map(|rollback| &rollback.undos).collect();
        let is_last = |(index, undo): &(usize, &&Undo)| {
            undo.instance.is_none() || all[index + 1..].iter().all(|later| later.instance != undo.instance)
        };
        all.iter().enumerate().filter(is_last).flat_map(|(_, undo)| self.undo_view(undo)).collect()
    }

    fn undo_view(&self, undo: &Undo) -> Vec<RollbackView> {
        let of = match undo.aside {
            Aside::Undoes(of) => Some(self.step_of(of).name.clone()),
            Aside::Handles(_) | Aside::AfterUndo(_) | Aside::Finally(_) => None,
        };
        let begun = undo.instance.and_then(|row| self.group(Some(row)).turn(0));
        let begun = begun.map_or(&[][..], |turn| &turn.children);
        let steps = match &self.plan.steps[undo.row.index()].kind {
            StepKind::Parallel(parallel) => &parallel.steps[..],
            StepKind::Skill(_)
            | StepKind::Sequence(_)
            | StepKind::Conditional(_)
            | StepKind::Loop(_)
            | StepKind::Workflow(_) => &[],
        };
        let views = steps.iter().enumerate().map(|(index, step)| {
            let run = begun.get(index).map(|id| &self.instances[id.index()]);
            RollbackView {
                id: self.plan.steps[step.index()].name.clone(),
                of: of.clone(),
                status: run.map_or(StepStatus::Pending, Self::step_status),
                attempts: run.map(|run| self.attempt_views(run)).unwrap_or_default(),
            }
        });
        views.collect()
    }

    fn step_view(&self, step: StepId, id: Option<InstanceId>, large: Large) -> StepView {
        let step = &self.plan.steps[step.index()];
        let run = id.map(|id| &self.instances[id.index()]);
        let ended_at = run.and_then(|run| match run.state {
            StepState::Ended { at, .. } => Some(at),
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Running { .. }
            | StepState::Stopping { .. } => None,
        });
        let started = run.and_then(|run| run.started);
        let (outputs, large_outputs) = id.map_or((None, None), |id| self.shown_outputs(id, large));
        StepView {
            id: step.id().to_owned(),
            kind: step.kind.name().to_owned(),
            status: run.map_or(StepStatus::Pending, Self::step_status),
            iteration: run.map(|run| run.turn.to_vec()).unwrap_or_default(),
            parent: self.holder_of(step).map(str::to_owned),
            within: step.within().map(str::to_owned),
            started_at: started.map(|started| started.wall),
            finished_at: ended_at.map(|at| at.wall),
            duration_ms: started.zip(ended_at).map(|(started, at)| at.millis_since(&started)),
            outputs,
            large_outputs,
            error: run.and_then(|run| match &run.state {
                StepState::Ended { result: StepResult::Failed(failure), .. } => Some((**failure).clone()),
                StepState::Ended { .. }
                | StepState::Waiting
                | StepState::Retrying { .. }
                | StepState::Handled { .. }
                | StepState::Running { .. }
                | StepState::Stopping { .. } => None,
            }),
            skip_reason: run.and_then(StepRun::skip_reason).map(str::to_owned),
            retry_at: run.and_then(StepRun::retry_at),
            agent: run.and_then(|run| run.attempts().last()?.agent.as_deref().cloned()),
            attempts: run.map(|run| self.attempt_views(run)).unwrap_or_default(),
        }
    }

    /// The id of the step that holds a step. A row of a workflow that another one calls stands below that.
    fn holder_of<'a>(&'a self, step: &'a Step) -> Option<&'a str> {
        let parent = &self.plan.steps[step.parent?.index()];
        let around = || step.within().and_then(|within| within.rsplit('.').next());
        if parent.is_row { around() } else { Some(parent.id()) }
    }

    /// The outputs of a step that completed, or where they are.
    fn shown_outputs(&self, id: InstanceId, large: Large) -> (Option<Json>, Option<LargeOutputs>) {
        let outputs = self.outputs_of(id);
        let bytes = outputs.as_ref().map_or(0, Json::len);
        if large == Large::Shown || bytes <= Output::INLINE_MAX {
            return (outputs, None);
        }
        let last = self.instances[id.index()].attempts().last();
        let path = last.and_then(|ended| match &ended.outcome {
            Outcome::Completed(Output::File { path, .. }) => Some(path.clone()),
            Outcome::Completed(Output::Inline(_)) | Outcome::Failed(_) | Outcome::Cancelled => None,
        });
        (None, Some(LargeOutputs { bytes: bytes as u64, path }))
    }

    fn attempt_views(&self, run: &StepRun) -> Vec<AttemptView> {
        let mut attempts: Vec<_> = run.attempts().iter().map(|ended| self.ended_attempt(ended)).collect();
        let stopping = match run.state {
            StepState::Waiting
            | StepState::Retrying { .. }
            | StepState::Handled { .. }
            | StepState::Ended { .. } => return attempts,
            StepState::Running { .. } | StepState::Stopping { .. } if !run.is_live() => return attempts,
            StepState::Running { .. } => None,
            StepState::Stopping { reason, .. } => Some(reason),
        };
        attempts.push(self.live_attempt(run, stopping));
        attempts
    }

    fn ended_attempt(&self, ended: &AttemptEnded) -> AttemptView {
        let (status, error) = match &ended.outcome {
            Outcome::Completed(_) => (StepStatus::Completed, None),
            Outcome::Failed(failure) => (StepStatus::Failed, Some((**failure).clone())),
            Outcome::Cancelled => (StepStatus::Cancelled, None),
        };
        AttemptView {
            attempt: ended.id.attempt,
            status,
            // Of an attempt whose engine died nobody knows.
            started: (!error.as_ref().is_some_and(|error| error.code == Code::EngineCrash))
                .then_some(ended.started),
            exit_code: ended.exit_code,
            signal: ended.signal,
            error,
            stop_reason: ended.stop_reason,
            leftovers_killed: ended.leftovers_killed,
            pids_denied: ended.pids_denied,
            core_dumped: ended.core_dumped,
            unkillable: ended.unkillable,
            usage: ended.usage.clone(),
            limits: ended.limits.clone(),
            isolation: ended.isolation.clone().map(Arc::new).or_else(|| self.isolation.clone()),
        }
    }

    fn live_attempt(&self, run: &StepRun, stop_reason: Option<StopReason>) -> AttemptView {
        AttemptView {
            attempt: run.attempt(),
            status: StepStatus::Running,
            started: None,
            exit_code: None,
            signal: None,
            error: None,
            stop_reason,
            leftovers_killed: None,
            pids_denied: None,
            core_dumped: None,
            unkillable: false,
            usage: Usage::default(),
            limits: Vec::new(),
            isolation: self.isolation.clone(),
        }
    }

    /// What all attempts used together; what none of them knows is not known.
    fn usage(&self, wall_ms: Option<u64>) -> Usage {
        let known = |of: fn(&Usage) -> Option<u64>| {
            self.instances.iter().flat_map(StepRun::attempts).filter_map(move |attempt| of(&attempt.usage))
        };
        // What a journal says may be anything.
        let sum = |of: fn(&Usage) -> Option<u64>| known(of).reduce(u64::saturating_add);
        let most = |of: fn(&Usage) -> Option<u64>| known(of).max();
        Usage {
            wall_ms,
            cpu_user_us: sum(|usage| usage.cpu_user_us),
            cpu_system_us: sum(|usage| usage.cpu_system_us),
            memory_peak_bytes: most(|usage| usage.memory_peak_bytes),
            pids_peak: most(|usage| usage.pids_peak),
            oom_kills: sum(|usage| usage.oom_kills),
            throttled_us: sum(|usage| usage.throttled_us),
            memory_pressure_us: sum(|usage| usage.memory_pressure_us),
            io_read_bytes: sum(|usage| usage.io_read_bytes),
            io_write_bytes: sum(|usage| usage.io_write_bytes),
        }
    }

    /// What holds for the whole run is what held for the weakest of its attempts.
    fn weakest_isolation(&self) -> Option<Isolation> {
        let attempts = self.instances.iter().flat_map(StepRun::attempts);
        let mut weakest = self.isolation.as_deref()?.clone();
        for other in attempts.filter_map(|attempt| attempt.isolation.as_ref()) {
            weakest.memory = weakest.memory.max(other.memory);
            weakest.cpu = weakest.cpu.max(other.cpu);
            weakest.pids = weakest.pids.max(other.pids);
            weakest.io = weakest.io.max(other.io);
            weakest.kill = weakest.kill.max(other.kill);
            weakest.network = weakest.network.max(other.network);
            weakest.filesystem = weakest.filesystem.max(other.filesystem);
            for note in &other.notes {
                if !weakest.notes.contains(note) {
                    weakest.notes.push(note.clone());
                }
            }
        }
        Some(weakest)
    }
}
