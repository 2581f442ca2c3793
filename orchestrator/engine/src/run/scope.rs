//! What references of a run resolve to.

use std::collections::BTreeMap;

use schemas::{json::Json, view::StepStatus};

use super::{
    Run,
    locate::Reader,
    rollback::Undone,
    state::{InstanceId, StepResult, StepRun, StepState},
};
use crate::{
    plan::StepId,
    value::{self, Root, Scope, Segment},
};

/// What is known of a step.
const RECORD: [&str; 7] =
    ["status", "outputs", "attempts", "error", "started_at", "finished_at", "duration_ms"];
/// What is known of the run.
const RUN: [&str; 3] = ["id", "attempt", "scheduled_at"];

/// Bytes of the record of a step besides its outputs.
const BYTES_A_RECORD: usize = 256;

/// Steps of a definition by their ids.
type Steps = BTreeMap<String, StepId>;

/// The names that a template may use, at this moment of the run.
#[derive(Debug)]
pub(super) struct RunScope<'a> {
    run: &'a Run,
    reader: Reader,
}

impl Run {
    pub(super) fn scope(&self, reader: Reader) -> RunScope<'_> {
        RunScope { run: self, reader }
    }

    pub(super) fn step_status(step: &StepRun) -> StepStatus {
        if step.undone == Undone::Done {
            return StepStatus::RolledBack;
        }
        match &step.state {
            StepState::Waiting | StepState::Retrying { .. } => StepStatus::Waiting,
            StepState::Handled { .. } | StepState::Running { .. } | StepState::Stopping { .. } => {
                StepStatus::Running
            }
            StepState::Ended { result: StepResult::Completed(_) | StepResult::Grouped, .. } => {
                StepStatus::Completed
            }
            StepState::Ended { result: StepResult::Failed(_), .. } => StepStatus::Failed,
            StepState::Ended { result: StepResult::Cancelled, .. } => StepStatus::Cancelled,
            StepState::Ended { result: StepResult::Skipped(_), .. } => StepStatus::Skipped,
        }
    }
}

impl RunScope<'_> {
    /// The context as one object: mutable before readonly, `--context` before the definition.
    pub(super) fn context(&self) -> Json {
        let values = self.run.values(self.reader);
        let mutable = values.mutable;
        let readonly = values.readonly.keys().filter_map(|name| Some((name, values.readonly(name)?)));
        let members: Vec<_> = mutable
            .iter()
            .chain(readonly.filter(|(name, _)| !mutable.contains_key(*name)))
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        value::object(&members)
    }

    fn context_value(&self, name: &str) -> Option<Json> {
        let values = self.run.values(self.reader);
        values.mutable.get(name).or_else(|| values.readonly(name)).cloned()
    }

    fn step_output(&self, step: StepId, name: &str) -> Option<Json> {
        self.run.output(self.run.locate(self.reader, step)?, name)
    }

    fn step_record(&self, step: StepId, member: &str) -> Option<Json> {
        self.record_of(self.run.locate(self.reader, step)?, member)
    }

    fn record_of(&self, id: InstanceId, member: &str) -> Option<Json> {
        let newest = &self.run.instances[id.index()];
        match member {
            "status" => Json::from_serialize(&Run::step_status(newest)).ok(),
            "outputs" => self.run.outputs_of(id),
            "attempts" if newest.started.is_none() => Json::from_serialize(&0).ok(),
            "attempts" => Json::from_serialize(&newest.attempt()).ok(),
            "error" => match &newest.state {
                StepState::Ended { result: StepResult::Failed(failure), .. }
                | StepState::Handled { failure, .. } => Json::from_serialize(failure).ok(),
                StepState::Ended { .. }
                | StepState::Waiting
                | StepState::Retrying { .. }
                | StepState::Running { .. }
                | StepState::Stopping { .. } => Some(Json::null()),
            },
            "started_at" => Json::from_serialize(&newest.started.map(|now| now.wall)).ok(),
            "finished_at" | "duration_ms" => {
                let StepState::Ended { at, .. } = &newest.state else { return Some(Json::null()) };
                if member == "finished_at" {
                    Json::from_serialize(&at.wall).ok()
                } else {
                    Json::from_serialize(&newest.started.map(|started| at.millis_since(&started))).ok()
                }
            }
            _ => None,
        }
    }

    /// Everything that is known of a step; its outputs, if it has any.
    fn whole_record(&self, step: StepId) -> Option<Json> {
        self.run.locate(self.reader, step).map(|id| self.whole_record_of(id))
    }

    fn whole_record_of(&self, id: InstanceId) -> Json {
        let value = |member: &'static str| (member, self.record_of(id, member).unwrap_or_else(Json::null));
        value::object(&RECORD.map(value))
    }

    /// Those of some steps that the reader may look up by their names.
    fn ended<'s>(&self, steps: &'s Steps) -> impl Iterator<Item = (&'s str, InstanceId)> {
        steps
            .iter()
            .filter_map(|(name, step)| Some((name.as_str(), self.run.ended_before(self.reader, *step)?)))
    }

    /// The records of steps, or what a path leads to in them.
    fn records(&self, steps: &Steps, path: &[Segment]) -> Option<Json> {
        let Some((first, rest)) = path.split_first() else {
            let records: Vec<_> =
                self.ended(steps).map(|(name, id)| (name, self.whole_record_of(id))).collect();
            return Some(value::object(&records));
        };
        let Segment::Key(name) = first else { return None };
        let id = self.run.ended_before(self.reader, *steps.get(name)?)?;
        match rest.split_first() {
            None => Some(self.whole_record_of(id)),
            Some((Segment::Key(field), rest)) => value::select(&self.record_of(id, field)?, rest),
            Some((Segment::Index(_), _)) => None,
        }
    }

    /// Bytes that must be read for that; a step that is looked for counts as some.
    fn weight_of_records(&self, steps: &Steps, path: &[Segment]) -> usize {
        match path {
            [] => self.ended(steps).map(|(_, id)| self.run.weight(id) + BYTES_A_RECORD).sum(),
            [Segment::Key(_), Segment::Key(field), ..] if field != "outputs" => BYTES_A_RECORD,
            [Segment::Key(name), ..] => {
                let id = steps.get(name).and_then(|step| self.run.ended_before(self.reader, *step));
                id.map_or(0, |id| self.run.weight(id)) + BYTES_A_RECORD
            }
            [Segment::Index(_), ..] => 0,
        }
    }

    fn item(&self, of: StepId) -> Option<Json> {
        let (id, turn) = self.run.turn_in(self.reader, of)?;
        self.run.group(Some(id)).turn(turn)?.item.clone()
    }

    fn turn_number(&self, of: StepId) -> Option<Json> {
        let (_, turn) = self.run.turn_in(self.reader, of)?;
        Json::from_serialize(&turn).ok()
    }

    fn run_value(&self, name: &str) -> Option<Json> {
        let created = &self.run.created;
        match name {
            "id" => Json::from_serialize(&created.run_id).ok(),
            "attempt" => Json::from_serialize(&1).ok(),
            "scheduled_at" => Json::from_serialize(&created.scheduled_at).ok(),
            _ => None,
        }
    }
}

