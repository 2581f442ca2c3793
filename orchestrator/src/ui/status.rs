//! A run on one screen: where it stands, its steps as a tree, why it failed, what held it.

mod branch;
mod failure;
mod limits;
mod tree;
mod usage;

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use schemas::view::{RunStatus, RunView, StepStatus, StepView};

use super::{
    quantity,
    style::{self, Paint, paint},
    text::{escape, shorten, wrap},
};

pub use self::{
    branch::{Branch, branches},
    failure::drawn as failure,
    tree::label,
};

/// For whom it is drawn.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Columns of his terminal.
    pub columns: usize,
    /// His time zone.
    pub zone: TimeZone,
    /// His clock: what runs now has run until this moment.
    pub now: Timestamp,
}

/// Draws a run.
pub fn render(view: &RunView, reader: &Reader) -> String {
    let mut sections = vec![head(view, reader)];
    sections.push(tree::steps(view, reader));
    sections.push(agents(view, reader.columns));
    sections.push(tree::rollback(view, reader));
    sections.push(failure::why(view, reader.columns));
    sections.push(outputs(view, reader.columns));
    sections.push(usage::usage(view, reader.columns));
    sections.push(limits::limits(view, reader.columns));
    sections.push(limits::isolation(view, reader.columns));
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

/// What agents did and used, also those that run.
fn agents(view: &RunView, columns: usize) -> String {
    let used = view.steps.iter().filter_map(|step| Some((step, step.agent.as_ref()?)));
    let mut text = String::new();
    for (step, agent) in used {
        let line = format!("{}: {}", escape(&tree::label(step)), crate::ui::agent::line(agent));
        text.extend(wrap(&line, columns).iter().map(|line| format!("{line}\n")));
    }
    text
}

fn head(view: &RunView, reader: &Reader) -> String {
    let name = format!("{} {}", escape(&view.workflow), escape(&view.version));
    let status = paint(style::of_run(view.status), view.status.as_str());
    let took = view.duration_ms.or_else(|| elapsed(view.started_at, reader.now)).map(quantity::millis);
    let mut head = format!("run {}\n{}: {status}", escape(&view.run_id), paint(Paint::Strong, &name));
    if let Some(took) = took.filter(|_| view.status != RunStatus::Interrupted) {
        let word = if view.status.is_ended() { "in" } else { "for" };
        let _infallible = write!(head, " {word} {took}");
    }
    let _infallible = writeln!(
        head,
        "\ncreated {} ({})",
        quantity::moment(view.created_at, &reader.zone),
        escape(&view.trigger)
    );
    for line in progress(view).into_iter().chain(advice(view)) {
        head.extend(wrap(&line, reader.columns).iter().map(|line| format!("{line}\n")));
    }
    head
}

/// Milliseconds from a moment of the past until now.
pub fn elapsed(since: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    let millis = now.as_millisecond().saturating_sub(since?.as_millisecond());
    Some(u64::try_from(millis).unwrap_or(0))
}

/// How many steps are done, and which run now.
fn progress(view: &RunView) -> Option<String> {
    let is_done = |step: &&StepView| match step.status {
        StepStatus::Completed
        | StepStatus::Failed
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::RolledBack => true,
        StepStatus::Pending | StepStatus::Waiting | StepStatus::Running => false,
    };
    let (done, all) = (view.steps.iter().filter(is_done).count(), view.steps.len());
    let running = view.steps.iter().filter(|step| step.status == StepStatus::Running);
    let running: Vec<_> = running.map(|step| escape(&tree::label(step)).into_owned()).collect();
    if view.status.is_ended() || all == 0 {
        return None;
    }
    let mut progress = format!("{done} of {all} steps done");
    if view.status != RunStatus::Interrupted && !running.is_empty() {
        let _infallible = write!(progress, ", running: {}", running.join(", "));
    }
    Some(progress)
}

/// What to do with a run in this state.
fn advice(view: &RunView) -> Option<String> {
    match view.status {
        RunStatus::Interrupted => Some(format!(
            "its engine is gone and nothing of it runs any more; `q workflow resume {}` goes on with it",
            escape(&view.run_id)
        )),
        RunStatus::Queued
        | RunStatus::Running
        | RunStatus::Stopping
        | RunStatus::Completed
        | RunStatus::Failed
        | RunStatus::Cancelled
        | RunStatus::RollingBack
        | RunStatus::RolledBack
        | RunStatus::RollbackFailed => None,
    }
}

/// The outputs of the run, on one line.
fn outputs(view: &RunView, columns: usize) -> String {
    match view.outputs.as_str() {
        "{}" => String::new(),
        outputs => {
            // Cut before it is escaped: an output may be large.
            let beginning: String = outputs.chars().take(columns).collect();
            let rest = if beginning.len() < outputs.len() { "…" } else { "" };
            let line = format!("outputs {}{rest}", escape(&beginning));
            format!("{}\n", shorten(&line, columns))
        }
    }
}

#[cfg(test)]
mod tests;
