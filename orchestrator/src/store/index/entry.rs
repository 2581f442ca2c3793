//! What the index knows of a run, and which runs somebody wants to see.

use jiff::Timestamp;
use schemas::view::{RunStatus, RunView};
use serde::{Deserialize, Serialize};

use crate::store::names::RunId;

/// What the index knows of a run: a row of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Id of the run.
    pub run_id: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Version of the workflow.
    pub version: String,
    /// Where the run stood when the line was written. If that is not an end, only the run itself knows
    /// better: its owner may have died.
    pub status: RunStatus,
    /// `manual`, `schedule:<id>` or `workflow:<run>`.
    pub trigger: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first step could start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Time from start to end by the monotonic clock.
    pub duration_ms: Option<u64>,
}

impl Entry {
    /// The row of a run view; `None` if its id is none.
    pub fn of<Steps>(view: &RunView<Steps>) -> Option<Self> {
        Some(Self {
            run_id: view.run_id.parse().ok()?,
            workflow: view.workflow.clone(),
            version: view.version.clone(),
            status: view.status,
            trigger: view.trigger.clone(),
            created_at: view.created_at,
            started_at: view.started_at,
            finished_at: view.finished_at,
            duration_ms: view.duration_ms,
        })
    }
}

/// Which runs somebody wants to see; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those that ended so, or that have not ended by their last line: whoever asks must look at them.
    pub status: Option<RunStatus>,
    /// Only those created at this moment or later.
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Whether a run is wanted; `None` if the moment of its creation is needed and not known.
    pub(super) fn wants(
        &self,
        workflow: &str,
        status: RunStatus,
        created_at: impl FnOnce() -> Option<Timestamp>,
    ) -> Option<bool> {
        let so_named = self.workflow.as_ref().is_none_or(|wanted| wanted == workflow);
        let so_ended = self.status.is_none_or(|wanted| wanted == status || !status.is_ended());
        let so_new = match self.since {
            Some(since) => created_at()? >= since,
            None => true,
        };
        Some(so_named && so_ended && so_new)
    }
}