impl Scope for RunScope<'_> {
    fn resolve(&self, root: &Root, path: &[Segment]) -> Option<Json> {
        if matches!(root, Root::Context) && path.is_empty() {
            return Some(self.context());
        }
        if matches!(root, Root::Inputs) && path.is_empty() {
            let bound = ["error", "step"];
            let bound: Vec<_> = bound
                .into_iter()
                .filter_map(|name| Some((name, self.run.bound_input(self.reader, name)?)))
                .collect();
            let own = self
                .run
                .values(self.reader)
                .inputs
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone()));
            let own = own.filter(|(name, _)| !bound.iter().any(|(bound, _)| bound == name));
            let inputs: Vec<_> = own.chain(bound.iter().cloned()).collect();
            return Some(value::object(&inputs));
        }
        if path.is_empty() {
            match root {
                Root::StepRecord(step) => return self.whole_record(*step),
                Root::Step(step) => return self.run.outputs_of(self.run.locate(self.reader, *step)?),
                Root::Run => {
                    let value = |member: &'static str| Some((member, self.run_value(member)?));
                    return Some(value::object(
                        &RUN.iter().filter_map(|member| value(member)).collect::<Vec<_>>(),
                    ));
                }
                Root::Steps(_)
                | Root::StepIds(_)
                | Root::Context
                | Root::Inputs
                | Root::Item(_)
                | Root::Index(_) => {}
            }
        }
        match root {
            Root::Steps(steps) => return self.records(steps, path),
            Root::StepIds(steps) => {
                let ids: Vec<_> = self.ended(steps).map(|(name, _)| name).collect();
                return Json::from_serialize(&ids).ok().filter(|_| path.is_empty());
            }
            Root::Item(of) => return value::select(&self.item(*of)?, path),
            Root::Index(of) => return self.turn_number(*of).filter(|_| path.is_empty()),
            Root::Step(_) | Root::StepRecord(_) | Root::Context | Root::Inputs | Root::Run => {}
        }
        let (Segment::Key(first), rest) = path.split_first()? else { return None };
        let value = match root {
            Root::Step(step) => self.step_output(*step, first)?,
            Root::StepRecord(step) => self.step_record(*step, first)?,
            Root::Context => self.context_value(first)?,
            Root::Inputs => match self.run.bound_input(self.reader, first) {
                Some(bound) => bound,
                None => self.run.values(self.reader).inputs.get(first)?.clone(),
            },
            Root::Run => self.run_value(first)?,
            // Above.
            Root::Item(_) | Root::Index(_) | Root::Steps(_) | Root::StepIds(_) => return None,
        };
        value::select(&value, rest)
    }

    fn weight(&self, root: &Root, path: &[Segment]) -> usize {
        let whole = match (root, path) {
            (Root::Step(step) | Root::StepRecord(step), _) => {
                self.run.locate(self.reader, *step).map(|id| self.run.weight(id))
            }
            (Root::Context, [Segment::Key(name), ..]) => self.context_value(name).map(|value| value.len()),
            (Root::Inputs, [Segment::Key(name), ..]) => {
                self.run.values(self.reader).inputs.get(name).map(Json::len)
            }
            (Root::Item(of), _) => self.item(*of).map(|item| item.len()),
            (Root::Steps(steps), path) => Some(self.weight_of_records(steps, path)),
            (Root::StepIds(steps), _) => Some(steps.len() * BYTES_A_RECORD),
            (Root::Context | Root::Inputs | Root::Run | Root::Index(_), _) => None,
        };
        whole.unwrap_or(0)
    }
}
