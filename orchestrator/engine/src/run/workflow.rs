//! Workflows that others call: their inputs, their values, their outputs. Their steps run as those of a sequence do.

use std::collections::BTreeMap;

use schemas::{
    failure::{Code, Details, Failure},
    json::Json,
};

use super::{
    Moment, Run,
    aside::Aside,
    group::{Closing, Frame},
    locate::Reader,
    state::{InstanceId, StepResult, failure, missing_output},
};
use crate::{
    plan::{StepKind, Subworkflow},
    value::{self, FillError, Template},
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

/// Variables, and a working directory.
type Environment = (Vec<(String, String)>, Option<String>);

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
    pub(super) fn workflow_around(&self, id: InstanceId) -> Option<InstanceId> {
        let mut at = id;
        loop {
            let run = &self.instances[at.index()];
            let holder = match (run.parent, run.aside) {
                (Some(parent), _) => parent,
                // A row beside the run belongs to the definition of the step for which it runs.
                (None, Some(Aside::Handles(of) | Aside::Undoes(of))) => {
                    at = of;
                    continue;
                }
                (None, Some(Aside::AfterUndo(of) | Aside::Finally(of))) => of?,
                (None, None) => return None,
            };
            if let StepKind::Workflow(_) = self.step_of(holder).kind {
                return Some(holder);
            }
            at = holder;
        }
    }

    /// Whether a step belongs to a workflow that another one calls, however deep.
    pub(super) fn is_inside(&self, id: InstanceId, workflow: InstanceId) -> bool {
        let mut around = std::iter::successors(self.workflow_around(id), |id| self.workflow_around(*id));
        around.any(|holder| holder == workflow)
    }

    /// Whether the workflows around a step have room for one more that runs.
    pub(super) fn may_start(&self, id: InstanceId) -> bool {
        let mut around = self.workflow_around(id);
        while let Some(workflow) = around {
            if let StepKind::Workflow(called) = &self.step_of(workflow).kind
                && let Some(most) = called.max_concurrent_steps
            {
                let is_inside = |live: &&InstanceId| self.is_inside(**live, workflow);
                if self.live.values().filter(is_inside).count() >= most as usize {
                    return false;
                }
            }
            around = self.workflow_around(workflow);
        }
        true
    }

    pub(super) fn open_workflow(&mut self, id: InstanceId, called: &Subworkflow, moment: &mut Moment<'_>) {
        let frame = self.frame_of(id, called);
        self.open(id, moment);
        match frame {
            Ok(frame) => {
                self.group_mut(Some(id)).frame = Some(Box::new(frame));
            }
            Err(failure) => self.fail_group(id, *failure, moment),
        }
    }

    fn frame_of(&self, id: InstanceId, called: &Subworkflow) -> Result<Frame, Box<Failure>> {
        let inputs = self.given(id, called)?;
        let filled = self.environment(id, &called.env, called.cwd.as_ref());
        let (env, cwd) =
            filled.map_err(|error| failure(&self.step_of(id).name, error.code(), error.to_string()))?;
        Ok(Frame { inputs, mutable: called.mutable.clone(), env, cwd, ..Frame::default() })
    }

    /// Environment and directory of a step: its own, filled in, over those of the workflow to which it belongs.
    pub(super) fn environment(
        &self,
        id: InstanceId,
        own: &[(String, Template)],
        cwd: Option<&Template>,
    ) -> Result<Environment, FillError> {
        let frame = self.workflow_around(id).and_then(|around| self.group(Some(around)).frame.as_deref());
        let scope = self.scope(Reader::Step(id));
        let mut env = frame.map(|frame| frame.env.clone()).unwrap_or_default();
        for (name, value) in own {
            let value = value.fill_text(&scope)?;
            env.retain(|(known, _)| known != name);
            env.push((name.clone(), value));
        }
        let cwd = cwd.map(|cwd| cwd.fill_text(&scope)).transpose()?;
        Ok((env, cwd.or_else(|| frame.and_then(|frame| frame.cwd.clone()))))
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
            match (inputs.get_mut(name), &declaration.default) {
                (Some(value), _) => match declaration.kind.map(|kind| (kind, kind.read(value))) {
                    Some((_, Some(read))) => *value = read,
                    Some((kind, None)) => {
                        let message = format!("the input `{name}` must be of type {}", kind.name());
                        return Err(bad(name, message).into());
                    }
                    None => {}
                },
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
        let failure = match outputs {
            Ok(outputs) => {
                let result = value::object(&outputs);
                let step = self.step_of(id);
                let Some(name) = value::missing_output(&result, &step.outputs) else {
                    return self.called_completes(id, result, moment);
                };
                missing_output(&step.name, &name)
            }
            Err(error) => failure(&self.step_of(id).name, error.code(), error.to_string()),
        };
        self.fail_group(id, failure, moment);
    }

    /// The steps of a workflow are over, and well; its last steps may follow.
    fn called_completes(&mut self, id: InstanceId, result: Json, moment: &mut Moment<'_>) {
        if let Some(frame) = &mut self.group_mut(Some(id)).frame {
            frame.result = Some(result);
        }
        self.close(id, Closing::Completed, moment);
    }

    /// Everything of a workflow is over, and well.
    pub(super) fn complete_called(&mut self, id: InstanceId, moment: &mut Moment<'_>) {
        let frame = self.group(Some(id)).frame.as_deref();
        let result = frame.and_then(|frame| frame.result.clone()).unwrap_or_else(|| value::object(&[]));
        self.end_well(id, StepResult::Completed(result), moment);
    }
}
