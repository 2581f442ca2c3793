//! One event as a line for people.

use std::fmt::Write as _;

use schemas::events::{EventType, RunEvent};

use crate::ui;

/// A line for people; `None`: not worth one.
pub(super) fn line(event: &RunEvent, workflow: &str) -> Option<String> {
    let step = ui::text::escape(event.step.as_deref().unwrap_or_default());
    let after = event.duration_ms.map(|ms| format!(" ({})", ui::quantity::millis(ms))).unwrap_or_default();
    let why = event
        .error
        .as_ref()
        .map(|error| format!("{}: {}", error.code.as_str(), ui::text::escape(&error.message)));
    let why = why.unwrap_or_default();
    Some(match event.kind {
        EventType::RunCreated => format!("run {} of {workflow}\n", event.run_id),
        EventType::RunStopping => "stopping\n".to_owned(),
        EventType::RunEnded => {
            let status = event.status.map(|status| status.to_string()).unwrap_or_default();
            let why = if why.is_empty() { why } else { format!(": {why}") };
            format!("{status}{after}{why}\n")
        }
        EventType::StepCompleted => format!("  {step} completed{after}\n"),
        EventType::StepFailed => {
            let mut text = format!("  {step} failed{after}: {why}\n");
            for line in event.error.iter().flat_map(|error| &error.details.stderr) {
                let _infallible = writeln!(text, "    | {}", ui::text::escape(line));
            }
            text
        }
        EventType::StepCancelled => format!("  {step} cancelled{after}\n"),
        EventType::StepSkipped => {
            let reason = event.text.as_deref().map(|text| format!(": {}", ui::text::escape(text)));
            format!("  {step} skipped{}\n", reason.unwrap_or_default())
        }
        EventType::StepRetrying => {
            let wait =
                event.delay_ms.map_or_else(String::new, |wait| format!(" in {}", ui::quantity::millis(wait)));
            format!("  {step} failed{after}, will be tried again{wait}: {why}\n")
        }
        EventType::RollbackStarted if event.step.is_some() => format!("  {step} is rolled back\n"),
        EventType::RollbackStarted => "rolling back\n".to_owned(),
        EventType::RollbackStep => match &event.text {
            Some(of) => format!("  {step} undoes {}\n", ui::text::escape(of)),
            None => format!("  {step} comes after the undo steps\n"),
        },
        EventType::RollbackEnded => {
            let of = if event.step.is_some() { format!(" of {step}") } else { String::new() };
            format!("the rollback{of} ended: {}\n", event.status.map_or("", schemas::view::RunStatus::as_str))
        }
        EventType::StepLog => {
            format!("  {step}: {}\n", ui::text::escape(event.text.as_deref().unwrap_or_default()))
        }
        EventType::RunQueued => "queued\n".to_owned(),
        EventType::ToolCalled => {
            let call = event.tool.as_deref()?;
            let (tool, ms) = (ui::text::escape(&call.tool), ui::quantity::millis(call.duration_ms));
            format!("  {step}: {tool} {} ({ms})\n", call.decision)
        }
        EventType::AgentRequest => {
            format!("  {step}: {}\n", ui::agent::line(event.agent.as_deref()?))
        }
        EventType::GuardrailExceeded => {
            let name = event.guardrail.as_deref().unwrap_or_default();
            format!("  {step}: guardrail {} reached\n", ui::text::escape(name))
        }
        EventType::ScheduleFired => {
            format!(
                "started by the schedule {}\n",
                ui::text::escape(event.text.as_deref().unwrap_or_default())
            )
        }
        EventType::RunStarted
        | EventType::StepWaiting
        | EventType::StepStarted
        | EventType::StepProgress
        | EventType::AgentMessage
        | EventType::AgentThought
        | EventType::AgentPlan => {
            return None;
        }
    })
}
