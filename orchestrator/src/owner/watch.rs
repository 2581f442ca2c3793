//! The run's own log as a watcher: each event one line for people.

use std::fmt::Write as _;

use schemas::{
    events::{EventType, RunEvent},
    output::log::Level,
};

use crate::{
    dispatcher::Watcher,
    store::{
        files::Fault,
        home::RunDir,
        run_log::{Rotation, RunLog},
    },
};

/// Writes `logs/run.log`.
#[derive(Debug)]
pub(super) struct Log {
    log: RunLog,
    /// A log that cannot be written is no reason to stop a run; it is not tried again.
    failed: Option<Fault>,
}

impl Log {
    pub(super) fn new(run: &RunDir, rotation: Rotation) -> Self {
        Self { log: RunLog::new(run, rotation), failed: None }
    }

    /// Why the log is not whole, if so.
    pub(super) fn into_failure(self) -> Option<Fault> {
        self.failed
    }
}

impl Watcher for Log {
    fn events(&mut self, events: &[RunEvent]) {
        if self.failed.is_none() {
            self.failed = write(&mut self.log, events).err();
        }
    }
}

fn write(log: &mut RunLog, events: &[RunEvent]) -> Result<(), Fault> {
    for event in events.iter().filter(|event| event.kind != EventType::StepProgress) {
        log.write(event.ts, level(event), event.step.as_deref().zip(event.attempt), &text(event))?;
    }
    log.flush()
}

fn level(event: &RunEvent) -> Level {
    match (event.kind, event.level.as_deref()) {
        (EventType::StepFailed, _) | (EventType::StepLog, Some("error")) => Level::Error,
        (EventType::StepCancelled | EventType::StepRetrying | EventType::RunStopping, _)
        | (EventType::StepLog, Some("warn")) => Level::Warn,
        (EventType::StepLog, Some("debug")) => Level::Debug,
        _ if event.error.is_some() => Level::Error,
        _ => Level::Info,
    }
}

/// One line for people: the type, and what is known beyond it.
pub(super) fn text(event: &RunEvent) -> String {
    if let (EventType::StepLog, Some(text)) = (event.kind, &event.text) {
        return text.clone();
    }
    let mut text = event.kind.to_string();
    if let Some(reason) = &event.text {
        let _infallible = write!(text, ": {reason}");
    }
    if let Some(delay) = event.delay_ms {
        let _infallible = write!(text, " in {delay} ms");
    }
    if let Some(status) = event.status {
        let _infallible = write!(text, " {status}");
    }
    if let Some(duration) = event.duration_ms {
        let _infallible = write!(text, " after {duration} ms");
    }
    if let Some(error) = &event.error {
        let _infallible = write!(text, ": {}: {}", error.code.as_str(), error.message);
    }
    text
}
