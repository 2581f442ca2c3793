//! What a step writes into the mutable context when it completes: all values are filled in first, then stored, so
//! that each sees the context as it was.

use schemas::{
    failure::{Code, Details, Failure},
    json::Json,
};

use super::{
    Run,
    locate::Reader,
    state::{InstanceId, StepResult, StepState, failure},
};

/// Most bytes of one value: a text that doubles in each turn of a loop ends here.
const MAX_VALUE: usize = 16 << 20;

impl Run {
    /// Stores what a step assigns that ended with `result`. How it ends then: a value that cannot be filled in is its
    /// failure.
    pub(super) fn assign(&mut self, id: InstanceId, result: StepResult) -> StepResult {
        let is_well = matches!(result, StepResult::Completed(_) | StepResult::Grouped);
        if !is_well || self.step_of(id).assign.is_empty() {
            return result;
        }
        match self.assigned(id) {
            Ok(values) => {
                self.mutable_of(id).extend(values);
                result
            }
            Err(failure) => {
                let result = StepResult::Failed(failure);
                if let StepState::Ended { result: kept, .. } = &mut self.instances[id.index()].state {
                    *kept = result.clone();
                }
                result
            }
        }
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
