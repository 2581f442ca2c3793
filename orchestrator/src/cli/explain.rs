//! `explain`: why a run, or one step of it, ended as it did, on one screen.

use std::fmt::Write as _;

use schemas::{
    exit_code::ExitCode,
    failure::Failure,
    output::{
        SCHEMA_VERSION,
        explain::{ExplainedAttempt, Explanation, NextMove},
    },
    view::{RunStatus, RunView, StepStatus, StepView},
};
use workflow_engine::load;

use super::output;
use crate::{
    errors::{CommandError, Result},
    fold,
    store::home::Home,
    ui::{self, quantity, terminal, text::escape},
};

/// Causes of causes are told down to this depth.
const DEPTH: usize = 16;

/// Explain why a run or a step ended as it did, and what could be done.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow explain @last\n  \
    q workflow explain 01997b1c build --json")]
pub(super) struct Arguments {
    /// Id of a run, or a unique beginning of one; `@last` is the newest.
    #[arg(value_name = "ID", default_value = "@last")]
    id: String,
    /// A step of the run.
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let dir = super::find_run(home, &arguments.id)?;
    let view = fold::current_view(&dir)?;
    let chosen = arguments.step.as_deref().map(|step| find(&view, step)).transpose()?;
    let explanation = explain(&view, chosen);
    if arguments.json {
        output::json(&explanation)?;
    } else {
        output::text(&told(&explanation, terminal::width()))?;
    }
    Ok(ExitCode::Done)
}

/// The last time that a step ran; a loop's body ran several times.
fn find<'a>(view: &'a RunView, wanted: &str) -> Result<&'a StepView> {
    let failed = view.steps.iter().rfind(|step| step.id == wanted && step.error.is_some());
    let step = failed.or_else(|| view.steps.iter().rfind(|step| step.id == wanted));
    step.ok_or_else(|| {
        let wanted: String = wanted.chars().take(64).collect();
        let error =
            CommandError::new(ExitCode::NotFound, format!("run {} has no step {wanted:?}", view.run_id));
        match load::nearest(&wanted, view.steps.iter().map(|step| step.id.as_str())) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("`q workflow status {}` shows its steps", view.run_id)),
        }
    })
}

fn explain(view: &RunView, chosen: Option<&StepView>) -> Explanation {
    let failure = match chosen {
        Some(step) => step.error.as_ref(),
        None => view.error.as_ref(),
    };
    let causes = failure.map(chain).unwrap_or_default();
    // The step at the bottom of the chain is the one that something happened to.
    let guilty = causes.iter().rev().find_map(|failure| failure.step.as_deref());
    let shown = chosen.or_else(|| guilty.and_then(|id| view.steps.iter().rfind(|step| step.id == id)));
    Explanation {
        schema_version: SCHEMA_VERSION,
        run_id: view.run_id.clone(),
        workflow: view.workflow.clone(),
        status: view.status,
        summary: summary(view, chosen, &causes),
        attempts: shown.map(attempts).unwrap_or_default(),
        next: next(view),
        causes,
    }
}

/// A failure, its first cause, and so on down.
fn chain(failure: &Failure) -> Vec<Failure> {
    let links = std::iter::successors(Some(failure), |failure| failure.details.causes.first());
    links
        .take(DEPTH)
        .map(|failure| {
            let mut link = failure.clone();
            link.details.causes.clear();
            link
        })
        .collect()
}

fn summary(view: &RunView, chosen: Option<&StepView>, causes: &[Failure]) -> String {
    let what = match chosen {
        Some(step) => format!("step {} {}", step.id, step.status),
        None => format!("run {}", view.status),
    };
    let last = causes.last().map(|cause| {
        let step = cause.step.as_ref().map(|step| format!("step {step}: ")).unwrap_or_default();
        format!("{step}{}: {}", cause.code.as_str(), cause.message)
    });
    let skipped = chosen.and_then(|step| step.skip_reason.clone());
    match last.or(skipped) {
        Some(why) => format!("{what} because of {why}"),
        None => match (chosen, view.status) {
            (None, RunStatus::Interrupted) => format!("{what}: its engine is gone"),
            (None, RunStatus::Cancelled) => format!("{what}: somebody asked it to stop"),
            (Some(_) | None, _) => format!("{what}: nothing went wrong"),
        },
    }
}

fn attempts(step: &StepView) -> Vec<ExplainedAttempt> {
    let each = step.attempts.iter().map(|attempt| ExplainedAttempt {
        step: step.id.clone(),
        attempt: attempt.attempt,
        status: attempt.status,
        code: attempt.error.as_ref().map(|error| error.code.as_str().to_owned()),
        memory_peak_bytes: attempt.usage.memory_peak_bytes,
        wall_ms: attempt.usage.wall_ms,
    });
    each.collect()
}

/// What `retry` or `resume` would do.
fn next(view: &RunView) -> NextMove {
    let word = match view.status {
        RunStatus::Interrupted => "resume",
        RunStatus::Failed | RunStatus::Cancelled => "retry",
        RunStatus::Queued
        | RunStatus::Running
        | RunStatus::Stopping
        | RunStatus::Completed
        | RunStatus::RollingBack
        | RunStatus::RolledBack
        | RunStatus::RollbackFailed => {
            return NextMove { command: None, kept: Vec::new(), again: Vec::new() };
        }
    };
    let (mut kept, mut again) = (Vec::new(), Vec::new());
    for step in &view.steps {
        let list = if step.status == StepStatus::Completed { &mut kept } else { &mut again };
        if !list.contains(&step.id) {
            list.push(step.id.clone());
        }
    }
    // What some turns of a loop have not done is done again.
    kept.retain(|id| !again.contains(id));
    NextMove { command: Some(format!("q workflow {word} {}", view.run_id)), kept, again }
}

fn told(explanation: &Explanation, columns: usize) -> String {
    let mut text = format!("run {} of {}\n", escape(&explanation.run_id), escape(&explanation.workflow));
    let mut line = |line: &str| {
        for part in ui::text::wrap(line, columns) {
            text.push_str(&part);
            text.push('\n');
        }
    };
    line(&escape(&explanation.summary));
    for attempt in &explanation.attempts {
        let code = attempt.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        let time =
            attempt.wall_ms.map(|wall| format!(" after {}", quantity::millis(wall))).unwrap_or_default();
        let peak = attempt.memory_peak_bytes;
        let peak = peak.map(|peak| format!(", memory up to {}", quantity::bytes(peak))).unwrap_or_default();
        line(&format!(
            "  attempt {} of {}: {}{code}{time}{peak}",
            attempt.attempt,
            escape(&attempt.step),
            attempt.status
        ));
    }
    if let Some(first) = explanation.causes.first() {
        // With its causes again, as `status` draws them.
        let mut whole = explanation.causes.iter().rev().cloned();
        let innermost = whole.next().unwrap_or_else(|| first.clone());
        let whole = whole.fold(innermost, |inner, mut outer| {
            outer.details.causes = vec![inner];
            outer
        });
        text.push('\n');
        text.push_str(&ui::status::failure(&whole, columns));
    }
    if let Some(command) = &explanation.next.command {
        text.push('\n');
        let next = &explanation.next;
        for (word, steps) in [("taken over", &next.kept), ("run again", &next.again)] {
            if !steps.is_empty() {
                for part in ui::text::wrap(&format!("{word}: {}", escape(&steps.join(", "))), columns) {
                    text.push_str(&part);
                    text.push('\n');
                }
            }
        }
        let _infallible = writeln!(text, "next: {command}");
    }
    text
}
