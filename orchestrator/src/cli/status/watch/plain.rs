//! `--watch` where nothing can be drawn anew: a line for whatever changed.

use std::{collections::HashMap, fmt::Write as _};

use schemas::view::{RunStatus, RunView, StepStatus};

use crate::ui::{quantity, status::label, text::escape};

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Told {
    run: Option<RunStatus>,
    steps: HashMap<(String, Vec<u32>), StepStatus>,
}

impl Told {
    /// The lines of what changed since the last time.
    pub(super) fn news(&mut self, view: &RunView) -> String {
        let mut text = String::new();
        if self.run.is_none() {
            let _infallible = writeln!(text, "run {} of {}", escape(&view.run_id), escape(&view.workflow));
        }
        for step in &view.steps {
            let known = self.steps.insert((step.full_name(), step.iteration.clone()), step.status);
            if known == Some(step.status) || step.status == StepStatus::Pending {
                continue;
            }
            let took = step.duration_ms.map(|ms| format!(" ({})", quantity::millis(ms))).unwrap_or_default();
            let why = step
                .error
                .as_ref()
                .map(|error| format!(": {}: {}", error.code.as_str(), escape(&error.message)));
            let _infallible =
                writeln!(text, "  {} {}{took}{}", escape(&label(step)), step.status, why.unwrap_or_default());
        }
        if self.run != Some(view.status) {
            self.run = Some(view.status);
            let took = view.duration_ms.map(|ms| format!(" ({})", quantity::millis(ms))).unwrap_or_default();
            let _infallible = writeln!(text, "{}{took}", view.status);
        }
        text
    }
}
