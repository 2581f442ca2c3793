//! The end of a run.

use schemas::{
    failure::{Details, Failure},
    journal::Now,
};

use super::{
    Moment, Run,
    action::{Action, Notice},
    locate::Reader,
    state::{End, Phase},
};
use crate::value::{self, FillError};

impl Run {
    /// Ends the run when nothing is left to wait for: what runs in the background is waited for too.
    pub(super) fn conclude(&mut self, moment: &mut Moment<'_>) {
        if self.root.unsettled > 0 {
            return;
        }
        match self.phase {
            Phase::Running { since } => self.complete(since, moment),
            Phase::Stopping { since, end } => self.finish(end, Some(since), moment),
            Phase::Queued | Phase::Ended { .. } => {}
        }
    }

    pub(super) fn finish(&mut self, end: End, since: Option<Now>, moment: &mut Moment<'_>) {
        self.phase = Phase::Ended { since, at: moment.now, end };
        moment.actions.push(Action::Notice(Notice::RunEnded {
            status: end.status(),
            error: self.error.clone().map(Box::new),
            duration_ms: since.map(|since| moment.now.millis_since(&since)),
        }));
        moment.actions.push(Action::Finish { status: end.status() });
    }

    fn complete(&mut self, since: Now, moment: &mut Moment<'_>) {
        let outputs: Result<Vec<_>, FillError> = {
            let scope = self.scope(Reader::Run);
            let outputs = self.plan.outputs.iter();
            outputs.map(|(name, value)| Ok((name.as_str(), value.fill(&scope)?))).collect()
        };
        match outputs {
            Ok(outputs) => {
                self.outputs = Some(value::object(&outputs));
                self.finish(End::Completed, Some(since), moment);
            }
            Err(error) => {
                self.fail(Failure {
                    step: None,
                    code: error.code(),
                    message: error.to_string(),
                    retryable: error.code().retryable(),
                    details: Details::default(),
                });
                self.finish(End::Failed, Some(since), moment);
            }
        }
    }
}
