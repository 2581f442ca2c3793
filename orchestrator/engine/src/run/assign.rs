//! What a step writes into the mutable context when it completes: all values are filled in first, then stored, so
//! that each sees the context as it was.

use schemas::{
    failure::{Code, Details, Failure},
    journal::{Now, Outcome},
    json::Json,
};

use super::{
    Moment, Run,
    locate::Reader,
    state::{Body, InstanceId, StepResult, StepState, failure},
};

/// Most bytes of one value: a text that doubles in each turn of a loop ends here.
const MAX_VALUE: usize = 16 << 20;

impl Run {
    /// A turn of a step is through, and well: it assigns, and ends. A value that cannot be filled in is a failure,
    /// which meets the strategies of the step.
    pub(super) fn end_well(&mut self, id: InstanceId, result: StepResult, moment: &mut Moment<'_>) {
        let Err(failure) = self.assign(id, &result, moment.now) else { return self.end(id, result, moment) };
        match &mut self.instances[id.index()].body {
            // What it left in the background is ended first.
            Body::Group(_) => self.fail_group(id, *failure, moment),
            Body::Attempts(attempts) => {
                if let Some(last) = attempts.last_mut() {
                    last.outcome = Outcome::Failed(failure.clone());
                }
                self.take_failure(id, failure, moment);
            }
        }
    }

    /// Stores what a step assigns that ends with `result`.
    pub(super) fn assign(
        &mut self,
        id: InstanceId,
        result: &StepResult,
        now: Now,
    ) -> Result<(), Box<Failure>> {
        if self.step_of(id).assign.is_empty() {
            return Ok(());
        }
        // The values see the step as it is when it has ended.
        let ended = StepState::Ended { at: now, result: result.clone() };
        let before = std::mem::replace(&mut self.instances[id.index()].state, ended);
        let values = self.assigned(id);
        self.instances[id.index()].state = before;
        self.mutable_of(id).extend(values?);
        Ok(())
    }

    fn assigned(&self, id: InstanceId) -> Result<Vec<(String, Json)>, Box<Failure>> {
        let step = self.step_of(id);
        let scope = self.scope(Reader::After(id));
        let mut values = Vec::with_capacity(step.assign.len());
        for (key, template) in &step.assign {
            let value = template
                .fill(&scope)
                .map_err(|error| failure(&step.name, error.code(), format!("`assign.{key}`: {error}")))?;
            if value.len() > MAX_VALUE {
                return Err(too_large(&step.name, key, value.len()).into());
            }
            values.push((key.clone(), value));
        }
        Ok(values)
    }
}

fn too_large(step: &str, key: &str, size: usize) -> Failure {
    let message = format!("`assign.{key}`: {size} bytes are more than a key of the context may hold");
    let details = Details { limit: Some(MAX_VALUE as u64), peak: Some(size as u64), ..Details::default() };
    Failure { details, ..failure(step, Code::OutputTooLarge, message) }
}
