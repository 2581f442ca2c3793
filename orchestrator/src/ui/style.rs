//! Colours. They only underline what the words say: whoever prints takes them off where nobody wants them
//! (`anstream` does), and nothing is lost.

use owo_colors::OwoColorize as _;
use schemas::view::{RunStatus, StepStatus};

/// How a piece of text is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// Stands back.
    Dim,
    /// Stands out.
    Strong,
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Goes on.
    Active,
    /// Wants attention.
    Odd,
}

/// Paints a piece of text that is harmless already.
pub fn paint(paint: Paint, text: &str) -> String {
    match paint {
        Paint::Plain => text.to_owned(),
        Paint::Dim => text.dimmed().to_string(),
        Paint::Strong => text.bold().to_string(),
        Paint::Good => text.green().to_string(),
        Paint::Bad => text.red().to_string(),
        Paint::Active => text.cyan().to_string(),
        Paint::Odd => text.yellow().to_string(),
    }
}

/// The paint of a run's status.
pub fn of_run(status: RunStatus) -> Paint {
    match status {
        RunStatus::Completed => Paint::Good,
        RunStatus::Failed | RunStatus::RollbackFailed => Paint::Bad,
        RunStatus::Cancelled | RunStatus::RolledBack | RunStatus::Interrupted | RunStatus::Stopping => {
            Paint::Odd
        }
        RunStatus::Queued | RunStatus::Running | RunStatus::RollingBack => Paint::Active,
    }
}

/// The paint of a step's status.
pub fn of_step(status: StepStatus) -> Paint {
    match status {
        StepStatus::Completed => Paint::Good,
        StepStatus::Failed => Paint::Bad,
        StepStatus::Cancelled | StepStatus::RolledBack => Paint::Odd,
        StepStatus::Running | StepStatus::Waiting => Paint::Active,
        StepStatus::Pending | StepStatus::Skipped => Paint::Dim,
    }
}

/// Takes every colour off.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
