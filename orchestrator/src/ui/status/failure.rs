//! Why a run failed, and what else went wrong in it.

use std::fmt::Write as _;

use schemas::{
    failure::{Code, Failure},
    view::{RunView, StepStatus},
};

use super::tree;
use crate::ui::{
    quantity,
    style::{Paint, paint},
    text::{escape, wrap},
};

/// Causes of causes are told down to this depth.
const DEPTH: usize = 4;

/// The first failure of the run with everything that is known of it, then a line for each other.
pub(super) fn why(view: &RunView, columns: usize) -> String {
    let mut section = Section { text: String::new(), columns };
    if let Some(error) = &view.error {
        section.failure("error", error, 0);
    }
    for step in &view.steps {
        let label = tree::label(step);
        if let Some(error) = step.error.as_ref().filter(|error| Some(*error) != view.error.as_ref()) {
            let told = view.error.as_ref().is_some_and(|first| first.details.causes.contains(error));
            if !told {
                section.line(0, &format!("{label}: {}: {}", error.code.as_str(), error.message));
            }
        }
        if step.status == StepStatus::Skipped
            && let Some(reason) = &step.skip_reason
        {
            section.line(0, &format!("{label}: skipped: {reason}"));
        }
    }
    section.text
}

/// One failure with everything that is known of it, and its causes.
pub fn drawn(failure: &Failure, columns: usize) -> String {
    let mut section = Section { text: String::new(), columns };
    section.failure("error", failure, 0);
    section.text
}

struct Section {
    text: String,
    columns: usize,
}

impl Section {
    fn failure(&mut self, word: &str, failure: &Failure, depth: usize) {
        let step = failure.step.as_ref().map(|step| format!("step {step}: ")).unwrap_or_default();
        let told = format!("{word}: {step}{}: {}", failure.code.as_str(), failure.message);
        // The word is painted where it stands at the beginning of a line, which is always.
        let before = self.text.len() + 2 * depth;
        self.line(depth, &told);
        self.text.replace_range(before..before + word.len(), &paint(Paint::Bad, word));
        for fact in facts(failure) {
            self.line(depth + 1, &fact);
        }
        if !failure.details.stderr.is_empty() {
            self.line(depth + 1, "last lines on stderr:");
            for line in &failure.details.stderr {
                self.quote(depth + 1, line);
            }
        }
        if depth < DEPTH {
            for cause in &failure.details.causes {
                self.failure("cause", cause, depth + 1);
            }
        }
    }

    /// Adds text from anywhere, broken into lines; all but the first stand further in.
    fn line(&mut self, depth: usize, text: &str) {
        let indent = " ".repeat(2 * depth);
        let room = self.columns.saturating_sub(indent.len() + 2);
        for (number, line) in wrap(&escape(text), room).iter().enumerate() {
            let more = if number == 0 { "" } else { "  " };
            let _infallible = writeln!(self.text, "{indent}{more}{line}");
        }
    }

    /// Adds a line that a program wrote: each piece is marked, so that it cannot pass for ours.
    fn quote(&mut self, depth: usize, text: &str) {
        let indent = " ".repeat(2 * depth);
        let room = self.columns.saturating_sub(indent.len() + 2);
        for line in wrap(&escape(text), room) {
            self.text.push_str(format!("{indent}| {line}").trim_end());
            self.text.push('\n');
        }
    }
}

/// What is known beyond the message.
fn facts(failure: &Failure) -> Vec<String> {
    let details = &failure.details;
    let mut facts = Vec::new();
    match (details.limit, details.peak) {
        (Some(limit), Some(peak)) => {
            facts.push(format!("limit {}, peak {}", amount(failure.code, limit), amount(failure.code, peak)));
        }
        (Some(limit), None) => facts.push(format!("limit {}", amount(failure.code, limit))),
        (None, Some(peak)) => facts.push(format!("peak {}", amount(failure.code, peak))),
        (None, None) => {}
    }
    facts.extend(details.exit_code.map(|code| format!("exit code {code}")));
    facts.extend(details.signal.map(|signal| format!("signal {signal}")));
    if let Some(stage) = &details.stage {
        let errno = details.errno.map(|errno| format!(", error number {errno}")).unwrap_or_default();
        facts.push(format!("at stage {stage}{errno}"));
    }
    if details.started == Some(false) {
        facts.push("its program never started".to_owned());
    }
    facts.extend(details.skill_code.as_ref().map(|code| format!("the skill's code: {code}")));
    facts.extend(details.pointer.as_ref().filter(|at| !at.is_empty()).map(|at| format!("at {at}")));
    facts
}

/// A limit in the unit of what it limits.
fn amount(code: Code, value: u64) -> String {
    match code {
        Code::Oom | Code::OutputTooLarge | Code::FileSizeExceeded => quantity::bytes(value),
        Code::Timeout | Code::IdleTimeout | Code::CpuTimeExceeded => quantity::millis(value),
        Code::ExitCode
        | Code::Signal
        | Code::PidsExceeded
        | Code::SandboxDenied
        | Code::SandboxError
        | Code::ProtocolError
        | Code::BadInput
        | Code::BadOutput
        | Code::MissingOutput
        | Code::MissingReference
        | Code::ExpressionError
        | Code::MaxIterationsExceeded
        | Code::ChildFailed
        | Code::GuardrailExceeded
        | Code::AgentError
        | Code::SkillNotFound
        | Code::SkillError
        | Code::EngineCrash
        | Code::Cancelled => value.to_string(),
    }
}
