//! The end of a run.

use schemas::journal::Now;

use super::{
    Run,
    action::{Action, Notice},
    state::{End, Phase},
};

impl Run {
    pub(super) fn finish(&mut self, end: End, since: Option<Now>, now: Now, actions: &mut Vec<Action>) {
        self.phase = Phase::Ended { since, at: now, end };
        actions.push(Action::Notice(Notice::RunEnded {
            status: end.status(),
            error: self.error.clone().map(Box::new),
            duration_ms: since.map(|since| now.millis_since(&since)),
        }));
        actions.push(Action::Finish { status: end.status() });
    }
}
