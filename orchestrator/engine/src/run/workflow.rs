//! Workflows that others call: their inputs, their values, their outputs. Their steps run as those of a sequence do.

use std::collections::BTreeMap;

use schemas::{
    failure::{Code, Details, Failure},
    json::Json,
};

use super::{
    Moment, Run,
    group::Frame,
    locate::Reader,
    state::{InstanceId, StepResult, failure, missing_output},
};
use crate::{
    plan::{StepKind, Subworkflow},
    value::{self, FillError},
};

/// The values that a definition's references see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) inputs: &'a BTreeMap<String, Json>,
    pub(super) readonly: &'a BTreeMap<String, Json>,
    /// What takes the place of readonly values.
    given: Option<&'a BTreeMap<String, Json>>,
    pub(super) mutable: &'a BTreeMap<String, Json>,
}

impl<'a> Values<'a> {
    /// A value of the readonly context.
    pub(super) fn readonly(&self, name: &str) -> Option<&'a Json> {
        self.given.and_then(|given| given.get(name)).or_else(|| self.readonly.get(name))
    }
}

impl Run {
    /// The values of the definition to which a reader belongs.
    pub(super) fn values(&self, reader: Reader) -> Values<'_> {
        let around = match reader {
            Reader::Run => None,
            Reader::Workflow(id) => Some(id),
            Reader::Step(id) | Reader::Condition(id) | Reader::After(id) => self.workflow_around(id),
        };
        let called = around.and_then(|id| {
            let StepKind::Workflow(called) = &self.step_of(id).kind else { return None };
            Some((called, self.group(Some(id)).frame.as_deref()?))
        });
        match called {
            Some((called, frame)) => Values {
                inputs: &frame.inputs,
                readonly: &called.readonly,
                given: None,
                mutable: &frame.mutable,
            },
            None => Values {
                inputs: &self.created.inputs,
                readonly: &self.plan.readonly,
                given: Some(&self.created.context),
                mutable: &self.mutable,
            },
        }
    }

    /// The mutable context that a step writes.
    pub(super) fn mutable_of(&mut self, id: InstanceId) -> &mut BTreeMap<String, Json> {
        let around = self.workflow_around(id);
        let inner = around.and_then(|around| self.instances[around.index()].group_mut());
        match inner.and_then(|group| group.frame.as_deref_mut()) {
            Some(frame) => &mut frame.mutable,
            None => &mut self.mutable,
        }
    }

    /// The workflow step to whose definition a step belongs.
    fn workflow_around(&self, id: InstanceId) -> Option<InstanceId> {
        let mut holders =
            std::iter::successors(self.instances[id.index()].parent, |id| self.instances[id.index()].parent);
        holders.find(|holder| matches!(self.step_of(*holder).kind, StepKind::Workflow(_)))
    }

    /// Whether the workflows around a step have room for one more that runs.
    pub(super) fn may_start(&self, id: InstanceId) -> bool {
        let mut around = self.workflow_around(id);
        while let Some(workflow) = around {
            if let StepKind::Workflow(called) = &self.step_of(workflow).kind
                && let Some(most) = called.max_concurrent_steps
            {
                let is_inside = |live: &&InstanceId| {
                    let mut holders =
                        std::iter::successors(self.workflow_around(**live), |id| self.workflow_around(*id));
                    holders.any(|holder| holder == workflow)
                };
                if self.live.values().filter(is_inside).count() >= most as usize {
                    return false;
                }
            }
            around = self.workflow_around(workflow);
        }
        true
    }

    pub(super) fn open_workflow(&mut self, id: InstanceId, called: &Subworkflow, moment: &mut Moment<'_>) {
        let inputs = self.given(id, called);
        self.open(id, moment);
        match inputs {
            Ok(inputs) => {
                let frame = Frame { inputs, mutable: called.mutable.clone() };
                self.group_mut(Some(id)).frame = Some(Box::new(frame));
            }
            Err(failure) => self.fail_group(id, *failure, moment),
        }
    }

    /// The inputs of a workflow, defaults filled in; each must have the type that is declared.
    fn given(&self, id: InstanceId, called: &Subworkflow) -> Result<BTreeMap<String, Json>, Box<Failure>> {
        let step = &self.step_of(id).name;
        let filled = called.given.fill(&self.scope(Reader::Step(id)));
        let filled = filled.map_err(|error| failure(step, error.code(), error.to_string()))?;
        let bad = |name: &str, message: String| {
            let details = Details { pointer: Some(format!("/{name}")), ..Details::default() };
            Failure { details, ..failure(step, Code::BadInput, message) }
        };
        let mut inputs = value::members(&filled)
            .ok_or_else(|| failure(step, Code::BadInput, "the inputs are no object".to_owned()))?;
        if let Some(name) = inputs.keys().find(|name| !called.inputs.contains_key(*name)) {
            let message = format!("the workflow `{}` declares no input `{name}`", called.name);
            return Err(bad(name, message).into());
        }
        for (name, declaration) in &called.inputs {
            match (inputs.get(name), &declaration.default) {
                (Some(value), _) => {
                    if let Some(kind) = declaration.kind.filter(|kind| !kind.takes(value)) {
                        let message = format!("the input `{name}` must be of type {}", kind.name());
                        return Err(bad(name, message).into());
                    }
                }
                (None, Some(default)) => {
                    inputs.insert(name.clone(), default.clone());
                }
                (None, None) if declaration.required => {
                    return Err(bad(name, format!("the input `{name}` is required")).into());
                }
                (None, None) => {}
            }
        }
        Ok(inputs)
    }

    /// All steps of a workflow have had their turn. It completes when nothing of it is left in the background.
    pub(super) fn complete_workflow(
        &mut self,
        id: InstanceId,
        called: &Subworkflow,
        moment: &mut Moment<'_>,
    ) {
        if self.group(Some(id)).unsettled > 0 {
            return;
        }
        let outputs: Result<Vec<_>, FillError> = {
            let scope = self.scope(Reader::Workflow(id));
            let outputs = called.outputs.iter();
            outputs.map(|(name, value)| Ok((name.as_str(), value.fill(&scope)?))).collect()
        };
        match outputs {
            Ok(outputs) => {
                let result = value::object(&outputs);
                let step = self.step_of(id);
                let result = match value::missing_output(&result, &step.outputs) {
                    Some(name) => StepResult::Failed(missing_output(&step.name, &name).into()),
                    None => StepResult::Completed(result),
                };
                self.end(id, result, moment);
            }
            Err(error) => {
                let failure = failure(&self.step_of(id).name, error.code(), error.to_string());
                self.fail_group(id, failure, moment);
            }
        }
    }
}
