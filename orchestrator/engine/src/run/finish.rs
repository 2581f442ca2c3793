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
    /// Says whether something begins before that.
    pub(super) fn conclude(&mut self, moment: &mut Moment<'_>) -> bool {
        if self.root.unsettled > 0 {
            return false;
        }
        match self.phase {
            Phase::Running { since } => {
                let end = self.complete();
                self.wind_up(end, since, moment)
            }
            Phase::Stopping { since, end: End::RolledBack } => {
                self.phase = Phase::RollingBack { since };
                self.begin_rollback(None, moment);
                true
            }
            Phase::Stopping { since, end } => self.wind_up(end, since, moment),
            Phase::RollingBack { since } => self.roll_back(since, moment),
            Phase::Finalizing { since, end, row } => {
                self.finalize(end, since, row, moment);
                false
            }
            Phase::Queued | Phase::Ended { .. } => false,
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

    /// Every step has ended well; the outputs say whether the run does.
    fn complete(&mut self) -> End {
        let outputs: Result<Vec<_>, FillError> = {
            let scope = self.scope(Reader::Run);
            let outputs = self.plan.outputs.iter();
            outputs.map(|(name, value)| Ok((name.as_str(), value.fill(&scope)?))).collect()
        };
        match outputs {
            Ok(outputs) => {
                self.outputs = Some(value::object(&outputs));
                End::Completed
            }
            Err(error) => {
                self.fail(Failure {
                    step: None,
                    code: error.code(),
                    message: error.to_string(),
                    retryable: error.code().retryable(),
                    details: Details::default(),
                });
                End::Failed
            }
        }
    }
}
